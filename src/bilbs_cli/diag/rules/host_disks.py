"""Disks: their own verdict (SMART, NVMe), wear, sectors that cannot be read, errors that the kernel logged."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bilbs_cli.diag.findings import Case, Found, Gap, Rule, Severity, Unjudged, Verdict
from bilbs_cli.diag.rules.log_events import gather
from bilbs_cli.diag.rules.scopes import DISK, LOGS, NVME

SMARTCTL = "https://www.smartmontools.org/browser/trunk/smartmontools/smartctl.8.in"
NVME_SPEC = "https://nvmexpress.org/specification/nvm-express-base-specification/"
GPUD = "https://github.com/leptonai/gpud/tree/main/components/disk"
BACKBLAZE = "https://www.backblaze.com/blog/what-smart-stats-indicate-hard-drive-failures/"
VIRTUAL = re.compile(r"vd|xvd|mmcblk|pmem|nbd|rbd")  # disks without SMART data
WORN_PERCENT = 100  # of the endurance that the maker promised
REPLACED_MANY = 10  # sectors that a disk has replaced (ours); fewer are told
TEXT = 64
WARNINGS = (  # NVMe base specification, SMART / health information log, critical warning, by bit
    "its spare blocks are below their threshold",
    "its temperature is past a threshold",
    "it is not reliable any more",
    "its media are read-only",
    "its backup for volatile memory failed",
    "its persistent memory region is read-only or unreliable",
)
READ_FAILURES = (
    "pending_sectors",
    "offline_uncorrectable",
    "reported_uncorrectable",
    "read_uncorrected",
    "write_uncorrected",
)
REPLACED = ("reallocated_sectors", "grown_defects")


def _serial(case: Case) -> str:
    found = case.get("smart/serial") or case.get("serial")
    return f" (serial {found.strip()[:TEXT]})" if isinstance(found, str) and found.strip() else ""


def _is_nvme(case: Case) -> bool:
    return case.path[-1].startswith("nvme")


def _named(case: Case) -> str:
    return f"{'drive' if _is_nvme(case) else 'disk'} {case.path[-1]}{_serial(case)}"


def smart_failed(case: Case) -> Iterator[Found]:
    """The disk's own verdict is that it fails (SMART overall health).

    smartctl's exit status is a set of bits; bit 3 says the same, and the other bits are no verdict
    (https://github.com/prometheus-community/smartctl_exporter/issues/265).

    Fires:
        storage/disks/sda/smart/passed = false
        storage/disks/sda/smart/serial = "ZA1234"
    Quiet:
        storage/disks/sda/smart/passed = true
        storage/disks/sda/smart/exit_bits = ["error_log"]
    """
    passed, bits = case.get("smart/passed"), case.get("smart/exit_bits")
    failing = isinstance(bits, list) and "failing" in bits
    if not failing and not isinstance(passed, bool):
        if VIRTUAL.match(case.path[-1]):
            raise Unjudged("smart/passed", f"{case.path[-1]} is a disk without SMART data", Gap.UNSUPPORTED)
        raise case.unread("smart/passed", "smart/exit_bits")
    if failing or passed is False:
        path = "smart/passed" if passed is False else "smart/exit_bits"
        yield Found(
            f"{_named(case)} says of itself that it fails (SMART)",
            (case.cite(path),),
            have=("the disk's own SMART verdict",),
            missing=(f"its long self test (smartctl -t long /dev/{case.path[-1]}), which many makers ask for",),
        )


def _judged(case: Case, *paths: str) -> bool:
    """Say whether a SMART rule for disks that are no NVMe drives has something to judge. Raises `Unjudged`."""
    if _is_nvme(case) or VIRTUAL.match(case.path[-1]):
        return False
    if all(case.get(path) is None for path in paths):
        raise case.unread(*paths)
    return True


def smart_attributes(case: Case) -> Iterator[Found]:
    """The disk counts sectors that it could not read, or had to replace.

    Sectors that wait for it or could not be read are a warning from the first on; replaced ones are told, and a warning
    from ten on. Backblaze found these counters (5, 187, 197, 198) to come before failures, and gives no limit.

    Fires:
        storage/disks/sda/smart/passed = true
        storage/disks/sda/smart/pending_sectors = 8
    Quiet:
        storage/disks/sda/smart/passed = true
        storage/disks/sda/smart/pending_sectors = 0
        storage/disks/sda/smart/reallocated_sectors = 0
    """
    if not _judged(case, "smart/passed", *(f"smart/{name}" for name in (*READ_FAILURES, *REPLACED))):
        return
    bad = {name: number for name in READ_FAILURES if (number := case.number(f"smart/{name}"))}
    replaced = {name: number for name in REPLACED if (number := case.number(f"smart/{name}"))}
    if bad or replaced:
        named = ", ".join(f"{number:g} {name.replace('_', ' ')}" for name, number in (bad | replaced).items())
        many = bool(bad) or max(replaced.values()) >= REPLACED_MANY
        yield Found(
            f"{_named(case)}: {named}",
            tuple(case.cite(f"smart/{name}") for name in bad | replaced),
            severity=Severity.WARNING if many else Severity.INFO,
            verdict=None if many else Verdict.IGNORE,
        )


def smart_prefail(case: Case) -> Iterator[Found]:
    """A SMART attribute that foretells a failure is below its threshold, or a self test failed.

    Bits 4 and 7 of smartctl's exit status.

    Fires:
        storage/disks/sda/smart/exit_bits = ["prefail_below_threshold"]
    Quiet:
        storage/disks/sda/smart/exit_bits = ["error_log"]
    """
    bits = case.get("smart/exit_bits")
    if not _is_nvme(case) and not VIRTUAL.match(case.path[-1]) and not isinstance(bits, list):
        raise case.unread("smart/exit_bits")
    words = {"prefail_below_threshold": "an attribute that foretells failure is below its threshold"}
    words["selftest_log"] = "its self test failed"
    loud = [text for bit, text in words.items() if isinstance(bits, list) and bit in bits]
    if loud:
        yield Found(f"{_named(case)}: {', '.join(loud)}", (case.cite("smart/exit_bits"),))


def smart_cable(case: Case) -> Iterator[Found]:
    """The link to a SATA disk has errors: cable, backplane or connector, not the disk.

    Fires:
        storage/disks/sda/smart/crc_errors = 412
    Quiet:
        storage/disks/sda/smart/crc_errors = 0
    """
    count = case.number("smart/crc_errors") if _judged(case, "smart/passed", "smart/crc_errors") else None
    if count:
        yield Found(f"{_named(case)}: {count:g} checksum errors on its link", (case.cite("smart/crc_errors"),))


def _nvme_number(case: Case, path: str) -> int | float | None:
    """Return a number of an NVMe drive's health log, None for another disk. Raises `Unjudged` where it is not there."""
    if not _is_nvme(case):
        return None
    found = case.number(path)
    if found is None:
        raise case.unread(path)
    return found


def nvme_warning(case: Case) -> Iterator[Found]:
    """An NVMe drive raises its critical warning.

    Each bit has its meaning in the NVMe base specification; a temperature past its threshold alone is a warning, as the
    drive gets slower and not worse.

    Fires:
        storage/disks/nvme0n1/smart/critical_warning = 4
    Quiet:
        storage/disks/nvme0n1/smart/critical_warning = 0
    """
    number = _nvme_number(case, "smart/critical_warning")
    if number is None:
        return
    bits = int(number)
    if bits > 0:
        words = [text for bit, text in enumerate(WARNINGS) if bits >> bit & 1]
        said = "; ".join(words) or f"bits {bits:#x}, which the specification does not know"
        yield Found(
            f"{_named(case)}: {said}",
            (case.cite("smart/critical_warning"),),
            severity=Severity.WARNING if bits == 2 else None,
        )


def nvme_spare(case: Case) -> Iterator[Found]:
    """An NVMe drive has fewer spare blocks left than its own threshold.

    Fires:
        storage/disks/nvme0n1/smart/spare_percent = 4
        storage/disks/nvme0n1/smart/spare_threshold_percent = 10
    Quiet:
        storage/disks/nvme0n1/smart/spare_percent = 100
        storage/disks/nvme0n1/smart/spare_threshold_percent = 10
    """
    left, least = _nvme_number(case, "smart/spare_percent"), _nvme_number(case, "smart/spare_threshold_percent")
    if left is not None and least is not None and left < least:
        words = f"{_named(case)} has {left:g} % of its spare blocks left; its threshold is {least:g} %"
        yield Found(words, (case.cite("smart/spare_percent"), case.cite("smart/spare_threshold_percent")))


def nvme_used(case: Case) -> Iterator[Found]:
    """An NVMe drive has used up the endurance that its maker promised.

    Fires:
        storage/disks/nvme0n1/smart/used_percent = 104
    Quiet:
        storage/disks/nvme0n1/smart/used_percent = 12
    """
    used = _nvme_number(case, "smart/used_percent")
    if used is not None and used >= WORN_PERCENT:
        words = f"{_named(case)} is worn: {used:g} % of its promised endurance is used"
        yield Found(words, (case.cite("smart/used_percent"),))


def nvme_media_errors(case: Case) -> Iterator[Found]:
    """An NVMe drive could not give back data that it had: media and data integrity errors.

    Fires:
        storage/disks/nvme0n1/smart/media_errors = 12
    Quiet:
        storage/disks/nvme0n1/smart/media_errors = 0
    """
    count = _nvme_number(case, "smart/media_errors")
    if count:
        words = f"{_named(case)}: {count:g} media and data integrity errors"
        yield Found(words, (case.cite("smart/media_errors"),))


def nvme_state(case: Case) -> Iterator[Found]:
    """An NVMe controller is not live.

    While it is connecting or resetting it may come back by itself: a warning. Dead or deleting it does not.

    Fires:
        storage/nvme/nvme0/state = "dead"
    Quiet:
        storage/nvme/nvme0/state = "live"
    """
    state = case.get("state")
    if not isinstance(state, str):
        raise case.unread("state")
    if state != "live":
        soft = state in {"new", "connecting", "resetting"}
        serial = case.get("serial")
        named = f" (serial {serial.strip()[:TEXT]})" if isinstance(serial, str) and serial.strip() else ""
        words = f"NVMe controller {case.path[-1]}{named} is {state[:TEXT]}"
        yield Found(words, (case.cite("state"),), severity=Severity.WARNING if soft else None)


def nvme_logged(case: Case) -> Iterator[Found]:
    """An NVMe drive timed out, was reset, or was given up by the kernel.

    A reset or a drive that was given up is critical, as gpud has it (components/disk): the drive did not answer. A timeout
    that needed neither is a warning.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: nvme nvme1: Removing after probe failure status: -19
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: nvme nvme0: pci function 0000:01:00.0
    """
    for seen in gather(case.box, "nvme"):
        for device, one in seen.by("device"):
            what = one.details("what")
            words = f"drive {device or 'that is not named'}: {', '.join(what) or 'trouble'}"
            severity = Severity.WARNING if what == ("timeout",) else Severity.CRITICAL
            yield one.found(words, severity=severity, part=f"nvme:{device}" if device else "")


def io_errors(case: Case) -> Iterator[Found]:
    """The kernel could not read from or write to a disk.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: I/O error, dev nvme0n1, sector 99 op 0x1:(WRITE) flags 0x0
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: nvme nvme0: 8/0/0 default/read/poll queues
    """
    for seen in gather(case.box, "io_error"):
        for device, one in seen.by("device"):
            words = f"input/output errors on {device or 'a disk that is not named'}"
            yield one.found(words, part=f"disk:{device}" if device else "")


REPLACE = "Save what is on it, then replace it by its serial; the bundle keeps its SMART data: bilbs diag collect"
LOOK = "Look at host.smart and host.nvme rules for it, at its cable and slot; keep a bundle: bilbs diag collect"
HOST_DISK_RULES = (
    Rule("host.smart.failed", Severity.CRITICAL, Verdict.RMA, (), SMARTCTL, smart_failed, DISK, next=REPLACE),
    Rule(
        "host.smart.attributes",
        Severity.WARNING,
        Verdict.INSPECT,
        (),
        BACKBLAZE,
        smart_attributes,
        DISK,
        next="Run its long self test (smartctl -t long); replace the disk when the number grows.",
    ),
    Rule("host.smart.prefail", Severity.CRITICAL, Verdict.INSPECT, (), SMARTCTL, smart_prefail, DISK, next=REPLACE),
    Rule(
        "host.smart.cable",
        Severity.INFO,
        Verdict.IGNORE,
        (),
        SMARTCTL,
        smart_cable,
        DISK,
        next="Seat disk and cable again when the number grows.",
    ),
    Rule(
        "host.nvme.critical_warning",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        NVME_SPEC,
        nvme_warning,
        DISK,
        next=REPLACE,
    ),
    Rule("host.nvme.spare", Severity.CRITICAL, Verdict.INSPECT, (), NVME_SPEC, nvme_spare, DISK, next=REPLACE),
    Rule(
        "host.nvme.used",
        Severity.WARNING,
        Verdict.INSPECT,
        (),
        NVME_SPEC,
        nvme_used,
        DISK,
        next="Plan to replace it: it may go on for long, but its maker does not answer for it any more.",
    ),
    Rule(
        "host.nvme.media_errors",
        Severity.WARNING,
        Verdict.INSPECT,
        (),
        NVME_SPEC,
        nvme_media_errors,
        DISK,
        next="Check what is on it against a copy; replace the drive when the number grows.",
    ),
    Rule("host.nvme.state", Severity.CRITICAL, Verdict.INSPECT, ("state",), NVME_SPEC, nvme_state, NVME, next=LOOK),
    Rule("host.nvme.logged", Severity.WARNING, Verdict.INSPECT, (), GPUD, nvme_logged, LOGS, next=LOOK),
    Rule("host.io_errors", Severity.CRITICAL, Verdict.INSPECT, (), GPUD, io_errors, LOGS, next=LOOK),
)
