"""`bilbs status` and `bilbs doctor`: one screen without a network, and every path tried before the night."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bilbs_cli import last_seen
from tests.conftest import Bilbs
from tests.parts.sandbox import Sandbox
from tests.parts.tls import Authority, tls_desk


def env_of(desk: Sandbox) -> dict[str, str | None]:
    return {"BILBS_API_URL": desk.url, "BILBS_TOKEN": desk.token}


def test_a_new_box_says_of_each_thing_that_it_is_not_known_yet(bilbs: Bilbs) -> None:
    ended = bilbs("status")
    assert ended.status == 0
    for said in (
        "not looked at yet",
        "never: bilbs diag check",
        "none yet: bilbs diag collect",
        "UNKNOWN: bilbs support pager",
        "nobody (bilbs login)",
        "empty",
        "never asked for",
    ):
        assert said in ended.stdout, said
    data = bilbs("status", "--json").json["data"]
    assert (data["check"], data["tickets"], data["pager"]["number"]) == (None, None, None)


def test_it_shows_what_this_box_has_seen_last_without_a_network(bilbs: Bilbs, desk: Sandbox, tmp_path: Path) -> None:
    bilbs("diag", "collect", "--profile", "triage", "-o", str(tmp_path / "b"))
    bilbs("diag", "check")
    bilbs("support", "ticket", "open", "-s", "sev1", "-m", "all is down", env=env_of(desk))
    bilbs("status", "--refresh", env=env_of(desk))
    bilbs("support", "ticket", "open", "-m", "a second one")  # nobody is logged in: it waits
    page = bilbs("status", env={"BILBS_API_URL": "http://127.0.0.1:9/v1"})
    assert (page.status, page.stderr) == (0, "")
    for said in ("bilbs-diag-", "WARNING", "+12015550123", "1 waiting", "1 open, as of", "all is down"):
        assert said in page.stdout, said
    assert len(page.stdout.splitlines()) <= 24
    assert all(len(line) <= 80 for line in page.stdout.splitlines() if "bilbs-diag-" not in line)
    (tmp_path / "b").rename(tmp_path / "gone")
    assert "not there any more" in bilbs("status").stdout


def test_it_never_touches_the_network_by_itself(bilbs: Bilbs, desk: Sandbox) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        assert bilbs("status", env={"BILBS_API_URL": url, "BILBS_TOKEN": desk.token}).status == 0
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_refresh_that_fails_shows_what_was_known(bilbs: Bilbs) -> None:
    ended = bilbs(
        "status",
        "--refresh",
        env={"BILBS_API_URL": "http://127.0.0.1:9/v1", "BILBS_TOKEN": "a-token-of-the-tests"},
        timeout=60,
    )
    assert (ended.status, "not refreshed" in ended.stderr) == (0, True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at": "x"}'])
def test_what_was_seen_and_cannot_be_read_is_not_known(text: str) -> None:
    last_seen.keep(last_seen.CHECK, {"status": "healthy"})
    assert last_seen.read(last_seen.CHECK)
    last_seen.place(last_seen.CHECK).write_text(text)
    assert last_seen.read(last_seen.CHECK) is None


def states(bilbs: Bilbs, env: dict[str, str | None]) -> tuple[int, dict[str, str]]:
    ended = bilbs("doctor", "--timeout", "2", "--json", env=env, timeout=60)
    return ended.status, {one["name"]: one["state"] for one in ended.json["data"]["checks"]}


def test_a_box_that_is_ready_is_ok_but_for_its_hardware(bilbs: Bilbs, desk: Sandbox) -> None:
    bilbs("status", "--refresh", env=env_of(desk))
    status, found = states(bilbs, env_of(desk))
    assert {
        name: found[name] for name in ("settings", "disk", "pager", "outbox", "login", "desk", "clock", "token")
    } == dict.fromkeys(("settings", "disk", "pager", "outbox", "login", "desk", "clock", "token"), "ok")
    assert found["gpu"] == "warn"
    assert status == 10


def test_without_pager_login_and_desk_each_is_a_failure_with_the_next_command(bilbs: Bilbs) -> None:
    status, found = states(bilbs, {"BILBS_API_URL": "http://127.0.0.1:9/v1"})
    assert (status, found["pager"], found["login"], found["desk"]) == (11, "fail", "fail", "fail")
    page = bilbs("doctor", env={"BILBS_API_URL": "http://127.0.0.1:9/v1"})
    assert page.status == 11
    assert "next: bilbs login" in page.stdout
    assert all(len(line) <= 80 for line in page.stdout.splitlines())


def test_the_address_that_is_only_assumed_is_not_asked_before_a_login(bilbs: Bilbs) -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('the network was asked')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "from bilbs_cli.__main__ import main; sys.exit(main())"
    )
    ended = bilbs("doctor", "--json", program=program, timeout=60)
    desk = next(one for one in ended.json["data"]["checks"] if one["name"] == "desk")
    assert (ended.status, desk["state"], "not asked before a login" in desk["said"]) == (11, "unknown", True)
    assert "crash" not in ended.stderr


def test_clocks_that_differ_are_seen(bilbs: Bilbs, desk: Sandbox) -> None:
    bilbs("status", "--refresh", env=env_of(desk))
    desk.store.set_clock(time.time() + 120)
    assert states(bilbs, env_of(desk))[1]["clock"] == "warn"
    desk.store.set_clock(time.time() - 4000)
    status, found = states(bilbs, env_of(desk))
    assert (status, found["clock"]) == (11, "fail")


def test_a_certificate_that_does_not_hold_and_one_that_ends_soon(bilbs: Bilbs, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    token = {"BILBS_TOKEN": "a-token-of-the-tests"}
    with tls_desk(authority.server("good", days=5)) as (url, _):
        unknown = bilbs("doctor", "--json", env={**token, "BILBS_API_URL": url}, timeout=60)
        desk = next(one for one in unknown.json["data"]["checks"] if one["name"] == "desk")
        assert desk["state"] == "fail"
        assert "api.ca_bundle" in desk["next"]
        (tmp_path / "nothing").mkdir()
        bare = {"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": str(tmp_path / "nothing")}  # a box without authorities
        unknown = bilbs("doctor", "--json", env={**token, **bare, "BILBS_API_URL": url}, timeout=60)
        desk = next(one for one in unknown.json["data"]["checks"] if one["name"] == "desk")
        assert desk["state"] == "fail"
        assert "apt install ca-certificates" in desk["next"]


def test_a_token_that_the_desk_does_not_take_and_a_full_outbox_are_seen(bilbs: Bilbs, desk: Sandbox) -> None:
    bilbs("support", "ticket", "open", "-m", "x")
    status, found = states(bilbs, {"BILBS_API_URL": desk.url, "BILBS_TOKEN": "a-token-of-nobody"})
    assert (status, found["token"]) == (11, "fail")
    from bilbs_cli.support import outbox

    with outbox.opened() as box:
        box._base.execute("update entry set created_at = created_at - 10000")
        box._base.commit()
    assert states(bilbs, env_of(desk))[1]["outbox"] == "warn"


def test_settings_that_cannot_be_read_are_the_first_thing_it_says(bilbs: Bilbs, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[api\n")
    ended = bilbs("doctor", env={"BILBS_CONFIG": str(tmp_path / "c.toml")})
    assert (ended.status, "c.toml:1" in ended.stdout) == (11, True)


def test_a_disk_without_room_fails(bilbs: Bilbs, tmp_path: Path) -> None:
    from tests.parts.disk import small_disk

    with small_disk(tmp_path / "d", 1 << 20) as disk:
        assert (
            states(bilbs, {"BILBS_STATE_DIR": str(disk.path), "BILBS_API_URL": "http://127.0.0.1:9/v1"})[1]["disk"]
            == "fail"
        )


def test_whoami_says_account_role_and_scopes(bilbs: Bilbs, desk: Sandbox) -> None:
    ended = bilbs("whoami", env=env_of(desk))
    assert "acct_sandbox, role owner" in ended.stdout
    assert "tickets:write" in ended.stdout
    assert bilbs("whoami").status == 4
    assert os.environ.get("BILBS_TOKEN") is None


def test_a_login_brings_the_card_so_that_the_pager_needs_no_network(bilbs: Bilbs, desk: Sandbox) -> None:
    assert "+12015550123" not in bilbs("support", "pager").stdout
    assert bilbs("login", "--token-stdin", stdin=desk.token, env={"BILBS_API_URL": desk.url}).status == 0
    assert "+12015550123" in bilbs("support", "pager").stdout
