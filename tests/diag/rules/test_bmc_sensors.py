"""Sensors, supplies and the BMC itself: what counts as a fault by IPMI's tables, and what is none."""

from __future__ import annotations

import doctest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.collectors.ipmi_names import GENERIC_EVENTS, SENSOR_EVENTS, SENSOR_TYPES, event_text
from bilbs_cli.diag.findings import Finding, Gap, Judgement
from bilbs_cli.diag.model import NotCollected, ReadError
from bilbs_cli.diag.rules import bmc_sensors, ipmi_states
from tests.diag.rules.host_table import judged

KEY = "bmc/sensors/32.0.1"


def test_examples_in_docstrings_are_true() -> None:
    assert doctest.testmod(bmc_sensors).failed + doctest.testmod(ipmi_states).failed == 0


def gauge(status: str, value: float | None = None, kind: str = "Temperature", **more: Any) -> dict[str, Any]:
    return {"name": "S1", "type": kind, "unit": "degrees C", "value": value, "status": status, "states": []} | more


def states(kind: str, *words: str, **more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": "S1", "type": kind, "unit": None, "value": None, "thresholds": {}}
    return plain | {"status": "discrete", "states": list(words)} | more


def said(sensor: object, **others: Any) -> Judgement:
    return judged({KEY: sensor, **others})


def ids(found: Judgement) -> list[tuple[str, str]]:
    return [(one.rule, one.severity.value) for one in found.findings if not one.rule.startswith("bmc.sel")]


LIMITS = {"lnr": 5.0, "lcr": 10.0, "lnc": 15.0, "unc": 80.0, "ucr": 90.0, "unr": 100.0}
CRITICAL, WARNING, STOPPED = (
    ("bmc.sensor.critical", "critical"),
    ("bmc.sensor.warning", "warning"),
    ("bmc.fan.stopped", "critical"),
)


@pytest.mark.parametrize(
    ("sensor", "expected"),
    [
        (gauge("ok", 89.9, thresholds=LIMITS), []),
        (gauge("cr", 91.0, states=["upper critical"], thresholds=LIMITS), [CRITICAL]),
        (gauge("nr", 2.0, states=["lower non-recoverable"]), [CRITICAL]),
        (gauge("cr"), [CRITICAL]),  # its own word is enough
        (gauge("nc", 81.0, states=["upper non-critical"], thresholds=LIMITS), [WARNING]),
        (gauge("nc", 91.0, thresholds=LIMITS), [CRITICAL]),  # the BMC understates
        (gauge("ok", 90.0, thresholds=LIMITS), [CRITICAL]),  # at or above
        (gauge("ok", 10.0, thresholds=LIMITS), [CRITICAL]),  # at or below
        (gauge("ok", 61.0, thresholds={"ucr": 0.0}), []),  # zero is how firmware writes "none"
        (gauge("ok", 50.0, thresholds={"lcr": 60.0, "ucr": 40.0}), []),  # limits that make no sense
        (gauge("ok", float("nan"), thresholds=LIMITS), []),
        (gauge("ok", 10**400, thresholds=LIMITS), []),
        (gauge("ok", True, thresholds={"ucr": 1.0}), []),
        (gauge("nr", 0.0, "Fan", unit="RPM", states=["lower non-recoverable"], thresholds=LIMITS), [STOPPED]),
        (gauge("ok", 10.0, "Fan", unit="RPM", thresholds=LIMITS), [STOPPED]),
        (gauge("ok", 10.1, "Fan", unit="RPM", thresholds=LIMITS), []),
        (gauge("cr", 95.0, "Fan", unit="RPM", states=["upper critical"], thresholds=LIMITS), [CRITICAL]),
        (gauge("nc", 12.0, "Fan", unit="RPM", states=["lower non-critical"], thresholds=LIMITS), [WARNING]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_limit_is_past_by_the_bmcs_word_or_by_value(sensor: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert ids(said(sensor)) == expected


@pytest.mark.parametrize("status", ["disabled", "unavailable"])
@pytest.mark.parametrize("kind", ["Temperature", "Fan", "Power Supply", "Processor", "Physical Security"])
def test_a_sensor_without_a_reading_is_no_fault_and_no_pass(status: str, kind: str) -> None:
    silent = gauge(
        status, None, kind, why="what it watches is absent", thresholds=LIMITS if kind in {"Temperature", "Fan"} else {}
    )
    silent["unit"] = "RPM" if kind == "Fan" else None
    found = said(silent)
    assert ids(found) == []
    assert {gap.part for gap in found.not_evaluated if gap.part.startswith("bmc:sensor")} == {"bmc:sensor:S1"}
    assert all("absent" in gap.reason for gap in found.not_evaluated if gap.part == "bmc:sensor:S1")


@pytest.mark.parametrize(
    "reading", [ReadError("Timeout", "x"), NotCollected("it only sends events")], ids=["error", "events"]
)
def test_a_sensor_that_could_not_be_read_is_not_evaluated(reading: object) -> None:
    found = said(reading)
    assert ids(found) == []
    assert len([gap for gap in found.not_evaluated if gap.part.startswith("bmc:sensor")]) == 6


# IPMI 2.0 tables 42-2 and 42-3, and FreeIPMI 1.6 interpret_sensor.conf, copied out by hand: (type, state, what it is)
STATES: tuple[tuple[str, str, str], ...] = (
    ("Processor", "IERR", "critical"),
    ("Processor", "thermal trip", "critical"),
    ("Processor", "processor presence detected", ""),
    ("Processor", "processor automatically throttled", "warning"),
    ("Processor", "machine check exception (uncorrectable)", "critical"),
    ("Memory", "uncorrectable ECC / other uncorrectable memory error", "critical"),
    ("Memory", "correctable ECC logging limit reached", "warning"),
    ("Memory", "presence detected", ""),
    ("Memory", "spare", ""),
    ("Drive Slot", "drive fault", "critical"),
    ("Drive Slot", "predictive failure", "warning"),
    ("Drive Slot", "drive present", ""),
    ("Drive Slot", "rebuild / remap in progress", ""),
    ("Critical Interrupt", "PCI SERR", "critical"),
    ("Critical Interrupt", "bus fatal error", "critical"),
    ("Critical Interrupt", "bus correctable error", "warning"),
    ("Battery", "battery failed", "critical"),
    ("Battery", "battery presence detected", ""),
    ("Fan", "redundancy lost", "critical"),
    ("Fan", "fully redundant", ""),
    ("Fan", "transition to non-critical from OK", "warning"),
    ("Fan", "transition to critical from less severe", "critical"),
    ("Fan", "transition to OK", ""),
    ("Fan", "device removed / absent", ""),
    ("Power Supply", "redundancy lost", "critical"),
    ("Power Unit", "AC lost", "critical"),
    ("Power Unit", "power off / power down", ""),
    ("Cooling Device", "non-redundant: insufficient resources", "critical"),
    ("Cooling Device", "redundancy degraded", "warning"),
    ("Temperature", "limit exceeded", "critical"),
    ("Temperature", "limit not exceeded", ""),
    ("Temperature", "state asserted", "warning"),
    ("Drive Slot", "state asserted", ""),
    ("Drive Slot", "predictive failure deasserted", ""),
    ("Drive Slot", "predictive failure asserted", "warning"),
    ("Entity Presence", "entity absent", ""),
    ("Slot / Connector", "fault status asserted", "critical"),
    ("Watchdog 2", "hard reset", "warning"),
    ("Button / Switch", "power button pressed", ""),
    ("System ACPI Power State", "S0 / G0 working", ""),
    ("OEM 0xc3", "OEM sensor type 0xc3, offset 1", ""),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "state", "severity"), STATES, ids=str)
def test_a_state_is_a_fault_by_type_and_table(kind: str, state: str, severity: str) -> None:
    found = ids(said(states(kind, state)))
    assert found == ([("bmc.sensor.discrete", severity)] if severity else [])


@given(st.integers(0, 255), st.integers(0, 127), st.integers(0, 15))
def test_the_words_of_a_state_mean_what_its_numbers_mean(kind: int, event: int, offset: int) -> None:
    known = SENSOR_EVENTS.get(kind, ()) if event == 0x6F else GENERIC_EVENTS.get(event, ())
    if kind in SENSOR_TYPES and offset < len(known) and event != 0x01:
        text = event_text(kind, event, offset)
        twins = {  # the same words elsewhere for the same type: the milder table cannot be meant
            ipmi_states.level(kind, other, place)
            for other, table in {0x6F: SENSOR_EVENTS.get(kind, ()), **GENERIC_EVENTS}.items()
            for place, words in enumerate(table)
            if words == text and other != 0x01
        }
        assert ipmi_states.level_of(SENSOR_TYPES[kind], text) in twins


SUPPLY = "Power Supply"
GOOD = states(SUPPLY, "presence detected", name="PSU1 Status", entity="power supply 1")


def psu(*words: str, number: int = 2) -> dict[str, Any]:
    name = f"PSU{number} Status"
    return states(SUPPLY, "presence detected", *words, name=name, entity=f"power supply {number}")


def supplies(*all_of_them: dict[str, Any], **others: Any) -> list[Finding]:
    readings = {f"bmc/sensors/32.0.{number}": one for number, one in enumerate(all_of_them)}
    return [one for one in judged({**readings, **others}).findings if one.rule == "bmc.psu"]


def test_one_supply_of_two_is_a_warning_that_names_it_by_its_fru() -> None:
    board = {"manufacturer": "DELTA", "product": "PSU 3000W", "part_number": "PWS-3K", "serial": "P2SN0099"}
    frus = {
        "bmc/fru/1": {"name": "PSU2 FRU", "problems": [], "board": board},
        "bmc/fru/2": {"name": "PSU1 FRU", "board": {}},
    }
    (found,) = supplies(GOOD, psu("failure detected", "input lost (AC/DC)"), **frus)
    assert (found.severity.value, found.verdict.value, found.part) == (
        "warning",
        "rma_candidate",
        "bmc:sensor:PSU2 Status",
    )
    assert "P2SN0099" in found.message
    assert "1 of 2" in found.message
    assert "--part psu:2" in found.next
    assert found.missing == ("the same on another cord and outlet",)
    assert [one.path for one in found.evidence] == ["bmc/sensors/32.0.1", "bmc/fru/1"]


def test_two_supplies_are_critical() -> None:
    found = supplies(psu("failure detected", number=1), psu("input lost (AC/DC)"))
    assert [one.severity.value for one in found] == ["critical", "critical"]


@pytest.mark.parametrize(
    "words", [(), ("predictive failure deasserted",), ("inactive (in standby)",), ("fully redundant",)]
)
def test_a_supply_that_is_well_is_quiet(words: tuple[str, ...]) -> None:
    assert supplies(GOOD, psu(*words)) == []


def test_a_supply_that_is_not_there_is_no_fault() -> None:
    assert supplies(GOOD, states(SUPPLY, name="PSU3 Status")) == []


def test_an_opened_chassis_is_told() -> None:
    assert ids(said(states("Physical Security", "general chassis intrusion"))) == [("bmc.intrusion", "info")]


# the BMC itself


def bmc(**readings: Any) -> Judgement:
    return judged({f"bmc/{path.replace('__', '/')}": one for path, one in readings.items()})


@pytest.mark.parametrize(
    ("offset", "expected"), [(60.0, []), (60.1, ["ahead"]), (-60.1, ["behind"]), (0, []), (float("inf"), [])]
)
def test_the_clocks_may_differ_by_a_minute(offset: float, expected: list[str]) -> None:
    found = [one.message for one in bmc(sel__clock_offset_s=offset).findings if one.rule == "bmc.clock"]
    assert len(found) == len(expected)
    assert all(word in message and "corrected" in message for word, message in zip(expected, found, strict=True))


def test_a_clock_that_was_never_set_is_a_warning() -> None:
    found = bmc(sel__clock_offset_s=None, sel__bmc_time="pre-init +14669 s")
    assert ("bmc.clock", "warning") in ids(found)


@pytest.mark.parametrize(
    ("readings", "fires", "gap"),
    [
        ({"session": ReadError("Timeout", "no answer")}, True, None),
        ({"session": ReadError("OSError", "no such device", 19)}, True, None),
        ({"session__interface": "/dev/ipmi0", "device__id": ReadError("Timeout", "no answer")}, True, None),
        ({"session__interface": "/dev/ipmi0", "device__id": 32}, False, None),
        ({"session__interface": "/dev/ipmi0", "device__id": ReadError("CompletionCodeError", "busy", 0xC0)}, False, None),
        ({"session": ReadError("PermissionError", "needs root", 13)}, False, Gap.DENIED),
        ({"session": ReadError("AuthenticationError", "bad password")}, False, Gap.DENIED),
        ({"session": NotCollected("no /dev/ipmi0")}, False, Gap.NOT_COLLECTED),
        ({"self_test": "x"}, False, Gap.NOT_COLLECTED),
    ],
)  # fmt: skip
def test_a_bmc_that_does_not_answer_is_not_one_that_is_absent(
    readings: dict[str, Any], fires: bool, gap: Gap | None
) -> None:
    found = bmc(**readings)
    assert ("bmc.unreachable" in [one.rule for one in found.findings]) is fires
    assert [one.kind for one in found.not_evaluated if one.rule == "bmc.unreachable"] == ([gap] if gap else [])


@pytest.mark.parametrize(("code", "fires"), [(0x55, False), (0x56, False), (0x57, True), (0x58, True), (0x61, True)])
def test_the_self_test_counts_by_its_code(code: int, fires: bool) -> None:
    found = bmc(self_test={"result": "passed, it says", "code": code, "detail": 0, "faults": ["SDR repository empty"]})
    assert ("bmc.selftest" in [one.rule for one in found.findings]) is fires
    assert (code == 0x56) == any(one.rule == "bmc.selftest" for one in found.not_evaluated)


def test_a_box_without_bmc_facts_is_not_evaluated() -> None:
    found = judged({"system/hostname": "x"})
    silent = {gap.rule for gap in found.not_evaluated}
    assert {"bmc.sensor.critical", "bmc.unreachable", "bmc.clock", "bmc.selftest", "bmc.fru", "bmc.sel.full"} <= silent
