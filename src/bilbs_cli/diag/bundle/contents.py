"""What a work folder holds of each member, and what of it can still be trusted after a crash."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from bilbs_cli.diag import model
from bilbs_cli.diag.bundle.frames import Compression
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.bundle.parts import Piece
from bilbs_cli.diag.bundle.volume import Volume
from bilbs_cli.diag.model import Status, Tree

EMPTY = hashlib.sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class Written:
    """One frame in the parts: its uncompressed size and the digest of the member's content up to its end."""

    pieces: tuple[Piece, ...]
    size: int
    sha256: str


@dataclass(slots=True)
class Content:
    """The frames of one member so far. `broken`: one was refused by the disk, so none may follow."""

    path: str
    frames: list[Written] = field(default_factory=list)
    broken: bool = False

    @property
    def size(self) -> int:
        """Return the uncompressed size in bytes."""
        return sum(frame.size for frame in self.frames)

    @property
    def sha256(self) -> str:
        """Return the hex digest of the content."""
        return self.frames[-1].sha256 if self.frames else EMPTY

    @property
    def pieces(self) -> list[Piece]:
        """Return where its compressed bytes are, in order."""
        return [piece for frame in self.frames for piece in frame.pieces]


@dataclass(frozen=True, slots=True)
class Start:
    """What a run was started with."""

    name: str
    compression: Compression
    keys: tuple[str, ...]
    header: Mapping[str, Any]


@dataclass(slots=True)
class Past:
    """What the journal of an earlier process tells."""

    records: int = 0
    start: Start | None = None
    contents: dict[str, Content] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    durable: int = 0  # so many items had their content on the disk for certain
    facts: Tree = field(default_factory=dict)
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    plan: list[Piece] | None = None
    sealed: list[str] = field(default_factory=list)
    withheld: bool = False


def replay(records: Iterable[Mapping[str, Any]]) -> Past:
    """Return what the records of a journal add up to; a malformed one is left out."""
    past = Past()
    for record in records:
        past.records += 1
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            _replay(past, record)
    return past


def _replay(past: Past, record: Mapping[str, Any]) -> None:
    match record["k"]:
        case "start":
            keys = tuple(str(key) for key in record["keys"])
            past.start = Start(str(record["name"]), Compression(record["compression"]), keys, dict(record["header"]))
        case "frame":
            frame = Written(tuple(_pieces(record["p"])), int(record["s"]), str(record["h"]))
            past.contents.setdefault(record["m"], Content(record["m"])).frames.append(frame)
        case "item":
            past.items.append(Item.from_dict(record["i"]))
        case "fact":
            model.insert(past.facts, tuple(record["p"]), model.decode(record["l"]))
        case "note":
            past.notes.append((record["n"], record["d"]))
        case "plan":
            past.plan, past.items = _pieces(record["p"]), [Item.from_dict(one) for one in record["i"]]
        case "synced":
            past.durable = len(past.items)
        case "withheld":
            past.withheld = True
        case "sealed":
            past.sealed.append(str(record["h"]))


def _pieces(rows: Iterable[Any]) -> list[Piece]:
    return [(str(part), int(offset), int(length)) for part, offset, length in rows]


def settled(item: Item, content: Content) -> Item:
    """Return the item with the name, size and digest of what is really there."""
    item = replace(item, path=content.path)
    if not content.frames and item.sha256 is None:
        return replace(item, size_bytes=0)
    if (item.size_bytes, item.sha256) == (content.size, content.sha256):
        return item
    item = replace(item, truncated=True, reason=item.reason or "the disk did not take all of it")
    if not content.frames:
        return replace(item, status=Status.FAILED, size_bytes=0, sha256=None)
    status = Status.PARTIAL if item.status is Status.OK else item.status
    return replace(item, status=status, size_bytes=content.size, sha256=content.sha256)


def is_whole(volume: Volume, content: Content) -> bool:
    """Say whether the parts are as long as the journal says: after fsync they are, but disks have lied."""
    return all((volume.size(part) or 0) >= offset + length for part, offset, length in content.pieces)


def trim(volume: Volume, compression: Compression, content: Content) -> None:
    """Cut a content down to the frames that unpack to what the journal said of them."""
    digest = hashlib.sha256()
    for number, frame in enumerate(content.frames):
        data = _unpacked(volume, compression, frame)
        if data is not None:
            digest.update(data)
        if data is None or digest.hexdigest() != frame.sha256:
            del content.frames[number:]
            return


def _unpacked(volume: Volume, compression: Compression, frame: Written) -> bytes | None:
    try:
        packed = b"".join(read_piece(volume, piece) for piece in frame.pieces)
        if compression is Compression.GZIP:
            data = zlib.decompressobj(31).decompress(packed, frame.size + 1)
        else:
            import zstandard

            data = zstandard.ZstdDecompressor().stream_reader(packed).read(frame.size + 1)
    except Exception:  # noqa: BLE001 - damaged bytes: zlib.error, ZstdError, OSError, MemoryError all say the same
        return None
    return data if len(data) == frame.size else None


def read_piece(volume: Volume, piece: Piece) -> bytes:
    """Return the bytes of a piece; fewer when the part is shorter. Raises `OSError`."""
    part, offset, length = piece
    handle = volume.open(part)
    try:
        return os.pread(handle, length, offset)
    finally:
        os.close(handle)
