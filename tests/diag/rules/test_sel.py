"""The BMC's event log: which events count, as the health document has it, and which were taken back or are history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.findings import Box, Finding, Gap, evaluate
from bilbs_cli.diag.model import ReadError
from bilbs_cli.diag.rules import RULES
from bilbs_cli.diag.rules.sel import live
from tests.diag.remembered import NOW, tree


def record(
    at: int, sensor: int, event: int, offset: int, *, asserted: bool = True, key: str = "", days: float = 1
) -> Any:
    """Return a record as the collector has it, `days` old."""
    when = (NOW - timedelta(days=days)).isoformat()
    return {
        "id": at,
        "record_type": 2,
        "bmc_time": when,
        "host_time": when,
        "sensor": f"sensor {sensor:02x}",
        "sensor_key": key or f"32.0.{sensor}",
        "sensor_type": sensor,
        "event_type": event,
        "offset": offset,
        "asserted": asserted,
        "text": f"offset {offset}",
        "raw": "00",
    }


def found(*records: Any) -> list[Finding]:
    """Return what the rules of the event log say of these records."""
    facts = tree({"bmc/sel/records": list(records), "bmc/sel/read": len(records), "bmc/sel/free_bytes": 9000})
    return [one for one in evaluate(RULES, Box(facts, NOW)).findings if one.rule.startswith("bmc.sel.")]


# The health document, section 2.3: sensor type (IPMI 2.0, table 42-3), event type, offset -> rule, severity
TABLE = {
    (0x0C, 0x6F, 1): ("memory_uncorrectable", "critical"),
    (0x08, 0x6F, 1): ("power_supply", "critical"),
    (0x08, 0x6F, 3): ("power_supply", "critical"),
    (0x08, 0x6F, 2): ("power_supply_trouble", "warning"),
    (0x07, 0x6F, 1): ("thermal", "critical"),
    (0x01, 0x01, 9): ("thermal", "critical"),
    (0x01, 0x01, 11): ("thermal", "critical"),
    (0x07, 0x6F, 0): ("processor", "critical"),
    (0x13, 0x6F, 4): ("bus_fatal", "critical"),
    (0x13, 0x6F, 5): ("bus_fatal", "critical"),
    (0x13, 0x6F, 8): ("bus_fatal", "critical"),
    (0x13, 0x6F, 10): ("bus_fatal", "critical"),
    (0x08, 0x0B, 1): ("redundancy", "critical"),
    (0x04, 0x0B, 1): ("redundancy", "critical"),
    (0x10, 0x6F, 4): ("full", "critical"),
    (0x04, 0x01, 2): ("fan", "critical"),
    (0x0C, 0x6F, 5): ("memory_correctable", "warning"),
    (0x0C, 0x6F, 0): ("memory_corrected", "info"),
    (0x23, 0x6F, 1): ("watchdog", "warning"),
}
HARMLESS = [
    (0x10, 0x6F, 2),  # log area cleared
    (0x08, 0x6F, 0),  # a supply is present
    (0x07, 0x6F, 7),  # a processor is present
    (0x08, 0x0B, 0),  # fully redundant
    (0x01, 0x01, 7),  # a temperature above its non-critical limit
    (0x12, 0x6F, 5),  # the clock was set
    (0x22, 0x6F, 0),  # S0: working
    (0x0C, 0x6F, 6),  # a module is present
]


@pytest.mark.parametrize("event", TABLE)
def test_an_event_of_the_health_document_is_told_once_with_its_line(event: tuple[int, int, int]) -> None:
    (one,) = found(record(1, 0x22, 0x6F, 0), record(2, *event))
    assert (one.rule, one.severity) == (f"bmc.sel.{TABLE[event][0]}", TABLE[event][1])
    assert [(proof.member, proof.line) for proof in one.evidence] == [("ipmi/sel.txt", 5)]
    assert one.next


@pytest.mark.parametrize("event", TABLE)
def test_it_is_over_once_the_same_sensor_takes_it_back(event: tuple[int, int, int]) -> None:
    assert found(record(1, *event), record(2, *event, asserted=False)) == []
    assert len(found(record(1, *event), record(2, *event, asserted=False), record(3, *event))) == 1
    assert len(found(record(1, *event), record(2, *event, asserted=False, key="32.0.250"))) == 1


@pytest.mark.parametrize("event", TABLE)
def test_what_is_a_month_old_is_history(event: tuple[int, int, int]) -> None:
    (one,) = found(record(1, *event, days=31))
    assert (one.severity, one.verdict, one.missing) == ("info", "ignore", ())
    (one,) = found(record(1, *event, days=29))
    assert one.severity == TABLE[event][1]


@pytest.mark.parametrize("event", HARMLESS)
def test_what_every_box_logs_is_no_finding(event: tuple[int, int, int]) -> None:
    assert found(record(1, *event)) == []


def test_an_event_without_a_time_is_not_taken_for_old() -> None:
    """A BMC whose clock was never set writes times since its start (IPMI 2.0, 37.1): the collector gives none then."""
    (one,) = found(record(1, 0x08, 0x6F, 1) | {"bmc_time": None, "host_time": None})
    assert one.severity == "critical"


EVENTS = st.tuples(
    st.sampled_from(["32.0.1", "32.0.2"]),
    st.sampled_from([0x01, 0x6F]),
    st.integers(0, 2),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(EVENTS, max_size=40))
def test_open_events_are_those_whose_last_word_was_an_assertion(events: list[tuple[str, int, int, bool, bool]]) -> None:
    """The oracle looks at the last record of each sensor's state, and at nothing else."""
    rows = [
        record(at, 0x08, event, offset, asserted=asserted, key=key)
        for at, (key, event, offset, asserted, _) in enumerate(events)
    ]
    last: dict[tuple[str, int, int], int] = {one[:3]: at for at, one in enumerate(events)}
    expected = sorted(at for at in last.values() if events[at][3])
    assert [place for place, _ in live(Box({"bmc": {"sel": {"records": {"value": rows}}}}, NOW))] == expected


@pytest.mark.parametrize(
    ("free", "overflow", "says"),
    [
        (1024, False, ""),
        (1023, False, "room for 63 more"),
        (0, False, "room for 0 more"),
        (9000, True, "has lost events"),
    ],
)
def test_a_log_that_is_nearly_full_says_how_much_room_is_left(free: int, overflow: bool, says: str) -> None:
    facts = tree({"bmc/sel/records": [], "bmc/sel/free_bytes": free, "bmc/sel/overflow": overflow})
    messages = [one.message for one in evaluate(RULES, Box(facts, NOW)).findings]
    assert len(messages) == bool(says)
    assert all(says in one for one in messages)


def test_a_log_that_could_not_be_read_is_no_pass() -> None:
    facts = tree({"bmc/sel/records": ReadError("Timeout", "no answer in 5 s"), "bmc/sel/read": 0})
    judgement = evaluate(RULES, Box(facts, NOW))
    gaps = {one.rule: one for one in judgement.not_evaluated}
    for name, _ in TABLE.values():
        gap = gaps[f"bmc.sel.{name}"]
        assert (gap.kind, "no answer in 5 s" in gap.reason) == (Gap.TIMEOUT, True)
