"""Programs that ignore TERM, flood, linger, hang in the kernel: real processes, and every wait has an end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bilbs_cli import process
from bilbs_cli.process import CommandMissing, Completed, Running
from tests.parts.patience import BUSY_S, eventually


def state_of(pid: int) -> str:
    """Return the state letter of a process (proc(5)), empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def sh(script: str, timeout_s: float = 10.0, max_output: int = 8 << 20) -> Completed:
    return process.run(["sh", "-c", script], timeout_s=timeout_s, max_output=max_output)


def test_output_errors_and_exit_status_come_back() -> None:
    done = sh("echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.exit_status) == (b"out\n", b"err\n", 3)
    assert (done.timed_out, done.abandoned, done.truncated) == (False, False, False)


def test_a_program_ended_by_a_signal_has_its_negative_number() -> None:
    assert sh("kill -SEGV $$").exit_status == -signal.SIGSEGV


def test_a_missing_program_is_told_apart_from_one_that_fails() -> None:
    with pytest.raises(CommandMissing, match="no-such-program"):
        process.run(["no-such-program"], timeout_s=1)


def test_a_program_finds_no_input_no_terminal_and_a_session_of_its_own() -> None:
    done = sh("cat; tty; ps -o sid= -p $$; echo $$; pwd")
    text = done.stdout.decode().split()
    assert text[:3] == ["not", "a", "tty"]
    assert text[3] == text[4]
    assert text[5] == "/"


def test_a_program_never_reads_what_was_meant_for_us() -> None:
    ours = "from bilbs_cli import process; print(process.run(['cat'], timeout_s=5).stdout)"
    done = subprocess.run([sys.executable, "-c", ours], input="typed", capture_output=True, text=True, check=True)
    assert done.stdout == "b''\n"


def test_a_program_speaks_english_without_colours_and_knows_no_setting_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_MESSAGES", "fr_FR.UTF-8")
    monkeypatch.setenv("LANGUAGE", "fr")
    monkeypatch.setenv("BILBS_BMC_PASSWORD", "calvin")
    said = process.run(["env"], timeout_s=5, env={"EXTRA": "1"}).stdout.decode().splitlines()
    assert {"LC_ALL=C", "NO_COLOR=1", "EXTRA=1", "PAGER=cat"} <= set(said)
    assert not [line for line in said if line.startswith(("LC_MESSAGES", "LANG", "BILBS_"))]


def test_the_deadline_is_kept_by_a_program_that_sleeps() -> None:
    started = time.monotonic()
    done = sh("echo early; sleep 60", timeout_s=0.3)
    assert 0.3 <= time.monotonic() - started < 1.0 + BUSY_S
    assert (done.timed_out, done.exit_status, done.stdout) == (True, None, b"early\n")


def test_a_program_and_its_children_that_ignore_term_are_killed() -> None:
    started = time.monotonic()
    done = sh("trap '' TERM; sleep 60 & echo $! $$; while :; do sleep 1; done", timeout_s=0.3)
    assert time.monotonic() - started < 0.3 + 3 * process.GRACE_S + BUSY_S
    assert done.timed_out
    assert not done.abandoned
    assert eventually(lambda: {state_of(int(pid)) for pid in done.stdout.split()} <= {"", "Z"})


def test_a_program_that_handles_term_can_end_well_before_the_kill() -> None:
    started = time.monotonic()
    sh("trap 'exit 0' TERM; while :; do sleep 0.05; done", timeout_s=0.2)
    assert time.monotonic() - started < 0.2 + process.GRACE_S


def test_a_grandchild_that_keeps_the_pipe_open_costs_no_more_than_the_deadline() -> None:
    started = time.monotonic()
    done = sh("sleep 60 & echo $!", timeout_s=0.4)
    assert time.monotonic() - started < 1.2 + BUSY_S
    assert done.timed_out
    assert eventually(lambda: state_of(int(done.stdout)) in {"", "Z"})


def test_a_grandchild_that_left_the_session_and_keeps_the_pipe_open_is_not_waited_for() -> None:
    started = time.monotonic()
    done = sh("setsid sleep 60 & echo $!", timeout_s=0.4)
    assert time.monotonic() - started < 1.2 + BUSY_S
    assert done.timed_out
    subprocess.run(["kill", "-9", done.stdout.decode().strip()], check=False, capture_output=True)


def test_a_program_that_closes_its_output_and_lingers_is_timed_out() -> None:
    started = time.monotonic()
    done = sh("echo done; exec >&- 2>&-; sleep 60", timeout_s=0.4)
    assert time.monotonic() - started < 1.2 + BUSY_S
    assert (done.timed_out, done.exit_status, done.stdout) == (True, None, b"done\n")


def test_a_flood_of_output_is_cut_at_the_cap_and_the_program_ended() -> None:
    started = time.monotonic()
    done = process.run(["yes"], timeout_s=20, max_output=1_000_001)
    assert time.monotonic() - started < 5
    assert (len(done.stdout), done.truncated, done.exit_status) == (1_000_001, True, None)


def test_output_of_exactly_the_cap_is_whole() -> None:
    done = sh("printf 12345", max_output=5)
    assert (done.stdout, done.truncated, done.exit_status) == (b"12345", False, 0)


def test_a_flood_of_errors_neither_blocks_the_program_nor_fills_the_memory() -> None:
    done = sh("head -c 5000000 /dev/zero >&2; echo end")
    assert (done.stdout, done.exit_status, len(done.stderr)) == (b"end\n", 0, process.STDERR_LIMIT)


def test_leaving_a_running_program_ends_it() -> None:
    with Running(("sleep", "60"), timeout_s=60, max_output=10) as running:
        pid = next(
            int(path.name)
            for path in Path("/proc").glob("[0-9]*")
            if (path / "stat").exists()
            and f" {os.getpid()} " in (path / "stat").read_text()
            and "(sleep)" in (path / "stat").read_text()
        )
    assert running.abandoned is False
    assert state_of(pid) == ""


def test_a_break_in_the_middle_of_the_output_ends_the_program() -> None:
    started = time.monotonic()
    with Running(("sh", "-c", "echo one; sleep 60"), timeout_s=60, max_output=100) as running:
        assert next(running.chunks()) == b"one\n"
    assert time.monotonic() - started < 2 + BUSY_S


def test_the_start_of_a_program_is_told_with_its_process_id() -> None:
    told: list[int] = []
    with Running(("sh", "-c", "echo $$"), timeout_s=5, max_output=100, on_start=told.append) as running:
        assert told == [int(b"".join(running.chunks()))]


def test_administration_folders_are_searched_even_when_path_lacks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert process.find("mkfs.ext4")
    assert process.find("no-such-program") is None


@pytest.fixture
def frozen_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk whose writers hang in the kernel (D state): a frozen loop mount. Needs root; thawed on every way out."""
    image, place = tmp_path / "image", tmp_path / "frozen"
    place.mkdir()
    image.write_bytes(b"\0" * (8 << 20))
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    # should this process be killed, the machine is still left as it was found
    rescue = subprocess.Popen(
        ["setsid", "sh", "-c", 'sleep 30; fsfreeze -u "$0"; umount -l "$0"', str(place)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        subprocess.run(["fsfreeze", "-f", str(place)], check=True)
        yield place
    finally:
        subprocess.run(["fsfreeze", "-u", str(place)], check=True)
        rescue.kill()
        rescue.wait()
        assert eventually(
            lambda: subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode == 0
        )


def test_a_program_that_hangs_in_the_kernel_is_abandoned_in_bounded_time(frozen_disk: Path) -> None:
    started = time.monotonic()
    done = process.run(["sh", "-c", f"echo $$; echo x > {frozen_disk}/file"], timeout_s=0.3)
    took = time.monotonic() - started
    pid = int(done.stdout)
    assert state_of(pid) == "D"  # the kill is pending: no other end is possible
    assert (done.abandoned, done.timed_out, done.exit_status) == (True, True, None)
    assert took < 0.3 + 2 * process.GRACE_S + 0.5 + BUSY_S
    subprocess.run(["fsfreeze", "-u", str(frozen_disk)], check=True)
    assert eventually(lambda: process.reaped(pid))
    subprocess.run(["fsfreeze", "-f", str(frozen_disk)], check=True)


def test_many_leaders_are_ended_together_and_not_one_after_the_other() -> None:
    leaders = [
        subprocess.Popen(
            ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"],
            start_new_session=True,
            stdout=subprocess.PIPE,
        )
        for _ in range(40)  # one after the other they would take 40 times GRACE_S
    ]
    for leader in leaders:
        assert leader.stdout
        leader.stdout.readline()
        leader.stdout.close()
    started = time.monotonic()
    by_pid = {leader.pid: leader for leader in leaders}
    left = process.end_all(list(by_pid), lambda pid: by_pid[pid].poll() is not None)
    assert left == []
    assert time.monotonic() - started < 2 * process.GRACE_S + 0.3 + BUSY_S
