"""Each fault switch, as a client on the other end of a real socket sees it, and inside the process."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from bilbs_cli.sandbox import faults
from bilbs_cli.sandbox.in_process import Transport
from tests.conftest import Bilbs
from tests.parts.sandbox import Sandbox

TICKET = {"subject": "s", "severity": "sev3"}


def client(desk: Sandbox, *, inside: bool) -> httpx.Client:
    transport = Transport(desk.store.folder) if inside else None
    base = "http://localhost/v1" if inside else desk.url
    return httpx.Client(
        base_url=base, transport=transport, headers={"Authorization": f"Bearer {desk.token}"}, timeout=5
    )


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("fault", ["drop", "refuse", "half"])
def test_a_connection_that_ends(desk: Sandbox, fault: str, inside: bool) -> None:
    faults.switch(desk.store, fault, 1.0, 1)
    with client(desk, inside=inside) as api:
        with pytest.raises(httpx.TransportError):
            api.post("/tickets", json=TICKET, headers={"Idempotency-Key": "a-key-of-the-tests"})
        taken = [doc["subject"] for _, doc in desk.store.tickets([], [], "", 0, 10)]
        assert taken == ([] if fault == "refuse" else ["s"])
        again = api.post("/tickets", json=TICKET, headers={"Idempotency-Key": "a-key-of-the-tests"})
        assert again.status_code == 201
        assert len(desk.store.tickets([], [], "", 0, 10)) == 1


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("429", 429, "application/problem+json"),
        ("503", 503, "application/problem+json"),
        ("500", 500, "application/problem+json"),
        ("html", 200, "text/html"),
        ("redirect", 307, ""),
        ("expired", 401, "application/problem+json"),
    ],
)
def test_an_answer_that_is_not_the_wanted_one(desk: Sandbox, fault: str, status: int, kind: str) -> None:
    faults.switch(desk.store, fault, 1.0, 0)
    with client(desk, inside=False) as api:
        found = api.get("/me")
        assert (found.status_code, found.headers.get("content-type", "")) == (status, kind)
        if kind == "application/problem+json" and status != 429:
            assert found.json()["pager"]
        faults.off(desk.store)
        assert api.get("/me").status_code == 200


def test_a_fault_for_a_share_of_the_requests(desk: Sandbox) -> None:
    faults.switch(desk.store, "503", 0.5, 0)
    with client(desk, inside=False) as api:
        statuses = [api.get("/me").status_code for _ in range(60)]
    assert 10 < statuses.count(503) < 50


def test_the_command_turns_them_on_and_off(bilbs: Bilbs, tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "d")]
    assert bilbs("sandbox", "fault", "drop", "--times", "2", *data, "--json").json["data"]["on"] == {
        "drop": {"share": 1.0, "times": 2}
    }
    assert bilbs("sandbox", "fault", "--off", *data, "--json").json["data"]["on"] == {}
    wrong = bilbs("sandbox", "fault", "dorp", *data)
    assert (wrong.status, "no fault dorp; one of drop" in wrong.stderr) == (5, True)
    listed = bilbs("sandbox", "fault", *data).stdout
    assert all(name in listed for name in faults.FAULTS)
