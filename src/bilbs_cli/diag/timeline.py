"""What happened, in order: kernel, BMC event log (corrected by its clock's offset), PCIe errors, services, boots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bilbs_cli.diag.findings import Box, Finding, Judgement, Severity, moment
from bilbs_cli.diag.kernel_log import bursts
from bilbs_cli.diag.kernel_log.bursts import Burst
from bilbs_cli.diag.kernel_log.events import Event
from bilbs_cli.diag.model import branch, value

MOST = 400  # moments; the newest and the first cause are kept, the rest is one line that says so
TEXT = 300
SEL = "ipmi/sel.txt"
SEL_HEAD = 3  # lines above its first record; one more where the log is not whole
PARTS = {
    "gpu": ("xid", "off_bus", "nvrm_init", "nvrm_reset_required", "nvrm_identity"),
    "nvswitch": ("sxid",),
    "pci": ("aer", "ib_module"),
}
SOURCES = {"aer": "aer", "boot": "boot"}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline.

    `at` is aware, in UTC; `source` one of `kernel`, `sel`, `aer`, `service`, `boot`, `check`; `member` and `line` say
    where it stands in the bundle. `count` folds repeats, `last_at` is then the time of the last. `first_cause` marks the
    event that the rest followed. `corrected` says that the BMC's clock was set right by its offset; `guessed` that the
    time was worked out (a year, a zone or a boot time was not in the line).
    """

    at: datetime
    source: str
    text: str
    part: str = ""
    severity: Severity | None = None
    rule: str = ""
    member: str = ""
    line: int | None = None
    count: int = 1
    last_at: datetime | None = None
    first_cause: bool = False
    corrected: bool = False
    guessed: bool = False


def build(box: Box, judgement: Judgement) -> tuple[Moment, ...]:
    """Return what happened, oldest first, at most `MOST` moments. What has no time is left out: see `unplaced`.

    Each moment has severity, rule and part of the finding that rests on it. The first cause is the earliest that a root
    finding rests on: a critical one, and only where there is none, a warning.
    """
    known = _Known(judgement.findings)
    rested = [*_kernel(box, known), *_sel(box, known), *_services(box)]
    rested += [(boot, None) for boot in _this_boot(box, [one for one, _ in rested])]
    rested.append((Moment(box.now, "check", "the state that was checked was read"), None))
    rested.sort(key=lambda pair: _order(pair[0]))
    first = next((at for rank in (2, 1) for at, (_, root) in enumerate(rested) if _is_root(root, rank)), None)
    moments = [replace(one, first_cause=at == first) for at, (one, _) in enumerate(rested)]
    return tuple(_bounded(moments))


def unplaced(box: Box) -> int:
    """Return how many entries have no place in the timeline: no time is known of them, or a scanner only counted them."""
    timeless = sum(copies[0].first_at is None for copies in told(box))
    records = sum(_sel_time(one) is None for one in _records(box))
    units = sum(when is None for _, when in _failed(box))
    return timeless + records + units + max((log.left_out for log in box.logs), default=0)


def _is_root(finding: Finding | None, rank: int) -> bool:
    """Say whether a root finding of that severity rests on it.

    A record of the BMC's log below the sensor that still shows it is the same fault, with the time of its beginning.
    """
    if finding is None or finding.severity.rank != rank:
        return False
    same = finding.rule.startswith("bmc.sel.") and finding.caused_by.endswith(f"@{finding.part}")
    return not finding.caused_by or same


def _order(one: Moment) -> tuple[datetime, bool, bool, str, int, str]:
    return one.at, one.source != "boot", one.source == "check", one.member, one.line or 0, one.text


def _bounded(moments: Sequence[Moment]) -> Sequence[Moment]:
    if len(moments) <= MOST:
        return moments
    left, newest = moments[: 2 - MOST], moments[2 - MOST :]
    kept = [one for one in left if one.first_cause]
    gone = [one for one in left if not one.first_cause]
    said = f"{len(gone)} earlier entries are left out of this list"
    note = Moment(gone[0].at, "check", said, count=len(gone), last_at=gone[-1].at)
    return sorted([note, *kept, *newest], key=lambda one: one.at)


def told(box: Box) -> tuple[tuple[Burst, ...], ...]:
    """Return the bursts of the kernel's logs, each once with all its copies."""
    return box.derive(_told)


def _told(box: Box) -> tuple[tuple[Burst, ...], ...]:
    return bursts.told(box.logs, moment(value(box.facts, "system", "booted_at")))


class _Known:
    """The findings, to be found by what they rest on."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._by_line: dict[tuple[str, int], Finding] = {}
        self._by_key: dict[str, Finding] = {}
        self._by_time: dict[datetime, Finding] = {}
        for one in sorted(findings, key=lambda one: (bool(one.caused_by), -one.severity.rank)):
            self._by_key.setdefault(one.key, one)
            for proof in one.evidence:
                if proof.line is not None:
                    self._by_line.setdefault((proof.member, proof.line), one)
                if (when := moment(proof.at)) and (proof.member.startswith("ipmi/") or proof.path.startswith("bmc/")):
                    self._by_time.setdefault(when, one)

    def of_event(self, copies: Sequence[Burst], part: str) -> tuple[Finding | None, Burst]:
        """Return the finding that rests on an event, and the copy of it that the finding cites."""
        for one in copies:
            cited = (self._by_line.get((one.member, seen.line)) for seen in one.event.sightings)
            if found := next(filter(None, cited), None):
                return found, one
        event = copies[0].event
        return self._by_key.get(f"{event.kind}.{event.code}@{part}"), copies[0]

    def of_record(self, line: int, times: Sequence[datetime | None]) -> Finding | None:
        """Return the finding that rests on a record of the BMC's event log."""
        by_time = (self._by_time[when] for when in times if when in self._by_time)
        return self._by_line.get((SEL, line)) or next(by_time, None)


Rested = tuple[Moment, Finding | None]


def _kernel(box: Box, known: _Known) -> Iterator[Rested]:
    for copies in told(box):
        best, part = copies[0], _part(copies[0].event)
        finding, cited = known.of_event(copies, part)
        span = bursts.span(copies)
        if span is None:
            continue
        shown = Moment(
            span[0],
            SOURCES.get(best.event.kind, "kernel"),
            _line(best.event.text or best.event.kind),
            part,
            member=cited.member,
            line=cited.line,
            count=(times := bursts.count(copies)),
            last_at=span[1] if times > 1 else None,
            guessed=best.guessed,
        )
        yield _judged(shown, finding), finding


def _part(event: Event) -> str:
    kind = next((name for name, kinds in PARTS.items() if event.kind in kinds), "")
    return f"{kind}:{event.pci}" if kind and event.pci else ""


def _judged(shown: Moment, finding: Finding | None) -> Moment:
    if finding is None:
        return shown
    return replace(shown, severity=finding.severity, rule=finding.rule, part=finding.part)


def _line(text: str) -> str:
    return " ".join(text.split())[:TEXT]


def _records(box: Box) -> Sequence[Mapping[str, Any]]:
    found = value(box.facts, "bmc", "sel", "records")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _sel_time(record: Mapping[str, Any]) -> datetime | None:
    return moment(record.get("host_time")) or moment(record.get("bmc_time"))


def _sel(box: Box, known: _Known) -> Iterator[Rested]:
    """Yield the records of the BMC's log, repeats of one event folded. A record without a time stays out."""
    records = _records(box)
    first = first_sel_line(box, len(records))
    alike: dict[tuple[str, ...], list[tuple[int, Mapping[str, Any], datetime]]] = {}
    for at, record in enumerate(records):
        if when := _sel_time(record):
            names = ("record_type", "sensor", "sensor_key", "event_type", "offset", "asserted")
            words = str(record.get("text")) if record.get("event_type") is None else ""
            alike.setdefault((*(str(record.get(name)) for name in names), words), []).append((at, record, when))
    for rows in alike.values():
        for run in bursts.runs([when.timestamp() for _, _, when in rows]):
            yield _record(box, known, [(at + first, record, when) for at, record, when in rows[run.start : run.stop]])


def first_sel_line(box: Box, records: int) -> int:
    """Return the line of `SEL` on which the first of the records in the facts stands: they are its last ones."""
    read = value(box.facts, "bmc", "sel", "read")
    older = read - records if isinstance(read, int) and records < read < 1 << 31 else 0
    return SEL_HEAD + 1 + older + ("rest" in branch(box.facts, "bmc", "sel"))


def _record(box: Box, known: _Known, rows: Sequence[tuple[int, Mapping[str, Any], datetime]]) -> Rested:
    line, record, _ = rows[0]
    corrected = moment(record.get("host_time")) is not None
    name = value(box.facts, "bmc", "sensors", str(record.get("sensor_key")))
    name = name.get("name") if isinstance(name, Mapping) else None
    state = " (over)" if record.get("asserted") is False else ""
    found = (
        known.of_record(at, [moment(one.get(clock)) for clock in ("host_time", "bmc_time")]) for at, one, _ in rows
    )
    finding = next(filter(None, found), None)
    sensor, text = (_line(str(record.get(name) or "")) for name in ("sensor", "text"))
    times = [when for _, _, when in rows]
    shown = Moment(
        min(times),
        "sel",
        _line(f"{sensor}: {text}{state}" if sensor else text or "a record without words"),
        f"bmc:sensor:{name}" if isinstance(name, str) and name else "bmc:sel",
        member=SEL,
        line=line,
        count=len(rows),
        last_at=max(times) if len(rows) > 1 else None,
        corrected=corrected,
        guessed=not corrected,
    )
    return _judged(shown, finding), finding


def _failed(box: Box) -> Iterator[tuple[str, datetime | None]]:
    """Yield the failed units with the time since when they are, None where systemd was not asked for it."""
    names = value(box.facts, "services", "failed")
    for name in names if isinstance(names, list) else ():
        since_us = value(box.facts, "services", "units", str(name), "state_changed_us")
        known = isinstance(since_us, int) and not isinstance(since_us, bool) and 0 < since_us < 1 << 62
        yield str(name), _after(moment(value(box.facts, "system", "booted_at")), since_us / 1e6) if known else None


def _after(when: datetime | None, seconds: float) -> datetime | None:
    try:
        return when + timedelta(seconds=seconds) if when else None
    except OverflowError:
        return None


def _services(box: Box) -> Iterator[Rested]:
    for name, when in _failed(box):
        if when:
            result = value(box.facts, "services", "units", name, "result")
            why = f" ({result})" if isinstance(result, str) and result else ""
            text = _line(f"{name} failed{why}")
            yield Moment(when, "service", text, f"service:{name[:80]}", member="services/units.txt", guessed=True), None


def _this_boot(box: Box, others: Sequence[Moment]) -> Iterator[Moment]:
    """Yield the start of the running boot, unless a log's own first line of it is there."""
    when = moment(value(box.facts, "system", "booted_at"))
    logged = (one.at.timestamp() for one in others if one.source == "boot")
    if when and not any(abs(at - when.timestamp()) <= bursts.BOOT_S for at in logged):
        yield Moment(when, "boot", "the running system was started", "host", member="facts.json")
