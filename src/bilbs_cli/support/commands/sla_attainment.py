"""`bilbs support sla attainment`: how many first responses of a month came in time, against the promise."""

from __future__ import annotations

from typing import Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.support.commands import sla_options as options
from bilbs_cli.support.sla_flags import Flags

app = typer.Typer(add_completion=False)


@app.command()
def attainment(
    events: Annotated[str, typer.Option("--events", metavar="FILE", help="The tickets of the month; - for stdin.")],
    provider: options.Provider = None,
    tier: options.Tier = None,
    month: Annotated[
        str | None, typer.Option("--month", metavar="YYYY-MM", help="Which month; without it this one.")
    ] = None,
    tz: options.Zone = None,
    country: options.Country = None,
    now: options.Now = None,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="Exit 3 when less was attained than is promised.")
    ] = False,
    _json: terminal.Json = False,
) -> None:
    """Show how many first responses of a month came in time, against what the tier promises."""
    from bilbs_cli import config
    from bilbs_cli.errors import Exit
    from bilbs_cli.support import sla_json, sla_month, sla_text

    settings = config.load()
    flags = Flags(provider, tier, events=events, tz=tz, country=country, now=now)
    found = sla_month.attained(flags, settings, month)
    terminal.emit(
        "support.sla.attainment",
        sla_json.attainment(found.plan, found.attainment, found.promised),
        text=lambda: terminal.out(sla_text.attained(found.plan, found.attainment, found.promised, terminal.width())),
        warnings=tuple(settings.warnings()),
    )
    if exit_status and found.short:
        raise typer.Exit(Exit.CONDITION)
