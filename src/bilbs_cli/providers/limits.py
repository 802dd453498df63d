"""Limits and opening hours as a provider file writes them: `4h`, `1 business day`, `Mon-Fri 09:00-17:00`."""

from __future__ import annotations

import re
from itertools import pairwise

from bilbs_cli.providers.model import Limit

_TIME = re.compile(r"(\d{1,5}) ?(min|h|weeks?)")
_DAYS = re.compile(r"(\d{1,3}) business days?")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,4})?) ?%")
_SECONDS = {"min": 60, "h": 3600, "week": 7 * 24 * 3600}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))? (.+)")
_WINDOW = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")

Windows = tuple[tuple[tuple[int, int], ...], ...]


def parse_limit(text: str) -> Limit:
    """Return a limit. Raises `ValueError`, which says what can be written.

    >>> parse_limit("15min").seconds, parse_limit("1 week").seconds, parse_limit("5 business days").days
    (900, 604800, 5)
    >>> parse_limit("event: next monthly review").event, parse_limit("99.5 %").percent
    ('next monthly review', 99.5)
    """
    if (found := _TIME.fullmatch(text)) and int(found[1]):
        return Limit(text, "time", seconds=int(found[1]) * _SECONDS[found[2].removesuffix("s")])
    if (found := _DAYS.fullmatch(text)) and int(found[1]):
        return Limit(text, "business_days", days=int(found[1]))
    if (found := _PERCENT.fullmatch(text)) and float(found[1]) <= 100:
        return Limit(text, "percent", percent=float(found[1]))
    if text in {"same business day", "best effort"}:
        return Limit(text, text.replace(" ", "_"))
    event = text.removeprefix("event:").strip()
    if text.startswith("event:") and event:
        return Limit(event, "event", event=event)
    raise ValueError(
        f"{text!r} is no limit; write 15min, 4h, 1 week, 2 business days, same business day, best effort, 99.5 %, "
        "or event: WHAT"
    )


def parse_hours(lines: list[str]) -> Windows:
    """Return the windows of Monday to Sunday, in minutes after midnight, from lines such as `Mon-Fri 09:00-17:00`.

    `24x7` is every minute. Windows of a day are sorted and must not overlap. Raises `ValueError`.

    >>> parse_hours(["Mon-Thu 09:00-12:00,13:00-17:00", "Fri 09:00-15:00"])[3:6]
    (((540, 720), (780, 1020)), ((540, 900),), ())
    """
    if lines == ["24x7"]:
        return (((0, 1440),),) * 7
    days: list[list[tuple[int, int]]] = [[] for _ in DAYS]
    for line in lines:
        found = _HOURS.fullmatch(line)
        if not found:
            raise ValueError(
                f"{line!r} are no hours; write 24x7, or Mon-Fri 09:00-17:00 (close after open, at most 24:00)"
            )
        first = DAYS.index(found[1])
        last = DAYS.index(found[2]) if found[2] else first
        if last < first:
            raise ValueError(f"{line!r} goes round the end of the week; write two lines")
        for day in days[first : last + 1]:
            day += [_window(part.strip(), line) for part in found[3].split(",")]
    return tuple(_sorted(name, day) for name, day in zip(DAYS, days, strict=True))


def _window(text: str, line: str) -> tuple[int, int]:
    found = _WINDOW.fullmatch(text)
    opens, closes = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (0, 0)
    if not opens < closes <= 1440:
        raise ValueError(f"{line!r}: {text!r} is no window; write 09:00-17:00, close after open, at most 24:00")
    return opens, closes


def _sorted(name: str, windows: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    windows.sort()
    for before, after in pairwise(windows):
        if before[1] > after[0]:
            raise ValueError(f"the windows of {name} overlap")
    return tuple(windows)
