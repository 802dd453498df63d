"""`bilbs support ticket attach`: a file to a ticket; said to be attached only after the desk's digest is ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import BilbsError, NotFound, Queued, UsageProblem
from bilbs_cli.support.commands.ticket_flags import Ticket

if TYPE_CHECKING:
    from bilbs_cli.config import Config

app = typer.Typer(add_completion=False)

BUDGET_S = 60.0  # without one more part in that time it waits in the outbox


@app.command()
def attach(
    ticket: Ticket,
    file: Annotated[Path, typer.Argument(help="The file; it is read and never changed.", metavar="FILE")],
    purpose: Annotated[str, typer.Option("--purpose", help="diag, log or other.")] = "other",
    limit_rate: Annotated[
        str | None, typer.Option("--limit-rate", metavar="SIZE", help="Bytes a second at most: 2M.")
    ] = None,
    progress: Annotated[str, typer.Option("--progress", help="auto, rich, plain or none.")] = "auto",
    _json: terminal.Json = False,
) -> None:
    """Attach a file. It goes on where it was after any interruption: bilbs support outbox flush."""
    from bilbs_cli import config
    from bilbs_cli.support import submit

    if purpose not in {"diag", "log", "other"}:
        raise UsageProblem(f"--purpose {purpose}: diag, log or other", safe="nothing was sent")
    done = attached(submit.reference(ticket), file, purpose, config.load(), rate=rate_of(limit_rate), progress=progress)
    terminal.emit(
        "support.ticket.attach", done, text=f"{done['filename']} is attached to {ticket}: sha256 {done['sha256']}"
    )


def rate_of(text: str | None) -> int:
    """Return bytes a second, 0 for as fast as it goes. Raises `UsageProblem`."""
    from bilbs_cli.quantities import parse_size

    if text is None:
        return 0
    try:
        return max(parse_size(text), 1)
    except ValueError as error:
        raise UsageProblem(f"--limit-rate: {error}", safe="nothing was sent") from error


def attached(
    ticket: str, file: Path, purpose: str, settings: Config, *, rate: int = 0, progress: str = "auto"
) -> dict[str, Any]:
    """Queue a file and send it; return what the desk says of it.

    Raises `NotFound`, `Queued` where it waits, `BilbsError` where the desk refused it.
    """
    from bilbs_cli import files
    from bilbs_cli.progress import Transfer
    from bilbs_cli.support import submit, upload

    try:
        body = upload.described(file, purpose)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {file}", code="no-such-file", safe="nothing was sent") from error
    except (OSError, files.NotReadable) as error:
        raise BilbsError(f"cannot read {file}: {error}", code="unreadable", safe="nothing was sent") from error
    pace = upload.Pace(rate, Transfer(progress))
    done = submit.submit("ticket.attach", body, settings, ticket=ticket, budget_s=BUDGET_S, pace=pace)
    if done.delivered:
        answer = done.entry.answer or {}
        fields = {name: answer.get(name) for name in ("id", "filename", "size", "sha256")}
        return {**fields, "state": "delivered", "outbox": done.entry.id, "file": str(file)}
    if done.entry.state == "refused":
        raise BilbsError(
            f"{file} is not attached: {done.reason}",
            code="refused",
            safe="the file is untouched",
            next=f"bilbs support outbox show {done.entry.id}",
        )
    raise Queued(
        f"{file} is not attached yet: {done.reason}",
        safe=f"the file is untouched, and {done.entry.id} waits in the outbox",
        next="bilbs support outbox flush   (goes on where it was)",
    )
