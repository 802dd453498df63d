"""Records and downloads: what the plan promises beside tickets, and files from a desk that may lie."""

from __future__ import annotations

import doctest
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.errors import BilbsError, Unavailable, VerificationFailed
from bilbs_cli.sandbox import faults
from bilbs_cli.support import api, download
from tests.conftest import Bilbs
from tests.parts.sandbox import Sandbox


def test_a_dead_gpu_is_followed_from_the_alarm_to_the_evaluation(bilbs: Bilbs, used_desk: Sandbox) -> None:
    bilbs("support", "ticket", "open", "-s", "sev2", "--kind", "hardware", "-m", "GPU 1 is gone")
    assert "no RMA" in bilbs("support", "rma", "list").stderr
    used_desk.advance(12 * 3600)
    rma = bilbs("support", "rma", "list", "--json").json["data"]["rmas"][0]
    page = bilbs("support", "rma", "show", rma["id"]).stdout
    assert [
        word for word in ("alerted", "confirmed", "diag pulled", "filed", "dispatched", "swapped") if word not in page
    ] == []
    assert bilbs("support", "rma", "note", rma["id"], "-m", "the door code is 4711").status == 0
    assert "the door code is 4711" in bilbs("support", "ticket", "show", "BB-1001").stdout
    assert bilbs("support", "rma", "show", "rma_nothing").status == 5


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("incident list", "Slow answers of the desk"),
        ("incident show inc_1", "They are fast again."),
        ("maintenance list", "errors above 1 %"),
        ("report list", "rca"),
        ("report list --type rca", "rep_1"),
        ("hours", "tuning of the batch size"),
        ("visits", "your rack"),
        ("invoice list", "SANDBOX-0001"),
        ("invoice show inv_1", "USD"),
        ("engineer show", "the backup"),
        ("audit --desk", "person"),
    ],
)
def test_what_the_plan_promises_is_shown(bilbs: Bilbs, used_desk: Sandbox, command: str, said: str) -> None:
    bilbs("support", "engineer", "swap", "--yes")
    ended = bilbs("support", *command.split())
    assert ended.status == 0
    assert said in ended.stdout
    assert all(len(line) <= 80 for line in ended.stdout.splitlines())
    assert bilbs("support", *command.split(), "--json").json["data"]


def test_without_the_plan_its_features_are_refused_and_tickets_are_not(bilbs: Bilbs, used_desk: Sandbox) -> None:
    doc = used_desk.store.all("subscription")[0][1]
    used_desk.store.put(
        "subscription", {**doc, "_facts": {**doc["_facts"], "ends": used_desk.store.now() - 300 * 86400}}
    )
    assert bilbs("plan", "status", "--json").json["data"]["state"] == "lapsed"
    assert bilbs("support", "engineer", "show").status == 7
    ended = bilbs("support", "transcript", "export")
    assert (ended.status, "part of the Support plan" in ended.stderr) == (7, True)
    assert bilbs("support", "ticket", "open", "-m", "x").status == 0


def test_a_report_and_a_transcript_are_saved_and_nothing_is_replaced(
    bilbs: Bilbs, used_desk: Sandbox, tmp_path: Path
) -> None:
    first = bilbs("support", "report", "get", "rep_1", "-o", str(tmp_path / "out"))
    again = bilbs("support", "report", "get", "rep_1", "-o", str(tmp_path / "out"))
    assert [Path(one.stdout.strip()).name for one in (first, again)] == ["rca-sandbox.md", "rca-sandbox-1.md"]
    assert Path(first.stdout.strip()).read_text().startswith("# Post-incident report")
    used_desk.store.set_clock(used_desk.store.now() + 10)
    exported = bilbs("support", "transcript", "export", "-o", str(tmp_path / "out"))
    assert "is anyone there" in Path(exported.stdout.strip()).read_text()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "rca-sandbox.md",
        "rca-sandbox-1.md",
        "transcript-sandbox.txt",
    }


def test_a_wrong_digest_leaves_nothing(bilbs: Bilbs, used_desk: Sandbox, tmp_path: Path) -> None:
    faults.switch(used_desk.store, "digest", 1.0, 0)
    ended = bilbs("support", "report", "get", "rep_1", "-o", str(tmp_path / "out"))
    assert (ended.status, "digest" in ended.stderr) == (1, True)
    assert list((tmp_path / "out").iterdir()) == []


NAMES = st.text(max_size=300) | st.sampled_from(
    [
        "..",
        ".",
        "",
        "/",
        "../../etc/passwd",
        "a/..",
        "C:\\x",
        "-rf",
        ".bashrc",
        "a\x00b",
        "\u202egnp.exe",
        "con",
        "~",
        "$(id)",
        "a b",
    ]
)


@given(NAMES)
def test_no_name_of_a_desk_leaves_the_folder_or_reaches_a_shell(name: str) -> None:
    safe = download.safe_name(name)
    assert 0 < len(safe) <= download.LONGEST_NAME
    assert not set(safe) & set("/\\\x00\n\r\x1b $`;|&<>*?~'\"()")
    assert not safe.startswith((".", "-"))
    assert safe.isascii()


def answer(kind: str, body: bytes, sha256: str) -> tuple[int, dict[str, str], bytes]:
    """Return how a lying desk answers."""
    import base64
    import zlib

    right = f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
    wrong = f"sha-256=:{base64.b64encode(b'0' * 32).decode()}:"
    return {
        "right": (200, {"Repr-Digest": right}, body),
        "without digest": (200, {}, body),
        "other digest": (200, {"Repr-Digest": wrong}, body),
        "other bytes": (200, {"Repr-Digest": right}, body[::-1]),
        "shorter": (200, {"Repr-Digest": right}, body[:-1]),
        "longer": (200, {"Repr-Digest": right}, body + b"x"),
        "html": (200, {"Content-Type": "text/html"}, b"<html>wifi</html>"),
        "redirect": (302, {"Location": "http://127.0.0.1:9/"}, b""),
        "bomb": (200, {"Content-Encoding": "gzip"}, zlib.compress(b"0" * (10 << 20), wbits=31)),
        "refused": (
            404,
            {"Content-Type": "application/problem+json"},
            json.dumps({"title": "no", "code": "not-found", "detail": "gone"}).encode(),
        ),
    }[kind]


@contextmanager
def liar(status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("kind", ["right", "without digest"])
def test_a_file_with_the_right_digest_is_kept(tmp_path: Path, kind: str) -> None:
    body = b"the report" * 1000
    sha256 = hashlib.sha256(body).hexdigest()
    with liar(*answer(kind, body, sha256)) as url, api.Desk(url, "a-token-of-the-tests") as desk:
        path = download.fetch(
            desk, {"id": "att_1", "filename": "../a.md", "sha256": sha256, "size": len(body)}, tmp_path
        )
    assert (path, path.read_bytes(), path.stat().st_mode & 0o777) == (tmp_path / "a.md", body, 0o600)


@pytest.mark.parametrize(
    "kind", ["other digest", "other bytes", "shorter", "longer", "html", "redirect", "bomb", "refused"]
)
def test_whatever_a_desk_sends_instead_nothing_is_kept(tmp_path: Path, kind: str) -> None:
    body = b"the report" * 1000
    sha256 = hashlib.sha256(body).hexdigest()
    attachment: dict[str, Any] = {"id": "att_1", "filename": "a.md", "sha256": sha256, "size": len(body)}
    with liar(*answer(kind, body, sha256)) as url, api.Desk(url, "a-token-of-the-tests") as desk:
        with pytest.raises((VerificationFailed, Unavailable, BilbsError)) as caught:
            download.fetch(desk, attachment, tmp_path / "out")
        assert caught.value.exit != 0
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "attachment",
    [{}, {"id": "../x", "sha256": "0" * 64}, {"id": "att_1", "sha256": "short"}, {"id": 3, "sha256": None}],
)
def test_an_attachment_that_is_none_is_not_asked_for(tmp_path: Path, attachment: dict[str, Any]) -> None:
    with api.Desk("http://127.0.0.1:9/v1", "a-token-of-the-tests") as desk, pytest.raises(BilbsError, match="no file"):
        download.fetch(desk, attachment, tmp_path)


def test_the_examples_hold() -> None:
    assert doctest.testmod(download).failed == 0
    assert doctest.testmod(download).attempted
