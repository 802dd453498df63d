"""Sizes and durations as people write them."""

from __future__ import annotations

import doctest
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli import quantities
from bilbs_cli.quantities import parse_duration, parse_since, parse_size, show_size


def test_the_examples_in_its_docstrings_are_true() -> None:
    assert doctest.testmod(quantities).failed == 0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1024", 1024),
        ("2G", 2 << 30),
        ("2g", 2 << 30),
        (" 64 M ", 64 << 20),
        ("64MiB", 64 << 20),
        ("1TB", 10**12),
        ("0.5K", 512),
        ("10B", 10),
        ("1P", 1 << 50),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", "1e9", "2GG", "2 Gbit", "0x10", "nan", "inf", "1,5G", "9" * 400, "٣G"])
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("1.5", 1.5),
        ("10m", 600),
        ("24h", 86400),
        ("1h30m", 5400),
        ("1 h 5 s", 3605),
        ("2W", 1209600),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-5s", "5x", "5s5", "1e3", "inf", "five", "10m!", "9" * 400 + "s"])
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.text())
def test_any_other_text_is_refused_and_never_a_crash(text: str) -> None:
    for parse in (parse_size, parse_duration):
        with suppress(ValueError):
            assert parse(text) >= 0


@given(st.floats(0, 1e18))
def test_a_shown_size_is_short(size: float) -> None:
    assert len(show_size(size)) <= 10 or size > 1e15


NOW = datetime(2026, 11, 21, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", NOW - timedelta(days=1)),
        (" 7d ", NOW - timedelta(days=7)),
        ("ALL", None),
        ("2026-11-20T03:30Z", NOW - timedelta(days=1)),
        ("2026-11-20T04:30+01:00", NOW - timedelta(days=1)),
        ("1970-01-01", datetime(1970, 1, 1).astimezone(UTC)),
    ],
)
def test_a_moment_is_read(text: str, moment: datetime | None) -> None:
    assert parse_since(text, NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-11-22", "0001-01-01T00:00+23:59", "999999999w", "-5d", "--"]
)
def test_what_is_no_moment_of_the_past_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time|is in the future"):
        parse_since(text, NOW)
