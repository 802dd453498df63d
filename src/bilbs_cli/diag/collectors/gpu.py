"""The GPU collector: NVML through pynvml, the driver's files without it, and NVIDIA's own tools.

Order: the files first, because they need no driver; then the GPUs that answer, those with readings that never returned
last; the tools at the end, and only while no reading hung: a second process in the same driver call would be a second
process that cannot be killed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from bilbs_cli import files, process
from bilbs_cli.diag.collectors import nvidia_bug_report, nvidia_files
from bilbs_cli.diag.collectors import nvml_structs as structs
from bilbs_cli.diag.collectors import nvml_values as values
from bilbs_cli.diag.collectors.gpu_device import INIT_S, READING_S, Gpu
from bilbs_cli.diag.job import Collector, Job, Options, Profile
from bilbs_cli.diag.model import NotCollected, Status, Value

EXCLUDED = 64
BUG_REPORT_S = 180.0

SMI_S = 15.0
SMI_END = b"</nvidia_smi_log>"
MORE_SMI = (  # what nvidia-smi is asked after its whole report came
    (("nvidia-smi", "topo", "-m"), "nvidia-smi-topo.txt"),
    (("nvidia-smi", "nvlink", "-s"), "nvidia-smi-nvlink-status.txt"),
    (("nvidia-smi", "nvlink", "-e"), "nvidia-smi-nvlink-errors.txt"),
)


def collect(job: Job) -> None:
    """Read everything about the GPUs (see the module)."""
    in_pci = nvidia_files.collect(job)
    nvidia_files.logs(job)
    if not job.options.live:
        job.record(("system", "nvml"), NotCollected("the files of another system are read: no driver to ask"))
        return
    job.say("asking the NVIDIA driver")
    library = _start(job)
    if library is not None:
        _system(job, library)
        _devices(job, library, in_pci)
    elif not in_pci:
        job.gap(
            "gpu",
            Status.UNAVAILABLE,
            "no NVIDIA GPU on the PCI bus, and no driver that answers",
            source="PCI bus, NVML",
        )
    _tools(job)


def _start(job: Job) -> Any:
    """Initialise NVML and return pynvml, None when there is nothing to ask; how it went is the fact `system/nvml`.

    NVML is not shut down: the end of this process closes it, and on a sick driver the shutdown hangs like any call.
    """
    wait = INIT_S[job.options.profile]

    def start() -> Any:
        import pynvml  # 15-26 ms: only where it is used

        pynvml.nvmlInit()
        return pynvml

    library = job.attempt("system/nvml", start, timeout_s=wait)
    if library is not None:
        job.record(("system", "nvml"), Value("initialised"))
        return library
    library = job.attempt("system/nvml_without_gpus", _start_without_gpus, timeout_s=wait)
    if library:
        job.record(("system", "nvml_without_gpus"), Value("initialised"))
    return library or None


def _start_without_gpus() -> Any:
    """Initialise NVML without its GPUs: versions and excluded GPUs can be read so when one GPU stops the whole."""
    import pynvml

    if pynvml.nvmlLib is None:
        return False  # there is no library, or an earlier try hung in its start: `system/nvml` says which
    pynvml.nvmlInitWithFlags(pynvml.NVML_INIT_FLAG_NO_GPUS)
    return pynvml


def _system(job: Job, library: Any) -> None:
    def read(fact: str, call: Callable[[], Any]) -> Any:
        return job.read(("system", fact), call, timeout_s=READING_S[job.options.profile])

    read("driver_version", lambda: values.text(library.nvmlSystemGetDriverVersion()))
    read("nvml_version", lambda: values.text(library.nvmlSystemGetNVMLVersion()))
    read("cuda_driver_version", lambda: values.cuda_version(library.nvmlSystemGetCudaDriverVersion_v2()))
    read("driver_branch", lambda: values.text(library.nvmlSystemGetDriverBranch().branch))
    count = read("excluded_count", lambda: values.whole(library.nvmlGetExcludedDeviceCount()))
    for index in range(min(count or 0, EXCLUDED)):
        read(f"excluded_{index}", partial(_excluded, library, index))


def _excluded(library: Any, index: int) -> dict[str, str]:
    info = library.nvmlGetExcludedDeviceInfoByIndex(index)
    return {"pci_bus_id": structs.pci_bus_id(info.pci), "uuid": values.text(info.uuid)}


def _devices(job: Job, library: Any, in_pci: Sequence[str]) -> None:
    wait = READING_S[job.options.profile]
    count = job.read(
        ("system", "device_count"), lambda: values.device_count(library.nvmlDeviceGetCount()), timeout_s=wait
    )
    if count is None:
        return
    addresses: dict[int, str] = {}
    for index in sorted(range(count), key=lambda index: job.hung(f"devices/{index}")):
        if address := Gpu(job, library, index).read():
            addresses[index] = address
    _tie(job, count, addresses, in_pci)


def _tie(job: Job, count: int, addresses: dict[int, str], in_pci: Sequence[str]) -> None:
    """Tie NVML's GPUs to those in PCI by address. A lost one does not say its own: the only one left must be it."""
    for index, address in addresses.items():
        job.record(("pci", address, "nvml_index"), Value(index))
    unclaimed = [address for address in in_pci if address not in addresses.values()]
    job.record(("system", "gpus_without_nvml_address"), Value(unclaimed))
    nameless = [index for index in range(count) if index not in addresses]
    if len(nameless) == len(unclaimed) == 1:
        job.record(("devices", str(nameless[0]), "pci_bus_id_by_elimination"), Value(unclaimed[0]))


def _tools(job: Job) -> None:
    """Run NVIDIA's own tools. Not for triage, and nvidia-smi not beside a hung driver."""
    if job.options.profile is Profile.TRIAGE:
        return
    if job.hung("devices") or job.hung("system"):
        job.gap(
            "nvidia-smi-q.xml",
            Status.SKIPPED,
            "the driver did not answer before: nvidia-smi would hang as well",
            source="nvidia-smi",
        )
    elif process.find("nvidia-smi") is None:
        job.gap("nvidia-smi-q.xml", Status.UNAVAILABLE, "nvidia-smi is not installed", source="nvidia-smi")
    else:
        _nvidia_smi(job)
    if job.options.profile is Profile.FULL:
        _bug_report(job)


def _nvidia_smi(job: Job) -> None:
    """Run nvidia-smi: first its whole report, and more of it only when that came to its end."""
    report = job.command(("nvidia-smi", "-q", "-x"), "nvidia-smi-q.xml", timeout_s=SMI_S)
    for argv, member in MORE_SMI:
        if report is not None and SMI_END not in report:
            job.gap(member, Status.SKIPPED, "nvidia-smi -q -x did not come to its end", source=" ".join(argv))
        else:
            job.command(argv, member, timeout_s=SMI_S, later=True)


def _bug_report(job: Job) -> None:
    """Run `nvidia-bug-report.sh --safe-mode`: 180 s, 256 MiB of text at most, decompressed and redacted on the way."""
    script, member = "nvidia-bug-report.sh", "nvidia-bug-report.log"
    if process.find(script) is None:
        job.gap(member, Status.UNAVAILABLE, f"{script} is not installed", source=script)
    elif not job.options.root:
        job.gap(member, Status.DENIED, f"{script} works for root only", source=script)
    else:
        argv = (sys.executable, "-I", str(Path(nvidia_bug_report.__file__)), script, "--safe-mode")
        job.command(argv, member, timeout_s=BUG_REPORT_S, later=True)


def obstacle(options: Options) -> str | None:
    """Say that no NVIDIA device is on the PCI bus (what the kernel keeps in sysfs, no access to a device)."""
    vendors = files.rooted(options.sysroot, nvidia_files.DEVICES).glob("*/vendor")
    with suppress(OSError):
        if not any(path.read_text().strip() == nvidia_files.VENDOR for path in vendors):
            return "no NVIDIA GPU on the PCI bus"
    return None


GPU = Collector(
    "gpu",
    "NVIDIA GPUs (NVML)",
    "gpu",
    timeout_s=30.0,
    collect=collect,
    idle=True,
    obstacle=obstacle,
    reads=(
        "NVML (libnvidia-ml.so.1)",
        *nvidia_files.PROC_FILES,
        nvidia_files.INFORMATION,
        f"{nvidia_files.DEVICES}/* of vendor 10de",
        *nvidia_files.LOGS,
        *nvidia_files.SETTINGS,
        "nvidia-smi",
        "nvidia-bug-report.sh --safe-mode (full profile)",
    ),
)
