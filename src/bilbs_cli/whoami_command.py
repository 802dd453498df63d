"""`bilbs whoami`: whose login this is, what it may do, and when it ends."""

from __future__ import annotations

import typer

from bilbs_cli import terminal

app = typer.Typer(add_completion=False)


@app.command()
def whoami(_json: terminal.Json = False) -> None:
    """Say whose login this is, by the desk."""
    from bilbs_cli import config
    from bilbs_cli.support.commands import ticket_desk

    settings = config.load()
    with ticket_desk.connected(settings) as desk:
        found = desk.get("/me")
        api = desk.base
    scopes = found.get("scopes")
    lines = [
        f"{found.get('name') or found.get('id')} ({found.get('kind')})",
        f"account  {found.get('account')}, role {found.get('role') or '-'}",
        f"may      {' '.join(map(str, scopes)) if isinstance(scopes, list) else '-'}",
        f"until    {found.get('expires_at') or 'not said'}",
        f"desk     {api}",
    ]
    terminal.emit("whoami", {**found, "api": api}, text="\n".join(lines))
