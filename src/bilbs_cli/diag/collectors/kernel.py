"""The kernel: its log of this boot and the one before, what survived a crash, taint, modules and panic settings."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

from bilbs_cli.diag.collectors import kmsg, sysfs
from bilbs_cli.diag.job import Collector, Job, Profile
from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Status, Value

LOGS = ("/var/log/kern.log", "/var/log/syslog", "/var/log/messages")
CRASHES = (
    "/sys/fs/pstore/*",
    "/var/lib/systemd/pstore/*",
    "/var/lib/systemd/pstore/*/*",
    "/var/lib/systemd/pstore/*/*/*",
    "/var/crash/*/dmesg.*",
    "/var/crash/*/vmcore-dmesg*.txt",
    "/var/log/dmesg*",
)
FILES = ("/proc/cmdline", "/proc/modules", "/proc/sys/kernel/tainted", "/proc/version")
FIELDS = "PRIORITY,MESSAGE,SYSLOG_IDENTIFIER,_SOURCE_MONOTONIC_TIMESTAMP,_KERNEL_DEVICE,_KERNEL_SUBSYSTEM"
ENTRY_BYTES = 512  # about what one entry takes with these fields: the cap is kept by asking for the newest entries
TRIAGE_ENTRIES = 5000
LIST_BOOTS = "command: journalctl --list-boots"
BOOTS = ((0, "journal-this-boot.jsonl"), (-1, "journal-previous-boot.jsonl"))

MODULES = re.compile(
    r"nvidia.*|nouveau|nova.*|gdrdrv|ipmi_.*|acpi_ipmi|mlx[45]_.*|ib_.*|rdma_.*|bnxt_.*|ice|irdma|i40e|nvme.*|mpt3sas"
    r"|megaraid_sas|md_mod|raid.*|zfs|edac_.*|.*_edac|efi_pstore|ramoops|erst.*"
)
MODULE_SPEC: sysfs.Spec = {
    "version": ("version", str),
    "srcversion": ("srcversion", str),
    "state": ("initstate", str),
    "users": ("refcnt", int),
    "taint": ("taint", str),
}
PARAMETERS = ("nvidia", "nvidia_drm", "nvidia_uvm", "nvidia_peermem", "mlx5_core", "nvme_core", "ipmi_si", "pcie_aspm")
SETTINGS = {
    "kernel": (
        "hung_task_timeout_secs",
        "hung_task_panic",
        "hung_task_detect_count",
        "panic",
        "panic_on_oops",
        "panic_on_warn",
        "softlockup_panic",
        "hardlockup_panic",
        "nmi_watchdog",
        "watchdog_thresh",
        "unknown_nmi_panic",
        "panic_on_unrecovered_nmi",
        "dmesg_restrict",
        "kptr_restrict",
        "printk",
        "sysrq",
        "core_pattern",
        "numa_balancing",
        "modules_disabled",
    ),
    "vm": (
        "panic_on_oom",
        "overcommit_memory",
        "swappiness",
        "nr_hugepages",
        "max_map_count",
        "min_free_kbytes",
        "zone_reclaim_mode",
        "memory_failure_recovery",
        "dirty_ratio",
        "dirty_background_ratio",
    ),
    "fs": ("file-max", "nr_open", "aio-max-nr"),
}

TAINTS = (  # Documentation/admin-guide/tainted-kernels.rst, by bit
    "proprietary module",
    "forced module load",
    "out of specification",
    "forced module unload",
    "machine check",
    "bad page",
    "user request",
    "died (oops or BUG)",
    "ACPI table overridden",
    "warning",
    "staging driver",
    "firmware bug workaround",
    "out-of-tree module",
    "unsigned module",
    "soft lockup",
    "live patched",
    "auxiliary",
    "struct randomisation",
    "in-kernel test",
    "fwctl mutation",
)


def collect(job: Job) -> None:
    """Read what is in memory first: a disk that died takes journal and log files with it, not the ring buffer."""
    triage = job.options.profile is Profile.TRIAGE
    _ring_buffer(job)
    for path in FILES:
        job.file(path)
    _state(job)
    _modules(job)
    for pattern in CRASHES[:1] if triage else CRASHES:
        job.files(pattern, since=True)
    _journal(job)
    for log in LOGS:
        job.files(log if triage else f"{log}*", since=True)


def _ring_buffer(job: Job) -> None:
    """Put the kernel's ring buffer into the bundle. It is in memory, so it is whole whatever `--since` says."""
    if not job.options.live:
        return
    lines, error = job.attempt("ring_buffer", _read_ring_buffer, timeout_s=kmsg.MOST_S + 2) or ([], None)
    if lines:
        job.text("dmesg.txt", b"".join(lines), source=f"device: {kmsg.DEVICE}")
        job.record(("ring_buffer", "records"), Value(len(lines)))
    if error:
        if not lines:
            job.record(("ring_buffer", "records"), ReadError(type(error).__name__, str(error), error.errno))
        status = Status.DENIED if isinstance(error, PermissionError) else Status.UNAVAILABLE
        job.gap(
            "dmesg-rest.txt" if lines else "dmesg.txt",
            status,
            f"{error.strerror}: reading it needs root",
            source=f"device: {kmsg.DEVICE}",
        )


def _read_ring_buffer() -> tuple[list[bytes], OSError | None]:
    lines: list[bytes] = []
    try:
        lines.extend(kmsg.line(record) for record in kmsg.records())
    except OSError as error:
        return lines, error
    return lines, None


def _state(job: Job) -> None:
    root = job.options.sysroot
    tainted = sysfs.attribute(root, "/proc/sys/kernel/tainted", int)
    job.record(("tainted",), tainted)
    if isinstance(tainted, Value):
        job.record(("taint_reasons",), Value(taint_reasons(tainted.value)))
    job.record(("command_line",), sysfs.attribute(root, "/proc/cmdline"))
    for group, names in SETTINGS.items():
        for name in names:
            reading = sysfs.attribute(root, f"/proc/sys/{group}/{name}", _setting)
            if not isinstance(reading, NotCollected):
                job.record(("settings", group, name), reading)


def taint_reasons(tainted: int) -> list[str]:
    """Return why a kernel is tainted, by bit.

    >>> taint_reasons(4096 + 1)
    ['proprietary module', 'out-of-tree module']
    """
    bits = (bit for bit in range(tainted.bit_length()) if tainted >> bit & 1)
    return [TAINTS[bit] if bit < len(TAINTS) else f"bit {bit}" for bit in bits]


def _setting(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _modules(job: Job) -> None:
    folders = job.glob("/sys/module/*")
    for name in (folder.rpartition("/")[2] for folder in folders):
        if MODULES.fullmatch(name):
            _module(job, name)
    built = job.glob("/var/lib/dkms/*/*/*/*/module")  # module, version, kernel, machine
    for path in built:
        _, _, _, _, module, version, release, *_ = path.split("/")
        job.record(("dkms", module, release), Value(version))
    job.files("/var/lib/dkms/*/*/build/make.log", since=True)  # left behind by a build that failed
    lines = [line for module in PARAMETERS for line in _parameters(job, module)]
    if lines:
        job.text("module-parameters.txt", "".join(lines), source="files: /sys/module/*/parameters")


def _module(job: Job, name: str) -> None:
    call = partial(sysfs.attributes, job.options.sysroot, f"/sys/module/{name}", MODULE_SPEC)
    readings: dict[str, Reading] = job.attempt(f"modules/{name}/sysfs", call) or {}
    for fact, reading in readings.items():
        if fact == "version" or not isinstance(reading, NotCollected):  # built-in drivers have little of the rest
            job.record(("modules", name, fact), reading)


def _parameters(job: Job, module: str) -> list[str]:
    paths = job.glob(f"/sys/module/{module}/parameters/*")
    readings = ((path.rpartition("/")[2], sysfs.attribute(job.options.sysroot, path)) for path in paths)
    return [f"{module}.{name}={one.value}\n" for name, one in readings if isinstance(one, Value)]


def _journal(job: Job) -> None:
    """Hand the kernel's journal of this and the previous boot, as JSON, to children of their own."""
    if not job.options.live:
        if job.glob("/var/log/journal/*"):
            reason = "the journal of a mounted system needs journalctl -D DIR/var/log/journal"
            job.gap(BOOTS[0][1], Status.SKIPPED, reason, source="/var/log/journal")
        return
    known = _boots(job)
    for boot, member in BOOTS[:1] if job.options.profile is Profile.TRIAGE else BOOTS:
        if known is None or boot in known:
            job.command(_journal_argv(job, boot), member, timeout_s=45.0, later=True)
        elif known or job.options.root:
            reason = f"no boot {boot} in the journal" if known else "journalctl --list-boots named no boot"
            job.gap(member, Status.UNAVAILABLE, reason, source=LIST_BOOTS)
        else:
            job.gap(member, Status.DENIED, "the journal needs root or the group systemd-journal", source=LIST_BOOTS)


def _boots(job: Job) -> dict[int, str] | None:
    """Return the boots in the journal, None when nobody could be asked."""
    argv = ("journalctl", "--list-boots", "--no-pager", "-o", "json")
    listing = job.command(argv, "journal-boots.txt", timeout_s=10.0)
    if listing is None:
        return None
    known = boots(listing.decode("utf-8", "replace"))
    job.record(
        ("journal", "boots"), Value(len(known)) if known else NotCollected("no boot in a journal that can be read")
    )
    return known


def _journal_argv(job: Job, boot: int) -> tuple[str, ...]:
    triage, since = job.options.profile is Profile.TRIAGE, job.options.since
    entries = TRIAGE_ENTRIES if triage else max(1000, job.options.max_file_bytes // ENTRY_BYTES)
    return (
        "journalctl",
        "-k",
        "--no-pager",
        "-o",
        "json",
        f"--output-fields={FIELDS}",
        "--all",
        "-b",
        str(boot),
        "-n",
        str(entries),
        *((f"--since=@{int(since.timestamp())}",) if since else ()),
    )


def boots(listing: str) -> dict[int, str]:
    r"""Return boot id by offset (0 is this boot) from `journalctl --list-boots`: JSON, or a table before systemd 251.

    >>> boots('[{"index":-1,"boot_id":"aa","first_entry":1,"last_entry":2},{"index":0,"boot_id":"bb"}]')
    {-1: 'aa', 0: 'bb'}
    >>> boots(" 0 0f1e2d3c4b5a69788796a5b4c3d2e1f0 Fri 2026-11-20 02:52:09 UTC—Sat 2026-11-21 09:42:00 UTC\n")
    {0: '0f1e2d3c4b5a69788796a5b4c3d2e1f0'}
    """
    try:
        rows: Any = json.loads(listing)
        return {int(row["index"]): str(row["boot_id"]) for row in rows}
    except (ValueError, TypeError, KeyError, RecursionError):
        table = re.findall(r"^ *(-?\d{1,6}) ([0-9a-f]{32}) ", listing, re.MULTILINE)
        return {int(offset): boot for offset, boot in table}


KERNEL = Collector(
    "kernel",
    "Kernel: logs of this and the previous boot",
    "kernel",
    60.0,
    collect,
    reads=(
        "/dev/kmsg",
        "journalctl -k -b 0 and -b -1",
        "/var/log/{kern.log,syslog,messages}*",
        "/sys/fs/pstore",
        "/var/crash",
        "/proc/cmdline",
        "/sys/module",
        "/var/lib/dkms",
        "/proc/sys",
    ),
)
