"""What a provider file can say in good grammar and still get wrong: promises that collide, levels without an answer."""

from __future__ import annotations

from collections.abc import Iterator

from bilbs_cli.providers.model import Provider, Target


def warnings(provider: Provider) -> tuple[str, ...]:
    """Return what is odd in a provider that could be read, each with the level and the metric it is about."""
    return tuple(dict.fromkeys((*_collisions(provider), *_unanswered(provider), *_unused(provider))))


def _tickets(provider: Provider) -> Iterator[tuple[str, str, str, str]]:
    """Yield every kind of ticket that the targets tell apart: severity, tier, kind, channel (empty: none named)."""
    kinds = ("", *dict.fromkeys(kind for target in provider.targets for kind in target.kinds))
    channels = ("", *dict.fromkeys(channel for target in provider.targets for channel in target.channels))
    for severity in provider.severities:
        for tier in [one.id for one in provider.tiers] or [""]:
            yield from ((severity.id, tier, kind, channel) for kind in kinds for channel in channels)


def _collisions(provider: Provider) -> Iterator[str]:
    for ticket in _tickets(provider):
        seen: dict[str, Target] = {}
        for target in provider.promised(*ticket):
            if target.role == "target" and target.metric in seen:
                yield (
                    f"{_shown(ticket)}: two targets for {target.metric}, {seen[target.metric].limit.text} and {target.limit.text}; "
                    'mark the later one role = "outer"'
                )
            elif target.role == "target":
                seen[target.metric] = target
        for target in provider.promised(*ticket):
            own = seen.get(target.metric)
            if target.role == "outer" and own is None:
                yield f"{_shown(ticket)}: an outer limit for {target.metric} without a target"
            elif (
                target.role == "outer" and own and own.calendar == target.calendar and _seconds(target) < _seconds(own)
            ):
                yield f"{_shown(ticket)}: the outer limit for {target.metric}, {target.limit.text}, is stricter than its target, {own.limit.text}"


def _seconds(target: Target) -> int:
    return target.limit.seconds if target.limit.kind == "time" else 1 << 40


def _unanswered(provider: Provider) -> Iterator[str]:
    for ticket in _tickets(provider):
        metrics = {target.metric for target in provider.promised(*ticket)}
        if "first_response" not in metrics:
            yield f"{_shown(ticket)}: nothing is said about the first response"


def _unused(provider: Provider) -> Iterator[str]:
    used = {target.calendar for target in provider.targets} | {channel.hours for channel in provider.channels}
    for calendar in provider.calendars:
        if calendar.id not in used:
            yield f"the calendar {calendar.id} is never used"
    if not provider.channels:
        yield "no channel: nobody can be reached"


def _shown(ticket: tuple[str, str, str, str]) -> str:
    return " ".join(part for part in ticket if part)
