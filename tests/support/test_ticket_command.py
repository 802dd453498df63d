"""`bilbs support ticket` and `outbox` as whole processes: online, offline, on the worst disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Bilbs
from tests.parts.desk import TOKEN, Desk, running_desk


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with running_desk() as desk:
        monkeypatch.setenv("BILBS_API_URL", desk.url)
        monkeypatch.setenv("BILBS_TOKEN", TOKEN)
        yield desk


def test_a_ticket_is_opened_and_its_answer_has_the_agreed_names(bilbs: Bilbs, there: Desk) -> None:
    ended = bilbs(
        "support", "ticket", "open", "-s", "p2", "--kind", "hardware", "-m", "GPU 1 is gone\nsince 9:00", "--dedup", "k", "--json"
    )  # fmt: skip
    assert ended.status == 0
    data = ended.json["data"]
    assert (data["id"], data["number"], data["state"]) == ("tkt_1", "BB-1", "delivered")
    assert {one["metric"] for one in data["due"]} == {"first_response", "engineer_open", "rma_filed"}
    assert all(one["due_at"].endswith("Z") for one in data["due"])
    body = there.order[0][2]
    assert body["subject"] == "GPU 1 is gone"
    assert (body["severity"], body["kind"], body["dedup_key"]) == ("sev2", "hardware", "k")


def test_offline_it_is_safe_on_disk_exits_75_and_goes_out_later(bilbs: Bilbs, there: Desk) -> None:
    env = {"BILBS_API_URL": "http://127.0.0.1:9/v1"}
    began = time.monotonic()
    ended = bilbs(
        "support",
        "ticket",
        "open",
        "-s",
        "sev1",
        "-m",
        "UI returns 500",
        "--json",
        env=env | {"BILBS_PAGER": "+12015550123"},
    )
    assert 9 < time.monotonic() - began < 14  # the budget of a Sev-1 is 10 s
    assert (ended.status, ended.json["data"]["state"], ended.json["errors"][0]["code"]) == (75, "queued", "queued")
    assert "pager: +12015550123" in ended.stderr
    listed = bilbs("support", "outbox", "list", "--json", "--exit-status")
    entry = listed.json["data"]["entries"][0]
    assert (listed.status, entry["kind"], entry["state"], entry["attempts"] > 1) == (3, "ticket.open", "queued", True)
    assert "Connect" in entry["last_error"]
    flushed = bilbs("support", "outbox", "flush", "--json")
    assert (flushed.status, flushed.json["data"]["waiting"], len(there.order)) == (0, 0, 1)
    assert bilbs("support", "outbox", "list", "--exit-status").status == 0


def test_without_a_login_nothing_leaves_the_box(bilbs: Bilbs, there: Desk) -> None:
    ended = bilbs("support", "ticket", "open", "-m", "a question", env={"BILBS_TOKEN": None})
    assert (ended.status, there.requests) == (75, 0)
    assert "nobody is logged in" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_queued_ticket_takes_comments_and_a_severity(bilbs: Bilbs, there: Desk) -> None:
    opened = bilbs("support", "ticket", "open", "-m", "it is slow", "--json", env={"BILBS_TOKEN": None}).json["data"][
        "outbox"
    ]
    for command in (["comment", opened, "-m", "slower"], ["severity", opened, "critical"], ["close", opened]):
        assert bilbs("support", "ticket", *command, env={"BILBS_TOKEN": None}).status == 75
    assert bilbs("support", "outbox", "flush").stdout == "4 delivered, 0 waiting, 0 refused\n"
    assert [path.removeprefix("/v1/tickets") for _, path, _ in there.order] == [
        "",
        "/tkt_1/comments",
        "/tkt_1/actions/set-severity",
        "/tkt_1/actions/close",
    ]


def test_a_refused_ticket_is_named_and_kept_with_its_text(bilbs: Bilbs, there: Desk) -> None:
    there.fault = lambda _: "422"
    ended = bilbs("support", "ticket", "open", "-m", "my text", "--json")
    assert (ended.status, ended.json["data"]["state"]) == (1, "refused")
    entry = ended.json["data"]["outbox"]
    assert "my text" in bilbs("support", "outbox", "show", entry).stdout
    assert bilbs("support", "outbox", "drop", entry).status == 2  # it asks, and there is no terminal
    assert bilbs("support", "outbox", "drop", entry, "--yes").stdout == f"{entry} is deleted\n"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--category", "billing", "-m", "x"], "write to admin@groupebilbs.com"),
        (["--category", "end-user", "-m", "x"], "your own admin team"),
        (["-s", "sev9", "-m", "x"], "no severity sev9"),
        (["--provider", "controlplane", "-s", "level1", "-m", "x"], "--impact"),
        (["-m", "x", "-F", "y"], "do not go together"),
        (["-m", "  "], "the text is empty"),
        (["-m", "x" * 100_001], "100000 at most"),
        (["-F", "/nonexistent"], "there is no file"),
        (["--subject", "s" * 201, "-m", "x"], "at most 200"),
    ],
)
def test_what_cannot_be_a_ticket_is_refused_before_anything_is_kept(
    bilbs: Bilbs, there: Desk, flags: list[str], said: str
) -> None:
    ended = bilbs("support", "ticket", "open", *flags)
    assert ended.status in {2, 5}
    assert said in ended.stderr
    assert there.requests == 0
    assert bilbs("support", "outbox", "list").stdout == "the outbox is empty: everything was delivered\n"


def test_the_text_comes_from_a_pipe_or_a_file(bilbs: Bilbs, there: Desk, tmp_path: Path) -> None:
    assert bilbs("support", "ticket", "open", stdin="from a pipe\nwith more").status == 0
    path = tmp_path / "t.txt"
    path.write_text("from a file")
    assert bilbs("support", "ticket", "open", "-F", str(path)).status == 0
    assert [body["subject"] for _, _, body in there.order] == ["from a pipe", "from a file"]


@pytest.mark.parametrize("name", ["../etc", "BB-", "tkt_", "http://x", "BB-1/../2"])
def test_what_is_no_ticket_is_not_sent_anywhere(bilbs: Bilbs, there: Desk, name: str) -> None:
    assert bilbs("support", "ticket", "comment", name, "-m", "x").status == 2
    assert there.requests == 0


def test_when_no_disk_takes_it_the_text_is_printed_and_nothing_is_sent(there: Desk, tmp_path: Path) -> None:
    script = """
        mount -t tmpfs -o ro tmpfs /dev/shm && mount -t tmpfs -o ro tmpfs "$BILBS_STATE_DIR"
        exec "$0" -m bilbs_cli support ticket open -m "the only copy of my text"
    """
    Path(os.environ["BILBS_STATE_DIR"]).mkdir(parents=True)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", script, sys.executable], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 73
    assert "the only copy of my text" in done.stderr
    assert there.requests == 0


def test_on_a_read_only_disk_it_lies_in_memory_and_says_so(there: Desk) -> None:
    script = """
        mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs -o ro tmpfs "$BILBS_STATE_DIR"
        BILBS_TOKEN= "$0" -m bilbs_cli support ticket open -m "my text" || test $? = 75
        exec "$0" -m bilbs_cli support outbox flush
    """
    Path(os.environ["BILBS_STATE_DIR"]).mkdir(parents=True)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", script, sys.executable], capture_output=True, text=True, check=False, timeout=60
    )
    assert "in memory only: a reboot loses it" in done.stderr
    assert done.stdout == "1 delivered, 0 waiting, 0 refused\n"
    assert there.order[0][2]["body"] == "my text"
