"""PCI: every accelerator, switch, NIC and NVMe with the bridges above it; links, error counters, slots, and `lspci`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bilbs_cli.diag.collectors import pci_config, sysfs
from bilbs_cli.diag.job import Collector, Job, Profile
from bilbs_cli.diag.model import NotCollected, Reading, Value

DEVICES = "/sys/bus/pci/devices"
NO_BUS = f"no device in {DEVICES}"
ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
PCI_IDS = ("/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids")

IDENTITY: sysfs.Spec = {
    fact: (name, pci_config.identifier)
    for fact, name in (
        ("vendor_id", "vendor"),
        ("device_id", "device"),
        ("class_id", "class"),
        ("revision", "revision"),
        ("subsystem_vendor_id", "subsystem_vendor"),
        ("subsystem_device_id", "subsystem_device"),
    )
}
STATE: sysfs.Spec = {
    "numa_node": ("numa_node", int),
    "power_state": ("power_state", str),
    "enabled": ("enable", lambda text: text != "0"),
    "runtime_status": ("power/runtime_status", str),
}
LINK: sysfs.Spec = {
    "current_link_speed_gts": ("current_link_speed", pci_config.link_speed),
    "max_link_speed_gts": ("max_link_speed", pci_config.link_speed),
    "current_link_width": ("current_link_width", int),
    "max_link_width": ("max_link_width", int),
}
ERRORS: sysfs.Spec = {  # counted by the kernel since boot: reading them touches no hardware
    "aer_correctable": ("aer_dev_correctable", sysfs.counters),
    "aer_nonfatal": ("aer_dev_nonfatal", sysfs.counters),
    "aer_fatal": ("aer_dev_fatal", sysfs.counters),
}
ROOT_ERRORS: sysfs.Spec = {
    "aer_root_correctable": ("aer_rootport_total_err_cor", int),
    "aer_root_nonfatal": ("aer_rootport_total_err_nonfatal", int),
    "aer_root_fatal": ("aer_rootport_total_err_fatal", int),
}


def collect(job: Job) -> None:
    """Read sysfs first, which needs no program; `lspci` reads vital product data and is slow, so it goes last."""
    addresses = [name for path in job.glob(f"{DEVICES}/*") if ADDRESS.fullmatch(name := path.rpartition("/")[2])]
    identities = {address: _identity(job, address) for address in addresses}
    virtual = {address for address in addresses if sysfs.link(job.options.sysroot, f"{DEVICES}/{address}/physfn")}
    kinds = {address: kind for address in identities if address not in virtual and (kind := _kind(identities[address]))}
    _counts(job, addresses, kinds, len(virtual))
    homes = {address: sysfs.home(job.options.sysroot, f"{DEVICES}/{address}") or "" for address in kinds}
    bridges = sorted({bridge for home in homes.values() for bridge in ADDRESS.findall(home)[:-1]} - set(kinds))
    database = next((data for path in PCI_IDS if (data := job.slurp(path, 8 << 20))), b"") if kinds else b""
    slots = _slots(job)
    for address in sorted([*kinds, *bridges], key=_order):
        _device(job, address, kinds.get(address, "bridge"), homes.get(address, ""), slots)
        _names(job, address, identities.get(address, {}), database)
    _table(job, addresses, identities)
    _iommu(job)
    job.file("/sys/module/pcie_aspm/parameters/policy")
    if job.options.profile is not Profile.TRIAGE:
        job.command(("lspci", "-tv"), "lspci-tree.txt", timeout_s=10.0)
        job.command(("lspci", "-D", "-vvv", "-nn"), "lspci.txt", timeout_s=20.0, later=True)


def _counts(job: Job, addresses: list[str], kinds: Mapping[str, str], virtual: int) -> None:
    """Record how many functions there are; virtual ones (SR-IOV) are counted and not looked at."""
    known = {"functions": len(addresses), "virtual_functions": virtual}
    sysfs.publish(job, (), {fact: Value(count) if addresses else NotCollected(NO_BUS) for fact, count in known.items()})
    for kind in ("gpu", "nvswitch", "nic", "infiniband", "nvme"):
        count = sum(1 for found in kinds.values() if found == kind)
        job.record(("counts", kind), Value(count) if addresses else NotCollected(NO_BUS))


def _identity(job: Job, address: str) -> dict[str, Reading]:
    """Return identifiers that the kernel kept since it found the device: reading them touches no hardware."""
    return sysfs.attributes(job.options.sysroot, f"{DEVICES}/{address}", IDENTITY)


def _kind(readings: dict[str, Reading]) -> str | None:
    match readings["vendor_id"], readings["class_id"]:
        case Value(vendor), Value(class_code):
            return pci_config.kind(vendor, class_code)
    return None


def _order(address: str) -> tuple[int, ...]:
    return tuple(int(part, 16) for part in re.split("[:.]", address))


def _device(job: Job, address: str, kind: str, home: str, slots: Mapping[str, str]) -> None:
    root, folder, path = job.options.sysroot, f"{DEVICES}/{address}", ("devices", address)
    above = ADDRESS.findall(home)[:-1]
    job.record((*path, "kind"), Value(kind))
    sysfs.publish(job, path, _identity(job, address))
    if kind != "bridge":
        job.record((*path, "bridges_above"), Value(above))
    job.record((*path, "slot"), _slot([address, *reversed(above)], slots))
    driver = sysfs.link(root, f"{folder}/driver")
    job.record((*path, "driver"), Value(driver) if driver else NotCollected("no driver has this device"))
    if group := sysfs.link(root, f"{folder}/iommu_group"):
        job.record((*path, "iommu_group"), Value(group))
    sysfs.survey(job, path, folder, STATE | ERRORS)
    counted = sysfs.attributes(root, folder, ROOT_ERRORS) if kind == "bridge" else {}
    sysfs.publish(job, path, {fact: one for fact, one in counted.items() if not isinstance(one, NotCollected)})
    if _config(job, path, folder):
        sysfs.survey(job, (*path, "link"), folder, LINK)
    else:
        sysfs.publish(job, (*path, "link"), dict.fromkeys(LINK, NotCollected("the device gave no answer")))


def _slot(addresses: list[str], slots: Mapping[str, str]) -> Reading:
    """Return the slot of a device or of the nearest bridge above it (a board may carry its own switch)."""
    places = (address.rpartition(".")[0] for address in addresses)
    found = next((slots[place] for place in places if place in slots), None)
    return Value(found) if found else NotCollected("the firmware names no slot for it")


def _config(job: Job, path: tuple[str, ...], folder: str) -> bool:
    """Read the configuration space of a device that is awake, and say whether its registers can be believed.

    The read itself can hang when the device is dead.
    """
    root = job.options.sysroot
    asleep = sysfs.attribute(root, f"{folder}/power/runtime_status")
    if asleep == Value("suspended"):
        job.record((*path, "answers"), NotCollected("the device sleeps, and reading would wake it"))
        return True
    space = f"{folder}/config"
    answers = job.read((*path, "answers"), lambda: pci_config.answers(sysfs.content(root, space, 64)))
    if answers:
        config = job.attempt("/".join((*path, "config")), partial(sysfs.content, root, space, 4096)) or b""
        for fact, value in pci_config.details(config).items():
            job.record((*path, fact), Value(value))
    return answers is True


def _slots(job: Job) -> dict[str, str]:
    """Return slot name by address without the function, from /sys/bus/pci/slots."""
    found = {}
    for path in job.glob("/sys/bus/pci/slots/*/address"):
        reading = sysfs.attribute(job.options.sysroot, path)
        if isinstance(reading, Value):
            found[reading.value] = path.split("/")[-2]
            job.record(("slots", path.split("/")[-2]), reading)
    return found


def _names(job: Job, address: str, identity: Mapping[str, Reading], database: bytes) -> None:
    vendor, device = identity.get("vendor_id"), identity.get("device_id")
    if isinstance(vendor, Value) and isinstance(device, Value):
        found = pci_config.names(database, vendor.value, device.value)
        for fact, name in zip(("vendor", "model"), found, strict=True):
            job.record(("devices", address, fact), Value(name) if name else NotCollected("not in pci.ids"))


def _table(job: Job, addresses: list[str], identities: dict[str, dict[str, Reading]]) -> None:
    """Put one line per function into the bundle, for machines without `lspci`."""
    root = job.options.sysroot

    def known(address: str, fact: str) -> str:
        reading = identities[address][fact]
        return str(reading.value) if isinstance(reading, Value) else "?"

    def line(address: str) -> str:
        driver = sysfs.link(root, f"{DEVICES}/{address}/driver") or "-"
        ids = f"{known(address, 'vendor_id')}:{known(address, 'device_id')}"
        return f"{address} class {known(address, 'class_id')} id {ids} driver {driver}\n"

    if addresses:
        lines = [line(address) for address in sorted(addresses, key=_order)]
        job.text("functions.txt", "".join(lines), source=f"files: {DEVICES}/*/{{class,vendor,device,driver}}")


def _iommu(job: Job) -> None:
    groups: dict[str, list[str]] = {}
    for path in job.glob("/sys/kernel/iommu_groups/*/devices/*"):
        group, _, device = Path(path).parts[-3:]
        groups.setdefault(group, []).append(device)
    known = bool(job.glob("/sys/kernel/iommu_groups"))
    job.record(("iommu_groups",), Value(len(groups)) if known else NotCollected("this kernel has no IOMMU"))
    if groups:
        ordered = sorted(groups, key=lambda name: (len(name), name))
        lines = [f"group {group}: {' '.join(groups[group])}\n" for group in ordered]
        job.text("iommu-groups.txt", "".join(lines), source="files: /sys/kernel/iommu_groups/*/devices")


PCI = Collector(
    "pci",
    "PCI: links, errors, slots",
    "pci",
    30.0,
    collect,
    reads=(
        "/sys/bus/pci/devices",
        "/sys/bus/pci/slots",
        "/sys/kernel/iommu_groups",
        "pci.ids",
        "lspci -vvv -nn",
        "lspci -tv",
    ),
)
