"""The slot map: what sits where, for the person who pulls the board."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from bilbs_cli.diag.findings import Box
from bilbs_cli.diag.slots import slot_map
from tests.diag.remembered import NOW, box, cards, tree
from tests.diag.test_baseline import JSON


def test_the_map_has_gpus_first_then_other_slots_and_empty_ones() -> None:
    facts = cards(b3b="165")
    facts["pci"] |= tree({"devices/0000:5e:00.0/kind": "nic", "devices/0000:5e:00.0/model": "ConnectX-7"})
    facts |= tree(
        {
            "system/dmi/slots/PCIe Slot 2/bus_address": "0000:5e:00.0",
            "system/dmi/slots/PCIe Slot 2/usage": "In Use",
            "system/dmi/slots/PCIe Slot 9/bus_address": "0000:ff:00.0",
            "system/dmi/slots/PCIe Slot 9/usage": "Available",
        }
    )
    rows = slot_map(box(facts))
    assert [(one.slot, one.address, one.content, one.state) for one in rows] == [
        ("1", "0000:3b:00.0", "NVIDIA H100", "in use"),
        ("PCIe Slot 2", "0000:5e:00.0", "ConnectX-7", "in use"),
        ("PCIe Slot 9", "0000:ff:00.0", "", "empty"),
    ]
    assert rows[0].gpu is not None
    assert rows[0].source == "/sys/bus/pci/slots"


def test_a_slot_that_two_sources_name_is_one_row() -> None:
    facts = cards(b3b="165") | tree({"system/dmi/slots/PCIe Slot 1/bus_address": "0000:3b:00.0"})
    assert [one.slot for one in slot_map(box(facts))] == ["1"]


def test_a_missing_gpu_keeps_its_row() -> None:
    known = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": "0000:5e:00.0", "serial": "166", "slot": "7"}]}
    rows = slot_map(box(cards(b3b="165"), baseline=known))
    assert [(one.slot, one.state) for one in rows] == [("1", "in use"), ("7", "missing")]


@given(JSON, JSON)
def test_hostile_facts_never_raise(one: Any, other: Any) -> None:
    facts = {"pci": {"devices": one, "slots": other}, "system": {"dmi": {"slots": one}}, "gpu": {"devices": other}}
    slot_map(Box(facts, NOW))
