"""Every planted form comes out without its secret, by the bytes and by an oracle that decodes everything."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import pytest

from bilbs_cli.diag.redaction import Redactor
from tests.diag.redaction.examples import expand, forms
from tests.diag.redaction.oracle import holds, views

FORMS = forms()
PLAIN = (b"hunter2-fake", b"hunter3-fake", b"second-fake-1", b"admin-fake1")
REDACTOR = Redactor()


def redacted(text: bytes) -> bytes:
    stream = REDACTOR.stream()
    return stream.feed(text) + stream.finish()


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(FORMS) >= 300


@pytest.mark.parametrize("name", FORMS)
def test_a_planted_secret_does_not_come_out(name: str) -> None:
    example = expand(FORMS[name])
    out = redacted(example.text)
    assert holds(out, b"[REDACTED:")
    for secret in example.secrets:
        assert secret not in out, out
    for secret in PLAIN:
        assert not holds(out, secret), out


@pytest.mark.parametrize("name", FORMS)
def test_no_half_of_a_secret_comes_out(name: str) -> None:
    example = expand(FORMS[name], seed=1)
    out = re.sub(rb"\[REDACTED:[a-z0-9-]+\]", b"", redacted(example.text))
    for secret in example.secrets:
        half = max(len(secret) // 2, 5)
        for at in range(len(secret) - half + 1):
            assert secret[at : at + half] not in out, (secret, out)


@pytest.mark.parametrize("name", FORMS)
def test_redacting_twice_changes_nothing_more(name: str) -> None:
    out = redacted(expand(FORMS[name]).text)
    assert redacted(out) == out


@pytest.mark.parametrize("name", FORMS)
def test_lines_stay_lines(name: str) -> None:
    example = expand(FORMS[name])
    assert redacted(example.text).count(b"\n") == example.text.count(b"\n")


@pytest.mark.parametrize("name", [name for name in FORMS if name.startswith("json")])
def test_json_parses_after_redaction_as_before(name: str) -> None:
    text = expand(FORMS[name]).text
    try:
        json.loads(text)
    except ValueError:
        return
    json.loads(redacted(text))


@pytest.mark.parametrize("name", [name for name in FORMS if name.startswith("xml")])
def test_xml_parses_after_redaction_as_before(name: str) -> None:
    text = expand(FORMS[name]).text
    try:
        ET.fromstring(text)  # noqa: S314 - our own text
    except ET.ParseError:
        return
    ET.fromstring(redacted(text))  # noqa: S314 - our own text


def test_the_oracle_finds_what_it_must() -> None:
    secret = b"hunter2-fake"
    for form in (
        b"x hunter2-fake y",
        b"aHVudGVyMi1mYWtl",
        b"eGh1bnRlcjItZmFrZQ==",
        b"68756e746572322d66616b65",
        b"hunter2%2Dfake",
        b"[104,117,110,116,101,114,50,45,102,97,107,101]",
        "hunter2-fake".encode("utf-16-le"),
        b"hunter2\\u002dfake",
    ):
        assert holds(form, secret), form
    assert not holds(b"hunter3", secret)
    assert len(list(views(b"plain"))) >= 1
