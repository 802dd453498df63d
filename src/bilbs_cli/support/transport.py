"""One HTTP request and its whole answer: who is trusted, how long is waited, how much is read, what is never followed."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from bilbs_cli import __version__
from bilbs_cli.errors import ConfigProblem, PermissionNeeded
from bilbs_cli.escape import visible

if TYPE_CHECKING:
    import ssl

    import httpx

LIMIT = 1 << 20  # of an answer; a ticket with its clocks takes a few kilobytes
CONNECT_S, READ_S = 5.0, 10.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SANDBOX = "BILBS_SANDBOX"  # the folder of the desk inside this process
PIECE = 1 << 16

_log = logging.getLogger("bilbs.desk")
_told: set[str] = set()


class Options(NamedTuple):
    """How the desk is reached. `client_cert` is a PEM file, its key in it or in `client_key`.

    `timeout_s` bounds each wait for an answer, `budget_s` all tries of one reading: a person waits for it.
    """

    ca_bundle: str | None = None
    proxy: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    timeout_s: float = READ_S
    budget_s: float = 8.0


class Raw(NamedTuple):
    """A whole answer. `kind` is its bare media type; the names of headers are in any case.

    `tls` holds `version` and `ends` (when the certificate does, as OpenSSL writes it), nothing over plain HTTP.
    """

    status: int
    headers: Mapping[str, str]
    kind: str
    data: bytes
    tls: Mapping[str, str] = {}


class NoAnswer(Exception):
    """There is no answer, or none that can be read: `str` says why, made visible. The request may have arrived."""


def client(headers: Mapping[str, str], options: Options) -> httpx.Client:
    """Return a client for one origin. Raises `ConfigProblem`, `PermissionNeeded`.

    Redirects are never followed; answers are asked for uncompressed, so that a small one cannot grow.
    """
    import httpx

    folder = os.environ.get(SANDBOX)
    return httpx.Client(
        transport=_sandbox(folder) if folder else None,
        verify=False if folder else trust(options),
        proxy=None if folder else options.proxy,
        trust_env=not folder,
        follow_redirects=False,
        timeout=httpx.Timeout(options.timeout_s, connect=min(CONNECT_S, options.timeout_s)),
        headers={
            "User-Agent": f"bilbs/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **headers,
        },
    )


def _sandbox(folder: str) -> httpx.BaseTransport:
    return _in_process().Transport(Path(folder))  # type: ignore[no-any-return]


def sandbox_token() -> str:
    """Return the token of the desk inside this process."""
    return str(_in_process().token(Path(os.environ[SANDBOX])))


def _in_process() -> Any:
    from bilbs_cli.sandbox import not_installed

    try:
        from bilbs_cli.sandbox import in_process
    except ImportError as error:
        raise not_installed(error) from error
    return in_process


def send(
    there: httpx.Client, method: str, url: str, *, most: int = LIMIT, timeout_s: float | None = None, **content: Any
) -> Raw:
    """Send one request and read its whole answer, `most` bytes of it. Raises `NoAnswer`.

    `timeout_s` replaces the client's own time; `content` is what `httpx.Client.stream` takes.
    """
    import httpx

    if timeout_s is not None:
        content["timeout"] = httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
    try:
        with there.stream(method, url, **content) as reply:
            data = b"".join(_bounded(reply, most))
            tls = _tls(reply)
    except httpx.HTTPError as error:
        raise NoAnswer(_reason(error)) from error
    except httpx.InvalidURL as error:
        raise NoAnswer(f"{visible(url[:200])} is no address") from error
    _tell(reply)
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Raw(reply.status_code, reply.headers, kind, data, tls)


@contextmanager
def opened(there: httpx.Client, url: str, *, timeout_s: float, **content: Any) -> Iterator[httpx.Response]:
    """Give an answer whose body is read piece by piece (`iter_raw`). Raises `NoAnswer`, also while it is read."""
    import httpx

    timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
    try:
        with there.stream("GET", url, timeout=timeout, headers={"Accept": "*/*"}, **content) as reply:
            _require_plain(reply)
            yield reply
    except httpx.HTTPError as error:
        raise NoAnswer(_reason(error)) from error


def _tls(reply: httpx.Response) -> dict[str, str]:
    stream = reply.extensions.get("network_stream")
    session = stream.get_extra_info("ssl_object") if stream is not None else None
    if session is None:
        return {}
    certificate = session.getpeercert() or {}
    return {"version": str(session.version()), "ends": str(certificate.get("notAfter", ""))}


def _bounded(reply: httpx.Response, most: int) -> Iterator[bytes]:
    _require_plain(reply)
    size = 0
    for piece in reply.iter_raw(PIECE):
        size += len(piece)
        if size > most:
            raise NoAnswer(f"the answer is over {most >> 20} MB")
        yield piece


def _require_plain(reply: httpx.Response) -> None:
    if reply.headers.get("content-encoding", "identity").lower() != "identity":
        raise NoAnswer("the answer is compressed, which was not asked for")


def _tell(reply: httpx.Response) -> None:
    """Say once that an operation will end (RFC 9745, RFC 8594)."""
    ends = reply.headers.get("sunset") or reply.headers.get("deprecation")
    if ends and ends not in _told:
        _told.add(ends)
        _log.warning("the desk says that this bilbs is getting old (until %s): install a newer one", visible(ends[:60]))


def _reason(error: httpx.HTTPError) -> str:
    return visible(f"{type(error).__name__}: {error}"[:300]) if str(error) else type(error).__name__


def checked(base: str) -> str:
    """Return the address without its last slash. Raises `ConfigProblem` for plain HTTP to another machine."""
    parts = urlsplit(base)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigProblem(
            f"api.url {visible(base)}: plain http is spoken with this machine only; the token would be read by all",
            code="api-url",
            next="an address that starts with https://",
        )
    return base.rstrip("/")


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address (RFC 6454), the port that the scheme implies filled in.

    Raises `NoAnswer` for what is no address.
    """
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError as error:
        raise NoAnswer(f"{visible(url[:200])} is no address") from error


def trust(options: Options) -> ssl.SSLContext:
    """Return the system's trust store, plus `ca_bundle`, and our own certificate; TLS 1.2 or newer, always verified.

    Raises `ConfigProblem`, and `PermissionNeeded` for a key that others can read.
    """
    import ssl

    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.ca_bundle:
        try:
            context.load_verify_locations(options.ca_bundle)
        except OSError as error:
            raise ConfigProblem(
                f"api.ca_bundle {options.ca_bundle}: {error.strerror or error}", code="ca-bundle"
            ) from error
    if options.client_cert:
        _present(context, options.client_cert, options.client_key)
    return context


def _present(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    holder = Path(key or certificate)
    try:
        if stat.S_IMODE(holder.stat().st_mode) & 0o077:
            raise PermissionNeeded(
                f"{holder} can be read by others",
                code="secret-not-private",
                safe="it was not used",
                next=f"chmod 600 {holder}",
            )
        # an encrypted key must not ask on the terminal
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigProblem(f"api.client_cert_file {certificate}: {reason}", code="client-cert") from error
