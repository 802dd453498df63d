"""`bilbs support pager` for the ordinary parser: help, `-v`, a wrong flag. `support.pager` does the work."""

from __future__ import annotations

from typing import Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.support import pager as number

app = typer.Typer(add_completion=False)


@app.command()
def pager(
    uri: Annotated[bool, typer.Option("--uri", help="Print it as tel:+... (RFC 3966).")] = False,
    qr: Annotated[bool, typer.Option("--qr", help="Draw it as a QR code too, for a telephone's camera.")] = False,
    as_json: terminal.Json = False,
) -> None:
    """Print the 24/7 pager number. It works with no network, HOME, root, settings, plan or disk.

    The first of these that has a number: BILBS_PAGER, your card (bilbs support card set), /etc/bilbs/card.toml, the card
    last fetched from the desk.
    """
    flags = [name for name, given in (("--uri", uri), ("--qr", qr), ("--json", as_json)) if given]
    raise typer.Exit(number.run(flags))
