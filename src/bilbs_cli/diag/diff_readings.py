"""The readings of one subject on both sides: what changed, what grew, and what only one side could read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bilbs_cli.diag.diff_change import Change, Group, Kind, same, words
from bilbs_cli.diag.diff_watched import SETS, Table, Watched, count_of, double_of
from bilbs_cli.diag.model import NotCollected, Reading, Value, decode, is_leaf

DEEPEST = 16  # levels of facts; real ones have eight
PATHS = 20  # that are listed of readings told together
RATED_S = 3600.0  # a rate by the week is not worked out from less
WEEK_S = 7 * 86400.0
ABSENT = NotCollected("not present in these facts")

Found = dict[str, Reading]


@dataclass(frozen=True, slots=True)
class Subject:
    """A part on one side: its place in the facts (empty for the whole box), what stands there, its name for people."""

    path: str
    node: Any
    label: str

    def place(self, path: str) -> str:
        """Return a path below it as one from the top."""
        return f"{self.path}/{path}" if self.path else path


@dataclass(slots=True)
class Tally:
    """The time between the two sides in seconds, and how many readings were compared or could not be."""

    between_s: float
    compared: int = 0
    neither: int = 0


@dataclass(slots=True)
class Gap:
    """Readings that one side has and the other lacks for one and the same reason."""

    paths: list[str] = field(default_factory=list)
    first: tuple[Reading, Reading] = (ABSENT, ABSENT)


def readings(node: Any, table: Table) -> Found:
    """Return the watched readings below a node by their path, in order."""
    return {path: reading for path, reading in _walk(node, "", 0) if table.find(path)}


def _walk(node: Any, path: str, depth: int) -> Iterator[tuple[str, Reading]]:
    if not isinstance(node, Mapping) or depth > DEEPEST:
        return
    for name, inner in node.items():
        place = f"{path}/{name}" if path else str(name)
        if not is_leaf(inner):
            yield from _walk(inner, place, depth + 1)
            continue
        reading = decode(inner)
        if name in SETS and isinstance(reading, Value) and isinstance(reading.value, Mapping):
            yield from ((f"{place}/{one}", Value(found)) for one, found in reading.value.items())
        else:
            yield place, reading


def compared(table: Table, before: Subject, after: Subject, tally: Tally) -> Iterator[Change]:
    """Yield what changed between the two sides of one part. What only one side could read is folded by its reason."""
    old, new = readings(before.node, table), readings(after.node, table)
    gaps: dict[tuple[bool, str], Gap] = {}
    for path in {**old, **new}:
        row, was, now = table.find(path), old.get(path, ABSENT), new.get(path, ABSENT)
        if row is None or _is_double(path, old, new):
            continue
        if isinstance(was, Value) and isinstance(now, Value):
            tally.compared += 1
            if change := _change(row, path, before, after, was, now, tally.between_s):
                yield change
        elif isinstance(was, Value) or isinstance(now, Value):
            _note(gaps, path, was, now)
        else:
            tally.neither += 1
    yield from (_gap(gap, before, after) for gap in gaps.values())


def _is_double(path: str, old: Found, new: Found) -> bool:
    other = double_of(path)
    return bool(other) and (isinstance(old.get(other), Value) or isinstance(new.get(other), Value))


def _change(
    row: Watched, path: str, before: Subject, after: Subject, was: Value, now: Value, between_s: float
) -> Change | None:
    if same(was.value, now.value) or (row.when and not (row.when(before.node) and row.when(after.node))):
        return None
    kind, note = Kind.CHANGED, ""
    if row.counter:
        old, new = count_of(path, was.value), count_of(path, now.value)
        if old is not None and new is not None:
            if old == new:
                return None
            kind, note = counted(old, new, between_s)
            was, now = Value(old), Value(new)
    what = f"{after.label}: {path}" if after.label else path
    return Change(row.group, kind, what, was, now, after.place(path), before.place(path), note, row.weight)


def counted(old: float, new: float, between_s: float) -> tuple[Kind, str]:
    """Return how a counter moved, with the rate by the week where enough time lies between.

    >>> counted(10, 13, 86400)
    (<Kind.GREW: 'grew'>, '+3, 21 a week')
    """
    grown = new - old
    if grown < 0:
        return (
            Kind.RESET,
            "went backwards: it started again (a reboot, a driver reload, a reset), or the part is another",
        )
    sign = words(Value(grown))
    if between_s < RATED_S:
        return Kind.GREW, f"+{sign}"
    try:
        return Kind.GREW, f"+{sign}, {grown * WEEK_S / between_s:.3g} a week"
    except OverflowError:
        return Kind.GREW, f"+{sign}"


def _note(gaps: dict[tuple[bool, str], Gap], path: str, was: Reading, now: Reading) -> None:
    lost = isinstance(was, Value)
    gap = gaps.setdefault((lost, words(now if lost else was)), Gap())
    if not gap.paths:
        gap.first = was, now
    gap.paths.append(path)


def _gap(gap: Gap, before: Subject, after: Subject) -> Change:
    was, now = gap.first
    count, lost = len(gap.paths), isinstance(was, Value)
    which = "only the earlier one has it" if lost else "only the later one has it"
    more = f", and {count - 1} more readings" if count > 1 else ""
    name = f"{gap.paths[0]}{more}"
    return Change(
        Group.UNKNOWN,
        Kind.UNKNOWN,
        f"{after.label}: {name}" if after.label else name,
        was,
        now,
        after.place(gap.paths[0]),
        before.place(gap.paths[0]),
        which if count == 1 else which.replace(" it", " them"),
        weight=1 if lost else 0,
        paths=tuple(after.place(path) for path in gap.paths[:PATHS]),
        count=count,
    )
