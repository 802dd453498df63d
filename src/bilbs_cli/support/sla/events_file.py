"""A ticket's events as a file: JSON lines, a JSON list, or what the desk's timeline answers; errors name line or place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from bilbs_cli.providers.model import KINDS, Provider
from bilbs_cli.support.sla.history import ACTORS, AUTOMATIC, CUSTOMER, ENGINEER, TYPES, WAITS_ON, Event

MOST_TICKETS = 100_000
NEEDS_BY = {"acknowledged", "responded", "severity"}


class Story:
    """One ticket of the file. `opened` None: the file does not say; texts are empty where it does not say."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.opened: datetime | None = None
        self.severity = self.tier = self.kind = self.channel = ""
        self.events: list[Event] = []


def parse(text: str, name: str, provider: Provider) -> dict[str, Story]:
    """Return the tickets of an events file, in its order; lines without `ticket` belong to one without a name.

    Raises `ValueError` naming the file and the line (JSON lines) or the place (`events[2].at`).
    """
    stories: dict[str, Story] = {}
    for place, item in _items(text, name):
        if not isinstance(item, Mapping):
            raise ValueError(f'{place}: expected an object such as {{"at": ..., "type": ...}}')  # noqa: TRY004 - one kind of error
        ticket = _text(item, "ticket", place, default="")
        if ticket not in stories and len(stories) >= MOST_TICKETS:
            raise ValueError(f"{place}: more than {MOST_TICKETS} tickets")
        _add(stories.setdefault(ticket, Story(ticket)), item, place, provider)
    for story in stories.values():
        early = next((one for one in story.events if story.opened and one.at < story.opened), None)
        if early:
            raise ValueError(f"{name}: {early.type} at {early.at.isoformat()} is before the ticket was opened")
    return stories


def _items(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """Yield each event with its place."""
    try:
        whole = json.loads(text) if text.lstrip()[:1] == "[" or text.lstrip()[:1] == "{" else None
    except (json.JSONDecodeError, RecursionError):
        whole = None
    items = whole.get("events", whole.get("data")) if isinstance(whole, Mapping) and "type" not in whole else whole
    if isinstance(items, list):
        yield from ((f"{name}: events[{number + 1}]", item) for number, item in enumerate(items))
        return
    decode = json.JSONDecoder().decode  # json.loads looks at its flags anew for each of thousands of lines
    for number, line in enumerate(text.split("\n"), 1):
        if line and not line.isspace():
            try:
                item = decode(line)
            except (json.JSONDecodeError, RecursionError) as error:
                what = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
                raise ValueError(f"{name}:{number}: no JSON ({what}); write one event a line, or a list") from None
            yield f"{name}:{number}", item


def _add(story: Story, item: Mapping[str, Any], place: str, provider: Provider) -> None:
    kind = _text(item, "type", place)
    at = _time(item, place)
    if kind == "opened":
        story.opened = at
        story.severity = _severity(item, "severity", place, provider) if "severity" in item else ""
        story.tier = _tier(item, place, provider)
        story.kind = _known(item, "kind", place, KINDS) if item.get("kind") else ""
        story.channel = _text(item, "channel", place, default="")
        return
    if kind not in TYPES:
        raise ValueError(f"{place}.type: no event {kind}{_nearest(kind, ['opened', *TYPES])}")
    by = _by(item, kind, place)
    to = _severity(item, "to", place, provider) if kind == "severity" else ""
    on = _known(item, "on", place, WAITS_ON) if kind == "waiting" else ""
    story.events.append(Event(at, kind, by, to, on))


def _by(item: Mapping[str, Any], kind: str, place: str) -> str:
    if kind in NEEDS_BY or "by" in item:
        return _known(item, "by", place, ACTORS)
    return CUSTOMER if kind in {"closed", "reopened"} else ENGINEER if kind != "waiting" else AUTOMATIC


def _text(item: Mapping[str, Any], key: str, place: str, default: str | None = None) -> str:
    value = item.get(key, default)
    if type(value) is str and (value or default is not None):
        return value
    raise ValueError(f"{place}.{key}: {'missing' if value is None else 'expected a text'}")


def _known(item: Mapping[str, Any], key: str, place: str, known: tuple[str, ...]) -> str:
    value = _text(item, key, place)
    if value not in known:
        raise ValueError(f"{place}.{key}: no {value}; one of {', '.join(known)}")
    return value


def _time(item: Mapping[str, Any], place: str) -> datetime:
    text = _text(item, "at", place)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not 1971 <= at.year < 2300:
        raise ValueError(f"{place}.at: {text!r} is no time with a zone; write RFC 3339, 2026-11-24T22:47:00Z")
    return at.astimezone(UTC)


def _severity(item: Mapping[str, Any], key: str, place: str, provider: Provider) -> str:
    name = _text(item, key, place)
    severity = provider.severity(name)
    if severity is None:
        near = provider.nearest_severity(name)
        raise ValueError(
            f"{place}.{key}: {provider.name} knows no severity {name}{f'; did you mean {near}?' if near else ''}"
        )
    return severity.id


def _tier(item: Mapping[str, Any], place: str, provider: Provider) -> str:
    name = _text(item, "tier", place, default="")
    tier = provider.tier(name) if name else None
    if name and tier is None:
        raise ValueError(f"{place}.tier: {provider.name} has no tier {name}")
    return tier.id if tier else ""


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; one of {', '.join(known)}"
