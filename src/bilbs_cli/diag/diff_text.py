"""What `bilbs diag diff` prints: which bundles, whether they are of one box, then the changes in groups."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from bilbs_cli import terminal
from bilbs_cli.diag.diff import Change, Diff, Group, Kind, Side, as_json
from bilbs_cli.diag.diff_change import words
from bilbs_cli.diag.findings import moment
from bilbs_cli.quantities import show_duration, show_time
from bilbs_cli.tables import wrapped

KIND = "diag.diff"
WIDEST = 100  # longer lines are hard to read
NARROWEST = 40
SHOWN = 30  # changes of one group on the page; --json lists them all
TITLES = {
    Group.BOX: "The box",
    Group.FINDINGS: "Findings",
    Group.GPUS: "GPUs",
    Group.PARTS: "Parts",
    Group.HEALTH: "Health",
    Group.LINKS: "Links",
    Group.SENSORS: "Sensors that crossed a threshold",
    Group.COUNTERS: "Counters",
    Group.FIRMWARE: "Firmware and versions",
    Group.SETTINGS: "Settings",
    Group.SEL: "BMC event log",
    Group.EVENTS: "Kernel events",
    Group.UNKNOWN: "Not comparable: readable in one of the two only",
}
MARKS = {
    Kind.NEW: "+",
    Kind.GONE: "-",
    Kind.MOVED: ">",
    Kind.REPLACED: "!",
    Kind.GREW: "^",
    Kind.RESET: "v",
    Kind.CHANGED: "~",
    Kind.UNKNOWN: "?",
}
LEGEND = {
    "+": "new",
    "-": "gone",
    ">": "moved",
    "!": "replaced",
    "^": "grew",
    "v": "went backwards",
    "~": "changed",
    "?": "unknown",
}


def show(diff: Diff) -> None:
    """Print a comparison, as JSON or as a page no wider than the terminal."""
    width = min(terminal.width(), WIDEST)
    terminal.emit(KIND, as_json(diff), text=lambda: terminal.out("\n".join(page(diff, width))))


def page(diff: Diff, width: int = 80) -> list[str]:
    """Return the page as lines of plain text; none is wider than `width`."""
    width = max(width, NARROWEST)
    parts = [list(_head(diff, width)), *(_group(diff, group, width) for group in Group), list(_end(diff, width))]
    lines = [line for part in parts if part for line in (*part, "")]
    return lines[:-1]


def _head(diff: Diff, width: int) -> Iterator[str]:
    if diff.another:
        yield from wrapped(f"TWO DIFFERENT BOXES: {diff.another}", "", width)
    count = len(diff.changes) + sum((diff.left_out or {}).values())
    unknown = sum(one.group is Group.UNKNOWN for one in diff.changes)
    gaps = f", {unknown} of them not comparable" if unknown else ""
    said = f"{count} difference{'s' * (count != 1)}" if count else "NO DIFFERENCE in what could be compared"
    yield from wrapped(f"{said}{_over(diff.between_s)}{gaps}", "", width)
    yield from wrapped(_side(diff.before), "before  ", width)
    yield from wrapped(_side(diff.after), "after   ", width)
    for note in diff.notes:
        yield from wrapped(note, "note    ", width)


def _over(seconds: float) -> str:
    if abs(seconds) < 1:
        return ""
    days = abs(seconds) / timedelta(days=1).total_seconds()
    return f" over {f'{days:.1f} days' if days >= 2 else show_duration(abs(seconds))}"


def _side(side: Side) -> str:
    place = "this box" if side.source == "live" else side.source
    disguise = ", pseudonymised" if side.disguised else ""
    when = moment(side.collected_at)
    return f"{side.host or 'unnamed box'}, {show_time(when) if when else 'no time'}{disguise}: {place}"


def _group(diff: Diff, group: Group, width: int) -> list[str]:
    mine = [one for one in diff.changes if one.group is group]
    if not mine:
        return []
    hidden = len(mine[SHOWN:]) + (diff.left_out or {}).get(group.value, 0)
    lines = list(wrapped(f"{TITLES[group]} ({len(mine[:SHOWN]) + hidden})", "", width))
    for one in mine[:SHOWN]:
        lines += _change(one, width)
    if hidden:
        lines.append(f"  and {hidden} more{': --json lists them' if len(mine) > SHOWN else ''}")
    return lines


def _change(one: Change, width: int) -> Iterator[str]:
    yield from wrapped(one.what, f" {MARKS[one.kind]} ", width)
    yield from wrapped(_sides(one), "     ", width)
    if one.note:
        yield from wrapped(one.note, "     ", width)
    paths = one.path if one.path == one.path_before else f"{one.path} (before: {one.path_before})"
    if paths not in one.what:
        yield from wrapped(f"at {paths}", "     ", width)


def _sides(one: Change) -> str:
    if one.before is None or one.after is None:
        there = one.after or one.before
        return f"{'now' if one.after else 'was'}: {words(there)}"
    return f"{words(one.before)} -> {words(one.after)}"


def _end(diff: Diff, width: int) -> Iterator[str]:
    used = [mark for kind, mark in MARKS.items() if any(one.kind is kind for one in diff.changes)]
    if used:
        yield from wrapped("; ".join(f"{mark} {LEGEND[mark]}" for mark in used), "", width)
    said = f"{diff.compared} readings compared; {diff.neither} are readable in neither and were not compared."
    yield from wrapped(said, "", width)
    yield from wrapped(
        "Left out: temperatures, load, clocks, traffic and free memory, unless a threshold was crossed.", "", width
    )
