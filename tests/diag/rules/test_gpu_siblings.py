"""One GPU against the others of its model, and NVLinks that are down: robust, and silent where nothing can be told."""

from __future__ import annotations

from typing import Any

import pytest

from bilbs_cli.diag.findings import Box, Judgement, Severity, evaluate
from bilbs_cli.diag.rules.gpu_nvlink import GPU_NVLINK_RULES
from bilbs_cli.diag.rules.gpu_siblings import GPU_SIBLING_RULES
from tests.diag.remembered import NOW, tree

RULES = (*GPU_SIBLING_RULES, *(one for one in GPU_NVLINK_RULES if one.id == "gpu.nvlink.down"))


def box(*gpus: dict[str, Any], name: str = "NVIDIA L40S") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for index, gpu in enumerate(gpus):
        base = {"name": name, "pci_bus_id": f"0000:{index + 16:x}:00.0"}
        found |= {f"gpu/devices/{index}/{path}": one for path, one in (base | gpu).items()}
    return tree(found)


def judged(facts: dict[str, Any], rule: str, **memory: Any) -> Judgement:
    remembered = {"memory": {name: {"value": one} for name, one in memory.items()}} if memory else {}
    return evaluate([one for one in RULES if one.id == rule], Box({**facts, **remembered}, NOW))


def parts(judgement: Judgement) -> list[str]:
    return [one.part for one in judgement.findings]


EACH = {
    "gpu.outlier.vbios": ("vbios", "96.1", "96.2"),
    "gpu.outlier.inforom": ("inforom/image", "G1", "G2"),
    "gpu.outlier.width": ("pcie/width_current", 16, 8),
}


@pytest.mark.parametrize("rule", EACH)
def test_one_that_differs_from_three_that_agree_is_told(rule: str) -> None:
    path, usual, odd = EACH[rule]
    assert parts(judged(box({path: odd}, *[{path: usual}] * 3), rule)) == ["gpu:0000:10:00.0"]
    assert parts(judged(box(*[{path: usual}] * 7, {path: odd}), rule)) == ["gpu:0000:17:00.0"]


@pytest.mark.parametrize("rule", EACH)
def test_two_camps_are_no_outliers(rule: str) -> None:
    path, usual, odd = EACH[rule]
    judgement = judged(box(*[{path: usual}] * 4, *[{path: odd}] * 4), rule)
    assert (parts(judgement), judgement.evaluated) == ([], 8)


@pytest.mark.parametrize("rule", EACH)
def test_fewer_than_three_others_prove_nothing_and_that_is_no_pass(rule: str) -> None:
    path, usual, odd = EACH[rule]
    judgement = judged(box({path: odd}, *[{path: usual}] * 2), rule)
    assert (parts(judgement), judgement.evaluated) == ([], 0)
    assert "fewer than 3 other GPUs" in judgement.not_evaluated[0].reason


def test_a_gpu_of_another_model_is_no_sibling() -> None:
    facts = box(*[{"vbios": "96.1"}] * 3)
    facts["gpu"]["devices"]["9"] = tree({"name": "NVIDIA T4", "vbios": "90.0"})
    assert parts(judged(facts, "gpu.outlier.vbios")) == []


def test_a_link_that_is_wider_than_the_others_is_no_outlier() -> None:
    assert parts(judged(box({"pcie/width_current": 16}, *[{"pcie/width_current": 8}] * 3), "gpu.outlier.width")) == []


def warm(degrees: float, watts: float = 300.0) -> dict[str, Any]:
    return {"temperature_c": degrees, "power_w": watts}


@pytest.mark.parametrize(("degrees", "told"), [(75, True), (74.9, False)])
def test_a_gpu_is_an_outlier_from_15_degrees_above_its_siblings_on(degrees: float, told: bool) -> None:
    judgement = judged(box(warm(degrees), warm(60), warm(58), warm(62)), "gpu.outlier.temperature")
    assert bool(judgement.findings) is told


def test_a_gpu_that_works_harder_than_the_others_may_be_hotter() -> None:
    judgement = judged(box(warm(80, 300), *[warm(40, 70)] * 7), "gpu.outlier.temperature")
    assert judgement.findings == ()
    assert [gap.part for gap in judgement.not_evaluated] == ["gpu:0000:10:00.0"]


def test_one_hot_sibling_does_not_hide_another() -> None:
    judgement = judged(box(warm(90), warm(90), *[warm(60)] * 6), "gpu.outlier.temperature")
    assert parts(judgement) == ["gpu:0000:10:00.0", "gpu:0000:11:00.0"]


def busy(mhz: float, percent: float = 99) -> dict[str, Any]:
    return {"clocks/sm_mhz": mhz, "utilization/gpu_percent": percent}


@pytest.mark.parametrize(("mhz", "told"), [(1599, True), (1600, False)])
def test_a_gpu_is_slow_below_80_percent_of_its_busy_siblings(mhz: float, told: bool) -> None:
    judgement = judged(box(busy(mhz), *[busy(2000)] * 3, busy(300, 0)), "gpu.outlier.clocks")
    assert bool(judgement.findings) is told


def test_a_gpu_that_is_idle_is_not_slow() -> None:
    judgement = judged(box(busy(300, 0), *[busy(2000)] * 3), "gpu.outlier.clocks")
    assert judgement.findings == ()
    assert "gpu:0000:10:00.0" in {gap.part for gap in judgement.not_evaluated}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, True, "60", None])
def test_siblings_with_nonsense_are_not_counted(value: Any) -> None:
    for rule, path in (("gpu.outlier.temperature", "temperature_c"), ("gpu.outlier.clocks", "clocks/sm_mhz")):
        odd = {**warm(90), **busy(2000), path: value}
        judgement = judged(box(warm(90) | busy(500), *[odd] * 3), rule)
        assert judgement.findings == ()
        assert all(gap.kind.value != "broken" for gap in judgement.not_evaluated)


# ---- NVLinks


def links(*states: str, switch: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {f"nvlink/{n}/state": state for n, state in enumerate(states)}
    return found | ({f"nvlink/{n}/remote_type": "switch" for n in range(len(states))} if switch else {})


UP, DOWN = "active", "inactive"
KNOWN = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": "0000:10:00.0", "serial": "", "nvlinks_up": [0, 1]}]}


def down(*gpus: dict[str, Any], **memory: Any) -> Judgement:
    return judged(box(*gpus), "gpu.nvlink.down", **memory)


def test_a_link_that_was_up_in_the_baseline_and_is_down_is_critical() -> None:
    (found,) = down(links(UP, DOWN, DOWN), baseline=KNOWN).findings
    assert (found.severity, found.message) == (Severity.CRITICAL, "NVLink 1 is down, up in the baseline")
    assert [one.path for one in found.evidence] == ["gpu/devices/0/nvlink/1/state"]


def test_all_links_down_is_normal_on_a_card_that_never_had_one_up() -> None:
    known = {**KNOWN, "gpus": [{"pci": "0000:10:00.0", "serial": "", "nvlinks_up": []}]}
    judgement = down(links(DOWN, DOWN), baseline=known)
    assert (judgement.findings, judgement.evaluated) == ((), 1)


@pytest.mark.parametrize("state", ["sleep", "active, traffic disabled"])
def test_a_trained_link_that_rests_is_not_down(state: str) -> None:
    assert down(links(UP, state), baseline=KNOWN).findings == ()


def test_without_a_baseline_all_links_down_is_not_judged() -> None:
    judgement = down(links(DOWN, DOWN), links(DOWN, DOWN))
    assert (judgement.findings, judgement.evaluated) == ((), 0)
    assert "without a bridge that is normal" in judgement.not_evaluated[0].reason


def test_without_a_baseline_the_siblings_tell_and_a_switch_makes_sure() -> None:
    gpus = [links(UP, UP, switch=True)] * 3
    assert [one.severity for one in down(links(UP, DOWN), *gpus).findings] == [Severity.CRITICAL]
    bridged = [links(UP, UP)] * 3
    assert [one.severity for one in down(links(UP, DOWN), *bridged).findings] == [Severity.WARNING]


def test_a_card_without_a_bridge_beside_two_with_one_is_at_most_a_warning_and_beside_one_more_without_it_nothing() -> (
    None
):
    pair = links(UP, UP)
    assert [one.severity for one in down(links(DOWN, DOWN), pair, pair).findings] == [Severity.WARNING]
    assert down(links(DOWN, DOWN), links(DOWN, DOWN), pair, pair).findings == ()


def test_a_link_whose_state_cannot_be_read_is_not_down() -> None:
    from bilbs_cli.diag.model import ReadError

    timeout = ReadError("Timeout", "no answer")
    assert down({"nvlink/0/state": UP, "nvlink/1/state": timeout}, baseline=KNOWN).findings == ()
    judgement = down({"nvlink/0/state": timeout, "nvlink/1/state": timeout}, baseline=KNOWN)
    assert (judgement.findings, judgement.evaluated) == ((), 0)


def test_with_mig_on_links_are_off_by_design() -> None:
    judgement = down(links(DOWN, DOWN) | {"mig_mode_current": True}, baseline=KNOWN)
    assert (judgement.findings, judgement.evaluated) == ((), 0)


def test_a_gpu_without_links_is_not_judged() -> None:
    from bilbs_cli.diag.model import ReadError

    judgement = down({"nvlink_states": ReadError("NVMLError_NotSupported", "Not Supported", 3)}, baseline=KNOWN)
    assert [gap.kind.value for gap in judgement.not_evaluated] == ["unsupported"]
