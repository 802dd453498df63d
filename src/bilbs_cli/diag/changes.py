"""What has changed between two checks of this box: the verdict and its findings, for hooks and for the journal."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from bilbs_cli import files, paths, process
from bilbs_cli.diag import checked_json
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Severity
from bilbs_cli.errors import BilbsError, UsageProblem
from bilbs_cli.escape import visible
from bilbs_cli.tables import clip

LIMIT, LONGEST, HOOK_S = 1 << 20, 400, 60.0


class Change(NamedTuple):
    """A verdict that is not that of the check before. `before` is empty for the first one; `new` and `gone` are findings."""

    before: str
    now: str
    new: tuple[str, ...]
    gone: tuple[str, ...]

    def __str__(self) -> str:
        """Return it on one line."""
        head = f"{self.before or 'first check'} -> {self.now}"
        parts = [f"{name}: {'; '.join(found)}" for name, found in (("new", self.new), ("gone", self.gone)) if found]
        return clip(". ".join([head, *parts]), LONGEST)


def place(root: Path | None) -> Path:
    """Return the file of the last verdict of this box, or of the system mounted at `root`, to which nothing is written."""
    name = f"-{hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:12]}" if root else ""
    return paths.state_dir() / f"last-verdict{name}.json"


def noticed(checked: Checked, place: Path) -> Change | None:
    """Return how a verdict differs from the one in a file; None where it does not.

    Findings that only inform, and those that follow from another, make no change.
    """
    kept = _read(place)
    now, found = checked_json.status(checked), _findings(checked)
    if kept is None:
        return Change("", now, tuple(found.values()), ())
    before = kept["findings"]
    new = tuple(text for key, text in found.items() if key not in before)
    gone = tuple(str(text) for key, text in before.items() if key not in found)
    return Change(kept["status"], now, new, gone) if new or gone or now != kept["status"] else None


def keep(checked: Checked, place: Path) -> None:
    """Keep a verdict for the next check. Raises `OutputUnwritable`."""
    files.private_dir(place.parent)
    data = {"status": checked_json.status(checked), "findings": _findings(checked)}
    files.write_private(place, json.dumps(data).encode())


def tell(change: Change, command: str) -> None:
    """Run a hook with the change in its environment: BILBS_BEFORE, BILBS_NOW, BILBS_CHANGE (one line, made safe).

    No shell is between: the command is split into words. Raises `BilbsError` where it fails or does not end in a minute,
    `UsageProblem` where it is none.
    """
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise UsageProblem(f"--on-change {command}: {error}") from error
    if not argv:
        raise UsageProblem("--on-change needs a command")
    told = {"BILBS_BEFORE": change.before, "BILBS_NOW": change.now, "BILBS_CHANGE": str(change)}
    try:
        done = process.run(argv, timeout_s=HOOK_S, env=told)
    except (process.CommandMissing, OSError) as error:
        raise _failed(command, f"it cannot be started: {error}") from error
    if done.exit_status != 0:
        said = visible(" ".join(done.stderr.decode("utf-8", "replace").split())[:200])
        how = "it did not end in a minute" if done.timed_out else f"exit status {done.exit_status}"
        raise _failed(command, f"{how}{f', {said}' if said else ''}")


def _failed(command: str, why: str) -> BilbsError:
    return BilbsError(f"the hook {command} failed: {why}", code="hook-failed", safe="the next check tells it again")


def _findings(checked: Checked) -> dict[str, str]:
    return {
        f"{one.rule} {one.part}": visible(f"{one.severity.value} {one.label or one.part}: {one.message} [{one.rule}]")
        for one in checked.judgement.findings
        if one.severity is not Severity.INFO and not one.caused_by
    }


def _read(place: Path) -> dict[str, Any] | None:
    try:
        with files.open_regular(place) as stream:
            found = json.loads(stream.read(LIMIT))
        return {"status": str(found["status"]), "findings": dict(found["findings"])}
    except (OSError, files.NotReadable, ValueError, KeyError, TypeError, RecursionError):
        return None  # the first one, or damaged: what is there now is told
