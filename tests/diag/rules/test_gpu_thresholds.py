"""Every threshold of the GPU rules: at it, just below it, and with a reading that is absent, an error or no such value."""

from __future__ import annotations

from typing import Any

import pytest

from bilbs_cli.diag.findings import Gap, Verdict
from bilbs_cli.diag.model import NotCollected, ReadError
from bilbs_cli.diag.rules.gpu import GPU_RULES
from tests.diag.rules.gpu_table import LOST, PART, ROWS, SERIAL, UNSUPPORTED, Row, baseline, judged, page, sample

BY_ID = {one.id: one for one in GPU_RULES}
ELSEWHERE = {  # rules about more than one GPU, and what their tests are
    "gpu.lost",
    "gpu.off_bus",
    "gpu.handle",
    "gpu.count",
    *(name for name in BY_ID if name.startswith(("gpu.driver.", "gpu.outlier."))),
    "gpu.nvlink.down",
}


def test_every_rule_stands_in_the_table_or_has_tests_of_its_own() -> None:
    assert {row.rule for row in ROWS} == set(BY_ID) - ELSEWHERE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_at_its_threshold_a_rule_fires_as_the_documents_say(row: Row) -> None:
    (found,) = judged(row.fires, only=row.rule).findings
    assert (found.rule, found.severity, found.verdict) == (row.rule, row.severity, row.verdict)
    assert found.part == (PART if BY_ID[row.rule].scope.kind == "gpu" else "host")
    assert found.evidence
    assert all(proof.path or proof.line for proof in found.evidence)
    assert found.next
    if found.verdict is Verdict.RMA:
        assert found.have
        assert "field diagnostic" in found.missing[0]
    if found.verdict in {Verdict.RESET_GPU, Verdict.REBOOT}:
        assert "bilbs diag collect" in found.next


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_below_its_threshold_a_rule_looks_and_says_nothing(row: Row) -> None:
    judgement = judged(row.quiet, only=row.rule)
    assert judgement.findings == ()
    assert judgement.evaluated == 1, judgement.not_evaluated


BAD: dict[str, tuple[Any, Gap]] = {
    "absent": (NotCollected("not asked"), Gap.NOT_COLLECTED),
    "null": (None, Gap.NOT_COLLECTED),
    "unsupported": (UNSUPPORTED, Gap.UNSUPPORTED),
    "lost": (LOST, Gap.ERROR),
    "denied": (ReadError("NVMLError_NoPermission", "Insufficient Permissions", 4), Gap.DENIED),
    "timeout": (ReadError("Timeout", "no answer"), Gap.TIMEOUT),
    "a field left as it was": (ReadError("Implausible", "the driver left this field as it was"), Gap.ERROR),
}
OF_RULE = {row.rule: row for row in reversed(ROWS)}


@pytest.mark.parametrize("how", BAD)
@pytest.mark.parametrize("rule", OF_RULE)
def test_a_rule_without_its_readings_is_not_evaluated_with_the_reason(rule: str, how: str) -> None:
    reading, kind = BAD[how]
    judgement = judged(dict.fromkeys(OF_RULE[rule].fires, reading), only=rule)
    assert (judgement.findings, judgement.evaluated) == ((), 0)
    (gap,) = judgement.not_evaluated
    assert gap.kind is kind
    assert gap.reason


NONSENSE = ["yes", "", [], {}, -1, 0.5, float("nan"), float("inf"), 10**400, 1 << 63, "NaN", [None], {"a": 1}]
COUNTERS = sorted(
    rule
    for rule in OF_RULE
    if rule not in {"gpu.temperature.margin", "gpu.temperature.memory", "gpu.power.limit", "gpu.fabric.health"}
    and not rule.startswith(("gpu.clocks", "gpu.recovery", "gpu.fabric"))
)


@pytest.mark.parametrize("value", NONSENSE, ids=lambda one: str(one)[:12])
@pytest.mark.parametrize("rule", COUNTERS)
def test_a_value_of_the_wrong_kind_is_never_a_count_or_a_flag(rule: str, value: Any) -> None:
    readings = {path: value for path in OF_RULE[rule].fires if not path.startswith("/memory")}
    judgement = judged(OF_RULE[rule].fires, readings, only=rule)
    empty_pages = rule in {"gpu.retired_pages.count", "gpu.retired_pages.rate"} and isinstance(value, list)
    assert judgement.findings == ()
    assert judgement.evaluated == int(empty_pages)
    assert Gap.BROKEN not in {gap.kind for gap in judgement.not_evaluated}


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize(
    "path",
    [
        "remapped_rows/uncorrectable",
        "ecc/volatile/uncorrected",
        "pcie/fatal_errors",
        "ecc/aggregate/sram/corrected",
        "temperature_margin_c",
    ],
)
def test_a_flag_is_no_number(path: str, value: bool) -> None:
    judgement = judged({path: value})
    assert judgement.findings == ()


@pytest.mark.parametrize("value", [0, 1, "true", "false"])
@pytest.mark.parametrize("path", ["remapped_rows/failure", "ecc/sram_status/threshold_exceeded", "unrepairable_memory"])
def test_a_number_or_a_word_is_no_flag_and_makes_no_rma(path: str, value: Any) -> None:
    assert judged({path: value}).findings == ()


def test_numbers_that_are_no_temperature_are_not_judged() -> None:
    value: Any
    for value in (float("nan"), float("inf"), 10**400, True, "40", [40]):
        margin = judged({"temperature_margin_c": value}, only="gpu.temperature.margin")
        assert (margin.findings, margin.evaluated) == ((), 0), value
        limit = judged({"power_limit_enforced_w": value, "power_limit_default_w": 700.0}, only="gpu.power.limit")
        assert (limit.findings, limit.evaluated) == ((), 0), value


def test_words_that_are_no_words_are_not_judged() -> None:
    value: Any
    for value in (0, False, [], {}, 230):
        assert judged({"fields/recovery_action": value}, only="gpu.recovery_action").evaluated == 0, value
        assert judged({"clocks_event_reasons": value}, only="gpu.clocks.hw_thermal").evaluated == int(value == []), (
            value
        )


# ---- what is only judged when it can be


def test_an_idle_link_that_is_slow_is_not_judged() -> None:
    idle = {
        "performance_state": "P8",
        "utilization/gpu_percent": 0,
        "pcie/generation_current": 1,
        "pcie/generation_max": 5,
    }
    judgement = judged(idle, only="gpu.pcie.generation")
    assert (judgement.findings, judgement.evaluated) == ((), 0)
    assert "idle" in judgement.not_evaluated[0].reason


REPLAYS = {"pcie/replays": 5000, "pcie/generation_max": 5, "pcie/width_current": 16}


@pytest.mark.parametrize(
    "history",
    [
        sample(2, pcie_replays=0),  # before this boot
        sample(10 / 86400, pcie_replays=0),  # just now
        sample(-1, pcie_replays=0),  # of the future
        sample(0.01, pcie_replays=6000),  # the driver was loaded anew
        sample(0.01, remapped_uncorrectable=0),  # without this counter
        {"samples": [sample(0.01, pcie_replays=0)["samples"][0] | {"serial": "another"}]},
        {},
    ],
    ids=["another boot", "just now", "future", "set back", "no counter", "another card", "empty"],
)
def test_replays_without_a_count_to_compare_with_are_not_judged(history: Any) -> None:
    judgement = judged(REPLAYS, {"/memory/history": history}, only="gpu.pcie.replays")
    assert (judgement.findings, judgement.evaluated) == ((), 0)


def test_remaps_of_another_card_in_the_same_place_are_no_growth() -> None:
    other = sample(3, remapped_uncorrectable=0)
    other["samples"][0]["serial"] = "another"
    known = baseline(counters={"remapped_uncorrectable": 0})
    known["gpus"][0]["serial"] = "another"
    readings = {"remapped_rows/uncorrectable": 9, "/memory/history": other, "/memory/baseline": known}
    judgement = judged(readings, only="gpu.row_remap.growth")
    assert (judgement.findings, judgement.evaluated) == ((), 0)


def test_a_sample_of_the_future_is_no_sample() -> None:
    readings = {"remapped_rows/uncorrectable": 9, "/memory/history": sample(-3, remapped_uncorrectable=0)}
    assert judged(readings, only="gpu.row_remap.growth").evaluated == 0


def test_a_card_that_was_moved_keeps_its_remaps() -> None:
    known = sample(3, remapped_uncorrectable=7)
    known["samples"][0]["pci"] = "0000:99:00.0"
    (found,) = judged(
        {"remapped_rows/uncorrectable": 9, "/memory/history": known}, only="gpu.row_remap.growth"
    ).findings
    assert found.message == "2 rows remapped for uncorrectable errors since 2026-11-18"


def test_a_baseline_that_cannot_be_understood_is_no_baseline() -> None:
    readings = {"remapped_rows/uncorrectable": 9, "/memory/baseline": {"taken_at": "never"}}
    assert judged(readings, only="gpu.row_remap.growth").evaluated == 0


def test_pages_whose_times_are_unknown_are_judged_by_the_history_alone() -> None:
    pages = page(*[400] * 20)
    for one in pages:
        one["retired_at_s"] = None
    readings = {"retired_pages/single_bit": [], "retired_pages/double_bit": pages}
    assert judged(readings, only="gpu.retired_pages.rate").evaluated == 0
    loud = readings | {"/memory/history": sample(7, retired_pages=10)}
    (found,) = judged(loud, only="gpu.retired_pages.rate").findings
    assert found.message == "20 pages are retired for double bit errors, 10 of them within a week"


def test_with_mig_instances_row_remapping_is_unsupported_and_that_is_no_pass() -> None:
    readings = {f"{place}remapped_rows/failure": UNSUPPORTED for place in ("", "fields/")}
    (gap,) = judged(readings, only="gpu.row_remap.failure").not_evaluated
    assert gap.kind is Gap.UNSUPPORTED


def test_a_gpu_without_a_fabric_is_not_judged_for_it() -> None:
    readings = {"fabric/state": "not supported", "fabric/status": "success", "fabric/health_summary": "not supported"}
    for rule in ("gpu.fabric.state", "gpu.fabric.health"):
        (gap,) = judged(readings, only=rule).not_evaluated
        assert gap.kind is Gap.UNSUPPORTED


def test_the_fabric_manager_of_a_box_without_the_driver_is_not_judged() -> None:
    readings = {"/pci/counts/nvswitch": 4, "/services/processes/nv-fabricmanager/running": False}
    assert judged(readings, only="gpu.fabric.manager").evaluated == 0


def test_a_failure_names_what_is_missing_for_the_rma_and_which_card_it_is() -> None:
    (found,) = judged(
        {"remapped_rows/failure": True, "remapped_rows/uncorrectable": 40}, only="gpu.row_remap.failure"
    ).findings
    assert found.have == ("the row remapping failure flag is set",)
    assert len(found.missing) == 1
    assert [proof.path for proof in found.evidence] == [
        "gpu/devices/0/remapped_rows/failure",
        "gpu/devices/0/remapped_rows/uncorrectable",
    ]
    assert found.part == PART
    assert SERIAL not in found.message


def test_a_command_to_type_is_never_made_of_hostile_facts() -> None:
    from bilbs_cli.diag.findings import BOX, Box, Case
    from bilbs_cli.diag.rules.gpu_advice import reset
    from tests.diag.remembered import NOW

    assert BOX
    for index in ("0; rm -rf /", "$(id)", "", "٣", "9" * 400):
        case = Case(Box({}, NOW), ("gpu", "devices", index), "", "")
        assert "-i INDEX " in reset(case)
    assert "-i 3 " in reset(Case(Box({}, NOW), ("gpu", "devices", "3"), "", ""))
