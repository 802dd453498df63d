"""A real pseudo-terminal for a program under test."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence


def on_terminal(
    arguments: Sequence[str],
    *,
    typed: bytes = b"",
    env: Mapping[str, str] | None = None,
    columns: int = 80,
    timeout_s: float = 20.0,
) -> tuple[int, str]:
    """Run Python with `arguments` on a terminal of its own; return its exit status and all that it showed there."""
    primary, secondary = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        start_new_session=True,
        env={**os.environ, **(env or {})},
    )
    os.close(secondary)
    if typed:
        os.write(primary, typed)
    shown = bytearray()
    until = time.monotonic() + timeout_s
    try:
        while time.monotonic() < until:
            if select.select([primary], [], [], 0.05)[0]:
                try:
                    shown += os.read(primary, 65536)
                except OSError:  # EIO: the last user of the other side is gone
                    break
        status = process.wait(max(until - time.monotonic(), 0.1))
    finally:
        process.kill()
        process.wait()
        os.close(primary)
    return status, shown.decode("utf-8", "replace").replace("\r\n", "\n")
