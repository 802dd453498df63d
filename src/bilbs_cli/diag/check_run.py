"""One run of `diag check`: the snapshot, the memory of the box, the verdict, and what is remembered of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bilbs_cli import files, last_seen, paths, quantities
from bilbs_cli.diag import checked_json, checking, collect, live, memory, opening
from bilbs_cli.diag.checked import Checked, Snapshot
from bilbs_cli.diag.model import FACTS_VERSION
from bilbs_cli.diag.requests import Request
from bilbs_cli.errors import BilbsError, NotFound, UsageProblem

DEADLINE_S = 60.0
LAST_HEALTHY = "last-healthy"  # the word for it on the command line, and its file in the state folder
RENEW_S = 3600.0  # it is written at most once an hour: a check may run every few minutes
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. `request` is only built when this box (or a mounted one) is looked at."""

    bundle: Path | None
    since: str | None
    baseline: Path | None
    request: Callable[[], Request]


@dataclass(frozen=True, slots=True)
class Done:
    """The verdict, and in words what was remembered of it (empty where nothing is kept)."""

    checked: Checked
    remembered: str = ""


def run(asked: Asked, watcher: collect.Watcher | None = None) -> Done:
    """Judge a bundle, a mounted system, or this box now; the last is remembered.

    Raises what `opening.snapshot`, `requests.build` and `memory.load` raise.
    """
    if asked.bundle:
        snapshot = opening.snapshot(asked.bundle)
        since = _since(asked.since, snapshot.collected_at) if asked.since else None
        return Done(checking.judge(_compared_with(snapshot, asked.baseline), since))
    request = asked.request()
    snapshot = live.snapshot(request, watcher)
    root = request.options.sysroot
    state = memory.place(root)
    known = _compared_with(snapshot, asked.baseline, state)
    checked = checking.judge(known, request.options.since)
    whole = not root and not request.left_out and not asked.baseline
    if whole and state == paths.state_dir():
        last_seen.keep(last_seen.CHECK, _in_short(checked))
    return Done(checked, _remember(state, checked) if whole else "")


def _in_short(checked: Checked) -> dict[str, Any]:
    """Return the verdict in a few words: the worst finding, and the GPUs by model."""
    worst = [one.message for one in checked.judgement.findings if one.severity is checked.worst and not one.caused_by]
    return {
        "status": checked_json.status(checked),
        "findings": len(checked.judgement.findings),
        "worst": worst[0] if worst else "",
        "gpus": [one.name or "GPU" for one in checked.gpus],
    }


def from_bundle(path: Path) -> Checked:
    """Return the verdict over a bundle, or over the last healthy state of this box. Raises like `opening.snapshot`."""
    if str(path) == LAST_HEALTHY and not path.exists():
        path = last_healthy(paths.state_dir())
        if not path.exists():
            raise NotFound(
                "this box has no healthy state kept yet",
                code="no-healthy-state",
                next="bilbs diag check, on a day when it finds nothing; or name two bundles",
            )
    return checking.judge(opening.snapshot(path))


def last_healthy(state: Path) -> Path:
    """Return the file that holds the facts of the last check that found nothing."""
    return state / f"{LAST_HEALTHY}.json"


def _since(text: str, now: datetime) -> datetime | None:
    try:
        return quantities.parse_since(text, now)
    except ValueError as error:
        raise UsageProblem(f"--since: {error}") from None


def _compared_with(snapshot: Snapshot, named: Path | None, state: Path | None = None) -> Snapshot:
    """Return the snapshot with the memory it is to be compared with: the file named, else the box's own."""
    if named:
        known: Mapping[str, Any] = memory.load(named)
    elif state:
        known = memory.recall(state)
    else:
        return snapshot
    return replace(snapshot, facts={**snapshot.facts, "memory": dict(known)})


def _remember(state: Path, checked: Checked) -> str:
    """Keep what this check teaches. A box that cannot remember is still judged: the reason is returned in words."""
    boot = ""
    with suppress(OSError):
        boot = BOOT_ID.read_text().strip()
    try:
        kept = memory.remember(state, checked.facts, checked.judgement, checked.collected_at, boot)
        if kept.updated:
            _keep_healthy(last_healthy(state), checked)
    except BilbsError as error:
        return f"nothing was remembered of this check: {error}"
    return kept.why


def _keep_healthy(path: Path, checked: Checked) -> None:
    with suppress(OSError):
        if time.time() - path.stat().st_mtime < RENEW_S:
            return
    document = {
        "schema_version": FACTS_VERSION,
        "tool": checked.tool,
        "host": checked.host,
        "collected_at": checked.collected_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "facts": {name: part for name, part in checked.facts.items() if name != "memory"},
    }
    files.write_private(path, json.dumps(document, indent=1).encode() + b"\n")
