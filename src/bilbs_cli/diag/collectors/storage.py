"""Storage: disks and their SMART data, file systems and their free space, software RAID, pools, multipath."""

from __future__ import annotations

import re
from typing import Any

from bilbs_cli import process
from bilbs_cli.diag.collectors import mounts, raid, smart, sysfs
from bilbs_cli.diag.job import Collector, Job, Profile
from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Status, Value

FILES = (
    "/proc/mounts",
    "/proc/self/mountinfo",
    "/proc/mdstat",
    "/proc/diskstats",
    "/proc/partitions",
    "/proc/swaps",
    "/etc/fstab",
    "/etc/mdadm/mdadm.conf",
)
MOUNTS = 256
LSBLK = "NAME,KNAME,TYPE,SIZE,FSTYPE,MOUNTPOINT,MODEL,SERIAL,ROTA,RO,STATE,TRAN,HCTL,PKNAME"
DISK_SPEC: sysfs.Spec = {
    "size_bytes": ("size", lambda text: int(text) * 512),
    "read_only": ("ro", lambda text: text == "1"),
    "removable": ("removable", lambda text: text == "1"),
    "rotational": ("queue/rotational", lambda text: text == "1"),
    "model": ("device/model", str),
    "serial": ("device/serial", str),
    "firmware": ("device/firmware_rev", str),
    "state": ("device/state", str),
    "io_errors": ("device/ioerr_cnt", sysfs.whole),
}
CONTROLLER_SPEC: sysfs.Spec = {
    "state": ("state", str),
    "model": ("model", str),
    "serial": ("serial", str),
    "firmware": ("firmware_rev", str),
    "transport": ("transport", str),
    "address": ("address", str),
    "numa_node": ("numa_node", int),
}
ARRAY_SPEC: sysfs.Spec = {"mismatches": ("mismatch_cnt", int), "degraded": ("degraded", int)}
LVM_REPORT = ("--reportformat", "json", "--units", "b", "--nosuffix", "--readonly")  # takes no lock, writes nothing
VIRTUAL = ("loop", "ram", "zram", "md", "dm-", "sr", "fd", "nbd", "rbd", "drbd", "zd")
NOT_SMART = ("nvme", "vd", "xvd", "mmcblk", "pmem")  # asked through its controller, or without SMART
SMART_S = 10.0
REMOTE_S = 2.0
LOCAL_S = 5.0


def collect(job: Job) -> None:
    """Read what is in memory, then disks one by one, and last what another machine must answer for."""
    for path in FILES:
        job.file(path)
    found = mounts.storing(_mounted(job))[:MOUNTS]
    _arrays(job)
    disks = [path.rpartition("/")[2] for path in job.glob("/sys/block/*")]
    disks = [name for name in disks if not name.startswith(VIRTUAL)]
    controllers = [path.rpartition("/")[2] for path in job.glob("/sys/class/nvme/nvme*")]
    for name in disks:
        sysfs.survey(job, ("disks", name), f"/sys/block/{name}", DISK_SPEC)
    for name in controllers:
        sysfs.survey(job, ("nvme", name), f"/sys/class/nvme/{name}", CONTROLLER_SPEC)
    _file_systems(job, [mount for mount in found if not mount.network])
    if job.options.profile is not Profile.TRIAGE:
        job.command(("lsblk", "-J", "-b", "-o", LSBLK), "lsblk.json", timeout_s=5.0)
        _volumes(job)
        _health(job, disks, controllers)
    _file_systems(job, [mount for mount in found if mount.network])


def _mounted(job: Job) -> list[mounts.Mount]:
    """Return what is mounted, from mountinfo where it can be had."""
    for path, parse in (("/proc/self/mountinfo", mounts.parse_info), ("/proc/mounts", mounts.parse)):
        found = parse((job.slurp(path, 4 << 20) or b"").decode("utf-8", "surrogateescape"))
        if found:
            return found
    return []


def _file_systems(job: Job, found: list[mounts.Mount]) -> None:
    silent: set[str] = set()
    for mount in found:
        path = ("file_systems", mounts.unit_name(mount.place))
        sysfs.leaves(
            job,
            path,
            {"mount_point": mount.place, "type": mount.kind, "device": mount.device, "read_only": mount.read_only},
        )
        if not job.options.live:
            job.record((*path, "usage"), NotCollected("the mounted system is not running: its free space is not known"))
        elif mount.network and mount.server in silent:
            job.record((*path, "usage"), NotCollected(f"{mount.server} did not answer for another mount"))
        elif not _usage(job, path, mount):
            silent.add(mount.server)


def _usage(job: Job, path: tuple[str, ...], mount: mounts.Mount) -> bool:
    """Ask a file system for its free space; say whether it answered at all."""

    def ask() -> dict[str, Any] | ReadError:
        try:
            return mounts.usage(mount.place)
        except OSError as error:
            return ReadError(type(error).__name__, error.strerror or str(error), error.errno)

    usage = job.attempt("/".join((*path, "usage")), ask, timeout_s=REMOTE_S if mount.network else LOCAL_S)
    if isinstance(usage, ReadError):
        job.record((*path, "usage"), usage)
    else:
        sysfs.leaves(job, path, usage)
    return usage is not None


def _arrays(job: Job) -> None:
    text = (job.slurp("/proc/mdstat") or b"").decode("utf-8", "replace")
    for array, facts in raid.mdstat(text).items():
        sysfs.leaves(job, ("md", array), facts)
        sysfs.survey(job, ("md", array), f"/sys/block/{array}/md", ARRAY_SPEC)


def _volumes(job: Job) -> None:
    """Run the reports of volume managers, each only where the kernel has its driver at work."""
    if job.glob("/dev/zfs") or job.glob("/proc/spl/kstat/zfs"):
        pools = job.command(("zpool", "status", "-p"), "zpool-status.txt", timeout_s=10.0)
        for pool, facts in raid.zpools((pools or b"").decode("utf-8", "replace")).items():
            sysfs.leaves(job, ("zfs", pool), facts)
    if job.glob("/sys/block/dm-*"):
        for program in ("pvs", "vgs", "lvs"):
            job.command((program, *LVM_REPORT), f"{program}.json", timeout_s=8.0)
    if job.glob("/etc/multipath.conf") or job.glob("/run/multipathd.pid"):
        job.command(("multipath", "-ll"), "multipath.txt", timeout_s=8.0)
    if job.glob("/sys/fs/btrfs/*-*"):
        job.command(("btrfs", "filesystem", "show"), "btrfs.txt", timeout_s=8.0)


def _health(job: Job, disks: list[str], controllers: list[str]) -> None:
    """Ask each disk for its SMART data. A disk that sleeps is left asleep; one behind a network is not asked."""
    if not job.options.live:
        return
    wanted = [(name, _disk_obstacle(job, name)) for name in disks if not name.startswith(NOT_SMART)]
    wanted += [(name, _nvme_obstacle(job, name)) for name in controllers]
    if wanted and not process.find("smartctl") and not process.find("nvme"):
        job.gap("smart", Status.UNAVAILABLE, "smartctl is not installed", source="command: smartctl")
        return
    for name, obstacle in wanted:
        disk = _namespace(job, name) if name in controllers else name
        if obstacle:
            job.record(("disks", disk, "smart", "passed"), NotCollected(obstacle))
        elif not job.options.root:
            job.gap(f"smart/{disk}.json", Status.DENIED, "SMART data needs root", source=f"device: /dev/{name}")
        else:
            _smart(job, disk, f"/dev/{name}")
    if job.options.root and job.glob("/sys/module/megaraid_sas"):
        _megaraid(job)


def _namespace(job: Job, controller: str) -> str:
    """Return the disk that a controller's SMART data belong to: its first namespace, itself where it has none."""
    found = job.glob(f"/sys/class/nvme/{controller}/nvme*n*")
    return (
        re.sub(r"c\d+(?=n)", "", found[0].rpartition("/")[2]) if found else controller
    )  # nvme0c1n1 is a path to nvme0n1


def _megaraid(job: Job) -> None:
    """Ask the disks behind a MegaRAID or PERC controller, which shows only its volumes to the kernel."""
    output = job.command(("smartctl", "--scan", "-j"), "smart/scan.json", timeout_s=SMART_S, keep=False)
    devices = smart.pick(smart.document(output), "devices")
    for device in devices if isinstance(devices, list) else ():
        kind, name = smart.pick(device, "type"), smart.pick(device, "name")
        if re.fullmatch(r"(?:sat\+)?megaraid,\d+", str(kind)) and re.fullmatch(r"/dev/[\w/]+", str(name)):
            _smart(job, f"{name[5:]}-{kind}".replace("/", "_"), name, "-d", kind)


def _smart(job: Job, disk: str, *device: str) -> None:
    argv = ("smartctl", "-x", "-j", "-n", "standby", *device)
    output = job.command(argv, f"smart/{disk}.json", timeout_s=SMART_S, good=None)
    found = smart.document(output)
    if found is not None:
        sysfs.leaves(job, ("disks", disk, "smart"), smart.smartctl(found))
    if disk.startswith("nvme") and process.find("nvme"):
        output = job.command(
            ("nvme", "smart-log", *device, "-o", "json"), f"nvme/{disk}-smart-log.json", timeout_s=SMART_S
        )
        log = smart.document(output)
        if log is not None and found is None:
            sysfs.leaves(job, ("disks", disk, "smart"), smart.nvme_smart_log(log))


def _nvme_obstacle(job: Job, name: str) -> str | None:
    transport = sysfs.attribute(job.options.sysroot, f"/sys/class/nvme/{name}/transport")
    state = sysfs.attribute(job.options.sysroot, f"/sys/class/nvme/{name}/state")
    if isinstance(transport, Value) and transport.value not in {"pcie", "apple-nvme"}:
        return f"it is reached over {transport.value}: asking it would use the network"
    if isinstance(state, Value) and state.value != "live":
        return f"the controller is {state.value}"
    return None


def _disk_obstacle(job: Job, name: str) -> str | None:
    home = sysfs.home(job.options.sysroot, f"/sys/block/{name}")
    if home is None:
        return "its place in sysfs cannot be read"
    if "/session" in home:
        return "it is an iSCSI disk: asking it would use the network"
    state: Reading = sysfs.attribute(job.options.sysroot, f"/sys/block/{name}/device/state")
    return f"the disk is {state.value}" if isinstance(state, Value) and state.value not in {"running", "live"} else None


STORAGE = Collector(
    "storage",
    "Storage: disks, file systems, RAID",
    "storage",
    60.0,
    collect,
    idle=True,
    reads=(
        "/proc/{mounts,mdstat,diskstats}",
        "statvfs(3) of each mount",
        "/sys/block",
        "/sys/class/nvme",
        "lsblk",
        "smartctl -x -j",
        "nvme smart-log",
        "zpool, pvs/vgs/lvs, multipath, btrfs where used",
    ),
)
