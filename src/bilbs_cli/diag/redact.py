"""Redacting what already exists: a file, a folder, a tarball, a stream. Nothing raw is written, nothing is overwritten."""

from __future__ import annotations

import gzip
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast

from bilbs_cli import files
from bilbs_cli.diag.redaction import Receipt, Redactor
from bilbs_cli.errors import NotFound, OutputUnwritable, UsageProblem, VerificationFailed

CHUNK = 1 << 20
SPOOLED = 8 << 20  # redacted bytes of one tar member kept in memory; more goes to an unnamed file
ZSTD_MAGIC, GZIP_MAGIC = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
_TAR_MAGIC_AT = 257
COMPRESSED = {"gz": "w:gz"}


@dataclass(slots=True)
class Redacted:
    """What was done: where the copy is (None: a stream), what was masked, and what was left out and why."""

    path: Path | None
    receipt: Receipt
    left_out: dict[str, str] = field(default_factory=dict)


def redact_stream(source: IO[bytes], target: IO[bytes], redactor: Redactor, name: str = "-") -> Redacted:
    """Copy `source` to `target` redacted, a plain stream or a tarball, in flat memory."""
    result = Redacted(None, Receipt(redactor.rules_version))
    head = _Peeked(source)
    kind = _tar_kind(head)
    if kind is None:
        _copy(cast("IO[bytes]", head), target, redactor, result.receipt, name)
    else:
        _tarball(head, target, kind, redactor, result)
    target.flush()
    return result


def redact_path(path: Path, out: Path, redactor: Redactor) -> Redacted:
    """Write a redacted copy of a file, folder or tarball (.tar, .tar.gz, .tar.zst) to `out`, which must not exist.

    Links and devices in a folder are left out and named; in a tarball they are passed on as they are. Raises `NotFound`,
    `UsageProblem`, `OutputUnwritable` (nothing is left at `out` then), `VerificationFailed` for a broken tarball.
    """
    if not os.path.lexists(path):
        raise NotFound(f"{path} does not exist")
    if os.path.lexists(out):
        raise OutputUnwritable(
            f"{out} exists; nothing is overwritten", code="output-exists", next="choose another name with -o"
        )
    if path.is_dir():
        if out.absolute().resolve().is_relative_to(path.resolve()):
            raise UsageProblem(f"{out} lies inside {path}", next="choose a place outside of it with -o")
        return _folder(path, out, redactor)
    try:
        with files.open_regular(path) as source, _fresh(out) as target:
            result = redact_stream(source, target, redactor, path.name)
    except files.NotReadable as error:
        raise UsageProblem(str(error)) from error
    except OSError as error:
        raise files.cannot_write(out, error) from error
    result.path = out
    return result


@contextmanager
def _fresh(out: Path) -> Iterator[IO[bytes]]:
    """Open a new private file that gets its name when all of it is written; an existing one is never replaced."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{out.name[:100]}.", dir=out.parent)
    except OSError as error:
        raise files.cannot_write(out, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, out)
        files.sync_dir(out.parent)
    except FileExistsError as error:
        raise OutputUnwritable(f"{out} exists; nothing is overwritten", code="output-exists") from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - the name mkstemp gave


def _folder(path: Path, out: Path, redactor: Redactor) -> Redacted:
    result = Redacted(out, Receipt(redactor.rules_version))
    files.private_dir(out)
    for folder, names, entries in os.walk(path, onerror=None, followlinks=False):
        here = Path(folder)
        for name in sorted(names):
            if (here / name).is_symlink():
                result.left_out[str((here / name).relative_to(path))] = "a link"
                continue
            files.private_dir(out / _clean_name(here.relative_to(path), name, redactor))
        for name in sorted(entries):
            _folder_entry(
                path, here / name, out / _clean_name(here.relative_to(path), name, redactor), redactor, result
            )
    return result


def _folder_entry(top: Path, source: Path, target: Path, redactor: Redactor, result: Redacted) -> None:
    name = str(source.relative_to(top))
    if source.is_symlink():
        result.left_out[name] = "a link"
        return
    try:
        with files.open_regular(source) as stream, _fresh(target) as copy:
            inner = redact_stream(stream, copy, redactor, name)
    except (files.NotReadable, VerificationFailed) as error:
        result.left_out[name] = redactor.text(str(error))
        return
    except PermissionError as error:
        result.left_out[name] = redactor.text(error.strerror or "denied")
        return
    for member, counts in inner.receipt.members.items():
        result.receipt.add(member if member == name else f"{name}/{member}", counts)
    result.receipt.not_scanned.update(inner.receipt.not_scanned)


def _clean_name(folder: Path, name: str, redactor: Redactor) -> Path:
    """Return the name of a copy below its top: names can hold secrets and identities too."""
    return Path(*(redactor.text(part).replace("/", "_") for part in (*folder.parts, name)))


def _copy(source: IO[bytes], target: IO[bytes], redactor: Redactor, receipt: Receipt, name: str) -> int:
    """Copy redacted; return how many bytes were read."""
    stream, size = redactor.stream(), 0
    while data := source.read(CHUNK):
        size += len(data)
        target.write(stream.feed(data))
    target.write(stream.finish())
    receipt.add(redactor.text(name), stream.counts)
    return size


class _Peeked:
    """A stream whose first bytes can be looked at before they are read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self._head = source, b""

    def peek(self, size: int) -> bytes:
        while len(self._head) < size and (more := self._source.read(size - len(self._head))):
            self._head += more
        return self._head[:size]

    def read(self, size: int = -1) -> bytes:
        if size is None or size < 0:
            data, self._head = self._head + self._source.read(), b""
            return data
        data, self._head = self._head[:size], self._head[size:]
        return data or self._source.read(size)


class _Tail:
    """A stream that remembers whether the last block read from it was the end of a tar archive: zeros."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.ended = False

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        if data:
            self.ended = not any(data[-tarfile.BLOCKSIZE :])
        return data


def _tar_kind(source: _Peeked) -> str | None:
    """Return how a tarball is compressed (`tar`, `gz`, `zst`), None when the stream is none."""
    head = source.peek(CHUNK)
    if _is_tar(head):
        return "tar"
    if head.startswith(GZIP_MAGIC) and _is_tar(_first(head, "gz")):
        return "gz"
    return "zst" if head.startswith(ZSTD_MAGIC) and _is_tar(_first(head, "zst")) else None


def _is_tar(head: bytes) -> bool:
    return head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar"


def _first(head: bytes, kind: str) -> bytes:
    """Return the first block of what `head` unpacks to."""
    import io
    import zlib

    import zstandard

    try:
        if kind == "gz":
            return zlib.decompressobj(31).decompress(head, tarfile.BLOCKSIZE)
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(head), read_across_frames=True) as reader:
            return reader.read(tarfile.BLOCKSIZE)
    except (zlib.error, zstandard.ZstdError):
        return b""


def _tarball(source: _Peeked, target: IO[bytes], kind: str, redactor: Redactor, result: Redacted) -> None:
    import zlib

    import zstandard

    with ExitStack() as stack:
        plain, packed = _Tail(_unpacking(source, kind, stack)), _packing(target, kind, stack)
        try:
            with (
                tarfile.open(fileobj=cast("IO[bytes]", plain), mode="r|", errorlevel=1) as incoming,
                tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as outgoing,
            ):
                for member in incoming:
                    _member(incoming, outgoing, member, redactor, result)
                if not plain.ended:
                    raise tarfile.ReadError("it ends without the end of a tar archive")
        except (tarfile.TarError, EOFError, zlib.error, zstandard.ZstdError, gzip.BadGzipFile) as error:
            raise VerificationFailed(f"the tarball is damaged: {error}", code="damaged-tarball") from error


def _unpacking(source: _Peeked, kind: str, stack: ExitStack) -> IO[bytes]:
    import zstandard

    if kind == "gz":
        return cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=cast("BinaryIO", source), mode="rb")))
    if kind == "zst":
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            cast("BinaryIO", source), read_across_frames=True
        )
        return cast("IO[bytes]", stack.enter_context(reader))
    return cast("IO[bytes]", source)


def _packing(target: IO[bytes], kind: str, stack: ExitStack) -> IO[bytes]:
    import zstandard

    if kind == "gz":
        return cast(
            "IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0))
        )
    if kind == "zst":
        writer = zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(target, closefd=False)
        return cast("IO[bytes]", stack.enter_context(writer))
    return target


def _member(
    incoming: tarfile.TarFile, outgoing: tarfile.TarFile, member: tarfile.TarInfo, redactor: Redactor, result: Redacted
) -> None:
    name = member.name
    member.name, member.linkname = redactor.text(name), redactor.text(member.linkname)
    member.uname, member.gname = redactor.text(member.uname), redactor.text(member.gname)
    member.pax_headers = {}
    content = incoming.extractfile(member) if member.isreg() else None
    if content is None:
        outgoing.addfile(member)
        return
    with tempfile.SpooledTemporaryFile(max_size=SPOOLED) as copy:  # a header has the size in front: redacted bytes only
        if _copy(content, cast("IO[bytes]", copy), redactor, result.receipt, name) != member.size:
            raise tarfile.ReadError(f"{member.name!r} ends too early")
        member.size = copy.tell()
        member.type = tarfile.REGTYPE
        member.sparse = None
        copy.seek(0)
        outgoing.addfile(member, copy)
