"""What can be had: the tiers of the plans in provider files, each with what it costs and promises."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli.providers.model import METRICS, Channel, Entitlement, Price, Provider, Target, Tier
from bilbs_cli.providers.words import entitled, limit_s, price_words, promise

NONE = "-"  # what a plan does not say is no promise


class Offer(NamedTuple):
    """One tier of one plan; `tier` is None where the plan has none."""

    provider: Provider
    tier: Tier | None

    @property
    def name(self) -> str:
        """Return how it is written on a command line: `bilbs:pro`, or the plan's id where it has no tiers."""
        return f"{self.provider.id}:{self.tier.id}" if self.tier else self.provider.id

    @property
    def title(self) -> str:
        """Return its name for people."""
        return f"{self.provider.name} {self.tier.name}" if self.tier else self.provider.name

    @property
    def prices(self) -> tuple[Price, ...]:
        """Return the prices."""
        return self.tier.prices if self.tier else ()

    @property
    def monthly(self) -> Price | None:
        """Return the price of a month; None where none is published."""
        return next((one for one in self.prices if one.per == "month" and not one.what), None)

    @property
    def entitlements(self) -> tuple[Entitlement, ...]:
        """Return what it includes."""
        return self.tier.entitlements if self.tier else ()

    def targets(self, metric: str, severity: str = "") -> tuple[Target, ...]:
        """Return what is promised as `metric` in this tier, for a severity id or for any."""
        return tuple(
            one
            for one in self.provider.targets
            if one.metric == metric
            and (not one.tiers or (self.tier is not None and self.tier.id in one.tiers))
            and (not severity or not one.severities or severity in one.severities)
        )

    def response(self, severity: str) -> Target | None:
        """Return the first response promised for a severity id, whatever the kind of ticket; None where there is none."""
        return next((one for one in self.targets("first_response", severity) if one.role == "target"), None)

    def percent(self, metric: str) -> float | None:
        """Return the monthly percentage of `attainment` or `availability`; None where none is promised."""
        return next((one.limit.percent for one in self.targets(metric)), None)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return the channels, the first one first."""
        return tuple(
            one for one in self.provider.channels if not one.tiers or (self.tier and self.tier.id in one.tiers)
        )

    @property
    def contact(self) -> str:
        """Return whom to ask where it cannot be bought by oneself; empty where it can, or nobody is named."""
        return self.tier.contact if self.tier and not self.tier.self_service else ""

    def always(self, severity: str) -> bool:
        """Say whether the first response to a severity id counts every hour of every day."""
        found = self.response(severity)
        return found is not None and bool(found.calendar) and self.provider.calendar(found.calendar).always


def offers(provider: Provider) -> tuple[Offer, ...]:
    """Return the tiers of a plan in the order of its file."""
    return tuple(Offer(provider, tier) for tier in provider.tiers) or (Offer(provider, None),)


class Row(NamedTuple):
    """One line of a comparison: a feature, and what each offer says about it."""

    name: str
    cells: tuple[str, ...]


def rows(compared: Iterable[Offer]) -> list[Row]:
    """Return the comparison of some offers; lines that say nothing anywhere are left out."""
    found = tuple(compared)
    lines = [
        Row("price", tuple(_price(one) for one in found)),
        Row("other prices", tuple(_others(one) for one in found)),
        *(Row(_nth(rank), tuple(_response(one, rank) for one in found)) for rank in range(_ranks(found))),
        *(
            Row(METRICS[metric], tuple(_promises(one, metric) for one in found))
            for metric in METRICS
            if metric not in LISTED
        ),
        *(Row(_plain(name), tuple(_entitlement(one, name) for one in found)) for name in _entitlement_ids(found)),
        Row("channels", tuple("; ".join(channel.name for channel in one.channels) or NONE for one in found)),
        Row("attainment", tuple(_percent(one, "attainment") for one in found)),
        Row("availability", tuple(_percent(one, "availability") for one in found)),
        Row("how to get it", tuple(_how(one) for one in found)),
    ]
    return [line for line in lines if set(line.cells) != {NONE}]


LISTED = ("first_response", "attainment", "availability")  # metrics with lines of their own


def _price(one: Offer) -> str:
    return price_words(one.monthly) if one.monthly else "no price is published"


def _others(one: Offer) -> str:
    return "; ".join(price_words(price) for price in one.prices if price is not one.monthly) or NONE


def _ranks(found: tuple[Offer, ...]) -> int:
    return max((len(one.provider.severities) for one in found), default=0)


def _nth(rank: int) -> str:
    return f"level {rank + 1} response"


def _response(one: Offer, rank: int) -> str:
    if rank >= len(one.provider.severities):
        return NONE
    severity = one.provider.severities[rank]
    found = one.response(severity.id)
    return f"{severity.name}: {promise(one.provider, found) if found else 'nothing is promised'}"


def _promises(one: Offer, metric: str) -> str:
    return "; ".join(_promised(one, target) for target in one.targets(metric) if target.role == "target") or NONE


def _promised(one: Offer, target: Target) -> str:
    return f"{when(one, target)}{promise(one.provider, target)}"


def when(one: Offer, target: Target) -> str:
    """Return for which levels and kinds of tickets something is promised: `Sev-2, hardware: `; empty for all."""
    names = [level.name for level in one.provider.severities if level.id in target.severities]
    found = ", ".join([*names, *target.kinds])
    return f"{found}: " if found else ""


def _entitlement_ids(found: tuple[Offer, ...]) -> list[str]:
    return list(dict.fromkeys(entry.id for one in found for entry in one.entitlements))


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _entitlement(one: Offer, name: str) -> str:
    entry = next((entry for entry in one.entitlements if entry.id == name), None)
    if entry is None:
        return NONE
    count = entitled(entry).strip(" []")
    said = (
        entry.amount is None
        or not entry.amount
        or f"{entry.amount:g} " in entry.text
        or f"{entry.amount:g}%" in entry.text
    )
    return entry.text if said or not count else f"{count}: {entry.text}"


def _percent(one: Offer, metric: str) -> str:
    found = one.percent(metric)
    return NONE if found is None else f"{found:g} % a month"


def _how(one: Offer) -> str:
    if one.tier is None:
        return NONE
    if one.tier.self_service:
        return "bilbs plan subscribe"
    return f"ask {one.contact}" if one.contact else NONE


def as_json(one: Offer) -> dict[str, Any]:
    """Return an offer as data."""
    return {
        "provider": one.provider.id,
        "tier": one.tier.id if one.tier else None,
        "name": one.title,
        "version": one.provider.version,
        "prices": [price._asdict() for price in one.prices],
        "responses": [_response_json(one, level.id, level.name) for level in one.provider.severities],
        "targets": [_target_json(one, target) for target in _other_targets(one)],
        "entitlements": [{**entry._asdict(), "assumed": sorted(entry.assumed)} for entry in one.entitlements],
        "channels": [{"id": channel.id, "name": channel.name, "address": channel.address} for channel in one.channels],
        "attainment_percent": one.percent("attainment"),
        "availability_percent": one.percent("availability"),
        "self_service": bool(one.tier and one.tier.self_service),
        "contact": one.contact or None,
    }


def _other_targets(one: Offer) -> Iterator[Target]:
    return (target for metric in METRICS if metric not in LISTED for target in one.targets(metric))


def _response_json(one: Offer, severity: str, name: str) -> dict[str, Any]:
    found = one.response(severity)
    return {"severity": severity, "name": name, **(_target_json(one, found) if found else {"limit": None})}


def _target_json(one: Offer, target: Target) -> dict[str, Any]:
    calendar = one.provider.calendar(target.calendar) if target.calendar else None
    return {
        "metric": target.metric,
        "limit": target.limit.text,
        "seconds": limit_s(one.provider, target) or None,
        "severities": list(target.severities),
        "kinds": list(target.kinds),
        "hours": calendar.hours if calendar else None,
        "always": bool(calendar and calendar.always),
        "source": target.source,
        "assumed": sorted(target.assumed),
    }
