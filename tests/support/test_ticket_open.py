"""`ticket open` beyond its text: the editor, bundles, findings as evidence, one ticket for one failure, the page."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.sandbox import faults
from bilbs_cli.support import evidence, outbox
from tests.conftest import Bilbs
from tests.parts.patience import BUSY_S
from tests.parts.sandbox import Sandbox
from tests.terminals import on_terminal

CLI = ["-m", "bilbs_cli"]


def editor(tmp_path: Path, script: str) -> str:
    """Return an editor that does what a shell script says with the draft `$1`."""
    path = tmp_path / "editor.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def drafts() -> list[Path]:
    return list(Path(os.environ["BILBS_STATE_DIR"], "drafts").glob("*.md"))


def test_an_editor_gives_the_text_and_the_draft_is_gone_when_it_is_stored(used_desk: Sandbox, tmp_path: Path) -> None:
    program = editor(tmp_path, 'printf "GPU 1 is gone\\nsince nine\\n" | cat - "$1" > "$1.new" && mv "$1.new" "$1"')
    status, shown = on_terminal([*CLI, "support", "ticket", "open", "-s", "sev2"], env={"EDITOR": program})
    assert (status, "delivered" in shown) == (0, True)
    doc = used_desk.store.tickets([], [], "", 0, 1)[0][1]
    assert (doc["subject"], doc["body"]) == ("GPU 1 is gone", "GPU 1 is gone\nsince nine")
    assert drafts() == []


def test_an_empty_text_opens_nothing(used_desk: Sandbox, tmp_path: Path) -> None:
    status, shown = on_terminal([*CLI, "support", "ticket", "open"], env={"EDITOR": "true"})
    assert (status, "empty" in shown, used_desk.store.tickets([], [], "", 0, 1)) == (2, True, [])
    assert drafts() == []


@pytest.mark.parametrize("program", ["false", "/nonexistent/editor", "'"])
def test_an_editor_that_fails_sends_nothing(used_desk: Sandbox, program: str) -> None:
    status, shown = on_terminal([*CLI, "support", "ticket", "open"], env={"EDITOR": program})
    assert (status, "editor" in shown, used_desk.store.tickets([], [], "", 0, 1)) == (1, True, [])


def test_what_was_typed_stays_where_it_could_not_be_stored(used_desk: Sandbox, tmp_path: Path) -> None:
    program = editor(tmp_path, 'yes "many words" | head -c 120000 > "$1"')
    status, shown = on_terminal([*CLI, "support", "ticket", "open"], env={"EDITOR": program})
    assert status == 2
    assert len(drafts()) == 1
    assert drafts()[0].name in shown.replace("\n", "")
    assert drafts()[0].stat().st_mode & 0o777 == 0o600


def test_without_a_terminal_no_editor_is_started(bilbs: Bilbs, used_desk: Sandbox) -> None:
    ended = bilbs("support", "ticket", "open", env={"EDITOR": "false"}, stdin="")
    assert (ended.status, "empty" in ended.stderr) == (2, True)


def test_a_bundle_of_this_box_goes_with_it_the_small_one_first(bilbs: Bilbs, used_desk: Sandbox) -> None:
    ended = bilbs("support", "ticket", "open", "-m", "x", "--diag", "standard", "--json", timeout=100)
    assert ended.status == 0
    files = [one["file"] for one in ended.json["data"]["attachments"]]
    assert len(files) == 2
    assert all(Path(one).exists() for one in files)
    doc = used_desk.store.tickets([], [], "", 0, 1)[0][1]
    assert [one["filename"] for one in doc["attachments"]] == [Path(one).name for one in files]
    what = [
        json.loads(line)["what"] for line in Path(os.environ["BILBS_STATE_DIR"], "audit.jsonl").read_text().splitlines()
    ]
    assert what.count("consented") == 2


def test_a_bundle_that_cannot_be_collected_costs_the_bundle_and_not_the_ticket(
    bilbs: Bilbs, used_desk: Sandbox
) -> None:
    config = Path(os.environ["HOME"]) / "c.toml"
    config.write_text('[diag]\nmax_file_size = "broken"\n')
    ended = bilbs(
        "support", "ticket", "open", "-m", "x", "--diag", "triage", "--json", env={"BILBS_CONFIG": str(config)}
    )
    assert (ended.status, ended.json["data"]["state"]) == (1, "delivered")
    assert "no bundle of this box" in ended.json["errors"][0]["message"]
    assert bilbs("support", "ticket", "open", "-m", "x", "--diag", "/nonexistent").status == 2


def test_a_bundle_of_a_ticket_that_waits_waits_with_it(bilbs: Bilbs, used_desk: Sandbox, tmp_path: Path) -> None:
    bundle = tmp_path / "b.tar.zst"
    bundle.write_bytes(b"x" * 100)
    env = {"BILBS_TOKEN": None}
    ended = bilbs("support", "ticket", "open", "-m", "x", "--diag", str(bundle), "--json", env=env)
    assert ended.status == 75
    assert [one["kind"] for one in bilbs("support", "outbox", "list", "--json").json["data"]["entries"]] == [
        "ticket.open",
        "ticket.attach",
    ]
    assert bilbs("support", "outbox", "flush").stdout == "2 delivered, 0 waiting, 0 refused\n"
    assert used_desk.store.tickets([], [], "", 0, 1)[0][1]["attachments"][0]["filename"] == "b.tar.zst"


CHECKED: dict[str, Any] = {
    "findings": [
        {
            "rule": "xid.45",
            "part": "gpu:1",
            "severity": "critical",
            "message": "a channel was cleaned up",
            "caused_by": "xid.79",
        },
        {"rule": "xid.79", "part": "gpu:1", "severity": "critical", "message": "fallen off the bus", "caused_by": ""},
        {"rule": "host.clock", "part": "host", "severity": "warning", "message": "not synchronised", "caused_by": ""},
        {"rule": "note", "part": "host", "severity": "info", "message": "a note", "caused_by": ""},
    ],
    "suggested": {"severity": "sev2", "why": "a GPU is gone"},
}


def check(data: Any) -> bytes:
    return json.dumps({"data": data}).encode()


def test_the_cause_names_the_failure_and_the_key_is_of_this_box() -> None:
    found = evidence.parse(check(CHECKED))
    assert [one["rule"] for one in found.evidence] == ["xid.79", "host.clock", "xid.45"]
    assert evidence.dedup_key("BX-0042", found) == "BX-0042/gpu:1/xid.79"
    again = evidence.parse(check({**CHECKED, "findings": CHECKED["findings"][::-1]}))
    assert evidence.dedup_key("BX-0042", again) == evidence.dedup_key("BX-0042", found)
    assert evidence.dedup_key("BX-0043", found) != evidence.dedup_key("BX-0042", found)
    calm = evidence.parse(check({**CHECKED, "findings": CHECKED["findings"][2:]}))
    assert evidence.dedup_key("BX-0042", calm) is None


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"data": null}', check({"findings": [{}], "suggested": {}}), check({"findings": 3})]
)
def test_a_check_that_says_nothing_is_an_error(data: bytes) -> None:
    from bilbs_cli.errors import BilbsError

    with pytest.raises(BilbsError):
        evidence.parse(data)


@pytest.fixture
def sick(tmp_path: Path) -> dict[str, str | None]:
    """Return an environment in which `diag check` finds a GPU that fell off the bus."""
    folder = tmp_path / "fake"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "if sys.argv[1:3] == ['diag', 'check'] or '-m' in sys.orig_argv and sys.orig_argv[-3:] == ['diag', 'check', '--json']:\n"
        f"    sys.stdout.write({check(CHECKED).decode()!r}); sys.stdout.flush()\n"
        "    import os; os._exit(11)\n"
    )
    return {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ['PYTHONPATH']}"}


def test_the_same_failure_joins_the_open_ticket(bilbs: Bilbs, used_desk: Sandbox, sick: dict[str, str | None]) -> None:
    first = bilbs("support", "ticket", "open", "-s", "sev1", "-m", "GPU 1 again", "--dedup", "auto", "--json", env=sick)
    second = bilbs("support", "ticket", "open", "-s", "sev1", "-m", "and again", "--dedup", "auto", "--json", env=sick)
    assert [one.json["data"]["number"] for one in (first, second)] == ["BB-1001", "BB-1001"]
    assert [one.json["data"]["joined"] for one in (first, second)] == [False, True]
    assert "diag check would say sev2 (a GPU is gone); yours, sev1, is taken" in first.stderr
    third = bilbs("support", "ticket", "open", "-m", "another", "--dedup", "none", "--json", env=sick)
    assert third.json["data"]["number"] == "BB-1002"
    with outbox.opened() as box:
        assert next(box.entries()).body["evidence"][0]["rule"] == "xid.79"


def test_a_box_on_which_nothing_is_critical_joins_nothing_and_says_so(bilbs: Bilbs, used_desk: Sandbox) -> None:
    ended = bilbs("support", "ticket", "open", "-m", "x", "--dedup", "auto", "--json", timeout=60)
    assert (ended.status, "joins no other one" in ended.stderr) == (0, True)


def test_a_page_ends_with_a_person(bilbs: Bilbs, used_desk: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    from bilbs_cli.sandbox import people

    monkeypatch.setattr(people, "PAGE_ACKED_S", 3)
    ended = bilbs("support", "ticket", "open", "-s", "sev1", "-m", "all is down", "--page", "--json")
    assert ended.status == 0
    page = ended.json["data"]["page"]
    assert (page["state"], page["human_acked"]["by"]) == ("human_acked", people.ENGINEER)
    assert "page: queued" in ended.stderr


def test_a_page_that_reaches_nobody_ends_with_the_number(bilbs: Bilbs, used_desk: Sandbox) -> None:
    used_desk.store.set("people", False)
    env = {"BILBS_PAGER": "+12015550199"}
    ended = bilbs(
        "support", "ticket", "open", "-s", "sev1", "-m", "all is down", "--page", "--page-wait", "1s", env=env
    )
    assert (ended.status, "+12015550199" in ended.stderr) == (3, True)
    assert "nobody has acknowledged the page" in ended.stderr


def test_the_pager_is_for_the_most_severe_level(bilbs: Bilbs, used_desk: Sandbox) -> None:
    ended = bilbs("support", "ticket", "open", "-s", "sev3", "-m", "x", "--page")
    assert (ended.status, "Sev-1 only" in ended.stderr) == (2, True)
    assert used_desk.store.tickets([], [], "", 0, 1) == []


def test_a_sev_1_is_not_held_up_by_a_long_flush_or_an_upload(bilbs: Bilbs, used_desk: Sandbox) -> None:
    import fcntl

    bilbs("support", "ticket", "open", "-m", "first")
    with outbox.place().with_name("flush.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = bilbs("support", "ticket", "open", "-s", "sev1", "-m", "all is down", "--json")
    assert (ended.status, ended.json["data"]["state"]) == (0, "delivered")


def test_a_sev_1_without_a_receipt_says_the_number_within_its_ten_seconds(bilbs: Bilbs, used_desk: Sandbox) -> None:
    import time

    faults.switch(used_desk.store, "503", 1.0, 0)
    began = time.monotonic()
    ended = bilbs("support", "ticket", "open", "-s", "sev1", "-m", "all is down", env={"BILBS_PAGER": "+12015550199"})
    assert time.monotonic() - began < 10.0 + BUSY_S
    assert (ended.status, "+12015550199" in ended.stderr) == (75, True)
    faults.off(used_desk.store)
    assert bilbs("support", "outbox", "flush").status == 0


def test_escalation_names_the_levels_of_the_plan_and_severity_its_history(bilbs: Bilbs, used_desk: Sandbox) -> None:
    bilbs("support", "ticket", "open", "-m", "x")
    without = bilbs("support", "ticket", "escalate", "BB-1001", env={"BILBS_SUPPORT_PROVIDER": "aethel"})
    assert (without.status, "the levels of the plan" in without.stderr) == (2, True)
    assert bilbs("support", "ticket", "escalate", "BB-1001", "-m", "no answer").stdout.endswith("level 2 now\n")
    bilbs("support", "ticket", "severity", "BB-1001", "sev1", "-m", "worse")
    history = bilbs("support", "ticket", "severity", "BB-1001").stdout
    assert "sev3 by you" in history
    assert "sev1 by you: worse" in history
