"""The command-line options that `diag collect`, `list` and `check` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="NAME", help="Only this collector (repeat it, or a,b).")
]
Skip = Annotated[
    list[str] | None, typer.Option("--skip", metavar="NAME", help="All but this collector (repeat it, or a,b).")
]
Sysroot = Annotated[
    Path | None, typer.Option("--sysroot", metavar="DIR", help="Read a mounted dead system instead of this one.")
]
BmcHost = Annotated[
    str | None, typer.Option("--bmc-host", metavar="HOST", help="Read a remote BMC (RMCP+) instead of /dev/ipmi0.")
]
BmcUser = Annotated[str | None, typer.Option("--bmc-user", metavar="USER", help="Its user.")]
BmcPort = Annotated[int | None, typer.Option("--bmc-port", metavar="PORT", help="Its UDP port.", show_default="623")]
BmcPasswordFile = Annotated[
    Path | None,
    typer.Option("--bmc-password-file", metavar="FILE", help="Its password; or BILBS_BMC_PASSWORD, or a credential."),
]
Progress = Annotated[
    str, typer.Option("--progress", metavar="auto|rich|plain|none", help="How to show what is going on (stderr).")
]
