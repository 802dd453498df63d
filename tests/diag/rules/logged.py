"""Boxes made of kernel log lines, for tests of what the lines mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bilbs_cli.diag import model
from bilbs_cli.diag.causes import relate
from bilbs_cli.diag.findings import Box, Finding, evaluate
from bilbs_cli.diag.kernel_log import events
from bilbs_cli.diag.kernel_log.scan import Clock, Scanner
from bilbs_cli.diag.model import Value
from bilbs_cli.diag.rules import RULES

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
KERN = "kernel/var/log/kern.log"


def box(lines: Sequence[str] | Mapping[str, Sequence[str]], more: Mapping[str, Any] | None = None) -> Box:
    """Return a box whose logs are these lines: of kern.log, or of each member that is named."""
    facts: model.Tree = dict(more or {})
    for member, own in (lines if isinstance(lines, Mapping) else {KERN: lines}).items():
        scanner = Scanner(member, Clock(NOW, UTC))
        scanner.feed("".join(f"{line}\n" for line in own).encode())
        model.insert(facts, events.place(member), Value(events.encode(scanner.finish())))
    return Box(facts, NOW)


def line(message: str, at: str = "03:12:01", day: int = 21) -> str:
    """Return a message as kern.log has it."""
    return f"Nov {day:2d} {at} gpu01 kernel: {message}"


def xid(code: int, rest: str = "pid=42, name=x, example", pci: str = "0000:3b:00", **when: Any) -> str:
    """Return an Xid as kern.log has it."""
    return line(f"NVRM: Xid (PCI:{pci}): {code}, {rest}", **when)


def judged(lines: Sequence[str] | Mapping[str, Sequence[str]], more: Mapping[str, Any] | None = None) -> list[Finding]:
    """Return what all rules say, causes included."""
    whole = box(lines, more)
    return list(relate(evaluate(RULES, whole), whole).findings)


def of(findings: Sequence[Finding], rule: str) -> Finding:
    """Return the one finding of a rule."""
    (found,) = [one for one in findings if one.rule == rule]
    return found
