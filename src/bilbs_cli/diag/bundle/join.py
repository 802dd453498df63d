"""Joining parts into the archive: goes on after any crash, and frees each part once the archive holds it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bilbs_cli.diag.bundle.parts import Piece
from bilbs_cli.diag.bundle.volume import Volume
from bilbs_cli.errors import BilbsError

ARCHIVE = "archive"
COPY_BYTES = 1 << 20
SYNCS = 40  # about so many for one archive: between two of them parts and archive hold the same bytes
SMALLEST_STEP, LARGEST_STEP = 32 << 10, 32 << 20


@dataclass(slots=True)
class Join:
    """One run of the join of `plan` into the file `archive` of the work folder.

    The rule that makes it safe: a part is unlinked only after an fsync of the archive that holds all of its bytes. So
    what is missing tells how far the archive can be trusted, and everything after that is still in the parts.
    """

    volume: Volume
    plan: Sequence[Piece]
    progress: Callable[[int, int], None] | None = None
    _handle: int = -1
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    _done: int = 0
    _name_is_durable: bool = False
    _used_up: list[str] = field(default_factory=list)

    def run(self) -> tuple[str, int]:
        """Copy what is still to copy; return sha256 and size of the whole archive, which is durable then.

        Raises `OutputUnwritable`, `BilbsError` (`work-damaged`).
        """
        total = sum(length for _, _, length in self.plan)
        last = {part: number for number, (part, _, _) in enumerate(self.plan)}
        with self.volume.errors():
            self._handle = self.volume.open(ARCHIVE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            start = self._trusted(last)
            self._keep(start)
            step = min(max(total // SYNCS, SMALLEST_STEP), LARGEST_STEP)
            synced = end = 0
            for number, (part, offset, length) in enumerate(self.plan):
                end += length
                if end > start:
                    skip = max(start - (end - length), 0)
                    self._copy(part, offset + skip, length - skip)
                if last[part] == number:
                    self._used_up.append(part)
                if self._done - synced >= step:
                    self._settle()
                    synced = self._done
                if self.progress:
                    self.progress(self._done, total)
            self._settle()
        finally:
            os.close(self._handle)
        return self._hash.hexdigest(), total

    def _trusted(self, last: dict[str, int]) -> int:
        """Return how many bytes of the archive were made durable by an earlier process."""
        missing = [number for part, number in last.items() if self.volume.size(part) is None]
        return sum(length for _, _, length in self.plan[: max(missing) + 1]) if missing else 0

    def _keep(self, size: int) -> None:
        """Hash the first `size` bytes of the archive, which stay; what follows is written over."""
        with self.volume.errors():
            while self._done < size:
                data = os.pread(self._handle, min(COPY_BYTES, size - self._done), self._done)
                if not data:
                    raise self._damaged("the archive lost its end")
                self._hash.update(data)
                self._done += len(data)

    def _copy(self, part: str, offset: int, length: int) -> None:
        with self.volume.errors():
            source = self.volume.open(part)
            try:
                while length:
                    data = os.pread(source, min(COPY_BYTES, length), offset)
                    if not data:
                        raise self._damaged(f"{part} lost its end")
                    self._append(data)
                    self._hash.update(data)
                    offset, length = offset + len(data), length - len(data)
            finally:
                os.close(source)

    def _append(self, data: bytes) -> None:
        """Write at the end of the archive; a full disk first gets back the parts that are used up."""
        view = memoryview(data)
        while view:
            try:
                count = os.pwrite(self._handle, view, self._done)
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.EDQUOT} or not self._used_up:
                    raise
                self._settle()
                continue
            view = view[count:]
            self._done += count

    def _settle(self) -> None:
        """Make the archive durable, then remove the parts that it holds."""
        with self.volume.errors():
            os.fdatasync(self._handle)
            if not self._name_is_durable:
                self.volume.sync()
                self._name_is_durable = True
            for part in self._used_up:
                self.volume.unlink(part)
        self._used_up.clear()

    def _damaged(self, what: str) -> BilbsError:
        return BilbsError(
            f"{self.volume.path} is damaged: {what}",
            code="work-damaged",
            next="run bilbs diag collect again; the folder can be removed",
        )
