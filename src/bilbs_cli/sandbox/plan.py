"""The account of the sandbox and its support plan: the clocks that a ticket has."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from bilbs_cli.providers import loading
from bilbs_cli.providers.model import PAUSES, Provider
from bilbs_cli.sandbox.store import Document, rfc3339, seconds
from bilbs_cli.support import zones
from bilbs_cli.support.sla.clocks import PAUSED, WAITING_ON_YOU, Clock, Ticket, clocks
from bilbs_cli.support.sla.history import TYPES, Event
from bilbs_cli.support.sla.working_time import WorkingTime, as_time, no_holidays

ACCOUNT, COMPANY, CHANNEL, ZONE = "acct_sandbox", "Sandbox", "#bilbs-sandbox", "America/New_York"


@cache
def provider(name: str) -> Provider:
    """Return a built-in support plan. Raises `NotFound`."""
    return loading.load(name, {})


@cache
def working_time(plan: str, calendar_id: str) -> WorkingTime:
    """Return the working time of a plan's calendar for the account."""
    calendar = provider(plan).calendar(calendar_id)
    holidays = no_holidays if calendar.holidays == "none" else zones.of_country("US")
    return WorkingTime(calendar, ZoneInfo(calendar.zone or ZONE), holidays)


def ticket_clocks(doc: Document, events: list[Document], now: float) -> list[dict[str, Any]]:
    """Return the clocks of a ticket as the contract writes them."""
    plan = provider(doc["provider"]["id"])
    happened = tuple(
        Event(_time(one["at"]), one["type"], one["by"], one.get("to", ""), one.get("on", ""))
        for one in events
        if one["type"] in TYPES
    )
    opened = Ticket(
        severity=doc["severity"]["history"][0]["to"],
        opened=_time(doc["received_at"]),
        tier=plan.default_tier or (plan.tiers[0].id if plan.depends_on_tier else ""),
        kind=doc.get("kind") or "",
        events=happened,
    )
    moment = datetime.fromtimestamp(now, UTC)
    found = clocks(plan, opened, lambda name: working_time(plan.id, name), moment)
    return [_clock(one) for one in found if one.target.limit.kind != "percent"]


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(seconds(text), UTC)


def _clock(one: Clock) -> dict[str, Any]:
    return {
        "metric": one.target.metric,
        "role": one.target.role,
        "due_at": None if one.due is None else rfc3339(as_time(one.due).timestamp()),
        "outer_due_at": None,
        "state": PAUSED if one.state == WAITING_ON_YOU else one.state,
        "pause_reason": one.pause_reason if one.pause_reason in PAUSES else None,
        "elapsed": one.elapsed_s,
        "calendar_id": one.target.calendar or None,
        "source": one.target.source,
        "assumed": bool(one.target.assumed),
    }
