"""Make what customers install: wheel, sdist, bilbs.pyz, Debian packages, SBOM, SHA256SUMS. Two runs give the same bytes.

    dist.py OUT [--wheels DIR] [--machines x86_64,aarch64] [--pythons 3.11,...] [--level 0-9]

Wheels of the libraries are downloaded once into DIR, by the names and versions of requirements.lock; nothing is compiled.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from artifacts import debian, executable_zip, sbom, wheels
from artifacts.running import ROOT, run


def epoch() -> int:
    """Return the time that everything bears: SOURCE_DATE_EPOCH, else that of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    shown = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=True
    )
    return int(shown.stdout)


def main() -> None:
    """Make everything into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("out", type=Path)
    parser.add_argument("--wheels", type=Path, default=ROOT / ".venv/wheels")
    parser.add_argument("--machines", default="x86_64,aarch64")
    parser.add_argument("--pythons", default=",".join(wheels.PYTHONS))
    parser.add_argument("--level", type=int, default=9, help="of xz: 1 is quick, 9 small")
    given = parser.parse_args()
    out, when, machines = given.out.absolute(), epoch(), given.machines.split(",")
    pythons = given.pythons.split(",")
    sys.path.insert(0, str(ROOT / "src"))
    from bilbs_cli import __version__

    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    wheels.fetch(given.wheels, machines, pythons)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when)}
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT), env=environment)
    own = next(out.glob("bilbs_cli-*.whl"))
    trees = {}
    for machine in machines:
        trees[machine] = out / f".tree-{machine}"
        wheels.libraries(given.wheels, own, machine, pythons, trees[machine])
        debian.make(out, trees[machine], machine, __version__, when, given.level)
    executable_zip.make(out / "bilbs.pyz", trees, when, min(given.level, 3))
    sbom.make(out / f"bilbs-{__version__}.cdx.json", given.wheels, __version__, when)
    for tree in trees.values():
        shutil.rmtree(tree)
    made = sorted(path for path in out.iterdir() if path.is_file())
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made)
    (out / "SHA256SUMS").write_text(sums)
    for path in made:
        print(f"{path.stat().st_size / 1e6:7.1f} MB  {path.name}")


if __name__ == "__main__":
    main()
