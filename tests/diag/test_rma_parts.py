"""Naming a part: every way that a person may write it, and an error that says what there is."""

from __future__ import annotations

from typing import Any

import pytest

from bilbs_cli.diag import rma_parts
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Box, Finding, Severity, Verdict
from bilbs_cli.errors import NotFound, UsageProblem
from tests.diag.judged import judge
from tests.diag.remembered import NOW, cards, tree

READINGS: dict[str, Any] = {
    "bmc/sensors/32.0.4": {"name": "FAN1", "type": "Fan", "entity": "fan 1"},
    "bmc/sensors/32.0.11": {"name": "PSU1 Status", "type": "Power Supply", "entity": "power supply 1"},
    "bmc/sensors/32.0.12": {"name": "PSU2 Status", "type": "Power Supply", "entity": "power supply 2"},
    "bmc/sensors/32.0.9": {"name": "PSU2 Power In", "type": "Other", "entity": "power supply 2"},
    "bmc/fru/1": {"name": "PSU2 FRU", "board": {"serial": "PSU2SN0099", "part_number": "PWS-3K06G-2R"}},
    "system/dmi/memory/A1/populated": True,
    "system/dmi/memory/A2/populated": False,
    "storage/disks/nvme0n1/serial": "S5X",
    "storage/nvme/nvme0/serial": "S5X",
    "storage/disks/sda/model": "disk",
    "network/interfaces/eth0/physical": True,
    "network/interfaces/lo/physical": False,
    "network/infiniband/mlx5_0/ports/1/state": "ACTIVE",
    "pci/devices/0000:05:00.0/kind": "nvswitch",
    "pci/devices/0000:17:00.0/kind": "nic",
    "pci/devices/0000:17:00.0/model": "ConnectX-7",
    "pci/slots/9": "0000:17:00",
}


def box(*findings: Finding) -> Checked:
    facts = tree(READINGS)
    for name, node in cards(b1b="A", b3b="B").items():
        facts[name] = {**facts.get(name, {}), **node}
    facts["pci"]["slots"] = {**facts["pci"]["slots"], "9": {"value": "0000:17:00"}}
    return judge(Box(facts, NOW), *findings)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("gpu:1", "gpu:0000:3b:00.0"),
        ("gpu:0000:3b:00.0", "gpu:0000:3b:00.0"),
        ("GPU:0000:3B:00.0", "gpu:0000:3b:00.0"),
        ("gpu:0000:3b:00", "gpu:0000:3b:00.0"),
        ("gpu:3b:00", "gpu:0000:3b:00.0"),
        ("gpu:serial:B", "gpu:0000:3b:00.0"),
        ("gpu:GPU-B", "gpu:0000:3b:00.0"),
        ("slot:2", "gpu:0000:3b:00.0"),
        ("slot:9", "pci:0000:17:00.0"),
        ("psu:2", "psu:2"),
        ("psu:PSU2", "psu:2"),
        ("bmc:sensor:PSU2 Status", "psu:2"),
        ("fan:FAN1", "fan:FAN1"),
        ("fan:1", "fan:FAN1"),
        ("bmc:sensor:FAN1", "fan:FAN1"),
        ("dimm:A1", "dimm:A1"),
        ("disk:nvme0n1", "disk:nvme0n1"),
        ("disk:/dev/nvme0n1", "disk:nvme0n1"),
        ("nvme:nvme0", "disk:nvme0n1"),
        ("disk:serial:S5X", "disk:nvme0n1"),
        ("net:eth0", "net:eth0"),
        ("ib:mlx5_0/1", "ib:mlx5_0"),
        ("nvswitch:0000:05:00.0", "nvswitch:0000:05:00.0"),
        ("pci:0000:17:00", "pci:0000:17:00.0"),
    ],
)
def test_a_part_is_found_by_every_name_that_a_person_may_write(text: str, part: str) -> None:
    assert rma_parts.resolve(box(), text).id == part


def test_a_power_supply_has_its_sensors_and_its_fru() -> None:
    found = rma_parts.resolve(box(), "psu:2")
    assert found.sensors == frozenset({"32.0.12", "32.0.9"})
    assert found.fru == "1"


def test_an_unknown_part_is_told_with_what_there_is_and_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        rma_parts.resolve(box(), "gpu:2")
    assert "it has gpu:0, gpu:1, psu:1, psu:2, fan:fan1" in str(caught.value)
    assert caught.value.next.startswith("did you mean --part gpu:")
    with pytest.raises(NotFound) as caught:
        rma_parts.resolve(box(), "disk:nvme0n2")
    assert "did you mean --part disk:nvme0n1" in caught.value.next


def test_a_bundle_without_parts_says_so() -> None:
    with pytest.raises(NotFound, match="none at all"):
        rma_parts.resolve(judge(Box({}, NOW)), "gpu:0")


def test_an_empty_slot_holds_no_part() -> None:
    facts = tree(
        {"system/dmi/slots/PCIe Slot 3/usage": "Available", "system/dmi/slots/PCIe Slot 3/bus_address": "0000:ff:00.0"}
    )
    with pytest.raises(NotFound, match="nothing is known to be in slot:3 \\(empty\\)"):
        rma_parts.resolve(judge(Box(facts, NOW)), "slot:3")


def test_a_name_that_fits_two_parts_is_an_error_that_names_both() -> None:
    facts = tree(
        {"bmc/sensors/1": {"name": "FAN1", "type": "Fan"}, "bmc/sensors/2": {"name": "SYS_FAN 1", "type": "Fan"}}
    )
    with pytest.raises(UsageProblem, match="fits 2 parts: fan:FAN1, fan:SYS_FAN 1"):
        rma_parts.resolve(judge(Box(facts, NOW)), "fan:1")


def test_a_part_that_only_a_finding_speaks_of_can_be_named() -> None:
    finding = Finding("dimm.ue", Severity.CRITICAL, Verdict.RMA, "dimm:CPU1_DIMM_B2", "m", (), "", "")
    found = rma_parts.resolve(box(finding), "dimm:CPU1_DIMM_B2")
    assert (found.kind, found.id) == ("dimm", "dimm:CPU1_DIMM_B2")


def test_a_finding_of_an_index_speaks_of_the_gpu_with_it() -> None:
    assert "gpu:index:1" in rma_parts.resolve(box(), "gpu:1").spoken
