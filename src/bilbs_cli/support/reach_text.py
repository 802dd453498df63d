"""The pages of `bilbs support contacts` and `bilbs support severity`."""

from __future__ import annotations

from collections.abc import Iterator

from bilbs_cli.providers.model import METRICS, Provider, Severity
from bilbs_cli.support.choosing import Choice
from bilbs_cli.support.contacts import Contact, Contacts
from bilbs_cli.tables import wrapped


def contacts_page(found: Contacts, severity: Severity | None, width: int) -> str:
    """Return the channels in order, with the text to paste on lines of its own, ready to be copied."""
    level = f", for {severity.name}" if severity else ""
    lines = [f"{found.provider.name}: whom to reach, the first one first{level}"]
    for number, one in enumerate(found.channels, 1):
        lines += ["", *_contact(number, one, width)]
    if not found.channels:
        lines += ["", f"{found.provider.name} names no channel for that."]
    if found.elsewhere:
        lines += ["", "Not for support"]
        for other in found.elsewhere:
            lines += wrapped(f"{other.what} -> {other.address}", f"  {other.id:<12} ", width)
    return "\n".join(lines)


def _contact(number: int, one: Contact, width: int) -> Iterator[str]:
    address = one.address or "on your wallet card (bilbs support card set stores it)"
    yield from wrapped(
        f"{one.name}   {address}{' (from the card)' if one.origin == 'card' else ''}", f"{number}. ", width
    )
    yield from wrapped(one.what, "   for    ", width)
    if one.severities:
        yield from wrapped(f"{', '.join(one.severities)} only", "   level  ", width)
    if one.tiers:
        yield from wrapped(", ".join(one.tiers), "   tiers  ", width)
    if one.hours:
        yield from wrapped(one.hours, "   hours  ", width)
    if one.paste:
        yield from wrapped(one.paste, "   paste  ", width)
    yield from wrapped(f"{one.source}{' (assumed)' if one.assumed else ''}", "   plan   ", width)


def guide_page(provider: Provider, tier: str, width: int) -> str:
    """Return the severity guide: what each level means, what is promised, and how the plan's own examples read."""
    default = next(one for one in provider.severities if one.id == provider.default_severity)
    lines = wrapped(f"{provider.name}: you set the severity; a ticket without one is {default.name}.", "", width)
    for one in provider.severities:
        lines += ["", *_level(provider, one, tier, width)]
    lines += ["", *wrapped("bilbs support severity --help-me-choose looks at this box and asks.", "", width)]
    return "\n".join(lines)


def _level(provider: Provider, one: Severity, tier: str, width: int) -> Iterator[str]:
    yield from wrapped(f"{one.name}   {one.definition}", "", width)
    for target in provider.promised(one.id, tier):
        if not target.channels and not target.kinds:
            where = f" on {provider.calendar(target.calendar).name}" if target.calendar else ""
            tiers = f" [{', '.join(target.tiers)}]" if target.tiers and not tier else ""
            outer = " (outer limit)" if target.role == "outer" else ""
            yield from wrapped(
                f"{METRICS[target.metric]}: {target.limit.text}{where}{tiers}{outer}, {target.source}", "  ", width
            )
    for example in one.examples:
        yield from wrapped(example, "  example  ", width)
    if one.impact_statement:
        yield from wrapped("say what is hit, how many people, and whether production is down", "  impact   ", width)
    if one.aliases:
        yield from wrapped(", ".join(one.aliases), "  also     ", width)


def choice_page(choice: Choice, width: int) -> str:
    """Return the suggestion with its reasons."""
    lines = wrapped(f"suggested: {choice.severity.name}   {choice.severity.definition}", "", width)
    for reason in choice.reasons:
        lines += wrapped(reason, "  because  ", width)
    lines += wrapped("you decide: this is a suggestion", "  ", width)
    lines += wrapped(f"bilbs support contacts --severity {choice.severity.id}", "  next     ", width)
    return "\n".join(lines)
