"""What rules look at, one by one: GPUs, PCI devices, sensors, disks; how each is called, and when one may be there unseen."""

from __future__ import annotations

from typing import Any

from bilbs_cli.diag.findings import BOX, Facts, Scope
from bilbs_cli.diag.model import ReadError, branch, lookup, value

__all__ = [
    "BMC",
    "BOX",
    "DISK",
    "EDAC",
    "FILE_SYSTEM",
    "GPU",
    "IB_PORT",
    "INTERFACE",
    "LOGS",
    "MD_ARRAY",
    "NVME",
    "PCI_DEVICE",
    "PCI_GPU",
    "SEL",
    "SENSOR",
]

Path = tuple[str, ...]


def gpu_address(device: Facts) -> str:
    """Return the PCI address of one GPU's facts, or the one that was left over for it; empty where unknown."""
    for name in ("pci_bus_id", "pci_bus_id_by_elimination"):
        found = value(device, name)
        if isinstance(found, str) and found:
            return found
    return ""


def gpu_part(facts: Facts, path: Path) -> str:
    """Return the id of the GPU at `gpu/devices/<index>`."""
    address = gpu_address(branch(facts, *path))
    return f"gpu:{address}" if address else f"gpu:index:{path[-1]}"


def _no_gpu(facts: Facts) -> str | None:
    in_pci, nvml = value(facts, "gpu", "system", "gpus_in_pci"), lookup(facts, "gpu", "system", "nvml")
    if in_pci == [] and not branch(facts, "memory"):
        return None
    if isinstance(nvml, ReadError):
        return f"the NVIDIA driver could not be asked: {nvml.message}"
    if not branch(facts, "gpu"):
        return "the GPUs were not looked at"
    return "no GPU answered the driver" if in_pci else None


def _not_read(*path: str, what: str) -> Any:
    def absent(facts: Facts) -> str | None:
        return None if branch(facts, *path) else f"{what} not read"

    return absent


def _named(kind: str) -> Any:
    return lambda _facts, path: f"{kind}:{path[-1]}"


def _sensor(facts: Facts, path: Path) -> str:
    sensor = value(facts, *path)
    name = sensor.get("name") if isinstance(sensor, dict) else None
    return f"bmc:sensor:{name or path[-1]}"


def _file_system(facts: Facts, path: Path) -> str:
    return f"fs:{value(facts, *path, 'mount_point') or path[-1]}"


GPU = Scope("gpu", "gpu/devices/*", gpu_part, _no_gpu, lambda _, path: f"GPU {path[-1]}")
PCI_GPU = Scope("gpu", "gpu/pci/*", _named("gpu"), _no_gpu)
PCI_DEVICE = Scope("pci", "pci/devices/*", _named("pci"), _not_read("pci", what="the PCI devices were"))
SENSOR = Scope("bmc:sensor", "bmc/sensors/*", _sensor, _not_read("bmc", "sensors", what="the BMC's sensors were"))
BMC = Scope("bmc", "bmc", lambda _facts, _path: "bmc")
SEL = Scope("bmc:sel", "bmc/sel", lambda _facts, _path: "bmc:sel", lambda _: "the BMC's event log was not read")
DISK = Scope("disk", "storage/disks/*", _named("disk"), _not_read("storage", what="the disks were"))
NVME = Scope("nvme", "storage/nvme/*", _named("nvme"), _not_read("storage", what="the NVMe controllers were"))
MD_ARRAY = Scope("md", "storage/md/*", _named("md"))
FILE_SYSTEM = Scope("fs", "storage/file_systems/*", _file_system, _not_read("storage", what="the file systems were"))
EDAC = Scope("edac", "system/edac/*", _named("edac"), _not_read("system", what="the memory error counters were"))
IB_PORT = Scope("ib", "network/infiniband/*", _named("ib"))
INTERFACE = Scope("net", "network/interfaces/*", _named("net"), _not_read("network", what="the network was"))
LOGS = Scope("host", "kernel/log", lambda _facts, _path: "host", lambda _: "no kernel log was read")
