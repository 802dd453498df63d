"""Inside a collector's child process: the `Job` that reads, redacts, compresses and tells the parent.

Everything leaves through `emit(header, payload)`, one message each. Headers (`t` names the kind):

    begin  key what timeout_s        a reading that may never return starts now
    end    key                       it returned, nothing to keep
    fact   key path leaf             a typed reading, redacted
    frame  member size sha256        payload: one complete compressed frame of a member, redacted
    item   key item                  a member (or a gap) is finished
    later  what                      a large file or a long command wants a child of its own
    spawn / reap  pid                a program of this child runs in its own session
    pairs  pairs                     pseudonyms that were made
    say    text                      for the person who watches
    done                             the collector came to its end
"""

from __future__ import annotations

import bz2
import errno
import glob as globbing
import gzip
import json
import lzma
import os
import struct
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import IO, Any, BinaryIO, cast

from bilbs_cli import files, process
from bilbs_cli.diag import model
from bilbs_cli.diag.bundle.frames import Compression, Framer
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.collectors import host_time
from bilbs_cli.diag.job import Options
from bilbs_cli.diag.journal_json import Plain
from bilbs_cli.diag.kernel_log import events, scan
from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Status, Value
from bilbs_cli.diag.redaction import Redactor, Stream

Emit = Callable[[Mapping[str, Any], bytes], None]
HEAD = struct.Struct("<II")  # length of the JSON header, length of the payload
LATER_BYTES = 1 << 20  # files above it get a child of their own, after everything small
READ_BYTES = 1 << 20
CAPTURE_BYTES = 8 << 20  # of a command's output, for parsing
COMMAND_BYTES = 256 << 20  # of a command's output, into the bundle
FILE_TIMEOUT_S = 5.0
STREAM_TIMEOUT_S = 600.0  # a large file that is read steadily; the run's deadline comes first
STALL_S = 15.0  # of a large file or long command without one more frame


@dataclass(frozen=True, slots=True)
class Later:
    """Work for a child of its own: a large file (`path`) or a long command (`argv`)."""

    member: str
    path: str = ""
    argv: tuple[str, ...] = ()
    timeout_s: float = STREAM_TIMEOUT_S
    good: tuple[int, ...] | None = (0,)
    size_bytes: int = 0


def pack(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """Return a message as it goes through the pipe."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    return HEAD.pack(len(text), len(payload)) + text + payload


def unpack(buffer: bytearray) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the complete messages at the front of `buffer` and remove them from it."""
    while len(buffer) >= HEAD.size:
        head, body = HEAD.unpack_from(buffer)
        whole = HEAD.size + head + body
        if len(buffer) < whole:
            return
        header = json.loads(bytes(buffer[HEAD.size : HEAD.size + head]))
        payload = bytes(buffer[HEAD.size + head : whole])
        del buffer[:whole]
        yield header, payload


@dataclass(slots=True)
class Member:
    """One member on its way into the bundle: redaction, frames, and what the manifest will say of it."""

    job: ChildJob
    name: str
    source: str
    started: float = field(default_factory=time.monotonic)
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    raw_bytes: int = 0
    _redaction: Stream = field(init=False)
    _framer: Framer = field(init=False)
    _scanner: scan.Scanner | None = None
    _plain: Plain | None = None

    def __post_init__(self) -> None:
        self._redaction = self.job.redactor.stream()
        self._framer = Framer(self.job.compression)
        if scan.is_log(self.name):
            self._scanner = scan.Scanner(self.name, self.job.clock())
        if self.source.startswith("command: journalctl ") and " json" in self.source:
            self._plain = Plain()

    def feed(self, data: bytes) -> None:
        """Take raw bytes."""
        self.raw_bytes += len(data)
        self._take(self._redaction.feed(self._plain.feed(data) if self._plain else data))

    def finish(
        self, status: Status, *, exit_status: int | None = None, truncated: bool = False, reason: str | None = None
    ) -> None:
        """End the member with its status."""
        if self._plain:
            self._take(self._redaction.feed(self._plain.finish()))
        self._take(self._redaction.finish())
        self._send(self._framer.finish())
        if self._scanner and (log := self._scanner.finish()).lines:
            log = replace(log, cut=truncated or status is not Status.OK)
            self.job.record(("log", self.name.partition("/")[2]), Value(events.encode(log)))
        self._item(status, exit_status, truncated, reason, self._framer.size, self._framer.sha256)

    def gap(self, status: Status, reason: str) -> None:
        """End a member that has no content."""
        self._item(status, None, False, reason, 0, None)

    def _take(self, clean: bytes) -> None:
        if self._scanner:
            self._scanner.feed(clean)
        if not self.job.options.facts_only:
            self._send(self._framer.feed(clean))

    def _send(self, frames: Iterator[Any]) -> None:
        for frame in frames:
            self.job.tell_pairs()
            self.job.emit({"t": "frame", "member": self.name, "size": frame.size, "sha256": frame.sha256}, frame.data)

    def _item(
        self,
        status: Status,
        exit_status: int | None,
        truncated: bool,
        reason: str | None,
        size: int,
        sha256: str | None,
    ) -> None:
        item = Item(
            path=self.name,
            collector=self.job.collector,
            source=self.source,
            status=status,
            started_at=self.started_at,
            duration_s=round(time.monotonic() - self.started, 3),
            exit_status=exit_status,
            size_bytes=size,
            raw_bytes=self.raw_bytes,
            sha256=sha256,
            truncated=truncated,
            redactions=dict(self._redaction.counts),
            reason=self.job.redactor.text(reason) if reason else None,
        )
        self.job.emit({"t": "item", "key": self.name, "item": item.as_dict()}, b"")


@dataclass(slots=True)
class ChildJob:
    """The `Job` (see job.py) of one child.

    `skip` holds the keys that must not be read again: they hung, or their members are finished; `memo` the leaves of
    facts that an earlier try of this collector recorded. With `dry` nothing is run or archived: sizes are reported.
    """

    collector: str
    folder: str
    options: Options
    redactor: Redactor
    compression: Compression
    emit: Emit
    skip: Collection[str] = frozenset()
    memo: Mapping[str, Any] = field(default_factory=dict)
    dry: bool = False
    heavy: bool = False  # this child was made for one large file or long command

    def read(self, path: Sequence[str], call: Callable[[], Any], *, timeout_s: float = 5.0) -> Any:
        """See `Job.read`."""
        key = "/".join(path)
        if key in self.memo:
            known = model.decode(self.memo[key])
            return known.value if isinstance(known, Value) else None
        if key in self.skip or self.dry:
            return None
        self._begin(key, key, timeout_s)
        reading = _call(call)
        self._fact(key, path, reading)
        return reading.value if isinstance(reading, Value) else None

    def attempt(self, key: str, call: Callable[[], Any], *, timeout_s: float = 5.0) -> Any:
        """See `Job.attempt`."""
        if key in self.skip or self.dry:
            return None
        self._begin(key, key, timeout_s)
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - the boundary to drivers and hardware: every error is evidence
            self._fact(key, key.split("/"), _error(error))
            return None
        self.emit({"t": "end", "key": key}, b"")
        return result

    def hung(self, prefix: str) -> int:
        """See `Job.hung`. Finished members are in `skip` too, below the collector's folder."""
        return sum(
            1 for key in self.skip if f"{key}/".startswith(f"{prefix}/") and not key.startswith(f"{self.folder}/")
        )

    def record(self, path: Sequence[str], reading: Reading) -> None:
        """See `Job.record`."""
        if not self.dry:
            self._fact("/".join(path), path, reading)

    def slurp(self, path: str, limit: int = 1 << 20) -> bytes | None:
        """See `Job.slurp`."""
        key = f"read {path}"
        if key in self.skip:
            return None
        self._begin(key, path, FILE_TIMEOUT_S)
        try:
            with files.open_regular(files.rooted(self.options.sysroot, path)) as stream:
                return _read_up_to(stream, limit)
        except (OSError, files.NotReadable, ValueError):
            return None
        finally:
            self.emit({"t": "end", "key": key}, b"")

    def glob(self, pattern: str, limit: int = 5000) -> list[str]:
        """See `Job.glob`."""
        key = f"list {pattern}"
        if key in self.skip:
            return []
        self._begin(key, pattern, FILE_TIMEOUT_S)
        root = self.options.sysroot
        base = str(root).rstrip("/") if root else ""
        found: list[str] = []
        for name in globbing.iglob(globbing.escape(base) + pattern):  # noqa: PTH207 - text in, text out; Path would normalise
            found.append(name[len(base) :])
            if len(found) >= limit:
                break
        self.emit({"t": "end", "key": key}, b"")
        return sorted(found)

    def files(self, pattern: str, *, since: bool = False, limit: int = 500) -> list[str]:
        """See `Job.files`."""
        found = self.glob(pattern, limit)
        for path in found:
            self.file(path, since=since)
        return found

    def file(self, path: str, member: str | None = None, *, since: bool = False) -> None:
        """See `Job.file`."""
        name = f"{self.folder}/{member or path.lstrip('/')}"
        if name in self.skip or self._is_of_no_use(name):
            return
        self._begin(name, path, STALL_S if self.heavy else FILE_TIMEOUT_S)
        part = Member(self, name, f"file: {path}")
        try:
            self._file(part, path, since)
        except FileNotFoundError:
            self.emit({"t": "end", "key": name}, b"")
        except files.NotReadable as error:
            part.gap(Status.SKIPPED, str(error))
        except OSError as error:
            part.gap(_status_of(error), error.strerror or str(error))

    def _file(self, part: Member, path: str, since: bool) -> None:
        real = files.rooted(self.options.sysroot, path)
        info = real.stat()
        if since and self.options.since and info.st_mtime < self.options.since.timestamp():
            part.gap(Status.SKIPPED, "last changed before --since")
        elif self.dry:
            part.raw_bytes = min(info.st_size, self.options.max_file_bytes)
            part.gap(Status.OK, "would be read")
        elif info.st_size > LATER_BYTES and not self.heavy:
            with files.open_regular(real):
                pass  # only what can be opened is worth a child
            self._later(Later(part.name, path=path, size_bytes=min(info.st_size, self.options.max_file_bytes)))
            self.emit({"t": "end", "key": part.name}, b"")
        else:
            with files.open_regular(real) as stream:
                truncated = copy_tail(
                    stream, info.st_size, self.options.max_file_bytes, part.feed, plain_name(path) == path
                )
            part.finish(Status.OK, truncated=truncated, reason="only the tail was kept" if truncated else None)

    def command(
        self,
        argv: Sequence[str],
        member: str,
        *,
        timeout_s: float = 15.0,
        good: Sequence[int] | None = (0,),
        later: bool = False,
        keep: bool = True,
    ) -> bytes | None:
        """See `Job.command`."""
        name = f"{self.folder}/{member}"
        if name in self.skip or not self.options.live:
            return None
        if self._is_of_no_use(name):
            if later:
                return None
            keep = False
        part = Member(self, name, "command: " + " ".join(argv))
        if process.find(argv[0]) is None:
            if keep:
                part.gap(Status.UNAVAILABLE, f"{argv[0]} is not installed")
            return None
        if self.dry:
            part.gap(Status.OK, "would be run")
            return None
        if later and not self.heavy:
            self._later(
                Later(name, argv=tuple(argv), timeout_s=timeout_s, good=tuple(good) if good is not None else None)
            )
            return None
        self._begin(name, " ".join(argv), timeout_s + 2 * process.GRACE_S + 1)
        try:
            return self._command(part, argv, timeout_s, good, keep)
        except OSError as error:
            part.gap(_status_of(error), error.strerror or str(error))
            return None

    def _command(
        self, part: Member, argv: Sequence[str], timeout_s: float, good: Sequence[int] | None, keep: bool
    ) -> bytes:
        captured = bytearray()
        running = process.Running(
            tuple(argv), timeout_s, COMMAND_BYTES, on_start=lambda pid: self.emit({"t": "spawn", "pid": pid}, b"")
        )
        with running:
            for data in running.chunks():
                captured += data[: CAPTURE_BYTES - len(captured)] if not self.heavy else b""
                if keep:
                    part.feed(data)
            status = running.exit_status
        self.emit({"t": "reap", "pid": running.pid, "abandoned": running.abandoned}, b"")
        if keep:
            self._ended(part, running, status, good)
        else:
            self.emit({"t": "end", "key": part.name}, b"")
        return bytes(captured)

    def _ended(self, part: Member, running: process.Running, status: int | None, good: Sequence[int] | None) -> None:
        complaint = bytes(running.stderr).decode("utf-8", "replace").strip()
        reason = complaint.splitlines()[0][:300] if complaint else None
        if running.timed_out:
            left = " and could not be killed (state D)" if running.abandoned else ""
            part.finish(Status.TIMEOUT, truncated=True, reason=f"no end after {running.timeout_s:g} s{left}")
        elif running.truncated:
            part.finish(Status.PARTIAL, truncated=True, reason=f"more than {COMMAND_BYTES >> 20} MiB of output")
        elif good is None or status in good:
            part.finish(Status.OK, exit_status=status)
        elif status is not None and status < 0:
            part.finish(Status.FAILED, exit_status=status, reason=f"ended by signal {-status}")
        elif part.raw_bytes:
            part.finish(Status.PARTIAL, exit_status=status, reason=reason or f"exit status {status}")
        else:
            part.gap(
                Status.DENIED if _looks_denied(complaint) else Status.UNAVAILABLE,
                reason or f"no output, exit status {status}",
            )

    def text(self, member: str, content: str | bytes, *, source: str) -> None:
        """See `Job.text`."""
        name = f"{self.folder}/{member}"
        if name in self.skip or self.dry or self._is_of_no_use(name):
            return
        part = Member(self, name, source)
        part.feed(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)
        part.finish(Status.OK)

    def gap(self, member: str, status: Status, reason: str, *, source: str = "") -> None:
        """See `Job.gap`."""
        name = f"{self.folder}/{member}"
        if name not in self.skip:
            Member(self, name, source or self.collector).gap(status, reason)

    def say(self, message: str) -> None:
        """See `Job.say`."""
        self.emit({"t": "say", "text": self.redactor.text(message)}, b"")

    def run_later(self, work: Later) -> None:
        """Do what a collector handed to a child of its own."""
        member = work.member.removeprefix(f"{self.folder}/")
        if work.path:
            self.file(work.path, member)
        else:
            self.command(work.argv, member, timeout_s=work.timeout_s, good=work.good)

    def clock(self) -> scan.Clock:
        """Return how the times in the logs of this system are to be read: what its facts say too."""
        zone, booted = host_time.zone(self.options.sysroot), host_time.booted_at() if self.options.live else None
        return scan.clock(
            zone.value if isinstance(zone, Value) else None,
            booted.value if isinstance(booted, Value) else None,
            datetime.now(UTC),
        )

    def tell_pairs(self) -> None:
        """Send the pseudonyms that were made, before the text that uses them: what leaves can always be revealed."""
        if self.redactor.pseudonyms and (pairs := self.redactor.pseudonyms.new_pairs()):
            self.emit({"t": "pairs", "pairs": pairs}, b"")

    def _is_of_no_use(self, member: str) -> bool:
        """Say whether a member only belongs into an archive, where none is made: of files, facts need the logs alone."""
        return self.options.facts_only and not scan.is_log(member)

    def _later(self, work: Later) -> None:
        self.emit({"t": "later", "what": asdict(work)}, b"")

    def _begin(self, key: str, what: str, timeout_s: float) -> None:
        self.emit({"t": "begin", "key": key, "what": what, "timeout_s": timeout_s}, b"")

    def _fact(self, key: str, path: Sequence[str], reading: Reading) -> None:
        leaf = cleaned(self.redactor, model.encode(reading), path[-1])
        self.tell_pairs()
        try:
            self.emit({"t": "fact", "key": key, "path": [self.collector, *path], "leaf": leaf}, b"")
        except (TypeError, ValueError) as error:  # a value that JSON does not have: our mistake, shown as such
            leaf = model.encode(ReadError("NotJson", str(error)))
            self.emit({"t": "fact", "key": key, "path": [self.collector, *path], "leaf": leaf}, b"")


def cleaned(redactor: Redactor, node: Any, key: str) -> Any:
    """Return a JSON value with every string redacted; `key` is the name it stands under."""
    if isinstance(node, str):
        return redactor.text(node.encode("utf-8", "replace").decode(), key=key) if len(node) > 3 else node
    if isinstance(node, dict):
        return {
            str(name): cleaned(redactor, inner, key if name == "value" else str(name)) for name, inner in node.items()
        }
    if isinstance(node, list | tuple):
        return [cleaned(redactor, inner, key) for inner in node]
    if isinstance(node, float) and (node != node or node in {float("inf"), float("-inf")}):  # noqa: PLR0124 - NaN
        return repr(node)
    return node


def _call(call: Callable[[], Any]) -> Reading:
    try:
        result = call()
    except Exception as error:  # noqa: BLE001 - the boundary to drivers and hardware: every error is evidence
        return _error(error)
    return result if isinstance(result, Value | ReadError | NotCollected) else Value(result)


def _error(error: Exception) -> ReadError:
    """Return an exception as evidence: the library's name for it, its number, its words."""
    numbers = (getattr(error, name, None) for name in ("value", "errno", "cc", "completion_code", "code"))
    code = next((number for number in numbers if isinstance(number, int)), None)
    return ReadError(type(error).__name__, str(error) or type(error).__name__, code)


def _status_of(error: OSError) -> Status:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return Status.DENIED
    if error.errno in {
        errno.ENOENT,
        errno.ENODEV,
        errno.ENXIO,
        errno.EOPNOTSUPP,
        errno.ENOSYS,
        errno.EINVAL,
        errno.ENODATA,
    }:
        return Status.UNAVAILABLE
    return Status.SKIPPED if error.errno == errno.ELOOP else Status.FAILED


def _looks_denied(complaint: str) -> bool:
    low = complaint.lower()
    return any(
        word in low
        for word in (
            "permission denied",
            "operation not permitted",
            "must be root",
            "are you root",
            "superuser",
            "access denied",
        )
    )


def _read_up_to(stream: IO[bytes], limit: int) -> bytes:
    data = bytearray()
    while len(data) < limit:
        piece = stream.read(min(READ_BYTES, limit - len(data)))
        if not piece:
            break
        data += piece
    return bytes(data)


def plain_name(path: str) -> str:
    """Return a rotated log's name without its compression suffix."""
    for suffix in (".gz", ".xz", ".bz2", ".zst"):
        if path.endswith(suffix):
            return path[: -len(suffix)]
    return path


def copy_tail(stream: BinaryIO, size: int, limit: int, feed: Callable[[bytes], None], plain: bool) -> bool:
    """Feed a file's last `limit` bytes (from a line start), or all of it; return whether something was left out.

    A file that grows while it is read ends where it ended when it was opened; one of size 0 (/proc, /sys) is read to its
    end. A compressed one (`plain` False) is decompressed on the way and cut after `limit` bytes.
    """
    if not plain:
        return _copy_decompressed(stream, limit, feed)
    left = min(size, limit) if size else limit
    cut = size > limit
    if cut:
        stream.seek(size - limit)
    skip_line = cut
    while left > 0:
        data = stream.read(min(READ_BYTES, left))
        if not data:
            return cut
        left -= len(data)
        if skip_line:  # the tail starts in the middle of a line: half a line may be half a secret
            line_end = data.find(b"\n")
            if line_end < 0:
                continue
            data, skip_line = data[line_end + 1 :], False
        feed(data)
    return cut or (size == 0 and bool(stream.read(1)))


def _copy_decompressed(stream: BinaryIO, limit: int, feed: Callable[[bytes], None]) -> bool:
    magic = stream.read(6)
    stream.seek(0)
    if magic[:2] == b"\x1f\x8b":
        opened = cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    elif magic == b"\xfd7zXZ\x00":
        opened = lzma.LZMAFile(stream)  # noqa: SIM115 - `stream` is the caller's to close
    elif magic[:3] == b"BZh":
        opened = bz2.BZ2File(stream)
    elif magic[:4] == b"\x28\xb5\x2f\xfd":
        import zstandard

        opened = cast(
            "IO[bytes]",
            zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(stream, read_across_frames=True),
        )
    else:
        opened = stream  # the suffix lies
    left = limit
    piece = getattr(opened, "read1", opened.read)  # what was decoded before a damaged place is kept
    with suppress(EOFError, OSError, zlib.error, lzma.LZMAError):
        while left > 0:
            data = piece(min(READ_BYTES, left))
            if not data:
                return False
            left -= len(data)
            feed(data)
        return True
    return True


def pipe_writer(handle: int) -> Emit:
    """Return an `emit` that writes whole messages to a pipe."""

    def emit(header: Mapping[str, Any], payload: bytes) -> None:
        view = memoryview(pack(header, payload))
        while view:
            view = view[os.write(handle, view) :]

    return emit
