"""Messages of disks, NVMe controllers, file systems and arrays."""

from __future__ import annotations

import re
from collections.abc import Callable

from bilbs_cli.diag.kernel_log.messages import Form, Said, plain, shown

NO_DISKS = re.compile(r"(?:fd|sr)\d")  # an empty floppy or optical drive says I/O error to whoever asks
DEVICE = r"[A-Za-z0-9!_.-]{1,32}"


def _io_error(found: re.Match[str], message: str) -> Said | None:
    device = next((text for name, text in found.groupdict().items() if name.startswith("device") and text), "")
    if NO_DISKS.match(device):
        return None
    return Said("io_error", shown(message), detail={"device": device} if device else {}, fold=(device,))


def _nvme(found: re.Match[str], message: str) -> Said:
    words = found["said"].lower()
    gone = "remov" in words or "disabling" in words
    what = "removed" if gone else "timeout" if "timeout" in words else "reset"
    device = found["device"]
    return Said("nvme", shown(message), detail={"device": device, "what": what}, fold=(device, what))


def _fs(kind: str) -> Callable[[re.Match[str], str], Said]:
    """Return a builder for a file system's message, with its device in whichever place the pattern found it."""

    def build(found: re.Match[str], message: str) -> Said:
        names = found.groupdict().items()
        device = next((text for name, text in names if name.startswith("device") and text), "")
        of = next((text for name, text in names if name.startswith("type") and text), "")
        detail = {name: text for name, text in (("device", device), ("type", of)) if text}
        return Said(kind, shown(message), detail=detail, fold=(device, of))

    return build


STORAGE: tuple[Form, ...] = (
    Form(
        ("emounting filesystem read-only", "forced readonly", "has been shut down", "Shutting down filesystem"),
        rf"(?P<type>EXT[234]-fs|XFS|BTRFS)[^(]{{0,20}}\((?:device )?(?P<device>{DEVICE})[^)]{{0,64}}\).{{0,60}}?"
        r"(?:Remounting filesystem read-only|forced readonly|has been shut down|Shutting down filesystem)"
        r"|(?:(?P<type2>BTRFS|XFS|EXT[234]-fs): )?Remounting filesystem read-only",
        _fs("fs_read_only"),
    ),
    Form(
        ("EXT4-fs ", "EXT3-fs ", "EXT2-fs ", "JBD2: ", "Aborting journal"),
        rf"(?P<type>EXT[234]-fs) (?:error|critical) \(device (?P<device>{DEVICE})"
        rf"|(?P<type2>EXT[234]-fs) \((?P<device2>{DEVICE})\): (?:I/O error while writing superblock|error count since last fsck"
        r"|Detected aborted journal|previous I/O error to superblock|warning: mounting fs with errors)"
        rf"|(?P<type3>JBD2): .{{0,60}}I/?O error.{{0,60}}? on (?P<device3>{DEVICE})-\d{{1,4}}\b"
        rf"|Aborting journal on device (?P<device4>{DEVICE})-\d{{1,4}}\b",
        _fs("fs_error"),
    ),
    Form(
        ("XFS (",),
        rf"(?P<type>XFS) \((?P<device>{DEVICE})\): .{{0,60}}?(?:[Cc]orruption |[Ii]nternal error|metadata I/O error|log I/O error"
        r"|I/O error while writing superblock|please run xfs_repair|[Uu]nmount and run xfs_repair)",
        _fs("fs_error"),
    ),
    Form(
        ("BTRFS error", "BTRFS critical", "BTRFS: error", "BTRFS: I/O error", "csum failed"),
        rf"(?P<type>BTRFS):? (?:error|critical|warning|I/O error)(?: \(device (?P<device>{DEVICE}))?",
        _fs("fs_error"),
    ),
    Form(
        (
            "I/O error",
            "error, dev ",
            "no available path",
            "rejecting I/O to",
            "beyond end of device",
            "(sct 0x",
        ),
        rf"(?:I/O|critical \w{{3,12}}|critical space allocation|[a-z]{{4,12}} transport|protection|timeout|device offline|medium)"
        rf" error, dev (?P<device>{DEVICE})|Buffer I/O error on dev(?:ice)? (?P<device2>{DEVICE})"
        rf"|(?P<device3>nvme\d{{1,5}}[a-z0-9]{{2,12}}): .{{3,60}} @ LBA \d{{1,20}}, .{{1,80}}\(sct 0x"
        rf"|block (?P<device4>nvme{DEVICE}): no available path - failing I/O|(?:\[(?P<device5>{DEVICE})\] )?rejecting I/O to"
        r"|attempt to access beyond end of device",
        _io_error,
    ),
    Form(
        (
            "timeout, ",
            "I/O timeout",
            "controller is down",
            "Device not ready; aborting",
            "after probe failure",
            "after reset failure",
            "reset controller",
            "resetting controller",
            "Removing controller",
        ),
        r"nvme (?P<device>nvme\d{1,5}): (?P<said>I/O .{0,80}?timeout|controller is down|Device not ready; aborting"
        r"|[Rr]emoving after probe failure|[Dd]isabling device after reset failure|.{0,60}?reset controller|resetting controller"
        r"|Removing controller)",
        _nvme,
    ),
    Form(
        ("Disk failure on",),
        rf"md/(?:raid\d{{0,2}}|linear|multipath):?(?P<array>[\w/-]{{1,40}})?: Disk failure on (?P<device>{DEVICE})",
        plain("md_failure", told=("array", "device")),
    ),
)
