"""`bilbs plan resume`: take a cancellation back, until the moment it takes effect."""

from __future__ import annotations

import secrets
from typing import Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import Conflict, UsageProblem
from bilbs_cli.plan.commands import naming

app = typer.Typer(add_completion=False)
KIND = "plan.resume"


@app.command()
def resume(
    plan: naming.Plan, dry_run: naming.DryRun = False, yes: terminal.Yes = False, _json: terminal.Json = False
) -> None:
    """Take a cancellation back: the subscription goes on as if it had never been cancelled."""
    from bilbs_cli import config
    from bilbs_cli.plan import account, order_text, ordering, receipts, subscription
    from bilbs_cli.support.commands import ticket_desk

    naming.check(plan, "resume")
    settings = config.load()
    with ticket_desk.connected(settings) as desk:
        if not dry_run:
            account.require_right(desk)
        doc = account.newest(desk)
        state = str(doc.get("state")) if doc else subscription.NONE
        if doc is None or state != subscription.CANCELLING:
            raise _not_cancelling(state)
        where = account.zone(doc, ticket_desk.zone(settings))
        dates = account.dates(doc, where)
        ends = order_text.day(dates.effective, where) if dates else "its next billing day"
        said = f"Support, {doc.get('tier')}, goes on; billed next on {ends}"
        data: dict[str, Any] = {"subscription": doc, "billed_next_at": doc.get("effective_at"), "dry_run": dry_run}
        if dry_run:
            terminal.emit(KIND, data, text=f"{said}.\nNothing was changed: this was --dry-run.")
            return
        if not yes and not terminal.confirm(f"{said}: take the cancellation back?"):
            raise UsageProblem("nothing was changed; it stays cancelled", code="not-confirmed")
        with receipts.alone():
            answer = ordering.change(desk, doc, "resume", secrets.token_urlsafe(24))
            receipt = receipts.keep("resume", answer, {"shown": doc})
    data |= {"subscription": answer, "receipt": str(receipt)}
    terminal.emit(KIND, data, text=f"{said}\nreceipt  {receipt}")


def _not_cancelling(state: str) -> Conflict:
    hints = {"active": "bilbs plan status", "none": "bilbs plan list"}
    return Conflict(
        f"there is no cancellation to take back: the subscription is {state}",
        code="not-cancelling",
        safe="nothing was changed",
        next=hints.get(state, f"bilbs plan subscribe {naming.SUPPORT}"),
    )
