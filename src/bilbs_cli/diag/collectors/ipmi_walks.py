"""The parts of a BMC that take an exchange for every record: sensor data records, sensors, event log, FRUs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

from bilbs_cli.diag.collectors import ipmi_fru, ipmi_sdr, ipmi_sel, ipmi_sensors, ipmi_store
from bilbs_cli.diag.collectors.ipmi_commands import STORAGE
from bilbs_cli.diag.collectors.ipmi_reader import READING_S, Reader
from bilbs_cli.diag.collectors.ipmi_sdr import FruLocator, Sensor
from bilbs_cli.diag.collectors.ipmi_session import Bmc
from bilbs_cli.diag.model import NotCollected, Status, Value

SDRS_BY, SENSORS_BY, LOG_BY = 0.4, 0.7, 0.9  # share of the budget after which a slow BMC's next part begins
SDR_CAP = 4096
FACT_RECORDS = 2000  # newest records of the log that go into the facts; the members hold all


def read_sdrs(reader: Reader) -> None:
    """Read the sensor data records (33.12) into `reader.sensors` and `reader.frus`; raw ones into `sdr.hex`."""
    reader.job.say("reading the BMC's sensor data records")
    store = ipmi_store.repository(reader.bmc)
    raws, gap = _walk_sdrs(reader, store)
    if not raws and not reader.bmc.over:  # a BMC without a repository has device SDRs
        raws, gap = _walk_sdrs(reader, ipmi_store.device_sdrs(reader.bmc))
    for raw in raws:
        records = ipmi_sdr.parse(raw)
        reader.sensors += [record for record in records if isinstance(record, Sensor)]
        reader.frus += [record for record in records if isinstance(record, FruLocator)]
    reader.job.record(("sdr", "records"), Value(len(raws)))
    if gap:
        _not_whole(reader, "sdr", gap)
    if raws:
        reader.job.text("sdr.hex", "".join(f"{raw.hex(' ')}\n" for raw in raws), source="IPMI Get SDR")


def _not_whole(reader: Reader, name: str, why: str) -> None:
    reader.job.record((name, "rest"), NotCollected(why))
    if not reader.bmc.over:  # said once for everything otherwise
        reader.job.gap(f"{name}-rest", Status.PARTIAL, why)


def _walk_sdrs(reader: Reader, store: ipmi_store.SdrStore) -> tuple[list[bytes], str]:
    """Return the records, and why they are not all (empty when they are)."""
    raws: list[bytes] = []
    seen: set[int] = set()
    following = 0
    while following != ipmi_store.END:
        record = following
        if record in seen or len(raws) >= SDR_CAP:
            return raws, f"the BMC repeats record {record:#06x}" if record in seen else f"more than {SDR_CAP} records"
        if reader.late(SDRS_BY):
            return raws, "out of time"
        seen.add(record)
        answer = reader.attempt(f"sdr/{store.what}-{record:#06x}", partial(store.read, record), READING_S)
        if answer is None:
            return raws, reader.bmc.over or f"record {record:#06x} could not be read"
        following, raw = answer
        raws.append(raw)
    return raws, ""


def read_sensors(reader: Reader) -> None:
    """Read every sensor (35.14) as a fact of its own; a table of them into `sensors.txt`."""
    reader.job.say(f"reading {len(reader.sensors)} sensors of the BMC")
    rows = [row for sensor in _once(reader.sensors) if (row := _sensor(reader, sensor))]
    if rows:
        reader.job.text("sensors.txt", ipmi_sensors.table(rows), source="IPMI Get Sensor Reading")


def _once(sensors: Iterable[Sensor]) -> Iterable[Sensor]:
    """Return each sensor once: a full and an event-only record may describe the same one."""
    known: dict[str, Sensor] = {}
    for sensor in sensors:
        if sensor.key not in known or (sensor.is_readable and not known[sensor.key].is_readable):
            known[sensor.key] = sensor
    return known.values()


def _sensor(reader: Reader, sensor: Sensor) -> ipmi_sensors.Row | None:
    path = ("sensors", sensor.key)
    if not sensor.is_readable:
        reader.job.record(path, NotCollected(f"{sensor.name}: it only sends events, or belongs to system software"))
        return None
    reason = reader.bmc.why_not() or ("not asked: out of time" if reader.late(SENSORS_BY) else "")
    if reason:
        reader.job.record(path, NotCollected(f"{sensor.name}: {reason}"))
        return sensor.name, reason
    reading = reader.read(path, partial(ipmi_sensors.read_sensor, reader.bmc, sensor), READING_S)
    return sensor.name, reading if reading is not None else "could not be read, see facts.json"


def read_log(reader: Reader, entries: int | None, offset_s: float | None) -> None:
    """Read the event log (31.5) into `sel.txt`, `sel.json` and facts; `entries` and `offset_s` are None if unknown."""
    if reason := reader.bmc.why_not():
        reader.job.record(("sel", "records"), NotCollected(reason))
        return
    reader.job.say(f"reading {'the' if entries is None else entries} records of the BMC's event log")
    log = ipmi_sel.Walk(()) if entries == 0 else ipmi_sel.walk(partial(_entry, reader), entries, reader.by(LOG_BY))
    gap = reader.bmc.over if log.gap and reader.bmc.over else log.gap
    names = {(sensor.owner, sensor.lun, sensor.number): sensor for sensor in _once(reader.sensors)}
    events = [ipmi_sel.decode(raw, names) for raw in log.records]
    forms = [event.as_dict(offset_s) for event in events]
    reader.job.record(("sel", "read"), Value(len(events)))
    reader.job.record(("sel", "records"), Value(forms[-FACT_RECORDS:]))
    if gap:
        _not_whole(reader, "sel", gap)
    reader.job.text("sel.txt", ipmi_sel.listing(events, entries, offset_s, gap), source="IPMI Get SEL Entry")
    whole = {"entries": entries, "clock_offset_s": offset_s, "rest": gap or None, "records": forms}
    reader.job.text("sel.json", json.dumps(whole, indent=1) + "\n", source="IPMI Get SEL Entry")


def _entry(reader: Reader, record: int) -> tuple[int, bytes] | None:
    name = "newest" if record == ipmi_sel.LAST else f"record-{record:#06x}"
    found: tuple[int, bytes] | None = reader.attempt(f"sel/{name}", partial(_ask_entry, reader.bmc, record))
    return found


def _ask_entry(bmc: Bmc, record: int) -> tuple[int, bytes]:
    whole_record = b"\0\0" + record.to_bytes(2, "little") + b"\0\xff"
    answer = bmc.ask(STORAGE, 0x43, whole_record, least=2)
    return int.from_bytes(answer[:2], "little"), answer[2:18]


def read_frus(reader: Reader) -> None:
    """Read the BMC's own FRU and every one that the records name (34.2): facts, `fru.txt`, and the bytes as hex."""
    builtin = FruLocator("BMC", ipmi_sdr.BMC_ADDRESS, 0, 0, 0, logical=True, entity=0, instance=0)
    texts = []
    for key, locator in {locator.key: locator for locator in (builtin, *reader.frus)}.items():
        if not locator.logical:
            reason = f"{locator.name}: on a private bus, where reading means writing"
            reader.job.record(("fru", key), NotCollected(reason))
            continue
        raw: list[bytes] = []
        found = reader.read(("fru", key), partial(_fru, reader.bmc, locator, raw), READING_S)
        if found is not None:
            texts.append(ipmi_fru.describe(found, f"FRU {key}: {locator.name}"))
        if raw and reader.job.options.pseudonymize:
            why = "serial numbers stand in it as bytes: left out with --pseudonymize"
            reader.job.gap(f"fru-{key}.hex", Status.SKIPPED, why, source="IPMI Read FRU Data")
        elif raw:
            reader.job.text(f"fru-{key}.hex", _hex_lines(raw[0]), source="IPMI Read FRU Data")
    if texts:
        reader.job.text("fru.txt", "\n".join(texts), source="IPMI Read FRU Data")


def _fru(bmc: Bmc, locator: FruLocator, raw: list[bytes]) -> dict[str, Any]:
    data = ipmi_store.read_fru(bmc, locator.fru_id, locator.address, locator.channel, locator.lun)
    raw.append(data)
    return {"name": locator.name} | ipmi_fru.decode(data)


def _hex_lines(data: bytes) -> str:
    return "".join(f"{at:04x}  {data[at : at + 16].hex(' ')}\n" for at in range(0, len(data), 16))
