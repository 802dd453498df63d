"""The running host: tasks that hang, its clock, services, processors that are throttled, a reboot that waits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bilbs_cli.diag.findings import BOX, Case, Evidence, Found, Rule, Scope, Severity, Verdict

GPUD = "https://github.com/leptonai/gpud"
ADJTIMEX = "https://man7.org/linux/man-pages/man2/adjtimex.2.html"
PROC = "https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"
THROTTLE = "https://docs.kernel.org/admin-guide/abi-testing.html"
DRIVER = re.compile(r"_?nv(?!me|dimm|mem|ram)|uvm_|os_(?:acquire|cond|alloc)|rm_", re.ASCII)  # functions of nvidia.ko
DRIVER_TASK = re.compile(r"nvidia|nv-|nv_(?:queue|open_q)", re.ASCII)
DISK_WAITS = re.compile(
    r"io_schedule|folio_wait|wait_on_page|wait_on_buffer|blk_|rq_qos|jbd2|xlog|xfs_|ext4_|submit_bio|nvme_|get_request"
)  # waits for a disk: they come and go under load
LOUD = ("nvidia", "fabricmanager", "nvlsm", "docker", "containerd", "kubelet", "crio", "slurmd", "dcgm")
THROTTLED_MANY = 1000  # throttle events of one processor since boot (ours); fewer are told
TEXT = 64
UNITS = Scope(
    "service",
    "services",
    lambda _facts, _path: "host",
    lambda _: "the services were not asked",
    lambda _facts, _path: "this box",
)
HWMON = Scope(
    "sensor",
    "system/sensors/*/*",
    lambda _facts, path: f"sensor:{path[-2]}/{path[-1]}",
    label=lambda _facts, path: f"sensor {path[-2]} {path[-1]}",
)


def _text(found: object) -> str:
    return found[:TEXT] if isinstance(found, str) else ""


def _blocked(case: Case) -> list[tuple[str, str, str]]:
    """Return name, wait channel and path of the blocked tasks."""
    found = []
    for pid in case.names("/system/tasks/blocked"):
        path = f"/system/tasks/blocked/{pid}"
        found.append((_text(case.get(f"{path}/name")), _text(case.get(f"{path}/wchan")), path))
    return found


def blocked_tasks(case: Case) -> Iterator[Found]:
    """Tasks wait in the kernel, for a second at least, and cannot be killed (state D).

    One that waits in the NVIDIA driver is critical: it does not come back without a reboot. Those that wait for a disk come
    and go under load and are told; any other is a warning. Their stacks are in system/blocked-tasks.txt.

    Fires:
        system/tasks/blocked_count = 1
        system/tasks/blocked/991/name = "nvidia-smi"
        system/tasks/blocked/991/wchan = "os_acquire_rwlock_write"
    Quiet:
        system/tasks/blocked_count = 0
    """
    count = case.number("/system/tasks/blocked_count")
    if count is None or count < 0:
        raise case.unread("/system/tasks/blocked_count")
    if not count:
        return
    tasks = _blocked(case)
    driver = [task for task in tasks if DRIVER.match(task[1]) or DRIVER_TASK.match(task[0])]
    disk = bool(tasks) and all(DISK_WAITS.match(wchan) for _, wchan, _ in tasks)
    shown = [*driver, *(task for task in tasks if task not in driver)][:4]
    named = [
        f"{name or '?'} (pid {path.rpartition('/')[2]}, in {where or 'a place not known'})"
        for name, where, path in shown
    ]
    words = " in the NVIDIA driver" if driver else " for a disk" if disk else ""
    calm = disk and not driver
    yield Found(
        f"{count:g} tasks wait in the kernel{words}: {', '.join(named) or 'their names were not readable'}",
        (case.cite("/system/tasks/blocked_count"), *(case.cite(f"{path}/wchan") for _, _, path in shown)),
        severity=Severity.CRITICAL if driver else Severity.INFO if calm else None,
        verdict=Verdict.REBOOT if driver else Verdict.IGNORE if calm else None,
        next="The NVIDIA driver hangs: keep a bundle (bilbs diag collect), then reboot; a kill does not help."
        if driver
        else "",
    )


def clock(case: Case) -> Iterator[Found]:
    """The host's clock is not synchronised (adjtimex, STA_UNSYNC).

    Times in logs may be off, and tickets and certificates go by them. node-problem-detector looks at the time service only,
    which may run and have no server; the kernel's flag tells both.

    Fires:
        system/clock/synchronized = false
        system/clock/daemons = []
    Quiet:
        system/clock/synchronized = true
    """
    known = case.get("/system/clock/synchronized")
    if not isinstance(known, bool):
        raise case.unread("/system/clock/synchronized")
    if known:
        return
    daemons = case.get("/system/clock/daemons")
    running = [one[:TEXT] for one in daemons if isinstance(one, str)] if isinstance(daemons, list) else []
    who = (
        f"; {', '.join(running[:3])} runs and has not set it"
        if running
        else "; no time service runs"
        if daemons == []
        else ""
    )
    tool = "chronyc sources -v" if "chronyd" in running else "timedatectl timesync-status"
    yield Found(
        f"the clock is not synchronised: times in the logs may be off{who}",
        (case.cite("/system/clock/synchronized"),),
        next=f"See why: {tool}" if running else "",
    )


def reboot_required(case: Case) -> Iterator[Found]:
    """An update waits for a reboot.

    Fires:
        system/reboot_required = true
    Quiet:
        system/reboot_required = false
    """
    found = case.get("/system/reboot_required")
    if not isinstance(found, bool):
        raise case.unread("/system/reboot_required")
    if found:
        yield Found("an update waits for a reboot", (case.cite("/system/reboot_required"),))


def failed_units(case: Case) -> Iterator[Found]:
    """Systemd units failed.

    Those that GPUs and containers live on are a warning, others are told.

    Fires:
        services/failed = ["nvidia-fabricmanager.service"]
    Quiet:
        services/failed = []
    """
    failed = case.get("failed")
    if not isinstance(failed, list):
        raise case.unread("failed")
    names = [one[:TEXT] for one in failed if isinstance(one, str) and one]
    loud = [one for one in names if any(word in one for word in LOUD)]
    rest = [one for one in names if one not in loud]
    for some, is_loud in ((loud, True), (rest, False)):
        if some:
            more = f" and {len(some) - 8} more" if len(some) > 8 else ""
            yield Found(
                f"failed units: {', '.join(some[:8])}{more}",
                (case.cite("failed"), *_why(case, some)),
                severity=Severity.WARNING if is_loud else Severity.INFO,
                verdict=Verdict.INSPECT if is_loud else Verdict.IGNORE,
                next=f"systemctl status {some[0]}; its log is in the bundle below services/logs",
                part="service:gpu" if is_loud and rest else "",
                count=len(some),
            )


def _why(case: Case, names: list[str]) -> Iterator[Evidence]:
    for name in names[:3]:
        if isinstance(case.get(f"units/{name}/result"), str):
            yield case.cite(f"units/{name}/result")


def cpu_throttled(case: Case) -> Iterator[Found]:
    """Processors were slowed down by heat since boot.

    A few times at full load is how processors regulate themselves; thousands of times on one are a cooling fault.

    Fires:
        system/cpu/package_throttled/processors = 64
        system/cpu/package_throttled/largest = 4711
    Quiet:
        system/cpu/package_throttled/processors = 0
        system/cpu/package_throttled/largest = 0
    """
    levels = ("package", "core")
    known = {one: case.number(f"/system/cpu/{one}_throttled/largest") for one in levels}
    if all(count is None for count in known.values()):
        raise case.unread(*(f"/system/cpu/{one}_throttled/largest" for one in levels))
    worst = max(levels, key=lambda one: known[one] or 0)
    count = known[worst] or 0
    if count > 0:
        path = f"/system/cpu/{worst}_throttled"
        many = count >= THROTTLED_MANY
        yield Found(
            f"processors were slowed down by heat, one of them {count:g} times since boot",
            (case.cite(f"{path}/largest"), case.cite(f"{path}/processors")),
            severity=Severity.WARNING if many else Severity.INFO,
            verdict=None if many else Verdict.IGNORE,
        )


def hwmon_critical(case: Case) -> Iterator[Found]:
    """A temperature that the kernel reads is at its own critical limit.

    Fires:
        system/sensors/coretemp/package0/temperature_c = 101.0
        system/sensors/coretemp/package0/critical_c = 100.0
    Quiet:
        system/sensors/coretemp/package0/temperature_c = 61.0
        system/sensors/coretemp/package0/critical_c = 100.0
    """
    now, limit = case.number("temperature_c"), case.number("critical_c")
    if now is None:
        if "temperature_c" in case.names(""):
            raise case.unread("temperature_c")
        return
    if limit is not None and limit > 0 and now >= limit:
        words = f"{case.path[-2]} {case.path[-1]}: {now:g} degrees C, its critical limit is {limit:g}"
        yield Found(words, (case.cite("temperature_c"), case.cite("critical_c")))


HOST_SYSTEM_RULES = (
    Rule(
        "host.tasks.blocked",
        Severity.WARNING,
        Verdict.INSPECT,
        ("/system/tasks/blocked_count",),
        PROC,
        blocked_tasks,
        BOX,
        next="system/blocked-tasks.txt of a bundle (bilbs diag collect, as root) shows what they wait for.",
    ),
    Rule(
        "host.clock.unsynchronised",
        Severity.WARNING,
        Verdict.IGNORE,
        ("/system/clock/synchronized",),
        ADJTIMEX,
        clock,
        BOX,
        next="Start a time service: systemctl enable --now chronyd (or systemd-timesyncd)",
    ),
    Rule(
        "host.reboot_required",
        Severity.INFO,
        Verdict.IGNORE,
        ("/system/reboot_required",),
        "https://wiki.debian.org/UnattendedUpgrades",
        reboot_required,
        BOX,
        next="Reboot at the next maintenance window.",
    ),
    Rule(
        "host.services.failed",
        Severity.WARNING,
        Verdict.INSPECT,
        ("failed",),
        "https://www.freedesktop.org/software/systemd/man/latest/systemctl.html",
        failed_units,
        UNITS,
    ),
    Rule(
        "host.cpu.throttled",
        Severity.WARNING,
        Verdict.INSPECT,
        ("/system/cpu/package_throttled/largest|/system/cpu/core_throttled/largest",),
        THROTTLE,
        cpu_throttled,
        BOX,
        next="Look at fans, filters and air flow; bmc.fan and bmc.sensor rules say how it is now.",
    ),
    Rule(
        "host.temperature.critical",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        "https://docs.kernel.org/hwmon/sysfs-interface.html",
        hwmon_critical,
        HWMON,
        next="Take load off the box now; look at fans, filters and air flow.",
    ),
)
