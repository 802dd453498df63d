"""What a redaction rule is, and what it finds in a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2


def anything(value: bytes) -> bool:
    """Accept every value: the pattern alone decides."""
    return bool(value)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the rule pack: ids are for ever, receipts cite them.

    `pattern` is RE2 over bytes, case-insensitive unless it says `(?-i:...)`, and never crosses a line; each capturing
    group is a secret, and `check` has the last word on it. In `leaks` the secret stands between « and »; `<36>` stands
    for 36 letters and digits, `<36h>` for hexadecimal (tests/diag/redaction/examples.py), so that no example in this
    repository looks like a live key to a scanner. What stands in `keeps` must come out as it is.
    """

    id: str
    title: str
    pattern: bytes
    leaks: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    check: Callable[[bytes], bool] = anything


@dataclass(frozen=True, slots=True)
class Edge:
    """How a secret ends that runs over the edge of a window: at a quote (behind `level` backslashes), at a byte that no
    token holds (`quote` empty), or at the end of its line (`quote` a newline)."""  # noqa: D209, D205

    quote: bytes = b""
    level: int = 0


TOKEN = Edge()
LINE_END = Edge(b"\n")


@dataclass(frozen=True, slots=True)
class Span:
    """A secret in a line: bytes `start` to `end`; `context` is where the text that gives it away begins.

    `wrap` is put on both sides of the mask (a number in JSON must become a string); `text`, when given, is written
    instead of the mask (content that was decoded, redacted and encoded again).
    """

    start: int
    end: int
    rule: str
    context: int
    wrap: bytes = b""
    text: bytes | None = None
    edge: Edge = TOKEN


def mask(rule: str) -> bytes:
    """Return what stands in place of a secret: it parses as text in JSON, XML, YAML and shells."""
    return b"[REDACTED:" + rule.encode() + b"]"


def options(*, capture: bool = True, max_mem: int = 8 << 20) -> Any:
    """Return how patterns are read: bytes, case-insensitive, no match across lines; `max_mem` bounds an automaton."""
    chosen = re2.Options()
    chosen.encoding = re2.Options.Encoding.LATIN1
    chosen.case_sensitive = False
    chosen.never_nl = True
    chosen.never_capture = not capture
    chosen.log_errors = False
    chosen.max_mem = max_mem
    return chosen


@lru_cache(maxsize=1024)  # re2's own cache is smaller than the pack: a second scanner would compile everything anew
def compiled(pattern: bytes, *, capture: bool = True, max_mem: int = 8 << 20) -> Any:
    """Compile RE2 over bytes: linear time whatever the input.

    Raises `re2.error` when the pattern is wrong.
    """
    return re2.compile(pattern, options=options(capture=capture, max_mem=max_mem))
