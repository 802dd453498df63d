"""Rules about GPUs that were there: lost to the driver, silent on the PCI bus, or off the bus in the kernel log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from bilbs_cli.diag import identity, timeline
from bilbs_cli.diag.findings import Box, Case, Evidence, Found, Rule, Severity, Verdict
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.kernel_log import bursts
from bilbs_cli.diag.kernel_log.bursts import Burst
from bilbs_cli.diag.model import ReadError, branch, leaves, value
from bilbs_cli.diag.rules import gpu_past
from bilbs_cli.diag.rules.gpu_advice import DIAGNOSE, FIELD_DIAGNOSTIC, POWER_CYCLE, SWAP_TEST
from bilbs_cli.diag.rules.gpu_seen import DRIVER, LOST, answers, is_lost, seen
from bilbs_cli.diag.rules.scopes import LOGS

NVML = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html"
XIDS = "https://docs.nvidia.com/deploy/xid-errors/index.html"

FALLS = frozenset({"gpu.lost", "gpu.off_bus", "xid.79"})  # what the same card does when it falls off the bus again
FALL_XID = 79
NEAR = timedelta(seconds=bursts.QUIET_S)
DAY = timedelta(days=1)
MOST_FALLS = 64
GONE = "it is off the bus now"
RETURN = "that it goes again after its power was cut"
RECURRED_MISSING = (FIELD_DIAGNOSTIC, SWAP_TEST)


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
        answers(case.box.facts, one) is not None for one in state.unclaimed
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
    silent = address and answers(case.box.facts, address) is False
    lost = bool(index) and is_lost(branch(case.box.facts, "gpu", "devices", index))
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
        proofs = {"have": (GONE,), "missing": (RETURN, *RECURRED_MISSING)}
        return Found(text, tuple(proof), part=f"gpu:{address}", **(proofs | more))
    boots = len(before) + 1
    return Found(
        f"{text}, in {boots} boots",
        tuple(proof),
        f"{POWER_CYCLE}; then swap it with another card of the box, to see whether the fault follows it",
        verdict=Verdict.RMA,
        have=(
            GONE,
            f"it fell off the bus in {boots} boots, before this one last on {before[-1]:%Y-%m-%d}",
        ),
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
    known = [*times, *(at for at in logged if all(abs(at - one) > DAY for one in times))]
    return sorted(known)[-MOST_FALLS:]


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


GPU_LOST_RULES: tuple[Rule, ...] = (
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
)
