"""The SLA engine against a walker that takes one minute after the other: 10,800 random tickets, in the long tests 216,000."""

from __future__ import annotations

import os
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bilbs_cli.providers import loading
from bilbs_cli.providers.model import Calendar, Provider
from bilbs_cli.providers.schema import parse
from bilbs_cli.support.sla import clocks as engine
from bilbs_cli.support.sla.history import Event, build
from bilbs_cli.support.sla.steps import COUNTED, steps
from bilbs_cli.support.sla.working_time import WorkingTime
from tests.support.sla import walker
from tests.support.sla.walker import Case

SOAK = 20 if os.environ.get("BILBS_SOAK") else 1
CASES = 10_800 * SOAK
SHARES = 8  # tests, so that a failure names its share

# A zone and the first minutes (UTC) of the weeks that are walked in it: around the changes of its clock, the year's end,
# leap day.
PLACES = {
    "UTC": ["2026-01-05", "2024-02-12"],
    "Europe/Paris": ["2026-03-09", "2026-10-05", "2026-12-07", "2024-02-12"],
    "America/New_York": ["2026-02-23", "2026-10-12"],
    "America/St_Johns": ["2010-10-18", "2026-02-23"],  # until 2011 at one minute past midnight, back over it
    "Asia/Kathmandu": ["2026-05-04"],
    "Asia/Kolkata": ["2026-12-14"],
    "Australia/Lord_Howe": ["2026-03-16", "2026-09-14"],  # half an hour
    "Australia/Eucla": ["2026-06-01"],
    "Pacific/Chatham": ["2026-03-16", "2026-09-07"],
    "Antarctica/Troll": ["2026-03-09", "2026-10-05"],  # two hours
    "Africa/Casablanca": ["2026-02-02", "2026-03-09"],  # back for Ramadan
    "Africa/Cairo": ["2026-04-06", "2026-10-12"],
    "Asia/Beirut": ["2026-03-09", "2026-10-05"],  # at midnight
    "America/Havana": ["2026-02-23", "2026-10-12"],
    "America/Santiago": ["2026-03-16", "2026-08-17"],
    "America/Sao_Paulo": ["2018-10-15", "2018-01-29"],
    "Asia/Tehran": ["2022-03-07", "2022-09-05"],
    "Pacific/Apia": ["2011-12-12"],  # 30 December 2011 was left out
}

ODD = """
schema = 1
id = "odd"
name = "Odd"
document = "Calendars that no plan has"
version = "1"
default_severity = "b"
[severities.a]
name = "A"
definition = "a"
source = "-"
[severities.b]
name = "B"
definition = "b"
source = "-"
[severities.c]
name = "C"
definition = "c"
source = "-"
"""
HOURS = {
    "lunch": ('["Mon-Fri 08:30-12:00,13:15-17:45"]', "none"),
    "night": ('["Mon-Sun 22:00-24:00", ]', "account"),
    "early": ('["Mon-Sun 00:00-03:30"]', "none"),
    "gap": ('["Mon-Sun 01:30-02:30"]', "none"),
    "edge": ('["Mon-Sun 00:30-01:30,02:00-02:15,02:45-03:00"]', "none"),
    "whole": ('["Mon-Fri 00:00-24:00"]', "account"),
    "weekend": ('["Sat-Sun 10:00-16:00"]', "none"),
    "midnight": ('["Mon-Sun 00:00-00:01,23:59-24:00"]', "none"),
}


def odd() -> Provider:
    """Return a plan with every strange calendar, limit, start and pause."""
    text = ODD
    limits = {
        "first_response": ['"30min"', '"7h"'],
        "work_started": ['"1 business day"'],
        "action_plan": ['"same business day"'],
        "update_interval": ['"2h"'],
        "resolve": ['"3 business days"', '"1h"'],
        "rca": ['"2 business days"'],
    }
    for number, (name, (hours, holidays)) in enumerate(HOURS.items()):
        extra = "closed = [2026-03-31, 2026-12-24, 2026-10-30]\n" if number % 2 else ""
        text += f'[calendars.{name}]\nname = "{name}"\nhours = {hours}\nholidays = "{holidays}"\nsource = "-"\n{extra}'
    text += '[calendars.friday]\nname = "f"\nhours = ["Mon-Thu 09:00-17:00", "Fri 09:00-12:00"]\nbusiness_day = "8h"\nholidays = "account"\nsource = "-"\n'
    names = [*HOURS, "friday"]
    chosen = random.Random(5)
    for metric, choices in limits.items():
        for severity in "abc":
            pause = chosen.choice(["[]", '["waiting_customer"]', '["waiting_customer", "waiting_third_party"]'])
            limit = chosen.choice(choices)
            calendar = chosen.choice(
                [one for one in names if one != "midnight" or limit in {'"30min"', '"same business day"'}]
            )
            start = "resolved" if metric == "rca" else "received"
            text += f'[[targets]]\nwhen = {{ severity = "{severity}" }}\nmetric = "{metric}"\nlimit = {limit}\ncalendar = "{calendar}"\n'
            text += f'start = "{start}"\npause = {pause}\nclause = "-"\nsource = "-"\n'
    return parse(text, "odd.toml")


PLANS = [loading.read(one) for one in loading.found(env={})] + [odd()]


def test_the_weeks_hold_the_nights_that_they_are_there_for() -> None:
    changed = set()
    for zone, firsts in PLACES.items():
        for first in firsts:
            begin = datetime.fromisoformat(first).replace(tzinfo=UTC)
            moments = (begin + timedelta(hours=hour) for hour in range(walker.WEEKS * 7 * 24))
            if len({one.astimezone(ZoneInfo(zone)).utcoffset() for one in moments}) > 1:
                changed.add((zone, first))
    steady = {(zone, first) for zone, firsts in PLACES.items() for first in firsts} - changed
    assert steady == {
        ("UTC", "2026-01-05"),
        ("UTC", "2024-02-12"),
        ("Europe/Paris", "2026-12-07"),
        ("Asia/Kathmandu", "2026-05-04"),
        ("Asia/Kolkata", "2026-12-14"),
        ("Australia/Eucla", "2026-06-01"),
    }


def random_case(dice: random.Random) -> Case:
    """Return a ticket opened in the first days of some weeks, with events, looked at later."""
    plan = dice.choice([*PLANS, PLANS[-1]])
    zone = dice.choice(list(PLACES))
    first = datetime.fromisoformat(dice.choice(PLACES[zone])).replace(tzinfo=UTC)
    days, minutes = walker.local_minutes(zone, first)
    # the changes of the clock lie about three weeks in: half of the tickets are opened close to that
    opened = dice.randrange(0, 10 * 1440) if dice.random() < 0.3 else dice.randrange(8 * 1440, 24 * 1440)
    if dice.random() < 0.4:  # on a boundary, or one minute beside it
        edges = {0, 1, 60, 90, 120, 150, 540, 480, 1020, 1080, 1439}
        wanted = dice.choice(sorted(edges)) + dice.choice([-1, 0, 0, 1])
        near = [at for at in range(opened, min(opened + 2880, walker.LENGTH)) if minutes[at] == wanted % 1440]
        opened = near[0] if near else opened
    chosen = random.Random(f"{zone} {first} {dice.randrange(3)}")  # three sets of holidays for each place
    holidays = frozenset(date.fromordinal(days[chosen.randrange(len(days))]) for _ in range(chosen.randrange(4)))
    now = opened + int(dice.choice([0, 60, 500, 3000, 9000, 14000]) * dice.random())
    case = Case(
        provider=plan,
        tier=dice.choice([one.id for one in plan.tiers] or [""]),
        kind=dice.choice(["", "", "hardware", "question"]),
        channel=dice.choice(["", "", *(one.id for one in plan.channels)]),
        severity=dice.choice(plan.severities).id,
        zone=zone,
        first=first,
        holidays=holidays,
        opened=opened,
        now=now,
    )
    case.events = sorted(random_events(dice, case))
    return case


def random_events(dice: random.Random, case: Case) -> list[tuple[int, str, str, str]]:
    """Return events in minutes of their own, some of them after now."""
    how_many = dice.choice([0, 0, 1, 2, 3, 5, 8])
    room = range(case.opened, case.now + 600)
    kinds = ["acknowledged", "responded", "engineer_opened", "work_started", "action_plan", "updated", "rma_filed"]
    kinds += (
        ["severity"] * 5 + ["waiting"] * 5 + ["resumed"] * 4 + ["resolved"] * 2 + ["reopened", "closed", "rca_sent"]
    )
    found = []
    for minute in dice.sample(room, min(how_many, len(room))):
        kind = dice.choice(kinds)
        by = dice.choice(["customer", "engineer", "engineer", "automatic"])
        what = ""
        if kind == "severity":
            what = dice.choice(case.provider.severities).id
        elif kind == "waiting":
            what = dice.choice(["customer", "third_party"])
        found.append((minute, kind, by, what))
    return found


def by_the_engine(case: Case) -> tuple[list[dict[str, Any]], engine.Ticket, Any]:
    zone = ZoneInfo(case.zone)

    def times(name: str) -> WorkingTime:
        calendar = case.provider.calendar(name)
        holidays = dict.fromkeys(case.holidays, "a holiday") if calendar.holidays != "none" else {}
        place = ZoneInfo(calendar.zone) if calendar.zone else zone
        return WorkingTime(
            calendar, place, lambda year: {day: name for day, name in holidays.items() if day.year == year}
        )

    def event(minute: int, kind: str, by: str, what: str) -> Event:
        to, on = (what if kind == "severity" else ""), (what if kind == "waiting" else "")
        return Event(case.at(minute), kind, by, to, on)

    events = tuple(event(*one) for one in case.events)
    ticket = engine.Ticket(case.severity, case.at(case.opened), case.tier, case.kind, case.channel, events)
    found = []
    for clock in engine.clocks(case.provider, ticket, times, case.at(case.now)):
        due, kept, starts = walker.minutes_of((clock.due, clock.kept, clock.starts), case.first)
        assert clock.elapsed_s % 60 == 0
        found.append(
            {
                "severity": clock.severity,
                "metric": clock.target.metric,
                "role": clock.target.role,
                "limit": clock.target.limit.text,
                "state": clock.state,
                "due": due,
                "kept": kept,
                "elapsed": clock.elapsed_s // 60,
                "starts": starts,
                "provisional": clock.provisional,
                "missed": clock.missed,
            }
        )
        check_steps(case, ticket, clock, times)
    return found, ticket, times


def check_steps(case: Case, ticket: engine.Ticket, clock: engine.Clock, times: Any) -> None:
    """Check that the arithmetic of a clock has no hole, and adds up to its limit."""
    if not clock.target.calendar or clock.due is None:
        return
    history = build(case.provider, ticket.severity, ticket.opened, ticket.events, case.at(case.now))
    found = steps(clock, times(clock.target.calendar), history)
    assert found
    assert (found[0].begin, found[-1].end) == (clock.begins, clock.due)
    assert all(one.end == other.begin for one, other in pairwise(found))
    counted = sum(one.end - one.begin for one in found if one.kind == COUNTED)
    assert counted == found[-1].total_s
    if clock.limit_s is not None:
        assert counted == clock.limit_s


@pytest.mark.timeout(120 * SOAK)
@pytest.mark.parametrize("share", range(SHARES))
def test_the_engine_and_the_walker_agree_on_every_clock(share: int) -> None:
    dice = random.Random(20261126 + share)
    walked, overrun = 0, 0
    states: Counter[str] = Counter()
    while walked < CASES // SHARES:
        case = random_case(dice)
        try:
            expected = walker.answer(case)
        except walker.Overrun:
            overrun += 1
            continue
        found, *_ = by_the_engine(case)
        key = str
        assert sorted(found, key=key) == sorted(expected, key=key), case
        walked += 1
        states.update(one["state"] for one in expected)
    assert overrun < walked / 10
    assert set(states) == set(engine.STATES)


def test_a_calendar_is_open_in_the_minutes_of_the_walker_for_the_whole_of_its_weeks() -> None:
    calendars: list[Calendar] = [one for plan in PLANS for one in plan.calendars]
    for zone, firsts in PLACES.items():
        for first in firsts:
            begin = datetime.fromisoformat(first).replace(tzinfo=UTC)
            zero = int(begin.timestamp())
            for calendar in calendars:
                work = WorkingTime(calendar, ZoneInfo(calendar.zone or zone))
                marks = bytearray(walker.LENGTH)
                for start, end in work.spans(zero):
                    if start >= zero + walker.LENGTH * 60:
                        break
                    low, high = (start - zero) // 60, min((end - zero) // 60, walker.LENGTH)
                    marks[low:high] = b"\1" * (high - low)
                assert bytes(marks) == walker.open_minutes(calendar, zone, begin, frozenset()), (
                    calendar.id,
                    zone,
                    first,
                )
