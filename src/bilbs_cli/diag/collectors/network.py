"""Network: links and their counters, routes, InfiniBand ports. Nothing is sent, and no name is looked up."""

from __future__ import annotations

import errno
import os
import re
from functools import partial
from pathlib import Path

from bilbs_cli import process
from bilbs_cli.diag.collectors import sysfs
from bilbs_cli.diag.job import Collector, Job, Profile
from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Status, Value

FILES = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/hostname",
    "/proc/net/dev",
    "/proc/net/route",
    "/proc/net/snmp",
    "/proc/net/netstat",
    "/proc/net/sockstat",
    "/proc/net/softnet_stat",
    "/etc/chrony/chrony.conf",
    "/etc/chrony.conf",
    "/etc/ntp.conf",
    "/etc/systemd/timesyncd.conf",
)
NET = "/sys/class/net"
INFINIBAND = "/sys/class/infiniband"
INTERFACES = 64  # with facts; a host full of containers has thousands of virtual ones
PHYSICAL = 32  # asked by ethtool

LINK_SPEC: sysfs.Spec = {
    "operstate": ("operstate", str),
    "mtu": ("mtu", int),
    "mac": ("address", str),
    "carrier_changes": ("carrier_changes", int),
}
UP_SPEC: sysfs.Spec = {
    "carrier": ("carrier", lambda text: text == "1"),
    "speed_mbps": ("speed", int),
    "duplex": ("duplex", str),
}
COUNTER_SPEC: sysfs.Spec = {
    name: (f"statistics/{name}", int)
    for name in (
        "rx_bytes",
        "tx_bytes",
        "rx_packets",
        "tx_packets",
        "rx_errors",
        "tx_errors",
        "rx_dropped",
        "tx_dropped",
        "rx_crc_errors",
        "rx_missed_errors",
        "rx_fifo_errors",
        "tx_carrier_errors",
        "collisions",
    )
}
BOND_SPEC: sysfs.Spec = {
    "mode": ("bonding/mode", str),
    "mii_status": ("bonding/mii_status", str),
    "slaves": ("bonding/slaves", str.split),
    "active_slave": ("bonding/active_slave", str),
}
SLAVE_SPEC: sysfs.Spec = {
    "slave_mii_status": ("bonding_slave/mii_status", str),
    "slave_link_failures": ("bonding_slave/link_failure_count", int),
}
CHANNEL_SPEC: sysfs.Spec = {
    "firmware": ("fw_ver", str),
    "board": ("board_id", str),
    "type": ("hca_type", str),
    "node_guid": ("node_guid", str),
    "node_type": ("node_type", str),
}


def state(text: str) -> str:
    """Return the word of an InfiniBand state, which has its number in front.

    >>> state("4: ACTIVE"), state("5: LinkUp")
    ('ACTIVE', 'LinkUp')
    """
    return text.partition(":")[2].strip() or text


def rate(text: str) -> float:
    """Return Gb/s of an InfiniBand rate. Raises `ValueError`.

    >>> rate("400 Gb/sec (4X NDR)")
    400.0
    """
    number = re.match(r"([\d.]+) Gb/sec", text)
    if not number:
        raise ValueError(f"not a rate: {text!r}")
    return float(number[1])


PORT_SPEC: sysfs.Spec = {
    "state": ("state", state),
    "physical_state": ("phys_state", state),
    "rate_gbps": ("rate", rate),
    "rate": ("rate", str),
    "link_layer": ("link_layer", str),
    "lid": ("lid", sysfs.whole),
    "sm_lid": ("sm_lid", sysfs.whole),
}


def collect(job: Job) -> None:
    """Read sysfs and /proc, then the tools."""
    for path in FILES:
        job.file(path)
    job.files("/proc/net/bonding/*")
    names = [path.rpartition("/")[2] for path in job.glob(f"{NET}/*")]
    names = [name for name in names if name != "bonding_masters"]
    physical = [name for name in names if _is_physical(job, name)]
    chosen = (physical + [name for name in names if name not in physical])[:INTERFACES]
    job.record(("interfaces_count",), Value(len(names)) if names else NotCollected(f"no {NET}"))
    for name in sorted(chosen):
        _interface(job, name, physical=name in physical)
    job.record(("default_routes",), _routes(job))
    for path in job.glob(f"{INFINIBAND}/*"):
        _channel_adapter(job, path)
    _proxies(job)
    if job.options.live and job.options.profile is not Profile.TRIAGE:
        _tools(job, physical[:PHYSICAL])


def _is_physical(job: Job, name: str) -> bool:
    """Say whether a device stands behind an interface that is not a virtual function of another one."""
    root, folder = job.options.sysroot, f"{NET}/{name}/device"
    return sysfs.link(root, folder) is not None and sysfs.link(root, f"{folder}/physfn") is None


def _interface(job: Job, name: str, *, physical: bool) -> None:
    """Read one interface, announced as one reading: a driver that hangs while it holds the network lock stops these."""
    root, path = job.options.sysroot, ("interfaces", name)
    for branch, readings in (job.attempt("/".join((*path, "sysfs")), partial(interface, root, name)) or {}).items():
        sysfs.publish(job, (*path, *branch), readings)
    job.record((*path, "physical"), Value(physical))
    if physical:
        driver = sysfs.link(root, f"{NET}/{name}/device/driver")
        job.record((*path, "driver"), Value(driver) if driver else NotCollected("no driver has this device"))
        job.record((*path, "device"), _device(root, f"{NET}/{name}"))


def interface(root: Path | None, name: str) -> dict[tuple[str, ...], dict[str, Reading]]:
    """Return the readings of an interface by branch: its own, its counters, and its part in a bond where it has one."""
    folder = f"{NET}/{name}"
    own = sysfs.attributes(root, folder, LINK_SPEC)
    if own["operstate"] == Value("down"):  # asked for speed and carrier of such a link, the kernel answers EINVAL
        own |= dict.fromkeys(UP_SPEC, NotCollected("the link is down"))
    else:
        own |= {fact: known(one) for fact, one in sysfs.attributes(root, folder, UP_SPEC).items()}
    bond = sysfs.attributes(root, folder, BOND_SPEC | SLAVE_SPEC)
    return {
        (): own,
        ("counters",): sysfs.attributes(root, folder, COUNTER_SPEC),
        ("bond",): {fact: one for fact, one in bond.items() if not isinstance(one, NotCollected)},
    }


def known(reading: Reading) -> Reading:
    """Return a reading, with a driver's "unknown" (-1 as speed; EINVAL where there is no driver to ask) as what it is.

    >>> known(Value(-1)), known(Value(400000))
    (NotCollected(reason='the driver does not know'), Value(value=400000))
    """
    unknown = reading in (Value(-1), Value("unknown")) or (
        isinstance(reading, ReadError) and reading.code == errno.EINVAL
    )
    return NotCollected("the driver does not know") if unknown else reading


def _device(root: Path | None, folder: str) -> Reading:
    name = sysfs.link(root, f"{folder}/device")
    return Value(name) if name else NotCollected("no device stands behind it")


def _routes(job: Job) -> Reading:
    """Return the interfaces with a default route (IPv4 from /proc/net/route, IPv6 from /proc/net/ipv6_route)."""
    four, six = job.slurp("/proc/net/route"), job.slurp("/proc/net/ipv6_route")
    if four is None and six is None:
        return NotCollected("no /proc/net/route")
    return Value(
        {
            "ipv4": default_interfaces((four or b"").decode("utf-8", "replace")),
            "ipv6": default_interfaces6((six or b"").decode("utf-8", "replace")),
        }
    )


def default_interfaces(text: str) -> list[str]:
    r"""Return the interfaces of default routes in /proc/net/route (proc(5)).

    >>> default_interfaces("Iface\tDestination\tGateway\tFlags\neth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\n")
    ['eth0']
    """
    rows = (line.split() for line in text.splitlines()[1:])
    return sorted({row[0] for row in rows if len(row) > 7 and row[1] == row[7] == "00000000"})


def default_interfaces6(text: str) -> list[str]:
    """Return the interfaces of default routes in /proc/net/ipv6_route, without the kernel's own reject route on lo.

    >>> default_interfaces6("0" * 32 + " 00 " + "0" * 32 + " 00 fe80 00000400 1 0 00000003 eth0")
    ['eth0']
    """
    rows = (line.split() for line in text.splitlines())
    return sorted({row[9] for row in rows if len(row) > 9 and row[:2] == ["0" * 32, "00"] and row[9] != "lo"})


def _channel_adapter(job: Job, folder: str) -> None:
    root, path = job.options.sysroot, ("infiniband", folder.rpartition("/")[2])
    sysfs.survey(job, path, folder, CHANNEL_SPEC)
    job.record((*path, "device"), _device(root, folder))
    for port in job.glob(f"{folder}/ports/*"):
        inner = (*path, "ports", port.rpartition("/")[2])
        sysfs.survey(job, inner, port, PORT_SPEC)
        for group in ("counters", "hw_counters"):
            found = job.attempt("/".join((*inner, group)), partial(_counters, job, f"{port}/{group}"))
            if found:
                job.record((*inner, group), Value(found))


def _counters(job: Job, folder: str) -> dict[str, int]:
    root = job.options.sysroot
    readings = ((name, sysfs.attribute(root, f"{folder}/{name}", int)) for name in sysfs.names(root, folder))
    return {name: one.value for name, one in readings if isinstance(one, Value)}


def _proxies(job: Job) -> None:
    """Record which proxy variables are set, never their values: these hold passwords."""
    wanted = re.compile(r"(?:https?|ftp|all|no)_proxy", re.IGNORECASE)
    system = job.slurp("/etc/environment")
    lines = (system or b"").decode("utf-8", "replace").splitlines()
    named = sorted(
        {name for line in lines if wanted.fullmatch(name := line.partition("=")[0].removeprefix("export ").strip())}
    )
    known = Value(named) if system is not None else NotCollected("no /etc/environment")
    job.record(("proxy_variables", "system"), known)
    if job.options.live:
        job.record(("proxy_variables", "session"), Value(sorted(name for name in os.environ if wanted.fullmatch(name))))


def _tools(job: Job, physical: list[str]) -> None:
    job.command(("ip", "-j", "-s", "-d", "addr"), "ip-addr.json", timeout_s=5.0)
    job.command(("ip", "-j", "route", "show", "table", "all"), "ip-route.json", timeout_s=5.0)
    job.command(("ip", "-j", "rule"), "ip-rule.json", timeout_s=5.0)
    if physical and process.find("ethtool") is None:
        job.gap("ethtool", Status.UNAVAILABLE, "ethtool is not installed", source="command: ethtool")
        return
    for number, name in enumerate(physical):
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]*", name):  # it would be read as an option, or as a path
            job.gap(
                f"ethtool/name-{number}",
                Status.SKIPPED,
                f"no tool takes the interface name {name!r}",
                source=f"{NET}/{name}",
            )
            continue
        job.command(("ethtool", name), f"ethtool/{name}.txt", timeout_s=4.0, good=None)
        job.command(("ethtool", "-i", name), f"ethtool/{name}-driver.txt", timeout_s=4.0, good=None)
        job.command(("ethtool", "-S", name), f"ethtool/{name}-counters.txt", timeout_s=4.0, good=None)
        if job.options.profile is Profile.FULL:
            job.command(("ethtool", "-m", name), f"ethtool/{name}-module.txt", timeout_s=10.0, good=None, later=True)


NETWORK = Collector(
    "network",
    "Network: links, routes, InfiniBand",
    "network",
    30.0,
    collect,
    reads=("/sys/class/net", "/sys/class/infiniband", "/proc/net", "/etc/{resolv.conf,hosts}", "ip -j", "ethtool"),
)
