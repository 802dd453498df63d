"""`bilbs logout`: the login is deleted from this box and revoked at the desk."""

from __future__ import annotations

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import Unavailable

app = typer.Typer(add_completion=False)


@app.command()
def logout(_json: terminal.Json = False) -> None:
    """Delete the login of this box and revoke it at the desk."""
    from bilbs_cli import config
    from bilbs_cli.support import audit, login

    try:
        was = login.forget(config.load())
    except Unavailable as error:
        terminal.warn(f"it is gone from this box, but could not be revoked: {error}")
        was = True
    if was:
        audit.note("logged out")
    terminal.emit("logout", {"was_logged_in": was}, text="logged out" if was else "nobody was logged in")
