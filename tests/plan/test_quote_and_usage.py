"""Quotes of a desk that lies, and numbers of use: what is not said is not zero."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.errors import Unavailable
from bilbs_cli.plan import quote, usage
from bilbs_cli.plan.quote import Money
from bilbs_cli.providers import loading

GOOD: dict[str, Any] = {
    "quote_id": "quo_1",
    "expires_at": "2026-11-27T15:00:00Z",
    "kind": "new",
    "lines": [{"text": "Support, Box", "amount": {"amount": "399.00", "currency": "USD"}}],
    "tax": {"amount": "79.80", "currency": "USD"},
    "total": {"amount": "478.80", "currency": "USD"},
    "monthly": {"amount": "399.00", "currency": "USD"},
    "first_billing_at": "2026-11-27T15:00:00Z",
    "agreement": "Support for one Box.",
}
PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_a_good_quote_is_read() -> None:
    found = quote.parsed(GOOD)
    assert (found.total, str(found.total), found.restores) == (Money(47_880, "USD"), "478.80 USD", False)
    assert str(Money(-250_005, "EUR")) == "-2,500.05 EUR"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("quote_id",), None),
        (("expires_at",), "tomorrow"),
        (("expires_at",), "2026-11-27T15:00:00"),
        (("lines",), "none"),
        (("lines",), [None]),
        (("lines", 0, "amount", "amount"), "399"),
        (("lines", 0, "amount", "amount"), "399.000"),
        (("lines", 0, "amount", "amount"), "\u0663\u0669\u0669.\u0660\u0660"),
        (("lines", 0, "amount", "amount"), 399.0),
        (("lines", 0, "amount", "currency"), "EUR"),
        (("total", "amount"), "478.79"),
        (("tax",), {"amount": "0.00", "currency": "EUR"}),
        (("first_billing_at",), 5),
        (("agreement",), "  "),
        (("total",), None),
    ],
)
def test_a_quote_that_cannot_be_right_is_refused_with_its_field(path: tuple[Any, ...], value: Any) -> None:
    doc = copy.deepcopy(GOOD)
    place: Any = doc
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(Unavailable) as error:
        quote.parsed(doc)
    assert error.value.code == "quote-broken"
    assert error.value.safe == "nothing was subscribed"


@given(st.integers(-(10**12), 10**12))
def test_an_amount_is_read_as_it_is_written(cents: int) -> None:
    text = f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"
    assert quote.money({"amount": text, "currency": "USD"}, "x").cents == cents


def tier(name: str) -> Any:
    plan, _, wanted = name.partition(":")
    return loading.load(plan, {}).tier(wanted)


def test_hours_are_those_of_the_calendar_month_in_the_accounts_zone() -> None:
    ledger = [
        {"at": "2026-10-31T22:59:00Z", "hours": 3.0},  # 23:59 in Paris, the month before
        {"at": "2026-10-31T23:01:00Z", "hours": 1.5},  # 00:01 on the first
        {"at": "2026-11-01T09:00:00Z", "hours": -4.0},  # granted
        {"at": "2026-11-20T09:00:00Z", "hours": 1.0},
    ]
    found = usage.hours(ledger, tier("bilbs:pro"), NOW, PARIS)
    assert (found.included, found.used, found.left, found.prepaid_left) == (4, 2.5, 1.5, 0)
    over = usage.hours([*ledger, {"at": "2026-11-21T09:00:00Z", "hours": 9}], tier("bilbs:pro"), NOW, PARIS)
    assert (over.used, over.left) == (11.5, 0)


def test_hours_that_were_bought_stay_beyond_the_month() -> None:
    ledger = [{"at": "2026-05-01T09:00:00Z", "hours": -10.0}, {"at": "2026-06-01T09:00:00Z", "hours": 1.5}]
    assert usage.hours(ledger, tier("bilbs:box"), NOW, PARIS).prepaid_left == 8.5
    marked = [{**one, "prepaid": True} for one in ledger] + [{"at": "2026-11-02T09:00:00Z", "hours": 1}]
    found = usage.hours(marked, tier("bilbs:pro"), NOW, PARIS)
    assert (found.used, found.left, found.prepaid_left) == (1, 3, 8.5)


def test_what_the_desk_does_not_count_is_not_zero() -> None:
    rows = {
        one["id"]: one
        for one in usage.entitlements(
            tier("aethel:professional"), [{"id": "contacts", "used": 3}], None, None, NOW, PARIS
        )
    }
    assert (rows["contacts"]["used"], rows["contacts"]["left"]) == (3, 7)
    assert (rows["training_seats"]["used"], rows["training_seats"]["left"], rows["training_seats"]["included"]) == (
        None,
        None,
        2,
    )
    assert rows["consulting"]["used"] is None


def test_visits_of_the_year_count_where_they_are_included() -> None:
    visits = [
        {"at": "2026-02-01T09:00:00Z", "state": "done", "included": True},
        {"at": "2026-12-31T23:30:00Z", "state": "planned", "included": True},  # in Paris the next year
        {"at": "2026-03-01T09:00:00Z", "state": "cancelled", "included": True},
        {"at": "2026-04-01T09:00:00Z", "state": "done", "included": False},
        {"at": "2025-04-01T09:00:00Z", "state": "done", "included": True},
    ]
    entry = tier("bilbs:cluster").includes_by_id()["onsite"]
    assert usage.visits_used(visits, entry, NOW, PARIS) == 1
    assert usage.visits_used(visits, tier("bilbs:pro").includes_by_id()["onsite"], NOW, PARIS) == 3


def test_attainment_counts_first_responses_that_came_due_this_month() -> None:
    def ticket(number: int, state: str, due: str = "2026-11-10T10:00:00Z", **more: Any) -> dict[str, Any]:
        clock = {"metric": "first_response", "role": "target", "state": state, "due_at": due, **more}
        return {
            "number": f"BB-{number}",
            "subject": "s",
            "severity": {"current": "sev2"},
            "sla": [clock, {"metric": "rca", "state": "breached", "due_at": due}],
        }

    tickets = [
        ticket(1, "met"),
        ticket(2, "met"),
        ticket(3, "breached"),
        ticket(4, "running"),
        ticket(5, "breached", due="2026-10-10T10:00:00Z"),
        ticket(6, "breached", role="outer"),
        {"number": "BB-7", "sla": None},
    ]
    found = usage.attainment(tickets, NOW, PARIS)
    assert (found["met"], found["open"], [one["number"] for one in found["breaches"]]) == (2, 1, ["BB-3"])
    assert found["percent"] == pytest.approx(200 / 3)
    assert usage.attainment([], NOW, PARIS)["percent"] is None
