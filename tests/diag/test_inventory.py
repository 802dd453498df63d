"""What a box is made of, and which checks may renew what is remembered of it: each reason against."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag import inventory
from bilbs_cli.diag.baseline import Baseline, KnownGpu
from bilbs_cli.diag.findings import Severity
from bilbs_cli.diag.inventory import next_baseline, obstacles
from bilbs_cli.diag.model import NotCollected, ReadError
from tests.diag.remembered import CLEAN, DAY, NOW, cards, fault, judged, serials_of, tree
from tests.diag.test_baseline import JSON

LOST = ReadError("NVMLError_GpuIsLost", "GPU is lost", 15)
SENSORS = {
    "bmc/sensors/32.0.1": {"name": "FAN1", "value": 8400.0},
    "bmc/sensors/32.0.2": {"name": "DIMM A1 Temp", "value": None, "states": []},
}


def known(*gpus: KnownGpu, **rest: Any) -> Baseline:
    return Baseline(NOW - DAY, gpus, by="test", **rest)


TWO = known(KnownGpu("0000:3b:00.0", "165"), KnownGpu("0000:5e:00.0", "166"))


def test_an_inventory_holds_what_was_read_and_nothing_else() -> None:
    facts = cards(b3b="165") | tree(
        {
            **SENSORS,
            "system/dmi/memory/A1/populated": True,
            "system/dmi/memory/A2/populated": False,
            "storage/disks/nvme0n1/serial": "S1 ",
            "storage/nvme/nvme0/serial": "S1",
            "storage/disks/vda/serial": NotCollected("none"),
            "storage/disks/sdb/removable": True,
            "network/interfaces/eth0/operstate": "up",
            "network/interfaces/eth0/carrier": True,
            "network/interfaces/eth0/physical": True,
            "network/interfaces/docker0/operstate": "up",
            "network/interfaces/docker0/carrier": True,
            "network/interfaces/docker0/physical": False,
        }
    )
    found = inventory.inventory(facts, NOW, "me")
    assert (found.dimms, found.dimm_slots) == (1, ("A1",))
    assert found.disks == ("serial S1", "vda")
    assert (found.sensors, found.interfaces) == (("FAN1",), ("eth0",))
    assert (found.driver, found.by, found.taken_at) == ("580.105.08", "me", NOW)
    (gpu,) = found.gpus
    assert (gpu.pci, gpu.serial, gpu.slot, gpu.nvlinks_up) == ("0000:3b:00.0", "165", "1", frozenset({0}))
    assert gpu.counters == {"remapped_uncorrectable": 0}


def test_what_was_not_read_is_unknown_and_not_zero() -> None:
    found = inventory.inventory({}, NOW, "")
    assert (found.gpus, found.dimms, found.disks) == ((), None, ())


def test_counters_have_a_second_source_and_pages_are_counted_only_when_both_causes_are_known() -> None:
    device = tree(
        {
            "remapped_rows/correctable": LOST,
            "fields/remapped_rows/correctable": 4,
            "pcie/replays": True,
            "pcie/replay_counter": 150,
            "retired_pages/single_bit": [{}, {}],
            "fields/retired_pages/double_bit": 1,
        }
    )
    assert inventory.counters_of(device) == {"remapped_correctable": 4, "pcie_replays": 150, "retired_pages": 3}
    assert "retired_pages" not in inventory.counters_of(tree({"retired_pages/single_bit": []}))


def test_the_first_clean_check_makes_the_first_baseline() -> None:
    new = next_baseline(None, cards(b3b="165"), CLEAN, NOW)
    assert new is not None
    assert (new.by, serials_of(new.gpus)) == ("a clean check", ["165"])


def test_a_clean_check_adds_and_never_takes_away() -> None:
    before = KnownGpu("0000:3b:00.0", "165", nvlinks_up=frozenset({0, 5}), pcie_width=16, counters={"pcie_replays": 2})
    old = known(before, dimms=16, dimm_slots=("A1",), disks=("serial S1",), interfaces=("eth1",), driver="570")
    new = next_baseline(old, cards(b3b="165", b5e="166") | tree(SENSORS), CLEAN, NOW)
    assert new is not None
    assert serials_of(new.gpus) == ["165", "166"]
    assert new.gpus[0].nvlinks_up == {0, 5}
    assert new.gpus[0].pcie_width == 16
    assert new.gpus[0].counters == {"pcie_replays": 2, "remapped_uncorrectable": 0}
    assert (new.dimms, new.dimm_slots, new.disks, new.interfaces) == (16, ("A1",), ("serial S1",), ("eth1",))
    assert (new.driver, new.sensors, new.taken_at) == ("580.105.08", ("FAN1",), NOW)


def test_cards_that_changed_places_take_their_counters_along_and_leave_the_links() -> None:
    old = known(
        KnownGpu("0000:3b:00.0", "165", nvlinks_up=frozenset({7}), counters={"retired_pages": 1}),
        KnownGpu("0000:5e:00.0", "166", counters={"retired_pages": 2}),
    )
    new = next_baseline(old, cards(b3b="166", b5e="165"), CLEAN, NOW)
    assert new is not None
    assert [(one.serial, one.counters["retired_pages"]) for one in new.gpus] == [("166", 2), ("165", 1)]
    assert [one.nvlinks_up for one in new.gpus] == [{0, 7}, {0}]


def why(old: Baseline | None, facts: Any, judgement: Any = CLEAN) -> str:
    """Return the reasons against; there must be no baseline then."""
    assert next_baseline(old, facts, judgement, NOW) is None
    return "; ".join(obstacles(old, facts, judgement))


@pytest.mark.parametrize("severity", [Severity.WARNING, Severity.CRITICAL])
def test_a_finding_stands_against_it(severity: Severity) -> None:
    one = replace(fault("gpu:0000:3b:00.0"), severity=severity)
    assert why(TWO, cards(b3b="165", b5e="166"), judged(one)) == "1 finding: xid.79 (gpu:0000:3b:00.0)"


def test_information_does_not_stand_against_it() -> None:
    one = replace(fault("gpu:0000:3b:00.0"), severity=Severity.INFO)
    assert next_baseline(TWO, cards(b3b="165", b5e="166"), judged(one), NOW)


def test_fewer_gpus_stand_against_it() -> None:
    said = why(TWO, cards(b3b="165"))
    assert said.startswith("1 GPU, and the baseline of 2026-11-20 has 2")
    assert "GPU 166, at 0000:5e:00.0 in the baseline, is gone" in said


def test_a_card_that_was_replaced_stands_against_it_though_the_count_is_the_same() -> None:
    assert "GPU 166" in why(TWO, cards(b3b="165", b5e="999"))


@pytest.mark.parametrize(
    ("readings", "words"),
    [
        ({"gpu/devices/1/temperature_c": LOST}, "is lost to the driver"),
        ({"gpu/pci/0000:af:00.0/kind": "gpu"}, "is on the PCI bus and not with the driver"),
        ({"gpu/system/nvml": ReadError("NVMLError_Unknown", "no driver")}, "the GPU driver did not answer: no driver"),
        ({"gpu/devices/2/pci_bus_id": "0000:af:00.0"}, "told neither its serial nor its UUID"),
        ({"gpu/system/nvml": NotCollected("skipped")}, "nobody asked the GPU driver or looked at the PCI bus"),
    ],
)
def test_what_may_hide_a_gpu_stands_against_it(readings: dict[str, Any], words: str) -> None:
    facts = cards(b3b="165", b5e="166")
    merged = tree(readings)
    for branch, names in merged["gpu"].items():
        for name, one in names.items():
            facts["gpu"][branch].setdefault(name, {})
            facts["gpu"][branch][name] = {**facts["gpu"][branch][name], **one} if branch != "system" else one
    assert words in why(TWO, facts)


def test_a_box_without_gpus_has_a_baseline_too() -> None:
    nvml = ReadError("NVMLError_LibraryNotFound", "no library")
    facts = tree({"gpu/system/nvml": nvml, "gpu/system/gpus_in_pci": [], "pci/functions": 6})
    new = next_baseline(None, facts, CLEAN, NOW)
    assert new is not None
    assert new.gpus == ()


@given(
    st.lists(st.sampled_from(["165", "166", "167"]), unique=True),
    st.lists(st.sampled_from(["165", "166"]), unique=True),
)
def test_no_check_ever_drops_a_card(old: list[str], now: list[str]) -> None:
    before = known(*(KnownGpu(f"0000:{number:02x}:00.0", serial) for number, serial in enumerate(old, 1)))
    facts = cards(**{f"b{number:02x}": serial for number, serial in enumerate(now, 1)})
    new = next_baseline(before, facts, CLEAN, NOW)
    assert (new is None) == bool(set(old) - set(now))
    if new:
        assert set(old) <= set(serials_of(new.gpus))


@given(JSON, JSON)
def test_hostile_facts_never_raise(one: Any, other: Any) -> None:
    facts = {
        "gpu": {"devices": {"0": one}},
        "system": {"dmi": {"memory": other, "slots": one}},
        "pci": {"devices": other},
    }
    facts |= {"storage": {"disks": other, "nvme": one}, "bmc": {"sensors": one}, "network": {"interfaces": other}}
    inventory.inventory(facts, NOW, "")
    next_baseline(TWO, facts, CLEAN, NOW)
