"""Every request that the client makes, judged by a program that knows only the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Bilbs
from tests.parts.prism import Prism, running_prism

# Each command with what it asks for; the answers are the examples of the contract.
COMMANDS = (
    ("support ticket open -s sev2 -m x --impact y --kind hardware --category gpu --dedup KEY", ["post /tickets"]),
    ("support ticket comment tkt_7Q2M -m x", ["post /tickets/tkt_7Q2M/comments"]),
    ("support ticket close tkt_7Q2M -m x", ["post /tickets/tkt_7Q2M/actions/close"]),
    ("support ticket reopen tkt_7Q2M", ["post /tickets/tkt_7Q2M/actions/reopen"]),
    ("support ticket escalate tkt_7Q2M -m x", ["post /tickets/tkt_7Q2M/actions/escalate"]),
    ("support ticket severity tkt_7Q2M sev1 -m x", ["post /tickets/tkt_7Q2M/actions/set-severity"]),
    ("support ticket severity BB-1234", ["get /tickets/BB-1234"]),
    ("support ticket list --status open --status new -s sev1 --since 1d", ["get /tickets"]),
    ("support ticket show BB-1234", ["get /tickets/BB-1234", "get /tickets/BB-1234/events"]),
    ("support ticket watch BB-1234 --until acked", ["get /tickets/BB-1234/events"]),
    ("support ticket brief BB-1234", ["get /tickets/BB-1234", "get /tickets/tkt_7Q2M/events"]),
    (
        "support ticket attach BB-1234 {hello}",
        [
            "options /tickets/BB-1234/attachments",
            "post /tickets/BB-1234/attachments",
            "head /uploads/upl_1",
            "patch /uploads/upl_1",
        ],
    ),
    (
        "support ticket open -s sev1 -m x --page --page-wait 1s",
        ["post /tickets", "post /tickets/tkt_7Q2M/pages", "get /pages/pag_1"],
    ),
    ("support rma list", ["get /rmas"]),
    ("support rma show rma_1", ["get /rmas/rma_1"]),
    ("support rma note rma_1 -m x", ["get /rmas/rma_1", "post /tickets/tkt_7Q2M/comments"]),
    ("support incident list", ["get /incidents"]),
    ("support incident show inc_1", ["get /incidents/inc_1/updates"]),
    ("support maintenance list", ["get /maintenance-windows"]),
    ("support report list --type rca", ["get /reports"]),
    ("support report get rep_1 -o {folder}", ["get /reports", "get /attachments/att_1/content"]),
    ("support hours", ["get /consulting/ledger"]),
    ("support visits", ["get /visits"]),
    ("support invoice list", ["get /invoices"]),
    ("support invoice show inv_1", ["get /invoices/inv_1"]),
    ("support engineer show", ["get /engineer"]),
    ("support engineer swap --yes", ["post /engineer/swap"]),
    ("support audit --desk", ["get /audit-events"]),
    ("status --refresh", ["get /tickets", "get /contact-card"]),
    ("doctor", ["get /status", "get /me"]),
    ("whoami", ["get /me"]),
)


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    with running_prism(tmp_path_factory.mktemp("prism")) as found:
        yield found


@pytest.mark.parametrize(("command", "wanted"), COMMANDS, ids=[command.split(" -")[0] for command, _ in COMMANDS])
def test_the_contract_allows_every_request_of(
    command: str, wanted: list[str], prism: Prism, bilbs: Bilbs, tmp_path: Path
) -> None:
    (tmp_path / "hello.txt").write_text("hello")
    before, refused = len(prism.requests()), len(prism.refused())
    words = command.format(hello=tmp_path / "hello.txt", folder=tmp_path).split()
    ended = bilbs(*words, env={"BILBS_API_URL": prism.url, "BILBS_TOKEN": "a-token-of-the-tests"}, timeout=60)
    asked = [one.partition("?")[0] for one in prism.requests()[before:]]
    assert [one for one in wanted if one not in asked] == [], ended.stderr
    assert prism.refused()[refused:] == []
    assert "crash" not in ended.stderr


def test_the_mock_would_refuse_what_is_against_the_contract(prism: Prism) -> None:
    before = len(prism.refused())
    answer = httpx.post(
        f"{prism.url}/tickets", json={"severity": 3}, headers={"Authorization": "Bearer x", "Idempotency-Key": "short"}
    )
    assert answer.status_code in {400, 422}
    assert len(prism.refused()) > before


def test_the_device_login_is_as_the_contract_says(prism: Prism, bilbs: Bilbs) -> None:
    refused = len(prism.refused())
    ended = bilbs("login", env={"BILBS_API_URL": prism.url}, timeout=60)
    assert (ended.status, "WDJB-MJHT" in ended.stderr) == (0, True)
    assert bilbs("logout", env={"BILBS_API_URL": prism.url}).status == 0
    asked = prism.requests()
    assert {"post /oauth/device_authorization", "post /oauth/token", "get /contact-card", "post /oauth/revoke"} <= set(
        asked
    )
    assert prism.refused()[refused:] == []
