"""What Linux knows of NVIDIA devices without the driver's library: /proc/driver/nvidia and sysfs.

This works while the driver hangs, after a GPU fell off the bus, and on the files of a dead system.
"""

from __future__ import annotations

import re
from pathlib import Path

from bilbs_cli.diag.collectors import sysfs
from bilbs_cli.diag.collectors.nvml_values import Implausible, pci_address
from bilbs_cli.diag.job import Job
from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Value

VENDOR = "0x10de"
GPU_CLASSES = ("0x0300", "0x0302")  # VGA and 3D controller
KINDS = {"0x0300": "gpu", "0x0302": "gpu", "0x0680": "nvswitch"}  # PCI class and subclass of what is read here
DEVICES = "/sys/bus/pci/devices"
PROC_FILES = (
    "/proc/driver/nvidia/version",
    "/proc/driver/nvidia/params",
    "/proc/driver/nvidia/registry",
    "/proc/driver/nvidia-nvswitch/devices/*/*",
    "/proc/driver/nvidia-nvlink/version",
)
INFORMATION = "/proc/driver/nvidia/gpus/*/information"
LIBRARIES = ("/usr/lib/*/libnvidia-ml.so.*", "/usr/lib64/libnvidia-ml.so.*", "/usr/lib/libnvidia-ml.so.*")
LOGS = ("/var/log/fabricmanager.log*", "/var/log/nvlsm.log", "/var/log/nvidia-imex*.log")
SETTINGS = ("/var/log/nvidia-installer.log", "/usr/share/nvidia/nvswitch/fabricmanager.cfg")


def _link_width(text: str) -> int:
    """Return the lanes of a link. A device that is gone answers 63: all bits of the register are set."""
    lanes = int(text)
    if not 0 <= lanes <= 32:
        raise Implausible(f"{lanes} lanes: the device does not answer")
    return lanes


SPEC: sysfs.Spec = {
    "vendor_id": ("vendor", str),
    "device_id": ("device", str),
    "class": ("class", str),
    "revision": ("revision", str),
    "subsystem_vendor_id": ("subsystem_vendor", str),
    "subsystem_device_id": ("subsystem_device", str),
    "link_speed_current": ("current_link_speed", str),
    "link_speed_max": ("max_link_speed", str),
    "link_width_current": ("current_link_width", _link_width),
    "link_width_max": ("max_link_width", _link_width),
    "numa_node": ("numa_node", int),
    "power_state": ("power_state", str),
    "runtime_status": ("power/runtime_status", str),
    "aer_correctable": ("aer_dev_correctable", sysfs.counters),
    "aer_nonfatal": ("aer_dev_nonfatal", sysfs.counters),
    "aer_fatal": ("aer_dev_fatal", sysfs.counters),
}


def collect(job: Job) -> list[str]:
    """Read files and facts of the NVIDIA devices of this machine (or of `sysroot`); return the GPUs' PCI addresses."""
    for pattern in PROC_FILES:
        job.files(pattern)
    _versions(job)
    gpus = [address for address, kind in _devices(job) if kind == "gpu"]
    job.record(("system", "gpus_in_pci"), Value(gpus))
    for path in job.glob(INFORMATION):
        _information(job, path)
    return gpus


def logs(job: Job) -> None:
    """Put the logs of the fabric manager and of the installer into the bundle."""
    for pattern in LOGS:
        job.files(pattern, since=True)
    for path in SETTINGS:
        job.file(path)


def _versions(job: Job) -> None:
    """Record the versions of kernel module and libraries: a pair that differs is what NVML calls a mismatch."""
    module = job.attempt("system/module", lambda: sysfs.attribute(job.options.sysroot, "/sys/module/nvidia/version"))
    job.record(("system", "kernel_module_version"), module or NotCollected("not read"))
    found = {name for pattern in LIBRARIES for path in job.glob(pattern) if "." in (name := path.partition(".so.")[2])}
    job.record(("system", "library_versions"), Value(sorted(found)))


def _devices(job: Job) -> list[tuple[str, str]]:
    """Record the NVIDIA devices that are read here; return address and kind of each."""
    found = []
    for path in job.glob(f"{DEVICES}/*/vendor"):
        folder = path.removesuffix("/vendor")
        address = folder.rpartition("/")[2]
        if _first_line(job, path) == VENDOR and (kind := KINDS.get(_first_line(job, f"{folder}/class")[:6])):
            found.append((address, kind))
            _device(job, address, kind, folder)
    return found


def _first_line(job: Job, path: str) -> str:
    return (job.slurp(path, 64) or b"").decode("ascii", "replace").strip()


def _device(job: Job, address: str, kind: str, folder: str) -> None:
    base = ("pci", address)
    job.record((*base, "kind"), Value(kind))
    sysfs.survey(job, base, folder, SPEC)
    job.record((*base, "driver"), _name_of(job, f"{folder}/driver"))
    job.record((*base, "upstream_port"), _upstream(job, folder))
    stuck = job.hung("/".join(base))
    job.record((*base, "answers"), answers(None if stuck else job.slurp(f"{folder}/config", 4)))


def _name_of(job: Job, path: str) -> Reading:
    return Value(sysfs.link(job.options.sysroot, path))


def _upstream(job: Job, folder: str) -> Reading:
    """Return the address of the port above a device; its own counters are among the facts of the pci collector."""
    try:
        parent = Path(sysfs.home(job.options.sysroot, folder) or "").parent.name
        return Value(pci_address(parent))
    except (OSError, ValueError) as error:
        return NotCollected(f"no port above it: {error}")


def answers(config: bytes | None) -> Reading:
    """Say whether a device answers on the bus: reads of one that fell off return only ones (PCI Local Bus 3.0, 6.1).

    `config` is the beginning of its configuration space, None where it could not be read.
    """
    if config is None or len(config) < 4:
        return NotCollected("its configuration space could not be read")
    return Value(config[:4] != b"\xff\xff\xff\xff")


UNINITIALISED = ReadError("Unknown", "the driver shows question marks: this GPU is not initialised")
_UNKNOWN = re.compile(r"[?.:-]+$|GPU-\?")


def information(text: str) -> dict[str, Reading]:
    r"""Return the facts of /proc/driver/nvidia/gpus/ADDRESS/information.

    The driver prints question marks for what it does not know: those are no values.

    >>> information("Model: \t\t NVIDIA H100\nIRQ:   \t\t 92\nVideo BIOS: \t ??.??.??.??.??\n")["model"]
    Value(value='NVIDIA H100')
    """
    facts: dict[str, Reading] = {}
    for line in text.splitlines():
        name, separator, value = line.partition(":")
        value = value.strip()
        if separator and value:
            unknown = "?" in value and _UNKNOWN.match(value)
            facts[re.sub(r"\W+", "_", name.strip().lower())] = UNINITIALISED if unknown else Value(value)
    return facts


def _information(job: Job, path: str) -> None:
    """Read what the driver says of one GPU: once, and nothing more of it where that did not return."""
    try:
        address = pci_address(path.split("/")[-2])
    except Implausible:
        return
    content = job.slurp(path)
    if content is None:
        job.record(("pci", address, "proc", "model"), NotCollected(f"{path} could not be read"))
        return
    job.text(path.lstrip("/"), content, source=f"file: {path}")
    job.file(path.replace("/information", "/power"))
    for fact, reading in information(content.decode("utf-8", "replace")).items():
        job.record(("pci", address, "proc", fact), reading)
