"""What the BMC's sensors say now: limits that are crossed, fans that stand still, states that alarm, power supplies."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag.findings import Case, Evidence, Facts, Found, Gap, Rule, Severity, Unjudged, Verdict
from bilbs_cli.diag.model import branch, finite, value
from bilbs_cli.diag.rules.ipmi_states import IPMI, is_redundancy, level_of
from bilbs_cli.diag.rules.scopes import SENSOR

FREEIPMI = "https://www.gnu.org/software/freeipmi/manpages/man5/freeipmi_interpret_sensor.conf.5.html"
SILENT = {"disabled", "unavailable"}  # the BMC has no reading: scanning is off, or what it watches is not there
LIMITED = {"ok", "nc", "cr", "nr"}
SUPPLY = "Power Supply"
NUMBER = re.compile(r"(?:\bpsu|\bps|power supply)[ _-]?(\d{1,3})", re.IGNORECASE)
TEXT = 64
Sensor = Mapping[str, Any]
LOOK = {  # by sensor type
    "Temperature": "Look at fans, filters, air flow and load first; then at the part that the sensor watches",
    "Voltage": "Look at the part that gives this voltage: a battery (VBAT), a power supply, a regulator of the board",
    "Current": "Look at what draws the current, and at the supplies that share it",
}
OTHERWISE = "Look at the part that the sensor watches, and at ipmi/sel.txt for when it began"


@dataclass(frozen=True, slots=True)
class Crossing:
    """A limit that is crossed: `critical`, `non-recoverable` or `non-critical`; `lower`, `upper` or empty.

    `by_value` says that value and limits tell it, while the BMC's own comparison does not.
    """

    kind: str
    side: str
    by_value: bool = False


def _sensor(case: Case) -> Sensor:
    """Return the sensor. Raises `Unjudged` for a reading that is none."""
    found = case.get("")
    if not isinstance(found, Mapping) or not isinstance(found.get("status"), str):
        raise Unjudged("", "what the facts have here is no reading of a sensor", Gap.ERROR)
    return found


def _heard(sensor: Sensor) -> Sensor:
    """Return a sensor that has a reading. Raises `Unjudged` for one whose scanning is off or whose part is absent."""
    if sensor["status"] in SILENT:
        raise Unjudged("", f"{_name(sensor)} has no reading: {_words(sensor.get('why')) or 'the BMC gives none'}")
    return sensor


def _is_discrete(sensor: Sensor) -> bool:
    """Say whether a sensor has states instead of a value; of a silent one only unit and limits can tell."""
    silent = sensor["status"] in SILENT and not sensor.get("unit") and not _limits(sensor)
    return silent or sensor["status"] not in LIMITED | SILENT


def _words(text: object) -> str:
    return text[:TEXT] if isinstance(text, str) else ""


def _name(sensor: Sensor) -> str:
    return _words(sensor.get("name")) or "a sensor without a name"


def _limits(sensor: Sensor) -> dict[str, float]:
    """Return the limits that can be compared with; zero as an upper one is how firmware writes "none"."""
    found = sensor.get("thresholds")
    rows = found.items() if isinstance(found, Mapping) else ()
    known = {str(name): limit for name, one in rows if (limit := finite(one)) is not None}
    return {name: limit for name, limit in known.items() if limit or not name.startswith("u")}


def _states(sensor: Sensor) -> list[str]:
    states = sensor.get("states")
    return [one[:TEXT] for one in states if isinstance(one, str)] if isinstance(states, list) else []


def crossing(sensor: Sensor) -> Crossing | None:
    """Return the worst limit that a threshold sensor has crossed, by the BMC's word or else by value and limits.

    >>> crossing({"status": "cr", "states": ["upper critical"]})
    Crossing(kind='critical', side='upper', by_value=False)
    >>> crossing({"status": "ok", "value": 97.0, "thresholds": {"ucr": 95.0}})
    Crossing(kind='critical', side='upper', by_value=True)
    """
    if sensor.get("status") not in LIMITED:
        return None
    told = {"nc": "non-critical", "cr": "critical", "nr": "non-recoverable"}.get(sensor["status"])
    if told in {"critical", "non-recoverable"}:
        side = next((state.partition(" ")[0] for state in _states(sensor) if state.endswith(told)), "")
        return Crossing(told, side)
    reading, limits = finite(sensor.get("value")), _limits(sensor)
    if reading is not None and not limits.get("lcr", -math.inf) >= limits.get("ucr", math.inf):
        for name, kind in (("nr", "non-recoverable"), ("cr", "critical")):
            if reading >= limits.get(f"u{name}", math.inf):
                return Crossing(kind, "upper", by_value=True)
            if reading <= limits.get(f"l{name}", -math.inf):
                return Crossing(kind, "lower", by_value=True)
    return Crossing(told, "") if told else None


def _told(sensor: Sensor) -> str:
    """Return name, what it watches, value and limits of a sensor."""
    reading, unit, watches = finite(sensor.get("value")), _words(sensor.get("unit")), _words(sensor.get("entity"))
    shown = "no value" if reading is None else f"{reading:g} {unit}".strip()
    limits = ", ".join(f"{name} {limit:g}" for name, limit in _limits(sensor).items())
    return f"{_name(sensor)}{f' ({watches})' if watches else ''}: {shown}{f', limits {limits}' if limits else ''}"


def _is_slow_fan(sensor: Sensor, found: Crossing) -> bool:
    return sensor.get("type") == "Fan" and found.side != "upper" and found.kind != "non-critical"


def sensor_critical(case: Case) -> Iterator[Found]:
    """A sensor is past a critical or non-recoverable limit of the BMC.

    The limits are the BMC's own (IPMI 2.0, 35.9), and so is the comparison (35.14); where a BMC compares wrongly, its value
    is compared with its limits. "Entity absent", "no reading" and disabled scanning are no faults: such a sensor is
    not evaluated (https://github.com/thomas-krenn/check_ipmi_sensor_v3/issues/67). Fans have a rule of their own.

    Fires:
        bmc/sensors/32.0.3 = {"name": "GPU3 Temp", "type": "Temperature", "entity": "add-in card 4", "unit": "degrees C", "value": 97.0, "status": "cr", "states": ["upper critical", "upper non-critical"], "thresholds": {"unc": 90.0, "ucr": 95.0}}
    Quiet:
        bmc/sensors/32.0.3 = {"name": "GPU3 Temp", "type": "Temperature", "entity": "add-in card 4", "unit": "degrees C", "value": 61.0, "status": "ok", "states": [], "thresholds": {"unc": 90.0, "ucr": 95.0}}
    """
    sensor = _sensor(case)
    if _is_discrete(sensor):
        return
    found = crossing(_heard(sensor))
    if found is None or found.kind == "non-critical" or _is_slow_fan(sensor, found):
        return
    which = " ".join(filter(None, (found.side, found.kind)))
    own = " (its value says so, the BMC's own comparison does not)" if found.by_value else ""
    yield Found(
        f"{_told(sensor)}: past its {which} limit{own}",
        (case.cite("", _told(sensor)),),
        next=f"{LOOK.get(_words(sensor.get('type')), OTHERWISE)}. Then: bilbs diag check",
    )


def sensor_warning(case: Case) -> Iterator[Found]:
    """A sensor is past a non-critical limit of the BMC.

    FreeIPMI takes this for nominal, because many boards set these limits where they like; here it is a warning, as the
    critical limit comes next and the board may switch itself off there.

    Fires:
        bmc/sensors/32.0.6 = {"name": "FAN3", "type": "Fan", "unit": "RPM", "value": 1200.0, "status": "nc", "states": ["lower non-critical"], "thresholds": {"lnc": 1500.0, "lcr": 1000.0}}
    Quiet:
        bmc/sensors/32.0.6 = {"name": "FAN3", "type": "Fan", "unit": "RPM", "value": 8200.0, "status": "ok", "states": [], "thresholds": {"lnc": 1500.0, "lcr": 1000.0}}
    """
    sensor = _sensor(case)
    if _is_discrete(sensor):
        return
    found = crossing(_heard(sensor))
    if found and found.kind == "non-critical":
        yield Found(f"{_told(sensor)}: past a warning limit", (case.cite("", _told(sensor)),))


def fan_stopped(case: Case) -> Iterator[Found]:
    """A fan turns at or below its lower critical limit, or stands still.

    Fires:
        bmc/sensors/32.0.5 = {"name": "FAN2", "type": "Fan", "entity": "fan 2", "unit": "RPM", "value": 0.0, "status": "nr", "states": ["lower non-recoverable", "lower critical"], "thresholds": {"lcr": 1000.0, "lnr": 500.0}}
    Quiet:
        bmc/sensors/32.0.5 = {"name": "FAN2", "type": "Fan", "entity": "fan 2", "unit": "RPM", "value": 8400.0, "status": "ok", "states": [], "thresholds": {"lcr": 1000.0, "lnr": 500.0}}
    """
    sensor = _sensor(case)
    if sensor.get("type") != "Fan":
        return
    found = crossing(_heard(sensor))
    if found and _is_slow_fan(sensor, found):
        name, reading = _name(sensor), finite(sensor.get("value"))
        yield Found(
            f"fan {'stands still' if reading == 0 else 'is too slow'}: {_told(sensor)}",
            (case.cite("", _told(sensor)),),
            next=f"Pull {name} and put in a new one while the others still cool; lower the GPUs' load until then.",
        )


def discrete_alarm(case: Case) -> Iterator[Found]:
    """A state sensor of the BMC says that something failed, or that redundancy is lost.

    Which states are a fault is decided by sensor type and state (IPMI 2.0 tables 42-2 and 42-3, levels of FreeIPMI's
    interpret_sensor.conf). Power supplies and the opened chassis have rules of their own; an absent entity is no fault.

    Fires:
        bmc/sensors/32.0.20 = {"name": "CPU0 Status", "type": "Processor", "entity": "processor 1", "status": "discrete", "states": ["IERR", "processor presence detected"]}
    Quiet:
        bmc/sensors/32.0.20 = {"name": "CPU0 Status", "type": "Processor", "entity": "processor 1", "status": "discrete", "states": ["processor presence detected"]}
    """
    sensor = _sensor(case)
    kind = _words(sensor.get("type"))
    if not _is_discrete(sensor):
        return
    _heard(sensor)
    loud = {state: bad for state in _states(sensor) if (bad := level_of(kind, state))}
    if kind == SUPPLY:
        loud = {state: bad for state, bad in loud.items() if is_redundancy(state)}
    if loud:
        worst = max(loud.values(), key=lambda bad: bad.rank)
        watches = _words(sensor.get("entity"))
        yield Found(
            f"{_name(sensor)} ({watches or kind}): {', '.join(loud)}",
            (case.cite("", f"{_name(sensor)}: {', '.join(_states(sensor))}"),),
            severity=worst,
            next=f"Look at {watches or 'what the sensor watches'}; ipmi/sel.txt says when it began.",
        )


def _lost(sensor: Sensor) -> dict[str, Severity]:
    """Return the states of a power supply that are a fault of this one."""
    found = {state: bad for state in _states(sensor) if (bad := level_of(SUPPLY, state))}
    return {state: bad for state, bad in found.items() if not is_redundancy(state)}


def _supplies(facts: Facts) -> list[Sensor]:
    """Return the state sensors of power supplies that are there."""
    sensors = branch(facts, "bmc", "sensors")
    found = [one for key in sensors if isinstance(one := value(sensors, key), Mapping)]
    return [one for one in found if one.get("type") == SUPPLY and one.get("status") == "discrete" and _states(one)]


def power_supply(case: Case) -> Iterator[Found]:
    """A power supply failed or lost its input.

    With one of several lost the box goes on, and the next one that fails takes it down: a warning. With two lost it is
    critical. FreeIPMI calls each of these states critical. A lost input may be the feed, not the supply: the finding asks
    for that proof. The FRU that belongs to the supply gives its part number and serial for the RMA.

    Fires:
        bmc/sensors/32.0.11 = {"name": "PSU1 Status", "type": "Power Supply", "entity": "power supply 1", "status": "discrete", "states": ["presence detected"]}
        bmc/sensors/32.0.12 = {"name": "PSU2 Status", "type": "Power Supply", "entity": "power supply 2", "status": "discrete", "states": ["presence detected", "failure detected", "input lost (AC/DC)"]}
        bmc/fru/1 = {"name": "PSU2 FRU", "problems": [], "board": {"product": "PSU 3000W", "part_number": "PWS-3K06G", "serial": "P2SN0099"}}
    Quiet:
        bmc/sensors/32.0.11 = {"name": "PSU1 Status", "type": "Power Supply", "entity": "power supply 1", "status": "discrete", "states": ["presence detected"]}
        bmc/sensors/32.0.12 = {"name": "PSU2 Status", "type": "Power Supply", "entity": "power supply 2", "status": "discrete", "states": ["presence detected"]}
    """
    sensor = _sensor(case)
    if sensor.get("type") != SUPPLY or not _is_discrete(sensor):
        return
    loud = _lost(_heard(sensor))
    if not loud:
        return
    supplies = _supplies(case.box.facts)
    down = sum(bool(_lost(one)) for one in supplies)
    number = _supply_number(sensor)
    fed = any("input" in state for state in loud)
    told, proof = _fru(case, number)
    name = re.sub(r"[ _]?status$", "", _name(sensor), flags=re.IGNORECASE)
    first = f"Try {name} on another cord and outlet. " if fed else f"Take {name} out and put it back firmly. "
    yield Found(
        f"power supply {name}: {', '.join(loud)}{told} ({down} of {len(supplies)} are lost)",
        (case.cite("", f"{_name(sensor)}: {', '.join(_states(sensor))}"), *proof),
        severity=Severity.CRITICAL if down > 1 else None,
        next=f"{first}If that does not help, replace {name}: bilbs diag rma BUNDLE --part psu:{number or name}",
        have=("the BMC says so now",),
        missing=("the same on another cord and outlet",) if fed else ("the same after it was seated again",),
    )


def _supply_number(sensor: Sensor) -> str:
    found = NUMBER.search(_name(sensor)) or NUMBER.search(_words(sensor.get("entity")))
    return found[1] if found else ""


def _fru(case: Case, number: str) -> tuple[str, tuple[Evidence, ...]]:
    """Return what the FRU of a supply says, and the evidence; empty where none has its number."""
    for key in branch(case.box.facts, "bmc", "fru"):
        fru = value(case.box.facts, "bmc", "fru", key)
        found = NUMBER.search(_words(fru.get("name"))) if isinstance(fru, Mapping) else None
        if not found or not number or int(found[1]) != int(number):
            continue
        areas = [area for one in ("board", "product") if isinstance(area := fru.get(one), Mapping)]
        known = {name: text for area in areas for name in FRU_NAMES if (text := _words(area.get(name)))}
        said = ", ".join(f"{FRU_NAMES[name]} {text}" for name, text in known.items())
        if said:
            return f", {said}", (case.cite(f"/bmc/fru/{key}", f"{_words(fru.get('name'))}: {said}"),)
    return "", ()


FRU_NAMES = {"product": "model", "part_number": "part", "serial": "serial"}


def intrusion(case: Case) -> Iterator[Found]:
    """The chassis was opened.

    FreeIPMI calls it critical; on a server that people work on it is told, not more. The state stays until the sensor is
    reset, on many boards until the lid is closed and the BMC restarted.

    Fires:
        bmc/sensors/32.0.14 = {"name": "Intrusion", "type": "Physical Security", "status": "discrete", "states": ["general chassis intrusion"]}
    Quiet:
        bmc/sensors/32.0.14 = {"name": "Intrusion", "type": "Physical Security", "status": "discrete", "states": []}
    """
    sensor = _sensor(case)
    if sensor.get("type") != "Physical Security":
        return
    loud = [state for state in _states(_heard(sensor)) if "intrusion" in state]
    if loud:
        yield Found(f"{_name(sensor)}: {', '.join(loud)}", (case.cite("", f"{_name(sensor)}: {', '.join(loud)}"),))


BMC_SENSOR_RULES = (
    Rule("bmc.sensor.critical", Severity.CRITICAL, Verdict.INSPECT, ("",), IPMI, sensor_critical, SENSOR),
    Rule(
        "bmc.sensor.warning",
        Severity.WARNING,
        Verdict.IGNORE,
        ("",),
        FREEIPMI,
        sensor_warning,
        SENSOR,
        next="Watch it (bilbs diag check). Past the critical limit the box may switch itself off.",
    ),
    Rule("bmc.fan.stopped", Severity.CRITICAL, Verdict.INSPECT, ("",), IPMI, fan_stopped, SENSOR),
    Rule("bmc.sensor.discrete", Severity.CRITICAL, Verdict.INSPECT, ("",), FREEIPMI, discrete_alarm, SENSOR),
    Rule("bmc.psu", Severity.WARNING, Verdict.RMA, ("",), FREEIPMI, power_supply, SENSOR),
    Rule(
        "bmc.intrusion",
        Severity.INFO,
        Verdict.IGNORE,
        ("",),
        FREEIPMI,
        intrusion,
        SENSOR,
        next="Nothing, when somebody of yours opened it; close the lid. Otherwise ask who was at the rack.",
    ),
)
