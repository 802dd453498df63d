"""What of a plan is used and left: hours of the calendar month, visits, contacts, seats; responses of the month.

A number that the desk does not give is None, never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from bilbs_cli.providers.model import Entitlement, Tier
from bilbs_cli.quantities import moment

CONSULTING, ONSITE = "consulting", "onsite"  # the entitlements that lists of the desk count
Document = Mapping[str, Any]


class Hours(NamedTuple):
    """Consulting hours: those of the calendar month, and those that were paid for beforehand."""

    included: float
    used: float
    prepaid_left: float

    @property
    def left(self) -> float:
        """Return the hours of this month that are left; what is over them is not less than none."""
        return max(self.included - self.used, 0.0)


def hours(ledger: Iterable[Document], tier: Tier | None, now: datetime, zone: tzinfo) -> Hours:
    """Return the consulting hours by a ledger (any order): booked is positive, granted negative.

    Where the tier includes none, whatever was granted was bought; else an entry says itself that it was (`prepaid`).
    """
    entry = tier.includes_by_id().get(CONSULTING) if tier else None
    included = float(entry.amount or 0) if entry else 0.0
    used = prepaid = 0.0
    for one in ledger:
        amount = _number(one.get("hours"))
        if one.get("prepaid") is True or not included:
            prepaid -= amount
        elif amount > 0 and _same(one.get("at"), now, zone, "%Y-%m"):
            used += amount
    return Hours(included, used, max(prepaid, 0.0))


def _number(found: Any) -> float:
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else 0.0


def _same(text: Any, now: datetime, zone: tzinfo, form: str) -> bool:
    """Say whether a time lies in the month or the year of now, by the account's clock."""
    at = moment(text)
    return at is not None and at.astimezone(zone).strftime(form) == now.astimezone(zone).strftime(form)


def visits_used(visits: Iterable[Document], entry: Entitlement, now: datetime, zone: tzinfo) -> int:
    """Return the included visits, done and planned, of the calendar year; of one that is granted once all of them."""
    return sum(
        one.get("included") is True
        and one.get("state") in {"planned", "done"}
        and (entry.per != "year" or _same(one.get("at"), now, zone, "%Y"))
        for one in visits
    )


def entitlements(
    tier: Tier | None,
    counted: Iterable[Document],
    ledger: Sequence[Document] | None,
    visits: Sequence[Document] | None,
    now: datetime,
    zone: tzinfo,
) -> list[dict[str, Any]]:
    """Return each entitlement of a tier with what is used and left; None where nobody says."""
    by_desk = {str(one.get("id")): one.get("used") for one in counted}
    rows = []
    for entry in tier.entitlements if tier else ():
        used: float | None = None
        if isinstance(by_desk.get(entry.id), int | float):
            used = _number(by_desk[entry.id])
        elif entry.id == CONSULTING and ledger is not None:
            used = hours(ledger, tier, now, zone).used
        elif entry.id == ONSITE and visits is not None:
            used = float(visits_used(visits, entry, now, zone))
        left = None if used is None or entry.amount is None else max(entry.amount - used, 0.0)
        rows.append(
            {
                "id": entry.id,
                "text": entry.text,
                "included": entry.amount,
                "unit": entry.unit,
                "per": entry.per,
                "used": used,
                "left": left,
            }
        )
    return rows


def attainment(tickets: Iterable[Document], now: datetime, zone: tzinfo) -> dict[str, Any]:
    """Return the first responses that came due in the month of now, by the clocks of the desk, and those that came late."""
    met, running, breaches = 0, 0, []
    for ticket in tickets:
        clocks = ticket.get("sla")
        for clock in clocks if isinstance(clocks, list) else ():
            if not isinstance(clock, dict) or clock.get("metric") != "first_response" or clock.get("role") == "outer":
                continue
            if not _same(clock.get("due_at"), now, zone, "%Y-%m"):
                continue
            if clock.get("state") == "breached":
                severity = ticket.get("severity") or {}
                row = {"number": ticket.get("number"), "subject": ticket.get("subject"), "due_at": clock.get("due_at")}
                breaches.append({**row, "severity": severity.get("current") if isinstance(severity, dict) else None})
            elif clock.get("state") == "met":
                met += 1
            else:
                running += 1
    settled = met + len(breaches)
    percent = 100 * met / settled if settled else None  # nothing came due: that is not 100 %
    month = f"{now.astimezone(zone):%Y-%m}"
    return {"month": month, "met": met, "open": running, "breaches": breaches, "percent": percent}
