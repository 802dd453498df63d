"""Times as people write them: `Tue 23:47`, `2026-11-24 23:47`, `today 9:03 AM`; never guessed where two are meant."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NEAR = {"yesterday": -1, "today": 0, "tomorrow": 1}
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?: ?(am|pm))?", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
EXPECTED = "write Tue 23:47, 2026-11-24 23:47, 23:47, today 9:03 AM, now, or RFC 3339 (2026-11-24T23:47:00+01:00)"
YEARS = range(1971, 2300)


def parse_when(text: str, now: datetime, zone: ZoneInfo, *, past: bool) -> tuple[datetime, str]:
    """Return the UTC time that `text` means in `zone`, and a note where a person should look twice (else empty).

    A weekday alone is the last one (`past`) or the next one, today included. Raises `ValueError`, which says what is
    expected, also for a local time that the zone leaves out.

    >>> paris = ZoneInfo("Europe/Paris")
    >>> parse_when("Tue 23:47", datetime(2026, 11, 26, 12, tzinfo=UTC), paris, past=True)[0].isoformat()
    '2026-11-24T22:47:00+00:00'
    """
    words = text.strip()
    if words.lower() == "now":
        return now, ""
    when = _exact(words)
    note = ""
    if when is None or when.tzinfo is None:
        local = when or _local(words, now.astimezone(zone), past=past)
        when, note = _in_zone(local, zone)
    if when.year not in YEARS:
        raise ValueError(f"{text!r} is outside the years {YEARS.start} to {YEARS.stop - 1}")
    return when.astimezone(UTC), note


def _exact(words: str) -> datetime | None:
    """Return an ISO 8601 time (aware or not), None for any other text."""
    if not _DATE.match(words) or not re.search(r"\d\d:\d\d", words) or re.search(r"[ap]m$", words, re.IGNORECASE):
        return None
    try:
        return datetime.fromisoformat(words)
    except ValueError as error:
        raise ValueError(f"{words!r} is no time: {error}; {EXPECTED}") from None


def _local(words: str, here: datetime, *, past: bool) -> datetime:
    day, _, clock = words.rpartition(" ") if not re.search(r" ?[ap]m$", words, re.IGNORECASE) else _before_clock(words)
    if not clock or (not day and _DATE.fullmatch(clock)):
        raise ValueError(f"{words!r} has no time of day; {EXPECTED}")
    at = _clock(clock, words)
    if not day:
        found = datetime.combine(here.date(), at)
        wrong = found > here.replace(tzinfo=None) if past else found < here.replace(tzinfo=None)
        return found + timedelta(days=(-1 if past else 1) * wrong)
    return datetime.combine(_day(day.lower(), at, here, words, past=past), at)


def _before_clock(words: str) -> tuple[str, str, str]:
    found = re.search(r"(\S+) ?[ap]m$", words, re.IGNORECASE)
    at = found.start() if found else 0
    return words[:at].strip(), "", words[at:]


def _clock(text: str, words: str) -> time:
    found = _CLOCK.fullmatch(text.strip())
    hour = int(found[1]) if found else 99
    if found and found[4]:
        hour = hour % 12 + 12 * (found[4].lower() == "pm") if 1 <= hour <= 12 else 99
    try:
        return time(hour, int(found[2]) if found else 0, int(found[3] or 0) if found else 0)
    except ValueError:
        raise ValueError(f"{words!r} is no time; {EXPECTED}") from None


def _day(name: str, at: time, here: datetime, words: str, *, past: bool) -> date:
    if _DATE.fullmatch(name):
        try:
            return date.fromisoformat(name)
        except ValueError:
            raise ValueError(f"{words!r}: {name} is no date; {EXPECTED}") from None
    if name in _NEAR:
        return here.date() + timedelta(days=_NEAR[name])
    known = [number for number, day in enumerate(_DAYS) if len(name) >= 3 and day.startswith(name)]
    if not known:
        raise ValueError(f"{words!r}: {name} is no day; {EXPECTED}")
    ahead = (known[0] - here.weekday()) % 7
    found = here.date() + timedelta(days=ahead)
    later = datetime.combine(found, at) > here.replace(tzinfo=None)
    if past:
        return found - timedelta(days=7 * later)
    return found + timedelta(days=0 if later or datetime.combine(found, at) == here.replace(tzinfo=None) else 7)


def _in_zone(local: datetime, zone: ZoneInfo) -> tuple[datetime, str]:
    """Return a local time in its zone. Raises `ValueError` for one that the zone leaves out when clocks go forward."""
    first, second = local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first, ""
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        after = first.astimezone(UTC).astimezone(zone)
        raise ValueError(
            f"{local:%Y-%m-%d %H:%M} does not exist in {zone.key}: the clocks go forward over it; write {after:%H:%M}, or an "
            "offset such as +01:00"
        )
    return first, (
        f"{local:%Y-%m-%d %H:%M} comes twice in {zone.key}; the first is taken ({_offset(first)}); write the offset for the "
        f"other ({_offset(second)})"
    )


def _offset(when: datetime) -> str:
    text = f"{when:%z}"
    return f"{text[:3]}:{text[3:5]}"
