"""Which GPU is meant: PCI address, index, serial, slot, each with where it was learned from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GpuIdentity:
    """One GPU of this box, seen or missing. Texts are empty where nothing knows them.

    `serial_from` and `slot_from` say where they come from, in words: "the driver", "the kernel log, line 812 of
    kernel/dmesg.txt", "the baseline of 2026-11-01", "SMBIOS", "/sys/bus/pci/slots".
    `present`: `nvml` (it answers), `lost` (the driver has lost it), `pci` (on the bus, not with the driver),
    `missing` (only the baseline or the log knows it).
    """

    pci: str
    index: int | None = None
    serial: str = ""
    serial_from: str = ""
    uuid: str = ""
    part_number: str = ""
    name: str = ""
    slot: str = ""
    slot_from: str = ""
    module_id: int | None = None
    present: str = "nvml"

    @property
    def part(self) -> str:
        """Return its id in findings."""
        return f"gpu:{self.pci}" if self.pci else f"gpu:index:{self.index}"
