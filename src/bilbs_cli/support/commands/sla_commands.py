"""`bilbs support sla`: every target of a ticket; `explain`, `simulate`, `attainment` are imported when used."""

from __future__ import annotations

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import UsageProblem
from bilbs_cli.lazy_groups import Group, add_groups
from bilbs_cli.support.commands import sla_options as options
from bilbs_cli.support.sla_flags import Flags

COMMANDS: tuple[Group, ...] = (
    ("explain", "bilbs_cli.support.commands.sla_explain", "The same with calendar, pauses and arithmetic."),
    ("simulate", "bilbs_cli.support.commands.sla_simulate", "When it would be due, were it opened then."),
    ("attainment", "bilbs_cli.support.commands.sla_attainment", "First responses in time, over a month."),
)

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def sla(
    ctx: typer.Context,
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
    ics: options.Ics = None,
    exit_status: options.ExitStatus = False,
    _json: terminal.Json = False,
) -> None:
    """Show when an answer is due under the plan: every target, what is left, its state and its clause.

    Computed here, without a network; the desk's clock decides.
    """
    flags = Flags(provider, tier, severity, kind, channel, opened, events, ticket, tz, country, now)
    if ctx.invoked_subcommand is None:
        options.answer(flags, ics=ics, exit_status=exit_status)
    elif flags != Flags() or ics or exit_status:
        word = ctx.invoked_subcommand
        raise UsageProblem(f"options stand behind the word {word}", next=f"bilbs support sla {word} --help")


add_groups(app, COMMANDS)
