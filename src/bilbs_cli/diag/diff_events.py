"""Findings, records of the BMC's event log and kernel events: what came, what went, what is told otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.diff_change import Change, Group, Kind, change
from bilbs_cli.diag.diff_readings import counted
from bilbs_cli.diag.diff_watched import Facts
from bilbs_cli.diag.findings import FACTS, Finding, NotEvaluated
from bilbs_cli.diag.kernel_log.events import Event, logs_of
from bilbs_cli.diag.model import Reading, Value, lookup, value

RECORDS = ("bmc", "sel", "records")
SILENT = frozenset({"boot", "nvrm_identity"})  # events that are no trouble
RECORD_TEXT = 120

EventKey = tuple[str, int | None, str]


def findings(before: Checked, after: Checked) -> Iterator[Change]:
    """Yield the findings that are new, gone, or of another severity or verdict."""
    old, new = _findings(before), _findings(after)
    for key in {**old, **new}:
        was, now = old.get(key), new.get(key)
        if was and now:
            yield from _changed(was, now)
        elif one := now or was:
            blind = before if now else after
            gap = _gap(one, blind.judgement.not_evaluated)
            yield _unknown(one, gap, gone=now is None) if gap else _alone(one, gone=now is None)


def _findings(checked: Checked) -> dict[str, Finding]:
    """Return the findings by key, the worst of each."""
    found: dict[str, Finding] = {}
    for one in checked.judgement.findings:
        known = found.get(one.key)
        if known is None or (one.severity.rank, one.verdict.rank) > (known.severity.rank, known.verdict.rank):
            found[one.key] = one
    return found


def _gap(one: Finding, gaps: tuple[NotEvaluated, ...]) -> NotEvaluated | None:
    """Return why the other side could not say whether this holds there, None where it could."""
    mine = [gap for gap in gaps if gap.rule == one.rule]
    fits = (gap for gap in mine if gap.part == one.part or one.part.startswith(f"{gap.part}:"))
    return next(fits, None)


def _changed(was: Finding, now: Finding) -> Iterator[Change]:
    path = f"findings/{now.key}"
    if (was.severity, was.verdict) != (now.severity, now.verdict):
        weight = max(was.severity.rank, now.severity.rank)
        sides = Value(_rating(was)), Value(_rating(now))
        yield change(Group.FINDINGS, Kind.CHANGED, _what(now), sides, path, weight=weight)


def _rating(one: Finding) -> str:
    return f"{one.severity.value}: {one.verdict.words}"


def _what(one: Finding) -> str:
    return f"{one.label or one.part}: {one.message} [{one.rule}]"


def _alone(one: Finding, *, gone: bool) -> Change:
    said: Reading = Value(_rating(one))
    sides = (said, None) if gone else (None, said)
    logged = gone and any(proof.member != FACTS for proof in one.evidence)
    note = "its log lines are no longer there: that alone does not prove it healed" if logged else ""
    path = f"findings/{one.key}"
    kind = Kind.GONE if gone else Kind.NEW
    return change(Group.FINDINGS, kind, _what(one), sides, path, note=note, weight=one.severity.rank)


def _unknown(one: Finding, gap: NotEvaluated, *, gone: bool) -> Change:
    said, why = Value(_rating(one)), Value(f"not evaluated: {gap.reason}")
    sides = (said, why) if gone else (why, said)
    path = f"findings/{one.key}"
    note = "only the earlier one could be judged" if gone else "only the later one could be judged"
    return change(Group.UNKNOWN, Kind.UNKNOWN, _what(one), sides, path, note=note, weight=one.severity.rank)


def sel(before: Facts, after: Facts) -> Iterator[Change]:
    """Yield the records that only one side has. A log that lost some was cleared, or its oldest were pushed out."""
    was, now = lookup(before, *RECORDS), lookup(after, *RECORDS)
    path = "/".join(RECORDS)
    if not (isinstance(was, Value) and isinstance(now, Value)):
        if isinstance(was, Value) or isinstance(now, Value):
            note = "only the earlier one has it" if isinstance(was, Value) else "only the later one has it"
            sides = [Value(f"{len(_records(one))} records") if isinstance(one, Value) else one for one in (was, now)]
            yield change(Group.UNKNOWN, Kind.UNKNOWN, "the BMC's event log", sides, path, note=note, weight=1)
        return
    old, new = _records(was), _records(now)
    gone, came = [one for key, one in old.items() if key not in new], [new[key] for key in new if key not in old]
    erased = _erased(before), _erased(after)
    if all(erased) and erased[0] != erased[1]:
        sides = [Value(f"{len(log)} records, last erased {when}") for log, when in zip((old, new), erased, strict=True)]
        note = f"it was cleared: {len(gone)} records of the earlier one are gone"
        yield change(Group.SEL, Kind.CHANGED, "the BMC's event log", sides, "bmc/sel/last_erased", note=note, weight=3)
    yield from (_record(one, gone=False) for one in came)
    yield from (_record(one, gone=True) for one in gone)


def _records(reading: Reading) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the records by id and raw bytes: an id alone is used again after the log was cleared."""
    found = reading.value if isinstance(reading, Value) else None
    rows = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    return {(_text(one.get("id")), _text(one.get("raw") or one.get("text"))): one for one in rows}


def _text(found: object) -> str:
    return found[:200] if isinstance(found, str) else str(found) if isinstance(found, int) and found < 1 << 32 else ""


def _erased(facts: Facts) -> str:
    return _text(value(facts, "bmc", "sel", "last_erased"))


def _record(one: Mapping[str, Any], *, gone: bool) -> Change:
    when = _text(one.get("host_time")) or _text(one.get("bmc_time")) or "no time"
    number = one.get("id")
    name = f"{number:04x}" if isinstance(number, int) and 0 <= number < 1 << 16 else _text(number)
    state = " (over)" if one.get("asserted") is False else ""
    said = f"{_text(one.get('sensor')) or 'record'}: {_text(one.get('text'))}{state}"[:RECORD_TEXT]
    there: Reading = Value(f"{when}, raw {_text(one.get('raw'))}")
    sides = (there, None) if gone else (None, there)
    path = f"sel/{name}"
    kind = Kind.GONE if gone else Kind.NEW
    note = "no longer in the log: cleared, or pushed out by newer ones" if gone else ""
    return change(Group.SEL, kind, f"record {name}: {said}", sides, path, note=note, weight=0 if gone else 1)


def events(before: Facts, after: Facts, between_s: float) -> Iterator[Change]:
    """Yield the kernel events that are told more or less often, each kind of each device once."""
    old, new = _events(before), _events(after)
    for key in {**old, **new}:
        was, now = old.get(key), new.get(key)
        counts = was[0] if was else 0, now[0] if now else 0
        if counts[0] == counts[1]:
            continue
        event = (now or was or (0, None))[1]
        if event is None:
            continue
        kind = Kind.NEW if not was else Kind.GONE if not now else counted(*counts, between_s)[0]
        sides = [Value(count) if count else None for count in counts]
        note = f"last at {now[1].last.at}" if now and now[1].last.at else ""
        if kind in {Kind.GONE, Kind.RESET}:
            note = "no longer in the logs that were kept" if kind is Kind.GONE else "fewer are left in the logs"
        path = f"events/{'.'.join(str(one) for one in key if one not in (None, ''))}"
        yield change(Group.EVENTS, kind, _told(key, event), sides, path, note=note, weight=2 if kind is Kind.NEW else 1)


def _events(facts: Facts) -> dict[EventKey, tuple[int, Event]]:
    """Return how often each event is told: in the log that tells it most often, for logs repeat one another."""
    found: dict[EventKey, tuple[int, Event]] = {}
    for log in logs_of(facts):
        here: dict[EventKey, tuple[int, Event]] = {}
        for event in log.events:
            if event.kind not in SILENT:
                key = (event.kind, event.code, event.pci)
                here[key] = (here.get(key, (0, event))[0] + event.count, event)
        for key, counted_here in here.items():
            if key not in found or counted_here[0] > found[key][0]:
                found[key] = counted_here
    return found


def _told(key: EventKey, event: Event) -> str:
    kind, code, pci = key
    name = kind if code is None else f"{kind} {code}"
    return f"{name}{f' on {pci}' if pci else ''}: {event.text}"[:RECORD_TEXT]
