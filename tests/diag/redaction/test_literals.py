"""The host's own secrets: every encoding is found, by the mask and by the gate, wherever the input is cut."""

from __future__ import annotations

import base64
import html
import json
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.redaction import Gate, Redactor, encodings
from bilbs_cli.diag.redaction.literals import weak

SECRET = b"S3cr\xc3\xa9t \"p/w'&<x>+42"
REDACTOR = Redactor(known=[SECRET])


def written(secret: bytes) -> dict[str, bytes]:
    """Return a secret as other programs write it; nothing here is shared with the code."""
    text = secret.decode()
    return {
        "plain": secret,
        "url": quote(secret).encode(),
        "url, all of it": quote(secret, safe="").encode(),
        "form": quote_plus(secret).encode(),
        "json": json.dumps({"a": text}).encode(),
        "json, not ascii": json.dumps(text, ensure_ascii=False).encode(),
        "json in json": json.dumps(json.dumps(text)).encode(),
        "repr": repr(text).encode(),
        "repr of bytes": repr(secret).encode(),
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "utf-16": text.encode("utf-16-le"),
        "utf-16-be": text.encode("utf-16-be"),
        "xml": html.escape(text, quote=False).encode(),
        **{f"base64 +{n}": base64.b64encode(b"x" * n + secret + b"yz") for n in range(4)},
        "base64url": base64.urlsafe_b64encode(b"a" + secret),
        "base64 of user and password": base64.b64encode(b"admin:" + secret),
    }


@pytest.mark.parametrize("form", written(SECRET))
def test_the_gate_finds_a_secret_however_it_is_written(form: str) -> None:
    text = b"before " * 50 + written(SECRET)[form] + b" after"
    hits = Gate({"the BMC password": SECRET}).feed(text)
    assert [name for name, _ in hits] == ["the BMC password"] * len(hits)
    assert hits
    assert 340 <= hits[0][1] <= 360


@pytest.mark.parametrize("form", written(SECRET))
def test_a_known_secret_is_masked_however_it_is_written(form: str) -> None:
    text = b"value " + written(SECRET)[form] + b" after"
    stream = REDACTOR.stream()
    out = stream.feed(text) + stream.finish()
    assert not Gate({"x": SECRET}).feed(out)
    assert stream.counts["known-secret"] >= 1


@given(st.lists(st.integers(min_value=0, max_value=400), max_size=8))
@settings(max_examples=60, deadline=None)
def test_the_gate_finds_a_secret_across_any_cuts(cuts: list[int]) -> None:
    text = b"x" * 150 + b"Hunter2-Fake-Long-Secret-77" + b"y" * 150
    at = [0, *sorted({cut for cut in cuts if cut < len(text)}), len(text)]
    gate = Gate({"env": b"Hunter2-Fake-Long-Secret-77"})
    hits = [hit for start, end in pairwise(at) for hit in gate.feed(text[start:end])]
    assert set(hits) == {("env", 150)}


@given(st.binary(min_size=8, max_size=40), st.binary(max_size=4), st.binary(max_size=4))
@settings(max_examples=200, deadline=None)
def test_base64_is_found_at_every_alignment(secret: bytes, before: bytes, after: bytes) -> None:
    text = base64.b64encode(before + secret + after)
    assert any(form in text for form in encodings(secret))


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=8, max_size=30))
@settings(max_examples=200, deadline=None)
def test_every_encoding_of_any_text_holds_a_form(text: str) -> None:
    secret = text.encode()
    forms = encodings(secret)
    for name, raw in written(secret).items():
        assert any(form in raw for form in forms), name


def test_the_gate_without_secrets_finds_nothing() -> None:
    assert Gate({}).feed(b"anything") == []


def test_short_secrets_are_not_hunted() -> None:
    assert Gate({"x": b"short"}).feed(b"a short word") == []


def test_a_long_secret_that_was_cut_is_masked_as_far_as_it_goes() -> None:
    secret = b"Zx9" + b"0123456789abcdef" * 8
    stream = Redactor(known=[secret]).stream()
    assert stream.feed(b"log: " + secret[:80] + b"\nnext") + stream.finish() == b"log: [REDACTED:known-secret]\nnext"


def test_each_line_of_a_secret_with_lines_is_hunted() -> None:
    gate = Gate({"key": b"MIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n"})
    assert gate.feed(b"x hkiG9w0BAQEFAASC y")


@pytest.mark.parametrize(
    "word", [b"password", b"administrator", b"/etc/passwd", b"12345678", b"aaaaaaaaaaaa", b"short", b"Kubernetes"]
)
def test_everyday_words_are_no_literals(word: bytes) -> None:
    assert weak(word)


@pytest.mark.parametrize("word", [b"hunter2-fake", b"Tr0ub4dor", b"correcthorsebatterystaple", b"1234567890123"])
def test_secrets_are_literals(word: bytes) -> None:
    assert not weak(word)
