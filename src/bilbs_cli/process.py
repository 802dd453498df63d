"""Run a program that may never end: argv list, own session, deadline, capped output, TERM, KILL, abandon.

`subprocess.run(timeout=)` is not used: after its kill it waits without a bound, and a process in D state
(a hung driver, a dead NFS server) cannot be killed at all. Here the wait has an end; what is left behind is
`abandoned` and reported.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

GRACE_S = 0.3  # between TERM and KILL, and between KILL and giving up
CHUNK = 1 << 18
STDERR_LIMIT = 64 << 10
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/mellanox/bin"


class CommandMissing(Exception):
    """The program is not installed. `str` is its name."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended.

    `exit_status` is None when it was killed by us or abandoned, negative for a signal (as in `subprocess`).
    `truncated` is true when output beyond the cap was thrown away.
    """

    argv: tuple[str, ...]
    exit_status: int | None
    stdout: bytes
    stderr: bytes
    duration_s: float
    timed_out: bool = False
    abandoned: bool = False
    truncated: bool = False


def find(program: str) -> str | None:
    """Return the path of `program` on PATH or in the folders of administration, None when not installed."""
    return shutil.which(program) or shutil.which(program, path=SEARCH_PATH)


def plain_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for tools whose output is parsed: `LC_ALL=C`, no pagers, no colours."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("LC_", "BILBS_")) and k not in {"LANG", "LANGUAGE"}
    }
    return (
        kept
        | {
            "LC_ALL": "C",
            "PAGER": "cat",
            "SYSTEMD_PAGER": "cat",
            "SYSTEMD_COLORS": "0",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }
        | dict(extra or {})
    )


def run_bilbs(*arguments: str, timeout_s: float, max_output: int) -> Completed:
    """Run a command of bilbs in a process of its own, so that a hung driver cannot hang the one that asks."""
    own = {name: value for name, value in os.environ.items() if name.startswith(("BILBS_", "PYTHON"))}
    own["PYTHONPATH"] = os.pathsep.join(
        filter(None, sys.path)
    )  # of a package or an archive that brings its own libraries
    argv = [sys.executable, "-m", "bilbs_cli", *arguments]
    return run(argv, timeout_s=timeout_s, max_output=max_output, env=own)


def interactive(argv: Sequence[str]) -> int:
    """Run a program of the person's own on this terminal (an editor) until they end it; return its exit status.

    Raises `OSError` where it cannot be started.
    """
    return subprocess.call(list(argv))


def end(process: subprocess.Popen[bytes], grace_s: float = GRACE_S) -> bool:
    """End a session leader and its group: TERM, KILL, a bounded wait. Return False when it had to be abandoned."""
    return not end_all([process.pid], lambda _: process.poll() is not None, grace_s)


def end_all(leaders: Sequence[int], gone: Callable[[int], bool], grace_s: float = GRACE_S) -> list[int]:
    """End session leaders and their groups together: TERM to all, KILL to all, bounded waits between.

    `gone(pid)` reaps and says whether a leader is dead. Return those that had to be abandoned (D state).
    """
    left = list(leaders)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            _signal_group(pid, number)
        until = time.monotonic() + grace_s
        while left and time.monotonic() < until:
            left = [pid for pid in left if not gone(pid)]
            if left:
                time.sleep(0.005)
    for pid in leaders:
        _signal_group(pid, signal.SIGKILL)  # what a leader left behind in its group
    return left


def reaped(pid: int) -> bool:
    """Say whether a child of this process is dead, and reap it."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


@dataclass(slots=True)
class Running:
    """A started program whose stdout is read in pieces; `with` ends it on every way out."""

    argv: tuple[str, ...]
    timeout_s: float
    max_output: int
    env: Mapping[str, str] | None = None
    on_start: Callable[[int], None] | None = None
    stderr: bytearray = field(default_factory=bytearray)
    seen: int = 0
    timed_out: bool = False
    abandoned: bool = False
    truncated: bool = False
    started: float = 0.0
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it. Raises `CommandMissing`, or `OSError` when the kernel refuses."""
        program = find(self.argv[0])
        if program is None:
            raise CommandMissing(self.argv[0])
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            [program, *self.argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=plain_environment(self.env),
            cwd="/",
            bufsize=0,
        )
        if self.on_start:
            self.on_start(self._process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            self.abandoned = not end(process)
        else:
            _signal_group(process.pid, signal.SIGKILL)  # what it left behind in its group
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
        if self.abandoned:  # subprocess would warn about a living child
            process.returncode = -signal.SIGKILL

    @property
    def pid(self) -> int:
        """Return the process id, 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def exit_status(self) -> int | None:
        """Return the exit status, None while it runs or when we ended it."""
        if self._process is None or self.timed_out or self.abandoned or self.truncated:
            return None
        return self._process.returncode

    def chunks(self) -> Iterator[bytes]:
        """Yield stdout as it comes, until its end, the deadline or the cap. stderr is kept (64 KiB at most)."""
        process = self._process
        if process is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("chunks() is for a started program")
        with selectors.DefaultSelector() as selector:
            for pipe in (process.stdout, process.stderr):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                left = self.started + self.timeout_s - time.monotonic()
                ready = selector.select(max(left, 0))
                if left <= 0:
                    self.timed_out = True
                    return
                for key, _ in ready:
                    data = os.read(key.fd, CHUNK)
                    if not data:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stderr:
                        self.stderr += data[: STDERR_LIMIT - len(self.stderr)]
                    else:
                        kept = data[: self.max_output - self.seen]
                        self.truncated = len(kept) < len(data)
                        self.seen += len(kept)
                        if kept:
                            yield kept
                        if self.truncated:
                            return
        self._await_exit(process)

    def _await_exit(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for a program that closed its output; one that lingers past the deadline timed out."""
        while process.poll() is None:
            if time.monotonic() >= self.started + self.timeout_s:
                self.timed_out = True
                return
            time.sleep(0.002)


def run(
    argv: Sequence[str], *, timeout_s: float, max_output: int = 8 << 20, env: Mapping[str, str] | None = None
) -> Completed:
    """Run `argv` to its end or its deadline and return what it said.

    Raises `CommandMissing` when the program is not installed.
    """
    running = Running(tuple(argv), timeout_s, max_output, env)
    with running:
        stdout = b"".join(running.chunks())
        duration = time.monotonic() - running.started
        status = running.exit_status
    return Completed(
        running.argv,
        status,
        stdout,
        bytes(running.stderr),
        duration,
        running.timed_out,
        running.abandoned,
        running.truncated,
    )
