"""The event database of rasdaemon(8): memory errors, PCIe AER and machine checks that the kernel reported."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

TABLES = ("mc_event", "aer_event", "mce_record", "extlog_event", "devlink_event", "disk_errors", "memory_failure_event")
ROWS = 500
STEPS = 2_000_000  # of SQLite's machine per table: a hostile file must not keep it busy


def events(path: Path) -> dict[str, list[str]]:
    """Return the newest rows of each known table, oldest first, one JSON object per row.

    The file is opened `immutable`: nothing is locked or written, so a row that is being written may be missing.
    Raises `sqlite3.Error`.
    """
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as database:
        database.text_factory = lambda data: data.decode("utf-8", "replace")
        database.execute("PRAGMA trusted_schema = OFF")
        known = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {table: list(_rows(database, table))[::-1] for table in TABLES if table in known}


def _rows(database: sqlite3.Connection, table: str) -> Iterator[str]:
    database.set_progress_handler(lambda: 1, STEPS)
    rows = database.execute(f"SELECT * FROM {table} ORDER BY rowid DESC LIMIT {ROWS}")  # noqa: S608 - a name of TABLES
    names = [column[0] for column in rows.description]
    for row in rows:
        values = (value.hex() if isinstance(value, bytes) else value for value in row)
        yield json.dumps(dict(zip(names, values, strict=True)))
