"""What a comparison of two bundles is made of: changes in groups, most important first; values that are compared safely."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Value, encode

TEXT = 160  # characters shown of one value
DEEPEST = 24  # levels of a value that are compared; what lies deeper is taken for equal
LARGEST_BITS = 4096  # of a whole number: Python refuses to print much larger ones
LISTED = 12  # members of a list that are shown
WEEK = timedelta(weeks=1)


class Group(StrEnum):
    """What a change is about; the order is that of importance."""

    BOX = "box"
    FINDINGS = "findings"
    GPUS = "gpus"
    PARTS = "parts"
    HEALTH = "health"
    LINKS = "links"
    SENSORS = "sensors"
    COUNTERS = "counters"
    FIRMWARE = "firmware"
    SETTINGS = "settings"
    SEL = "sel"
    EVENTS = "events"
    UNKNOWN = "not_comparable"


class Kind(StrEnum):
    """How it changed. `RESET` is a counter that went backwards; `UNKNOWN` is no change but a gap on one side."""

    CHANGED = "changed"
    NEW = "new"
    GONE = "gone"
    MOVED = "moved"
    REPLACED = "replaced"
    GREW = "grew"
    RESET = "reset"
    UNKNOWN = "not_comparable"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    `path` is its place in the facts of the later bundle, `path_before` that in the earlier one; for what is no reading
    it is a name of its own (`findings/RULE@PART`, `sel/0001`). `what` names it for people. `before` and `after` are None
    where there was nothing. `weight` orders changes of one group, heavier first (a finding's is that of its severity).
    `paths` are all the readings that one change stands for, the first ones of them; `count` says how many they are.
    """

    group: Group
    kind: Kind
    what: str
    before: Reading | None
    after: Reading | None
    path: str
    path_before: str
    note: str = ""
    weight: int = 0
    paths: tuple[str, ...] = ()
    count: int = 1


def change(
    group: Group,
    kind: Kind,
    what: str,
    sides: Sequence[Reading | None],
    path: str,
    *,
    path_before: str = "",
    note: str = "",
    weight: int = 0,
    paths: tuple[str, ...] = (),
    count: int = 1,
) -> Change:
    """Return a change of what both bundles have at one place (or at `path_before` in the earlier one)."""
    before, after = sides
    return Change(group, kind, what, before, after, path, path_before or path, note, weight, paths, count)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two bundles: of which box, when, from where; `disguised` says that names in it are pseudonyms."""

    host: str
    collected_at: str
    source: str
    disguised: bool = False


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed from `before` to `after`, most important first.

    `between_s` is the time between them in seconds, negative when they are the wrong way round. `another` says why these
    are two boxes, empty where nothing speaks for it. `compared` counts the readings that have a value on both sides,
    `neither` those with a value on none: these were not compared. `left_out` counts changes by group that are not listed.
    """

    before: Side
    after: Side
    between_s: float
    changes: tuple[Change, ...] = ()
    another: str = ""
    notes: tuple[str, ...] = ()
    compared: int = 0
    neither: int = 0
    left_out: Mapping[str, int] | None = None

    @property
    def differs(self) -> bool:
        """Say whether anything differs; what is readable on one side only does too, for it may hide a change."""
        return bool(self.changes)


def same(one: object, other: object, depth: int = 0) -> bool:
    """Say whether two JSON values are equal; NaN equals NaN, and `true` is not 1."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        deep = depth >= DEEPEST
        return one.keys() == other.keys() and (deep or all(same(one[name], other[name], depth + 1) for name in one))
    if isinstance(one, list) and isinstance(other, list):
        deep = depth >= DEEPEST
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and (deep or all(same(*pair, depth + 1) for pair in pairs))
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    return one == other or (one != one and other != other)  # noqa: PLR0124 - only NaN differs from itself


def number(value: object) -> int | float | None:
    """Return a finite number of a printable size, None for anything else (`true` is none)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    fits = math.isfinite(value) if isinstance(value, float) else value.bit_length() <= LARGEST_BITS
    return value if fits else None


def words(reading: Reading | None) -> str:
    """Return a reading for people, on one line.

    >>> words(Value(True)), words(Value(["a", "b"])), words(ReadError("Timeout", "no answer")), words(None)
    ('yes', 'a, b', 'error: no answer', 'nothing')
    """
    match reading:
        case None:
            return "nothing"
        case Value(value):
            return _line(_words(value))
        case ReadError(kind, message):
            return _line(f"error: {message or kind}")
        case NotCollected(reason):
            return _line(f"not collected: {reason}")


def _words(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "unknown", True: "yes", False: "no"}[value]
    if isinstance(value, str):
        return value[: TEXT * 2] or "(empty)"
    if isinstance(value, list):
        shown = ", ".join(_words(one) if not isinstance(one, list | Mapping) else "..." for one in value[:LISTED])
        more = f", and {len(value) - LISTED} more" if len(value) > LISTED else ""
        return shown + more or "none"
    if (count := number(value)) is not None:
        return f"{count:.10g}" if isinstance(count, float) else str(count)
    return str(json.dumps(plain(value), ensure_ascii=False))


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= TEXT else f"{text[: TEXT - 3]}..."


def plain(value: object, depth: int = 0) -> Any:
    """Return a value as JSON that every parser reads: NaN and numbers beyond all bounds become text."""
    if value is None or isinstance(value, bool | str):
        return value
    if depth >= DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {str(name): plain(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one, depth + 1) for one in value]
    if (count := number(value)) is not None:
        return count
    return "a number too large to print" if isinstance(value, int) else str(value)


def as_json(diff: Diff) -> dict[str, Any]:
    """Return the JSON form of a comparison; a side of a change is a reading in the form of facts.json, or null."""
    return {
        "differs": diff.differs,
        "before": _side(diff.before),
        "after": _side(diff.after),
        "between_s": diff.between_s,
        "another_box": diff.another or None,
        "notes": list(diff.notes),
        "compared": diff.compared,
        "unreadable_in_both": diff.neither,
        "left_out": dict(diff.left_out or {}),
        "changes": [_change(one) for one in diff.changes],
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "host": side.host,
        "collected_at": side.collected_at,
        "source": side.source,
        "pseudonymized": side.disguised,
    }


def _change(one: Change) -> dict[str, Any]:
    return {
        "group": one.group.value,
        "kind": one.kind.value,
        "what": one.what,
        "path": one.path,
        "path_before": one.path_before,
        "before": None if one.before is None else plain(encode(one.before)),
        "after": None if one.after is None else plain(encode(one.after)),
        "note": one.note,
        "weight": one.weight,
        "count": one.count,
        "paths": list(one.paths),
    }
