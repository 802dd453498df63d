"""Rules against the baseline: what moved, changed or is gone, and what they do not claim."""

from __future__ import annotations

from typing import Any

import pytest

from bilbs_cli.diag.findings import Judgement, Severity, evaluate
from bilbs_cli.diag.model import ReadError
from bilbs_cli.diag.rules.memory import RULES
from tests.diag.remembered import DAY, NOW, box, cards, tree

KNOWN: dict[str, Any] = {
    "taken_at": "2026-11-01T00:00:00+00:00",
    "gpus": [
        {"pci": "0000:3b:00.0", "serial": "165", "slot": "1"},
        {"pci": "0000:5e:00.0", "serial": "166", "slot": "2"},
    ],
    "disks": ["serial S1", "sda"],
    "dimms": 2,
    "dimm_slots": ["A1", "A2"],
}


def of(facts: Any, **memory: Any) -> Judgement:
    return evaluate(RULES, box(facts, **memory))


def found(judgement: Judgement, rule: str) -> list[str]:
    return [one.message for one in judgement.findings if one.rule == rule]


def test_two_cards_that_changed_places_have_moved_and_nothing_was_replaced() -> None:
    judgement = of(cards(b3b="166", b5e="165"), baseline=KNOWN)
    assert found(judgement, "box.gpu_moved") == [
        "the GPU with serial 166 was moved: it was at slot 2, 0000:5e:00.0 on 2026-11-01",
        "the GPU with serial 165 was moved: it was at slot 1, 0000:3b:00.0 on 2026-11-01",
    ]
    assert found(judgement, "box.gpu_replaced") == []


def test_another_address_in_the_same_slot_is_no_move_of_the_card() -> None:
    judgement = of(cards(b3c="165", b5e="166"), baseline=KNOWN)
    assert found(judgement, "box.gpu_moved") == [
        "the GPU with serial 165 has another PCI address in the same slot: it was at slot 1, 0000:3b:00.0 on 2026-11-01"
    ]


def test_a_new_card_in_a_known_place_replaced_the_old_one() -> None:
    judgement = of(cards(b3b="165", b5e="999"), baseline=KNOWN)
    assert found(judgement, "box.gpu_replaced") == ["the GPU with serial 166 was replaced by 999 since 2026-11-01"]
    assert {one.severity for one in judgement.findings} == {Severity.INFO}


def test_a_known_card_in_the_place_of_one_that_is_gone_has_moved_and_replaced_nothing() -> None:
    judgement = of(cards(b3b="166"), baseline=KNOWN)
    assert len(found(judgement, "box.gpu_moved")) == 1
    assert found(judgement, "box.gpu_replaced") == []


def test_a_card_that_is_silent_was_not_replaced() -> None:
    facts = cards(b3b="165", b5e="166")
    facts["gpu"]["devices"]["1"]["serial"] = {"error": {"class": "NVMLError_GpuIsLost"}}
    assert of(facts, baseline=KNOWN).findings == ()


def test_a_module_and_a_disk_that_are_gone_are_named() -> None:
    facts = tree(
        {
            "system/dmi/memory/A1/populated": True,
            "system/dmi/memory/A2/populated": False,
            "storage/disks/nvme0n1/serial": "S2",
        }
    )
    judgement = of(facts, baseline=KNOWN)
    assert [(one.rule, one.part) for one in judgement.findings] == [
        ("box.dimm_missing", "dimm:A2"),
        ("box.disk_missing", "disk:S1"),
        ("box.disk_missing", "disk:sda"),
    ]
    assert "it may be another disk" in found(judgement, "box.disk_missing")[1]
    assert "it may be another disk" not in found(judgement, "box.disk_missing")[0]


def test_what_was_not_read_is_not_gone_and_not_healthy() -> None:
    judgement = of({}, baseline=KNOWN)
    assert judgement.findings == ()
    assert {one.rule for one in judgement.not_evaluated} >= {"box.dimm_missing", "box.disk_missing"}


@pytest.mark.parametrize("memory", [{}, {"baseline": {"taken_at": "never"}}, {"baseline": 7}])
def test_without_a_baseline_nothing_is_judged(memory: Any) -> None:
    facts = cards(b3b="165") | tree({"storage/disks/sda/model": "x", "system/dmi/memory/A1/populated": True})
    judgement = of(facts, **memory)
    assert judgement.findings == ()
    assert judgement.evaluated == 0
    assert len(judgement.not_evaluated) == len(RULES)


def rows(*counts: int) -> dict[str, Any]:
    return {
        "samples": [
            {"at": (NOW - number * 10 * DAY).isoformat(), "pci": "0000:3b:00.0", "serial": "165"}
            | {"counters": {"remapped_uncorrectable": count}}
            for number, count in enumerate(reversed(counts), 1)
        ]
    }


def remapped(count: Any, low: int) -> Any:
    facts = cards(b3b="165")
    facts["gpu"]["devices"]["0"] |= tree(
        {"remapped_rows/uncorrectable": count}
        | {f"row_remapper_histogram/{name}": 0 for name in ("high", "partial", "none")}
        | {"row_remapper_histogram/max": 600, "row_remapper_histogram/low": low}
    )
    return facts


@pytest.mark.parametrize(("low", "severity"), [(1, Severity.WARNING), (0, Severity.INFO)])
def test_a_runway_that_may_end_soon_is_a_warning(low: int, severity: Severity) -> None:
    (one,) = of(remapped(4, low), history=rows(0, 2)).findings
    assert (one.rule, one.severity) == ("gpu.row_remap.runway", severity)


def test_a_count_that_stands_still_and_one_that_is_unknown_are_told_apart() -> None:
    still = of(remapped(2, 1), history=rows(2, 2))
    assert still.findings == ()
    assert "gpu.row_remap.runway" not in {one.rule for one in still.not_evaluated}
    unknown = of(remapped(ReadError("NVMLError_NotSupported", "Not Supported", 3), 1), history=rows(2, 2))
    assert "gpu.row_remap.runway" in {one.rule for one in unknown.not_evaluated}
