"""A line that breaks: a TCP relay on loopback that ends connections after so many bytes, and counts what went through."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Line:
    """A relay: `cuts` are the numbers of bytes (from the client, over all connections) after which a connection ends."""

    url: str = ""
    cuts: list[int] = field(default_factory=list)
    sent: int = 0
    done: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def passes(self, count: int) -> bool:
        """Count bytes of the client; say whether the connection goes on."""
        with self.lock:
            self.sent += count
            if self.done < len(self.cuts) and self.sent >= self.cuts[self.done]:
                self.done += 1
                return False
            return True


@contextmanager
def breaking_line(url: str, cuts: list[int]) -> Iterator[Line]:
    """Relay to the host of `url`, with cuts."""
    parts = urlsplit(url)
    line = Line(cuts=sorted(cuts))
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def relay(client: socket.socket) -> None:
        with client, socket.create_connection((parts.hostname or "", parts.port or 80)) as desk:
            while not stopped.is_set():
                for ready in select.select([client, desk], [], [], 0.2)[0]:
                    try:
                        data = ready.recv(1 << 18)
                        if not data or (ready is client and not line.passes(len(data))):
                            return
                        (desk if ready is client else client).sendall(data)
                    except OSError:
                        return

    def accept() -> None:
        while not stopped.is_set():
            with suppress(OSError):
                client, _ = listener.accept()
                threading.Thread(target=relay, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    line.url = f"http://127.0.0.1:{listener.getsockname()[1]}{parts.path}"
    try:
        yield line
    finally:
        stopped.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(2)
