"""Switches that make the desk fail as real ones do, between the client and the application (WSGI)."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from bilbs_cli.sandbox.calls import PAGER
from bilbs_cli.sandbox.store import Store

FAULTS = {
    "drop": "the reply is lost after the desk has committed",
    "refuse": "the connection ends before the desk has read anything",
    "half": "the reply ends in the middle of its body",
    "429": "too many requests, with Retry-After",
    "503": "not available, with Retry-After",
    "500": "the desk failed",
    "slow": "two seconds before each reply",
    "digest": "the desk's digest of a file is wrong",
    "html": "a page of HTML, as a captive portal sends it",
    "redirect": "a redirect to another host",
    "loop": "the pages of lists never end",
    "expired": "every token has expired",
}
STANDING = frozenset({"digest", "loop", "expired"})  # where they bite, the handlers look at them
SOCKET = "bilbs.socket"

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Dropped(Exception):
    """The connection ended without a reply (raised where there is no socket to end: in process)."""


def switch(store: Store, name: str, share: float, times: int) -> None:
    """Turn a fault on for a share of the requests (0 to 1), for a number of times (0: until it is turned off)."""
    with store.change():
        store.set(f"fault:{name}", {"share": share, "times": times})


def off(store: Store, *names: str) -> None:
    """Turn faults off, all of them without names."""
    with store.change():
        for name in names or FAULTS:
            store.set(f"fault:{name}", None)


def on(store: Store) -> dict[str, Any]:
    """Return the faults that are on."""
    return {name: found for name in FAULTS if (found := store.get(f"fault:{name}"))}


def _strikes(store: Store) -> str:
    for name, fault in on(store).items():
        if name in STANDING or random.random() >= fault["share"]:  # noqa: S311 - no secret
            continue
        if fault["times"]:
            left = fault["times"] - 1
            with store.change():
                store.set(f"fault:{name}", fault | {"times": left} if left else None)
        return name
    return ""


def middleware(store: Store, app: App) -> App:
    """Return the application behind the switches."""

    def faulty(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        fault = _strikes(store)
        match fault:
            case "refuse":
                _cut(environ)
            case "429" | "503" | "500":
                return _problem(start, int(fault))
            case "html":
                start("200 OK", [("Content-Type", "text/html"), ("Content-Length", "31")])
                return [b"<html>log in to the wifi</html>\n"[:31]]
            case "redirect":
                start("307 Temporary Redirect", [("Location", "http://elsewhere.invalid/"), ("Content-Length", "0")])
                return []
            case "slow":
                time.sleep(2)
            case "drop":
                for _ in app(environ, lambda *_: None):
                    pass
                _cut(environ)
            case "half":
                return _half(environ, app, start)
        return app(environ, start)

    return faulty


def _cut(environ: dict[str, Any]) -> None:
    """End the connection without a word. Raises `Dropped`."""
    found: socket.socket | None = environ.get(SOCKET)
    if found is not None:
        found.shutdown(socket.SHUT_RDWR)
    raise Dropped


def _half(environ: dict[str, Any], app: App, start: Callable[..., Any]) -> Iterable[bytes]:
    said: list[Any] = []
    body = b"".join(app(environ, lambda *given: said.extend(given)))
    if len(body) < 2:
        _cut(environ)
    start(*said[:2])
    yield body[: len(body) // 2]
    _cut(environ)


def _problem(start: Callable[..., Any], status: int) -> Iterable[bytes]:
    titles = {429: ("Too Many Requests", "rate-limited"), 503: ("Service Unavailable", "unavailable")}
    title, code = titles.get(status, ("Internal Server Error", "server-error"))
    document = {
        "title": title,
        "status": status,
        "detail": "a fault switch of the sandbox",
        "code": code,
        "request_id": "req_fault",
        "retryable": True,
        "pager": PAGER,
    }
    data = json.dumps(document).encode()
    headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(data)))]
    start(f"{status} {title}", headers + ([("Retry-After", "1")] if status != 500 else []))
    return [data]
