"""Sizes, durations and moments as people write them: `2G`, `512KiB`, `90s`, `1h30m`, `2026-11-20`, `all`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*(?:([KMGTP])(iB|B)?|B)?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,9}(?:\.\d{1,6})?)\s*([smhdw]))", re.IGNORECASE | re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_POWER = {letter: power for power, letter in enumerate("KMGTP", start=1)}


def parse_size(text: str) -> int:
    """Return bytes: `K M G T P` and `KiB` count by 1024, `KB` by 1000 (as in GNU dd); a bare number is bytes.

    Raises `ValueError`, which says what is expected.

    >>> parse_size("2G"), parse_size("1.5KiB"), parse_size("10MB")
    (2147483648, 1536, 10000000)
    """
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a size; write 500M, 2G or a number of bytes")
    number, letter, unit = found.groups()
    base = 1000 if (unit or "").upper() == "B" else 1024
    return round(float(number) * base ** _POWER[letter.upper()]) if letter else int(float(number))


def parse_duration(text: str) -> float:
    """Return seconds: parts in `s m h d w`, or a bare number of seconds.

    Raises `ValueError`, which says what is expected.

    >>> parse_duration("90"), parse_duration("1h30m"), parse_duration("2d")
    (90.0, 5400.0, 172800.0)
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        raise ValueError(f"{text!r} is not a duration; write 90s, 10m, 24h or a number of seconds")
    return float(sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts))


def parse_since(text: str, now: datetime) -> datetime | None:
    """Return the moment that `24h`, `7d`, `2026-11-20` or `2026-11-20T03:30` means (local time without a zone).

    `all` is None. Raises `ValueError`, which says what is expected, also for a moment in the future.

    >>> parse_since("24h", datetime(2026, 11, 21, 3, 30, tzinfo=UTC)).isoformat()
    '2026-11-20T03:30:00+00:00'
    """
    text = text.strip()
    if text.lower() == "all":
        return None
    try:
        moment = (
            datetime.fromisoformat(text).astimezone(UTC)
            if "-" in text
            else now - timedelta(seconds=parse_duration(text))
        )
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time; write 24h, 7d, 2026-11-20, 2026-11-20T03:30 or all") from None
    if moment > now:
        raise ValueError(f"{text!r} is in the future; the clock of this box says {now:%Y-%m-%d %H:%M} UTC")
    return moment


def moment(text: object) -> datetime | None:
    """Return an RFC 3339 time of a desk in UTC; None for what is none, has no zone, or lies where no calendar can count.

    >>> moment("2026-11-27T10:00:00-05:00").hour, moment("9999-12-31T23:59:59Z"), moment("2026-11-27"), moment(5)
    (15, None, None, None)
    """
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found and found.tzinfo and 1971 <= found.year < 2300 else None


def show_size(size: float) -> str:
    """Return bytes for people, by 1000 as `ls --si` does.

    >>> show_size(0), show_size(999), show_size(1_460_000)
    ('0 B', '999 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(size) < 999.5 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" or abs(size) >= 99.95 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("the last unit takes all")  # pragma: no cover


def show_duration(seconds: float) -> str:
    """Return seconds for people.

    >>> show_duration(0.42), show_duration(6), show_duration(125), show_duration(7260)
    ('0.4 s', '6.0 s', '2 min 5 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def show_span(seconds: float) -> str:
    """Return a span of working or waiting time for people, to the minute; seconds only below one.

    >>> show_span(42), show_span(900), show_span(12_000), show_span(200_000)
    ('42 s', '15 min', '3 h 20 min', '2 d 7 h 33 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def show_time(when: datetime) -> str:
    """Return an aware time for people, in UTC, to the second.

    >>> show_time(datetime(2026, 11, 21, 3, 30, 5, tzinfo=UTC))
    '2026-11-21 03:30:05 UTC'
    """
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
