"""Limits and opening hours as a provider file writes them: `4h`, `1 business day`, `Mon-Fri 09:00-17:00`."""

from __future__ import annotations

from itertools import pairwise

from bilbs_cli.providers.model import Limit

_SECONDS = {"min": 60, "h": 3600, "week": 7 * 24 * 3600, "weeks": 7 * 24 * 3600}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Windows = tuple[tuple[tuple[int, int], ...], ...]


def parse_limit(text: str) -> Limit:
    """Return a limit. Raises `ValueError`, which says what can be written.

    >>> parse_limit("15min").seconds, parse_limit("1 week").seconds, parse_limit("5 business days").days
    (900, 604800, 5)
    >>> parse_limit("event: next monthly review").event, parse_limit("99.5 %").percent
    ('next monthly review', 99.5)
    """
    number, unit = _number_and_unit(text)
    if unit in _SECONDS and number.isdigit() and 0 < int(number) < 100_000:
        return Limit(text, "time", seconds=int(number) * _SECONDS[unit])
    if unit in {"business day", "business days"} and number.isdigit() and 0 < int(number) < 1000:
        return Limit(text, "business_days", days=int(number))
    if unit == "%" and number and 0 < float(number) <= 100:
        return Limit(text, "percent", percent=float(number))
    if text in {"same business day", "best effort"}:
        return Limit(text, text.replace(" ", "_"))
    event = text.removeprefix("event:").strip()
    if text.startswith("event:") and event:
        return Limit(event, "event", event=event)
    raise ValueError(
        f"{text!r} is no limit; write 15min, 4h, 1 week, 2 business days, same business day, best effort, 99.5 %, "
        "or event: WHAT"
    )


def _number_and_unit(text: str) -> tuple[str, str]:
    """Return the digits (with at most one dot) that a limit begins with, and the rest.

    By hand: compiling regular expressions would cost more than reading the whole file.
    """
    end = next((at for at, char in enumerate(text) if char not in "0123456789."), len(text))
    number = text[:end]
    good = number[:1].isdigit() and number[-1:].isdigit() and number.count(".") <= 1
    return (number, text[end:].removeprefix(" ")) if good else ("", text)


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
        names, _, windows = line.partition(" ")
        begin, dash, end = names.partition("-")
        if begin not in DAYS or (dash and end not in DAYS) or not windows:
            raise ValueError(
                f"{line!r} are no hours; write 24x7, or Mon-Fri 09:00-17:00 (close after open, at most 24:00)"
            )
        first = DAYS.index(begin)
        last = DAYS.index(end) if dash else first
        if last < first:
            raise ValueError(f"{line!r} goes round the end of the week; write two lines")
        for day in days[first : last + 1]:
            day += [_window(part.strip(), line) for part in windows.split(",")]
    return tuple(_sorted(name, day) for name, day in zip(DAYS, days, strict=True))


def _window(text: str, line: str) -> tuple[int, int]:
    opens, closes = map(_minute, text.split("-")) if text.count("-") == 1 else (0, 0)
    if not 0 <= opens < closes <= 1440:
        raise ValueError(f"{line!r}: {text!r} is no window; write 09:00-17:00, close after open, at most 24:00")
    return opens, closes


def _minute(text: str) -> int:
    """Return minutes after midnight of `09:00`, -1 for anything else."""
    hour, minute = text[:2], text[3:]
    good = (
        len(text) == 5 and text[2] == ":" and (hour + minute).isascii() and (hour + minute).isdigit() and minute < "60"
    )
    return int(hour) * 60 + int(minute) if good else -1


def _sorted(name: str, windows: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    windows.sort()
    for before, after in pairwise(windows):
        if before[1] > after[0]:
            raise ValueError(f"the windows of {name} overlap")
    return tuple(windows)
