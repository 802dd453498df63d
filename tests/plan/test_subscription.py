"""The state machine of the subscription against an account that is lived day by day."""

from __future__ import annotations

import doctest
import os
import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bilbs_cli.plan import billing, subscription
from bilbs_cli.plan.subscription import NotPossible, Subscription, Terms
from tests.plan.walker import Account

ZONES = (
    "America/New_York",
    "Europe/Paris",
    "UTC",
    "Pacific/Kiritimati",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Niue",
)
BOX, PRO = Terms("box", 1, 39_900), Terms("pro", 1, 79_900)
PRICES = (24_900, 39_900, 79_900, 39_901, 7)
HISTORIES = 100_000 if os.environ.get("BILBS_SOAK") else 10_000
NEW_YORK = ZoneInfo("America/New_York")

steps = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3), st.integers(0, 40), st.integers(150, 200)),  # days until it
        st.sampled_from(("subscribe", "change", "change", "cancel", "cancel", "resume")),
        st.sampled_from(PRICES),
    ),
    min_size=1,
    max_size=9,
)


def local(zone: str, day: date, hour: int, minute: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def stepped(found: Subscription | None, name: str, price: int, now: datetime, zone: str) -> subscription.Step:
    terms = Terms(str(price), 1, price)
    if name == "subscribe":
        return subscription.subscribe(found, terms, now, ZoneInfo(zone))
    if found is None:
        raise NotPossible("none", "there is none")
    if name == "change":
        return subscription.change(found, terms, now)
    return subscription.cancel(found, now) if name == "cancel" else subscription.resume(found, now)


@settings(max_examples=500)  # where one fails, the shortest that does is shown
@given(
    st.dates(date(2023, 12, 25), date(2028, 3, 1)),
    st.sampled_from(ZONES),
    st.integers(3, 23),
    st.integers(0, 59),
    steps,
)
@example(
    date(2027, 1, 31),
    "Europe/Paris",
    12,
    0,
    [(0, "subscribe", 39_900), (28, "cancel", 7), (0, "resume", 7), (1, "cancel", 7)],
)
@example(
    date(2027, 12, 31), "Asia/Beirut", 9, 0, [(0, "subscribe", 39_900), (3, "cancel", 7), (180, "subscribe", 24_900)]
)
def test_every_history_is_that_of_an_account_lived_day_by_day(
    start: date, zone: str, hour: int, minute: int, history: list[tuple[int, str, int]]
) -> None:
    live_through(start, zone, hour, minute, history)


def test_ten_thousand_random_histories_are_those_of_an_account_lived_day_by_day() -> None:
    names = ("subscribe", "change", "change", "cancel", "cancel", "resume")
    for seed in range(HISTORIES):
        dice = random.Random(seed)
        start = date(2023, 12, 25) + timedelta(dice.randrange(1528))
        waits = ((0, 3), (0, 40), (150, 200))
        history = [
            (dice.randint(*dice.choice(waits)), dice.choice(names), dice.choice(PRICES))
            for _ in range(dice.randint(1, 9))
        ]
        try:
            live_through(start, dice.choice(ZONES), dice.randint(3, 23), dice.randint(0, 59), history)
        except AssertionError as error:
            raise AssertionError(f"history of the seed {seed}: {start} {history}") from error


def live_through(start: date, zone: str, hour: int, minute: int, history: list[tuple[int, str, int]]) -> None:
    """Live an account day by day beside the state machine; assert that states, bills and promised days are the same."""
    account = Account(start)
    found: Subscription | None = None
    bills: list[tuple[date, int]] = []
    restored: list[bool] = []
    billed_until = local(zone, start, 0, 0) - timedelta(days=1)

    def bill(charges: Iterable[subscription.Charge]) -> None:
        bills.extend((one.at.astimezone(ZoneInfo(zone)).date(), one.cents) for one in charges if one.cents)

    def live(days: int) -> None:
        nonlocal billed_until
        for _ in range(days):
            if found is not None:
                noon = local(zone, account.today, hour, minute)
                assert subscription.state(found, noon) == account.state, account.today
            account.night()
        until = local(zone, account.today, hour, minute)
        if found is not None:
            bill(subscription.renewals(found, billed_until, until))
        billed_until = until

    for days, name, price in history:
        live(days)
        now = local(zone, account.today, hour, minute)
        done = getattr(account, name)(*((price,) if name in {"subscribe", "change"} else ()))
        try:
            step = stepped(found, name, price, now, zone)
        except NotPossible:
            assert not done, (name, account.today)
            continue
        assert done, (name, account.today)
        found = step.subscription
        bill(step.charges)
        restored += [step.restores] if name == "subscribe" else []
        promised = found.ends
        if name == "cancel" and promised is not None:  # the day that was promised is the day on which it ends
            ghost = Account(
                account.today, "cancelling", account.price, billing_day=account.billing_day, began=account.began
            )
            while ghost.ended is None:
                ghost.night()
            assert promised.astimezone(ZoneInfo(zone)).date() == ghost.ended
            dates = subscription.cancellation(promised, ZoneInfo(zone))
            for moment, state in ((dates.channel_archived, "archived"), (dates.restorable_until, "lapsed")):
                while ghost.state != state:
                    ghost.night()
                assert moment.astimezone(ZoneInfo(zone)).date() == ghost.today
    live(230)
    assert bills == account.bills
    assert restored == account.restored


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(billing).failed == 0


# --- what the document says, by hand ----------------------------------------------------------------------------------


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_a_cancellation_ends_with_the_billing_month_and_the_channel_thirty_days_later() -> None:
    made = subscription.subscribe(None, BOX, at("2026-11-10T15:00:00-05:00"), NEW_YORK).subscription
    cancelled = subscription.cancel(made, at("2026-11-27T09:00:00-05:00")).subscription
    assert cancelled.ends is not None
    dates = subscription.cancellation(cancelled.ends, NEW_YORK)
    assert dates.effective == at("2026-12-10T00:00:00-05:00")
    assert dates.channel_archived == dates.export_until == at("2027-01-09T00:00:00-05:00")
    assert dates.restorable_until == at("2027-06-10T00:00:00-04:00")  # six months, in summer time


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        ("2026-12-09T23:59:59-05:00", "cancelling"),
        ("2026-12-10T00:00:00-05:00", "cancelled"),
        ("2027-01-08T23:59:59-05:00", "cancelled"),
        ("2027-01-09T00:00:00-05:00", "archived"),
        ("2027-06-09T23:59:59-04:00", "archived"),
        ("2027-06-10T00:00:00-04:00", "lapsed"),
    ],
)
def test_each_state_begins_on_the_second(moment: str, state: str) -> None:
    made = subscription.subscribe(None, BOX, at("2026-11-10T15:00:00-05:00"), NEW_YORK).subscription
    cancelled = subscription.cancel(made, at("2026-11-10T15:00:01-05:00")).subscription
    assert subscription.state(cancelled, at(moment)) == state
    assert (subscription.state(None, at(moment)), subscription.state(made, at(moment))) == ("none", "active")


def test_a_cancellation_on_the_billing_day_itself_pays_the_month_that_began() -> None:
    made = subscription.subscribe(None, BOX, at("2026-11-10T15:00:00-05:00"), NEW_YORK).subscription
    late = subscription.cancel(made, at("2026-12-09T23:59:59-05:00")).subscription
    on_the_day = subscription.cancel(made, at("2026-12-10T00:00:00-05:00")).subscription
    assert (late.ends, on_the_day.ends) == (at("2026-12-10T00:00:00-05:00"), at("2027-01-10T00:00:00-05:00"))
    with pytest.raises(NotPossible):
        subscription.resume(late, at("2026-12-10T00:00:00-05:00"))
    assert subscription.resume(late, at("2026-12-09T23:59:59-05:00")).subscription == made


def test_an_upgrade_is_prorated_and_immediate_and_a_downgrade_waits() -> None:
    made = subscription.subscribe(None, BOX, at("2026-11-01T00:00:00-04:00"), NEW_YORK).subscription
    up = subscription.change(made, PRO, at("2026-11-21T12:00:00-05:00"))
    assert [(one.cents, one.days, one.of_days) for one in up.charges] == [(13_333, 10, 30)]  # 400.00 * 10 / 30
    down = subscription.change(up.subscription, BOX, at("2026-11-22T12:00:00-05:00"))
    assert down.charges == ()
    assert subscription.current(down.subscription, at("2026-11-30T23:59:59-05:00")).terms == PRO
    assert subscription.current(down.subscription, at("2026-12-01T00:00:00-05:00")).terms == BOX
    assert [
        one.cents
        for one in subscription.renewals(
            down.subscription, at("2026-11-30T12:00:00-05:00"), at("2027-01-01T05:00:00+00:00")
        )
    ] == [39_900, 39_900]


def test_billing_day_31_comes_back_after_a_short_month() -> None:
    made = subscription.subscribe(None, BOX, at("2027-01-31T10:00:00+01:00"), ZoneInfo("Europe/Paris")).subscription
    found = [
        one.at.astimezone(made.zone).date().isoformat()
        for one in subscription.renewals(made, made.began, at("2027-06-01T00:00:00+02:00"))
    ]
    assert found == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]


def test_returning_within_six_months_restores_and_later_does_not() -> None:
    made = subscription.subscribe(None, BOX, at("2026-11-10T15:00:00-05:00"), NEW_YORK).subscription
    gone = subscription.cancel(made, at("2026-11-11T00:00:00-05:00")).subscription
    assert subscription.subscribe(gone, PRO, at("2027-06-09T23:59:59-04:00"), NEW_YORK).restores
    assert not subscription.subscribe(gone, PRO, at("2027-06-10T00:00:00-04:00"), NEW_YORK).restores
    with pytest.raises(NotPossible):
        subscription.subscribe(gone, PRO, at("2026-12-01T00:00:00-05:00"), NEW_YORK)


def test_a_clock_before_the_beginning_is_the_first_month() -> None:
    made = subscription.subscribe(None, BOX, at("2026-11-10T15:00:00-05:00"), NEW_YORK).subscription
    assert subscription.period(made, at("2025-01-01T00:00:00+00:00")).begins == made.began
