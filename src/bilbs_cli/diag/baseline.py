"""The memory of a box: its inventory while it was healthy, and the counters and faults of earlier checks.

It stands in the facts as `memory/baseline` (one value) and `memory/history` (one value), so that a bundle carries it and
gives the same answer everywhere. Everything here is pure; `memory.py` keeps the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bilbs_cli.diag.findings import moment
from bilbs_cli.diag.model import Value, lookup


@dataclass(frozen=True, slots=True)
class KnownGpu:
    """A GPU as it was while the box was healthy. Texts are empty and numbers None where they were not known.

    `counters`: `remapped_correctable`, `remapped_uncorrectable`, `pcie_replays`, `ecc_aggregate_corrected`,
    `ecc_aggregate_uncorrected`, `retired_pages`, and the banks of the row remapper (see `inventory.COUNTERS`).
    """

    pci: str
    serial: str = ""
    uuid: str = ""
    part_number: str = ""
    name: str = ""
    slot: str = ""
    module_id: int | None = None
    index: int | None = None
    vbios: str = ""
    pcie_width: int | None = None
    pcie_generation: int | None = None
    nvlinks_up: frozenset[int] = frozenset()
    counters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The inventory taken at `taken_at` (aware, UTC), by a clean check or by `bilbs diag baseline set`.

    `dimm_slots` are the locators of the memory slots with a module, `disks` as `inventory.disk_id` names them.
    """

    taken_at: datetime
    gpus: tuple[KnownGpu, ...]
    by: str = ""
    driver: str = ""
    dimms: int | None = None
    disks: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    dimm_slots: tuple[str, ...] = ()

    def gpu_at(self, pci: str) -> KnownGpu | None:
        """Return the GPU that was at a PCI address."""
        return next((one for one in self.gpus if pci and one.pci == pci), None)

    def gpu_with(self, serial: str) -> KnownGpu | None:
        """Return the GPU with a serial."""
        return next((one for one in self.gpus if serial and one.serial == serial), None)


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters of one GPU at one earlier check (see `inventory.COUNTERS`). `boot` is the boot id, `serial` may be empty."""

    at: datetime
    boot: str
    pci: str
    serial: str
    counters: Mapping[str, int]
    slot: str = ""


@dataclass(frozen=True, slots=True)
class PastFault:
    """A fault that an earlier check saw: which rule, on which card in which slot, in which boot."""

    at: datetime
    boot: str
    rule: str
    pci: str
    serial: str
    slot: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """Earlier checks, oldest first."""

    samples: tuple[Sample, ...] = ()
    faults: tuple[PastFault, ...] = ()
    boots: tuple[str, ...] = ()


MOST_GPUS, MOST_NAMES, MOST_SAMPLES, MOST_FAULTS, MOST_BOOTS = 256, 4096, 20_000, 5_000, 1_000  # what is believed
MOST_TEXT = 128
WHOLE = 1 << 62


def baseline_of(facts: Mapping[str, Any]) -> Baseline | None:
    """Return the baseline in the facts (`memory/baseline`), None where there is none that can be understood."""
    found = lookup(facts, "memory", "baseline")
    return decode(found.value) if isinstance(found, Value) else None


def history_of(facts: Mapping[str, Any]) -> History:
    """Return the history in the facts (`memory/history`), an empty one where there is none."""
    found = lookup(facts, "memory", "history")
    return decode_history(found.value) if isinstance(found, Value) else History()


def encode(baseline: Baseline) -> dict[str, Any]:
    """Return the JSON form of a baseline: the fact `memory/baseline` and the content of baseline.json."""
    return {
        "taken_at": baseline.taken_at.isoformat(),
        "by": baseline.by,
        "driver": baseline.driver,
        "gpus": [_encode_gpu(one) for one in baseline.gpus],
        "dimms": baseline.dimms,
        "dimm_slots": list(baseline.dimm_slots),
        "disks": list(baseline.disks),
        "sensors": list(baseline.sensors),
        "interfaces": list(baseline.interfaces),
    }


def _encode_gpu(gpu: KnownGpu) -> dict[str, Any]:
    plain: dict[str, Any] = {name: getattr(gpu, name) for name in (*GPU_TEXTS, *GPU_NUMBERS)}
    return plain | {"nvlinks_up": sorted(gpu.nvlinks_up), "counters": dict(gpu.counters)}


GPU_TEXTS = ("pci", "serial", "uuid", "part_number", "name", "slot", "vbios")
GPU_NUMBERS = ("module_id", "index", "pcie_width", "pcie_generation")


def decode(value: object) -> Baseline | None:
    """Return a baseline from its JSON form; what is malformed in it is left out, None without a time that is one."""
    if not isinstance(value, Mapping) or (taken_at := moment(value.get("taken_at"))) is None:
        return None
    gpus = (gpu for row in _rows(value, "gpus", MOST_GPUS) if (gpu := _decode_gpu(row)))
    return Baseline(
        taken_at,
        tuple(gpus),
        by=_text(value, "by"),
        driver=_text(value, "driver"),
        dimms=_number(value, "dimms"),
        disks=_names(value, "disks"),
        sensors=_names(value, "sensors"),
        interfaces=_names(value, "interfaces"),
        dimm_slots=_names(value, "dimm_slots"),
    )


def _decode_gpu(row: Mapping[str, Any]) -> KnownGpu | None:
    texts = {name: _text(row, name) for name in GPU_TEXTS}
    if not texts["pci"] and not texts["serial"]:
        return None
    links = row.get("nvlinks_up")
    up = (one for one in (links if isinstance(links, list) else ())[:64] if _is_whole(one) and one < 1024)
    known: dict[str, Any] = texts | {name: _number(row, name) for name in GPU_NUMBERS}
    return KnownGpu(**known, nvlinks_up=frozenset(up), counters=_counters(row))


def encode_history(history: History) -> dict[str, Any]:
    """Return the JSON form of a history, the fact `memory/history`."""
    return {
        "samples": [
            {"at": one.at.isoformat(), "boot": one.boot, "pci": one.pci}
            | {"serial": one.serial, "slot": one.slot, "counters": dict(one.counters)}
            for one in history.samples
        ],
        "faults": [
            {"at": one.at.isoformat(), "boot": one.boot, "rule": one.rule, "pci": one.pci}
            | {"serial": one.serial, "slot": one.slot}
            for one in history.faults
        ],
        "boots": list(history.boots),
    }


def decode_history(value: object) -> History:
    """Return a history from its JSON form, oldest first; rows that are malformed are left out."""
    if not isinstance(value, Mapping):
        return History()
    samples = (sample for row in _rows(value, "samples", MOST_SAMPLES) if (sample := _sample(row)))
    faults = (fault for row in _rows(value, "faults", MOST_FAULTS) if (fault := _fault(row)))
    return History(
        tuple(sorted(samples, key=lambda one: one.at)),
        tuple(sorted(faults, key=lambda one: one.at)),
        _names(value, "boots")[-MOST_BOOTS:],
    )


def _sample(row: Mapping[str, Any]) -> Sample | None:
    at, pci, serial = moment(row.get("at")), _text(row, "pci"), _text(row, "serial")
    known = at and (pci or serial)
    return Sample(at, _text(row, "boot"), pci, serial, _counters(row), _text(row, "slot")) if at and known else None


def _fault(row: Mapping[str, Any]) -> PastFault | None:
    at, rule, pci, serial = moment(row.get("at")), _text(row, "rule"), _text(row, "pci"), _text(row, "serial")
    known = at and rule and (pci or serial)
    return PastFault(at, _text(row, "boot"), rule, pci, serial, _text(row, "slot")) if at and known else None


def _rows(value: Mapping[str, Any], name: str, most: int) -> Iterator[Mapping[str, Any]]:
    """Yield the newest `most` rows of a list that are objects."""
    found = value.get(name)
    rows = found[-most:] if isinstance(found, list) else ()
    return (row for row in rows if isinstance(row, Mapping))


def _text(row: Mapping[str, Any], name: str) -> str:
    found = row.get(name)
    return found[:MOST_TEXT] if isinstance(found, str) else ""


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < WHOLE


def _number(row: Mapping[str, Any], name: str) -> int | None:
    found = row.get(name)
    return found if isinstance(found, int) and _is_whole(found) else None


def _names(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = row.get(name)
    names = found[-MOST_NAMES:] if isinstance(found, list) else ()
    return tuple(one[:MOST_TEXT] for one in names if isinstance(one, str) and one)


def _counters(row: Mapping[str, Any]) -> dict[str, int]:
    found = row.get("counters")
    rows = list(found.items())[:MOST_TEXT] if isinstance(found, Mapping) else ()
    return {name[:MOST_TEXT]: number for name, number in rows if isinstance(name, str) and _is_whole(number)}
