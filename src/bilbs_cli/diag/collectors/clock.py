"""The kernel's clock discipline: adjtimex(2) in its read-only form."""

from __future__ import annotations

import ctypes
import os
from typing import Any

STA_UNSYNC = 0x0040  # <linux/timex.h>
STA_NANO = 0x2000
TIME_ERROR = 5


class Timex(ctypes.Structure):
    """`struct timex` of <sys/timex.h>, with the 11 spare integers at its end."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("tv_sec", ctypes.c_long),
        ("tv_usec", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("spare", ctypes.c_int * 11),
    )


def discipline() -> dict[str, Any]:
    """Ask the kernel whether its clock is synchronised, changing nothing (`modes` 0 needs no rights).

    Raises `OSError`.
    """
    timex = Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return facts_of(state, timex)


def facts_of(state: int, timex: Timex) -> dict[str, Any]:
    """Return facts of what adjtimex(2) answered: offsets and errors in seconds.

    >>> facts_of(TIME_ERROR, Timex(status=STA_UNSYNC | STA_NANO, offset=2_500_000, maxerror=16_000_000, esterror=500))
    {'synchronized': False, 'offset_s': 0.0025, 'max_error_s': 16.0, 'estimated_error_s': 0.0005, 'frequency_ppm': 0.0}
    """
    per_second = 1e9 if timex.status & STA_NANO else 1e6
    return {
        "synchronized": state != TIME_ERROR and not timex.status & STA_UNSYNC,
        "offset_s": timex.offset / per_second,
        "max_error_s": timex.maxerror / 1e6,
        "estimated_error_s": timex.esterror / 1e6,
        "frequency_ppm": round(timex.freq / 65536, 3),
    }
