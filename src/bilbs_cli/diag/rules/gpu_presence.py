"""Rules about GPUs that are not there, or not any more: lost, off the bus, without a handle, fewer than there should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bilbs_cli.diag import identity, timeline
from bilbs_cli.diag.findings import Box, Case, Evidence, Found, Rule, Scope, Severity, Verdict
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.kernel_log import bursts
from bilbs_cli.diag.kernel_log.bursts import Burst
from bilbs_cli.diag.model import ReadError, branch, leaves, value
from bilbs_cli.diag.rules import gpu_past
from bilbs_cli.diag.rules.gpu_advice import DIAGNOSE, FIELD_DIAGNOSTIC, POWER_CYCLE, REBOOT, SWAP_TEST
from bilbs_cli.diag.rules.scopes import GPU, LOGS

NVML = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html"
XIDS = "https://docs.nvidia.com/deploy/xid-errors/index.html"
DEBUG = "https://docs.nvidia.com/deploy/gpu-debug-guidelines/index.html"

LOST = "NVMLError_GpuIsLost"
HUNG = frozenset({"Timeout", "ProcessDied"})
GIVEN_AWAY = frozenset({"vfio-pci", "pci-stub", "xen-pciback"})  # handed to a virtual machine on purpose
FALLS = frozenset({"gpu.lost", "gpu.off_bus", "xid.79"})  # what the same card does when it falls off the bus again
FALL_XID = 79
MOST_EXCLUDED = 64
NEAR = timedelta(seconds=bursts.QUIET_S)
RECURRED_MISSING = (FIELD_DIAGNOSTIC, SWAP_TEST)

DRIVER = Scope(
    "host",
    "gpu/system",
    lambda _facts, _path: "host",
    lambda _: "the GPUs were not looked at",
    lambda _facts, _path: "this box",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """The GPUs of a box by how they are seen.

    `nameless` are the indices of NVML's GPUs that never told their address, each with whether it is lost; `unclaimed`
    the addresses on the bus that no GPU of NVML claims, without those that are excluded or given to virtual machines.
    """

    lost: Mapping[str, str]  # address -> index of NVML, empty where it has none or it is not known which
    lost_nameless: tuple[str, ...]  # indices that are lost, and could be at more than one address
    unclaimed: tuple[str, ...]  # on the bus, not with the driver, and not lost
    unnamed: int  # GPUs of NVML without an address that are not lost: they may be some of these
    excluded: tuple[str, ...]
    present: int


def seen(box: Box) -> Seen:
    """Return how the GPUs of the box are seen."""
    facts = box.facts
    devices = {index: branch(facts, "gpu", "devices", index) for index in branch(facts, "gpu", "devices")}
    addresses = {index: identity.address_of(device) for index, device in devices.items()}
    lost = {index for index, device in devices.items() if _is_lost(device)}
    on_bus = _on_the_bus(facts)
    silent = [one for one in on_bus if _answers(facts, one) is False and not _is_given_away(facts, one)]
    excluded = _excluded(facts)
    unclaimed = [
        one for one in on_bus if one not in set(addresses.values()) | set(excluded) and not _is_given_away(facts, one)
    ]
    nameless = [index for index, address in addresses.items() if not address and index in lost]
    gone = {addresses[index]: index for index in lost if addresses[index]}
    gone |= {one: _index_of(addresses, one) for one in silent if one not in gone and one not in excluded}
    places = [one for one in unclaimed if one in silent] or unclaimed
    if nameless and len(nameless) == len(places):
        gone |= dict.fromkeys(places, nameless[0] if len(nameless) == 1 else "")
        nameless = []
    return Seen(
        gone,
        tuple(nameless),
        tuple(one for one in unclaimed if one not in gone),
        sum(not address and index not in lost for index, address in addresses.items()),
        excluded,
        len({*on_bus, *addresses.values()} - {""}) or len(devices),
    )


def _is_lost(device: Mapping[str, Any]) -> bool:
    return any(isinstance(one, ReadError) and one.kind == LOST for _, one in leaves(device))


def _on_the_bus(facts: Mapping[str, Any]) -> list[str]:
    """Return the addresses of the NVIDIA GPUs that Linux lists, in PCI order."""
    listed = value(facts, "gpu", "system", "gpus_in_pci")
    found = {one.lower() for one in listed if isinstance(one, str)} if isinstance(listed, list) else set()
    found |= {address for address, one in branch(facts, "gpu", "pci").items() if value(one, "kind") == "gpu"}
    pci = branch(facts, "pci", "devices").items()
    found |= {address for address, one in pci if value(one, "kind") == "gpu" and value(one, "vendor_id") == "10de"}
    return sorted(found, key=identity.pci_order)


def _answers(facts: Mapping[str, Any], address: str) -> object:
    """Return whether a device answers on the bus: False as soon as one look says no."""
    looks = [value(facts, *place, address, "answers") for place in (("gpu", "pci"), ("pci", "devices"))]
    return False if False in looks else next((one for one in looks if one is not None), None)


def _excluded(facts: Mapping[str, Any]) -> tuple[str, ...]:
    found = (value(facts, "gpu", "system", f"excluded_{number}") for number in range(MOST_EXCLUDED))
    addresses = (one.get("pci_bus_id") for one in found if isinstance(one, Mapping))
    return tuple(one.lower() for one in addresses if isinstance(one, str))


def _is_given_away(facts: Mapping[str, Any], address: str) -> bool:
    looks = (value(facts, *place, address, "driver") for place in (("gpu", "pci"), ("pci", "devices")))
    return any(isinstance(one, str) and one in GIVEN_AWAY for one in looks)


def _index_of(addresses: Mapping[str, str], address: str) -> str:
    return next((index for index, one in addresses.items() if one == address), "")


def gpu_lost(case: Case) -> Iterator[Found]:
    """GPU is lost: the driver cannot reach it any more, or it does not answer on the PCI bus.

    It cannot tell its address or serial any more: the address is the only one on the bus that no other GPU of the driver
    has, the serial is remembered. Everything else about it is "not evaluated", never healthy. Cutting the power brings
    most back. One that falls off in more than one boot is a candidate for an RMA, and a swap test tells the card from its
    slot.

    Fires:
        gpu/system/nvml = "initialised"
        gpu/system/gpus_in_pci = ["0000:1b:00.0", "0000:3b:00.0"]
        gpu/devices/0/pci_bus_id = "0000:1b:00.0"
        gpu/devices/1/temperature_c = error NVMLError_GpuIsLost 15 GPU is lost
    Quiet:
        gpu/system/nvml = "initialised"
        gpu/system/gpus_in_pci = ["0000:1b:00.0"]
        gpu/devices/0/pci_bus_id = "0000:1b:00.0"
        gpu/devices/0/temperature_c = 40
    """
    state = case.box.derive(seen)
    looked = case.get("/gpu/system/nvml") is not None or any(
        _answers(case.box.facts, one) is not None for one in state.unclaimed
    )
    if not looked and not state.lost and state.unclaimed:
        raise case.unread("/gpu/system/nvml")
    for address, index in state.lost.items():
        card = identity.at(case.box, address)
        named = f"GPU {index}" if index.isdigit() else "the GPU"
        text = f"{named} at {address} is lost: {_how(case, address, index)}"
        yield _fallen(case, card, address, text, _proof(case, address, index))
    for index in state.lost_nameless:
        text = f"GPU {index[:8]} is lost, at one of these addresses: {', '.join(state.unclaimed[:8]) or 'unknown'}"
        yield Found(text, _proof(case, "", index), part=f"gpu:index:{index[:8]}")


def _how(case: Case, address: str, index: str) -> str:
    silent = address and _answers(case.box.facts, address) is False
    lost = bool(index) and _is_lost(branch(case.box.facts, "gpu", "devices", index))
    ways = [
        *(["the driver cannot reach it"] if lost or not silent else []),
        *(["it does not answer on the PCI bus"] if silent else []),
    ]
    return " and ".join(ways)


def _proof(case: Case, address: str, index: str) -> tuple[Evidence, ...]:
    """Return the readings that say so: the first that is lost, the bus, and how the address was found."""
    found = []
    devices = [index] if index else list(branch(case.box.facts, "gpu", "devices"))
    for one in devices:
        device = branch(case.box.facts, "gpu", "devices", one)
        paths = (path for path, reading in leaves(device) if isinstance(reading, ReadError) and reading.kind == LOST)
        if path := next(paths, None):
            found.append(case.cite("/gpu/devices/" + "/".join((one, *path))))
        if address and value(device, "pci_bus_id_by_elimination") is not None:
            found.append(case.cite(f"/gpu/devices/{one}/pci_bus_id_by_elimination"))
    looks = (f"/gpu/pci/{address}/answers", f"/pci/devices/{address}/answers") if address else ()
    found += [case.cite(one) for one in looks if case.get(one) is False]
    return tuple(found) or (case.cite("/gpu/system/gpus_in_pci"),)


def _fallen(
    case: Case, card: GpuIdentity | None, address: str, text: str, proof: Sequence[Evidence], **more: Any
) -> Found:
    """Return the finding for a GPU that is gone: an RMA candidate when other boots had the same."""
    before = falls_before_this_boot(case.box, address, card.serial if card else "")
    if not before:
        return Found(text, tuple(proof), part=f"gpu:{address}", **more)
    boots = len(before) + 1
    return Found(
        f"{text}, in {boots} boots",
        tuple(proof),
        f"{POWER_CYCLE}; then swap it with another card of the box, to see whether the fault follows it",
        verdict=Verdict.RMA,
        have=(f"it fell off the bus in {boots} boots, before this one last on {before[-1]:%Y-%m-%d}",),
        missing=RECURRED_MISSING,
        part=f"gpu:{address}",
        **more,
    )


def falls_before_this_boot(box: Box, address: str, serial: str) -> list[datetime]:
    """Return when earlier boots lost this GPU, one time a boot: of the history, and of the kernel logs that go back so far."""
    began = gpu_past.booted_at(box)
    times = gpu_past.earlier_faults(box, address, serial, FALLS)
    if began is None:
        return times
    logged = [
        at
        for copies in timeline.told(box)
        if _is_fall(copies[0]) and copies[0].event.pci == address
        if (at := copies[0].last_at) and at < began - gpu_past.JITTER
    ]
    known = [*times, *(at for at in logged if all(abs(at - one) > timedelta(days=1) for one in times))]
    return sorted(known)[-64:]


def _is_fall(burst: Burst) -> bool:
    event = burst.event
    return event.kind == "off_bus" or (event.kind == "xid" and event.code == FALL_XID)


def off_bus(case: Case) -> Iterator[Found]:
    """GPU fell off the bus, says the kernel log, and no Xid says it too.

    Some drivers print the sentence alone. With an Xid 79 of the same GPU at the same time, xid.79 tells it.

    Fires:
        log: 2026-11-21T03:12:44.000000+00:00 gpu01 kernel: NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus.
    Quiet:
        log: 2026-11-21T03:12:44.000000+00:00 gpu01 kernel: NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
        log: 2026-11-21T03:12:44.000000+00:00 gpu01 kernel: NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus.
    """
    told = [copies for copies in timeline.told(case.box) if _is_fall(copies[0])]
    xids = [copies[0] for copies in told if copies[0].event.kind == "xid"]
    groups: dict[str, list[tuple[Burst, ...]]] = {}
    for copies in told:
        if copies[0].event.kind == "off_bus" and not any(_same_time(copies[0], one) for one in xids):
            groups.setdefault(copies[0].event.pci, []).append(copies)
    for address, group in groups.items():
        yield _off_bus(case, address, group)


def _same_time(one: Burst, other: Burst) -> bool:
    if one.event.pci and one.event.pci != other.event.pci:
        return False
    if not (one.first_at and one.last_at and other.first_at and other.last_at):
        return True
    return one.first_at - NEAR <= other.last_at and other.first_at - NEAR <= one.last_at


def _off_bus(case: Case, address: str, group: list[tuple[Burst, ...]]) -> Found:
    proof = [logged(copies[0]) for copies in group]
    times = sorted(at for copies in group for at in (copies[0].first_at, copies[0].last_at) if at)
    more: dict[str, Any] = {
        "count": sum(map(bursts.count, group)),
        "first_at": times[0].isoformat() if times else None,
        "last_at": times[-1].isoformat() if times else None,
    }
    if not address:
        return Found("a GPU fell off the bus; the line does not say which", tuple(proof), part="host", **more)
    began = gpu_past.booted_at(case.box)
    if began and times and times[-1] < began:
        text = f"the GPU at {address} fell off the bus in an earlier boot"
        after = f"{DIAGNOSE}; when it falls off again, {SWAP_TEST}"
        return Found(text, tuple(proof), after, verdict=Verdict.INSPECT, part=f"gpu:{address}", **more)
    return _fallen(
        case, identity.at(case.box, address), address, f"the GPU at {address} fell off the bus", proof, **more
    )


def logged(burst: Burst) -> Evidence:
    """Return the first line of a burst as evidence."""
    at = burst.first_at.isoformat() if burst.first_at else None
    return Evidence(burst.member, burst.event.text, burst.line, at=at)


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


GPU_PRESENCE_RULES: tuple[Rule, ...] = (
    Rule(
        "gpu.lost",
        Severity.CRITICAL,
        Verdict.REBOOT,
        needs=("/gpu/system/gpus_in_pci|/gpu/system/nvml",),
        source=NVML,
        judge=gpu_lost,
        scope=DRIVER,
        next=POWER_CYCLE,
    ),
    Rule(
        "gpu.off_bus",
        Severity.CRITICAL,
        Verdict.REBOOT,
        needs=(),
        source=XIDS,
        judge=off_bus,
        scope=LOGS,
        next=POWER_CYCLE,
    ),
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
