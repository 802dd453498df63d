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
