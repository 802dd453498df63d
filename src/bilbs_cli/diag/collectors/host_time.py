"""How times in a host's logs are to be read: its time zone and the moment it was started."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from bilbs_cli import files
from bilbs_cli.diag.collectors import sysfs
from bilbs_cli.diag.model import NotCollected, Reading, Value


def zone(root: Path | None) -> Reading:
    """Return the name of a system's time zone: /etc/timezone, else where /etc/localtime leads."""
    named = sysfs.attribute(root, "/etc/timezone")
    if isinstance(named, Value):
        return named
    try:
        target = os.readlink(files.rooted(root, "/etc") / "localtime")  # noqa: PTH115 - text, not a path
    except (OSError, files.NotReadable):
        return NotCollected("no /etc/timezone, and /etc/localtime is not a link")
    return Value(target.partition("zoneinfo/")[2] or target)


def booted_at() -> Reading:
    """Return when this machine was started (RFC 3339, UTC): `btime` of /proc/stat, the same for every reader (proc(5))."""
    reading = sysfs.attribute(None, "/proc/stat", lambda text: int(text.split("\nbtime ")[1].split()[0]))
    if not isinstance(reading, Value):
        return reading
    return Value(datetime.fromtimestamp(reading.value, UTC).isoformat())
