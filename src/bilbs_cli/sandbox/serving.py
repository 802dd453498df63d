"""The desk on a real socket: a threaded HTTP server that reads uploads as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cheroot.wsgi import Gateway_10, Server

from bilbs_cli.sandbox import faults
from bilbs_cli.sandbox.app import PREFIX, create_app
from bilbs_cli.sandbox.store import Store

THREADS = 32  # long polls hold one each


class _Gateway(Gateway_10):
    """Give the application the connection, so that a fault can end it; what was ended answers nothing."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        """Return the environment with the socket."""
        found: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        return found | {faults.SOCKET: self.req.conn.socket}

    def respond(self) -> None:
        """Answer, or end the connection."""
        try:
            super().respond()
        except faults.Dropped:
            self.req.close_connection = True
            self.req.sent_headers = True


def server(folder: Path, host: str, port: int) -> Server:
    """Return a desk on `host` and `port` (0: any) that is bound and not yet running."""
    made = Server((host, port), create_app(Store(folder)), numthreads=THREADS, request_queue_size=256, timeout=60)
    made.gateway = _Gateway
    made.prepare()
    return made


def address(made: Server) -> str:
    """Return the address of its API."""
    host, port = made.bind_addr[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{PREFIX}"


def run(made: Server) -> None:
    """Serve until the process is ended."""
    try:
        made.serve()
    finally:
        made.stop()
