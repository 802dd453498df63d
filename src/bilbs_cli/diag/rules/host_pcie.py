"""PCIe under the GPUs: errors that the kernel counted and logged (AER), devices that do not answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bilbs_cli.diag.findings import Box, Case, Found, Rule, Severity, Verdict
from bilbs_cli.diag.identity import named_slot
from bilbs_cli.diag.model import branch, value
from bilbs_cli.diag.rules.log_events import gather
from bilbs_cli.diag.rules.scopes import LOGS, PCI_DEVICE

AER = "https://docs.kernel.org/PCI/pcieaer-howto.html"
SYSFS = "https://docs.kernel.org/admin-guide/abi-testing.html#abi-file-testing-sysfs-bus-pci-devices-aer-stats"
SOME, MANY = 100, 10_000  # corrected errors of one device since boot (ours): told, and a warning
TEXT = 64
DEVICES = ("pci", "devices")


def _count(counters: object) -> tuple[int, str]:
    """Return the total of AER counters and the kinds that are not zero, in the kernel's words."""
    rows = counters.items() if isinstance(counters, Mapping) else ()
    known = {str(name): one for name, one in rows if isinstance(one, int) and not isinstance(one, bool) and one > 0}
    kinds = {name: one for name, one in known.items() if not name.startswith("TOTAL")}
    total = max([one for name, one in known.items() if name.startswith("TOTAL")], default=sum(kinds.values()))
    return total, ", ".join(f"{name[:TEXT]} {one}" for name, one in list(kinds.items())[:4])


def _kind(box: Box, address: str) -> str:
    found = value(box.facts, *DEVICES, address, "kind")
    return found[:TEXT] if isinstance(found, str) else "device"


def below(box: Box) -> Mapping[str, tuple[str, ...]]:
    """Return the GPUs and NVSwitches below each bridge, by the bridge's address."""
    found: dict[str, list[str]] = {}
    for address in branch(box.facts, *DEVICES):
        above = value(box.facts, *DEVICES, address, "bridges_above")
        if _kind(box, address) in {"gpu", "nvswitch"} and isinstance(above, list):
            for bridge in (one for one in above if isinstance(one, str)):
                found.setdefault(bridge, []).append(address)
    return {bridge: tuple(addresses) for bridge, addresses in found.items()}


def _matters(box: Box, address: str) -> bool:
    """Say whether an address is a GPU's or a bridge's above one."""
    return _is_gpu(box, address) or bool(box.derive(below).get(address))


def _is_gpu(box: Box, address: str) -> bool:
    return (
        _kind(box, address) in {"gpu", "nvswitch"}
        or address in branch(box.facts, "gpu", "pci")
        or any(seen.pci == address for seen in gather(box, "xid"))
    )


def _part(box: Box, address: str) -> str:
    if not address:
        return ""
    short = "nvswitch" if _kind(box, address) == "nvswitch" else "gpu" if _is_gpu(box, address) else "pci"
    return f"{short}:{address}"


def _named(box: Box, address: str) -> str:
    """Return what a device is and where, for the person who seats it again."""
    slot, model = (value(box.facts, *DEVICES, address, name) for name in ("slot", "model"))
    where = f", {named_slot(slot[:TEXT])}" if isinstance(slot, str) and slot else ""
    under = box.derive(below).get(address, ())
    above = f" above {', '.join(under[:4])}" if under else ""
    return f"{model[:TEXT] if isinstance(model, str) else _kind(box, address)} {address}{where}{above}"


def aer_fatal(case: Case) -> Iterator[Found]:
    """The kernel counted fatal PCIe errors of this device since boot (AER).

    A fatal error means that the link was lost and reset. Of a GPU, an NVSwitch or a bridge above one it is critical, of
    another device a warning. A root port counts what devices below it reported, in a counter of its own.

    Fires:
        pci/devices/0000:3b:00.0/kind = "gpu"
        pci/devices/0000:3b:00.0/slot = "5"
        pci/devices/0000:3b:00.0/aer_fatal = {"TOTAL_ERR_FATAL": 1, "SDES": 1}
    Quiet:
        pci/devices/0000:3b:00.0/kind = "gpu"
        pci/devices/0000:3b:00.0/aer_fatal = {"TOTAL_ERR_FATAL": 0, "SDES": 0}
    """
    own, root = case.get("aer_fatal"), case.number("aer_root_fatal")
    if not isinstance(own, Mapping) and root is None:
        raise case.unread("aer_fatal", "aer_root_fatal")
    address = case.path[-1]
    total, kinds = _count(own)
    cited = [path for path, loud in (("aer_fatal", total), ("aer_root_fatal", root)) if loud]
    if not cited:
        return
    named = f" ({kinds})" if kinds else " (reported to this root port)"
    yield Found(
        f"{max(total, int(root or 0))} fatal PCIe errors since boot{named}: {_named(case.box, address)}",
        tuple(case.cite(path) for path in cited),
        severity=None if _matters(case.box, address) else Severity.WARNING,
        part=_part(case.box, address),
    )


def aer_correctable(case: Case) -> Iterator[Found]:
    """The kernel counted many corrected PCIe errors of this device since boot (AER).

    The link corrects them by sending again, so a few do no harm; a link with ten thousand is not sound (seating, riser,
    signal). The kernel and NVIDIA name no number; these are ours.

    Fires:
        pci/devices/0000:3b:00.0/kind = "gpu"
        pci/devices/0000:3b:00.0/aer_correctable = {"RxErr": 20000, "TOTAL_ERR_COR": 20000}
    Quiet:
        pci/devices/0000:3b:00.0/kind = "gpu"
        pci/devices/0000:3b:00.0/aer_correctable = {"RxErr": 3, "TOTAL_ERR_COR": 3}
    """
    counters = case.get("aer_correctable")
    if not isinstance(counters, Mapping):
        raise case.unread("aer_correctable")
    address, (total, kinds) = case.path[-1], _count(counters)
    if total >= SOME:
        yield Found(
            f"{total} corrected PCIe errors since boot ({kinds or 'kinds not told'}): {_named(case.box, address)}",
            (case.cite("aer_correctable"),),
            severity=Severity.WARNING if total >= MANY else Severity.INFO,
            verdict=Verdict.INSPECT if total >= MANY else Verdict.IGNORE,
            part=_part(case.box, address),
        )


def aer_logged(case: Case) -> Iterator[Found]:
    """The kernel logged a PCIe error (AER, DPC).

    The counters of a device that left the bus are gone with it, and start anew at a boot: the log still has them.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: pcieport 0000:3a:00.0: AER: Uncorrected (Fatal) error received: 0000:3b:00.0
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: pcieport 0000:3a:00.0: AER: enabled with IRQ 33
    """
    for seen in gather(case.box, "aer"):
        for word, one in seen.by("severity"):
            severity = _logged_severity(case.box, seen.pci, word, one.count)
            yield one.found(
                f"PCIe error ({word or 'severity not told'}): {_named(case.box, seen.pci) if seen.pci else 'no device named'}",
                severity=severity,
                verdict=None if severity is Severity.CRITICAL else Verdict.IGNORE,
                part=_part(case.box, seen.pci),
            )


def _logged_severity(box: Box, address: str, word: str, count: int) -> Severity:
    if word in {"fatal", "unrecovered"}:
        known = address in branch(box.facts, *DEVICES)
        return Severity.CRITICAL if not known or _matters(box, address) else Severity.WARNING
    if word == "corrected":
        return Severity.WARNING if count >= MANY else Severity.INFO
    return Severity.WARNING


def pci_dead(case: Case) -> Iterator[Found]:
    """A device on the PCI bus does not answer: its registers read as all ones.

    GPUs have a rule of their own (gpu.lost).

    Fires:
        pci/devices/0000:5e:00.0/kind = "nic"
        pci/devices/0000:5e:00.0/answers = false
    Quiet:
        pci/devices/0000:5e:00.0/kind = "nic"
        pci/devices/0000:5e:00.0/answers = true
    """
    answers = case.get("answers")
    if not isinstance(answers, bool):
        raise case.unread("answers")
    if not answers and case.get("kind") != "gpu":
        address = case.path[-1]
        words = f"does not answer on the PCI bus: {_named(case.box, address)}"
        yield Found(words, (case.cite("answers"),), part=_part(case.box, address))


SEAT = "Power the box off and seat card, riser and slot power again. Then: bilbs diag check"
HOST_PCIE_RULES = (
    Rule(
        "host.aer.fatal",
        Severity.CRITICAL,
        Verdict.INSPECT,
        ("aer_fatal|aer_root_fatal",),
        SYSFS,
        aer_fatal,
        PCI_DEVICE,
        next=SEAT,
    ),
    Rule(
        "host.aer.correctable",
        Severity.WARNING,
        Verdict.INSPECT,
        ("aer_correctable",),
        SYSFS,
        aer_correctable,
        PCI_DEVICE,
        next="Seat the card and its riser again at the next window; the number starts anew at a boot.",
    ),
    Rule("host.aer.logged", Severity.CRITICAL, Verdict.INSPECT, (), AER, aer_logged, LOGS, next=SEAT),
    Rule(
        "host.pci.dead",
        Severity.CRITICAL,
        Verdict.REBOOT,
        ("answers",),
        AER,
        pci_dead,
        PCI_DEVICE,
        next="Keep a bundle (bilbs diag collect), power the box off fully and start it. Then: bilbs diag check",
    ),
)
