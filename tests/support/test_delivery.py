"""From the outbox to a desk on a real socket: lost replies, faults, order, refusals, and a client that is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.errors import ConfigProblem
from bilbs_cli.support import api, delivery
from bilbs_cli.support.outbox import DELIVERED, QUEUED, REFUSED, Outbox, Outcome
from tests.parts import desk as parts
from tests.parts.desk import TOKEN, Desk, faults, running_desk
from tests.parts.patience import BUSY_S

SOAK = bool(os.environ.get("BILBS_SOAK"))
WHEN = "2026-11-26T08:00:00Z"


@pytest.fixture
def there() -> Iterator[Desk]:
    with running_desk() as desk:
        yield desk


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.db")


def flush(box: Outbox, there: Desk, budget_s: float = 5.0) -> delivery.Report:
    with api.Desk(there.url, TOKEN) as connection:
        return delivery.flush(box, connection, budget_s=budget_s, sleep=lambda _: None)


def test_what_waits_is_delivered_with_its_key_and_the_answer_is_kept(box: Outbox, there: Desk) -> None:
    entry = box.add("ticket.open", {"subject": "s"}, occurred_at=WHEN)
    report = flush(box, there)
    assert [one.id for one in report.delivered] == [entry.id]
    assert there.order == [(entry.key, "/v1/tickets", {"subject": "s"})]
    assert box.get(entry.id).answer == {"id": "tkt_1", "number": "BB-1"}
    assert there.seen_tokens == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("fault", ["lost", "half", "garbled"])
def test_a_lost_reply_doubles_nothing(box: Outbox, there: Desk, fault: str) -> None:
    once = iter([fault])
    there.fault = lambda _: next(once, "")
    entry = box.add("ticket.open", {}, occurred_at=WHEN)
    flush(box, there)
    assert (there.requests, len(there.order)) == (2, 1)
    assert box.get(entry.id).state == DELIVERED


@pytest.mark.parametrize("fault", ["refuse", "503", "429", "html", "403html", "redirect", "endless", "slow"])
def test_what_is_not_the_desk_s_word_leaves_it_queued_with_the_reason(box: Outbox, there: Desk, fault: str) -> None:
    there.fault = lambda _: fault
    entry = box.add("ticket.open", {}, occurred_at=WHEN)
    report = flush(box, there, budget_s=0.5)
    now = box.get(entry.id)
    assert (now.state, now.attempts >= 1, bool(now.last_error)) == (QUEUED, True, True)
    assert report.stopped
    assert "\x1b" not in now.last_error
    there.fault = lambda _: ""
    assert len(flush(box, there).delivered) == 1
    assert len(there.order) == 1


def test_what_another_run_has_delivered_meanwhile_is_not_sent_again(box: Outbox, there: Desk) -> None:
    first, second = (box.add("ticket.open", {"number": number}, occurred_at=WHEN) for number in range(2))

    def beside(_: dict[str, Any]) -> str:
        other = Outbox(box.path)
        other.settle([Outcome(second.id, DELIVERED, answer={"id": "tkt_9"})])
        other.close()
        return ""

    there.fault = beside
    flush(box, there)
    assert [body["number"] for _, _, body in there.order] == [0]
    assert (box.get(second.id).answer, box.get(first.id).state) == ({"id": "tkt_9"}, DELIVERED)


def test_a_refusal_stands_aside_and_holds_back_only_its_own_ticket(box: Outbox, there: Desk) -> None:
    there.fault = lambda body: "422" if body.get("bad") else ""
    bad = box.add("ticket.open", {"bad": True}, occurred_at=WHEN)
    held = box.add("ticket.comment", {"body": "c"}, occurred_at=WHEN, after=bad.id)
    good = box.add("ticket.open", {"bad": False}, occurred_at=WHEN)
    report = flush(box, there)
    assert [one.id for one in report.refused] == [bad.id]
    assert report.held == [held.id]
    assert [one.id for one in report.delivered] == [good.id]
    assert box.get(bad.id).last_error == "invalid: invalid it is; /severity: no \\x1b[31mred (request req_1)"
    assert [one.state for one in box.entries()] == [REFUSED, QUEUED, DELIVERED]
    assert there.requests == 2  # the refused one is not sent again
    flush(box, there)
    assert there.requests == 2


def test_a_refused_comment_does_not_hold_back_the_next_one(box: Outbox, there: Desk) -> None:
    there.fault = lambda body: "422" if body.get("bad") else ""
    box.add("ticket.comment", {"bad": True}, occurred_at=WHEN, ticket="tkt_1")
    box.add("ticket.comment", {"bad": False}, occurred_at=WHEN, ticket="tkt_1")
    flush(box, there)
    assert [path for _, path, _ in there.order] == ["/v1/tickets/tkt_1/comments"]


def test_comments_of_a_queued_ticket_follow_it_to_its_id(box: Outbox, there: Desk) -> None:
    opened = box.add("ticket.open", {}, occurred_at=WHEN)
    box.add("ticket.comment", {"body": "one"}, occurred_at=WHEN, after=opened.id)
    box.add("ticket.severity", {"severity": "sev1"}, occurred_at=WHEN, after=opened.id)
    flush(box, there)
    assert [path for _, path, _ in there.order] == [
        "/v1/tickets",
        "/v1/tickets/tkt_1/comments",
        "/v1/tickets/tkt_1/actions/set-severity",
    ]


def test_a_token_that_is_not_taken_stops_the_run_at_once(box: Outbox, there: Desk) -> None:
    there.fault = lambda _: "401"
    for _ in range(3):
        box.add("ticket.open", {}, occurred_at=WHEN)
    report = flush(box, there)
    assert (report.logged_out, there.requests) == (True, 1)


def test_a_second_run_does_not_send_beside_the_first(box: Outbox, there: Desk) -> None:
    import fcntl

    box.add("ticket.open", {}, occurred_at=WHEN)
    with box.path.with_name("flush.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        report = flush(box, there)
    assert (report.busy, there.requests) == (True, 0)


def test_the_budget_is_kept_when_nobody_answers(box: Outbox) -> None:
    box.add("ticket.open", {}, occurred_at=WHEN)
    with api.Desk("http://127.0.0.1:9", TOKEN) as nobody:
        began = time.monotonic()
        report = delivery.flush(box, nobody, budget_s=1.0)
    assert time.monotonic() - began < 2.0 + BUSY_S
    assert report.stopped


@pytest.mark.parametrize("url", ["http://api.example/v1", "http://127.0.0.1.evil.example/v1", "http://0x7f000001/v1"])
def test_a_token_never_goes_out_in_plain_http(url: str) -> None:
    with pytest.raises(ConfigProblem, match="plain http"):
        api.Desk(url, TOKEN)


def test_waits_grow_with_jitter_and_stay_bounded() -> None:
    waits = api.jittered()
    found = [next(waits) for _ in range(200)]
    assert all(0 <= one <= api.LONGEST_WAIT_S for one in found)
    assert found[0] <= api.FIRST_WAIT_S
    assert max(found[20:]) > 2


FLUSH = """
import sys
from pathlib import Path
from bilbs_cli.support import api, delivery
from bilbs_cli.support.outbox import Outbox
box = Outbox(Path(sys.argv[1]))
with api.Desk(sys.argv[2], sys.argv[3]) as desk:
    delivery.flush(box, desk, budget_s=60, sleep=lambda _: None)
"""


@pytest.mark.timeout(1800 if SOAK else 120)
def test_through_faults_kills_and_restarts_nothing_is_lost_doubled_or_out_of_order(tmp_path: Path) -> None:
    """75 tickets with comments (1,000 in the long run), the client killed and the desk restarted again and again."""
    tickets = 1000 if SOAK else 75
    box = Outbox(tmp_path / "outbox.db")
    for number in range(tickets):
        opened = box.add("ticket.open", {"ticket": number}, occurred_at=WHEN)
        if number % 3 == 0:
            for comment in range(2):
                box.add("ticket.comment", {"ticket": number, "comment": comment}, occurred_at=WHEN, after=opened.id)
    dice = random.Random(7)
    desk = Desk(fault=faults(11, 0.25))
    kills = restarts = 0
    while any(True for _ in box.entries(QUEUED, "sending")):
        with running_desk(desk=desk):
            restarts += 1
            process = subprocess.Popen([sys.executable, "-c", FLUSH, str(box.path), desk.url, TOKEN])
            try:
                process.wait(dice.uniform(0.4, 1.2) if restarts < 40 else 60)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
    assert kills >= 3
    bodies = [body for _, _, body in desk.order]
    assert len({key for key, _, _ in desk.order}) == len(desk.order)
    assert [body["ticket"] for body in bodies if "comment" not in body] == list(range(tickets))
    assert len(bodies) == tickets + 2 * len(range(0, tickets, 3))
    for number in range(0, tickets, 3):
        own = [body.get("comment") for body in bodies if body["ticket"] == number]
        assert own == [None, 0, 1]
    assert {one.state for one in box.entries()} == {DELIVERED}
    assert parts.TOKEN not in str(list(tmp_path.iterdir()))
