"""A log that streams by, and the events in it: one linear look over all of it, a closer one at the few lines that count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from bilbs_cli.diag.kernel_log import host, nvrm, prefix
from bilbs_cli.diag.kernel_log.events import Log, Sighting
from bilbs_cli.diag.kernel_log.folding import DISTINCT, FIRST, SPREAD, Folded, Folder, Seen
from bilbs_cli.diag.kernel_log.members import boot_of, is_log
from bilbs_cli.diag.kernel_log.messages import Said
from bilbs_cli.diag.kernel_log.prefix import Clock
from bilbs_cli.diag.kernel_log.xid_detail import READERS
from bilbs_cli.diag.model import value

__all__ = ["DISTINCT", "FIRST", "SPREAD", "Clock", "Scanner", "clock_of", "is_log"]

LONGEST = 64 << 10  # bytes of a line that are looked at
MESSAGE = 4 << 10  # bytes of a message that are taken apart: a kernel's record has 1 KiB (kernel/printk/printk.c)
CACHED = 4096  # messages that are understood once
REBOOTED_S = 5.0  # the time since boot goes back that far, and it is another boot; less is lines out of order
XID = b"Xid ("
NVIDIA = (r"NVRM: [^X]", r"NVRM: X[^i]", r"SXid \(", r"NVSwitch (?i:(?:non-)?fatal) error")

_STAMP = rb"\[ *\d{1,12}\.\d{1,9}\] ?+"
_TAG = (
    rb"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ][0-9:.+-]{8,24}Z?) [^ \[]{1,255} kernel: (?:"
    + _STAMP
    + rb")?"
)
_PREFIX = rb"(?:<\d{1,3}>)?(?:" + _TAG + rb"|" + _STAMP + rb")"
_PLAIN = re.compile(_PREFIX + rb"(?!\[|message rep|kernel: |[^ ]{1,255} kernel: )")  # the kernel's own line, for sure
_PLAIN_XID = re.compile(rb"(?:" + _PREFIX + rb")?(NVRM: Xid \([^()]{1,80}\): \d{1,9}(?=[,\n]|$))")
_MESSAGE = re.compile(rb'"MESSAGE" ?: ?"([^"\\]*)"')
_KERNEL = re.compile(rb'"SYSLOG_IDENTIFIER" ?: ?"kernel"')
_XID = re.compile(rb"NVRM: Xid \(([^()]{1,80})\): (\d{1,9})(?!\d)")
_HEAD = re.compile(rb", (?:pid=[^,]{0,40}(?:, |$))?(?:name=[^,]{0,64}(?:, |$))?")
_SINGLE = re.compile(rb"\bCh(?:annel)?(?:ID)? [0-9a-fA-Fx]+|\bintr [0-9a-f]+|@ 0x[0-9a-f_]+")
_UNKNOWN = Said("", "")


@cache
def _pattern() -> Any:
    """Return the cheap look: what a line must have to be looked at. Xids are found by their word alone."""
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    words = [re.escape(word) for word in sorted(set(host.triggers()))]
    return re2.compile("|".join([*NVIDIA, *words]).encode(), options=options)


class Scanner:
    """Finds the events of one log that is fed in pieces of any size; memory stays flat."""

    def __init__(self, member: str, clock: Clock) -> None:
        self.member, self.clock = member, clock
        self._one_boot = boot_of(member)
        self._boot, self._boots, self._mono = self._one_boot, 0, 0.0
        self._reader = nvrm.Reader()
        self._folder = Folder(self._sighting)
        self._line = 1
        self._rest = b""
        self._skipping = False
        self._cache: dict[bytes, Said | None] = {}
        self._open: tuple[Any, ...] = ()
        self._nameless: tuple[Said, Seen] | None = None
        self._again: dict[bytes, Folded] = {}
        self._look_for = _pattern()

    def feed(self, data: bytes) -> None:
        """Look at the whole lines of what has come; keep the unfinished one."""
        if self._skipping:
            end = data.find(b"\n")
            if end < 0:
                return
            self._skipping, self._line, data = False, self._line + 1, data[end + 1 :]
        text = self._rest + data if self._rest else data
        end = text.rfind(b"\n") + 1
        if end:
            self._look(text[:end])
        self._rest = text[end:]
        if len(self._rest) > LONGEST:
            self._look(self._rest[:LONGEST])
            self._rest, self._skipping = b"", True

    def finish(self) -> Log:
        """Return the log: its lines are counted, its events are in the order of their first line."""
        unfinished = bool(self._rest) or self._skipping
        if self._rest:
            self._look(self._rest)
        self._let_go("")
        return Log(self.member, self._line - 1 + unfinished, self._folder.events(), self._folder.left_out)

    def _look(self, text: bytes) -> None:
        """Look at lines; all of them end with a newline but perhaps the last, which is not finished.

        Two searches run side by side, each as far as its next hit: a flood of Xids costs no more than finding a word.
        """
        size, position, xid, other = len(text), 0, -1, -1
        while True:
            if xid < position:
                xid = _or(text.find(XID, position), size)
            if other < position:
                match = self._look_for.search(text, position)
                other = match.start() if match else size
            at = min(xid, other)
            if at >= size:
                break
            start = text.rfind(b"\n", 0, at) + 1
            end = _or(text.find(b"\n", at), size)
            self._line += text.count(b"\n", position, start)
            self._take(text[start : min(end, start + LONGEST)])
            position = end  # one line counts once
        self._line += text.count(b"\n", position)

    def _take(self, raw: bytes) -> None:
        xid = _PLAIN_XID.match(raw)
        if xid and (folded := self._again.get(xid[1])) and b"caused by" not in raw:
            self._open = ()
            self._let_go(folded.said.pci)
            self._reader.name(folded.said.pci)
            self._folder.repeat(folded, 1, Seen(self._line, raw, self._boot))
            return
        message, times = _message(raw), 1
        if message is None:
            line = prefix.split(raw.decode("utf-8", "replace"), self.clock)
            if not line.kernel and not self.member.startswith("gpu/"):
                return  # a program that quotes the kernel
            message, times = line.message.encode("utf-8", "replace"), line.times
        said = self._understand(message[:MESSAGE])
        if said is None:
            self._let_go("")
            return
        folded = self._said(replace(said, count=said.count * times) if times > 1 else said, raw)
        if folded and xid and said.code not in READERS and "caused_by" not in said.detail:
            self._again[xid[1]] = folded

    def _said(self, said: Said, raw: bytes) -> Folded | None:
        """Fold what a line says, and return the event; None where the line is the second half of one, or one too many."""
        if said.closes and said.closes == self._open:
            self._open = ()
            return None
        self._open = said.opens
        if said.kind == "boot" and not self._one_boot:
            self._new_boot()
        seen = Seen(self._line, raw, self._boot)
        if said.kind == "nvrm_identity" and not said.pci:
            self._let_go("")
            self._nameless = said, seen  # of the GPU that the next message names
            return None
        self._let_go(said.pci)
        return self._folder.fold(said, seen)

    def _let_go(self, pci: str) -> None:
        """Fold the serial or UUID that waits for the address of its GPU."""
        if self._nameless:
            said, seen = self._nameless
            self._nameless = None
            self._folder.fold(replace(said, pci=pci), seen)

    def _understand(self, message: bytes) -> Said | None:
        """Return what a message says. Messages that differ in what is not told apart are understood once."""
        found = _XID.search(message)
        if found is None and (b"NVRM" in message or b"Xid (" in message or b"NVSwitch" in message):
            return self._reader.read(message.decode("utf-8", "replace"))
        said = self._cache.get(key := _key(message, found), _UNKNOWN)
        if said is _UNKNOWN:
            if len(self._cache) >= CACHED:
                self._cache.clear()
            text = message.decode("utf-8", "replace")
            said = self._cache[key] = nvrm.xid(text) if found else host.read(text)
        if found and said:
            self._reader.name(said.pci)
        return said

    def _new_boot(self) -> None:
        self._boots += 1
        self._boot, self._mono = f"boot-{self._boots}", 0.0

    def _sighting(self, seen: Seen) -> Sighting:
        """Return where and when a line was seen; what is before a message is read for those that are kept alone."""
        line = prefix.split(seen.raw.decode("utf-8", "replace"), self.clock)
        at, boot = line.at, line.boot or seen.boot
        if line.mono_s is not None and not self._one_boot and not line.boot and seen.line == self._line:
            if line.mono_s < self._mono - REBOOTED_S:
                self._new_boot()
                boot = self._boot
            self._mono = line.mono_s
        if at is None and line.mono_s is not None and self.clock.booted_at and self.member == "kernel/dmesg.txt":
            at = _later(self.clock.booted_at, line.mono_s)
        return Sighting(seen.line, at.isoformat(timespec="seconds") if at else None, line.mono_s, boot)


def _or(found: int, size: int) -> int:
    return size if found < 0 else found


def _later(when: datetime, seconds: float) -> datetime | None:
    try:
        return when + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _message(raw: bytes) -> bytes | None:
    """Return the message of a journal line, or of a line that is plainly the kernel's, without reading its time.

    None for a line that has to be taken apart.
    """
    if raw.startswith(b"{"):
        found = _MESSAGE.search(raw)
        return found[1] if found and (_KERNEL.search(raw) or b"SYSLOG_IDENTIFIER" not in raw) else None
    plain = _PLAIN.match(raw)
    return raw[plain.end() :] if plain else None


def _key(message: bytes, xid: re.Match[bytes] | None) -> bytes:
    """Return what of a message decides what is understood: of most Xids, no more than address and number."""
    if xid is None:
        return message
    if int(xid[2]) not in READERS and b"caused by" not in message:
        return xid[0]
    head = _HEAD.match(message, xid.end())
    rest = message[head.end() if head else xid.end() :]
    return xid[0] + (_SINGLE.sub(b"", rest) if b"Ch" in rest or b"@ 0x" in rest else rest)


def clock_of(facts: Mapping[str, Any], collected_at: datetime) -> Clock:
    """Return the clock of the box whose facts these are, when they were collected."""
    zone, booted = value(facts, "system", "timezone"), value(facts, "system", "booted_at")
    return clock(zone, booted, collected_at)


def clock(zone: object, booted_at: object, reference: datetime) -> Clock:
    """Return the clock for a zone's name and a boot time (RFC 3339); UTC and None for what is neither."""
    try:
        known = ZoneInfo(zone) if isinstance(zone, str) else UTC
    except (ValueError, OSError, LookupError):
        known = UTC
    try:
        booted = datetime.fromisoformat(booted_at) if isinstance(booted_at, str) else None
    except ValueError:
        booted = None
    return Clock(reference, known, booted if booted and booted.tzinfo else None)
