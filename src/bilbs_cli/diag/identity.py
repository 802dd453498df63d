"""Which GPU is meant: PCI address, index, serial, slot, each with where it was learned from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bilbs_cli.diag.baseline import Baseline, KnownGpu, baseline_of
from bilbs_cli.diag.findings import Box, Facts, moment
from bilbs_cli.diag.kernel_log.events import Event, Log
from bilbs_cli.diag.model import NotCollected, ReadError, Value, branch, leaves, lookup, value

DRIVER, SYSFS, SMBIOS = "the driver", "/sys/bus/pci/slots", "SMBIOS"
NAMING = frozenset({"xid", "off_bus", "nvrm_init", "nvrm_reset_required", "nvrm_identity"})  # events of a GPU


@dataclass(frozen=True, slots=True)
class GpuIdentity:
    """One GPU of this box, seen or missing. Texts are empty where nothing knows them.

    `serial_from` and `slot_from` say where they come from, in words: "the driver", "the kernel log, line 812 of
    kernel/dmesg.txt", "the baseline of 2026-11-01", "SMBIOS", "/sys/bus/pci/slots". With an empty `serial`,
    `serial_from` may say why the one that is remembered is not believed.
    `present`: `nvml` (it answers), `lost` (the driver has lost it, or it answers the bus no more), `pci` (on the bus,
    not with the driver), `missing` (only the baseline or the log knows it), `unknown` (so too, but nobody looked at the
    bus or asked the driver: the files of a mounted system).
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


@dataclass(frozen=True, slots=True)
class Logged:
    """What the driver printed about one GPU in a kernel log; times are None where the lines have none.

    `at` is that of the last line about it, `serial_at` that of the line with the serial.
    """

    serial: str = ""
    serial_from: str = ""
    serial_at: datetime | None = None
    uuid: str = ""
    at: datetime | None = None


def gpus(box: Box) -> tuple[GpuIdentity, ...]:
    """Return every GPU that the driver, the PCI bus, the baseline or the kernel log knows, in PCI order.

    One that only the baseline or the log knows is left out when its serial or UUID answers at another address: it was
    moved, it is not missing.
    """
    return box.derive(_all)


def at(box: Box, pci: str) -> GpuIdentity | None:
    """Return the GPU at a PCI address, None where nothing knows one there."""
    return next((one for one in gpus(box) if pci and one.pci == pci), None)


def of_part(box: Box, part: str) -> GpuIdentity | None:
    """Return the GPU that a finding's part names (`gpu:0000:3b:00.0`, `gpu:index:2`), None for another part."""
    return next((one for one in gpus(box) if one.part == part), None)


def label(gpu: GpuIdentity) -> str:
    """Return how a person finds it; the serial with where it is from, when that is not the driver.

    >>> label(GpuIdentity("0000:3b:00.0", 1, "1652324001311", DRIVER, slot="5"))
    'GPU 1 (0000:3b:00.0, slot 5, serial 1652324001311)'
    >>> label(GpuIdentity("0000:3b:00.0", serial="165", serial_from="the baseline of 2026-11-01", module_id=3))
    'GPU (0000:3b:00.0, module 3, serial 165, from the baseline of 2026-11-01)'
    """
    parts = [gpu.pci] if gpu.pci else []
    parts += [place] if (place := place_of(gpu)) else []
    if gpu.serial:
        parts += [f"serial {gpu.serial}", *([f"from {gpu.serial_from}"] if gpu.serial_from != DRIVER else [])]
    named = "GPU" if gpu.index is None else f"GPU {gpu.index}"
    return f"{named} ({', '.join(parts)})" if parts else named


def place_of(gpu: GpuIdentity) -> str:
    """Return where it sits, in words: its slot and, on a baseboard, its module; empty where neither is known."""
    places = [named_slot(gpu.slot)] if gpu.slot else []
    if gpu.module_id and f"module {gpu.module_id}" not in places:
        places.append(f"module {gpu.module_id}")
    return ", ".join(places)


def named_slot(slot: str) -> str:
    """Return a slot's name with the word slot, where its own name does not say what it is.

    >>> named_slot("5"), named_slot("PCIe Slot 3"), named_slot("module 2")
    ('slot 5', 'PCIe Slot 3', 'module 2')
    """
    says = any(word in slot.lower() for word in ("slot", "module", "riser", "pci", "oam", "sxm"))
    return slot if says else f"slot {slot}"


def address_of(device: Facts) -> str:
    """Return the PCI address in one GPU's facts, or the one that was left over for it; empty where unknown."""
    found = (value(device, name) for name in ("pci_bus_id", "pci_bus_id_by_elimination"))
    return next((one.lower()[:20] for one in found if isinstance(one, str) and one), "")


def pci_order(address: str) -> tuple[int, ...]:
    """Return what PCI addresses are sorted by; anything else goes last.

    >>> sorted(["", "0001:03:00.0", "0000:3b:00.0"], key=pci_order)
    ['0000:3b:00.0', '0001:03:00.0', '']
    """
    try:
        return tuple(int(part, 16) for part in address.replace(".", ":").split(":"))
    except ValueError:
        return (1 << 64,)


def slot_of(facts: Facts, pci: str, device: Facts) -> tuple[str, str]:
    """Return the physical slot of the GPU at `pci` and where that is known from; two empty texts where nothing says.

    `device` are the GPU's own facts. The nearest of itself and the bridges above it decides, because a riser or a board
    with a switch of its own stands between the slot and the GPU. NVML's platform information counts the slots of a rack,
    and its module id is 0 for what is no baseboard product: then it names no place (nvml.h, nvmlPlatformInfo_v2_t and
    nvmlDeviceGetModuleId, https://docs.nvidia.com/deploy/nvml-api/).
    """
    above = value(facts, "pci", "devices", pci, "bridges_above")
    bridges = [one for one in reversed(above) if isinstance(one, str)] if isinstance(above, list) else []
    nearest = [one.rpartition(".")[0] for one in (pci, *bridges) if one]
    sysfs = value(facts, "pci", "devices", pci, "slot") or _match(_sysfs_slots(facts), nearest)
    if sysfs and isinstance(sysfs, str):
        return sysfs[:64], SYSFS
    if printed := _match(_smbios_slots(facts), nearest):
        return printed, SMBIOS
    slot = value(device, "platform", "slot")
    if isinstance(slot, int) and not isinstance(slot, bool):
        return f"rack slot {str(slot)[:32]}", "the driver's platform information"
    module = module_of(device)
    return (f"module {module}", "the driver's module id") if module else ("", "")


def module_of(device: Facts) -> int | None:
    """Return the module on the baseboard, None for a GPU that is no module."""
    found = (value(device, *path) for path in (("platform", "module_id"), ("module_id",)))
    return next((one for one in found if isinstance(one, int) and not isinstance(one, bool) and 0 < one < 1000), None)


def _sysfs_slots(facts: Facts) -> dict[str, str]:
    slots = ((value(facts, "pci", "slots", name), name) for name in branch(facts, "pci", "slots"))
    return {address.lower(): name for address, name in slots if isinstance(address, str)}


def _smbios_slots(facts: Facts) -> dict[str, str]:
    slots = branch(facts, "system", "dmi", "slots")
    found = ((value(facts, "system", "dmi", "slots", name, "bus_address"), name) for name in slots)
    return {address.lower().rpartition(".")[0]: name[:64] for address, name in found if isinstance(address, str)}


def _match(slots: Mapping[str, str], places: list[str]) -> str:
    return next((slots[place] for place in places if place in slots), "")


def _all(box: Box) -> tuple[GpuIdentity, ...]:
    baseline, logged = baseline_of(box.facts), _logged(box.logs)
    seen = [_known(one, box.facts, baseline, logged.get(one.pci)) for one in _seen(box.facts)]
    unseen = "missing" if looked(box.facts) else "unknown"
    addresses = sorted({*_expected(baseline, logged)} - {one.pci for one in seen} - {""}, key=pci_order)
    rest = [_known(GpuIdentity(pci, present=unseen), box.facts, baseline, logged.get(pci)) for pci in addresses]
    here = {name for one in seen for name in (one.serial, one.uuid) if name}
    missing = [one for one in rest if not {one.serial, one.uuid} & here]
    return tuple(sorted([*seen, *missing], key=lambda one: (pci_order(one.pci), one.index or 0)))


def _expected(baseline: Baseline | None, logged: Mapping[str, Logged]) -> Iterator[str]:
    """Yield the addresses of the baseline, and those of the log that are not older than a baseline without them."""
    yield from (one.pci for one in baseline.gpus) if baseline else ()
    for pci, one in logged.items():
        if not (baseline and one.at and one.at < baseline.taken_at):
            yield pci


def looked(facts: Facts) -> bool:
    """Say whether anybody asked the driver or looked at the PCI bus: else nothing can be missing."""
    nvml = lookup(facts, "gpu", "system", "nvml")
    return not isinstance(nvml, NotCollected) or value(facts, "pci", "functions") is not None


def _seen(facts: Facts) -> Iterator[GpuIdentity]:
    """Yield the GPUs that the driver lists or the PCI bus shows, with what they say of themselves."""
    devices = branch(facts, "gpu", "devices")
    with_driver = {address_of(device) for device in devices.values() if isinstance(device, Mapping)} - {""}
    nameless = [index for index, device in devices.items() if isinstance(device, Mapping) and not address_of(device)]
    unclaimed = [address for address in on_the_bus(facts) if address not in with_driver]
    for index, device in devices.items():
        # as many without an address as addresses without one: the same GPUs, which would be counted twice
        if isinstance(device, Mapping) and (index not in nameless or len(nameless) > len(unclaimed)):
            yield _from_driver(facts, index, device)
    for address in unclaimed:
        dead = bool(nameless) or value(facts, "gpu", "pci", address, "answers") is False
        uuid = value(facts, "gpu", "pci", address, "proc", "gpu_uuid")
        yield GpuIdentity(address, uuid=uuid[:64] if isinstance(uuid, str) else "", present="lost" if dead else "pci")


def on_the_bus(facts: Facts) -> list[str]:
    """Return the addresses of the NVIDIA GPUs that Linux lists, in PCI order."""
    found = {address for address, one in branch(facts, "gpu", "pci").items() if value(one, "kind") == "gpu"}
    listed = value(facts, "gpu", "system", "gpus_in_pci")
    found |= {one.lower() for one in listed if isinstance(one, str)} if isinstance(listed, list) else set()
    for address, one in branch(facts, "pci", "devices").items():
        if value(one, "kind") == "gpu" and value(one, "vendor_id") == "10de":
            found.add(address)
    return sorted(found, key=pci_order)


def _from_driver(facts: Facts, index: str, device: Facts) -> GpuIdentity:
    pci, readings = address_of(device), [reading for _, reading in leaves(device)]
    texts = {name: found[:64] for name in ("serial", "uuid", "part_number", "name") if (found := _text(device, name))}
    gone = any(isinstance(one, ReadError) and one.kind == "NVMLError_GpuIsLost" for one in readings)
    silent = not texts and not any(
        isinstance(one, Value) for path, one in leaves(device) if "elimination" not in path[0]
    )
    dead = gone or silent or value(facts, "gpu", "pci", pci, "answers") is False
    return GpuIdentity(
        pci,
        int(index) if index.isascii() and index.isdigit() and len(index) < 6 else None,
        serial_from=DRIVER if "serial" in texts else "",
        module_id=module_of(device),
        present="lost" if dead else "nvml",
        **texts,
    )


def _text(device: Facts, name: str) -> str:
    found = value(device, name)
    return found if isinstance(found, str) else ""


def _known(gpu: GpuIdentity, facts: Facts, baseline: Baseline | None, logged: Logged | None) -> GpuIdentity:
    """Return a GPU with what the log and the baseline know of it besides, each with its provenance."""
    device: Any = branch(facts, "gpu", "devices", str(gpu.index)) if gpu.index is not None else {}
    slot, slot_from = slot_of(facts, gpu.pci, device)
    gpu = replace(gpu, slot=slot, slot_from=slot_from, uuid=gpu.uuid or (logged.uuid if logged else ""))
    before = baseline.gpu_at(gpu.pci) if baseline else None
    if not gpu.serial:
        gpu = _with_serial(gpu, baseline, before, logged)
    return _filled(gpu, baseline, before)


def _with_serial(
    gpu: GpuIdentity, baseline: Baseline | None, before: KnownGpu | None, logged: Logged | None
) -> GpuIdentity:
    """Return it with the serial that the kernel log or the baseline has for it, the later one where they disagree."""
    day = f"the baseline of {baseline.taken_at:%Y-%m-%d}" if baseline else ""
    if logged and logged.serial:
        other = before.serial if before and before.serial != logged.serial else ""
        stale = baseline and other and logged.serial_at and logged.serial_at < baseline.taken_at
        note = f" ({day} had serial {other} here)" if other else ""
        if not stale:
            return replace(gpu, serial=logged.serial, serial_from=logged.serial_from + note)
    same = next((one for one in baseline.gpus if gpu.uuid and one.uuid == gpu.uuid), None) if baseline else None
    if same and same.serial:
        return replace(gpu, serial=same.serial, serial_from=f"{day}, by its UUID")
    if before and before.serial and before.uuid and gpu.uuid and before.uuid != gpu.uuid:
        return replace(gpu, serial_from=f"nothing: {day} had another card here, serial {before.serial}")
    return replace(gpu, serial=before.serial, serial_from=day) if before and before.serial else gpu


def _filled(gpu: GpuIdentity, baseline: Baseline | None, before: KnownGpu | None) -> GpuIdentity:
    """Return it with the rest that the baseline knows: of the card by its serial, of the place by its address."""
    card = baseline.gpu_with(gpu.serial) if baseline else None
    if card is None and before and not before.serial and not gpu.serial and before.uuid in {"", gpu.uuid}:
        card = before
    if card:
        gpu = replace(
            gpu,
            uuid=gpu.uuid or card.uuid,
            part_number=gpu.part_number or card.part_number,
            name=gpu.name or card.name,
        )
    if before and baseline:
        if not gpu.slot and before.slot:
            gpu = replace(gpu, slot=before.slot, slot_from=f"the baseline of {baseline.taken_at:%Y-%m-%d}")
        gpu = replace(gpu, module_id=gpu.module_id or before.module_id)
    return gpu


def _logged(logs: tuple[Log, ...]) -> dict[str, Logged]:
    """Return what kernel logs say of GPUs, by address: the last word of the last log; GPUs that are only named too."""
    found: dict[str, Logged] = {}
    for log in logs:
        events = [event for event in log.events if event.kind in NAMING]
        lines = {one.line: event.pci for event in events if event.pci for one in event.sightings}
        for event in events:
            if pci := event.pci or _neighbour(lines, event):
                found[pci] = _merged(found.get(pci, Logged()), log, event)
    return found


def _merged(known: Logged, log: Log, event: Event) -> Logged:
    serial, uuid, when = event.detail.get("serial"), event.detail.get("uuid"), moment(event.last.at)
    older = known.at is not None and when is not None and when < known.at
    known = known if older else replace(known, at=when or known.at)
    if event.kind != "nvrm_identity":
        return known
    if isinstance(serial, str) and serial and not (known.serial and older):
        place = f"the kernel log, line {event.last.line} of {log.member}"
        known = replace(known, serial=serial[:64], serial_from=place, serial_at=when)
    return replace(known, uuid=uuid[:64]) if isinstance(uuid, str) and uuid and not (known.uuid and older) else known


def _neighbour(lines: Mapping[int, str], event: Event) -> str:
    """Return the address that a line without one speaks of: the driver prints it one or two lines before or after."""
    line = event.last.line
    return next((lines[line + step] for step in (-1, 1, -2, 2) if line + step in lines), "")
