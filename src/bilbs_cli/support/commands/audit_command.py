"""`bilbs support audit`: what left this box, when, with which hash, and who agreed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import BilbsError, VerificationFailed

app = typer.Typer(add_completion=False)


@app.command()
def audit(
    desk: Annotated[
        bool, typer.Option("--desk", help="What the desk has noted, instead of this box.", show_default=False)
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that no line was changed or taken out.", show_default=False)
    ] = False,
    _json: terminal.Json = False,
) -> None:
    """Show the log of every write to the desk and every consent; each line names the hash of the one before."""
    if desk:
        _of_desk()
        return
    from bilbs_cli import files
    from bilbs_cli.support import audit as log

    broken: list[int] = []

    def told() -> Iterator[dict[str, Any]]:
        try:
            for line in log.lines():
                if not line.whole:
                    broken.append(line.number)
                yield {**line.data, "line": line.number, "whole": line.whole}
        except FileNotFoundError:
            return
        except (OSError, files.NotReadable) as error:
            raise BilbsError(f"cannot read {log.place()}: {error}", code="unreadable") from error

    count = terminal.stream("support.audit", "lines", told(), text=_show, more=lambda: {"broken": broken})
    if not count:
        terminal.note("nothing was ever sent from here")
    if broken:
        terminal.warn(f"{log.place()}: line {broken[0]} does not follow from the line before it")
        if verify:
            raise VerificationFailed(
                f"{len(broken)} lines were changed, cut or taken out",
                code="audit-broken",
                next=f"look at {log.place()}",
            )


def _show(line: dict[str, Any]) -> None:
    at, what, kind, ticket, answer = (str(line.get(name) or "-") for name in ("at", "what", "kind", "ticket", "answer"))
    sha256 = str(line.get("sha256") or "")[:16]
    rest = f"sha256 {sha256}..." if sha256 else str(line.get("file") or "")
    terminal.out(f"{at}  {what:10} {kind:15} {answer if ticket == '-' else ticket}  {rest}".rstrip())


def _of_desk() -> None:
    from bilbs_cli import config
    from bilbs_cli.support.commands import ticket_desk

    with ticket_desk.connected(config.load()) as there:
        found = there.pages("/audit-events", {"limit": ticket_desk.PAGE})
        terminal.stream(
            "support.audit.desk",
            "events",
            found,
            text=lambda one: terminal.out(f"{one.get('at')}  {one.get('who')}  {one.get('what')}"),
        )
