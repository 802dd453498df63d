"""Memory and machine checks: EDAC counters by DIMM, machine checks, errors that the firmware reports, lack of memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bilbs_cli.diag.findings import BOX, Case, Evidence, Found, Rule, Severity, Verdict
from bilbs_cli.diag.model import branch, value
from bilbs_cli.diag.rules.log_events import gather
from bilbs_cli.diag.rules.scopes import EDAC, LOGS

NPD = "https://github.com/kubernetes/node-problem-detector/blob/master/config/kernel-monitor.json"
RAS = "https://docs.kernel.org/admin-guide/RAS/main.html"
PSI = "https://docs.kernel.org/accounting/psi.html"
CPER = "https://uefi.org/specs/UEFI/2.10/Apx_N_Common_Platform_Error_Record.html"
CORRECTED_MANY = 100  # since boot (ours): one a day is noise, hundreds are a DIMM that goes
FULL_SOME, FULL_MUCH = 1.0, 10.0  # percent of five minutes in which nothing ran for lack of memory (ours)
FULL = "/system/pressure/memory/full/avg300_percent"
TEXT = 64
Words = tuple[str, ...]
MOVED = "the same error after the DIMM was moved to another slot"


def _module(case: Case, label: str) -> tuple[str, str]:
    """Return part and words of the memory module that a driver's label names, with what SMBIOS knows of it.

    A label is the board's own where ras-mc-ctl has set it (`CPU0_DIMM_A1`), else the driver's coordinates.
    """
    slots = branch(case.box.facts, "system", "dmi", "memory")
    fits = [
        one
        for one in slots
        if one and re.search(rf"(?<![A-Za-z0-9]){re.escape(one)}(?![A-Za-z0-9])", label, re.IGNORECASE)
    ]
    fits.sort(key=len, reverse=True)
    if not fits or (len(fits) > 1 and len(fits[0]) == len(fits[1])):
        return f"dimm:{label}", label
    known = ((words, value(slots[fits[0]], name)) for name, words in (("part_number", "part"), ("serial", "serial")))
    said = ", ".join(f"{words} {one[:TEXT].strip()}" for words, one in known if isinstance(one, str) and one.strip())
    return f"dimm:{fits[0]}", f"{fits[0]} ({said})" if said else fits[0]


def _dimms(case: Case, counter: str) -> Iterator[tuple[str, int, str]]:
    """Yield label, count and path of every DIMM (or row of one, on old drivers) with errors."""
    for group in ("dimms", "csrows"):
        for dimm in case.names(group):
            path = f"{group}/{dimm}/{counter}"
            count, label = case.number(path), case.get(f"{group}/{dimm}/label")
            if count:
                yield (
                    (label[:TEXT] if isinstance(label, str) and label else f"{case.path[-1]} {dimm}"),
                    int(count),
                    path,
                )


def _counted(case: Case, counter: str, least: int, have: Words = (), missing: Words = ()) -> Iterator[Found]:
    """Yield a finding for each DIMM with at least `least` errors, else one of the controller."""
    total = case.number(counter)
    loud = [row for row in _dimms(case, counter) if row[1] >= least]
    word = "uncorrected" if counter == "ue_count" else "corrected"
    for label, count, path in loud:
        part, words = _module(case, label)
        proof = (case.cite(path), case.cite(counter))
        yield Found(
            f"{count} {word} memory errors on {words} since boot",
            proof,
            part=part,
            count=count,
            have=have,
            missing=missing,
        )
    if not loud and total is not None and total >= least:
        words = f"{int(total)} {word} memory errors since boot; the driver does not say on which DIMM"
        yield Found(words, (case.cite(counter),), count=int(total), have=have, missing=missing)


def edac_uncorrected(case: Case) -> Iterator[Found]:
    """Memory errors that could not be corrected (EDAC).

    What stood there is lost; the kernel kills what used it, or panics. The driver's label is matched with the slots of
    SMBIOS, which gives part number and serial of the module.

    Fires:
        system/edac/mc0/ue_count = 2
        system/edac/mc0/dimms/dimm1/ue_count = 2
        system/edac/mc0/dimms/dimm1/label = "CPU0_DIMM_A1"
        system/dmi/memory/DIMM_A1/serial = "802C0F2231"
        system/dmi/memory/DIMM_A1/part_number = "MTC40F2046"
    Quiet:
        system/edac/mc0/ue_count = 0
    """
    yield from _counted(case, "ue_count", 1, have=("EDAC counted it",), missing=(MOVED,))


def edac_corrected(case: Case) -> Iterator[Found]:
    """Many corrected memory errors (EDAC).

    Corrected errors do no harm by themselves; many of them from one DIMM come before one that cannot be corrected. Sources
    give no number; a hundred since boot is ours. A flood is shown by host.edac.logged too.

    Fires:
        system/edac/mc0/ce_count = 4711
        system/edac/mc0/dimms/dimm0/ce_count = 4711
        system/edac/mc0/dimms/dimm0/label = "CPU0_DIMM_B2"
    Quiet:
        system/edac/mc0/ce_count = 3
    """
    yield from _counted(case, "ce_count", CORRECTED_MANY)


def edac_logged(case: Case) -> Iterator[Found]:
    """The kernel logged a memory error (EDAC).

    Counters start anew at a boot; the log of the boot before still names the DIMM.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: EDAC MC0: 1 UE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1 slot:0)
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: EDAC MC0: Giving out device to module skx_edac
    """
    for seen in gather(case.box, "edac"):
        for kind, of_kind in seen.by("type"):
            for label, one in of_kind.by("dimm"):
                part, words = _module(case, label) if label else ("", "the line does not say which DIMM")
                if kind == "UE":
                    yield one.found(f"uncorrected memory error: {words}", part=part)
                else:
                    severity = Severity.WARNING if one.count >= CORRECTED_MANY else Severity.INFO
                    text = f"corrected memory errors: {words}"
                    yield one.found(text, part=part, severity=severity, verdict=Verdict.IGNORE)


def machine_check(case: Case) -> Iterator[Found]:
    """The processor reported a machine check.

    Corrected ones are told; one that was not corrected is a fault of processor, memory or board. node-problem-detector
    takes both for a sign of a bad node.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: mce: [Hardware Error]: CPU 12: Machine Check Exception: 5 Bank 9: be00000000800400
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: mce: CPU supports 20 MCE banks
    """
    for seen in gather(case.box, "mce"):
        for corrected, one in seen.apart("corrected"):
            where = ", ".join(
                f"{name} {', '.join(one.details(name)[:4])}" for name in ("cpu", "bank") if one.details(name)
            )
            words = "machine checks that were corrected" if corrected else "a machine check that was not corrected"
            told = f"{words}{f' ({where})' if where else ''}"
            quiet = {"severity": Severity.INFO, "verdict": Verdict.IGNORE} if corrected else {}
            yield one.found(told, **quiet)


def firmware_error(case: Case) -> Iterator[Found]:
    """The firmware reported a hardware error to the kernel (APEI, CPER).

    Severities of a CPER: fatal and recoverable are errors that were not corrected, corrected and informational are told.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: {1}[Hardware Error]: event severity: fatal
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: GHES: APEI firmware first mode is enabled by APEI bit and WHEA _OSC.
    """
    for seen in gather(case.box, "ghes"):
        for word, one in seen.by("severity"):
            severity = {"fatal": Severity.CRITICAL, "recoverable": Severity.WARNING}.get(word, Severity.INFO)
            verdict = None if severity is not Severity.INFO else Verdict.IGNORE
            yield one.found(
                f"hardware error from the firmware: {word or 'severity not told'}", severity=severity, verdict=verdict
            )


def poisoned(case: Case) -> Iterator[Found]:
    """The kernel took memory out of use because its content is corrupt.

    Fires:
        system/memory/hardware_corrupted_bytes = 8192
    Quiet:
        system/memory/hardware_corrupted_bytes = 0
    """
    count = case.number("/system/memory/hardware_corrupted_bytes")
    if count:
        words = f"{count / 1024:g} KiB of memory are out of use: their content is corrupt"
        yield Found(words, (case.cite("/system/memory/hardware_corrupted_bytes"),))


def out_of_memory(case: Case) -> Iterator[Found]:
    """Processes were killed for lack of memory.

    One that a container's own limit killed says nothing of the host and is told only; node-problem-detector takes both for
    an event, not for a state of the node.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: Out of memory: Killed process 4242 (python) total-vm:1kB, anon-rss:1kB
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: audit: name="oom-kill"
    """
    for seen in gather(case.box, "oom"):
        for own, one in seen.apart("cgroup"):
            where = "in a container's own limit" if own else "on the host"
            named = ", ".join(one.details("task")[:4]) or "a process"
            severity = Severity.INFO if own else None
            yield one.found(f"out of memory {where}: {named} was killed", severity=severity)


def memory_pressure(case: Case) -> Iterator[Found]:
    """The host stands still for lack of memory.

    Share of the last five minutes in which no task could run because all waited for memory (PSI, full). The kernel gives no
    limit; from a tenth on it is a warning here, from a hundredth on it is told.

    Fires:
        system/pressure/memory/full/avg300_percent = 34.5
    Quiet:
        system/pressure/memory/full/avg300_percent = 0.2
    """
    share = case.number(FULL)
    if share is None or not 0 <= share <= 100:
        raise case.unread(FULL)
    if share >= FULL_SOME:
        severity = Severity.WARNING if share >= FULL_MUCH else Severity.INFO
        words = f"in {share:g} % of the last five minutes everything waited for memory"
        yield Found(words, _sizes(case), severity=severity)


def _sizes(case: Case) -> tuple[Evidence, ...]:
    known = [
        path
        for path in ("/system/memory/available_bytes", "/system/memory/total_bytes")
        if case.number(path) is not None
    ]
    return (case.cite(FULL), *(case.cite(path) for path in known))


COLLECT = "Keep a bundle (bilbs diag collect)"
HOST_MEMORY_RULES = (
    Rule(
        "host.edac.uncorrected",
        Severity.CRITICAL,
        Verdict.RMA,
        ("ue_count",),
        RAS,
        edac_uncorrected,
        EDAC,
        next="Drain the box, swap the DIMM with a neighbour and see which slot fails again; replace what the error follows.",
    ),
    Rule(
        "host.edac.corrected",
        Severity.WARNING,
        Verdict.INSPECT,
        ("ce_count",),
        RAS,
        edac_corrected,
        EDAC,
        next="Watch the number (bilbs diag check); plan to replace the DIMM when it grows.",
    ),
    Rule(
        "host.edac.logged",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        RAS,
        edac_logged,
        LOGS,
        next="host.edac.uncorrected has the counters of this boot; move the DIMM to another slot or replace it.",
    ),
    Rule(
        "host.mce",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        NPD,
        machine_check,
        LOGS,
        next=f"{COLLECT}; look at ipmi/sel.txt for the socket. When it comes again, open a case with the OEM.",
    ),
    Rule(
        "host.ghes",
        Severity.CRITICAL,
        Verdict.INSPECT,
        (),
        CPER,
        firmware_error,
        LOGS,
        next=f"{COLLECT}; the lines after it in the log name the device or the DIMM.",
    ),
    Rule(
        "host.memory.corrupt",
        Severity.WARNING,
        Verdict.INSPECT,
        ("/system/memory/hardware_corrupted_bytes",),
        "https://docs.kernel.org/mm/hwpoison.html",
        poisoned,
        BOX,
        next="host.edac, host.mce and bmc.sel rules name the DIMM; replace it at the next window.",
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
        "host.memory.pressure",
        Severity.WARNING,
        Verdict.RESTART_APP,
        (FULL,),
        PSI,
        memory_pressure,
        BOX,
        next="system/processes.txt lists the largest processes: give them less work, or the host more memory.",
    ),
)
