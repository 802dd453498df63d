"""A file to the desk through everything that a line, a desk and a disk do to it."""

from __future__ import annotations

import doctest
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli import digest_field
from bilbs_cli.sandbox import faults
from bilbs_cli.support import api, delivery, upload
from bilbs_cli.support.outbox import DELIVERED, QUEUED, REFUSED, Entry, Outbox
from bilbs_cli.support.upload import PART, Pace
from tests.conftest import Bilbs
from tests.parts.cutting import breaking_line
from tests.parts.desk import running_desk
from tests.parts.sandbox import Sandbox

WHEN = "2026-11-26T08:00:00Z"
SOAK = bool(os.environ.get("BILBS_SOAK"))


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.db")


@pytest.fixture
def ticket(desk: Sandbox, box: Outbox) -> str:
    box.add("ticket.open", {"subject": "s", "severity": "sev3"}, occurred_at=WHEN)
    return str(flushed(box, desk).delivered[0].answer["id"])  # type: ignore[index]


def made(path: Path, size: int) -> Path:
    path.write_bytes(random.Random(size).randbytes(size))
    return path


AT_ONCE = Pace()


def flushed(
    box: Outbox, desk: Sandbox, pace: Pace | None = AT_ONCE, url: str = "", budget_s: float = 10.0
) -> delivery.Report:
    with api.Desk(url or desk.url, desk.token) as there:
        attach = upload.attacher(there, pace) if pace is not None else None
        return delivery.flush(box, there, budget_s=budget_s, attach=attach)


def queued(box: Outbox, ticket: str, path: Path) -> Entry:
    return box.add("ticket.attach", upload.described(path, "other"), occurred_at=WHEN, ticket=ticket)


def arrived(desk: Sandbox) -> dict[str, Any]:
    return next(doc for _, doc in desk.store.all("attachment") if doc["filename"].startswith("file"))


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART + 5])
def test_what_arrives_is_the_file(desk: Sandbox, box: Outbox, ticket: str, tmp_path: Path, size: int) -> None:
    path = made(tmp_path / "file.bin", size)
    queued(box, ticket, path)
    report = flushed(box, desk)
    assert [one.state for one in report.delivered] == [DELIVERED]
    doc = arrived(desk)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (doc["size"], doc["sha256"]) == (size, sha256)
    assert (desk.store.uploads / doc["_file"]).read_bytes() == path.read_bytes()
    assert (report.delivered[0].answer or {})["sha256"] == sha256
    assert path.exists()


def test_a_line_that_breaks_costs_a_part_each_time(desk: Sandbox, box: Outbox, ticket: str, tmp_path: Path) -> None:
    size, count = (2 << 30, 20) if SOAK else (6 * PART, 4)
    path = tmp_path / "file.bin"
    with path.open("wb") as stream:
        for _ in range(size >> 22):
            stream.write(os.urandom(1 << 22))
    dice = random.Random(3)
    cuts = [dice.randrange(size) for _ in range(count)]
    queued(box, ticket, path)
    with breaking_line(desk.url, cuts) as line:
        report = flushed(box, desk, url=line.url, budget_s=30)
        assert line.done == count
        assert line.sent <= (1.1 * size if SOAK else size + count * (PART + 4096))
    assert [one.state for one in report.delivered] == [DELIVERED]
    with path.open("rb") as stream:
        assert arrived(desk)["sha256"] == hashlib.file_digest(stream, "sha256").hexdigest()


UPLOAD = """
import sys
from pathlib import Path
from bilbs_cli.support import api, delivery, upload
from bilbs_cli.support.outbox import Outbox
box = Outbox(Path(sys.argv[1]))
with api.Desk(sys.argv[2], sys.argv[3]) as desk:
    delivery.flush(box, desk, budget_s=60, attach=upload.attacher(desk, upload.Pace(int(sys.argv[4]))))
"""


def test_a_killed_upload_goes_on_where_it_was(desk: Sandbox, box: Outbox, ticket: str, tmp_path: Path) -> None:
    path = made(tmp_path / "file.bin", 9 * PART)
    entry = queued(box, ticket, path)
    with breaking_line(desk.url, []) as line:
        for _ in range(3):
            child = subprocess.Popen([sys.executable, "-c", UPLOAD, str(box.path), line.url, desk.token, str(PART)])
            time.sleep(1.6)
            child.send_signal(signal.SIGKILL)
            child.wait()
        before = next((desk.store.uploads / doc["id"]).stat().st_size for _, doc in desk.store.all("upload"))
        assert 0 < before < 9 * PART
        progress = box.get(entry.id).progress or {}  # what was hashed need not be hashed again
        assert progress["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert progress["location"].startswith(line.url)
        line.sent = 0
        flushed(box, desk, url=line.url)
        assert line.sent < 9 * PART - before + 65536
    assert box.get(entry.id).state == DELIVERED
    assert arrived(desk)["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(desk.store.all("upload")) == 1


def test_an_upload_that_the_desk_has_forgotten_is_begun_anew(
    desk: Sandbox, box: Outbox, ticket: str, tmp_path: Path
) -> None:
    path = made(tmp_path / "file.bin", PART + 1)
    entry = queued(box, ticket, path)
    faults.switch(desk.store, "503", 1.0, 0)
    flushed(box, desk, budget_s=0.3)
    faults.off(desk.store)
    with api.Desk(desk.url, desk.token) as there:
        there.send("OPTIONS", f"/tickets/{ticket}/attachments")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    box.keep_progress(entry, {"sha256": sha256, "location": f"{desk.url}/uploads/upl_gone"})
    flushed(box, desk)
    assert box.get(entry.id).state == DELIVERED
    assert arrived(desk)["sha256"] == sha256


def test_a_digest_of_the_desk_that_is_not_ours_is_not_attached(
    desk: Sandbox, box: Outbox, ticket: str, tmp_path: Path
) -> None:
    path = made(tmp_path / "file.bin", 1000)
    entry = queued(box, ticket, path)
    faults.switch(desk.store, "digest", 1.0, 0)
    report = flushed(box, desk)
    assert [one.id for one in report.refused] == [entry.id]
    assert "NOT attached" in box.get(entry.id).last_error
    assert path.exists()


def test_the_size_is_asked_before_the_file_is_read(desk: Sandbox, box: Outbox, ticket: str, tmp_path: Path) -> None:
    desk.store.set("max_upload", 1000)
    entry = queued(box, ticket, made(tmp_path / "file.bin", 1001))
    read: list[str] = []
    flushed(box, desk, Pace(progress=lambda what, *_: read.append(what)))
    assert (box.get(entry.id).state, read) == (REFUSED, [])
    assert "1001 bytes, the desk takes 1000 at most" in box.get(entry.id).last_error


@pytest.mark.parametrize("how", ["changed", "shorter", "gone", "fifo"])
def test_a_file_that_is_not_what_was_queued_is_not_sent(
    desk: Sandbox, box: Outbox, ticket: str, tmp_path: Path, how: str
) -> None:
    path = made(tmp_path / "file.bin", 1000)
    entry = queued(box, ticket, path)
    if how == "changed":
        path.write_bytes(b"x" * 1000)
        os.utime(path, ns=(1, 1))
    elif how == "shorter":
        os.truncate(path, 10)
    else:
        path.unlink()
        if how == "fifo":
            os.mkfifo(path)
    flushed(box, desk)
    assert box.get(entry.id).state == REFUSED
    assert not [doc for _, doc in desk.store.all("attachment") if doc["filename"] == "file.bin"]


def test_a_rate_is_kept(desk: Sandbox, box: Outbox, ticket: str, tmp_path: Path) -> None:
    path = made(tmp_path / "file.bin", 1_500_000)
    queued(box, ticket, path)
    began = time.monotonic()
    flushed(box, desk, Pace(rate=500_000))
    assert 2.0 < time.monotonic() - began < 6.0


def test_an_upload_holds_back_no_word_and_only_the_closing(
    desk: Sandbox, box: Outbox, ticket: str, tmp_path: Path
) -> None:
    queued(box, ticket, made(tmp_path / "file.bin", 1000))
    box.add("ticket.comment", {"body": "a word"}, occurred_at=WHEN, ticket=ticket)
    box.add("ticket.close", {}, occurred_at=WHEN, ticket=ticket)
    flushed(box, desk, None)
    assert [one.state for one in box.entries()][1:] == [QUEUED, DELIVERED, QUEUED]
    flushed(box, desk)
    assert {one.state for one in box.entries()} == {DELIVERED}
    kinds = [doc["type"] for _, doc in desk.store.events(ticket) if doc["by"] == "customer"]
    assert kinds == ["opened", "commented", "attached", "closed"]


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/steal",
        "https://127.0.0.1/v1/uploads/x",
        "//localhost:{port}/x",
        "ftp://x/y",
        "http://[",
    ],
)
def test_an_upload_never_goes_to_another_host(box: Outbox, tmp_path: Path, location: str) -> None:
    """A desk that answers with a Location elsewhere gets nothing more, and elsewhere gets nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere, running_desk() as liar:
        liar.location = location.format(port=elsewhere.getsockname()[1])
        entry = queued(box, "tkt_1", made(tmp_path / "file.bin", 1000))
        with api.Desk(liar.url, "a-token-of-the-tests") as there:
            delivery.flush(box, there, budget_s=0.4, attach=upload.attacher(there))
        elsewhere.settimeout(0.2)
        with pytest.raises(TimeoutError):
            elsewhere.accept()
        assert liar.requests == 1
    assert box.get(entry.id).state == QUEUED
    assert "nothing was sent there" in box.get(entry.id).last_error or "no address" in box.get(entry.id).last_error


def test_an_upload_that_was_begun_at_another_address_is_begun_anew(
    desk: Sandbox, box: Outbox, ticket: str, tmp_path: Path
) -> None:
    path = made(tmp_path / "file.bin", 1000)
    entry = queued(box, ticket, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    box.keep_progress(entry, {"sha256": sha256, "location": "http://127.0.0.1:9/v1/uploads/upl_1"})
    flushed(box, desk)
    assert box.get(entry.id).state == DELIVERED


def test_the_command_attaches_names_and_shows_progress(
    bilbs: Bilbs, desk: Sandbox, ticket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILBS_API_URL", desk.url)
    monkeypatch.setenv("BILBS_TOKEN", desk.token)
    path = made(tmp_path / "file \x1b[31m.log", 1000)
    ended = bilbs("support", "ticket", "attach", ticket, str(path), "--progress", "plain")
    assert ended.status == 0
    assert hashlib.sha256(path.read_bytes()).hexdigest() in ended.stdout
    assert "sending: 100 % of 1.0 kB" in ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr
    assert bilbs("support", "ticket", "attach", ticket, "/nonexistent").status == 5
    assert bilbs("support", "ticket", "attach", ticket, str(path), "--limit-rate", "quick").status == 2


def test_without_a_network_it_waits_and_says_how_to_go_on(
    bilbs: Bilbs, desk: Sandbox, ticket: str, tmp_path: Path
) -> None:
    path = made(tmp_path / "file.log", 1000)
    env = {"BILBS_API_URL": desk.url}
    ended = bilbs("support", "ticket", "attach", ticket, str(path), env=env)  # nobody is logged in
    assert (ended.status, "outbox flush" in ended.stderr) == (75, True)
    env |= {"BILBS_TOKEN": desk.token}
    assert bilbs("support", "outbox", "flush", env=env).stdout == "1 delivered, 0 waiting, 0 refused\n"
    assert arrived(desk)["size"] == 1000


def test_the_examples_hold() -> None:
    assert doctest.testmod(upload).failed == 0
    assert doctest.testmod(upload).attempted
    assert doctest.testmod(digest_field).failed == 0
