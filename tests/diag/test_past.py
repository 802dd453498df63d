"""What one check leaves in the history, on which card a fault is booked, and which lines stay."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag import baseline, past
from bilbs_cli.diag.baseline import History
from bilbs_cli.diag.findings import Judgement
from tests.diag.remembered import CLEAN, DAY, NOW, box, cards, fault, judged, tree
from tests.diag.test_baseline import JSON

PCI = "0000:3b:00.0"
LOG = "kernel/dmesg.txt"


def after(facts: Any, lines: list[past.Line]) -> History:
    return baseline.decode_history(json.loads(json.dumps(past.history_value(lines))))


def line(facts: Any, judgement: Judgement = CLEAN, at: datetime = NOW, boot: str = "b2", lines: Any = ()) -> Any:
    """Return the line of a check after the checks that left `lines`."""
    value = past.history_value(lines)
    whole = {**facts, "memory": {"history": {"value": value}}}
    return past.line_of(whole, judgement, at, boot, baseline.decode_history(value))


def booted(facts: Any, at: datetime) -> Any:
    return facts | tree({"system/booted_at": at.isoformat()})


def test_a_check_leaves_a_sample_for_every_card() -> None:
    found = line(cards(b3b="165"))
    assert found["gpus"] == [
        {"pci": PCI, "serial": "165", "slot": "1", "counters": {"remapped_uncorrectable": 0}},
    ]
    assert found["faults"] == []


def test_a_check_right_after_another_leaves_nothing_unless_it_saw_a_new_fault_or_boot() -> None:
    facts = cards(b3b="165")
    lines = [line(facts)]
    soon = NOW + timedelta(minutes=4)
    assert line(facts, at=soon, lines=lines) is None
    assert line(facts, judged(fault(f"gpu:{PCI}")), soon, lines=lines)["gpus"] == []
    assert line(facts, at=soon, boot="b3", lines=lines)["gpus"] != []
    assert line(facts, at=NOW + timedelta(minutes=6), lines=lines)["gpus"] != []


def test_a_clock_that_jumped_back_does_not_stop_the_samples() -> None:
    lines = [line(cards(b3b="165"), at=NOW + 400 * DAY)]
    assert line(cards(b3b="165"), lines=lines)["gpus"] != []


def test_a_box_without_gpus_is_remembered_once_a_boot() -> None:
    lines = [line({})]
    assert lines[0]["boot"] == "b2"
    assert line({}, at=NOW + DAY, lines=lines) is None
    assert line({}, boot="") is None


def test_a_fault_is_booked_once_a_boot() -> None:
    facts, seen = cards(b3b="165"), judged(fault(f"gpu:{PCI}"))
    lines = [line(facts, seen)]
    assert lines[0]["faults"][0] == {
        "at": NOW.isoformat(), "boot": "b2", "rule": "xid.79", "pci": PCI, "serial": "165", "slot": "1",
    }  # fmt: skip
    assert line(facts, seen, NOW + timedelta(hours=1), lines=lines)["faults"] == []
    assert len(line(facts, seen, NOW + timedelta(hours=1), boot="b3", lines=lines)["faults"]) == 1


def test_a_fault_in_the_log_of_an_earlier_boot_belongs_to_the_card_that_was_there_then() -> None:
    lines = [line(cards(b3b="165"), at=NOW - DAY, boot="b1")]
    swapped = booted(cards(b3b="999"), NOW - timedelta(hours=1))
    old = judged(fault(f"gpu:{PCI}", at=NOW - timedelta(hours=2), member="kernel/journal-previous-boot.jsonl"))
    (found,) = line(swapped, old, lines=lines)["faults"]
    assert (found["serial"], found["boot"]) == ("165", "b1")
    new = judged(fault(f"gpu:{PCI}", at=NOW - timedelta(minutes=10), member=LOG))
    (found,) = line(swapped, new, lines=lines)["faults"]
    assert (found["serial"], found["boot"]) == ("999", "b2")


def test_the_same_old_line_is_not_booked_again_in_the_next_boot() -> None:
    when = NOW - timedelta(hours=2)
    seen = judged(fault(f"gpu:{PCI}", at=when, member=LOG))
    lines = [line(cards(b3b="165"), seen, at=when + timedelta(minutes=1), boot="b1")]
    assert len(lines[0]["faults"]) == 1
    later = booted(cards(b3b="165"), NOW - timedelta(hours=1))
    assert line(later, seen, lines=lines)["faults"] == []


def test_an_old_fault_on_a_card_that_nobody_knew_has_no_serial() -> None:
    facts = booted(cards(b3b="999"), NOW - timedelta(hours=1))
    (found,) = line(facts, judged(fault(f"gpu:{PCI}", at=NOW - DAY, member=LOG)))["faults"]
    assert found["serial"] == ""


def test_a_line_without_a_time_counts_only_in_a_log_of_this_boot() -> None:
    facts = cards(b3b="165")
    assert line(facts, judged(fault(f"gpu:{PCI}", member="kernel/var/log/kern.log")))["faults"] == []
    assert len(line(facts, judged(fault(f"gpu:{PCI}", member=LOG)))["faults"]) == 1


def test_findings_of_other_parts_are_no_faults_of_a_card() -> None:
    assert line(cards(b3b="165"), judged(fault("bmc:sensor:FAN1"), fault("host")))["faults"] == []


def test_of_older_checks_only_what_changed_goes_into_the_facts() -> None:
    lines: list[past.Line] = []
    for number in range(100):
        facts = cards(b3b="165")
        facts["gpu"]["devices"]["0"]["remapped_rows"]["uncorrectable"] = {"value": number // 40}
        lines.append(line(facts, at=NOW + number * DAY, lines=lines))
    history = after({}, lines)
    counts = [one.counters["remapped_uncorrectable"] for one in history.samples]
    assert len(counts) < 20
    assert counts == sorted(counts)
    assert (history.samples[0].at, history.samples[-1].at) == (NOW, NOW + 99 * DAY)
    first = {count: history.samples[counts.index(count)].at for count in (0, 1, 2)}
    assert first == {0: NOW, 1: NOW + 40 * DAY, 2: NOW + 80 * DAY}


def pairs(count: int, step: timedelta, **more: Any) -> list[tuple[past.Line, bytes]]:
    lines = [{"at": (NOW + number * step).isoformat(), "boot": "b", "n": number, **more} for number in range(count)]
    return [(one, json.dumps(one).encode()) for one in lines]


def test_the_newest_stay_and_one_a_day_before() -> None:
    kept = [json.loads(text)["n"] for text in past.thinned(pairs(900, timedelta(hours=1)))]
    assert kept[-past.DENSE :] == list(range(800, 900))
    assert kept[: -past.DENSE] == [number for number in range(800) if (number + 4) % 24 == 23]


def test_lines_with_a_fault_stay_but_no_bound_is_ever_passed() -> None:
    lines = pairs(5000, timedelta(minutes=10), faults=[{"rule": "x"}])
    kept = past.thinned(lines)
    assert len(kept) <= past.MOST_LINES
    assert kept == [text for _, text in lines[-len(kept) :]]
    large = past.thinned(pairs(300, DAY, blob="x" * 10_000))
    assert sum(map(len, large)) <= past.MOST_BYTES


@given(st.lists(st.dictionaries(st.sampled_from(["at", "boot", "gpus", "faults"]), JSON), max_size=6))
def test_hostile_lines_never_raise(lines: list[Any]) -> None:
    after({}, lines)
    past.thinned([(one, b"x") for one in lines])
    past.line_of(box(cards(b3b="165")).facts, judged(fault(f"gpu:{PCI}")), NOW, "b", after({}, lines))
