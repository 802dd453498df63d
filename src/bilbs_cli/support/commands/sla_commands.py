"""`bilbs support sla`, `sla explain`, `sla simulate`, `sla attainment`: when an answer is due, and why then."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.support.sla_question import Flags, Question

app = typer.Typer(
    help="When an answer is due under the support plan, computed here; the desk's clock decides.", add_completion=False
)

Provider = Annotated[
    str | None, typer.Option("--provider", metavar="ID", help="Support plan; the setting support.provider.")
]
Tier = Annotated[str | None, typer.Option("--tier", help="Its tier; the setting support.tier.")]
Severity = Annotated[str | None, typer.Option("--severity", "-s", help="sev1, p1, critical, level1, ...; any case.")]
Kind = Annotated[str | None, typer.Option("--kind", help="hardware, software, question or feature.")]
Channel = Annotated[
    str | None, typer.Option("--channel", help="How it was sent: a channel of the plan, for example email.")
]
Opened = Annotated[
    str | None,
    typer.Option("--opened", metavar="TIME", help='"Mon 10:14", "2026-11-24 23:47", RFC 3339; without it: now.'),
]
Events = Annotated[
    str | None, typer.Option("--events", metavar="FILE", help="What happened, as JSON lines or a list; - for stdin.")
]
Ticket = Annotated[str | None, typer.Option("--ticket", metavar="ID", help="Which ticket of --events.")]
Zone = Annotated[
    str | None, typer.Option("--tz", metavar="ZONE", help="The account's zone; the setting support.timezone.")
]
Country = Annotated[
    str | None,
    typer.Option(
        "--country", metavar="CC", help="Whose public holidays: US, US-NY, none; the setting support.country."
    ),
]
Now = Annotated[str | None, typer.Option("--now", metavar="TIME", help="As of that time instead of now.")]
ExitStatus = Annotated[bool, typer.Option("--exit-status", help="Exit 3 when a target is breached.")]


@app.callback(invoke_without_command=True)
def sla(
    ctx: typer.Context,
    provider: Provider = None,
    tier: Tier = None,
    severity: Severity = None,
    kind: Kind = None,
    channel: Channel = None,
    opened: Opened = None,
    events: Events = None,
    ticket: Ticket = None,
    tz: Zone = None,
    country: Country = None,
    now: Now = None,
    ics: Annotated[
        Path | None, typer.Option("--ics", metavar="FILE", help="Write the due times as a calendar file; - for stdout.")
    ] = None,
    exit_status: ExitStatus = False,
    _json: terminal.Json = False,
) -> None:
    """Show every target of a ticket: when it is due, what is left, its state and its clause."""
    flags = Flags(provider, tier, severity, kind, channel, opened, events, ticket, tz, country, now)
    if ctx.invoked_subcommand is None:
        _answer(_asked(flags), explained=False, ics=ics, exit_status=exit_status)
    elif flags != Flags() or ics or exit_status:
        from bilbs_cli.errors import UsageProblem

        raise UsageProblem(f"options stand after the word {ctx.invoked_subcommand}, not before it")


@app.command()
def explain(
    provider: Provider = None,
    tier: Tier = None,
    severity: Severity = None,
    kind: Kind = None,
    channel: Channel = None,
    opened: Opened = None,
    events: Events = None,
    ticket: Ticket = None,
    tz: Zone = None,
    country: Country = None,
    now: Now = None,
    exit_status: ExitStatus = False,
    _json: terminal.Json = False,
) -> None:
    """Show the same with the calendar, the pauses and the arithmetic line by line."""
    flags = Flags(provider, tier, severity, kind, channel, opened, events, ticket, tz, country, now)
    _answer(_asked(flags), explained=True, exit_status=exit_status)


@app.command()
def simulate(
    when: Annotated[str, typer.Argument(help='When it would be opened: "Tue 23:47", "tomorrow 9:00", RFC 3339.')],
    provider: Provider = None,
    tier: Tier = None,
    severity: Severity = None,
    kind: Kind = None,
    channel: Channel = None,
    tz: Zone = None,
    country: Country = None,
    now: Now = None,
    explain: Annotated[bool, typer.Option("--explain", help="With the arithmetic.")] = False,
    ics: Annotated[
        Path | None, typer.Option("--ics", metavar="FILE", help="Write the due times as a calendar file; - for stdout.")
    ] = None,
    _json: terminal.Json = False,
) -> None:
    """Answer before a ticket exists: when the answer would be due, were it opened then."""
    flags = Flags(provider, tier, severity, kind, channel, tz=tz, country=country, now=now)
    _answer(_asked(flags, simulated=when), explained=explain, ics=ics)


@app.command()
def attainment(
    events: Annotated[str, typer.Option("--events", metavar="FILE", help="The tickets of the month; - for stdin.")],
    provider: Provider = None,
    tier: Tier = None,
    month: Annotated[
        str | None, typer.Option("--month", metavar="YYYY-MM", help="Which month; without it this one.")
    ] = None,
    tz: Zone = None,
    country: Country = None,
    now: Now = None,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="Exit 3 when less was attained than is promised.")
    ] = False,
    _json: terminal.Json = False,
) -> None:
    """Show how many first responses of a month came in time, against what the tier promises."""
    from bilbs_cli import config
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
        from bilbs_cli.errors import Exit

        raise typer.Exit(Exit.CONDITION)


def _asked(flags: Flags, simulated: str | None = None) -> Question:
    from bilbs_cli import config
    from bilbs_cli.support import sla_question

    settings = config.load()
    for warning in settings.warnings():
        terminal.warn(warning)
    return sla_question.question(flags, settings, simulated=simulated)


def _answer(asked: Question, *, explained: bool, ics: Path | None = None, exit_status: bool = False) -> None:
    from bilbs_cli.support import sla_json, sla_text

    clocks = asked.clocks()
    for note in asked.notes:
        terminal.warn(note)
    if ics is not None:
        _write_calendar(asked, ics)
    if ics is None or str(ics) != "-":
        terminal.emit(
            "support.sla",
            sla_json.answer(asked, clocks, explained=explained),
            text=lambda: terminal.out(sla_text.page(asked, clocks, terminal.width(), explained=explained)),
        )
    if exit_status and any(clock.state == "breached" for clock in clocks):
        from bilbs_cli.errors import Exit

        raise typer.Exit(Exit.CONDITION)


def _write_calendar(asked: Question, path: Path) -> None:
    from bilbs_cli import files
    from bilbs_cli.support import sla_calendar

    clocks = asked.clocks()
    data = sla_calendar.calendar(asked, clocks, asked.name)
    if str(path) == "-":
        terminal.raw(data)
        return
    files.write_private(path.absolute(), data)
    count = len(sla_calendar.due(clocks))
    terminal.note(f"wrote {count} due time{'s' if count != 1 else ''} to {path}")
