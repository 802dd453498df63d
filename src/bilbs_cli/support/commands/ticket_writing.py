"""What the commands that write to a ticket share: submit, say what became of it, print what could not be stored."""

from __future__ import annotations

from typing import Any

from bilbs_cli import terminal
from bilbs_cli.config import Config
from bilbs_cli.errors import BilbsError, OutputUnwritable, Queued
from bilbs_cli.support import submit
from bilbs_cli.support.submit import Submitted


def submitted(
    kind: str, body: dict[str, Any], settings: Config, text: str, *, ticket: str = "", urgent: bool = False
) -> Submitted:
    """Submit a write; where no disk takes it, what was typed is printed before the error."""
    try:
        budget = submit.URGENT_BUDGET_S if urgent else submit.BUDGET_S
        done = submit.submit(kind, body, settings, ticket=ticket, budget_s=budget)
    except OutputUnwritable as error:
        terminal.note(f"your text, which could not be stored:\n\n{text}\n")
        error.safe = "nothing was sent; your text stands above"
        raise
    if kind != "ticket.comment" and done.entry.answer:
        from bilbs_cli.support import ticket_cache

        ticket_cache.remember(done.entry.answer)
    return done


def name_of(done: Submitted) -> str:
    """Return what to call what was written: the ticket's number, its id, or the entry that waits."""
    answer = done.entry.answer or {}
    return str(answer.get("number") or answer.get("id") or done.entry.id)


def as_json(done: Submitted) -> dict[str, Any]:
    """Return what became of a write."""
    answer = done.entry.answer or {}
    return {
        "id": answer.get("id") or done.entry.id,
        "number": answer.get("number"),
        "state": done.entry.state if done.delivered or done.entry.state == "refused" else "queued",
        "outbox": done.entry.id,
    }


def problem(done: Submitted, what: str) -> BilbsError | None:
    """Return the error of a write that was not delivered, None where it was."""
    entry = done.entry
    if done.delivered:
        return None
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


def page_by_hand() -> None:
    """Say the pager's number: nobody has a receipt for the most severe level."""
    from bilbs_cli.support import card_file

    number = card_file.fields().get("pager")
    terminal.note(f"pager: {number}   call now" if number else "pager: bilbs support pager   call now")
