"""What a maker identifies a part and its box by, each with where it was read, or why it could not be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag import identity
from bilbs_cli.diag.baseline import KnownGpu, baseline_of
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.collectors.dmi import UNKNOWN
from bilbs_cli.diag.findings import Facts, gap_of
from bilbs_cli.diag.inventory import device_of
from bilbs_cli.diag.model import Reading, Value, branch, lookup, value
from bilbs_cli.diag.rma_parts import Part

TEXT = 120
NOT_FILLED = re.compile(  # what boards say whose maker wrote nothing
    r"(?:to be filled.*|default.*|(?:system|chassis|base ?board|board) serial.*|0*|0?123456789\d*|n/?a|not applicable"
    r"|o\.?e\.?m\.?|empty|xx+|\.+|asset.*tag.*)",
    re.IGNORECASE,
)
REAL_NAMES = frozenset(  # that pseudonyms stand in for
    {"host", "service_tag", "system_serial", "board_serial", "chassis_serial", "part_serial", "asset_tag"}
)


@dataclass(frozen=True, slots=True)
class Identifier:
    """One of them. `value` is empty where it is not known, `why` then says why not; `source` says where it was read."""

    key: str
    label: str
    value: str = ""
    source: str = ""
    why: str = ""


Candidate = tuple[Reading, str]  # and where it is from, in words


def identifiers(checked: Checked, part: Part) -> tuple[Identifier, ...]:
    """Return the identifiers of a part and of the box, in a fixed order; those of other kinds of parts are left out."""
    facts = checked.facts
    return (*_of_part(facts, part), *_of_box(checked))


def _of_box(checked: Checked) -> Iterator[Identifier]:
    facts = checked.facts
    yield _first("host", "Host", [(Value(checked.host), "the bundle")])
    yield _first("maker", "Maker", [_dmi(facts, "sys_vendor"), _fru(facts, "product", "manufacturer")])
    product = [_dmi(facts, "product_name"), _fru(facts, "product", "product")]
    yield _first("product_name", "System", product)
    tag = [_dmi(facts, "product_serial"), _dmi(facts, "chassis_serial"), _fru(facts, "product", "serial")]
    yield _first("service_tag", "Service Tag", tag)
    yield _first("system_serial", "System serial number", [tag[0], tag[2]])
    yield _first("chassis_serial", "Chassis serial number", [tag[1], _fru(facts, "chassis", "serial")])
    yield _first("board_name", "Motherboard", [_dmi(facts, "board_name"), _fru(facts, "board", "product")])
    yield _first(
        "board_serial", "Motherboard serial number", [_dmi(facts, "board_serial"), _fru(facts, "board", "serial")]
    )
    yield _first("asset_tag", "Asset tag", [_dmi(facts, "chassis_asset_tag"), _fru(facts, "product", "asset_tag")])
    yield _first("bmc_firmware", "BMC firmware", [_at(facts, "bmc/device/firmware", "the BMC")])
    yield _first("bios", "BIOS", [_dmi(facts, "bios_version")])
    driver = [_at(facts, f"gpu/system/{name}", "the driver") for name in ("driver_version", "kernel_module_version")]
    yield _first("driver", "NVIDIA driver", driver)
    yield _first("os", "Operating system", [_at(facts, "system/os/name", "/etc/os-release")])
    yield _first("kernel", "Kernel", [_at(facts, "system/kernel_release", "uname")])


def _at(facts: Facts, path: str, source: str) -> Candidate:
    return lookup(facts, *path.split("/")), source


def _dmi(facts: Facts, name: str) -> Candidate:
    return _at(facts, f"system/dmi/{name}", f"DMI ({name})")


def _fru(facts: Facts, area: str, name: str, number: str = "") -> Candidate:
    """Return a field of a FRU, without a number of the first one with such an area (the BMC's own is 0)."""
    frus = branch(facts, "bmc", "fru")
    chosen = number or next((one for one in sorted(frus, key=_order) if _area(frus, one, area)), "")
    reading: Reading = lookup(frus, chosen) if chosen else lookup(facts, "bmc", "fru")
    if chosen and isinstance(reading, Value):
        reading = Value(_area(frus, chosen, area).get(name))
    return reading, f"FRU {chosen or '0'}, {area} area"


def _order(number: str) -> tuple[int, str]:
    return (int(number), "") if number.isascii() and number.isdigit() and len(number) < 6 else (1 << 20, number)


def _area(frus: Facts, number: str, area: str) -> Mapping[str, Any]:
    whole = value(frus, number)
    found = whole.get(area) if isinstance(whole, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _first(key: str, label: str, candidates: list[Candidate]) -> Identifier:
    """Return the first candidate that says something; else why the first one does not."""
    for reading, source in candidates:
        if isinstance(reading, Value) and (text := _said(reading.value)):
            return Identifier(key, label, text, source)
    reasons = dict.fromkeys(f"{source}: {_why(reading)}" for reading, source in candidates)
    return Identifier(key, label, why="; ".join(reasons))


def _said(found: object) -> str:
    text = found if isinstance(found, str) else str(found) if isinstance(found, int) and found < 1 << 63 else ""
    text = " ".join(text.split())[:TEXT]
    return "" if text.lower() in UNKNOWN or NOT_FILLED.fullmatch(text) else text


def _why(reading: Reading) -> str:
    if isinstance(reading, Value):
        return "the maker wrote nothing there"
    said = " ".join(gap_of(reading)[1].split())[:TEXT]
    return "not in this bundle" if reading == lookup({}) else said


def _of_part(facts: Facts, part: Part) -> Iterator[Identifier]:
    makers = {"gpu": _gpu, "psu": _supply, "dimm": _dimm, "disk": _disk, "nvme": _disk, "net": _net, "ib": _adapter}
    found = list(makers.get(part.kind, _unnumbered)(facts, part))
    yield Identifier("part", "Failed part", _titled(part, found), "the bundle")
    yield from found


def _titled(part: Part, found: list[Identifier]) -> str:
    model = next((one.value for one in found if one.key == "model"), "")
    return f"{model}: {part.title}" if model else part.title


def _gpu(facts: Facts, part: Part) -> Iterator[Identifier]:
    gpu, device = part.gpu, device_of(facts, part.gpu.pci if part.gpu else "")
    if gpu is None:
        return
    kept, card = _kept(facts, gpu)
    where = "the driver" if value(device, "name") else kept
    yield _known("model", "Model", gpu.name, where, device, "name")
    yield _known("part_serial", "GPU serial number", gpu.serial, gpu.serial_from, device, "serial")
    where = "the driver" if value(device, "part_number") else kept
    yield _known("part_number", "GPU part number", gpu.part_number, where, device, "part_number")
    where = "the driver" if value(device, "uuid") else kept if card and card.uuid == gpu.uuid else "the kernel log"
    yield _known("uuid", "GPU UUID", gpu.uuid, where, device, "uuid")
    vbios = [(lookup(device, "vbios"), "the driver"), *([(Value(card.vbios), kept)] if card and card.vbios else [])]
    yield _first("vbios", "VBIOS", vbios)
    yield _first("inforom", "InfoROM image", [(lookup(device, "inforom", "image"), "the driver")])
    place, source = identity.place_of(gpu), gpu.slot_from or "the driver's module id"
    why = "neither SMBIOS nor the PCI bus nor the driver names a slot for it"
    yield Identifier("place", "Place", place, source) if place else Identifier("place", "Place", why=why)
    yield Identifier("pci", "PCI address", gpu.pci, "the PCI bus") if gpu.pci else Identifier("pci", "PCI address")


def _kept(facts: Facts, gpu: identity.GpuIdentity) -> tuple[str, KnownGpu | None]:
    """Return the baseline in words, and the card as it knew it: by its serial, else by its place."""
    baseline = baseline_of(facts)
    if baseline is None:
        return "the bundle", None
    known = baseline.gpu_with(gpu.serial) if gpu.serial else baseline.gpu_at(gpu.pci)
    return f"the baseline of {baseline.taken_at:%Y-%m-%d}", known


def _known(key: str, label: str, text: str, source: str, device: Facts, name: str) -> Identifier:
    """Return what the bundle knows of a GPU; where it knows nothing, why the driver did not say."""
    said = " ".join(text.split())[:TEXT]
    if said:
        return Identifier(key, label, said, source or "the bundle")
    why = source or (f"the driver: {_why(lookup(device, name))}" if device else "the driver does not see this GPU")
    return Identifier(key, label, why=f"{why}; no baseline and no log has it")


def _supply(facts: Facts, part: Part) -> Iterator[Identifier]:
    for key, label, name in (
        ("model", "Model", "product"),
        ("part_serial", "Serial number", "serial"),
        ("part_number", "Part number", "part_number"),
    ):
        if part.fru:
            yield _first(key, label, [_fru(facts, area, name, part.fru) for area in ("product", "board")])
        else:
            yield Identifier(key, label, why="the BMC has no FRU for it")


def _dimm(facts: Facts, part: Part) -> Iterator[Identifier]:
    yield from _readings(
        facts,
        part,
        (
            ("model", "Maker", "manufacturer"),
            ("part_serial", "Serial number", "serial"),
            ("part_number", "Part number", "part_number"),
        ),
        "SMBIOS",
    )
    yield Identifier("place", "Place", part.path.rpartition("/")[2], "SMBIOS")


def _disk(facts: Facts, part: Part) -> Iterator[Identifier]:
    controller = next((one.partition(":")[2] for one in part.spoken if one.startswith("nvme:")), "")
    for key, label, name in (
        ("model", "Model", "model"),
        ("part_serial", "Serial number", "serial"),
        ("part_firmware", "Firmware", "firmware"),
    ):
        places = [f"{part.path}/{name}", f"{part.path}/smart/{name}"]
        places += [f"storage/nvme/{controller}/{name}"] if controller else []
        sources = ("sysfs", "SMART", "its controller")
        yield _first(key, label, [_at(facts, place, source) for place, source in zip(places, sources, strict=False)])


def _net(facts: Facts, part: Part) -> Iterator[Identifier]:
    device = value(facts, *part.path.split("/"), "device")
    model = value(facts, "pci", "devices", device, "model") if isinstance(device, str) else None
    yield _first("model", "Model", [(Value(model), "the PCI bus")])
    yield _first("part_serial", "MAC address", [_at(facts, f"{part.path}/mac", "sysfs")])
    yield _first("place", "Place", [(Value(device), "the PCI bus")])


def _adapter(facts: Facts, part: Part) -> Iterator[Identifier]:
    yield from _readings(
        facts,
        part,
        (
            ("model", "Model", "type"),
            ("part_serial", "Node GUID", "node_guid"),
            ("part_number", "Board id", "board"),
            ("part_firmware", "Firmware", "firmware"),
            ("place", "Place", "device"),
        ),
        "sysfs",
    )


def _readings(facts: Facts, part: Part, rows: tuple[tuple[str, str, str], ...], source: str) -> Iterator[Identifier]:
    for key, label, name in rows:
        yield _first(key, label, [(lookup(facts, *part.path.split("/"), name), source)])


def _unnumbered(_facts: Facts, _part: Part) -> Iterator[Identifier]:
    yield Identifier("part_serial", "Serial number", why="parts of this kind have none that a program can read")
