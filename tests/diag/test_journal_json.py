"""Journal entries whose messages are lists of byte numbers."""

from __future__ import annotations

import doctest
import json

from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag import journal_json
from bilbs_cli.diag.job import Collector, Job
from tests.inprocess import gather

SECRET = b"hunter2-is-not-a-good-one"


def entry(message: bytes) -> bytes:
    return b'{"PRIORITY":"3","MESSAGE":[' + b",".join(str(byte).encode() for byte in message) + b"]}\n"


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(journal_json).failed == 0


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=8), st.data())
def test_however_it_is_cut_every_line_stays_json_and_says_the_same(messages: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(entry(message) for message in messages)
    stream = journal_json.Plain()
    out = b""
    while raw:
        cut = data.draw(st.integers(1, len(raw)))
        out, raw = out + stream.feed(raw[:cut]), raw[cut:]
    out += stream.finish()
    assert [json.loads(line)["MESSAGE"] for line in out.splitlines()] == [
        m.decode("utf-8", "backslashreplace") for m in messages
    ]


def test_a_secret_in_a_list_of_bytes_does_not_reach_the_bundle() -> None:
    from bilbs_cli.diag.child import Member
    from bilbs_cli.diag.model import Status

    def collect(job: Job) -> None:
        part = Member(job, "kernel/journal.jsonl", "command: journalctl -k -o json -b 0")  # type: ignore[arg-type]
        part.feed(entry(b"\x1b[31mapp: login with password=" + SECRET + b"\x1b[0m"))
        part.finish(Status.OK)

    got = gather(Collector("kernel", "kernel", "kernel", 5, collect)).members["kernel/journal.jsonl"]
    assert b"app: login" in got
    assert SECRET not in got
    assert str(SECRET[0]).encode() + b"," not in got
