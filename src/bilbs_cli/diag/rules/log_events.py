"""Log events over all logs of a box: the copies of one event are told once, and counted once.

The ring buffer, the journal, kern.log, syslog and messages are copies of each other; kern.log and kern.log.1, or the
journals of two boots, are not. So an event's count is the largest over the families, and within a family the sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bilbs_cli.diag.findings import Box, Evidence, Found, moment
from bilbs_cli.diag.kernel_log.events import Event, Sighting
from bilbs_cli.diag.kernel_log.members import family

TEXT = 64  # characters of a detail
PROOFS = 3  # lines that a finding cites of one event
SAME = "the same again"  # of a folded event only its first line is kept as text
Key = tuple[str, int | None, str]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The same kind, code and address in every log: `told` has member and event of each."""

    kind: str
    code: int | None
    pci: str
    told: tuple[tuple[str, Event], ...]

    @property
    def families(self) -> dict[str, list[tuple[str, Event]]]:
        """Return the logs by family."""
        found = defaultdict[str, list[tuple[str, Event]]](list)
        for member, event in self.told:
            found[family(member)].append((member, event))
        return found

    @property
    def count(self) -> int:
        """Return how often it happened at least (see the module)."""
        return max(sum(event.count for _, event in copies) for copies in self.families.values())

    @property
    def best(self) -> list[tuple[str, Event]]:
        """Return the logs of the family that tells most: more occurrences, more with a time, the first by name."""

        def worth(copies: list[tuple[str, Event]]) -> tuple[int, int]:
            return sum(event.count for _, event in copies), sum(event.first.at is not None for _, event in copies)

        ranked = sorted(self.families.items(), key=lambda entry: (*[-number for number in worth(entry[1])], entry[0]))
        return ranked[0][1]

    @property
    def sightings(self) -> list[tuple[str, Event, Sighting]]:
        """Return the occurrences that the best family kept, in the order of time where it is known."""
        rows = [(member, event, one) for member, event in self.best for one in event.sightings]
        return sorted(rows, key=lambda row: (row[2].at or "", row[2].mono_s or 0.0, row[0], row[2].line))

    @property
    def times(self) -> list[datetime]:
        """Return the known times of all copies, oldest first."""
        found = (moment(one.at) for _, event in self.told for one in event.sightings)
        return sorted({at for at in found if at})

    @property
    def boots(self) -> int:
        """Return in how many boots it was seen, as the log that knows most tells."""
        return max(
            len({one.boot for _, event in copies for one in event.sightings if one.boot})
            for copies in self.families.values()
        )

    @property
    def first_at(self) -> str | None:
        """Return the time of the first occurrence."""
        return self.times[0].isoformat() if self.times else None

    @property
    def last_at(self) -> str | None:
        """Return the time of the last one."""
        return self.times[-1].isoformat() if self.times else None

    def details(self, name: str) -> tuple[str, ...]:
        """Return the different texts and numbers that the copies have for a detail, in their order."""
        found = (event.detail.get(name) for _, event in self.told)
        known = (one for one in found if isinstance(one, str | int) and not isinstance(one, bool) and one != "")
        return tuple(dict.fromkeys(str(one)[:TEXT] for one in known))

    def by(self, name: str) -> tuple[tuple[str, Gathered], ...]:
        """Return it taken apart by a detail, with the detail's text (empty where an event has none)."""
        rows = defaultdict[str, list[tuple[str, Event]]](list)
        for member, event in self.told:
            one = event.detail.get(name)
            rows[one[:TEXT] if isinstance(one, str) else ""].append((member, event))
        return tuple((text, Gathered(self.kind, self.code, self.pci, tuple(told))) for text, told in rows.items())

    def apart(self, flag: str) -> Iterator[tuple[bool, Gathered]]:
        """Yield it taken apart by a detail that is true or not: first what has it not, then what has; neither is empty."""
        for is_set in (False, True):
            told = tuple(row for row in self.told if (row[1].detail.get(flag) is True) is is_set)
            if told:
                yield is_set, Gathered(self.kind, self.code, self.pci, told)

    def found(self, words: str, **more: Any) -> Found:
        """Return the finding of it: its lines as evidence, its count and times; `more` are other fields of `Found`."""
        return Found(words, self.evidence(), count=self.count, first_at=self.first_at, last_at=self.last_at, **more)

    def evidence(self, most: int = PROOFS) -> tuple[Evidence, ...]:
        """Return the first lines and the last one."""
        rows = self.sightings
        chosen = rows if len(rows) <= most else [*rows[: most - 1], rows[-1]]
        return tuple(
            Evidence(member, event.text if one is event.first else SAME, one.line, at=one.at)
            for member, event, one in chosen
        )


def gather(box: Box, kind: str) -> tuple[Gathered, ...]:
    """Return everything of a kind, by code and address, in the order in which the logs tell it."""
    return box.derive(_by_kind).get(kind, ())


def _by_kind(box: Box) -> dict[str, tuple[Gathered, ...]]:
    told = defaultdict[Key, list[tuple[str, Event]]](list)
    for member, event in _all(box):
        told[event.kind, event.code, event.pci].append((member, event))
    found = defaultdict[str, list[Gathered]](list)
    for (kind, code, pci), rows in told.items():
        found[kind].append(Gathered(kind, code, pci, tuple(rows)))
    return {kind: tuple(rows) for kind, rows in found.items()}


def _all(box: Box) -> Iterator[tuple[str, Event]]:
    for log in box.logs:
        for event in log.events:
            yield log.member, event
