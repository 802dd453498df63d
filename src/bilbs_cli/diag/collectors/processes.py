"""Processes as /proc shows them: state, memory, processor time and name, never arguments (they hold secrets).

Only `stat`, `schedstat`, `wchan` and `stack` are read: `cmdline` and `environ` take the memory lock of the process, and
reading them of one that hangs in a driver hangs as well.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bilbs_cli import files
from bilbs_cli.diag.collectors import sysfs

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STAT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Task:
    """One process or thread. `cpu_s` is processor time since its start, `started_s` seconds after boot."""

    pid: int
    name: str
    state: str
    threads: int
    cpu_s: float
    started_s: float
    rss_bytes: int


def parse_stat(text: str) -> Task:
    """Return the task of a `/proc/PID/stat` line (proc(5)). Raises `ValueError`.

    The name may hold spaces, parentheses and control characters; the latter are made visible.

    >>> parse_stat("4242 (nv (x) y) D 1 4242 4242 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 7 0 1234 1000 25 184467")
    Task(pid=4242, name='nv (x) y', state='D', threads=7, cpu_s=2.0, started_s=12.34, rss_bytes=102400)
    """
    left, _, right = text.rpartition(")")
    pid, _, name = left.partition(" (")
    fields = right.split()
    if len(fields) < 22:
        raise ValueError("too few fields in a stat line")
    ticks = int(fields[11]) + int(fields[12])
    return Task(
        int(pid),
        visible(name),
        fields[0],
        int(fields[17]),
        ticks / TICKS_PER_S,
        int(fields[19]) / TICKS_PER_S,
        int(fields[21]) * PAGE_BYTES,
    )


def visible(name: str) -> str:
    r"""Return a name with control characters as escapes, so that it cannot make lines of its own.

    >>> visible("kworker\n[31m")
    'kworker\\x0a[31m'
    """
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in name)


def read(root: Path | None, folder: str) -> Task | None:
    """Return the task of a `/proc/PID` or `/proc/PID/task/TID` folder, None when it has ended or is not one."""
    with suppress(OSError, ValueError, files.NotReadable):
        return parse_stat(_stat_line(root, folder).decode("utf-8", "replace"))
    return None


def _stat_line(root: Path | None, folder: str) -> bytes:
    if root is not None:
        return sysfs.content(root, f"{folder}/stat", STAT_BYTES)
    handle = os.open(f"{folder}/stat", os.O_RDONLY | os.O_CLOEXEC)  # procfs: thousands of threads, no checks needed
    try:
        return os.read(handle, STAT_BYTES)
    finally:
        os.close(handle)


def every(root: Path | None) -> list[Task]:
    """Return all processes, by number."""
    pids = sorted(int(name) for name in sysfs.names(root, "/proc") if name.isdecimal() and name.isascii())
    return [task for pid in pids if (task := read(root, f"/proc/{pid}"))]


def blocked(root: Path | None, tasks: list[Task], budget_s: float) -> tuple[list[tuple[str, Task]], bool]:
    """Return every process and thread in state D with its folder, and whether `budget_s` was enough to look at all.

    A driver that hangs often holds a worker thread while the process itself sleeps, so threads are looked at too.
    """
    until = time.monotonic() + budget_s
    found: list[tuple[str, Task]] = []
    for task in tasks:
        if time.monotonic() > until:
            return found, False
        folder = f"/proc/{task.pid}"
        if task.threads < 2:
            found += [(folder, task)] if task.state == "D" else []
            continue
        threads = [f"{folder}/task/{tid}" for tid in sysfs.names(root, f"{folder}/task")] or [folder]
        found += [(thread, seen) for thread in threads if (seen := read(root, thread)) and seen.state == "D"]
    return found, True


def stayed(blocked: list[tuple[str, Task]], wait_s: float) -> list[tuple[str, Task]]:
    """Return those that are in state D for another `wait_s` seconds, all the time.

    Each read of a disk is a moment of that state. Who has run in between (schedstat, where the kernel has it) is only busy.
    """
    if not blocked:
        return []
    before = [_turns(folder) for folder, _ in blocked]
    time.sleep(wait_s)
    return [
        (folder, task)
        for (folder, task), turns in zip(blocked, before, strict=True)
        if (now := read(None, folder)) and now.state == "D" and _turns(folder) == turns
    ]


def _turns(folder: str) -> str:
    with suppress(OSError):
        return Path(f"{folder}/schedstat").read_text().rpartition(" ")[2]
    return ""


def table(tasks: list[Task], uptime_s: float | None, limit: int = 40) -> str:
    """Return the largest and the busiest tasks as text: resident memory, then processor time."""
    head = f"{'pid':>8} {'state':5} {'threads':>7} {'rss_mib':>9} {'cpu_s':>10} {'age_s':>10}  name\n"

    def row(task: Task) -> str:
        age = f"{uptime_s - task.started_s:.0f}" if uptime_s is not None else "?"
        memory_mib = task.rss_bytes / (1 << 20)
        return (
            f"{task.pid:8} {task.state:5} {task.threads:7} {memory_mib:9.1f} {task.cpu_s:10.1f} {age:>10}"
            f"  {task.name}\n"
        )

    memory = sorted(tasks, key=lambda task: task.rss_bytes, reverse=True)[:limit]
    busy = sorted(tasks, key=lambda task: task.cpu_s, reverse=True)[:limit]
    return f"by resident memory\n{head}{''.join(map(row, memory))}\nby processor time\n{head}{''.join(map(row, busy))}"
