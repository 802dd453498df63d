"""The due times of a ticket as an iCalendar file (RFC 5545), with an alarm before each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from bilbs_cli import __version__
from bilbs_cli.escape import visible
from bilbs_cli.providers.model import METRICS
from bilbs_cli.support.sla.clocks import MET, STOPPED, Clock
from bilbs_cli.support.sla.working_time import as_time
from bilbs_cli.support.sla_question import Question

ALARM = timedelta(minutes=15)


def calendar(asked: Question, clocks: Sequence[Clock], ticket: str) -> bytes:
    """Return the file: one event at each due time that still matters.

    The same ticket gives the same UIDs: a second import moves the events and makes no new ones.
    """
    from icalendar import Calendar

    book = Calendar()
    book.add("prodid", f"-//bilbs//bilbs {__version__}//EN")
    book.add("version", "2.0")
    book.add("calscale", "GREGORIAN")
    book.add("method", "PUBLISH")
    for clock in due(clocks):
        book.add_component(_event(asked, clock, ticket))
    return bytes(book.to_ical())


def due(clocks: Sequence[Clock]) -> tuple[Clock, ...]:
    """Return the clocks that have a due time and are neither met nor stopped."""
    return tuple(one for one in clocks if one.due is not None and one.state not in {MET, STOPPED})


def _event(asked: Question, clock: Clock, ticket: str):  # type: ignore[no-untyped-def] # noqa: ANN202 - icalendar's, imported when used
    from icalendar import Alarm, Event

    provider, one = asked.plan.provider, clock.target
    at = as_time(clock.due or 0)
    what = f"{provider.name} {asked.severity.name}{f' {ticket}' if ticket else ''}: {METRICS[one.metric]}"
    event = Event()
    event.add("uid", f"{_uid(asked, clock, ticket)}@bilbs")
    event.add("dtstamp", asked.now)
    event.add("dtstart", at)
    event.add("summary", visible(what + (" (outer limit)" if one.role == "outer" else "")))
    event.add(
        "description",
        visible(
            f'{one.source}: "{one.clause}". An estimate; the desk\'s clock decides. Pager: bilbs support pager',
            multiline=True,
        ),
    )
    event.add("transp", "TRANSPARENT")
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", visible(what))
    alarm.add("trigger", -ALARM)
    event.add_component(alarm)
    return event


def _uid(asked: Question, clock: Clock, ticket: str) -> str:
    provider, one = asked.plan.provider.id, clock.target
    key = (provider, ticket, asked.ticket.opened.isoformat(), clock.severity, one.metric, one.role, one.limit.text)
    return hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]
