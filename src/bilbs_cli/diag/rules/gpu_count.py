"""Rules about GPUs that do not come to work: without a handle, on the bus and not with the driver, or missing."""

from __future__ import annotations

from collections.abc import Iterator

from bilbs_cli.diag import identity
from bilbs_cli.diag.findings import Case, Found, Rule, Severity, Verdict
from bilbs_cli.diag.model import ReadError
from bilbs_cli.diag.rules import gpu_past
from bilbs_cli.diag.rules.gpu_advice import POWER_CYCLE, REBOOT
from bilbs_cli.diag.rules.gpu_seen import DRIVER, HUNG, LOST, Seen, seen
from bilbs_cli.diag.rules.scopes import GPU

NVML = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html"
DEBUG = "https://docs.nvidia.com/deploy/gpu-debug-guidelines/index.html"


def gpu_handle(case: Case) -> Iterator[Found]:
    """Driver lists the GPU and does not let it be used.

    NVML counts it, and gives no handle: an interrupt that does not arrive, a power cable that is not plugged in, an error
    it has no name for. A GPU that is lost or does not answer has rules of its own; missing rights are no fault.

    Fires:
        gpu/devices/1/handle = error NVMLError_InsufficientPower 8 Insufficient External Power
    Quiet:
        gpu/devices/1/pci_bus_id = "0000:3b:00.0"
    """
    reading = case.reading("handle")
    if isinstance(reading, ReadError):
        low = reading.kind.lower()
        if (
            reading.kind in HUNG
            or reading.kind == LOST
            or low.endswith(("notsupported", "nopermission", "permissionerror"))
        ):
            raise case.unread("handle")
        power = "check its power cables; " if "power" in low else ""
        yield Found(
            f"the driver gives no access to this GPU: {reading.message[:120]}",
            (case.cite("handle"),),
            f"{power}{REBOOT}",
        )
    elif not case.names(""):
        raise case.unread("pci_bus_id")


def gpu_count(case: Case) -> Iterator[Found]:
    """Fewer GPUs than there should be.

    Three lists are compared: what is on the PCI bus, what the driver has, what the baseline (or the kernel log) knows. On
    the bus and not with the driver: its start failed. In neither: it is missing, off the bus, or somebody took it out.
    GPUs that are excluded by a driver setting are named for information, GPUs given to virtual machines are left out.

    Fires:
        gpu/system/nvml = "initialised"
        gpu/system/gpus_in_pci = ["0000:1b:00.0"]
        gpu/devices/0/pci_bus_id = "0000:1b:00.0"
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": "0000:1b:00.0", "serial": "1652324000311"}, {"pci": "0000:3b:00.0", "serial": "1652324001311"}]}
    Quiet:
        gpu/system/nvml = "initialised"
        gpu/system/gpus_in_pci = ["0000:1b:00.0"]
        gpu/devices/0/pci_bus_id = "0000:1b:00.0"
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": "0000:1b:00.0", "serial": "1652324000311"}]}
    """
    if not isinstance(case.get("/gpu/system/gpus_in_pci"), list):
        raise case.unread("/gpu/system/gpus_in_pci")
    state = case.box.derive(seen)
    yield from _missing(case, state)
    if case.get("/gpu/system/nvml") == "initialised":
        yield from _without_driver(case, state)
    for address in state.excluded:
        yield Found(
            f"the GPU at {address} is excluded by a setting of the driver",
            (case.cite("/gpu/system/excluded_count"),),
            "if nobody wanted that: look for NVreg_ExcludedGpus in /etc/modprobe.d",
            severity=Severity.INFO,
            verdict=Verdict.IGNORE,
            part=f"gpu:{address}",
        )


def _missing(case: Case, state: Seen) -> Iterator[Found]:
    missing = [one for one in identity.gpus(case.box) if one.present == "missing"]
    known = gpu_past.baseline(case)
    for one in missing:
        of_baseline = known is not None and any(gpu.pci == one.pci for gpu in known.gpus)
        source = f"the baseline of {known.taken_at:%Y-%m-%d}" if known and of_baseline else "the kernel log"
        count = f"expected {state.present + len(missing)} GPUs, see {state.present}"
        memory = [case.cite(gpu_past.BASELINE, f"a GPU at {one.pci}")] if of_baseline else []
        yield Found(
            f"{count}: {identity.label(one)} is missing, {source} has it",
            (case.cite("/gpu/system/gpus_in_pci"), *memory),
            f"{POWER_CYCLE}; if it stays away, reseat it; if it was taken out on purpose: bilbs diag baseline set",
            severity=Severity.CRITICAL if of_baseline else Severity.WARNING,
            verdict=Verdict.INSPECT,
            part=one.part,
        )


def _without_driver(case: Case, state: Seen) -> Iterator[Found]:
    proof = (case.cite("/gpu/system/gpus_in_pci"), case.cite("/gpu/system/device_count"))
    if state.unnamed >= len(state.unclaimed) or state.lost_nameless:
        return  # they are those of the driver that did not tell their address
    if state.unnamed:
        count = len(state.unclaimed) - state.unnamed
        text = f"{count} of the GPUs at {', '.join(state.unclaimed[:8])} did not start with the driver"
        yield Found(text, proof)
        return
    for address in state.unclaimed:
        driver = next(
            (one for one in (_driver(case, address, place) for place in ("gpu/pci", "pci/devices")) if one), ""
        )
        other = f" (the driver {driver[:32]} has it)" if driver not in {"", "nvidia"} else ""
        text = f"the GPU at {address} is on the PCI bus and not with the NVIDIA driver{other}: its start failed"
        yield Found(text, proof, part=f"gpu:{address}", severity=Severity.WARNING if other else None)


def _driver(case: Case, address: str, place: str) -> str:
    found = case.get(f"/{place}/{address}/driver")
    return found if isinstance(found, str) else ""


GPU_COUNT_RULES: tuple[Rule, ...] = (
    Rule(
        "gpu.handle",
        Severity.CRITICAL,
        Verdict.REBOOT,
        needs=(),
        source=NVML,
        judge=gpu_handle,
        scope=GPU,
        next=REBOOT,
    ),
    Rule(
        "gpu.count",
        Severity.CRITICAL,
        Verdict.REBOOT,
        needs=("/gpu/system/gpus_in_pci", "/gpu/system/nvml|/pci/functions"),
        source=DEBUG,
        judge=gpu_count,
        scope=DRIVER,
        next=f"read what the kernel log says of its start; {REBOOT}",
    ),
)
