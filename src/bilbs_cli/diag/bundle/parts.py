"""The bytes of a work folder: frames in part files, small ones packed together, and a ballast for a full disk."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field

from bilbs_cli.diag.bundle.volume import Volume
from bilbs_cli.errors import OutputUnwritable

SMALL_FRAME = 64 << 10  # below it a frame goes to the pack of its folder
SMALLEST_PART, LARGEST_PART = 32 << 10, 4 << 20
PARTS = 40  # about so many parts at the end: each is unlinked as soon as the archive holds it
BALLAST = "ballast"
BALLAST_EXTRA = 1 << 20  # beside one part: SUMMARY, manifest, facts, tar headers
ROOMY = 512 << 20  # with more than this free there is no ballast

Piece = tuple[str, int, int]  # part, offset, length in bytes


@dataclass(slots=True)
class Part:
    """A part file that is being filled."""

    name: str
    handle: int
    size: int = 0


@dataclass(slots=True)
class Parts:
    """Appends frames to lanes; each lane fills one part file after the other.

    Small frames share the lane of their folder in the bundle, large ones have their member's own. So parts are used up
    one by one when members are joined in order, and the disk never holds much more than the archive.
    """

    volume: Volume
    written: int = 0
    _number: int = 0
    _lanes: dict[str, Part] = field(default_factory=dict)
    _unsynced: set[str] = field(default_factory=set)
    _new_names: bool = False
    _ballast: int = 0

    def __post_init__(self) -> None:
        self._number = max((int(name[1:]) for name in self.volume.names() if is_part(name)), default=0)
        self._ballast = self.volume.size(BALLAST) or 0
        self.keep_ballast()

    @property
    def part_bytes(self) -> int:
        """Return the size at which a part is full; it grows with what was written."""
        return min(max(self.written // PARTS, SMALLEST_PART), LARGEST_PART)

    def put_frame(self, member: str, data: bytes) -> list[Piece]:
        """Append a member's frame to the lane it belongs to. Raises `OutputUnwritable`; nothing of it stays then."""
        lane = member if len(data) >= SMALL_FRAME else member.partition("/")[0] + "/"
        return self.put(lane, data)

    def put(self, lane: str, data: bytes) -> list[Piece]:
        """Append `data` to a lane. Raises `OutputUnwritable`; nothing of it stays then."""
        touched: list[tuple[Part, int]] = []
        pieces: list[Piece] = []
        view = memoryview(data)
        try:
            while view:
                part = self._room(lane)
                touched.append((part, part.size))
                taken = view[: self.part_bytes - part.size]
                with self.volume.errors():
                    _write_at(part.handle, taken, part.size)
                pieces.append((part.name, part.size, len(taken)))
                part.size += len(taken)
                view = view[len(taken) :]
        except OutputUnwritable:
            self._undo(lane, touched)
            raise
        for part, _ in touched:
            self._unsynced.add(part.name)
            if part.size >= self.part_bytes:
                os.close(part.handle)
                if self._lanes[lane] is part:
                    del self._lanes[lane]
        self.written += len(data)
        self.keep_ballast()
        return pieces

    def end_lane(self, lane: str) -> None:
        """Close a lane that nothing more will come to."""
        part = self._lanes.pop(lane, None)
        if part:
            os.close(part.handle)

    def sync(self) -> None:
        """Make everything written so far durable. Raises `OutputUnwritable`."""
        with self.volume.errors():
            for name in sorted(self._unsynced):
                handle = self.volume.open(name)
                try:
                    os.fdatasync(handle)
                finally:
                    os.close(handle)
                self._unsynced.discard(name)
        if self._new_names:
            self.volume.sync()
            self._new_names = False

    def keep_ballast(self) -> None:
        """Hold disk space back while it is scarce, for the seal to use when it runs out."""
        wanted = self.part_bytes + BALLAST_EXTRA
        state = os.fstatvfs(self.volume.handle)
        if self._ballast < wanted and state.f_bavail * state.f_frsize < ROOMY:
            with suppress(OSError, OutputUnwritable):  # too late, or a file system that cannot: go on without
                handle = self.volume.open(BALLAST, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    os.posix_fallocate(handle, 0, wanted)
                    self._ballast = wanted
                finally:
                    os.close(handle)

    def drop_ballast(self) -> None:
        """Give the space that was held back to what comes now; it is not taken again."""
        self.volume.unlink(BALLAST)
        self._ballast = 1 << 62

    def close(self) -> None:
        """Close every lane."""
        for lane in list(self._lanes):
            self.end_lane(lane)

    def _room(self, lane: str) -> Part:
        """Return the lane's part, a new one when there is none or it is full."""
        part = self._lanes.get(lane)
        if part is None or part.size >= self.part_bytes:
            name = f"p{self._number + 1:06d}"
            part = self._lanes[lane] = Part(name, self.volume.create(name))
            self._number += 1
            self._new_names = True
        return part

    def _undo(self, lane: str, touched: list[tuple[Part, int]]) -> None:
        """Take back what a failed `put` wrote: the lane goes on where it was."""
        for part, _ in touched[1:]:
            os.close(part.handle)
            self.volume.unlink(part.name)
        if touched:
            part, part.size = touched[0]
            self._lanes[lane] = part
            with suppress(OSError):
                os.ftruncate(part.handle, part.size)


def is_part(name: str) -> bool:
    """Say whether a file of the work folder is a part."""
    return name[:1] == "p" and name[1:].isdigit()


def _write_at(handle: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(handle, data, offset)
        data, offset = data[count:], offset + count
