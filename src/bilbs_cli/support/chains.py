"""One process at a time for what belongs to one ticket: record locks (fcntl(2)) on one file, a byte for each ticket."""

from __future__ import annotations

import fcntl
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.05


@contextmanager
def held(folder: Path, chain: str, wait_s: float = 0.0) -> Iterator[bool]:
    """Hold the lock of a chain; yield False where another process has it for longer than `wait_s`.

    Two chains may share a byte: then one waits for the other, which is slow and never wrong.
    """
    handle = os.open(folder / "chains.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    place, until = zlib.crc32(chain.encode()) & 0x7FFFFFFF, time.monotonic() + wait_s
    try:
        while True:
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                break
            except OSError:
                if time.monotonic() >= until:
                    yield False
                    return
            time.sleep(POLL_S)
        yield True
    finally:
        os.close(handle)  # gives every lock of this process on that file back: one chain at a time is held
