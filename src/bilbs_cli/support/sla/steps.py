"""The arithmetic of one clock, line by line: what was counted, what was not, and why."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli.support.sla.clocks import Clock
from bilbs_cli.support.sla.history import History
from bilbs_cli.support.sla.working_time import Span, WorkingTime, counted

COUNTED, CLOSED, PAUSED = "counted", "outside_hours", "paused"


class Step(NamedTuple):
    """One piece of time, in UTC seconds: `kind` and the `reason` (a holiday, a wait); `total_s` is counted up to its end."""

    begin: int
    end: int
    kind: str
    reason: str
    total_s: int


def steps(clock: Clock, work: WorkingTime, history: History) -> tuple[Step, ...]:
    """Return the steps from when a clock was set going to when it is due; none for one without a due time."""
    if clock.begins is None or clock.due is None:
        return ()
    reasons = {(one.begin, one.end): one.reason for one in history.pauses}
    return tuple(_steps(clock, clock.begins, clock.due, work, {span: _reason(span, reasons) for span in clock.pauses}))


def _reason(span: Span, reasons: Mapping[tuple[int, int | None], str]) -> str:
    return reasons.get(span) or reasons.get((span[0], None), "")


def _steps(clock: Clock, begins: int, due: int, work: WorkingTime, pauses: Mapping[Span, str]) -> Iterator[Step]:
    at, total = begins, 0
    for begin, end in counted(work.spans(begins), clock.pauses):
        stop = min(end, due)
        if stop <= begin:
            break
        yield from _gap(at, begin, work, pauses, total)
        total += stop - begin
        yield Step(begin, stop, COUNTED, "", total)
        at = stop
        if stop == due:
            break


def _gap(begin: int, end: int, work: WorkingTime, pauses: Mapping[Span, str], total: int) -> Iterator[Step]:
    """Yield the pieces of a time that was not counted: the waits, and between them the hours without business."""
    at = begin
    for (first, last), reason in pauses.items():
        if first < end and last > at:
            if at < first:
                yield Step(at, first, CLOSED, _names(at, first, work), total)
            yield Step(max(first, at), min(last, end), PAUSED, reason, total)
            at = min(last, end)
    if at < end:
        yield Step(at, end, CLOSED, _names(at, end, work), total)


def _names(begin: int, end: int, work: WorkingTime) -> str:
    """Return the holidays that a closed time goes over, each once."""
    names = (work.why_closed(at) for at in (*range(begin, end, 3600), end - 1))
    return ", ".join(dict.fromkeys(name for name in names if name))
