"""What the tests of the host collectors share: the dead system in `tests/data`, its copies, and programs on PATH."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bilbs_cli.diag.job import Collector, Job, Options

SYSROOT = Path(__file__).parents[2] / "data" / "sysroot"
NOBODY = 65534


def dead(root: Path = SYSROOT, **options: object) -> Options:
    """Return the options of a run over a mounted dead system."""
    return Options(sysroot=root, **options)  # type: ignore[arg-type]


def copied(folder: Path) -> Path:
    """Return a copy of the dead system that a test may change."""
    return Path(shutil.copytree(SYSROOT, folder / "sysroot", symlinks=True))


def write(root: Path, path: str, content: str | bytes) -> Path:
    """Put a file into a copy of the dead system."""
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return place


def part(collect: Callable[[Job], object], name: str = "probe") -> Collector:
    """Return a collector that is one function of another."""

    def alone(job: Job) -> None:
        collect(job)

    return Collector(name, name, name, 10.0, alone)


def program(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, script: str) -> Path:
    """Put a shell script on PATH before the programs of this machine; return the file that its arguments go to, one each."""
    folder.mkdir(exist_ok=True)
    heard = folder / f"{name}.heard"
    place = folder / name
    place.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" --end-- >> "{heard}"\n{script}\n')
    place.chmod(0o755)
    if str(folder) not in os.environ["PATH"].split(":"):
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return heard


def calls(heard: Path) -> list[list[str]]:
    """Return the argument lists that a program was called with."""
    if not heard.exists():
        return []
    return [call.split("\n")[:-1] for call in heard.read_text().split("--end--\n") if call]


@contextlib.contextmanager
def as_nobody() -> Iterator[Path]:
    """Take the rights of root away for a while; yield a folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        os.seteuid(was)
        shutil.rmtree(folder, ignore_errors=True)
