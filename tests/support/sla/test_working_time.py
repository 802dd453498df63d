"""Working time by hand: the edges of a window, the nights when clocks change, a date that was left out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.providers.limits import parse_hours
from bilbs_cli.providers.model import Calendar
from bilbs_cli.support.sla.working_time import WorkingTime, as_time, counted, moment


def working(hours: str, zone: str, holidays: dict[date, str] | None = None) -> WorkingTime:
    calendar = Calendar("c", "c", hours, parse_hours([hours]), 0, "", "account", frozenset(), "", frozenset())
    days = holidays or {}
    return WorkingTime(
        calendar, ZoneInfo(zone), lambda year: {day: name for day, name in days.items() if day.year == year}
    )


def spans(work: WorkingTime, start: str, count: int) -> list[str]:
    """Return the first spans from a UTC time on, in UTC."""
    begin = moment(datetime.fromisoformat(start).replace(tzinfo=UTC))
    return [f"{as_time(one):%d %H:%M}-{as_time(end):%d %H:%M}" for one, end in islice(work.spans(begin), count)]


def test_a_window_has_a_first_minute_and_no_last() -> None:
    work = working("Mon-Fri 09:00-17:00", "UTC")
    opens, closes = (moment(datetime(2026, 11, 24, hour, tzinfo=UTC)) for hour in (9, 17))
    assert [work.is_open(at) for at in (opens - 1, opens, closes - 1, closes)] == [False, True, True, False]


def test_a_weekend_and_a_holiday_are_closed_and_the_holiday_has_a_name() -> None:
    work = working("Mon-Fri 09:00-17:00", "UTC", {date(2026, 12, 25): "Christmas Day"})
    assert spans(work, "2026-12-24T16:00", 2) == ["24 16:00-24 17:00", "28 09:00-28 17:00"]
    assert work.why_closed(moment(datetime(2026, 12, 25, 12, tzinfo=UTC))) == "Christmas Day"
    assert work.why_closed(moment(datetime(2026, 12, 26, 12, tzinfo=UTC))) == ""


def test_a_day_of_24_hours_has_23_or_25_on_the_nights_of_the_change() -> None:
    work = working("Mon-Sun 00:00-24:00", "Europe/Paris")
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)):
        midnight = moment(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Europe/Paris")))
        assert next(work.closings(midnight)) - midnight == hours * 3600


def test_a_window_that_begins_where_the_clock_jumps_opens_at_the_jump() -> None:
    assert spans(working("Mon-Sun 02:30-04:00", "Europe/Paris"), "2026-03-29T00:00", 1) == ["29 01:00-29 02:00"]


def test_a_window_that_begins_in_the_repeated_hour_opens_twice() -> None:
    work = working("Mon-Sun 02:30-03:30", "Europe/Paris")
    assert spans(work, "2026-10-25T00:00", 2) == ["25 00:30-25 01:00", "25 01:30-25 02:30"]


def test_clocks_that_go_back_over_midnight_let_two_days_interleave() -> None:
    # St. John's, 7 November 2010: at 00:01 the clocks went back to 23:01 of the 6th
    work = working("Mon-Sun 23:30-24:00", "America/St_Johns")
    assert spans(work, "2010-11-07T02:00", 2) == ["07 02:00-07 02:30", "07 03:00-07 03:30"]
    assert spans(work, "2010-11-07T02:30", 1) == ["07 03:00-07 03:30"]  # asked for in the first minute of the 7th


def test_a_date_that_was_left_out_is_no_business_day() -> None:
    zone = ZoneInfo("Pacific/Apia")  # Friday 30 December 2011 did not exist
    work = working("Mon-Fri 09:00-17:00", "Pacific/Apia")
    begin = moment(datetime(2011, 12, 26, tzinfo=UTC))
    days = [as_time(one).astimezone(zone).date() for one, _ in islice(work.spans(begin), 6)]
    assert days[3:] == [date(2011, 12, 29), date(2012, 1, 2), date(2012, 1, 3)]


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Pacific/Chatham", "Australia/Eucla"])
def test_offsets_of_quarters_of_an_hour_are_exact(zone: str) -> None:
    begin, end = next(working("Mon-Sun 09:00-17:00", zone).spans(moment(datetime(2026, 6, 2, tzinfo=UTC)) - 86400))
    assert end % 1800 == 900
    assert f"{as_time(end).astimezone(ZoneInfo(zone)):%H:%M}" == "17:00"
    assert timedelta(0) < timedelta(seconds=end - begin) <= timedelta(hours=8)


SPANS = (
    st.lists(st.integers(0, 60), max_size=12, unique=True)
    .map(sorted)
    .map(lambda ends: list(zip(ends[::2], ends[1::2], strict=False)))
)


@given(SPANS, SPANS)
def test_what_is_counted_is_open_and_not_paused(
    open_spans: list[tuple[int, int]], pauses: list[tuple[int, int]]
) -> None:
    def inside(at: int, among: list[tuple[int, int]]) -> bool:
        return any(begin <= at < end for begin, end in among)

    found = list(counted(iter(open_spans), tuple(pauses)))
    assert all(begin < end for begin, end in found)
    for at in range(61):
        assert inside(at, found) is (inside(at, open_spans) and not inside(at, pauses))
