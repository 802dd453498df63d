"""The offers that a command line names: `bilbs`, `bilbs:pro`, or all that this box can compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import ConfigProblem, NotFound
from bilbs_cli.plan.catalog import Offer, offers
from bilbs_cli.providers import loading
from bilbs_cli.providers.model import Provider

Provided = Annotated[
    str | None, typer.Option("--provider", "-p", metavar="ID", help="Another plan than support.provider.")
]


def default_provider(given: str | None) -> Provider:
    """Return the plan that is asked for, without one that of the settings. Raises `NotFound`, `ConfigProblem`."""
    if given is None:
        from bilbs_cli import config

        given = str(config.load().value("support.provider"))
    return loading.load(given)


def every() -> list[Offer]:
    """Return the tiers of every plan; a file that is broken costs only itself, with a warning."""
    found: list[Offer] = []
    for file in loading.found():
        try:
            found += offers(loading.read(file))
        except ConfigProblem as error:
            terminal.warn(str(error))
    return found


def named(names: Sequence[str]) -> list[Offer]:
    """Return the offers of some names (`bilbs`, `bilbs:pro`), each once. Raises `NotFound`, `ConfigProblem`."""
    found: dict[str, Offer] = {}
    for name in names:
        plan, _, tier = name.partition(":")
        provider = loading.load(plan)
        chosen = [one_tier(provider, tier)] if tier else offers(provider)
        found |= {one.name: one for one in chosen}
    return list(found.values())


def one_tier(provider: Provider, name: str) -> Offer:
    """Return a tier by id, name or alias. Raises `NotFound` with the nearest name."""
    tier = provider.tier(name)
    if tier is None:
        near = provider.nearest_tier(name)
        raise NotFound(
            f"{provider.name} has no tier {name}{f'; did you mean {near}?' if near else ''}",
            code="no-such-tier",
            next=f"bilbs plan list --provider {provider.id}",
        )
    return Offer(provider, tier)
