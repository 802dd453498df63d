"""What the tests of the artifacts share: one build, and a Debian root of each release."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.debian_root import Root, debian_root

ROOT = Path(__file__).parents[2]
SOAK = bool(os.environ.get("BILBS_SOAK"))
SUITES = ("bookworm", "trixie", *(("noble",) if SOAK else ()))  # Debian 12, 13, Ubuntu 24.04
collect_ignore = [] if SOAK else ["test_systemd.py"]  # it boots a system
IN_TIME = ("--machines", "x86_64", "--pythons", "3.11,3.12,3.13" if SOAK else "3.11,3.13", "--level", "0")


def build(out: Path, wheels: Path) -> Path:
    """Make the artifacts as `make dist` does, for this machine and the Pythons of the roots alone, and less small: in time."""
    argv = [sys.executable, str(ROOT / "tools/dist.py"), str(out), "--wheels", str(wheels), *IN_TIME]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return a folder that all workers of a run share."""
    base = tmp_path_factory.getbasetemp()
    found = (base if worker_id == "master" else base.parent) / "artifacts"
    found.mkdir(exist_ok=True)
    return found


@pytest.fixture(scope="session")
def wheels(shared: Path) -> Path:
    """Return the folder that wheels are downloaded to."""
    return shared / "wheels"


@pytest.fixture(scope="session")
def dist(shared: Path, wheels: Path) -> Path:
    """Build once; a second worker waits for the first."""
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        out = shared / "dist"
        return out if (out / "SHA256SUMS").exists() else build(out, wheels)


@pytest.fixture(scope="session", params=SUITES)
def debian(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """Make a root of Debian 12, of the next one, and in the long tests of Ubuntu."""
    with debian_root(tmp_path_factory.mktemp("root") / request.param, request.param) as found:
        yield found
