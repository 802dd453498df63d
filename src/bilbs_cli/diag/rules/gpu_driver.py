"""Rules about the NVIDIA driver: a mismatch of its halves, not loaded, hanging, or failing to start a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bilbs_cli.diag import identity, timeline
from bilbs_cli.diag.findings import Case, Evidence, Found, Rule, Severity, Verdict
from bilbs_cli.diag.kernel_log import bursts
from bilbs_cli.diag.kernel_log.bursts import Burst
from bilbs_cli.diag.model import NotCollected, ReadError, branch, leaves, value
from bilbs_cli.diag.rules import gpu_past
from bilbs_cli.diag.rules.gpu_advice import CAPTURE, FIELD_DIAGNOSTIC, REBOOT, SWAP_TEST
from bilbs_cli.diag.rules.gpu_lost import logged
from bilbs_cli.diag.rules.gpu_seen import DRIVER, HUNG, seen
from bilbs_cli.diag.rules.scopes import LOGS

NVML_ERRORS = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html"
XIDS = "https://docs.nvidia.com/deploy/xid-errors/index.html"
HANGS = "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/1333"

NVML = "/gpu/system/nvml"
MISMATCH = 18  # NVML_ERROR_LIB_RM_VERSION_MISMATCH
NOT_LOADED = frozenset({"NVMLError_DriverNotLoaded", "NVMLError_LibraryNotFound"})
DEADLINE = "the deadline came"  # how a reading ends that was cut off by the whole run's time: no proof of a hang
FACT_OF_CALL = "never returned"  # how the facts of such a call end; its own reading is below `calls/`
SAME = frozenset({"gpu.driver.init_failed", "xid.143"})
UPGRADE = "keep the next upgrade from doing that: apt-mark hold, or an exclude for the nvidia packages"

Copies = tuple[Burst, ...]


def driver_mismatch(case: Case) -> Iterator[Found]:
    """Driver's halves do not match: the kernel module is of another version than the library.

    Nearly always an upgrade of packages that nobody watched (unattended-upgrades): the new library is on the disk, the
    old module in the kernel. What runs goes on, nothing new starts. NVML says it with error 18. A line of the kernel log
    only counts in the boot that it is of, and while the driver cannot be asked: one that works was loaded anew since.

    Fires:
        gpu/system/nvml = error NVMLError_LibRmVersionMismatch 18 RM has detected an NVML/RM version mismatch.
    Quiet:
        gpu/system/nvml = "initialised"
    """
    reading = case.reading(NVML)
    said = [copies for copies in timeline.told(case.box) if copies[0].event.kind == "nvrm_mismatch"]
    if isinstance(reading, ReadError) and (reading.code == MISMATCH or "VersionMismatch" in reading.kind):
        known = [f"/gpu/system/{one}" for one in ("kernel_module_version", "library_versions", "driver_version")]
        versions = [case.cite(path) for path in known if case.get(path) is not None]
        proof = (case.cite(NVML), *versions, *(logged(copies[0]) for copies in said))
        yield Found("the NVIDIA library and the kernel module are of different versions", proof)
    elif case.get(NVML) is None and said and not _is_over(case, said):
        text = "the kernel module refused a library of another version"
        yield Found(text, tuple(logged(copies[0]) for copies in said), **_times(said))
    elif isinstance(reading, NotCollected):
        raise case.unread(NVML)


def driver_not_loaded(case: Case) -> Iterator[Found]:
    """Driver is not loaded, or its library is not installed, and the box has NVIDIA GPUs.

    After a kernel update the module is missing until it is built for the new kernel; with Secure Boot it may be refused
    for its signature. Without a GPU on the bus there is nothing to load a driver for.

    Fires:
        gpu/system/gpus_in_pci = ["0000:3b:00.0"]
        gpu/system/nvml = error NVMLError_DriverNotLoaded 9 Driver Not Loaded
    Quiet:
        gpu/system/gpus_in_pci = []
        gpu/system/nvml = error NVMLError_LibraryNotFound 12 NVML Shared Library Not Found
    """
    if not isinstance(case.get("/gpu/system/gpus_in_pci"), list):
        raise case.unread("/gpu/system/gpus_in_pci")
    gpus, reading = case.box.derive(seen).unclaimed, case.reading(NVML)
    if not gpus:
        return
    if isinstance(reading, NotCollected):
        raise case.unread(NVML)
    if isinstance(reading, ReadError) and reading.kind in NOT_LOADED:
        library = reading.kind.endswith("LibraryNotFound")
        what = "the NVIDIA library is not installed" if library else "the NVIDIA driver is not loaded"
        text = f"{what}, and {len(gpus)} GPU{'s are' if len(gpus) > 1 else ' is'} on the PCI bus"
        yield Found(text, (case.cite(NVML), case.cite("/gpu/system/gpus_in_pci")))


def driver_hang(case: Case) -> Iterator[Found]:
    """Driver hangs: a question to it never came back, or ended the process that asked.

    A call that waits in the kernel cannot be ended, and every further one gets stuck with it: nvidia-smi too. Only a
    reboot helps, sometimes only the power switch. A reading that the end of the whole check cut off is no such proof.

    Fires:
        gpu/system/nvml = "initialised"
        gpu/devices/1/pci_bus_id = "0000:3b:00.0"
        gpu/devices/1/power_w = error Timeout 0 no answer from GPU 1 after 4.0 s
    Quiet:
        gpu/system/nvml = "initialised"
        gpu/devices/1/pci_bus_id = "0000:3b:00.0"
        gpu/devices/1/power_w = 71.2
    """
    system = _hung(case, ("gpu", "system"))
    devices = {index: _hung(case, ("gpu", "devices", index)) for index in branch(case.box.facts, "gpu", "devices")}
    if not system and not any(devices.values()) and isinstance(case.reading(NVML), NotCollected):
        raise case.unread(NVML)
    if system:
        yield Found("the NVIDIA driver hangs: it gave no answer", tuple(system))
    for index, proof in devices.items():
        if proof:
            address = identity.address_of(branch(case.box.facts, "gpu", "devices", index))
            part = f"gpu:{address}" if address else f"gpu:index:{index}"
            text = f"the NVIDIA driver hangs on GPU {index[:8]}: no answer to {len(proof)} question{'s' * (len(proof) > 1)}"
            yield Found(text, tuple(proof), part=part)


def _hung(case: Case, below: tuple[str, ...]) -> list[Evidence]:
    """Return the readings that never came back; the several facts of one call are told once, by the call."""
    readings = [(path, one) for path, one in leaves(branch(case.box.facts, *below)) if isinstance(one, ReadError)]
    hung = [
        path
        for path, one in readings
        if one.kind in HUNG and not one.message.startswith(DEADLINE) and not one.message.endswith(FACT_OF_CALL)
    ]
    return [case.cite("/" + "/".join((*below, *path))) for path in hung]


def _times(group: list[Copies]) -> dict[str, Any]:
    times = sorted(at for copies in group for at in (copies[0].first_at, copies[0].last_at) if at)
    return {
        "count": sum(map(bursts.count, group)),
        "first_at": times[0].isoformat() if times else None,
        "last_at": times[-1].isoformat() if times else None,
    }


def _by_gpu(case: Case, kind: str) -> dict[str, list[Copies]]:
    found: dict[str, list[Copies]] = {}
    for copies in timeline.told(case.box):
        if copies[0].event.kind == kind:
            found.setdefault(copies[0].event.pci, []).append(copies)
    return found


def _is_over(case: Case, group: list[Copies]) -> bool:
    """Say whether all of it was before the running boot."""
    began = gpu_past.booted_at(case.box)
    times = [copies[0].last_at for copies in group]
    return began is not None and all(at is not None and at < began - gpu_past.JITTER for at in times)


def init_failed(case: Case) -> Iterator[Found]:
    """Driver could not start a GPU (RmInitAdapter failed).

    A reboot often helps. When boots before this one had the same, it is a candidate for an RMA: NVIDIA counts a failing
    start that stays (Xid 143) among the hardware faults. A GPU that answers by now was started since: for information.

    Fires:
        gpu/system/nvml = "initialised"
        gpu/system/gpus_in_pci = ["0000:3b:00.0"]
        log: 2026-11-21T03:12:44.000000+00:00 gpu01 kernel: NVRM: GPU 0000:3b:00.0: RmInitAdapter failed! (0x62:0xffff:2477)
    Quiet:
        log: 2026-11-21T03:12:44.000000+00:00 gpu01 kernel: NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.105.08
        kernel/log/dmesg.txt = {"lines": 1, "events": []}
    """
    for address, group in _by_gpu(case, "nvrm_init").items():
        gpu, proof = identity.at(case.box, address), [logged(copies[0]) for copies in group]
        named = f"the GPU at {address}" if address else "a GPU (the line does not say which)"
        part = f"gpu:{address}" if address else "host"
        works = gpu is not None and gpu.present == "nvml" and bool(gpu.uuid or gpu.serial)
        if works or _is_over(case, group) or (not address and _all_work(case)):
            yield _past(f"the driver could not start {named}, and that is over", proof, group, part)
        else:
            yield _failed_now(case, f"the driver could not start {named}", proof, group, part)


def _all_work(case: Case) -> bool:
    every = identity.gpus(case.box)
    return bool(every) and all(one.present == "nvml" for one in every)


def _past(text: str, proof: list[Evidence], group: list[Copies], part: str) -> Found:
    return Found(
        text,
        tuple(proof),
        "nothing now; watch whether it comes back",
        severity=Severity.INFO,
        verdict=Verdict.IGNORE,
        part=part,
        **_times(group),
    )


def _failed_now(case: Case, text: str, proof: list[Evidence], group: list[Copies], part: str) -> Found:
    gpu = identity.of_part(case.box, part)
    before = gpu_past.earlier_faults(case.box, gpu.pci, gpu.serial, SAME) if gpu else []
    if not before:
        return Found(text, tuple(proof), part=part, **_times(group))
    boots = len(before) + 1
    return Found(
        f"{text}, in {boots} boots",
        tuple(proof),
        verdict=Verdict.RMA,
        have=(f"its start failed in {boots} boots",),
        missing=(FIELD_DIAGNOSTIC, SWAP_TEST),
        part=part,
        **_times(group),
    )


def reset_required(case: Case) -> Iterator[Found]:
    """Driver says in the kernel log that a GPU has to be reset.

    New programs get NV_ERR_RESET_REQUIRED until then. It is over after a reboot, and when the driver asks for nothing
    any more (field 230).

    Fires:
        log: 2026-11-21T03:12:44.000000+00:00 gpu01 kernel: NVRM: GPU 0000:3b:00.0: nvAssertOkFailedNoLog: Assertion failed: Reset required [NV_ERR_RESET_REQUIRED] (0x00000095)
    Quiet:
        kernel/log/dmesg.txt = {"lines": 1, "events": []}
    """
    for address, group in _by_gpu(case, "nvrm_reset_required").items():
        proof, part = [logged(copies[0]) for copies in group], f"gpu:{address}" if address else "host"
        named = f"the GPU at {address}" if address else "a GPU (the line does not say which)"
        if _is_over(case, group) or _asks_nothing(case, address):
            yield _past(f"{named} had to be reset, and that is over", proof, group, part)
        else:
            yield Found(f"{named} has to be reset", tuple(proof), part=part, **_times(group))


def _asks_nothing(case: Case, address: str) -> bool:
    """Say whether the driver asks nothing for this GPU any more (for a line without an address: for none of them)."""
    devices = [branch(case.box.facts, "gpu", "devices", index) for index in branch(case.box.facts, "gpu", "devices")]
    own = [one for one in devices if not address or identity.address_of(one) == address]
    return bool(own) and all(value(one, "fields", "recovery_action") == "none" for one in own)


GPU_DRIVER_RULES: tuple[Rule, ...] = (
    Rule(
        "gpu.driver.mismatch",
        Severity.CRITICAL,
        Verdict.REBOOT,
        needs=(),
        source=NVML_ERRORS,
        judge=driver_mismatch,
        scope=DRIVER,
        next=f"{REBOOT}; {UPGRADE}",
    ),
    Rule(
        "gpu.driver.not_loaded",
        Severity.CRITICAL,
        Verdict.INSPECT,
        needs=("/gpu/system/gpus_in_pci",),
        source=NVML_ERRORS,
        judge=driver_not_loaded,
        scope=DRIVER,
        next="modprobe nvidia, and read what the kernel log says; after a kernel update: dkms status",
    ),
    Rule(
        "gpu.driver.hang",
        Severity.CRITICAL,
        Verdict.REBOOT,
        needs=(),
        source=HANGS,
        judge=driver_hang,
        scope=DRIVER,
        next=f"start no nvidia-smi, it would hang as well; {REBOOT}, and where that hangs too, take its power away",
    ),
    Rule(
        "gpu.driver.init_failed",
        Severity.CRITICAL,
        Verdict.REBOOT,
        needs=(),
        source=XIDS,
        judge=init_failed,
        scope=LOGS,
        next=REBOOT,
    ),
    Rule(
        "gpu.driver.reset_required",
        Severity.CRITICAL,
        Verdict.RESET_GPU,
        needs=(),
        source=NVML_ERRORS,
        judge=reset_required,
        scope=LOGS,
        next=f"stop what runs on this GPU; {CAPTURE}; then nvidia-smi --gpu-reset -i INDEX",
    ),
)
