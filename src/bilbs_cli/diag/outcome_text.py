"""What `bilbs diag` commands print of their results: the path or digest on stdout, the rest on stderr, or JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bilbs_cli import terminal
from bilbs_cli.diag.model import Status
from bilbs_cli.errors import UsageProblem
from bilbs_cli.quantities import show_size
from bilbs_cli.tables import clip

if TYPE_CHECKING:
    from bilbs_cli.diag.assembly import Outcome, Resumed
    from bilbs_cli.diag.bundle.manifest import Item
    from bilbs_cli.diag.bundle.verify import Report
    from bilbs_cli.diag.collect import CollectorResult
    from bilbs_cli.diag.requests import Request

NAMED = 12  # items that are named one by one; more of them are counted


def refuse_stdout_and_json(request: Request) -> None:
    """Raise `UsageProblem` for `-o -` with `--json` or a terminal on stdout: the bundle itself goes there."""
    if request.out_dir is None:
        if terminal.wants_json():
            raise UsageProblem(
                "-o - writes the bundle to stdout, and --json wants to write there too", next="leave one of them out"
            )
        terminal.binary_stdout("-o -")


def to_stdout(handle: int) -> None:
    """Copy an open archive to stdout. Raises `OutputUnwritable`, `BrokenPipeError`."""
    out = terminal.binary_stdout("-o -").fileno()
    while data := os.read(handle, 1 << 20):
        view = memoryview(data)
        while view:
            view = view[os.write(out, view) :]


def show(outcome: Outcome) -> None:
    """Print a collected bundle: its path on stdout, how each collector ended on stderr."""
    if outcome.path is None:
        _explain(outcome)
        return
    terminal.emit("diag.bundle", as_json(outcome), text=lambda: _show(outcome))


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return `data` of `collect --json`. `items` has every collector (`kind` "collector") and every member or gap."""
    collectors = [
        {
            "name": one.name,
            "kind": "collector",
            "status": one.status.value,
            "reason": one.reason,
            "duration_s": one.duration_s,
            "size_bytes": one.size_bytes,
        }
        for one in outcome.collectors
    ]
    members = [
        {
            "name": item.path,
            "kind": "member",
            "status": item.status.value,
            "reason": item.reason,
            "duration_s": item.duration_s,
            "size_bytes": item.size_bytes,
        }
        for item in outcome.items
    ]
    return {
        "path": str(outcome.path) if outcome.path else None,
        "sha256": outcome.sha256,
        "size_bytes": outcome.size_bytes,
        "status": "complete" if outcome.complete else "partial",
        "duration_s": outcome.duration_s,
        "items": collectors + members,
        "abandoned": list(outcome.abandoned),
    }


def _show(outcome: Outcome) -> None:
    _explain(outcome)
    terminal.out(str(outcome.path))


def _explain(outcome: Outcome) -> None:
    for one in outcome.collectors:
        terminal.note(clip(_line(one), terminal.width(sys.stderr)))
    _name_failures(outcome.items)
    for left in outcome.abandoned:
        terminal.note(f"! left behind, it cannot be killed: {left}")
    if not outcome.root:
        _say_what_root_adds(outcome.items)
    count = sum(1 for item in outcome.items if item.sha256)
    word = "complete" if outcome.complete else "PARTIAL (see above and SUMMARY.txt)"
    terminal.note(
        f"{word}: {count} files, {show_size(outcome.size_bytes)}, {outcome.duration_s:.1f} s\nsha256 {outcome.sha256}"
    )


def _line(one: CollectorResult) -> str:
    mark = "!" if one.status.is_failure else " "
    size = show_size(one.size_bytes) if one.size_bytes else ""
    reason = f"  {one.reason}" if one.reason else ""
    return f"{mark} {one.name:<9} {one.status.value:<11} {one.duration_s:6.1f} s {size:>9}{reason}"


def _name_failures(items: Sequence[Item]) -> None:
    failed = [item for item in items if item.status.is_failure]
    for item in failed[:NAMED]:
        terminal.note(f"! {item.path}: {item.status.value}: {item.reason}")
    if len(failed) > NAMED:
        terminal.note(f"! and {len(failed) - NAMED} more, all in manifest.json")


def _say_what_root_adds(items: Sequence[Item]) -> None:
    denied = [item.path for item in items if item.status is Status.DENIED]
    if denied:
        shown = ", ".join(denied[:4]) + (f" and {len(denied) - 4} more" if len(denied) > 4 else "")
        terminal.note(
            f"Not root: {len(denied)} readings were denied ({shown}). Root adds them: sudo bilbs diag collect"
        )


def show_verified(report: Report) -> None:
    """Print a bundle that was verified."""
    manifest = report.manifest
    data = {
        "path": str(report.path),
        "sha256": report.sha256,
        "size_bytes": report.size_bytes,
        "members": report.members,
        "gaps": report.gaps,
        "status": manifest.status,
        "host": manifest.host,
        "started_at": manifest.started_at,
    }
    terminal.emit(
        "diag.verified",
        data,
        text=(
            f"{report.path}: whole. {report.members} members match the manifest, {report.gaps} gaps are named in it.\n"
            f"  {manifest.host}, {manifest.started_at}, {manifest.status}, {show_size(report.size_bytes)}, sha256 {report.sha256}"
        ),
    )


def show_resumed(resumed: Resumed) -> None:
    """Print what `resume` did. Raises the first error when a bundle could not be finished."""
    for path in resumed.live:
        terminal.warn(f"{path} belongs to a run that is still going: left alone")
    for text in resumed.empty:
        terminal.warn(text)
    for error in resumed.failed:
        terminal.warn(str(error))
    if resumed.failed and not resumed.finished:
        raise resumed.failed[0]
    finished = [as_json(outcome) for outcome in resumed.finished]
    data = {
        "finished": finished,
        "live": [str(path) for path in resumed.live],
        "failed": [str(error) for error in resumed.failed],
    }
    terminal.emit("diag.resumed", data, text=lambda: _show_resumed(resumed))


def _show_resumed(resumed: Resumed) -> None:
    for outcome in resumed.finished:
        word = "complete" if outcome.complete else "partial"
        terminal.note(
            f"finished ({word}): {sum(1 for item in outcome.items if item.sha256)} files, {show_size(outcome.size_bytes)}, sha256 {outcome.sha256}"
        )
        terminal.out(str(outcome.path))
    if not resumed.finished:
        terminal.note("No interrupted bundle here. One in another folder: bilbs diag resume -o DIR")
