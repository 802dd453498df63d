"""One HTTP request to the desk, and what its answer means: taken, later, never, or log in first.

    Taken        the desk has it; `data` is what it said
    Later        nobody knows, or it was too busy: the same request with the same key is safe
    Never        the desk itself refused it (RFC 9457), and always will
    LoginNeeded  the desk does not take the token

Only a problem document of the desk is a refusal. HTML from a proxy, half an answer or a redirect are not its word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from bilbs_cli import __version__
from bilbs_cli.errors import ConfigProblem, Unavailable
from bilbs_cli.escape import visible

if TYPE_CHECKING:
    import ssl

    import httpx

BASE = "https://api.groupebilbs.com/v1"  # assumed: the documents give only the mail domain
LIMIT = 1 << 20  # of an answer; a ticket with its clocks takes a few kilobytes
CONNECT_S, READ_S = 5.0, 10.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Taken:
    """The desk has it."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Later:
    """It may have arrived or not; `after_s` is how long the desk asks to wait."""

    reason: str
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Never:
    """The desk refused it: its code, its words, the request id for support."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """The desk does not take the token."""

    reason: str


Answer = Taken | Later | Never | LoggedOut


class Desk:
    """A connection to one desk. The token goes to its exact origin only; redirects are never followed."""

    def __init__(self, base: str, token: str, *, ca_bundle: str | None = None, proxy: str | None = None) -> None:
        import httpx

        self.base = _checked(base)
        self._client = httpx.Client(
            verify=_trust(ca_bundle),
            proxy=proxy,
            follow_redirects=False,
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            headers={
                "Authorization": f"Bearer {token}",
                "User-Agent": f"bilbs/{__version__}",
                "Accept": "application/json",
            },
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._client.close()

    def post(self, path: str, body: Mapping[str, Any], key: str, timeout_s: float) -> Answer:
        """Send one JSON body with its idempotency key, and say what the answer means; it takes `timeout_s` at most."""
        import httpx

        limits = httpx.Timeout(min(READ_S, timeout_s), connect=min(CONNECT_S, timeout_s))
        headers = {"Idempotency-Key": key}
        try:
            with self._client.stream("POST", self.base + path, json=body, headers=headers, timeout=limits) as reply:
                return _meaning(reply, _content(reply))
        except _TooLong:
            return Later(f"the desk's answer is over {LIMIT >> 20} MB")
        except httpx.HTTPError as error:
            return Later(_reason(error))


def exchange(
    base: str, path: str, form: Mapping[str, str], *, ca_bundle: str | None, proxy: str | None
) -> tuple[int, dict[str, Any]]:
    """Send a form without a token (RFC 6749, RFC 8628); return status and JSON answer.

    Raises `Unavailable` where there is no answer, or one that is no JSON.
    """
    import httpx

    address = _checked(base) + path
    with httpx.Client(
        verify=_trust(ca_bundle), proxy=proxy, follow_redirects=False, timeout=httpx.Timeout(READ_S, connect=CONNECT_S)
    ) as client:
        try:
            with client.stream("POST", address, data=dict(form), headers={"Accept": "application/json"}) as reply:
                document = _json(_content(reply))
                status = reply.status_code
        except _TooLong as error:
            raise Unavailable(
                f"the answer of {address} is over {LIMIT >> 20} MB", next="bilbs support contacts"
            ) from error
        except httpx.HTTPError as error:
            raise Unavailable(f"no answer from {address}: {_reason(error)}", next="bilbs support contacts") from error
    if document is None or 300 <= status < 400:
        raise Unavailable(
            f"{address} answered HTTP {status} without JSON: not the desk", next="check api.url and api.proxy"
        )
    return status, document


class _TooLong(Exception):
    """An answer without end."""


def _content(reply: httpx.Response) -> bytes:
    data = bytearray()
    for piece in reply.iter_bytes():
        data += piece
        if len(data) > LIMIT:
            raise _TooLong
    return bytes(data)


def _meaning(reply: httpx.Response, data: bytes) -> Answer:
    status = reply.status_code
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    document = _json(data) if kind in {"application/json", "application/problem+json"} else None
    if status in {200, 201, 202}:
        return (
            Taken(document) if document is not None else Later(f"the answer is no JSON ({_what(kind)}): not the desk's")
        )
    if 300 <= status < 400:
        return Later(f"a redirect to {visible(reply.headers.get('location', '')[:200])}, which is not followed")
    problem = document if document is not None and kind == "application/problem+json" else None
    if problem is None:
        return Later(f"HTTP {status} without a reason ({_what(kind)}): not the desk's word", _after(reply))
    said = _said(problem)
    if status == 401:
        return LoggedOut(said)
    if status in BUSY or problem.get("retryable") is True:
        return Later(f"HTTP {status}: {said}", _after(reply))
    return Never(str(problem.get("code", "refused")), said)


def _what(kind: str) -> str:
    return visible(kind[:60]) or "no content type"


def _json(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _said(problem: Mapping[str, Any]) -> str:
    """Return the words of a problem, each field that is wrong, and the request id, as one line."""
    words = str(problem.get("detail") or problem.get("title") or "no reason given")
    wrong = problem.get("errors")
    rows = [one for one in wrong if isinstance(one, dict)][:10] if isinstance(wrong, list) else []
    fields = "".join(f"; {one.get('pointer')}: {one.get('detail')}" for one in rows)
    return visible(f"{words}{fields} (request {problem.get('request_id', 'without id')})"[:1000])


def _after(reply: httpx.Response) -> float:
    """Return the seconds of `Retry-After` (RFC 9110 10.2.3), at most an hour; 0 without one."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), 3600.0)
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        return min(max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0), 3600.0)
    except (ValueError, TypeError):
        return 0.0


def _reason(error: httpx.HTTPError) -> str:
    return visible(f"{type(error).__name__}: {error}"[:300]) if str(error) else type(error).__name__


def _checked(base: str) -> str:
    """Return the address without its last slash. Raises `ConfigProblem` for plain HTTP to another machine."""
    parts = urlsplit(base)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigProblem(
            f"api.url {visible(base)}: plain http is spoken with this machine only; the token would be read by all",
            code="api-url",
            next="an address that starts with https://",
        )
    return base.rstrip("/")


def _trust(ca_bundle: str | None) -> ssl.SSLContext:
    """Return the system's trust store, plus `ca_bundle`; TLS 1.2 or newer, always verified. Raises `ConfigProblem`."""
    import ssl

    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_bundle:
        try:
            context.load_verify_locations(ca_bundle)
        except OSError as error:
            raise ConfigProblem(f"api.ca_bundle {ca_bundle}: {error.strerror or error}", code="ca-bundle") from error
    return context
