"""The classes of events in a BMC's event log: what belongs to one, how bad it is, and what to do. Data only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bilbs_cli.diag.findings import Severity, Verdict
from bilbs_cli.diag.rules import ipmi_states
from bilbs_cli.diag.rules.ipmi_states import (
    CHIP_SET,
    FAN,
    INTERRUPT,
    LOGGING,
    MEMORY,
    PROCESSOR,
    REDUNDANCY,
    SPECIFIC,
    SUPPLY,
    TEMPERATURE,
    THRESHOLD,
    UNIT,
    Numbers,
)

C, W = Severity.CRITICAL, Severity.WARNING


@dataclass(frozen=True, slots=True)
class Class:
    """A class of events, a rule each. `example` is an event of it, `words` what its text says.

    `lasts` says that its events are states of a sensor, which may be over without a word in the log; the others are
    moments, which have happened for good. `remembered`: what was taken back is told as history.
    """

    name: str
    title: str
    body: str
    severity: Severity
    verdict: Verdict
    belongs: Callable[[Numbers], bool]
    example: Numbers
    words: str
    next: str
    lasts: bool = False
    remembered: bool = False
    have: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def level(self, numbers: Numbers) -> Severity:
        """Return how bad one event of it is."""
        return ipmi_states.level(*numbers) or self.severity


def _any(*rows: tuple[int, int, tuple[int, ...]]) -> Callable[[Numbers], bool]:
    known = {(kind, event, offset) for kind, event, offsets in rows for offset in offsets}
    return lambda numbers: numbers in known


CLASSES = (  # the first that an event belongs to has it
    Class(
        "memory_uncorrectable",
        "Memory error that could not be corrected",
        "FreeIPMI and gcm (https://github.com/facebookresearch/gcm) call it critical as well.",
        C,
        Verdict.RMA,
        _any((MEMORY, SPECIFIC, (1, 2, 3))),
        (MEMORY, SPECIFIC, 1),
        "uncorrectable ECC / other uncorrectable memory error: memory module 5",
        "Drain the box. Find the DIMM that the event or host.edac names, swap it with a neighbour and see which slot fails "
        "again.",
        have=("the BMC logged it",),
        missing=("the same error after the DIMM was moved to another slot",),
    ),
    Class(
        "memory_correctable",
        "Memory errors that were corrected",
        "One alone is no fault. The limit that the BMC itself counts to, or ten in its log, are a warning (ten is ours). "
        "FreeIPMI warns of each.",
        W,
        Verdict.INSPECT,
        _any((MEMORY, SPECIFIC, (0, 5))),
        (MEMORY, SPECIFIC, 5),
        "correctable ECC logging limit reached",
        "Watch host.edac.corrected; plan to replace the DIMM when its number grows.",
    ),
    Class(
        "power_supply",
        "Power supply failed or lost its input",
        "A lost input that came back is history.",
        C,
        Verdict.INSPECT,
        _any((SUPPLY, SPECIFIC, (1, 2, 3, 4, 5, 6))),
        (SUPPLY, SPECIFIC, 1),
        "failure detected",
        "Look at cord and feed of the supply that is named, then at the supply itself; bmc.psu says how it is now.",
        lasts=True,
        remembered=True,
    ),
    Class(
        "power_unit",
        "Box lost its power, or could not switch it",
        "AC that was lost is history once the box is seen to run again: event logs rarely take it back.",
        C,
        Verdict.INSPECT,
        _any((UNIT, SPECIFIC, (2, 3, 4, 5, 6, 7))),
        (UNIT, SPECIFIC, 6),
        "failure detected",
        "Look at both feeds and at the power distribution board; bmc.psu says how the supplies are now.",
        lasts=True,
        remembered=True,
    ),
    Class(
        "thermal_trip",
        "Something was switched off for its temperature",
        "A thermal trip, or a temperature past its non-recoverable limit.",
        C,
        Verdict.INSPECT,
        _any(
            (PROCESSOR, SPECIFIC, (1,)),
            (CHIP_SET, SPECIFIC, (1,)),
            (MEMORY, SPECIFIC, (10,)),
            (TEMPERATURE, THRESHOLD, (11,)),
        ),
        (PROCESSOR, SPECIFIC, 1),
        "thermal trip",
        "Look at fans, filters and air flow before it gets load again; bmc.sensor rules say how warm it is now.",
    ),
    Class(
        "processor",
        "Processor reported an error of its own",
        "IERR, a failed start or self test, a machine check that was not corrected.",
        C,
        Verdict.INSPECT,
        _any((PROCESSOR, SPECIFIC, (0, 2, 3, 4, 5, 6, 11))),
        (PROCESSOR, SPECIFIC, 0),
        "IERR",
        "Keep a bundle (bilbs diag collect) and look at host.mce; when it comes again, open a case with the OEM.",
    ),
    Class(
        "bus_fatal",
        "Fatal error on a bus: PCI SERR or PERR, fatal NMI, bus fatal or uncorrectable",
        "Data bytes 2 and 3 often are bus and device of the sender; which it is the maker decides.",
        C,
        Verdict.INSPECT,
        _any((INTERRUPT, SPECIFIC, (1, 2, 4, 5, 6, 8, 9, 10))),
        (INTERRUPT, SPECIFIC, 10),
        "bus fatal error",
        "Look in the timeline (bilbs diag show) for the device that was lost then, and at host.aer rules; seat that card again.",
    ),
    Class(
        "redundancy",
        "Redundancy was lost",
        "Of power supplies, fans or memory: the next failure takes the box down.",
        C,
        Verdict.INSPECT,
        lambda numbers: numbers[1] == REDUNDANCY and ipmi_states.level(*numbers) is not None,
        (SUPPLY, REDUNDANCY, 1),
        "redundancy lost",
        "Replace what failed (bmc.psu, bmc.fan.stopped) before the next one does.",
        lasts=True,
    ),
    Class(
        "fan",
        "Fan was at or below its critical limit",
        "",
        C,
        Verdict.INSPECT,
        lambda numbers: numbers[0] == FAN and (numbers[1] != THRESHOLD or numbers[2] in {2, 4}) and _is_bad(numbers),
        (FAN, THRESHOLD, 2),
        "lower critical, going low: reading 400 RPM, threshold 500 RPM",
        "Replace that fan; bmc.fan.stopped says how it turns now.",
        lasts=True,
    ),
    Class(
        "threshold",
        "Sensor was past a critical limit",
        "",
        C,
        Verdict.INSPECT,
        lambda numbers: numbers[1] == THRESHOLD and _is_bad(numbers),
        (TEMPERATURE, THRESHOLD, 9),
        "upper critical, going high: reading 97 degrees C, threshold 95 degrees C",
        "bmc.sensor.critical says how it is now; look at what the sensor watches.",
        lasts=True,
    ),
    Class(
        "watchdog",
        "Watchdog of the BMC reset the box or switched it off",
        "The host hung before, or nobody reset the timer.",
        W,
        Verdict.INSPECT,
        _any((0x23, SPECIFIC, (1, 2, 3)), (0x11, SPECIFIC, (0, 1, 2, 3, 4, 5))),
        (0x23, SPECIFIC, 1),
        "hard reset",
        "Look at the previous boot's kernel log for what the host last did (bilbs diag show has the timeline).",
    ),
    Class(
        "os_stop",
        "Operating system stopped, says the event log",
        "The kernel writes this when it panics, where it is told to (ipmi_msghandler, panic_op).",
        C,
        Verdict.INSPECT,
        _any((0x20, SPECIFIC, (0, 1))),
        (0x20, SPECIFIC, 1),
        "run-time critical stop",
        "host.panic and the previous boot's log say why; keep the bundle: bilbs diag collect",
    ),
    Class(
        "other",
        "Another fault in the BMC's event log",
        "How bad is decided by sensor type and offset, as FreeIPMI's interpret_sel.conf does.",
        C,
        Verdict.INSPECT,
        lambda numbers: numbers[0] != LOGGING and _is_bad(numbers),
        (0x29, SPECIFIC, 1),
        "battery failed",
        "Look at the part that the event names.",
        lasts=True,
    ),
)


def _is_bad(numbers: Numbers) -> bool:
    return ipmi_states.level(*numbers) is not None


def class_of(numbers: Numbers) -> Class | None:
    """Return the class of an asserted event, None for one that is no fault or is about the log itself."""
    return next((one for one in CLASSES if one.belongs(numbers)), None)
