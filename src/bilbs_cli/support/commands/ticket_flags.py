"""The arguments that several ticket commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Ticket = Annotated[
    str, typer.Argument(help="BB-1234, tkt_..., or ob_... of one that is still queued.", metavar="TICKET")
]
Message = Annotated[str | None, typer.Option("--message", "-m", metavar="TEXT", help="The text.")]
File = Annotated[str | None, typer.Option("--file", "-F", metavar="FILE", help="The text from a file; - for stdin.")]
