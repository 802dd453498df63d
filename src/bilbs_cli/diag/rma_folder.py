"""A packet of evidence, and how it gets to disk: a folder and a tarball beside it, whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bilbs_cli import files
from bilbs_cli.diag.rma_checklist import Item
from bilbs_cli.diag.rma_identifiers import Identifier
from bilbs_cli.diag.rma_oems import Oem
from bilbs_cli.diag.rma_parts import Part
from bilbs_cli.errors import OutputUnwritable

NAMES = 100  # packets of one name in one folder
FOLDER_MODE, FILE_MODE = 0o700, 0o600


@dataclass(frozen=True, slots=True)
class Packet:
    """What goes to the maker. `files` are the contents by name, `members/...` those copied from the bundle.

    `sure` is the sentence on how sure it is, `worthy` says whether any finding supports an RMA at all. `made_at` is the
    time of the bundle: the same bundle gives the same packet, byte by byte.
    """

    name: str
    made_at: datetime
    part: Part
    oem: Oem
    oem_from: str
    sure: str
    worthy: bool
    disguised: bool
    identifiers: tuple[Identifier, ...]
    items: tuple[Item, ...]
    files: Mapping[str, bytes]

    @property
    def missing(self) -> tuple[Item, ...]:
        """Return what the maker wants and is not here."""
        return tuple(one for one in self.items if not one.have)


@dataclass(frozen=True, slots=True)
class Written:
    """Where a packet was written: its folder, the tarball beside it, and the tarball's hash."""

    folder: Path
    tarball: Path
    sha256: str


def write(packet: Packet, out_dir: Path) -> Written:
    """Write a packet's folder (0700, files 0600) and tarball into `out_dir`; a name that is taken gets a number.

    Nothing is overwritten. Raises `OutputUnwritable`, and leaves nothing half-written behind.
    """
    if not out_dir.exists():
        files.private_dir(out_dir)
    work: Path | None = None
    try:
        work = Path(tempfile.mkdtemp(prefix=".bilbs-rma-", dir=out_dir))
        folder, tarball = work / "folder", work / "tarball"
        _write_folder(folder, packet)
        data = tar_bytes(packet)
        _write_file(tarball, data)
        placed = _place(out_dir, packet.name, folder, tarball)
        files.sync_dir(out_dir)
    except OSError as error:
        raise files.cannot_write(out_dir / packet.name, error) from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return Written(*placed, hashlib.sha256(data).hexdigest())


def _write_folder(folder: Path, packet: Packet) -> None:
    folder.mkdir(mode=FOLDER_MODE)
    for name, data in packet.files.items():
        path = folder / name
        for parent in reversed(path.relative_to(folder).parents[:-1]):
            (folder / parent).mkdir(mode=FOLDER_MODE, exist_ok=True)
        _write_file(path, data)


def _write_file(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def tar_bytes(packet: Packet) -> bytes:
    """Return the tarball: names, order, times and owners depend on the packet alone, so its bytes do too."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", 9, buffer, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        folders = {
            packet.name,
            *(f"{packet.name}/{parent}" for name in packet.files for parent in Path(name).parents if parent.name),
        }
        for name in sorted(folders):
            archive.addfile(_entry(name, packet, tarfile.DIRTYPE, FOLDER_MODE))
        for name, data in packet.files.items():
            entry = _entry(f"{packet.name}/{name}", packet, tarfile.REGTYPE, FILE_MODE)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _entry(name: str, packet: Packet, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    entry.mtime = max(int(packet.made_at.timestamp()), 0)
    return entry


def _place(out_dir: Path, name: str, folder: Path, tarball: Path) -> tuple[Path, Path]:
    """Give folder and tarball their names, the first pair that is free: both are reserved before either is moved."""
    for number in range(1, NAMES):
        plain = name if number == 1 else f"{name}-{number}"
        home, packed = out_dir / plain, out_dir / f"{plain}.tar.gz"
        if not _reserve(home, packed):
            continue
        try:
            os.replace(folder, home)  # noqa: PTH105 - onto the empty folder that was just made
            os.replace(tarball, packed)  # noqa: PTH105
        except BaseException:  # a name that was reserved is given back, on Ctrl-C too
            _give_back(home, packed)
            raise
        return home, packed
    raise OutputUnwritable(
        f"{out_dir} has {NAMES - 1} packets called {name} already", next="choose another folder with -o"
    )


def _reserve(home: Path, packed: Path) -> bool:
    try:
        home.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        return False
    try:
        os.close(os.open(packed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    except FileExistsError:
        home.rmdir()
        return False
    except OSError:
        home.rmdir()
        raise
    return True


def _give_back(home: Path, packed: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    with suppress(OSError):
        packed.unlink()
