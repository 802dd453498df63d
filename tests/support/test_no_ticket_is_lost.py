"""Tickets through everything at once: killed clients and desks, lost and half replies, 429, 503, a full disk.

The desk is the sandbox in a process of its own; what counts is what stands in it in the end.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bilbs_cli.errors import OutputUnwritable
from bilbs_cli.sandbox import faults, login
from bilbs_cli.sandbox.store import Store
from bilbs_cli.support.outbox import DELIVERED, QUEUED, SENDING, Outbox
from tests.parts.disk import small_disk

SOAK = bool(os.environ.get("BILBS_SOAK"))
TICKETS = 1000 if SOAK else 90
WHEN = "2026-11-26T08:00:00Z"
FLUSH = """
import sys
from pathlib import Path
from bilbs_cli.support import api, delivery
from bilbs_cli.support.outbox import Outbox
box = Outbox(Path(sys.argv[1]))
with api.Desk(sys.argv[2], sys.argv[3]) as desk:
    delivery.flush(box, desk, budget_s=60, sleep=lambda _: None)
"""
PORT = 18931 + os.getpid() % 1000


class Server:
    """The sandbox in a process of its own, which is killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.starts = folder, 0
        self.process: subprocess.Popen[str] | None = None
        self.url = f"http://127.0.0.1:{PORT}/v1"

    def start(self) -> None:
        argv = [sys.executable, "-m", "bilbs_cli", "sandbox", "serve", "--port", str(PORT), "--data", str(self.folder)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout
        assert self.process.stdout.readline().strip() == self.url
        self.starts += 1

    def kill(self) -> None:
        if self.process and self.process.stdout:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path / "desk")
    yield found
    found.kill()


def written(box: Outbox) -> list[int]:
    """Write the tickets, each with two comments in every third; return how many entries each ticket has."""
    counts = []
    for number in range(TICKETS):
        opened = box.add("ticket.open", {"subject": f"ticket {number}", "severity": "sev3"}, occurred_at=WHEN)
        comments = 2 if number % 3 == 0 else 0
        for comment in range(comments):
            box.add("ticket.comment", {"body": f"{number}: {comment}"}, occurred_at=WHEN, after=opened.id)
        counts.append(comments)
    return counts


@pytest.mark.timeout(3600 if SOAK else 120)
def test_every_ticket_is_at_the_desk_once_and_in_its_order(server: Server, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16 << 20) as disk:
        box = Outbox(disk.path / "outbox.db")
        counts = written(box)
        dice = random.Random(11)
        store = Store(server.folder)
        token = login.issue(store, "person", login.PERSON, lasts_s=login.FOR_SCRIPTS_S)
        for name, share in (
            ("drop", 0.06),
            ("refuse", 0.03),
            ("half", 0.05),
            ("429", 0.03),
            ("503", 0.04),
            ("500", 0.02),
            ("html", 0.02),
            ("redirect", 0.02),
        ):
            faults.switch(store, name, share, 0)
        kills = full = rounds = 0
        while any(True for _ in box.entries(QUEUED, SENDING)):
            rounds += 1
            server.start()
            filler = disk.path / "filler"
            if dice.random() < 0.3:
                full += 1
                with suppress(OSError):
                    filler.write_bytes(b"x" * (64 << 20))
                with pytest.raises(OutputUnwritable):
                    box.add("ticket.open", {"subject": "s" * 100_000}, occurred_at=WHEN)
            client = subprocess.Popen(
                [sys.executable, "-c", FLUSH, str(box.path), server.url, token], stderr=subprocess.DEVNULL
            )
            with suppress(subprocess.TimeoutExpired):
                client.wait(dice.uniform(0.3, 0.6) if rounds < (60 if SOAK else 12) else 20)
            filler.unlink(missing_ok=True)
            if client.poll() is None:
                client.send_signal(signal.SIGKILL)
                kills += 1
            client.wait()
            server.kill()
        assert kills >= 2
        assert server.starts >= 3
        assert {one.state for one in box.entries()} == {DELIVERED}
    tickets = [doc for _, doc in store.tickets([], [], "", 0, -1)][::-1]
    assert [doc["subject"] for doc in tickets] == [f"ticket {number}" for number in range(TICKETS)]
    for number, doc in enumerate(tickets):
        said = [
            event["text"]
            for _, event in store.events(doc["id"])
            if event["type"] in {"commented", "responded"} and event["by"] == "customer"
        ]
        assert said == [f"{number}: {comment}" for comment in range(counts[number])]
    if SOAK:
        sys.stderr.write(
            f"{TICKETS} tickets, {kills} clients killed, {server.starts} starts of the desk, {full} full disks\n"
        )
