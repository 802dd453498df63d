"""Make what customers install: wheel, sdist, bilbs.pyz, Debian packages, SBOM, SHA256SUMS. Two runs give the same bytes.

    dist.py OUT [--wheels DIR] [--machines x86_64,aarch64] [--pythons 3.11,...] [--level 0-9]

Wheels of the libraries are downloaded once into DIR, by the names and versions of requirements.lock; nothing is compiled.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

PYTHONS = ("3.11", "3.12", "3.13", "3.14")  # Debian 12, Ubuntu 24.04, Debian 13, the next ones
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
GLIBC = ("2_34", "2_28", "2_17")  # manylinux: Debian 12 has 2.36
OLD_TAGS = {"x86_64": ("manylinux2014", "manylinux_2_12", "manylinux2010", "manylinux1"), "aarch64": ("manylinux2014",)}
COMMON, ABI3 = "common", "abi3"  # for every Python and machine; for every Python of a machine
PAGER_MODULES = (
    "__init__",
    "__main__",
    "escape",
    "errors",
    "folders",
    "paths",
    "support/__init__",
    "support/card_file",
    "support/pager",
)


def run(*argv: str, **more: object) -> None:
    """Run a program; its output is shown where it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(f"dist: {' '.join(argv[:4])} failed")


def epoch() -> int:
    """Return the time that everything bears: SOURCE_DATE_EPOCH, else that of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    shown = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=True
    )
    return int(shown.stdout)


# --- wheels -----------------------------------------------------------------------------------------------------------


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


# --- archives ---------------------------------------------------------------------------------------------------------


def tar_of(folder: Path, prefix: str, when: int, level: int) -> bytes:
    """Return a folder as a tar, xz-compressed, the same bytes each time."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz", preset=level, format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(
            Path(at, name) for at, below, files in os.walk(folder, followlinks=True) for name in (*below, *files)
        ):
            info = tar.gettarinfo(str(path.resolve()), arcname=f"{prefix}/{path.relative_to(folder)}")
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = when
            info.mode = 0o755 if path.is_dir() or info.mode & 0o111 else 0o644
            with path.open("rb") if info.isreg() else io.BytesIO() as stream:
                tar.addfile(info, stream if info.isreg() else None)
    return data.getvalue()


def executable_zip(target: Path, trees: dict[str, Path], when: int, level: int) -> None:
    """Write bilbs.pyz: its entry, the pager on its own, and what each Python and machine needs."""
    import time

    machines = sorted(trees)
    parts = {COMMON: tar_of(trees[machines[0]] / COMMON, COMMON, when, level)}
    for machine in machines:
        for folder in sorted(trees[machine].iterdir()):
            if folder.name != COMMON:
                parts[f"{folder.name}-{machine}"] = tar_of(folder, f"{folder.name}-{machine}", when, level)
    digest = hashlib.sha256(b"".join(parts[name] for name in sorted(parts))).hexdigest()[:20]
    entry = (ROOT / "packaging/pyz/__main__.py").read_text().replace("@DIGEST@", digest)
    members = {"__main__.py": entry.encode()}
    members |= {
        f"pager/bilbs_cli/{name}.py": (ROOT / f"src/bilbs_cli/{name}.py").read_bytes() for name in PAGER_MODULES
    }
    members |= {f"parts/{name}.tar.xz": data for name, data in parts.items()}
    stamp = time.gmtime(when)[:6]
    with target.open("wb") as out:
        out.write(b"#!/usr/bin/env -S python3 -s\n")
        with zipfile.ZipFile(out, "w") as archive:
            for name in sorted(members):
                info = zipfile.ZipInfo(name, stamp)
                info.external_attr = 0o644 << 16
                archive.writestr(info, members[name])
    target.chmod(0o755)


# --- Debian -----------------------------------------------------------------------------------------------------------


def debian(target: Path, tree: Path, machine: str, version: str, when: int, level: int) -> Path:
    """Write the Debian package of a machine and return it. Needs dpkg-deb(1)."""
    import manual_pages

    from bilbs_cli import command_tree, completion_scripts, main

    root = target / f".deb-{machine}"
    shutil.copytree(tree, root / "opt/bilbs/lib", symlinks=True)
    day = f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d}"
    _put(root / "usr/bin/bilbs", (ROOT / "packaging/bin/bilbs").read_bytes(), 0o755)
    _put(root / "usr/bin/diag", (ROOT / "packaging/bin/diag").read_bytes(), 0o755)
    _put(root / "etc/bilbs/config.toml", (ROOT / "packaging/config.toml").read_bytes())
    for unit in sorted((ROOT / "packaging/systemd").iterdir()):
        _put(root / "usr/lib/systemd/system" / unit.name, unit.read_bytes())
    commands = command_tree.read(main.app)
    _put(root / "usr/share/bash-completion/completions/bilbs", completion_scripts.bash(commands).encode())
    (root / "usr/share/bash-completion/completions/diag").symlink_to("bilbs")
    _put(root / "usr/share/zsh/vendor-completions/_bilbs", completion_scripts.zsh(commands).encode())
    _put(root / "usr/share/fish/vendor_completions.d/bilbs.fish", completion_scripts.fish(commands).encode())
    for name, text in manual_pages.pages(day):
        _put(root / f"usr/share/man/man{name[-1]}/{name}.gz", _gz(text.encode()))
    doc = root / "usr/share/doc/bilbs"
    _put(doc / "copyright", (ROOT / "packaging/debian/copyright").read_bytes())
    _put(doc / "changelog.gz", _gz(_changes(version, when).encode()))
    for page in sorted((ROOT / "docs").glob("*.md")):
        _put(doc / page.name, page.read_bytes())
    _put(doc / "examples/sudoers", (ROOT / "packaging/sudoers").read_bytes())
    _put(doc / "examples/cron", (ROOT / "packaging/cron").read_bytes())
    _put(root / "usr/share/lintian/overrides/bilbs", (ROOT / "packaging/debian/lintian-overrides").read_bytes())
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file()) // 1024
    for script in ("postinst", "prerm", "postrm"):
        _put(root / "DEBIAN" / script, (ROOT / f"packaging/debian/{script}").read_bytes(), 0o755)
    control = (ROOT / "packaging/debian/control").read_text()
    for name, value in (("VERSION", version), ("ARCH", DEBIAN[machine]), ("SIZE", str(size))):
        control = control.replace(f"@{name}@", value)
    _put(root / "DEBIAN/control", control.encode())
    _put(root / "DEBIAN/conffiles", b"/etc/bilbs/config.toml\n")
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in _regular(root)]  # noqa: S324 - dpkg's form
    _put(root / "DEBIAN/md5sums", "".join(sums).encode())
    for path in [root, *root.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        os.utime(path, (when, when), follow_symlinks=False)
    package = target / f"bilbs_{version}_{DEBIAN[machine]}.deb"
    run(
        "dpkg-deb",
        "--root-owner-group",
        "-Zxz",
        f"-z{level}",
        "--build",
        str(root),
        str(package),
        env={**os.environ, "SOURCE_DATE_EPOCH": str(when)},
    )
    shutil.rmtree(root)
    return package


def _changes(version: str, when: int) -> str:
    """Return the newest part of CHANGELOG.md in Debian's form (deb-changelog(5))."""
    from email.utils import formatdate

    newest = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    items = [f"  * {line[2:]}" for line in newest.splitlines() if line.startswith("- ")]
    by = "Groupe Bilbs Support <support@groupebilbs.com>"
    return f"bilbs ({version}) stable; urgency=medium\n\n" + "\n".join(items) + f"\n\n -- {by}  {formatdate(when)}\n"


def _regular(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if (
            path.is_file()
            and not path.is_symlink()
            and "DEBIAN" not in path.parts
            and "etc" not in path.relative_to(root).parts[:1]
        ):
            yield path


def _put(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def _gz(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


# --- what lies beside them --------------------------------------------------------------------------------------------


def sbom(target: Path, wheels: Path, version: str, when: int) -> None:
    """Write the SBOM (CycloneDX 1.6): every library with version, licence, and the hash of each wheel that was used."""
    from email import message_from_bytes
    from uuid import UUID

    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    licences = LicenseFactory()
    bom = Bom(serial_number=UUID(hashlib.sha256(f"bilbs {version} {when}".encode()).hexdigest()[:32]))
    bom.metadata.timestamp = datetime.fromtimestamp(when, UTC)
    own = Component(
        name="bilbs-cli",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref="bilbs-cli",
        licenses=[licences.make_from_string("Apache-2.0")],
    )
    bom.metadata.component = own
    for library, wanted in locked().items():
        used = wheels_of(wheels, library, wanted)
        with zipfile.ZipFile(used[0]) as archive:
            name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
            meta = message_from_bytes(archive.read(name))
        licence = meta.get("License-Expression") or meta.get("License") or ""
        text = (
            licence
            if licence and "\n" not in licence and len(licence) < 80
            else next(
                (row.rpartition(" :: ")[2] for row in meta.get_all("Classifier", []) if row.startswith("License ::")),
                "see its dist-info",
            )
        )
        for path in used:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found = Component(
                name=library,
                version=wanted,
                type=ComponentType.LIBRARY,
                bom_ref=path.name,
                licenses=[licences.make_from_string(text)],
                purl=PackageURL("pypi", None, library, wanted, {"file_name": path.name}),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
            )
            bom.components.add(found)
            bom.register_dependency(own, [found])
    target.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n")


def main() -> None:
    """Make everything into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("out", type=Path)
    parser.add_argument("--wheels", type=Path, default=ROOT / ".venv/wheels")
    parser.add_argument("--machines", default="x86_64,aarch64")
    parser.add_argument("--pythons", default=",".join(PYTHONS))
    parser.add_argument("--level", type=int, default=9, help="of xz: 1 is quick, 9 small")
    given = parser.parse_args()
    out, when, machines = given.out.absolute(), epoch(), given.machines.split(",")
    pythons = given.pythons.split(",")
    sys.path.insert(0, str(ROOT / "src"))
    from bilbs_cli import __version__

    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    fetch(given.wheels, machines, pythons)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when)}
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT), env=environment)
    own = next(out.glob("bilbs_cli-*.whl"))
    trees = {}
    for machine in machines:
        trees[machine] = out / f".tree-{machine}"
        libraries(given.wheels, own, machine, pythons, trees[machine])
        debian(out, trees[machine], machine, __version__, when, given.level)
    executable_zip(out / "bilbs.pyz", trees, when, min(given.level, 3))
    sbom(out / f"bilbs-{__version__}.cdx.json", given.wheels, __version__, when)
    for tree in trees.values():
        shutil.rmtree(tree)
    made = sorted(path for path in out.iterdir() if path.is_file())
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made)
    (out / "SHA256SUMS").write_text(sums)
    for path in made:
        print(f"{path.stat().st_size / 1e6:7.1f} MB  {path.name}")


if __name__ == "__main__":
    main()
