"""The severity to suggest for a ticket: the plan's definitions, its worked example, and roots that decide for the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.findings import Box, Finding, Judgement, Severity, Verdict
from bilbs_cli.diag.model import ReadError
from bilbs_cli.diag.suggest import NAMES, ROWS, overall, suggest
from tests.diag.judged import FINDINGS, PCI, box, dead_gpu_box, dead_gpu_findings, event
from tests.diag.remembered import NOW, cards, tree
from tests.diag.test_baseline import JSON

LOST = ReadError("NVMLError_GpuIsLost", "GPU is lost", 15)


def gone(*buses: str, of: tuple[str, ...] = ("1b", "3b", "5e", "7a")) -> Box:
    """Return a box with a card on each bus, of which some are lost."""
    facts = cards(**{f"b{bus}": f"serial{bus}" for bus in of})
    for index, bus in enumerate(of):
        if bus in buses:
            facts["gpu"]["devices"][str(index)] |= {
                "temperature_c": {"error": {"class": LOST.kind, "code": 15, "message": ""}}
            }
    return Box(facts, NOW)


def finding(rule: str, part: str, severity: Severity = Severity.CRITICAL, **more: Any) -> Finding:
    return Finding(rule, severity, more.pop("verdict", Verdict.REBOOT), part, "m", (), "n", "s", **more)


def off_bus(*buses: str) -> tuple[Finding, ...]:
    return tuple(finding("xid.79", f"gpu:0000:{bus}:00.0") for bus in buses)


def rated(one: Box, *findings: Finding) -> list[tuple[str, str]]:
    return [(each.sev, each.sev_why) for each in suggest(Judgement(findings), one).findings]


def test_the_plans_worked_example_one_gpu_of_two_offline_is_sev2() -> None:
    said = rated(gone("3b", of=("1b", "3b")), *off_bus("3b"))
    assert said == [("sev2", "1 of 2 GPUs is offline: degraded but functional")]


@pytest.mark.parametrize(
    ("one", "findings", "sev", "why"),
    [
        (gone("3b", "5e"), off_bus("3b", "5e"), "sev2", "2 of 4 GPUs are offline: degraded but functional"),
        (gone("3b", of=("3b",)), off_bus("3b"), "sev1", "the only GPU cannot be used"),
        (gone("1b", "3b", of=("1b", "3b")), off_bus("1b", "3b"), "sev1", "none of the 2 GPUs can be used"),
        (gone("1b", of=("1b", "3b")), off_bus("1b", "3b"), "sev1", "all 2 GPUs are offline or need a reset or more"),
        (gone(), off_bus("1b"), "sev2", "a part is broken; nothing that was read says that the whole box is down"),
        (
            gone(),
            (finding("fs.read_only", "fs:/"),),
            "sev2",
            "the root file system is read-only: what runs goes on, nothing can be written",
        ),
        (
            gone(),
            (finding("bmc.psu.redundancy", "bmc:sensor:PSU2", Severity.WARNING),),
            "sev2",
            "a power supply is lost: the next fault takes the box down",
        ),
        (gone(), (finding("bmc.psu.input", "bmc:sel", Severity.INFO),), "sev4", "nothing that has to be done soon"),
        (
            gone(),
            (finding("gpu.row_remap.pending", f"gpu:{PCI}", Severity.WARNING),),
            "sev3",
            "the box works; this wants a look",
        ),
        (gone(), (finding("xid.43", f"gpu:{PCI}", Severity.INFO),), "sev4", "nothing that has to be done soon"),
    ],
)
def test_each_row_leads_to_its_severity(one: Box, findings: tuple[Finding, ...], sev: str, why: str) -> None:
    assert rated(one, *findings) == [(sev, why)] * len(findings)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ReadError("Timeout", "no answer in 30 s"), "no GPU of this box can be used: the driver hangs"),
        (
            ReadError("NVMLError_LibRmVersionMismatch", "Driver/library version mismatch", 18),
            "no GPU of this box can be used: the driver does not start (Driver/library version mismatch)",
        ),
    ],
)
def test_a_driver_that_answers_for_no_gpu_is_sev1(error: ReadError, why: str) -> None:
    one = Box(tree({"gpu/system/nvml": error, f"gpu/pci/{PCI}/kind": "gpu"}), NOW)
    assert rated(one, finding("gpu.driver", "host")) == [("sev1", why)]
    assert rated(one, finding("gpu.driver", "host", Severity.WARNING))[0][0] == "sev3"
    assert rated(one, finding("smart.failed", "disk:sda"))[0][0] == "sev2"
    no_gpu = Box(tree({"gpu/system/nvml": error, "gpu/system/gpus_in_pci": []}), NOW)
    assert rated(no_gpu, finding("fs.read_only", "host"))[0][0] == "sev2"


def test_panics_that_repeat_are_sev1_and_a_single_or_old_one_is_sev2() -> None:
    panic = finding("host.panic", "host")

    def panics(*at: str) -> Box:
        return box({}, kern=(event("panic", *at),), syslog=(event("panic", *at),))

    assert rated(panics("01:00:00", "02:00:00"), panic) == [("sev1", "the kernel panicked 2 times within 24 hours")]
    assert rated(panics("01:00:00"), panic)[0][0] == "sev2"
    later = Box(panics("01:00:00", "02:00:00").facts, NOW + timedelta(days=2))
    assert rated(later, panic)[0][0] == "sev2"


def test_what_was_caused_takes_the_severity_of_its_root() -> None:
    root, cleanup, *_ = dead_gpu_findings()
    findings = suggest(Judgement(dead_gpu_findings()), dead_gpu_box()).findings
    by_rule = {one.rule: one for one in findings}
    assert by_rule["xid.79"].sev == by_rule["xid.45"].sev == "sev2"
    assert by_rule["xid.45"].sev_why == (f"it follows from {root.key}: 1 of 2 GPUs is offline: degraded but functional")
    assert by_rule["gpu.row_remap.pending"].sev == "sev3"
    assert cleanup.sev == "", "a finding is a value: the one that was given is as it was"


def test_causes_in_a_circle_or_without_a_root_are_rated_by_themselves() -> None:
    first = finding("a.b", "host", caused_by="c.d@host")
    second = finding("c.d", "host", Severity.WARNING, caused_by="a.b@host")
    orphan = finding("e.f", "host", Severity.WARNING, caused_by="gone@host")
    assert {sev for sev, _ in rated(gone(), first, second, orphan)} <= {"sev2", "sev3"}
    assert rated(gone(), orphan)[0][0] == "sev3"


def test_gpus_that_nobody_looked_for_make_no_box_dead() -> None:
    fallen = (event("xid", "03:12:01", code=79, pci=f"0000:{bus}:00.0") for bus in ("3b", "5e"))
    one = box({}, kern=tuple(fallen))
    assert [sev for sev, _ in rated(one, *off_bus("3b", "5e"))] == ["sev2", "sev2"]


def test_one_ticket_takes_the_worst_and_its_reason() -> None:
    judged = suggest(Judgement(dead_gpu_findings()), dead_gpu_box())
    assert overall(judged) == ("sev2", "1 of 2 GPUs is offline: degraded but functional")
    assert overall(Judgement()) == ("", "")
    assert overall(Judgement(dead_gpu_findings())) == ("", ""), "nothing was suggested yet"


def test_the_last_row_holds_for_everything() -> None:
    assert {row.sev for row in ROWS} == set(NAMES)
    assert ROWS[-1].sev == "sev4"


@given(st.lists(FINDINGS, max_size=12), JSON)
def test_every_finding_of_any_box_is_rated_and_otherwise_left_as_it_was(findings: list[Finding], devices: Any) -> None:
    given_ = Judgement(tuple(findings), evaluated=3)
    judged = suggest(given_, Box({"gpu": {"devices": devices}}, NOW))
    assert all(one.sev in NAMES and one.sev_why for one in judged.findings)
    assert tuple(replace(one, sev="", sev_why="") for one in judged.findings) == given_.findings
    assert overall(judged)[0] == min((one.sev for one in judged.findings), default="")
