"""The kernel's own ring buffer: /dev/kmsg and its records (Documentation/ABI/testing/dev-kmsg)."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import suppress

DEVICE = "/dev/kmsg"
RECORD_BYTES = 8192  # a shorter buffer gets EINVAL
MOST_BYTES = 32 << 20
MOST_S = 3.0


def records(path: str = DEVICE) -> Iterator[bytes]:
    """Yield the records in the buffer, oldest first, and never wait for new ones.

    Each opener has its own place in the buffer: reading takes nothing away. A reader that is overrun by new messages
    gets EPIPE and goes on at the oldest record. Raises `OSError` (EPERM under `dmesg_restrict`).
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    until, left = time.monotonic() + MOST_S, MOST_BYTES
    try:
        while left > 0 and time.monotonic() < until:
            try:
                record = os.read(handle, RECORD_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.EPIPE:
                    raise
                continue
            if not record:
                return
            left -= len(record)
            yield record
    finally:
        os.close(handle)


def line(record: bytes) -> bytes:
    r"""Return a record as a line of `dmesg --raw` with its time, without its dictionary.

    What is no record stays as it is. The kernel has escaped control characters already.

    >>> line(b"3,512,98765432,-;NVRM: Xid (PCI:0000:17:00): 79, GPU has fallen off the bus.\n SUBSYSTEM=pci\n")
    b'<3>[   98.765432] NVRM: Xid (PCI:0000:17:00): 79, GPU has fallen off the bus.\n'
    """
    head, separator, rest = record.partition(b";")
    message = rest.split(b"\n", 1)[0]
    with suppress(ValueError, IndexError):
        if separator:
            fields = head.split(b",")
            seconds, micros = divmod(int(fields[2]), 1_000_000)
            return b"<%d>[%5d.%06d] %s\n" % (int(fields[0]), seconds, micros, message)
    return record.rstrip(b"\n") + b"\n"
