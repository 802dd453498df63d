"""A file to the desk: resumable, a digest for each part and the whole, from the true offset after any interruption.

draft-ietf-httpbis-resumable-upload with digests of RFC 9530. How far it came is kept in the outbox: any process goes on.
The local file is only ever read.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urljoin

from bilbs_cli import digest_field, files
from bilbs_cli.escape import visible
from bilbs_cli.support.api import Answer, Desk, Later, Never, Taken, jittered, meaning
from bilbs_cli.support.outbox import Entry, Outbox
from bilbs_cli.support.transport import NoAnswer, Raw

PART, SMALLEST_PART, PIECE = 8 << 20, 64 << 10, 1 << 20
SLOWEST = 4096  # bytes a second: a line that is slower than that is none
LONG_S, SHORT_S = 15.0, 2.0  # a part that takes longer is halved the next time, one that is quicker doubled
STALL_S = 60.0  # without one more part in that time a run gives up; the next one goes on
TRIES_OF_A_DIGEST = 2

Progress = Callable[[str, int, int], None]  # what is done ("reading", "sending"), bytes, of how many


class Pace(NamedTuple):
    """How it is sent: `rate` in bytes a second (0: as fast as it goes), and who is told how far it is."""

    rate: int = 0
    progress: Progress = lambda *_: None


class _Stopped(Exception):
    """The upload ends here, with an answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def described(path: Path, purpose: str) -> dict[str, Any]:
    """Return what the outbox keeps of a file. Raises `OSError`, `files.NotReadable`."""
    with files.open_regular(path) as stream:
        info = os.fstat(stream.fileno())
    return {
        "path": str(path.absolute()),
        "filename": _named(path.name),
        "size": info.st_size,
        "mtime_ns": info.st_mtime_ns,
        "purpose": purpose,
        "media_type": _media_type(path.name),
    }


def _named(name: str) -> str:
    """Return a file's name as the contract takes it: no control characters, no slashes, 255 characters at most."""
    return re.sub(r"[\x00-\x1f\x7f/\\]", "_", name.encode("utf-8", "replace").decode())[-255:] or "file"


def _media_type(name: str) -> str:
    kinds = {
        ".zst": "application/zstd",
        ".gz": "application/gzip",
        ".age": "application/octet-stream",
        ".log": "text/plain",
        ".txt": "text/plain",
        ".json": "application/json",
    }
    return kinds.get(Path(name).suffix.lower(), "application/octet-stream")


def attacher(desk: Desk, pace: Pace = Pace()) -> Callable[[Outbox, Entry, str, float], Answer]:  # noqa: B008 - a constant
    """Return what delivery sends files with."""

    def attach(box: Outbox, entry: Entry, path: str, until: float) -> Answer:
        try:
            return _Upload(desk, box, entry, path, pace, until).run()
        except _Stopped as stopped:
            return stopped.answer
        except FileNotFoundError:
            return Never("file-gone", f"{entry.body['path']} is not there any more")
        except (OSError, files.NotReadable) as error:
            return Never("file-unreadable", f"{entry.body['path']}: {error}")

    return attach


class _Upload:
    """One run of one upload. `until` bounds the time without progress, not the whole."""

    def __init__(self, desk: Desk, box: Outbox, entry: Entry, path: str, pace: Pace, until: float) -> None:
        self.desk, self.box, self.entry, self.path, self.pace = desk, box, entry, path, pace
        self.size = int(entry.body["size"])
        self.state: dict[str, Any] = dict(entry.progress or {})
        self.stall_s = max(min(until - time.monotonic(), STALL_S), 0.1)
        self.alive_at = time.monotonic()
        self._waits = jittered()
        self.parts: dict[tuple[int, int], bytes] = {}  # digests by offset and size, from the first reading

    def run(self) -> Answer:
        with files.open_regular(Path(self.entry.body["path"])) as stream:
            self._check_limit()
            self._check_file(stream)
            if "sha256" not in self.state:
                sha256, self.parts = _digests(stream, self.size, self.pace.progress)
                self._keep(sha256=sha256)
                self.alive_at = time.monotonic()
            self._check_file(stream)
            for _ in range(TRIES_OF_A_DIGEST):
                try:
                    answer = self._sent(stream)
                except _Stopped as stopped:
                    answer = stopped.answer
                if not (isinstance(answer, Never) and answer.code == "digest"):
                    break
                self._forget_upload()
            return answer

    def _keep(self, **more: Any) -> None:
        self.state |= more
        self.box.keep_progress(self.entry, self.state)

    def _forget_upload(self) -> None:
        self.state.pop("location", None)
        self._keep(generation=self.state.get("generation", 0) + 1)

    def _check_limit(self) -> None:
        """Ask what may be sent, before the file is read."""
        most = _limits(self._ask("OPTIONS", self.path).headers).get("max-size")
        if most is not None and self.size > most:
            raise _Stopped(Never("too-large", f"the file has {self.size} bytes, the desk takes {most} at most", 413))

    def _check_file(self, stream: BinaryIO) -> None:
        info = os.fstat(stream.fileno())
        if (info.st_size, info.st_mtime_ns) != (self.size, self.entry.body["mtime_ns"]):
            raise _Stopped(Never("file-changed", f"{self.entry.body['path']} was changed after it was queued"))

    def _sent(self, stream: BinaryIO) -> Answer:
        """Begin an upload, or go on with the one that was begun, and send what is missing."""
        offset = self._offset() if "location" in self.state else None
        if offset is None:
            offset = self._begun()
        most = min(PART, int(self.state.get("max_part") or PART))
        size = most = min(most, max(self.pace.rate, SMALLEST_PART)) if self.pace.rate else most
        while True:
            self.pace.progress("sending", offset, self.size)
            part = Part(stream, offset, min(size, self.size - offset))
            began = time.monotonic()
            last = offset + part.size >= self.size
            raw = self._patch(part, last=last)
            took_s = time.monotonic() - began
            if isinstance(raw, int):  # the true offset
                offset, size = raw, max(size // 2, min(SMALLEST_PART, most))
                continue
            if last:
                return self._checked(raw)
            offset += part.size
            self.alive_at = time.monotonic()
            size = (
                max(size // 2, min(SMALLEST_PART, most))
                if took_s > LONG_S
                else min(size * 2, most)
                if took_s < SHORT_S
                else size
            )
            if self.pace.rate:
                time.sleep(max(part.size / self.pace.rate - took_s, 0))

    def _begun(self) -> int:
        generation = self.state.get("generation", 0)
        headers = {
            "Idempotency-Key": f"{self.entry.key}-{generation}" if generation else self.entry.key,
            "Upload-Complete": "?0",
            "Upload-Length": str(self.size),
            "Repr-Digest": digest_field.field(bytes.fromhex(self.state["sha256"])),
        }
        body = {name: self.entry.body[name] for name in ("filename", "media_type", "purpose")}
        raw = self._ask("POST", self.path, json=body, headers=headers)
        place = raw.headers.get("location", "")
        if raw.status != 201 or not place:
            raise _Stopped(Later("the desk began no upload: its answer has no Location"))
        try:
            place = urljoin(self.desk.base + self.path, place)  # RFC 9110 10.2.2
        except ValueError as error:
            raise _Stopped(Later(f"the desk's Location {visible(place[:200])} is no address")) from error
        if not self.desk.has(place):
            raise _Stopped(Later(f"the desk's Location {visible(place[:200])} is another host: nothing was sent there"))
        self._keep(location=place, max_part=_limits(raw.headers).get("max-append-size"))
        has = self._offset()
        if has is None:
            raise _Stopped(Later("the desk does not know the upload that it has just begun"))
        return has

    def _offset(self) -> int | None:
        """Return how much has arrived, None where the desk does not know the upload any more, or it is another desk's."""
        if not self.desk.has(self.state["location"]):
            self._forget_upload()
            return None
        try:
            raw = self._ask("HEAD", self.state["location"])
        except _Stopped as stopped:
            # an upload that has expired is begun anew; HEAD has no body that could say more
            if isinstance(stopped.answer, Later) and "HTTP 404" in stopped.answer.reason:
                self._forget_upload()
                return None
            raise
        return self._place(raw.headers)

    def _place(self, headers: Mapping[str, str]) -> int:
        text = headers.get("upload-offset", "")
        if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) > self.size:
            raise _Stopped(
                Later(f"the desk says that {visible(text[:30]) or 'nothing'} has arrived: not an offset of this file")
            )
        return int(text)

    def _patch(self, part: Part, *, last: bool) -> Raw | int:
        """Send one part; return the answer, or the true offset where the desk has another one or the line broke."""
        headers = {
            "Content-Type": "application/partial-upload",
            "Content-Length": str(part.size),
            "Upload-Offset": str(part.offset),
            "Upload-Complete": "?1" if last else "?0",
            "Content-Digest": digest_field.field(self._part_digest(part)),
        }
        try:
            within_s = self.stall_s + part.size / SLOWEST
            raw = self.desk.send(
                "PATCH",
                self.state["location"],
                content=part.pieces(),
                headers=headers,
                timeout_s=self.stall_s,
                within_s=within_s,
            )
        except NoAnswer as error:
            return self._after_trouble(0, str(error))
        if raw.status in {200, 204}:
            self._waits = jittered()
            return raw
        if raw.status == 409 and "upload-offset" in raw.headers:
            return self._after_conflict(raw, part.offset)
        answer = meaning(raw)
        if raw.status == 404:
            self._forget_upload()
            return self._begun()
        if isinstance(answer, Later):
            return self._after_trouble(answer.after_s, answer.reason)
        if isinstance(answer, Never) and answer.code == "digest" and raw.status == HTTPStatus.BAD_REQUEST:
            return self._after_trouble(0, answer.reason)  # the part was damaged on the way
        raise _Stopped(answer)

    def _part_digest(self, part: Part) -> bytes:
        known = self.parts.get((part.offset, part.size))
        if known:
            return known
        digest = hashlib.sha256()
        for piece in part.pieces():
            digest.update(piece)
        return digest.digest()

    def _after_conflict(self, raw: Raw, offset: int) -> int:
        """Return the true offset; one that is the same as ours means that another part is still being taken."""
        place = self._place(raw.headers)
        return self._after_trouble(0, "the desk is busy with another part") if place == offset else place

    def _after_trouble(self, after_s: float, reason: str) -> int:
        self._wait(max(next(self._waits), after_s), reason)
        return self._offset_or_start()

    def _offset_or_start(self) -> int:
        found = self._offset()
        return self._begun() if found is None else found

    def _checked(self, raw: Raw) -> Answer:
        """Return that it is attached only where the desk's digest is ours."""
        answer = meaning(raw)
        theirs = answer.data.get("sha256") if isinstance(answer, Taken) else self.state["sha256"]
        if theirs != self.state["sha256"]:
            return Never("digest", f"the desk has another digest ({visible(str(theirs)[:64])}): it is NOT attached")
        self.pace.progress("sending", self.size, self.size)
        return answer

    def _ask(self, method: str, path: str, **content: Any) -> Raw:
        """Send a small request, trying again until there is an answer or nothing has moved for too long."""
        for wait in jittered():
            try:
                raw = self.desk.send(method, path, timeout_s=min(self.stall_s, 10), **content)
            except NoAnswer as error:
                self._wait(wait, str(error))
                continue
            if raw.status < 300:
                return raw
            answer = meaning(raw)
            if isinstance(answer, Later) and raw.status != 404:
                self._wait(max(wait, answer.after_s), answer.reason)
                continue
            raise _Stopped(answer)
        raise AssertionError  # pragma: no cover - the waits never end

    def _wait(self, seconds: float, reason: str) -> None:
        """Wait before the next try; stop where nothing has moved for too long."""
        if time.monotonic() + seconds - self.alive_at > self.stall_s:
            raise _Stopped(Later(reason))
        time.sleep(seconds)


class Part(NamedTuple):
    """A part of an open file."""

    stream: BinaryIO
    offset: int
    size: int

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes. Raises `OSError` where the file became shorter."""
        done = 0
        while done < self.size:
            piece = os.pread(self.stream.fileno(), min(PIECE, self.size - done), self.offset + done)
            if not piece:
                raise OSError("the file became shorter while it was sent")
            done += len(piece)
            yield piece


def _digests(stream: BinaryIO, size: int, progress: Progress) -> tuple[str, dict[tuple[int, int], bytes]]:
    """Return the digest of a file, in hex, and those of its parts of `PART` bytes; read once, hashed on two cores."""
    whole, parts = hashlib.sha256(), {}
    with ThreadPoolExecutor(1) as beside:
        for offset in range(0, size, PART) or (0,):
            part, digest = Part(stream, offset, min(PART, size - offset)), hashlib.sha256()
            for piece in part.pieces():
                other = beside.submit(whole.update, piece)
                digest.update(piece)
                other.result()
            parts[offset, part.size] = digest.digest()
            progress("reading", offset + part.size, size)
    return whole.hexdigest(), parts


def _limits(headers: Mapping[str, str]) -> dict[str, int]:
    """Return the numbers of `Upload-Limit`.

    >>> _limits({"upload-limit": "max-size=100, max-append-size=10, odd"})
    {'max-size': 100, 'max-append-size': 10}
    """
    pairs = re.findall(r"([a-z-]+)=([0-9]{1,18})", headers.get("upload-limit", "")[:512])
    return {name: int(number) for name, number in pairs}
