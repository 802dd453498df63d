"""`bilbs support inbox import`, `list`, `show`: what a laptop brought back to a box without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import NotFound

app = typer.Typer(
    help="What a laptop brought back: receipts, tickets, answers.", no_args_is_help=True, add_completion=False
)


@app.command("import")
def import_answer(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What bilbs support outbox send wrote beside the export.")
    ],
    _json: terminal.Json = False,
) -> None:
    """Take in an answer: what was delivered leaves the outbox, and the tickets can be read here."""
    from bilbs_cli import config
    from bilbs_cli.support import answer_file, audit, outbox, ticket_cache, ticket_view
    from bilbs_cli.support.commands import ticket_desk

    if not file.is_file():
        raise NotFound(f"there is no file {file}", code="no-such-file", safe="nothing was changed")
    found = answer_file.read(file)
    with outbox.opened() as box:
        settled, tickets = answer_file.take(found, box)
        waiting = box.standing().waiting
    for one in tickets:
        ticket_cache.remember(one)
    audit.note("imported", kind="answer", file=str(file), answer=f"{len(settled)} entries, {len(tickets)} tickets")
    refused = [one for one in settled if one.state == outbox.REFUSED]
    for entry in refused:
        terminal.warn(f"{entry.id} was refused: {entry.last_error}")
    zone, width = ticket_desk.zone(config.load()), terminal.width()
    lines = [f"{len(settled) - len(refused)} delivered, {len(refused)} refused, {waiting} waiting"]
    for one in tickets:
        lines += ["", ticket_view.page(one, _events(found, one), ticket_desk.now(), zone, width)]
    data = {
        "delivered": [one.id for one in settled if one.state == outbox.DELIVERED],
        "refused": [one.id for one in refused],
        "waiting": waiting,
        "tickets": tickets,
    }
    terminal.emit("support.inbox.import", data, text="\n".join(lines))


def _events(found: dict[str, Any], ticket: dict[str, Any]) -> list[dict[str, Any]]:
    timelines = found.get("timelines")
    rows = timelines.get(ticket.get("id")) if isinstance(timelines, dict) else None
    return [one for one in rows or [] if isinstance(one, dict)]


@app.command("list")
def list_tickets(_json: terminal.Json = False) -> None:
    """List the tickets that came back, as they were when the answer was written."""
    from bilbs_cli.support import answer_file

    found = answer_file.kept()
    rows = [
        [str(one["ticket"].get(name) or "") for name in ("number", "status", "updated_at", "subject")] for one in found
    ]

    def text() -> None:
        if rows:
            terminal.table(("ticket", "status", "as of", "subject"), rows)
        else:
            terminal.note("nothing came back yet: bilbs support inbox import FILE")

    terminal.emit("support.inbox", {"tickets": [one["ticket"] for one in found]}, text=text)


@app.command("show")
def show(
    ticket: Annotated[str, typer.Argument(metavar="TICKET", help="Its number, as the list shows it.")],
    _json: terminal.Json = False,
) -> None:
    """Show a ticket that came back, with its timeline, as it was when the answer was written."""
    from bilbs_cli import config
    from bilbs_cli.support import answer_file, ticket_view
    from bilbs_cli.support.commands import ticket_desk

    found = next(
        (one for one in answer_file.kept() if ticket in {one["ticket"].get("number"), one["ticket"].get("id")}), None
    )
    if found is None:
        raise NotFound(f"no ticket {ticket} came back", next="bilbs support inbox list")
    zone = ticket_desk.zone(config.load())
    page = ticket_view.page(found["ticket"], found["events"], ticket_desk.now(), zone, terminal.width())
    terminal.emit("support.inbox.show", {**found["ticket"], "events": found["events"]}, text=page)
