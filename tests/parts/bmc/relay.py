"""A bad network between us and the BMC: a UDP relay that loses, spoils, adds and delays datagrams."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from bilbs_cli.diag.job import BmcTarget
from tests.parts.bmc.sim import Sim

Spoil = Callable[[bytes], list[bytes]]  # what becomes of one datagram: itself, nothing, others


def as_it_is(datagram: bytes) -> list[bytes]:
    """Let it through."""
    return [datagram]


def losing(share: float, seed: int) -> Spoil:
    """Lose this share of the datagrams, the same ones for the same seed."""
    dice = random.Random(seed)
    return lambda datagram: [] if dice.random() < share else [datagram]


def slow(seconds: float) -> Spoil:
    """Let each wait this long."""

    def wait(datagram: bytes) -> list[bytes]:
        time.sleep(seconds)
        return [datagram]

    return wait


@dataclass
class Relay:
    """A running relay; `asked` and `answered` count the datagrams that came from us and from the BMC."""

    target: BmcTarget
    asked: list[bytes] = field(default_factory=list)
    answered: int = 0


@contextmanager
def relay(sim: Sim, *, there: Spoil = as_it_is, back: Spoil = as_it_is) -> Iterator[Relay]:
    """Relay between our side and `sim`; `there` acts on requests, `back` on answers."""
    front, rear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind(("127.0.0.1", 0))
    rear.connect(("127.0.0.1", sim.port))
    running = Relay(replace(sim.target, port=front.getsockname()[1]))
    ending = threading.Event()

    def carry() -> None:
        client = None
        while not ending.is_set():
            ready, _, _ = select.select([front, rear], [], [], 0.05)
            if front in ready:
                request, client = front.recvfrom(4096)
                running.asked.append(request)
                for datagram in there(request):
                    rear.send(datagram)
            if rear in ready and client:
                running.answered += 1
                for datagram in back(rear.recv(4096)):
                    front.sendto(datagram, client)

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield running
    finally:
        ending.set()
        thread.join()
        front.close()
        rear.close()


@dataclass
class OpenBook:
    """Reads and rewrites the messages of a session without integrity and encryption (cipher suite 1).

    `answer(netfn, command, request data)` returns what the BMC shall have answered, completion code first, or None to
    leave its own answer.
    """

    answer: Callable[[int, int, bytes], bytes | None]
    pending: dict[int, bytes] = field(default_factory=dict)

    def there(self, request: bytes) -> list[bytes]:
        """Remember a request by its sequence number."""
        if _is_message(request):
            message = request[16:]
            self.pending[message[4]] = message
        return [request]

    def back(self, response: bytes) -> list[bytes]:
        """Replace an answer."""
        request = self.pending.get(response[20]) if _is_message(response) else None
        instead = self.answer(request[1] >> 2, request[5], request[6:-1]) if request else None
        if instead is None:
            return [response]
        body = response[19:22] + instead  # responder, sequence, command; IPMI 2.0, section 13.8
        message = response[16:19] + body + bytes([-sum(body) & 0xFF])
        return [response[:14] + len(message).to_bytes(2, "little") + message]


def _is_message(datagram: bytes) -> bool:
    return datagram[4:6] == b"\x06\x00" and len(datagram) > 22
