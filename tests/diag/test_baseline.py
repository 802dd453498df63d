"""The baseline and the history: their JSON forms, there and back, and what hostile ones come to."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag import baseline
from bilbs_cli.diag.baseline import Baseline, History, KnownGpu, PastFault, Sample
from tests.diag.remembered import NOW, tree

TEXT = st.text(max_size=30)
WORD = st.text(min_size=1, max_size=30)
WHOLE = st.integers(0, (1 << 62) - 1)
MAYBE = st.none() | WHOLE
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC))
NAMES = st.lists(WORD, max_size=4).map(tuple)
COUNTERS = st.dictionaries(WORD, WHOLE, max_size=4)
GPUS = st.builds(
    KnownGpu,
    pci=WORD,
    serial=TEXT,
    uuid=TEXT,
    part_number=TEXT,
    name=TEXT,
    slot=TEXT,
    module_id=MAYBE,
    index=MAYBE,
    vbios=TEXT,
    pcie_width=MAYBE,
    pcie_generation=MAYBE,
    nvlinks_up=st.frozensets(st.integers(0, 1023), max_size=5),
    counters=COUNTERS,
)
BASELINES = st.builds(
    Baseline,
    taken_at=TIMES,
    gpus=st.lists(GPUS, max_size=4).map(tuple),
    by=TEXT,
    driver=TEXT,
    dimms=MAYBE,
    disks=NAMES,
    sensors=NAMES,
    interfaces=NAMES,
    dimm_slots=NAMES,
)
SAMPLES = st.builds(Sample, at=TIMES, boot=TEXT, pci=WORD, serial=TEXT, counters=COUNTERS, slot=TEXT)
FAULTS = st.builds(PastFault, at=TIMES, boot=TEXT, rule=WORD, pci=WORD, serial=TEXT, slot=TEXT)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(BASELINES)
def test_a_baseline_comes_back_from_its_json(known: Baseline) -> None:
    assert baseline.decode(json.loads(json.dumps(baseline.encode(known)))) == known


@given(st.lists(SAMPLES, max_size=5), st.lists(FAULTS, max_size=5), NAMES)
def test_a_history_comes_back_from_its_json_in_order(
    samples: list[Sample], faults: list[PastFault], boots: tuple[str, ...]
) -> None:
    known = History(
        tuple(sorted(samples, key=lambda one: one.at)), tuple(sorted(faults, key=lambda one: one.at)), boots
    )
    assert baseline.decode_history(json.loads(json.dumps(baseline.encode_history(known)))) == known


KEYS = ("taken_at", "gpus", "disks", "dimms", "samples", "faults", "boots", "at", "pci", "serial", "counters", "rule")


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from(KEYS), JSON | st.lists(st.dictionaries(st.sampled_from(KEYS), JSON)), max_size=8)
)
def test_hostile_json_never_raises(value: dict[str, Any]) -> None:
    for found in (value, {**value, "taken_at": NOW.isoformat()}):
        facts = tree({"memory/baseline": found, "memory/history": found})
        baseline.baseline_of(facts)
        baseline.history_of(facts)


@pytest.mark.parametrize(
    "taken_at", [None, 7, "", "soon", "2026-11-21", "2026-11-21T04:00:00", "0001-01-01T00:00:00+14:00"]
)
def test_without_a_time_that_is_one_there_is_no_baseline(taken_at: object) -> None:
    assert baseline.decode({"taken_at": taken_at, "gpus": []}) is None


def test_what_is_malformed_is_left_out_and_the_rest_stays() -> None:
    good = {"pci": "0000:3b:00.0", "serial": "165", "pcie_width": True, "index": -1, "module_id": 1 << 70}
    good |= {"nvlinks_up": [3, "4", True, 10**30, None], "counters": {"a": 1, "b": -1, "c": 1.5, "d": float("nan")}}
    found = baseline.decode(
        {"taken_at": NOW.isoformat(), "gpus": [7, {}, {"name": "no address"}, good], "disks": "sda"}
    )
    assert found is not None
    assert found.gpus == (KnownGpu("0000:3b:00.0", "165", nvlinks_up=frozenset({3}), counters={"a": 1}),)
    assert found.disks == ()


def test_a_million_rows_are_cut_to_the_newest() -> None:
    rows = [{"at": NOW.isoformat(), "pci": "p", "boot": str(number)} for number in range(200_000)]
    found = baseline.decode_history({"samples": rows})
    assert len(found.samples) == baseline.MOST_SAMPLES
    assert found.samples[-1].boot == "199999"


def test_a_history_is_read_oldest_first_however_it_stands() -> None:
    rows = [{"at": at, "pci": "p", "rule": "x"} for at in ("2026-11-03T00:00:00Z", "2026-11-01T00:00:00Z")]
    found = baseline.decode_history({"samples": rows, "faults": rows})
    assert [one.at.day for one in found.samples] == [1, 3]
    assert [one.at.day for one in found.faults] == [1, 3]


def test_no_memory_in_the_facts_is_no_baseline_and_an_empty_history() -> None:
    for facts in ({}, {"memory": 7}, {"memory": {"baseline": {"not_collected": "none yet"}}}):
        assert baseline.baseline_of(facts) is None
        assert baseline.history_of(facts) == History()
