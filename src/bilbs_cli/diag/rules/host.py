"""The host under the GPUs: memory and machine checks, PCIe errors, lockups and crashes, its clock and services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bilbs_cli.diag.findings import BOX, Case, Found, Rule, Scope, Severity, Verdict
from bilbs_cli.diag.model import branch, value
from bilbs_cli.diag.rules.log_events import Gathered, gather
from bilbs_cli.diag.rules.scopes import EDAC, LOGS, PCI_DEVICE

NPD = "https://github.com/kubernetes/node-problem-detector/blob/master/config/kernel-monitor.json"
GPUD = "https://github.com/leptonai/gpud"
RAS = "https://docs.kernel.org/admin-guide/RAS/main.html"
AER = "https://docs.kernel.org/PCI/pcieaer-howto.html"
PSI = "https://docs.kernel.org/accounting/psi.html"
CE_MANY = 100  # corrected memory errors since boot; one a day is noise, hundreds are a DIMM that goes
HUNG_MANY = 5  # hung tasks that gpud takes for a fault; fewer are told
AER_MANY = 10_000  # corrected PCIe errors of one device since boot
PRESSURE_PERCENT = 10.0  # of the last five minutes in which nobody could run for lack of memory
LOUD_UNITS = ("nvidia", "fabricmanager", "docker", "containerd", "kubelet", "crio", "slurmd", "dcgm", "bilbs")
UNITS = Scope(
    "service",
    "services",
    lambda _facts, _path: "host",
    lambda _: "the services were not asked",
    lambda _facts, _path: "this box",
)


def _logged(seen: Gathered, words: str, **more: Any) -> Found:
    return Found(words, seen.evidence(), count=seen.count, first_at=seen.first_at, last_at=seen.last_at, **more)


def _detail(seen: Gathered, name: str) -> list[str]:
    """Return the different values of a detail, in order."""
    found = (event.detail.get(name) for _, event in seen.told)
    return list(dict.fromkeys(str(one) for one in found if isinstance(one, str | int) and one != ""))


def edac_uncorrected(case: Case) -> Iterator[Found]:
    """Memory errors that could not be corrected (EDAC).

    A DIMM with an uncorrected error loses data; the kernel kills what used it, or panics.

    Fires:
        system/edac/mc0/ue_count = 2
        system/edac/mc0/dimms/dimm1/ue_count = 2
        system/edac/mc0/dimms/dimm1/label = "CPU0_DIMM_A1"
    Quiet:
        system/edac/mc0/ue_count = 0
    """
    count = case.number("ue_count")
    if count:
        yield Found(
            f"{count} uncorrected memory errors{_dimms(case, 'ue_count')}",
            (case.cite("ue_count"),),
            have=("EDAC counted it",),
            missing=("the same after the module was moved to another slot",),
        )


def edac_corrected(case: Case) -> Iterator[Found]:
    """Many corrected memory errors (EDAC).

    Corrected errors do no harm by themselves; many of them from one DIMM come before an uncorrected one.

    Fires:
        system/edac/mc0/ce_count = 4711
    Quiet:
        system/edac/mc0/ce_count = 3
    """
    count = case.number("ce_count")
    if count is not None and count >= CE_MANY:
        yield Found(f"{count} corrected memory errors since boot{_dimms(case, 'ce_count')}", (case.cite("ce_count"),))


def _dimms(case: Case, counter: str) -> str:
    named = []
    for dimm in case.names("dimms"):
        count = case.number(f"dimms/{dimm}/{counter}")
        if count:
            named.append(f"{case.get(f'dimms/{dimm}/label') or dimm} ({count})")
    return f", on {', '.join(named)}" if named else ", the driver does not say on which DIMM"


def edac_logged(case: Case) -> Iterator[Found]:
    """The kernel logged a memory error (EDAC).

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: EDAC MC0: 1 UE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1 slot:0)
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: EDAC MC0: Giving out device to module skx_edac
    """
    for seen in gather(case.box, "edac"):
        dimms = ", ".join(_detail(seen, "dimm")) or "the line does not say which DIMM"
        bad = "UE" in _detail(seen, "type")
        severity = Severity.CRITICAL if bad else Severity.INFO
        verdict = Verdict.INSPECT if bad else Verdict.IGNORE
        words = "uncorrected" if bad else "corrected"
        yield _logged(seen, f"memory error, {words}: {dimms}", severity=severity, verdict=verdict)


def machine_check(case: Case) -> Iterator[Found]:
    """The processor reported a machine check.

    Corrected ones are told; one that was not corrected is a fault of processor, memory or board.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: mce: [Hardware Error]: CPU 12: Machine Check Exception: 5 Bank 9: be00000000800400
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: mce: CPU supports 20 MCE banks
    """
    for seen in gather(case.box, "mce"):
        corrected = all(event.detail.get("corrected") is True for _, event in seen.told)
        words = "corrected machine checks" if corrected else "a machine check that was not corrected"
        severity = Severity.INFO if corrected else Severity.CRITICAL
        yield _logged(seen, words, severity=severity, verdict=Verdict.IGNORE if corrected else Verdict.INSPECT)


def firmware_error(case: Case) -> Iterator[Found]:
    """The firmware reported a hardware error (APEI, CPER).

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: {1}[Hardware Error]: event severity: fatal
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: GHES: APEI firmware first mode is enabled by APEI bit and WHEA _OSC.
    """
    for seen in gather(case.box, "ghes"):
        words = _detail(seen, "severity")
        fatal = "fatal" in words
        severity = Severity.CRITICAL if fatal else Severity.WARNING if "recoverable" in words else Severity.INFO
        yield _logged(
            seen,
            f"hardware error from the firmware: {', '.join(words)}",
            severity=severity,
            verdict=Verdict.INSPECT if severity is not Severity.INFO else Verdict.IGNORE,
        )


def aer_counted(case: Case) -> Iterator[Found]:
    """The kernel counted PCIe errors of this device since boot (AER).

    A fatal error of a GPU or of a bridge above it is critical: the link was lost. Corrected ones are told when there are
    ten thousand: a link that runs so is not sound (seating, riser, signal).

    Fires:
        pci/devices/0000:3b:00.0/kind = "gpu"
        pci/devices/0000:3b:00.0/aer_fatal = {"TOTAL_ERR_FATAL": 1, "SDES": 1}
    Quiet:
        pci/devices/0000:3b:00.0/kind = "gpu"
        pci/devices/0000:3b:00.0/aer_fatal = {"TOTAL_ERR_FATAL": 0}
    """
    fatal = _total(case.get("aer_fatal")) or case.number("aer_root_fatal") or 0
    if fatal:
        serious = str(case.get("kind")) in {"gpu", "nvswitch", "bridge"}
        path = "aer_fatal" if _total(case.get("aer_fatal")) else "aer_root_fatal"
        yield Found(
            f"{fatal} fatal PCIe errors of this {case.get('kind')} since boot",
            (case.cite(path),),
            severity=Severity.CRITICAL if serious else Severity.WARNING,
        )
        return
    corrected = _total(case.get("aer_correctable"))
    if corrected >= AER_MANY:
        yield Found(
            f"{corrected} corrected PCIe errors of this {case.get('kind')} since boot",
            (case.cite("aer_correctable"),),
            severity=Severity.WARNING,
            next="Seat the card and its riser again at the next maintenance window.",
        )


def _total(counters: Any) -> int:
    if not isinstance(counters, Mapping):
        return 0
    totals = [number for name, number in counters.items() if str(name).startswith("TOTAL") and isinstance(number, int)]
    numbers = totals or [number for number in counters.values() if isinstance(number, int)]
    return sum(numbers)


def aer_logged(case: Case) -> Iterator[Found]:
    """The kernel logged a PCIe error (AER).

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: pcieport 0000:3a:00.0: AER: Uncorrected (Fatal) error received: 0000:3b:00.0
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: pcieport 0000:3a:00.0: AER: enabled with IRQ 33
    """
    for seen in gather(case.box, "aer"):
        words = _detail(seen, "severity")
        bad = bool({"fatal", "unrecovered"} & set(words))
        severity = Severity.CRITICAL if bad else Severity.WARNING if "nonfatal" in words else Severity.INFO
        yield _logged(
            seen,
            f"PCIe error ({', '.join(words)}) of {seen.pci or 'a device that is not named'}",
            severity=severity,
            verdict=Verdict.INSPECT if bad else Verdict.IGNORE,
            part=_device_part(case, seen.pci),
        )


def _device_part(case: Case, pci: str) -> str:
    kind = value(case.box.facts, "pci", "devices", pci, "kind") if pci else None
    known = pci in branch(case.box.facts, "gpu", "pci") or kind == "gpu"
    known = known or any(seen.pci == pci for seen in gather(case.box, "xid"))
    return f"gpu:{pci}" if known else f"pci:{pci or 'unknown'}"


def pci_dead(case: Case) -> Iterator[Found]:
    """A device on the PCI bus does not answer: its registers read as all ones.

    GPUs have a rule of their own (gpu.lost).

    Fires:
        pci/devices/0000:5e:00.0/kind = "nic"
        pci/devices/0000:5e:00.0/answers = false
    Quiet:
        pci/devices/0000:5e:00.0/kind = "nic"
        pci/devices/0000:5e:00.0/answers = true
    """
    if case.get("answers") is False and case.get("kind") != "gpu":
        yield Found(f"this {case.get('kind') or 'device'} does not answer on the PCI bus", (case.cite("answers"),))


def out_of_memory(case: Case) -> Iterator[Found]:
    """Processes were killed for lack of memory.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: Out of memory: Killed process 4242 (python) total-vm:1kB, anon-rss:1kB
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: audit: name="oom-kill"
    """
    for seen in gather(case.box, "oom"):
        own = all(event.detail.get("cgroup") is True for _, event in seen.told)
        where = "in a container's own limit" if own else "on the host"
        named = ", ".join(_detail(seen, "task")[:4])
        yield _logged(
            seen, f"out of memory {where}: {named or 'a process'} was killed", severity=Severity.INFO if own else None
        )


def hung_task(case: Case) -> Iterator[Found]:
    """Tasks hung in the kernel for minutes.

    Gpud takes five for a fault; fewer are told. A task that waits for the GPU driver says that the driver hangs.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: INFO: task python:4242 blocked for more than 120 seconds.
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: systemd[1]: Started a task.
    """
    for seen in gather(case.box, "hung_task"):
        many = seen.count >= HUNG_MANY
        tasks = ", ".join(_detail(seen, "task")[:4])
        yield _logged(
            seen,
            f"tasks hung in the kernel: {tasks}",
            severity=Severity.WARNING if many else Severity.INFO,
            verdict=Verdict.REBOOT if many else Verdict.IGNORE,
        )


def lockup(case: Case) -> Iterator[Found]:
    """A processor was stuck in the kernel (soft lockup, hard lockup, RCU stall).

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [nvidia-smi:991]
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: rcu: Hierarchical RCU implementation.
    """
    for kind, words in (("soft_lockup", "soft lockup"), ("hard_lockup", "hard lockup"), ("rcu_stall", "RCU stall")):
        for seen in gather(case.box, kind):
            yield _logged(
                seen,
                f"a processor was stuck in the kernel ({words})",
                severity=Severity.CRITICAL if kind == "hard_lockup" else None,
            )


def kernel_panic(case: Case) -> Iterator[Found]:
    """The kernel panicked.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: Kernel panic - not syncing: Fatal exception
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: Kernel command line: panic=10
    """
    for seen in gather(case.box, "panic"):
        yield _logged(seen, f"the kernel panicked: {', '.join(_detail(seen, 'why')) or 'no reason given'}")


def kernel_oops(case: Case) -> Iterator[Found]:
    """The kernel failed in one place and went on (oops, BUG).

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: BUG: unable to handle page fault for address: ffffb2c0c0d0
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: Kernel command line: oops=panic
    """
    for seen in gather(case.box, "oops"):
        yield _logged(seen, "the kernel failed in one place and went on: what runs now is not to be trusted")


def thermal(case: Case) -> Iterator[Found]:
    """A processor was throttled for its temperature.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: CPU3: Core temperature above threshold, cpu clock throttled (total events = 1)
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: thermal_sys: Registered thermal governor 'step_wise'
    """
    for seen in gather(case.box, "thermal"):
        yield _logged(seen, "a processor was throttled for its temperature")


def blocked_tasks(case: Case) -> Iterator[Found]:
    """Tasks wait in the kernel now and cannot be killed (state D).

    A few come and go with disks under load. One that waits in the NVIDIA driver does not come back without a reboot.

    Fires:
        system/tasks/blocked_count = 2
        system/tasks/blocked/991/name = "nvidia-smi"
        system/tasks/blocked/991/wchan = "nv_wait_event"
    Quiet:
        system/tasks/blocked_count = 0
    """
    count = case.number("/system/tasks/blocked_count")
    if not count:
        return
    named = []
    for pid in case.names("/system/tasks/blocked"):
        base = f"/system/tasks/blocked/{pid}"
        named.append(f"{case.get(f'{base}/name')} (pid {pid}, in {case.get(f'{base}/wchan') or 'a place not known'})")
    in_driver = any(
        "nv" in str(case.get(f"/system/tasks/blocked/{pid}/wchan")) for pid in case.names("/system/tasks/blocked")
    )
    yield Found(
        f"{count} tasks wait in the kernel: {', '.join(named[:4]) or 'their names were not readable'}",
        (case.cite("/system/tasks/blocked_count"),),
        severity=Severity.CRITICAL if in_driver else None,
        verdict=Verdict.REBOOT if in_driver else None,
        next="The NVIDIA driver hangs: collect (bilbs diag collect), then reboot; a kill does not help."
        if in_driver
        else "",
    )


def clock(case: Case) -> Iterator[Found]:
    """The host's clock is not synchronised (adjtimex, STA_UNSYNC).

    Times in logs may be off, and tickets and certificates go by them.

    Fires:
        system/clock/synchronized = false
    Quiet:
        system/clock/synchronized = true
    """
    if case.get("/system/clock/synchronized") is False:
        yield Found(
            "the clock is not synchronised: times in the logs may be off", (case.cite("/system/clock/synchronized"),)
        )


def reboot_required(case: Case) -> Iterator[Found]:
    """An update waits for a reboot.

    Fires:
        system/reboot_required = true
    Quiet:
        system/reboot_required = false
    """
    if case.get("/system/reboot_required") is True:
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
    names = [str(name) for name in failed] if isinstance(failed, list) else []
    if not names:
        return
    loud = [name for name in names if any(word in name for word in LOUD_UNITS)]
    first = loud or names
    yield Found(
        f"failed units: {', '.join([*loud, *(name for name in names if name not in loud)][:8])}",
        (case.cite("failed"),),
        severity=Severity.WARNING if loud else Severity.INFO,
        verdict=Verdict.INSPECT if loud else Verdict.IGNORE,
        next=f"systemctl status {first[0]}; its log is in the bundle below services/logs",
    )


def memory_pressure(case: Case) -> Iterator[Found]:
    """The host stands still for lack of memory.

    In more than a tenth of the last five minutes no task could run because all of them waited for memory (PSI, full).

    Fires:
        system/pressure/memory/full/avg300_percent = 34.5
    Quiet:
        system/pressure/memory/full/avg300_percent = 0.2
    """
    share = case.number("/system/pressure/memory/full/avg300_percent")
    if share is not None and share >= PRESSURE_PERCENT:
        path = "/system/pressure/memory/full/avg300_percent"
        yield Found(f"in {share:g} % of the last five minutes everything waited for memory", (case.cite(path),))


CHECK = "Collect (bilbs diag collect), then: bilbs diag check"
HOST_RULES = (
    Rule(
        "host.edac.uncorrected",
        Severity.CRITICAL,
        Verdict.RMA,
        ("ue_count",),
        RAS,
        edac_uncorrected,
        EDAC,
        next="Drain the box, move the DIMM to another slot or replace it; then: bilbs diag check",
    ),
    Rule(
        "host.edac.corrected",
        Severity.WARNING,
        Verdict.INSPECT,
        ("ce_count",),
        RAS,
        edac_corrected,
        EDAC,
        next="Watch the number; plan to replace the DIMM when it grows.",
    ),
    Rule(
        "host.edac.logged",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        NPD,
        edac_logged,
        LOGS,
        next="Look at host.edac.uncorrected for the counters; move or replace the DIMM.",
    ),
    Rule(
        "host.mce",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        NPD,
        machine_check,
        LOGS,
        next=f"{CHECK}. It comes again: open a case with the OEM.",
    ),
    Rule(
        "host.ghes",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        NPD,
        firmware_error,
        LOGS,
        next=f"{CHECK}. The lines after it name the device.",
    ),
    Rule(
        "host.aer.counted",
        Severity.CRITICAL,
        Verdict.INSPECT,
        ("aer_fatal",),
        AER,
        aer_counted,
        PCI_DEVICE,
        next=f"Seat card and riser again, look at the slot's power. {CHECK}",
    ),
    Rule(
        "host.aer.logged",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        AER,
        aer_logged,
        LOGS,
        next=f"Seat card and riser again, look at the slot's power. {CHECK}",
    ),
    Rule(
        "host.pci.dead",
        Severity.CRITICAL,
        Verdict.REBOOT,
        ("answers",),
        AER,
        pci_dead,
        PCI_DEVICE,
        next=f"Power the box off fully and start it. {CHECK}",
    ),
    Rule(
        "host.oom",
        Severity.WARNING,
        Verdict.RESTART_APP,
        (),
        NPD,
        out_of_memory,
        LOGS,
        next="Give the application less work or more memory, and restart it.",
    ),
    Rule(
        "host.hung_task",
        Severity.WARNING,
        Verdict.REBOOT,
        (),
        GPUD,
        hung_task,
        LOGS,
        next=f"Look at what they wait for (system/blocked-tasks.txt). {CHECK}",
    ),
    Rule(
        "host.lockup",
        Severity.WARNING,
        Verdict.REBOOT,
        (),
        NPD,
        lockup,
        LOGS,
        next=f"{CHECK}. It comes again: reboot, and look at firmware and driver versions.",
    ),
    Rule(
        "host.panic",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        NPD,
        kernel_panic,
        LOGS,
        next="Look at the timeline for what came before it; keep the bundle: bilbs diag collect",
    ),
    Rule(
        "host.oops",
        Severity.WARNING,
        Verdict.REBOOT,
        (),
        NPD,
        kernel_oops,
        LOGS,
        next="Keep the bundle (bilbs diag collect), then reboot at the next window.",
    ),
    Rule(
        "host.thermal",
        Severity.WARNING,
        Verdict.INSPECT,
        (),
        GPUD,
        thermal,
        LOGS,
        next="Look at fans, filters and air flow: bmc.fan and bmc.sensor rules.",
    ),
    Rule(
        "host.tasks.blocked",
        Severity.WARNING,
        Verdict.INSPECT,
        ("/system/tasks/blocked_count",),
        GPUD,
        blocked_tasks,
        BOX,
        next="Look at system/blocked-tasks.txt for what they wait for.",
    ),
    Rule(
        "host.clock.unsynchronised",
        Severity.WARNING,
        Verdict.IGNORE,
        ("/system/clock/synchronized",),
        "https://man7.org/linux/man-pages/man2/adjtimex.2.html",
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
        "host.memory.pressure",
        Severity.WARNING,
        Verdict.RESTART_APP,
        ("/system/pressure/memory/full/avg300_percent",),
        PSI,
        memory_pressure,
        BOX,
        next="Give the applications less work or the host more memory.",
    ),
)
