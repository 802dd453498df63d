"""Logging in: the device grant, tokens that are handed over, renewal, and where a token must not go."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli import config
from bilbs_cli.errors import LoginNeeded, Unavailable
from bilbs_cli.support import login
from tests.conftest import Bilbs
from tests.parts.desk import Desk, running_desk

CODES = {
    "device_code": "dev-1",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://desk.example/device",
    "expires_in": 60,
    "interval": 1,
}
TOKENS = {
    "access_token": "access-token-1",
    "refresh_token": "refresh-token-1",
    "expires_in": 900,
    "token_type": "Bearer",
}


def no(error: str) -> tuple[int, dict[str, Any]]:
    return 400, {"error": error}


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with running_desk() as desk:
        monkeypatch.setenv("BILBS_API_URL", desk.url)
        yield desk


def test_the_device_grant_ends_with_a_login_that_only_its_owner_can_read(bilbs: Bilbs, there: Desk) -> None:
    there.oauth = [(200, CODES), no("authorization_pending"), (200, TOKENS)]
    ended = bilbs("login", "--json")
    assert ended.status == 0
    assert "type: WDJB-MJHT" in ended.stderr
    path = Path(ended.json["data"]["stored"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert "access-token-1" not in ended.stdout + ended.stderr
    assert [name for name, _ in there.forms] == ["device_authorization", "token", "token"]
    assert bilbs("support", "ticket", "open", "-m", "hello").status == 0
    assert there.seen_tokens == {"Bearer access-token-1"}


def test_polling_keeps_the_interval_and_slows_down_when_asked(there: Desk) -> None:
    there.oauth = [
        no("authorization_pending"),
        no("slow_down"),
        no("authorization_pending"),
        no("slow_down"),
        (200, TOKENS),
    ]
    slept: list[float] = []
    code = login.Code("U", "u", "u", "dev-1", 600, 5)
    assert login.wait(config.load(), code, sleep=slept.append).access_token == "access-token-1"
    assert slept == [5, 5, 10, 10, 15]


@pytest.mark.parametrize(
    ("answer", "code"),
    [("access_denied", "login-denied"), ("expired_token", "login-failed"), ("invalid_grant", "login-failed")],
)
def test_a_no_is_a_no(there: Desk, answer: str, code: str) -> None:
    there.oauth = [no(answer)]
    with pytest.raises(LoginNeeded) as caught:
        login.wait(config.load(), login.Code("U", "u", "u", "dev-1", 600, 1), sleep=lambda _: None)
    assert caught.value.code == code


def test_a_code_that_nobody_confirms_ends(there: Desk) -> None:
    there.oauth = [no("authorization_pending")] * 50
    with pytest.raises(LoginNeeded, match="expired"):
        login.wait(config.load(), login.Code("U", "u", "u", "dev-1", 1.5, 1), sleep=time.sleep)


@pytest.mark.parametrize("answer", [{}, {"user_code": 3}, [], {"error": "no\x1b[2J"}])
def test_a_desk_that_gives_no_code_is_said(bilbs: Bilbs, there: Desk, answer: Any) -> None:
    there.oauth = [(200, answer)]
    ended = bilbs("login")
    assert (ended.status, "\x1b" in ended.stderr) == (69, False)


@pytest.mark.parametrize(
    "tokens",
    [
        {},
        {"access_token": 3},
        {"access_token": "a b"},
        {"access_token": "short"},
        {"access_token": "good-token-1", "refresh_token": 7},
    ],
)
def test_an_answer_without_a_good_token_is_no_login(there: Desk, tokens: dict[str, Any]) -> None:
    there.oauth = [(200, tokens)]
    with pytest.raises(Unavailable):
        login.wait(config.load(), login.Code("U", "u", "u", "dev-1", 600, 1), sleep=lambda _: None)


def test_a_token_is_taken_from_stdin_or_a_private_file_and_from_nowhere_else(
    bilbs: Bilbs, there: Desk, tmp_path: Path
) -> None:
    assert bilbs("login", "--token-stdin", stdin="token-of-a-machine\n").status == 0
    assert json.loads(login.place().read_text())["access_token"] == "token-of-a-machine"
    file = tmp_path / "t"
    file.write_text("token-of-a-file\n")
    file.chmod(0o644)
    refused = bilbs("login", "--token-file", str(file))
    assert (refused.status, "chmod 600" in refused.stderr) == (77, True)
    file.chmod(0o600)
    assert bilbs("login", "--token-file", str(file)).status == 0
    for bad in ("", "a b", "x" * 5000):
        assert bilbs("login", "--token-stdin", stdin=bad).status == 4
    assert json.loads(login.place().read_text())["access_token"] == "token-of-a-file"


def test_a_login_that_others_can_read_is_not_used(bilbs: Bilbs, there: Desk) -> None:
    bilbs("login", "--token-stdin", stdin="token-of-a-machine")
    login.place().chmod(0o640)
    ended = bilbs("support", "ticket", "open", "-m", "hello")
    assert (ended.status, "chmod 600" in ended.stderr) == (75, True)  # the ticket is safe: that is said first
    assert there.requests == 0
    assert bilbs("support", "outbox", "flush").status == 77


def test_a_login_belongs_to_the_desk_that_gave_it(bilbs: Bilbs, there: Desk) -> None:
    bilbs("login", "--token-stdin", stdin="token-of-a-machine")
    with running_desk() as other:
        ended = bilbs("support", "ticket", "open", "-m", "hello", env={"BILBS_API_URL": other.url})
    assert (ended.status, other.requests) == (75, 0)


def expired() -> None:
    login.keep(login.Login("access-token-0", "refresh-token-0", time.time() + 5, os.environ["BILBS_API_URL"]))


def test_a_login_that_is_about_to_end_is_renewed_and_its_refresh_token_replaced(bilbs: Bilbs, there: Desk) -> None:
    expired()
    there.oauth = [(200, TOKENS)]
    assert bilbs("support", "ticket", "open", "-m", "hello").status == 0
    assert there.forms == [
        ("token", {"grant_type": "refresh_token", "refresh_token": "refresh-token-0", "client_id": "bilbs-cli"})
    ]
    assert there.seen_tokens == {"Bearer access-token-1"}
    kept = login.read()
    assert kept is not None
    assert kept.refresh_token == "refresh-token-1"


def test_a_refresh_token_that_is_not_taken_any_more_asks_for_a_login_and_loses_nothing(
    bilbs: Bilbs, there: Desk
) -> None:
    expired()
    there.oauth = [no("invalid_grant")]
    ended = bilbs("support", "ticket", "open", "-m", "hello")
    assert ended.status == 75
    assert "bilbs login" in ended.stderr
    assert len(bilbs("support", "outbox", "list", "--json").json["data"]["entries"]) == 1


def test_logging_out_revokes_and_deletes_even_when_nobody_answers(bilbs: Bilbs, there: Desk) -> None:
    login.keep(login.Login("access-token-1", "refresh-token-1", 0, there.url))
    assert bilbs("logout").stdout == "logged out\n"
    assert [(name, form["token"]) for name, form in there.forms] == [
        ("revoke", "refresh-token-1"),
        ("revoke", "access-token-1"),
    ]
    assert not login.place().exists()
    assert bilbs("logout").stdout == "nobody was logged in\n"
    login.keep(login.Login("access-token-1", "", 0, "http://127.0.0.1:9/v1"))
    ended = bilbs("logout", env={"BILBS_API_URL": "http://127.0.0.1:9/v1"})
    assert (ended.status, "could not be revoked" in ended.stderr, login.place().exists()) == (0, True, False)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"access_token": 1}'])
def test_a_damaged_login_is_named(bilbs: Bilbs, there: Desk, damage: str) -> None:
    login.keep(login.Login("access-token-1", "", 0, there.url))
    login.place().write_text(damage)
    ended = bilbs("support", "outbox", "flush")
    assert (ended.status, "login.json" in ended.stderr) == (78, True)
