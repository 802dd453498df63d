"""Single members of a bundle: of an archive, which is read once for all of them, or of the folder it was unpacked to."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from bilbs_cli.diag.bundle import reader
from bilbs_cli.diag.findings import FACTS
from bilbs_cli.errors import NotFound, PermissionNeeded


def read(path: Path, wanted: Collection[str], limit: int) -> Iterator[tuple[str, bytes]]:
    """Yield the wanted members that a bundle has: the name below its top folder, and the first `limit` bytes.

    An archive is read no further than the last of them. Raises like `reader.open_bundle` and `root_of`.
    """
    if is_folder(path):
        yield from _of_folder(root_of(path), wanted, limit)
        return
    left = set(wanted)
    with reader.open_bundle(path) as archive:
        for one in archive:
            name = one.name.partition("/")[2]
            if name in left:
                left.discard(name)
                yield name, reader.first(one.chunks(), limit)
            if not left:
                return


def is_folder(path: Path) -> bool:
    """Say whether a bundle is an unpacked one; what this user may not look at is not: to open it is an error by name."""
    return os.path.isdir(path)  # noqa: PTH112 - `Path.is_dir` raises where a folder above cannot be entered


def root_of(folder: Path) -> Path:
    """Return the top folder of an unpacked bundle: `folder`, or the one folder in it that is one.

    Raises `NotFound`, `PermissionNeeded`.
    """
    try:
        if (folder / FACTS).is_file():
            return folder
    except PermissionError:
        raise PermissionNeeded(f"{folder} cannot be read by this user") from None
    inner = [one.parent for one in folder.glob(f"*/{FACTS}")]
    if len(inner) != 1:
        raise NotFound(f"{folder} holds no {FACTS}: it is not an unpacked bundle", code="no-bundle")
    return inner[0]


def _of_folder(root: Path, wanted: Collection[str], limit: int) -> Iterator[tuple[str, bytes]]:
    for name in wanted:
        if _is_below(root, name):
            yield name, reader.first(reader.file_chunks(root / name), limit)


def _is_below(root: Path, name: str) -> bool:
    """Say whether a name, which may be hostile, is that of a file in the folder: no link leads out of it."""
    try:
        return (root / name).is_file() and (root / name).resolve().is_relative_to(root.resolve())
    except (OSError, ValueError):  # a name that no file system takes
        return False
