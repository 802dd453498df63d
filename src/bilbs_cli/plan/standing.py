"""Where the plan stands, gathered from what the desk says: state, billing month, what is used and left, attainment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from bilbs_cli.plan import account, ordering, receipts, subscription, usage
from bilbs_cli.plan.catalog import Offer
from bilbs_cli.providers import loading

if TYPE_CHECKING:
    from bilbs_cli.support.api import Desk

SAID = ("tier", "boxes", "monthly", "zone", "billing_day", "period", "next", *account.NAMES, "next_review_at")


@dataclass(frozen=True)
class Standing:
    """The document of `bilbs plan status`; what the desk did not say is None in it, and told in `warnings`."""

    data: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def gather(desk: Desk, provider_id: str, fallback: tzinfo) -> Standing:
    """Ask the desk; `fallback` is the zone of an account that names none. Raises as `Desk.get`."""
    warnings = []
    doc = account.newest(desk)
    step = receipts.pending()
    if step is not None and (done := ordering.settled(desk, step)):
        warnings.append(f"the attempt of {step.at} had arrived; its receipt: {done.receipt or done.problem}")
    where = account.zone(doc, fallback)
    now = (desk.date or datetime.now(UTC)).astimezone(UTC)
    month = now.astimezone(where).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    asked = account.lists(desk, {**account.LEDGER, **account.VISITS, **account.tickets_since(month)})
    warnings += asked.problems
    provider = loading.load(provider_id)
    found = doc or {}
    state = str(found.get("state")) if doc else subscription.NONE
    standing = state in {subscription.ACTIVE, subscription.CANCELLING}
    tier = provider.tier(str(found.get("tier"))) if standing else None
    usages = found.get("usage")
    counted = [one for one in usages if isinstance(one, dict)] if isinstance(usages, list) else []
    ledger, tickets = asked.found["hours"], asked.found["tickets"]
    attained = None
    if tickets is not None:
        promised = Offer(provider, tier).percent("attainment") if tier else None
        attained = {**usage.attainment(tickets, now, where), "promised": promised}
    data = {
        "api": desk.base,
        "state": state,
        "subscription_id": found.get("id"),
        **{name: found.get(name) for name in SAID},
        "entitlements": usage.entitlements(tier, counted, ledger, asked.found["visits"], now, where),
        "prepaid_hours_left": None if ledger is None else usage.hours(ledger, tier, now, where).prepaid_left,
        "attainment": attained,
    }
    return Standing(data, warnings)
