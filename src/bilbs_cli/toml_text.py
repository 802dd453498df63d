"""Where a key stands in the text of a TOML file, and the smallest edit that sets one and keeps the comments."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

KeyPath = tuple[str, ...]
_HEADER = re.compile(r"[ \t]*(\[{1,2}[^\n#]*?\]{1,2})[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)")
_KEY = re.compile(r"""[ \t]*((?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^=#"'\n\[\]])+?)[ \t]*=[ \t]*""")
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|'
    r"'''.*?'{3,5}|"  # texts over lines
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|"  # texts
    r"#[^\n]*|[\[{]|[\]}]|\n|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key = value` (`path` with its table), or a table's header (no value: `start` is where the header ends)."""

    path: KeyPath
    line: int
    start: int
    end: int
    header: bool = False


def entries(text: str) -> Iterator[Entry]:
    """Yield the headers and keys of valid TOML in order; lines count from 1, `start:end` is the value's text."""
    table: KeyPath = ()
    at = seen = 0
    line = 1
    while at < len(text):
        line += text.count("\n", seen, at)
        seen = at
        if header := _HEADER.match(text, at):
            table = _path(f"{header[1]}\n")
            yield Entry(table, line, header.end(), header.end(), header=True)
            at = header.end()
        elif key := _KEY.match(text, at):
            end = _value_end(text, key.end())
            yield Entry(table + _path(f"{key[1]} = 0"), line, key.end(), end)
            at = text.find("\n", end) + 1 or len(text)
        else:  # blank, or a comment
            at = text.find("\n", at) + 1 or len(text)


def _path(toml: str) -> KeyPath:
    """Return the key path of one header or key, unquoted by tomllib itself."""
    node: Any = tomllib.loads(toml)
    path: list[str] = []
    while node:
        node = node[0] if isinstance(node, list) else node
        if not isinstance(node, dict) or not node:
            break
        name, node = next(iter(node.items()))
        path.append(name)
    return tuple(path)


def _value_end(text: str, at: int) -> int:
    """Return the offset after the value that starts at `at` (arrays and strings may span lines), without a comment."""
    depth, end = 0, at
    for token in _TOKEN.finditer(text, at):
        piece = token[0]
        if piece == "\n" and depth == 0:
            break
        if piece[0] == "#":
            continue
        depth += (piece in "[{") - (piece in "]}")
        if piece.strip():
            end = token.start() + len(piece.rstrip())
    return end


def line_of(text: str, path: KeyPath) -> int | None:
    """Return the line of a key or table, None where it stands in no line of its own."""
    return next((entry.line for entry in entries(text) if entry.path == path), None)


def with_value(text: str, path: KeyPath, value: Any) -> str:
    """Return valid TOML with `path` (table and key, or a key of the top) set to `value`; the rest of the text, comments included, stays.

    Where no such small edit is right (inline tables, say), the whole text is written anew and comments are lost.
    """
    import tomli_w

    wanted = tomllib.loads(text)
    table = wanted
    for name in path[:-1]:
        table = table.setdefault(name, {})
    table[path[-1]] = value
    edited = _edited(text, path, tomli_w.dumps({path[-1]: value}).strip())
    try:
        if tomllib.loads(edited) == wanted:
            return edited
    except tomllib.TOMLDecodeError:
        pass
    return tomli_w.dumps(wanted)


def _edited(text: str, path: KeyPath, assignment: str) -> str:
    known = list(entries(text))
    for entry in known:
        if entry.path == path and not entry.header:
            return text[: entry.start] + assignment.partition(" = ")[2] + text[entry.end :]
    if text and not text.endswith("\n"):
        text += "\n"
    if len(path) == 1:  # a key of the top: behind the last one there, before any table
        top = [entry for entry in known if not entry.header and len(entry.path) == 1]
        at = (text.find("\n", top[-1].end) + 1 or len(text)) if top else 0
        return f"{text[:at]}{assignment}\n{text[at:]}"
    if not any(entry.header and entry.path == path[:-1] for entry in known):
        return text + ("\n" if text else "") + f"[{'.'.join(path[:-1])}]\n{assignment}\n"
    last = [entry for entry in known if entry.path[:-1] == path[:-1] or (entry.header and entry.path == path[:-1])][-1]
    at = last.end if last.header else (text.find("\n", last.end) + 1 or len(text))
    return f"{text[:at]}{assignment}\n{text[at:]}"
