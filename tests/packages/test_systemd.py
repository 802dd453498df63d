"""The units of the package under a systemd that really runs: a root that is booted, without a network."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli import __version__
from tests.parts.debian_root import ENVIRONMENT, debian_root
from tests.parts.patience import eventually

pytestmark = pytest.mark.timeout(900)
DEB = f"bilbs_{__version__}_amd64.deb"
Said = Callable[..., str]


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory, dist: Path) -> Iterator[Said]:
    """Boot a root that has the package, and run scripts in it as its root."""
    folder = tmp_path_factory.mktemp("root") / "booted"
    with debian_root(folder, "bookworm", "systemd", "systemd-sysv", "dbus", "libpam-systemd") as root:
        shutil.copy(dist / DEB, folder / "root" / DEB)
        root.run(f"apt-get install -y --no-install-recommends /root/{DEB}")
    argv = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe"]
    argv += ["--system-call-filter=@clock"]  # else the container itself has no answer about the clock
    with subprocess.Popen(
        [*argv, "-D", str(folder), "--boot"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    ) as machine:

        def run(script: str, status: int | None = 0) -> str:
            argv = ["nsenter", "--target", str(children(machine.pid)[0]), "--all", *ENVIRONMENT, "sh", "-c", script]
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
            assert status is None or done.returncode == status, (
                f"{script}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
            return done.stdout

        try:
            assert eventually(lambda: bool(children(machine.pid)), 30)
            assert eventually(lambda: "running" in run("systemctl is-system-running", None), 60)
            yield run
        finally:
            machine.send_signal(signal.SIGTERM)
            machine.wait(60)


def checked(said: str) -> tuple[set[tuple[str, str]], set[tuple[str, str, str]]]:
    """Return what was found, and what could not be evaluated."""
    data: dict[str, Any] = json.loads(said)["data"]
    return (
        {(one["rule"], json.dumps(one["part"])) for one in data["findings"]},
        {(one["rule"], one["kind"], one["reason"]) for one in data["not_evaluated"]},
    )


def test_the_timers_wait_and_the_check_of_one_is_told_in_the_journal(booted: Said) -> None:
    waiting = booted("systemctl list-timers --no-pager 'bilbs-*'")
    assert "bilbs-check.timer" in waiting
    assert "bilbs-flush.timer" in waiting
    for _ in range(2):
        booted("systemctl start bilbs-check.service")
    assert booted("journalctl -u bilbs-check -o cat --no-pager").count("first check -> ") == 1
    assert booted("journalctl -u bilbs-check -o cat --no-pager").count("->") == 1, "the second changed nothing"
    assert "bilbs_check_status" in booted("cat /run/bilbs/bilbs.prom")


def test_the_hardened_unit_sees_what_root_sees(booted: Said) -> None:
    """What the unit may not do must not look like a fault, nor hide one."""
    booted(
        "sed 's|^ExecStart=.*|ExecStart=/bin/sh -c \"/usr/bin/bilbs diag check --json > /run/bilbs/unit.json\"|' "
        "/lib/systemd/system/bilbs-check.service > /etc/systemd/system/told.service; systemctl daemon-reload; "
        "systemctl start told.service"
    )
    assert checked(booted("cat /run/bilbs/unit.json")) == checked(booted("bilbs diag check --json", None))


def test_a_ticket_that_waits_is_tried_by_the_unit_and_waits_on(booted: Said) -> None:
    booted("bilbs support ticket open -m 'it waits'", 75)
    booted("systemctl start bilbs-flush.service")
    assert "failed" not in booted("systemctl is-failed bilbs-flush.service", None)
    assert "it waits" in booted("bilbs support outbox list")


def test_the_timer_of_a_user_is_off_until_it_is_enabled(booted: Said) -> None:
    booted("id someone || useradd -m someone; loginctl enable-linger someone")
    user = "su someone -s /bin/sh -c 'XDG_RUNTIME_DIR=/run/user/$(id -u someone) {}'"
    assert eventually(lambda: "running" in booted(user.format("systemctl --user is-system-running"), None), 60)
    assert "disabled" in booted(user.format("systemctl --user is-enabled bilbs-flush.timer"), None)
    booted(user.format("bilbs support ticket open -m mine"), 75)
    booted(user.format("systemctl --user enable --now bilbs-flush.timer"))
    booted(user.format("systemctl --user start bilbs-flush.service"))
    assert "mine" in booted(user.format("bilbs support outbox list"))
