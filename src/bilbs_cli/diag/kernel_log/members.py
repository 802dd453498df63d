"""Which members of a bundle are logs to be scanned, and which of them are copies of each other."""

from __future__ import annotations

import re

LOG = re.compile(
    r"kernel/(?:dmesg\.txt|journal-[a-z-]+\.jsonl|var/log/.+|sys/fs/pstore/.+|var/lib/systemd/pstore/.+|var/crash/.+)"
    r"|gpu/var/log/fabricmanager\.log[^/]*"
)
BOOTS = {
    "kernel/journal-this-boot.jsonl": "this",
    "kernel/journal-previous-boot.jsonl": "previous",
    "kernel/dmesg.txt": "this",
}
FAMILIES = (
    ("ring buffer", r"kernel/dmesg\.txt"),
    ("journal", r"kernel/journal-.+"),
    ("kern.log", r"kernel/var/log/kern\.log.*"),
    ("syslog", r"kernel/var/log/syslog.*"),
    ("messages", r"kernel/var/log/messages.*"),
    ("dmesg file", r"kernel/var/log/dmesg.*"),
    ("fabric manager", r"gpu/.+"),
)


def is_log(member: str) -> bool:
    """Say whether a member (its path below the top folder) is a log of the kernel or of the fabric manager."""
    return LOG.fullmatch(member) is not None


def boot_of(member: str) -> str:
    """Return `this` or `previous` for a log of one boot, empty for one that may hold many."""
    return BOOTS.get(member, "")


def family(member: str) -> str:
    """Return the family of a log. What stands in two families is the same event told twice; within one it is another.

    >>> family("kernel/var/log/kern.log.1.gz")
    'kern.log'
    """
    return next((name for name, pattern in FAMILIES if re.fullmatch(pattern, member)), "crash dump")
