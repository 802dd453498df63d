"""`bilbs login`: the device grant for people on SSH, a token for machines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import UsageProblem

if TYPE_CHECKING:
    from bilbs_cli.config import Config

app = typer.Typer(add_completion=False)


@app.command()
def login(
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Take a token from stdin.")] = False,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="Take a token from a file that only you can read."),
    ] = None,
    _json: terminal.Json = False,
) -> None:
    """Log in to support: type the code that is shown into a browser on any other device.

    Nothing of the token ever stands in the command line. BILBS_TOKEN and systemd credentials need no login.
    """
    from bilbs_cli import config, credentials
    from bilbs_cli.support import audit
    from bilbs_cli.support import login as logins

    if token_stdin and token_file:
        raise UsageProblem("--token-stdin and --token-file do not go together")
    settings = config.load()
    if token_stdin or token_file:
        text = sys.stdin.read(8192) if token_stdin else credentials.find("token", file=token_file, variable="") or ""
        found = logins.given(settings, text)
    else:
        code = logins.begin(settings)
        terminal.note(f"Open {code.url} on any device and type: {code.user_code}")
        _draw(code.complete_url)
        terminal.note("Waiting (Ctrl-C ends it; nothing is stored before you have said yes there) ...")
        found = logins.wait(settings, code)
    logins.keep(found)
    audit.note("logged in", answer=found.origin)
    _fetch_card(settings)
    terminal.emit("login", {"api": found.origin, "stored": str(logins.place())}, text=f"logged in to {found.origin}")


def _fetch_card(settings: Config) -> None:
    """Keep the account's card on this box, so that the pager works without a network; a login is good without it."""
    from bilbs_cli.errors import BilbsError
    from bilbs_cli.support import card_fetch
    from bilbs_cli.support.commands import ticket_desk

    try:
        with ticket_desk.connected(settings) as desk:
            card_fetch.fetch(desk)
    except BilbsError as error:
        terminal.warn(f"the contact card could not be fetched: {error}")


def _draw(url: str) -> None:
    """Draw a QR code of the address on a terminal; without one, or without the library, the address is enough."""
    if terminal.is_rich(sys.stderr) and terminal.is_rich(sys.stdout):
        from bilbs_cli.support import qr

        terminal.raw(qr.for_terminal(url).encode())
