"""The NVIDIA driver: its errors at the start, its hangs, and what its log lines still mean after a reboot."""

from __future__ import annotations

from typing import Any

import pytest

from bilbs_cli.diag.findings import Box, Judgement, Severity, Verdict, evaluate
from bilbs_cli.diag.model import NotCollected, ReadError
from bilbs_cli.diag.rules.gpu_driver import GPU_DRIVER_RULES
from tests.diag.judged import event, kernel_logs
from tests.diag.remembered import DAY, NOW, tree

A, B = "0000:1b:00.0", "0000:3b:00.0"
MISMATCH = ReadError("NVMLError_LibRmVersionMismatch", "RM has detected an NVML/RM version mismatch.", 18)
NOT_LOADED = ReadError("NVMLError_DriverNotLoaded", "Driver Not Loaded", 9)
NO_LIBRARY = ReadError("NVMLError_LibraryNotFound", "NVML Shared Library Not Found", 12)
TIMEOUT = ReadError("Timeout", "no answer from GPU 1 after 4.0 s")
SAID = "NVRM: API mismatch: the client has the version 580.126.09, but"
START = f"NVRM: GPU {B}: RmInitAdapter failed! (0x62:0xffff:2477)"


def facts(**more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "system__booted_at": "2026-11-21T00:00:00+00:00",
        "gpu__system__nvml": "initialised",
        "gpu__system__gpus_in_pci": [A, B],
        "gpu__devices__0__pci_bus_id": A,
        "gpu__devices__0__uuid": "GPU-1",
    }
    return tree({path.replace("__", "/"): one for path, one in (base | more).items()})


def judged(box: dict[str, Any], *logged: Any, **memory: Any) -> Judgement:
    kernel = {"kernel": kernel_logs(kern=logged)} if logged else {}
    remembered = {"memory": {name: {"value": one} for name, one in memory.items()}} if memory else {}
    return evaluate(GPU_DRIVER_RULES, Box({**box, **kernel, **remembered}, NOW))


def told(judgement: Judgement) -> list[tuple[str, str, str, str]]:
    return [(one.rule, one.part, one.severity.value, one.verdict.value) for one in judgement.findings]


def gaps(judgement: Judgement) -> set[str]:
    return {one.rule for one in judgement.not_evaluated}


def test_a_mismatch_that_nvml_tells_is_a_reboot() -> None:
    more = {"gpu__system__library_versions": ["1.580.126.09"], "gpu__system__kernel_module_version": "580.105.08"}
    judgement = judged(facts(gpu__system__nvml=MISMATCH, **more))
    assert told(judgement) == [("gpu.driver.mismatch", "host", "critical", "reboot")]
    (found,) = judgement.findings
    assert [one.path for one in found.evidence] == [
        "gpu/system/nvml",
        "gpu/system/kernel_module_version",
        "gpu/system/library_versions",
    ]
    assert "upgrade" in found.next


@pytest.mark.parametrize("nvml", [NOT_LOADED, NotCollected("a mounted system")])
def test_a_mismatch_in_the_log_counts_while_the_driver_cannot_be_asked(nvml: Any) -> None:
    line = event("nvrm_mismatch", "03:00:00", line=4, text=SAID)
    judgement = judged(facts(gpu__system__nvml=nvml), line)
    assert ("gpu.driver.mismatch", "host", "critical", "reboot") in told(judgement)
    assert [one.evidence[0].line for one in judgement.findings if one.rule == "gpu.driver.mismatch"] == [4]
    before = facts(gpu__system__nvml=nvml, system__booted_at="2026-11-21T03:30:00+00:00")
    assert "gpu.driver.mismatch" not in {one.rule for one in judged(before, line).findings}


def test_a_mismatch_in_the_log_of_a_driver_that_works_is_over() -> None:
    assert told(judged(facts(), event("nvrm_mismatch", "03:00:00", text=SAID))) == []


@pytest.mark.parametrize(
    ("nvml", "words"), [(NOT_LOADED, "driver is not loaded"), (NO_LIBRARY, "library is not installed")]
)
def test_gpus_without_a_driver_are_told_once_for_all(nvml: Any, words: str) -> None:
    box = tree({"gpu/system/nvml": nvml, "gpu/system/gpus_in_pci": [A, B]})
    judgement = judged(box)
    assert told(judgement) == [("gpu.driver.not_loaded", "host", "critical", "drain_and_inspect")]
    assert words in judgement.findings[0].message
    assert "2 GPUs are" in judgement.findings[0].message


@pytest.mark.parametrize("nvml", [NOT_LOADED, NO_LIBRARY, "initialised"])
def test_without_a_gpu_no_driver_is_missed(nvml: Any) -> None:
    judgement = judged(tree({"gpu/system/nvml": nvml, "gpu/system/gpus_in_pci": []}))
    assert told(judgement) == []
    assert "gpu.driver.not_loaded" not in gaps(judgement)


def test_gpus_of_virtual_machines_need_no_driver() -> None:
    box = tree({"gpu/system/nvml": NO_LIBRARY, "gpu/system/gpus_in_pci": [A], f"gpu/pci/{A}/driver": "vfio-pci"})
    assert told(judged(box)) == []


@pytest.mark.parametrize("reading", [TIMEOUT, ReadError("ProcessDied", "the reading process died")])
def test_a_question_that_never_came_back_is_a_hang_of_that_gpu(reading: Any) -> None:
    box = facts(gpu__devices__1__pci_bus_id=B, gpu__devices__1__power_w=reading, gpu__devices__1__serial=reading)
    judgement = judged(box)
    assert told(judgement) == [("gpu.driver.hang", f"gpu:{B}", "critical", "reboot")]
    assert "2 questions" in judgement.findings[0].message
    assert "bilbs diag collect" in judgement.findings[0].next


def test_the_facts_of_one_call_are_one_question() -> None:
    never = ReadError("Timeout", "nvmlDeviceGetRemappedRows never returned")
    rows = {f"gpu__devices__0__remapped_rows__{name}": never for name in ("failure", "pending")}
    (found,) = judged(facts(gpu__devices__0__calls__remapped_rows_correctable=TIMEOUT, **rows)).findings
    assert found.message.endswith("no answer to 1 question")


def test_a_driver_that_hangs_at_its_start_is_a_hang_of_the_box() -> None:
    assert ("gpu.driver.hang", "host", "critical", "reboot") in told(judged(facts(gpu__system__nvml=TIMEOUT)))


def test_a_reading_that_the_end_of_the_check_cut_off_is_no_hang() -> None:
    cut = ReadError("Timeout", "the deadline came while it was at GPU 0")
    assert told(judged(facts(gpu__devices__0__power_w=cut))) == []


def test_a_driver_that_nobody_asked_is_not_evaluated() -> None:
    judgement = judged(facts(gpu__system__nvml=NotCollected("a mounted system")))
    assert gaps(judgement) >= {"gpu.driver.hang", "gpu.driver.mismatch", "gpu.driver.not_loaded"}
    assert judged({}).evaluated == 0


def test_a_start_that_failed_is_told_for_its_gpu() -> None:
    judgement = judged(facts(), event("nvrm_init", "03:00:00", "03:00:05", line=3, count=9, pci=B, text=START))
    assert told(judgement) == [("gpu.driver.init_failed", f"gpu:{B}", "critical", "reboot")]
    assert judgement.findings[0].count == 9


def test_a_start_that_failed_in_earlier_boots_too_makes_a_candidate() -> None:
    fault = {"at": (NOW - 2 * DAY).isoformat(), "boot": "a", "rule": "gpu.driver.init_failed", "pci": B, "serial": ""}
    (found,) = judged(facts(), event("nvrm_init", "03:00:00", pci=B, text=START), history={"faults": [fault]}).findings
    assert found.verdict is Verdict.RMA
    assert found.have == ("its start failed in 2 boots",)
    assert found.missing


@pytest.mark.parametrize(
    ("address", "boot"),
    [(A, "2026-11-21T00:00:00+00:00"), (B, "2026-11-21T03:30:00+00:00")],
    ids=["it answers", "rebooted since"],
)
def test_a_start_that_failed_and_is_over_is_for_information(address: str, boot: str) -> None:
    (found,) = judged(facts(system__booted_at=boot), event("nvrm_init", "03:00:00", pci=address, text=START)).findings
    assert (found.severity, found.verdict) == (Severity.INFO, Verdict.IGNORE)


def test_a_start_that_failed_without_an_address_is_told_for_the_box() -> None:
    line = event("nvrm_init", "03:00:00", text="NVRM: rm_init_adapter failed")
    assert told(judged(facts(), line)) == [("gpu.driver.init_failed", "host", "critical", "reboot")]


RESET = "NVRM: Reset required [NV_ERR_RESET_REQUIRED] (0x00000095)"


def test_a_reset_that_the_log_asks_for_is_a_reset() -> None:
    line = event("nvrm_reset_required", "03:00:00", pci=A, text=RESET)
    assert told(judged(facts(), line)) == [("gpu.driver.reset_required", f"gpu:{A}", "critical", "reset_gpu")]


def test_a_reset_that_the_driver_asks_for_no_more_is_over() -> None:
    line = event("nvrm_reset_required", "03:00:00", pci=A, text=RESET)
    box = facts(gpu__devices__0__fields__recovery_action="none")
    assert told(judged(box, line)) == [("gpu.driver.reset_required", f"gpu:{A}", "info", "ignore")]


def test_an_error_of_the_recovery_field_is_no_sign_that_the_reset_was_done() -> None:
    line = event("nvrm_reset_required", "03:00:00", pci=A, text=RESET)
    unsupported = ReadError("NVMLError_NotSupported", "Not Supported", 3)
    (found,) = judged(facts(gpu__devices__0__fields__recovery_action=unsupported), line).findings
    assert found.severity is Severity.CRITICAL
