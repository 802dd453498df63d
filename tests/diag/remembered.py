"""Facts, findings and times for the tests of the box's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bilbs_cli.diag import model
from bilbs_cli.diag.findings import FACTS, Box, Evidence, Finding, Judgement, Severity, Verdict
from bilbs_cli.diag.kernel_log import events
from bilbs_cli.diag.kernel_log.events import Event, Log, Sighting

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
DAY = timedelta(days=1)
CLEAN = Judgement(evaluated=10, rules=10)
Leaf = model.Value | model.ReadError | model.NotCollected


def tree(readings: Mapping[str, Any]) -> model.Tree:
    """Return facts from values (or readings) by path."""
    facts: model.Tree = {}
    for path, found in readings.items():
        model.insert(facts, tuple(path.split("/")), found if isinstance(found, Leaf) else model.Value(found))
    return facts


def cards(**serials: str) -> model.Tree:
    """Return the facts of a healthy box with a GPU for each bus (`b3b="serial"` is 0000:3b:00.0)."""
    readings: dict[str, Any] = {"gpu/system/nvml": "initialised", "gpu/system/driver_version": "580.105.08"}
    for index, (bus, serial) in enumerate(serials.items()):
        pci, card = f"0000:{bus[1:]}:00.0", f"gpu/devices/{index}"
        readings |= {
            f"gpu/pci/{pci}/kind": "gpu",
            f"pci/slots/{index + 1}": pci[:-2],
            f"{card}/pci_bus_id": pci,
            f"{card}/serial": serial,
            f"{card}/uuid": f"GPU-{serial}",
            f"{card}/name": "NVIDIA H100",
            f"{card}/nvlink/0/state": "active",
            f"{card}/remapped_rows/uncorrectable": 0,
        }
    return tree(readings)


def box(facts: Mapping[str, Any], **memory: Any) -> Box:
    """Return a box of facts, with `baseline` and `history` in their JSON form where given."""
    return Box({**facts, "memory": {name: {"value": one} for name, one in memory.items()}}, NOW)


def log(*found: Event, member: str = "kernel/dmesg.txt") -> dict[str, Any]:
    """Return the part `kernel` of facts with one log."""
    facts: model.Tree = {}
    value = model.Value(events.encode(Log(member, 1000, found)))
    model.insert(facts, ("kernel", "log", member.removeprefix("kernel/")), value)
    return facts["kernel"]  # type: ignore[no-any-return]


def said(kind: str, line: int, pci: str = "", at: datetime | None = None, **detail: Any) -> Event:
    """Return an event of a kernel log."""
    code = 79 if kind == "xid" else None
    return Event(kind, code, pci, kind, 1, (Sighting(line, at.isoformat() if at else None),), detail)


def fault(part: str, rule: str = "xid.79", at: datetime | None = None, member: str = FACTS) -> Finding:
    """Return a critical finding."""
    when = at.isoformat() if at else None
    proof = (Evidence(member, "x", 1),)
    return Finding(rule, Severity.CRITICAL, Verdict.REBOOT, part, "m", proof, "n", "s", first_at=when, last_at=when)


def judged(*found: Finding) -> Judgement:
    """Return a judgement with these findings."""
    return Judgement(tuple(found), evaluated=10, rules=10)


def serials_of(rows: Sequence[Any]) -> list[str]:
    """Return the serials of rows."""
    return [one.serial for one in rows]
