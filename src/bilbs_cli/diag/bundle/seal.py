"""From a work folder to an archive under its name: layout, join, gate, encryption, publication."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bilbs_cli.diag.bundle import encrypt, manifest, reader
from bilbs_cli.diag.bundle.frames import END_OF_ARCHIVE, Framer, compress, header, padding
from bilbs_cli.diag.bundle.join import ARCHIVE, Join
from bilbs_cli.diag.bundle.manifest import Item, Manifest
from bilbs_cli.diag.bundle.parts import Piece
from bilbs_cli.diag.bundle.spool import Spool
from bilbs_cli.diag.bundle.unpack import Limits
from bilbs_cli.diag.bundle.volume import closing, sync_folder
from bilbs_cli.diag.model import Status
from bilbs_cli.errors import OutputUnwritable, SecretFound

ENCRYPTED = ARCHIVE + encrypt.SUFFIX
BEFORE_MANIFEST = ("SUMMARY.txt", "report.html")
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}  # vfat, some FUSE and network ones
OWN_LIMITS = Limits(total_bytes=1 << 62, members=1 << 62, ratio=1 << 62)  # a run may have read a disk full of zeros

Gate = Callable[[reader.Reader], None]


@dataclass(frozen=True, slots=True)
class Front:
    """The first members (SUMMARY.txt first), and the manifest, whose `items` are filled in here."""

    manifest: Manifest
    members: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A finished archive."""

    path: Path
    sha256: str
    size_bytes: int


def seal(
    spool: Spool,
    front: Callable[[Spool], Front],
    *,
    order: Sequence[str] = (),
    gate: Gate | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sealed:
    """Turn what a spool holds into the archive, and remove the work folder.

    `front` is called once everything else is final, and never again once the order is; members follow in the `order` of
    their collectors. `gate` reads the finished archive and raises `SecretFound` to stop it: then nothing stays. A crash
    at any point is repaired by doing the same with `Spool.reopen`. `progress` gets bytes done and total.
    Raises `OutputUnwritable` and others; the work folder stays for a resume.
    """
    try:
        sealed = _published(spool)
        if sealed is None:
            spool.parts.drop_ballast()
            if spool.plan is None:
                spool.interrupt("the run ended while it was read")
                spool.commit(_lay_out(spool, front, order))
            sealed = _finish(spool, gate, progress)
    except SecretFound:
        spool.withhold()
        raise
    except OutputUnwritable as error:
        error.safe = error.safe or f"everything collected is kept in {spool.volume.path}"
        error.next = f"{error.next}; then: bilbs diag resume -o {spool.out_dir}"
        raise
    spool.remove()
    return sealed


def _finish(spool: Spool, gate: Gate | None, progress: Callable[[int, int], None] | None) -> Sealed:
    digest, size = Join(spool.volume, spool.plan or [], progress).run()
    if gate:
        with os.fdopen(spool.volume.open(ARCHIVE), "rb") as stream:
            gate(reader.Reader(stream, spool.target, OWN_LIMITS))
    name = ARCHIVE
    if spool.recipients:
        digest, size = _encrypt(spool, spool.recipients)
        name = ENCRYPTED
    spool.about_to_publish(digest)
    with spool.volume.errors():
        _publish(spool, name)
    return Sealed(spool.out_dir / spool.target, digest, size)


def _lay_out(spool: Spool, front: Callable[[Spool], Front], order: Sequence[str]) -> list[Piece]:
    """Write the front members and every tar header into the parts; return the order of all pieces."""
    rank = {name: number for number, name in enumerate(order)}
    items = sorted(spool.items, key=lambda item: rank.get(item.collector, len(rank)))
    made = front(spool)
    when = _seconds(made.manifest.finished_at)
    before = sorted(
        (page for page in made.members if page[0] in BEFORE_MANIFEST), key=lambda page: BEFORE_MANIFEST.index(page[0])
    )
    after = [(name, data) for name, data in made.members if name not in BEFORE_MANIFEST]
    rest = [step for item in items for step in _with_reason(spool, made.manifest, item)]
    listed = [_made_item(made.manifest, name, data) for name, data in before + after] + [item for item, _ in rest]
    layout = _Layout(spool)
    for name, data in [*before, (manifest.NAME, made.manifest.with_items(listed).encode()), *after]:
        layout.text(name, data, when)
    for item, text in rest:
        if text is not None:
            layout.text(item.path, text, when)
        elif item.sha256 is not None:
            layout.member(item.path, item.size_bytes, _seconds(item.started_at) or when, spool.pieces(item.path))
    return layout.end()


def _with_reason(spool: Spool, made: Manifest, item: Item) -> Iterator[tuple[Item, bytes | None]]:
    """Yield an item, and for a gap the `.err.txt` beside it."""
    yield item, None
    if item.sha256 is None:
        reason = item.reason or "no reason was given"
        text = f"{item.status.value}: {reason}\nsource: {item.source}\n".encode("utf-8", "backslashreplace")
        yield replace(_made_item(made, spool.claim(f"{item.path}.err.txt"), text), collector=item.collector), text


def _made_item(made: Manifest, name: str, data: bytes) -> Item:
    return Item(
        path=name,
        collector="bilbs",
        source=f"bilbs {made.version}",
        status=Status.OK,
        started_at=made.finished_at,
        duration_s=0.0,
        exit_status=None,
        size_bytes=len(data),
        raw_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _seconds(moment: str) -> int:
    try:
        return int(datetime.fromisoformat(moment).timestamp())
    except (ValueError, OverflowError, OSError):
        return 0


@dataclass(slots=True)
class _Layout:
    """Collects the pieces of an archive. Between two members one frame holds padding and the next header."""

    spool: Spool
    plan: list[Piece] | None = None
    owed: bytes = b""  # padding of the member before

    def text(self, name: str, data: bytes, mtime: int) -> None:
        """Add a member that is made here."""
        framer = Framer(self.spool.compression)
        frames = [*framer.feed(data), *framer.finish()]
        pieces = [piece for frame in frames for piece in self.spool.parts.put("front", frame.data)]
        self.member(name, len(data), mtime, pieces)

    def member(self, name: str, size: int, mtime: int, pieces: Sequence[Piece]) -> None:
        """Add a member whose content is in the parts."""
        self._glue(self.owed + header(f"{self.spool.name}/{name}", size, mtime))
        self._add(pieces)
        self.owed = padding(size)

    def end(self) -> list[Piece]:
        """Add the end of the archive and return all pieces."""
        self._glue(self.owed + END_OF_ARCHIVE)
        return self.plan or []

    def _glue(self, data: bytes) -> None:
        self._add(self.spool.parts.put("front", compress(self.spool.compression, data)))

    def _add(self, pieces: Sequence[Piece]) -> None:
        plan = self.plan = self.plan or []
        for part, offset, length in pieces:
            if plan and plan[-1][0] == part and plan[-1][1] + plan[-1][2] == offset:
                plan[-1] = (part, plan[-1][1], plan[-1][2] + length)
            else:
                plan.append((part, offset, length))


def _encrypt(spool: Spool, recipients: encrypt.Recipients) -> tuple[str, int]:
    """Write the encrypted archive beside the plain one, durably; return its sha256 and size."""
    volume = spool.volume
    volume.unlink(ENCRYPTED)
    with volume.errors(), closing(volume.open(ARCHIVE)) as source, closing(volume.create(ENCRYPTED)) as target:
        try:
            found = encrypt.encrypt(source, target, recipients.keys)
            os.fsync(target)
        except BaseException:
            volume.unlink(ENCRYPTED)  # it cannot be continued, and its space may be what is missing
            raise
        volume.sync()
    return found


def _publish(spool: Spool, name: str) -> None:
    """Give the archive its name, over nothing that has it: link(2), or rename(2) where the file system has no links."""
    work, out, target = spool.volume.handle, spool.out, spool.target
    try:
        os.link(name, target, src_dir_fd=work, dst_dir_fd=out, follow_symlinks=False)
    except FileExistsError:
        raise _exists(spool) from None
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if _there(spool):
            raise _exists(spool) from None
        os.rename(name, target, src_dir_fd=work, dst_dir_fd=out)
    sync_folder(out)


def _there(spool: Spool) -> bool:
    with suppress(FileNotFoundError):
        os.stat(spool.target, dir_fd=spool.out, follow_symlinks=False)
        return True
    return False


def _exists(spool: Spool) -> OutputUnwritable:
    path = spool.out_dir / spool.target
    return OutputUnwritable(f"{path} exists already", code="exists", next=f"move {path} away")


def _published(spool: Spool) -> Sealed | None:
    """Return the archive when an earlier process gave it its name and died before it could clean up."""
    if not spool.sealed or not _there(spool):
        return None
    path = spool.out_dir / spool.target
    with os.fdopen(os.open(spool.target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=spool.out), "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = os.fstat(stream.fileno()).st_size
    if digest not in spool.sealed:
        raise _exists(spool)
    return Sealed(path, digest, size)
