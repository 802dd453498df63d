"""Links: InfiniBand ports and their modules, network interfaces."""

from __future__ import annotations

from collections.abc import Iterator

from bilbs_cli.diag.findings import Case, Found, Rule, Scope, Severity, Verdict
from bilbs_cli.diag.rules.log_events import gather
from bilbs_cli.diag.rules.scopes import INTERFACE, LOGS

GPUD = "https://github.com/leptonai/gpud/tree/main/components/accelerator/nvidia/infiniband"
LINUX = "https://docs.kernel.org/networking/statistics.html"
ERRORS_MANY = 1000  # since boot
PORT = Scope(
    "ib",
    "network/infiniband/*/ports/*",
    lambda _facts, path: f"ib:{path[2]}/{path[4]}",
    label=lambda _facts, path: f"InfiniBand {path[2]} port {path[4]}",
)


def port_down(case: Case) -> Iterator[Found]:
    """An InfiniBand port is not active.

    A port that is disabled or has no cable is told; one that is down with a cable, or that polls, is a warning.

    Fires:
        network/infiniband/mlx5_0/ports/1/state = "1: DOWN"
        network/infiniband/mlx5_0/ports/1/physical_state = "2: Polling"
    Quiet:
        network/infiniband/mlx5_0/ports/1/state = "4: ACTIVE"
        network/infiniband/mlx5_0/ports/1/physical_state = "5: LinkUp"
    """
    state, physical = str(case.get("state")), str(case.get("physical_state") or "")
    if "ACTIVE" in state.upper():
        return
    off = "disabled" in physical.lower()
    yield Found(
        f"the port is {state.partition(': ')[2] or state}"
        + (f" ({physical.partition(': ')[2] or physical})" if physical else ""),
        (case.cite("state"),),
        severity=Severity.INFO if off else None,
    )


def module_trouble(case: Case) -> Iterator[Found]:
    """A network card lacks power in its slot, or its module is too hot.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: mlx5_core 0000:5c:00.0: mlx5_pcie_event:301:(pid 2): Detected insufficient power on the PCIe slot (27W).
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: mlx5_core 0000:5c:00.0: Port module event: module 0, Cable plugged
    """
    for seen in gather(case.box, "ib_module"):
        what = sorted({str(event.detail.get("what")) for _, event in seen.told})
        yield Found(
            f"network card {seen.pci or 'not named'}: {', '.join(what)}",
            seen.evidence(),
            part=f"pci:{seen.pci}" if seen.pci else "",
            count=seen.count,
            first_at=seen.first_at,
            last_at=seen.last_at,
        )


def link_down(case: Case) -> Iterator[Found]:
    """A network link went down.

    It may have come back: the interface's own state says how it is now.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: ixgbe 0000:17:00.0 eth0: NIC Link is Down
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: mlx5_core 0000:5c:00.0 ens3f0np0: Link up
    """
    for seen in gather(case.box, "link_down"):
        named = sorted({str(event.detail.get("device") or "a port") for _, event in seen.told})
        yield Found(
            f"the link went down: {', '.join(named[:8])}",
            seen.evidence(),
            count=seen.count,
            first_at=seen.first_at,
            last_at=seen.last_at,
        )


def interface_errors(case: Case) -> Iterator[Found]:
    """A network interface counts many errors.

    Fires:
        network/interfaces/eth0/physical = true
        network/interfaces/eth0/counters/rx_errors = 4711
        network/interfaces/eth0/counters/tx_errors = 0
    Quiet:
        network/interfaces/eth0/physical = true
        network/interfaces/eth0/counters/rx_errors = 3
        network/interfaces/eth0/counters/tx_errors = 0
    """
    received, sent = case.number("counters/rx_errors") or 0, case.number("counters/tx_errors") or 0
    if case.get("physical") is True and received + sent >= ERRORS_MANY:
        yield Found(
            f"{received:g} errors in receiving and {sent:g} in sending since boot",
            (case.cite("counters/rx_errors"), case.cite("counters/tx_errors")),
        )


NETWORK_RULES = (
    Rule(
        "net.ib.down",
        Severity.WARNING,
        Verdict.INSPECT,
        ("state",),
        GPUD,
        port_down,
        PORT,
        next="Look at the cable, the module and the switch's port; ibstat says how it is.",
    ),
    Rule(
        "net.ib.module",
        Severity.WARNING,
        Verdict.INSPECT,
        (),
        GPUD,
        module_trouble,
        LOGS,
        next="Look at the slot's power cable and at the air flow around the module.",
    ),
    Rule(
        "net.link.down",
        Severity.INFO,
        Verdict.IGNORE,
        (),
        LINUX,
        link_down,
        LOGS,
        next="Look at cable and switch when it comes often.",
    ),
    Rule(
        "net.link.errors",
        Severity.WARNING,
        Verdict.INSPECT,
        ("counters/rx_errors", "counters/tx_errors"),
        LINUX,
        interface_errors,
        INTERFACE,
        next="Change the cable or the module first; ethtool -S says which errors.",
    ),
)
