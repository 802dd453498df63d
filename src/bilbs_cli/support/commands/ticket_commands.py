"""`bilbs support ticket`: open and read it, and the small acts, `comment`, `close`, `reopen`, `escalate`, `severity`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import UsageProblem
from bilbs_cli.lazy_groups import Group, add_groups
from bilbs_cli.support.commands.ticket_flags import File, Message, Ticket

app = typer.Typer(
    help="Tickets: written to this box's disk first, then sent; never lost, never doubled.",
    no_args_is_help=True,
    add_completion=False,
)
COMMANDS: tuple[Group, ...] = (
    ("open", "bilbs_cli.support.commands.ticket_open_command", "Open a ticket, with a bundle of this box or without."),
    ("list", "bilbs_cli.support.commands.ticket_list_command", "List the tickets of the account."),
    ("show", "bilbs_cli.support.commands.ticket_show_command", "Show a ticket with its clocks and its timeline."),
    ("attach", "bilbs_cli.support.commands.ticket_attach_command", "Attach a file: resumable, its digest checked."),
    ("watch", "bilbs_cli.support.commands.ticket_watch_command", "Watch a ticket until a person has it."),
    ("brief", "bilbs_cli.support.commands.ticket_brief_command", "One screen for a shift hand-over."),
)
add_groups(app, COMMANDS)


@app.command()
def comment(ticket: Ticket, message: Message = None, file: File = None, _json: terminal.Json = False) -> None:
    """Comment on a ticket."""
    from bilbs_cli.support import submit, ticket_text

    name = submit.reference(ticket)
    with ticket_text.given(message, file) as text:
        _act("ticket.comment", name, {"body": text}, text)


@app.command()
def close(ticket: Ticket, note: Message = None, _json: terminal.Json = False) -> None:
    """Close a ticket."""
    _act("ticket.close", ticket, {"note": note} if note else {}, note or "")


@app.command()
def reopen(ticket: Ticket, note: Message = None, _json: terminal.Json = False) -> None:
    """Open a ticket again."""
    _act("ticket.reopen", ticket, {"note": note} if note else {}, note or "")


@app.command()
def escalate(ticket: Ticket, reason: Message = None, _json: terminal.Json = False) -> None:
    """Escalate a ticket to the plan's next level."""
    from bilbs_cli import config
    from bilbs_cli.providers import loading

    levels = loading.load(str(config.load().value("support.provider"))).escalation
    if not (reason or "").strip():
        steps = "; ".join(f"{one.name}: {one.what}" for one in levels)
        raise UsageProblem(
            f"an escalation needs a reason{f' (the levels of the plan: {steps})' if steps else ''}",
            safe="nothing was sent",
            next=f'bilbs support ticket escalate {ticket} -m "REASON"',
        )
    _act("ticket.escalate", ticket, {"reason": reason}, reason or "")


@app.command("severity")
def set_severity(
    ticket: Ticket,
    severity: Annotated[str, typer.Argument(help="sev1 to sev4; without it the history is shown.")] = "",
    reason: Message = None,
    _json: terminal.Json = False,
) -> None:
    """Set the severity of a ticket, which is yours to set; or show who set it when."""
    from bilbs_cli import config
    from bilbs_cli.providers import loading
    from bilbs_cli.support.sla_question import severity_of

    settings = config.load()
    if not severity:
        _history(ticket)
        return
    plan = loading.load(str(settings.value("support.provider")))
    level = severity_of(plan, severity)
    _act("ticket.severity", ticket, {"severity": level.id} | ({"reason": reason} if reason else {}), reason or "")


def _history(ticket: str) -> None:
    from bilbs_cli import config
    from bilbs_cli.support import ticket_view
    from bilbs_cli.support.commands import ticket_desk

    settings = config.load()
    with ticket_desk.connected(settings) as desk:
        found = desk.get(f"/tickets/{ticket_desk.name_at_desk(ticket)}")
    lines = ticket_view.severity_lines(found, ticket_desk.zone(settings), terminal.width())
    terminal.emit("support.ticket.severity", found.get("severity"), text="\n".join(lines))


def _act(kind: str, ticket: str, body: dict[str, Any], text: str) -> None:
    from bilbs_cli import config
    from bilbs_cli.support import submit
    from bilbs_cli.support.commands import ticket_writing

    reference = submit.reference(ticket)
    done = ticket_writing.submitted(kind, body, config.load(), text, ticket=reference)
    what = kind.partition(".")[2]
    problem = ticket_writing.problem(done, what)
    answer = done.entry.answer or {}
    level = answer.get("escalation_level")
    extra = f", level {level} now" if kind == "ticket.escalate" and isinstance(level, int) else ""
    terminal.emit(
        "support.ticket",
        {**ticket_writing.as_json(done), "ticket": ticket},
        text=lambda: None if problem else terminal.out(f"{what} {ticket_writing.name_of(done)}: delivered{extra}"),
        errors=[problem] if problem else [],
    )
    if problem:
        raise problem
