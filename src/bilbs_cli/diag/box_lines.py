"""The box on a page of plain text: its GPUs, its BMC, its host, as the facts have them. Facts of any shape are survived."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bilbs_cli.diag.model import NotCollected, ReadError, branch, lookup, value
from bilbs_cli.quantities import show_size
from bilbs_cli.tables import clip

WIDTH = 79
LABEL = 10
FULLEST = 3  # file systems named

Facts = Mapping[str, Any]


def sections(facts: Facts) -> list[list[str]]:
    """Return the lines of each section: GPUs, BMC, host."""
    return [
        _survived(title, section, facts) for title, section in (("GPUS", _gpus), ("BMC (IPMI)", _bmc), ("HOST", _host))
    ]


def _survived(title: str, section: Callable[[Facts], Iterator[str]], facts: Facts) -> list[str]:
    try:
        return list(section(facts))
    except Exception:  # noqa: BLE001 - facts of a hostile bundle: one section is lost, and says so
        return [title, "  these facts could not be understood, see facts.json"]


def name(header: Facts, facts: Facts) -> str:
    """Return what the box is called: host, maker, model, serial; for a dead system its own name too."""
    dmi = branch(facts, "system", "dmi")
    sold = product(facts)
    made = " ".join(str(found) for name in ("sys_vendor", "product_name") if (found := value(dmi, name)))
    serial = value(dmi, "product_serial") or sold.get("serial")
    dead = dead_name(header, facts)
    named = [
        f"{dead} (dead, read on {header.get('host')})" if dead else str(header.get("host") or "no name"),
        made or " ".join(str(sold[part]) for part in ("manufacturer", "product") if sold.get(part)),
    ]
    return ", ".join([part for part in named if part] + ([f"serial {serial}"] if serial else ["serial not readable"]))


def dead_name(header: Facts, facts: Facts) -> str:
    """Return the own name of a dead system whose files were read, empty for a living one."""
    options = header.get("options")
    found = value(facts, "system", "hostname_configured")
    sysroot = isinstance(options, Mapping) and options.get("sysroot")
    return found if sysroot and isinstance(found, str) else ""


def product(facts: Facts) -> Facts:
    """Return what the BMC's first FRU says of the product."""
    for key in branch(facts, "bmc", "fru"):
        found = value(facts, "bmc", "fru", key)
        product = found.get("product") if isinstance(found, Mapping) else None
        if isinstance(product, Mapping):
            return product
    return {}


def _gpus(facts: Facts) -> Iterator[str]:
    system, devices = branch(facts, "gpu", "system"), branch(facts, "gpu", "devices")
    yield "GPUS"
    if not branch(facts, "gpu"):
        yield "  not looked at"
        return
    in_pci, nvml = value(system, "gpus_in_pci"), lookup(system, "nvml")
    versions = [
        f"{word} {found}"
        for word, name in (("driver", "driver_version"), ("CUDA", "cuda_driver_version"))
        if (found := value(system, name))
    ]
    bus = f"{len(in_pci)} on the PCI bus" if isinstance(in_pci, list) else "PCI bus not read"
    yield "  " + ", ".join([f"{len(devices)} known to the driver", bus, *versions])
    if isinstance(nvml, ReadError):
        yield from bullet(" ", f"the driver was not reached: {nvml.message} ({nvml.kind})")
    if isinstance(in_pci, list) and not in_pci and not devices:
        yield "  no NVIDIA GPU is visible on this machine"
    if devices:
        yield _gpu_row(("#", "PCI address", "model", "serial", "temp", "power", "PCIe", "ECC"))
    for index, device in devices.items():
        yield _gpu_row(_gpu_cells(index, device))
    if devices:
        yield "  ECC: uncorrected errors since the driver was loaded. ?: not collected."


def _gpu_row(cells: Sequence[str]) -> str:
    sizes = (3, 13, 21, 14, 5, 6, 7, 8)
    return ("  " + " ".join(f"{clip(cell, size):<{size}}" for cell, size in zip(cells, sizes, strict=True))).rstrip()


def _gpu_cells(index: str, device: Facts) -> Sequence[str]:
    def shown(*path: str, form: str = "{}") -> str:
        reading = lookup(device, *path)
        if isinstance(reading, ReadError):
            return {"NVMLError_NotSupported": "n/a", "NVMLError_GpuIsLost": "LOST", "Timeout": "HUNG"}.get(
                reading.kind, "error"
            )
        return "?" if isinstance(reading, NotCollected) or reading.value is None else form.format(reading.value)

    width = shown("pcie", "width_current", form="x{}")
    link = shown("pcie", "generation_current", form="g{}") + width if width.startswith("x") else width
    address = value(device, "pci_bus_id") or value(device, "pci_bus_id_by_elimination") or shown("pci_bus_id")
    return (
        index,
        str(address),
        shown("name").removeprefix("NVIDIA "),
        shown("serial"),
        shown("temperature_c", form="{} C"),
        shown("power_w", form="{:.0f} W"),
        link,
        shown("ecc", "volatile", "uncorrected"),
    )


def _bmc(facts: Facts) -> Iterator[str]:
    yield "BMC (IPMI)"
    bmc = branch(facts, "bmc")
    if not bmc:
        yield "  not reached, see NOT READ"
        return
    sold = product(facts)
    known = [
        f"{word} {found}"
        for word, name in (("", "manufacturer"), ("firmware", "firmware"), ("IPMI", "ipmi_version"))
        if (found := value(bmc, "device", name))
    ]
    if known:
        yield from bullet(" ", ", ".join(known))
    if sold:
        yield from bullet(
            " ",
            "FRU: "
            + ", ".join(
                f"{name.replace('_', ' ')} {text}" for name, text in sold.items() if isinstance(text, str) and text
            )[:300],
        )
    readings = [value(bmc, "sensors", key) for key in branch(bmc, "sensors")]
    states = Counter(str(one.get("status")) if isinstance(one, Mapping) else "not readable" for one in readings)
    words = {
        "ok": "within limits",
        "nc": "past a non-critical limit",
        "cr": "past a critical limit",
        "nr": "past a non-recoverable limit",
        "discrete": "with states",
    }
    if states:
        yield from bullet(
            " ",
            f"{sum(states.values())} sensors: "
            + ", ".join(f"{count} {words.get(name, name)}" for name, count in states.most_common()),
        )
    else:
        yield "  sensors were not read"
    read = value(bmc, "sel", "read")
    entries = value(bmc, "sel", "entries")
    if isinstance(read, int):
        skew = value(bmc, "sel", "clock_offset_s")
        clock = (
            f"its clock is {skew:+.0f} s from the host's"
            if isinstance(skew, int | float)
            else "its clock is not set: times in it are the BMC's own"
        )
        yield from bullet(
            " ",
            f"event log (SEL): {read} of {entries if isinstance(entries, int) else '?'} records read; {clock}  [ipmi/sel.txt]",
        )
    else:
        yield "  the event log (SEL) was not read"


def _host(facts: Facts) -> Iterator[str]:
    system = branch(facts, "system")
    yield "HOST"
    if not system:
        yield "  not looked at"
        return
    up = value(system, "uptime_s")
    yield from field(
        "System",
        ", ".join(
            str(part)
            for part in (
                value(system, "os", "name") or "system not known",
                f"kernel {value(system, 'kernel_release') or 'not known'}",
                f"up {_days(up)}" if isinstance(up, int | float) else "uptime not known",
            )
            if part
        ),
    )
    memory, free = value(system, "memory", "total_bytes"), value(system, "memory", "available_bytes")
    size = f"{show_size(memory)} memory" if isinstance(memory, int) else "memory not read"
    size += f" ({show_size(free)} available)" if isinstance(free, int) else ""
    load = value(system, "load_1m")
    yield from field(
        "Machine",
        f"{value(system, 'cpu', 'threads') or '?'} x {value(system, 'cpu', 'model') or 'processor not known'}, {size}"
        + (f", load {load:.2f}" if isinstance(load, int | float) else ""),
    )
    yield from field("Storage", _storage(facts))
    yield from field("Network", _network(facts))
    failed = value(facts, "services", "failed")
    if isinstance(failed, list):
        services = f"{len(failed)} failed units" + (f": {', '.join(map(str, failed[:8]))}" if failed else "")
    else:
        services = "no systemd here" if value(facts, "services", "systemd") is False else "not read"
    yield from field("Services", services)
    tainted = value(facts, "kernel", "taint_reasons")
    yield from field(
        "Kernel log", _kernel_log(facts) + (f"; tainted: {', '.join(map(str, tainted))}" if tainted else "")
    )


def _storage(facts: Facts) -> str:
    disks, mounts = branch(facts, "storage", "disks"), branch(facts, "storage", "file_systems")
    if not disks and not mounts:
        return "not read"
    passed = Counter(str(value(disk, "smart", "passed")) for disk in disks.values())
    smart = {"True": "SMART passed", "False": "SMART FAILED", "None": "SMART not read"}
    use = [
        (found, clip(str(value(mount, "mount_point")), 30))
        for mount in mounts.values()
        if value(mount, "type") != "tmpfs" and isinstance(found := value(mount, "used_percent"), int | float)
    ]
    fullest = ", ".join(f"{where} {percent:.0f} %" for percent, where in sorted(use, key=lambda one: -one[0])[:FULLEST])
    return f"{len(disks)} disk{'' if len(disks) == 1 else 's'} ({', '.join(f'{count} {smart[name]}' for name, count in passed.items()) or 'none'}); fullest: {fullest or 'not known'}"


def _network(facts: Facts) -> str:
    links = branch(facts, "network", "interfaces")
    physical = {name: link for name, link in links.items() if value(link, "physical")}
    if not links:
        return "not read"
    shown = [
        f"{name} {value(link, 'operstate') or 'unknown'}"
        + (f" {speed} Mb/s" if isinstance(speed := value(link, "speed_mbps"), int) else "")
        for name, link in physical.items()
    ]
    ports = branch(facts, "network", "infiniband")
    return (
        ", ".join(shown[:8])
        + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")
        + (f"; InfiniBand: {', '.join(ports)}" if ports else "")
        or "no physical link"
    )


def _kernel_log(facts: Facts) -> str:
    records = value(facts, "kernel", "ring_buffer", "records")
    boots = value(facts, "kernel", "journal", "boots")
    known = [
        f"{records} records in the ring buffer" if isinstance(records, int) else "",
        f"journal of {boots} boots" if isinstance(boots, int) else "",
    ]
    found = len(branch(facts, "kernel", "log"))
    return ", ".join(part for part in known if part) or ("files" if found else "see kernel/ for what there is")


def field(label: str, text: str) -> Iterator[str]:
    """Yield a labelled text, wrapped."""
    lines = textwrap.wrap(text, WIDTH - LABEL - 3, break_on_hyphens=False) or [""]
    yield f"  {label:<{LABEL}} {lines[0]}"
    for line in lines[1:]:
        yield " " * (LABEL + 3) + line


def bullet(mark: str, text: str) -> Iterator[str]:
    """Yield a text with a mark in front of its first line, wrapped."""
    yield from textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=f"{mark} ", subsequent_indent="    ", break_on_hyphens=False
    )


def _days(seconds: float) -> str:
    return f"{seconds / 86400:.0f} days" if seconds >= 2 * 86400 else f"{seconds / 3600:.1f} hours"
