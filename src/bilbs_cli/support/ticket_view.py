"""A ticket as the desk tells it, for people: fields that may be missing or odd, clocks, timeline, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from bilbs_cli.providers.model import METRICS
from bilbs_cli.quantities import moment, show_size, show_span
from bilbs_cli.support.sla.history import LOOKS
from bilbs_cli.tables import clip, wrapped

OPEN = ("new", "open", "waiting_customer", "waiting_third_party")
STATUS = {
    "waiting_customer": "waiting on you",
    "waiting_third_party": "waiting on a third party",
}
# What a person's hand on a ticket looks like; an automatic acknowledgement is none.
HUMAN = frozenset({*LOOKS, "commented"})
_WHO = {"customer": "you", "automatic": "machine (automatic: fulfils nothing)"}

Ticket = Mapping[str, Any]


def text(doc: Any, *path: str) -> str:
    """Return the text at a path of a document, empty where there is none or something else."""
    for name in path:
        doc = doc.get(name) if isinstance(doc, Mapping) else None
    return doc if isinstance(doc, str) else ""


def rows(doc: Any, name: str) -> list[Mapping[str, Any]]:
    """Return the list of objects at `name`, without what is no object."""
    found = doc.get(name) if isinstance(doc, Mapping) else None
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def name_of(ticket: Ticket) -> str:
    """Return the number, else the id."""
    return text(ticket, "number") or text(ticket, "id") or "?"


def severity_of(ticket: Ticket) -> str:
    """Return the severity in force."""
    return text(ticket, "severity", "current") or "?"


def status_of(ticket: Ticket) -> str:
    """Return the status for people."""
    status = text(ticket, "status")
    return STATUS.get(status, status.replace("_", " ")) or "?"


def state_of(clock: Mapping[str, Any]) -> str:
    """Return the state of a clock in the words of the screen: `outside hours`, `waiting on you`, `breached`."""
    state = text(clock, "state")
    if state == "paused":
        return STATUS.get(text(clock, "pause_reason"), "paused")
    return state.replace("_", " ") or "?"


def next_clock(ticket: Ticket) -> Mapping[str, Any] | None:
    """Return the clock that matters now: a breached one, else the one that is due first; None where none runs."""
    clocks = rows(ticket, "sla")
    breached = [one for one in clocks if text(one, "state") == "breached"]
    runs = [
        one for one in clocks if text(one, "state") in {"running", "outside_hours", "paused"} and text(one, "due_at")
    ]
    return next(iter(breached), min(runs, key=lambda one: text(one, "due_at"), default=None))


def due(clock: Mapping[str, Any], now: datetime) -> str:
    """Return how long is left, or how late it is."""
    at = moment(text(clock, "due_at"))
    if at is None:
        return state_of(clock)
    left = (at - now).total_seconds()
    return f"in {show_span(left)}" if left >= 0 else f"{show_span(-left)} late"


def next_due(ticket: Ticket, now: datetime) -> str:
    """Return the next promise in a few words."""
    clock = next_clock(ticket)
    if clock is None:
        return "-"
    return f"{due(clock, now)}, {state_of(clock)}"


LINE = (("number", 8), ("sev", 5), ("status", 14), ("next due", 17))


def heading() -> str:
    """Return the heading of a list."""
    return "  ".join(f"{name.upper():{size}}" for name, size in LINE) + "  SUBJECT"


def line(ticket: Ticket, now: datetime, width: int) -> str:
    """Return a ticket as one line of a list of any length: columns of fixed width, the subject cut to the screen."""
    clock = next_clock(ticket)
    fields = (name_of(ticket), severity_of(ticket), status_of(ticket), due(clock, now) if clock else "-")
    left = "  ".join(f"{clip(field, size):{size}}" for field, (_, size) in zip(fields, LINE, strict=True))
    return f"{left}  {clip(' '.join(text(ticket, 'subject').split()), max(width - len(left) - 2, 12))}".rstrip()


def page(ticket: Ticket, events: Iterable[Mapping[str, Any]], now: datetime, zone: tzinfo, width: int) -> str:
    """Return a ticket with its clocks and its timeline."""
    lines = wrapped(f"{name_of(ticket)}  {text(ticket, 'subject')}", "", width)
    about = [severity_of(ticket), status_of(ticket), text(ticket, "kind"), text(ticket, "category")]
    lines += wrapped(", ".join(filter(None, about)), "          ", width)
    opened = when(text(ticket, "received_at"), zone)
    happened = text(ticket, "occurred_at")
    if happened and happened != text(ticket, "received_at"):
        opened += f" (written {when(happened, zone)})"
    pairs = [
        ("received", opened),
        ("with", text(ticket, "assignee") or "nobody yet"),
        ("channel", text(ticket, "channel")),
        ("impact", text(ticket, "impact", "statement")),
        ("box", text(ticket, "box_id")),
        ("rma", text(ticket, "rma_id")),
    ]
    for name, value in pairs:
        if value:
            lines += wrapped(value, f"{name:8}  ", width)
    for one in rows(ticket, "attachments"):
        size = one.get("size")
        shown = f", {show_size(size)}" if isinstance(size, int) else ""
        lines += wrapped(f"{text(one, 'filename')}{shown} ({text(one, 'id')})", "attached  ", width)
    lines += [
        "",
        "CLOCKS (by the desk)",
        *(part for one in rows(ticket, "sla") for part in _clock(one, now, zone, width)),
    ]
    history = rows(ticket.get("severity"), "history")
    if len(history) > 1:
        lines += ["", "SEVERITY", *severity_lines(ticket, zone, width)]
    if text(ticket, "body"):
        lines += ["", *_paragraphs(text(ticket, "body"), width)]
    lines += ["", "TIMELINE", *(part for one in events for part in entry(one, zone, width))]
    return "\n".join(lines)


def _paragraphs(body: str, width: int) -> Iterator[str]:
    for one in body.splitlines():
        yield from wrapped(one, "  ", width)


def _clock(one: Mapping[str, Any], now: datetime, zone: tzinfo, width: int) -> list[str]:
    name = METRICS.get(text(one, "metric"), text(one, "metric"))
    if text(one, "role") == "outer":
        name += " (outer limit)"
    state = state_of(one)
    at = text(one, "due_at")
    told = f"{when(at, zone)}, {due(one, now)}" if at and state not in {"met", "stopped"} else when(at, zone) or "-"
    return wrapped(name, f"  {told:31}  {'BREACHED' if state == 'breached' else state:14}  ", width)


def severity_lines(ticket: Ticket, zone: tzinfo, width: int) -> Iterator[str]:
    """Yield who set which severity when, and why."""
    for one in rows(ticket.get("severity"), "history"):
        reason = f": {text(one, 'reason')}" if text(one, "reason") else ""
        yield from wrapped(f"{text(one, 'to')} by {_actor(one)}{reason}", f"  {when(text(one, 'at'), zone)}  ", width)


def entry(event: Mapping[str, Any], zone: tzinfo, width: int) -> list[str]:
    """Return one entry of the timeline."""
    what = text(event, "type").replace("_", " ")
    if text(event, "to"):
        what += f" {text(event, 'to')}"
    if text(event, "on"):
        what += f" on {'you' if text(event, 'on') == 'customer' else 'a third party'}"
    said = f": {text(event, 'text')}" if text(event, "text") else ""
    return wrapped(f"{_actor(event)} {what}{said}", f"  {when(text(event, 'at'), zone)}  ", width)


def _actor(event: Mapping[str, Any]) -> str:
    by = text(event, "by")
    return _WHO.get(by) or text(event, "name") or by or "?"


def is_human(event: Mapping[str, Any]) -> bool:
    """Say whether an engineer's hand is behind an entry: only that acknowledges a ticket."""
    return text(event, "by") == "engineer" and text(event, "type") in HUMAN


def when(value: str, zone: tzinfo) -> str:
    """Return a time for people in a zone, to the minute."""
    found = moment(value)
    return f"{found.astimezone(zone):%a %m-%d %H:%M}" if found else ""


def brief(
    tickets: Sequence[tuple[Ticket, Mapping[str, Any] | None]], count: int, now: datetime, zone: tzinfo, width: int
) -> str:
    """Return one screen for whoever takes over the `count` open ones: for each ticket its state, the next promise, the last word of a person."""
    lines = [f"{count} open, {now.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"]
    for ticket, last in tickets:
        lines += wrapped(
            f"{name_of(ticket)}  {severity_of(ticket)}, {status_of(ticket)}: {text(ticket, 'subject')}", "", width
        )
        clock = next_clock(ticket)
        if clock:
            name = METRICS.get(text(clock, "metric"), text(clock, "metric"))
            lines += wrapped(
                f"{name}: {next_due(ticket, now)} ({when(text(clock, 'due_at'), zone)})", "  due   ", width
            )
        lines += wrapped(text(ticket, "assignee") or "nobody yet", "  with  ", width)
        if last:
            lines += [clip(entry(last, zone, 9 * width)[0].strip(), width - 8).join(("  last  ", ""))]
    return "\n".join(lines)
