"""Repeats of an event folded into one: counted exactly, a few of them kept with place and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bilbs_cli.diag.kernel_log.events import Event, Sighting
from bilbs_cli.diag.kernel_log.messages import Said

DISTINCT = 2000  # events of one log; more are only counted
RESERVED = 500  # of them, that only the NVIDIA driver's may have: a flood of others must not hide a dead GPU
FIRST, SPREAD = 4, 24  # sightings kept: the first ones, and some spread over the rest; the last always
NVIDIA = ("xid", "sxid", "off_bus", "nvrm")


class Seen(NamedTuple):
    """A line that said something: its number, its bytes, the boot it stands in."""

    line: int
    raw: bytes
    boot: str


@dataclass(slots=True)
class Folded:
    """An event while its log streams by. `seen` are its lines, `count` what they tell of. Of `spread`, every second one is dropped when there are too many."""

    said: Said
    count: int = 0
    seen: int = 0
    first: list[Sighting] = field(default_factory=list)
    spread: list[Sighting] = field(default_factory=list)
    stride: int = 1
    last: Seen | None = None


class Folder:
    """Takes what messages say, in the order of the log, and gives events; `place` makes a sighting of a line."""

    def __init__(self, place: Callable[[Seen], Sighting]) -> None:
        self._place = place
        self._found: dict[tuple[Any, ...], Folded] = {}
        self.left_out = 0

    def fold(self, said: Said, seen: Seen) -> Folded | None:
        """Count what a line says. Return the event it is a repeat of, None where there are too many events."""
        key = (said.kind, said.code, said.pci, said.fold)
        folded = self._found.get(key)
        if folded is None:
            if len(self._found) >= DISTINCT - (0 if said.kind.startswith(NVIDIA) else RESERVED):
                self.left_out += said.count
                return None
            folded = self._found[key] = Folded(said)
        self.repeat(folded, said.count, seen)
        return folded

    def repeat(self, folded: Folded, count: int, seen: Seen) -> None:
        """Count a line that says the same as others before."""
        folded.count += count
        folded.seen += 1
        if folded.seen <= FIRST:
            folded.first.append(self._place(seen))
        elif (folded.seen - FIRST) % folded.stride == 0:
            folded.spread.append(self._place(seen))
            if len(folded.spread) > SPREAD:
                folded.spread = folded.spread[1::2]
                folded.stride *= 2
        folded.last = seen

    def events(self) -> tuple[Event, ...]:
        """Return the events in the order of their first line."""
        return tuple(self._event(folded) for folded in self._found.values())

    def _event(self, folded: Folded) -> Event:
        kept = {one.line: one for one in [*folded.first, *folded.spread]}
        if folded.last and folded.last.line not in kept:
            kept[folded.last.line] = self._place(folded.last)
        said = folded.said
        sightings = tuple(kept[line] for line in sorted(kept))
        return Event(said.kind, said.code, said.pci, said.text, folded.count, sightings, said.detail)
