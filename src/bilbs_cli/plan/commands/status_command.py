"""`bilbs plan status`: what is subscribed, used and left; without the desk what it said last, with its age."""

from __future__ import annotations

import time
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import last_seen, terminal
from bilbs_cli.errors import BilbsError, LoginNeeded, NotFound, Unavailable

if TYPE_CHECKING:
    from bilbs_cli.config import Config
    from bilbs_cli.support.api import Desk

app = typer.Typer(add_completion=False)


@app.command()
def status(
    offline: Annotated[
        bool, typer.Option("--offline", help="What the desk said last, without asking it.", show_default=False)
    ] = False,
    _json: terminal.Json = False,
) -> None:
    """Show the plan: tier, state, billing month, what is used and left, next review, attainment of the month."""
    from bilbs_cli import config
    from bilbs_cli.plan import account, order_text
    from bilbs_cli.support.commands import ticket_desk

    settings = config.load()
    data = _kept(None) if offline else _asked(settings)
    where = account.zone(data, ticket_desk.zone(settings))
    terminal.emit("plan.status", data, text=lambda: terminal.out(order_text.status_page(data, where, terminal.width())))


def _asked(settings: Config) -> dict[str, Any]:
    from bilbs_cli.support.commands import ticket_desk

    try:
        with ticket_desk.connected(settings) as desk:
            data = gather(desk, settings, ticket_desk.zone(settings))
    except (Unavailable, LoginNeeded) as error:
        return _kept(error)
    last_seen.keep(last_seen.PLAN, data)
    return {**data, "age_s": 0}


def _kept(reason: BilbsError | None) -> dict[str, Any]:
    """Return what the desk said last. Raises the reason, or `NotFound`, where it never said anything."""
    from bilbs_cli.quantities import show_span

    found = last_seen.read(last_seen.PLAN)
    if found is None or "state" not in found:
        raise reason or NotFound("the desk was never asked for the plan", code="never-asked", next="bilbs plan status")
    age_s = max(time.time() - float(found.pop("at")), 0.0)
    why = f": {reason}" if reason else ""
    terminal.warn(f"this is what the desk said {show_span(age_s)} ago{why}")
    return {**found, "age_s": age_s}


def gather(desk: Desk, settings: Config, fallback: tzinfo) -> dict[str, Any]:
    """Return the plan as the desk says it now; what it does not say is None, with a warning. Raises as `Desk.get`."""
    from bilbs_cli.plan import account, ordering, receipts, subscription, usage
    from bilbs_cli.plan.catalog import Offer
    from bilbs_cli.providers import loading

    doc = account.newest(desk)
    step = receipts.pending()
    if step is not None and (done := ordering.settled(desk, step)):
        terminal.warn(f"the attempt of {step.at} had arrived; its receipt: {done.receipt or done.problem}")
    where = account.zone(doc, fallback)
    now = (desk.date or datetime.now(UTC)).astimezone(UTC)
    month = now.astimezone(where).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    asked = account.lists(desk, {**account.LEDGER, **account.VISITS, **account.tickets_since(month)})
    for problem in asked.problems:
        terminal.warn(problem)
    provider = loading.load(str(settings.value("support.provider")))
    state = str(doc.get("state")) if doc else subscription.NONE
    standing = state in {subscription.ACTIVE, subscription.CANCELLING}
    tier = provider.tier(str(doc.get("tier"))) if doc and standing else None
    found = doc or {}
    usages = found.get("usage")
    counted = [one for one in usages if isinstance(one, dict)] if isinstance(usages, list) else []
    ledger, tickets = asked.found["hours"], asked.found["tickets"]
    return {
        "api": desk.base,
        "state": state,
        "subscription_id": found.get("id"),
        "tier": found.get("tier"),
        "boxes": found.get("boxes"),
        "monthly": found.get("monthly"),
        "zone": found.get("zone"),
        "billing_day": found.get("billing_day"),
        "period": found.get("period"),
        "next": found.get("next"),
        **{name: found.get(name) for name in account.NAMES},
        "next_review_at": found.get("next_review_at"),
        "entitlements": usage.entitlements(tier, counted, ledger, asked.found["visits"], now, where),
        "prepaid_hours_left": None if ledger is None else usage.hours(ledger, tier, now, where).prepaid_left,
        "attainment": None
        if tickets is None
        else {
            **usage.attainment(tickets, now, where),
            "promised": Offer(provider, tier).percent("attainment") if tier else None,
        },
    }
