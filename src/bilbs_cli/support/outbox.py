"""The outbox: what is to be sent to the desk, committed to disk with its idempotency key before the first send.

One SQLite file, written with full synchronisation. An entry is never deleted by a delivery: it becomes `delivered` or
`refused` and stays to be looked at.
"""

import json
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from bilbs_cli import files, paths
from bilbs_cli.errors import BilbsError, NotFound, OutputUnwritable

QUEUED, SENDING, DELIVERED, REFUSED = "queued", "sending", "delivered", "refused"
STATES = (QUEUED, SENDING, DELIVERED, REFUSED)
VERSION = 2
NAME = "outbox.db"
BUSY_S = 10
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the last place that a box with a full disk still has; a folder of our own, 0700

_TABLE = """
create table entry (
    number integer primary key autoincrement,  -- the order of writing is the order of sending
    id text not null unique,
    kind text not null,
    ticket text not null default '',
    after text not null default '',
    body text not null,
    key text not null unique,
    state text not null default 'queued',
    attempts integer not null default 0,
    last_error text not null default '',
    occurred_at text not null,
    created_at real not null,
    not_before real not null default 0,
    delivered_at real,
    answer text,
    progress text
)
"""
_UPGRADES = {1: "alter table entry add column progress text"}


class Entry(NamedTuple):
    """One thing to send.

    `ticket` is the desk's id of the ticket it belongs to; where the ticket itself is not delivered yet, `after` is the
    id of the entry that opens it. `key` is the idempotency key, minted once. `answer` is what the desk said in the end,
    `progress` how far an upload has come.
    Times are seconds since 1970; `occurred_at` is RFC 3339.
    """

    id: str
    kind: str
    ticket: str
    after: str
    body: dict[str, Any]
    key: str
    state: str
    attempts: int
    last_error: str
    occurred_at: str
    created_at: float
    not_before: float
    delivered_at: float | None
    answer: dict[str, Any] | None
    progress: dict[str, Any] | None = None

    @property
    def chain(self) -> str:
        """Return what orders it: entries of one chain are sent one after the other."""
        return self.after or (self.id if self.kind == "ticket.open" else self.ticket) or self.id


_COLUMNS = ", ".join(Entry._fields)
_INTO = "into entry (id, kind, ticket, after, body, key, occurred_at, created_at) values (?, ?, ?, ?, ?, ?, ?, ?)"


class Outcome(NamedTuple):
    """What became of an entry that was tried `tries` times; `not_before` in seconds since 1970."""

    id: str
    state: str
    error: str = ""
    not_before: float = 0
    answer: Mapping[str, Any] | None = None
    tries: int = 1


class Standing(NamedTuple):
    """How an outbox stands. `oldest` is when the oldest entry that waits was written, in seconds since 1970; None without one."""

    waiting: int
    refused: int
    oldest: float | None


class Damaged(BilbsError):
    """The outbox file is no database any more; it was moved aside, nothing of it was deleted."""

    code = "outbox-damaged"


class Outbox:
    """An open outbox. `volatile` means that it lies in memory, because no disk could be written."""

    def __init__(self, path: Path, *, volatile: bool = False) -> None:
        self.path, self.volatile = path, volatile
        self._base = _connected(path)

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def add(self, kind: str, body: Mapping[str, Any], *, occurred_at: str, ticket: str = "", after: str = "") -> Entry:
        """Commit a new entry, synchronised to the disk, and return it. Raises `OutputUnwritable`; nothing is added then."""
        identity = f"ob_{secrets.token_hex(6)}"
        values = (identity, kind, ticket, after, json.dumps(body), secrets.token_urlsafe(24), occurred_at, time.time())
        self._write(f"insert {_INTO}", values)
        return self.get(identity)

    def adopt(self, entries: Sequence[Entry]) -> None:
        """Take entries of another box over, keys and order as they are; those that are here already stay."""
        self._write(
            f"insert or ignore {_INTO}",
            *(
                (e.id, e.kind, e.ticket, e.after, json.dumps(e.body), e.key, e.occurred_at, e.created_at)
                for e in entries
            ),
        )

    def get(self, identity: str) -> Entry:
        """Return the entry whose id begins with `identity` (4 characters or more). Raises `NotFound`."""
        bare = identity.removeprefix("ob_")
        found = (
            list(self._read("where substr(id, 4, ?) = ? order by number limit 2", (len(bare), bare)))
            if len(bare) >= 4
            else []
        )
        if len(found) != 1:
            what = "more than one entry begins with" if found else "no entry"
            raise NotFound(f"{what} {identity} in the outbox", code="no-such-entry", next="bilbs support outbox list")
        return found[0]

    def find(self, identity: str) -> Entry | None:
        """Return the entry with exactly that id, None without one."""
        return next(self._read("where id = ?", (identity,)), None)

    def entries(self, *states: str) -> Iterator[Entry]:
        """Yield the entries in the order of writing, of some states only where given."""
        marks = ", ".join("?" * len(states))
        yield from self._read(f"where state in ({marks}) order by number" if states else "order by number", states)

    def waiting(self) -> list[tuple[str, str, str]]:
        """Return id, kind and chain of what is to be sent, in the order of writing; the bodies stay on the disk."""
        rows = self._base.execute(
            "select id, kind, case when after != '' then after when kind = 'ticket.open' or ticket = '' then id else ticket end "
            "from entry where state in (?, ?) order by number",
            (QUEUED, SENDING),
        )
        return [tuple(row) for row in rows]

    def standing(self) -> Standing:
        """Return how many wait and were refused, and since when the oldest waits; no text is read for it."""
        row = self._base.execute(
            "select sum(state in (?, ?)), sum(state = ?), min(case when state in (?, ?) then created_at end) from entry",
            (QUEUED, SENDING, REFUSED, QUEUED, SENDING),
        ).fetchone()
        return Standing(row[0] or 0, row[1] or 0, row[2])

    def sending(self, identities: Iterable[str]) -> None:
        """Note, before the bytes leave, that entries are tried."""
        self._write(
            "update entry set state = ? where id = ? and state = ?", *((SENDING, one, QUEUED) for one in identities)
        )

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Note what became of entries, all or none of it on the disk; each counts as one more try."""
        self._write(
            "update entry set state = ?, last_error = ?, not_before = ?, answer = ?, delivered_at = ?, attempts = attempts + ? "
            "where id = ? and state != 'delivered'",  # what another process has delivered stays so
            *(
                (
                    one.state,
                    one.error,
                    one.not_before,
                    json.dumps(one.answer) if one.answer is not None else None,
                    time.time() if one.state == DELIVERED else None,
                    one.tries,
                    one.id,
                )
                for one in outcomes
            ),
        )

    def keep_progress(self, entry: Entry, progress: Mapping[str, Any]) -> None:
        """Note how far an upload has come, so that any process can go on with it."""
        self._write("update entry set progress = ? where id = ?", (json.dumps(progress), entry.id))

    def drop(self, entry: Entry) -> None:
        """Delete an entry that a person gives up."""
        self._write("delete from entry where id = ?", (entry.id,))

    def _read(self, rest: str, values: tuple[Any, ...] = ()) -> Iterator[Entry]:
        for row in self._base.execute(f"select {_COLUMNS} from entry {rest}", values):  # noqa: S608 - our own words
            fields = dict(zip(Entry._fields, row, strict=True))
            for name in ("body", "answer", "progress"):
                fields[name] = json.loads(fields[name]) if fields[name] else None
            yield Entry(**fields)

    def _write(self, statement: str, *rows: tuple[Any, ...]) -> None:
        try:
            with self._base:  # commits, with fsync(2), or rolls back
                self._base.executemany(statement, rows)
        except sqlite3.OperationalError as error:
            raise _unwritable(self.path, error) from error


def _unwritable(path: Path, error: sqlite3.Error) -> OutputUnwritable:
    full = "full" in str(error)
    return OutputUnwritable(
        f"cannot write the outbox {path}: {error}",
        code="disk-full" if full else "outbox-unwritable",
        next=f"free some space on {files.device_of(files.existing_parent(path))}"
        if full
        else "check the folder's rights",
    )


def _connected(path: Path) -> sqlite3.Connection:
    """Return the database at `path`, made if absent, private, with every commit on the disk before it returns."""
    made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(made)
    base = sqlite3.connect(path, timeout=BUSY_S)
    try:
        _prepare(base, path)
    except BaseException:
        base.close()
        raise
    return base


def _prepare(base: sqlite3.Connection, path: Path) -> None:
    base.execute("pragma synchronous = extra")
    base.execute("pragma journal_mode = delete")
    with base:
        base.execute("begin immediate")
        version = base.execute("pragma user_version").fetchone()[0]
        if version == 0:
            base.execute(_TABLE)
        for older in range(version, VERSION) if version else ():
            base.execute(_UPGRADES[older])
        if version < VERSION:
            base.execute(f"pragma user_version = {VERSION}")
    if version > VERSION:
        raise BilbsError(
            f"{path} was written by a newer bilbs (outbox {version}, known {VERSION})",
            code="outbox-newer",
            safe="it was not touched",
            next="install that bilbs again",
        )
    found = base.execute("pragma quick_check").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def place() -> Path:
    """Return where the outbox lies."""
    return paths.state_dir() / "outbox" / NAME


@contextmanager
def opened(path: Path | None = None) -> Iterator[Outbox]:
    """Open the outbox; where no disk can be written, one in shared memory, which does not survive a reboot.

    A file that is no database any more is moved aside and named (`Damaged`). Raises `OutputUnwritable` where nothing can
    be written at all.
    """
    box = _open(path or place())
    try:
        yield box
    finally:
        box.close()


def _open(path: Path) -> Outbox:
    try:
        files.private_dir(path.parent)
        return Outbox(path)
    except sqlite3.OperationalError as error:
        disk_problem: Exception = _unwritable(path, error)
    except sqlite3.DatabaseError as error:
        raise _moved_aside(path, error) from error
    except (OSError, OutputUnwritable) as error:
        disk_problem = error
    try:
        folder = files.private_dir(SHARED_MEMORY / f"bilbs-{os.geteuid()}")
        return Outbox(folder / NAME, volatile=True)
    except (OSError, OutputUnwritable, sqlite3.Error):
        raise (
            disk_problem if isinstance(disk_problem, OutputUnwritable) else _no_place(path, disk_problem)
        ) from disk_problem


def _no_place(path: Path, error: Exception) -> OutputUnwritable:
    return OutputUnwritable(f"cannot write the outbox {path}: {error}", code="outbox-unwritable")


def _moved_aside(path: Path, error: sqlite3.DatabaseError) -> Damaged:
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    with suppress(OSError):
        path.rename(aside)
    return Damaged(
        f"the outbox {path} is damaged ({error})",
        safe=f"nothing of it was deleted: it is {aside} now; a new one is begun with the next command",
        next=f"sqlite3 {aside} .recover, or send it to support",
    )


def waiting_in_memory() -> Path | None:
    """Return the outbox in shared memory, None where there is none."""
    path = SHARED_MEMORY / f"bilbs-{os.geteuid()}" / NAME
    return path if path.exists() else None
