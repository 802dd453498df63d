"""A quote of the desk, read with mistrust: every amount is one, the lines add up, the dates are dates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from bilbs_cli.errors import Unavailable
from bilbs_cli.quantities import moment

_AMOUNT = re.compile(r"(-?)(\d{1,12})\.(\d{2})", re.ASCII)


class Money(NamedTuple):
    """An amount in cents."""

    cents: int
    currency: str

    def __str__(self) -> str:
        """Return it as the desk writes it, with commas: `2,500.00 USD`."""
        sign = "-" if self.cents < 0 else ""
        return f"{sign}{abs(self.cents) // 100:,}.{abs(self.cents) % 100:02d} {self.currency}"


class Quote(NamedTuple):
    """What the desk offers. `monthly` and `next_billing` are None where it does not say; `raw` is its own document."""

    id: str
    expires: datetime
    kind: str
    lines: tuple[tuple[str, Money], ...]
    tax: Money | None
    total: Money
    monthly: Money | None
    first_billing: datetime
    next_billing: datetime | None
    agreement: str
    restores: bool
    raw: dict[str, Any]

    def content(self) -> tuple[Any, ...]:
        """Return what is agreed to: two quotes with the same content differ in their name and their hour alone."""
        return (self.kind, self.lines, self.tax, self.total, self.monthly, self.agreement)


def parsed(doc: Mapping[str, Any]) -> Quote:
    """Return a quote. Raises `Unavailable` with the field that is wrong: such a quote is never agreed to."""
    lines = doc.get("lines")
    if not isinstance(lines, list) or len(lines) > 100:
        raise broken("lines", "no list")
    found = Quote(
        id=_text(doc, "quote_id"),
        expires=_time(doc, "expires_at"),
        kind=str(doc.get("kind") or "new"),
        lines=tuple((_text(line, "text"), money(line.get("amount"), "lines")) for line in map(_object, lines)),
        tax=money(doc["tax"], "tax") if doc.get("tax") is not None else None,
        total=money(doc.get("total"), "total"),
        monthly=money(doc["monthly"], "monthly") if doc.get("monthly") is not None else None,
        first_billing=_time(doc, "first_billing_at"),
        next_billing=_time(doc, "next_billing_at") if doc.get("next_billing_at") is not None else None,
        agreement=str(doc.get("agreement") or ""),
        restores=doc.get("restores_channel") is True,
        raw=dict(doc),
    )
    amounts = [amount for _, amount in found.lines] + ([found.tax] if found.tax else [])
    if {one.currency for one in amounts} - {found.total.currency}:
        raise broken("total", "the lines are in another currency")
    if sum(one.cents for one in amounts) != found.total.cents:
        raise broken("total", f"{found.total}, and the lines with tax add up to something else")
    if not found.agreement.strip():
        raise broken("agreement", "the text of what is agreed is missing")
    return found


def broken(field: str, why: str) -> Unavailable:
    """Return the error of a quote that is not to be trusted."""
    return Unavailable(
        f"the desk's quote cannot be right: {field}: {why}",
        code="quote-broken",
        safe="nothing was subscribed",
        next="bilbs support contacts (billing questions go to the address there)",
    )


def money(found: Any, field: str) -> Money:
    """Return an amount of the contract. Raises `Unavailable`."""
    doc = _object(found)
    amount, currency = doc.get("amount"), doc.get("currency")
    match = _AMOUNT.fullmatch(amount) if isinstance(amount, str) else None
    if match is None or not isinstance(currency, str) or not re.fullmatch("[A-Z]{3}", currency):
        raise broken(field, "no amount")
    sign, whole, part = match.groups()
    return Money((-1 if sign else 1) * (int(whole) * 100 + int(part)), currency)


def _object(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _text(doc: Mapping[str, Any], name: str) -> str:
    found = doc.get(name)
    if not isinstance(found, str) or not found:
        raise broken(name, "missing")
    return found


def _time(doc: Mapping[str, Any], name: str) -> datetime:
    found = moment(doc.get(name))
    if found is None:
        raise broken(name, "no time")
    return found
