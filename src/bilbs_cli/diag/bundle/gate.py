"""The seal gate: a finished archive is read once more and searched for this host's real secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bilbs_cli.diag.bundle.reader import Member, Reader
from bilbs_cli.errors import SecretFound


class Scanner(Protocol):
    """Searches one stream: `diag.redaction.Gate`."""

    def feed(self, data: bytes) -> list[tuple[str, int]]:
        """Take the next bytes; return what was found: the secret's source, and the offset where it starts."""


def search(reader: Reader, scanner: Callable[[], Scanner]) -> None:
    """Read every member and its name through a scanner of its own.

    Raises `SecretFound` at the first hit: member and line, and where the secret comes from, never the secret.
    """
    for member in reader:
        for source, _ in scanner().feed(member.name.encode()):
            raise SecretFound(f"the name of a member holds a secret of this host ({source})", next=_ADVICE)
        _search(member, scanner())


_ADVICE = "no bundle was written; add a rule for it to the redaction settings, or leave that collector out with --skip"


def _search(member: Member, scanner: Scanner) -> None:
    lines = _Lines()
    for chunk in member.chunks():
        data = bytes(chunk)
        for source, offset in scanner.feed(data):
            line = lines.number(offset, data)
            raise SecretFound(f"a secret of this host ({source}) is in {member.name}, line {line}", next=_ADVICE)
        lines.passed(data)


@dataclass(slots=True)
class _Lines:
    """Counts lines up to the chunk before the one at hand, which is kept: a hit may start in it."""

    line: int = 1
    start: int = 0
    before: bytes = b""

    def passed(self, data: bytes) -> None:
        self.line += self.before.count(b"\n")
        self.start += len(self.before)
        self.before = data

    def number(self, offset: int, data: bytes) -> int:
        return self.line + (self.before + data)[: max(offset - self.start, 0)].count(b"\n")
