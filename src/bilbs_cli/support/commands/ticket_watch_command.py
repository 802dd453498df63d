"""`bilbs support ticket watch`: what happens to a ticket, as it happens, until a person has acknowledged or resolved it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import Exit, Unavailable, UsageProblem
from bilbs_cli.support.commands.ticket_flags import Ticket

if TYPE_CHECKING:
    from bilbs_cli.support.api import Desk

app = typer.Typer(add_completion=False)

WAIT_S = 25  # of one long poll (RFC 7240 `wait`)
UNTIL = ("acked", "resolved")
QUIET_S = 2.0  # between two polls of a desk that does not wait


@app.command()
def watch(
    ticket: Ticket,
    until: Annotated[
        str | None, typer.Option("--until", help="acked (by a person, never by a machine) or resolved.")
    ] = None,
    timeout: Annotated[str | None, typer.Option("--timeout", metavar="TIME", help="Give up after.")] = None,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="Exit 3 when it did not come to that.", show_default=False)
    ] = False,
    _json: terminal.Json = False,
) -> None:
    """Watch a ticket. An automatic acknowledgement is shown and never counts."""
    from bilbs_cli import config
    from bilbs_cli.quantities import parse_duration
    from bilbs_cli.support import ticket_view
    from bilbs_cli.support.commands import ticket_desk

    if until is not None and until not in UNTIL:
        raise UsageProblem(f"--until {until}: acked or resolved", safe="nothing was asked")
    try:
        limit = parse_duration(timeout) if timeout else None
    except ValueError as error:
        raise UsageProblem(f"--timeout: {error}") from error
    settings = config.load()
    name = ticket_desk.name_at_desk(ticket)
    zone, width = ticket_desk.zone(settings), terminal.width()
    reached: list[dict[str, Any]] = []
    with ticket_desk.connected(settings) as desk:
        ending = time.monotonic() + limit if limit is not None else None

        def told() -> Iterator[dict[str, Any]]:
            for event in _events(desk, name, ending):
                yield event
                if until and reaches(event, until):
                    reached.append(event)
                    return

        terminal.stream(
            "support.ticket.watch",
            "events",
            told(),
            text=lambda event: terminal.out("\n".join(ticket_view.entry(event, zone, width))),
            more=lambda: {"until": until, "reached": reached[0] if reached else None},
        )
    if until and not reached:
        terminal.note(f"{name} is not {until} within {timeout}")
        if exit_status:
            raise typer.Exit(Exit.CONDITION)


def reaches(event: dict[str, Any], until: str) -> bool:
    """Say whether an entry of the timeline is what is waited for."""
    from bilbs_cli.support import ticket_view

    kind = ticket_view.text(event, "type")
    if until == "resolved":
        return kind in {"resolved", "closed"}
    return ticket_view.is_human(event)


def _events(desk: Desk, ticket: str, ending: float | None) -> Iterator[dict[str, Any]]:
    """Yield the timeline and go on with what comes, until `ending`; a desk that is away for a while is waited for."""
    after: str | None = None
    lost = False
    while ending is None or time.monotonic() < ending:
        left = WAIT_S if ending is None else max(min(WAIT_S, int(ending - time.monotonic())), 0)
        params = {"limit": 100, **({"after": after} if after else {})}
        began = time.monotonic()
        try:
            page = desk.get(
                f"/tickets/{ticket}/events", params=params, headers={"Prefer": f"wait={left}"}, timeout_s=left + 10
            )
        except Unavailable as error:
            if not lost:
                terminal.warn(f"{error}; it is tried again")
            lost = True
            _pause(ending)
            continue
        lost = False
        items = [one for one in page.get("data", []) if isinstance(one, dict)]
        yield from items
        cursor = page.get("next_cursor")
        after = cursor if isinstance(cursor, str) and cursor else after
        if not items and time.monotonic() - began < QUIET_S:
            _pause(ending)


def _pause(ending: float | None) -> None:
    left = QUIET_S if ending is None else min(QUIET_S, ending - time.monotonic())
    time.sleep(max(left, 0))
