"""Readings: what counts as a number."""

from __future__ import annotations

import pytest

from bilbs_cli.diag.model import finite


@pytest.mark.parametrize("found", [0, -3, 2.5, 1 << 60])
def test_a_number_that_is_one_stays_as_it_is(found: float) -> None:
    assert finite(found) == found
    assert type(finite(found)) is type(found)


@pytest.mark.parametrize("found", [None, True, False, "1", [1], float("nan"), float("inf"), 10**400])
def test_what_is_no_finite_number_is_none(found: object) -> None:
    assert finite(found) is None
