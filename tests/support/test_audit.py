"""The audit log: every write and every consent, in order; a line that was changed, cut or taken out is seen."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from bilbs_cli.sandbox import faults
from bilbs_cli.support import audit
from tests.conftest import Bilbs
from tests.parts.disk import small_disk
from tests.parts.sandbox import running_sandbox


def whole() -> list[bool]:
    return [line.whole for line in audit.lines()]


def test_lines_follow_from_each_other() -> None:
    for number in range(5):
        audit.note("queued", kind="ticket.open", entry=f"ob_{number}")
    assert whole() == [True] * 5
    assert [line.data["entry"] for line in audit.lines()] == [f"ob_{number}" for number in range(5)]
    assert audit.place().stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", ["changed", "taken out", "swapped", "garbled"])
def test_what_was_done_to_a_line_is_seen(how: str) -> None:
    audit.notes([{"what": "queued", "entry": f"ob_{number}"} for number in range(5)])
    lines = audit.place().read_text().splitlines(keepends=True)
    if how == "changed":
        lines[2] = lines[2].replace("ob_2", "ob_9")
    elif how == "taken out":
        del lines[2]
    elif how == "swapped":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines[2] = "\x00" * 10 + "\n"
    audit.place().write_text("".join(lines))
    assert not all(whole())


def test_a_line_that_a_power_cut_ended_is_named_and_the_log_goes_on() -> None:
    audit.notes([{"what": "queued"}, {"what": "delivered"}])
    audit.place().write_bytes(audit.place().read_bytes()[:-20])
    audit.note("queued")
    audit.note("delivered")
    assert whole() == [True, False, True, True]


def _many(number: int) -> None:
    for _ in range(50):
        audit.note("queued", entry=f"ob_{number}")


def test_processes_that_write_at_once_break_no_line() -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_many, args=(number,)) for number in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert whole() == [True] * 200


def test_a_full_disk_costs_the_line_and_not_the_ticket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "disk", 64 << 10) as disk:
        monkeypatch.setenv("BILBS_STATE_DIR", str(disk.path))
        (disk.path / "filler").write_bytes(b"x" * (52 << 10))
        for _ in range(200):
            audit.note("queued", entry="ob_1" * 20)
        assert all(whole())


def test_every_write_leaves_its_hash_and_a_refusal_its_reason(bilbs: Bilbs, tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "desk") as desk:
        env = {"BILBS_API_URL": desk.url, "BILBS_TOKEN": desk.token}
        bilbs("support", "ticket", "open", "-m", "my text", env=env)
        bilbs("support", "ticket", "comment", "BB-9999", "-m", "nowhere", env=env)
        shown = bilbs("support", "audit", "--verify", "--json")
    assert shown.status == 0
    lines = shown.json["data"]["lines"]
    assert [(one["what"], one["kind"]) for one in lines] == [
        ("queued", "ticket.open"),
        ("delivered", "ticket.open"),
        ("queued", "ticket.comment"),
        ("refused", "ticket.comment"),
    ]
    assert lines[0]["sha256"] == lines[1]["sha256"]
    assert lines[3]["answer"] == "not-found"
    assert "my text" not in audit.place().read_text()
    text = audit.place().read_text().splitlines()
    audit.place().write_text("\n".join([text[0].replace("ticket.open", "ticket.oops"), *text[1:]]) + "\n")
    broken = bilbs("support", "audit", "--verify")
    assert (broken.status, "line 2" in broken.stderr) == (1, True)


def test_without_a_log_it_says_so(bilbs: Bilbs) -> None:
    ended = bilbs("support", "audit")
    assert (ended.status, ended.stdout, "nothing was ever sent" in ended.stderr) == (0, "", True)


def test_no_token_and_no_text_is_in_it(bilbs: Bilbs, tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "desk") as desk:
        env = {"BILBS_API_URL": desk.url, "BILBS_TOKEN": desk.token}
        faults.switch(desk.store, "drop", 1.0, 1)
        bilbs("support", "ticket", "open", "-m", "a secret text", env=env)
        bilbs("login", "--token-stdin", stdin=desk.token, env={"BILBS_API_URL": desk.url})
        bilbs("logout", env={"BILBS_API_URL": desk.url})
    state = b"".join(path.read_bytes() for path in Path(os.environ["BILBS_STATE_DIR"]).rglob("*.jsonl"))
    assert desk.token.encode() not in state
    assert b"a secret text" not in state
    assert [json.loads(line)["what"] for line in state.splitlines()] == [
        "queued",
        "delivered",
        "logged in",
        "logged out",
    ]
