"""A bundle, an unpacked bundle or a facts.json as a snapshot that can be judged: logs are looked through once more.

A bundle keeps what the scanner of its own version found. Its logs are scanned again here, so that an old bundle is
judged with what is known today.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bilbs_cli.diag import model
from bilbs_cli.diag.bundle import manifest, members, reader
from bilbs_cli.diag.checked import Snapshot
from bilbs_cli.diag.findings import FACTS, moment
from bilbs_cli.diag.kernel_log import events, scan
from bilbs_cli.diag.kernel_log.events import Log
from bilbs_cli.diag.model import Value
from bilbs_cli.errors import VerificationFailed

FACTS_BYTES = 48 << 20  # of hostile JSON Python makes up to thirty times as much
MANIFEST_BYTES = 8 << 20

Chunks = Iterable[bytes | memoryview]


def snapshot(path: Path) -> Snapshot:
    """Return what stands in a bundle (an archive, the folder it was unpacked to, or its facts.json).

    Raises `NotFound`, `PermissionNeeded`, `VerificationFailed` naming what is wrong with it and where.
    """
    if members.is_folder(path):
        return _Reading(str(path)).through(_folder(path))
    if path.suffix == ".json":
        return _Reading(str(path)).through(iter([(FACTS, partial(reader.file_chunks, path))]))
    with reader.open_bundle(path) as archive:
        return _Reading(str(path)).through(_members(archive))


def _members(archive: reader.Reader) -> Iterator[tuple[str, Callable[[], Chunks]]]:
    for one in archive:
        yield one.name.partition("/")[2], one.chunks


def _folder(root: Path) -> Iterator[tuple[str, Callable[[], Chunks]]]:
    """Yield the files of an unpacked bundle that are of use here, facts.json first."""
    root = members.root_of(root)
    for name in (manifest.NAME, FACTS):
        if (root / name).is_file():
            yield name, partial(reader.file_chunks, root / name)
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if scan.is_log(name) and path.is_file() and not path.is_symlink():
            yield name, partial(reader.file_chunks, path)


@dataclass(slots=True)
class _Reading:
    """One pass over the members of a bundle, in flat memory."""

    source: str
    text: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    logs: list[Log] = field(default_factory=list)

    def through(self, members: Iterator[tuple[str, Callable[[], Chunks]]]) -> Snapshot:
        """Return the snapshot that the members make."""
        for name, chunks in members:
            if name == FACTS:
                self.text = self._read(name, chunks(), FACTS_BYTES)
                self.document = self._json(name, self.text)
            elif name == manifest.NAME:
                self.manifest = self._json(name, self._read(name, chunks(), MANIFEST_BYTES))
            elif scan.is_log(name):
                self.logs.append(self._scan(name, chunks()))
        if not self.document:
            raise VerificationFailed(f"{self.source} has no {FACTS}: it is not a bundle, or not all of it")
        return self._snapshot()

    def _read(self, name: str, chunks: Chunks, limit: int) -> str:
        data = reader.first(chunks, limit + 1)
        if len(data) > limit:
            raise VerificationFailed(f"{self.source}: {name} has more than {limit} bytes")
        return data.decode("utf-8", "replace")

    def _json(self, name: str, text: str) -> Mapping[str, Any]:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            where = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise VerificationFailed(f"{self.source}: {name} is not JSON ({where})") from None
        if not isinstance(found, Mapping):
            raise VerificationFailed(f"{self.source}: {name} is not a JSON object")
        return found

    def _scan(self, name: str, chunks: Chunks) -> Log:
        scanner = scan.Scanner(name, scan.clock_of(self._facts(), self._collected_at()))
        for chunk in chunks:
            scanner.feed(bytes(chunk))
        return scanner.finish()

    def _facts(self) -> Mapping[str, Any]:
        found = self.document.get("facts")
        return found if isinstance(found, Mapping) else {}

    def _collected_at(self) -> datetime:
        said = moment(self.document.get("collected_at")) or moment(self.manifest.get("started_at"))
        return said or datetime.fromtimestamp(0, UTC)

    def _snapshot(self) -> Snapshot:
        facts = self.document.get("facts")
        if not isinstance(facts, dict):
            raise VerificationFailed(f"{self.source}: {FACTS} holds no facts")
        cut = {log.member for log in events.logs_of(facts) if log.cut}  # what the run knew, and the scanner cannot
        for log in self.logs:
            whole = log.member not in cut
            model.insert(
                facts, events.place(log.member), Value(events.encode(log if whole else replace(log, cut=True)))
            )
        options = self.manifest.get("options")
        host = str(self.document.get("host") or self.manifest.get("host") or "")
        header = {
            "host": host,
            "profile": self.manifest.get("profile"),
            "options": dict(options) if isinstance(options, Mapping) else {},
            "status": self.manifest.get("status"),
        }
        return Snapshot(
            host=host,
            collected_at=self._collected_at(),
            source=self.source,
            tool=str(self.document.get("tool") or ""),
            header=header,
            facts=facts,
            text=self.text,
        )
