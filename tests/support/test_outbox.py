"""The outbox: committed before anything is sent, whole after a kill, honest on a full disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bilbs_cli.errors import BilbsError, NotFound, OutputUnwritable
from bilbs_cli.support import outbox
from bilbs_cli.support.outbox import DELIVERED, QUEUED, REFUSED, SENDING, Damaged, Entry, Outbox, Outcome
from tests.parts.disk import small_disk

WHEN = "2026-11-26T08:00:00Z"


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.db")


def test_an_entry_is_there_again_after_the_file_was_opened_anew(box: Outbox) -> None:
    entry = box.add("ticket.open", {"subject": "caf\u00e9 \x00"}, occurred_at=WHEN)
    box.close()
    again = Outbox(box.path)
    assert list(again.entries()) == [entry]
    assert (entry.state, entry.attempts, entry.answer) == (QUEUED, 0, None)
    assert box.path.stat().st_mode & 0o777 == 0o600


def test_keys_are_minted_once_and_never_the_same(box: Outbox) -> None:
    entries = [box.add("ticket.open", {}, occurred_at=WHEN) for _ in range(50)]
    assert len({one.key for one in entries}) == 50
    box.sending([entries[0].id])
    box.settle([Outcome(entries[0].id, QUEUED, "lost")])
    assert box.get(entries[0].id).key == entries[0].key


def test_an_entry_goes_through_its_states_and_stays(box: Outbox) -> None:
    one, two = (box.add("ticket.open", {}, occurred_at=WHEN) for _ in range(2))
    box.sending([one.id])
    assert box.get(one.id).state == SENDING
    box.settle([Outcome(one.id, DELIVERED, answer={"id": "tkt_1"}, tries=2), Outcome(two.id, REFUSED, "invalid")])
    assert [(one.attempts, one.last_error) for one in box.entries()] == [(2, ""), (1, "invalid")]
    assert [(one.state, one.answer) for one in box.entries()] == [(DELIVERED, {"id": "tkt_1"}), (REFUSED, None)]
    assert [entry.id for entry in box.entries(QUEUED, REFUSED)] == [two.id]


def test_what_another_process_has_delivered_is_not_put_back(box: Outbox) -> None:
    entry = box.add("ticket.open", {}, occurred_at=WHEN)
    box.settle([Outcome(entry.id, DELIVERED, answer={"id": "tkt_1"})])
    box.sending([entry.id])
    box.settle([Outcome(entry.id, QUEUED, "no answer here")])
    assert (box.get(entry.id).state, box.get(entry.id).answer) == (DELIVERED, {"id": "tkt_1"})


def test_an_outbox_of_the_version_before_is_taken_on_with_what_is_in_it(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "outbox.db")
    entry = box.add("ticket.open", {"subject": "s"}, occurred_at=WHEN)
    box.close()
    with sqlite3.connect(tmp_path / "outbox.db") as base:
        base.execute("alter table entry drop column progress")
        base.execute("pragma user_version = 1")
    base.close()
    again = Outbox(tmp_path / "outbox.db")
    assert list(again.entries()) == [entry]
    again.keep_progress(entry, {"location": "x"})
    assert again.get(entry.id).progress == {"location": "x"}


def test_an_entry_is_found_by_the_beginning_of_its_id(box: Outbox) -> None:
    entry = box.add("ticket.open", {}, occurred_at=WHEN)
    assert box.get(entry.id[:8]) == entry
    for wrong in ("ob_", "ob_zzzz", entry.id[3:5], "ob_%%%%"):
        with pytest.raises(NotFound):
            box.get(wrong)


def test_chains_keep_a_ticket_together(box: Outbox) -> None:
    opened = box.add("ticket.open", {}, occurred_at=WHEN)
    comment = box.add("ticket.comment", {}, occurred_at=WHEN, after=opened.id)
    other = box.add("ticket.comment", {}, occurred_at=WHEN, ticket="tkt_9")
    assert [opened.chain, comment.chain, other.chain] == [opened.id, opened.id, "tkt_9"]


def test_what_was_committed_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from bilbs_cli.support.outbox import Outbox
box = Outbox(Path(sys.argv[1]))
number = 0
while True:
    box.add("ticket.open", {"number": number}, occurred_at="-")
    number += 1
    sys.stdout.write(f"{number}\\n"); sys.stdout.flush()
"""
    path = tmp_path / "outbox.db"
    told = 0
    for round_ in range(8):
        process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(3 + 5 * round_)]
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")
        process.wait()
        process.stdout.close()
        told += len([line for line in (*lines, *rest) if line.strip()])
        found = list(Outbox(path).entries())
        assert told <= len(found) <= told + round_ + 1  # one more than it could say, each time


def test_a_full_disk_is_said_and_nothing_is_half_written(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 131072) as disk:
        box = Outbox(disk.path / "outbox.db")
        kept = 0
        code = ""
        while not code:
            try:
                box.add("ticket.open", {"body": "x" * 5000}, occurred_at=WHEN)
                kept += 1
            except OutputUnwritable as error:
                code = error.code
        assert code == "disk-full"
        box.close()
        again = Outbox(disk.path / "outbox.db")
        assert len(list(again.entries())) == kept
        again.close()


def test_without_a_disk_it_lies_in_memory_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SHARED_MEMORY", tmp_path / "shm")
    (tmp_path / "shm").mkdir()
    (tmp_path / "file").write_text("")
    with outbox.opened(tmp_path / "file" / "outbox.db") as box:
        assert box.volatile
        box.add("ticket.open", {}, occurred_at=WHEN)
    assert (tmp_path / "shm" / f"bilbs-{os.geteuid()}").stat().st_mode & 0o777 == 0o700
    assert outbox.waiting_in_memory() is not None


def test_with_no_place_at_all_it_says_which_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(outbox, "SHARED_MEMORY", tmp_path / "file")
    with pytest.raises(OutputUnwritable), outbox.opened(tmp_path / "file" / "outbox.db"):
        pass


@pytest.mark.parametrize("damage", ["noise", "cut", "page"])
def test_a_damaged_file_is_moved_aside_and_never_deleted(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "outbox.db"
    box = Outbox(path)
    for _ in range(30):
        box.add("ticket.open", {"body": "y" * 3000}, occurred_at=WHEN)
    box.close()
    data = path.read_bytes()
    path.write_bytes(
        {
            "noise": b"no database" * 500,
            "cut": data[: len(data) // 2],
            "page": data[:4096] + b"\xff" * 8192 + data[12288:],
        }[damage]
    )
    with pytest.raises(Damaged) as caught, outbox.opened(path):
        pass
    aside = next(tmp_path.glob("outbox.db.damaged-*"))
    assert str(aside) in caught.value.safe
    with outbox.opened(path) as fresh:
        assert list(fresh.entries()) == []


def test_a_file_of_a_newer_bilbs_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    Outbox(path).close()
    base = sqlite3.connect(path)
    base.execute("pragma user_version = 99")
    base.commit()
    base.close()
    before = path.read_bytes()
    with pytest.raises(BilbsError, match="newer bilbs"), outbox.opened(path):
        pass
    assert path.read_bytes() == before


def test_two_processes_may_write_at_once(box: Outbox, tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from bilbs_cli.support.outbox import Outbox; b = Outbox(Path(sys.argv[1])); [b.add('ticket.open', {}, occurred_at='-') for _ in range(40)]"
    both = [subprocess.Popen([sys.executable, "-c", program, str(box.path)]) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    found: list[Entry] = list(box.entries())
    assert len({one.id for one in found}) == 80
