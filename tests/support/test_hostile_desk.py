"""A desk that lies in every way: no effect on the box or the terminal, a clear error, and an end."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import Bilbs
from tests.parts.patience import BUSY_S

TOKEN = "a-token-of-the-tests"
ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e\x00"


def reply(body: bytes, kind: str = "application/json", status: str = "200 OK", *headers: str) -> bytes:
    """Return an HTTP answer."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *headers,
        "Connection: close",
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def everywhere(text: str) -> bytes:
    """Return a document that has a text wherever the client could show one."""
    one = dict.fromkeys(
        (
            "id",
            "number",
            "subject",
            "body",
            "status",
            "kind",
            "category",
            "assignee",
            "channel",
            "received_at",
            "state",
            "title",
            "detail",
            "code",
            "text",
            "name",
            "by",
            "type",
            "at",
            "message",
            "account",
            "role",
            "pager",
            "sha256",
            "filename",
            "next_cursor",
            "oem",
            "part",
            "started_at",
        ),
        text,
    )
    nested = one | {
        "severity": one | {"current": text, "history": [one, one]},
        "sla": [one],
        "attachments": [one],
        "steps": [one],
        "errors": [one],
        "human_acked": one,
        "scopes": [text],
        "total": one,
        "attachment": one,
    }
    return json.dumps({**nested, "data": [nested], "has_more": False}).encode()


ANSWERS: dict[str, bytes] = {
    "html": reply(b"<html><script>alert(1)</script></html>", "text/html"),
    "html that calls itself JSON": reply(b"<html>", "application/json"),
    "half a JSON": reply(b'{"id": "tkt_1", "data": ['),
    "a number": reply(b"3"),
    "deep": reply(b"[" * 200_000 + b"]" * 200_000),
    "huge": reply(b'{"id": "' + b"x" * (34 << 20) + b'"}'),
    "bomb": reply(zlib.compress(b"0" * (64 << 20), wbits=31), "application/json", "200 OK", "Content-Encoding: gzip"),
    "redirect": b"",  # is filled in: to a host that listens
    "escapes": reply(everywhere(ESCAPES)),
    "escapes in a problem": reply(everywhere(ESCAPES), "application/problem+json", "422 No"),
    "escapes in the status": reply(b"{}", "application/json", "500 \x1b[2J"),
    "problem of numbers": reply(
        b'{"title": 3, "code": [], "errors": {"pointer": 1}}', "application/problem+json", "409 No"
    ),
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "shorter than said": reply(b"{}").replace(b"Content-Length: 2", b"Content-Length: 2000"),
    "odd length": reply(b"{}").replace(b"Content-Length: 2", b"Content-Length: -2"),
    "wrong types": reply(b'{"id": 1, "data": {"a": 1}, "has_more": "yes", "severity": [], "sla": 3, "next_cursor": 7}'),
    "pages for ever": reply(b'{"data": [{"id": "tkt_1"}], "has_more": true, "next_cursor": "again"}'),
    "a proxy's login": reply(b"<html>", "text/html", "407 Proxy", "Proxy-Authenticate: Basic"),
    "cookies and links": reply(
        b'{"data": [], "has_more": false}',
        "application/json",
        "200 OK",
        "Set-Cookie: a=b",
        'Link: <http://127.0.0.1:9/x>; rel="next"',
    ),
}
COMMANDS = (
    ["support", "ticket", "list"],
    ["support", "ticket", "show", "BB-1"],
    ["support", "report", "get", "rep_1"],
    ["support", "ticket", "open", "-m", "my text"],
)
# These two ask alike and look at the whole box, too: each answer meets one of them.
LOOKS = (["status", "--refresh"], ["doctor", "--timeout", "1"])


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """Answer every connection; give the address and what was asked."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(5)
            asked.append(connection.recv(1 << 16))
            answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(2)


def outside() -> set[str]:
    """Return the files that no answer may make: everything of this user but the state of bilbs."""
    home = Path(os.environ["HOME"])
    return {str(path) for path in home.rglob("*") if not str(path).startswith(os.environ["BILBS_STATE_DIR"])}


@pytest.mark.parametrize("kind", ANSWERS)
def test_no_answer_has_an_effect(kind: str, bilbs: Bilbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda _: None) as (elsewhere, stolen):
        body = ANSWERS[kind]
        if kind == "redirect":
            body = reply(b"", "text/plain", "307 Moved", f"Location: {elsewhere}/steal")
        with answering(lambda connection: connection.sendall(body)) as (url, asked):
            before = outside()
            for command in (*COMMANDS, LOOKS[list(ANSWERS).index(kind) % 2]):
                began = time.monotonic()
                env = {
                    "BILBS_API_URL": url,
                    "BILBS_TOKEN": TOKEN,
                    "BILBS_API_TIMEOUT_S": "1",
                    "BILBS_API_BUDGET_S": "0.4",
                }
                ended = bilbs(*command, env=env, timeout=60)
                assert not set(ended.stdout + ended.stderr) & set("\x1b\x07\x9b\u202e\x00"), command
                assert "crash" not in ended.stderr, (command, ended.stderr)
                assert time.monotonic() - began < 40, command
                if kind not in {"escapes", "wrong types", "pages for ever", "cookies and links"}:
                    assert ended.status != 0 or command[0] == "status", (command, ended.stdout)
                assert ended.stderr or ended.status in {0, 10, 11}, command
            assert asked
            assert outside() == before
        assert stolen == []
    kept = bilbs("support", "outbox", "list", "--all", "--json").json["data"]["entries"]
    assert [one["subject"] for one in kept] == ["my text"]


def test_a_compressed_answer_is_not_unpacked_and_named(bilbs: Bilbs) -> None:
    with answering(lambda connection: connection.sendall(ANSWERS["bomb"])) as (url, asked):
        ended = bilbs("whoami", env={"BILBS_API_URL": url, "BILBS_TOKEN": TOKEN, "BILBS_API_BUDGET_S": "0.2"})
    assert (ended.status, "compressed, which was not asked for" in ended.stderr) == (69, True)
    assert b"identity" in asked[0]


def test_a_peer_that_drips_and_never_ends_is_given_up_in_time(bilbs: Bilbs) -> None:
    def drip(connection: socket.socket) -> None:
        for char in "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + "X: y\r\n" * 1000:
            connection.sendall(char.encode())
            time.sleep(0.3)

    with answering(drip) as (url, _):
        env = {"BILBS_API_URL": url, "BILBS_TOKEN": TOKEN, "BILBS_PAGER": "+12015550199"}
        began = time.monotonic()
        ended = bilbs("support", "ticket", "open", "-s", "sev1", "-m", "my text", env=env)
        assert time.monotonic() - began < 10.0 + BUSY_S
        assert (ended.status, "+12015550199" in ended.stderr) == (75, True)


def test_a_resolver_that_never_answers_does_not_hold_a_sev_1_up(bilbs: Bilbs) -> None:
    program = (
        "import socket, time\n"
        "socket.getaddrinfo = lambda *_, **__: time.sleep(300)\n"
        "import sys; from bilbs_cli.__main__ import main; sys.exit(main())"
    )
    env = {"BILBS_API_URL": "https://desk.example/v1", "BILBS_TOKEN": TOKEN, "BILBS_PAGER": "+12015550199"}
    began = time.monotonic()
    ended = bilbs("support", "ticket", "open", "-s", "sev1", "-m", "my text", program=program, env=env)
    assert time.monotonic() - began < 10.0 + BUSY_S
    assert (ended.status, "+12015550199" in ended.stderr) == (75, True)


def test_a_login_that_cannot_be_renewed_does_not_hold_a_sev_1_up(bilbs: Bilbs) -> None:
    """The token is about to end, and the resolver never answers: the pager's number comes within the ten seconds."""
    from bilbs_cli.support import login

    url = "https://desk.example/v1"
    login.keep(login.Login("access-token-0", "refresh-token-0", time.time() + 5, url))
    program = (
        "import socket, time\n"
        "socket.getaddrinfo = lambda *_, **__: time.sleep(300)\n"
        "import sys; from bilbs_cli.__main__ import main; sys.exit(main())"
    )
    began = time.monotonic()
    env = {"BILBS_API_URL": url, "BILBS_PAGER": "+12015550199"}
    ended = bilbs("support", "ticket", "open", "-s", "sev1", "-m", "my text", program=program, env=env)
    assert time.monotonic() - began < 10.0 + BUSY_S
    assert (ended.status, "+12015550199" in ended.stderr) == (75, True)


@pytest.mark.parametrize("budget", ["1s", "3s"])
def test_offline_the_command_ends_within_a_second_of_its_budget(bilbs: Bilbs, budget: str) -> None:
    bilbs("support", "ticket", "open", "-m", "my text")
    began = time.monotonic()
    env = {"BILBS_API_URL": "http://127.0.0.1:9/v1", "BILBS_TOKEN": TOKEN}
    ended = bilbs("support", "outbox", "flush", "--budget", budget, env=env)
    assert ended.status == 75
    assert time.monotonic() - began < float(budget[0]) + 1.0 + BUSY_S
