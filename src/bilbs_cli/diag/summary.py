"""SUMMARY.txt: the box on one page of plain text, for someone who has never seen it. Pure: facts and items in, text out."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from bilbs_cli import __version__
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.model import NotCollected, ReadError, Status, branch, lookup, value
from bilbs_cli.diag.observations import observe
from bilbs_cli.escape import visible
from bilbs_cli.quantities import show_duration, show_size
from bilbs_cli.tables import clip

WIDTH = 79
LABEL = 10
LOOKED_AT = 25  # observations shown; the rest is counted
FULLEST = 3  # file systems named

Facts = Mapping[str, Any]


def write(header: Facts, ended: Facts, facts: Facts, items: Sequence[Item], receipt: Facts, *, complete: bool) -> str:
    """Return the page. `header` and `ended` are what assembly keeps of a run, `receipt` is redaction.json."""
    parts = (
        _head(header, ended, facts, complete),
        _stands_out(facts),
        _gpus(facts),
        _bmc(facts),
        _host(facts),
        _not_read(header, ended, items),
        _inside(items, receipt, header),
        _next(header, items),
    )
    return visible("\n\n".join("\n".join(part) for part in parts), multiline=True) + "\n"


def _head(header: Facts, ended: Facts, facts: Facts, complete: bool) -> Iterator[str]:
    yield "BILBS DIAGNOSTIC BUNDLE"
    yield ""
    yield from _field("Box", _box(header, facts))
    user = "root" if header.get("root") else "a user without root's rights"
    took = _seconds_between(str(header.get("started_at")), str(ended.get("finished_at")))
    yield from _field(
        "Collected",
        f"{_moment(str(header.get('started_at')))}{took}, profile {header.get('profile')}, as {user}, bilbs {__version__}",
    )
    options = header.get("options") or {}
    logs = f"logs since {_moment(str(options.get('since')))}" if options.get("since") != "all" else "logs of all time"
    if options.get("sysroot"):
        logs += f"; a dead system mounted at {options['sysroot']} was read: no GPU, no BMC, no running program"
    yield from _field("Covers", logs)
    state = (
        "complete" if complete else f"PARTIAL: {ended.get('trouble') or 'something timed out or failed, see NOT READ'}"
    )
    yield from _field("Bundle", state)


def _box(header: Facts, facts: Facts) -> str:
    dmi = branch(facts, "system", "dmi")
    product = _product(facts)
    made = " ".join(str(found) for name in ("sys_vendor", "product_name") if (found := value(dmi, name)))
    serial = value(dmi, "product_serial") or product.get("serial")
    dead = value(facts, "system", "hostname_configured") if (header.get("options") or {}).get("sysroot") else None
    named = [
        f"{dead} (dead, read on {header.get('host')})" if dead else str(header.get("host") or "no name"),
        made or " ".join(str(product[name]) for name in ("manufacturer", "product") if product.get(name)),
    ]
    return ", ".join([part for part in named if part] + ([f"serial {serial}"] if serial else ["serial not readable"]))


def _product(facts: Facts) -> Facts:
    """Return what the BMC's first FRU says of the product."""
    for key in branch(facts, "bmc", "fru"):
        found = value(facts, "bmc", "fru", key)
        product = found.get("product") if isinstance(found, Mapping) else None
        if isinstance(product, Mapping):
            return product
    return {}


def _stands_out(facts: Facts) -> Iterator[str]:
    found = observe(facts)
    yield "WHAT STANDS OUT (readings to look at first, not a verdict)"
    for one in found[:LOOKED_AT]:
        yield from _bullet("!", f"{one.text}  [{one.place}]")
    if len(found) > LOOKED_AT:
        yield f"  ... and {len(found) - LOOKED_AT} more in facts.json"
    if not found:
        yield "  Nothing in what could be read. What could not be read is below: unknown is not healthy."


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
        yield from _bullet(" ", f"the driver was not reached: {nvml.message} ({nvml.kind})")
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
    product = _product(facts)
    known = [
        f"{word} {found}"
        for word, name in (("", "manufacturer"), ("firmware", "firmware"), ("IPMI", "ipmi_version"))
        if (found := value(bmc, "device", name))
    ]
    if known:
        yield from _bullet(" ", ", ".join(known))
    if product:
        yield from _bullet(
            " ",
            "FRU: "
            + ", ".join(
                f"{name.replace('_', ' ')} {text}" for name, text in product.items() if isinstance(text, str) and text
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
        yield from _bullet(
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
        yield from _bullet(
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
    yield from _field(
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
    yield from _field(
        "Machine",
        f"{value(system, 'cpu', 'threads') or '?'} x {value(system, 'cpu', 'model') or 'processor not known'}, {size}"
        + (f", load {load:.2f}" if isinstance(load, int | float) else ""),
    )
    yield from _field("Storage", _storage(facts))
    yield from _field("Network", _network(facts))
    failed = value(facts, "services", "failed")
    if isinstance(failed, list):
        services = f"{len(failed)} failed units" + (f": {', '.join(map(str, failed[:8]))}" if failed else "")
    else:
        services = "no systemd here" if value(facts, "services", "systemd") is False else "not read"
    yield from _field("Services", services)
    tainted = value(facts, "kernel", "taint_reasons")
    yield from _field(
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
    found = len(branch(facts, "kernel", "notable"))
    return ", ".join(part for part in known if part) or ("files" if found else "see kernel/ for what there is")


def _not_read(header: Facts, ended: Facts, items: Sequence[Item]) -> Iterator[str]:
    yield "NOT READ"
    rows = [one for one in ended.get("collectors", ()) if one.get("status") != Status.OK]
    for one in rows:
        yield from _bullet(" ", f"{one['name']}: {one['status']}" + (f", {one['reason']}" if one.get("reason") else ""))
    named = {one.get("reason") for one in rows}
    failed = [item for item in items if item.status.is_failure and item.reason not in named]
    for item in failed[:10]:
        yield from _bullet(" ", f"{item.path}: {item.status}, {item.reason}")
    for left in ended.get("abandoned", ()):
        yield from _bullet("!", f"left behind because it cannot be killed: {left}")
    if header.get("left_out"):
        yield from _bullet(" ", f"not asked for: {', '.join(header['left_out'])}")
    missing = sorted(
        {
            str(item.reason).removesuffix(" is not installed")
            for item in items
            if str(item.reason).endswith(" is not installed")
        }
    )
    if missing:
        yield from _bullet(" ", f"not installed here: {', '.join(missing)}")
    remote = "bmc" if (header.get("options") or {}).get("bmc_host") else ""  # its refusal is about the login there
    denied = [item.path for item in items if item.status is Status.DENIED and item.collector != remote]
    if denied:
        yield from _bullet(
            " ", f"needs root: {', '.join(denied[:6])}" + (f" and {len(denied) - 6} more" if len(denied) > 6 else "")
        )
    cut = [item.path for item in items if item.truncated]
    if cut:
        yield from _bullet(
            " ",
            f"cut (only the tail, or up to a stop): {', '.join(cut[:6])}"
            + (f" and {len(cut) - 6} more" if len(cut) > 6 else ""),
        )
    if not (rows or failed or missing or denied or cut or header.get("left_out")):
        yield "  Everything that was asked for was read."
    yield "  Each gap has an .err.txt with its reason; manifest.json lists them all."


def _inside(items: Sequence[Item], receipt: Facts, header: Facts) -> Iterator[str]:
    yield "WHAT IS IN HERE"
    folders = Counter(item.path.partition("/")[0] for item in items if item.sha256)
    yield from _bullet(" ", ", ".join(f"{name}/ {count}" for name, count in folders.items()) + " files")
    removed = sum(sum(item.redactions.values()) for item in items)
    rules = len({rule for item in items for rule in item.redactions})
    names = (
        "hosts, users, addresses and serials are replaced by pseudonyms"
        if header.get("pseudonymized")
        else "hosts, users, addresses and serials are kept"
    )
    yield from _bullet(" ", f"secrets: {removed} values removed by {rules} rules (redaction.json); {names}")
    skipped = receipt.get("not_scanned") or ()
    if skipped:
        yield from _bullet(" ", f"not looked into for secrets: {len(skipped)} members, see redaction.json")


def _next(header: Facts, items: Sequence[Item]) -> Iterator[str]:
    yield "NEXT"
    yield "  bilbs diag verify BUNDLE       is it whole?"
    if not header.get("root"):
        yield "  sudo bilbs diag collect        with what only root can read"
    if any(item.status is Status.TIMEOUT for item in items):
        yield "  bilbs diag collect --deadline 300        with more time"
    yield "  support@groupebilbs.com        send it to support"


def _field(label: str, text: str) -> Iterator[str]:
    lines = textwrap.wrap(text, WIDTH - LABEL - 3, break_on_hyphens=False) or [""]
    yield f"  {label:<{LABEL}} {lines[0]}"
    for line in lines[1:]:
        yield " " * (LABEL + 3) + line


def _bullet(mark: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=f"{mark} ", subsequent_indent="    ", break_on_hyphens=False
    )


def _moment(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return "at a time not known"


def _seconds_between(started: str, finished: str) -> str:
    try:
        seconds = (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
    except (ValueError, TypeError):
        return ""
    return f" in {show_duration(seconds)}"


def _days(seconds: float) -> str:
    return f"{seconds / 86400:.0f} days" if seconds >= 2 * 86400 else f"{seconds / 3600:.1f} hours"
