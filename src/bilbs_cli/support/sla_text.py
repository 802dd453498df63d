"""The pages of `bilbs support sla`: each promise with its due time, what is left, and the clause; the arithmetic below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bilbs_cli.providers.model import METRICS, PAUSES, STARTS
from bilbs_cli.quantities import show_span
from bilbs_cli.support.sla.attainment import Attainment
from bilbs_cli.support.sla.clocks import BREACHED, MET, NOT_STARTED, RUNNING, STATES, STOPPED, Clock
from bilbs_cli.support.sla.history import RESOLVED
from bilbs_cli.support.sla.steps import CLOSED, COUNTED, Step
from bilbs_cli.support.sla.working_time import as_time, moment
from bilbs_cli.support.sla_json import assumed, explanation
from bilbs_cli.support.sla_question import Plan, Question
from bilbs_cli.tables import wrapped

WORDS = {
    "outside_hours": "outside hours",
    "waiting_on_you": "waiting on you",
    "not_started": "not started",
    "best_effort": "best effort",
    "event": "at an event",
    "monthly": "by the month",
}

OURS = {
    "all": "all of it",
    "limit": "the limit",
    "calendar": "the calendar",
    "pause": "what pauses it",
    "business_day": "what a business day is",
    "calendar.all": "the hours",
    "calendar.hours": "the hours",
    "calendar.zone": "the zone",
    "calendar.holidays": "the holidays",
}


def page(asked: Question, clocks: Sequence[Clock], width: int, *, explained: bool = False) -> str:
    """Return the answer: one block for each promise, in lines of at most `width` columns."""
    lines = list(_head(asked, width))
    for clock in clocks:
        lines += ["", *_block(asked, clock, width)]
        if explained:
            lines += _arithmetic(asked, clock, width)
    if not clocks:
        lines += ["", *wrapped(f"{asked.plan.provider.name} promises nothing for such a ticket.", "", width)]
    return "\n".join(lines)


def _head(asked: Question, width: int) -> Iterator[str]:
    plan, ticket = asked.plan, asked.ticket
    what = f"{plan.provider.name}{f' {asked.tier.name}' if asked.tier else ''}: {asked.severity.name}"
    extra = "".join(f", {text}" for text in (ticket.kind, f"by {ticket.channel}" if ticket.channel else "") if text)
    yield from wrapped(f"{what}{extra}, opened {when(plan, moment(ticket.opened))}", "", width)
    holidays = f"public holidays of {plan.holidays.country}" if plan.holidays.country else "no public holidays known"
    yield from wrapped(f"{plan.zone.name} ({plan.zone.origin}), {holidays} ({plan.holidays.origin})", "zone   ", width)
    yield from wrapped(
        f"{when(plan, moment(asked.now))}; an estimate by this machine, the desk's clock decides", "as of  ", width
    )


def _block(asked: Question, clock: Clock, width: int) -> Iterator[str]:
    plan, one = asked.plan, clock.target
    level = next(level.name for level in plan.provider.severities if level.id == clock.severity)
    title = METRICS[one.metric].upper()
    title += f" of {level}" if clock.severity != asked.severity.id or asked.ticket.events else ""
    title += " (outer limit)" if one.role == "outer" else ""
    yield from wrapped(title, "", width)
    yield from wrapped(_due(asked, clock), "  due    ", width)
    yield from wrapped(_state(asked, clock), "  state  ", width)
    yield from wrapped(f'{one.source}: "{one.clause}"', "  plan   ", width)
    if one.calendar:
        yield from wrapped(_counts(plan, clock), "  counts ", width)


def _due(asked: Question, clock: Clock) -> str:
    one = clock.target
    if one.limit.kind == "event":
        return f"at an event: {one.limit.event}"
    if one.limit.kind == "best_effort":
        return "no time is promised (best effort)"
    if one.limit.kind == "percent":
        return f"{one.limit.text} over a month (bilbs support sla attainment)"
    if clock.due is None:
        return (
            f"{one.limit.text} after {STARTS[one.start]}"
            if clock.state == NOT_STARTED
            else "never: its calendar does not open"
        )
    text = f"{when(asked.plan, clock.due)} ({as_time(clock.due):%H:%M} UTC)"
    if clock.state in {MET, STOPPED}:
        return text
    left = clock.due - moment(asked.now)
    text += f", in {show_span(left)}" if left >= 0 else f", {show_span(-left)} ago"
    return f"{text}, if the wait ended now" if clock.provisional else text


def _state(asked: Question, clock: Clock) -> str:
    text = WORDS.get(clock.state, clock.state)
    if clock.state not in {RUNNING, NOT_STARTED}:
        text += f": {STATES[clock.state]}"
    if clock.state == BREACHED:
        late = (clock.kept if clock.kept is not None else moment(asked.now)) - (clock.due or 0)
        text = f"BREACHED, {show_span(late)} late" + (
            f"; done {when(asked.plan, clock.kept)}" if clock.kept is not None else ""
        )
    elif clock.state == MET and clock.kept is not None:
        text = f"met {when(asked.plan, clock.kept)}"
    if clock.missed:
        text += f"; {clock.missed} earlier update{'s' if clock.missed > 1 else ''} came late"
    return text


def _counts(plan: Plan, clock: Clock) -> str:
    one = clock.target
    calendar = plan.provider.calendar(one.calendar)
    zone = f" {calendar.zone}" if calendar.zone else ""
    text = f"{one.limit.text} on {calendar.name} ({calendar.hours}{zone})"
    ours = [OURS.get(key, key) for key in assumed(plan, clock)]
    return f"{text}; assumed: {', '.join(ours)}" if ours else text


def _arithmetic(asked: Question, clock: Clock, width: int) -> Iterator[str]:
    if clock.begins is None or clock.due is None:
        return
    one, plan = clock.target, asked.plan
    yield from wrapped(f"{when(plan, clock.begins)}, when {STARTS[one.start]}", "  from   ", width)
    pauses = ", ".join(PAUSES[reason] for reason in one.pause) or "nothing"
    yield from wrapped(pauses, "  paused by ", width)
    limit = f" of {show_span(clock.limit_s)}" if clock.limit_s is not None else ""
    for step in explanation(asked, clock):
        yield from wrapped(_step(step, limit), f"    {_between(plan, step):<36} ", width)
    yield from wrapped(f"{when(plan, clock.due)}", "  so due ", width)


def _between(plan: Plan, step: Step) -> str:
    begin, end = (as_time(at).astimezone(plan.zone.zone) for at in (step.begin, step.end))
    return f"{begin:%a %d %b %H:%M} - {end:%a %d %b %H:%M}"


def _step(step: Step, limit: str) -> str:
    length = show_span(step.end - step.begin)
    if step.kind == COUNTED:
        return f"+ {length}, counted {show_span(step.total_s)}{limit}"
    why = step.reason or "outside hours"
    if step.kind != CLOSED:
        why = "resolved" if step.reason == RESOLVED else PAUSES.get(step.reason, step.reason)
    return f"  {length} {why}"


def attained(plan: Plan, found: Attainment, promised: float | None, width: int) -> str:
    """Return the page of one month's attainment."""
    settled = found.met + found.breached
    percent = (
        "no first response came due"
        if found.percent is None
        else f"{found.percent:.2f} % ({found.met} of {settled} in time)"
    )
    lines = [f"{plan.provider.name}, {found.month:%B %Y} in {plan.zone.name}", f"  attained  {percent}"]
    if found.open:
        lines.append(f"  open      {found.open} more are due in this month")
    said = f"{promised:g} %" if promised is not None else "nothing about it"
    lines.append(f"  promised  {said}")
    return "\n".join(
        line for text in lines for line in wrapped(text.strip(), " " * (len(text) - len(text.lstrip())), width)
    )


def when(plan: Plan, seconds: int) -> str:
    """Return a moment in the account's zone, for people: `Wed 25 Nov 2026 13:00 CET`."""
    return f"{as_time(seconds).astimezone(plan.zone.zone):%a %d %b %Y %H:%M %Z}"
