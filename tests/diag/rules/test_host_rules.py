"""Host, disks and links: every row of the table, absent readings, hostile ones, and a healthy host that says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bilbs_cli.diag import model
from bilbs_cli.diag.findings import Box, Gap, Rule, Verdict, evaluate
from bilbs_cli.diag.model import NotCollected, ReadError, Value
from bilbs_cli.diag.rule_page import facts_of, page
from tests.diag.remembered import NOW, tree
from tests.diag.rules.host_table import ALL, FS, HOST_RULES, ROWS, VAR, Row, box, judged
from tests.diag.rules.logged import box as logged
from tests.diag.rules.logged import line

NAMES = {row.name: row for row in ROWS}
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**30,
    float("nan"),
    float("inf"),
    "x\x1b[31m",
    [],
    [None],
    {},
    {"a": []},
    [[1]],
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_of_the_table_fires(row: Row) -> None:
    found = [one for one in judged(row.fires, row.rule).findings if one.rule == row.rule]
    assert [one.severity.value for one in found] == [row.severity]
    assert row.part in {"", found[0].part}
    assert row.says in found[0].message
    assert found[0].evidence
    assert found[0].next


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_of_the_table_is_quiet_just_short_of_it(row: Row) -> None:
    said = judged(row.quiet or ["systemd[1]: all is well"], row.rule)
    assert said.findings == ()
    assert said.evaluated > 0
    assert said.not_evaluated == ()


def _only(facts: Mapping[str, Any], leaf: model.Reading) -> dict[str, Any]:
    """Return the facts with every reading replaced by another."""
    changed: model.Tree = {}
    for path, _ in model.leaves(facts):
        model.insert(changed, path, leaf)
    return changed


FED_BY_READINGS = [row for row in ROWS if isinstance(row.fires, Mapping)]


@pytest.mark.parametrize("leaf", [NotCollected("not asked"), ReadError("OSError", "x", 5)], ids=["absent", "error"])
@pytest.mark.parametrize("row", FED_BY_READINGS, ids=lambda row: row.name)
def test_an_absent_reading_is_never_a_pass(row: Row, leaf: model.Reading) -> None:
    (rule,) = [one for one in ALL if one.id == row.rule]
    said = evaluate([rule], Box(_only(box(row.fires).facts, leaf), NOW))
    assert said.findings == ()
    assert said.not_evaluated
    if row.rule != "host.temperature.critical":  # what a chip does not count has no reading either
        assert said.evaluated == 0 or len(row.fires) > 1


@pytest.mark.parametrize("rule", HOST_RULES, ids=lambda rule: rule.id)
def test_a_box_of_which_nothing_was_read_is_not_healthy(rule: Rule) -> None:
    said = evaluate([rule], Box({}, NOW))
    assert said.findings == ()
    kinds = {"md", "zfs", "ib", "sensor"}  # boxes without any have no such branch
    assert said.not_evaluated or rule.scope.kind in kinds


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk)[:20])
@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_readings_of_the_wrong_type_are_survived(rule: Rule, junk: Any) -> None:
    for lines in (page(rule).fires, page(rule).quiet):
        facts = facts_of(lines)
        for path, _ in list(model.leaves(facts)):
            changed = facts_of(lines)
            model.insert(changed, path, Value(junk))
            said = evaluate([rule], Box(changed, NOW))
            assert [gap for gap in said.not_evaluated if gap.kind is Gap.BROKEN] == []


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_what_reboots_says_to_keep_a_bundle_and_an_rma_what_is_missing(rule: Rule) -> None:
    for found in evaluate([rule], Box(facts_of(page(rule).fires), NOW)).findings:
        assert found.verdict is not Verdict.REBOOT or "bilbs diag collect" in found.next
        assert found.verdict is not Verdict.RMA or (found.have and found.missing)


HEALTHY: dict[str, Any] = {
    "system/edac/mc0/ue_count": 0,
    "system/edac/mc0/ce_count": 2,
    "system/memory/hardware_corrupted_bytes": 0,
    "system/pressure/memory/full/avg300_percent": 0.0,
    "system/tasks/blocked_count": 0,
    "system/clock/synchronized": True,
    "system/reboot_required": False,
    "system/cpu/core_throttled/largest": 0,
    "system/sensors/coretemp/Core 0/temperature_c": 51.0,
    "system/sensors/coretemp/Core 0/critical_c": 100.0,
    "system/sensors/nct6798/fan1/speed_rpm": 0,
    "services/failed": [],
    "pci/devices/0000:3b:00.0/kind": "gpu",
    "pci/devices/0000:3b:00.0/answers": True,
    "pci/devices/0000:3b:00.0/aer_fatal": {"TOTAL_ERR_FATAL": 0},
    "pci/devices/0000:3b:00.0/aer_correctable": {"RxErr": 12, "TOTAL_ERR_COR": 12},
    "storage/disks/sda/smart/passed": True,
    "storage/disks/sda/smart/exit_bits": ["was_below_threshold", "error_log"],
    "storage/disks/sda/smart/reallocated_sectors": 0,
    "storage/disks/sda/smart/crc_errors": 0,
    "storage/disks/nvme0n1/smart/passed": True,
    "storage/disks/nvme0n1/smart/critical_warning": 0,
    "storage/disks/nvme0n1/smart/spare_percent": 100,
    "storage/disks/nvme0n1/smart/spare_threshold_percent": 10,
    "storage/disks/nvme0n1/smart/used_percent": 3,
    "storage/disks/nvme0n1/smart/media_errors": 0,
    "storage/nvme/nvme0/state": "live",
    "storage/md/md0/failed": [],
    "storage/md/md0/state": "active",
    "storage/md/md0/wanted": 2,
    "storage/md/md0/working": 2,
    "storage/md/md0/degraded": 0,
    "storage/zfs/tank/state": "ONLINE",
    "storage/zfs/tank/errors": "No known data errors",
    "storage/file_systems/boot-efi/mount_point": "/boot/efi",
    "storage/file_systems/boot-efi/type": "vfat",
    "storage/file_systems/boot-efi/read_only": False,
    "storage/file_systems/boot-efi/size_bytes": 512 << 20,
    "storage/file_systems/boot-efi/available_bytes": 490 << 20,
    "storage/file_systems/boot-efi/used_percent": 1.2,
    "storage/file_systems/boot-efi/inodes_used_percent": None,
    "network/infiniband/mlx5_0/ports/1/state": "ACTIVE",
    "network/infiniband/mlx5_0/ports/1/physical_state": "LinkUp",
    "network/infiniband/mlx5_0/ports/1/counters": {"link_downed": 0},
    "network/interfaces/eth0/physical": True,
    "network/interfaces/eth0/operstate": "up",
    "network/interfaces/eth0/carrier": True,
    "network/interfaces/eth0/counters/rx_errors": 0,
    "network/interfaces/eth0/counters/tx_errors": 0,
    "network/interfaces/eth1/physical": True,  # a port that nobody uses
    "network/interfaces/eth1/operstate": "down",
    "network/interfaces/eth1/carrier_changes": 1,
    "network/interfaces/eth1/counters/rx_errors": 0,
    "network/interfaces/eth1/counters/tx_errors": 0,
}
CALM = (
    "Linux version 6.8.0-60-generic (buildd@x) (gcc 13) #63-Ubuntu SMP",
    "mce: CPU supports 20 MCE banks",
    "EDAC MC0: Giving out device to module i10nm_edac",
    "GHES: APEI firmware first mode is enabled by APEI bit and WHEA _OSC.",
    "pcieport 0000:3a:00.0: AER: enabled with IRQ 33",
    "rcu: Hierarchical RCU implementation.",
    "nvme nvme0: 128/0/0 default/read/poll queues",
    "EXT4-fs (nvme0n1p2): mounted filesystem r/w with ordered data mode. Quota mode: none.",
    "md/raid1:md0: active with 2 out of 2 mirrors",
    "mlx5_core 0000:5c:00.0: Port module event: module 0, Cable plugged",
    "thermal_sys: Registered thermal governor 'step_wise'",
)


def test_a_healthy_host_says_nothing_and_everything_was_looked_at() -> None:
    whole = logged([line(text) for text in CALM], tree(HEALTHY))
    said = evaluate(HOST_RULES, whole)
    assert said.findings == ()
    assert said.not_evaluated == ()


def test_a_read_only_file_system_is_explained_by_the_log_once() -> None:
    readings = FS | {f"{VAR}/read_only": True}
    whole = logged([line("EXT4-fs (sda3): Remounting filesystem read-only")], tree(readings))
    (found,) = evaluate(HOST_RULES, whole).findings
    assert (found.rule, found.severity.value, found.part) == ("host.fs.read_only", "critical", "fs:/var")
    assert [one.member for one in found.evidence] == ["facts.json", "kernel/var/log/kern.log"]


def test_a_file_system_that_takes_writes_again_is_a_warning() -> None:
    whole = logged([line("EXT4-fs (sda3): Remounting filesystem read-only")], tree(FS))
    (found,) = evaluate(HOST_RULES, whole).findings
    assert (found.rule, found.severity.value, found.part) == ("host.fs.remounted", "warning", "fs:/var")


def test_two_disks_with_errors_are_two_findings_and_copies_of_a_line_are_one() -> None:
    lines = [
        line("I/O error, dev sda, sector 9 op 0x0:(READ) flags 0x0"),
        line("I/O error, dev sdb, sector 9 op 0x0:(READ)"),
    ]
    copies = {"kernel/var/log/kern.log": lines, "kernel/var/log/syslog": lines}
    said = evaluate(HOST_RULES, logged(copies))
    assert {(one.part, one.count) for one in said.findings} == {("disk:sda", 1), ("disk:sdb", 1)}


@pytest.mark.parametrize(
    ("day", "severity"), [(20, "critical"), (13, "warning")], ids=["this week", "more than a week ago"]
)
def test_a_panic_that_the_box_has_outlived_is_a_warning(day: int, severity: str) -> None:
    said = evaluate(HOST_RULES, logged([line("Kernel panic - not syncing: Fatal exception", day=day)]))
    assert [one.severity.value for one in said.findings if one.rule == "host.panic"] == [severity]


def test_a_dimm_that_two_slots_could_be_keeps_the_drivers_name() -> None:
    readings = {
        "system/edac/mc0/ue_count": 1,
        "system/edac/mc0/dimms/dimm0/ue_count": 1,
        "system/edac/mc0/dimms/dimm0/label": "P1_A1 or P2_A1",
        "system/dmi/memory/P1_A1/serial": "1",
        "system/dmi/memory/P2_A1/serial": "2",
    }
    (found,) = judged(readings, "host.edac.uncorrected").findings
    assert found.part == "dimm:P1_A1 or P2_A1"


def test_a_slot_whose_name_begins_like_the_label_is_another_one() -> None:
    readings = {
        "system/edac/mc0/ue_count": 1,
        "system/edac/mc0/dimms/dimm0/ue_count": 1,
        "system/edac/mc0/dimms/dimm0/label": "CPU0_DIMM_A10",
        "system/dmi/memory/DIMM_A1/serial": "1",
    }
    (found,) = judged(readings, "host.edac.uncorrected").findings
    assert found.part == "dimm:CPU0_DIMM_A10"


def test_a_link_that_the_baseline_does_not_know_is_no_fault() -> None:
    known = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [], "interfaces": ["eth0"]}
    readings = {"network/interfaces/eth1/physical": True, "network/interfaces/eth1/operstate": "down"}
    assert judged({**readings, "memory/baseline": known}, "net.link.down").findings == ()


def test_failed_units_of_both_kinds_are_told_apart() -> None:
    said = judged({"services/failed": ["apt-daily.service", "docker.service"]}, "host.services.failed")
    assert {(one.severity.value, one.message) for one in said.findings} == {
        ("warning", "failed units: docker.service"),
        ("info", "failed units: apt-daily.service"),
    }
    assert len({one.key for one in said.findings}) == 2


def test_what_the_hosts_own_limit_killed_is_told_apart_from_what_a_containers_did() -> None:
    killed = "ut of memory: Killed process 4242 (python) total-vm:1kB, anon-rss:1kB"
    lines = [f"O{killed}", f"Memory cgroup o{killed}", f"Memory cgroup o{killed}"]
    assert [(one.severity.value, one.count) for one in judged(lines, "host.oom").findings] == [
        ("warning", 1),
        ("info", 2),
    ]


def test_machine_checks_that_were_corrected_are_told_apart_from_those_that_were_not() -> None:
    lines = [
        "mce: [Hardware Error]: Machine check events logged",
        "mce: [Hardware Error]: CPU 12: Machine Check Exception: 5 Bank 9: be00000000800400",
    ]
    found = judged(lines, "host.mce").findings
    assert [(one.severity.value, one.count) for one in found] == [("critical", 1), ("info", 1)]


@pytest.mark.parametrize("name", ["net.link.down", "net.link.errors"])
def test_an_interface_of_which_nobody_knows_whether_it_is_real_is_not_evaluated(name: str) -> None:
    fires = next(row.fires for row in ROWS if row.rule == name and isinstance(row.fires, Mapping))
    assert isinstance(fires, Mapping)
    facts = {path: value for path, value in fires.items() if not path.endswith("/physical")}
    assert len(facts) < len(fires)
    said = judged(facts, name)
    assert said.findings == ()
    assert [(gap.rule, "physical" in gap.reason) for gap in said.not_evaluated if gap.rule == name] == [(name, True)]
