"""`bilbs support ticket show`: a ticket with its clocks and its timeline."""

from __future__ import annotations

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import Unavailable
from bilbs_cli.support.commands.ticket_flags import Ticket

app = typer.Typer(add_completion=False)


@app.command()
def show(ticket: Ticket, _json: terminal.Json = False) -> None:
    """Show a ticket: its clocks as the desk counts them, and what happened."""
    from bilbs_cli import config
    from bilbs_cli.support import ticket_cache, ticket_view
    from bilbs_cli.support.commands import ticket_desk

    settings = config.load()
    name = ticket_desk.name_at_desk(ticket)
    try:
        with ticket_desk.connected(settings) as desk:
            found = desk.get(f"/tickets/{name}")
            timeline = list(ticket_desk.events(desk, name))
            now = ticket_desk.now(desk)
    except Unavailable as error:
        _last_known(name, error)
        raise
    ticket_cache.remember(found)
    page = ticket_view.page(found, timeline, now, ticket_desk.zone(settings), terminal.width())
    terminal.emit("support.ticket.show", {**found, "events": timeline}, text=page)


def _last_known(name: str, error: Unavailable) -> None:
    """Say what was last seen of a ticket before the error is."""
    import time

    from bilbs_cli.quantities import show_span
    from bilbs_cli.support import ticket_cache, ticket_view
    from bilbs_cli.support.commands import ticket_desk

    seen = ticket_cache.read()
    known = next((one for one in seen.tickets if name in {one.get("id"), one.get("number")}), None) if seen else None
    if seen and known:
        age = show_span(max(time.time() - seen.at, 0))
        terminal.note(f"last seen {age} ago: {ticket_view.line(known, ticket_desk.now(), 200)}")
        error.safe = "what was last seen of it stands above"
