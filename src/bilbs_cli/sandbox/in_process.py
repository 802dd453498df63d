"""The desk inside this process: no port, no set-up (`bilbs --sandbox`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bilbs_cli.sandbox import faults, login
from bilbs_cli.sandbox.app import create_app
from bilbs_cli.sandbox.store import Store


class Transport(httpx.BaseTransport):
    """Hand requests to the application; a connection that a fault ended is one that broke."""

    def __init__(self, folder: Path) -> None:
        self._inner = httpx.WSGITransport(app=create_app(Store(folder)))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request. Raises `httpx.ReadError` where the desk ended the connection."""
        with _as_broken(request):
            reply = self._inner.handle_request(request)
        return httpx.Response(reply.status_code, headers=reply.headers, stream=_Stream(reply, request))


class _Stream(httpx.SyncByteStream):
    def __init__(self, reply: httpx.Response, request: httpx.Request) -> None:
        self._reply, self._request = reply, request

    def __iter__(self) -> Iterator[bytes]:
        with _as_broken(self._request):
            yield from self._reply.iter_raw()

    def close(self) -> None:
        self._reply.close()


@contextmanager
def _as_broken(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except faults.Dropped as error:
        raise httpx.ReadError("the sandbox ended the connection", request=request) from error


def token(folder: Path) -> str:
    """Return the sandbox's own token for a person; it is worth nothing anywhere else."""
    store = Store(folder)
    found: str | None = store.get("own_token")
    if found is None:
        with store.change():
            found = login.issue(store, "person", login.PERSON, lasts_s=login.FOR_SCRIPTS_S)
            store.set("own_token", found)
    return found
