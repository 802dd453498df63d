"""What a shell asks at a key press: tickets and entries of the outbox, from this disk alone. Standard library only."""

import json
import os
import sys
from pathlib import Path  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli import paths

WORD = "__complete"
LIMIT, MOST = 8 << 20, 200
GOOD = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def run(arguments: list[str]) -> int:
    """Print the words for `tickets` or `outbox`, one a line; nothing, and exit 0, where there is nothing to be read."""
    known = {"tickets": tickets, "outbox": outbox}
    words = known[arguments[0]]() if arguments and arguments[0] in known else []
    safe = [word for word in words if word and set(word) <= GOOD][
        :MOST
    ]  # of a desk: they become part of a command line
    if safe:
        sys.stdout.write("\n".join(safe) + "\n")
    return 0


def tickets() -> list[str]:
    """Return the numbers of the tickets that were open when they were last seen."""
    path = paths.state_dir() / "tickets.json"
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            found = json.loads(stream.read(LIMIT))
        return [str(one.get("number")) for one in found["tickets"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def outbox() -> list[str]:
    """Return the ids of the entries of the outbox."""
    path = paths.state_dir() / "outbox" / "outbox.db"
    return _ids(path) if path.exists() else []


def _ids(path: Path) -> list[str]:
    import sqlite3

    try:
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0.05)
        try:
            rows = base.execute("select id from entry order by rowid desc limit ?", (MOST,)).fetchall()
        finally:
            base.close()
    except sqlite3.Error:
        return []
    return [str(row[0]) for row in rows]
