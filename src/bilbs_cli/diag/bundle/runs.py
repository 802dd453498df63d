"""Which runs were interrupted: links in the state folder, and work folders beside the archives to be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bilbs_cli import files
from bilbs_cli.diag.bundle.naming import PREFIX
from bilbs_cli.diag.bundle.volume import Volume
from bilbs_cli.errors import BilbsError, OutputUnwritable


@dataclass(slots=True)
class Runs:
    """Work folders by what can be done with them; `live` ones belong to a process that is still going."""

    interrupted: list[Path] = field(default_factory=list)
    live: list[Path] = field(default_factory=list)


def _pointers(state_dir: Path) -> Path:
    return state_dir / "runs"


def announce(state_dir: Path | None, name: str, work: Path) -> None:
    """Leave a link to a run's work folder, where the state folder can be written at all: it must not stop a run."""
    if state_dir:
        with suppress(OutputUnwritable, OSError):
            folder = files.private_dir(_pointers(state_dir))
            (folder / name).symlink_to(work)  # made whole or not at all, unlike a file
            files.sync_dir(folder)


def forget(state_dir: Path | None, name: str) -> None:
    """Remove the link to a run that came to its end."""
    if state_dir:
        with suppress(OSError):
            (_pointers(state_dir) / name).unlink()


def resumable(state_dir: Path | None, out_dir: Path | None) -> Runs:
    """Return the runs that left a work folder: those this state knows, and those in `out_dir`.

    A link whose folder is gone is removed. Folders of other users are not among them.
    """
    runs = Runs()
    for work in dict.fromkeys([*(_pointed(state_dir) if state_dir else ()), *(_beside(out_dir) if out_dir else ())]):
        try:
            parent = os.open(work.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            Volume.reopen(parent, work).close()
            runs.interrupted.append(work)
        except OutputUnwritable:
            continue
        except BilbsError:
            runs.live.append(work)
        finally:
            os.close(parent)
    return runs


def _pointed(state_dir: Path) -> Iterator[Path]:
    with suppress(OSError):
        for pointer in sorted(_pointers(state_dir).iterdir()):
            if not pointer.is_symlink():
                continue
            work = pointer.readlink()
            if work.is_absolute() and is_work(work.name) and work.is_dir():
                yield work
            else:
                forget(state_dir, pointer.name)


def _beside(out_dir: Path) -> Iterator[Path]:
    with suppress(OSError):
        folder = out_dir.resolve(strict=True)
        found = (path for path in folder.iterdir() if is_work(path.name))
        yield from sorted(path for path in found if path.is_dir())


def is_work(name: str) -> bool:
    """Say whether a folder's name is that of a run's work folder."""
    return name.startswith(f".{PREFIX}") and name.endswith(".work")


def work_name(name: str) -> str:
    """Return the name of the work folder of the bundle `name`."""
    return f".{name}.work"


def bundle_of(work: str) -> str:
    """Return the name of the bundle of a work folder."""
    return work.removeprefix(".").removesuffix(".work")
