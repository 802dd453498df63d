"""The wheels of the libraries, by the names and versions of requirements.lock, and the tree that they are unpacked to."""

from __future__ import annotations

import hashlib
import shutil
import sys
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from artifacts.running import ROOT, run

PYTHONS = ("3.11", "3.12", "3.13", "3.14")  # Debian 12, Ubuntu 24.04, Debian 13, the next ones
GLIBC = ("2_34", "2_28", "2_17")  # manylinux: Debian 12 has 2.36
OLD_TAGS = {"x86_64": ("manylinux2014", "manylinux_2_12", "manylinux2010", "manylinux1"), "aarch64": ("manylinux2014",)}
COMMON, ABI3 = "common", "abi3"  # for every Python and machine; for every Python of a machine


def fetch(folder: Path, machines: Iterable[str], pythons: Sequence[str]) -> None:
    """Download the wheels of the libraries for each Python and machine; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(machine, python) for machine in machines for python in pythons]
    jobs = [_download(folder, *one) for one in wanted if not _there(folder, *one)]
    if not jobs:
        return
    run(*jobs[0])  # it brings what all of them share, so that the others do not write the same files at once
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda argv: run(*argv), jobs[1:]))


def _there(folder: Path, machine: str, python: str) -> bool:
    try:
        return bool(wheels_for(folder, python, machine))
    except SystemExit:
        return False


def _download(folder: Path, machine: str, python: str) -> list[str]:
    tags = [*(f"manylinux_{glibc}_{machine}" for glibc in GLIBC), *(f"{tag}_{machine}" for tag in OLD_TAGS[machine])]
    argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
    argv += ["--disable-pip-version-check", "--implementation", "cp", "--python-version", python]
    argv += [word for tag in tags for word in ("--platform", tag)]
    return [*argv, "--find-links", str(folder), "-r", str(ROOT / "requirements.lock")]


def locked() -> dict[str, str]:
    """Return the libraries of requirements.lock with their versions, without those of other systems."""
    found = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        name, _, marker = line.partition(" ; ")
        if name and "win32" not in marker:
            library, _, version = name.partition("==")
            found[library] = version
    return found


def wheels_of(folder: Path, library: str, version: str) -> list[Path]:
    """Return the wheels of a library that are there, for every Python and machine."""
    start = f"{library.replace('-', '_')}_{version}_".lower()
    return [path for path in sorted(folder.glob("*.whl")) if path.name.replace("-", "_").lower().startswith(start)]


def wheels_for(folder: Path, python: str, machine: str) -> list[tuple[Path, str]]:
    """Return the wheel of each library for a Python and a machine, with the part that it belongs to."""
    tag = f"cp{python.replace('.', '')}"
    found = []
    for library, version in locked().items():
        there = wheels_of(folder, library, version)
        pure = [path for path in there if path.name.endswith("-none-any.whl")]
        stable = [path for path in there if "-abi3-" in path.name and machine in path.name]
        own = [path for path in there if f"-{tag}-{tag}-" in path.name and machine in path.name]
        chosen = own or stable or pure
        if not chosen:
            raise SystemExit(f"dist: no wheel of {library} {version} for Python {python} on {machine}")
        found.append((chosen[0], tag if own else ABI3 if stable else COMMON))
    return found


def unused(parts: Sequence[str]) -> bool:
    """Tell whether nothing of bilbs ever opens this file of a wheel."""
    return (
        bool({"tests", "test"} & set(parts[:2]))
        or parts[-1].endswith((".pyi", ".c", ".h", ".pyx"))
        or (parts[0] == "zstandard" and parts[1].startswith("_cffi"))  # its engine for PyPy: 11 MB for each Python
        or (
            list(parts[:2]) == ["holidays", "locale"] and parts[2] != "en_US"
        )  # 1,000 files; asked for in English alone
    )


def unpack(wheel: Path, folder: Path) -> None:
    """Unpack a wheel as pip would, without its scripts."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            parts = name.split("/")
            if name.endswith("/"):
                continue
            if parts[0].endswith(".data"):
                if parts[1] not in {"purelib", "platlib"}:
                    continue
                parts = parts[2:]
            if unused(parts):
                continue
            place = folder.joinpath(*parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(archive.read(name))
            place.chmod(0o644)


def libraries(wheels: Path, own: Path, machine: str, pythons: Sequence[str], place: Path) -> None:
    """Lay out what runs on a machine: `common`, `abi3`, and `cp311` and so on for what differs between Pythons."""
    unpack(own, place / COMMON)
    for python in pythons:
        for wheel, part in wheels_for(wheels, python, machine):
            if python == pythons[0] or part not in {COMMON, ABI3}:
                unpack(wheel, place / part)
    first = place / f"cp{pythons[0].replace('.', '')}"
    for python in pythons[1:]:  # libraries that several Pythons bring alike are there once
        for folder in sorted((place / f"cp{python.replace('.', '')}").glob("*.libs")):
            if _digest_of(folder) == _digest_of(first / folder.name):
                shutil.rmtree(folder)
                folder.symlink_to(f"../{first.name}/{folder.name}")


def _digest_of(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        found.update(f"{path.relative_to(folder)}\0".encode() + (path.read_bytes() if path.is_file() else b""))
    return found.hexdigest()
