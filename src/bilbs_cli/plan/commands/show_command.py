"""`bilbs plan show`: everything that one tier says, with its sections."""

from __future__ import annotations

from typing import Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import UsageProblem
from bilbs_cli.plan.commands import offers

app = typer.Typer(add_completion=False)


@app.command()
def show(
    tier: Annotated[str, typer.Argument(metavar="[TIER]", help="A tier; without it support.tier.")] = "",
    provider: offers.Provided = None,
    _json: terminal.Json = False,
) -> None:
    """Show one tier: prices, first responses, what is included, channels, terms, each with the section that says it."""
    from bilbs_cli import config
    from bilbs_cli.plan import catalog, catalog_text

    plan, _, tier_of_plan = tier.partition(":")
    found_plan = offers.default_provider(plan if tier_of_plan else provider)
    wanted = tier_of_plan or tier or str(config.load().value("support.tier") or found_plan.default_tier or "")
    if wanted:
        found = offers.one_tier(found_plan, wanted)
    elif found_plan.tiers:
        names = ", ".join(one.id for one in found_plan.tiers)
        raise UsageProblem(
            f"which tier? {found_plan.name} has {names}", next=f"bilbs plan show {found_plan.tiers[0].id}"
        )
    else:
        found = catalog.Offer(found_plan, None)
    terminal.emit(
        "plan.show", catalog.as_json(found), text=lambda: terminal.out(catalog_text.page(found, terminal.width()))
    )
