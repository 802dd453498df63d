"""`bilbs support sla explain`: the calendar, the pauses and the arithmetic of each target, line by line."""

from __future__ import annotations

import typer

from bilbs_cli import terminal
from bilbs_cli.support.commands import sla_options as options
from bilbs_cli.support.sla_flags import Flags

app = typer.Typer(add_completion=False)


@app.command()
def explain(
    provider: options.Provider = None,
    tier: options.Tier = None,
    severity: options.Severity = None,
    kind: options.Kind = None,
    channel: options.Channel = None,
    opened: options.Opened = None,
    events: options.Events = None,
    ticket: options.Ticket = None,
    tz: options.Zone = None,
    country: options.Country = None,
    now: options.Now = None,
    exit_status: options.ExitStatus = False,
    _json: terminal.Json = False,
) -> None:
    """Show every target with its calendar, its pauses and the arithmetic line by line."""
    flags = Flags(provider, tier, severity, kind, channel, opened, events, ticket, tz, country, now)
    options.answer(flags, explained=True, exit_status=exit_status)
