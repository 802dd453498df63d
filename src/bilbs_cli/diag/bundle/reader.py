"""Reading a bundle that may be hostile: members one after the other, in flat memory, nothing written to disk.

The tar format is POSIX.1-2001 pax ("pax Interchange Format") as far as bilbs writes it: regular files, with a pax
header where a name or size needs one. Everything else (links, devices, sparse files, GNU names) is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bilbs_cli import files
from bilbs_cli.diag.bundle.frames import BLOCK, padding
from bilbs_cli.diag.bundle.naming import parents, safe_path
from bilbs_cli.diag.bundle.unpack import Limits, Unpacked
from bilbs_cli.errors import NotFound, PermissionNeeded, VerificationFailed

CHUNK = 1 << 20
NAME_CHARACTERS, DEPTH = 1024, 40
PAX_BYTES = 64 << 10  # of one extended header; names are below 1 KiB
TRAILING_BYTES = 1 << 20  # zeros after the end of the archive: GNU tar fills 10 KiB records
REGULAR = {b"0", b"\0"}
EXTENDED = b"x"
REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"5": "a folder",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"g": "a global pax header",
    b"L": "a GNU long name",
    b"K": "a GNU long link",
    b"S": "a GNU sparse file",
    b"V": "a GNU volume label",
    b"M": "a GNU continuation",
}


@dataclass(slots=True)
class Member:
    """One member of an archive; its content can be read until the next one is asked for.

    `name` has the top folder in front, `size` is in bytes, `mtime` in seconds since 1970.
    """

    name: str
    size: int
    mtime: int
    _source: Unpacked
    _left: int

    def chunks(self, limit: int = CHUNK) -> Iterator[memoryview]:
        """Yield the content that was not read yet. Raises `VerificationFailed` when the archive ends before it does."""
        while self._left:
            data = self._source.some(min(limit, self._left))
            if not data:
                raise self._source.failure(f"{self.name!r} ends {self._left} bytes too early")
            self._left -= len(data)
            yield data

    def read(self, limit: int) -> bytes:
        """Return the whole content. Raises `VerificationFailed` when it is larger than `limit` bytes."""
        if self.size > limit:
            raise self._source.failure(f"{self.name!r} has {self.size} bytes, more than the {limit} expected at most")
        return b"".join(self.chunks())


@dataclass(slots=True)
class Reader:
    """The members of an archive, in order. Raises `VerificationFailed` at the first thing that is not as it must be."""

    stream: BinaryIO
    name: str
    limits: Limits = field(default_factory=Limits)
    _seen: set[str] = field(default_factory=set)

    def __iter__(self) -> Iterator[Member]:
        source = Unpacked(self.stream, self.name, self.limits)
        while member := self._next(source):
            yield member
            for _ in member.chunks():
                pass
            if any(source.exactly(len(padding(member.size)))):
                raise source.failure(f"there is data in the padding after {member.name!r}")
        self._end(source)

    def _next(self, source: Unpacked) -> Member | None:
        """Return the next member, None at the two blocks of zeros that end an archive."""
        block = source.exactly(BLOCK)
        if len(block) < BLOCK:
            raise source.failure("it ends without the end of a tar archive")
        if not any(block):
            return None
        extended: dict[str, str] = {}
        if _kind(block, source) == EXTENDED:
            extended = _extended(block, source)
            block = source.exactly(BLOCK)
            if len(block) < BLOCK or not any(block):
                raise source.failure("a pax header without its member")
        kind = _kind(block, source)
        if kind not in REGULAR:
            what = REFUSED.get(kind, f"of type {kind!r}")
            raise source.failure(f"{_name(block, extended, source)!r} is {what}; a bundle has regular files only")
        return self._member(block, extended, source)

    def _member(self, block: bytes, extended: dict[str, str], source: Unpacked) -> Member:
        name = _name(block, extended, source)
        if safe_path(name) != name or len(name) > NAME_CHARACTERS or name.count("/") > DEPTH:
            raise source.failure(f"{name[:NAME_CHARACTERS]!r} is not a safe name")
        if name in self._seen:
            raise source.failure(f"{name!r} is there twice")
        self._seen.add(name)
        if len(self._seen) > self.limits.members:
            raise source.failure(f"more than {self.limits.members} members")
        size = _number(block[124:136], source)
        if "size" in extended:
            if size:
                raise source.failure(f"{name!r} has two sizes")
            size = _decimal(extended["size"], source)
        if source.offset + size > self.limits.total_bytes:
            raise source.failure(f"{name!r} claims {size} bytes; the limit of an archive is {self.limits.total_bytes}")
        return Member(name, size, _number(block[136:148], source), source, size)

    def _end(self, source: Unpacked) -> None:
        block = source.exactly(BLOCK)
        if len(block) < BLOCK or any(block):
            raise source.failure("it ends without the end of a tar archive")
        trailing = 0
        while data := source.some(CHUNK):
            trailing += len(data)
            if any(data) or trailing > TRAILING_BYTES:
                raise source.failure("there is data after the end of the archive")
        for name in self._seen:
            if file := next((parent for parent in parents(name) if parent in self._seen), None):
                raise source.failure(f"{file!r} is both a file and a folder")


@contextmanager
def open_bundle(path: Path, limits: Limits | None = None) -> Iterator[Reader]:
    """Open an archive for reading. Raises `NotFound`, `PermissionNeeded`, `VerificationFailed`."""
    with open_file(path) as stream:
        yield Reader(stream, str(path), limits or Limits())


def open_file(path: Path) -> BinaryIO:
    """Open the file of an archive, never a FIFO or a device. Raises like `open_bundle`."""
    try:
        return files.open_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"{path} does not exist") from None
    except PermissionError:
        raise PermissionNeeded(f"{path} cannot be read by this user") from None
    except (OSError, ValueError, files.NotReadable) as error:
        raise VerificationFailed(f"{path} cannot be read: {error}") from None


def file_chunks(path: Path) -> Iterator[bytes]:
    """Yield the content of a file that is no archive. Raises like `open_bundle`."""
    with open_file(path) as stream:
        try:
            while data := stream.read(CHUNK):
                yield data
        except OSError as error:
            raise VerificationFailed(f"{path} cannot be read: {error}") from None


def first(chunks: Iterable[bytes | memoryview], limit: int) -> bytes:
    """Return the first `limit` bytes of a content; the chunks after them are not asked for."""
    data = bytearray()
    for chunk in chunks:
        data += chunk[: limit - len(data)]
        if len(data) >= limit:
            break
    return bytes(data)


def _kind(block: bytes, source: Unpacked) -> bytes:
    """Return the type of a header block whose magic and checksum hold (POSIX.1-2001 pax, "ustar Header Block")."""
    total = sum(block[:148]) + sum(block[156:]) + 8 * 32  # the checksum field itself counts as blanks
    if block[257:263] not in {b"ustar\0", b"ustar "} or _number(block[148:156], source) != total:
        raise source.failure("this is not a tar header")
    return block[156:157]


def _number(field_: bytes, source: Unpacked) -> int:
    """Return a number of a header: octal digits, ended by a blank or NUL."""
    text = field_.split(b"\0")[0].strip(b" ")
    if not text:
        return 0
    if text.strip(b"01234567"):
        raise source.failure("a number of a tar header is not octal")
    return int(text, 8)


def _decimal(text: str, source: Unpacked) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise source.failure("a number of a pax header is not decimal")
    return int(text)


def _name(block: bytes, extended: dict[str, str], source: Unpacked) -> str:
    if "path" in extended:
        return extended["path"]
    prefix, name = block[345:500].split(b"\0")[0], block[:100].split(b"\0")[0]
    if block[257:263] == b"ustar ":  # GNU uses that place for something else
        prefix = b""
    try:
        return (prefix + b"/" + name if prefix else name).decode()
    except UnicodeDecodeError:
        raise source.failure("a name is not UTF-8") from None


def _extended(block: bytes, source: Unpacked) -> dict[str, str]:
    """Return the records of a pax header: length, blank, key, `=`, value, newline ("pax Extended Header")."""
    size = _number(block[124:136], source)
    if size > PAX_BYTES:
        raise source.failure(f"a pax header of {size} bytes")
    data = source.exactly(size)
    if len(data) < size or any(source.exactly(len(padding(size)))):
        raise source.failure("a pax header is damaged")
    records: dict[str, str] = {}
    while data:
        digits, blank, _ = data.partition(b" ")
        length = int(digits) if blank and digits.isdigit() and len(digits) < 6 else 0
        record, data = data[len(digits) + 1 : length], data[length:]
        key, equals, value = record.partition(b"=")
        try:
            name, text = key.decode(), value.decode()
        except UnicodeDecodeError:
            raise source.failure("a pax header is not UTF-8") from None
        if not equals or not text.endswith("\n") or name in records:
            raise source.failure("a pax header is damaged")
        if name not in {"path", "size", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment"}:
            raise source.failure(f"a pax header sets {name!r}, which a bundle has no use for")
        records[name] = text[:-1]
    return records
