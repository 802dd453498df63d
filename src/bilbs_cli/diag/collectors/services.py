"""Services: what systemd says failed, the units that a GPU host lives on, container engines, and their recent logs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bilbs_cli import process
from bilbs_cli.diag.collectors import processes, sysfs
from bilbs_cli.diag.job import Collector, Job, Profile
from bilbs_cli.diag.model import NotCollected, Status, Value

UNITS = tuple(
    f"{name}.service"
    for name in (
        "nvidia-persistenced",
        "nvidia-fabricmanager",
        "nvidia-imex",
        "nvidia-dcgm",
        "nvlsm",
        "nvidia-powerd",
        "dcgm-exporter",
        "docker",
        "containerd",
        "crio",
        "kubelet",
        "slurmd",
        "munge",
        "openibd",
        "opensmd",
        "chrony",
        "chronyd",
        "ntpd",
        "systemd-timesyncd",
        "ssh",
        "sshd",
        "systemd-journald",
        "ipmievd",
        "rasdaemon",
        "smartmontools",
        "smartd",
        "systemd-modules-load",
        "dkms",
    )
)
NVIDIA = UNITS[:5]
PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "Result",
    "NRestarts",
    "MainPID",
    "ExecMainStatus",
    "ExecMainCode",
    "ActiveEnterTimestamp",
    "InactiveEnterTimestamp",
    "StateChangeTimestamp",
    "MemoryCurrent",
    "TasksCurrent",
    "FragmentPath",
    "StateChangeTimestampMonotonic",
)
FACTS = {
    "LoadState": "load_state",
    "ActiveState": "active_state",
    "SubState": "sub_state",
    "UnitFileState": "enabled",
    "Result": "result",
}
NUMBERS = {
    "NRestarts": "restarts",
    "MainPID": "main_pid",
    "ExecMainStatus": "exit_status",
    "StateChangeTimestampMonotonic": "state_changed_us",
}
DAEMONS = {
    name[:15]: name
    for name in (  # the kernel keeps 15 characters of a name
        "nvidia-persistenced",
        "nv-fabricmanager",
        "nv-hostengine",
        "nvidia-imex",
        "dockerd",
        "containerd",
        "crio",
        "kubelet",
        "slurmd",
        "chronyd",
        "sshd",
        "systemd-journald",
        "rasdaemon",
    )
}
FILES = ("/etc/docker/daemon.json", "/etc/containerd/config.toml", "/etc/nvidia-container-runtime/config.toml")
UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,254}")  # systemd.unit(5); a dash first is an option
FAILED_LOGS = 20
LINES = 2000
LIST = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--full")
SHOW = ("systemctl", "show", "--no-pager")
MANAGER = "Version,SystemState,Tainted,NFailedUnits,NJobs,Virtualization"
DOCKER_PS = "{{.ID}}\t{{.Image}}\t{{.Status}}\t{{.Names}}"


def collect(job: Job) -> None:
    """Ask systemd where it is the init, look at processes where it is not, then at the container engines."""
    for path in FILES:
        job.file(path)
    names = _running(job)
    if not job.options.live:
        job.record(("systemd",), NotCollected("the mounted system is not running"))
        return
    job.record(("systemd",), Value(booted := bool(job.glob("/run/systemd/system"))))  # sd_booted(3)
    if booted:
        _systemd(job)
    else:
        job.gap("systemd", Status.UNAVAILABLE, "systemd is not the init of this machine", source="/run/systemd/system")
    if job.options.profile is not Profile.TRIAGE:
        _containers(job, names)


def _running(job: Job) -> set[str]:
    """Record which of the daemons that matter run, by the names of processes."""
    tasks = job.attempt("processes/list", lambda: processes.every(job.options.sysroot), timeout_s=10.0) or []
    names = {task.name for task in tasks}
    if tasks:
        for comm, daemon in DAEMONS.items():
            job.record(("processes", daemon, "running"), Value(comm in names))
    return names


def _systemd(job: Job) -> None:
    named = _named(job)
    listing = job.command(LIST, "units.txt", timeout_s=8.0)
    failed = failed_units((listing or b"").decode("utf-8", "replace"))
    if listing:
        job.record(("failed",), Value(failed))
    _logs(job, [name for name in failed if UNIT_NAME.fullmatch(name)][:FAILED_LOGS], named)
    if listing == b"":  # it hangs or cannot be reached: the next questions would each wait as long
        job.record(("failed",), NotCollected("systemctl list-units gave no answer"))
        return
    asked = dict.fromkeys([*UNITS, *named, *[name for name in failed if UNIT_NAME.fullmatch(name)][:FAILED_LOGS]])
    argv = (*SHOW, f"--property={','.join(PROPERTIES)}", "--", *asked)
    units = shown((job.command(argv, "units-shown.txt", timeout_s=8.0) or b"").decode("utf-8", "replace"))
    for unit, properties in units.items():
        if properties.get("LoadState") != "not-found" or unit in named:
            _unit(job, unit, properties)
    job.command((*SHOW, f"--property={MANAGER}"), "manager.txt", timeout_s=5.0)
    job.command(("systemctl", "list-jobs", "--no-legend", "--no-pager", "--full"), "jobs.txt", timeout_s=5.0)


def _named(job: Job) -> list[str]:
    """Return the units that the settings name; what is no unit name is told, not passed on."""
    named = []
    for number, name in enumerate(dict.fromkeys(job.options.services)):
        unit = name if "." in name else f"{name}.service"
        if UNIT_NAME.fullmatch(unit):
            named.append(unit)
        else:
            reason = f"{name!r} is not the name of a systemd unit"
            job.gap(f"named-unit-{number}", Status.SKIPPED, reason, source="settings")
    return named


def _logs(job: Job, failed: list[str], named: list[str]) -> None:
    """Hand the newest lines of units to children of their own: failed and named ones each, the rest in one log."""
    for unit in dict.fromkeys([*failed, *named]):
        job.command(_journal(job, [unit], LINES), f"logs/{unit.replace(chr(92), '_')}.log", timeout_s=20.0, later=True)
    known = NVIDIA if job.options.profile is Profile.TRIAGE else UNITS
    rest = [unit for unit in known if unit not in {*failed, *named}]
    if rest:
        job.command(_journal(job, rest, 5 * LINES), "logs/known-units.log", timeout_s=20.0, later=True)


def _journal(job: Job, units: Iterable[str], lines: int) -> tuple[str, ...]:
    since = (f"--since=@{int(job.options.since.timestamp())}",) if job.options.since else ()
    chosen = (f"--unit={unit}" for unit in units)
    return ("journalctl", *chosen, "-n", str(lines), "--no-pager", "-o", "short-iso", *since)


def _unit(job: Job, unit: str, properties: Mapping[str, str]) -> None:
    sysfs.leaves(job, ("units", unit), {fact: properties.get(name) or None for name, fact in FACTS.items()})
    for name, fact in NUMBERS.items():
        text = properties.get(name, "")
        if text.isdecimal() and len(text) < 20:
            job.record(("units", unit, fact), Value(int(text)))


def failed_units(listing: str) -> list[str]:
    r"""Return the failed units of `systemctl list-units --all --plain --no-legend`; a mark may stand in front.

    >>> failed_units("nvidia-fabricmanager.service loaded failed failed FM\nssh.service loaded active running x\n"
    ...              "● mnt-a.mount not-found failed failed\n")
    ['nvidia-fabricmanager.service', 'mnt-a.mount']
    """
    rows = (line.lstrip("●*\N{MULTIPLICATION SIGN} ").split() for line in listing.splitlines())
    return [row[0] for row in rows if len(row) > 3 and row[2] == "failed"]


def shown(output: str) -> dict[str, dict[str, str]]:
    r"""Return the properties of each unit in the output of `systemctl show`, by its Id.

    >>> shown("Id=a.service\nActiveState=failed\n\nId=b.service\nActiveState=active\n")["b.service"]
    {'Id': 'b.service', 'ActiveState': 'active'}
    """
    blocks = (dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in output.split("\n\n"))
    return {block["Id"]: block for block in blocks if "Id" in block}


def _containers(job: Job, names: set[str]) -> None:
    """Ask the container engines that run; asking one that does not would start it through its socket."""
    if "dockerd" in names or process.find("docker") is None:
        job.command(("docker", "info", "--format", "{{json .}}"), "docker-info.json", timeout_s=6.0)
        job.command(("docker", "ps", "--all", "--no-trunc", "--format", DOCKER_PS), "docker-ps.txt", timeout_s=6.0)
    else:
        reason = "no Docker daemon runs, and asking would start one"
        job.gap("docker-info.json", Status.UNAVAILABLE, reason, source="command: docker info")
    if job.glob("/proc/driver/nvidia/version"):
        job.command(("nvidia-container-cli", "info"), "nvidia-container-cli.txt", timeout_s=15.0, later=True)


SERVICES = Collector(
    "services",
    "Services: failed units, GPU and container daemons",
    "services",
    30.0,
    collect,
    reads=(
        "systemctl list-units, show, list-jobs",
        "journalctl of failed and named units",
        "docker info, ps",
        "nvidia-container-cli info",
        "/proc/PID/stat",
    ),
)
