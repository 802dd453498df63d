"""Events of a kernel log, folded, and their JSON form in the facts (`kernel/log/<name>`, `gpu/log/<name>`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bilbs_cli.diag.model import Value, branch, lookup


@dataclass(frozen=True, slots=True)
class Sighting:
    """One occurrence: its line in the member (from 1), its time where it can be known, its boot.

    `at` is RFC 3339 in UTC, None where the line has no wall time; `mono_s` the seconds since that boot, None where the
    line has none; `boot` is the journal's boot id, `this` or `previous` where only the order is known, else empty.
    """

    line: int
    at: str | None = None
    mono_s: float | None = None
    boot: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """What one or more lines of one log say, the same thing each time.

    `kind` is one of `events.KINDS`; `code` the number of an Xid or SXid; `pci` the address it names
    (`0000:3b:00.0`, lower case, with its function), empty where it names none; `text` the message of the first line without its prefix;
    `detail` what else the parser read (`pid`, `name`, `unit`, `action`, `device`, ...), JSON values only.
    `sightings` are the first ones and the last, in order; `count` counts all.
    """

    kind: str
    code: int | None
    pci: str
    text: str
    count: int
    sightings: tuple[Sighting, ...]
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> Sighting:
        """Return the first occurrence."""
        return self.sightings[0]

    @property
    def last(self) -> Sighting:
        """Return the last occurrence."""
        return self.sightings[-1]


@dataclass(frozen=True, slots=True)
class Log:
    """One member of the bundle with kernel lines, `lines` of them. `left_out`: events that were only counted.

    `cut`: it was not read whole, because it is too large or its reading was ended.
    """

    member: str
    lines: int
    events: tuple[Event, ...]
    left_out: int = 0
    cut: bool = False


COLLECTORS = ("kernel", "gpu")  # whose folders hold logs (the fabric manager's is with the GPUs)
KINDS = (
    "xid",  # NVRM: Xid (PCI:0000:3b:00): 79, ...
    "sxid",  # nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, ...
    "off_bus",  # a GPU has fallen off the bus, said without an Xid
    "nvrm_init",  # RmInitAdapter failed!
    "nvrm_mismatch",  # NVRM: API mismatch
    "nvrm_reset_required",  # NV_ERR_RESET_REQUIRED
    "nvrm_identity",  # detail: serial or uuid, which the driver prints before an Xid
    "aer",  # a PCIe error report; detail: severity, device
    "mce",  # machine check; detail: corrected
    "ghes",  # firmware-first hardware error (APEI, CPER); detail: severity
    "edac",  # memory error; detail: type CE or UE, dimm
    "oom",
    "hung_task",  # detail: task, seconds
    "soft_lockup",
    "hard_lockup",
    "rcu_stall",
    "panic",
    "oops",
    "io_error",  # detail: device
    "nvme",  # timeout, reset or removal of a controller; detail: device, what
    "fs_error",  # detail: device, type
    "fs_read_only",  # detail: device, type
    "md_failure",  # detail: array, device
    "thermal",  # a processor is throttled or a thermal zone is critical
    "link_down",  # a network or InfiniBand link; detail: device
    "ib_module",  # InfiniBand: insufficient slot power, module too hot; detail: what
    "boot",  # the first line of a boot
)


def encode(log: Log) -> dict[str, Any]:
    """Return the JSON form of a log, the value of its fact."""
    found = {"lines": log.lines, "left_out": log.left_out, "events": [_encode(event) for event in log.events]}
    return found | ({"cut": True} if log.cut else {})


def _encode(event: Event) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "code": event.code,
        "pci": event.pci,
        "text": event.text,
        "count": event.count,
        "sightings": [[one.line, one.at, one.mono_s, one.boot] for one in event.sightings],
        "detail": dict(event.detail),
    }


def decode(member: str, value: object) -> Log | None:
    """Return a log from its JSON form; what is malformed in it is left out, and None when nothing is right."""
    if not isinstance(value, Mapping) or not isinstance(value.get("events"), list):
        return None
    events = tuple(event for row in value["events"] if (event := _decode(row)))
    return Log(member, _count(value.get("lines")), events, _count(value.get("left_out")), value.get("cut") is True)


def _decode(row: object) -> Event | None:
    if not isinstance(row, Mapping) or row.get("kind") not in KINDS:
        return None
    rows = row.get("sightings")
    sightings = tuple(one for each in (rows if isinstance(rows, list) else ()) if (one := _sighting(each)))
    code, detail = row.get("code"), row.get("detail")
    if not sightings:
        return None
    return Event(
        str(row["kind"]),
        code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 1 << 32 else None,
        str(row.get("pci") or "")[:20],
        str(row.get("text") or "")[:400],
        max(_count(row.get("count")), 1),
        sightings,
        {str(name): found for name, found in detail.items()} if isinstance(detail, Mapping) else {},
    )


def _sighting(row: object) -> Sighting | None:
    if not isinstance(row, list) or len(row) != 4:
        return None
    line, at, mono_s, boot = row
    known = isinstance(mono_s, int | float) and not isinstance(mono_s, bool) and 0 <= mono_s < 1e12
    return Sighting(
        _count(line), at if _time(at) else None, float(mono_s) if known else None, boot if isinstance(boot, str) else ""
    )


def _count(number: object) -> int:
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 62 else 0


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def logs_of(facts: Mapping[str, Any], since: datetime | None = None) -> tuple[Log, ...]:
    """Return the logs in the facts. Events whose last occurrence is known to be before `since` are left out."""
    found = []
    for collector in COLLECTORS:
        for name in branch(facts, collector, "log"):
            reading = lookup(facts, collector, "log", name)
            log = decode(f"{collector}/{name}", reading.value) if isinstance(reading, Value) else None
            if log:
                found.append(replace(log, events=tuple(_newer(log.events, since))))
    return tuple(found)


def place(member: str) -> tuple[str, str, str]:
    """Return where the log of a member stands in the facts."""
    collector, _, name = member.partition("/")
    return collector, "log", name


def _newer(events: tuple[Event, ...], since: datetime | None) -> Iterator[Event]:
    for event in events:
        last = _time(event.last.at)
        if since is None or last is None or last >= since:
            yield event
