"""`bilbs support outbox list`, `show`, `flush`, `drop`, `export`, `send`: what has not been delivered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import BilbsError, Exit, NotFound, Queued, UsageProblem
from bilbs_cli.support.ids import is_id

if TYPE_CHECKING:
    from bilbs_cli.config import Config
    from bilbs_cli.support.outbox import Entry

app = typer.Typer(help="What waits to be delivered to the desk.", no_args_is_help=True, add_completion=False)

SHORTEST, LIMIT_OF_NAME = 8, 1 << 20

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
        (one.id, one.kind, _state(one), one.occurred_at[5:16].replace("T", " "), one.last_error or _subject(one))
        for one in found
    ]
    terminal.table(("id", "what", "state", "written UTC", "why, or about"), rows)


def _state(one: Entry) -> str:
    return f"{one.state} x{one.attempts}" if one.attempts > 1 else one.state


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
        waiting = box.standing().waiting
        refused = list(box.entries(outbox.REFUSED))
    data = {
        "delivered": [as_json(one) | {"answer_id": (one.answer or {}).get("id")} for one in report.delivered],
        "refused": [as_json(one) for one in refused],
        "waiting": waiting,
        "stopped": report.stopped or None,
    }
    errors = []
    if waiting and report.stopped:
        errors = [
            Queued(
                f"{waiting} {'entry waits' if waiting == 1 else 'entries wait'}: {report.stopped}",
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
    from bilbs_cli.support import audit, outbox

    with outbox.opened() as box:
        one = box.get(entry)
        if not yes and not terminal.confirm(f"Delete {one.id} ({one.kind}: {_subject(one)}) for ever?"):
            raise UsageProblem("nothing was deleted", code="not-confirmed")
        box.drop(one)
        audit.note("dropped", kind=one.kind, entry=one.id, ticket=one.ticket, sha256=audit.digest(one.body))
    terminal.emit("support.outbox.drop", {"id": one.id}, text=f"{one.id} is deleted")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes: a stick.")],
    encrypt_to: Annotated[
        list[str] | None,
        typer.Option("--encrypt-to", metavar="KEY", help="age1... of the laptop; else a passphrase is asked for."),
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", metavar="FILE", help="The passphrase, in a file that only you can read."),
    ] = None,
    _json: terminal.Json = False,
) -> None:
    """Write what waits, files included, to one encrypted file: a laptop sends it with bilbs support outbox send FILE.

    Nothing is taken out of this outbox: when this box is online again, the desk knows what it has already.
    """
    from bilbs_cli.support import answer_file, audit, carry, outbox

    secret = "" if encrypt_to else _passphrase(passphrase_file, twice=True)
    with outbox.opened() as box:
        found = list(box.entries(outbox.QUEUED, outbox.SENDING))
        openers = {one.after for one in found if one.after} - {one.id for one in found}
        behind = [one for one in found if one.after in openers]
        # what follows a ticket that was delivered goes by the ticket's own id
        known = {one.id: str((box.get(one.after).answer or {}).get("id") or "") for one in behind}
        found = [one._replace(ticket=known[one.id], after="") if known.get(one.id) else one for one in found]
    if not found:
        raise UsageProblem("nothing waits in the outbox", code="nothing-to-export", safe="nothing was written")
    count = carry.write(
        found, file, recipients=tuple(encrypt_to or ()), passphrase=secret, reply_to=answer_file.recipient()
    )
    audit.note("exported", kind="outbox", file=str(file), answer=f"{count} entries")
    terminal.emit(
        "support.outbox.export",
        {"file": str(file), "entries": count, "size": file.stat().st_size},
        text=f"{count} {'entry' if count == 1 else 'entries'} in {file}; on the laptop: bilbs support outbox send {file.name}",
    )


@app.command("send")
def send(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What bilbs support outbox export wrote.")],
    identity_file: Annotated[
        Path | None, typer.Option("--identity-file", metavar="FILE", help="The age key, where it was encrypted to one.")
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", metavar="FILE", help="The passphrase, in a file that only you can read."),
    ] = None,
    answer: Annotated[
        Path | None,
        typer.Option("--answer", metavar="FILE", help="Where the answer for the box goes.", show_default="FILE.answer"),
    ] = None,
    progress: Annotated[str, typer.Option("--progress", help="auto, rich, plain or none.")] = "auto",
    _json: terminal.Json = False,
) -> None:
    """Send what another box has exported, from this machine, and write the answer that goes back to it.

    Again is safe: nothing is doubled, and the answer is that of now.
    """
    import hashlib

    from bilbs_cli import config, credentials, files, paths
    from bilbs_cli.progress import Transfer
    from bilbs_cli.support import carry, outbox, submit, upload

    if not file.is_file():
        raise NotFound(f"there is no file {file}", code="no-such-file", safe="nothing was sent")
    identity = ""
    if identity_file:
        text = credentials.find("identity", file=identity_file, variable="") or ""
        identity = next((line for line in text.splitlines() if line.startswith("AGE-SECRET-KEY-")), "")
    secret = "" if identity_file else _passphrase(passphrase_file, twice=False)
    with file.open("rb") as stream:
        name = hashlib.sha256(stream.read(LIMIT_OF_NAME)).hexdigest()[:16]
    folder = files.private_dir(paths.state_dir() / "carried" / name)
    with outbox.opened(folder / outbox.NAME) as box:
        carried = carry.read(file, folder, identity=identity, passphrase=secret)
        box.adopt(carried.entries)
        settings = config.load()
        report = submit.send(box, settings, budget_s=60.0, pace=upload.Pace(progress=Transfer(progress)))
        back = _answer(list(box.entries()), carried.reply_to, answer or file.with_name(f"{file.name}.answer"), settings)
        entries = [
            as_json(one) | {"answer_id": (one.answer or {}).get("id"), "number": (one.answer or {}).get("number")}
            for one in box.entries()
        ]
    waiting = [one for one in entries if one["state"] in {outbox.QUEUED, outbox.SENDING}]
    refused = [one for one in entries if one["state"] == outbox.REFUSED]
    data = {"entries": entries, "waiting": len(waiting), "stopped": report.stopped or None, "answer": back}
    errors = []
    if waiting:
        errors = [
            Queued(
                f"{len(waiting)} wait: {report.stopped or 'behind a refused one'}",
                safe="the file is as it was",
                next="the same command again",
            )
        ]
    numbers = ", ".join(str(one["number"]) for one in entries if one["number"])
    said = f"{len(entries) - len(waiting) - len(refused)} delivered, {len(waiting)} waiting, {len(refused)} refused"
    said += f"; tickets: {numbers}" if numbers else ""
    said += f"\nback on the box: bilbs support inbox import {back}" if back else ""
    terminal.emit("support.outbox.send", data, text=said, errors=errors)
    for one in refused:
        terminal.warn(f"{one['id']} was refused: {one['last_error']}")
    if errors:
        raise errors[0]


def _answer(entries: list[Entry], reply_to: str, target: Path, settings: Config) -> str | None:
    """Write what became of entries, with their tickets as they are now; return the file, None where there is nothing yet."""
    from bilbs_cli.support import answer_file
    from bilbs_cli.support.commands import ticket_desk

    ids = dict.fromkeys(
        str((one.answer or {}).get("id")) if one.kind == "ticket.open" else one.ticket
        for one in entries
        if one.state == "delivered"
    )
    if not reply_to or not any(one.state in {"delivered", "refused"} for one in entries):
        return None
    tickets: list[dict[str, Any]] = []
    timelines: dict[str, Any] = {}
    try:
        with ticket_desk.connected(settings) as desk:
            for name in filter(is_id, ids):
                found = desk.get(f"/tickets/{name}")
                tickets.append(found)
                timelines[str(found.get("id"))] = list(ticket_desk.events(desk, name))
    except BilbsError as error:  # what was delivered is known all the same
        terminal.warn(f"the answer is without what came after the receipts: {error}")
    try:
        answer_file.write(answer_file.document(entries, tickets, timelines), target, reply_to)
    except BilbsError as error:
        terminal.warn(f"no answer for the box was written: {error}")
        return None
    return str(target)


def _passphrase(file: Path | None, *, twice: bool) -> str:
    """Return the passphrase: from a private file, else asked for on the terminal, where nobody sees it."""
    import getpass
    import sys

    from bilbs_cli import credentials

    if file:
        return credentials.find("passphrase", file=file, variable="") or ""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageProblem(
            "a passphrase is needed, and stdin is not a terminal",
            code="needs-answer",
            safe="nothing was written",
            next="--passphrase-file FILE",
        )
    found = getpass.getpass("passphrase: ")
    if len(found) < SHORTEST:
        raise UsageProblem(f"the passphrase is too short: {SHORTEST} characters at least", safe="nothing was written")
    if twice and getpass.getpass("again: ") != found:
        raise UsageProblem("the two are not the same", safe="nothing was written")
    return found
