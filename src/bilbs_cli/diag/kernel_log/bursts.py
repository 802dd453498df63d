"""Bursts: repeats of an event close together, and the copies of one burst in several logs brought together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bilbs_cli.diag.kernel_log.events import Event, Log, Sighting
from bilbs_cli.diag.kernel_log.folding import FIRST
from bilbs_cli.diag.kernel_log.members import boot_of, family

QUIET_S = 600.0  # that long without a repeat, and the next one opens a new burst
SAME_S = 1.0  # logs keep whole seconds, some round and some cut
BOOT_S = 180.0  # the first line of a boot is written to a file when the logger runs, that much later at most
ZONES_S = 26 * 3600.0  # the farthest that a zone which was not in the line can set a time wrong
ACTIVE = 32  # bursts that run at the same time and are compared: hostile logs may have any number
TOLD_APART = ("device", "array", "task", "dimm", "controller", "name", "cpu", "what", "type", "severity", "why")


@dataclass(frozen=True, slots=True)
class Burst:
    """Repeats of one event in one log. `first_at` and `last_at` are None where no line has a time that can be known.

    `mono` are seconds since `boot` (see `Sighting`) of those repeats that have them. `guessed`: the time was worked out
    from the start of the boot.
    """

    event: Event
    member: str
    first_at: datetime | None
    last_at: datetime | None
    count: int
    line: int
    mono: tuple[float, ...] = ()
    boot: str = ""
    guessed: bool = False


def runs(seconds: Sequence[float], quiet_s: float = QUIET_S) -> list[range]:
    """Return the positions of each burst in times given in the order of the log; a clock set back opens one too.

    >>> runs([0, 30, 60, 4000, 4001])
    [range(0, 3), range(3, 5)]
    """
    starts = [at for at, now in enumerate(seconds) if not at or abs(now - seconds[at - 1]) > quiet_s]
    return [range(start, end) for start, end in zip(starts, [*starts[1:], len(seconds)], strict=True)]


def told(logs: Sequence[Log], booted_at: datetime | None) -> tuple[tuple[Burst, ...], ...]:
    """Return every burst of all logs once, as the tuple of its copies, the one with the best time first.

    Copies are the same kind, code and address, at the same time (a ring buffer may have lost the beginning) or with the
    same time since boot. Those without any time come last.
    """
    found = sorted((one for log in logs for one in _bursts(log, booted_at)), key=_order)
    gathered: list[_Copies] = []
    by_mono: dict[tuple[Any, ...], _Copies] = {}
    running: dict[tuple[Any, ...], list[_Copies]] = {}
    for burst in found:
        same = _identity(burst.event)
        copies = _by_mono(by_mono, same, burst) or _running(running.get(same, []), burst)
        if copies is None:
            copies = _Copies()
            gathered.append(copies)
        copies.add(burst)
        if burst.first_at:
            others = [one for one in running.get(same, []) if one is not copies]
            running[same] = [*others[1 - ACTIVE :], copies]
        by_mono |= {(same, text, stamp): copies for stamp in burst.mono for text in (burst.event.text, "")}
    return tuple(tuple(sorted(one.bursts, key=_trust)) for one in gathered)


def count(copies: Sequence[Burst]) -> int:
    """Return how often it happened: the most that one family of logs counted; rotated logs of a family add up."""
    counts: dict[str, int] = {}
    for one in copies:
        name = family(one.member)
        counts[name] = counts.get(name, 0) + one.count
    return max(counts.values())


def span(copies: Sequence[Burst]) -> tuple[datetime, datetime] | None:
    """Return the first and the last time of a burst, by its best copy; None where no time is known.

    Another copy that lies beside it moves them where it has seen more: a log was rotated, a journal was cut.
    """
    best = copies[0]
    if best.first_at is None or best.last_at is None:
        return None
    first, last = best.first_at, best.last_at
    for one in copies[1:]:
        if one.guessed or one.first_at is None or one.last_at is None:
            continue
        before = first.timestamp() - one.first_at.timestamp()
        after = one.last_at.timestamp() - last.timestamp()
        if (
            one.last_at.timestamp() >= first.timestamp() - QUIET_S
            and one.first_at.timestamp() <= last.timestamp() + QUIET_S
        ):
            first = one.first_at if before > SAME_S else first
            last = one.last_at if after > SAME_S else last
    return first, last


@dataclass(slots=True)
class _Copies:
    bursts: list[Burst] = field(default_factory=list)
    members: set[str] = field(default_factory=set)
    end: float = 0.0

    def add(self, burst: Burst) -> None:
        self.bursts.append(burst)
        self.members.add(burst.member)
        if burst.last_at:
            self.end = max(self.end, burst.last_at.timestamp()) if self.end else burst.last_at.timestamp()


def _bursts(log: Log, booted_at: datetime | None) -> Iterator[Burst]:
    for event in log.events:
        counts = _shares(event)
        placed = [(one, *_when(one, log.member, booted_at)) for one in event.sightings]
        for boot in dict.fromkeys((one.boot, at is None) for one, at, _ in placed):
            own = [at for at, (one, when, _) in enumerate(placed) if (one.boot, when is None) == boot]
            times = [when.timestamp() if (when := placed[at][1]) else 0.0 for at in own]
            for run in runs(times, 0.0 if event.kind == "boot" else QUIET_S):  # each boot counts, however short it was
                yield _burst(log.member, event, [(placed[own[at]], counts[own[at]]) for at in run])


def _burst(member: str, event: Event, kept: Sequence[tuple[tuple[Sighting, datetime | None, bool], int]]) -> Burst:
    sightings = [one for (one, _, _), _ in kept]
    times = [when for (_, when, _), _ in kept if when]
    return Burst(
        event,
        member,
        min(times, default=None),
        max(times, default=None),
        sum(share for _, share in kept),
        sightings[0].line,
        tuple(round(one.mono_s, 6) for one in sightings if one.mono_s),
        boot_of(member) or sightings[0].boot,
        any(guessed for (_, _, guessed), _ in kept),
    )


def _shares(event: Event) -> list[int]:
    """Return for how many repeats each sighting stands: those that were not kept lie evenly after the first ones."""
    sightings = len(event.sightings)
    missing = max(event.count - sightings, 0)
    spread = max(sightings - FIRST, 1)
    shares = [1] * sightings
    for at in range(sightings - spread, sightings):
        shares[at] += missing // spread
    shares[-1] += missing % spread
    return shares


def _when(one: Sighting, member: str, booted_at: datetime | None) -> tuple[datetime | None, bool]:
    """Return the time of a sighting, and whether it was worked out from the start of the boot."""
    if one.at:
        try:
            return datetime.fromisoformat(one.at), member == "kernel/dmesg.txt"
        except ValueError:
            return None, False
    if booted_at and one.mono_s is not None and "this" in {one.boot, boot_of(member)}:
        try:
            return booted_at + timedelta(seconds=one.mono_s), True
        except OverflowError:
            return None, False
    return None, False


def _identity(event: Event) -> tuple[Any, ...]:
    """Return what makes it the same in another log. The task of an OOM kill is only that of the first one."""
    if event.code is not None or event.kind == "oom":
        return event.kind, event.code, event.pci
    return event.kind, event.pci, *(str(event.detail.get(name, ""))[:80] for name in TOLD_APART)


def _order(burst: Burst) -> tuple[bool, float, str, int]:
    return (
        burst.first_at is None,
        burst.first_at.timestamp() if burst.first_at else 0.0,
        burst.member,
        burst.line,
    )


def _trust(burst: Burst) -> tuple[bool, bool, bool, str, float, str]:
    """Sort a journal's time before a syslog's, which has no zone, and that before one reckoned from the boot."""
    began = burst.first_at.timestamp() if burst.first_at else 0.0
    member = burst.member
    return burst.first_at is None, burst.guessed, "journal" not in member, family(member), began, member


def _by_mono(known: Mapping[tuple[Any, ...], _Copies], same: tuple[Any, ...], burst: Burst) -> _Copies | None:
    for text in (burst.event.text, ""):  # the same words decide where two lines have one stamp
        for stamp in burst.mono:
            copies = known.get((same, text, stamp))
            if copies and burst.member not in copies.members and all(_same_boot(burst, one) for one in copies.bursts):
                return copies
    return None


def _same_boot(burst: Burst, other: Burst) -> bool:
    """Say whether two bursts with one stamp can be of one boot: `boot-2` and an id may be, `this` and `previous` not."""
    named = {burst.boot, other.boot}
    if named == {"this", "previous"} or (len(named) == 2 and all(len(one) == 32 for one in named)):
        return False
    if burst.first_at is None or other.first_at is None:
        return True
    return abs(burst.first_at.timestamp() - other.first_at.timestamp()) <= ZONES_S


def _running(running: Sequence[_Copies], burst: Burst) -> _Copies | None:
    if burst.first_at is None:
        return None
    began = burst.first_at.timestamp() - (BOOT_S if burst.event.kind == "boot" else SAME_S)
    near = [one for one in running if burst.member not in one.members and one.end >= began]
    alike = (one for one in near if one.bursts[0].event.text == burst.event.text)
    return next(alike, near[0] if near else None)
