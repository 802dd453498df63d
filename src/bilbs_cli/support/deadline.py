"""A call that may never return (a resolver, a peer that drips), with an end: its thread is left behind.

One thread serves a connection after the other; only where a call was given up is a new one made.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple


class Expired(Exception):
    """The call did not return in time. It may still go on in its thread, and its answer is thrown away."""


class _Done(NamedTuple):
    value: Any = None
    error: BaseException | None = None


class Caller:
    """Makes calls in a thread of its own, which does not keep the process alive."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[_Done]] | None] | None = None

    def call(self, work: Callable[[], Any], timeout_s: float) -> Any:
        """Return what `work()` returns, or raise what it raises. Raises `Expired`."""
        if self._calls is None:
            self._calls = queue.SimpleQueue()
            threading.Thread(target=_serve, args=(self._calls,), daemon=True).start()
        answer: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._calls.put((work, answer))
        try:
            done = answer.get(timeout=timeout_s)
        except queue.Empty:
            self.close()
            raise Expired from None
        except BaseException:  # Ctrl-C: the call goes on, and nobody waits for it
            self.close()
            raise
        if done.error is not None:
            raise done.error
        return done.value

    def close(self) -> None:
        """End the thread once its call returns."""
        if self._calls is not None:
            self._calls.put(None)
            self._calls = None


def _serve(calls: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[_Done]] | None]) -> None:
    while (one := calls.get()) is not None:
        work, answer = one
        try:
            answer.put(_Done(work()))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            answer.put(_Done(error=error))
