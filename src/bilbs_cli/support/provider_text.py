"""The pages of `bilbs support providers`: the list, and everything that one plan says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bilbs_cli.providers.model import METRICS, PAUSES, STARTS, Calendar, Provider, Target
from bilbs_cli.providers.words import entitled, ours, price_words
from bilbs_cli.tables import wrapped


def page(provider: Provider, width: int) -> str:
    """Return all that a plan says, in sections; what is ours and not the document's is marked `(assumed)`."""
    sections = (
        ("Severities, the most severe first", _severities(provider, width)),
        ("Calendars", _calendars(provider, width)),
        ("Targets", _targets(provider, width)),
        ("Tiers", _tiers(provider, width)),
        ("Channels, the first one first", _channels(provider, width)),
        ("Not for support", _pairs(((one.id, f"{one.what} -> {one.address}") for one in provider.elsewhere), width)),
        ("Escalation", _pairs(((one.name, one.what) for one in provider.escalation), width)),
        ("Terms", _terms(provider, width)),
        ("Where the document contradicts itself", _contradictions(provider, width)),
    )
    lines = wrapped(f"{provider.name}: {provider.document}, as of {provider.version}", "", width)
    lines += wrapped(f"{provider.origin}, {provider.path}", "", width)
    for title, body in sections:
        found = list(body)
        if found:
            lines += ["", title, *found]
    return "\n".join(lines)


def _severities(provider: Provider, width: int) -> Iterator[str]:
    for one in provider.severities:
        default = "; what an unmarked ticket gets" if one.id == provider.default_severity else ""
        yield from wrapped(f"{one.name}: {one.definition}{default}{ours(one.assumed)}", f"  {one.id:<10} ", width)
        if one.aliases:
            yield from wrapped(", ".join(one.aliases), "             also ", width)


def _calendars(provider: Provider, width: int) -> Iterator[str]:
    for one in provider.calendars:
        yield from wrapped(f"{_hours(one)}; {one.source}{ours(one.assumed)}", f"  {one.id:<10} ", width)


def _hours(one: Calendar) -> str:
    zone = one.zone or "the account's zone"
    holidays = {"none": "holidays count", "account": "without the account's public holidays"}.get(
        one.holidays, f"without public holidays of {one.holidays}"
    )
    return f"{one.name}, {one.hours}" if one.always else f"{one.name}, {one.hours} in {zone}, {holidays}"


def _targets(provider: Provider, width: int) -> Iterator[str]:
    for one in provider.targets:
        yield from wrapped(_target(provider, one), "  ", width)
        yield from wrapped(f'"{one.clause}" {one.source}{ours(one.assumed)}', "      ", width)


def _target(provider: Provider, one: Target) -> str:
    when = [*one.severities, *one.tiers, *one.kinds, *(f"by {channel}" for channel in one.channels)]
    calendar = f" on {provider.calendar(one.calendar).name}" if one.calendar else ""
    start = f" after {STARTS[one.start]}" if one.start != "received" else ""
    pause = f", paused by {' and '.join(PAUSES[reason] for reason in one.pause)}" if one.pause else ""
    outer = " (outer limit)" if one.role == "outer" else ""
    return f"{' '.join(when) or 'every ticket'}: {METRICS[one.metric]} {one.limit.text}{calendar}{start}{outer}{pause}"


def _tiers(provider: Provider, width: int) -> Iterator[str]:
    for tier in provider.tiers:
        price = ", ".join(map(price_words, tier.prices)) or "no price is published"
        how = "self-service" if tier.self_service else f"ask {tier.contact}" if tier.contact else ""
        yield from wrapped(f"{tier.name}: {price}{f'; {how}' if how else ''}", f"  {tier.id:<12} ", width)
        for one in tier.entitlements:
            yield from wrapped(f"{one.text}{entitled(one)}{ours(one.assumed)}", "               - ", width)


def _channels(provider: Provider, width: int) -> Iterator[str]:
    for number, one in enumerate(provider.channels, 1):
        address = one.address or f"on the wallet card ({one.card})"
        only = f" [{', '.join((*one.severities, *one.tiers))}]" if one.severities or one.tiers else ""
        yield from wrapped(f"{one.name}: {address}{only}{ours(one.assumed)}", f"  {number}. ", width)
        yield from wrapped(one.what, "     ", width)


def _pairs(pairs: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    for name, text in pairs:
        yield from wrapped(text, f"  {name:<12} ", width)


def _terms(provider: Provider, width: int) -> Iterator[str]:
    for one in provider.terms:
        tiers = f" [{', '.join(one.tiers)}]" if one.tiers else ""
        value = f"{one.value:g}" if isinstance(one.value, int | float) else one.value
        yield from wrapped(
            f"{one.text}: {value} {one.unit}".rstrip() + f"{tiers} {one.source}{ours(one.assumed)}", "  - ", width
        )


def _contradictions(provider: Provider, width: int) -> Iterator[str]:
    for one in provider.contradictions:
        yield from wrapped(one.about, "  ", width)
        for source, says in one.readings:
            yield from wrapped(f'{source}: "{says}"', "    - ", width)
        yield from wrapped(one.shown, "    shown: ", width)


def problems_page(path: str, problems: Sequence[str], odd: Sequence[str], width: int) -> str:
    """Return what `validate` found in a file."""
    if not problems and not odd:
        return f"{path}: good"
    lines = [piece for text in problems for piece in wrapped(text, "", width)]
    return "\n".join([*lines, *(piece for text in odd for piece in wrapped(f"{path}: warning: {text}", "", width))])
