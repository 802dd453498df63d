"""The BMC's event log: events that were asserted, not taken back later, and not too old; one rule a class of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bilbs_cli.diag.findings import Box, Case, Evidence, Found, Rule, Severity, Verdict, moment
from bilbs_cli.diag.model import value
from bilbs_cli.diag.rules.scopes import SEL
from bilbs_cli.diag.timeline import first_sel_line

IPMI = (
    "https://www.intel.com/content/www/us/en/products/docs/servers/ipmi/ipmi-second-gen-interface-spec-v2-rev1-1.html"
)
OLD = timedelta(days=30)  # an event that is older, and that nothing shows any more, is history
ALMOST_FULL_BYTES = 1024
MEMBER = "ipmi/sel.txt"
TOLD = 3  # events of one class that are cited

Record = Mapping[str, Any]
# (event type, offset): 0x6f sensor-specific (table 42-3), 0x01 threshold (table 42-2: offsets 2, 3 lower critical,
# 4, 5 lower non-recoverable, 8, 9 upper critical, 10, 11 upper non-recoverable), others generic
Belongs = Callable[[int, int, int], bool]


def _specific(kind: int, *offsets: int) -> Belongs:
    return lambda sensor, event, offset: sensor == kind and event == 0x6F and offset in offsets


def _any(*rows: Belongs) -> Belongs:
    return lambda sensor, event, offset: any(row(sensor, event, offset) for row in rows)


@dataclass(frozen=True, slots=True)
class Class:
    """A class of events: a rule each."""

    name: str
    title: str
    words: str
    severity: Severity
    verdict: Verdict
    belongs: Belongs
    fires: str
    next: str


def _row(sensor: int, event: int, offset: int, text: str) -> str:
    """Return the record of an example."""
    return (
        'bmc/sel/records = [{"id": 7, "record_type": 2, "bmc_time": "2026-11-20T06:00:00+00:00", "host_time": '
        f'"2026-11-20T06:00:01+00:00", "sensor": "S1", "sensor_key": "32.0.1", "sensor_type": {sensor}, "event_type": '
        f'{event}, "offset": {offset}, "asserted": true, "text": "{text}"}}]'
    )


CLASSES = (
    Class(
        "memory_uncorrectable",
        "An uncorrectable memory error",
        "gcm and FreeIPMI call it critical too.",
        Severity.CRITICAL,
        Verdict.RMA,
        _specific(0x0C, 1, 2, 3),
        _row(0x0C, 0x6F, 1, "uncorrectable ECC"),
        "Find the DIMM in the event, move it to another slot or replace it; SMBIOS and host.edac rules name the same one.",
    ),
    Class(
        "memory_correctable",
        "Many correctable memory errors",
        "The BMC counted to its own limit and logs no more of them.",
        Severity.WARNING,
        Verdict.INSPECT,
        _specific(0x0C, 5),
        _row(0x0C, 0x6F, 5, "correctable ECC logging limit reached"),
        "Watch host.edac.corrected; plan to replace the DIMM when its number grows.",
    ),
    Class(
        "memory_corrected",
        "Correctable memory errors",
        "Nothing was lost, and a few are no fault.",
        Severity.INFO,
        Verdict.IGNORE,
        _specific(0x0C, 0),
        _row(0x0C, 0x6F, 0, "correctable ECC"),
        "Watch host.edac.corrected.",
    ),
    Class(
        "power_supply",
        "A power supply failed or lost its input",
        "A loss of input that was followed by its return is history.",
        Severity.CRITICAL,
        Verdict.INSPECT,
        _specific(0x08, 1, 3),
        _row(0x08, 0x6F, 1, "failure detected"),
        "Look at cords and feeds, then at the supply; bmc.psu says how it is now.",
    ),
    Class(
        "power_supply_trouble",
        "A power supply expects to fail, has a bad input, or does not fit the others",
        "It still gives power.",
        Severity.WARNING,
        Verdict.INSPECT,
        _specific(0x08, 2, 4, 5, 6),
        _row(0x08, 0x6F, 2, "predictive failure"),
        "Look at cords and feeds, then at the supply; plan to replace it.",
    ),
    Class(
        "thermal",
        "A temperature was past its critical limit, or tripped",
        "",
        Severity.CRITICAL,
        Verdict.INSPECT,
        _any(_specific(0x07, 1), lambda sensor, event, offset: sensor == 0x01 and event == 0x01 and offset in {9, 11}),
        _row(0x07, 0x6F, 1, "thermal trip"),
        "Look at fans, filters and air flow; bmc.sensor rules say how it is now.",
    ),
    Class(
        "processor",
        "A processor reported an internal or machine check error",
        "",
        Severity.CRITICAL,
        Verdict.INSPECT,
        _specific(0x07, 0, 2, 11),
        _row(0x07, 0x6F, 0, "IERR"),
        "Collect (bilbs diag collect); look at host.mce and the processor's socket. It comes again: open a case with the OEM.",
    ),
    Class(
        "bus_fatal",
        "A fatal error on the PCI bus, or an NMI",
        "The data bytes often name bus and device.",
        Severity.CRITICAL,
        Verdict.INSPECT,
        _specific(0x13, 0, 1, 2, 4, 5, 6, 8, 10),
        _row(0x13, 0x6F, 10, "bus fatal error"),
        "Look at host.aer rules and the timeline for the device that was lost at that time.",
    ),
    Class(
        "redundancy",
        "Redundancy was lost",
        "Power supplies or fans: the next failure takes the box down.",
        Severity.CRITICAL,
        Verdict.INSPECT,
        lambda _sensor, event, offset: event == 0x0B and offset in {1, 3, 4, 5},
        _row(0x08, 0x0B, 1, "redundancy lost"),
        "Replace what failed (bmc.psu, bmc.fan) before the next one does.",
    ),
    Class(
        "fan",
        "A fan was at or below its critical limit",
        "",
        Severity.CRITICAL,
        Verdict.INSPECT,
        lambda sensor, event, offset: sensor == 0x04 and event == 0x01 and offset in {2, 4},
        _row(0x04, 0x01, 2, "lower critical, going low"),
        "Replace the fan; bmc.fan.stopped says how it is now.",
    ),
    Class(
        "watchdog",
        "The BMC's watchdog reset or switched off the box",
        "",
        Severity.WARNING,
        Verdict.INSPECT,
        _specific(0x23, 1, 2, 3),
        _row(0x23, 0x6F, 1, "hard reset"),
        "The host hung before: look at the previous boot's kernel log in the timeline.",
    ),
    Class(
        "full",
        "The event log is full",
        "New events are lost until somebody clears it; bilbs never does. Keep a bundle first: it is evidence.",
        Severity.CRITICAL,
        Verdict.IGNORE,
        _specific(0x10, 4),
        _row(0x10, 0x6F, 4, "log full"),
        "bilbs diag collect (it keeps every record), then clear the log by hand.",
    ),
)


def live(box: Box) -> tuple[tuple[int, Record], ...]:
    """Return the events that were asserted and not taken back later, with their place in the log."""
    records = value(box.facts, "bmc", "sel", "records")
    open_: dict[tuple[Any, ...], tuple[int, Record]] = {}
    for place, one in enumerate(records if isinstance(records, list) else []):
        if not isinstance(one, Mapping):
            continue
        key = (str(one.get("sensor_key")), str(one.get("event_type")), str(one.get("offset")))
        open_.pop(key, None)
        if one.get("asserted") is True:
            open_[key] = (place, one)
    return tuple(sorted(open_.values(), key=lambda entry: entry[0]))


def judge(case: Case, kind: Class) -> Iterator[Found]:
    """Return one finding for all open events of a class."""
    rows = [(place, one) for place, one in case.box.derive(live) if _belongs(kind, one)]
    if not rows:
        return
    first = first_sel_line(case.box, len(case.get("records")))
    fresh = [(place, one) for place, one in rows if not _is_old(_when(one), case.box.now)]
    shown = fresh or rows
    named = ", ".join(dict.fromkeys(f"{one.get('sensor')}: {one.get('text')}" for _, one in shown[-TOLD:]))
    times = [when.isoformat() for _, one in shown if (when := _when(one))]
    old = not fresh
    yield Found(
        f"{kind.title[0].lower()}{kind.title[1:]}: {named}" + (" (historic: more than 30 days ago)" if old else ""),
        tuple(_proof(one, first + place) for place, one in shown[-TOLD:]),
        severity=Severity.INFO if old else None,
        verdict=Verdict.IGNORE if old else None,
        count=len(shown),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        have=("the BMC logged it",) if kind.verdict is Verdict.RMA and not old else (),
        missing=("the same after the module was moved to another slot",)
        if kind.verdict is Verdict.RMA and not old
        else (),
    )


def _belongs(kind: Class, one: Record) -> bool:
    numbers = [one.get(name) for name in ("sensor_type", "event_type", "offset")]
    return all(isinstance(number, int) for number in numbers) and kind.belongs(*numbers)  # type: ignore[arg-type]


def _when(one: Record) -> datetime | None:
    return moment(one.get("host_time")) or moment(one.get("bmc_time"))


def _is_old(when: datetime | None, now: datetime) -> bool:
    return when is not None and now - when > OLD


def _proof(one: Record, line: int) -> Evidence:
    number = one.get("id")
    shown = f"{number:04x}" if isinstance(number, int) else "?"
    text = f"{shown}  {one.get('sensor')}  {one.get('text')}  [{one.get('raw') or 'no raw bytes'}]"
    when = _when(one)
    return Evidence(MEMBER, text, line, at=when.isoformat() if when else None)


def almost_full(case: Case) -> Iterator[Found]:
    """The event log is nearly full, or has lost events.

    Fires:
        bmc/sel/free_bytes = 320
        bmc/sel/overflow = false
    Quiet:
        bmc/sel/free_bytes = 15792
        bmc/sel/overflow = false
    """
    free = case.number("free_bytes")
    if case.get("overflow") is True:
        yield Found("the BMC's event log has lost events", (case.cite("overflow"),))
    elif free is not None and free < ALMOST_FULL_BYTES:
        yield Found(f"the BMC's event log has room for {int(free) // 16} more events", (case.cite("free_bytes"),))


def _doc(kind: Class) -> str:
    words = f"\n{kind.words}\n" if kind.words else ""
    return (
        f"{kind.title} (BMC event log).\n{words}\nAn event counts until the same sensor takes the same state back. One that is "
        f"older than 30 days is told as history.\n\nFires:\n    {kind.fires}\nQuiet:\n    bmc/sel/records = []\n"
    )


SEL_RULES = (
    *(
        Rule(
            f"bmc.sel.{kind.name}",
            kind.severity,
            kind.verdict,
            ("records",),
            IPMI,
            partial(judge, kind=kind),
            SEL,
            next=kind.next,
            doc=_doc(kind),
        )
        for kind in CLASSES
    ),
    Rule(
        "bmc.sel.almost_full",
        Severity.WARNING,
        Verdict.IGNORE,
        ("free_bytes",),
        IPMI,
        almost_full,
        SEL,
        next="bilbs diag collect (it keeps every record), then clear the log by hand.",
    ),
)
