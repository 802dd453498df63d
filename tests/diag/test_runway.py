"""The remap runway against an oracle that lives through it day by day, and its honest silences."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.baseline import Sample
from bilbs_cli.diag.runway import FARTHEST, LEAST_SPARES, MOST_REMAPS, Runway, rate_per_week, runway
from tests.diag.remembered import DAY, NOW

BANKS = {"banks_max": 638, "banks_high": 1, "banks_partial": 0, "banks_low": 1, "banks_none": 0}


def sample(days_ago: float, remapped: int, serial: str = "165", pci: str = "0000:3b:00.0") -> Sample:
    return Sample(NOW - days_ago * DAY, "boot", pci, serial, {"remapped_uncorrectable": remapped})


def of(*samples: Sample, remapped: int = 6, **banks: int) -> Runway:
    counters = {**BANKS, **banks, "remapped_uncorrectable": remapped}
    return runway(samples, counters, NOW, "165", "0000:3b:00.0")


def test_the_words_give_banks_rate_and_both_ends() -> None:
    found = of(sample(14, 2), sample(7, 4))
    assert (found.banks, found.banks_left, found.left_at_least, found.left_at_most) == (640, 640, 1, 506)
    assert found.rate_per_week == 2
    assert found.soonest == NOW + timedelta(weeks=1)
    assert found.words == (
        "640 of 640 banks have spare rows; 2 remaps a week; "
        "spent between 2026-11-28 (all in the worst bank) and 2031-09-30 (spread)"
    )


@pytest.mark.parametrize("samples", [(), (sample(14, 2),), (sample(3, 2), sample(2, 3), sample(1, 4))])
def test_too_few_samples_or_too_short_a_time_give_no_forecast(samples: tuple[Sample, ...]) -> None:
    found = of(*samples)
    assert (found.rate_per_week, found.soonest, found.latest) == (None, None, None)
    assert "too few samples" in found.words


def test_no_growth_has_no_end() -> None:
    found = of(sample(30, 6), sample(20, 6))
    assert (found.rate_per_week, found.soonest) == (0, None)
    assert found.words.endswith("no end in sight")


def test_another_card_in_the_slot_does_not_count() -> None:
    found = of(sample(30, 0, serial="999"), sample(20, 500, serial="999"), sample(10, 5))
    assert found.samples == 2
    assert found.rate_per_week is None


def test_samples_of_the_future_are_left_out() -> None:
    assert of(sample(-400, 511), sample(14, 2), sample(7, 4)).rate_per_week == 2


def test_a_count_that_went_down_starts_anew() -> None:
    points = [(NOW - 40 * DAY, 90), (NOW - 21 * DAY, 1), (NOW - 14 * DAY, 2), (NOW, 4)]
    assert rate_per_week(points) == 1


@pytest.mark.parametrize(("worst", "left"), LEAST_SPARES.items())
def test_the_worst_bank_bounds_it_from_below(worst: str, left: int) -> None:
    banks = {f"banks_{name}": 0 for name in LEAST_SPARES} | {"banks_max": 600, f"banks_{worst}": 3}
    assert of(**banks).left_at_least == left


@pytest.mark.parametrize("banks", [{}, {"banks_max": 640}, dict.fromkeys(BANKS, 0)])
def test_without_a_histogram_the_banks_are_unknown(banks: dict[str, int]) -> None:
    found = runway([], {"remapped_uncorrectable": 3, **banks}, NOW, "165", "")
    assert (found.banks, found.banks_left, found.left_at_least) == (None, None, None)
    assert found.words.startswith("the banks with spare rows could not be read")


def oracle(remapped: int, spare: int, hours_each: float, spread: bool) -> datetime:
    """Live through it: one remap every `hours_each`, into the worst bank or anywhere, until one fails."""
    now, total, bank = NOW, remapped, 0
    while True:
        now += timedelta(hours=hours_each)
        if total >= MOST_REMAPS or (not spread and bank >= spare):
            return now
        total, bank = total + 1, bank + 1


@given(st.integers(0, 520), st.sampled_from(sorted(LEAST_SPARES)), st.integers(1, 300), st.integers(8, 400))
def test_both_ends_are_those_that_the_oracle_lives_to(remapped: int, worst: str, grown: int, days: int) -> None:
    banks = {f"banks_{name}": 0 for name in LEAST_SPARES} | {"banks_max": 5, f"banks_{worst}": 5}
    first, middle = sample(days, remapped), sample(days / 2, remapped)
    found = of(first, middle, remapped=remapped + grown, **banks)
    assert found.soonest is not None
    assert found.latest is not None
    hours = days * 24 / grown
    for got, spread in ((found.soonest, False), (found.latest, True)):
        expected = oracle(remapped + grown, LEAST_SPARES[worst], hours, spread)
        assert abs(got - expected) < timedelta(minutes=1)
    assert found.soonest <= found.latest


def test_an_end_beyond_the_calendar_is_never() -> None:
    found = of(sample(10**5, 5), sample(9 * 10**4, 5), remapped=6)
    assert found.latest == FARTHEST
    assert "never (spread)" in found.words


@given(
    st.dictionaries(st.sampled_from([*BANKS, "remapped_uncorrectable"]), st.integers(0, 1 << 62)),
    st.integers(0, 1 << 62),
)
def test_huge_numbers_never_raise(counters: dict[str, int], before: int) -> None:
    runway([sample(30, before), sample(20, before)], counters, NOW, "165", "").words  # noqa: B018
