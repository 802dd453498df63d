"""The transcript of the channel: made at the desk, then downloaded, its digest checked."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any

from bilbs_cli.errors import Unavailable
from bilbs_cli.support import audit, download
from bilbs_cli.support.api import Desk, Taken, failure
from bilbs_cli.support.ids import is_id

WAIT_S = 300.0


def export(desk: Desk, output: Path) -> tuple[dict[str, Any], Path]:
    """Let the desk make the transcript, wait for it, and return its document and the file in the folder `output`.

    Raises `PlanRequired`, `Unavailable` (also after five minutes), `VerificationFailed`, `OutputUnwritable`.
    """
    answer = desk.post("/exports", {"kind": "transcript"}, secrets.token_urlsafe(24), WAIT_S)
    if not isinstance(answer, Taken):
        raise failure(answer)
    audit.note("exported", kind="transcript", answer=str(answer.data.get("id")))
    found, until = answer.data, time.monotonic() + WAIT_S
    while found.get("state") in {"queued", "running"} and time.monotonic() < until:
        time.sleep(1)
        found = desk.get(f"/exports/{_name(found)}")
    if found.get("state") != "ready" or not isinstance(found.get("attachment"), dict):
        raise Unavailable(
            f"the export is {found.get('state')}", safe="nothing was downloaded", next="the same command later"
        )
    return found, download.fetch(desk, found["attachment"], output)


def _name(found: dict[str, Any]) -> str:
    name = found.get("id")
    if not is_id(name):
        raise Unavailable("the desk's export has no id", next="bilbs doctor")
    return name
