"""Values taken out of TOML tables one by one; what is wrong, missing or unknown becomes a problem with line and key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Any, NamedTuple

Place = tuple[str | int, ...]


class Problem(NamedTuple):
    """One thing that is wrong in a file; `line` is 0 where none can be told."""

    path: str
    line: int
    key: str
    what: str

    def __str__(self) -> str:
        """Return `FILE:LINE: KEY: what`."""
        return (
            f"{self.path}:{self.line}: {self.key}: {self.what}"
            if self.line
            else f"{self.path}: {self.key}: {self.what}"
        )


class Document:
    """One file while it is read, with the problems found so far."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.problems: list[Problem] = []

    def complain(self, place: Place, what: str) -> None:
        """Keep a problem at a key; where the key has no line of its own, its table's is named."""
        self.problems.append(Problem(self.path, self._line(place), shown(place), what))

    def _line(self, place: Place) -> int:
        lines = dict(_placed(self.text))
        while place and place not in lines:
            place = place[:-1]
        return lines.get(place, 0)


def shown(place: Place) -> str:
    """Return a place as people write it: `targets[3].limit`, counted from 1 as in `[[targets]]` from the top."""
    text = ""
    for step in place:
        text += f"[{step + 1}]" if isinstance(step, int) else f"{'.' if text else ''}{step}"
    return text or "(file)"


def _placed(text: str) -> Iterator[tuple[Place, int]]:
    """Yield the place of every header and key with its line; tables of an array are numbered."""
    from bilbs_cli.toml_text import entries  # only a file with problems pays for it

    lines = text.split("\n")
    counts: dict[Place, int] = {}
    for entry in entries(text):
        place: Place = ()
        for step in entry.path[:-1]:
            place = (*place, step)
            if place in counts:
                place = (*place, counts[place] - 1)
        place = (*place, *entry.path[-1:])
        if entry.header and lines[entry.line - 1].lstrip().startswith("[["):
            counts[place] = counts.get(place, 0) + 1
            place = (*place, counts[place] - 1)
        yield place, entry.line


class Table:
    """One table. Each method takes one key; `done` complains about the keys that nothing took."""

    def __init__(self, document: Document, place: Place, data: Any) -> None:
        self.document, self.place = document, place
        if not isinstance(data, Mapping):
            self.complain("", f"expected a table, found {_kind(data)}")
            data = {}
        self._data: Mapping[str, Any] = data
        self._taken: set[str] = set()

    def complain(self, key: str, what: str) -> None:
        """Keep a problem with one key of this table; an empty key means the table."""
        self.document.complain((*self.place, key) if key else self.place, what)

    def has(self, key: str) -> bool:
        """Say whether the key is there."""
        return key in self._data

    def raw(self, key: str) -> Any:
        """Return what stands there, None where nothing does."""
        self._taken.add(key)
        return self._data.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; without a default it must be there and not be empty."""
        value = self.raw(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not (value.strip() or default is not None):
            self.complain(key, "missing" if value is None else f"expected a text, found {_kind(value)}")
            return default or ""
        return value

    def word(self, key: str, known: Sequence[str], default: str | None = None) -> str:
        """Return one of the known words."""
        value = self.text(key, default)
        return self._known(key, value, known) if value else value

    def texts(self, key: str, known: Sequence[str] | None = None, what: str = "") -> tuple[str, ...]:
        """Return a list of texts (one text alone is a list of one), each a known word where `known` is given."""
        value = self.raw(key)
        items = [value] if isinstance(value, str) else value or []
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            self.complain(key, f"expected a list of texts, found {_kind(value)}")
            return ()
        return tuple(self._known(key, item, known, what) if known is not None else item for item in items)

    def _known(self, key: str, value: str, known: Sequence[str], what: str = "") -> str:
        if value not in known:
            near = get_close_matches(value, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}" if known else ""
            self.complain(key, f"no {what or key} {value}{hint}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.complain(key, f"expected true or false, found {_kind(value)}")
            return default
        return value

    def number(self, key: str) -> float | None:
        """Return a number that is not negative, None where there is none."""
        value = self.raw(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
            self.complain(key, f"expected a number from 0, found {_kind(value)}")
            return None
        return value

    def dates(self, key: str) -> frozenset[date]:
        """Return a list of dates."""
        value = self.raw(key)
        items = [] if value is None else value if isinstance(value, list) else [value]
        if not all(type(item) is date for item in items):
            self.complain(key, "expected a list of dates such as 2026-12-24")
            return frozenset()
        return frozenset(items)

    def assumed(self) -> frozenset[str]:
        """Return what in this table is ours and not the document's: `assumed = true` is all of it, else a list of keys."""
        value = self.raw("assumed")
        if isinstance(value, bool):
            return frozenset({"all"} if value else ())
        if value is not None and (not isinstance(value, list) or not all(isinstance(item, str) for item in value)):
            self.complain("assumed", f"expected true, or a list of keys, found {_kind(value)}")
            return frozenset()
        return frozenset(value or ())

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """Yield the tables of `[KEY.NAME]` with their names, in order."""
        value = self.raw(key)
        if value is not None and not isinstance(value, Mapping):
            self.complain(key, f"expected tables [{key}.NAME], found {_kind(value)}")
            return
        for name, data in (value or {}).items():
            yield name, Table(self.document, (*self.place, key, name), data)

    def rows(self, key: str) -> Iterator[Table]:
        """Yield the tables of `[[KEY]]`, in order."""
        value = self.raw(key)
        if value is not None and not isinstance(value, list):
            self.complain(key, f"expected tables [[{key}]], found {_kind(value)}")
            return
        for number, data in enumerate(value or ()):
            yield Table(self.document, (*self.place, key, number), data)

    def done(self) -> None:
        """Complain about every key that nothing took, with the nearest known one."""
        for key in self._data:
            if key not in self._taken:
                near = get_close_matches(key, self._taken, n=1)
                self.complain(key, f"unknown key{f'; did you mean {near[0]}?' if near else ''}")


def _kind(value: Any) -> str:
    """Return what a TOML value is, for people.

    >>> _kind(True), _kind(3), _kind([]), _kind(None)
    ('a boolean', 'a number', 'a list', 'nothing')
    """
    names = ((bool, "a boolean"), ((int, float), "a number"), (str, "a text"), (list, "a list"), (dict, "a table"))
    return next((name for kind, name in names if isinstance(value, kind)), "nothing" if value is None else "a time")
