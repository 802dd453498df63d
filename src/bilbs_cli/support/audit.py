"""What left this box, and who agreed to it: an append-only log of which each line names the hash of the one before."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bilbs_cli import files, paths
from bilbs_cli.errors import OutputUnwritable

TAIL, LONGEST = 1 << 16, 1 << 14
_log = logging.getLogger("bilbs.audit")


class Line(NamedTuple):
    """One line. `whole` says whether it names the hash of the line before it."""

    number: int
    data: dict[str, Any]
    whole: bool


def place() -> Path:
    """Return the file."""
    return paths.state_dir() / "audit.jsonl"


def note(what: str, **more: Any) -> None:
    """Append one line: `what` happened, when, by which user, with which hash."""
    notes([{"what": what, **more}])


def notes(rows: Sequence[Mapping[str, Any]]) -> None:
    """Append lines, all of them on the disk when this returns. A disk that takes none is said in the log, no more."""
    if not rows:
        return
    try:
        files.private_dir(place().parent)
        _append(rows)
    except (OSError, OutputUnwritable) as error:
        _log.warning("the audit log %s cannot be written: %s", place(), error)


def _append(rows: Sequence[Mapping[str, Any]]) -> None:
    handle = os.open(place(), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        tail = os.pread(handle, TAIL, max(size - TAIL, 0))
        cut = b"" if not tail or tail.endswith(b"\n") else b"\n"  # a line that a power cut ended in the middle stays
        before = tail.rstrip(b"\n").rpartition(b"\n")[2]
        lines = []
        for row in rows:
            data = {
                "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                "uid": os.geteuid(),
                **row,
                "before": hash_of(before),
            }
            before = json.dumps(data, ensure_ascii=True).encode()[:LONGEST]
            lines.append(before + b"\n")
        _write_whole(handle, cut + b"".join(lines), size)
    finally:
        os.close(handle)


def _write_whole(handle: int, text: bytes, size: int) -> None:
    """Append text and sync it; what does not fit as a whole is not there at all. Raises `OSError`."""
    try:
        written = os.write(handle, text)
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise
    if written < len(text):
        os.ftruncate(handle, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def hash_of(line: bytes) -> str:
    """Return the hash of a line, as the next one names it; of no line nothing."""
    return hashlib.sha256(line).hexdigest()[:32] if line else ""


def digest(body: Mapping[str, Any]) -> str:
    """Return the hash of what was sent, as JSON with sorted names."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def lines() -> Iterator[Line]:
    """Yield the log, oldest first; what is no JSON is a line that is not whole. Raises `OSError`, `NotReadable`."""
    before = b""
    with files.open_regular(place()) as raw, os.fdopen(os.dup(raw.fileno()), "rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST + 2), b""), 1):
            bare = line.rstrip(b"\n")
            try:
                data = json.loads(bare)
            except (ValueError, RecursionError):
                data = None
            known = isinstance(data, dict)
            yield Line(number, data if isinstance(data, dict) else {}, known and data.get("before") == hash_of(before))
            before = bare
