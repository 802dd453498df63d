"""The host itself: identity, uptime, processors, memory, pressure, clock, blocked tasks, limits, packages."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bilbs_cli.diag.collectors import clock, hardware, host_time, proc_text, processes, sysfs
from bilbs_cli.diag.job import Collector, Job, Profile
from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Status, Value

FILES = (
    "/etc/os-release",
    "/proc/version",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/vmstat",
    "/proc/pressure/cpu",
    "/proc/pressure/memory",
    "/proc/pressure/io",
    "/proc/1/limits",
    "/etc/machine-info",
    "/run/reboot-required.pkgs",
)
FULL_FILES = (
    "/proc/interrupts",
    "/proc/softirqs",
    "/proc/zoneinfo",
    "/proc/buddyinfo",
    "/proc/slabinfo",
    "/proc/iomem",
)

VMSTAT = {
    "oom_kill": "oom_kills",
    "pgmajfault": "major_faults",
    "pswpin": "swap_in_pages",
    "pswpout": "swap_out_pages",
    "hwpoison": "hwpoison_pages",
}
MEMORY = {
    "MemTotal": "total_bytes",
    "MemFree": "free_bytes",
    "MemAvailable": "available_bytes",
    "SwapTotal": "swap_total_bytes",
    "SwapFree": "swap_free_bytes",
    "Dirty": "dirty_bytes",
    "Shmem": "shmem_bytes",
    "Slab": "slab_bytes",
    "SUnreclaim": "slab_unreclaimable_bytes",
    "Committed_AS": "committed_bytes",
    "HardwareCorrupted": "hardware_corrupted_bytes",
    "HugePages_Total": "huge_pages",
    "HugePages_Free": "huge_pages_free",
}
NODE = {"MemTotal": "total_bytes", "MemFree": "free_bytes"}
CLOCK_SOURCE: sysfs.Spec = {"source": ("current_clocksource", str), "sources_available": ("available_clocksource", str)}
CGROUP: sysfs.Spec = {
    "memory_max": ("memory.max", str),
    "cpu_max": ("cpu.max", str),
    "cpus_effective": ("cpuset.cpus.effective", str),
    "pids_max": ("pids.max", str),
    "memory_limit_bytes": ("memory/memory.limit_in_bytes", int),
}
RPM_LINE = "%{NAME} %{VERSION}-%{RELEASE}.%{ARCH}\\n"
SYNC_DAEMONS = {"chronyd", "ntpd", "ntpd-opensntpd", "systemd-timesyn", "ptp4l", "phc2sys"}
STACKS = 40  # of blocked tasks; the first ones tell the story
THREAD_SCAN_S = 0.5
STAY_S = 1.0  # a task that is blocked for less is reading a disk


def collect(job: Job) -> None:
    """Read what the kernel keeps in memory first, then what asks hardware and files."""
    for path in FILES + (FULL_FILES if job.options.profile is Profile.FULL else ()):
        job.file(path)
    _identity(job)
    _load(job)
    _memory(job)
    _cpu(job)
    hardware.memory_errors(job)
    hardware.board(job)
    if job.options.live:
        _clock(job)
        _people(job)
        hardware.sensors(job)
    _tasks(job)
    _limits(job)
    _packages(job)
    hardware.recorded_errors(job)


def _identity(job: Job) -> None:
    root = job.options.sysroot
    release = _parsed(job, ("os",), "/etc/os-release", proc_text.os_release) or {}
    for fact, name in (("name", "PRETTY_NAME"), ("id", "ID"), ("version_id", "VERSION_ID"), ("build_id", "BUILD_ID")):
        if name in release:
            job.record(("os", fact), Value(release[name]))
    for fact, name in (("hostname", "hostname"), ("kernel_release", "osrelease"), ("kernel_version", "version")):
        job.record((fact,), sysfs.attribute(root, f"/proc/sys/kernel/{name}"))
    if root:
        job.record(("hostname_configured",), sysfs.attribute(root, "/etc/hostname"))
    else:
        job.record(("architecture",), Value(os.uname().machine))
    job.record(("timezone",), host_time.zone(job.options.sysroot))
    wanted = bool(job.glob("/run/reboot-required"))
    known = wanted or job.options.live  # /run is in memory: a mounted disk has none of it
    job.record(("reboot_required",), Value(wanted) if known else NotCollected("a mounted system has no /run"))
    job.record(("container",), _container(job))


def _container(job: Job) -> Reading:
    """Return the container manager where one left its mark, `none` where a running system has no mark."""
    named = sysfs.attribute(job.options.sysroot, "/run/systemd/container")
    if isinstance(named, Value):
        return named
    marks = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
    found = next((name for path, name in marks.items() if job.glob(path)), None)
    if found is None and not job.options.live:
        return NotCollected("a mounted system has no /run")
    return Value(found or "none")


def _load(job: Job) -> None:
    up = _uptime(job)
    job.record(("uptime_s",), Value(up) if up is not None else NotCollected("no /proc/uptime"))
    if job.options.live:
        job.record(("booted_at",), host_time.booted_at())
    sysfs.leaves(job, (), _parsed(job, ("load",), "/proc/loadavg", proc_text.load))
    for resource in ("cpu", "memory", "io"):
        lines = _parsed(job, ("pressure", resource), f"/proc/pressure/{resource}", proc_text.pressure)
        for line, values in (lines or {}).items():
            sysfs.leaves(job, ("pressure", resource, line), values)


def _uptime(job: Job) -> float | None:
    reading = sysfs.attribute(job.options.sysroot, "/proc/uptime", lambda text: float(text.split()[0]))
    return reading.value if isinstance(reading, Value) else None


def _memory(job: Job) -> None:
    _renamed(job, ("memory",), MEMORY, _parsed(job, ("memory", "meminfo"), "/proc/meminfo", proc_text.meminfo))
    _renamed(job, ("memory",), VMSTAT, _parsed(job, ("memory", "vmstat"), "/proc/vmstat", sysfs.counters))
    for node in job.glob("/sys/devices/system/node/node[0-9]*"):
        name = node.rpartition("/")[2]
        table = _parsed(job, ("memory", "nodes", name), f"{node}/meminfo", proc_text.meminfo)
        _renamed(job, ("memory", "nodes", name), NODE, table)


def _cpu(job: Job) -> None:
    data = job.slurp("/proc/cpuinfo", 8 << 20)
    text = (data or b"").decode("utf-8", "replace")
    if data:
        job.text("cpuinfo-first.txt", text.split("\n\n")[0] + "\n", source="file: /proc/cpuinfo, the first processor")
    sysfs.leaves(job, ("cpu",), proc_text.cpuinfo(text))
    sysfs.survey(job, ("cpu",), "/sys/devices/system/cpu", {"online": ("online", str), "offline": ("offline", str)})
    for level in ("core", "package"):
        pattern = f"/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/{level}_throttle_count"
        counts = _numbers(job, f"cpu/{level}_throttled", job.glob(pattern))
        sysfs.leaves(job, ("cpu", f"{level}_throttled"), proc_text.throttled(counts) if counts else None)
    governors = _texts(job, "cpu/governors", job.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"))
    if governors:
        job.record(("cpu", "governors"), Value(proc_text.tally(governors)))


def _texts(job: Job, key: str, paths: list[str]) -> list[str]:
    def read() -> list[str]:
        readings = (sysfs.attribute(job.options.sysroot, path) for path in paths)
        return [reading.value for reading in readings if isinstance(reading, Value)]

    return job.attempt(key, read) or [] if paths else []


def _numbers(job: Job, key: str, paths: list[str]) -> list[int]:
    return [int(text) for text in _texts(job, key, paths) if text.isdecimal() and len(text) < 20]


def _clock(job: Job) -> None:
    sysfs.leaves(job, ("clock",), job.attempt("clock/adjtimex", clock.discipline))
    job.record(("clock", "read_at"), Value(datetime.now(UTC).isoformat(timespec="milliseconds")))
    sysfs.survey(job, ("clock",), "/sys/devices/system/clocksource/clocksource0", CLOCK_SOURCE)
    if job.glob("/run/chrony/chronyd.sock"):
        job.command(("chronyc", "-n", "tracking"), "chronyc-tracking.txt", timeout_s=3.0)
        job.command(("chronyc", "-n", "sources"), "chronyc-sources.txt", timeout_s=3.0)


def _people(job: Job) -> None:
    import psutil

    job.read(("users_logged_in",), lambda: len(psutil.users()))
    job.read(("cpu", "cores_physical"), partial(psutil.cpu_count, logical=False))


def _tasks(job: Job) -> None:
    root = job.options.sysroot
    tasks: list[processes.Task] = job.attempt("tasks/list", partial(processes.every, root), timeout_s=10.0) or []
    if not tasks:
        return
    job.text("processes.txt", processes.table(tasks, _uptime(job)), source="files: /proc/PID/stat")
    job.record(("tasks", "states"), Value(proc_text.tally([task.state for task in tasks])))
    job.record(("tasks", "count"), Value(len(tasks)))
    job.record(("clock", "daemons"), Value(sorted({task.name for task in tasks} & SYNC_DAEMONS)))

    def look() -> tuple[list[tuple[str, processes.Task]], bool]:
        found, complete = processes.blocked(root, tasks, THREAD_SCAN_S)
        return (processes.stayed(found, STAY_S) if job.options.live else found), complete

    found = job.attempt("tasks/threads", look, timeout_s=10.0)
    if found is not None:
        _blocked(job, *found)


def _blocked(job: Job, blocked: list[tuple[str, processes.Task]], complete: bool) -> None:
    job.record(("tasks", "blocked_count"), Value(len(blocked)))
    job.record(("tasks", "threads_all_seen"), Value(complete))
    lines, denied = [], False
    for folder, task in blocked[:STACKS]:
        where = job.attempt(f"tasks/stack {task.pid}", partial(_where, job, folder), timeout_s=2.0)
        wchan, stack = where or (NotCollected("reading it gave no answer"),) * 2
        denied = denied or (isinstance(stack, ReadError) and stack.kind == "PermissionError")
        job.record(("tasks", "blocked", str(task.pid), "name"), Value(task.name))
        job.record(("tasks", "blocked", str(task.pid), "wchan"), wchan)
        lines += [f"pid {task.pid} {task.name} (wchan {_shown(wchan)})", _shown(stack), ""]
    if denied:
        job.gap(
            "task-stacks", Status.DENIED, "where blocked tasks hang in the kernel needs root", source="/proc/PID/stack"
        )
    if lines:
        job.text("blocked-tasks.txt", "\n".join(lines), source="files: /proc/PID/{wchan,stack} of tasks in state D")


def _where(job: Job, folder: str) -> tuple[Reading, Reading]:
    root = job.options.sysroot
    return sysfs.attribute(root, f"{folder}/wchan"), sysfs.attribute(root, f"{folder}/stack")


def _shown(reading: Reading) -> str:
    match reading:
        case Value(value):
            return str(value)
        case ReadError(kind, message):
            return f"[{kind}: {message}]"
        case NotCollected(reason):
            return f"[{reason}]"


def _limits(job: Job) -> None:
    sysfs.leaves(job, ("limits", "init"), _parsed(job, ("limits", "init"), "/proc/1/limits", proc_text.limits))
    sysfs.survey(job, ("limits",), "/proc/sys", SYSTEM_LIMITS)
    sysfs.survey(job, ("cgroup",), "/sys/fs/cgroup", CGROUP)


def _file_handles(text: str) -> dict[str, int]:
    used, free, most = (int(field) for field in text.split())
    return {"used": used - free, "max": most}


SYSTEM_LIMITS: sysfs.Spec = {"files": ("fs/file-nr", _file_handles), "pids": ("kernel/pid_max", int)}


def _packages(job: Job) -> None:
    data = job.slurp("/var/lib/dpkg/status", 64 << 20)
    if data is not None:
        packages = proc_text.dpkg_status(data)
        job.record(("packages",), Value(packages))
        job.text(
            "packages.txt",
            "".join(f"{name} {version}\n" for name, version in sorted(packages.items())),
            source="file: /var/lib/dpkg/status, packages that matter here",
        )
    elif job.glob("/var/lib/rpm") or job.glob("/usr/lib/sysimage/rpm"):
        job.command(("rpm", "-qa", "--queryformat", RPM_LINE), "packages.txt", timeout_s=30.0, later=True)


def _parsed(job: Job, path: tuple[str, ...], source: str, parse: Callable[[str], Any]) -> Any:
    """Return what `parse` makes of a file; where it cannot, the reason is the fact at `path`."""
    reading = sysfs.attribute(job.options.sysroot, source, parse)
    if isinstance(reading, Value):
        return reading.value
    job.record(path, reading)
    return None


def _renamed(job: Job, path: tuple[str, ...], names: Mapping[str, str], values: Mapping[str, Any] | None) -> None:
    """Record those values that have a fact's name; nothing when the file could not be read, which is told elsewhere."""
    if values is not None:
        for name, fact in names.items():
            absent = NotCollected(f"this kernel has no {name}")
            job.record((*path, fact), Value(values[name]) if name in values else absent)


SYSTEM = Collector(
    "system",
    "Host: system, memory, clock, tasks",
    "system",
    40.0,
    collect,
    reads=(
        "/etc/os-release",
        "/proc",
        "/sys/devices/system/{cpu,node,edac}",
        "/sys/class/dmi/id",
        "dmidecode",
        "adjtimex(2)",
        "hwmon",
        "/var/lib/dpkg/status or rpm -qa",
        "rasdaemon's database",
    ),
)
