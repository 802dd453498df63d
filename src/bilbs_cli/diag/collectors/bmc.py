"""The BMC: identity, chassis, sensors, event log, FRUs, network and power, read over IPMI and left as they are."""

from __future__ import annotations

import time
from pathlib import Path

from bilbs_cli.diag.collectors import ipmi_self, ipmi_walks
from bilbs_cli.diag.collectors.ipmi_reader import Reader
from bilbs_cli.diag.collectors.ipmi_session import (
    DEVICES,
    AuthenticationError,
    Bmc,
    NoDevice,
    Timeout,
    open_local,
    open_remote,
)
from bilbs_cli.diag.job import Collector, Job, Options, Profile
from bilbs_cli.diag.model import NotCollected, ReadError, Status, Value

TIMEOUT_S = 20.0
# below what ends the child, so that what was read by then is told
BUDGET_S = {Profile.TRIAGE: 7.0, Profile.STANDARD: 17.0, Profile.FULL: 17.0}
OPEN_S = 15.0
MOST_HANGS = 2  # a driver that hangs twice will hang again: its time is better spent elsewhere
PARTS = (
    "session",
    "device",
    "self_test",
    "chassis",
    "restart_cause",
    "watchdog",
    "sel",
    "sdr",
    "sensors",
    "fru",
    "lan",
    "dcmi",
)


def collect(job: Job) -> None:
    """Read the BMC of this machine through /dev/ipmi0, or the one that was named through RMCP+."""
    if not job.options.live:
        job.gap("bmc", Status.SKIPPED, "the BMC is not part of --sysroot")
        return
    if (hung := sum(map(job.hung, PARTS))) >= MOST_HANGS:
        job.gap("bmc", Status.TIMEOUT, f"{hung} readings never returned; nothing more was asked")
        return
    started = time.monotonic()
    bmc = _open(job, started + BUDGET_S[job.options.profile])
    if bmc is None:
        return
    try:
        _everything(Reader(job, bmc, started))
    finally:
        bmc.close()
    if bmc.over:
        status = Status.TIMEOUT if bmc.lost else Status.PARTIAL
        job.gap("bmc", status, bmc.over.removeprefix("not asked: "), source=bmc.interface)


def _everything(reader: Reader) -> None:
    """Read all of it, what is cheap first; every part ends by itself when the BMC stops answering."""
    reader.job.record(("session", "interface"), Value(reader.bmc.interface))
    reader.job.record(("session", "privilege"), Value(reader.bmc.privilege))
    ipmi_self.read_identity(reader)
    offset_s = ipmi_self.read_clock(reader)
    entries = ipmi_self.read_log_size(reader)
    ipmi_walks.read_sdrs(reader)
    ipmi_walks.read_sensors(reader)
    ipmi_walks.read_log(reader, entries, offset_s)
    ipmi_walks.read_frus(reader)
    ipmi_self.read_lan(reader)
    ipmi_self.read_dcmi(reader)


def _open(job: Job, until: float) -> Bmc | None:
    """Open the session, or record why there is none."""

    def call() -> Bmc | None:
        target = job.options.bmc
        try:
            return open_remote(target, until) if target else open_local(until)
        except NoDevice as error:
            job.record(("session",), NotCollected(str(error)))
            job.gap("bmc", Status.UNAVAILABLE, str(error))
        except Exception as error:  # noqa: BLE001 - the boundary to driver, network and BMC: every failure is evidence
            said = f"{error}: reading the BMC needs root" if isinstance(error, PermissionError) else str(error)
            job.record(("session",), ReadError(type(error).__name__, said, getattr(error, "errno", None)))
            job.gap("bmc", _status(error), said)
        return None

    job.say("opening a session with the BMC")
    bmc: Bmc | None = job.attempt("session", call, timeout_s=OPEN_S)
    return bmc


def _status(error: Exception) -> Status:
    match error:
        case AuthenticationError() | PermissionError():
            return Status.DENIED
        case Timeout():
            return Status.TIMEOUT
        case OSError():
            return Status.UNAVAILABLE
    return Status.FAILED


def obstacle(options: Options) -> str | None:
    """Say that there is no BMC to ask: no device of the kernel's IPMI driver, and no --bmc-host."""
    if not options.live:
        return "the BMC is not part of --sysroot"
    there = options.bmc or any(Path(device).exists() for device in DEVICES)
    return None if there else "no /dev/ipmi0: modprobe -a ipmi_devintf ipmi_si, or --bmc-host"


BMC = Collector(
    "bmc",
    "BMC (IPMI)",
    "ipmi",
    timeout_s=TIMEOUT_S,
    collect=collect,
    obstacle=obstacle,
    reads=(
        "/dev/ipmi0, or RMCP+ to --bmc-host",
        "device id, self test, chassis, watchdog",
        "sensors with thresholds",
        "event log (SEL; never cleared)",
        "FRU inventory",
        "LAN settings",
        "DCMI power",
    ),
    idle=True,
)
