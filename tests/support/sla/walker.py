"""The SLA clock once more, in the dullest way there is: one minute after the other, from decision 6 alone.

It shares nothing with `bilbs_cli.support`: it marks each UTC minute of a few weeks with its local date and time, with what the
calendar, the pauses and the severity are in it, and counts. Everything here is in minutes since its first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import compress, groupby, islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from bilbs_cli.providers.model import Calendar, Provider, Target

WEEKS = 7
LENGTH = WEEKS * 7 * 1440


class Overrun(Exception):
    """A case whose answer lies behind the weeks that are walked."""


@cache
def local_minutes(zone: str, first: datetime) -> tuple[list[int], list[int]]:
    """Return the local date (as an ordinal) and the local minute of the day of each UTC minute."""
    place = ZoneInfo(zone)
    days, minutes = [], []
    moment = first
    for _ in range(LENGTH):
        here = moment.astimezone(place)
        days.append(here.toordinal())
        minutes.append(here.hour * 60 + here.minute)
        moment += timedelta(minutes=1)
    return days, minutes


@cache
def pieces(zone: str, first: datetime) -> list[tuple[int, int, int]]:
    """Return the same minutes as (local date, first and last + 1 minute of the day) wherever the clock runs on evenly."""
    found: list[list[int]] = []
    for day, minute in zip(*local_minutes(zone, first), strict=True):
        if found and found[-1][0] == day and found[-1][2] == minute:
            found[-1][2] += 1
        else:
            found.append([day, minute, minute + 1])
    return [(day, begin, end) for day, begin, end in found]


@cache
def open_minutes(calendar: Calendar, zone: str, first: datetime, holidays: frozenset[date]) -> bytes:
    """Return 1 for each UTC minute in which the calendar is open."""
    closed = {one.toordinal() for one in (holidays if calendar.holidays != "none" else frozenset()) | calendar.closed}
    shut, tables = bytes(1440), []
    for windows in calendar.windows:
        table = bytearray(1440)
        for begin, end in windows:
            table[begin:end] = b"\1" * (end - begin)
        tables.append(bytes(table))
    marks = b"".join(
        (shut if day in closed else tables[(day - 1) % 7])[begin:end]
        for day, begin, end in pieces(calendar.zone or zone, first)
    )
    assert len(marks) == LENGTH
    return marks


@cache
def last_minutes(calendar: Calendar, zone: str, first: datetime, holidays: frozenset[date]) -> bytes:
    """Return 1 for the last open minute of each local date."""
    days, _ = local_minutes(calendar.zone or zone, first)
    marked = {}
    for at, (day, is_open) in enumerate(zip(days, open_minutes(calendar, zone, first, holidays), strict=True)):
        if is_open:
            marked[day] = at
    last = bytearray(LENGTH)
    for at in marked.values():
        last[at] = 1
    return bytes(last)


@dataclass
class Case:
    """A ticket in minutes: `events` are (minute, type, by, to or on)."""

    provider: Provider
    tier: str
    kind: str
    channel: str
    severity: str
    zone: str
    first: datetime
    holidays: frozenset[date]
    opened: int
    now: int
    events: list[tuple[int, str, str, str]] = field(default_factory=list)

    def at(self, minute: int) -> datetime:
        """Return the UTC time of a minute."""
        return self.first.astimezone(UTC) + timedelta(minutes=minute)


HUMAN = {
    "acknowledged",
    "responded",
    "engineer_opened",
    "work_started",
    "action_plan",
    "updated",
    "rma_filed",
    "resolved",
}
KEPT_BY = {
    "first_response": HUMAN,
    "engineer_open": {"engineer_opened", "work_started", "action_plan", "rma_filed", "resolved"},
    "work_started": {"work_started", "resolved"},
    "action_plan": {"action_plan", "resolved"},
    "rma_filed": {"rma_filed"},
}


REASONS = ("", "waiting_customer", "waiting_third_party", "resolved")


class Life:
    """What is true in each minute of a case up to now."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rank = {one.id: number for number, one in enumerate(case.provider.severities)}
        happened = {minute: (kind, by, what) for minute, kind, by, what in case.events if minute <= case.now}
        self.severity: list[str] = []  # from `opened` to `now`, one for each minute
        self.pause = bytearray(LENGTH)  # the number of the reason, in minutes that have begun before now
        self.done: list[tuple[int, str]] = []  # by an engineer
        self.resolved: int | None = None
        self.closed: int | None = None
        level, wish, seen, waiting = case.severity, "", False, ""
        quiet = [*sorted(happened), case.now + 1]
        if quiet[0] != case.opened:
            self._stay(case.opened, quiet[0], level, waiting)
        for minute, following in pairwise(quiet):
            kind, by, what = happened[minute]
            if kind == "severity":
                if by == "customer" or seen or self.rank[what] <= self.rank[level]:
                    level, wish = what, ""
                else:
                    wish = what
            if by == "engineer" and kind in HUMAN:
                seen = True
                level, wish = wish or level, ""
            if by == "engineer":
                self.done.append((minute, kind))
            if kind in {"waiting", "resumed", "resolved", "closed", "reopened"}:
                waiting = ""
            if kind == "responded" and by == "customer" and waiting == "waiting_customer":
                waiting = ""
            if kind == "waiting":
                waiting = f"waiting_{what}"
            if kind == "resolved":
                waiting, self.resolved = "resolved", minute
            if kind == "closed":
                self.closed = minute
            if kind == "reopened":
                self.resolved = self.closed = None
            self._stay(minute, following, level, waiting)
        self.open_pause = waiting

    def _stay(self, begin: int, end: int, level: str, waiting: str) -> None:
        """Mark the minutes until the next event."""
        self.severity += [level] * (end - begin)
        for minute in range(begin, min(end, self.case.now)) if waiting else ():
            self.pause[minute] = REASONS.index(waiting)

    def runs(self, severity: str) -> Iterable[tuple[int, int | None]]:
        """Yield the times (begin, end) in which the ticket was at least that severe and once exactly so."""
        at = self.case.opened
        within = {name for name, rank in self.rank.items() if rank <= self.rank[severity]}
        for inside, group in groupby(self.severity, within.__contains__):
            minutes = list(group)
            end = at + len(minutes)
            if inside and severity in minutes:
                yield at, None if end == self.case.now + 1 else end
            at = end


def marks_of(case: Case, target: Target, pauses: bytes) -> bytes:
    """Return 1 for each minute that counts: the calendar is open and no pause covers it."""
    calendar = case.provider.calendar(target.calendar)
    is_open = int.from_bytes(open_minutes(calendar, case.zone, case.first, case.holidays), "big")
    return (is_open & ~int.from_bytes(pauses, "big")).to_bytes(LENGTH, "big")


def due(case: Case, target: Target, begin: int, pauses: bytes) -> int:
    """Return the minute in which a limit is up that began in the minute `begin`."""
    calendar = case.provider.calendar(target.calendar)
    counted = marks_of(case, target, pauses)
    if target.limit.kind == "same_business_day":
        last = last_minutes(calendar, case.zone, case.first, case.holidays)
        found = next((at for at in compress(range(begin, LENGTH), last[begin:]) if counted[at]), None)
    else:
        need = target.limit.seconds // 60 if target.limit.kind == "time" else target.limit.days * calendar.day_s // 60
        found = next(islice(compress(range(begin, LENGTH), counted[begin:]), need - 1, None), None)
    if found is None:
        raise Overrun
    return found + 1


def answer(case: Case) -> list[dict[str, Any]]:
    """Return every clock that is to be shown, as plain values, in no special order."""
    life = Life(case)
    current = life.severity[-1]
    shown, running, lost = [], [], []
    for severity in dict.fromkeys(life.severity):
        for begin, end in life.runs(severity):
            for target in case.provider.targets:
                if applies(target, severity, case):
                    clock = one_clock(case, life, target, severity, begin, end)
                    if end is None and severity == current:
                        shown.append(clock)
                    elif end is None:
                        running.append(clock)
                    elif clock["state"] == "breached":
                        lost.append(clock)
    for own in list(shown):
        for other in running:
            same = (other["metric"], other["role"]) == (own["metric"], own["role"])
            if same and other["due"] is not None and (own["due"] is None or other["due"] < own["due"]):
                shown.append(other)
    return shown + lost


def applies(target: Target, severity: str, case: Case) -> bool:
    """Say whether a promise is made for such a ticket."""
    asked = (
        (target.severities, severity),
        (target.tiers, case.tier),
        (target.kinds, case.kind),
        (target.channels, case.channel),
    )
    return all(not names or name in names for names, name in asked)


def one_clock(case: Case, life: Life, target: Target, severity: str, begin: int, end: int | None) -> dict[str, Any]:
    """Return one promise made at `begin` that lapsed at `end` (None: not yet)."""
    clock: dict[str, Any] = {
        "severity": severity,
        "metric": target.metric,
        "role": target.role,
        "limit": target.limit.text,
        "state": "",
        "due": None,
        "kept": kept_at(life, target),
        "elapsed": 0,
        "starts": None,
        "provisional": False,
        "missed": 0,
    }
    if target.limit.kind == "percent":
        return clock | {"state": "monthly", "kept": None}
    if target.limit.kind in {"event", "best_effort"}:
        untimed = target.limit.kind
        return clock | {
            "state": "met" if clock["kept"] is not None else "stopped" if life.closed is not None else untimed
        }
    own = set(target.pause) | (set() if target.start == "resolved" else {"resolved"})
    table = bytes(code < len(REASONS) and REASONS[code] in own for code in range(256))

    def pauses(until: int) -> bytes:
        return bytes(life.pause[:until]).translate(table) + bytes(LENGTH - until)

    if target.start == "resolved":
        if life.resolved is None:
            return clock | {"state": "not_started", "kept": None}
        begin = life.resolved
    if target.metric == "update_interval":
        for minute, kind in life.done:
            if kind in HUMAN | {"rca_sent"} and minute >= begin:
                clock["missed"] += minute > due(case, target, begin, pauses(minute))
                begin = minute
    off = pauses(case.now)
    clock["due"] = due(case, target, begin, off)
    ended = [] if target.start == "resolved" else [life.resolved, life.closed]
    until = min(one for one in (clock["kept"], end, *ended, case.now) if one is not None)
    counted = marks_of(case, target, off)
    clock["elapsed"] = sum(counted[begin:until])
    clock["starts"] = next(compress(range(begin, LENGTH), counted[begin:]), None)
    if clock["due"] < until:
        state = "breached"
    elif clock["kept"] is not None:
        state = "met"
    elif until < case.now:
        state = "stopped"
    elif life.open_pause in target.pause:
        state = "waiting_on_you" if life.open_pause == "waiting_customer" else "paused"
        clock["provisional"] = True
    else:
        calendar = case.provider.calendar(target.calendar)
        is_open = open_minutes(calendar, case.zone, case.first, case.holidays)[case.now]
        state = "running" if is_open else "outside_hours"
    return clock | {"state": state}


def kept_at(life: Life, target: Target) -> int | None:
    """Return the minute in which a promise was kept."""
    if target.metric in {"resolve", "update_interval"}:
        return life.resolved
    if target.start == "resolved":
        since = life.resolved if life.resolved is not None else 0
        return next((minute for minute, kind in life.done if kind == "rca_sent" and minute >= since), None)
    return next((minute for minute, kind in life.done if kind in KEPT_BY.get(target.metric, ())), None)


def minutes_of(moments: Sequence[int | None], first: datetime) -> list[int | None]:
    """Return seconds since 1970 as minutes of a case."""
    zero = int(first.timestamp())
    return [None if one is None else (one - zero) // 60 for one in moments]
