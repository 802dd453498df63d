"""What rules look at, one by one: GPUs, PCI devices, sensors, disks; how each is called, and when one may be there unseen."""

from __future__ import annotations

from typing import Any

from bilbs_cli.diag.findings import Facts, Scope
from bilbs_cli.diag.identity import address_of
from bilbs_cli.diag.model import ReadError, branch, lookup, value

__all__ = [
    "DISK",
    "EDAC",
    "FILE_SYSTEM",
    "GPU",
    "INTERFACE",
    "LOGS",
    "MD_ARRAY",
    "NVME",
    "PCI_DEVICE",
    "SEL",
    "SENSOR",
]

Path = tuple[str, ...]


def gpu_part(facts: Facts, path: Path) -> str:
    """Return the id of the GPU at `gpu/devices/<index>`."""
    address = address_of(branch(facts, *path))
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


def _sensor_name(facts: Facts, path: Path) -> str:
    sensor = value(facts, *path)
    name = sensor.get("name") if isinstance(sensor, dict) else None
    return str(name or path[-1])


def _sensor(facts: Facts, path: Path) -> str:
    return f"bmc:sensor:{_sensor_name(facts, path)}"


def _called(word: str) -> Any:
    return lambda _facts, path: f"{word} {path[-1]}"


def _file_system(facts: Facts, path: Path) -> str:
    return f"fs:{value(facts, *path, 'mount_point') or path[-1]}"


GPU = Scope("gpu", "gpu/devices/*", gpu_part, _no_gpu, lambda _, path: f"GPU {path[-1]}")
PCI_DEVICE = Scope(
    "pci", "pci/devices/*", _named("pci"), _not_read("pci", what="the PCI devices were"), _called("PCI device")
)
SENSOR = Scope(
    "bmc:sensor",
    "bmc/sensors/*",
    _sensor,
    _not_read("bmc", "sensors", what="the BMC's sensors were"),
    lambda facts, path: f"BMC sensor {_sensor_name(facts, path)}",
)
SEL = Scope(
    "bmc:sel",
    "bmc/sel",
    lambda _facts, _path: "bmc:sel",
    lambda _: "the BMC's event log was not read",
    lambda _facts, _path: "BMC event log",
)
DISK = Scope("disk", "storage/disks/*", _named("disk"), _not_read("storage", what="the disks were"), _called("disk"))
NVME = Scope(
    "nvme", "storage/nvme/*", _named("nvme"), _not_read("storage", what="the NVMe controllers were"), _called("NVMe")
)
MD_ARRAY = Scope("md", "storage/md/*", _named("md"), label=_called("RAID array"))
FILE_SYSTEM = Scope(
    "fs",
    "storage/file_systems/*",
    _file_system,
    _not_read("storage", what="the file systems were"),
    lambda facts, path: f"file system {_file_system(facts, path).partition(':')[2]}",
)
EDAC = Scope(
    "edac",
    "system/edac/*",
    _named("edac"),
    _not_read("system", what="the memory error counters were"),
    _called("memory controller"),
)
INTERFACE = Scope(
    "net", "network/interfaces/*", _named("net"), _not_read("network", what="the network was"), _called("interface")
)
LOGS = Scope(
    "host",
    "kernel/log",
    lambda _facts, _path: "host",
    lambda _: "no kernel log was read",
    lambda _facts, _path: "this box",
)
