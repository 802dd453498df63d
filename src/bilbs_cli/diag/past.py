"""Earlier checks as lines of history.jsonl: what one check leaves there, which lines stay, what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bilbs_cli.diag import identity
from bilbs_cli.diag.baseline import Baseline, History, PastFault, baseline_of, history_of
from bilbs_cli.diag.findings import Box, Facts, Finding, Judgement, Severity, moment
from bilbs_cli.diag.inventory import counters_of, device_of
from bilbs_cli.diag.model import value

Line = dict[str, Any]

SOON = timedelta(minutes=5)  # checks closer than this to the last one leave no samples
DENSE, MOST_LINES, MOST_BYTES = 100, 500, 1 << 20  # the newest checks all, then one a day; never more than this
JITTER = timedelta(seconds=2)  # of the time of the boot, which is now minus the uptime
RECALLED = 12  # the newest checks that go into the facts as they are; of the older ones, what changed
THIS_BOOT = ("kernel/dmesg", "kernel/journal-this-boot", "facts.json")  # members that speak of this boot only


def line_of(facts: Facts, judgement: Judgement, at: datetime, boot: str, history: History) -> Line | None:
    """Return what a check leaves in the history, None where it says nothing that the last one did not."""
    box = Box(facts, at)
    known = {name for one in history.faults for name in _names(one)}
    faults = [one for one in faults_of(box, judgement, boot) if not known & set(_names(one))]
    samples = [] if _is_soon(history, at, boot) else list(_samples(box))
    if not faults and not samples and (not boot or boot in history.boots):
        return None
    rows = [
        {"at": one.at.isoformat(), "boot": one.boot, "rule": one.rule, "pci": one.pci}
        | {"serial": one.serial, "slot": one.slot}
        for one in dict.fromkeys(faults)
    ]
    return {"at": at.isoformat(), "boot": boot, "gpus": samples, "faults": rows}


def _is_soon(history: History, at: datetime, boot: str) -> bool:
    """Say whether the last check of this boot was just now; a clock that jumped is not soon."""
    last = next((one for one in reversed(history.samples) if one.boot == boot), None)
    return last is not None and abs(at - last.at) < SOON


def _samples(box: Box) -> Iterator[Line]:
    for gpu in identity.gpus(box):
        counters = counters_of(device_of(box.facts, gpu.pci))
        if counters and (gpu.pci or gpu.serial):
            yield {"pci": gpu.pci, "serial": gpu.serial, "slot": gpu.slot, "counters": counters}


def _names(fault: PastFault) -> tuple[tuple[str, ...], ...]:
    """Return what makes it the same fault: the same one in the same boot on the same card, or at the same second."""
    at = fault.at.isoformat(timespec="seconds")
    return (fault.rule, fault.pci, fault.serial, fault.boot), (fault.rule, fault.pci, at)


def faults_of(box: Box, judgement: Judgement, boot: str = "") -> Iterator[PastFault]:
    """Yield the faults of GPUs that a check found, on the card that had them: the log may speak of an earlier boot."""
    history, baseline = history_of(box.facts), baseline_of(box.facts)
    booted = moment(value(box.facts, "system", "booted_at"))
    for finding in judgement.findings:
        gpu = identity.of_part(box, finding.part)
        if gpu is None or finding.severity is Severity.INFO:
            continue
        when = moment(finding.last_at) or (box.now if _is_of_this_boot(finding) else None)
        if when and (booted is None or when >= booted - JITTER):
            yield PastFault(when, boot, finding.rule, gpu.pci, gpu.serial, gpu.slot)
        elif when:
            yield _earlier(finding.rule, gpu, when, boot, history, baseline)


def _is_of_this_boot(finding: Finding) -> bool:
    """Say whether a finding without a time is of now: it rests on readings, or on a log of this boot alone."""
    return all(one.member.startswith(THIS_BOOT) for one in finding.evidence)


def _earlier(
    rule: str, gpu: identity.GpuIdentity, when: datetime, boot: str, history: History, baseline: Baseline | None
) -> PastFault:
    """Return a fault of an earlier boot, on the card that was in the place then: it may have been swapped since."""
    before = [one for one in history.samples if one.at <= when and one.boot != boot]
    then = next((one for one in reversed(before) if one.pci == gpu.pci), None)
    last = before[-1].boot if before else ""
    if then:
        return PastFault(when, last, rule, gpu.pci, then.serial, then.slot)
    known = baseline.gpu_at(gpu.pci) if baseline and baseline.taken_at <= when else None
    printed = gpu.serial if gpu.serial_from.startswith("the kernel log") else ""
    serial, slot = (known.serial, known.slot) if known else (printed, "")
    return PastFault(when, last, rule, gpu.pci, serial, slot)


def history_value(lines: Iterable[Line]) -> Line:
    """Return the fact `memory/history` of these lines. Of older checks only what changed is repeated."""
    every = list(lines)
    samples = [row for line in every for row in _rows(line, "gpus") if row.get("at")]
    faults = [row for line in every for row in _rows(line, "faults") if row.get("at")]
    boots = dict.fromkeys(boot for line in every if isinstance(boot := line.get("boot"), str) and boot)
    newest = sum(len(list(_rows(line, "gpus"))) for line in every[-RECALLED:])
    older = samples[: len(samples) - newest]
    return {"samples": [*_changes(older), *samples[len(older) :]], "faults": faults, "boots": list(boots)}


def _rows(line: Line, name: str) -> Iterator[Line]:
    """Yield the rows of one line, with the time and boot of the check where they have none of their own."""
    found = line.get(name)
    for row in found if isinstance(found, list) else ():
        if isinstance(row, Mapping):
            yield {"at": line.get("at"), "boot": line.get("boot", "")} | dict(row)


def _changes(samples: Sequence[Line]) -> Iterator[Line]:
    """Yield the samples without those that equal both their neighbours of the same card, place and boot."""
    neighbours: dict[str, list[int]] = {}
    for number, one in enumerate(samples):
        neighbours.setdefault(f"{one.get('pci')} {one.get('serial')}", []).append(number)
    dull = {
        here
        for row in neighbours.values()
        for before, here, after in zip(row, row[1:], row[2:], strict=False)
        if _said(samples[before]) == _said(samples[here]) == _said(samples[after])
    }
    return (one for number, one in enumerate(samples) if number not in dull)


def _said(row: Line) -> tuple[Any, ...]:
    return row.get("boot"), row.get("slot"), row.get("counters")


def thinned(lines: Sequence[tuple[Line, bytes]]) -> list[bytes]:
    """Return the texts of the lines that stay, in order: the newest, the last of each day, and those with a fault.

    The oldest go first when there are still too many, or when they are too large together.
    """
    days = {str(line.get("at"))[:10]: number for number, (line, _) in enumerate(lines)}
    kept = [
        text
        for number, (line, text) in enumerate(lines)
        if number >= len(lines) - DENSE or line.get("faults") or days[str(line.get("at"))[:10]] == number
    ][-MOST_LINES * 3 // 4 :]
    total = sum(map(len, kept))
    while kept and total > MOST_BYTES * 3 // 4:
        total -= len(kept.pop(0))
    return kept
