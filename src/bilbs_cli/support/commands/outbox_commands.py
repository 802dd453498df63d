"""`bilbs support outbox list`, `show`, `flush`, `drop`: what has not been delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import Exit, Queued, UsageProblem

if TYPE_CHECKING:
    from bilbs_cli.support.outbox import Entry

app = typer.Typer(help="What waits to be delivered to the desk.", no_args_is_help=True, add_completion=False)

Id = Annotated[str, typer.Argument(help="The entry, or the beginning of its id.", metavar="ID")]


@app.command("list")
def list_entries(
    every: Annotated[bool, typer.Option("--all", help="With those that were delivered.")] = False,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="Exit 3 when something waits or was refused.")
    ] = False,
    _json: terminal.Json = False,
) -> None:
    """List what waits, is being sent, or was refused."""
    from bilbs_cli.support import outbox

    states = outbox.STATES if every else (outbox.QUEUED, outbox.SENDING, outbox.REFUSED)
    with outbox.opened() as box:
        found = list(box.entries(*states))
    terminal.emit("support.outbox", {"entries": [as_json(one) for one in found]}, text=lambda: _table(found))
    if exit_status and any(one.state != outbox.DELIVERED for one in found):
        raise typer.Exit(Exit.CONDITION)


def _table(found: list[Entry]) -> None:
    if not found:
        terminal.out("the outbox is empty: everything was delivered")
        return
    rows = [
        (one.id, one.kind, one.state, str(one.attempts), one.occurred_at, one.last_error or _subject(one))
        for one in found
    ]
    terminal.table(("id", "what", "state", "tries", "written", "why, or about"), rows)


def _subject(one: Entry) -> str:
    return str(one.body.get("subject") or one.body.get("body") or one.ticket)[:60].split("\n")[0]


def as_json(one: Entry) -> dict[str, Any]:
    """Return an entry without its text and its key."""
    return {
        "id": one.id,
        "kind": one.kind,
        "ticket": one.ticket or None,
        "after": one.after or None,
        "state": one.state,
        "attempts": one.attempts,
        "last_error": one.last_error or None,
        "occurred_at": one.occurred_at,
        "subject": _subject(one),
    }


@app.command("show")
def show_entry(entry: Id, _json: terminal.Json = False) -> None:
    """Show an entry with its text."""
    from bilbs_cli.support import outbox

    with outbox.opened() as box:
        one = box.get(entry)
    lines = [f"{name}: {value}" for name, value in as_json(one).items() if value is not None and name != "subject"]
    text = "\n".join([*lines, "", *(f"{name}: {value}" for name, value in one.body.items())])
    terminal.emit("support.outbox.entry", as_json(one) | {"body": one.body, "answer": one.answer}, text=text)


@app.command("flush")
def flush(
    budget: Annotated[str, typer.Option("--budget", metavar="TIME", help="How long to try.")] = "60s",
    limit_rate: Annotated[
        str | None, typer.Option("--limit-rate", metavar="SIZE", help="Bytes a second at most, for files: 2M.")
    ] = None,
    progress: Annotated[str, typer.Option("--progress", help="auto, rich, plain or none.")] = "auto",
    _json: terminal.Json = False,
) -> None:
    """Send what waits, one at a time; safe beside another run. Exits 75 when something still waits."""
    from bilbs_cli import config
    from bilbs_cli.progress import Transfer
    from bilbs_cli.quantities import parse_duration
    from bilbs_cli.support import outbox, submit, upload
    from bilbs_cli.support.commands.ticket_attach_command import rate_of

    try:
        seconds = parse_duration(budget)
    except ValueError as error:
        raise UsageProblem(f"--budget: {error}") from error
    pace = upload.Pace(rate_of(limit_rate), Transfer(progress))
    with outbox.opened() as box:
        report = submit.send(box, config.load(), budget_s=seconds, pace=pace)
        waiting = list(box.entries(outbox.QUEUED, outbox.SENDING))
        refused = list(box.entries(outbox.REFUSED))
    data = {
        "delivered": [as_json(one) | {"answer_id": (one.answer or {}).get("id")} for one in report.delivered],
        "refused": [as_json(one) for one in refused],
        "waiting": len(waiting),
        "stopped": report.stopped or None,
    }
    errors = []
    if waiting and report.stopped:
        errors = [
            Queued(
                f"{len(waiting)} {'entry waits' if len(waiting) == 1 else 'entries wait'}: {report.stopped}",
                safe="all of it is on disk",
                next="the same command later; bilbs support contacts says whom to call now",
            )
        ]
    terminal.emit("support.outbox.flush", data, text=lambda: terminal.out(_said(data)), errors=errors)
    for one in refused:
        terminal.warn(f"{one.id} was refused and stands aside: {one.last_error}")
    if errors:
        raise errors[0]
    if waiting:
        raise typer.Exit(Exit.QUEUED)


def _said(data: dict[str, Any]) -> str:
    return f"{len(data['delivered'])} delivered, {data['waiting']} waiting, {len(data['refused'])} refused"


@app.command("drop")
def drop(entry: Id, yes: terminal.Yes = False, _json: terminal.Json = False) -> None:
    """Give an entry up: it is deleted and never sent."""
    from bilbs_cli.support import outbox

    with outbox.opened() as box:
        one = box.get(entry)
        if not yes and not terminal.confirm(f"Delete {one.id} ({one.kind}: {_subject(one)}) for ever?"):
            raise UsageProblem("nothing was deleted", code="not-confirmed")
        box.drop(one)
    terminal.emit("support.outbox.drop", {"id": one.id}, text=f"{one.id} is deleted")
