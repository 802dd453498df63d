"""What changed between two bundles: each kind of change, the three-way readings, the noise, and hostile facts."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag import diff, diff_change
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.diff import Change, Group, Kind
from bilbs_cli.diag.findings import Box, Finding, Gap, NotEvaluated, Severity, Verdict
from bilbs_cli.diag.model import NotCollected, ReadError, Value, encode
from tests.diag.judged import checks, dead_gpu, judge
from tests.diag.remembered import NOW, cards, said, tree
from tests.diag.remembered import log as kernel

GPU0 = "gpu/devices/0"


def checked(readings: dict[str, Any], *findings: Finding, days: float = 0, **more: Any) -> Checked:
    at = NOW + timedelta(days=days)
    return replace(judge(Box(tree(readings), at), *findings, **more), timeline=())


def changes(before: Checked, after: Checked, group: Group) -> list[Change]:
    return [one for one in diff.compare(before, after).changes if one.group is group]


def one_change(before: dict[str, Any], after: dict[str, Any], **more: Any) -> Change:
    found = diff.compare(checked(before), checked(after, days=1, **more)).changes
    assert len(found) == 1, found
    return found[0]


def gpu(path: str, value: object) -> dict[str, Any]:
    return {"gpu/system/nvml": "initialised", f"{GPU0}/pci_bus_id": "0000:3b:00.0", f"{GPU0}/{path}": value}


def test_a_bundle_does_not_differ_from_itself() -> None:
    found = diff.compare(dead_gpu(), dead_gpu())
    assert not found.differs
    assert found.compared > 0


@pytest.mark.parametrize(
    ("path", "before", "after", "group"),
    [
        ("gpu/system/driver_version", "580.105.08", "580.126.09", Group.FIRMWARE),
        ("bmc/device/firmware", "2.45", "2.46", Group.FIRMWARE),
        ("system/dmi/bios_version", "2.1", "2.2", Group.FIRMWARE),
        ("system/kernel_release", "6.1.0-40", "6.1.0-41", Group.FIRMWARE),
        ("kernel/settings/vm/swappiness", 60, 10, Group.SETTINGS),
        ("storage/md/md0/working", 2, 1, Group.HEALTH),
        ("services/failed", [], ["nvidia-fabricmanager.service"], Group.HEALTH),
        ("system/memory/total_bytes", 1 << 40, 1 << 39, Group.PARTS),
    ],
)
def test_a_changed_reading_of_the_box_is_told_with_its_path_and_both_values(
    path: str, before: object, after: object, group: Group
) -> None:
    found = one_change({path: before}, {path: after})
    assert (found.group, found.path, found.before, found.after) == (group, path, Value(before), Value(after))


@pytest.mark.parametrize(
    ("path", "before", "after", "group"),
    [
        ("vbios", "96.00.99.00.01", "96.00.A5.00.01", Group.FIRMWARE),
        ("gsp/version", "580.105.08", "580.126.09", Group.FIRMWARE),
        ("inforom/image", "G520.0200.00.05", "G520.0200.00.06", Group.FIRMWARE),
        ("ecc_mode_current", True, False, Group.SETTINGS),
        ("mig_mode_current", False, True, Group.SETTINGS),
        ("persistence_mode", True, False, Group.SETTINGS),
        ("power_limit_w", 700.0, 500.0, Group.SETTINGS),
        ("pcie/width_current", 16, 8, Group.LINKS),
        ("nvlink/3/state", "active", "inactive", Group.LINKS),
        ("remapped_rows/failure", False, True, Group.HEALTH),
    ],
)
def test_a_changed_reading_of_a_gpu_is_told(path: str, before: object, after: object, group: Group) -> None:
    found = one_change(gpu(path, before), gpu(path, after))
    assert (found.group, found.path) == (group, f"{GPU0}/{path}")
    assert found.what == f"GPU 0 (0000:3b:00.0): {path}"


@pytest.mark.parametrize(
    "path",
    ["temperature_c", "power_w", "clocks/sm_mhz", "utilization/gpu_percent", "memory/used_bytes", "energy_j", "x/new"],
)
def test_noise_is_left_out(path: str) -> None:
    assert not diff.compare(checked(gpu(path, 30)), checked(gpu(path, 61), days=1)).differs


def test_a_pcie_generation_that_fell_at_idle_is_no_change() -> None:
    fast = gpu("pcie/generation_current", 5) | {f"{GPU0}/performance_state": "P0"}
    idle = gpu("pcie/generation_current", 1) | {f"{GPU0}/performance_state": "P8"}
    slow = idle | {f"{GPU0}/performance_state": "P0"}
    assert not diff.compare(checked(fast), checked(idle)).differs
    assert one_change(fast, slow).group is Group.LINKS


def test_a_counter_is_told_with_its_growth_and_the_rate_by_the_week() -> None:
    found = one_change(gpu("ecc/aggregate/corrected", 10), gpu("ecc/aggregate/corrected", 13))
    assert (found.group, found.kind, found.note) == (Group.COUNTERS, Kind.GREW, "+3, 21 a week")


def test_no_rate_is_worked_out_from_minutes() -> None:
    before = checked(gpu("pcie/replays", 1))
    assert changes(before, checked(gpu("pcie/replays", 4), days=0.01), Group.COUNTERS)[0].note == "+3"


def test_a_counter_that_went_backwards_is_a_reset_and_says_so() -> None:
    found = one_change(gpu("remapped_rows/uncorrectable", 7), gpu("remapped_rows/uncorrectable", 0))
    assert found.kind is Kind.RESET
    assert "started again" in found.note


def test_the_same_count_read_in_two_ways_is_told_once() -> None:
    before = gpu("pcie/replays", 1) | {f"{GPU0}/pcie/replay_counter": 1, f"{GPU0}/fields/pcie/replays": 1}
    after = gpu("pcie/replays", 9) | {f"{GPU0}/pcie/replay_counter": 9, f"{GPU0}/fields/pcie/replays": 9}
    assert one_change(before, after).path == f"{GPU0}/pcie/replays"


@pytest.mark.parametrize("gap", [ReadError("NVMLError_Unknown", "Unknown Error", 999), NotCollected("no time left")])
def test_what_one_side_could_not_read_is_not_comparable_and_never_unchanged(gap: Any) -> None:
    found = one_change(gpu("vbios", "96"), gpu("vbios", gap))
    assert (found.group, found.before, found.after) == (Group.UNKNOWN, Value("96"), gap)
    back = one_change(gpu("vbios", gap), gpu("vbios", "96"))
    assert (back.before, back.after, back.note) == (gap, Value("96"), "only the later one has it")


def test_what_neither_side_could_read_is_counted_and_not_a_change() -> None:
    gap = ReadError("NVMLError_NotSupported", "Not Supported", 3)
    found = diff.compare(checked(gpu("vbios", gap)), checked(gpu("vbios", gap)))
    assert not found.differs
    assert found.neither == 1


def test_readings_lost_for_one_reason_are_told_once_with_their_number() -> None:
    lost = ReadError("NVMLError_GpuIsLost", "GPU is lost", 15)
    names = ("vbios", "ecc_mode_current", "pcie/width_current")
    before, after = gpu("serial", "A"), gpu("serial", lost)
    for name in names:
        before[f"{GPU0}/{name}"], after[f"{GPU0}/{name}"] = "x", lost
    found = changes(checked(before), checked(after), Group.UNKNOWN)
    assert [one.count for one in found] == [3]
    assert found[0].paths == tuple(f"{GPU0}/{name}" for name in names)


def test_a_gpu_that_is_gone_is_told_with_its_serial() -> None:
    before, after = cards(b1b="A", b3b="B"), cards(b1b="A")
    found = diff.compare(judge(Box(before, NOW)), judge(Box(after, NOW))).changes
    gone = [one for one in found if one.group is Group.GPUS]
    assert [(one.kind, one.what) for one in gone] == [(Kind.GONE, "GPU 1 (0000:3b:00.0, slot 2, serial B)")]
    assert gone[0].before is not None
    assert "serial B" in str(gone[0].before)


def test_a_gpu_that_fell_off_the_bus_is_told_as_lost() -> None:
    before, after = gpu("serial", "A"), gpu("serial", ReadError("NVMLError_GpuIsLost", "GPU is lost", 15))
    found = changes(checked(before), checked(after), Group.GPUS)
    assert [(one.kind, one.after) for one in found] == [(Kind.GONE, Value("lost to the driver"))]


def test_two_cards_that_changed_places_have_moved_and_are_not_replaced() -> None:
    found = changes(judge(Box(cards(b1b="A", b3b="B"), NOW)), judge(Box(cards(b1b="B", b3b="A"), NOW)), Group.GPUS)
    assert Counter(one.kind for one in found) == {Kind.MOVED: 2, Kind.CHANGED: 2}  # the index goes with the place


def test_another_card_in_the_same_place_is_a_replacement() -> None:
    found = changes(judge(Box(cards(b3b="A"), NOW)), judge(Box(cards(b3b="C"), NOW)), Group.GPUS)
    assert [(one.kind, one.before, one.after) for one in found] == [
        (Kind.REPLACED, Value("serial A"), Value("serial C"))
    ]


def test_a_side_where_nobody_looked_for_gpus_has_lost_none() -> None:
    blind = checked({"memory/baseline": {"taken_at": NOW.isoformat(), "gpus": [{"pci": "0000:3b:00.0"}]}})
    found = changes(judge(Box(cards(b3b="A"), NOW)), blind, Group.UNKNOWN)
    assert [one.what for one in found if one.path == "gpu/devices"] == ["the GPUs"]
    assert not changes(judge(Box(cards(b3b="A"), NOW)), blind, Group.GPUS)


def test_a_disk_is_known_by_its_serial_under_another_name() -> None:
    before = {"storage/disks/sda/serial": "S1", "storage/disks/sdb/serial": "S2"}
    after = {"storage/disks/sda/serial": "S2", "storage/disks/sdb/serial": "S3"}
    found = changes(checked(before), checked(after), Group.PARTS)
    assert {(one.kind, one.what) for one in found} == {
        (Kind.MOVED, "disk with serial S2"),
        (Kind.GONE, "disk sda"),
        (Kind.NEW, "disk sdb"),
    }


def test_parts_that_one_side_knows_none_of_are_not_comparable() -> None:
    found = diff.compare(checked({"storage/disks/sda/serial": "S1"}), checked({})).changes
    assert [(one.group, one.path) for one in found] == [(Group.UNKNOWN, "storage/disks")]


@pytest.mark.parametrize(
    ("path", "before", "after", "group", "kind"),
    [
        ("system/dmi/memory/DIMM_A1/populated", True, False, Group.PARTS, Kind.CHANGED),
        ("network/interfaces/eth0/operstate", "up", "down", Group.LINKS, Kind.CHANGED),
        ("network/interfaces/eth0/counters/rx_crc_errors", 0, 5, Group.COUNTERS, Kind.GREW),
        ("network/infiniband/mlx5_0/firmware", "28.39", "28.43", Group.FIRMWARE, Kind.CHANGED),
        ("network/infiniband/mlx5_0/ports/1/rate_gbps", 400.0, 200.0, Group.LINKS, Kind.CHANGED),
        (
            "network/infiniband/mlx5_0/ports/1/counters",
            {"symbol_error": 1},
            {"symbol_error": 2},
            Group.COUNTERS,
            Kind.GREW,
        ),
        ("pci/devices/0000:17:00.0/link/current_link_width", 16, 4, Group.LINKS, Kind.CHANGED),
        (
            "pci/devices/0000:17:00.0/aer_fatal",
            {"TOTAL_ERR_FATAL": 0},
            {"TOTAL_ERR_FATAL": 1},
            Group.COUNTERS,
            Kind.GREW,
        ),
        ("storage/disks/nvme0n1/smart/media_errors", 0, 2, Group.COUNTERS, Kind.GREW),
        ("storage/nvme/nvme0/firmware", "1.0", "1.1", Group.FIRMWARE, Kind.CHANGED),
    ],
)
def test_a_changed_part_is_told(path: str, before: object, after: object, group: Group, kind: Kind) -> None:
    found = one_change({path: before}, {path: after})
    assert (found.group, found.kind) == (group, kind)


def test_a_power_supply_with_another_serial_in_its_fru_is_told() -> None:
    fru = {"name": "PSU2 FRU", "board": {"serial": "PSU2SN0099"}}
    found = one_change({"bmc/fru/1": fru}, {"bmc/fru/1": {"name": "PSU2 FRU", "board": {"serial": "PSU2SN0100"}}})
    assert (found.group, found.path) == (Group.PARTS, "bmc/fru/1/board/serial")


def sensor(status: str, value: float | None = 30.0, **more: Any) -> dict[str, Any]:
    return {"bmc/sensors/32.0.1": {"name": "FAN1", "unit": "RPM", "status": status, "value": value, **more}}


def test_a_sensor_is_told_only_when_it_crossed_a_threshold() -> None:
    assert not diff.compare(checked(sensor("ok", 8400.0)), checked(sensor("ok", 7000.0))).differs
    found = one_change(sensor("ok", 8400.0), sensor("nr", 0.0, states=["lower critical"]))
    assert (found.group, found.what, found.weight) == (Group.SENSORS, "sensor FAN1", 3)
    assert (found.before, found.after) == (Value("8400 RPM (ok)"), Value("0 RPM (lower critical)"))


def test_a_sensor_without_a_reading_any_more_is_told() -> None:
    assert "no reading any more" in one_change(sensor("ok"), sensor("unavailable", None)).note


def test_a_discrete_state_that_came_is_told() -> None:
    before, after = (
        sensor("discrete", None, states=["presence detected"]),
        sensor("discrete", None, states=["failure detected"]),
    )
    assert one_change(before, after).after == Value("failure detected")


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ({f"{GPU0}/temperature_thresholds/slowdown_c": 90, f"{GPU0}/temperature_c": 60}, 93, "temperature_c"),
        ({f"{GPU0}/temperature_margin_c": 20, f"{GPU0}/temperature_c": 60}, -1, "temperature_margin_c"),
    ],
)
def test_a_gpu_that_reached_its_slowdown_temperature_is_told(before: dict[str, Any], after: int, what: str) -> None:
    base = gpu("name", "H100") | before
    found = one_change(base, base | {f"{GPU0}/{what}": after})
    assert (found.group, found.after) == (Group.SENSORS, Value("at its slowdown threshold"))


def test_a_file_system_that_filled_up_is_told() -> None:
    path = "storage/file_systems/-/used_percent"
    assert not diff.compare(checked({path: 20.0}), checked({path: 60.0})).differs
    assert one_change({path: 60.0}, {path: 93.5}).group is Group.SENSORS


def record(number: int, raw: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "raw": raw, "sensor": "PSU2", "text": "failure detected", "asserted": True, **more}


def test_new_records_of_the_event_log_are_told_by_id_and_raw_bytes() -> None:
    path = "bmc/sel/records"
    old = [record(1, "01 00"), record(2, "02 00")]
    found = one_change({path: old}, {path: [*old, record(3, "03 00")]})
    assert (found.group, found.kind, found.what) == (Group.SEL, Kind.NEW, "record 0003: PSU2: failure detected")
    assert "raw 03 00" in str(found.after)


def test_a_cleared_event_log_is_told_though_its_ids_start_again() -> None:
    before = {"bmc/sel/records": [record(1, "01 00")], "bmc/sel/last_erased": "2026-11-01T00:00:00+00:00"}
    after = {"bmc/sel/records": [record(1, "01 ff")], "bmc/sel/last_erased": "2026-11-20T00:00:00+00:00"}
    found = changes(checked(before), checked(after), Group.SEL)
    assert [one.kind for one in found] == [Kind.CHANGED, Kind.NEW, Kind.GONE]
    assert found[0].note == "it was cleared: 1 records of the earlier one are gone"


def test_new_kernel_events_are_told_and_copies_in_two_logs_count_once() -> None:
    old = said("xid", 1, "0000:3b:00.0")
    new = replace(said("xid", 2, "0000:3b:00.0"), code=63)
    before = judge(Box({"kernel": kernel(old)}, NOW))
    both = kernel(old, new)
    both["log"] |= kernel(new, member="kernel/kern.log")["log"]
    found = changes(before, judge(Box({"kernel": both}, NOW)), Group.EVENTS)
    assert [(one.kind, one.path, one.after) for one in found] == [(Kind.NEW, "events/xid.63.0000:3b:00.0", Value(1))]


def test_an_event_counts_as_often_as_the_log_that_tells_it_most() -> None:
    many = replace(said("xid", 1, "0000:3b:00.0"), count=5)
    both = kernel(many)
    both["log"] |= kernel(said("xid", 2, "0000:3b:00.0"), member="kernel/kern.log")["log"]
    found = changes(judge(Box({}, NOW)), judge(Box({"kernel": both}, NOW)), Group.EVENTS)
    assert [one.after for one in found] == [Value(5)]


def finding(rule: str = "xid.79", severity: Severity = Severity.CRITICAL, part: str = "gpu:0000:3b:00.0") -> Finding:
    return Finding(rule, severity, Verdict.INSPECT, part, "it is broken", (), "", "")


def test_findings_that_came_went_or_got_worse_are_told() -> None:
    before = checked({}, finding("a.gone"), finding("a.worse", Severity.WARNING))
    after = checked({}, finding("a.new"), finding("a.worse"))
    found = {one.path.partition("@")[0]: one for one in changes(before, after, Group.FINDINGS)}
    assert {path: one.kind for path, one in found.items()} == {
        "findings/a.gone": Kind.GONE,
        "findings/a.new": Kind.NEW,
        "findings/a.worse": Kind.CHANGED,
    }
    assert found["findings/a.worse"].before == Value("warning: drain and inspect")


def test_a_finding_that_could_not_be_judged_again_is_not_gone() -> None:
    gap = NotEvaluated("a.b", "gpu:0000:3b:00.0", Gap.ERROR, "x", "x was not readable: GPU is lost")
    found = diff.compare(checked({}, finding("a.b")), checked({}, gaps=(gap,))).changes
    assert [(one.group, one.after) for one in found] == [
        (Group.UNKNOWN, Value("not evaluated: x was not readable: GPU is lost"))
    ]


def test_two_boxes_are_told_first() -> None:
    before = checked({"system/dmi/product_serial": "ABC1234"}, host="gpu01")
    after = checked({"system/dmi/product_serial": "XYZ9876"}, host="gpu02")
    found = diff.compare(before, after)
    assert found.another == "product serial ABC1234 and XYZ9876"
    assert [one.path for one in found.changes] == ["host", "system/dmi/product_serial"]


def test_the_same_box_under_another_name_is_one_box() -> None:
    before = checked({"system/dmi/product_serial": "ABC1234"}, host="gpu01")
    found = diff.compare(before, replace(before, host="gpu02"))
    assert found.another == ""
    assert [one.path for one in found.changes] == ["host"]


def test_serials_that_no_maker_filled_in_prove_no_other_box() -> None:
    before = checked({"system/dmi/product_serial": "Default string"})
    assert diff.compare(before, checked({"system/dmi/product_serial": "0123456789"})).another == ""


def test_pseudonyms_on_one_side_do_not_make_a_replaced_card_or_another_box() -> None:
    plain = judge(Box(cards(b3b="A"), NOW), host="gpu01")
    facts = copy.deepcopy(cards(b3b="A"))
    facts["gpu"]["devices"]["0"]["serial"] = {"value": "serial-x7k2"}
    other = judge(Box(facts, NOW), host="host-q3", header={"options": {"pseudonymized": True}})
    found = diff.compare(plain, other)
    assert [(one.group, one.path) for one in found.changes] == [(Group.UNKNOWN, "redaction")]
    assert found.another == ""


def test_a_restart_in_between_is_a_note_and_no_difference() -> None:
    before = checked({"system/booted_at": "2026-11-01T00:00:00+00:00"})
    found = diff.compare(before, checked({"system/booted_at": "2026-11-20T00:00:00+00:00"}))
    assert not found.differs
    assert "started anew" in found.notes[0]


def test_changes_stand_in_the_order_of_their_importance() -> None:
    before = gpu("vbios", "1") | {f"{GPU0}/remapped_rows/failure": False, f"{GPU0}/power_limit_w": 700}
    after = gpu("vbios", "2") | {f"{GPU0}/remapped_rows/failure": True, f"{GPU0}/power_limit_w": 500}
    found = diff.compare(checked(before), checked(after, finding())).changes
    assert [one.group for one in found] == [Group.FINDINGS, Group.HEALTH, Group.FIRMWARE, Group.SETTINGS]


def test_a_flood_of_changes_is_bounded_and_counted() -> None:
    before = {f"kernel/settings/vm/s{number}": 1 for number in range(500)}
    found = diff.compare(checked(before), checked(dict.fromkeys(before, 2)))
    assert len(found.changes) == diff.MOST
    assert found.left_out == {"settings": 300}


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**300), 10**5000),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(
        st.sampled_from(["id", "raw", "status", "states", "name", "serial", "TOTAL", "asserted"]),
        st.text(max_size=3) | st.floats() | st.none() | st.lists(st.floats(), max_size=2),
        max_size=3,
    ),
)
READINGS = st.one_of(
    LEAVES.map(lambda one: encode(Value(one))),
    st.just(encode(ReadError("NVMLError_GpuIsLost", "GPU is lost", 15))),
    st.just(encode(NotCollected("no time left"))),
    LEAVES,
)
PLACES = st.sampled_from(
    [
        "gpu/system/driver_version", "gpu/system/nvml", f"{GPU0}/pci_bus_id", f"{GPU0}/uuid", f"{GPU0}/serial",
        f"{GPU0}/vbios", f"{GPU0}/pcie/replays", f"{GPU0}/temperature_c", f"{GPU0}/temperature_margin_c", GPU0,
        "gpu/devices/1/serial", "gpu/devices", "bmc/sensors/1.0.1", "bmc/sensors", "bmc/sel/records", "bmc/fru/0",
        "bmc/sel/last_erased", "storage/disks/sda/serial", "storage/disks/sdb/serial", "storage/disks", "system",
        "network/infiniband/m/ports/1/counters", "pci/devices/0000:17:00.0/kind", "pci/devices/0000:17:00.0/aer_fatal", "system/dmi/product_serial",
        "system/dmi/memory/A1/populated", "kernel/log/dmesg.txt", "memory/baseline", "storage/file_systems/-/used_percent",
        "system/sensors/a/b/temperature_c", "system/packages",
    ]
)  # fmt: skip


@st.composite
def facts(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, leaf in draw(st.lists(st.tuples(PLACES, READINGS), max_size=14)):
        *steps, last = path.split("/")
        node: Any = found
        for step in steps:
            inner = node.get(step)
            if not isinstance(inner, dict):
                inner = node[step] = {}
            node = inner
        node[last] = copy.deepcopy(leaf)  # hypothesis hands out the same object twice, and JSON has no circles
    return found


def listed(found: diff.Diff) -> Counter[Any]:
    return Counter(
        (one.group, frozenset((one.path, one.path_before)), frozenset(map(diff_change.words, (one.before, one.after))))
        for one in found.changes
    )


@settings(max_examples=150, deadline=None)
@given(facts(), facts())
def test_no_facts_make_it_raise_and_both_directions_list_the_same(old: dict[str, Any], new: dict[str, Any]) -> None:
    before, after = judge(Box(old, NOW)), judge(Box(new, NOW + timedelta(days=1)))
    forth, back = diff.compare(before, after), diff.compare(after, before)
    assert listed(forth) == listed(back)
    assert diff.as_json(forth)


@settings(max_examples=100, deadline=None)
@given(facts() | checks().map(lambda one: one.facts))
def test_any_facts_equal_themselves(any_facts: Any) -> None:
    again = copy.deepcopy(any_facts)
    found = diff.compare(judge(Box(any_facts, NOW)), judge(Box(again, NOW)))
    assert found.changes == ()


@settings(max_examples=60, deadline=None)
@given(checks(), checks())
def test_any_findings_and_names_survive(before: Checked, after: Checked) -> None:
    assert diff.compare(before, before).changes == ()
    assert listed(diff.compare(before, after)) == listed(diff.compare(after, before))


def test_nan_equals_nan_and_true_is_not_one() -> None:
    assert diff_change.same({"a": [float("nan")]}, {"a": [float("nan")]})
    assert not diff_change.same(True, 1)
    assert not diff_change.same([1], [1, 2])
