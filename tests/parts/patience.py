"""Waiting for what comes, and how much longer than its bound it may take on a machine that does other things."""

from __future__ import annotations

import time
from collections.abc import Callable

BUSY_S = 3.0  # the tests run beside each other; what a test with a bound guards against hangs for ever or for a minute


def eventually(holds: Callable[[], bool], within_s: float = 3.0) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.01)
    return holds()
