"""When a calendar is open, in UTC seconds: exact on nights when clocks change and on dates that a zone left out.

A moment is open when its local wall time lies in a window of its day and its local date is no holiday (decision 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, tzinfo

from bilbs_cli.providers.model import Calendar

DAY_S = 86400
_EPOCH = date(1970, 1, 1).toordinal()
_LAST = date(9990, 1, 1).toordinal()

Span = tuple[int, int]  # [from, to) in seconds since 1970-01-01 UTC
Holidays = Callable[[int], Mapping[date, str]]  # a year's public holidays, by local date


def no_holidays(_year: int) -> Mapping[date, str]:
    """Return no holidays, for a calendar that knows none."""
    return {}


class WorkingTime:
    """One calendar in one zone. Days are computed once and kept."""

    def __init__(self, calendar: Calendar, zone: tzinfo, holidays: Holidays = no_holidays) -> None:
        self.calendar, self.zone, self.holidays = calendar, zone, holidays
        self._days: dict[int, tuple[Span, ...]] = {}

    def spans(self, start: int) -> Iterator[Span]:
        """Yield the open spans from the moment `start` on, in order and without end (until the year 9990)."""
        if self.calendar.always:
            yield start, (_LAST - _EPOCH) * DAY_S
            return
        waiting: tuple[Span, ...] = ()
        for ordinal in range(self._local_day(start) - 1, _LAST):
            today = self._day(ordinal)
            if (
                waiting and today and today[0][0] < waiting[-1][1]
            ):  # clocks went back over midnight: two days interleave
                waiting = _joined((*waiting, *today))
                continue
            yield from ((max(begin, start), end) for begin, end in waiting if end > start)
            waiting = today

    def closings(self, start: int) -> Iterator[int]:
        """Yield the end of each business day that has an open moment after `start`."""
        for ordinal in range(self._local_day(start) - 1, _LAST):
            day = self._day(ordinal)
            if day and day[-1][1] > start:
                yield day[-1][1]

    def is_open(self, moment: int) -> bool:
        """Say whether time counts at that moment."""
        begin, _ = next(self.spans(moment))
        return begin == moment

    def why_closed(self, moment: int) -> str:
        """Return the name of the holiday that closes the calendar on that date, else an empty text."""
        day = date.fromordinal(self._local_day(moment))
        return self._holiday(day) if self.calendar.windows[day.weekday()] else ""

    def _holiday(self, day: date) -> str:
        if day in self.calendar.closed:
            return "closed"
        return self.holidays(day.year).get(day, "")

    def _local_day(self, moment: int) -> int:
        return datetime.fromtimestamp(moment, self.zone).toordinal()

    def _day(self, ordinal: int) -> tuple[Span, ...]:
        if ordinal not in self._days:
            self._days[ordinal] = self._computed(date.fromordinal(ordinal))
        return self._days[ordinal]

    def _computed(self, day: date) -> tuple[Span, ...]:
        windows = self.calendar.windows[day.weekday()]
        if not windows or self._holiday(day):
            return ()
        midnight = (day.toordinal() - _EPOCH) * DAY_S  # of the wall clock
        return _joined(
            span for opens, closes in windows for span in self._in_utc(midnight + opens * 60, midnight + closes * 60)
        )

    def _in_utc(self, opens: int, closes: int) -> Iterator[Span]:
        """Yield the moments whose wall clock shows `[opens, closes)`: one span, or two around a change of the clock."""
        early, late = opens - DAY_S, closes + DAY_S  # no zone is a day away from UTC
        before, after = self._offset(early), self._offset(late)
        if before == after:
            yield opens - before, closes - before
            return
        while late - early > 1:  # the second in which the clock changes
            middle = (early + late) // 2
            if self._offset(middle) == before:
                early = middle
            else:
                late = middle
        for begin, end in ((opens - before, min(closes - before, late)), (max(opens - after, late), closes - after)):
            if begin < end:
                yield begin, end

    def _offset(self, moment: int) -> int:
        offset = datetime.fromtimestamp(moment, self.zone).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0


def _joined(spans: Iterator[Span] | tuple[Span, ...]) -> tuple[Span, ...]:
    """Return spans in order, those that touch made one."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return tuple(joined)


def counted(spans: Iterator[Span], pauses: tuple[Span, ...]) -> Iterator[Span]:
    """Yield what is left of open spans without the pauses (in order, apart from each other)."""
    left = list(reversed(pauses))
    for begin, end in spans:
        at = begin
        while at < end:
            while left and left[-1][1] <= at:
                left.pop()
            stop = min(end, max(left[-1][0], at)) if left else end
            if at < stop:
                yield at, stop
            at = left[-1][1] if stop < end else end


def moment(when: datetime) -> int:
    """Return whole seconds since 1970 of an aware time, rounded down."""
    return int(when.timestamp() // 1)


def as_time(seconds: int) -> datetime:
    """Return the UTC time of a moment."""
    return datetime.fromtimestamp(seconds, UTC)
