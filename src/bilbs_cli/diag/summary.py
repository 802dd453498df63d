"""SUMMARY.txt: the verdict and the box on one page of plain text. Pure: what was checked and what was read in, text out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from bilbs_cli import __version__
from bilbs_cli.diag import box_lines, check_lines
from bilbs_cli.diag.box_lines import WIDTH, bullet, field
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.model import Status
from bilbs_cli.escape import visible
from bilbs_cli.quantities import show_duration, show_time

Facts = Mapping[str, Any]


def write(
    header: Facts, ended: Facts, checked: Checked, items: Sequence[Item], receipt: Facts, *, complete: bool
) -> str:
    """Return the page. `header` and `ended` are what assembly keeps of a run, `receipt` is redaction.json."""
    parts = (
        _head(header, ended, checked.facts, complete),
        ["VERDICT", *check_lines.page(checked, width=WIDTH)],
        *box_lines.sections(checked.facts),
        _not_read(header, ended, items),
        _inside(items, receipt, header),
        _next(header, items),
    )
    return visible("\n\n".join("\n".join(part) for part in parts), multiline=True) + "\n"


def _head(header: Facts, ended: Facts, facts: Facts, complete: bool) -> Iterator[str]:
    yield "BILBS DIAGNOSTIC BUNDLE"
    yield ""
    yield from field("Box", box_lines.name(header, facts))
    user = "root" if header.get("root") else "a user without root's rights"
    took = _seconds_between(str(header.get("started_at")), str(ended.get("finished_at")))
    yield from field(
        "Collected",
        f"{_moment(str(header.get('started_at')))}{took}, profile {header.get('profile')}, as {user}, bilbs {__version__}",
    )
    options = header.get("options") or {}
    logs = f"logs since {_moment(str(options.get('since')))}" if options.get("since") != "all" else "logs of all time"
    if options.get("sysroot"):
        logs += f"; a dead system mounted at {options['sysroot']} was read: no GPU, no BMC, no running program"
    yield from field("Covers", logs)
    state = (
        "complete" if complete else f"PARTIAL: {ended.get('trouble') or 'something timed out or failed, see NOT READ'}"
    )
    yield from field("Bundle", state)


def _not_read(header: Facts, ended: Facts, items: Sequence[Item]) -> Iterator[str]:
    yield "NOT READ"
    rows = [one for one in ended.get("collectors", ()) if one.get("status") != Status.OK]
    for one in rows:
        yield from bullet(" ", f"{one['name']}: {one['status']}" + (f", {one['reason']}" if one.get("reason") else ""))
    named = {one.get("reason") for one in rows}
    failed = [item for item in items if item.status.is_failure and item.reason not in named]
    for item in failed[:10]:
        yield from bullet(" ", f"{item.path}: {item.status}, {item.reason}")
    for left in ended.get("abandoned", ()):
        yield from bullet("!", f"left behind because it cannot be killed: {left}")
    if header.get("left_out"):
        yield from bullet(" ", f"not asked for: {', '.join(header['left_out'])}")
    missing = sorted(
        {
            str(item.reason).removesuffix(" is not installed")
            for item in items
            if str(item.reason).endswith(" is not installed")
        }
    )
    if missing:
        yield from bullet(" ", f"not installed here: {', '.join(missing)}")
    remote = "bmc" if (header.get("options") or {}).get("bmc_host") else ""  # its refusal is about the login there
    denied = [item.path for item in items if item.status is Status.DENIED and item.collector != remote]
    if denied:
        yield from bullet(
            " ", f"needs root: {', '.join(denied[:6])}" + (f" and {len(denied) - 6} more" if len(denied) > 6 else "")
        )
    cut = [item.path for item in items if item.truncated]
    if cut:
        yield from bullet(
            " ",
            f"cut (only the tail, or up to a stop): {', '.join(cut[:6])}"
            + (f" and {len(cut) - 6} more" if len(cut) > 6 else ""),
        )
    if not (rows or failed or missing or denied or cut or header.get("left_out")):
        yield "  Everything that was asked for was read."
    yield "  Each gap has an .err.txt with its reason; manifest.json lists them all."


def _inside(items: Sequence[Item], receipt: Facts, header: Facts) -> Iterator[str]:
    yield "WHAT IS IN HERE"
    folders = Counter(item.path.partition("/")[0] for item in items if item.sha256)
    yield from bullet(" ", ", ".join(f"{name}/ {count}" for name, count in folders.items()) + " files")
    removed = sum(sum(item.redactions.values()) for item in items)
    rules = len({rule for item in items for rule in item.redactions})
    names = (
        "hosts, users, addresses and serials are replaced by pseudonyms"
        if header.get("pseudonymized")
        else "hosts, users, addresses and serials are kept"
    )
    yield from bullet(" ", f"secrets: {removed} values removed by {rules} rules (redaction.json); {names}")
    skipped = receipt.get("not_scanned") or ()
    if skipped:
        yield from bullet(" ", f"not looked into for secrets: {len(skipped)} members, see redaction.json")


def _next(header: Facts, items: Sequence[Item]) -> Iterator[str]:
    yield "NEXT"
    yield "  bilbs diag verify BUNDLE       is it whole?"
    if not header.get("root"):
        yield "  sudo bilbs diag collect        with what only root can read"
    if any(item.status is Status.TIMEOUT for item in items):
        yield "  bilbs diag collect --deadline 300        with more time"
    yield "  support@groupebilbs.com        send it to support"


def _moment(text: str) -> str:
    try:
        return show_time(datetime.fromisoformat(text))
    except ValueError:
        return "at a time not known"


def _seconds_between(started: str, finished: str) -> str:
    try:
        seconds = (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
    except (ValueError, TypeError):
        return ""
    return f" in {show_duration(seconds)}"
