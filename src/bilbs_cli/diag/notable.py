"""Lines of a kernel log that a person would want to see first: counted by kind while the log streams by.

This is a sieve for SUMMARY.txt, not a verdict: it shows lines and their number. It sees redacted text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

KINDS: tuple[tuple[str, str, bytes], ...] = (  # id, words for people, pattern
    ("xid", "NVIDIA Xid error", rb"NVRM: Xid \("),
    ("sxid", "NVSwitch SXid error", rb"SXid \("),
    ("off_the_bus", "GPU fallen off the bus", rb"fallen off the bus"),
    (
        "nvrm_init",
        "NVIDIA driver initialisation failed",
        rb"RmInitAdapter failed|NVRM: API mismatch|NV_ERR_RESET_REQUIRED",
    ),
    (
        "hardware_error",
        "hardware error (MCE, GHES, EDAC)",
        rb"\[Hardware Error\]|mce: |EDAC [A-Za-z0-9]+: [0-9]+ [CU]E ",
    ),
    ("aer", "PCIe error (AER)", rb"PCIe Bus Error|AER: "),
    ("oom", "out of memory", rb"Out of memory:|oom-kill:"),
    (
        "hung_task",
        "hung task or lockup",
        rb"blocked for more than [0-9]+ seconds|soft lockup|hard LOCKUP|rcu_\w+ self-detected stall",
    ),
    (
        "storage",
        "storage error",
        rb"I/O error|Buffer I/O|EXT4-fs error|XFS \([^)]*\): Corruption|Remounting filesystem read-only|nvme\S* .{0,40}(?:timeout|reset)",
    ),
    ("panic", "kernel oops or panic", rb"Kernel panic|BUG: |Oops: |general protection fault"),
)
SAMPLES = 3  # of each kind: the first ones, which are nearer to the cause
LINE = 300  # characters shown of a line
CARRY = 4096  # of a line that a piece of the log ends in


def _pattern() -> Any:
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(
        b"|".join(b"(?P<%s>%s)" % (name.encode(), pattern) for name, _, pattern in KINDS), options=options
    )


@dataclass(slots=True)
class Sieve:
    """Finds the lines in a log that is fed in pieces."""

    counts: dict[str, int] = field(default_factory=dict)
    samples: dict[str, list[str]] = field(default_factory=dict)
    _line: int = 1
    _rest: bytes = b""
    _compiled: Any = field(default_factory=_pattern)

    def feed(self, data: bytes) -> None:
        """Look at the whole lines of what has come; keep the start of the last, unfinished one."""
        text = self._rest + data
        end = text.rfind(b"\n") + 1
        if not end and len(text) < CARRY:
            self._rest = text
            return
        self._look(text[: end or len(text)])
        self._rest = text[end:][:CARRY] if end else b""

    def finish(self) -> dict[str, Any]:
        """Return what was found: kind -> count and the first lines with their number; empty when nothing was."""
        self._look(self._rest)
        return {kind: {"count": count, "first": self.samples[kind]} for kind, count in sorted(self.counts.items())}

    def _look(self, text: bytes) -> None:
        position, seen_end = 0, -1
        for match in self._compiled.finditer(text):
            if match.start() < seen_end:
                continue  # one line counts once
            start = text.rfind(b"\n", 0, match.start()) + 1
            seen_end = text.find(b"\n", match.end())
            seen_end = len(text) if seen_end < 0 else seen_end
            self._line += text.count(b"\n", position, start)
            position = start
            self._count(match.lastgroup.decode(), text[start:seen_end], match.start() - start)
        self._line += text.count(b"\n", position)

    def _count(self, kind: str, line: bytes, where: int) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        kept = self.samples.setdefault(kind, [])
        if len(kept) < SAMPLES:
            kept.append(f"line {self._line}: {readable(line, where)}")


_MESSAGE = re.compile(rb'"MESSAGE"\s*:\s*"((?:[^"\\]|\\.)*)')


def readable(line: bytes, where: int) -> str:
    r"""Return the part of a line to show: the message of a journal line, else the line around `where`.

    >>> readable(b'{"PRIORITY":"3","MESSAGE":"NVRM: Xid (PCI:0000:3b:00): 79"}', 30)
    'NVRM: Xid (PCI:0000:3b:00): 79'
    """
    message = _MESSAGE.search(line)
    if message:
        return message[1][:LINE].decode("utf-8", "replace")
    start = max(0, where - 60) if where > LINE else 0
    return line[start : start + LINE].decode("utf-8", "replace")
