"""File systems, arrays and pools: read-only, damaged, full, degraded."""

from __future__ import annotations

from collections.abc import Iterator

from bilbs_cli.diag.findings import Box, Case, Evidence, Found, Rule, Scope, Severity, Verdict
from bilbs_cli.diag.model import branch, value
from bilbs_cli.diag.rules.log_events import Gathered, gather
from bilbs_cli.diag.rules.scopes import FILE_SYSTEM, LOGS, MD_ARRAY

GPUD = "https://github.com/leptonai/gpud/tree/main/components/disk"
MD = "https://docs.kernel.org/admin-guide/md.html"
ZFS = "https://openzfs.github.io/openzfs-docs/man/master/8/zpool-status.8.html"
FREE_BYTES, FREE_PERCENT = 500_000_000, 10.0  # gpud, components/disk
SMALL_BYTES = 10 * FREE_BYTES  # a boot partition has never 500 MB free: there the share alone decides (ours)
INODES_PERCENT = 90.0  # ours, as for space
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "ceph", "lustre", "gpfs", "beegfs", "wekafs", "glusterfs", "9p", "virtiofs")
WRITABLE = {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"}  # the others are images, network or the kernel's own
BY_DESIGN = ("/usr", "/boot", "/efi", "/sysroot", "/snap", "/nix/store", "/run", "/ostree", "/media", "/mnt/cdrom")
TEXT = 128
NOT_REDUNDANT = {"raid0", "linear"}  # they have no member to spare, and count none
POOL = Scope("zfs", "storage/zfs/*", lambda _facts, path: f"zfs:{path[-1]}", label=lambda _, path: f"pool {path[-1]}")


def _text(found: object) -> str:
    return found[:TEXT] if isinstance(found, str) else ""


def _mounts(box: Box) -> dict[str, tuple[str, bool | None]]:
    """Return mount point and whether it is read-only by device, without `/dev/`."""
    found = {}
    for name in branch(box.facts, "storage", "file_systems"):
        device, place, read_only = (
            value(box.facts, "storage", "file_systems", name, fact) for fact in ("device", "mount_point", "read_only")
        )
        known = read_only if isinstance(read_only, bool) else None
        found[_text(device).removeprefix("/dev/")] = (_text(place), known)
    return found


def _remounted(box: Box) -> dict[str, Gathered]:
    """Return what the log says of file systems that became read-only, by device."""
    return {device: one for seen in gather(box, "fs_read_only") for device, one in seen.by("device")}


def _logged_for(box: Box, device: str) -> Gathered | None:
    """Return the log's word on a mounted device; a mapped one stands there as dm-N, which only one can be."""
    known = box.derive(_remounted)
    if device in known or not device.startswith("mapper/"):
        return known.get(device)
    mapped = [one for name, one in known.items() if name.startswith("dm-")]
    return mapped[0] if len(mapped) == 1 else None


def read_only(case: Case) -> Iterator[Found]:
    """A file system that should take writes is read-only now.

    ext4, xfs and btrfs become so after an error, and then the kernel's log says it: critical. Without a word in the log it is
    a warning, as somebody may have mounted it so. Images (squashfs, iso9660, overlay layers) and places that immutable
    systems keep read-only (/usr, /boot, /sysroot, ...) are no faults.

    Fires:
        storage/file_systems/var/mount_point = "/var"
        storage/file_systems/var/type = "ext4"
        storage/file_systems/var/device = "/dev/sda3"
        storage/file_systems/var/read_only = true
    Quiet:
        storage/file_systems/snap/mount_point = "/snap/core/1"
        storage/file_systems/snap/type = "squashfs"
        storage/file_systems/snap/device = "/dev/loop0"
        storage/file_systems/snap/read_only = true
    """
    is_read_only, place = case.get("read_only"), _text(case.get("mount_point"))
    if not isinstance(is_read_only, bool):
        raise case.unread("read_only")
    if not is_read_only or _text(case.get("type")) not in WRITABLE:
        return
    seen = _logged_for(case.box, _text(case.get("device")).removeprefix("/dev/"))
    if seen:
        words = f"the file system {place or case.path[-1]} became read-only after an error"
        yield seen.found(words) if not place else _with(case, seen, words)
    elif not any(place == one or place.startswith(f"{one}/") for one in BY_DESIGN):
        words = f"the file system {place or case.path[-1]} is read-only, and the log does not say why"
        yield Found(words, (case.cite("read_only"),), severity=Severity.WARNING, next=BY_HAND)


def _with(case: Case, seen: Gathered, words: str) -> Found:
    proofs: tuple[Evidence, ...] = (case.cite("read_only"), *seen.evidence())
    return Found(words, proofs, count=seen.count, first_at=seen.first_at, last_at=seen.last_at)


def remounted(case: Case) -> Iterator[Found]:
    """A file system became read-only, says the kernel's log.

    Told where it is not read-only now (it was checked and mounted again: a warning), or where its mount is not known.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: EXT4-fs (sda1): Remounting filesystem read-only
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: EXT4-fs (sda1): mounted filesystem with ordered data mode
    """
    mounts = _mounts(case.box)
    told = [device for device, (_, is_read_only) in mounts.items() if is_read_only]
    shown = {id(one) for device in told if (one := _logged_for(case.box, device))}
    for device, one in case.box.derive(_remounted).items():
        if id(one) in shown:
            continue
        place, is_read_only = mounts.get(device, ("", None))
        now = "; it takes writes again now" if is_read_only is False else ""
        named = " on ".join(filter(None, (place, device))) or "whose device the line does not name"
        part = f"fs:{place}" if place else f"disk:{device}" if device else ""
        severity = Severity.WARNING if now else None
        yield one.found(f"a file system became read-only: {named}{now}", part=part, severity=severity)


def file_system_errors(case: Case) -> Iterator[Found]:
    """A file system reported an error in its structures, its journal or its checksums.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: XFS (nvme0n1p2): Ending clean mount
    """
    mounts = _mounts(case.box)
    for seen in gather(case.box, "fs_error"):
        for device, one in seen.by("device"):
            place = mounts.get(device, ("", None))[0]
            named = " on ".join(filter(None, (place, device))) or "a device that is not named"
            part = f"fs:{place}" if place else f"disk:{device}" if device else ""
            yield one.found(f"file system errors: {named}", part=part)


def space(case: Case) -> Iterator[Found]:
    """A file system has less than a tenth of its room left, or less than 500 MB.

    Both limits are gpud's. The 500 MB count only where the file system is ten times as large: a boot partition never has
    them. What root keeps for itself does not count as room. Of a network file system it is told only: its server's
    keepers know.

    Fires:
        storage/file_systems/var/mount_point = "/var"
        storage/file_systems/var/type = "ext4"
        storage/file_systems/var/size_bytes = 40000000000
        storage/file_systems/var/available_bytes = 400000000
        storage/file_systems/var/used_percent = 99.0
    Quiet:
        storage/file_systems/var/mount_point = "/var"
        storage/file_systems/var/type = "ext4"
        storage/file_systems/var/size_bytes = 800000000000
        storage/file_systems/var/available_bytes = 400000000000
        storage/file_systems/var/used_percent = 40.0
    """
    left, used, size = (case.number(name) for name in ("available_bytes", "used_percent", "size_bytes"))
    if left is None or used is None:
        raise case.unread("available_bytes", "used_percent")
    if case.get("read_only") is True:
        return
    small = size is not None and size < SMALL_BYTES
    if 100.0 - used < FREE_PERCENT or (left < FREE_BYTES and not small):
        place = _text(case.get("mount_point")) or case.path[-1]
        remote = _text(case.get("type")) in NETWORK
        yield Found(
            f"{place} is {used:.0f} % full, {_room(left)} are left",
            (case.cite("available_bytes"), case.cite("used_percent")),
            severity=Severity.INFO if remote else None,
            next=f"See what fills it: du -xh --max-depth 2 {place} | sort -h | tail",
        )


def _room(left: float) -> str:
    return f"{left / 1e9:.1f} GB" if left >= 1e9 else f"{left / 1e6:.0f} MB"


def inodes(case: Case) -> Iterator[Found]:
    """A file system has hardly any inodes left: no new files, whatever room there is.

    Fires:
        storage/file_systems/var/mount_point = "/var"
        storage/file_systems/var/inodes = 1000000
        storage/file_systems/var/inodes_used_percent = 98.0
    Quiet:
        storage/file_systems/var/mount_point = "/var"
        storage/file_systems/var/inodes = 1000000
        storage/file_systems/var/inodes_used_percent = 20.0
    """
    used = case.number("inodes_used_percent")
    if used is None:
        if case.number("available_bytes") is not None:  # it was asked, and has no fixed inodes
            return
        raise case.unread("inodes_used_percent")
    if used >= INODES_PERCENT and case.get("read_only") is not True:
        place = _text(case.get("mount_point")) or case.path[-1]
        yield Found(
            f"{place} has used {used:.0f} % of its inodes",
            (case.cite("inodes_used_percent"),),
            next=f"Remove small files that nobody needs: du --inodes -x {place} | sort -n | tail",
        )


def array_failed(case: Case) -> Iterator[Found]:
    """A software RAID array has members that failed, or does not run.

    Fires:
        storage/md/md0/state = "active"
        storage/md/md0/failed = ["sdb2"]
    Quiet:
        storage/md/md0/state = "active"
        storage/md/md0/failed = []
    """
    failed, state = case.get("failed"), _text(case.get("state"))
    if not isinstance(failed, list):
        raise case.unread("failed")
    names = [one[:TEXT] for one in failed if isinstance(one, str)]
    down = state.startswith("inactive")
    if names or down:
        words = ", ".join(
            [*(["it does not run"] if down else []), *([f"failed: {', '.join(names[:8])}"] if names else [])]
        )
        member = names[0] if names else "DISK"
        yield Found(
            f"RAID array {case.path[-1]}: {words}",
            (case.cite("failed"), *([case.cite("state")] if state else [])),
            next=f"Save what is on it. Replace {member} by its serial (smartctl -i), then: mdadm --manage "
            f"/dev/{case.path[-1]} --add DISK",
        )


def array_degraded(case: Case) -> Iterator[Found]:
    """A software RAID array works with fewer members than it should have.

    With a member that failed it is host.md.failed; here one is missing, or is being rebuilt.

    Fires:
        storage/md/md0/failed = []
        storage/md/md0/wanted = 2
        storage/md/md0/working = 1
        storage/md/md0/progress = "recovery = 7.5%"
    Quiet:
        storage/md/md0/failed = []
        storage/md/md0/wanted = 2
        storage/md/md0/working = 2
    """
    if _text(case.get("level")) in NOT_REDUNDANT:
        return
    wanted, working, degraded = case.number("wanted"), case.number("working"), case.number("degraded")
    if degraded is None and (wanted is None or working is None):
        raise case.unread("degraded", "wanted", "working")
    short = wanted is not None and working is not None and working < wanted
    if (short or degraded) and not case.get("failed"):
        count = f"{working:g} of {wanted:g} members work" if short else f"{degraded:g} members are missing"
        progress = _text(case.get("progress"))
        rebuild = progress if progress.startswith("re") else ""
        cited = [path for path in ("working", "wanted", "degraded", "progress") if case.get(path) is not None]
        yield Found(
            f"RAID array {case.path[-1]}: {count}{f', {rebuild}' if rebuild else ''}",
            tuple(case.cite(path) for path in cited),
            next="Let it rebuild; watch /proc/mdstat."
            if rebuild
            else f"mdadm --detail /dev/{case.path[-1]} says which slot is empty.",
        )


def array_logged(case: Case) -> Iterator[Found]:
    """A member of a software RAID array failed, says the kernel's log.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: md/raid1:md0: Disk failure on sdb1, disabling device.
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: md/raid1:md0: active with 2 out of 2 mirrors
    """
    for seen in gather(case.box, "md_failure"):
        for array, one in seen.by("array"):
            lost = ", ".join(one.details("device")[:4]) or "a member"
            yield one.found(f"RAID array {array or 'not named'} lost {lost}", part=f"md:{array}" if array else "")


def pool(case: Case) -> Iterator[Found]:
    """A ZFS pool is degraded, faulted, or has lost data.

    Fires:
        storage/zfs/tank/state = "DEGRADED"
        storage/zfs/tank/errors = "No known data errors"
    Quiet:
        storage/zfs/tank/state = "ONLINE"
        storage/zfs/tank/errors = "No known data errors"
    """
    state, errors = case.get("state"), case.get("errors")
    if not isinstance(state, str):
        raise case.unread("state")
    lost = isinstance(errors, str) and bool(errors) and not errors.lower().startswith("no known")
    if state != "ONLINE" or lost:
        told = f"; {_text(errors)}" if lost else ""
        yield Found(
            f"ZFS pool {case.path[-1]} is {state[:TEXT]}{told}",
            (case.cite("state"), *([case.cite("errors")] if lost else [])),
            severity=Severity.WARNING if state == "DEGRADED" and not lost else None,
        )


FSCK = (
    "Save what matters, check the disk first (host.smart, host.io_errors), then the file system from a rescue system."
)
BY_HAND = "If nobody mounted it so on purpose: look at the disk first (host.smart rules), then mount -o remount,rw"
HOST_STORAGE_RULES = (
    Rule(
        "host.fs.read_only", Severity.CRITICAL, Verdict.INSPECT, ("read_only",), GPUD, read_only, FILE_SYSTEM, next=FSCK
    ),
    Rule("host.fs.remounted", Severity.CRITICAL, Verdict.INSPECT, (), GPUD, remounted, LOGS, next=FSCK),
    Rule("host.fs.errors", Severity.CRITICAL, Verdict.INSPECT, (), GPUD, file_system_errors, LOGS, next=FSCK),
    Rule(
        "host.fs.space", Severity.WARNING, Verdict.IGNORE, ("available_bytes", "used_percent"), GPUD, space, FILE_SYSTEM
    ),
    Rule("host.fs.inodes", Severity.WARNING, Verdict.IGNORE, (), GPUD, inodes, FILE_SYSTEM),
    Rule("host.md.failed", Severity.CRITICAL, Verdict.INSPECT, ("failed",), MD, array_failed, MD_ARRAY),
    Rule(
        "host.md.degraded",
        Severity.WARNING,
        Verdict.INSPECT,
        (),
        MD,
        array_degraded,
        MD_ARRAY,
    ),
    Rule(
        "host.md.logged",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        MD,
        array_logged,
        LOGS,
        next="host.md.failed says how it is now; replace the member by its serial.",
    ),
    Rule(
        "host.zfs.pool",
        Severity.CRITICAL,
        Verdict.INSPECT,
        ("state",),
        ZFS,
        pool,
        POOL,
        next="zpool status -v names disk and files; replace the disk: zpool replace POOL OLD NEW",
    ),
)
