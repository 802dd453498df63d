"""Mounted file systems: /proc/self/mountinfo and /proc/mounts (proc(5)), which of them store data, and how full they are."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

PSEUDO = {
    "autofs",
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
}
IMAGES = {"squashfs", "iso9660", "udf", "erofs", "cramfs"}  # always full, always read-only
NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ceph",
    "lustre",
    "gpfs",
    "beegfs",
    "wekafs",
    "glusterfs",
    "9p",
    "afs",
    "panfs",
    "orangefs",
}


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system. The options are those of the file system itself, where mountinfo says them."""

    device: str
    place: str
    kind: str
    options: tuple[str, ...]

    @property
    def network(self) -> bool:
        """Say whether another machine answers for it: then asking can hang."""
        return self.kind in NETWORK or (self.kind.startswith("fuse") and self.kind != "fuseblk")

    @property
    def server(self) -> str:
        """Return who answers for it: `server` of `server:/export` and `//server/share`, else the device."""
        if self.device.startswith("//"):
            return self.device[2:].partition("/")[0]
        return self.device.partition(":/")[0]

    @property
    def read_only(self) -> bool:
        """Say whether the file system is read-only (as ext4 makes itself after an error)."""
        return "ro" in self.options


def parse(text: str) -> list[Mount]:
    r"""Return the lines of /proc/mounts; spaces and newlines in names are written as octal escapes there.

    >>> parse("/dev/sdb1 /mnt/two\\040words ext4 ro,relatime 0 0\nbroken\n")
    [Mount(device='/dev/sdb1', place='/mnt/two words', kind='ext4', options=('ro', 'relatime'))]
    """
    rows = (line.split(" ") for line in text.split("\n"))
    return [Mount(plain(row[0]), plain(row[1]), row[2], tuple(row[3].split(","))) for row in rows if len(row) >= 4]


def parse_info(text: str) -> list[Mount]:
    r"""Return the lines of mountinfo, with the options of the file systems and not those of the places where they are seen.

    A place can be read-only for one process alone: bind mounts, containers, the hardened units of systemd.

    >>> parse_info("27 1 8:1 / / ro,noatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\nbroken\n")
    [Mount(device='/dev/sda1', place='/', kind='ext4', options=('rw', 'errors=remount-ro'))]
    """
    found = []
    for line in text.split("\n"):
        seen, _, itself = line.partition(" - ")
        places, row = seen.split(" "), itself.split(" ")
        if len(places) >= 6 and len(row) >= 3:
            found.append(Mount(plain(row[1]), plain(places[4]), row[0], tuple(row[2].split(","))))
    return found


def plain(text: str) -> str:
    r"""Return a field without its octal escapes (getmntent(3)).

    >>> plain(r"a\040b\134c")
    'a b\\c'
    """
    return re.sub(r"\\([0-3][0-7]{2})", lambda found: chr(int(found[1], 8)), text)


def storing(mounts: list[Mount]) -> list[Mount]:
    """Return the mounts whose space matters, once per device, those that can hang last.

    Bind mounts repeat a device: the shortest place stays. A container's overlay counts only as its root.
    """
    kept: dict[tuple[str, str], Mount] = {}
    wanted = (mount for mount in mounts if not mount.place.startswith(("/proc/", "/sys/")))
    visible = {mount.place: mount for mount in wanted}  # a later mount covers an earlier one
    for mount in sorted(visible.values(), key=lambda one: (len(one.place), one.place)):
        if mount.kind in PSEUDO | IMAGES or (mount.kind == "overlay" and mount.place != "/"):
            continue
        shared = mount.kind in {"tmpfs", "overlay"}  # one name for many
        kept.setdefault((mount.device, mount.place if shared else ""), mount)
    return sorted(kept.values(), key=lambda one: (one.network, one.place))


def unit_name(place: str) -> str:
    r"""Return a mount point as one step of a path, escaped as systemd names its mount units (systemd.unit(5)).

    >>> unit_name("/"), unit_name("/var/lib/docker"), unit_name("/mnt/a-b")
    ('-', 'var-lib-docker', 'mnt-a\\x2db')
    """
    parts = [part for part in place.split("/") if part]
    return "-".join("".join(map(_escaped, part)) for part in parts) or "-"


def _escaped(char: str) -> str:
    if char.isascii() and (char.isalnum() or char in ":_."):
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def usage(place: str) -> dict[str, Any]:
    """Return space and inodes of a mounted file system (statvfs(3)), as df(1) counts them.

    `used_percent` is of what users may use. A file system without fixed inodes has None for them.
    Raises `OSError`; hangs while its server is dead.
    """
    return usage_of(os.statvfs(place))


def usage_of(found: Any) -> dict[str, Any]:
    """Return the facts of a statvfs(3) result."""
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    available = found.f_bavail * found.f_frsize
    return {
        "size_bytes": found.f_blocks * found.f_frsize,
        "free_bytes": found.f_bfree * found.f_frsize,
        "available_bytes": available,
        "used_percent": percent(used, used + available),
        "inodes": found.f_files or None,
        "inodes_free": found.f_ffree if found.f_files else None,
        "inodes_used_percent": percent(found.f_files - found.f_ffree, found.f_files),
    }


def percent(part: int, whole: int) -> float | None:
    """Return a share, None of nothing.

    >>> percent(1, 3), percent(0, 0)
    (33.3, None)
    """
    return round(100 * part / whole, 1) if whole > 0 else None
