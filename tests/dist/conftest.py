"""What the tests of the artifacts share: one build, and a Debian root of each release."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.debian_root import Root, debian_root

ROOT = Path(__file__).parents[2]


def build(out: Path, wheels: Path) -> Path:
    """Make the artifacts as `make dist` does, for this machine and the Pythons of the roots alone, and less small: in time."""
    argv = [sys.executable, str(ROOT / "tools/dist.py"), str(out), "--wheels", str(wheels)]
    argv += ["--machines", "x86_64", "--pythons", "3.11,3.13", "--level", "1"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that wheels are downloaded to."""
    return tmp_path_factory.mktemp("wheels")


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """Build once."""
    return build(tmp_path_factory.mktemp("dist"), wheels)


@pytest.fixture(scope="session", params=["bookworm", "trixie"])
def debian(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """Make a root of Debian 12 and of the next one."""
    with debian_root(tmp_path_factory.mktemp("root") / request.param, request.param) as found:
        yield found
