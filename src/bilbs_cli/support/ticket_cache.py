"""The tickets as they were last seen: for `status` and completion without a network. The desk's word is the newer one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bilbs_cli import files, paths
from bilbs_cli.errors import OutputUnwritable

MOST, LIMIT = 200, 8 << 20
KEPT = (
    "id",
    "number",
    "subject",
    "severity",
    "status",
    "kind",
    "received_at",
    "updated_at",
    "assignee",
    "sla",
    "rma_id",
)
DONE = ("resolved", "closed")


class Seen(NamedTuple):
    """Tickets with the moment at which the desk was asked, in seconds since 1970."""

    at: float
    tickets: tuple[dict[str, Any], ...]


def place() -> Path:
    """Return the file."""
    return paths.state_dir() / "tickets.json"


def read() -> Seen | None:
    """Return what was last seen, None where there is nothing (any more) that can be read."""
    try:
        with files.open_regular(place()) as stream:
            found = json.loads(stream.read(LIMIT))
        return Seen(float(found["at"]), tuple(one for one in found["tickets"] if isinstance(one, dict)))
    except (OSError, files.NotReadable, ValueError, KeyError, TypeError, RecursionError):
        return None


def replace(tickets: Iterable[Mapping[str, Any]]) -> None:
    """Keep all open tickets, as a list has just shown them."""
    _write(Seen(time.time(), tuple(_short(one) for one in tickets)[:MOST]))


def remember(ticket: Mapping[str, Any]) -> None:
    """Keep one ticket as it was just seen; one that is done is forgotten."""
    if not isinstance(ticket.get("id"), str):
        return
    known = read() or Seen(0, ())
    others = [one for one in known.tickets if one.get("id") != ticket["id"]]
    mine = [] if ticket.get("status") in DONE else [_short(ticket)]
    _write(Seen(known.at or time.time(), (*mine, *others)[:MOST]))


def _short(ticket: Mapping[str, Any]) -> dict[str, Any]:
    return {name: ticket[name] for name in KEPT if name in ticket}


def _write(seen: Seen) -> None:
    with suppress(OutputUnwritable, OSError):  # a full disk costs the memory of it, nothing else
        files.private_dir(place().parent)
        files.write_private(place(), json.dumps({"at": seen.at, "tickets": seen.tickets}).encode())
