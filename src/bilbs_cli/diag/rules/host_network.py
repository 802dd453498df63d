"""Links: InfiniBand ports and their modules, network interfaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bilbs_cli.diag.baseline import baseline_of
from bilbs_cli.diag.findings import Case, Found, Rule, Scope, Severity, Verdict
from bilbs_cli.diag.model import branch, value
from bilbs_cli.diag.rules.log_events import gather
from bilbs_cli.diag.rules.scopes import INTERFACE, LOGS

GPUD = "https://github.com/leptonai/gpud/tree/main/components/accelerator/nvidia/infiniband"
LINUX = "https://docs.kernel.org/networking/statistics.html"
SYSFS = "https://docs.kernel.org/admin-guide/abi-testing.html"
ERRORS_MANY = 1000  # of an interface since boot (ours)
FLAPS_MANY = 10  # times that a link went down in the logs (ours); fewer are told
SLOT_POWER, MODULE_HOT = "insufficient power", "high temperature"
IB_ERRORS = ("link_downed", "link_error_recovery", "symbol_error", "port_rcv_errors", "local_link_integrity_errors")
TEXT = 64
PORT = Scope(
    "ib",
    "network/infiniband/*/ports/*",
    lambda _facts, path: f"ib:{path[2]}/{path[4]}",
    label=lambda _facts, path: f"InfiniBand {path[2]} port {path[4]}",
)


def port_down(case: Case) -> Iterator[Found]:
    """An InfiniBand port is not active.

    Down with the hardware polling or trained is a warning (cable, module, switch port, subnet manager). A port that is
    disabled is told; so is one that speaks Ethernet, whose interface net.link.down judges.

    Fires:
        network/infiniband/mlx5_0/ports/1/state = "DOWN"
        network/infiniband/mlx5_0/ports/1/physical_state = "Polling"
        network/infiniband/mlx5_0/ports/1/link_layer = "InfiniBand"
    Quiet:
        network/infiniband/mlx5_0/ports/1/state = "ACTIVE"
        network/infiniband/mlx5_0/ports/1/physical_state = "LinkUp"
    """
    state, physical = case.get("state"), case.get("physical_state")
    if not isinstance(state, str):
        raise case.unread("state")
    if "ACTIVE" in state.upper():
        return
    how = physical[:TEXT] if isinstance(physical, str) else ""
    off = "disabled" in how.lower() or case.get("link_layer") == "Ethernet"
    trained = "linkup" in how.lower()
    yield Found(
        f"the port is {state[:TEXT]}{f' ({how})' if how else ''}",
        (case.cite("state"), *([case.cite("physical_state")] if how else [])),
        severity=Severity.INFO if off else None,
        verdict=Verdict.IGNORE if off else None,
        next="The link is trained: ask the subnet manager (sminfo, ibdiagnet)." if trained else "",
    )


def port_errors(case: Case) -> Iterator[Found]:
    """An InfiniBand port counts links that went down, or errors on its line.

    Fires:
        network/infiniband/mlx5_0/ports/1/counters = {"link_downed": 3, "symbol_error": 0}
    Quiet:
        network/infiniband/mlx5_0/ports/1/counters = {"link_downed": 0, "symbol_error": 0}
    """
    counters = case.get("counters")
    if not isinstance(counters, Mapping):
        raise case.unread("counters")
    found = {name: counters.get(name) for name in IB_ERRORS}
    loud = {name: one for name, one in found.items() if isinstance(one, int) and not isinstance(one, bool) and one > 0}
    if loud:
        named = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in loud.items())
        yield Found(f"since its counters began: {named}", (case.cite("counters", named),))


def _trouble(case: Case, what: str, words: str) -> Iterator[Found]:
    for seen in gather(case.box, "ib_module"):
        for kind, one in seen.by("what"):
            if kind == what:
                watts = ", ".join(f"{one_} W" for one_ in one.details("watts")[:2])
                named = seen.pci or "that the line does not name"
                told = f"{words}: network card {named}{f' ({watts})' if watts else ''}"
                yield one.found(told, part=f"pci:{seen.pci}" if seen.pci else "")


def slot_power(case: Case) -> Iterator[Found]:
    """A network card gets too little power from its slot.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: mlx5_core 0000:5c:00.0: mlx5_pcie_event:301:(pid 2): Detected insufficient power on the PCIe slot (27W).
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: mlx5_core 0000:5c:00.0: Port module event: module 0, Cable plugged
    """
    yield from _trouble(case, SLOT_POWER, "too little power in the slot")


def module_hot(case: Case) -> Iterator[Found]:
    """The module (cable or transceiver) of a network card is too hot.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: mlx5_core 0000:5c:00.0: Port module event[error]: module 0, Cable error, High Temperature
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: mlx5_core 0000:5c:00.0: Port module event: module 0, Cable plugged
    """
    yield from _trouble(case, MODULE_HOT, "its module is too hot")


def link_down(case: Case) -> Iterator[Found]:
    """A network link that should be up is down.

    A warning where the baseline has it up, or where it is a member of a bond. Told where it was up in this boot. A port that
    nobody uses is no fault: most servers have some.

    Fires:
        network/interfaces/eth0/physical = true
        network/interfaces/eth0/operstate = "down"
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [], "interfaces": ["eth0"]}
    Quiet:
        network/interfaces/eth0/physical = true
        network/interfaces/eth0/operstate = "up"
        network/interfaces/eth0/carrier = true
    """
    state, name = case.get("operstate"), case.path[-1]
    if not isinstance(state, str):
        raise case.unread("operstate")
    down = state in {"down", "lowerlayerdown", "notpresent"} or case.get("carrier") is False
    if case.get("physical") is not True or not down:
        return
    known = baseline_of(case.box.facts)
    bonded = case.get("bond/slave_mii_status") is not None or name in _members(case)
    reasons = [f"it was up on {known.taken_at:%Y-%m-%d}"] if known and name in known.interfaces else []
    reasons += ["it is a member of a bond"] if bonded else []
    changes = case.number("carrier_changes")
    if reasons or (changes is not None and changes >= 2):
        yield Found(
            f"the link of {name} is down ({', '.join(reasons) or 'it was up in this boot'})",
            (case.cite("operstate"),),
            severity=None if reasons else Severity.INFO,
            verdict=None if reasons else Verdict.IGNORE,
        )


def _members(case: Case) -> set[str]:
    """Return the interfaces that bonds have as members."""
    interfaces = branch(case.box.facts, "network", "interfaces")
    found = (value(case.box.facts, "network", "interfaces", name, "bond", "slaves") for name in interfaces)
    return {one for slaves in found if isinstance(slaves, list) for one in slaves if isinstance(one, str)}


def link_logged(case: Case) -> Iterator[Found]:
    """A network link went down, says the kernel's log.

    It may have come back: net.link.down says how it is now. From ten times on it is a warning.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: ixgbe 0000:17:00.0 eth0: NIC Link is Down
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: mlx5_core 0000:5c:00.0 ens3f0np0: Link up
    """
    for seen in gather(case.box, "link_down"):
        for device, one in seen.by("device"):
            many = one.count >= FLAPS_MANY
            yield one.found(
                f"the link of {device or seen.pci or 'a port'} went down {one.count} times",
                part=f"net:{device}" if device in branch(case.box.facts, "network", "interfaces") else "",
                severity=Severity.WARNING if many else Severity.INFO,
                verdict=Verdict.INSPECT if many else Verdict.IGNORE,
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
    received, sent = case.number("counters/rx_errors"), case.number("counters/tx_errors")
    if received is None or sent is None:
        raise case.unread("counters/rx_errors", "counters/tx_errors")
    if case.get("physical") is True and received + sent >= ERRORS_MANY:
        extra = [path for path in ("counters/rx_crc_errors", "counters/tx_carrier_errors") if case.number(path)]
        yield Found(
            f"{case.path[-1]}: {received:g} errors in receiving and {sent:g} in sending since boot",
            tuple(case.cite(path) for path in ("counters/rx_errors", "counters/tx_errors", *extra)),
        )


HOST_NETWORK_RULES = (
    Rule(
        "net.ib.down",
        Severity.WARNING,
        Verdict.INSPECT,
        ("state",),
        GPUD,
        port_down,
        PORT,
        next="Look at cable, module and the switch's port; ibstat and mlxlink say how it is.",
    ),
    Rule(
        "net.ib.errors",
        Severity.INFO,
        Verdict.IGNORE,
        ("counters",),
        SYSFS,
        port_errors,
        PORT,
        next="Clean or change the cable when the numbers grow: perfquery shows them, ibdiagnet the whole fabric's.",
    ),
    Rule(
        "net.ib.slot_power",
        Severity.WARNING,
        Verdict.INSPECT,
        (),
        GPUD,
        slot_power,
        LOGS,
        next="Look at the slot's auxiliary power cable, and whether the slot is made for what the card draws.",
    ),
    Rule(
        "net.ib.module_hot",
        Severity.WARNING,
        Verdict.INSPECT,
        (),
        GPUD,
        module_hot,
        LOGS,
        next="Look at the air flow around the card; change the module when its neighbours stay cool.",
    ),
    Rule(
        "net.link.down",
        Severity.WARNING,
        Verdict.INSPECT,
        ("operstate", "physical"),
        SYSFS,
        link_down,
        INTERFACE,
        next="Look at cable, module and the switch's port; if it is not used any more: bilbs diag baseline set",
    ),
    Rule(
        "net.link.logged",
        Severity.INFO,
        Verdict.IGNORE,
        (),
        LINUX,
        link_logged,
        LOGS,
        next="Look at cable and switch when it comes often.",
    ),
    Rule(
        "net.link.errors",
        Severity.WARNING,
        Verdict.INSPECT,
        ("counters/rx_errors", "counters/tx_errors", "physical"),
        LINUX,
        interface_errors,
        INTERFACE,
        next="Change the cable or the module first; ethtool -S says which errors.",
    ),
)
