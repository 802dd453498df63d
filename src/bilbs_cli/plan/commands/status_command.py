"""`bilbs plan status`: what is subscribed, used and left; without the desk what it said last, with its age."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import last_seen, terminal
from bilbs_cli.errors import BilbsError, LoginNeeded, NotFound, Unavailable

if TYPE_CHECKING:
    from bilbs_cli.config import Config

app = typer.Typer(add_completion=False)


@app.command()
def status(
    offline: Annotated[
        bool, typer.Option("--offline", help="What the desk said last, without asking it.", show_default=False)
    ] = False,
    _json: terminal.Json = False,
) -> None:
    """Show the plan: tier, state, billing month, what is used and left, next review, attainment of the month."""
    from bilbs_cli import config
    from bilbs_cli.plan import account, order_text
    from bilbs_cli.support.commands import ticket_desk

    settings = config.load()
    data = _kept(None) if offline else _asked(settings)
    where = account.zone(data, ticket_desk.zone(settings))
    terminal.emit("plan.status", data, text=lambda: terminal.out(order_text.status_page(data, where, terminal.width())))


def _asked(settings: Config) -> dict[str, Any]:
    from bilbs_cli.plan import standing
    from bilbs_cli.support.commands import ticket_desk

    try:
        with ticket_desk.connected(settings) as desk:
            found = standing.gather(desk, str(settings.value("support.provider")), ticket_desk.zone(settings))
    except (Unavailable, LoginNeeded) as error:
        return _kept(error)
    for warning in found.warnings:
        terminal.warn(warning)
    last_seen.keep(last_seen.PLAN, found.data)
    return {**found.data, "age_s": 0}


def _kept(reason: BilbsError | None) -> dict[str, Any]:
    """Return what the desk said last. Raises the reason, or `NotFound`, where it never said anything."""
    from bilbs_cli.quantities import show_span

    found = last_seen.read(last_seen.PLAN)
    if found is None or "state" not in found:
        raise reason or NotFound("the desk was never asked for the plan", code="never-asked", next="bilbs plan status")
    age_s = max(time.time() - float(found.pop("at")), 0.0)
    why = f": {reason}" if reason else ""
    terminal.warn(f"this is what the desk said {show_span(age_s)} ago{why}")
    return {**found, "age_s": age_s}
