"""Billing months and parts of them: the day a month begins on, midnights of the account's zone, what a part costs."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, tzinfo


def months_later(day: date, months: int) -> date:
    """Return the same day some months later; in a month that is too short its last one.

    >>> [months_later(date(2027, 1, 31), count).isoformat() for count in (1, 2, 3)]
    ['2027-02-28', '2027-03-31', '2027-04-30']
    """
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return the moment at which a day of a zone begins, in UTC; where the clocks skip midnight, the first moment after."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def prorated(cents: int, days: int, of_days: int) -> int:
    """Return the price of `days` of a month that has `of_days`, in cents; half a cent goes up.

    >>> prorated(39_900, 10, 30), prorated(1, 1, 2), prorated(40_000, 28, 28)
    (13300, 1, 40000)
    """
    return (2 * cents * days + of_days) // (2 * of_days)
