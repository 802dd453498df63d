"""`bilbs support ticket list`: any number of tickets, as they come."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import UsageProblem

if TYPE_CHECKING:
    from bilbs_cli.config import Config
    from bilbs_cli.support.api import Desk

app = typer.Typer(add_completion=False)

STATUSES = ("new", "open", "waiting_customer", "waiting_third_party", "resolved", "closed")


@app.command()
def list_tickets(
    status: Annotated[
        list[str] | None, typer.Option("--status", help=f"Only these: {', '.join(STATUSES)}. Without it the open ones.")
    ] = None,
    severity: Annotated[list[str] | None, typer.Option("--severity", "-s", help="Only these.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="Changed since: 7d, 2026-11-20.")] = None,
    every: Annotated[bool, typer.Option("--all", help="With those that are done.", show_default=False)] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="That many at most.")] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="A,B", help="These fields, separated by tabs: number,status,sla.")
    ] = None,
    _json: terminal.Json = False,
) -> None:
    """List the tickets of the account, the newest first."""
    from bilbs_cli import config
    from bilbs_cli.support import ticket_cache, ticket_view
    from bilbs_cli.support.commands import ticket_desk

    settings = config.load()
    params = _params(settings, status, severity, since, every=every)
    names = [one.strip() for one in (columns or "").split(",") if one.strip()]
    width = terminal.width()
    seen: list[dict[str, Any]] = []

    def noted(found: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for one in found:
            if len(seen) < ticket_cache.MOST:
                seen.append(one)
            yield one

    def shown(ticket: dict[str, Any], desk: Desk) -> None:
        if names:
            terminal.out("\t".join(_field(ticket, name) for name in names))
        else:
            terminal.out(ticket_view.line(ticket, ticket_desk.now(desk), width))

    with ticket_desk.connected(settings) as desk:
        found = noted(islice(desk.pages("/tickets", params), limit))
        if not terminal.wants_json() and not names and ticket_desk.on_terminal():
            terminal.out(ticket_view.heading())
        count = terminal.stream("support.tickets", "tickets", found, text=lambda ticket: shown(ticket, desk))
    if not (status or severity or since or every or limit):
        ticket_cache.replace(seen)
    if not count:
        terminal.note("no ticket" if every else "no open ticket (--all shows those that are done)")


def _params(
    settings: Config, status: list[str] | None, severity: list[str] | None, since: str | None, *, every: bool
) -> dict[str, Any]:
    from bilbs_cli.providers import loading
    from bilbs_cli.quantities import parse_since
    from bilbs_cli.support.commands import ticket_desk
    from bilbs_cli.support.sla_question import severity_of
    from bilbs_cli.support.ticket_view import OPEN

    wrong = next((one for one in status or () if one not in STATUSES), None)
    if wrong:
        raise UsageProblem(f"--status {wrong}: one of {', '.join(STATUSES)}")
    params: dict[str, Any] = {"limit": ticket_desk.PAGE}
    wanted = status or ([] if every else list(OPEN))
    if wanted:
        params["status"] = wanted
    if severity:
        plan = loading.load(str(settings.value("support.provider")))
        params["severity"] = [severity_of(plan, one).id for one in severity]
    if since:
        try:
            after = parse_since(since, ticket_desk.now())
        except ValueError as error:
            raise UsageProblem(f"--since: {error}") from error
        if after:
            params["updated_after"] = f"{after:%Y-%m-%dT%H:%M:%SZ}"
    return params


def _field(ticket: dict[str, Any], name: str) -> str:
    from bilbs_cli.support import ticket_view

    if name == "severity":
        return ticket_view.severity_of(ticket)
    if name == "due":
        clock = ticket_view.next_clock(ticket)
        return ticket_view.text(clock, "due_at")
    if name not in ticket:
        known = sorted({*ticket, "due"})
        raise UsageProblem(f"--columns: no field {name}", next=f"one of {', '.join(known)}")
    value = ticket[name]
    return " ".join(value.split()) if isinstance(value, str) else "" if value is None else str(value)
