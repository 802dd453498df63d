"""GPUs that are lost, missing, off the bus or not with the driver: one finding each, on the right part, never too many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bilbs_cli.diag.findings import Box, Gap, Judgement, Severity, Verdict, evaluate
from bilbs_cli.diag.model import NotCollected, ReadError
from bilbs_cli.diag.rules.gpu import GPU_RULES
from bilbs_cli.diag.rules.gpu_count import GPU_COUNT_RULES
from bilbs_cli.diag.rules.gpu_lost import GPU_LOST_RULES
from tests.diag.judged import event, kernel_logs
from tests.diag.remembered import DAY, NOW, tree
from tests.diag.rules.gpu_table import LOST

A, B, C, D = (f"0000:{bus}:00.0" for bus in ("1b", "3b", "5d", "9a"))
BOOT = "2026-11-21T00:00:00+00:00"


def facts(*in_pci: str, devices: dict[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return the facts of a box: what is on the bus, and the driver's GPUs by index."""
    found: dict[str, Any] = {
        "system/booted_at": BOOT,
        "gpu/system/nvml": "initialised",
        "gpu/system/gpus_in_pci": list(in_pci),
        "gpu/system/device_count": len(devices),
        "pci/functions": 40,
    }
    found |= {f"gpu/pci/{one}/kind": "gpu" for one in in_pci}
    found |= {f"gpu/devices/{index}/{path}": one for index, some in devices.items() for path, one in some.items()}
    return tree(found | {path.replace("__", "/"): one for path, one in more.items()})


def well(address: str, serial: str = "") -> dict[str, Any]:
    return {"pci_bus_id": address, "serial": serial or f"S-{address[5:7]}", "temperature_c": 40}


def gone(**more: Any) -> dict[str, Any]:
    return {"pci_bus_id": LOST, "serial": LOST, "temperature_c": LOST, "remapped_rows/failure": LOST} | more


def judged(box: dict[str, Any], rules: Any = (*GPU_LOST_RULES, *GPU_COUNT_RULES), **memory: Any) -> Judgement:
    remembered = {"memory": {name: {"value": one} for name, one in memory.items()}} if memory else {}
    return evaluate(rules, Box({**box, **remembered}, NOW))


def told(judgement: Judgement) -> list[tuple[str, str, str]]:
    return [(one.rule, one.part, one.severity.value) for one in judgement.findings]


def known(*addresses: str) -> dict[str, Any]:
    return {
        "taken_at": "2026-11-01T00:00:00+00:00",
        "gpus": [{"pci": one, "serial": f"S-{one[5:7]}", "slot": str(n)} for n, one in enumerate(addresses, 1)],
    }


# ---- lost


def test_a_lost_gpu_is_one_critical_finding_at_the_address_that_was_left_over() -> None:
    box = facts(A, B, devices={"0": well(A), "1": gone(pci_bus_id_by_elimination=B)})
    judgement = judged(box, GPU_RULES)
    assert told(judgement) == [("gpu.lost", f"gpu:{B}", "critical")]
    (found,) = judgement.findings
    assert found.verdict is Verdict.REBOOT
    assert "bilbs diag collect" in found.next
    assert found.message == f"GPU 1 at {B} is lost: the driver cannot reach it"
    paths = [proof.path for proof in found.evidence]
    assert "gpu/devices/1/pci_bus_id_by_elimination" in paths
    silent = {gap.rule for gap in judgement.not_evaluated if gap.part == f"gpu:{B}"}
    assert "gpu.row_remap.failure" in silent
    assert judgement.evaluated > 0


def test_without_the_collectors_elimination_the_address_is_found_all_the_same() -> None:
    assert told(judged(facts(A, B, devices={"0": well(A), "1": gone()}))) == [("gpu.lost", f"gpu:{B}", "critical")]


def test_a_gpu_that_fell_off_while_it_was_read_keeps_its_own_address() -> None:
    box = facts(A, B, devices={"0": well(A), "1": well(B) | {"power_w": LOST}})
    assert told(judged(box)) == [("gpu.lost", f"gpu:{B}", "critical")]


def test_two_lost_gpus_at_two_addresses_are_two_findings() -> None:
    box = facts(A, B, C, devices={"0": well(A), "1": gone(), "2": gone()})
    assert told(judged(box)) == [("gpu.lost", f"gpu:{B}", "critical"), ("gpu.lost", f"gpu:{C}", "critical")]


def test_a_lost_gpu_that_could_be_at_two_addresses_is_not_guessed() -> None:
    box = facts(A, B, C, devices={"0": well(A), "1": gone()})
    judgement = judged(box)
    assert told(judgement) == [("gpu.lost", "gpu:index:1", "critical")]
    assert f"{B}, {C}" in judgement.findings[0].message


def test_of_two_addresses_the_one_that_does_not_answer_is_the_lost_one() -> None:
    box = facts(A, B, C, devices={"0": well(A), "1": gone()}, **{f"gpu__pci__{C}__answers": False})
    judgement = judged(box)
    (lost,) = (one for one in judgement.findings if one.rule == "gpu.lost")
    assert lost.part == f"gpu:{C}"
    assert "it does not answer on the PCI bus" in lost.message


def test_a_gpu_that_does_not_answer_the_bus_is_lost_whatever_the_driver_says() -> None:
    for place in ("gpu__pci", "pci__devices"):
        box = facts(A, devices={"0": well(A)}, **{f"{place}__{A}__answers": False})
        assert told(judged(box)) == [("gpu.lost", f"gpu:{A}", "critical")]


def test_without_a_driver_a_gpu_that_does_not_answer_is_lost_and_one_that_does_is_not() -> None:
    silent = {f"gpu__pci__{A}__answers": True, f"gpu__pci__{B}__answers": False}
    box = facts(A, B, devices={}, gpu__system__nvml=ReadError("NVMLError_Unknown", "Unknown Error", 999), **silent)
    assert told(judged(box)) == [("gpu.lost", f"gpu:{B}", "critical")]


def test_a_gpu_of_a_virtual_machine_is_not_lost_and_not_missing() -> None:
    more = {f"gpu__pci__{B}__answers": False, f"gpu__pci__{B}__driver": "vfio-pci"}
    assert told(judged(facts(A, B, devices={"0": well(A)}, **more))) == []


def test_where_nobody_looked_nothing_is_lost_and_that_is_no_pass() -> None:
    box = facts(A, devices={}, gpu__system__nvml=NotCollected("a mounted system"))
    judgement = judged({**box, "pci": {}})
    assert told(judgement) == []
    assert {gap.rule for gap in judgement.not_evaluated} >= {"gpu.lost", "gpu.count"}


HISTORY = {
    "samples": [],
    "boots": ["a", "b"],
    "faults": [
        {"at": (NOW - 9 * DAY).isoformat(), "boot": "a", "rule": "xid.79", "pci": B, "serial": "S-3b"},
        {"at": (NOW - 9 * DAY).isoformat(), "boot": "a", "rule": "gpu.lost", "pci": B, "serial": "S-3b"},
        {"at": (NOW - 3 * DAY).isoformat(), "boot": "b", "rule": "gpu.lost", "pci": B, "serial": "S-3b"},
    ],
}


def test_one_that_is_lost_in_boot_after_boot_is_a_candidate_with_what_is_missing() -> None:
    box = facts(A, B, devices={"0": well(A), "1": gone()})
    (found,) = judged(box, baseline=known(A, B), history=HISTORY).findings
    assert found.verdict is Verdict.RMA
    assert found.have == ("it is off the bus now", "it fell off the bus in 3 boots, before this one last on 2026-11-18")
    assert len(found.missing) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"rule": "xid.31"},
        {"serial": "another"},
        {"at": (NOW - timedelta(hours=1)).isoformat()},
        {"pci": A, "serial": "S-1b"},
    ],
    ids=["another fault", "another card", "this boot", "another GPU"],
)
def test_what_is_no_earlier_fall_of_this_card_makes_no_candidate(change: dict[str, str]) -> None:
    history = {"faults": [HISTORY["faults"][0] | change]}  # type: ignore[index]
    box = facts(A, B, devices={"0": well(A), "1": gone()})
    (found,) = judged(box, baseline=known(A, B), history=history).findings
    assert found.verdict is Verdict.REBOOT


# ---- off the bus, in the log

FELL = f"NVRM: GPU {B}: GPU has fallen off the bus."


def logged(*events: Any, **more: Any) -> dict[str, Any]:
    return {**facts(A, B, devices={"0": well(A), "1": well(B)}, **more), "kernel": kernel_logs(kern=events)}


def test_a_fall_without_an_xid_is_told_with_its_line_and_time() -> None:
    (found,) = judged(logged(event("off_bus", "03:00:00", line=7, pci=B, text=FELL))).findings
    assert (found.rule, found.part, found.severity, found.verdict) == (
        "gpu.off_bus",
        f"gpu:{B}",
        Severity.CRITICAL,
        Verdict.REBOOT,
    )
    (proof,) = found.evidence
    assert (proof.member, proof.line, proof.text) == ("kernel/var/log/kern.log", 7, FELL)
    assert found.first_at == found.last_at == "2026-11-21T03:00:00+00:00"


def test_a_fall_with_its_xid_is_left_to_the_xid() -> None:
    both = (event("off_bus", "03:00:01", line=8, pci=B, text=FELL), event("xid", "03:00:00", line=7, code=79, pci=B))
    assert told(judged(logged(*both))) == []


@pytest.mark.parametrize(
    "xid",
    [
        event("xid", "01:00:00", code=79, pci=B),
        event("xid", "03:00:00", code=79, pci=A),
        event("xid", "03:00:00", code=31, pci=B),
    ],
)
def test_an_xid_of_another_time_gpu_or_kind_does_not_hide_a_fall(xid: Any) -> None:
    assert told(judged(logged(event("off_bus", "03:00:00", line=7, pci=B, text=FELL), xid))) == [
        ("gpu.off_bus", f"gpu:{B}", "critical")
    ]


def test_a_fall_of_an_earlier_boot_is_no_reason_to_cut_the_power_now() -> None:
    (found,) = judged(
        logged(event("off_bus", "03:00:00", pci=B, text=FELL), system__booted_at="2026-11-21T03:30:00+00:00")
    ).findings
    assert (found.severity, found.verdict) == (Severity.CRITICAL, Verdict.INSPECT)
    assert "earlier boot" in found.message


def test_falls_in_an_earlier_boot_and_in_this_one_make_a_candidate() -> None:
    falls = (
        event("off_bus", "01:00:00", line=2, pci=B, text=FELL),
        event("off_bus", "03:40:00", line=9, pci=B, text=FELL),
    )
    (found,) = judged(logged(*falls, system__booted_at="2026-11-21T03:30:00+00:00")).findings
    assert found.verdict is Verdict.RMA
    assert "in 2 boots" in found.message


def test_a_million_lines_of_one_fall_are_one_finding() -> None:
    (found,) = judged(logged(event("off_bus", "03:00:00", "03:10:00", count=1_000_000, pci=B, text=FELL))).findings
    assert found.count == 1_000_000


# ---- the handle


@pytest.mark.parametrize(
    ("kind", "code"),
    [("NVMLError_Unknown", 999), ("NVMLError_IrqIssue", 11), ("NVMLError_InsufficientPower", 8)],
)
def test_a_gpu_without_a_handle_is_told_with_the_error(kind: str, code: int) -> None:
    box = facts(
        A, B, devices={"0": well(A), "1": {"handle": ReadError(kind, "why", code), "pci_bus_id_by_elimination": B}}
    )
    judgement = judged(box)
    assert told(judgement) == [("gpu.handle", f"gpu:{B}", "critical")]
    assert ("power cables" in judgement.findings[0].next) is (kind == "NVMLError_InsufficientPower")


@pytest.mark.parametrize("kind", ["NVMLError_NoPermission", "Timeout", "ProcessDied", "NVMLError_GpuIsLost"])
def test_a_handle_that_was_not_given_for_another_reason_is_not_judged_here(kind: str) -> None:
    box = facts(A, B, devices={"0": well(A), "1": {"handle": ReadError(kind, "why", 4)}})
    assert "gpu.handle" not in {one.rule for one in judged(box).findings}
    assert {gap.part for gap in judged(box).not_evaluated if gap.rule == "gpu.handle"} == {"gpu:index:1"}


# ---- the count


def test_fewer_than_in_the_baseline_names_the_missing_one_and_the_numbers() -> None:
    box = facts(A, C, D, devices={"0": well(A), "1": well(C), "2": well(D)})
    (found,) = judged(box, baseline=known(A, B, C, D)).findings
    assert (found.rule, found.part, found.severity) == ("gpu.count", f"gpu:{B}", Severity.CRITICAL)
    assert found.message.startswith("expected 4 GPUs, see 3: GPU (0000:3b:00.0, slot 2, serial S-3b, from the baseline")
    assert "baseline set" in found.next


def test_a_gpu_on_the_bus_that_is_not_with_the_driver_did_not_start() -> None:
    box = facts(A, B, devices={"0": well(A)}, **{f"gpu__pci__{B}__driver": "nvidia"})
    (found,) = judged(box, baseline=known(A, B)).findings
    assert (found.rule, found.part, found.severity, found.verdict) == (
        "gpu.count",
        f"gpu:{B}",
        Severity.CRITICAL,
        Verdict.REBOOT,
    )
    assert "its start failed" in found.message


def test_a_gpu_with_another_driver_is_a_warning_that_names_it() -> None:
    (found,) = judged(facts(A, B, devices={"0": well(A)}, **{f"gpu__pci__{B}__driver": "nouveau"})).findings
    assert found.severity is Severity.WARNING
    assert "nouveau" in found.message


def test_an_excluded_gpu_is_named_and_is_no_fault() -> None:
    more = {"gpu__system__excluded_count": 1, "gpu__system__excluded_0": {"pci_bus_id": B, "uuid": "GPU-x"}}
    judgement = judged(facts(A, B, devices={"0": well(A)}, **more))
    assert told(judgement) == [("gpu.count", f"gpu:{B}", "info")]
    assert judgement.findings[0].verdict is Verdict.IGNORE


def test_a_lost_gpu_is_not_counted_as_missing_or_unstarted_too() -> None:
    box = facts(A, B, devices={"0": well(A), "1": gone()})
    assert told(judged(box, baseline=known(A, B))) == [("gpu.lost", f"gpu:{B}", "critical")]


def test_a_gpu_whose_handle_hangs_is_not_counted_as_unstarted_too() -> None:
    box = facts(A, B, devices={"0": well(A), "1": {"handle": ReadError("Timeout", "no answer")}})
    assert "gpu.count" not in {one.rule for one in judged(box).findings}


def test_gpus_that_do_not_tell_which_of_the_addresses_is_theirs_are_counted_together() -> None:
    box = facts(A, B, C, devices={"0": well(A), "1": {"handle": ReadError("Timeout", "no answer")}})
    (found,) = judged(box).findings
    assert (found.rule, found.part) == ("gpu.count", "host")
    assert found.message == f"1 of the GPUs at {B}, {C} did not start with the driver"


def test_a_moved_card_is_not_missing() -> None:
    assert told(judged(facts(C, devices={"0": well(C, "S-1b")}), baseline=known(A))) == []


def test_a_gpu_that_only_the_log_knows_is_a_warning() -> None:
    box = {**facts(A, devices={"0": well(A)}), "kernel": kernel_logs(kern=(event("xid", "03:00:00", code=31, pci=B),))}
    assert told(judged(box)) == [("gpu.count", f"gpu:{B}", "warning")]


def test_a_box_without_gpus_is_quiet_and_was_looked_at() -> None:
    no_library = ReadError("NVMLError_LibraryNotFound", "NVML Shared Library Not Found", 12)
    judgement = judged(facts(devices={}, gpu__system__nvml=no_library))
    assert judgement.findings == ()
    assert not [gap for gap in judgement.not_evaluated if gap.rule in {"gpu.lost", "gpu.count"}]


@pytest.mark.parametrize("value", [None, "0000:3b:00.0", 7, {"a": 1}, [7, None, {}]])
def test_a_list_that_is_none_is_no_gpu_and_breaks_nothing(value: Any) -> None:
    judgement = judged(facts(devices={}, gpu__system__gpus_in_pci=value), GPU_RULES)
    assert Gap.BROKEN not in {gap.kind for gap in judgement.not_evaluated}
    assert judgement.findings == ()
