"""Whether the disk can take a bundle, asked before anything is collected."""

from __future__ import annotations

import os
from pathlib import Path

from bilbs_cli import files
from bilbs_cli.errors import OutputUnwritable

OVERHEAD = 4 << 20  # journal, summary, facts, manifest, parts being joined


def need_bytes(archive_bytes: int, *, encrypted: bool = False) -> int:
    """Return the disk space a run needs at its peak for an archive of about `archive_bytes`.

    Encrypting needs it twice: a half-encrypted archive could not be finished after a crash if its parts were gone.
    """
    return archive_bytes * (2 if encrypted else 1) + archive_bytes // 10 + OVERHEAD


def check_space(out_dir: Path, need: int) -> None:
    """Raise `OutputUnwritable` when the file system of `out_dir` cannot take `need` bytes (statvfs(3), f_bavail)."""
    place = files.existing_parent(out_dir)
    try:
        state = os.statvfs(place)
    except OSError as error:
        raise files.cannot_write(out_dir, error) from error
    where = files.device_of(place)
    if state.f_flag & os.ST_RDONLY:
        raise OutputUnwritable(
            f"{out_dir} is on a read-only file system ({where})",
            code="read-only",
            next="choose another folder with -o, for example -o /dev/shm",
        )
    free = state.f_bavail * state.f_frsize
    if free < need:
        raise _full(f"no room for a bundle in {out_dir}: {_mib(need)} needed, {_mib(free)} free on {where}", place)
    if state.f_files and not state.f_favail:  # f_files 0: a file system without a table of them
        raise _full(f"no inodes left for a bundle in {out_dir} on {where}", place)


def _full(message: str, place: Path) -> OutputUnwritable:
    advice = f"free some space there (df -h {place}; df -i), choose another folder with -o, or use --profile triage"
    return OutputUnwritable(message, code="disk-full", safe="nothing was written", next=advice)


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
