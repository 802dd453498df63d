"""The oracle of the subscription: an account that is lived day by day, with counters instead of arithmetic on dates."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction

ONE = timedelta(days=1)


def is_last_of_month(day: date) -> bool:
    return (day + ONE).month != day.month


def falls_on(day: date, wanted: int) -> bool:
    """Say whether a day is the `wanted`-th of its month, or the last day of a month that is too short for it."""
    return day.day == wanted or (is_last_of_month(day) and day.day < wanted)


@dataclass
class Account:
    """One account, in local days. Prices are cents a month; what is owed is kept as exact fractions until it is billed."""

    today: date
    state: str = "none"
    price: int = 0
    next_price: int | None = None
    billing_day: int = 0
    began: date | None = None
    days_after: int = 0
    months_after: int = 0
    end_day_of_month: int = 0
    bills: list[tuple[date, int]] = field(default_factory=list)
    states: dict[date, str] = field(default_factory=dict)
    ended: date | None = None
    restored: list[bool] = field(default_factory=list)

    def days_of_this_month(self) -> tuple[int, int]:
        """Return how many days the billing month has left, today included, and how many it has as a whole."""
        left, day = 0, self.today
        while True:
            left, day = left + 1, day + ONE
            if falls_on(day, self.billing_day):
                break
        back, day = 0, self.today
        while not (day == self.began or falls_on(day, self.billing_day)):
            back, day = back + 1, day - ONE
        return left, left + back

    def bill(self, owed: Fraction) -> None:
        cents = int(owed + Fraction(1, 2))
        if cents:
            self.bills.append((self.today, cents))

    def night(self) -> None:
        """Let a day end and the next one begin."""
        self.states[self.today] = self.state
        self.today += ONE
        if self.state in {"active", "cancelling"} and falls_on(self.today, self.billing_day):
            if self.state == "cancelling":
                self.state, self.days_after, self.months_after = "cancelled", 0, 0
                self.end_day_of_month, self.ended = self.today.day, self.today
                return
            if self.next_price is not None:
                self.price, self.next_price = self.next_price, None
            self.bill(Fraction(self.price))
        elif self.state in {"cancelled", "archived"}:
            self.days_after += 1
            if falls_on(self.today, self.end_day_of_month):
                self.months_after += 1
            if self.months_after == 6:
                self.state = "lapsed"
            elif self.days_after == 30:
                self.state = "archived"

    def subscribe(self, price: int) -> bool:
        if self.state in {"active", "cancelling"}:
            return False
        self.restored.append(self.state in {"cancelled", "archived"})
        self.state, self.price, self.next_price = "active", price, None
        self.billing_day, self.began, self.ended = self.today.day, self.today, None
        self.bill(Fraction(price))
        return True

    def change(self, price: int) -> bool:
        if self.state != "active" or (price == self.price and self.next_price is None):
            return False
        if price < self.price:
            self.next_price = price
            return True
        left, whole = self.days_of_this_month()
        self.bill(sum((Fraction(price - self.price, whole) for _ in range(left)), Fraction(0)))
        self.price, self.next_price = price, None
        return True

    def cancel(self) -> bool:
        if self.state != "active":
            return False
        self.state, self.next_price = "cancelling", None
        return True

    def resume(self) -> bool:
        if self.state != "cancelling":
            return False
        self.state = "active"
        return True
