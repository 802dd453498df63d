"""The BMC's event log: what was asserted, not taken back later and not too old; a rule for each class of events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial

from bilbs_cli.diag.findings import Box, Case, Evidence, Found, Rule, Severity, Verdict
from bilbs_cli.diag.model import value
from bilbs_cli.diag.rules import sel_pairs
from bilbs_cli.diag.rules.ipmi_states import FREEIPMI, IPMI, LOGGING, MEMORY, SPECIFIC, Numbers
from bilbs_cli.diag.rules.scopes import SEL
from bilbs_cli.diag.rules.sel_classes import CLASSES, Class, class_of
from bilbs_cli.diag.rules.sel_pairs import Event, Pair
from bilbs_cli.diag.timeline import first_sel_line

OLD = timedelta(days=30)  # an event that is older is history (ours: logs are seldom cleared, and hold years)
MANY_CORRECTED = 10  # corrected memory errors in the log (ours); fewer are told
RECORD_BYTES = 16
ALMOST_FULL_BYTES = 64 * RECORD_BYTES  # a storm of events fills that in minutes (ours)
MEMBER = "ipmi/sel.txt"
TOLD = 3  # events of one class and part that are cited
FULL, ALMOST_FULL = (LOGGING, SPECIFIC, 4), (LOGGING, SPECIFIC, 5)
SAVE = "Keep every record first (bilbs diag collect; bilbs never clears the log), then clear it by hand: ipmitool sel clear"
Group = list[Pair]


def _classed(box: Box) -> Mapping[str, Mapping[str, Group]]:
    """Return the pairs by class and part."""
    found: dict[str, dict[str, Group]] = defaultdict(lambda: defaultdict(list))
    for pair in box.derive(sel_pairs.of_box):
        if kind := class_of(pair.event.numbers):
            found[kind.name][_part(box, pair.event)].append(pair)
    return found


def _part(box: Box, event: Event) -> str:
    """Return the sensor that sent an event where the BMC has it, else the log itself."""
    sensor = value(box.facts, "bmc", "sensors", event.key)
    name = sensor.get("name") if isinstance(sensor, Mapping) else None
    return f"bmc:sensor:{name}" if isinstance(name, str) and name else "bmc:sel"


def judge(case: Case, kind: Class) -> Iterator[Found]:
    """Yield one finding for each part with events of a class."""
    for part, group in case.box.derive(_classed).get(kind.name, {}).items():
        open_ = [one.event for one in group if one.closed_by is None]
        recent = [one for one in open_ if one.at is None or case.box.now - one.at <= OLD]
        closed = [one.event for one in group] if kind.remembered else []
        if recent:
            yield _found(case, kind, part, recent)
        elif open_ or closed:
            yield _found(case, kind, part, open_ or closed, "more than 30 days ago" if open_ else "it came back")


def _found(case: Case, kind: Class, part: str, rows: Sequence[Event], over: str = "") -> Found:
    """Return the finding of events of one class and part; `over` says why they are history, empty when they are not."""
    severity = Severity.INFO if over else _severity(kind, rows)
    gone = "" if over or not kind.lasts else _gone(case, rows)
    if gone and severity is Severity.CRITICAL:
        severity = Severity.WARNING
    named = "; ".join(dict.fromkeys(f"{one.sensor}: {one.text}" for one in rows[-TOLD:]))
    note = f" (historic: {over})" if over else f" ({gone})" if gone else ""
    times = sorted(one.at for one in rows if one.at)
    rma = kind.verdict is Verdict.RMA and not over
    return Found(
        f"{kind.title[0].lower()}{kind.title[1:]}{note}: {named}",
        tuple(_proof(case, one) for one in rows[-TOLD:]),
        next="Nothing now; look at it when it comes again." if over else "",
        severity=severity,
        verdict=Verdict.IGNORE if over or severity is Severity.INFO else None,
        part=part,
        count=len(rows),
        first_at=times[0].isoformat() if times else None,
        last_at=times[-1].isoformat() if times else None,
        have=kind.have if rma else (),
        missing=kind.missing if rma else (),
    )


def _severity(kind: Class, rows: Sequence[Event]) -> Severity:
    numbers = [one.numbers for one in rows]
    if all(one == (MEMORY, SPECIFIC, 0) for one in numbers):
        return Severity.WARNING if len(numbers) >= MANY_CORRECTED else Severity.INFO
    return max((kind.level(one) for one in numbers), key=lambda one: one.rank)


def _gone(case: Case, rows: Sequence[Event]) -> str:
    """Return that the sensor shows none of it any more, where it can be read; empty otherwise."""
    sensor = value(case.box.facts, "bmc", "sensors", rows[-1].key)
    if not isinstance(sensor, Mapping):
        return ""
    quiet = sensor.get("status") == "ok"
    states = sensor.get("states")
    if sensor.get("status") == "discrete" and isinstance(states, list):  # no state at all is no answer either
        shows = [one for one in states if isinstance(one, str) and any(event.text.startswith(one) for event in rows)]
        quiet = bool(states) and not shows
    return "its sensor does not show it now" if quiet else ""


def _proof(case: Case, event: Event) -> Evidence:
    line = first_sel_line(case.box, _count(case)) + event.place
    number = "????" if event.id is None else f"{event.id:04x}"
    text = f"{number}  {event.sensor}  {event.text}  [asserted]  {event.raw}".rstrip()
    return Evidence(MEMBER, text, line, at=event.at.isoformat() if event.at else None)


def _count(case: Case) -> int:
    records = case.get("records")
    return len(records) if isinstance(records, list) else 0


def _doc(kind: Class) -> str:
    body = f"{kind.body}\n\n" if kind.body else ""
    began, over = (_example(kind.example, kind.words, asserted=asserted) for asserted in (True, False))
    quiet = over if kind.remembered else f"{began}, {over}"
    return (
        f"{kind.title}.\n\n{body}From the BMC's event log. An event counts until the same sensor takes it back. One that is "
        "older than 30 days is told as history. "
        + ("Where the sensor can be read and does not show it any more, it is one step milder. " if kind.lasts else "")
        + f"\n\nFires:\n    bmc/sel/records = [{began}]\nQuiet:\n    bmc/sel/records = [{quiet}]\n"
    )


def _example(numbers: Numbers, words: str, *, asserted: bool) -> str:
    kind, event, offset = numbers
    return (
        '{"id": 7, "record_type": 2, "bmc_time": "2026-11-20T06:00:00+00:00", "host_time": "2026-11-20T06:00:01+00:00", '
        f'"sensor": "S1", "sensor_key": "32.0.1", "sensor_type": {kind}, "event_type": {event}, "offset": {offset}, '
        f'"asserted": {str(asserted).lower()}, "text": "{words}", "raw": ""}}'
    )


def _about_log(case: Case, numbers: Numbers) -> list[Event]:
    found = case.box.derive(sel_pairs.of_box)
    return [one.event for one in found if one.closed_by is None and one.event.numbers == numbers]


def full(case: Case) -> Iterator[Found]:
    """The BMC's event log is full: new events are lost.

    Bilbs never clears it: it is evidence, and an RMA may need it.

    Fires:
        bmc/sel/records = []
        bmc/sel/entries = 512
        bmc/sel/free_bytes = 0
        bmc/sel/overflow = true
    Quiet:
        bmc/sel/records = []
        bmc/sel/entries = 13
        bmc/sel/free_bytes = 15792
        bmc/sel/overflow = false
    """
    told, free = _about_log(case, FULL), case.number("free_bytes")
    cited = ["overflow"] if case.get("overflow") is True else []
    cited += ["free_bytes"] if free is not None and free < RECORD_BYTES and case.number("entries") else []
    if cited or told:
        proofs = (*(case.cite(path) for path in cited), *(_proof(case, one) for one in told[-1:]))
        yield Found("the BMC's event log is full: new events are lost", proofs)


def almost_full(case: Case) -> Iterator[Found]:
    """The BMC's event log has little room left.

    Fires:
        bmc/sel/entries = 490
        bmc/sel/free_bytes = 320
    Quiet:
        bmc/sel/entries = 13
        bmc/sel/free_bytes = 15792
    """
    free, told = case.number("free_bytes"), _about_log(case, ALMOST_FULL)
    if free is not None:
        if RECORD_BYTES <= free < ALMOST_FULL_BYTES and case.number("entries") != 0:
            words = f"the BMC's event log has room for {int(free) // RECORD_BYTES} more events"
            yield Found(words, (case.cite("free_bytes"),))
    elif told:
        yield Found("the BMC's event log is almost full", (_proof(case, told[-1]),))


def oem(case: Case) -> Iterator[Found]:
    r"""Records of the BMC's event log that only the maker can read.

    They are kept with their bytes; FreeIPMI knows some of Dell, Supermicro and others (ipmi-sel --interpret-oem-data). Some
    makers write what matters most into them, as text.

    Fires:
        bmc/sel/records = [{"id": 12, "record_type": 226, "asserted": null, "text": "OEM record type 0xe2: 58 49 44 \"XID79 GPU#3\"", "raw": "0c 00 e2"}]
    Quiet:
        bmc/sel/records = []
    """
    rows = case.box.derive(sel_pairs.others)
    if rows:
        first, newest = first_sel_line(case.box, _count(case)), rows[-TOLD:]
        yield Found(
            f"{len(rows)} records that only the maker can read, the newest: {'; '.join(text for _, text in newest[-2:])}",
            tuple(Evidence(MEMBER, text, first + place) for place, text in newest),
            count=len(rows),
        )


BMC_SEL_RULES = (
    *(
        Rule(
            f"bmc.sel.{kind.name}",
            kind.severity,
            kind.verdict,
            ("records",),
            FREEIPMI,
            partial(judge, kind=kind),
            SEL,
            next=kind.next,
            doc=_doc(kind),
        )
        for kind in CLASSES
    ),
    Rule("bmc.sel.full", Severity.CRITICAL, Verdict.IGNORE, ("records",), FREEIPMI, full, SEL, next=SAVE),
    Rule(
        "bmc.sel.almost_full",
        Severity.WARNING,
        Verdict.IGNORE,
        ("free_bytes|records",),
        IPMI,
        almost_full,
        SEL,
        next=SAVE,
    ),
    Rule(
        "bmc.sel.oem",
        Severity.INFO,
        Verdict.IGNORE,
        ("records",),
        FREEIPMI,
        oem,
        SEL,
        next="Show them to the maker with the bundle; ipmi-sel --interpret-oem-data reads some.",
    ),
)
