"""Files written whole or not at all, folders that others cannot read, and reads that cannot hang."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bilbs_cli.errors import OutputUnwritable, PermissionNeeded


def private_dir(path: Path) -> Path:
    """Make `path` and its parents, 0700 for what is new; return it.

    Raises `OutputUnwritable` when it cannot be made, or is a link or another user's folder.
    """
    try:
        for folder in reversed([one for one in (path, *path.parents) if not one.exists()]):
            folder.mkdir(mode=0o700, exist_ok=True)  # mkdir(parents=True) would leave the parents open to others
        info = path.lstat()
    except OSError as error:
        raise cannot_write(path, error) from error
    if not stat.S_ISDIR(info.st_mode) or info.st_uid not in {os.geteuid(), 0}:
        raise OutputUnwritable(
            f"{path} is not a folder of this user", next="choose another folder, or check who made it"
        )
    return path


def write_private(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` to `path` atomically: temporary file 0600, fsync, `os.replace`, fsync of the folder.

    `mode` is for what others may read (settings of the machine). Raises `OutputUnwritable`; the old content stays then.
    """
    import tempfile  # with `random` and `shutil`: only a command that writes pays for it

    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - str and Path mixed on purpose
        sync_dir(path.parent)
    except BaseException as error:  # Ctrl-C leaves no temporary file behind either
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def sync_dir(path: Path) -> None:
    """Make a rename in `path` durable (fsync(2) of the folder)."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems cannot
            raise
    finally:
        os.close(handle)


def cannot_write(path: Path, error: OSError) -> OutputUnwritable:
    """Return the error for a failed write to `path`: which device, how much is free, what to type."""
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        place = existing_parent(path)
        return OutputUnwritable(
            f"no space left for {path} on {device_of(place)}",
            code="disk-full",
            next=f"free some space there, or choose another folder with -o (df -h {place})",
        )
    if error.errno == errno.EROFS:
        return OutputUnwritable(
            f"{path} is on a read-only file system ({device_of(existing_parent(path))})",
            code="read-only",
            next="choose another folder with -o, for example -o /dev/shm",
        )
    return OutputUnwritable(f"cannot write {path}: {reason}", next="choose another folder with -o")


def not_written(path: Path, error: OSError | OutputUnwritable) -> OutputUnwritable | PermissionNeeded:
    """Return the error for a file of the system that could not be changed: what is missing may only be the right to."""
    if isinstance(error, PermissionError) or isinstance(error.__cause__, PermissionError):
        return PermissionNeeded(
            f"no permission to write {path}", safe="nothing was changed", next="the same command as root"
        )
    return error if isinstance(error, OutputUnwritable) else cannot_write(path, error)


def existing_parent(path: Path) -> Path:
    """Return `path` or its nearest ancestor that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def device_of(path: Path) -> str:
    """Return `DEVICE mounted on FOLDER` for an existing path (from /proc/self/mountinfo, proc(5))."""
    with suppress(OSError):
        number = path.stat().st_dev
        wanted = f"{os.major(number)}:{os.minor(number)}"
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            left, _, right = line.partition(" - ")
            fields, tail = left.split(), right.split()
            if len(fields) > 4 and fields[2] == wanted and len(tail) > 1:
                return f"{tail[1]} mounted on {fields[4]}"
    return f"the file system of {path}"


class NotReadable(Exception):
    """A path that is not read on purpose: a FIFO, a socket, a device, a link that leads outside. `str` says which."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading without ever waiting for a peer (FIFO) or touching a device.

    Links are followed; what they lead to must be a regular file. Raises `NotReadable` or `OSError`.
    """
    _require_regular(path.stat().st_mode, path)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        _require_regular(os.fstat(handle).st_mode, path)  # it may have been swapped in between
    except BaseException:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb", buffering=0)


_KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISDIR, "a folder"),
)


def _require_regular(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "not a regular file")
        raise NotReadable(f"{path} is {kind}, not a regular file")


def rooted(root: Path | None, path: str) -> Path:
    """Return `path` (absolute) as seen below `root`, links resolved inside `root` as chroot(2) would.

    With `root` None it is the path itself. Raises `NotReadable` after 40 links (ELOOP).
    """
    if root is None:
        return Path(path)
    todo = [part for part in path.split("/") if part not in {"", "."}][::-1]
    here: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            here = here[:-1]
            continue
        target = root.joinpath(*here, part)
        if target.is_symlink():
            links += 1
            if links > 40:
                raise NotReadable(f"{path} is a loop of links")
            text = os.readlink(target)  # noqa: PTH115 - text, not a normalised Path
            here = [] if text.startswith("/") else here
            todo += [step for step in text.split("/") if step not in {"", "."}][::-1]
        else:
            here.append(part)
    return root.joinpath(*here)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold an exclusive flock(2) on `path` (made if absent); yield False at once when another process holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(handle)
