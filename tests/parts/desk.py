"""A small support desk on a real socket, with faults: it keeps what it took by idempotency key, in a file."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

TOKEN = "a-token-of-the-tests"


@dataclass
class Desk:
    """What the desk has taken: `order` holds (key, path, body) once for each key. `fault` names what to do next."""

    url: str = ""
    order: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: int = 0
    fault: Callable[[dict[str, Any]], str] = lambda _: ""
    oauth: list[tuple[int, dict[str, Any]]] = field(default_factory=list)  # the answers of /oauth, in turn
    forms: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    location: str = ""  # of an upload
    seen_tokens: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, key: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Take a body once; the same key gives the same answer."""
        with self.lock:
            if key not in self.answers:
                number = len(self.order) + 1
                self.order.append((key, path, body))
                self.answers[key] = (
                    {"id": f"tkt_{number}", "number": f"BB-{number}"}
                    if path == "/v1/tickets"
                    else {"id": f"evt_{number}"}
                )
            return self.answers[key]


def _problem(status: int, code: str, **more: Any) -> bytes:
    said = {
        "title": "no",
        "status": status,
        "code": code,
        "detail": f"{code} it is",
        "request_id": "req_1",
        "retryable": status >= 429,
    }
    return json.dumps(said | more).encode()


def _handler(desk: Desk) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_OPTIONS(self) -> None:
            self._send(204, b"", "text/plain")

        def do_GET(self) -> None:  # it takes, and has nothing to show
            self._send(404, _problem(404, "not-found", retryable=False), "application/problem+json")

        def do_POST(self) -> None:
            if self.path.startswith("/v1/oauth/"):
                self._oauth()
                return
            desk.requests += 1
            desk.seen_tokens.add(self.headers.get("Authorization", ""))
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            key = self.headers["Idempotency-Key"]
            fault = desk.fault(body)
            match fault:
                case "refuse":  # before anything was read of it: nothing is taken
                    self._drop()
                case "503" | "429":
                    self._send(
                        int(fault), _problem(int(fault), "busy"), "application/problem+json", {"Retry-After": "0"}
                    )
                case "422":
                    wrong = [{"pointer": "/severity", "detail": "no \x1b[31mred"}]
                    self._send(422, _problem(422, "invalid", retryable=False, errors=wrong), "application/problem+json")
                case "401":
                    self._send(401, _problem(401, "login", retryable=False), "application/problem+json")
                case "html":
                    self._send(200, b"<html>please log in to the wifi</html>", "text/html")
                case "403html":
                    self._send(403, b"<html>blocked</html>", "text/html")
                case "redirect":
                    self._send(307, b"", "text/plain", {"Location": "http://127.0.0.1:9/steal"})
                case "endless":
                    self._send(200, b'"' + b"x" * (2 << 20) + b'"', "application/json")
                case "slow":
                    threading.Event().wait(3)
                    self._drop()
                case _:
                    answer = json.dumps(desk.take(key, self.path, body)).encode()
                    if fault == "lost":
                        self._drop()
                    elif fault == "half":
                        self._send(201, answer[:5], "application/json", {"Content-Length": str(len(answer))})
                        self._drop()
                    elif fault == "garbled":
                        self._send(201, answer[:5], "application/json")
                    else:
                        place = {"Location": desk.location} if desk.location else {}
                        self._send(201, answer, "application/json", place)

        def _oauth(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            with desk.lock:
                desk.forms.append((self.path.removeprefix("/v1/oauth/"), form))
                status, answer = desk.oauth.pop(0) if desk.oauth else (200, {})
            assert "Authorization" not in self.headers
            self._send(status, json.dumps(answer).encode(), "application/json")

        def _send(self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            for name, value in ({"Content-Length": str(len(data))} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def _drop(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def running_desk(port: int = 0, desk: Desk | None = None) -> Iterator[Desk]:
    """Run a desk on loopback; with `desk` one that goes on with what it had."""
    found = desk or Desk()

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, *_: object) -> None:
            """Say nothing: a client that was killed is no error of the desk."""

    server = Server(("127.0.0.1", port), _handler(found))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def faults(seed: int, share: float) -> Callable[[dict[str, Any]], str]:
    """Return random faults for a share of the requests."""
    dice = random.Random(seed)
    kinds = ("refuse", "lost", "half", "garbled", "503", "429", "html", "403html", "redirect")
    return lambda _: dice.choice(kinds) if dice.random() < share else ""
