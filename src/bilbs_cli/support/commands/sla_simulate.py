"""`bilbs support sla simulate`: the due times of a ticket that does not exist yet."""

from __future__ import annotations

from typing import Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.support.commands import sla_options as options
from bilbs_cli.support.sla_flags import Flags

app = typer.Typer(add_completion=False)


@app.command()
def simulate(
    when: Annotated[str, typer.Argument(help='When it would be opened: "Tue 23:47", "tomorrow 9:00", RFC 3339.')],
    provider: options.Provider = None,
    tier: options.Tier = None,
    severity: options.Severity = None,
    kind: options.Kind = None,
    channel: options.Channel = None,
    tz: options.Zone = None,
    country: options.Country = None,
    now: options.Now = None,
    explain: Annotated[bool, typer.Option("--explain", help="With the arithmetic.")] = False,
    ics: options.Ics = None,
    _json: terminal.Json = False,
) -> None:
    """Answer before a ticket exists: when the answer would be due, were it opened then."""
    flags = Flags(provider, tier, severity, kind, channel, tz=tz, country=country, now=now)
    options.answer(flags, simulated=when, explained=explain, ics=ics)
