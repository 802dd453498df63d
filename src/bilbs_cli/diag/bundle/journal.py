"""The log of a run: JSON lines in one gzip stream that is readable up to its last complete line, however it ended."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bilbs_cli.diag.bundle.volume import Volume

_NAME = re.compile(r"journal-(\d+)\.jsonl\.gz")
READ_BYTES = 4096  # small, since a damaged stream may unpack to a thousand times as much


@dataclass(slots=True)
class Journal:
    """Appends records to the journal of a work folder.

    What the disk did not take stays in memory and goes first when there is room again: no record is lost or torn by a
    full disk that is freed later.
    """

    volume: Volume
    handle: int
    _packer: zlib._Compress = field(default_factory=lambda: zlib.compressobj(6, zlib.DEFLATED, 31))
    _unwritten: bytes = b""
    _name_is_durable: bool = False

    @classmethod
    def begin(cls, volume: Volume) -> Journal:
        """Start a new file of the journal, after those that an earlier process left."""
        number = max((int(name[8:-9]) for name in _files(volume)), default=0) + 1
        return cls(volume, volume.create(f"journal-{number}.jsonl.gz"))

    def append(self, records: list[dict[str, Any]]) -> None:
        """Hand records to the kernel; `sync` makes them durable. Raises `OutputUnwritable`, and keeps them then."""
        text = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
        self._unwritten += self._packer.compress(text.encode()) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        self.flush()

    def flush(self) -> None:
        """Write what a full disk refused before. Raises `OutputUnwritable`."""
        with self.volume.errors():
            while self._unwritten:
                self._unwritten = self._unwritten[os.write(self.handle, self._unwritten) :]

    def sync(self) -> None:
        """Make it durable. Raises `OutputUnwritable`."""
        self.flush()
        with self.volume.errors():
            os.fdatasync(self.handle)
        if not self._name_is_durable:
            self.volume.sync()
            self._name_is_durable = True

    def close(self) -> None:
        """Close the file."""
        os.close(self.handle)


def _files(volume: Volume) -> list[str]:
    found = [name for name in volume.names() if _NAME.fullmatch(name)]
    return sorted(found, key=lambda name: int(name[8:-9]))


def has_beginning(volume: Volume) -> bool:
    """Say whether the first file is there: it is the first to go when a work folder is removed."""
    return _files(volume)[:1] == ["journal-1.jsonl.gz"]


def read(volume: Volume) -> Iterator[dict[str, Any]]:
    """Yield every record of a work folder, up to the first damage in each file."""
    for name in _files(volume):
        with os.fdopen(volume.open(name), "rb") as stream:
            yield from _records(iter(lambda: stream.read(READ_BYTES), b""))


def _records(chunks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    rest = b""
    for text in _unpacked(chunks):
        *lines, rest = (rest + text).split(b"\n")
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                return
            if isinstance(record, dict):
                yield record


def _unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what the stream holds up to a torn or zeroed tail (after a power loss), to the last byte before it."""
    unpacker = zlib.decompressobj(31)
    for chunk in chunks:
        before = unpacker.copy()
        try:
            yield unpacker.decompress(chunk)
        except zlib.error:  # what the good part of this chunk holds is lost in the error: go there byte by byte
            with suppress(zlib.error):
                for byte in chunk:
                    yield before.decompress(bytes((byte,)))
            return
