"""The services collector: failed units, names that try to be options, and engines that must not be started."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag import model
from bilbs_cli.diag.collectors import services
from bilbs_cli.diag.collectors.services import SERVICES
from bilbs_cli.diag.job import Options, Profile
from bilbs_cli.diag.model import NotCollected, Status, Value
from tests.diag.collectors.hosts import calls, dead, part, program, write
from tests.inprocess import Gathered, gather

SYSTEMCTL = r"""case "$1" in
list-units) cat <<'EOF'
nvidia-fabricmanager.service loaded failed failed NVIDIA fabric manager service
mnt-data\x2dold.mount loaded failed failed /mnt/data-old
ssh.service loaded active running OpenBSD Secure Shell server
EOF
;;
show) cat <<'EOF'
Id=nvidia-fabricmanager.service
LoadState=loaded
ActiveState=failed
SubState=failed
UnitFileState=enabled
Result=exit-code
NRestarts=5
MainPID=0
ExecMainStatus=1

Id=nvidia-imex.service
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
NRestarts=0

Id=trainer.service
LoadState=not-found
ActiveState=inactive
NRestarts=99999999999999999999999999
EOF
;;
esac"""


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    """Put systemctl and journalctl of our own on PATH; return what they were called with."""
    folder = tmp_path / "bin"
    return (
        program(monkeypatch, folder, "systemctl", SYSTEMCTL),
        program(monkeypatch, folder, "journalctl", "echo 2026-11-20T03:21:11+0000 gpu07 token=hunter2secret"),
    )


def asked(options: Options | None = None) -> Gathered:
    return gather(part(services._systemd, "services"), options)


def fact(got: Gathered, *path: str) -> model.Reading:
    return model.lookup(got.facts, "services", *path)


def test_the_samples_in_the_docstrings_are_true() -> None:
    result = doctest.testmod(services)
    assert result.attempted
    assert not result.failed


def test_without_systemd_as_init_nobody_asks_it(systemd: tuple[Path, Path]) -> None:
    got = gather(SERVICES)
    booted = Path("/run/systemd/system").is_dir()
    assert fact(got, "systemd") == Value(booted)
    if not booted:
        assert got.item("services/systemd").status is Status.UNAVAILABLE
        assert calls(systemd[0]) == []


def test_daemons_are_looked_for_among_the_processes_too() -> None:
    got = gather(SERVICES)
    running = {process.info["name"][:15] for process in psutil.process_iter(["name"])}
    for comm, daemon in services.DAEMONS.items():
        assert fact(got, "processes", daemon, "running") == Value(comm in running), daemon


def test_names_longer_than_the_kernel_keeps_are_found() -> None:
    assert (
        model.value(gather(SERVICES, dead()).facts, "services", "processes", "nvidia-persistenced", "running") is True
    )


def test_failed_units_are_named_and_their_logs_taken(systemd: tuple[Path, Path]) -> None:
    got = asked()
    assert fact(got, "failed") == Value(["nvidia-fabricmanager.service", r"mnt-data\x2dold.mount"])
    assert "services/logs/nvidia-fabricmanager.service.log" in got.members
    assert "services/logs/mnt-data_x2dold.mount.log" in got.members
    assert ["--unit=nvidia-fabricmanager.service", "-n", "2000", "--no-pager", "-o", "short-iso"] in calls(systemd[1])


def test_the_state_of_units_is_a_fact_and_absent_units_are_left_out(systemd: tuple[Path, Path]) -> None:
    got = asked()
    unit = ("units", "nvidia-fabricmanager.service")
    assert fact(got, *unit, "active_state") == Value("failed")
    assert (fact(got, *unit, "restarts"), fact(got, *unit, "exit_status")) == (Value(5), Value(1))
    assert "nvidia-imex.service" not in model.branch(got.facts, "services", "units")


def test_a_unit_that_the_settings_name_is_shown_even_when_it_does_not_exist(systemd: tuple[Path, Path]) -> None:
    got = asked(Options(services=("trainer",)))
    assert fact(got, "units", "trainer.service", "load_state") == Value("not-found")
    assert isinstance(fact(got, "units", "trainer.service", "restarts"), NotCollected), "no such number of restarts"
    assert isinstance(fact(got, "units", "trainer.service", "sub_state"), NotCollected)
    assert "services/logs/trainer.service.log" in got.members


def test_logs_of_units_are_redacted(systemd: tuple[Path, Path]) -> None:
    logs = [data for member, data in asked().members.items() if member.startswith("services/logs/")]
    assert logs
    assert not [data for data in logs if b"hunter2secret" in data]


NO_UNITS = (
    "--help",
    "-M root@other",
    "a b",
    "*",
    "../../etc/passwd",
    "x\n--force",
    "a;reboot",
    "x" * 300,
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
    "\x1b[31m",
)


def test_a_name_that_is_no_unit_is_told_and_never_passed_on(systemd: tuple[Path, Path]) -> None:
    got = asked(Options(services=(*NO_UNITS, "", "ssh")))
    for number in range(len(NO_UNITS)):
        assert got.item(f"services/named-unit-{number}").status is Status.SKIPPED, NO_UNITS[number]
    words = [word for heard in systemd for call in calls(heard) for word in call]
    assert "ssh.service" in words
    assert "--unit=ssh.service" in words
    units = [word.removeprefix("--unit=") for word in words if word.endswith(".service")]
    assert all(services.UNIT_NAME.fullmatch(unit) for unit in units)
    passed = [
        name for name in NO_UNITS if any(word in {name, f"{name}.service", f"--unit={name}.service"} for word in words)
    ]
    assert not passed


@given(st.text(max_size=40))
def test_only_names_of_units_pass(name: str) -> None:
    if services.UNIT_NAME.fullmatch(name):
        assert name.isascii()
        assert not name.startswith("-")
        assert not set(name) & set("/ *?[]\n\t;'\"$")


def test_since_reaches_the_logs_of_units(systemd: tuple[Path, Path]) -> None:
    since = datetime(2026, 11, 19, tzinfo=UTC)
    asked(Options(since=since))
    assert all(f"--since=@{int(since.timestamp())}" in call for call in calls(systemd[1]))


def test_in_a_hurry_only_failed_named_and_nvidia_units_are_logged(systemd: tuple[Path, Path]) -> None:
    asked(Options(profile=Profile.TRIAGE, services=("trainer",)))
    units = {word for call in calls(systemd[1]) for word in call if word.startswith("--unit=")}
    assert "--unit=trainer.service" in units
    assert "--unit=nvidia-persistenced.service" in units
    assert "--unit=docker.service" not in units


def test_a_systemctl_that_says_nothing_is_not_a_host_without_failures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard = program(monkeypatch, tmp_path / "bin", "systemctl", "echo 'Failed to connect to bus' >&2; exit 1")
    journal = program(monkeypatch, tmp_path / "bin", "journalctl", "exit 0")
    got = asked(Options(services=("trainer",)))
    assert isinstance(fact(got, "failed"), NotCollected)
    assert got.item("services/units.txt").status is Status.UNAVAILABLE
    assert len(calls(heard)) == 1, "what does not answer is asked once"
    assert "--unit=trainer.service" in calls(journal)[0]


def test_units_that_were_not_listed_this_time_are_not_without_failures(systemd: tuple[Path, Path]) -> None:
    got = gather(part(services._systemd, "services"), skip=frozenset({"services/units.txt"}))
    assert isinstance(fact(got, "failed"), NotCollected)
    assert fact(got, "units", "nvidia-fabricmanager.service", "active_state") == Value("failed")


def test_a_docker_daemon_that_does_not_run_is_not_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard = program(monkeypatch, tmp_path / "bin", "docker", "echo '{}'")
    got = gather(part(lambda job: services._containers(job, set()), "services"))
    assert calls(heard) == []
    assert got.item("services/docker-info.json").status is Status.UNAVAILABLE
    got = gather(part(lambda job: services._containers(job, {"dockerd"}), "services"))
    assert [call[0] for call in calls(heard)] == ["info", "ps"]
    assert got.item("services/docker-info.json").status is Status.OK


def test_a_dead_system_gives_its_settings_and_asks_nobody(systemd: tuple[Path, Path]) -> None:
    got = gather(SERVICES, dead())
    assert isinstance(fact(got, "systemd"), NotCollected)
    assert b"nvidia-container-runtime" in got.members["services/etc/docker/daemon.json"]
    assert calls(systemd[0]) == []


def test_an_empty_disk_gives_no_values(tmp_path: Path) -> None:
    got = gather(SERVICES, dead(tmp_path))
    assert [path for path, reading in model.leaves(got.facts) if isinstance(reading, Value)] == []


def test_settings_of_engines_are_redacted(tmp_path: Path) -> None:
    write(tmp_path, "/etc/docker/daemon.json", '{"auths": {"r": {"password": "hunter2secret"}}}\n')
    assert b"hunter2secret" not in gather(SERVICES, dead(tmp_path)).members["services/etc/docker/daemon.json"]


@given(st.text(max_size=200))
def test_any_answer_of_systemctl_is_parsed(text: str) -> None:
    services.failed_units(text)
    services.shown(text)
