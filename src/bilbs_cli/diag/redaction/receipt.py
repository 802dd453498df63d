"""The receipt of redaction, `redaction.json`: which rules struck how often and where, and what was not looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

NOT_SCANNED = "not-scanned:"  # in front of a format's name among the counts of a member, with the count 0
SCHEMA_VERSION = 1


class Counted(Protocol):
    """What an item of the manifest says of its redaction."""

    @property
    def path(self) -> str:
        """Return the member's name."""

    @property
    def redactions(self) -> Mapping[str, int]:
        """Return the counts of its stream."""


@dataclass(slots=True)
class Receipt:
    """Counts by rule and by member; never a secret, never a place inside a member."""

    rules_version: str
    rules: Counter[str] = field(default_factory=Counter)
    members: dict[str, dict[str, int]] = field(default_factory=dict)
    not_scanned: dict[str, str] = field(default_factory=dict)

    def add(self, member: str, counts: Mapping[str, int]) -> None:
        """Add one member's counts (`Stream.counts`, or `redactions` in the manifest)."""
        struck = {rule: count for rule, count in counts.items() if not rule.startswith(NOT_SCANNED)}
        self.rules.update(struck)
        if struck:
            self.members[member] = dict(sorted(struck.items()))
        skipped = [rule.removeprefix(NOT_SCANNED) for rule in counts if rule.startswith(NOT_SCANNED)]
        if skipped:
            self.not_scanned[member] = skipped[0]

    @property
    def total(self) -> int:
        """Return how many secrets were masked."""
        return sum(self.rules.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "schema_version": SCHEMA_VERSION,
            "rules_version": self.rules_version,
            "total": self.total,
            "rules": dict(sorted(self.rules.items())),
            "members": self.members,
            "not_scanned": self.not_scanned,
        }


def receipt(rules_version: str, items: Iterable[Counted]) -> dict[str, Any]:
    """Return `redaction.json` for the items of a bundle."""
    whole = Receipt(rules_version)
    for item in items:
        whole.add(item.path, item.redactions)
    return whole.as_dict()
