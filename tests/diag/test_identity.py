"""Which GPU is meant: serials of dead cards with their provenance, slots, cards that moved."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from bilbs_cli.diag import identity
from bilbs_cli.diag.findings import Box
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.model import NotCollected, ReadError
from tests.diag.remembered import DAY, NOW, box, cards, log, said, tree
from tests.diag.test_baseline import JSON

PCI = "0000:3b:00.0"
LOST = ReadError("NVMLError_GpuIsLost", "GPU is lost", 15)
BASELINE: dict[str, Any] = {
    "taken_at": "2026-11-01T00:00:00+00:00",
    "gpus": [
        {"pci": PCI, "serial": "165", "uuid": "GPU-165", "slot": "5", "name": "NVIDIA H100", "part_number": "692"},
        {"pci": "0000:5e:00.0", "serial": "166", "uuid": "GPU-166"},
    ],
}


def only(one: Box) -> GpuIdentity:
    found = identity.gpus(one)
    assert len(found) == 1, found
    return found[0]


def test_the_samples_in_the_docstrings_are_true() -> None:
    result = doctest.testmod(identity)
    assert result.attempted
    assert not result.failed


def test_a_living_gpu_tells_its_serial_itself() -> None:
    gpu = only(box(cards(b3b="165")))
    assert (gpu.serial, gpu.serial_from, gpu.present, gpu.slot) == ("165", "the driver", "nvml", "1")
    assert identity.label(gpu) == "GPU 0 (0000:3b:00.0, slot 1, serial 165)"


def test_a_dead_gpu_has_the_serial_that_the_driver_printed_before_the_xid() -> None:
    facts = tree({f"gpu/pci/{PCI}/kind": "gpu", f"gpu/pci/{PCI}/answers": False, "gpu/system/nvml": "initialised"})
    facts["kernel"] = log(said("nvrm_identity", 811, PCI, uuid="GPU-9"), said("nvrm_identity", 812, serial="1652324"))
    gpu = only(box(facts))
    assert (gpu.serial, gpu.uuid, gpu.present) == ("1652324", "GPU-9", "lost")
    assert gpu.serial_from == "the kernel log, line 812 of kernel/dmesg.txt"


def test_a_serial_in_the_log_belongs_to_the_gpu_of_the_lines_around_it() -> None:
    facts: dict[str, Any] = {}
    facts["kernel"] = log(
        said("xid", 10, PCI), said("nvrm_identity", 12, serial="A"), said("xid", 13, "0000:5e:00.0"),
        said("nvrm_identity", 900, serial="nobody's"),
    )  # fmt: skip
    found = {one.pci: one.serial for one in identity.gpus(box(facts))}
    assert found == {PCI: "", "0000:5e:00.0": "A"}


def test_a_gpu_that_is_nowhere_is_missing_with_all_that_the_baseline_knows() -> None:
    gpu = identity.at(box(cards(b5e="166"), baseline=BASELINE), PCI)
    assert gpu is not None
    assert (gpu.present, gpu.serial, gpu.serial_from) == ("missing", "165", "the baseline of 2026-11-01")
    assert (gpu.slot, gpu.slot_from, gpu.part_number) == ("5", "the baseline of 2026-11-01", "692")
    assert identity.label(gpu) == "GPU (0000:3b:00.0, slot 5, serial 165, from the baseline of 2026-11-01)"


def test_a_gpu_that_the_driver_has_lost_is_found_by_elimination() -> None:
    facts = tree(
        {
            "gpu/system/nvml": "initialised",
            f"gpu/pci/{PCI}/kind": "gpu",
            "gpu/devices/0/name": LOST,
            "gpu/devices/0/serial": LOST,
            "gpu/devices/0/pci_bus_id": LOST,
            "gpu/devices/0/pci_bus_id_by_elimination": PCI,
        }
    )
    gpu = only(box(facts, baseline={**BASELINE, "gpus": BASELINE["gpus"][:1]}))
    assert (gpu.index, gpu.pci, gpu.present, gpu.serial) == (0, PCI, "lost", "165")


def test_two_nameless_gpus_are_not_counted_twice() -> None:
    facts = tree({f"gpu/pci/{pci}/kind": "gpu" for pci in (PCI, "0000:5e:00.0")})
    facts["gpu"]["devices"] = {"0": {"name": {"error": {"class": "NVMLError_GpuIsLost"}}}, "1": {}}
    found = identity.gpus(Box(facts, NOW))
    assert [(one.pci, one.present) for one in found] == [(PCI, "lost"), ("0000:5e:00.0", "lost")]


def test_a_card_that_moved_is_not_missing() -> None:
    found = identity.gpus(box(cards(b5e="165"), baseline={**BASELINE, "gpus": BASELINE["gpus"][:1]}))
    assert [(one.pci, one.serial) for one in found] == [("0000:5e:00.0", "165")]


def test_another_uuid_says_that_the_remembered_serial_is_of_another_card() -> None:
    facts = tree({f"gpu/pci/{PCI}/kind": "gpu", f"gpu/pci/{PCI}/proc/gpu_uuid": "GPU-new"})
    gpu = identity.at(box(facts, baseline=BASELINE), PCI)
    assert gpu is not None
    assert gpu.serial == ""
    assert gpu.serial_from == "nothing: the baseline of 2026-11-01 had another card here, serial 165"
    assert gpu.part_number == ""


def test_a_known_uuid_gives_the_serial_wherever_the_card_is() -> None:
    facts = tree({f"gpu/pci/{PCI}/kind": "gpu", f"gpu/pci/{PCI}/proc/gpu_uuid": "GPU-166"})
    gpu = identity.at(box(facts, baseline=BASELINE), PCI)
    assert gpu is not None
    assert (gpu.serial, gpu.serial_from) == ("166", "the baseline of 2026-11-01, by its UUID")


@pytest.mark.parametrize(("day", "serial"), [(datetime(2026, 10, 1, tzinfo=UTC), "165"), (NOW - DAY, "999")])
def test_log_and_baseline_disagree_and_the_later_one_is_believed(day: datetime, serial: str) -> None:
    facts = tree({f"gpu/pci/{PCI}/kind": "gpu"})
    facts["kernel"] = log(said("nvrm_identity", 5, PCI, day, serial="999"))
    gpu = identity.at(box(facts, baseline=BASELINE), PCI)
    assert gpu is not None
    assert gpu.serial == serial
    if serial == "999":
        assert "the baseline of 2026-11-01 had serial 165 here" in gpu.serial_from


def test_an_old_log_line_makes_no_gpu_missing_that_the_baseline_does_not_have() -> None:
    facts = cards(b3b="165", b5e="166")
    facts["kernel"] = log(
        said("xid", 5, "0000:af:00.0", datetime(2026, 10, 1, tzinfo=UTC)), said("xid", 6, "0000:b0:00.0")
    )
    found = identity.gpus(box(facts, baseline=BASELINE))
    assert [one.pci for one in found if one.present == "missing"] == ["0000:b0:00.0"]


def test_nothing_is_missing_where_nobody_looked() -> None:
    facts = tree({"gpu/system/nvml": NotCollected("files of another system"), "gpu/system/gpus_in_pci": []})
    assert {one.present for one in identity.gpus(box(facts, baseline=BASELINE))} == {"unknown"}


@pytest.mark.parametrize(
    ("readings", "slot", "source"),
    [
        ({f"pci/devices/{PCI}/slot": "7"}, "7", "/sys/bus/pci/slots"),
        ({"pci/slots/4": "0000:3b:00"}, "4", "/sys/bus/pci/slots"),
        ({"system/dmi/slots/PCIe Slot 3/bus_address": "0000:3B:00.0"}, "PCIe Slot 3", "SMBIOS"),
        (
            {
                f"pci/devices/{PCI}/bridges_above": ["0000:17:00.0", "0000:3a:00.0"],
                "system/dmi/slots/Riser 1/bus_address": "0000:17:00.0",
                "system/dmi/slots/Riser 2/bus_address": "0000:3a:00.0",
            },
            "Riser 2",
            "SMBIOS",
        ),
        ({"gpu/devices/0/platform/slot": 25}, "rack slot 25", "the driver's platform information"),
        ({"gpu/devices/0/module_id": 3}, "module 3", "the driver's module id"),
        ({"gpu/devices/0/module_id": 0}, "", ""),
    ],
)
def test_the_slot_is_the_one_nearest_to_the_gpu(readings: dict[str, Any], slot: str, source: str) -> None:
    gpu = only(Box(tree({"gpu/devices/0/pci_bus_id": PCI, **readings}), NOW))
    assert (gpu.slot, gpu.slot_from) == (slot, source)
    assert gpu.module_id == (3 if slot == "module 3" else None)


@given(JSON, JSON, JSON, JSON)
def test_hostile_facts_never_raise(gpu: Any, pci: Any, system: Any, memory: Any) -> None:
    devices = {"0": gpu, "x": {"pci_bus_id": {"value": pci}, "nvlink": memory}}
    facts = {"gpu": {"devices": devices, "pci": gpu, "system": system}, "pci": {"devices": pci, "slots": system}}
    for one in identity.gpus(Box({**facts, "system": {"dmi": system}, "memory": memory, "kernel": {"log": gpu}}, NOW)):
        assert identity.label(one)
