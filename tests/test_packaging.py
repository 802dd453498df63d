"""What needs no package to be tried: the units, the manual pages."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Bilbs
from tests.parts.shims import path_with

ROOT = Path(__file__).parents[1]
MANAGERS = ("systemd", "systemd-user")  # of the machine; of each user who wants it
SERVICES = sorted((ROOT / "packaging/systemd").glob("*.service"))
USER_SERVICES = sorted((ROOT / "packaging/systemd-user").glob("*.service"))


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_the_units_are_hardened(unit: Path) -> None:
    argv = ["systemd-analyze", "security", "--offline=true", "--threshold=40", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("manager", MANAGERS)
def test_the_units_are_well_formed(tmp_path: Path, manager: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    units = tmp_path / "units"
    units.mkdir()
    for unit in (ROOT / "packaging" / manager).iterdir():  # the program is not installed here
        (units / unit.name).write_text(unit.read_text().replace("/usr/bin/bilbs ", "/bin/true "))
    user = ["--user"] if manager == "systemd-user" else []
    argv = ["systemd-analyze", *user, "verify", "--man=false", *map(str, sorted(units.iterdir()))]
    assert subprocess.run(argv, capture_output=True, text=True, check=False).stderr == ""


@pytest.mark.parametrize("unit", [*SERVICES, *USER_SERVICES], ids=lambda path: path.parent.name + "-" + path.name)
def test_the_command_of_a_unit_exists_with_its_flags(bilbs: Bilbs, unit: Path) -> None:
    line = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart=/usr/bin/bilbs "))
    words = line.split()[1:]
    path = [word for word in words[:3] if not word.startswith("-")]
    shown = bilbs(*path, "--help")
    assert shown.status == 0
    flags = [word for word in words if word.startswith("--")]
    assert [flag for flag in flags if not re.search(rf"{flag}\b", shown.stdout)] == []


def test_every_page_of_the_manual_reads_without_a_warning(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, str(ROOT / "tools/manual_pages.py"), str(tmp_path)], check=True, capture_output=True
    )
    pages = sorted(tmp_path.rglob("*.[17]"))
    assert len(pages) > 80
    argv = ["groff", "-man", "-ww", "-z", *map(str, pages)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert [line for line in done.stderr.splitlines() if ".so" not in line and "can't open" not in line] == []


def test_no_text_of_a_command_becomes_a_request_of_roff() -> None:
    plain = runpy.run_path(str(ROOT / "tools/manual_pages.py"))["_plain"]
    assert plain(".so /etc/passwd") == "\\&.so /etc/passwd"
    assert plain("a\\fB 'b' --flag\n.x") == "a\\efB \\(aqb\\(aq \\-\\-flag .x"


def test_the_lines_for_cron_run(tmp_path: Path) -> None:
    """As crontab(5) reads them: five fields, the user, a command in which a percent sign is escaped."""
    path = path_with(tmp_path / "bin", sleep='echo "$1" >> "$SLEPT"')
    env = os.environ | {"PATH": path, "SLEPT": str(tmp_path / "slept")}
    lines = [line for line in (ROOT / "packaging/cron").read_text().splitlines() if line.startswith("*/")]
    assert [line.split()[:6] for line in lines] == [["*/5", *"****", "root"], ["*/10", *"****", "root"]]
    said = []
    for line in lines * 2:
        command = re.sub(r"\\%", "%", line.split(None, 6)[6])
        done = subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0].startswith("first check -> ")
    assert "first check" not in said[2]
    assert (said[1], said[3]) == ("", ""), "what waits is told by bilbs status, not by mail"
    assert all(0 <= int(number) < 60 for number in (tmp_path / "slept").read_text().split())
