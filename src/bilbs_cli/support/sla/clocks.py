"""The clocks of a ticket: each promise with its due time, its state now and the reason (decision 6)."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli.providers.model import Limit, Provider, Target
from bilbs_cli.support.sla.history import RESOLVED, Event, History, Stretch, build, paused, stretches
from bilbs_cli.support.sla.working_time import Span, WorkingTime, counted, moment

Times = Callable[[str], WorkingTime]  # a calendar's working time by its id

RUNNING, OUTSIDE, WAITING_ON_YOU, PAUSED = "running", "outside_hours", "waiting_on_you", "paused"
MET, BREACHED, STOPPED, NOT_STARTED = "met", "breached", "stopped", "not_started"
EVENT, BEST_EFFORT, MONTHLY = "event", "best_effort", "monthly"
STATES = {
    RUNNING: "time is counted now",
    OUTSIDE: "time is not counted now",
    WAITING_ON_YOU: "the clock waits for your answer",
    PAUSED: "the clock waits for a third party",
    MET: "kept in time",
    BREACHED: "not kept in time",
    STOPPED: "the ticket was resolved or closed before it was due",
    NOT_STARTED: "its clock has not started",
    EVENT: "due at an event, not at a time",
    BEST_EFFORT: "no time is promised",
    MONTHLY: "measured over a month",
}
_UNTIMED = {"event": EVENT, "best_effort": BEST_EFFORT, "percent": MONTHLY}


class Ticket(NamedTuple):
    """What a clock needs to know of a ticket. `severity` and `tier` are ids; `kind` and `channel` may be empty."""

    severity: str
    opened: datetime
    tier: str = ""
    kind: str = ""
    channel: str = ""
    events: tuple[Event, ...] = ()


class Clock(NamedTuple):
    """One promise. Moments are whole seconds UTC, None where there is none.

    `severity` is the level whose promise it is. `begins` is when the clock was set going, `starts` when time was first counted. `provisional` means
    that it waits: `due` is what it would be if the wait ended now. `limit_s` and `elapsed_s` are counted time;
    `missed` counts the update intervals before this one that were too long.
    """

    target: Target
    severity: str
    state: str
    begins: int | None = None
    starts: int | None = None
    due: int | None = None
    kept: int | None = None
    elapsed_s: int = 0
    limit_s: int | None = None
    pauses: tuple[Span, ...] = ()
    pause_reason: str = ""
    provisional: bool = False
    missed: int = 0
    lapsed: int | None = None


def clocks(provider: Provider, ticket: Ticket, times: Times, now: datetime) -> tuple[Clock, ...]:
    """Return the clocks of a ticket: first those that were breached before it was lowered, then those of its severity now.

    Before each of these stands the same promise of a milder level that the ticket had, where it is due earlier.
    """
    history = build(provider, ticket.severity, ticket.opened, ticket.events, now)
    own: list[Clock] = []
    others: list[Clock] = []
    for stretch in stretches(provider, history.periods):
        mine = stretch.severity == history.severity and stretch.end is None
        (own if mine else others).extend(_of_stretch(provider, ticket, history, stretch, times, moment(now)))
    lost = [one for one in others if one.lapsed is not None and one.state == BREACHED]
    return (*lost, *(shown for one in own for shown in (*_earlier(one, others), one)))


def _earlier(clock: Clock, others: Sequence[Clock]) -> Iterator[Clock]:
    """Yield the same promise of a milder level that still runs and is due before this one."""
    for one in others:
        same = (one.target.metric, one.target.role) == (clock.target.metric, clock.target.role)
        if same and one.lapsed is None and one.due is not None and (clock.due is None or one.due < clock.due):
            yield one


def _of_stretch(
    provider: Provider, ticket: Ticket, history: History, stretch: Stretch, times: Times, now: int
) -> Iterator[Clock]:
    for target in provider.promised(stretch.severity, ticket.tier, ticket.kind, ticket.channel):
        if target.limit.kind in _UNTIMED:
            yield _untimed(target, stretch, history)
        else:
            yield _timed(target, stretch, history, times(target.calendar), now)


def _untimed(target: Target, stretch: Stretch, history: History) -> Clock:
    kept = _kept(target, history)
    state = MET if kept is not None else STOPPED if history.closed is not None else _UNTIMED[target.limit.kind]
    if target.limit.kind == "percent":
        kept, state = None, MONTHLY
    return Clock(target, stretch.severity, state, kept=kept, lapsed=stretch.end)


def _timed(target: Target, stretch: Stretch, history: History, work: WorkingTime, now: int) -> Clock:
    begins, missed = _begins(target, stretch, history, work)
    if begins is None:
        return Clock(target, stretch.severity, NOT_STARTED, lapsed=stretch.end)
    kept = _kept(target, history)
    pauses = _pauses(target, history, now)
    due = due_at(work, target.limit, begins, pauses)
    until = min(one for one in (kept, stretch.end, _ended(target, history), now) if one is not None)
    clock = Clock(
        target,
        stretch.severity,
        RUNNING,
        begins=begins,
        starts=next((begin for begin, _ in counted(work.spans(begins), pauses)), None),
        due=due,
        kept=kept,
        elapsed_s=elapsed(work, begins, until, pauses),
        limit_s=_limit_s(work, target.limit),
        pauses=pauses,
        missed=missed,
        lapsed=stretch.end,
    )
    return _with_state(clock, history, work, until, now)


def _begins(target: Target, stretch: Stretch, history: History, work: WorkingTime) -> tuple[int | None, int]:
    """Return when a clock was set going, and how many update intervals before it were too long."""
    if target.start == "resolved":
        return history.resolved, 0
    if target.metric != "update_interval":
        return stretch.begin, 0
    begins, missed = stretch.begin, 0
    for update in history.all(target.metric):
        if update >= begins:
            due = due_at(work, target.limit, begins, _pauses(target, history, update))
            missed += due is not None and update > due
            begins = update
    return begins, missed


def _kept(target: Target, history: History) -> int | None:
    if target.metric in {"resolve", "update_interval"}:
        return history.resolved
    since = history.resolved if target.start == "resolved" and history.resolved is not None else 0
    return history.first(target.metric, since)


def _ended(target: Target, history: History) -> int | None:
    """Return when the end of the ticket ended a clock; a report is due after it as well."""
    if target.start == "resolved":
        return None
    return min((one for one in (history.resolved, history.closed) if one is not None), default=None)


def _pauses(target: Target, history: History, now: int) -> tuple[Span, ...]:
    reasons = target.pause if target.start == "resolved" else (*target.pause, RESOLVED)
    return paused(history, reasons, now)


def _with_state(clock: Clock, history: History, work: WorkingTime, until: int, now: int) -> Clock:
    if clock.due is not None and clock.due < until:
        return clock._replace(state=BREACHED)
    if clock.kept is not None:
        return clock._replace(state=MET)
    if until < now:  # the ticket ended, or its severity was lowered, before it was due
        return clock._replace(state=STOPPED)
    waiting = next((one.reason for one in history.pauses if one.end is None and one.reason in clock.target.pause), "")
    if waiting:
        state = WAITING_ON_YOU if waiting == "waiting_customer" else PAUSED
        return clock._replace(state=state, pause_reason=waiting, provisional=True)
    return clock._replace(state=RUNNING if work.is_open(now) else OUTSIDE)


def due_at(work: WorkingTime, limit: Limit, begins: int, pauses: tuple[Span, ...]) -> int | None:
    """Return when a limit ends that began at a moment; None where its calendar never gives enough time."""
    if limit.kind == "same_business_day":
        ends = work.closings(begins)
        return next((end for end in ends if not any(begin < end <= stop for begin, stop in pauses)), None)
    left = _limit_s(work, limit) or 0
    for begin, end in counted(work.spans(begins), pauses):
        if end - begin >= left:
            return begin + left
        left -= end - begin
    return None


def elapsed(work: WorkingTime, begins: int, until: int, pauses: tuple[Span, ...]) -> int:
    """Return the seconds that were counted between two moments."""
    total = 0
    for begin, end in counted(work.spans(begins), pauses):
        if begin >= until:
            break
        total += min(end, until) - begin
    return total


def _limit_s(work: WorkingTime, limit: Limit) -> int | None:
    """Return a limit in counted seconds; None for one that ends with the day."""
    if limit.kind == "time":
        return limit.seconds
    return limit.days * work.calendar.day_s if limit.kind == "business_days" else None
