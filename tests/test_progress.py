"""The progress display: names what is slow, never floods, never fails, and leaves the terminal as it was."""

from __future__ import annotations

import io
import os
import re

import pytest

from bilbs_cli.errors import UsageProblem
from bilbs_cli.progress import Kind, Progress
from tests.terminals import on_terminal


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(kind: Kind, steps: int = 120, step_s: float = 0.1) -> list[str]:
    """Return the lines that a run of `steps` updates leaves on a stream that is no terminal."""
    clock, stream = Clock(), io.StringIO()
    with Progress(kind, stream=stream, clock=clock) as progress:
        progress.start(["gpu", "bmc"])
        for number in range(steps):
            clock.now += step_s
            progress.update([("gpu", 0.1, ""), ("bmc", clock.now, "Get SEL Entry")], number // 50, 4, 1_500_000)
    return stream.getvalue().splitlines()


def test_plain_lines_name_what_is_slow_slowest_first() -> None:
    lines = shown(Kind.PLAIN)
    assert lines[0] == "bilbs: collecting gpu, bmc"
    assert lines[-1] == "bilbs: 2/4 done, 1.5 MB, 10 s; bmc: 10 s, Get SEL Entry; gpu: 0 s"


def test_plain_lines_come_at_most_once_a_second_and_seldom_when_nothing_changes() -> None:
    assert len(shown(Kind.PLAIN)) == 1 + 3  # its start; then at 0, 5 and 10 s
    assert len(shown(Kind.PLAIN, steps=1000, step_s=0.01)) <= 1 + 11


def test_nothing_is_shown_in_a_pipe_unless_asked() -> None:
    assert shown(Kind.AUTO) == []
    assert shown(Kind.NONE) == []
    assert shown(Kind.RICH) == shown(Kind.PLAIN)  # a moving display cannot work there


def test_a_line_that_stays_is_kept_in_plain_and_dropped_when_nothing_is_wanted() -> None:
    for kind, kept in ((Kind.PLAIN, "gpu\\x1b[2J timed out\n"), (Kind.NONE, "")):
        stream = io.StringIO()
        Progress(kind, stream=stream).line("gpu\x1b[2J timed out")
        assert stream.getvalue() == kept


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(UsageProblem, match=r"--progress fancy .* auto, rich, plain, none"):
        Progress("fancy")


def test_a_stream_that_is_gone_never_stops_the_collection() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        progress = Progress(Kind.PLAIN, stream=stream)
        progress.start(["a"])
        progress.line("more")
        assert progress.kind is Kind.NONE
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, write)  # so that closing the broken stream does not fail the test
        os.close(null)


def test_without_rich_lines_are_plain() -> None:
    text = on_terminal(["-c", "import sys; sys.modules['rich'] = None" + RUN])[1]
    assert "bilbs: " in text
    assert "Traceback" not in text
    assert "AFTER" in text


RUN = """
import os, threading, time
from bilbs_cli.progress import Progress
with Progress("auto") as progress:
    progress.start(["gpu", "bmc"])
    for number in range(8):
        progress.update([("bmc", 6 + number, "Get SEL Entry \\x1b[2J" + "x" * 200)], number, 9, number * 10**6)
        time.sleep(0.1)
        if number == 4:
            progress.line("gpu: done \\x1b]0;x")
            child = os.fork()
            if child == 0:
                os._exit(threading.active_count())
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            progress.line(f"THREADS {status} {threading.active_count()}")
print("AFTER")
"""


def test_on_a_terminal_it_moves_in_place_fits_and_uses_no_thread() -> None:
    status, text = on_terminal(["-c", RUN], columns=60)
    assert status == 0
    assert re.search(r"bmc: \d+ s, Get SEL Entry \\x1b\[2J", text)
    assert "gpu: done \\x1b]0;x" in text
    assert "THREADS 1 1" in text
    assert "\x1b[1A" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")
    assert max(map(len, plain.splitlines())) <= 60


def test_the_cursor_is_never_left_hidden() -> None:
    text = on_terminal(
        ["-c", RUN.replace("time.sleep(0.1)", "time.sleep(0.1); number == 2 and os.kill(os.getpid(), 9)")]
    )[1]
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


def test_on_a_dumb_terminal_lines_are_plain() -> None:
    text = on_terminal(["-c", RUN], env={"TERM": "dumb"})[1]
    assert "\x1b" not in text
    assert "bilbs: 0/9 done" in text
