"""Run a piece of a test as another user, in a forked child."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from typing import Any


def as_user(uid: int, call: Callable[[], Any]) -> Any:
    """Return the JSON result of `call()` run with the user id `uid` and no groups. Needs root."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            answer = {"value": call()}
        except BaseException:  # noqa: BLE001 - reported to the parent
            answer = {"error": traceback.format_exc()}
        os.write(send, json.dumps(answer).encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        answer = json.loads(pipe.read())
    os.waitpid(child, 0)
    if "error" in answer:
        raise AssertionError(answer["error"])
    return answer["value"]
