"""One request as its handler sees it, and what the handler answers."""

from __future__ import annotations

import base64
import json
import select
import socket
from dataclasses import dataclass, field
from typing import IO, Any

from bilbs_cli.sandbox.store import Document, Store

# Fictional: 555-0100 to 555-0199 are kept for that.
PAGER = "+12015550123"


class Refused(Exception):
    """An answer that is a problem document (RFC 9457)."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers: dict[str, str] = more.pop("headers", {})
        self.more = more


@dataclass(frozen=True)
class Who:
    """Whose token it is; without one nobody's."""

    kind: str = "nobody"
    scopes: frozenset[str] = frozenset()
    family: str = ""
    expires: float = 0.0


@dataclass
class Call:
    """A request that keeps the contract: parameters of their own types, the JSON body, the raw stream of an upload."""

    store: Store
    parameters: dict[str, Any]
    body: Any
    who: Who
    headers: Any
    stream: IO[bytes]
    root: str  # the address of the API, without its last slash
    path: str = ""
    peer: socket.socket | None = None

    def gone(self) -> bool:
        """Tell whether who asked has ended the connection: nothing needs to wait for them any longer."""
        if self.peer is None:
            return False
        try:
            readable = select.poll()
            readable.register(self.peer, select.POLLIN)
            return bool(readable.poll(0)) and self.peer.recv(1, socket.MSG_PEEK) == b""
        except (OSError, ValueError):  # it is closed
            return True

    @property
    def now(self) -> float:
        """Return the desk's time."""
        return self.store.now()


@dataclass
class Reply:
    """An answer: a JSON document, nothing, or a file's bytes."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    file: Any = None


def found(doc: Document | None, what: str, name: str) -> Document:
    """Return a document that must be there. Raises `Refused` 404."""
    if doc is None:
        raise Refused(404, "not-found", f"no {what} {name}")
    return doc


def cursor(*values: Any) -> str:
    """Return an opaque cursor."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def position(call: Call, *kinds: type) -> tuple[Any, ...] | None:
    """Return what a cursor holds, None without one. Raises `Refused` 400 for one that is none of ours."""
    text = call.parameters.get("after")
    if text is None:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
        if [type(value) for value in values] == list(kinds):
            return tuple(values)
    except (ValueError, TypeError):
        pass
    raise Refused(400, "bad-request", "the cursor is not one of ours")


def page(call: Call, rows: list[tuple[str, Document]], limit: int) -> Reply:
    """Return one page of rows (each with the cursor behind it), of which one more than `limit` was looked for."""
    shown, more = rows[:limit], len(rows) > limit
    after = shown[-1][0] if more and shown else None
    headers = {"Link": f'<{call.root}{call.path}?after={after}&limit={limit}>; rel="next"'} if after else {}
    return Reply(body={"data": [doc for _, doc in shown], "next_cursor": after, "has_more": more}, headers=headers)
