"""The clocks of a ticket as JSON: the names that scripts and the other commands build on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bilbs_cli.support.sla.attainment import Attainment
from bilbs_cli.support.sla.clocks import Clock
from bilbs_cli.support.sla.history import build
from bilbs_cli.support.sla.steps import Step, steps
from bilbs_cli.support.sla.working_time import as_time, moment
from bilbs_cli.support.sla_question import Plan, Question


def answer(asked: Question, clocks: Sequence[Clock], *, explained: bool = False) -> dict[str, Any]:
    """Return the whole answer; `targets` in the order to show them. Times are RFC 3339 in UTC, spans whole seconds."""
    ticket = asked.ticket
    return {
        **about(asked.plan),
        "severity": asked.severity.id,
        "tier": asked.tier.id if asked.tier else None,
        "kind": ticket.kind or None,
        "channel": ticket.channel or None,
        "opened_at": rfc3339(moment(ticket.opened)),
        "as_of": rfc3339(moment(asked.now)),
        "estimate": True,  # this machine's clock; the desk's decides
        "targets": [target(asked, clock, explained=explained) for clock in clocks],
    }


def about(plan: Plan) -> dict[str, Any]:
    """Return the plan, the zone and the holidays with where they come from."""
    provider = plan.provider
    return {
        "provider": {"id": provider.id, "name": provider.name, "version": provider.version, "origin": provider.origin},
        "zone": {"name": plan.zone.name, "origin": plan.zone.origin},
        "holidays": {"country": plan.holidays.country or None, "origin": plan.holidays.origin},
    }


def target(asked: Question, clock: Clock, *, explained: bool) -> dict[str, Any]:
    """Return one clock; `due_at` is null where no time is promised, `remaining_s` negative after it."""
    one = clock.target
    calendar = asked.plan.provider.calendar(one.calendar) if one.calendar else None
    keys = assumed(asked.plan, clock)
    found: dict[str, Any] = {
        "metric": one.metric,
        "role": one.role,
        "severity": clock.severity,
        "state": clock.state,
        "due_at": rfc3339(clock.due),
        "due_local": local(asked.plan, clock.due),
        "remaining_s": None if clock.due is None else clock.due - moment(asked.now),
        "provisional": clock.provisional,
        "pause_reason": clock.pause_reason or None,
        "met_at": rfc3339(clock.kept),
        "limit": one.limit.text,
        "limit_s": clock.limit_s,
        "elapsed_s": clock.elapsed_s,
        "begins_at": rfc3339(clock.begins),
        "starts_at": rfc3339(clock.starts),
        "missed": clock.missed,
        "start": one.start,
        "pause": list(one.pause),
        "calendar": one.calendar or None,
        "calendar_hours": calendar.hours if calendar else None,
        "clause": one.clause,
        "source": one.source,
        "assumed": bool(keys),
        "assumed_keys": keys,
    }
    if explained:
        found["steps"] = [_step(step) for step in explanation(asked, clock)]
    return found


def assumed(plan: Plan, clock: Clock) -> list[str]:
    """Return what in a target is ours and not the document's: keys of the target, and of its calendar as `calendar.KEY`."""
    one = clock.target
    keys = set(one.assumed)
    if one.limit.kind == "business_days":
        keys.add("business_day")  # no plan says what one is: decision 6
    if one.calendar:
        keys |= {f"calendar.{key}" for key in plan.provider.calendar(one.calendar).assumed}
    return sorted(keys)


def explanation(asked: Question, clock: Clock) -> tuple[Step, ...]:
    """Return the steps of a clock."""
    if not clock.target.calendar:
        return ()
    ticket = asked.ticket
    history = build(asked.plan.provider, ticket.severity, ticket.opened, ticket.events, asked.now)
    return steps(clock, asked.plan.times(clock.target.calendar), history)


def _step(step: Step) -> dict[str, Any]:
    return {
        "from": rfc3339(step.begin),
        "to": rfc3339(step.end),
        "kind": step.kind,
        "reason": step.reason or None,
        "counted_total_s": step.total_s,
    }


def attainment(plan: Plan, found: Attainment, promised: float | None) -> dict[str, Any]:
    """Return the attainment of a month; `percent` is null where nothing came due."""
    return {
        **about(plan),
        "month": f"{found.month:%Y-%m}",
        "met": found.met,
        "breached": found.breached,
        "open": found.open,
        "percent": found.percent,
        "promised_percent": promised,
    }


def rfc3339(seconds: int | None) -> str | None:
    """Return a moment as `2026-11-24T13:00:00Z`.

    >>> rfc3339(0), rfc3339(None)
    ('1970-01-01T00:00:00Z', None)
    """
    return None if seconds is None else f"{as_time(seconds):%Y-%m-%dT%H:%M:%SZ}"


def local(plan: Plan, seconds: int | None) -> str | None:
    """Return a moment in the account's zone, with its offset."""
    return None if seconds is None else as_time(seconds).astimezone(plan.zone.zone).isoformat()
