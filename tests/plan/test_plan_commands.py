"""The commands that read and change the plan, against a desk: every date and price before the yes."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.sandbox import login
from bilbs_cli.sandbox.store import seconds
from tests.conftest import Bilbs
from tests.parts.sandbox import Sandbox
from tests.terminals import on_terminal


@pytest.fixture
def november(used_desk: Sandbox) -> Sandbox:
    """Set the desk to a Tuesday in November; it was subscribed on the first, in New York."""
    _, doc = used_desk.store.all("subscription")[0]
    began = seconds("2026-11-01T04:00:00Z")
    used_desk.store.put("subscription", {**doc, "_facts": {**doc["_facts"], "began": began}})
    used_desk.store.set_clock(seconds("2026-11-24T15:00:00Z"))
    return used_desk


def subscribed(desk: Sandbox) -> dict[str, Any]:
    doc: dict[str, Any] = desk.store.all("subscription")[0][1]
    return doc


def invoices(desk: Sandbox) -> list[str]:
    return [doc["total"]["amount"] for _, doc in desk.store.all("invoice")]


def test_the_dates_of_a_cancellation_are_the_documents(bilbs: Bilbs, november: Sandbox) -> None:
    bilbs("support", "ticket", "open", "-s", "sev2", "--kind", "hardware", "-m", "GPU 1 is gone")
    november.advance(3600)
    data = bilbs("plan", "cancel", "support", "--dry-run", "--json").json["data"]
    assert {
        name: data[name]
        for name in ("effective_at", "channel_archived_at", "transcript_export_until", "restorable_until")
    } == {
        "effective_at": "2026-12-01T05:00:00Z",  # the end of the billing month, midnight in New York
        "channel_archived_at": "2026-12-31T05:00:00Z",  # 30 days later
        "transcript_export_until": "2026-12-31T05:00:00Z",
        "restorable_until": "2027-06-01T04:00:00Z",  # 6 months later, in summer time
    }
    assert [one["number"] for one in data["open_tickets"]] == ["BB-1001"]
    assert len(data["open_rmas"]) == 1
    assert (data["unused_hours"], data["prepaid_hours_lost"]) == (8.5, 8.5)
    assert subscribed(november)["_facts"]["ends"] is None


def test_cancel_asks_with_the_date_and_can_be_taken_back(bilbs: Bilbs, november: Sandbox) -> None:
    argv = ["-m", "bilbs_cli", "plan", "cancel", "support"]
    status, shown = on_terminal(argv, typed=b"n\nno\n")
    assert (status, "Cancel the Support plan, effective 2026-12-01?" in shown, "nothing was cancelled" in shown) == (
        2,
        True,
        True,
    )
    assert "Export the channel's transcript" in shown
    assert max(map(len, shown.replace("[y/N]", "\n").splitlines())) <= 80
    assert subscribed(november)["_facts"]["ends"] is None
    status, shown = on_terminal(argv, typed=b"n\nyes\n")
    assert (status, "bilbs plan resume support" in shown) == (0, True)
    assert bilbs("plan", "status", "--json").json["data"]["state"] == "cancelling"
    again = bilbs("plan", "cancel", "support", "--yes")
    assert (again.status, "cancelled already" in again.stdout) == (0, True)
    assert bilbs("plan", "resume", "support", "--dry-run").status == 0
    assert bilbs("plan", "status", "--json").json["data"]["state"] == "cancelling"
    assert bilbs("plan", "resume", "support", "--yes").status == 0
    assert bilbs("plan", "status", "--json").json["data"]["state"] == "active"
    refused = bilbs("plan", "resume", "support", "--yes")
    assert (refused.status, "the subscription is active" in refused.stderr) == (6, True)


def test_cancel_exports_the_transcript_first_and_not_at_all_where_that_fails(
    bilbs: Bilbs, november: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    missing = bilbs("plan", "cancel", "support", "--yes", "--export", str(tmp_path / "file" / "x"))
    assert missing.status == 73
    assert subscribed(november)["_facts"]["ends"] is None
    november.store.set_clock(None)  # the export takes a second of the desk's clock
    ended = bilbs("plan", "cancel", "support", "--yes", "--export", str(tmp_path))
    assert ended.status == 0, ended.stderr
    assert "is anyone there?" in (tmp_path / "transcript-sandbox.txt").read_text()


def test_from_cancelling_to_lapsed_each_state_is_said(bilbs: Bilbs, november: Sandbox) -> None:
    bilbs("plan", "cancel", "support", "--yes")
    for moment, state in (
        ("2026-12-01T04:59:00Z", "cancelling"),
        ("2026-12-01T05:00:00Z", "cancelled"),
        ("2026-12-31T05:00:00Z", "archived"),
        ("2027-06-01T04:00:00Z", "lapsed"),
    ):
        november.store.set_clock(seconds(moment))
        assert bilbs("plan", "status", "--json").json["data"]["state"] == state
    gone = bilbs("plan", "cancel", "support", "--yes")
    assert (gone.status, "it is lapsed" in gone.stderr) == (5, True)
    late = bilbs("plan", "resume", "support", "--yes")
    assert (late.status, "bilbs plan subscribe support" in late.stderr) == (6, True)


@pytest.mark.parametrize(("moment", "returns"), [("2027-06-01T03:00:00Z", True), ("2027-06-01T05:00:00Z", False)])
def test_who_returns_within_six_months_is_told_that_the_channel_comes_back(
    bilbs: Bilbs, november: Sandbox, moment: str, returns: bool
) -> None:
    bilbs("plan", "cancel", "support", "--yes")
    november.store.set_clock(seconds(moment))
    ended = bilbs("plan", "subscribe", "support", "--tier", "pro", "--yes")
    assert (ended.status, "channel and its history come back" in ended.stderr) == (0, returns)


def test_a_quote_names_lines_tax_dates_and_the_words_and_the_question_price_and_date(
    bilbs: Bilbs, november: Sandbox
) -> None:
    november.store.set("tax_percent", 20)
    november.store.put(
        "subscription", {**subscribed(november), "_facts": {**subscribed(november)["_facts"], "ends": 1.0}}
    )
    argv = ["-m", "bilbs_cli", "plan", "subscribe", "support", "--tier", "box"]
    status, shown = on_terminal(argv, typed=b"n\n")
    flat = " ".join(shown.split())
    for text in (
        "Support, Box, 1 box, one month 399.00 USD",
        "tax 79.80 USD",
        "due 478.80 USD",
        "first billed 2026-11-24",
        "then each month next on 2026-12-24 (399.00 USD before tax)",
        "What is agreed, in the desk's words:",
        "Cancelling takes effect at the end of the billing month.",
        "Box, 399.00 USD a month, first 478.80 USD on 2026-11-24: agree? [y/N]",
    ):
        assert text in flat
    assert (status, len(november.store.all("subscription"))) == (2, 1)
    status, shown = on_terminal(argv, typed=b"y\n")
    assert status == 0
    assert invoices(november)[0] == "478.80"
    path = Path(shown.split("receipt  ")[1].split()[0])
    receipt = json.loads(path.read_text())
    assert receipt["quote"]["agreement"].startswith("Support for 1 x Box")
    assert (receipt["answer"]["state"], stat.S_IMODE(path.stat().st_mode)) == ("active", 0o600)


def test_an_upgrade_is_prorated_and_a_downgrade_waits(bilbs: Bilbs, november: Sandbox) -> None:
    up = bilbs("plan", "subscribe", "support", "--tier", "pro", "--yes", "--json")
    assert up.json["data"]["subscription"]["tier"] == "pro"
    assert invoices(november)[0] == "128.33"  # (799 - 249) * 7 / 30
    assert bilbs("plan", "subscribe", "support", "--tier", "pro", "--yes", "--json").json["data"]["unchanged"]
    down = bilbs("plan", "subscribe", "support", "--tier", "box", "--yes", "--json")
    assert (down.json["data"]["subscription"]["tier"], down.json["data"]["subscription"]["next"]["tier"]) == (
        "pro",
        "box",
    )
    assert invoices(november)[0] == "128.33"
    assert "box, 1 box, from 2026-12-01" in bilbs("plan", "status").stdout
    november.store.set_clock(seconds("2026-12-01T05:00:00Z"))
    assert bilbs("plan", "status", "--json").json["data"]["tier"] == "box"


def test_what_is_not_self_service_names_whom_to_contact(bilbs: Bilbs, november: Sandbox) -> None:
    for arguments in (("--tier", "cluster"), ("--tier", "box", "--boxes", "4")):
        ended = bilbs("plan", "subscribe", "support", *arguments, "--yes")
        assert (ended.status, "contact your account owner" in ended.stderr) == (6, True)
    assert (
        bilbs("plan", "subscribe", "support", "--tier", "box", "--boxes", "4", "--list-price", "--dry-run").status == 0
    )
    which = bilbs("plan", "subscribe", "support")
    assert (which.status, "box ($399 a month)" in which.stderr) == (2, True)
    assert bilbs("plan", "subscribe", "gold").status == 2


def test_a_quote_that_expired_is_shown_again_and_never_accepted_unseen(bilbs: Bilbs, november: Sandbox) -> None:
    slow = """
import sys
from bilbs_cli import main
from bilbs_cli.plan import ordering
from bilbs_cli.sandbox.store import Store
from pathlib import Path
real = ordering.commit
def commit(*given):
    store = Store(Path(sys.argv[1]))
    store.set_clock(store.now() + 2000)  # a person who thinks for half an hour
    if sys.argv[2] != "same":
        store.set("price:box", 99_900)
    ordering.commit = real
    return real(*given)
ordering.commit = commit
sys.exit(main.run(["plan", "subscribe", "support", "--tier", "box", *sys.argv[3:]]))
"""
    folder = str(november.store.folder)
    before = len(invoices(november))
    for kind in ("same", "dearer"):
        status, shown = on_terminal(["-c", slow, folder, kind, "--yes"])
        assert (status, "quote held no longer" in shown, "quote-expired" in shown) == (6, True, True)
    assert "HAS CHANGED" in shown
    assert len(invoices(november)) == before
    november.store.set("price:box", None)
    status, shown = on_terminal(["-c", slow, folder, "same"], typed=b"y\ny\n")
    assert (status, shown.count("agree? [y/N]")) == (0, 2)
    assert len(invoices(november)) == before + 1


def test_yes_does_not_accept_a_price_that_is_not_on_the_list(bilbs: Bilbs, november: Sandbox) -> None:
    november.store.set("price:box", 49_900)
    ended = bilbs("plan", "subscribe", "support", "--tier", "box", "--yes")
    assert (ended.status, "price-changed" in ended.stderr, "499.00" in ended.stderr) == (6, True, True)
    status, _ = on_terminal(["-m", "bilbs_cli", "plan", "subscribe", "support", "--tier", "box"], typed=b"y\n")
    assert status == 0


def test_without_the_desk_nothing_is_subscribed_and_it_says_so(bilbs: Bilbs, november: Sandbox) -> None:
    away = {"BILBS_API_URL": "http://127.0.0.1:9/v1", "BILBS_API_BUDGET_S": "2"}
    for arguments in (("subscribe", "support", "--tier", "box"), ("cancel", "support"), ("resume", "support")):
        ended = bilbs("plan", *arguments, "--yes", env=away)
        assert ended.status == 69
    assert (
        "nothing was subscribed, and nothing is queued"
        in bilbs("plan", "subscribe", "support", "-t", "box", "--yes", env=away).stderr
    )
    assert bilbs("support", "outbox", "list", "--json").json["data"]["entries"] == []
    assert bilbs("plan", "subscribe", "support", "-t", "box", "--yes", env={"BILBS_TOKEN": None}).status == 4


@pytest.mark.parametrize("kind", ["box", "person"])
def test_who_has_no_right_gets_77_with_the_owner_to_ask(bilbs: Bilbs, november: Sandbox, kind: str) -> None:
    token = login.issue(november.store, kind, login.BOX, lasts_s=600)
    env = {"BILBS_TOKEN": token}
    for arguments in (("subscribe", "support", "-t", "box"), ("cancel", "support"), ("resume", "support")):
        ended = bilbs("plan", *arguments, "--yes", env=env)
        assert (ended.status, "the account owner, the owner of the sandbox" in ended.stderr) == (77, True)
    assert bilbs("plan", "status", env=env).status == 0
    assert bilbs("plan", "cancel", "support", "--dry-run", env=env).status == 0
    assert bilbs("plan", "subscribe", "support", "-t", "box", "--dry-run", env=env).status == 0
    assert len(november.store.all("subscription")) == 1


def test_status_answers_offline_with_the_age_of_what_it_knows(bilbs: Bilbs, november: Sandbox) -> None:
    assert bilbs("plan", "status", "--offline").status == 5
    assert bilbs("plan", "status").status == 0
    state = Path(os.environ["BILBS_STATE_DIR"]) / "last-plan.json"
    kept = json.loads(state.read_text())
    state.write_text(json.dumps({**kept, "at": kept["at"] - 7200}))
    ended = bilbs("plan", "status", "--json", env={"BILBS_API_URL": "http://127.0.0.1:9/v1", "BILBS_API_BUDGET_S": "1"})
    assert (ended.status, ended.json["data"]["tier"]) == (0, "mini")
    assert 7190 < ended.json["data"]["age_s"] < 7300
    assert "2 h" in ended.json["warnings"][0]
    assert "mini, active, as of 2 h" in bilbs("status").stdout


def test_status_shows_use_review_and_the_breaches_behind_the_attainment(bilbs: Bilbs, november: Sandbox) -> None:
    bilbs("plan", "subscribe", "support", "--tier", "pro", "--yes")
    november.store.set("people", False)  # nobody answers
    bilbs("support", "ticket", "open", "-s", "sev1", "-m", "all is down", "--impact", "production")
    november.store.set_clock(seconds("2026-11-25T15:00:00Z"))
    doc = subscribed(november)
    november.store.put("subscription", {**doc, "usage": [{"id": "swap_onsite", "used": 1}]})
    page = " ".join(bilbs("plan", "status").stdout.split())
    for text in (
        "0 of 4 hours used this month, 4 left",
        "next 20",
        "0 of 1 first responses in time (0.0 %)",
        "BB-1001 sev1, due 2026-11-24",
        "no figure is promised",
        "1 used",
    ):
        assert text in page
    data = bilbs("plan", "status", "--json").json["data"]
    assert [one["number"] for one in data["attainment"]["breaches"]] == ["BB-1001"]


def test_a_list_that_the_desk_does_not_give_is_not_an_empty_one(bilbs: Bilbs, november: Sandbox) -> None:
    program = """
import sys
from bilbs_cli import main
from bilbs_cli.errors import Unavailable
from bilbs_cli.support import api
real = api.Desk.pages
def pages(desk, path, params, **more):
    if path in {"/tickets", "/consulting/ledger"}:
        raise Unavailable("too busy")
    return real(desk, path, params, **more)
api.Desk.pages = pages
sys.exit(main.run(sys.argv[1:]))
"""
    ended = bilbs("plan", "cancel", "support", "--dry-run", "--json", program=program)
    data = ended.json["data"]
    assert (data["open_tickets"], data["unused_hours"], data["open_rmas"]) == (None, None, [])
    assert any("tickets not known: too busy" in text for text in ended.json["warnings"])
    page = bilbs("plan", "cancel", "support", "--dry-run", program=program).stdout
    assert page.count("not known: the desk did not say") == 2
    assert "attainment    not known" in bilbs("plan", "status", program=program).stdout


def test_a_subscription_that_changed_since_it_was_shown_is_not_cancelled(bilbs: Bilbs, november: Sandbox) -> None:
    program = """
import sys
from pathlib import Path
from bilbs_cli import main
from bilbs_cli.plan import ordering
from bilbs_cli.sandbox.store import Store
real = ordering.change
def change(*given):
    store = Store(Path(sys.argv[1]))
    _, doc = store.all("subscription")[0]
    store.put("subscription", {**doc, "_version": doc["_version"] + 1})
    return real(*given)
ordering.change = change
sys.exit(main.run(sys.argv[2:]))
"""
    ended = bilbs(str(november.store.folder), "plan", "cancel", "support", "--yes", program=program)
    assert (ended.status, "has changed since it was shown" in ended.stderr) == (6, True)
    assert subscribed(november)["_facts"]["ends"] is None


@pytest.mark.parametrize(
    "lie",
    [
        {"period": None, "next": 5, "monthly": "much"},
        {"period": {}, "next": {"at": "2026-12-01T00:00:00Z"}, "monthly": {}},
        {"period": {"begins_at": 1, "ends_at": "9999-12-31T23:59:59-23:00"}, "usage": 7, "zone": "Nowhere/At_All"},
        {
            "effective_at": "0001-01-01T00:00:00+14:00",
            "state": "\\u001b[2J",
            "next_review_at": "9999-12-31T23:59:59-23:00",
        },
        {"tier": None, "boxes": None, "state": "cancelling", "zone": "../../etc/passwd"},
    ],
)
def test_a_desk_that_lies_about_the_subscription_crashes_nothing(
    bilbs: Bilbs, november: Sandbox, lie: dict[str, Any]
) -> None:
    program = f"""
import sys, json
from bilbs_cli import main
from bilbs_cli.plan import account
from bilbs_cli.support import api
real, pages = account.newest, api.Desk.pages
account.newest = lambda desk: {{**real(desk), **json.loads('''{json.dumps(lie)}''')}}
api.Desk.pages = lambda desk, path, params, **more: iter([{{"sla": 5, "severity": 7, "number": None}}]) if path == "/tickets" else pages(desk, path, params, **more)
sys.exit(main.run(sys.argv[1:]))
"""
    for arguments in (("status",), ("cancel", "support", "--dry-run"), ("resume", "support", "--dry-run")):
        ended = bilbs("plan", *arguments, program=program)
        assert ended.status in {0, 2, 5, 6}, ended.stderr
        assert "crash" not in ended.stderr
        assert "\x1b[2J" not in ended.stdout
