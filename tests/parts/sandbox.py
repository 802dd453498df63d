"""The sandbox on a real socket, in a thread of this process; its store at hand for what a test wants to set or see."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bilbs_cli.sandbox import login, people, serving
from bilbs_cli.sandbox.store import Store


@dataclass
class Sandbox:
    """A running sandbox: its address, its store, and a token of a person."""

    url: str
    store: Store
    token: str

    def advance(self, seconds: float) -> None:
        """Move the desk's clock on, and let everything happen until then."""
        with self.store.change():
            self.store.set_clock(self.store.now() + seconds)
            people.advance(self.store)


@contextmanager
def running_sandbox(folder: Path, port: int = 0) -> Iterator[Sandbox]:
    """Run a sandbox on loopback."""
    server = serving.server(folder, "127.0.0.1", port)
    server.expiration_interval, server.shutdown_timeout = 0.05, 0.2  # how long its end is waited for
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    store = Store(folder)
    token = login.issue(store, "person", login.PERSON, lasts_s=login.FOR_SCRIPTS_S)
    try:
        yield Sandbox(serving.address(server), store, token)
    finally:
        server.stop()
        thread.join()
