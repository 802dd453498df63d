"""The card's block in /etc/issue and /etc/motd: put in, kept up, taken out; every other byte of the file stays."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bilbs_cli import files
from bilbs_cli.errors import BilbsError, OutputUnwritable

BEGIN = b"--- bilbs support card (bilbs support card --remove takes it out) ---\n"
END = b"--- end of bilbs support card ---\n"
NEWLINE = b"\n"
LIMIT = 1 << 20
PLACES = {"issue": "/etc/issue", "motd": "/etc/motd"}


class Damaged(Exception):
    """A file whose block has lost a marker, or has one twice. `str` says which line."""


def installed(content: bytes, block: bytes) -> bytes:
    """Return the file with the block: in its old place, else in front. Raises `Damaged`."""
    begin, end = _span(content)
    return content[:begin] + BEGIN + block + END + content[end:]


def removed(content: bytes) -> bytes:
    """Return the file without the block; unchanged where it has none. Raises `Damaged`."""
    begin, end = _span(content)
    return content[:begin] + content[end:]


def _span(content: bytes) -> tuple[int, int]:
    """Return where the block stands; (0, 0) without one."""
    begins, ends = content.count(BEGIN), content.count(END)
    if not begins and not ends:
        return 0, 0
    begin, end = content.find(BEGIN), content.find(END)
    if (begins, ends) != (1, 1) or end < begin:
        at = min(place for place in (begin, end) if place >= 0)
        raise Damaged(
            f"line {content.count(NEWLINE, 0, at) + 1}: the block of the card has lost one of its two marker lines"
        )
    return begin, end + len(END)


def write(name: str, block: bytes | None, sysroot: Path | None) -> tuple[Path, bool]:
    """Put the block into /etc/issue or /etc/motd (below `sysroot`), or take it out with `block` None.

    Return the file and whether it changed. Mode and owner stay. Raises `PermissionNeeded`, `OutputUnwritable`, `BilbsError`
    for a file that is damaged or leads outside /etc; nothing is changed then.
    """
    root = sysroot or Path("/")
    path = _place(root, PLACES[name])
    old = _read(path)
    try:
        new = removed(old or b"") if block is None else installed(old or b"", block)
    except Damaged as error:
        raise BilbsError(
            f"{path}, {error}",
            code="card-block-damaged",
            safe="nothing was changed",
            next=f"put the line back, or delete the block in {path}",
        ) from error
    if new == (old or b""):
        return path, False
    _replace(path, new)
    return path, True


def _place(root: Path, wanted: str) -> Path:
    try:
        path = files.rooted(root, wanted)
    except (files.NotReadable, OSError) as error:
        raise BilbsError(f"{wanted}: {error}", code="card-block-place", safe="nothing was changed") from error
    if not path.is_relative_to(files.rooted(root, "/etc")):
        raise BilbsError(
            f"{wanted} is a link to {path}, which is not ours to change",
            code="card-block-place",
            safe="nothing was changed",
            next=f"make {wanted} a file of its own, or use bilbs support card --format {Path(wanted).name}",
        )
    return path


def _read(path: Path) -> bytes | None:
    try:
        with files.open_regular(path) as stream:
            data = stream.read(LIMIT + 1)
    except FileNotFoundError:
        return None
    except (OSError, files.NotReadable) as error:
        raise BilbsError(f"cannot read {path}: {error}", code="card-block-place", safe="nothing was changed") from error
    if len(data) > LIMIT:
        raise BilbsError(f"{path} is over {LIMIT} bytes", code="card-block-place", safe="nothing was changed")
    return data


def _replace(path: Path, data: bytes) -> None:
    try:
        info = path.stat() if path.exists() else None
        files.write_private(path, data, mode=stat.S_IMODE(info.st_mode) if info else 0o644)
        if info and (info.st_uid, info.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(path, info.st_uid, info.st_gid)
    except (OSError, OutputUnwritable) as error:
        raise files.not_written(path, error) from error
