"""What the BMC says now: sensors past their limits, states that alarm, power supplies, its clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bilbs_cli.diag.findings import Case, Found, Rule, Severity, Verdict
from bilbs_cli.diag.model import ReadError, branch, lookup, value
from bilbs_cli.diag.rules.scopes import BMC, SEL, SENSOR

IPMI = (
    "https://www.intel.com/content/www/us/en/products/docs/servers/ipmi/ipmi-second-gen-interface-spec-v2-rev1-1.html"
)
FREEIPMI = "https://www.gnu.org/software/freeipmi/manpages/man5/freeipmi_interpret_sensor.conf.5.html"
LOOK = {  # by sensor type
    "Temperature": "Look at fans, filters, air flow and load first; then at the part that the sensor watches.",
    "Voltage": "Look at the part that gives this voltage: a battery (VBAT), a power supply, a regulator of the board.",
    "Current": "Look at what draws the current, and at the supplies that share it.",
}
SKEW_S = 60.0  # between the BMC's clock and the host's: more, and their logs do not fit together
ALARMS: Mapping[str, tuple[str, ...]] = {  # IPMI 2.0 table 42-3, by sensor type: the states that are a fault
    "Power Supply": (
        "failure detected",
        "predictive failure",
        "input lost",
        "input out of range",
        "configuration error",
    ),
    "Processor": ("ierr", "thermal trip", "frb", "uncorrectable", "machine check exception", "configuration error"),
    "Memory": ("uncorrectable", "parity", "memory device disabled", "critical overtemperature"),
    "Critical Interrupt": ("nmi", "timeout", "serr", "perr", "uncorrectable", "fatal", "failsafe"),
    "Drive Slot / Bay": ("drive fault", "predictive failure", "in failed array", "in critical array"),
    "Battery": ("battery low", "battery failed"),
    "Watchdog 2": ("hard reset", "power down", "power cycle"),
    "Cooling Device": ("failure", "redundancy lost", "non-recoverable", "critical"),
    "Fan": ("redundancy lost", "non-redundant", "failure", "non-recoverable", "to critical"),
}


def _sensor(case: Case) -> Mapping[str, Any]:
    found = case.get("")
    return found if isinstance(found, Mapping) else {}


def _told(sensor: Mapping[str, Any]) -> str:
    """Return name, value and limits of a sensor."""
    number, unit = sensor.get("value"), sensor.get("unit") or ""
    shown = (
        f"{number:g} {unit}".strip() if isinstance(number, int | float) and not isinstance(number, bool) else "no value"
    )
    limits = sensor.get("thresholds")
    known = (
        [f"{name} {limit:g}" for name, limit in limits.items() if isinstance(limit, int | float)]
        if isinstance(limits, Mapping)
        else []
    )
    return f"{sensor.get('name')}: {shown}" + (f" (limits: {', '.join(known)})" if known else "")


def _states(sensor: Mapping[str, Any]) -> list[str]:
    states = sensor.get("states")
    return [str(one) for one in states] if isinstance(states, list) else []


def _is_fan(sensor: Mapping[str, Any]) -> bool:
    return sensor.get("type") == "Fan" and str(sensor.get("unit")).upper() == "RPM"


def sensor_critical(case: Case) -> Iterator[Found]:
    """A sensor is past a critical or non-recoverable limit of the BMC.

    The limits are the BMC's own (IPMI Get Sensor Thresholds), and so is the comparison. "Entity absent" and sensors whose
    scanning is disabled are no faults; they are not evaluated. Fans have a rule of their own.

    Fires:
        bmc/sensors/32.0.3 = {"name": "GPU3 Temp", "type": "Temperature", "unit": "degrees C", "value": 97.0, "status": "cr", "states": ["upper critical"], "thresholds": {"ucr": 95.0}}
    Quiet:
        bmc/sensors/32.0.3 = {"name": "GPU3 Temp", "type": "Temperature", "unit": "degrees C", "value": 61.0, "status": "ok", "states": [], "thresholds": {"ucr": 95.0}}
    """
    sensor = _sensor(case)
    if sensor.get("status") in {"cr", "nr"} and not _is_fan(sensor):
        word = "a non-recoverable" if sensor["status"] == "nr" else "a critical"
        yield Found(
            f"{_told(sensor)} is past {word} limit: {', '.join(_states(sensor))}",
            (case.cite("", _told(sensor)),),
            next=LOOK.get(str(sensor.get("type")), ""),
        )


def sensor_warning(case: Case) -> Iterator[Found]:
    """A sensor is past a non-critical limit of the BMC.

    Fires:
        bmc/sensors/32.0.6 = {"name": "FAN3", "type": "Fan", "unit": "RPM", "value": 1200.0, "status": "nc", "states": ["lower non-critical"]}
    Quiet:
        bmc/sensors/32.0.6 = {"name": "FAN3", "type": "Fan", "unit": "RPM", "value": 8200.0, "status": "ok", "states": []}
    """
    sensor = _sensor(case)
    if sensor.get("status") == "nc":
        yield Found(f"{_told(sensor)} is past a warning limit", (case.cite("", _told(sensor)),))


def fan_stopped(case: Case) -> Iterator[Found]:
    """A fan turns at or below its lower critical limit, or stands still.

    Fires:
        bmc/sensors/32.0.5 = {"name": "FAN2", "type": "Fan", "unit": "RPM", "value": 0.0, "status": "nr", "states": ["lower non-recoverable"], "thresholds": {"lcr": 500.0}}
    Quiet:
        bmc/sensors/32.0.5 = {"name": "FAN2", "type": "Fan", "unit": "RPM", "value": 8400.0, "status": "ok", "states": [], "thresholds": {"lcr": 500.0}}
    """
    sensor = _sensor(case)
    if not _is_fan(sensor):
        return
    limits = sensor.get("thresholds")
    low = limits.get("lcr") if isinstance(limits, Mapping) else None
    speed = sensor.get("value")
    below = isinstance(low, int | float) and isinstance(speed, int | float) and speed <= low
    if sensor.get("status") in {"cr", "nr"} or below:
        name = sensor.get("name")
        yield Found(
            f"fan {name} {'stands still' if speed == 0 else 'is too slow'}: {_told(sensor)}",
            (case.cite("", _told(sensor)),),
            next=f"Look at {name} and replace it while the others still cool; until then lower the load of the GPUs.",
        )


def discrete_alarm(case: Case) -> Iterator[Found]:
    """A state sensor of the BMC says that something failed.

    Which states alarm is taken from IPMI 2.0 table 42-3 by the sensor's type (FreeIPMI's interpret_sensor.conf agrees in
    these). Power supplies have a rule of their own.

    Fires:
        bmc/sensors/32.0.20 = {"name": "CPU0 Status", "type": "Processor", "status": "discrete", "states": ["IERR"]}
    Quiet:
        bmc/sensors/32.0.20 = {"name": "CPU0 Status", "type": "Processor", "status": "discrete", "states": ["presence detected"]}
    """
    sensor = _sensor(case)
    kind = str(sensor.get("type"))
    loud = _alarming(kind, _states(sensor)) if sensor.get("status") == "discrete" and kind != "Power Supply" else []
    if loud:
        yield Found(f"{sensor.get('name')} ({kind}): {', '.join(loud)}", (case.cite("", ", ".join(_states(sensor))),))


def _alarming(kind: str, states: list[str]) -> list[str]:
    return [state for state in states if any(word in state.lower() for word in ALARMS.get(kind, ()))]


def power_supply(case: Case) -> Iterator[Found]:
    """A power supply failed or lost its input.

    The box goes on with the others; the next one that fails takes it down. A FRU that belongs to it gives part number and
    serial for the RMA.

    Fires:
        bmc/sensors/32.0.12 = {"name": "PSU2 Status", "type": "Power Supply", "entity": "power supply 2", "status": "discrete", "states": ["presence detected", "failure detected", "input lost (AC/DC)"]}
    Quiet:
        bmc/sensors/32.0.12 = {"name": "PSU2 Status", "type": "Power Supply", "entity": "power supply 2", "status": "discrete", "states": ["presence detected"]}
    """
    sensor = _sensor(case)
    loud = _alarming("Power Supply", _states(sensor)) if sensor.get("type") == "Power Supply" else []
    if not loud:
        return
    name = str(sensor.get("name")).removesuffix(" Status")
    number = "".join(letter for letter in name if letter.isdigit())
    fed = any("input" in state.lower() for state in loud)
    first = "Look at its cord and the feed behind it first. " if fed else ""
    yield Found(
        f"power supply {name}: {', '.join(loud)}{_fru(case, name)}",
        (case.cite("", ", ".join(_states(sensor))),),
        next=f"{first}Replace {name} while the others carry the load: bilbs diag rma BUNDLE --part psu:{number or name}",
        have=("the BMC says so now",),
        missing=("the same after its cord and feed were changed",) if fed else ("the same after it was seated again",),
    )


def _fru(case: Case, name: str) -> str:
    for key in branch(case.box.facts, "bmc", "fru"):
        found = value(case.box.facts, "bmc", "fru", key)
        board = found.get("board") if isinstance(found, Mapping) else None
        if isinstance(board, Mapping) and name.lower() in str(found.get("name")).lower():
            return f" (part {board.get('part_number')}, serial {board.get('serial')})"
    return ""


def intrusion(case: Case) -> Iterator[Found]:
    """The chassis was opened.

    Fires:
        bmc/sensors/32.0.14 = {"name": "Intrusion", "type": "Physical Security", "status": "discrete", "states": ["general chassis intrusion"]}
    Quiet:
        bmc/sensors/32.0.14 = {"name": "Intrusion", "type": "Physical Security", "status": "discrete", "states": []}
    """
    sensor = _sensor(case)
    loud = [state for state in _states(sensor) if "intrusion" in state.lower()]
    if sensor.get("type") == "Physical Security" and loud:
        yield Found(f"{sensor.get('name')}: {', '.join(loud)}", (case.cite("", ", ".join(loud)),))


def clock_skew(case: Case) -> Iterator[Found]:
    """The BMC's clock is more than a minute from the host's.

    Times of its event log are corrected by the offset in the timeline; whoever reads ipmi/sel.txt has to do the same.

    Fires:
        bmc/sel/clock_offset_s = 3605.0
    Quiet:
        bmc/sel/clock_offset_s = -2.0
    """
    offset = case.number("clock_offset_s")
    if offset is not None and abs(offset) > SKEW_S:
        yield Found(f"the BMC's clock is {offset:+.0f} s from the host's", (case.cite("clock_offset_s"),))


def unreachable(case: Case) -> Iterator[Found]:
    """The BMC is there and did not answer.

    A BMC that hangs shows no sensor and no event: nothing about power and cooling is known.

    Fires:
        bmc/session = error Timeout - no answer from the BMC
    Quiet:
        bmc/session/interface = "/dev/ipmi0"
    """
    for path in ("bmc/session", "bmc/session/interface", "bmc/device/id"):
        reading = lookup(case.box.facts, *path.split("/"))
        if isinstance(reading, ReadError):
            yield Found(f"the BMC does not answer: {reading.message}", (case.cite(f"/{path}"),))
            return


def self_test(case: Case) -> Iterator[Found]:
    """The BMC's own self test failed.

    Fires:
        bmc/self_test = "device-specific failure"
    Quiet:
        bmc/self_test = "passed"
    """
    found = case.get("self_test")
    if isinstance(found, str) and not any(
        word in found.lower() for word in ("passed", "no error", "not implemented", "ok")
    ):
        yield Found(f"the BMC's self test: {found}", (case.cite("self_test"),))


BMC_RULES = (
    Rule(
        "bmc.sensor.critical",
        Severity.CRITICAL,
        Verdict.INSPECT,
        ("",),
        IPMI,
        sensor_critical,
        SENSOR,
        next="Look at cooling, air flow and load first; then at the part that the sensor watches.",
    ),
    Rule(
        "bmc.sensor.warning",
        Severity.WARNING,
        Verdict.IGNORE,
        ("",),
        IPMI,
        sensor_warning,
        SENSOR,
        next="Watch it: bilbs diag check. Past the critical limit the box may switch itself off.",
    ),
    Rule("bmc.fan.stopped", Severity.CRITICAL, Verdict.INSPECT, ("",), IPMI, fan_stopped, SENSOR),
    Rule(
        "bmc.sensor.discrete",
        Severity.CRITICAL,
        Verdict.INSPECT,
        ("",),
        FREEIPMI,
        discrete_alarm,
        SENSOR,
        next="Look at ipmi/sel.txt for when it began, and at the part that the sensor watches.",
    ),
    Rule("bmc.psu", Severity.WARNING, Verdict.RMA, ("",), IPMI, power_supply, SENSOR),
    Rule(
        "bmc.intrusion",
        Severity.INFO,
        Verdict.IGNORE,
        ("",),
        IPMI,
        intrusion,
        SENSOR,
        next="Nothing, when somebody of yours opened it.",
    ),
    Rule(
        "bmc.clock",
        Severity.WARNING,
        Verdict.IGNORE,
        ("clock_offset_s",),
        IPMI,
        clock_skew,
        SEL,
        next="Set the BMC's clock (its web page, or ipmitool sel time set now), so that its next events fit the host's log.",
    ),
    Rule(
        "bmc.unreachable",
        Severity.WARNING,
        Verdict.INSPECT,
        (),
        IPMI,
        unreachable,
        BMC,
        next="Reset the BMC alone (ipmitool mc reset cold; the host goes on), then: bilbs diag check",
    ),
    Rule(
        "bmc.selftest",
        Severity.WARNING,
        Verdict.INSPECT,
        ("self_test",),
        IPMI,
        self_test,
        BMC,
        next="Reset the BMC alone (ipmitool mc reset cold; the host goes on), then: bilbs diag check",
    ),
)
