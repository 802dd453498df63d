"""The stream: what comes out does not depend on how it went in; long lines, odd encodings, flat memory."""

from __future__ import annotations

import gzip
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.redaction import Redactor, engine
from bilbs_cli.diag.redaction.sieve import plain
from tests.diag.redaction.examples import DATA, expand, forms

REDACTOR = Redactor()
FORMS = [expand(form) for form in forms().values()]
KEEPS = [path.read_bytes() for path in sorted((DATA / "keeps").iterdir())]
SECRET = b"Hunter2-Fake-77"


def fed(pieces: Iterator[bytes] | list[bytes]) -> bytes:
    stream = REDACTOR.stream()
    return b"".join([*[stream.feed(piece) for piece in pieces], stream.finish()])


def cut(text: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(text) + 1) for cut in cuts})
    return [text[start:end] for start, end in zip([0, *at], [*at, len(text)], strict=True)]


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BATCH", 1)
    monkeypatch.setattr(engine, "WINDOW", 2048)
    monkeypatch.setattr(engine, "OVERLAP", 512)


@pytest.fixture
def every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on every piece at once, however small."""
    monkeypatch.setattr(engine, "BATCH", 1)


text_of_forms = st.lists(
    st.one_of(
        st.sampled_from(FORMS).map(lambda form: form.text + b"\n"),
        st.sampled_from(KEEPS).map(lambda keep: keep[:400] + b"\n"),
        st.binary(max_size=40),
    ),
    min_size=1,
    max_size=12,
).map(b"".join)
cuts = st.lists(st.integers(min_value=0, max_value=1 << 16), max_size=12)


@given(text=text_of_forms, cuts=cuts)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_result_does_not_depend_on_how_the_input_is_cut(every_byte: None, text: bytes, cuts: list[int]) -> None:
    text = b"# a first line\n" * 300 + text  # the form of a member is decided on its head
    assert fed(cut(text, cuts)) == fed([text])


@given(text=text_of_forms, cuts=cuts)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_long_lines_do_not_depend_on_how_the_input_is_cut(small_windows: None, text: bytes, cuts: list[int]) -> None:
    line = (text.replace(b"\n", b" ") * 40)[:20000] + b"\n" + text
    assert fed(cut(line, cuts)) == fed([line])


@given(text=st.binary(max_size=3000), cuts=cuts)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_bytes_in_any_pieces_give_one_result(every_byte: None, text: bytes, cuts: list[int]) -> None:
    text *= 4
    assert fed(cut(text, cuts)) == fed([text])


def test_a_byte_at_a_time_gives_the_same(every_byte: None) -> None:
    text = b"\n".join(form.text for form in FORMS[:60])
    assert fed([text[i : i + 1] for i in range(len(text))]) == fed([text])


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
def test_line_endings_stay(ending: bytes) -> None:
    out = fed([b"a=1" + ending + b"password=" + SECRET + ending])
    assert SECRET not in out
    assert out.endswith(b"]" + ending)


def test_a_secret_at_every_place_of_a_long_line_is_masked(small_windows: None) -> None:
    for at in range(0, 6000, 37):
        line = b"word " * (at // 5) + b'"password": "' + SECRET + b'", ' + b"tail " * 900
        assert SECRET not in fed([line]), at


def test_a_secret_in_a_line_without_any_delimiter_is_masked(small_windows: None) -> None:
    token = b"ghp_" + b"A7b" * 12
    for at in range(0, 5000, 113):
        line = b"." * at + b"/" + token + b"/" + b"." * 4000
        assert token not in fed([line]), at


def test_a_value_longer_than_a_window_is_masked_to_its_end(small_windows: None) -> None:
    value = b"S3cret" * 3000
    for before, after in (
        (b'{"password": "', b'", "next": 17}'),
        (b"x token=", b" next=17"),
        (b"password: ", b"\nnext=17"),
    ):
        out = fed([before + value + after])
        assert b"S3cret" not in out
        assert out.endswith(after)


def test_escaped_quotes_do_not_end_a_value_at_the_edge_of_a_window(small_windows: None) -> None:
    for size in range(1900, 2200, 7):
        line = b'{"password": "' + b"x" * size + b'\\"' + SECRET + b'", "n": 1} ' + b"y " * 4000
        out = fed([line])
        assert SECRET not in out, size
        assert b'"n": 1}' in out, size


def test_text_in_utf_16_is_redacted_and_stays_utf_16() -> None:
    for codec, bom in (
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-32-le", b"\xff\xfe\0\0"),
    ):
        text = "name=é€𝄞\r\npassword=Hunter2-Fake-77\r\nnext=1\r\n" * 200
        raw = bom + text.encode(codec)
        out = fed([raw[:3], raw[3:1001], raw[1001:]])
        assert out[len(bom) :].decode(codec) == text.replace("Hunter2-Fake-77", "[REDACTED:password]")


def test_half_a_character_at_the_end_of_utf_16_stays() -> None:
    raw = b"\xff\xfe" + "plain text".encode("utf-16-le") + b"x"
    assert fed([raw]) == raw


@given(st.binary(max_size=400), cuts)
@example(b"x\0\x00\xd8", [3])  # half a pair of surrogates at the end
@settings(max_examples=100, deadline=None)
def test_any_bytes_behind_a_mark_of_utf_16_come_out_as_they_went_in(data: bytes, cuts: list[int]) -> None:
    raw = b"\xff\xfe" + data
    assert fed(cut(raw, cuts)) == raw or b"R\0E\0D\0A\0C\0T\0E\0D\0" in fed([raw])


def test_bytes_that_are_no_utf_32_do_not_stop_a_run() -> None:
    assert fed([b"\xff\xfe\0\0" + b"\xff" * 100])


def test_compressed_members_are_left_alone_and_named() -> None:
    raw = gzip.compress(b"password=" + SECRET)
    stream = REDACTOR.stream()
    assert stream.feed(raw[:5]) + stream.feed(raw[5:]) + stream.finish() == raw
    assert stream.notes == ["not scanned: gzip"]
    assert dict(stream.counts) == {"not-scanned:gzip": 0}


def test_a_database_keeps_its_offsets() -> None:
    raw = b"SQLite format 3\0" + b"\0" * 100 + b"password=" + SECRET + b"\0" * 50
    out = fed([raw])
    assert len(out) == len(raw)
    assert SECRET not in out


def test_nul_bytes_and_invalid_utf_8_pass() -> None:
    raw = bytes(range(256)) * 20
    assert fed([raw]) == raw


def test_masks_are_counted_by_rule() -> None:
    stream = REDACTOR.stream()
    stream.feed(b"password=Hunter2-Fake\nx postgres://u:Hunter2-Fake@h/d\npassword=Hunter2-Fake\n")
    stream.finish()
    assert dict(stream.counts) == {"password": 2, "url-password": 1}


def test_small_texts_are_redacted_too() -> None:
    assert REDACTOR.text("password=Hunter2-Fake") == "password=[REDACTED:password]"
    assert REDACTOR.text("GPU has fallen off the bus") == "GPU has fallen off the bus"
    assert REDACTOR.text("bad \udcff byte password=Hunter2-Fake").endswith("[REDACTED:password]")
    assert REDACTOR.text("Hunter2-Fake", key="bmc_password") == "[REDACTED:password]"
    assert REDACTOR.text("79", key="xid") == "79"


def test_a_key_whose_beginning_was_cut_off_is_masked() -> None:
    lines = [b"".join(random.Random(i).choices([b"aB3/", b"x7Zq"], k=16)) for i in range(6)]
    out = fed([b"\n".join([lines[0][20:], *lines[1:]]) + b"\n-----END RSA PRIVATE KEY-----\nnext line of the log\n"])
    assert not any(line[20:] in out for line in lines)
    assert out.endswith(b"next line of the log\n")


def test_a_list_of_digests_at_the_start_of_a_file_stays() -> None:
    text = b"0123456789abcdef0123456789abcdef\nfedcba9876543210fedcba9876543210\nend\n"
    assert fed([text]) == text


def test_a_key_without_an_end_does_not_swallow_the_log() -> None:
    text = (
        b"-----BEGIN RSA PRIVATE KEY-----\n"
        + b"aB3/" * 16
        + b"\n"
        + b"Nov 21 03:30:01 gpu01 kernel: NVRM: Xid 79\n" * 3
    )
    assert fed([text]).count(b"Xid 79") == 3


def test_an_open_quote_does_not_swallow_the_log() -> None:
    text = b'password="' + SECRET + b"\n" + b"Nov 21 03:30:01 gpu01 kernel: NVRM: Xid 79\n" * 3
    out = fed([text])
    assert SECRET not in out
    assert out.count(b"Xid 79") == 3


def test_every_secret_between_base64_is_masked() -> None:
    blob = b"".join(random.Random(7).choices([b"aB3/", b"x7Zq", b"Kp0+"], k=700))
    lines = [
        blob,
        b"password=" + SECRET,
        blob,
        blob,
        b"x postgres://u:" + SECRET + b"@h/d",
        b"token=ghp_" + b"A7b" * 12,
        blob,
    ] * 4
    text = b"\n".join(lines) + b"\n"
    assert plain(text)
    out = fed([text])
    assert SECRET not in out
    assert out.count(b"[REDACTED:") == 12
    assert out.count(blob) == 16


def test_a_set_that_runs_out_of_memory_hides_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted:
        def Match(self, _: bytes) -> None:  # noqa: N802 - as re2 calls it
            return None

    redactor = Redactor()
    monkeypatch.setattr(redactor.scanner.sieve, "_which", Exhausted())
    for form in FORMS[:120]:
        stream = redactor.stream()
        assert stream.feed(form.text) + stream.finish() == fed([form.text])


HOSTILE = {
    "blanks in a value": b"password: a" + b" " * 60000 + b"b",
    "begins and one end": b"-----BEGIN PRIVATE KEY-----" * 2500 + b"-----END PRIVATE KEY-----",
    "blanks": b" " * 60000,
    "quotes": b'"' * 60000,
    "backslashes": b"\\" * 60000,
    "open keys": b"password=" * 8000,
    "open quotes": b'password="' * 7000,
    "percents": b"%22" * 20000,
    "escapes": b"\\u0022password\\u003d" * 3000,
    "colons": b"a:" * 30000,
    "begins": b"-----BEGIN PRIVATE KEY-----" * 2500,
    "numbers": b":[" + b"1," * 30000,
    "base64": b"eyJ" + b"A" * 60000,
    "hex": b"proctitle=" + b"7" * 60000,
    "mysql": b"mysql " * 12000,
    "tags": b"<password>" * 7000,
    "users": b"://a:" * 15000,
    "at signs": b"://" + b"a:@" * 20000,
    "commas": b"password=" + b"a," * 30000,
    "options": b" --password" * 6000,
    "names": b"name=password " * 5000,
    "curl": b"curl -u " * 8000,
    "echo": b"echo x | " * 8000,
    "brackets": b"token=[" * 8000,
    "backslashes in a list": b"token=[" + b"\\" * 60000,
    "raw elements": b"<password><![CDATA[" * 3000,
    "masks": b"[REDACTED:x]password=abc1 " * 2500,
    "settings": b"set password x1 " * 4000,
    "plus signs in a key": b"-----BEGIN PRIVATE KEY-----\n" + b"+" * 60000 + b"!\n",
    "backslashes before names": (b"\\" * 590 + b"name=password ") * 100,
    "manifests": b'"kind":"Secret""data":{' * 2500,
    "properties": b"<key>password</key>" * 3000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_linear_time(name: str) -> None:
    once, twice = HOSTILE[name], HOSTILE[name] * 4
    fed([once])  # the automaton's states are made at the first sight

    def seconds(text: bytes) -> float:
        best = 9e9
        for _ in range(2):
            began = time.process_time()
            fed([text])
            best = min(best, time.process_time() - began)
        return best

    assert seconds(twice) < 4 * 2.5 * seconds(once) + 0.05


MEMORY = """
import resource, sys
from bilbs_cli.diag.redaction import Redactor
stream = Redactor().stream()
line = b"Nov 21 03:30:01 gpu01 kubelet[42]: reconciler.go:258] started for volume kube-api " * 50 + b"password=Hunter2-Fake-77 rc=0 "
stream.feed(line * 1000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
piece = line * 250
left = int(sys.argv[1])
size = 0
while left > 0:
    out = stream.feed(piece + (b"\\n" if sys.argv[2] == "lines" else b""))
    assert b"Hunter2" not in out
    size += len(out)
    left -= len(piece)
size += len(stream.finish())
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(after - before, size)
"""


def test_memory_stays_flat_for_a_line_of_64_megabytes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(64 << 20), "line"], capture_output=True, text=True, check=True
    )
    grown_kib, size = map(int, done.stdout.split())
    assert size > 32 << 20
    assert grown_kib < 10 << 10
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
