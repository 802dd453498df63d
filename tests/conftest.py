"""What every test gets: a home, a state folder and an environment of its own, and `bilbs` as a whole process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

import bilbs_cli

if TYPE_CHECKING:
    from tests.parts.sandbox import Sandbox

# Input that is slow to make, and one slow example, say something about the machine's load and nothing about the code.
settings.register_profile("bilbs", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bilbs")

# A shell starts its background jobs with SIGINT ignored, nohup with SIGHUP, and children inherit that: tests that send one
# of them would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

NUMBERS = count()
SOURCE = str(Path(bilbs_cli.__file__).parents[1])
ISOLATED = (
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "FORCE_COLOR",
    "LANG",
    "LANGUAGE",
    "PYTHONIOENCODING",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "CREDENTIALS_DIRECTORY",
)


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give each test an empty home and no settings, whatever the machine and the person have."""
    for name in set(os.environ) - {"BILBS_SOAK"}:  # that one is how long the tests are, not what bilbs does
        if name.startswith(("BILBS_", "LC_")) or name in ISOLATED:
            monkeypatch.delenv(name)
    # apart from the tests' own folders: mktemp() looks at everything beside a new one, thousands of times
    home = tmp_path_factory.getbasetemp() / "homes" / str(next(NUMBERS))
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("BILBS_STATE_DIR", str(home / "state"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("PYTHONPATH", SOURCE)  # for the processes that tests start


@dataclass(frozen=True)
class Ended:
    """How a whole `bilbs` process ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Return stdout as the one JSON document that it must be."""
        return json.loads(self.stdout)


Bilbs = Callable[..., Ended]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Sandbox]:
    """Run a sandbox on a real socket."""
    from tests.parts.sandbox import running_sandbox  # with its framework: only where a test wants a desk

    with running_sandbox(tmp_path / "desk") as found:
        yield found


@pytest.fixture
def used_desk(desk: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Run a sandbox, and let every `bilbs` of the test talk to it."""
    monkeypatch.setenv("BILBS_API_URL", desk.url)
    monkeypatch.setenv("BILBS_TOKEN", desk.token)
    return desk


@pytest.fixture
def bilbs() -> Bilbs:
    """Run `bilbs ARGUMENTS` as a process of its own, away from this terminal."""

    def run(
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        stdin: str = "",
        program: str = "",
        timeout: float = 30,
    ) -> Ended:
        start = ["-c", program] if program else ["-m", "bilbs_cli"]
        changed = {**os.environ, **(env or {})}
        done = subprocess.run(
            [sys.executable, *start, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={name: value for name, value in changed.items() if value is not None},
            start_new_session=True,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


# --- the order of a run -----------------------------------------------------------------------------------------------

# Files whose tests take long one after the other: a worker begins with these, so that none is left with one at the end.
FIRST = (
    "tests/packages/test_debian.py",
    "tests/packages/test_artifacts.py",
    "tests/test_commands_in_prose.py",
    "tests/support/test_hostile_desk.py",
    "tests/plan/test_never_twice.py",
    "tests/support/sla/test_against_the_walker.py",
    "tests/diag/test_collect_command.py",
    "tests/plan/test_plan_commands.py",
    "tests/test_documents.py",
    "tests/support/test_login.py",
    "tests/diag/rules/test_every_rule.py",
    "tests/support/test_ticket_reading.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first."""
    place = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(FIRST)))
