"""Disks, file systems and arrays: their own verdicts, wear, errors in the log, room that is left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bilbs_cli.diag.findings import Case, Found, Rule, Severity, Verdict
from bilbs_cli.diag.rules.log_events import Gathered, gather
from bilbs_cli.diag.rules.scopes import DISK, FILE_SYSTEM, LOGS, MD_ARRAY, NVME

SMART = "https://www.smartmontools.org/wiki/TocDoc"
NVME_SPEC = "https://nvmexpress.org/specification/nvm-express-base-specification/"
GPUD = "https://github.com/leptonai/gpud/tree/main/components/disk"
MD = "https://docs.kernel.org/admin-guide/md.html"
FREE_BYTES, FREE_PERCENT = 500_000_000, 10.0  # gpud, components/disk
INODES_PERCENT = 90.0
WORN_PERCENT = 100  # of the endurance that the maker promised
WARNINGS = (  # NVMe base specification, SMART log, critical warning, by bit
    "the spare blocks are below their threshold",
    "the temperature is past a threshold",
    "the drive is not reliable any more",
    "it has become read-only",
    "its backup power failed",
    "its persistent memory is unreliable",
)
COUNTERS = (
    "reallocated_sectors",
    "pending_sectors",
    "offline_uncorrectable",
    "reported_uncorrectable",
    "media_errors",
    "grown_defects",
)
PSEUDO = {
    "squashfs",
    "iso9660",
    "overlay",
    "tmpfs",
    "ramfs",
    "erofs",
    "devtmpfs",
    "fuse.snapfuse",
    "nfs",
    "nfs4",
    "9p",
    "virtiofs",
}
READ_ONLY_MATTERS = {"ext4", "ext3", "ext2", "xfs", "btrfs", "f2fs", "zfs"}


def _serial(case: Case) -> str:
    found = case.get("smart/serial") or case.get("serial")
    return f" (serial {found})" if isinstance(found, str) and found else ""


def smart_failed(case: Case) -> Iterator[Found]:
    """The disk's own verdict is that it fails (SMART overall health).

    Fires:
        storage/disks/sda/smart/passed = false
    Quiet:
        storage/disks/sda/smart/passed = true
    """
    if case.get("smart/passed") is False:
        yield Found(
            f"disk {case.path[-1]}{_serial(case)} says of itself that it fails (SMART)",
            (case.cite("smart/passed"),),
            have=("the disk's own SMART verdict",),
            missing=("the long self test (smartctl -t long)",),
        )


def media_errors(case: Case) -> Iterator[Found]:
    """The disk counts sectors or blocks that it could not read or had to replace.

    Fires:
        storage/disks/nvme0n1/smart/passed = true
        storage/disks/nvme0n1/smart/media_errors = 12
    Quiet:
        storage/disks/nvme0n1/smart/passed = true
        storage/disks/nvme0n1/smart/media_errors = 0
    """
    found = [(name, case.number(f"smart/{name}")) for name in COUNTERS]
    grown = [(name, number) for name, number in found if number]
    if grown:
        named = ", ".join(f"{number:g} {name.replace('_', ' ')}" for name, number in grown)
        yield Found(
            f"disk {case.path[-1]}{_serial(case)}: {named}", tuple(case.cite(f"smart/{name}") for name, _ in grown)
        )


def nvme_warning(case: Case) -> Iterator[Found]:
    """An NVMe drive raises its critical warning.

    Fires:
        storage/disks/nvme0n1/smart/critical_warning = 4
    Quiet:
        storage/disks/nvme0n1/smart/critical_warning = 0
    """
    bits = case.number("smart/critical_warning")
    if isinstance(bits, int) and bits > 0:
        words = [text for bit, text in enumerate(WARNINGS) if bits >> bit & 1]
        said = "; ".join(words) or f"bits {bits:#x}, which the specification does not know"
        yield Found(f"drive {case.path[-1]}{_serial(case)}: {said}", (case.cite("smart/critical_warning"),))


def nvme_spare(case: Case) -> Iterator[Found]:
    """An NVMe drive has fewer spare blocks left than its own threshold.

    Fires:
        storage/disks/nvme0n1/smart/spare_percent = 4
        storage/disks/nvme0n1/smart/spare_threshold_percent = 10
    Quiet:
        storage/disks/nvme0n1/smart/spare_percent = 100
        storage/disks/nvme0n1/smart/spare_threshold_percent = 10
    """
    left, least = case.number("smart/spare_percent"), case.number("smart/spare_threshold_percent")
    if left is not None and least is not None and left < least:
        yield Found(
            f"drive {case.path[-1]}{_serial(case)} has {left:g} % of its spare blocks left",
            (case.cite("smart/spare_percent"),),
        )


def nvme_worn(case: Case) -> Iterator[Found]:
    """An NVMe drive has used up the endurance that its maker promised.

    Fires:
        storage/disks/nvme0n1/smart/used_percent = 104
    Quiet:
        storage/disks/nvme0n1/smart/used_percent = 12
    """
    used = case.number("smart/used_percent")
    if used is not None and used >= WORN_PERCENT:
        yield Found(
            f"drive {case.path[-1]}{_serial(case)} is worn: {used:g} % of its promised endurance is used",
            (case.cite("smart/used_percent"),),
        )


def nvme_state(case: Case) -> Iterator[Found]:
    """An NVMe controller is not live.

    Fires:
        storage/nvme/nvme0/state = "dead"
    Quiet:
        storage/nvme/nvme0/state = "live"
    """
    state = case.get("state")
    if isinstance(state, str) and state != "live":
        yield Found(f"NVMe controller {case.path[-1]} is {state}", (case.cite("state"),))


def read_only(case: Case) -> Iterator[Found]:
    """A file system of this box is read-only now, and the log says that it became so.

    One that was mounted so on purpose is no fault.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: EXT4-fs (sda1): Remounting filesystem read-only
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: EXT4-fs (sda1): mounted filesystem with ordered data mode
    """
    for seen in gather(case.box, "fs_read_only"):
        devices = _named(seen, "device")
        place = next((mount for device, mount in _mounts(case) if device.rpartition("/")[2] in devices), "")
        shown = place or ", ".join(devices)
        yield _logged(
            seen,
            f"the file system {shown} became read-only",
            part=f"fs:{place}" if place else f"disk:{devices[0] if devices else 'unknown'}",
        )


def _mounts(case: Case) -> list[tuple[str, str]]:
    found = []
    for name in case.names("/storage/file_systems"):
        base = f"/storage/file_systems/{name}"
        found.append((str(case.get(f"{base}/device")), str(case.get(f"{base}/mount_point"))))
    return found


def _named(seen: Gathered, name: str) -> list[str]:
    found = (event.detail.get(name) for _, event in seen.told)
    return list(dict.fromkeys(str(one) for one in found if isinstance(one, str | int) and one != ""))


def _logged(seen: Gathered, words: str, **more: Any) -> Found:
    return Found(words, seen.evidence(), count=seen.count, first_at=seen.first_at, last_at=seen.last_at, **more)


def file_system_errors(case: Case) -> Iterator[Found]:
    """A file system reported an error.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: XFS (nvme0n1p2): Ending clean mount
    """
    for seen in gather(case.box, "fs_error"):
        yield _logged(
            seen, f"file system errors on {', '.join(_named(seen, 'device')) or 'a device that is not named'}"
        )


def io_errors(case: Case) -> Iterator[Found]:
    """The kernel could not read from or write to a disk.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: I/O error, dev nvme0n1, sector 99 op 0x1:(WRITE) flags 0x0
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: nvme nvme0: 8/0/0 default/read/poll queues
    """
    for seen in gather(case.box, "io_error"):
        yield _logged(seen, f"input/output errors on {', '.join(_named(seen, 'device')) or 'a disk that is not named'}")


def nvme_logged(case: Case) -> Iterator[Found]:
    """An NVMe drive timed out, was reset or was given up.

    A reset is critical, as gpud has it (components/disk): the drive did not answer. A timeout that needed none is a warning.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: nvme nvme1: Removing after probe failure status: -19
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: nvme nvme0: pci function 0000:01:00.0
    """
    for seen in gather(case.box, "nvme"):
        what = _named(seen, "what")
        severity = Severity.WARNING if what == ["timeout"] else Severity.CRITICAL
        yield _logged(seen, f"drive {', '.join(_named(seen, 'device'))}: {', '.join(what)}", severity=severity)


def array_failed(case: Case) -> Iterator[Found]:
    """A software RAID array has failed or missing members.

    Fires:
        storage/md/md0/failed = ["sdb2"]
        storage/md/md0/wanted = 2
        storage/md/md0/working = 1
    Quiet:
        storage/md/md0/failed = []
        storage/md/md0/wanted = 2
        storage/md/md0/working = 2
    """
    failed, wanted, working = case.get("failed"), case.number("wanted"), case.number("working")
    names = [str(name) for name in failed] if isinstance(failed, list) else []
    missing = wanted is not None and working is not None and working < wanted
    if names or missing:
        words = f"failed: {', '.join(names)}" if names else f"{working:g} of {wanted:g} members work"
        yield Found(f"RAID array {case.path[-1]}: {words}", (case.cite("failed"), case.cite("working")))


def array_logged(case: Case) -> Iterator[Found]:
    """A member of a software RAID array failed.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: md/raid1:md0: Disk failure on sdb1, disabling device.
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: md/raid1:md0: active with 2 out of 2 mirrors
    """
    for seen in gather(case.box, "md_failure"):
        yield _logged(seen, f"RAID array {', '.join(_named(seen, 'array'))} lost {', '.join(_named(seen, 'device'))}")


def space(case: Case) -> Iterator[Found]:
    """A file system has less than 500 MB or less than a tenth of its room left (gpud's limits).

    Fires:
        storage/file_systems/var/mount_point = "/var"
        storage/file_systems/var/type = "ext4"
        storage/file_systems/var/available_bytes = 400000000
        storage/file_systems/var/used_percent = 99.0
    Quiet:
        storage/file_systems/var/mount_point = "/var"
        storage/file_systems/var/type = "ext4"
        storage/file_systems/var/available_bytes = 400000000000
        storage/file_systems/var/used_percent = 40.0
    """
    left, used = case.number("available_bytes"), case.number("used_percent")
    if str(case.get("type")) in PSEUDO or case.get("read_only") is True or left is None or used is None:
        return
    if left < FREE_BYTES or 100.0 - used < FREE_PERCENT:
        yield Found(
            f"{case.get('mount_point')} is {used:.0f} % full, {left / 1e9:.1f} GB are left",
            (case.cite("available_bytes"), case.cite("used_percent")),
        )


def inodes(case: Case) -> Iterator[Found]:
    """A file system has hardly any inodes left: no new files, whatever room there is.

    Fires:
        storage/file_systems/var/mount_point = "/var"
        storage/file_systems/var/inodes_used_percent = 98.0
    Quiet:
        storage/file_systems/var/mount_point = "/var"
        storage/file_systems/var/inodes_used_percent = 20.0
    """
    used = case.number("inodes_used_percent")
    if used is not None and used >= INODES_PERCENT and str(case.get("type")) not in PSEUDO:
        yield Found(
            f"{case.get('mount_point')} has used {used:.0f} % of its inodes", (case.cite("inodes_used_percent"),)
        )


REPLACE = "Save what is on it, replace the disk by its serial; the bundle keeps its SMART data: bilbs diag collect"
LOOK = "Look at the disk's SMART data (host.smart rules) and at its cable and slot; keep the bundle: bilbs diag collect"
STORAGE_RULES = (
    Rule(
        "host.smart.failed", Severity.CRITICAL, Verdict.RMA, ("smart/passed",), SMART, smart_failed, DISK, next=REPLACE
    ),
    Rule(
        "host.smart.media_errors",
        Severity.WARNING,
        Verdict.INSPECT,
        ("smart/passed",),
        SMART,
        media_errors,
        DISK,
        next="Run the long self test (smartctl -t long); replace the disk when the number grows.",
    ),
    Rule(
        "host.nvme.critical_warning",
        Severity.CRITICAL,
        Verdict.INSPECT,
        ("smart/critical_warning",),
        NVME_SPEC,
        nvme_warning,
        DISK,
        next=REPLACE,
    ),
    Rule(
        "host.nvme.spare",
        Severity.CRITICAL,
        Verdict.INSPECT,
        ("smart/spare_percent", "smart/spare_threshold_percent"),
        NVME_SPEC,
        nvme_spare,
        DISK,
        next=REPLACE,
    ),
    Rule(
        "host.nvme.worn",
        Severity.WARNING,
        Verdict.INSPECT,
        ("smart/used_percent",),
        NVME_SPEC,
        nvme_worn,
        DISK,
        next="Plan to replace the drive.",
    ),
    Rule("host.nvme.state", Severity.CRITICAL, Verdict.INSPECT, ("state",), NVME_SPEC, nvme_state, NVME, next=LOOK),
    Rule("host.nvme.logged", Severity.WARNING, Verdict.INSPECT, (), NVME_SPEC, nvme_logged, LOGS, next=LOOK),
    Rule(
        "host.fs.read_only",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        GPUD,
        read_only,
        LOGS,
        next="Save what matters, check the disk first, then the file system (fsck from a rescue system).",
    ),
    Rule(
        "host.fs.errors",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        GPUD,
        file_system_errors,
        LOGS,
        next="Save what matters, check the disk first, then the file system (fsck from a rescue system).",
    ),
    Rule("host.io_errors", Severity.CRITICAL, Verdict.INSPECT, (), GPUD, io_errors, LOGS, next=LOOK),
    Rule(
        "host.md.failed",
        Severity.CRITICAL,
        Verdict.INSPECT,
        ("failed",),
        MD,
        array_failed,
        MD_ARRAY,
        next="Replace the failed member while the others still hold (mdadm --manage ARRAY --add DISK).",
    ),
    Rule(
        "host.md.logged",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        MD,
        array_logged,
        LOGS,
        next="Look at host.md.failed for how it is now; replace the member.",
    ),
    Rule(
        "host.fs.space",
        Severity.WARNING,
        Verdict.IGNORE,
        ("available_bytes", "used_percent"),
        GPUD,
        space,
        FILE_SYSTEM,
        next="Free some room: du -xh --max-depth 2 MOUNT | sort -h | tail",
    ),
    Rule(
        "host.fs.inodes",
        Severity.WARNING,
        Verdict.IGNORE,
        ("inodes_used_percent",),
        GPUD,
        inodes,
        FILE_SYSTEM,
        next="Remove small files that nobody needs: du --inodes -x MOUNT | sort -n | tail",
    ),
)
