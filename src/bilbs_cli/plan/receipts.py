"""What was agreed to, on the disk: the step that is under way, with its key, before it is sent; the receipt after it.

<state>/plan/pending.json            a step that has no receipt yet; it is sent again with the same key, never with another
<state>/plan/receipts/TIME-WHAT.json what was agreed: the quote with its text, the desk's answer, the key
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bilbs_cli import files, paths
from bilbs_cli.errors import BilbsError, Conflict

LIMIT = 1 << 20


class Pending(NamedTuple):
    """A step that was agreed to: `quote` is the document that was shown, `asked` tier and boxes of the command line."""

    key: str
    at: str
    api: str
    quote: dict[str, Any]
    asked: dict[str, Any]


def folder() -> Path:
    """Return the folder."""
    return paths.state_dir() / "plan"


@contextmanager
def alone() -> Iterator[None]:
    """Keep other runs of this user away. Raises `Conflict` where one is at it, `OutputUnwritable`."""
    files.private_dir(folder())
    with files.locked(folder() / "lock") as mine:
        if not mine:
            raise Conflict(
                "another run on this box is changing the plan",
                code="busy",
                safe="nothing was changed",
                next="bilbs plan status",
            )
        yield


def begin(api: str, quote: Mapping[str, Any], asked: Mapping[str, Any]) -> Pending:
    """Mint a key and commit the step to the disk before it is sent. Raises `OutputUnwritable`: then nothing is sent."""
    found = Pending(secrets.token_urlsafe(24), _now(), api, dict(quote), dict(asked))
    files.private_dir(folder())
    files.write_private(_pending(), json.dumps(found._asdict()).encode())
    return found


def pending() -> Pending | None:
    """Return the step without a receipt, None where there is none. Raises `BilbsError` for a file that is damaged."""
    try:
        with files.open_regular(_pending()) as stream:
            found = json.loads(stream.read(LIMIT))
        return Pending(
            str(found["key"]), str(found["at"]), str(found["api"]), dict(found["quote"]), dict(found["asked"])
        )
    except FileNotFoundError:
        return None
    except (OSError, files.NotReadable, ValueError, KeyError, TypeError) as error:
        raise BilbsError(
            f"{_pending()} cannot be read: {error}",
            code="pending-damaged",
            safe="it names a step of the plan that may have been taken; nothing was sent now",
            next="bilbs plan status; then move that file away",
        ) from error


def forget() -> None:
    """Forget the step: it was refused, or its receipt is written."""
    _pending().unlink(missing_ok=True)


def keep(what: str, answer: Mapping[str, Any], step: Mapping[str, Any]) -> Path:
    """Write the receipt of something that was done and return its path. Raises `OutputUnwritable`."""
    where = files.private_dir(folder() / "receipts")
    path = where / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{what}-{secrets.token_hex(2)}.json"
    document = {"schema_version": 1, "what": what, "at": _now(), **step, "answer": dict(answer)}
    files.write_private(path, json.dumps(document, indent=2).encode() + b"\n")
    return path


def _pending() -> Path:
    return folder() / "pending.json"


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
