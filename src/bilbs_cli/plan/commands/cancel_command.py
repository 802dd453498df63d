"""`bilbs plan cancel`: every date, what is open and what is lost first; then the question. It can be taken back."""

from __future__ import annotations

import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import UsageProblem
from bilbs_cli.plan.commands import naming

if TYPE_CHECKING:
    from datetime import tzinfo

    from bilbs_cli.plan.subscription import Dates
    from bilbs_cli.providers.model import Tier
    from bilbs_cli.support.api import Desk

app = typer.Typer(add_completion=False)
KIND = "plan.cancel"


@app.command()
def cancel(
    plan: naming.Plan,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="DIR", help="Export the channel's transcript to a folder first.")
    ] = None,
    dry_run: naming.DryRun = False,
    yes: terminal.Yes = False,
    _json: terminal.Json = False,
) -> None:
    """Cancel at the end of the billing month: shows the dates, open tickets, RMAs and hours, then asks."""
    from bilbs_cli import config
    from bilbs_cli.plan import account, order_text
    from bilbs_cli.providers import loading
    from bilbs_cli.support.commands import ticket_desk

    naming.check(plan, "cancel")
    settings = config.load()
    provider = loading.load(str(settings.value("support.provider")))
    with ticket_desk.connected(settings) as desk:
        if not dry_run:
            account.require_right(desk)
        doc = account.required(desk, "cancel")
        where = account.zone(doc, ticket_desk.zone(settings))
        dates = account.dates(doc, where)
        if dates is None:
            raise UsageProblem(
                "the desk does not say when the billing month ends",
                code="no-period",
                safe="nothing was changed",
                next="bilbs support contacts",
            )
        tier = provider.tier(str(doc.get("tier")))
        data = _consequences(desk, doc, dates, tier, where)
        page = order_text.cancel_page(data, dates, where, terminal.width())
        if dry_run:
            terminal.emit(KIND, data, text=f"{page}\n\nNothing was changed: this was --dry-run.")
            return
        if data["state"] == "cancelling":
            terminal.emit(KIND, data, text=f"{page}\n\nIt is cancelled already; nothing was changed.")
            return
        terminal.note(page)
        _export(desk, export, ask=not yes)
        if not yes and not terminal.confirm(
            f"Cancel the Support plan, effective {order_text.day(dates.effective, where)}?"
        ):
            raise UsageProblem("nothing was cancelled", code="not-confirmed")
        _cancelled(desk, doc, data, dates, where)


def _consequences(desk: Desk, doc: dict[str, Any], dates: Dates, tier: Tier | None, where: tzinfo) -> dict[str, Any]:
    """Return what a cancellation means; a list that the desk does not give is None, with a warning."""
    from bilbs_cli.plan import account, usage

    asked = account.lists(desk, {**account.OPEN_TICKETS, **account.RMAS, **account.LEDGER})
    for problem in asked.problems:
        terminal.warn(problem)
    tickets, rmas, ledger = (asked.found[name] for name in ("tickets", "RMAs", "hours"))
    open_rmas = None if rmas is None else [one for one in rmas if one.get("state") != account.RMA_DONE]
    hours = None if ledger is None else usage.hours(ledger, tier, desk.date or datetime.now(UTC), where)
    return {
        "subscription_id": doc.get("id"),
        "state": doc.get("state"),
        "tier": doc.get("tier"),
        "boxes": doc.get("boxes"),
        **account.dates_json(dates),
        "open_tickets": _short(tickets, ("id", "number", "subject", "status")),
        "open_rmas": _short(open_rmas, ("id", "state", "oem", "case_number", "ticket_id")),
        "unused_hours": None if hours is None else hours.left + hours.prepaid_left,
        "prepaid_hours_lost": None if hours is None else hours.prepaid_left,
    }


def _short(rows: list[dict[str, Any]] | None, names: tuple[str, ...]) -> list[dict[str, Any]] | None:
    return None if rows is None else [{name: one.get(name) for name in names} for one in rows]


def _export(desk: Desk, folder: Path | None, *, ask: bool) -> None:
    """Export the transcript where a folder is named, or a person says yes; nothing is cancelled where it fails."""
    from bilbs_cli.support import transcript_export

    if folder is None:
        if (
            not ask
            or sys.stdin is None
            or not sys.stdin.isatty()
            or not terminal.confirm("Export the channel's transcript into this folder first?")
        ):
            return
        folder = Path()
    _, path = transcript_export.export(desk, folder)
    terminal.note(f"transcript  {path}")


def _cancelled(desk: Desk, doc: dict[str, Any], data: dict[str, Any], shown: Dates, where: tzinfo) -> None:
    from bilbs_cli.plan import account, order_text, ordering, receipts

    with receipts.alone():
        answer = ordering.change(desk, doc, "cancel", secrets.token_urlsafe(24))
        found = account.dates(answer, where) or shown
        differs = account.dates_json(found) != account.dates_json(shown)
        receipt = receipts.keep("cancel", answer, {"shown": data})
    if differs:
        terminal.warn(
            "the desk gives other dates than were shown; its own are below. bilbs plan resume support takes it back"
        )
    text = [
        f"cancelled, effective {order_text.day(found.effective, where)}; until then everything works",
        "to take it back: bilbs plan resume support",
        f"receipt  {receipt}",
    ]
    result = {
        **data,
        **account.dates_json(found),
        "state": answer.get("state"),
        "receipt": str(receipt),
        "dates_differ": differs,
    }
    terminal.emit(KIND, result, text="\n".join(text))
