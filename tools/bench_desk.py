"""Benchmarks of the client against the sandbox on loopback: uploads, the outbox, long lists. Used by bench.py."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PYTHON = sys.executable
SINK = """
import sys
from cheroot.wsgi import Server

def sink(environ, start):
    left = int(environ["CONTENT_LENGTH"])
    with open(sys.argv[1], "wb") as out:
        while left and (piece := environ["wsgi.input"].read(min(left, 1 << 20))):
            out.write(piece)
            left -= len(piece)
    start("200 OK", [("Content-Length", "0")])
    return []

server = Server(("127.0.0.1", 0), sink)
server.prepare()
print(server.bind_addr[1], flush=True)
server.serve()
"""
POSTS = """
import sys, time, httpx
url, token, ticket, count = sys.argv[1:5]
with httpx.Client(headers={"Authorization": f"Bearer {token}"}) as client:
    began = time.perf_counter()
    for number in range(int(count)):
        client.post(f"{url}/tickets/{ticket}/comments", json={"body": f"comment {number}"}, headers={"Idempotency-Key": f"bare-loop-key-{number:09d}"}).raise_for_status()
    print(time.perf_counter() - began)
"""
FILL = """
import sys
from pathlib import Path
from bilbs_cli.support.outbox import Outbox
from bilbs_cli.support import outbox
with outbox.opened() as box:
    rows = [box.add("ticket.comment", {"body": "c"}, occurred_at="2026-11-26T08:00:00Z", ticket=sys.argv[1])]
    one = rows[0]
    box.adopt([one._replace(id=f"ob_{n:012x}", key=f"outbox-key-{n:012d}", body={"body": f"comment {n}"}) for n in range(int(sys.argv[2]) - 1)])
"""
LARGE_PARTS = """
import sys
from pathlib import Path
from bilbs_cli.sandbox.store import Store
Store(Path(sys.argv[1])).set("max_append", 1 << 40)
"""
TICKETS = """
import sys
from pathlib import Path
from bilbs_cli.sandbox.store import Store
store = Store(Path(sys.argv[1]))
with store.change():
    one = store.tickets([], [], "", 0, 1)[0][1]
    for n in range(int(sys.argv[2])):
        store.put_ticket(one | {"id": f"tkt_{n:012x}", "number": f"BB-{n + 100000}", "subject": f"ticket {n}"})
    store.set("list_quota", 10**9)
"""


@contextmanager
def sandbox(folder: Path) -> Iterator[dict[str, str]]:
    """Run a sandbox; give the environment that leads there."""
    argv = [PYTHON, "-m", "bilbs_cli", "sandbox", "serve", "--port", "0", "--data", str(folder / "desk")]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        url = server.stdout.readline().strip()
        token = _out([PYTHON, "-m", "bilbs_cli", "sandbox", "token", "--data", str(folder / "desk")]).strip()
        yield os.environ | {"BILBS_API_URL": url, "BILBS_TOKEN": token, "BILBS_STATE_DIR": str(folder / "state")}
    finally:
        server.terminate()
        server.wait()


def _out(argv: list[str], env: dict[str, str] | None = None) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=env).stdout


def ticket(env: dict[str, str]) -> str:
    """Open a ticket and return its id."""
    import json

    return str(
        json.loads(_out([PYTHON, "-m", "bilbs_cli", "support", "ticket", "open", "-m", "x", "--json"], env))["data"][
            "id"
        ]
    )


def peak(argv: list[str], env: dict[str, str]) -> tuple[float, float, float]:
    """Run a process; return its time, its peak RSS in MB, and when its second line of stdout came."""
    began = time.perf_counter()
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    watched, most, first = psutil.Process(process.pid), 0, 0.0
    assert process.stdout
    lines = 0
    os.set_blocking(process.stdout.fileno(), False)
    while process.poll() is None:
        try:
            most = max(most, watched.memory_info().rss)
        except psutil.Error:
            break
        while data := process.stdout.read(1 << 20):
            lines += data.count(b"\n")
            if lines >= 2 and not first:
                first = time.perf_counter() - began
        time.sleep(0.01)
    process.wait()
    process.stdout.close()
    assert process.returncode == 0, argv
    return time.perf_counter() - began, most / 1e6, first


def curl(path: Path, env: dict[str, str], name: str, sha256: str, size: int) -> float:
    """Send the same file to the same desk with `curl -T`, as one part; return how long the sending took."""
    import httpx

    digest = f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
    bearer = f"Authorization: Bearer {env['BILBS_TOKEN']}"
    headers = {
        "Authorization": f"Bearer {env['BILBS_TOKEN']}",
        "Idempotency-Key": f"curl-{secrets.token_hex(12)}",
        "Upload-Complete": "?0",
        "Upload-Length": str(size),
        "Repr-Digest": digest,
    }
    place = httpx.post(
        f"{env['BILBS_API_URL']}/tickets/{name}/attachments", json={"filename": "f"}, headers=headers
    ).headers["location"]
    told = [
        bearer,
        "Content-Type: application/partial-upload",
        "Upload-Offset: 0",
        "Upload-Complete: ?1",
        f"Content-Digest: {digest}",
        "Expect:",
    ]
    argv = [
        "curl",
        "-sf",
        "-o",
        "/dev/null",
        "-X",
        "PATCH",
        "-T",
        str(path),
        *(part for one in told for part in ("-H", one)),
        place,
    ]
    began = time.perf_counter()
    subprocess.run(argv, check=True)
    return time.perf_counter() - began


def upload(place: Path, size: int = 2 << 30) -> list[tuple[str, str, str]]:
    """Measure an upload beside `curl -T` of the same file: to the same desk, and to a server that only stores it."""
    path = place / "big.bin"
    block = os.urandom(64 << 20)
    with path.open("wb") as out:
        for _ in range(size // len(block)):
            out.write(block)
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    sink = subprocess.Popen([PYTHON, "-c", SINK, str(place / "sink")], stdout=subprocess.PIPE, text=True)
    assert sink.stdout
    port = sink.stdout.readline().strip()
    with sandbox(place) as env:
        subprocess.run([PYTHON, "-c", LARGE_PARTS, str(place / "desk")], check=True)
        name = ticket(env)
        stored, curls, ours, most = [], [], [], 0.0

        def settled() -> None:
            """Let no run pay for what the one before has left to be written to the disk."""
            for old in (*(place / "desk" / "uploads").glob("upl_*"), place / "sink"):
                old.unlink(missing_ok=True)
            os.sync()

        for _ in range(3):
            settled()
            began = time.perf_counter()
            subprocess.run(["curl", "-sf", "-T", str(path), f"http://127.0.0.1:{port}/x"], check=True)
            stored.append(time.perf_counter() - began)
            settled()
            curls.append(curl(path, env, name, sha256, size))
            settled()
            took, rss, _ = peak([PYTHON, "-m", "bilbs_cli", "support", "ticket", "attach", name, str(path)], env)
            ours.append(took)
            most = max(most, rss)
    sink.terminate()
    sink.wait()
    path.unlink()

    def speed(times: list[float]) -> str:
        return f"{size / 1e6 / min(times):.0f} MB/s"

    what = f"upload of {size >> 30} GiB / `curl -T`"
    return [
        (
            f"{what} to the same desk, speed",
            f"{min(curls) / min(ours):.2f} ({speed(ours)}; curl {speed(curls)}), {most:.0f} MB RSS",
            "upload",
        ),
        (
            f"{what} to a server that only stores, speed",
            f"{min(stored) / min(ours):.2f} (curl {speed(stored)})",
            "upload",
        ),
    ]


def flush(place: Path, count: int = 10_000) -> list[tuple[str, str, str]]:
    """Measure the flush of queued comments beside a bare httpx loop of the same posts."""
    with sandbox(place) as env:
        name = ticket(env)
        bare = float(_out([PYTHON, "-c", POSTS, env["BILBS_API_URL"], env["BILBS_TOKEN"], name, str(count)]))
        subprocess.run([PYTHON, "-c", FILL, name, str(count)], check=True, env=env)
        took, rss, _ = peak([PYTHON, "-m", "bilbs_cli", "support", "outbox", "flush", "--budget", "1h"], env)
    return [
        (
            f"flush of {count} comments / a bare httpx loop, rate",
            f"{bare / took:.2f} ({count / took:.0f}/s; bare {count / bare:.0f}/s), {rss:.0f} MB RSS",
            "flush",
        )
    ]


def listing(place: Path, count: int = 100_000) -> list[tuple[str, str, str]]:
    """Measure a long list: memory, and when its first ticket comes."""
    rows = []
    with sandbox(place) as env:
        ticket(env)
        argv = [PYTHON, "-m", "bilbs_cli", "support", "ticket", "list", "--json"]
        subprocess.run([PYTHON, "-c", TICKETS, str(place / "desk"), "1000"], check=True)
        small = peak(argv, env)
        subprocess.run([PYTHON, "-c", TICKETS, str(place / "desk"), str(count)], check=True)
        large = peak(argv, env)
    rows.append(
        (
            f"`ticket list --json` of {count}",
            f"{large[1]:.0f} MB (of 1,000: {small[1]:.0f}), first ticket after {large[2]:.2f} s, {large[0]:.0f} s",
            "listing",
        )
    )
    return rows
