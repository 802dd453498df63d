"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.support.sla.moments import parse_when

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)  # a Thursday, 13:00 in Paris


@pytest.mark.parametrize(
    ("text", "past", "expected"),
    [
        ("now", True, "2026-11-26T12:00:00+00:00"),
        ("Tue 23:47", True, "2026-11-24T22:47:00+00:00"),
        ("Tue 23:47", False, "2026-12-01T22:47:00+00:00"),
        ("thursday 12:59", True, "2026-11-26T11:59:00+00:00"),
        ("thursday 13:01", True, "2026-11-19T12:01:00+00:00"),
        ("Thu 13:01", False, "2026-11-26T12:01:00+00:00"),
        ("Thu 12:59", False, "2026-12-03T11:59:00+00:00"),
        ("Thu 13:00", True, "2026-11-26T12:00:00+00:00"),
        ("Thu 13:00", False, "2026-11-26T12:00:00+00:00"),
        ("23:47", True, "2026-11-25T22:47:00+00:00"),
        ("23:47", False, "2026-11-26T22:47:00+00:00"),
        ("9:03 AM", True, "2026-11-26T08:03:00+00:00"),
        ("Mon 10:14 PM", True, "2026-11-23T21:14:00+00:00"),
        ("Mon 12:00 am", True, "2026-11-22T23:00:00+00:00"),
        ("yesterday 03:30", True, "2026-11-25T02:30:00+00:00"),
        ("tomorrow 9:00", False, "2026-11-27T08:00:00+00:00"),
        ("2026-11-24 23:47", True, "2026-11-24T22:47:00+00:00"),
        ("2026-11-24 11:47 PM", True, "2026-11-24T22:47:00+00:00"),
        ("2026-11-24T23:47:30", True, "2026-11-24T22:47:30+00:00"),
        ("2026-11-24T23:47:00Z", True, "2026-11-24T23:47:00+00:00"),
        ("2026-11-24T23:47:00-05:00", True, "2026-11-25T04:47:00+00:00"),
        ("2024-02-29 10:00", True, "2024-02-29T09:00:00+00:00"),
    ],
)
def test_a_time_is_read_as_a_person_means_it(text: str, past: bool, expected: str) -> None:
    assert parse_when(text, NOW, PARIS, past=past) == (datetime.fromisoformat(expected), "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no time of day"),
        ("Tue", "is no time"),
        ("2026-11-24", "no time of day"),
        ("Tue 25:00", "is no time"),
        ("Tue 13:00 PM", "is no time"),
        ("Foo 10:00", "foo is no day"),
        ("T 10:00", "t is no day"),
        ("2026-02-30 10:00", "is no time"),
        ("2023-02-29 10:00 am", "2023-02-29 is no date"),
        ("1850-01-01T00:00:00Z", "outside the years"),
        ("2026-03-29 02:30", "does not exist in Europe/Paris"),
        ("\x1b[31m 10:00", "is no day"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_when(text, NOW, PARIS, past=True)


def test_a_local_time_that_the_zone_leaves_out_names_the_one_that_was_meant() -> None:
    with pytest.raises(ValueError, match="write 03:30, or an offset"):
        parse_when("2026-03-29 02:30", NOW, PARIS, past=True)


def test_a_local_time_that_comes_twice_is_the_first_and_says_so() -> None:
    when, note = parse_when("2026-10-25 02:30", NOW, PARIS, past=True)
    assert when.isoformat() == "2026-10-25T00:30:00+00:00"
    assert "the first is taken (+02:00); write the offset for the other (+01:00)" in note
    assert parse_when("2026-10-25T02:30+01:00", NOW, PARIS, past=True)[0] - when == timedelta(hours=1)


@given(st.text(max_size=30))
def test_no_text_brings_anything_but_a_time_or_a_reason(text: str) -> None:
    try:
        when, _ = parse_when(text, NOW, PARIS, past=True)
    except ValueError:
        return
    assert when.tzinfo is UTC


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2040, 1, 1)), st.sampled_from(["past", "next"]))
def test_a_weekday_alone_is_the_nearest_one_on_its_side(local: datetime, side: str) -> None:
    here = local.replace(tzinfo=ZoneInfo("UTC"), second=0, microsecond=0)
    when, _ = parse_when("Wed 12:00", here, ZoneInfo("UTC"), past=side == "past")
    away = (here - when) if side == "past" else (when - here)
    assert timedelta(0) <= away < timedelta(days=7)
    assert (when.weekday(), when.hour) == (2, 12)
