"""The outbox on a stick: out of a box without a network, to the desk from a laptop, never doubled afterwards."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path

import pyrage
import pytest

from bilbs_cli.errors import BilbsError, UsageProblem
from bilbs_cli.support import answer_file, carry
from bilbs_cli.support.outbox import Outbox
from tests.conftest import Bilbs
from tests.parts.sandbox import Sandbox

WHEN = "2026-11-26T08:00:00Z"
PASSPHRASE = "correct horse battery"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    path.chmod(0o600)
    return path


def test_a_ticket_with_its_bundle_goes_by_stick_and_is_at_the_desk_once(
    bilbs: Bilbs, desk: Sandbox, secret: Path, tmp_path: Path
) -> None:
    laptop = {"BILBS_STATE_DIR": str(tmp_path / "laptop"), "BILBS_API_URL": desk.url, "BILBS_TOKEN": desk.token}
    bundle = tmp_path / "bundle.tar.zst"
    bundle.write_bytes(b"the bundle" * 1000)
    opened = bilbs("support", "ticket", "open", "-s", "sev2", "-m", "my text", "--diag", str(bundle), "--json")
    assert opened.status == 75
    bilbs("support", "ticket", "comment", opened.json["data"]["outbox"], "-m", "a word more")
    stick = tmp_path / "stick.age"
    exported = bilbs("support", "outbox", "export", str(stick), "--passphrase-file", str(secret), "--json")
    assert (exported.status, exported.json["data"]["entries"]) == (0, 3)
    assert b"my text" not in stick.read_bytes()
    assert stick.stat().st_mode & 0o777 == 0o600
    sent = bilbs("support", "outbox", "send", str(stick), "--passphrase-file", str(secret), env=laptop)
    back = f"back on the box: bilbs support inbox import {stick}.answer\n"
    assert (sent.status, sent.stdout) == (0, f"3 delivered, 0 waiting, 0 refused; tickets: BB-1001\n{back}")
    again = bilbs("support", "outbox", "send", str(stick), "--passphrase-file", str(secret), env=laptop)
    assert again.status == 0
    later = bilbs("support", "outbox", "flush", env={"BILBS_API_URL": desk.url, "BILBS_TOKEN": desk.token})
    assert later.stdout == "3 delivered, 0 waiting, 0 refused\n"
    tickets = desk.store.tickets([], [], "", 0, 10)
    assert [doc["subject"] for _, doc in tickets] == ["my text"]
    assert [one["size"] for one in tickets[0][1]["attachments"]] == [10_000]
    kinds = [doc["type"] for _, doc in desk.store.events(tickets[0][1]["id"]) if doc["by"] == "customer"]
    assert sorted(kinds) == ["attached", "commented", "opened"]
    assert bundle.exists()


def test_for_the_key_of_a_laptop_no_passphrase_is_asked(bilbs: Bilbs, desk: Sandbox, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    key = tmp_path / "key.txt"
    key.write_text(f"# created: now\n{identity}\n")
    key.chmod(0o600)
    bilbs("support", "ticket", "open", "-m", "my text")
    assert (
        bilbs("support", "outbox", "export", str(tmp_path / "s"), "--encrypt-to", str(identity.to_public())).status == 0
    )
    laptop = {"BILBS_STATE_DIR": str(tmp_path / "laptop"), "BILBS_API_URL": desk.url, "BILBS_TOKEN": desk.token}
    sent = bilbs("support", "outbox", "send", str(tmp_path / "s"), "--identity-file", str(key), env=laptop)
    assert sent.stdout.startswith("1 delivered, 0 waiting, 0 refused; tickets: BB-1001\n")


def test_what_cannot_be_opened_is_named_and_sends_nothing(
    bilbs: Bilbs, desk: Sandbox, secret: Path, tmp_path: Path
) -> None:
    env = {"BILBS_STATE_DIR": str(tmp_path / "laptop"), "BILBS_API_URL": desk.url, "BILBS_TOKEN": desk.token}
    assert (
        bilbs("support", "outbox", "export", str(tmp_path / "s"), "--passphrase-file", str(secret)).status == 2
    )  # nothing waits
    bilbs("support", "ticket", "open", "-m", "my text")
    assert bilbs("support", "outbox", "export", str(tmp_path / "s")).status == 2  # no terminal to ask on
    assert bilbs("support", "outbox", "export", "/nonexistent/s", "--passphrase-file", str(secret)).status == 73
    assert bilbs("support", "outbox", "export", str(tmp_path / "s"), "--passphrase-file", str(secret)).status == 0
    wrong = tmp_path / "wrong"
    wrong.write_text("another passphrase")
    wrong.chmod(0o600)
    ended = bilbs("support", "outbox", "send", str(tmp_path / "s"), "--passphrase-file", str(wrong), env=env)
    assert (ended.status, "does not open it" in ended.stderr) == (2, True)
    assert bilbs("support", "outbox", "send", "/etc/hostname", "--passphrase-file", str(secret), env=env).status == 1
    assert bilbs("support", "outbox", "send", "/nonexistent", env=env).status == 5
    assert desk.store.tickets([], [], "", 0, 10) == []


# --- the answer -------------------------------------------------------------------------------------------------------


def carried(bilbs: Bilbs, desk: Sandbox, secret: Path, tmp_path: Path) -> Path:
    """Open a ticket without a network, carry it to the desk, let an engineer answer, and return the answer's file."""
    laptop = {"BILBS_STATE_DIR": str(tmp_path / "laptop"), "BILBS_API_URL": desk.url, "BILBS_TOKEN": desk.token}
    stick = tmp_path / "stick"
    bilbs("support", "ticket", "open", "-s", "sev2", "-m", "GPU 1 is gone")
    assert bilbs("support", "outbox", "export", str(stick), "--passphrase-file", str(secret)).status == 0
    send = ("support", "outbox", "send", str(stick), "--passphrase-file", str(secret))
    assert bilbs(*send, env=laptop).status == 0
    desk.advance(3600)
    assert bilbs(*send, env=laptop).status == 0  # later: the answer is that of now
    return stick.with_name("stick.answer")


def test_the_answer_comes_back_with_receipt_and_what_the_engineer_wrote(
    bilbs: Bilbs, desk: Sandbox, secret: Path, tmp_path: Path
) -> None:
    answer = carried(bilbs, desk, secret, tmp_path)
    assert b"GPU" not in answer.read_bytes()
    assert answer.stat().st_mode & 0o777 == 0o600
    taken = bilbs("support", "inbox", "import", str(answer))
    assert taken.status == 0, taken.stderr
    for text in ("1 delivered, 0 refused, 0 waiting", "BB-1001", "Looking at it."):
        assert text in taken.stdout
    assert max(map(len, taken.stdout.splitlines())) <= 80
    assert bilbs("support", "outbox", "list", "--json").json["data"]["entries"] == []
    assert "Looking at it." in bilbs("support", "inbox", "show", "BB-1001").stdout
    assert "BB-1001" in bilbs("support", "inbox", "list").stdout
    assert "BB-1001" in bilbs("status").stdout
    again = bilbs("support", "inbox", "import", str(answer), "--json")
    assert (again.status, again.json["data"]["delivered"]) == (0, [])
    # what follows the ticket on the next stick belongs to the desk's own number
    comment = bilbs("support", "ticket", "comment", "BB-1001", "-m", "the card is back", "--json")
    assert comment.status == 75
    assert bilbs("support", "inbox", "show", "BB-9999").status == 5


def test_an_answer_for_another_box_or_a_forged_one_changes_nothing(
    bilbs: Bilbs, desk: Sandbox, secret: Path, tmp_path: Path
) -> None:
    answer = carried(bilbs, desk, secret, tmp_path)
    other = {"BILBS_STATE_DIR": str(tmp_path / "other")}
    assert bilbs("support", "inbox", "import", str(answer), env=other).status == 5  # it has no key at all
    bilbs("support", "ticket", "open", "-m", "mine", env=other)
    bilbs("support", "outbox", "export", str(tmp_path / "o"), "--passphrase-file", str(secret), env=other)
    wrong = bilbs("support", "inbox", "import", str(answer), env=other)
    assert (wrong.status, "is not for this box" in wrong.stderr) == (2, True)
    cut = tmp_path / "cut"
    cut.write_bytes(answer.read_bytes()[:-10])
    assert bilbs("support", "inbox", "import", str(cut)).status == 2
    assert bilbs("support", "inbox", "import", "/etc/hostname").status == 1
    assert bilbs("support", "inbox", "import", "/nonexistent").status == 5
    assert len(bilbs("support", "outbox", "list", "--json").json["data"]["entries"]) == 1


def test_an_answer_touches_only_entries_whose_key_was_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILBS_STATE_DIR", str(tmp_path / "state"))
    box = Outbox(tmp_path / "o.db")
    mine = box.add("ticket.open", {"subject": "s"}, occurred_at=WHEN)
    for key, expected in (("0" * 32, "queued"), (answer_file.key_of(mine), "delivered")):
        row = {"id": mine.id, "key": key, "state": "delivered", "answer": {"id": "tkt_1"}, "error": ""}
        answer_file.take({"entries": [row, "no row", {"id": 5}], "tickets": [{"id": "tkt_1"}, 7], "timelines": []}, box)
        assert box.get(mine.id).state == expected


def packed(tmp_path: Path, members: list[tuple[str, bytes, bytes]], identity: pyrage.x25519.Identity) -> Path:
    """Return an export whose tar holds what is given: name, type, data."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content) if kind == tarfile.REGTYPE else 0
            info.linkname = "/etc/passwd"
            tar.addfile(info, io.BytesIO(content))
    path = tmp_path / "hostile"
    path.write_bytes(carry.MAGIC + b"-\n" + pyrage.encrypt(data.getvalue(), [identity.to_public()]))
    return path


def rows(tmp_path: Path, **more: object) -> bytes:
    box = Outbox(tmp_path / "o.db")
    entry = box.add(
        "ticket.attach",
        {"path": "/etc/shadow", "filename": "x", "size": 1, "mtime_ns": 1},
        occurred_at=WHEN,
        ticket="tkt_1",
    )
    return json.dumps({"reply_to": "", "entries": [entry._asdict() | more]}).encode()


@pytest.mark.parametrize(
    "case",
    [
        "traversal",
        "absolute",
        "link",
        "device",
        "no list first",
        "no JSON",
        "odd fields",
        "strange owner",
        "path in the id",
        "garbage",
    ],
)
def test_a_hostile_export_touches_nothing(tmp_path: Path, case: str) -> None:
    identity = pyrage.x25519.Identity.generate()
    regular = tarfile.REGTYPE
    good = rows(tmp_path)
    members = {
        "traversal": [("outbox.json", regular, good), ("../../evil", regular, b"x")],
        "absolute": [("outbox.json", regular, good), ("/tmp/evil", regular, b"x")],
        "link": [("outbox.json", regular, good), ("files/x", tarfile.SYMTYPE, b"")],
        "device": [("outbox.json", tarfile.CHRTYPE, b"")],
        "no list first": [("files/ob_1", regular, b"x")],
        "no JSON": [("outbox.json", regular, b"{")],
        "odd fields": [("outbox.json", regular, b'{"reply_to": "", "entries": [{"id": 1}]}')],
        "strange owner": [("outbox.json", regular, good), ("files/ob_000000000000", regular, b"x")],
        "path in the id": [
            ("outbox.json", regular, rows(tmp_path, id="../../evil")),
            ("files/../../evil", regular, b"x"),
        ],
        "garbage": [],
    }[case]
    path = packed(tmp_path, members, identity)
    if case == "garbage":
        path.write_bytes(carry.MAGIC + base64.b64encode(b"x") + b"\nnothing")
    folder = tmp_path / "in" / "side"
    folder.mkdir(parents=True)
    before = {one for one in tmp_path.rglob("*") if folder not in one.parents}
    with pytest.raises((BilbsError, UsageProblem)):
        carry.read(path, folder, identity=str(identity))
    assert {one for one in tmp_path.rglob("*") if folder not in one.parents} == before
    assert not Path("/tmp/evil").exists()
