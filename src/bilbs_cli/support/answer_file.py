"""What comes back to a box without a network: receipts and tickets of what a laptop has sent for it, encrypted to the box.

    bilbs answer 1
    an age file (X25519) of one JSON document: what became of each entry, the tickets as they are now, their timelines

The box has a key of its own for this (`<state>/inbox/key.txt`); its public half travels in the export, which only the
laptop can open: who does not know it cannot write an answer.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bilbs_cli import credentials, files, paths
from bilbs_cli.errors import BilbsError, NotFound, UsageProblem
from bilbs_cli.support.outbox import DELIVERED, REFUSED, Entry, Outbox, Outcome

MAGIC = b"bilbs answer 1\n"
LIMIT = 256 << 20
NAME = "key.txt"


def folder() -> Path:
    """Return the folder of answers that came in."""
    return paths.state_dir() / "inbox"


def recipient() -> str:
    """Return the public half of this box's key, which is made when there is none. Raises `OutputUnwritable`."""
    import pyrage

    place = files.private_dir(folder()) / NAME
    if not place.exists():
        files.write_private(place, f"{pyrage.x25519.Identity.generate()}\n".encode())
    return str(_identity().to_public())


def _identity() -> Any:
    import pyrage

    text = credentials.find("inbox", file=folder() / NAME, variable="") if (folder() / NAME).exists() else None
    if not text:
        raise NotFound(
            "this box has no key for answers: it has never exported its outbox",
            code="no-inbox-key",
            safe="nothing was changed",
            next="import the answer on the box that made the export",
        )
    return pyrage.x25519.Identity.from_str(text.strip())


def document(
    entries: Iterable[Entry], tickets: Sequence[Mapping[str, Any]], timelines: Mapping[str, Any]
) -> dict[str, Any]:
    """Return an answer: what became of entries, tickets as the desk gives them, their timelines by id."""
    rows = [
        {"id": one.id, "key": key_of(one), "state": one.state, "answer": one.answer, "error": one.last_error}
        for one in entries
        if one.state in {DELIVERED, REFUSED}
    ]
    return {"entries": rows, "tickets": list(tickets), "timelines": dict(timelines)}


def key_of(entry: Entry) -> str:
    """Return the hash of an entry's key: with it an answer is that of this entry and of no other."""
    return hashlib.sha256(entry.key.encode()).hexdigest()[:32]


def write(found: Mapping[str, Any], target: Path, reply_to: str) -> None:
    """Write an answer, encrypted to a box. Raises `OutputUnwritable`, `BilbsError` for a key that is none."""
    import pyrage

    try:
        key = pyrage.x25519.Recipient.from_str(reply_to)
    except pyrage.RecipientError as error:
        raise BilbsError("the export names no key for an answer", code="no-reply-key") from error
    files.write_private(target, MAGIC + pyrage.encrypt(json.dumps(found).encode(), [key]))


def read(source: Path) -> dict[str, Any]:
    """Return an answer. Raises `UsageProblem` for one of another box, `BilbsError` for what is none."""
    import pyrage

    own = _identity()
    try:
        with files.open_regular(source) as raw, os.fdopen(os.dup(raw.fileno()), "rb") as stream:
            if stream.readline(len(MAGIC)) != MAGIC:
                raise BilbsError(f"{source} is no answer file", code="not-an-answer", safe="nothing was changed")
            found = json.loads(pyrage.decrypt(stream.read(LIMIT), [own]))
    except pyrage.DecryptError as error:
        raise UsageProblem(
            f"{source} is not for this box, or damaged", code="wrong-key", safe="nothing was changed"
        ) from error
    except (OSError, files.NotReadable, ValueError, RecursionError) as error:
        raise BilbsError(f"cannot read {source}: {error}", code="unreadable", safe="nothing was changed") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(name), list) for name in ("entries", "tickets")):
        raise BilbsError(f"{source} is no answer file", code="not-an-answer", safe="nothing was changed")
    return found


def take(found: Mapping[str, Any], box: Outbox) -> tuple[list[Entry], list[dict[str, Any]]]:
    """Note in the outbox what became of its entries; return those, and the tickets, which are kept for `inbox show`.

    An entry is only touched where its key is the one that was sent. Raises `OutputUnwritable`.
    """
    outcomes = []
    for row in found["entries"]:
        entry = box.find(str(row.get("id"))) if isinstance(row, dict) else None
        if entry is None or entry.state == DELIVERED or row.get("key") != key_of(entry):
            continue
        state, answer = row.get("state"), row.get("answer")
        if state == DELIVERED and isinstance(answer, dict):
            outcomes.append(Outcome(entry.id, DELIVERED, answer=answer, tries=0))
        elif state == REFUSED:
            outcomes.append(Outcome(entry.id, REFUSED, str(row.get("error"))[:2000], tries=0))
    box.settle(outcomes)
    timelines = found.get("timelines")
    tickets = [one for one in found["tickets"] if isinstance(one, dict) and isinstance(one.get("id"), str)]
    where = files.private_dir(folder())
    for one in tickets:
        events = timelines.get(one["id"]) if isinstance(timelines, dict) else None
        kept = {"ticket": one, "events": [event for event in events or [] if isinstance(event, dict)]}
        files.write_private(
            where / f"{hashlib.sha256(one['id'].encode()).hexdigest()[:24]}.json", json.dumps(kept).encode()
        )
    return [entry for one in outcomes if (entry := box.find(one.id))], tickets


def kept() -> list[dict[str, Any]]:
    """Return the tickets that came in, each with its timeline, the newest first."""
    found = []
    for path in folder().glob("*.json"):
        with suppress(OSError, files.NotReadable, ValueError), files.open_regular(path) as stream:
            one = json.loads(stream.read(LIMIT))
            if isinstance(one, dict) and isinstance(one.get("ticket"), dict):
                found.append(one)
    return sorted(found, key=lambda one: str(one["ticket"].get("updated_at")), reverse=True)
