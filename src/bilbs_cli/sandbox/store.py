"""What the desk knows: one SQLite file and a folder of uploads; each request is one transaction."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bilbs_cli import files

NAME = "sandbox.db"
Document = dict[str, Any]

_TABLES = """
create table if not exists meta (key text primary key, value text not null);
create table if not exists ticket (
    seq integer primary key autoincrement, id text not null unique, number text not null unique,
    updated text not null, status text not null, severity text not null, dedup text, doc text not null);
create index if not exists ticket_status on ticket (status, seq desc);
create index if not exists ticket_dedup on ticket (dedup);
create table if not exists event (seq integer primary key autoincrement, ticket text not null, doc text not null);
create index if not exists event_ticket on event (ticket, seq);
create table if not exists document (
    seq integer primary key autoincrement, kind text not null, id text not null unique, doc text not null);
create index if not exists document_kind on document (kind, seq desc);
create table if not exists reply (
    key text primary key, print text not null, status integer not null, headers text not null, body text not null);
create table if not exists token (
    secret text primary key, kind text not null, scopes text not null, family text not null,
    expires real not null, used integer not null default 0);
create table if not exists due (seq integer primary key autoincrement, at real not null, doc text not null);
"""


class Store:
    """An open store. It may be used by many threads; each has a connection of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = files.private_dir(folder)
        self.uploads = files.private_dir(folder / "uploads")
        self.path = folder / NAME
        # What only a running desk knows. `hashed`: how many bytes of an upload its digest has seen, so that the end of a
        # large one need not be read again. `listed`: when the last lists were asked for.
        self.hashed: dict[str, tuple[int, Any]] = {}
        self.listed: list[float] = []
        self.lock = threading.Lock()
        self._busy: set[str] = set()
        self._local = threading.local()
        self.base.executescript(_TABLES)

    @property
    def base(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        found: sqlite3.Connection | None = getattr(self._local, "base", None)
        if found is None:
            found = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            found.execute("pragma journal_mode = wal")
            found.execute("pragma synchronous = normal")  # a killed desk loses nothing; a power cut costs a drill
            self._local.base = found
        return found

    @contextmanager
    def change(self) -> Iterator[None]:
        """Do everything inside or nothing."""
        base = self.base
        if base.in_transaction:
            yield
            return
        base.execute("begin immediate")
        try:
            yield
        except BaseException:
            base.execute("rollback")
            raise
        base.execute("commit")

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """Say whether no other request of this process is at something of that name, and keep others away from it."""
        with self.lock:
            mine = name not in self._busy
            self._busy.add(name)
        try:
            yield mine
        finally:
            if mine:
                with self.lock:
                    self._busy.discard(name)

    # settings of the desk itself

    def get(self, key: str, default: Any = None) -> Any:
        """Return a setting."""
        row = self.base.execute("select value from meta where key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else default

    def set(self, key: str, value: Any) -> None:
        """Keep a setting."""
        self.base.execute("insert or replace into meta (key, value) values (?, ?)", (key, json.dumps(value)))

    def count(self, name: str) -> int:
        """Return the next number of a row of numbers, from 1."""
        found = int(self.get(f"count:{name}", 0)) + 1
        self.set(f"count:{name}", found)
        return found

    # the clock

    def now(self) -> float:
        """Return the desk's own time in seconds since 1970: this machine's, moved by what was set."""
        return time.time() + float(self.get("clock", 0.0))

    def set_clock(self, moment: float | None) -> None:
        """Set the clock to a moment, or back to this machine's with None."""
        self.set("clock", 0.0 if moment is None else moment - time.time())

    # tickets and their events

    def put_ticket(self, doc: Document) -> None:
        """Insert a ticket, or replace the one with its id."""
        severity = doc["severity"]["current"]
        self.base.execute(
            "insert into ticket (id, number, updated, status, severity, dedup, doc) values (?, ?, ?, ?, ?, ?, ?) on conflict (id) do "
            "update set updated = excluded.updated, status = excluded.status, severity = excluded.severity, doc = excluded.doc",
            (
                doc["id"],
                doc["number"],
                doc["updated_at"],
                doc["status"],
                severity,
                doc.get("dedup_key"),
                json.dumps(doc),
            ),
        )

    def ticket(self, name: str) -> Document | None:
        """Return a ticket by id or number."""
        row = self.base.execute("select doc from ticket where id = ? or number = ?", (name, name)).fetchone()
        return json.loads(row[0]) if row else None

    def open_with(self, dedup: str) -> Document | None:
        """Return the ticket with that dedup_key that is neither resolved nor closed."""
        row = self.base.execute(
            "select doc from ticket where dedup = ? and status not in ('resolved', 'closed') order by seq desc limit 1",
            (dedup,),
        ).fetchone()
        return json.loads(row[0]) if row else None

    def tickets(
        self, status: list[str], severity: list[str], after: str, before: int, limit: int
    ) -> list[tuple[int, Document]]:
        """Return tickets with their sequence number, the newest first, from behind one (0: all) on."""
        where, values = ["1"], list[Any]()
        for column, wanted in (("status", status), ("severity", severity)):
            if wanted:
                where.append(f"{column} in ({', '.join('?' * len(wanted))})")
                values += wanted
        if after:
            where.append("updated > ?")
            values.append(after)
        if before:
            where.append("seq < ?")
            values.append(before)
        rows = self.base.execute(
            f"select seq, doc from ticket where {' and '.join(where)} order by seq desc limit ?",  # noqa: S608 - our own words
            (*values, limit),
        )
        return [(seq, json.loads(doc)) for seq, doc in rows]

    def add_event(self, ticket: str, kind: str, by: str, at: float, **more: Any) -> Document:
        """Add an entry to the timeline and return it."""
        doc = {"id": f"evt_{self.count('event')}", "at": rfc3339(at), "type": kind, "by": by} | {
            name: value for name, value in more.items() if value is not None
        }
        self.base.execute("insert into event (ticket, doc) values (?, ?)", (ticket, json.dumps(doc)))
        return doc

    def events(self, ticket: str, after: int = 0, limit: int = -1) -> list[tuple[int, Document]]:
        """Return the timeline with its sequence numbers, oldest first."""
        rows = self.base.execute(
            "select seq, doc from event where ticket = ? and seq > ? order by seq limit ?", (ticket, after, limit)
        )
        return [(seq, json.loads(doc)) for seq, doc in rows]

    # everything else

    def put(self, kind: str, doc: Mapping[str, Any]) -> None:
        """Insert a document, or replace the one with its id."""
        self.base.execute(
            "insert into document (kind, id, doc) values (?, ?, ?) on conflict (id) do update set doc = excluded.doc",
            (kind, doc["id"], json.dumps(doc)),
        )

    def find(self, kind: str, identity: str) -> Document | None:
        """Return a document."""
        row = self.base.execute("select doc from document where kind = ? and id = ?", (kind, identity)).fetchone()
        return json.loads(row[0]) if row else None

    def remove(self, kind: str, identity: str) -> None:
        """Delete a document."""
        self.base.execute("delete from document where kind = ? and id = ?", (kind, identity))

    def all(
        self, kind: str, *, before: int = 0, after: int = 0, limit: int = -1, oldest_first: bool = False
    ) -> list[tuple[int, Document]]:
        """Return the documents of a kind with their sequence numbers, from behind a cursor on."""
        order = "asc" if oldest_first else "desc"
        rows = self.base.execute(
            f"select seq, doc from document where kind = ? and (? = 0 or seq < ?) and seq > ? order by seq {order} limit ?",  # noqa: S608 - our own word
            (kind, before, before, after, limit),
        )
        return [(seq, json.loads(doc)) for seq, doc in rows]

    def audit(self, who: str, what: str, sha256: str | None = None) -> None:
        """Note who did what."""
        at = rfc3339(self.now())
        self.put("audit", {"id": f"aud_{self.count('audit')}", "at": at, "who": who, "what": what, "sha256": sha256})

    # what the simulated people will do

    def later(self, at: float, **doc: Any) -> None:
        """Note something that happens at a moment of the desk's clock."""
        self.base.execute("insert into due (at, doc) values (?, ?)", (at, json.dumps(doc)))

    def take_due(self, now: float) -> list[tuple[float, Document]]:
        """Take out what has become due, in its order."""
        rows = self.base.execute("select seq, at, doc from due where at <= ? order by at, seq", (now,)).fetchall()
        self.base.executemany("delete from due where seq = ?", [(seq,) for seq, _, _ in rows])
        return [(at, json.loads(doc)) for _, at, doc in rows]


def rfc3339(seconds: float) -> str:
    """Return a moment as RFC 3339 in UTC, whole seconds."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def seconds(text: str) -> float:
    """Return an RFC 3339 time as seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def minted(prefix: str) -> str:
    """Return a fresh opaque id."""
    return f"{prefix}_{secrets.token_hex(6)}"
