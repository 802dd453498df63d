"""Reading tickets: list, show, watch, brief, against the sandbox on a real socket and against a desk that lies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.sandbox import faults
from bilbs_cli.support import ticket_cache, ticket_view
from bilbs_cli.support.commands.ticket_watch_command import reaches
from tests.conftest import Bilbs
from tests.parts.sandbox import Sandbox


def opened(bilbs: Bilbs, *flags: str) -> str:
    return str(bilbs("support", "ticket", "open", "--json", *flags).json["data"]["number"])


def test_a_list_shows_the_open_ones_and_all_on_demand(bilbs: Bilbs, used_desk: Sandbox) -> None:
    first = opened(bilbs, "-s", "sev1", "-m", "all is down")
    second = opened(bilbs, "-s", "sev3", "-m", "a question")
    bilbs("support", "ticket", "close", second)
    lines = bilbs("support", "ticket", "list").stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [[first, "sev1", "new"]]
    assert "all is down" in lines[0]
    every = bilbs("support", "ticket", "list", "--all", "--columns", "number,status").stdout
    assert every == f"{second}\tclosed\n{first}\tnew\n"
    only = bilbs("support", "ticket", "list", "--status", "closed", "--json").json["data"]["tickets"]
    assert [one["number"] for one in only] == [second]
    assert bilbs("support", "ticket", "list", "-s", "p1", "--columns", "number").stdout == f"{first}\n"
    assert bilbs("support", "ticket", "list", "--limit", "1", "--all", "--columns", "number").stdout == f"{second}\n"
    assert bilbs("support", "ticket", "list", "--since", "1d", "--columns", "number").stdout == f"{first}\n"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--status", "odd"], "one of new, open"),
        (["--severity", "sev9"], "no severity sev9"),
        (["--since", "soon"], "is not a time"),
        (["--columns", "nothing"], "no field nothing"),
    ],
)
def test_a_wrong_filter_is_named(bilbs: Bilbs, used_desk: Sandbox, flags: list[str], said: str) -> None:
    opened(bilbs, "-m", "x")
    ended = bilbs("support", "ticket", "list", *flags)
    assert ended.status in {2, 5}
    assert said in ended.stderr


def test_any_number_of_pages_is_one_document_with_a_ticket_a_line(bilbs: Bilbs, used_desk: Sandbox) -> None:
    import httpx

    with httpx.Client(base_url=used_desk.url, headers={"Authorization": f"Bearer {used_desk.token}"}) as api:
        for number in range(230):
            api.post(
                "/tickets",
                json={"subject": f"t{number}", "severity": "sev3"},
                headers={"Idempotency-Key": f"a-key-of-the-test-{number}"},
            )
    ended = bilbs("support", "ticket", "list", "--json")
    subjects = [one["subject"] for one in ended.json["data"]["tickets"]]
    assert sorted(subjects) == sorted(f"t{number}" for number in range(230))
    assert len(ended.stdout.splitlines()) == 231
    assert len((ticket_cache.read() or ticket_cache.Seen(0, ())).tickets) == ticket_cache.MOST


def test_pages_without_an_end_are_an_error_in_a_document_that_is_whole(bilbs: Bilbs, used_desk: Sandbox) -> None:
    opened(bilbs, "-m", "x")
    faults.switch(used_desk.store, "loop", 1.0, 0)
    ended = bilbs("support", "ticket", "list", "--json")
    assert ended.status == 69
    assert "round in a circle" in ended.json["errors"][0]["message"]
    assert ended.json["data"]["tickets"]


def test_show_tells_clocks_and_timeline(bilbs: Bilbs, used_desk: Sandbox) -> None:
    number = opened(bilbs, "-s", "sev1", "-m", "all is down\nsecond line", "--impact", "everyone")
    used_desk.advance(3)
    page = bilbs("support", "ticket", "show", number).stdout
    assert f"{number} all is down" in page
    assert "machine (automatic: fulfils nothing) acknowledged" in page
    assert "first response by a person" in page
    assert "nobody yet" in page
    used_desk.advance(2 * 3600)
    later = bilbs("support", "ticket", "show", number)
    assert "the engineer acknowledged" in later.stdout
    assert "second line" in later.stdout
    assert all(len(line) <= 80 for line in later.stdout.splitlines())
    data = bilbs("support", "ticket", "show", number, "--json").json["data"]
    assert [one["type"] for one in data["events"]][:2] == ["opened", "acknowledged"]


def test_a_clock_that_was_missed_and_one_that_waits_for_you_are_told_apart(bilbs: Bilbs, used_desk: Sandbox) -> None:
    used_desk.store.set("people", False)
    number = opened(bilbs, "-s", "sev1", "-m", "all is down")
    used_desk.store.set_clock(used_desk.store.now() + 7200)
    assert "BREACHED" in bilbs("support", "ticket", "show", number).stdout
    assert "late" in bilbs("support", "ticket", "list").stdout


def test_an_entry_of_the_outbox_is_the_ticket_that_it_opened(bilbs: Bilbs, used_desk: Sandbox) -> None:
    made = bilbs("support", "ticket", "open", "-m", "x", "--json").json["data"]
    assert made["number"] in bilbs("support", "ticket", "show", made["outbox"]).stdout
    waiting = bilbs("support", "ticket", "open", "-m", "x", "--json", env={"BILBS_TOKEN": None}).json["data"]["outbox"]
    ended = bilbs("support", "ticket", "show", waiting)
    assert (ended.status, "has not reached the desk" in ended.stderr) == (5, True)


def test_without_the_desk_the_last_known_state_is_said(bilbs: Bilbs, used_desk: Sandbox) -> None:
    number = opened(bilbs, "-m", "my ticket")
    bilbs("support", "ticket", "show", number)
    faults.switch(used_desk.store, "expired", 1.0, 0)
    assert bilbs("support", "ticket", "show", number).status == 4
    ended = bilbs("support", "ticket", "show", number, env={"BILBS_API_URL": "http://127.0.0.1:9/v1"}, timeout=60)
    assert ended.status == 69
    assert "last seen" in ended.stderr
    assert "my ticket" in ended.stderr
    assert bilbs("support", "ticket", "show", "BB-9999").status in {4, 5}


def test_watch_ends_at_a_person_and_not_at_a_machine(bilbs: Bilbs, used_desk: Sandbox) -> None:
    number = opened(bilbs, "-s", "sev1", "-m", "all is down")
    used_desk.advance(5)
    watch = ["support", "ticket", "watch", number, "--until", "acked"]
    assert bilbs(*watch, "--timeout", "1s", "--exit-status").status == 3
    assert bilbs(*watch, "--timeout", "1s").status == 0
    used_desk.advance(3600)
    done = bilbs(*watch, "--timeout", "10s", "--exit-status")
    assert done.status == 0
    assert done.stdout.splitlines()[-1].endswith("the engineer acknowledged")
    assert bilbs("support", "ticket", "watch", number, "--until", "never").status == 2


def test_a_watch_that_is_ended_leaves_a_whole_document(bilbs: Bilbs, used_desk: Sandbox) -> None:
    number = opened(bilbs, "-s", "sev1", "-m", "all is down")
    argv = [sys.executable, "-m", "bilbs_cli", "support", "ticket", "watch", number, "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=os.environ) as watch:
        assert watch.stdout
        head = watch.stdout.readline() + watch.stdout.readline()
        watch.send_signal(signal.SIGINT)
        document = json.loads(head + watch.stdout.read())
    assert watch.returncode == 130
    assert document["data"]["events"][0]["type"] == "opened"
    assert document["errors"][0]["code"] == "interrupted"


def test_watch_outlives_a_desk_that_is_away_for_a_while(bilbs: Bilbs, used_desk: Sandbox) -> None:
    number = opened(bilbs, "-s", "sev1", "-m", "all is down")
    used_desk.advance(3600)
    faults.switch(used_desk.store, "drop", 1.0, 3)
    done = bilbs(
        "support", "ticket", "watch", number, "--until", "acked", "--timeout", "40s", "--exit-status", timeout=60
    )
    assert done.status == 0


@pytest.mark.parametrize(
    ("event", "acked", "resolved"),
    [
        ({"type": "acknowledged", "by": "automatic"}, False, False),
        ({"type": "acknowledged", "by": "engineer"}, True, False),
        ({"type": "responded", "by": "customer"}, False, False),
        ({"type": "commented", "by": "engineer"}, True, False),
        ({"type": "severity", "by": "engineer"}, False, False),
        ({"type": "resolved", "by": "engineer"}, True, True),
        ({"type": "closed", "by": "customer"}, False, True),
        ({"type": None, "by": ["engineer"]}, False, False),
    ],
)
def test_what_acknowledges_and_what_resolves(event: dict[str, Any], acked: bool, resolved: bool) -> None:
    assert (reaches(event, "acked"), reaches(event, "resolved")) == (acked, resolved)


def test_a_brief_fits_on_a_screen_with_the_most_severe_first(bilbs: Bilbs, used_desk: Sandbox) -> None:
    for number, level in enumerate(("sev3", "sev1", "sev2", "sev4", "sev3", "sev2", "sev1")):
        opened(bilbs, "-s", level, "-m", f"ticket {number} " + "with many words " * 10)
    page = bilbs("support", "ticket", "brief").stdout.splitlines()
    assert page[0].startswith("7 open")
    assert [line.split()[1] for line in page if line.startswith("BB-")] == [
        "sev1,",
        "sev1,",
        "sev2,",
        "sev2,",
        "sev3,",
        "sev3,",
    ]
    assert "and 1 more" in page[-1]
    assert all(len(line) <= 80 for line in page)


HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["sev1", "2026-11-26T08:00:00Z", "breached", "\x1b[2J"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "number",
                    "subject",
                    "severity",
                    "current",
                    "status",
                    "sla",
                    "state",
                    "due_at",
                    "history",
                    "attachments",
                    "size",
                    "at",
                    "by",
                    "text",
                    "type",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(HOSTILE, st.lists(HOSTILE, max_size=3))
def test_no_answer_of_a_desk_breaks_the_screen(ticket: Any, events: list[Any]) -> None:
    doc = ticket if isinstance(ticket, dict) else {}
    rows = [one for one in events if isinstance(one, dict)]
    now = datetime(2026, 11, 26, tzinfo=UTC)
    page = ticket_view.page(doc, rows, now, ZoneInfo("Europe/Paris"), 80)
    assert "\x1b" not in page
    assert ticket_view.line(doc, now, 80)
    assert ticket_view.brief([(doc, rows[0] if rows else None)], 1, now, UTC, 80)


def test_text_of_the_desk_moves_no_cursor(bilbs: Bilbs, used_desk: Sandbox) -> None:
    doc = {"subject": "\x1b[2Jcleared \u202egnol", "severity": "sev3", "body": "\x07\x9b31m"}
    import httpx

    with httpx.Client(base_url=used_desk.url, headers={"Authorization": f"Bearer {used_desk.token}"}) as api:
        number = api.post("/tickets", json=doc, headers={"Idempotency-Key": "a-key-of-the-test"}).json()["number"]
    for command in (["list"], ["show", number], ["brief"], ["watch", number, "--timeout", "1s"]):
        shown = bilbs("support", "ticket", *command).stdout
        assert not set(shown) & set("\x1b\x07\x9b\u202e"), command
        assert "cleared" in shown, command


def test_a_cache_that_is_broken_is_no_cache(tmp_path: Path) -> None:
    ticket_cache.replace([{"id": "tkt_1", "subject": "s"}])
    assert ticket_cache.read()
    for text in ("", "{", "[]", '{"at": 1}', '{"at": "x", "tickets": []}', json.dumps({"at": 1, "tickets": 3})):
        ticket_cache.place().write_text(text)
        assert ticket_cache.read() is None
    ticket_cache.remember({"id": "tkt_2", "status": "open"})
    ticket_cache.remember({"id": "tkt_2", "status": "closed"})
    found = ticket_cache.read()
    assert found is not None
    assert found.tickets == ()
