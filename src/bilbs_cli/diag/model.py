"""Facts: readings that keep a value, an error and "not collected" apart, and the statuses of what was read.

Facts are a tree of dicts whose leaves are readings; a path such as `("gpu", "devices", "0", "power_w")` leads to one.
Units stand in the last name (`_w`, `_c`, `_bytes`, `_mhz`, `_s`, `_percent`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

FACTS_VERSION = 1
RESERVED = frozenset(
    {"value", "error", "not_collected"}
)  # the keys of a reading; a name like these gets a `_` behind it


class Status(StrEnum):
    """How an item of a bundle, or a whole collector, ended."""

    OK = "ok"
    PARTIAL = "partial"  # some of it is there, some of it could not be read
    SKIPPED = "skipped"  # not asked for: a flag, a profile, `--sysroot`
    UNAVAILABLE = "unavailable"  # not on this machine: no such program, device or file
    DENIED = "denied"  # needs rights that this user lacks
    TIMEOUT = "timeout"
    FAILED = "failed"

    @property
    def is_failure(self) -> bool:
        """Say whether the bundle is incomplete because of it (exit 20)."""
        return self in {Status.TIMEOUT, Status.FAILED}


@dataclass(frozen=True, slots=True)
class Value:
    """What was read: a JSON value. A `None` inside is the source's own null."""

    value: Any


@dataclass(frozen=True, slots=True)
class ReadError:
    """The source was asked and answered with an error.

    `kind` is the field's name for it (`NVMLError_GpuIsLost`, `CompletionCodeError`, `PermissionError`, `Timeout`),
    `code` its number where it has one.
    """

    kind: str
    message: str
    code: int | None = None


@dataclass(frozen=True, slots=True)
class NotCollected:
    """The source was not asked, and why."""

    reason: str


Reading = Value | ReadError | NotCollected
Path = tuple[str, ...]
Tree = dict[str, Any]


def encode(reading: Reading) -> Tree:
    """Return the JSON form: exactly one of the keys `value`, `error`, `not_collected`."""
    match reading:
        case Value(value):
            return {"value": value}
        case ReadError(kind, message, code):
            return {"error": {"class": kind, "code": code, "message": message}}
        case NotCollected(reason):
            return {"not_collected": reason}


def decode(leaf: object) -> Reading:
    """Return the reading of a JSON leaf; anything malformed is `NotCollected`, never a value."""
    if isinstance(leaf, Mapping):
        if "value" in leaf:
            return Value(leaf["value"])
        error = leaf.get("error")
        if isinstance(error, Mapping):
            code = error.get("code")
            return ReadError(
                str(error.get("class")), str(error.get("message")), code if isinstance(code, int) else None
            )
        if "not_collected" in leaf:
            return NotCollected(str(leaf["not_collected"]))
    return NotCollected("not present in these facts")


def is_leaf(node: object) -> bool:
    """Say whether a node of the tree is a reading."""
    return isinstance(node, Mapping) and len(node) == 1 and next(iter(node)) in RESERVED


def insert(tree: Tree, path: Path, reading: Reading) -> None:
    """Put `reading` at `path`; a reading already there is replaced, and so is what no collector writes there."""
    *branches, leaf = map(_step, path)
    for name in branches:
        below = tree.get(name)
        if not isinstance(below, dict):
            below = tree[name] = {}
        tree = below
    tree[leaf] = encode(reading)


def _step(name: str) -> str:
    """Return the key of a path's step: a network interface may be called `error`."""
    return f"{name}_" if name in RESERVED else name


def lookup(tree: Mapping[str, Any], *path: str) -> Reading:
    """Return the reading at `path`, `NotCollected` where there is none."""
    node: object = tree
    for name in map(_step, path):
        node = node.get(name) if isinstance(node, Mapping) else None
    return decode(node)


def finite(found: object) -> int | float | None:
    """Return a finite number, None for anything else (True and False are none)."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        return found if math.isfinite(found) else None
    except OverflowError:  # a whole number that no float can hold: no reading has one
        return None


def value(tree: Mapping[str, Any], *path: str) -> Any:
    """Return the value at `path`, None for an error or "not collected" (use `lookup` where the difference matters)."""
    found = lookup(tree, *path)
    return found.value if isinstance(found, Value) else None


def branch(tree: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the subtree at `path`, empty where there is none."""
    node: object = tree
    for name in path:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) and not is_leaf(node) else {}


def leaves(tree: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Reading]]:
    """Yield every reading with its path, in order."""
    for name, node in tree.items():
        if is_leaf(node):
            yield (*path, name), decode(node)
        elif isinstance(node, Mapping):
            yield from leaves(node, (*path, name))
