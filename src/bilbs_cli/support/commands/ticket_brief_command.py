"""`bilbs support ticket brief`: one screen for whoever takes the shift over."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from bilbs_cli import terminal

app = typer.Typer(add_completion=False)

MOST = 6  # what fits on a screen of 24 lines


@app.command()
def brief(
    ticket: Annotated[
        str, typer.Argument(metavar="[TICKET]", help="One ticket; without it the open ones, the most severe first.")
    ] = "",
    _json: terminal.Json = False,
) -> None:
    """Hand a shift over: what is open, what is due next, who has it, and the last word of a person."""
    from bilbs_cli import config
    from bilbs_cli.support import ticket_cache, ticket_view
    from bilbs_cli.support.commands import ticket_desk

    settings = config.load()
    with ticket_desk.connected(settings) as desk:
        if ticket:
            found = [desk.get(f"/tickets/{ticket_desk.name_at_desk(ticket)}")]
        else:
            params = {"limit": ticket_desk.PAGE, "status": list(ticket_view.OPEN)}
            found = list(islice(desk.pages("/tickets", params), ticket_cache.MOST))
            ticket_cache.replace(found)
        found.sort(key=lambda one: (ticket_view.severity_of(one), ticket_view.text(one, "received_at")))
        told = []
        for one in found[:MOST]:
            timeline = list(ticket_desk.events(desk, ticket_desk.name_at_desk(ticket_view.text(one, "id"))))
            human = [event for event in timeline if ticket_view.text(event, "by") != "automatic"]
            told.append((one, human[-1] if human else None))
        now = ticket_desk.now(desk)
    page = ticket_view.brief(told, len(found), now, ticket_desk.zone(settings), terminal.width())
    if len(found) > MOST:
        page += f"\nand {len(found) - MOST} more: bilbs support ticket list"
    data = [{**one, "last": last} for one, last in told]
    terminal.emit("support.ticket.brief", {"tickets": data, "open": len(found)}, text=page)
