"""System event log: the walk over its records, and what the 16 bytes of one say (IPMI 2.0, chapters 31, 32 and 42).

The log is only ever read. Every record keeps its raw bytes: the vendor reads more in them than anyone else can.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bilbs_cli.diag.collectors.ipmi_names import (
    POST_ERRORS,
    POST_PROGRESS,
    RESTART_CAUSES,
    SENSOR_TYPES,
    event_text,
    word,
)
from bilbs_cli.diag.collectors.ipmi_sdr import Sensor, convert

FIRST, LAST = 0x0000, 0xFFFF  # record ids with a meaning of their own (31.5)
PRE_INIT_END = 0x20000000  # timestamps below it count seconds since the BMC started (section 37)
UNSPECIFIED_TIME = 0xFFFFFFFF
WALK_CAP = 20_000  # a log of 16-byte records is a few thousand long; above this a BMC counts up for ever
SAMPLE = 24  # records read before the time for the rest is estimated

SensorKey = tuple[int, int, int]  # owner, lun, number
GetEntry = Callable[[int], tuple[int, bytes] | None]


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk read: raw records in the log's order, and why it is not the whole log (empty when it is)."""

    records: tuple[bytes, ...]
    gap: str = ""


def walk(get: GetEntry, entries: int | None, until: float, now: Callable[[], float] = time.monotonic) -> Walk:
    """Read the log from its first record to its last; where time is too short, its newest records.

    `get(id)` returns the next id and the record's bytes, None when the read failed; `entries` is the count the BMC
    claims; `until` the time (of `now`) to stop. Ends on a repeated id, after `WALK_CAP` records, on a failed read.
    The newest record is read first, so that it is there whatever happens then.
    """
    newest = get(LAST)
    records: list[bytes] = []
    seen: set[int] = set()
    following, left_out, started = FIRST, "", now()
    while following != LAST:
        stop = _stop(following, seen, len(records), until - now())
        answer = None if stop else get(following)
        if answer is None:
            return Walk(_with(records, newest), stop or f"record {following:#06x} could not be read")
        seen.add(following)
        following, raw = answer
        records.append(raw)
        if len(records) == SAMPLE and newest and following != LAST:
            pace_s = (now() - started) / SAMPLE
            target = catch_up(_id(records[0]), following, _id(newest[1]), entries, pace_s, until - now())
            if target is not None:
                left_out = f"too slow to read all: records {following:#06x} to {target - 1:#06x} were left out"
                following = target
    return Walk(_with(records, newest), left_out)


def _stop(following: int, seen: set[int], count: int, left_s: float) -> str:
    if following in seen:
        return f"the BMC repeats record {following:#06x}"
    if count >= WALK_CAP:
        return f"more than {WALK_CAP} records"
    return "out of time" if left_s <= 0 else ""


def catch_up(first: int, following: int, newest: int, entries: int | None, pace_s: float, left_s: float) -> int | None:
    """Return the record id to jump to so that the newest are read in `left_s`, None when all of them can be.

    Only where ids are known to be consecutive: from `first` to `newest` there are `entries` of them.
    """
    affordable = int(left_s / pace_s) - SAMPLE if pace_s > 0 else entries or 0
    if entries is None or newest - first + 1 != entries or newest - following < affordable:
        return None
    return max(following, newest - max(affordable, 1) + 1)


def _with(records: list[bytes], newest: tuple[int, bytes] | None) -> tuple[bytes, ...]:
    if newest and newest[1] not in records[-SAMPLE:] and newest[1] not in records:
        records.append(newest[1])
    return tuple(records)


def _id(raw: bytes) -> int:
    return int.from_bytes(raw[:2], "little")


@dataclass(frozen=True, slots=True)
class Event:
    """One record. `timestamp` is the BMC's own count of seconds, None for a record without one.

    `pre_init` says that it counts from the BMC's start. `asserted` is None where the record is no system event.
    """

    id: int
    record_type: int
    raw: bytes
    timestamp: int | None = None
    pre_init: bool = False
    generator: str = ""
    sensor: str = ""
    sensor_key: str = ""
    sensor_type: int | None = None
    event_type: int | None = None
    offset: int | None = None
    asserted: bool | None = None
    text: str = ""
    data: bytes = b""

    @property
    def bmc_time(self) -> datetime | None:
        """Return the time on the BMC's clock (it says nothing about a zone), None where there is none."""
        if self.timestamp is None or self.pre_init or self.timestamp == UNSPECIFIED_TIME:
            return None
        return datetime.fromtimestamp(self.timestamp, UTC)

    def host_time(self, offset_s: float | None) -> datetime | None:
        """Return the time on the host's clock, by today's offset of the BMC's clock; None where it is unknown."""
        if self.bmc_time is None or self.timestamp is None or offset_s is None:
            return None
        return datetime.fromtimestamp(max(self.timestamp - offset_s, 0), UTC)

    def as_dict(self, offset_s: float | None) -> dict[str, Any]:
        """Return the JSON form."""
        bmc_time, host_time = self.bmc_time, self.host_time(offset_s)
        return {
            "id": self.id,
            "record_type": self.record_type,
            "bmc_time": bmc_time and bmc_time.isoformat(),
            "host_time": host_time and host_time.isoformat(timespec="seconds"),
            "timestamp": self.timestamp,
            "pre_init": self.pre_init,
            "generator": self.generator,
            "sensor": self.sensor,
            "sensor_key": self.sensor_key,
            "sensor_type": self.sensor_type,
            "event_type": self.event_type,
            "offset": self.offset,
            "asserted": self.asserted,
            "text": self.text,
            "data": self.data.hex(" "),
            "raw": self.raw.hex(" "),
        }

    def line(self, offset_s: float | None) -> str:
        """Return the record on one line: id, BMC time, host time, sensor, text, direction, raw bytes."""
        direction = {True: "asserted", False: "deasserted", None: "-"}[self.asserted]
        times = f"{self._when():20}  {_stamp(self.host_time(offset_s)):20}"
        return f"{self.id:04x}  {times}  {self.sensor or '-':28}  {self.text}  [{direction}]  {self.raw.hex(' ')}"

    def _when(self) -> str:
        if self.pre_init:
            return f"pre-init +{self.timestamp} s"
        return _stamp(self.bmc_time)


def listing(events: Sequence[Event], entries: int | None, offset_s: float | None, gap: str) -> str:
    """Return the log as text; `entries` is the count the BMC claims, `gap` why it is not whole."""
    ahead = "unknown" if offset_s is None else f"{offset_s:+.0f} s"
    lines = [
        f"# {len(events)} of {'?' if entries is None else entries} records",
        f"# BMC clock minus host clock: {ahead}; host times are BMC times corrected by it",
        *([f"# not whole: {gap}"] if gap else []),
        f"{'id':4}  {'BMC clock':20}  {'host clock':20}  {'sensor':28}  event  [direction]  raw bytes",
        *(event.line(offset_s) for event in events),
    ]
    return "\n".join(lines) + "\n"


def _stamp(when: datetime | None) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S") if when else "no time"


def decode(raw: bytes, sensors: Mapping[SensorKey, Sensor]) -> Event:
    """Return what a record says (32.1 to 32.3); `sensors` give names and units. Never raises."""
    record_type = raw[2] if len(raw) > 2 else 0
    if len(raw) != 16:
        return Event(_id(raw), record_type, raw, text=f"damaged record: {len(raw)} bytes instead of 16")
    if record_type == 0x02:
        return _system_event(raw, sensors)
    kind = f"OEM record type 0x{record_type:02x}"
    if 0xC0 <= record_type <= 0xDF:
        maker = int.from_bytes(raw[7:10], "little")
        text = f"{kind}, manufacturer {maker}: {_oem(raw[10:])}"
        return Event(_id(raw), record_type, raw, **_time(raw), data=raw[10:], text=text)
    if record_type >= 0xE0:  # 32.3: no timestamp, and none is invented
        return Event(_id(raw), record_type, raw, data=raw[3:], text=f"{kind}: {_oem(raw[3:])}")
    text = f"record type 0x{record_type:02x}, not in the specification"
    return Event(_id(raw), record_type, raw, data=raw[3:], text=text)


def _time(raw: bytes) -> dict[str, Any]:
    seconds = int.from_bytes(raw[3:7], "little")
    return {"timestamp": seconds, "pre_init": seconds < PRE_INIT_END}


def _oem(data: bytes) -> str:
    text = data.rstrip(b"\0\xff ").decode("latin-1")
    readable = len(text) > 3 and text.isascii() and text.isprintable()
    return data.hex(" ") + (f' "{text}"' if readable else "")


def _system_event(raw: bytes, sensors: Mapping[SensorKey, Sensor]) -> Event:
    owner, lun, number = raw[7], raw[8] & 3, raw[11]
    sensor = sensors.get((owner, lun, number)) or sensors.get((owner, 0, number))
    sensor_type, event_type, offset = raw[10], raw[12] & 0x7F, raw[13] & 0x0F
    kind = word(SENSOR_TYPES, sensor_type, "sensor type")
    return Event(
        _id(raw),
        0x02,
        raw,
        **_time(raw),
        generator=_generator(raw[7], raw[8]),
        sensor=f"{kind} {sensor.name}" if sensor else f"{kind} #0x{number:02x}",
        sensor_key=f"{owner}.{lun}.{number}",
        sensor_type=sensor_type,
        event_type=event_type,
        offset=offset,
        asserted=not raw[12] & 0x80,
        data=raw[13:],
        text=event_text(sensor_type, event_type, offset) + _detail(sensor_type, event_type, raw[13:], sensor),
    )


def _generator(first: int, second: int) -> str:
    who = f"software 0x{first >> 1:02x}" if first & 1 else f"controller 0x{first:02x}"
    return f"{who}, lun {second & 3}, channel {second >> 4}"


def _detail(sensor_type: int, event_type: int, data: bytes, sensor: Sensor | None) -> str:
    """Return what event data bytes 2 and 3 add (table 29-6): trigger reading and threshold, or the type's own codes."""
    has2, has3 = data[0] >> 6, data[0] >> 4 & 3
    if event_type == 0x01:
        parts = [f"reading {_value(data[1], sensor)}"] if has2 == 1 else []
        parts += [f"threshold {_value(data[2], sensor)}"] if has3 == 1 else []
        return ": " + ", ".join(parts) if parts else ""
    special = _special(sensor_type, data) if event_type == 0x6F else ""
    if special:
        return f": {special}"
    parts = [f"data 2 0x{data[1]:02x}"] if has2 else []
    parts += [f"data 3 0x{data[2]:02x}"] if has3 else []
    return f" ({', '.join(parts)})" if parts else ""


def _special(sensor_type: int, data: bytes) -> str:
    """Return the sensor-specific meaning of event data 2 and 3 (table 42-3) for the types that matter here."""
    offset, has2, has3 = data[0] & 0x0F, data[0] >> 6, data[0] >> 4 & 3
    if sensor_type == 0x0C and has3 == 3:
        return f"memory module {data[2]}"
    if sensor_type == 0x0F and has2 == 3:
        return word(POST_PROGRESS if offset == 2 else POST_ERRORS, data[1], "code")
    if sensor_type == 0x1D and offset == 7 and has2 == 3:
        return word(RESTART_CAUSES, data[1] & 0x0F, "cause")
    return ""


def _value(raw: int, sensor: Sensor | None) -> str:
    if sensor is None or sensor.factors.needs_lookup:
        return f"raw {raw}"
    try:
        return f"{convert(raw, sensor.factors):g} {sensor.unit}".strip()
    except ValueError:
        return f"raw {raw}"
