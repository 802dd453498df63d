"""Reading sensors where they live, and what a reading says: value, states, thresholds, or that there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bilbs_cli.diag.collectors.ipmi_commands import SENSOR
from bilbs_cli.diag.collectors.ipmi_names import event_text
from bilbs_cli.diag.collectors.ipmi_sdr import THRESHOLDS, Factors, Sensor, convert, factors_from_answer
from bilbs_cli.diag.collectors.ipmi_session import Bmc, CompletionCodeError, ShortAnswer, Timeout

Row = tuple[str, dict[str, Any] | str]  # a sensor's name, and its reading or why there is none

SCANNING_ENABLED, UNAVAILABLE = 0x40, 0x20  # flags of Get Sensor Reading (35.14)
COMPARED = (  # bit of the comparison status, what it means, how severe it is
    (0x20, "upper non-recoverable", "nr"),
    (0x04, "lower non-recoverable", "nr"),
    (0x10, "upper critical", "cr"),
    (0x02, "lower critical", "cr"),
    (0x08, "upper non-critical", "nc"),
    (0x01, "lower non-critical", "nc"),
)
DISCRETE_STATES = 15


def read_sensor(bmc: Bmc, sensor: Sensor) -> dict[str, Any]:
    """Read a sensor from the controller that owns it (35.14), with its thresholds in its unit.

    `status` is `ok`, `nc`, `cr`, `nr` (non-critical, critical, non-recoverable) for thresholds, `discrete` for states,
    and `disabled` or `unavailable` when there is no reading; `value` is None then, as for a discrete sensor.
    Raises what `Bmc.ask` raises; the error's words begin with the sensor's name.
    """
    try:
        answer = _ask(bmc, sensor, 0x2D, least=2)
    except (CompletionCodeError, ShortAnswer) as error:
        error.args = (f"{sensor.name}: {error}",)
        raise
    reading = describe(sensor, answer)
    if reading["raw"] is not None and sensor.is_analog:
        try:
            reading["value"] = convert(answer[0], _factors(bmc, sensor, answer[0]))
        except (ValueError, CompletionCodeError, ShortAnswer, Timeout) as error:
            reading["why"] = str(error)
    if sensor.has_thresholds or sensor.thresholds:
        reading |= _thresholds(bmc, sensor)
    return reading


def describe(sensor: Sensor, answer: bytes) -> dict[str, Any]:
    """Return what the bytes of Get Sensor Reading say, without a value (that needs the sensor's factors)."""
    known: dict[str, Any] = {
        "name": sensor.name,
        "type": sensor.type_text,
        "entity": sensor.entity_text,
        "unit": sensor.unit or None,
        "value": None,
        "raw": None,
        "states": [],
        "thresholds": {},
        "answer": answer.hex(" "),
    }
    if not answer[1] & SCANNING_ENABLED:
        return known | {"status": "disabled", "why": "scanning of this sensor is disabled"}
    if answer[1] & UNAVAILABLE:
        return known | {"status": "unavailable", "why": "no reading: not updated yet, or what it watches is absent"}
    bits = answer[2] if len(answer) > 2 else 0
    if sensor.is_threshold:
        exceeded = [(text, status) for bit, text, status in COMPARED if bits & bit]
        if len(answer) < 3 and not sensor.is_analog:
            return known | {"status": "unavailable", "why": "the BMC gives neither a value nor a comparison"}
        status = exceeded[0][1] if exceeded else "ok"
        return known | {"status": status, "raw": answer[0], "states": [text for text, _ in exceeded]}
    bits |= (answer[3] & 0x7F) << 8 if len(answer) > 3 else 0
    offsets = [offset for offset in range(DISCRETE_STATES) if bits >> offset & 1]
    states = [event_text(sensor.sensor_type, sensor.event_type, offset) for offset in offsets]
    return known | {"status": "discrete", "raw": answer[0], "states": states, "state_bits": bits}


def _ask(bmc: Bmc, sensor: Sensor, command: int, more: bytes = b"", least: int = 0) -> bytes:
    request = bytes([sensor.number]) + more
    return bmc.ask(SENSOR, command, request, lun=sensor.lun, owner=sensor.owner, channel=sensor.channel, least=least)


def _factors(bmc: Bmc, sensor: Sensor, raw: int) -> Factors:
    if not sensor.factors.needs_lookup:
        return sensor.factors
    return factors_from_answer(_ask(bmc, sensor, 0x23, bytes([raw]), least=7), sensor.factors)


def _thresholds(bmc: Bmc, sensor: Sensor) -> dict[str, Any]:
    """Return the thresholds in force (35.9), or those of the record where the BMC does not tell them."""
    found, source = sensor.thresholds, "record"
    if sensor.has_thresholds:
        try:
            answer = _ask(bmc, sensor, 0x27, least=7)
        except (CompletionCodeError, ShortAnswer, Timeout) as error:  # the reading itself is not lost
            source = f"record ({error})"
        else:
            found = tuple((name, answer[1 + bit]) for bit, name in enumerate(THRESHOLDS) if answer[0] >> bit & 1)
            source = "sensor"
    values: dict[str, float] = {}
    for name, raw in found:
        try:
            values[name] = convert(raw, _factors(bmc, sensor, raw))
        except (ValueError, CompletionCodeError, ShortAnswer, Timeout):
            source += f"; {name} has no value at raw {raw}"
    return {"thresholds": values, "thresholds_from": source}


def table(rows: Sequence[Row]) -> str:
    """Return readings as text, one per line."""
    lines = [f"{'sensor':24} {'value':>12} {'unit':12} {'status':12} {'entity':26} states; thresholds", ""]
    lines += [f"{name:24} ! {row}" if isinstance(row, str) else _line(row) for name, row in rows]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _line(reading: dict[str, Any]) -> str:
    value = "no reading" if reading["value"] is None else f"{reading['value']:g}"
    states = ", ".join(reading["states"]) or ("no state asserted" if reading["status"] == "discrete" else "")
    limits = " ".join(f"{name}={limit:g}" for name, limit in reading["thresholds"].items())
    notes = "; ".join(part for part in (states, limits, reading.get("why", "")) if part)
    unit, status, entity = reading["unit"] or "-", reading["status"], reading["entity"]
    return f"{reading['name']:24} {value:>12} {unit:12} {status:12} {entity:26} {notes}"
