"""Small files of sysfs and procfs: one file, one reading; absent, refused and unexpected stay apart."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bilbs_cli import files
from bilbs_cli.diag.job import Job
from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Value

ATTRIBUTE_BYTES = 64 << 10
ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO}

Parse = Callable[[str], Any]
Spec = dict[str, tuple[str, Parse]]  # fact -> (file below the folder, what makes the value of its text)


def content(root: Path | None, path: str, limit: int = ATTRIBUTE_BYTES) -> bytes:
    """Return the first `limit` bytes of a regular file. Raises `OSError` or `files.NotReadable`."""
    with files.open_regular(files.rooted(root, path)) as stream:
        pieces, left = [], limit
        while left > 0 and (piece := stream.read(left)):
            pieces.append(piece)
            left -= len(piece)
    return b"".join(pieces)


def attribute(root: Path | None, path: str, parse: Parse = str) -> Reading:
    """Read one attribute; `parse` gets its text without the white space around it.

    An attribute that is not there, or is empty, is `NotCollected`; one that is refused or unexpected is a `ReadError`.
    """
    try:
        text = content(root, path).decode("utf-8", "replace").strip()
        return Value(parse(text)) if text else NotCollected(f"{path} is empty")
    except OSError as error:
        if error.errno in ABSENT:
            return NotCollected(f"no {path}")
        return ReadError(type(error).__name__, error.strerror or str(error), error.errno)
    except (ValueError, LookupError, files.NotReadable) as error:
        return ReadError(type(error).__name__, f"{path}: {error}")


def attributes(root: Path | None, folder: str, spec: Spec) -> dict[str, Reading]:
    """Read the attributes of one device: fact -> reading, in the order of `spec`."""
    return {fact: attribute(root, f"{folder}/{name}", parse) for fact, (name, parse) in spec.items()}


def survey(job: Job, path: Sequence[str], folder: str, spec: Spec) -> dict[str, Reading]:
    """Read the attributes below `folder`, announced as one reading, and record each as a fact below `path`."""
    found = job.attempt("/".join((*path, "sysfs")), partial(attributes, job.options.sysroot, folder, spec))
    readings: dict[str, Reading] = found or {}
    publish(job, path, readings)
    return readings


def publish(job: Job, path: Sequence[str], readings: Mapping[str, Reading]) -> None:
    """Record readings as facts below `path`."""
    for fact, reading in readings.items():
        job.record((*path, fact), reading)


def leaves(job: Job, path: Sequence[str], values: Mapping[str, Any] | None) -> None:
    """Record parsed values as facts below `path`; None is what the source did not say."""
    for fact, value in (values or {}).items():
        job.record((*path, fact), Value(value) if value is not None else NotCollected("the source does not say"))


def link(root: Path | None, path: str) -> str | None:
    """Return the last name of what a symbolic link leads to (`driver`, `iommu_group`), None where there is no link."""
    folder, _, name = path.rpartition("/")
    try:
        return os.path.basename(os.readlink(files.rooted(root, folder) / name))  # noqa: PTH115, PTH119 - text, not a path
    except (OSError, files.NotReadable):
        return None


def home(root: Path | None, path: str) -> str | None:
    """Return where a device's folder really is (`/sys/devices/pci0000:00/…`), links resolved inside `root`.

    None where it is nowhere: a link that leads into the void, or in a circle.
    """
    try:
        if root is None:
            return os.path.realpath(path, strict=True)
        place = files.rooted(root, path)
        return "/" + place.relative_to(root).as_posix() if place.exists() else None
    except (OSError, files.NotReadable):
        return None


def names(root: Path | None, folder: str) -> list[str]:
    """Return the sorted names in a folder, none where it is absent. Raises `OSError` when it is refused."""
    try:
        return sorted(os.listdir(files.rooted(root, folder)))  # noqa: PTH208 - names are all that is wanted
    except (FileNotFoundError, NotADirectoryError):
        return []


def whole(text: str) -> int:
    """Return a number in the form that the kernel prints it: decimal, or hexadecimal with 0x."""
    return int(text, 16 if text.lower().startswith("0x") else 10)


def counters(text: str) -> dict[str, int]:
    r"""Return lines of `name number`; other lines are left out.

    >>> counters("RxErr 0\nBadTLP 12\nTOTAL_ERR_COR 12\n")
    {'RxErr': 0, 'BadTLP': 12, 'TOTAL_ERR_COR': 12}
    """
    fields = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in fields if len(pair) == 2 and pair[1].isdecimal() and pair[1].isascii()}
