"""Real boxes, judged whole: the simulated BMC with its seeded faults, and the dead system of tests/data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bilbs_cli.diag import model
from bilbs_cli.diag.collectors import COLLECTORS
from bilbs_cli.diag.collectors.bmc import BMC
from bilbs_cli.diag.findings import Box, Finding, Judgement, evaluate
from bilbs_cli.diag.job import Options
from tests.diag.collectors.hosts import dead
from tests.diag.rules.host_table import BMC_RULES, HOST_RULES
from tests.inprocess import gather
from tests.parts.bmc import box as parts
from tests.parts.bmc.sim import Sim, simulator

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sim]:
    with simulator(tmp_path_factory.mktemp("bmc")) as running:
        running.set_clock(90)
        yield running


@pytest.fixture(scope="module")
def judged(sim: Sim) -> Judgement:
    return evaluate(BMC_RULES, Box(gather(BMC, Options(root=True, bmc=sim.target)).facts, NOW))


def rows(judgement: Judgement) -> set[tuple[str, str, str]]:
    return {(one.rule, one.severity.value, one.part) for one in judgement.findings}


def of(judgement: Judgement, rule: str) -> Finding:
    (found,) = [one for one in judgement.findings if one.rule == rule]
    return found


def test_exactly_the_seeded_faults_of_the_box_are_found(judged: Judgement) -> None:
    assert rows(judged) == {
        ("bmc.sensor.critical", "critical", "bmc:sensor:GPU3 Temp"),
        ("bmc.sensor.critical", "critical", "bmc:sensor:VBAT"),
        ("bmc.fan.stopped", "critical", "bmc:sensor:FAN2"),
        ("bmc.sensor.warning", "warning", "bmc:sensor:FAN3"),
        ("bmc.psu", "warning", "bmc:sensor:PSU2 Status"),
        ("bmc.intrusion", "info", "bmc:sensor:Intrusion"),
        ("bmc.clock", "warning", "bmc:sel"),
        ("bmc.fru", "info", "bmc:fru:1"),
        ("bmc.sel.memory_correctable", "info", "bmc:sel"),
        ("bmc.sel.threshold", "critical", "bmc:sensor:GPU3 Temp"),
        ("bmc.sel.power_supply", "critical", "bmc:sensor:PSU2 Status"),
        ("bmc.sel.fan", "critical", "bmc:sensor:FAN2"),
        ("bmc.sel.bus_fatal", "critical", "bmc:sel"),
        ("bmc.sel.oem", "info", "bmc:sel"),
    }


def test_the_failed_supply_is_named_by_its_fru(judged: Judgement) -> None:
    found = of(judged, "bmc.psu")
    assert "PSU2SN0099" in found.message
    assert "PWS-3K06G-2R" in found.message


def test_an_input_that_came_back_is_not_told_beside_the_failure(judged: Judgement) -> None:
    found = of(judged, "bmc.sel.power_supply")
    assert "failure detected" in found.message
    assert "input lost" not in found.message


def test_the_sensor_that_is_not_scanned_is_not_evaluated(judged: Judgement) -> None:
    silent = {(gap.rule, gap.part) for gap in judged.not_evaluated}
    assert ("bmc.sensor.critical", "bmc:sensor:DIMM A1 Temp") in silent
    assert not any("DIMM A1" in one.part for one in judged.findings)


def test_the_listing_has_the_record_on_the_line_that_a_finding_cites(sim: Sim, judged: Judgement) -> None:
    lines = gather(BMC, Options(root=True, bmc=sim.target)).members["ipmi/sel.txt"].decode().splitlines()
    for found in (one for one in judged.findings if one.rule.startswith("bmc.sel.")):
        for proof in found.evidence:
            assert proof.line
            text = proof.text.partition("  ")[2].partition("  ")[2] or proof.text
            assert text.partition("  ")[0] in lines[proof.line - 1]


def test_a_healthy_box_says_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    well = (
        replace(one, raw={3: 61, 5: 84, 6: 84, 8: 150, 10: 40}.get(one.number, one.raw))
        if isinstance(one, parts.Gauge)
        else replace(one, bits={12: (0,), 13: (0,), 14: ()}.get(one.number, one.bits))
        for one in parts.SENSORS
    )
    box = parts.Box(
        sensors=tuple(well), events=parts.EVENTS[:2], frus={0: parts.FRUS[0], 1: parts.FRUS[2], 2: parts.FRUS[2]}
    )
    with simulator(tmp_path_factory.mktemp("well"), box) as running:
        running.set_clock(0)
        facts = gather(BMC, Options(root=True, bmc=running.target)).facts
    found = evaluate(BMC_RULES, Box(facts, NOW))
    assert found.findings == ()
    assert {gap.rule for gap in found.not_evaluated} == {"bmc.selftest"}  # which the simulator does not have


def test_a_bmc_that_froze_is_unreachable(tmp_path_factory: pytest.TempPathFactory) -> None:
    with simulator(tmp_path_factory.mktemp("frozen")) as running:
        running.freeze()
        try:
            facts = gather(BMC, Options(root=True, bmc=running.target)).facts
        finally:
            running.thaw()
    found = evaluate(BMC_RULES, Box(facts, NOW))
    assert rows(found) == {("bmc.unreachable", "warning", "bmc")}
    assert len({gap.rule for gap in found.not_evaluated}) == len(BMC_RULES) - 1


@pytest.fixture(scope="module")
def dead_box() -> Judgement:
    facts: model.Tree = {}
    for collector in COLLECTORS:
        if collector.name not in {"gpu", "bmc"}:
            facts |= gather(collector, dead()).facts
    return evaluate(HOST_RULES, Box(facts, NOW))


def test_the_dead_system_has_the_faults_that_its_files_show(dead_box: Judgement) -> None:
    assert rows(dead_box) == {
        ("host.edac.uncorrected", "critical", "dimm:P1-DIMMA1"),
        ("host.memory.corrupt", "warning", "host"),
        ("host.memory.pressure", "warning", "host"),
        ("host.aer.fatal", "critical", "gpu:0000:17:00.0"),
        ("host.aer.fatal", "critical", "pci:0000:15:01.0"),
        ("host.aer.logged", "critical", "gpu:0000:17:00.0"),
        ("host.nvme.state", "critical", "nvme:nvme0"),
        ("host.md.failed", "critical", "md:md0"),
        ("host.fs.read_only", "warning", "fs:/"),
        ("host.panic", "critical", "host"),
        ("host.tasks.blocked", "critical", "host"),
        ("host.cpu.throttled", "info", "host"),
        ("host.reboot_required", "info", "host"),
        ("net.ib.down", "info", "ib:mlx5_0/1"),
        ("net.ib.errors", "info", "ib:mlx5_0/1"),
        ("net.link.down", "info", "net:ibp24s0"),
    }


def test_a_dead_systems_free_space_and_clock_are_not_passed(dead_box: Judgement) -> None:
    silent = {gap.rule for gap in dead_box.not_evaluated}
    assert {"host.fs.space", "host.clock.unsynchronised", "host.services.failed", "host.smart.failed"} <= silent


def test_a_name_that_fakes_a_line_stays_one_line(dead_box: Judgement) -> None:
    found = of(dead_box, "host.tasks.blocked")
    assert "\n" not in found.message
    assert "\x1b" not in found.message
