"""Whom to reach, in the order of the plan: each channel with its address, what it is for, and the text to paste."""

from collections.abc import Mapping
from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli.providers.model import Channel, Elsewhere, Provider, Severity, Tier

SUBJECT = "<what is broken, since when, who is hit>"
COMPANY = "<yourco>"


class Contact(NamedTuple):
    """One channel, filled in for this account.

    `address` is empty where only the wallet card has it and this box has no card; `origin` is `plan` or `card`.
    `hours` says in words when it is answered, empty where the plan does not say; `assumed` what in it is ours.
    """

    id: str
    name: str
    address: str
    origin: str
    what: str
    paste: str
    hours: str
    severities: tuple[str, ...]
    tiers: tuple[str, ...]
    source: str
    assumed: tuple[str, ...]


class Contacts(NamedTuple):
    """The channels in the order to try them, and what support does not take."""

    provider: Provider
    channels: tuple[Contact, ...]
    elsewhere: tuple[Elsewhere, ...]


def contacts(
    provider: Provider, card: Mapping[str, str], severity: Severity | None, tier: Tier | None, subject: str = SUBJECT
) -> Contacts:
    """Return the channels for a severity and a tier (None: for any), addresses that stand on the card filled in.

    `card` holds the fields of the wallet card that this box knows: `pager`, `slack`, `email`, `company`.
    """
    found = tuple(
        _contact(channel, provider, card, severity, subject)
        for channel in provider.channels
        if (severity is None or not channel.severities or severity.id in channel.severities)
        and (tier is None or not channel.tiers or tier.id in channel.tiers)
    )
    return Contacts(provider, found, provider.elsewhere)


def _contact(
    channel: Channel, provider: Provider, card: Mapping[str, str], severity: Severity | None, subject: str
) -> Contact:
    own = card.get(channel.card, "") if channel.card else ""
    calendar = provider.calendar(channel.hours) if channel.hours else None
    return Contact(
        id=channel.id,
        name=channel.name,
        address=own or channel.address,
        origin="card" if own else "plan",
        what=channel.what,
        paste=_filled(channel, provider, card, severity, subject),
        hours=f"{calendar.name}, {calendar.hours}" if calendar else "",
        severities=tuple(one.name for one in provider.severities if one.id in channel.severities),
        tiers=tuple(one.name for one in provider.tiers if one.id in channel.tiers),
        source=channel.source,
        assumed=tuple(sorted(channel.assumed)),
    )


def _filled(
    channel: Channel, provider: Provider, card: Mapping[str, str], severity: Severity | None, subject: str
) -> str:
    """Return the text to paste; without a severity, that of the channel's (or the plan's) most severe level."""
    level = severity or next(
        one for one in provider.severities if not channel.severities or one.id in channel.severities
    )
    company = card.get("company") or card.get("account") or COMPANY
    text = channel.text_for(level.id)
    for name, value in (("{severity}", level.name), ("{subject}", subject), ("{company}", company)):
        text = text.replace(name, value)
    return text
