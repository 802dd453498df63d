"""The slot map: every slot that the firmware names, and what sits in it, for the person who pulls the board."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bilbs_cli.diag import identity
from bilbs_cli.diag.findings import Box, Facts
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.model import branch, value


@dataclass(frozen=True, slots=True)
class SlotRow:
    """One slot. `address` is what the firmware or the bus gives for it, empty where nothing does.

    `content` says what is in it, in words; `state` is `in use`, `empty`, `lost`, `missing` or `unknown`. `source` is
    where the slot's name is from.
    """

    slot: str
    address: str
    content: str
    state: str
    gpu: GpuIdentity | None = None
    source: str = ""


def slot_map(box: Box) -> tuple[SlotRow, ...]:
    """Return the slots, those with a GPU first in PCI order, the rest by name; GPUs without a known slot too."""
    gpus = identity.gpus(box)
    with_gpu = [_of_gpu(one) for one in gpus]
    taken = {(one.slot, one.slot_from) for one in gpus if one.slot}
    rest = [one for one in _named(box.facts) if (one.slot, one.source) not in taken]
    claimed = {one.address for one in with_gpu}
    return (*with_gpu, *sorted((one for one in rest if one.address not in claimed), key=lambda one: one.slot))


def _of_gpu(gpu: GpuIdentity) -> SlotRow:
    state = {"nvml": "in use", "pci": "in use"}.get(gpu.present, gpu.present)
    return SlotRow(gpu.slot, gpu.pci, gpu.name or "NVIDIA GPU", state, gpu, gpu.slot_from)


def _named(facts: Facts) -> Iterator[SlotRow]:
    """Yield the slots that SMBIOS and sysfs name, each with the device in it, one row for each address."""
    seen: set[str] = set()
    for name in branch(facts, "system", "dmi", "slots"):
        address, usage = (value(facts, "system", "dmi", "slots", name, fact) for fact in ("bus_address", "usage"))
        place = address.lower()[:20] if isinstance(address, str) else ""
        device = _in_place(facts, place.rpartition(".")[0])
        seen.add(place.rpartition(".")[0])
        known = (
            {"In Use": "in use", "Available": "empty"}.get(usage, "unknown") if isinstance(usage, str) else "unknown"
        )
        yield SlotRow(name[:64], place, device, "in use" if device else known, source=identity.SMBIOS)
    for name in branch(facts, "pci", "slots"):
        address = value(facts, "pci", "slots", name)
        place = address.lower()[:20] if isinstance(address, str) else ""
        if place not in seen:
            device = _in_place(facts, place)
            yield SlotRow(name[:64], place, device, "in use" if device else "unknown", source=identity.SYSFS)


def _in_place(facts: Facts, place: str) -> str:
    """Return what is at an address without its function, or below it; empty where nothing is known to be."""
    for address, device in branch(facts, "pci", "devices").items():
        above = value(device, "bridges_above")
        bridges = [one for one in above if isinstance(one, str)] if isinstance(above, list) else []
        if (
            place
            and value(device, "kind") != "bridge"
            and place in {one.rpartition(".")[0] for one in (address, *bridges)}
        ):
            named = value(device, "model") or value(device, "kind")
            return str(named)[:64]
    return ""
