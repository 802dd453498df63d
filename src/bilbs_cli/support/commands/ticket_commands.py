"""`bilbs support ticket open`, `comment`, `close`, `reopen`, `escalate`, `severity`: each through the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import BilbsError, OutputUnwritable, Queued, UsageProblem

if TYPE_CHECKING:
    from bilbs_cli.config import Config
    from bilbs_cli.support.submit import Submitted

app = typer.Typer(
    help="Tickets: written to this box's disk first, then sent; never lost, never doubled.",
    no_args_is_help=True,
    add_completion=False,
)

Ticket = Annotated[
    str, typer.Argument(help="BB-1234, tkt_..., or ob_... of one that is still queued.", metavar="TICKET")
]
Message = Annotated[str | None, typer.Option("--message", "-m", metavar="TEXT", help="The text.")]
File = Annotated[str | None, typer.Option("--file", "-F", metavar="FILE", help="The text from a file; - for stdin.")]


@app.command("open")
def open_ticket(
    severity: Annotated[
        str | None, typer.Option("--severity", "-s", help="sev1 to sev4; you set it. Unmarked: the plan's default.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="One line; without it the first line of the text.")
    ] = None,
    message: Message = None,
    file: File = None,
    impact: Annotated[
        str | None, typer.Option("--impact", metavar="TEXT", help="What is hit, how many, production or not.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="hardware, software, question or feature.")] = None,
    category: Annotated[str | None, typer.Option("--category", help="What it is about.")] = None,
    dedup: Annotated[
        str | None, typer.Option("--dedup", metavar="KEY", help="Join the open ticket with the same key.")
    ] = None,
    provider: Annotated[str | None, typer.Option("--provider", metavar="ID", help="Support plan.")] = None,
    tier: Annotated[str | None, typer.Option("--tier", help="Its tier.")] = None,
    _json: terminal.Json = False,
) -> None:
    """Open a ticket. It is safe on this disk before anything is sent; exit 75 means queued, not delivered."""
    from bilbs_cli import config
    from bilbs_cli.support import sla_json, sla_question, submit, ticket_text
    from bilbs_cli.support.sla_flags import Flags

    settings = config.load()
    asked = sla_question.question(Flags(provider, tier, severity, kind), settings)
    plan = asked.plan.provider
    ticket_text.refuse_elsewhere(plan, category)
    ticket_text.require_impact(plan, asked.severity, impact)
    text = ticket_text.text(message, file)
    body: dict[str, Any] = {
        "subject": ticket_text.subject_of(subject, text),
        "body": text,
        "severity": asked.severity.id,
        "provider": plan.id,
        "occurred_at": submit.now(),
    }
    extra = {
        "kind": kind,
        "category": category,
        "dedup_key": dedup,
        "impact": {"statement": impact} if impact else None,
    }
    body |= {name: value for name, value in extra.items() if value}
    urgent = plan.rank(asked.severity.id) == 0
    done = _submitted("ticket.open", body, settings, text, urgent=urgent)
    due = [
        {name: one[name] for name in ("metric", "role", "due_at", "limit", "source", "assumed")}
        for one in (sla_json.target(asked, clock, explained=False) for clock in asked.clocks())
        if one["due_at"]
    ]
    _answer(done, {"due": due, "severity": asked.severity.id}, urgent=urgent, what="ticket")


@app.command()
def comment(ticket: Ticket, message: Message = None, file: File = None, _json: terminal.Json = False) -> None:
    """Comment on a ticket."""
    from bilbs_cli.support import ticket_text

    text = ticket_text.text(message, file)
    _act("ticket.comment", ticket, {"body": text}, text)


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
    if not (reason or "").strip():
        raise UsageProblem("an escalation needs a reason", safe="nothing was sent", next='-m "REASON"')
    _act("ticket.escalate", ticket, {"reason": reason}, reason or "")


@app.command("severity")
def set_severity(
    ticket: Ticket,
    severity: Annotated[str, typer.Argument(help="sev1 to sev4.")],
    reason: Message = None,
    _json: terminal.Json = False,
) -> None:
    """Set the severity of a ticket: it is yours to set."""
    from bilbs_cli import config
    from bilbs_cli.providers import loading
    from bilbs_cli.support.sla_question import severity_of

    plan = loading.load(str(config.load().value("support.provider")))
    level = severity_of(plan, severity)
    _act("ticket.severity", ticket, {"severity": level.id} | ({"reason": reason} if reason else {}), reason or "")


def _act(kind: str, ticket: str, body: dict[str, Any], text: str) -> None:
    from bilbs_cli import config
    from bilbs_cli.support import submit

    reference = submit.reference(ticket)
    done = _submitted(kind, body, config.load(), text, ticket=reference)
    _answer(done, {"ticket": ticket}, urgent=False, what=kind.partition(".")[2])


def _submitted(
    kind: str, body: dict[str, Any], settings: Config, text: str, *, ticket: str = "", urgent: bool = False
) -> Submitted:
    """Submit a write; where no disk takes it, what was typed is printed before the error."""
    from bilbs_cli.support import submit

    try:
        return submit.submit(
            kind, body, settings, ticket=ticket, budget_s=submit.URGENT_BUDGET_S if urgent else submit.BUDGET_S
        )
    except OutputUnwritable as error:
        terminal.note(f"your text, which could not be stored:\n\n{text}\n")
        error.safe = "nothing was sent; your text stands above"
        raise


def _answer(done: Submitted, more: dict[str, Any], *, urgent: bool, what: str) -> None:
    answer = done.entry.answer or {}
    data = {
        "id": answer.get("id") or done.entry.id,
        "number": answer.get("number"),
        "state": done.entry.state if done.delivered or done.entry.state == "refused" else "queued",
        "outbox": done.entry.id,
        **more,
    }
    name = str(answer.get("number") or answer.get("id") or done.entry.id)
    errors = [] if done.delivered else [_problem(done, what)]
    terminal.emit(
        "support.ticket",
        data,
        text=lambda: terminal.out(f"{what} {name}: delivered") if done.delivered else None,
        errors=errors,
    )
    if errors:
        if urgent:
            _page_by_hand()
        raise errors[0]


def _problem(done: Submitted, what: str) -> BilbsError:
    entry = done.entry
    if entry.state == "refused":
        return BilbsError(
            f"the desk refused the {what} {entry.id}: {done.reason}",
            code="refused",
            safe="it stands aside in the outbox, with your text",
            next=f"bilbs support outbox show {entry.id}",
        )
    where = "in memory only: a reboot loses it" if done.volatile else "on this disk"
    return Queued(
        f"the {what} is not delivered: {done.reason}",
        safe=f"it is {entry.id} in the outbox, {where}",
        next="bilbs support outbox flush   (whom to call now: bilbs support contacts)",
    )


def _page_by_hand() -> None:
    """Say the pager's number: nobody has a receipt for the most severe level."""
    from bilbs_cli.support import card_file

    number = card_file.fields().get("pager")
    terminal.note(f"pager: {number}   call now" if number else "pager: bilbs support pager   call now")
