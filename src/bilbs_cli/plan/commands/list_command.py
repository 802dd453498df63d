"""`bilbs plan list`: the tiers of a plan, from its provider file alone."""

from __future__ import annotations

from typing import Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.plan.commands import offers

app = typer.Typer(add_completion=False)


@app.command()
def list_tiers(
    provider: offers.Provided = None,
    everything: Annotated[bool, typer.Option("--all", help="The tiers of every plan.", show_default=False)] = False,
    _json: terminal.Json = False,
) -> None:
    """List the tiers: price a month, first response by severity, how to get it."""
    from bilbs_cli.plan import catalog, catalog_text

    found = offers.every() if everything else catalog.offers(offers.default_provider(provider))
    columns = ("tier", "a month", "how", "first response, the most severe level first")
    terminal.emit(
        "plan.list",
        {"tiers": [catalog.as_json(one) for one in found]},
        text=lambda: terminal.table(columns, [catalog_text.summary(one) for one in found]),
    )
