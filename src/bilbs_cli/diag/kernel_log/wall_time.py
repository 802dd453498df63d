"""Times in logs: with and without a year, a zone, a fraction; worked out from when and where the log was read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

AHEAD = timedelta(days=1)  # a clock may be that far ahead of ours before a month without a year is last year's
YEARS = 10  # that far back a day is looked for: February 29 can be eight years away
MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}

SYSLOG = re.compile(r"([^\W\d_]{3,4})\.? +(\d{1,2}) (?:(\d{4}) )?(\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?:? ")
ISO = re.compile(
    r"\[?(?:[A-Z][a-z]{2} )?(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?"
    r"(?: ?(Z\b|[+-]\d{2}:?\d{2}|(?:UTC|GMT|[A-Z]{2,4}T)\b))?\]?:? "
)
EPOCH = re.compile(r"(\d{9,10})\.\d{1,9} (?=\S{1,255} \S)")
HUMAN = re.compile(
    r"\[(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) +(\d{1,2}) (?:(\d{2}):(\d{2}):(\d{2}) (\d{4})|(\d{4}) (\d{2}):(\d{2}):(\d{2}))\] ?"
)


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known of time where a log was written.

    `reference` is when it was read (aware); `zone` that of its host; `booted_at` the start of the boot that was running
    then, None where it is not known.
    """

    reference: datetime
    zone: tzinfo
    booted_at: datetime | None = None


def iso(found: re.Match[str], clock: Clock) -> datetime | None:
    """Return the time that `ISO` found; one without a zone, or with a zone's letters, is of the host's."""
    zone: tzinfo = clock.zone
    named = found[8] or ""
    if named in {"Z", "UTC", "GMT"}:
        zone = UTC
    elif named[:1] in {"+", "-"}:
        offset = timedelta(hours=int(named[1:3]), minutes=int(named[-2:]))
        if offset >= timedelta(days=1):
            return None
        zone = timezone(offset if named[0] == "+" else -offset)
    parts = tuple(int(part) for part in found.group(1, 2, 3, 4, 5, 6))
    return local((*parts, _fraction(found[7])), zone)


def syslog(found: re.Match[str], clock: Clock) -> datetime | None:
    """Return the time that `SYSLOG` found, None for a month in another language."""
    month = MONTHS.get(found[1].lower())
    parts = (month, *(int(part) for part in found.group(2, 4, 5, 6)), _fraction(found[7]))
    if month is None:
        return None
    if found[3]:
        return local((int(found[3]), *parts), clock.zone)
    return without_year(parts, clock)


def without_year(parts: tuple[Any, ...], clock: Clock) -> datetime | None:
    """Return the latest time with these month, day, hour, ... that is not more than a day after the reference.

    February 29 goes back to a leap year. None where there is no such day.
    """
    newest = clock.reference.astimezone(clock.zone).year + 1
    for year in range(newest, newest - YEARS, -1):
        at = local((year, *parts), clock.zone)
        if at is not None and at <= clock.reference + AHEAD:
            return at
    return None


def human(found: re.Match[str], clock: Clock) -> datetime | None:
    """Return the time that `HUMAN` found: dmesg -T, and the fabric manager's log."""
    month = MONTHS.get(found[1].lower())
    hour, minute, second, year = found.group(3, 4, 5, 6) if found[6] else found.group(8, 9, 10, 7)
    if month is None:
        return None
    return local((int(year), month, int(found[2]), int(hour), int(minute), int(second), 0), clock.zone)


def epoch(micros: int | None) -> datetime | None:
    """Return the time for microseconds since 1970."""
    try:
        return None if micros is None else datetime.fromtimestamp(micros / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def local(parts: tuple[Any, ...], zone: tzinfo) -> datetime | None:
    """Return year, month, day, hour, minute, second, microsecond of a zone in UTC; None for a time that is none.

    Of an hour that a zone has twice, in autumn, it is the first.
    """
    year, month, day, hour, minute, second, micros = parts
    try:
        return datetime(year, month, day, hour, minute, second, micros, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _fraction(digits: str | None) -> int:
    return int(f"{digits:0<6}"[:6]) if digits else 0
