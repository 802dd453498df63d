"""The GPU rules over what the real pynvml reads off a library of our own: healthy, lost, hanging, mismatched, lying."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.diag.findings import Box, Finding, Gap, Judgement, Severity, Verdict, evaluate
from bilbs_cli.diag.rules.gpu import GPU_RULES
from tests.diag.remembered import NOW
from tests.parts import nvml
from tests.parts.nvml import Collected

ADDRESSES = ["0000:1b:00.0", "0000:3b:00.0", "0000:5d:00.0", "10000:9a:00.0"]
# What makes an H100 of the table a healthy one: rows that come before those of the table
HEALTHY = """
nvmlDeviceValidateInforom                       *  0
nvmlDeviceGetTotalEccErrors:1,1                 *  0  0
nvmlDeviceGetMemoryErrorCounter:1,1,7           *  0  0
nvmlDeviceGetMemoryErrorCounter:1,1,2           *  0  0
nvmlDeviceGetSramEccErrorStatus                 *  0  0 0 88  0 0 4  0 0 0 0 0  0
nvmlDeviceGetRepairStatus                       *  0  0 0
nvmlDeviceGetRetiredPages_v2:1                  *  3
nvmlDeviceGetRetiredPages_v2:0                  *  3
nvmlDeviceGetRetiredPagesPendingStatus          *  3
nvmlDeviceGetFieldValues:29                     *  3
nvmlDeviceGetFieldValues:30                     *  3
nvmlDeviceGetRemappedRows                       *  0  0 0 0 0
nvmlDeviceGetRowRemapperHistogram               *  0  2560 0 0 0 0
nvmlDeviceGetFieldValues:142                    *  0  3 0
nvmlDeviceGetFieldValues:143                    *  0  3 0
nvmlDeviceGetFieldValues:144                    *  0  1 0
nvmlDeviceGetFieldValues:145                    *  0  1 0
nvmlDeviceGetFieldValues:307                    *  0  1 0
nvmlDeviceGetFieldValues:226                    *  0  1 0
nvmlDeviceGetFieldValues:227                    *  0  1 0
nvmlDeviceGetFieldValues:230                    *  0  1 0
nvmlDeviceGetCurrentClocksEventReasons          *  0  0x4
nvmlDeviceGetEnforcedPowerLimit                 *  0  700000
nvmlDeviceGetCurrPcieLinkWidth                  *  0  16
nvmlDeviceGetFieldValues:179                    *  0  3 0
nvmlDeviceGetNvLinkState:2                      *  0  1
nvmlDeviceGetNvLinkErrorCounter:1,0             *  0  0
nvmlDeviceGetNvLinkErrorCounter:2,0             *  0  0
nvmlDeviceGetNvLinkErrorCounter:2,1             *  0  0
nvmlDeviceGetFieldValues:161,1                  *  0  3 0
nvmlDeviceGetFieldValues:161,2                  *  0  3 0
nvmlDeviceGetFieldValues:162,2                  *  0  3 0
nvmlDeviceGetFieldValues:214,2                  *  0  3 0
nvmlDeviceGetFieldValues:215,2                  *  0  3 0
nvmlDeviceGetFieldValues:52                     *  0  3 0
nvmlDeviceGetFieldValues:59                     *  0  3 0
nvmlDeviceGetGpuFabricInfoV                     *  0  0 32766 3 0x11aa 1  0xaa 0xbb 1 2 3 4 0x45 6 0x87 8 9 10 11 12 13 14
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml.build(tmp_path_factory.mktemp("nvml"))


def table(folder: Path, *rows: str) -> Path:
    path = folder / "changed.table"
    healthy = [row.replace(" *  ", f" {gpu}  ", 1) for row in HEALTHY.strip().splitlines() for gpu in range(4)]
    path.write_text("\n".join((*rows, *healthy, nvml.TABLE.read_text(encoding="utf-8"))), encoding="utf-8")
    return path


def facts_of(found: Collected, *in_pci: str) -> dict[str, Any]:
    """Return the facts as the collector left them; this machine's bus has no GPU, so those of the box are put in."""
    gpu = found.facts
    gpu["system"]["gpus_in_pci"] = {"value": list(in_pci)}
    return {"gpu": gpu, "pci": {"functions": {"value": 40}}}


def judged(found: Collected, *in_pci: str, **more: Any) -> Judgement:
    return evaluate(GPU_RULES, Box({**facts_of(found, *in_pci), **more}, NOW))


def loud(judgement: Judgement) -> list[Finding]:
    return [one for one in judgement.findings if one.severity is not Severity.INFO]


def rules_of(judgement: Judgement) -> set[str]:
    return {one.rule for one in judgement.findings}


def silent(judgement: Judgement, part: str) -> set[str]:
    return {gap.rule for gap in judgement.not_evaluated if gap.part == part}


def test_healthy_gpus_give_nothing_above_information_and_no_rma(library: Path, tmp_path: Path) -> None:
    judgement = judged(nvml.collect(library, table=table(tmp_path), COUNT=4), *ADDRESSES)
    assert loud(judgement) == []
    assert {one.part for one in judgement.findings} <= {"gpu:0000:e1:00.0"}  # the one that is excluded
    assert Verdict.RMA not in {one.verdict for one in judgement.findings}
    evaluated = {one.id for one in GPU_RULES} - {gap.rule for gap in judgement.not_evaluated}
    assert evaluated >= {
        "gpu.row_remap.failure",
        "gpu.row_remap.histogram",
        "gpu.sram.threshold",
        "gpu.ecc.uncorrected",
        "gpu.ecc.mode",
        "gpu.inforom.corrupt",
        "gpu.count",
        "gpu.lost",
        "gpu.pcie.width",
        "gpu.pcie.generation",
        "gpu.clocks.hw_thermal",
        "gpu.temperature.margin",
        "gpu.nvlink.down",
        "gpu.nvlink.errors",
        "gpu.fabric.state",
        "gpu.fabric.health",
        "gpu.recovery_action",
        "gpu.driver.hang",
        "gpu.outlier.vbios",
        "gpu.outlier.temperature",
    }
    assert {gap.kind for gap in judgement.not_evaluated} <= {Gap.UNSUPPORTED, Gap.NOT_COLLECTED}


def test_a_lost_gpu_is_one_critical_finding_and_its_own_rules_are_not_evaluated(library: Path, tmp_path: Path) -> None:
    judgement = judged(nvml.collect(library, table=table(tmp_path), COUNT=4, LOST=1), *ADDRESSES)
    (found,) = loud(judgement)
    assert (found.rule, found.part, found.severity) == ("gpu.lost", "gpu:0000:3b:00.0", Severity.CRITICAL)
    nameless = silent(judgement, "gpu:index:1")
    device_rules = {one.id for one in GPU_RULES if one.scope.kind == "gpu" and one.id != "gpu.handle"}
    assert nameless >= device_rules
    assert not silent(judgement, "gpu:0000:1b:00.0") & {"gpu.row_remap.failure", "gpu.ecc.uncorrected"}


def test_a_gpu_whose_handle_is_lost_is_the_same_finding(library: Path, tmp_path: Path) -> None:
    judgement = judged(nvml.collect(library, table=table(tmp_path), LOST_HANDLE=1), *ADDRESSES[:2])
    assert [(one.rule, one.part) for one in loud(judgement)] == [("gpu.lost", "gpu:0000:3b:00.0")]


@pytest.mark.parametrize("calls", [7, 120])
def test_a_gpu_that_falls_off_in_the_middle_is_lost_at_its_own_address(
    library: Path, tmp_path: Path, calls: int
) -> None:
    judgement = judged(nvml.collect(library, table=table(tmp_path), LOST_AFTER=f"1:{calls}"), *ADDRESSES[:2])
    assert [(one.rule, one.part) for one in loud(judgement)] == [("gpu.lost", "gpu:0000:3b:00.0")]


def test_a_call_that_never_returns_is_a_hang_of_that_gpu(library: Path, tmp_path: Path) -> None:
    found = nvml.collect(library, table=table(tmp_path), HANG="nvmlDeviceGetRemappedRows:0", options={"wait_s": 0.5})
    judgement = judged(found, *ADDRESSES[:2])
    assert [(one.rule, one.part, one.verdict) for one in loud(judgement)] == [
        ("gpu.driver.hang", "gpu:0000:1b:00.0", Verdict.REBOOT)
    ]
    assert "no answer to 1 question" in loud(judgement)[0].message
    assert "gpu.row_remap.failure" not in silent(judgement, "gpu:0000:1b:00.0"), "the field value tells it too"


def test_a_driver_that_hangs_at_its_start_is_one_finding(library: Path) -> None:
    found = nvml.collect(library, HANG="nvmlInit:-1", options={"start_s": 0.5})
    assert [(one.rule, one.part) for one in loud(judged(found, *ADDRESSES[:2]))] == [("gpu.driver.hang", "host")]


def test_a_library_that_ends_the_process_is_a_hang(library: Path, tmp_path: Path) -> None:
    judgement = judged(nvml.collect(library, table=table(tmp_path), CRASH="nvmlDeviceGetSerial:0"), *ADDRESSES[:2])
    assert rules_of(judgement) - {"gpu.count"} == {"gpu.driver.hang"}


def test_a_mismatch_is_one_finding_and_everything_else_is_not_evaluated(library: Path) -> None:
    judgement = judged(nvml.collect(library, INIT=18, COUNT=0), *ADDRESSES[:2])
    (found,) = loud(judgement)
    assert (found.rule, found.verdict) == ("gpu.driver.mismatch", Verdict.REBOOT)
    assert "gpu.row_remap.failure" in {gap.rule for gap in judgement.not_evaluated}


def test_a_driver_that_is_not_loaded_is_one_finding(library: Path) -> None:
    judgement = judged(nvml.collect(library, INIT=9, INIT_NO_GPUS=9), *ADDRESSES[:2])
    assert [one.rule for one in loud(judgement)] == ["gpu.driver.not_loaded"]


@pytest.mark.parametrize("answer", ["3", "999", "0  1 0xffffffff"])
def test_a_recovery_action_that_the_driver_does_not_know_is_not_none(
    library: Path, tmp_path: Path, answer: str
) -> None:
    rows = table(tmp_path, f"nvmlDeviceGetFieldValues:230  0  {answer}")
    judgement = judged(nvml.collect(library, table=rows), *ADDRESSES[:2])
    told = {one.part for one in judgement.findings if one.rule == "gpu.recovery_action"}
    unread = "gpu.recovery_action" in silent(judgement, "gpu:0000:1b:00.0")
    assert unread is not answer.startswith("0")
    assert told == (set() if unread else {"gpu:0000:1b:00.0"})


def test_a_flag_that_only_the_field_tells_is_set(library: Path, tmp_path: Path) -> None:
    rows = table(tmp_path, "nvmlDeviceGetRemappedRows  1  3", "nvmlDeviceGetFieldValues:145  1  0  1 1")
    (found,) = loud(judged(nvml.collect(library, table=rows), *ADDRESSES[:2]))
    assert (found.rule, found.part, found.verdict) == ("gpu.row_remap.failure", "gpu:0000:3b:00.0", Verdict.RMA)
    assert found.evidence[0].path == "gpu/devices/1/fields/remapped_rows/failure"


def test_the_sick_box_of_the_table_is_told_part_by_part(library: Path) -> None:
    judgement = judged(nvml.collect(library), *ADDRESSES[:2])
    told = {(one.rule, one.part) for one in judgement.findings}
    first, second = "gpu:0000:1b:00.0", "gpu:0000:3b:00.0"
    assert told >= {
        ("gpu.clocks.hw_thermal", first),
        ("gpu.pcie.width", first),
        ("gpu.power.limit", first),
        ("gpu.row_remap.pending", first),
        ("gpu.fabric.health", first),
        ("gpu.inforom.corrupt", second),
        ("gpu.recovery_action", second),
        ("gpu.row_remap.failure", second),
    }
    assert ("gpu.recovery_action", first) not in told
