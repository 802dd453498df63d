"""Parsers for the text files that describe a Linux host: os-release, meminfo, cpuinfo, pressure, vmstat, packages."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from typing import Any


def os_release(text: str) -> dict[str, str]:
    r"""Return the assignments of os-release(5), unquoted as a shell would.

    >>> os_release('NAME="Debian GNU/Linux"\nVERSION_ID="12"\n# comment\nBROKEN="x\n')
    {'NAME': 'Debian GNU/Linux', 'VERSION_ID': '12'}
    """
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or not name.isidentifier():
            continue
        try:
            found[name] = "".join(shlex.split(value, comments=False)[:1])
        except ValueError:  # an open quote
            continue
    return found


def meminfo(text: str) -> dict[str, int]:
    r"""Return /proc/meminfo in bytes (proc(5)); lines without a unit are numbers of huge pages.

    >>> meminfo("MemTotal:       24684084 kB\nHugePages_Total:       8\nbroken\n")
    {'MemTotal': 25276502016, 'HugePages_Total': 8}
    """
    found = re.findall(r"^(?:Node \d+ )?([\w()]+):\s+(\d+)( kB)?\s*$", text, re.MULTILINE | re.ASCII)
    return {name: int(number) * (1024 if unit else 1) for name, number, unit in found}


CPU_NAMES = (("model", "model name"), ("microcode", "microcode"))


def cpuinfo(text: str) -> dict[str, Any]:
    r"""Return model, microcode, sockets, cores, threads and whether this is a virtual machine, from /proc/cpuinfo.

    What the file does not say (Arm names no model and no cores) is missing from the result.

    >>> cpuinfo("processor\t: 0\nmodel name\t: AMD EPYC 9654\nphysical id\t: 0\ncore id\t\t: 3\nflags\t: hypervisor\n\n"
    ...         "processor\t: 1\nmodel name\t: AMD EPYC 9654\nphysical id\t: 0\ncore id\t\t: 3\n")
    {'threads': 2, 'model': 'AMD EPYC 9654', 'sockets': 1, 'cores': 1, 'virtual': True}
    """
    blocks = (dict(re.findall(r"^(\w[\w ]*?)\s*: ?(.*)$", block, re.MULTILINE)) for block in text.split("\n\n"))
    processors = [fields for fields in blocks if "processor" in fields]
    if not processors:
        return {}
    found: dict[str, Any] = {"threads": len(processors)}
    first = processors[0]
    found |= {fact: first[name] for fact, name in CPU_NAMES if name in first}
    if all("physical id" in fields for fields in processors):
        found["sockets"] = len({fields["physical id"] for fields in processors})
        if all("core id" in fields for fields in processors):
            found["cores"] = len({(fields["physical id"], fields["core id"]) for fields in processors})
    if "flags" in first:
        found["virtual"] = "hypervisor" in first["flags"].split()
    return found


def pressure(text: str) -> dict[str, dict[str, float]]:
    r"""Return /proc/pressure/* by line: shares of time in percent, the total in seconds (kernel PSI document).

    >>> pressure("some avg10=1.50 avg60=0.18 avg300=0.18 total=5475104\n")
    {'some': {'avg10_percent': 1.5, 'avg60_percent': 0.18, 'avg300_percent': 0.18, 'total_s': 5.475104}}
    """
    found = {}
    for line in text.splitlines():
        name, *fields = line.split()
        if name in {"some", "full"}:
            pairs = dict(field.split("=", 1) for field in fields if "=" in field)
            found[name] = {f"{key}_percent": float(pairs[key]) for key in ("avg10", "avg60", "avg300") if key in pairs}
            found[name] |= {"total_s": int(pairs["total"]) / 1e6} if "total" in pairs else {}
    return found


def load(text: str) -> dict[str, float | int]:
    r"""Return /proc/loadavg (proc(5)).

    >>> load("0.52 0.58 0.59 3/602 12345\n")
    {'load_1m': 0.52, 'load_5m': 0.58, 'load_15m': 0.59, 'threads_running': 3, 'threads': 602}
    """
    one, five, fifteen, tasks, *_ = text.split()
    running, total = tasks.split("/")
    return {
        "load_1m": float(one),
        "load_5m": float(five),
        "load_15m": float(fifteen),
        "threads_running": int(running),
        "threads": int(total),
    }


INTERESTING = re.compile(
    r"(?:lib)?(?:nvidia|cuda|cudnn|nccl|nvshmem|dcgm|datacenter-gpu|nvlsm|gdrcopy|nsight|nv-?fabric)"
    r"|(?:lib)?(?:ibverbs|rdma|slurm|ipmi)|linux-(?:image|headers|firmware)|mlnx|mft|doca|ofed|ucx|openmpi|docker|containerd|moby|podman|runc|kubelet"
    r"|openipmi|freeipmi|systemd$|smartmontools|nvme-cli|mdadm|zfs|dkms|rasdaemon|mcelog|(?:amd64|intel)-microcode",
)
PACKAGE = re.compile(rb"^Package: ([^\n]+)\n(?:(?!Package: )[^\n]+\n)*", re.MULTILINE)


def dpkg_status(data: bytes) -> dict[str, str]:
    r"""Return version by package for the packages that matter here, from /var/lib/dpkg/status.

    A package that is not whole (half-configured by a broken upgrade) has its state behind the version.

    >>> dpkg_status(b"Package: nvidia-driver-570\nStatus: install ok half-configured\nVersion: 570.86.15-0\n\n"
    ...             b"Package: vim\nStatus: install ok installed\nVersion: 9\n\n")
    {'nvidia-driver-570': '570.86.15-0 (half-configured)'}
    """
    found = {}
    for block in PACKAGE.finditer(data):
        name = block[1].decode("utf-8", "replace").strip()
        if not INTERESTING.match(name):
            continue
        fields = dict(re.findall(rb"^(Status|Version|Architecture): (.*)$", block[0], re.MULTILINE))
        state = fields.get(b"Status", b"").decode("utf-8", "replace").split(" ")[-1]
        version = fields.get(b"Version", b"").decode("utf-8", "replace")
        if version and state not in {"config-files", "not-installed"}:
            found[name] = version if state == "installed" else f"{version} ({state or 'unknown state'})"
    return found


def limits(text: str) -> dict[str, int | str]:
    r"""Return soft limits of /proc/PID/limits that stop GPU work when they are low (proc(5)): a number or `unlimited`.

    >>> limits("Limit           Soft Limit   Hard Limit   Units\nMax open files  1024         524288       files\n")
    {'open_files': 1024}
    """
    wanted = {
        "Max open files": "open_files",
        "Max locked memory": "locked_memory_bytes",
        "Max processes": "processes",
        "Max stack size": "stack_bytes",
    }
    rows = (re.split(r"\s{2,}", line) for line in text.splitlines())
    return {
        wanted[row[0]]: int(row[1]) if row[1].isdecimal() else row[1]
        for row in rows
        if len(row) > 1 and row[0] in wanted
    }


def throttled(counts: list[int]) -> dict[str, int]:
    """Return how many processors were throttled by heat, and the largest count of one.

    >>> throttled([0, 7, 0, 12])
    {'processors': 2, 'largest': 12}
    """
    return {"processors": sum(1 for count in counts if count), "largest": max(counts, default=0)}


def tally(states: list[str]) -> dict[str, int]:
    """Return how often each state occurs.

    >>> tally(["S", "D", "S"])
    {'D': 1, 'S': 2}
    """
    return dict(sorted(Counter(states).items()))
