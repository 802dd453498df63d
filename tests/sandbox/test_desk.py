"""How the sandbox behaves where schemas say nothing: keys, logins, states, clocks, people."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bilbs_cli.sandbox import login, people
from tests.parts.sandbox import Sandbox, running_sandbox

TICKET = {"subject": "GPU 1 is gone", "severity": "sev2", "kind": "hardware"}
KEY = "a-key-of-the-tests-{}"


@pytest.fixture
def api(desk: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=desk.url, headers={"Authorization": f"Bearer {desk.token}"}) as client:
        yield client


def opened(api: httpx.Client, number: int = 1, **more: Any) -> httpx.Response:
    return api.post("/tickets", json=TICKET | more, headers={"Idempotency-Key": KEY.format(number)})


def act(api: httpx.Client, ticket: str, action: str, key: str, **body: Any) -> httpx.Response:
    return api.post(
        f"/tickets/{ticket}/actions/{action}", json=body, headers={"Idempotency-Key": KEY.format(f"act-{key}")}
    )


def test_the_same_key_gives_the_same_answer_and_another_body_is_refused(api: httpx.Client) -> None:
    first, again = opened(api), opened(api)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    other = opened(api, subject="another")
    assert (other.status_code, other.json()["code"]) == (422, "key-reused")
    assert len(api.get("/tickets").json()["data"]) == 1
    assert api.post("/tickets", json=TICKET).status_code == 400


def test_many_at_once_with_one_key_make_one_ticket(desk: Sandbox, api: httpx.Client) -> None:
    answers: list[int] = []

    def post() -> None:
        with httpx.Client(base_url=desk.url, headers={"Authorization": f"Bearer {desk.token}"}) as own:
            answers.append(opened(own).status_code)

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {201, 409}
    assert 201 in answers
    assert len(api.get("/tickets").json()["data"]) == 1


def test_a_failure_is_not_pinned_to_its_key(desk: Sandbox, api: httpx.Client) -> None:
    assert opened(api, severity="sev9").status_code == 422
    assert opened(api).status_code == 201


def test_a_dedup_key_joins_the_open_ticket_until_it_is_done(api: httpx.Client) -> None:
    first = opened(api, 1, dedup_key="box/gpu/xid.79")
    joined = opened(api, 2, dedup_key="box/gpu/xid.79", body="again")
    assert (joined.status_code, joined.json()["id"]) == (200, first.json()["id"])
    assert api.get(f"/tickets/{first.json()['id']}/events").json()["data"][-1]["text"] == "again"
    act(api, first.json()["id"], "close", "c")
    assert opened(api, 3, dedup_key="box/gpu/xid.79").status_code == 201


def test_states_that_do_not_follow_are_conflicts(api: httpx.Client) -> None:
    ticket = opened(api).json()["id"]
    assert act(api, ticket, "reopen", "1").status_code == 409
    assert act(api, ticket, "close", "2").json()["status"] == "closed"
    assert act(api, ticket, "close", "3").status_code == 409
    comment = api.post(f"/tickets/{ticket}/comments", json={"body": "x"}, headers={"Idempotency-Key": KEY.format(4)})
    assert (comment.status_code, comment.json()["code"]) == (409, "conflict")
    assert act(api, ticket, "reopen", "5").json()["status"] == "open"
    assert act(api, ticket, "escalate", "6", reason="r").json()["escalation_level"] == 2


def test_an_etag_that_is_not_the_current_one_changes_nothing(api: httpx.Client) -> None:
    made = opened(api)
    path = f"/tickets/{made.json()['id']}"
    etag = made.headers["etag"]
    assert api.patch(path, json={"subject": "new"}, headers={"If-Match": '"other"'}).status_code == 412
    assert api.patch(path, json={"subject": "new"}, headers={"If-Match": etag}).json()["subject"] == "new"
    assert api.patch(path, json={"subject": "old"}, headers={"If-Match": etag}).status_code == 412
    now = api.get(path)
    assert now.json()["subject"] == "new"
    assert api.get(path, headers={"If-None-Match": now.headers["etag"]}).status_code == 304


def test_the_severity_is_the_customer_s_and_its_history_stays(api: httpx.Client) -> None:
    ticket = opened(api).json()["id"]
    found = act(api, ticket, "set-severity", "s", severity="sev1", reason="all down").json()
    assert found["severity"]["current"] == "sev1"
    assert [(one["to"], one["by"]) for one in found["severity"]["history"]] == [
        ("sev2", "customer"),
        ("sev1", "customer"),
    ]


def test_a_machine_acknowledges_at_once_and_fulfils_nothing_and_a_person_does_later(
    desk: Sandbox, api: httpx.Client
) -> None:
    ticket = opened(api).json()["id"]

    def clock() -> str:
        sla = api.get(f"/tickets/{ticket}").json()["sla"]
        return str(next(one["state"] for one in sla if one["metric"] == "engineer_open"))

    desk.advance(5)
    assert [one["by"] for one in api.get(f"/tickets/{ticket}/events").json()["data"]] == ["customer", "automatic"]
    assert clock() == "running"
    desk.advance(3600)
    assert clock() == "met"
    assert api.get(f"/tickets/{ticket}").json()["assignee"] == people.ENGINEER


def test_hardware_goes_through_the_steps_of_an_rma_in_their_order(desk: Sandbox, api: httpx.Client) -> None:
    ticket = opened(api).json()["id"]
    desk.advance(12 * 3600)
    found = api.get("/rmas").json()["data"][0]
    assert [one["state"] for one in found["steps"]] == [
        "alerted",
        *people.RMA_STEPS[: people.RMA_STEPS.index("eval_passed") + 1],
    ]
    assert found["case_number"]
    assert api.get(f"/tickets/{ticket}").json()["status"] == "resolved"


def test_a_wait_on_the_customer_ends_with_their_comment(desk: Sandbox, api: httpx.Client) -> None:
    ticket = opened(api, kind="software").json()["id"]
    desk.advance(4 * 3600)
    assert api.get(f"/tickets/{ticket}").json()["status"] == "waiting_customer"
    api.post(f"/tickets/{ticket}/comments", json={"body": "yes"}, headers={"Idempotency-Key": KEY.format("y")})
    assert api.get(f"/tickets/{ticket}").json()["status"] == "open"


def test_a_long_poll_ends_when_something_comes(api: httpx.Client) -> None:
    ticket = opened(api).json()["id"]
    cursor = api.get(f"/tickets/{ticket}/events").json()["next_cursor"]
    began = time.monotonic()
    page = api.get(
        f"/tickets/{ticket}/events", params={"after": cursor}, headers={"Prefer": "wait=20"}, timeout=30
    ).json()
    assert [one["by"] for one in page["data"]] == ["automatic"]
    assert 1 < time.monotonic() - began < 10
    began = time.monotonic()
    empty = api.get(
        f"/tickets/{ticket}/events", params={"after": page["next_cursor"]}, headers={"Prefer": "wait=1"}
    ).json()
    assert (empty["data"], empty["next_cursor"]) == ([], page["next_cursor"])
    assert 0.9 < time.monotonic() - began < 5


def test_a_long_poll_ends_with_who_asked_and_does_not_hold_the_end_of_the_desk_up(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "desk") as desk:
        with httpx.Client(base_url=desk.url, headers={"Authorization": f"Bearer {desk.token}"}) as api:
            ticket = opened(api).json()["id"]
            desk.advance(30 * 86400)  # nothing comes any more
            after = api.get(f"/tickets/{ticket}/events").json()["next_cursor"]
            with pytest.raises(httpx.ReadTimeout):
                api.get(
                    f"/tickets/{ticket}/events", params={"after": after}, headers={"Prefer": "wait=25"}, timeout=0.5
                )
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_pages_of_a_list_hold_each_ticket_once(api: httpx.Client) -> None:
    for number in range(25):
        opened(api, number, subject=f"ticket {number}")
    seen, after = [], None
    while True:
        page = api.get("/tickets", params={"limit": 7, **({"after": after} if after else {})})
        seen += [one["subject"] for one in page.json()["data"]]
        after = page.json()["next_cursor"]
        if not page.json()["has_more"]:
            break
        assert 'rel="next"' in page.headers["link"]
    assert sorted(seen) == sorted(f"ticket {number}" for number in range(25))


def test_lists_have_a_bucket_of_their_own_and_cannot_starve_a_ticket(desk: Sandbox, api: httpx.Client) -> None:
    desk.store.set("list_quota", 3)
    statuses = [api.get("/invoices").status_code for _ in range(5)]
    assert 429 in statuses
    refused = api.get("/invoices")
    assert int(refused.headers["retry-after"]) > 0
    assert "r=0" in refused.headers["ratelimit"]
    assert opened(api).status_code == 201


def test_a_machine_may_write_tickets_and_never_a_plan(desk: Sandbox) -> None:
    box = login.issue(desk.store, "box", login.BOX, lasts_s=60)
    with httpx.Client(base_url=desk.url, headers={"Authorization": f"Bearer {box}"}) as own:
        assert opened(own).status_code == 201
        quote = own.post("/subscriptions/preview", json={"plan": "support", "tier": "box", "boxes": 1}).json()[
            "quote_id"
        ]
        made = own.post("/subscriptions", json={"quote_id": quote}, headers={"Idempotency-Key": KEY.format("q")})
        assert (made.status_code, made.json()["code"]) == (403, "forbidden")


def test_a_refresh_token_that_is_used_twice_ends_the_whole_login(desk: Sandbox) -> None:
    with httpx.Client(base_url=desk.url) as client:
        code = client.post("/oauth/device_authorization", data={"client_id": "bilbs-cli"}).json()
        form = {"grant_type": login.DEVICE, "device_code": code["device_code"], "client_id": "bilbs-cli"}
        assert client.post("/oauth/token", data=form).json()["error"] == "slow_down"
        desk.store.set_clock(desk.store.now() + 1.5)
        assert client.post("/oauth/token", data=form).json()["error"] == "authorization_pending"
        desk.store.set_clock(desk.store.now() + 5)
        first = client.post("/oauth/token", data=form).json()
        refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second = client.post("/oauth/token", data=refresh).json()
        assert client.get("/me", headers={"Authorization": f"Bearer {second['access_token']}"}).status_code == 200
        assert client.post("/oauth/token", data=refresh).json()["error"] == "invalid_grant"
        gone = client.get("/me", headers={"Authorization": f"Bearer {second['access_token']}"})
        assert (gone.status_code, bool(gone.json()["pager"])) == (401, True)


def test_a_desk_that_is_started_again_has_everything(tmp_path: Path) -> None:
    with (
        running_sandbox(tmp_path / "d") as first,
        httpx.Client(base_url=first.url, headers={"Authorization": f"Bearer {first.token}"}) as api,
    ):
        ticket = opened(api).json()["id"]
    with (
        running_sandbox(tmp_path / "d") as second,
        httpx.Client(base_url=second.url, headers={"Authorization": f"Bearer {second.token}"}) as api,
    ):
        assert api.get(f"/tickets/{ticket}").status_code == 200
        assert opened(api).json()["id"] == ticket
