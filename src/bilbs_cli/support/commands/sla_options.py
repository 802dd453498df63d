"""The options that the commands of `bilbs support sla` share, and the one way that they answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.support.sla_flags import Flags

if TYPE_CHECKING:
    from bilbs_cli.support.sla_question import Question

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
Ics = Annotated[
    Path | None, typer.Option("--ics", metavar="FILE", help="Write the due times as a calendar file; - for stdout.")
]
ExitStatus = Annotated[bool, typer.Option("--exit-status", help="Exit 3 when a target is breached.")]


def answer(
    flags: Flags,
    *,
    simulated: str | None = None,
    explained: bool = False,
    ics: Path | None = None,
    exit_status: bool = False,
) -> None:
    """Compute the clocks and print them: text, JSON or a calendar file. Exits 3 when asked to and one is breached."""
    from bilbs_cli import config
    from bilbs_cli.support import sla_json, sla_question, sla_text

    settings = config.load()
    asked = sla_question.question(flags, settings, simulated=simulated)
    clocks = asked.clocks()
    for warning in (*settings.warnings(), *asked.notes):
        terminal.warn(warning)
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
