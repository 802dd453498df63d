"""The memory of a box: its inventory while it was healthy, and the counters and faults of earlier checks.

It stands in the facts as `memory/baseline` (one value) and `memory/history` (one value), so that a bundle carries it and
gives the same answer everywhere. Everything here is pure; `memory.py` keeps the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class KnownGpu:
    """A GPU as it was while the box was healthy. Texts are empty and numbers None where they were not known.

    `counters` are the ones that only grow: `remapped_correctable`, `remapped_uncorrectable`, `pcie_replays`,
    `ecc_aggregate_corrected`, `ecc_aggregate_uncorrected`, `retired_pages` (see `memory`).
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
    """The inventory taken at `taken_at` (aware, UTC), by a clean check or by `bilbs diag baseline set`."""

    taken_at: datetime
    gpus: tuple[KnownGpu, ...]
    by: str = ""
    driver: str = ""
    dimms: int | None = None
    disks: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()

    def gpu_at(self, pci: str) -> KnownGpu | None:
        """Return the GPU that was at a PCI address."""
        return next((one for one in self.gpus if pci and one.pci == pci), None)

    def gpu_with(self, serial: str) -> KnownGpu | None:
        """Return the GPU with a serial."""
        return next((one for one in self.gpus if serial and one.serial == serial), None)


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters of one GPU at one earlier check. `boot` is the boot id, `serial` may be empty."""

    at: datetime
    boot: str
    pci: str
    serial: str
    counters: Mapping[str, int]


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
