"""What happened to a ticket, and what follows from it: severities in force, pauses, and when each promise was kept."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli.providers.model import Provider
from bilbs_cli.support.sla.working_time import Span, moment

CUSTOMER, ENGINEER, AUTOMATIC = "customer", "engineer", "automatic"
ACTORS = (CUSTOMER, ENGINEER, AUTOMATIC)
TYPES = {
    "acknowledged": "someone has seen it; only a person's counts",
    "responded": "an answer; the customer's own ends a wait on them",
    "engineer_opened": "an engineer has opened the case",
    "work_started": "work has started",
    "action_plan": "the action plan was given",
    "updated": "a status update",
    "rma_filed": "the RMA was filed with the OEM",
    "severity": "a new severity, in `to`; `by` says whose",
    "waiting": "the clock waits, on `customer` or `third_party` in `on`",
    "resumed": "the wait is over",
    "resolved": "the incident is over",
    "reopened": "it is not",
    "closed": "the ticket is closed",
    "rca_sent": "the post-incident report was sent",
}
WAITS_ON = ("customer", "third_party")
RESOLVED = "resolved"  # the reason of the pause between `resolved` and `reopened`

# Which events keep which promise; an engineer's hand is needed for each. A resolved incident needs no plan any more.
LOOKS = (
    "acknowledged",
    "responded",
    "engineer_opened",
    "work_started",
    "action_plan",
    "updated",
    "rma_filed",
    "resolved",
)
KEEPS = {
    "first_response": LOOKS,
    "engineer_open": ("engineer_opened", "work_started", "action_plan", "rma_filed", "resolved"),
    "work_started": ("work_started", "resolved"),
    "action_plan": ("action_plan", "resolved"),
    "update_interval": (*LOOKS, "rca_sent"),
    "rma_filed": ("rma_filed",),
    "resolve": ("resolved",),
    "rca": ("rca_sent",),
}


class Event(NamedTuple):
    """One thing that happened: a type of `TYPES`, by one of `ACTORS`; `to` is a severity id, `on` one of `WAITS_ON`."""

    at: datetime
    type: str
    by: str = ENGINEER
    to: str = ""
    on: str = ""


Stamped = tuple[int, Event]  # an event with its moment


class Pause(NamedTuple):
    """Time that may not count, for its reason (`waiting_customer`, `waiting_third_party`, `resolved`); `to` None: it lasts."""

    begin: int
    end: int | None
    reason: str


class Period(NamedTuple):
    """From when on which severity was in force, and by whose word."""

    begin: int
    severity: str
    by: str


class Stretch(NamedTuple):
    """A time in which a ticket was at least as severe as `severity`; `end` None: it still is."""

    severity: str
    begin: int
    end: int | None


class History(NamedTuple):
    """A ticket's life up to now, in whole seconds UTC. `keeps` holds (moment, type) of an engineer's events, in order."""

    opened: int
    periods: tuple[Period, ...]
    pauses: tuple[Pause, ...]
    kept: tuple[tuple[int, str], ...]
    resolved: int | None
    closed: int | None

    @property
    def severity(self) -> str:
        """Return the severity in force now."""
        return self.periods[-1].severity

    def first(self, metric: str, since: int = 0) -> int | None:
        """Return when a promise was first kept, from `since` on; None where it was not."""
        return next((at for at, kind in self.kept if at >= since and kind in KEEPS.get(metric, ())), None)

    def all(self, metric: str) -> Iterator[int]:
        """Yield each moment at which a promise was kept."""
        return (at for at, kind in self.kept if kind in KEEPS.get(metric, ()))


def build(provider: Provider, severity: str, opened: datetime, events: Iterable[Event], now: datetime) -> History:
    """Return what follows from a ticket opened with a severity id; events after `now` have not happened yet."""
    start = moment(opened)
    past = sorted(((moment(one.at), one) for one in events if one.at <= now), key=lambda pair: pair[1].at)
    return History(
        opened=start,
        periods=_periods(provider, severity, start, past),
        pauses=tuple(_pauses(past)),
        kept=tuple((at, one.type) for at, one in past if one.by == ENGINEER),
        resolved=_last(past, "resolved", undone_by="reopened"),
        closed=_last(past, "closed", undone_by="reopened"),
    )


def _periods(provider: Provider, severity: str, start: int, events: Sequence[Stamped]) -> tuple[Period, ...]:
    """Return the severities in force: the customer's word counts at once, the vendor's lower one after a person has looked."""
    periods = [Period(start, severity, CUSTOMER)]
    wanted = ""  # what the vendor lowered it to before anyone had looked
    looked = False

    def change(at: int, to: str, by: str) -> None:
        if to != periods[-1].severity:
            periods.append(Period(at, to, by))

    for at, one in events:
        if one.type == "severity":
            lowers = provider.rank(one.to) > provider.rank(periods[-1].severity)
            if one.by != CUSTOMER and lowers and not looked:
                wanted = one.to
                continue
            wanted = ""
            change(at, one.to, one.by)
        elif one.by == ENGINEER and one.type in LOOKS:
            looked = True
            if wanted:
                change(at, wanted, ENGINEER)
                wanted = ""
    return tuple(periods)


def _pauses(events: Sequence[Stamped]) -> Iterator[Pause]:
    """Yield the waits and the times between `resolved` and `reopened`, in order; a new wait ends the one before."""
    begin, reason = 0, ""
    for at, one in events:
        answered = one.type == "responded" and one.by == CUSTOMER and reason == "waiting_customer"
        if reason and (one.type in {"waiting", "resumed", "resolved", "closed", "reopened"} or answered):
            yield Pause(begin, at, reason)
            reason = ""
        if one.type == "waiting":
            begin, reason = at, f"waiting_{one.on}"
        elif one.type == "resolved":
            begin, reason = at, RESOLVED
    if reason:
        yield Pause(begin, None, reason)


def _last(events: Sequence[Stamped], kind: str, *, undone_by: str) -> int | None:
    found = None
    for at, one in events:
        if one.type == kind:
            found = at
        elif one.type == undone_by:
            found = None
    return found


def stretches(provider: Provider, periods: Sequence[Period]) -> Iterator[Stretch]:
    """Yield, for each severity that was ever in force, the times in which the ticket was at least that severe.

    A time in which it never was exactly that severity is left out: its promises were never made.
    """
    for severity in dict.fromkeys(period.severity for period in periods):
        begin, named = None, False
        for period in periods:
            if provider.rank(period.severity) <= provider.rank(severity):
                begin = period.begin if begin is None else begin
                named = named or period.severity == severity
            else:
                if begin is not None and named:
                    yield Stretch(severity, begin, period.begin)
                begin, named = None, False
        if begin is not None and named:
            yield Stretch(severity, begin, None)


def paused(history: History, reasons: Sequence[str], now: int) -> tuple[Span, ...]:
    """Return the spans that do not count for a target that pauses for `reasons`; one that lasts ends now, for the estimate."""
    spans = ((one.begin, now if one.end is None else one.end) for one in history.pauses if one.reason in reasons)
    return tuple((begin, end) for begin, end in spans if begin < end)
