"""The work folder of a run, held by its handle so that a renamed or swapped path leads no write elsewhere."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bilbs_cli import files
from bilbs_cli.errors import BilbsError, OutputUnwritable

LOCK = "lock"
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
WRITE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Volume:
    """A folder 0700 of this user, locked by this process (flock(2)) as long as it is open.

    A child that lives on must close what it inherited, else the lock lives on with it.
    """

    path: Path
    handle: int
    lock: int

    @classmethod
    def make(cls, parent: int, path: Path) -> Volume:
        """Make the folder `path`, whose parent is open as `parent`. Raises `OutputUnwritable`."""
        try:
            os.mkdir(path.name, 0o700, dir_fd=parent)
        except OSError as error:
            raise files.cannot_write(path, error) from error
        try:
            return cls._held(parent, path, mine=True)
        except OSError as error:
            os.rmdir(path.name, dir_fd=parent)
            raise files.cannot_write(path, error) from error

    @classmethod
    def reopen(cls, parent: int, path: Path) -> Volume:
        """Open the folder of an interrupted run.

        Raises `BilbsError` (`run-is-live`) when another process holds it, `OutputUnwritable` when it is not a private
        folder of this user: a stranger could have put there what this process would then publish.
        """
        try:
            return cls._held(parent, path, mine=False)
        except OSError as error:
            raise files.cannot_write(path, error) from error

    @classmethod
    def _held(cls, parent: int, path: Path, *, mine: bool) -> Volume:
        handle = os.open(path.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        lock = -1
        try:
            if not mine:
                _require_own(handle, path)
            lock = os.open(LOCK, WRITE, 0o600, dir_fd=handle)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (OSError, OutputUnwritable) as error:
            os.close(handle)
            if lock >= 0:
                os.close(lock)
            if isinstance(error, OSError) and error.errno == errno.EWOULDBLOCK:
                raise BilbsError(f"{path} belongs to a run that is still going", code="run-is-live") from None
            raise
        return cls(path, handle, lock)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn an `OSError` of the body into `OutputUnwritable`."""
        try:
            yield
        except OSError as error:
            raise files.cannot_write(self.path, error) from error

    def create(self, name: str) -> int:
        """Make a new file 0600 and return its handle. Raises `OutputUnwritable`."""
        with self.errors():
            return os.open(name, WRITE | os.O_EXCL, 0o600, dir_fd=self.handle)

    def open(self, name: str, flags: int = READ) -> int:
        """Open a file of the folder. Raises `OSError`."""
        return os.open(name, flags, 0o600, dir_fd=self.handle)

    def names(self) -> list[str]:
        """Return what is in the folder."""
        return os.listdir(self.handle)  # noqa: PTH208 - a handle, not a path

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes, None when it is not there."""
        with suppress(OSError):
            return os.stat(name, dir_fd=self.handle, follow_symlinks=False).st_size
        return None

    def unlink(self, name: str) -> None:
        """Remove a file; nothing when it is not there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.handle)

    def sync(self) -> None:
        """Make the names in the folder durable. Raises `OutputUnwritable`."""
        with self.errors():
            sync_folder(self.handle)

    def close(self) -> None:
        """Let the lock go."""
        os.close(self.lock)
        os.close(self.handle)


def _require_own(handle: int, path: Path) -> None:
    """Raise `OutputUnwritable` for what another user owns or can write (on vfat everyone can at least read)."""
    info = os.fstat(handle)
    if info.st_uid != os.geteuid() or stat.S_IMODE(info.st_mode) & 0o022:
        raise OutputUnwritable(f"{path} is not a private folder of this user", next="look at who made it")


def sync_folder(handle: int) -> None:
    """Make a rename or a new name in an open folder durable (fsync(2)); some network file systems cannot."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise


def open_folder(path: Path) -> tuple[Path, int]:
    """Return an output folder, links resolved, and its handle; it is made when it is not there.

    Raises `OutputUnwritable`.
    """
    try:
        if not path.exists():
            files.private_dir(path)
        folder = path.resolve(strict=True)
        return folder, os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise files.cannot_write(path, error) from error


def refuse(parent: int, target: Path) -> None:
    """Raise `OutputUnwritable` when the name of an archive is taken."""
    with suppress(FileNotFoundError):
        os.stat(target.name, dir_fd=parent, follow_symlinks=False)
        raise OutputUnwritable(
            f"{target} exists already", code="exists", safe="it was not touched", next="choose another folder with -o"
        )


def clear(volume: Volume, parent: int) -> None:
    """Remove a work folder, the journal last and its first file before the later ones.

    So a removal that is cut short leaves one that is known to hold nothing: no journal without its beginning counts.
    """
    for name in sorted(volume.names(), key=lambda name: (name == LOCK, name.startswith("journal"), len(name), name)):
        with suppress(OSError):
            volume.unlink(name)
    with suppress(OSError):
        os.rmdir(volume.path.name, dir_fd=parent)
    volume.close()


@contextmanager
def closing(handle: int) -> Iterator[int]:
    """Close a handle at the end of the body."""
    try:
        yield handle
    finally:
        os.close(handle)
