"""The subscription as a state machine: what each step costs, when it takes effect, until when it can be taken back.

    none --subscribe--> active --cancel--> cancelling --(end of the billing month)--> cancelled
                          ^                    |                                          |  30 days
                          +------resume--------+                                      archived
                          ^                                                               |  6 months after the end
                          +------subscribe (channel and history come back)----------------+
                          ^                                                               v
                          +------subscribe (a new channel)----------------------------- lapsed

Nothing here reads a clock: the state follows from the facts and a moment. A billing month begins at midnight of the account's
zone on the billing day (the first one when it was subscribed); more costs at once its part of the month, less takes effect
with the next one. Source: §11 of the plan; what it does not say is in docs/decisions/0009-plan.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple

from bilbs_cli.plan.billing import midnight, months_later, prorated

NONE, ACTIVE, CANCELLING, CANCELLED, ARCHIVED, LAPSED = (
    "none",
    "active",
    "cancelling",
    "cancelled",
    "archived",
    "lapsed",
)
RETURNING = frozenset({CANCELLED, ARCHIVED})  # who subscribes in these finds the channel with its history
ARCHIVED_DAYS = 30
RESTORABLE_MONTHS = 6


class NotPossible(Exception):
    """A step that the state does not allow; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Terms(NamedTuple):
    """What is paid for: a tier for some boxes, `monthly` in cents for all of them together."""

    tier: str
    boxes: int
    monthly: int


class Period(NamedTuple):
    """One billing month, from `begins` until just before `ends`, and how many days of the account's zone it has."""

    begins: datetime
    ends: datetime
    days: int


class Charge(NamedTuple):
    """Something to pay: `days` of a month with `of_days`; the whole month where both are equal."""

    at: datetime
    cents: int
    terms: Terms
    days: int
    of_days: int


class Dates(NamedTuple):
    """What follows from a cancellation: its end, the archived channel, the last moments to export and to come back."""

    effective: datetime
    channel_archived: datetime
    export_until: datetime
    restorable_until: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """The facts. `ends` is the end of a cancelled one; `then` are the terms from the moment `then_from` on."""

    terms: Terms
    began: datetime
    zone: tzinfo
    ends: datetime | None = None
    then: Terms | None = None
    then_from: datetime | None = None

    @property
    def billing_day(self) -> int:
        """Return the day of the month on which a billing month begins; a month that is too short begins on its last."""
        return self.began.astimezone(self.zone).day


class Step(NamedTuple):
    """What a step makes of it, what is due at once, and whether the archived channel comes back."""

    subscription: Subscription
    charges: tuple[Charge, ...] = ()
    restores: bool = False


def state(found: Subscription | None, now: datetime) -> str:
    """Return the state at a moment."""
    if found is None:
        return NONE
    if found.ends is None:
        return ACTIVE
    dates = cancellation(found.ends, found.zone)
    after = ((dates.effective, CANCELLING), (dates.channel_archived, CANCELLED), (dates.restorable_until, ARCHIVED))
    return next((name for until, name in after if now < until), LAPSED)


def cancellation(ends: datetime, zone: tzinfo) -> Dates:
    """Return the dates of a cancellation that takes effect at `ends`; days and months are those of the account's zone."""
    local = ends.astimezone(zone)
    archived = (local + timedelta(days=ARCHIVED_DAYS)).astimezone(
        UTC
    )  # the wall clock's time stays, also over a change
    last = datetime.combine(months_later(local.date(), RESTORABLE_MONTHS), local.timetz())
    return Dates(ends, archived, archived, last.astimezone(UTC))


def period(found: Subscription, now: datetime) -> Period:
    """Return the billing month of a moment; before the first one that one."""
    count = _month_of(found, now)
    first, last = _first_day(found, count), _first_day(found, count + 1)
    return Period(_begins(found, count), midnight(last, found.zone), (last - first).days)


def subscribe(before: Subscription | None, terms: Terms, now: datetime, zone: tzinfo) -> Step:
    """Begin a subscription; its first month is due at once. Raises `NotPossible` where there is one."""
    standing = state(before, now)
    if standing in {ACTIVE, CANCELLING}:
        raise NotPossible("subscribed", f"there is a subscription, and it is {standing}")
    made = Subscription(terms, now.astimezone(UTC), zone)
    days = period(made, now).days
    return Step(made, (Charge(now, terms.monthly, terms, days, days),), standing in RETURNING)


def change(found: Subscription, terms: Terms, now: datetime) -> Step:
    """Change tier or boxes: more at once, its part of the month due now; less from the next billing month on.

    What waits for the next month is replaced; the terms of now withdraw it. Raises `NotPossible`.
    """
    found = current(found, now)
    _only(ACTIVE, found, now)
    if terms == found.terms:
        if found.then is None:
            raise NotPossible("unchanged", "these are the terms of now")
        return Step(replace(found, then=None, then_from=None))
    month = period(found, now)
    if terms.monthly < found.terms.monthly:
        return Step(replace(found, then=terms, then_from=month.ends))
    left = (month.ends.astimezone(found.zone).date() - now.astimezone(found.zone).date()).days
    more = prorated(terms.monthly - found.terms.monthly, left, month.days)
    charges = (Charge(now, more, terms, left, month.days),) if more else ()
    return Step(replace(found, terms=terms, then=None, then_from=None), charges)


def cancel(found: Subscription, now: datetime) -> Step:
    """End it with the billing month; a change that waited for the next month is moot. Raises `NotPossible`."""
    found = current(found, now)
    _only(ACTIVE, found, now)
    return Step(replace(found, ends=period(found, now).ends, then=None, then_from=None))


def resume(found: Subscription, now: datetime) -> Step:
    """Take a cancellation back, until the moment it takes effect. Raises `NotPossible`."""
    _only(CANCELLING, found, now)
    return Step(replace(found, ends=None))


def current(found: Subscription, now: datetime) -> Subscription:
    """Return the facts with the terms that hold at a moment."""
    if found.then is None or found.then_from is None or now < found.then_from:
        return found
    return replace(found, terms=found.then, then=None, then_from=None)


def renewals(found: Subscription, after: datetime, until: datetime) -> Iterator[Charge]:
    """Yield the charges of the billing months that begin after a moment and not later than another."""
    count = max(_month_of(found, after), 0) + 1
    while (begins := _begins(found, count)) <= until and (found.ends is None or begins < found.ends):
        terms, days = current(found, begins).terms, period(found, begins).days
        yield Charge(begins, terms.monthly, terms, days, days)
        count += 1


def _only(wanted: str, found: Subscription, now: datetime) -> None:
    standing = state(found, now)
    if standing != wanted:
        raise NotPossible("conflict", f"the subscription is {standing}")


def _first_day(found: Subscription, count: int) -> date:
    day = found.began.astimezone(found.zone).date()
    return months_later(day, count) if count else day


def _begins(found: Subscription, count: int) -> datetime:
    return midnight(_first_day(found, count), found.zone) if count else found.began


def _month_of(found: Subscription, now: datetime) -> int:
    """Return the number of the billing month that a moment lies in, 0 for the first one."""
    first, day = found.began.astimezone(found.zone).date(), now.astimezone(found.zone).date()
    count = max((day.year - first.year) * 12 + day.month - first.month, 0)
    return count - 1 if count and _first_day(found, count) > day else count
