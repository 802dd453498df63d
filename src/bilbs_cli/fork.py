"""Forked children of this process: their clean start, and a function call that may never return.

The parent must have no threads when it forks; bilbs has none.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from typing import NoReturn

from bilbs_cli import process


def fork(child: Callable[[int], None]) -> tuple[int, int]:
    """Run `child(pipe)` in a forked process with its own session; return its process id and the reading end.

    The child never returns into the parent's code: it ends with status 0, or 70 on any exception. It starts with default
    signals, no terminal and no other open file than the pipe.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_child(child, writing)
    os.close(writing)
    return pid, reading


def _be_child(child: Callable[[int], None], pipe: int) -> NoReturn:
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):  # a driver library that prints must not garble stdout
            os.dup2(null, standard)
        os.closerange(3, pipe)  # a child that lives on must hold no lock, socket or pipe of others
        os.closerange(pipe + 1, 4096)
        child(pipe)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it was, the parent's code must not run twice
        os._exit(70)


def call(function: Callable[[], bytes], timeout_s: float) -> bytes | None:
    """Return `function()` from a child process, None when it raised, died or took longer than `timeout_s`."""

    def child(pipe: int) -> None:
        view = memoryview(b"+" + function())
        while view:
            view = view[os.write(pipe, view) :]

    pid, pipe = fork(child)
    answer = bytearray()
    until = time.monotonic() + timeout_s
    try:
        while select.select([pipe], [], [], max(until - time.monotonic(), 0))[0]:
            data = os.read(pipe, 1 << 16)
            if not data:
                finished = os.waitpid(pid, 0)[1] == 0
                return bytes(answer[1:]) if finished and answer else None
            answer += data
        return None
    finally:
        os.close(pipe)
        if not process.reaped(pid):
            process.end_all([pid], process.reaped)
