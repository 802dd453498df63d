"""The event log: pairs against a slow oracle, ages, sensors that are well again, a full log, hostile records."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.findings import Box, Finding, Gap, evaluate
from bilbs_cli.diag.rules import sel_pairs
from bilbs_cli.diag.rules.bmc_sel import BMC_SEL_RULES
from bilbs_cli.diag.rules.sel_classes import CLASSES, class_of
from tests.diag.remembered import NOW, tree
from tests.diag.rules.host_table import judged

YESTERDAY = NOW - timedelta(days=1)


def record(
    kind: int,
    event: int,
    offset: int,
    *,
    asserted: bool = True,
    key: str = "32.0.9",
    days_ago: float = 1.0,
    text: str = "x",
) -> dict[str, Any]:
    when = (NOW - timedelta(days=days_ago)).isoformat()
    return {
        "id": 7,
        "record_type": 2,
        "bmc_time": when,
        "host_time": None,
        "sensor": "S",
        "sensor_key": key,
        "sensor_type": kind,
        "event_type": event,
        "offset": offset,
        "asserted": asserted,
        "text": text,
        "raw": "07 00 02",
    }


def said(*records: Any, **readings: Any) -> list[Finding]:
    facts = {"bmc/sel/records": list(records)} | {path.replace("__", "/"): one for path, one in readings.items()}
    return [one for one in judged(facts).findings if one.rule.startswith("bmc.sel.")]


def ids(*records: Any, **readings: Any) -> list[tuple[str, str]]:
    return [(one.rule.removeprefix("bmc.sel."), one.severity.value) for one in said(*records, **readings)]


# health.md 2.3: (type, event type, offset) -> class and severity
EVENTS: tuple[tuple[int, int, int, str, str], ...] = (
    (0x0C, 0x6F, 1, "memory_uncorrectable", "critical"),
    (0x0C, 0x6F, 0, "memory_correctable", "info"),
    (0x0C, 0x6F, 5, "memory_correctable", "warning"),
    (0x08, 0x6F, 1, "power_supply", "critical"),
    (0x08, 0x6F, 3, "power_supply", "critical"),
    (0x09, 0x6F, 4, "power_unit", "critical"),
    (0x07, 0x6F, 1, "thermal_trip", "critical"),
    (0x01, 0x01, 11, "thermal_trip", "critical"),
    (0x07, 0x6F, 0, "processor", "critical"),
    (0x07, 0x6F, 11, "processor", "critical"),
    (0x13, 0x6F, 5, "bus_fatal", "critical"),
    (0x13, 0x6F, 8, "bus_fatal", "critical"),
    (0x13, 0x6F, 9, "bus_fatal", "critical"),
    (0x13, 0x6F, 10, "bus_fatal", "critical"),
    (0x08, 0x0B, 1, "redundancy", "critical"),
    (0x04, 0x0B, 2, "redundancy", "warning"),
    (0x10, 0x6F, 4, "full", "critical"),
    (0x10, 0x6F, 5, "almost_full", "warning"),
    (0x23, 0x6F, 1, "watchdog", "warning"),
    (0x04, 0x01, 2, "fan", "critical"),
    (0x01, 0x01, 9, "threshold", "critical"),
    (0x02, 0x01, 2, "threshold", "critical"),
    (0x20, 0x6F, 1, "os_stop", "critical"),
    (0x29, 0x6F, 1, "other", "critical"),
    (0x0D, 0x6F, 1, "other", "critical"),
    (0xC3, 0x70, 2, "oem", "info"),
)
HARMLESS = (
    (0x12, 0x6F, 1),
    (0x10, 0x6F, 2),
    (0x08, 0x6F, 0),
    (0x01, 0x01, 7),
    (0x25, 0x6F, 1),
    (0x14, 0x6F, 0),
    (0x1D, 0x6F, 0),
    (0x08, 0x0B, 0),
)


@pytest.mark.parametrize(("kind", "event", "offset", "name", "severity"), EVENTS)
def test_an_event_is_of_one_class(kind: int, event: int, offset: int, name: str, severity: str) -> None:
    assert ids(record(kind, event, offset)) == [(name, severity)]


@pytest.mark.parametrize(("kind", "event", "offset"), HARMLESS)
def test_events_that_are_no_fault_are_quiet(kind: int, event: int, offset: int) -> None:
    assert ids(record(kind, event, offset)) == []


@pytest.mark.parametrize(("kind", "event", "offset", "name", "_severity"), [row for row in EVENTS if row[3] != "oem"])
def test_an_event_that_was_taken_back_is_no_fault(
    kind: int, event: int, offset: int, name: str, _severity: str
) -> None:
    found = ids(record(kind, event, offset), record(kind, event, offset, asserted=False))
    assert found == ([(name, "info")] if name in {"power_supply", "power_unit"} else [])


def test_another_sensor_takes_nothing_back() -> None:
    over = record(0x0C, 0x6F, 1, asserted=False, key="32.0.8")
    assert ids(record(0x0C, 0x6F, 1), over) == [("memory_uncorrectable", "critical")]


def test_what_was_taken_back_and_came_again_counts() -> None:
    over = record(0x0C, 0x6F, 1, asserted=False)
    (found,) = said(record(0x0C, 0x6F, 1), over, record(0x0C, 0x6F, 1), record(0x0C, 0x6F, 1))
    assert found.count == 2


@pytest.mark.parametrize("days", [29.9, 30.1])
def test_an_old_event_is_history(days: float) -> None:
    (found,) = said(record(0x0C, 0x6F, 1, days_ago=days))
    assert (found.severity.value == "info") == (days > 30)
    assert ("historic" in found.message) == (days > 30)
    assert bool(found.missing) == (days < 30)


def test_the_hosts_time_counts_before_the_bmcs() -> None:
    one = record(0x0C, 0x6F, 1, days_ago=400) | {"host_time": YESTERDAY.isoformat()}
    (found,) = said(one)
    assert (found.severity.value, found.last_at) == ("critical", YESTERDAY.isoformat())


def test_an_event_without_a_time_counts() -> None:
    one = record(0x0C, 0x6F, 1) | {"bmc_time": None}
    assert ids(one) == [("memory_uncorrectable", "critical")]


def test_lost_ac_after_which_the_box_ran_is_history() -> None:
    lost, booted = record(0x09, 0x6F, 4), record(0x1D, 0x6F, 0, key="32.0.77")
    assert ids(lost, booted) == [("power_unit", "info")]
    assert ids(booted, lost) == [("power_unit", "critical")]


def test_a_supply_that_lost_its_input_is_not_well_because_the_box_runs() -> None:
    assert ids(record(0x08, 0x6F, 3), record(0x1D, 0x6F, 0, key="32.0.77")) == [("power_supply", "critical")]


def test_redundancy_that_is_full_again_takes_its_loss_back() -> None:
    lost, full = record(0x08, 0x0B, 1), record(0x08, 0x0B, 0)
    assert ids(lost, full) == []
    assert ids(full, lost) == [("redundancy", "critical")]
    assert ids(lost, record(0x08, 0x0B, 0, key="32.0.8")) == [("redundancy", "critical")]


def test_a_sensor_that_is_well_again_makes_it_one_step_milder() -> None:
    sensor = {"name": "FAN2", "type": "Fan", "status": "ok", "value": 8000.0, "states": []}
    (found,) = said(record(0x04, 0x01, 2), **{"bmc/sensors/32.0.9": sensor})
    assert (found.severity.value, found.part) == ("warning", "bmc:sensor:FAN2")
    assert "does not show it now" in found.message
    moment = said(record(0x07, 0x6F, 1), **{"bmc/sensors/32.0.9": sensor})
    assert [one.severity.value for one in moment] == ["critical"], "a trip has happened for good"


@pytest.mark.parametrize(
    ("now", "severity"),
    [(["presence detected"], "warning"), (["presence detected", "failure detected"], "critical"), ([], "critical")],
)
def test_a_state_sensor_is_asked_for_the_state_itself(now: list[str], severity: str) -> None:
    sensor = {"name": "PSU2 Status", "type": "Power Supply", "status": "discrete", "states": now}
    (found,) = said(record(0x08, 0x6F, 1, text="failure detected (data 2 0x01)"), **{"bmc/sensors/32.0.9": sensor})
    assert found.severity.value == severity


def test_each_part_has_a_finding_of_its_own() -> None:
    rows = [record(0x08, 0x6F, 1, key=f"32.0.{number}") for number in (1, 2, 3)]
    sensors = {f"bmc/sensors/32.0.{number}": {"name": f"PSU{number}", "status": "unavailable"} for number in (1, 2)}
    assert {one.part for one in said(*rows, **sensors)} == {"bmc:sensor:PSU1", "bmc:sensor:PSU2", "bmc:sel"}


def test_ten_corrected_errors_are_a_warning() -> None:
    assert ids(*[record(0x0C, 0x6F, 0)] * 9) == [("memory_correctable", "info")]
    assert ids(*[record(0x0C, 0x6F, 0)] * 10) == [("memory_correctable", "warning")]


@pytest.mark.parametrize(
    ("entries", "free", "overflow", "expected"),
    [
        (500, 0, False, [("full", "critical")]),
        (500, 15, False, [("full", "critical")]),
        (500, 16, False, [("almost_full", "warning")]),
        (500, 1023, False, [("almost_full", "warning")]),
        (500, 1024, False, []),
        (500, 4096, True, [("full", "critical")]),
        (0, 0, False, []),  # a BMC that does not tell
    ],
)
def test_a_log_is_full_by_its_free_bytes(
    entries: int, free: int, overflow: bool, expected: list[tuple[str, str]]
) -> None:
    assert ids(bmc__sel__entries=entries, bmc__sel__free_bytes=free, bmc__sel__overflow=overflow) == expected


def test_a_log_that_was_cleared_is_not_full_any_more() -> None:
    assert ids(record(0x10, 0x6F, 4), record(0x10, 0x6F, 2, key="32.0.8")) == []


def test_evidence_is_the_line_of_the_listing() -> None:
    rows = [record(0x12, 0x6F, 1), record(0x0C, 0x6F, 1)]
    (found,) = said(*rows, bmc__sel__read=5)
    (proof,) = found.evidence
    assert (proof.member, proof.line) == ("ipmi/sel.txt", 4 + 3 + 1)  # the facts have the last two of five
    assert proof.at == YESTERDAY.isoformat()


def test_records_of_the_maker_are_counted_and_shown() -> None:
    oem = {"id": 12, "record_type": 0xE2, "text": 'OEM record type 0xe2: "XID79 GPU#3"', "asserted": None}
    (found,) = said(oem, oem | {"text": "second"}, record(0x12, 0x6F, 1))
    assert (found.rule, found.count) == ("bmc.sel.oem", 2)
    assert "XID79 GPU#3" in found.message


# pairs, against an oracle that looks at every later record for every earlier one

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([(0x08, 0x6F), (0x09, 0x6F), (0x10, 0x6F), (0x1D, 0x6F), (0x08, 0x0B), (0x04, 0x01)]),
        st.integers(0, 5),
        st.booleans(),
    ),
    max_size=25,
)
Row = tuple[str, tuple[int, int], int, bool]


def takes_back(later: Row, earlier: Row) -> bool:
    """Say whether one record ends what an earlier one asserted, rule by rule."""
    key, kind, offset, asserted = later
    own = key == earlier[0] and kind == earlier[1]
    if not asserted:
        return own and offset == earlier[2]
    if own and kind[1] == 0x0B and offset == 0:
        return True
    if kind == (0x10, 0x6F) and offset == 2:
        return earlier[1] == (0x10, 0x6F) and earlier[2] != 2
    return kind == (0x1D, 0x6F) and earlier[1] == (0x09, 0x6F) and earlier[2] == 4


@settings(max_examples=400, deadline=None)
@given(ROWS)
def test_pairs_agree_with_the_oracle(rows: list[Row]) -> None:
    records = [record(*kind, offset, key=key, asserted=asserted) for key, kind, offset, asserted in rows]
    found = {pair.event.place: pair.closed_by for pair in sel_pairs.pairs(sel_pairs.events(records))}
    expected = {
        place: next((after for after in range(place + 1, len(rows)) if takes_back(rows[after], row)), None)
        for place, row in enumerate(rows)
        if row[3]
    }
    assert found == expected


@given(st.integers(0, 255), st.integers(0, 127), st.integers(0, 15))
def test_every_event_that_freeipmi_fears_has_a_class(kind: int, event: int, offset: int) -> None:
    from bilbs_cli.diag.rules.ipmi_states import level

    if level(kind, event, offset) and kind != 0x10:
        assert class_of((kind, event, offset)) in CLASSES


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
HOSTILE = st.lists(
    ANY
    | st.fixed_dictionaries(
        {},
        optional={
            name: ANY
            | st.sampled_from(
                [2, 0x0C, 0x6F, 1, "32.0.9", "2026-11-20T00:00:00+00:00", "9999-12-31T23:59:59-23:59", 10**400]
            )
            for name in record(0, 0, 0)
        },
    ),
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(HOSTILE | ANY, ANY, ANY)
def test_no_log_breaks_a_rule(records: Any, free: Any, sensor: Any) -> None:
    facts = tree({"bmc/sel/records": records, "bmc/sel/free_bytes": free, "bmc/sensors/32.0.9": sensor})
    found = evaluate(BMC_SEL_RULES, Box(facts, NOW))
    assert [gap for gap in found.not_evaluated if gap.kind is Gap.BROKEN] == []


def test_a_hundred_thousand_records_are_judged_in_a_moment() -> None:
    rows = [
        record(0x08, 0x6F, place % 7, key=f"32.0.{place % 200}", asserted=place % 3 != 0) for place in range(100_000)
    ]
    rows += [record(0x1D, 0x6F, 0, key="x"), record(0x08, 0x0B, 0)] * 50
    found = said(*rows)
    assert 0 < len(found) <= 65
