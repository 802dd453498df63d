"""What the commands that read tickets share: a connection, the account's zone, the tickets of a filter."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from typing import Any

from bilbs_cli.config import Config
from bilbs_cli.errors import LoginNeeded, NotFound
from bilbs_cli.support import api, login, outbox, submit

PAGE = 100


@contextmanager
def connected(settings: Config) -> Iterator[api.Desk]:
    """Connect to the desk. Raises `LoginNeeded` where nobody is logged in."""
    secret = login.token(settings)
    if secret is None:
        raise LoginNeeded("nobody is logged in on this box", safe="nothing was sent", next="bilbs login")
    with submit.desk(settings, secret) as desk:
        yield desk


def zone(settings: Config) -> tzinfo:
    """Return the account's zone, for people."""
    from bilbs_cli.support import card_file, zones

    return zones.account_zone(None, settings.value("support.timezone"), card_file.fields().get("zone", "")).zone


def now(desk: api.Desk | None = None) -> datetime:
    """Return this moment: by the desk's clock, which decides, where it has answered; else by this machine's."""
    return (desk.date if desk else None) or datetime.now(UTC)


def name_at_desk(text: str) -> str:
    """Return a ticket's name at the desk; an entry of the outbox that was delivered is the ticket that it opened.

    Raises `UsageProblem`, and `NotFound` for one that the desk does not have yet.
    """
    found = submit.reference(text)
    if not found.startswith("ob_"):
        return found
    with outbox.opened() as box:
        entry = box.get(found)
    answer = entry.answer or {}
    name = answer.get("id") if entry.kind == "ticket.open" else entry.ticket
    if not isinstance(name, str) or not name:
        raise NotFound(
            f"{entry.id} has not reached the desk: {entry.state}",
            code="not-delivered",
            safe="it is on this disk",
            next=f"bilbs support outbox show {entry.id}",
        )
    return submit.reference(name)


def events(desk: api.Desk, ticket: str) -> Iterator[dict[str, Any]]:
    """Yield a ticket's timeline, oldest first."""
    return desk.pages(f"/tickets/{ticket}/events", {"limit": PAGE})


def on_terminal() -> bool:
    """Say whether a person looks at stdout."""
    return sys.stdout is not None and sys.stdout.isatty()
