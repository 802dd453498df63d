"""Xids: NVIDIA's immediate action, the rows of the health document, repeats, copies, reboots, and what never escalates."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.findings import Box, Finding, Gap, Severity, Verdict, evaluate
from bilbs_cli.diag.rules import RULES, catalogue
from bilbs_cli.diag.rules.xid import XID_RULES
from tests.diag.rules.logged import NOW, judged, line, of, xid

# What stands in the health document, section 2.1, column "bilbs", and NVIDIA's immediate bucket: transcribed by hand.
# code -> severity, verdict
HEALTH: dict[int, tuple[str, str]] = {
    13: ("info", "restart_app"),
    31: ("info", "restart_app"),
    41: ("info", "restart_app"),
    43: ("info", "ignore"),
    45: ("info", "ignore"),
    46: ("critical", "reset_gpu"),
    48: ("critical", "drain_and_inspect"),
    54: ("critical", "drain_and_inspect"),
    61: ("warning", "drain_and_inspect"),
    62: ("critical", "reset_gpu"),
    63: ("warning", "ignore"),
    64: ("critical", "rma_candidate"),
    69: ("info", "restart_app"),
    74: ("critical", "drain_and_inspect"),
    79: ("critical", "reboot"),
    92: ("warning", "ignore"),
    93: ("warning", "ignore"),
    94: ("warning", "restart_app"),
    95: ("critical", "reset_gpu"),
    109: ("critical", "reset_gpu"),
    110: ("critical", "reset_gpu"),
    119: ("critical", "reset_gpu"),
    120: ("critical", "reset_gpu"),
    121: ("warning", "ignore"),
    136: ("warning", "reset_gpu"),
    140: ("critical", "reset_gpu"),
    143: ("critical", "reboot"),
    155: ("warning", "reset_gpu"),
    156: ("warning", "reset_gpu"),
    157: ("warning", "ignore"),
    158: ("critical", "reset_gpu"),
    164: ("warning", "drain_and_inspect"),
    165: ("warning", "drain_and_inspect"),
    167: ("warning", "drain_and_inspect"),
    168: ("warning", "drain_and_inspect"),
    173: ("warning", "drain_and_inspect"),
    175: ("warning", "drain_and_inspect"),
    176: ("warning", "drain_and_inspect"),
}
# NVIDIA's buckets by code (docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html), transcribed by hand, as ranges.
RESTART_APP = {8, 11, 13, 25, 31, 32, 39, 40, 41, 60, *range(68, 73), *range(75, 78), 80, *range(82, 87), 88, 89, 94, *range(96, 106), *range(126, 136), 139}  # fmt: skip
IGNORE = {14, 37, 38, 43, 44, 63, 66, 67, 92, 93, 106, 107, 108, 121, 137, 141, 152, 153, 157, 160, 161}
RESET_GPU = {46, 62, 64, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158}
REBOOT = {79, 151}
DEVIATIONS = {45, 64, 143}


def bucket(code: int) -> Verdict:
    """Return the verdict of NVIDIA's immediate action, by the sets above."""
    for codes, verdict in (
        (RESTART_APP, Verdict.RESTART_APP),
        (IGNORE, Verdict.IGNORE),
        (RESET_GPU, Verdict.RESET_GPU),
        (REBOOT, Verdict.REBOOT),
    ):
        if code in codes:
            return verdict
    return Verdict.INSPECT


@pytest.mark.parametrize("code", HEALTH)
def test_every_row_of_the_health_document_holds(code: int) -> None:
    found = of(judged([xid(code)]), f"xid.{code}")
    assert (found.severity.value, found.verdict.value) == HEALTH[code]
    assert found.part == "gpu:0000:3b:00.0"


@pytest.mark.parametrize("code", range(1, 173))
def test_the_verdict_is_nvidias_immediate_action_or_says_why_not(code: int) -> None:
    entry = catalogue.load().xids[code]
    if code in DEVIATIONS or code in {162, 163}:  # the catalogue has no action for the last two: notices of a state
        assert entry.deviation or not entry.immediate
    else:
        assert not entry.deviation
        assert entry.verdict is bucket(code)
        if code != 154 and not 144 <= code <= 150:
            assert of(judged([xid(code)]), f"xid.{code}").verdict is bucket(code)


def test_deviations_are_listed_and_no_others() -> None:
    assert {one.code for one in catalogue.load().xids.values() if one.deviation} == DEVIATIONS


def test_an_unknown_code_is_shown_with_its_number_and_line() -> None:
    found = of(judged([xid(4711, "never heard of")]), "xid.4711")
    assert (found.severity, found.verdict) == (Severity.WARNING, Verdict.INSPECT)
    assert "unknown to catalogue" in found.message
    assert (found.evidence[0].member, found.evidence[0].line) == ("kernel/var/log/kern.log", 1)


def test_a_flood_of_45_raises_nothing_however_long() -> None:
    lines = [xid(45, f"pid={n}, name=x, Ch {n:08x}", at=f"03:{n // 60 % 60:02d}:{n % 60:02d}") for n in range(168_924)]
    found = judged(lines + [xid(31)] * 10)
    assert {(one.rule, one.severity, one.verdict) for one in found} == {
        ("xid.45", Severity.INFO, Verdict.IGNORE),
        ("xid.31", Severity.INFO, Verdict.RESTART_APP),
    }
    assert of(found, "xid.45").count == 168_924
    assert of(found, "xid.45").caused_by == "xid.31@gpu:0000:3b:00.0"


def test_copies_in_four_logs_are_one_event_and_rotated_logs_add_up() -> None:
    one = [xid(94), xid(94, at="03:13:00")]
    found = judged(
        {
            "kernel/var/log/kern.log": one,
            "kernel/var/log/kern.log.1": [xid(94, day=19)],
            "kernel/var/log/syslog": one,
            "kernel/var/log/messages": one[:1],
        }
    )
    assert of(found, "xid.94").count == 3


@given(
    st.dictionaries(
        st.sampled_from(["kern.log", "kern.log.1", "syslog", "syslog.1", "messages"]), st.integers(1, 5), min_size=1
    )
)
def test_the_count_is_the_largest_of_the_families(numbers: dict[str, int]) -> None:
    logs = {f"kernel/var/log/{name}": [xid(94)] * count for name, count in numbers.items()}
    totals = Counter[str]()
    for name, count in numbers.items():
        totals[name.removesuffix(".1")] += count
    assert of(judged(logs), "xid.94").count == max(totals.values())


def test_each_gpu_has_its_own_finding() -> None:
    found = judged([xid(79), xid(79, pci="0009:01:00"), xid(79, pci="0000:3b:00", at="03:20:00")])
    assert sorted((one.part, one.count) for one in found if one.rule == "xid.79") == [
        ("gpu:0000:3b:00.0", 2),
        ("gpu:0009:01:00.0", 1),
    ]


BOOT = line("Linux version 6.1.0-28-amd64 #1 SMP")


@pytest.mark.parametrize("code", [62, 79, 143])
def test_what_comes_again_after_a_reboot_is_an_rma_candidate_that_says_what_is_missing(code: int) -> None:
    once = of(judged([BOOT, xid(code), xid(code, at="03:14:00")]), f"xid.{code}")
    assert once.verdict is not Verdict.RMA
    assert once.have == (f"Xid {code} in a log",)
    assert "again after a reboot" in once.missing[0]
    again = of(judged([BOOT, xid(code, day=20), BOOT, xid(code)]), f"xid.{code}")
    assert again.verdict is Verdict.RMA
    assert any("field diagnostic" in one for one in again.missing)
    assert again.have


def test_what_survived_two_reboots_has_to_be_inspected() -> None:
    lines = [BOOT, xid(95, day=18), BOOT, xid(95, day=19)]
    assert of(judged(lines), "xid.95").verdict is Verdict.RESET_GPU
    assert of(judged([*lines, BOOT, xid(95)]), "xid.95").verdict is Verdict.INSPECT


def test_the_memory_of_the_box_knows_earlier_boots() -> None:
    fault = {"rule": "xid.79", "pci": "0000:3b:00.0", "serial": "1", "slot": ""}
    history = {
        "faults": [
            fault | {"at": "2026-11-10T00:00:00+00:00", "boot": "a"},
            fault | {"at": "2026-11-15T00:00:00+00:00", "boot": "b"},
        ],
        "samples": [],
        "boots": ["a", "b"],
    }
    memory = {"memory": {"history": {"value": history}}}
    assert of(judged([xid(79)], memory), "xid.79").verdict is Verdict.RMA
    assert of(judged([xid(79, pci="0000:9b:00")], memory), "xid.79").verdict is Verdict.REBOOT


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ([xid(13, "Graphics Exception on (GPC 1, TPC 2, SM 0): x")] * 2, Verdict.INSPECT),
        ([xid(13, "Graphics Exception on (GPC 1, TPC 2, SM 0): x")], Verdict.RESTART_APP),
        (
            [xid(13, "Graphics Exception on (GPC 1, TPC 2, SM 0): x"), xid(13, "Exception on (GPC 1, TPC 3, SM 0): x")],
            Verdict.RESTART_APP,
        ),
        (
            [xid(13, "Exception on (GPC 1, TPC 2, SM 0): x", day=10), xid(13, "Exception on (GPC 1, TPC 2, SM 0): x")],
            Verdict.RESTART_APP,
        ),
    ],
)
def test_13_on_one_unit_twice_in_a_day_asks_for_the_field_diagnostic(lines: list[str], verdict: Verdict) -> None:
    assert of(judged(lines), "xid.13").verdict is verdict


def test_31_on_several_gpus_within_a_minute_is_a_bug_of_the_application() -> None:
    near = judged([xid(31), xid(31, pci="0000:9b:00", at="03:12:40")])
    far = judged([xid(31), xid(31, pci="0000:9b:00", at="03:30:40")])
    assert all("2 GPUs within a minute" in one.message for one in near)
    assert not any("within a minute" in one.message for one in far)


def test_gsp_errors_on_one_gpu_alone_are_not_the_driver_alone() -> None:
    often = [xid(119), xid(120, at="03:14:00"), xid(119, at="03:16:00")]
    assert of(judged(often), "xid.119").verdict is Verdict.INSPECT
    assert of(judged([*often, xid(119, pci="0000:9b:00")]), "xid.120").verdict is Verdict.RESET_GPU
    assert of(judged(often[:2]), "xid.119").verdict is Verdict.RESET_GPU


@pytest.mark.parametrize(
    ("rest", "severity", "verdict"),
    [
        ("NETIR_LINK_EVT  Fatal   XC0 i0 Link 12 (0x000005c6 0x00000000)", "critical", "reset_gpu"),
        ("NETIR_LINK_EVT  Fatal   XC0 i0 Link 12 (0x026005c6 0x00000000)", "critical", "ignore"),
        ("NETIR_BER_EVENT Nonfatal XC0 i0 Link 12 (0x00000626 0x00000002)", "info", "ignore"),
        ("NETIR_LINK_EVT  Nonfatal XC0 i0 Link 12 (0x000005c6 0x00000000)", "warning", "reset_gpu"),
        ("NETIR_LINK_EVT/NETIR_LINK_DOWN  Fatal   XC0 i0 Link 12 (0x000005c6 0x00000000)", "critical", "reset_gpu"),
        ("NEVER_HEARD_OF  Fatal   XC0 i0 Link 12 (0x000005c6 0x00000000)", "critical", "drain_and_inspect"),
        ("example", "warning", "drain_and_inspect"),
    ],
)
def test_nvlink_5_errors_go_by_unit_subcode_status_and_the_lines_own_word(
    rest: str, severity: str, verdict: str
) -> None:
    found = of(judged([xid(149, rest)]), "xid.149")
    assert (found.severity.value, found.verdict.value) == (severity, verdict)


def test_benign_logs_never_make_an_rma_candidate() -> None:
    lines = [xid(code, at=f"0{n % 4}:1{n % 6}:01") for n in range(50) for code in (13, 31, 43, 45, 63, 69, 92, 94)]
    assert not [one for one in judged([BOOT, *lines, BOOT, *lines]) if one.verdict is Verdict.RMA]


@pytest.mark.parametrize("log", [{"lines": 3, "events": [], "left_out": 0}, {"lines": 0, "events": []}])
def test_a_log_without_events_was_looked_at(log: dict[str, Any]) -> None:
    run = evaluate(XID_RULES, Box({"kernel": {"log": {"x": {"value": log}}}}, NOW))
    assert (run.findings, run.not_evaluated, run.evaluated) == ((), (), len(XID_RULES))


def test_no_log_at_all_is_no_pass() -> None:
    run = evaluate(XID_RULES, Box({}, NOW))
    assert run.evaluated == 0
    assert {gap.kind for gap in run.not_evaluated} == {Gap.NOT_COLLECTED}
    assert len(run.not_evaluated) == len(XID_RULES)


HOSTILE = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["xid", "sxid", "off_bus", "nonsense", 5]),
        "code": st.none() | st.integers() | st.text(max_size=3) | st.floats() | st.booleans(),
        "pci": st.none() | st.text(max_size=30) | st.integers(),
        "text": st.text(max_size=20) | st.none(),
        "count": st.integers() | st.none() | st.text(max_size=2),
        "sightings": st.lists(st.lists(st.none() | st.integers() | st.text(max_size=30), min_size=3, max_size=5), max_size=3),
        "detail": st.dictionaries(st.sampled_from(["gpc", "tpc", "unit", "status", "subcode", "fatal", "action", "caused_by"]), st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=1), max_size=4) | st.none(),
    }
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(HOSTILE, max_size=6))
def test_hostile_events_break_nothing(rows: list[Any]) -> None:
    from bilbs_cli.diag.causes import relate

    whole = Box({"kernel": {"log": {"x": {"value": {"lines": 1, "events": rows}}}}}, NOW)
    run = relate(evaluate(RULES, whole), whole)
    assert [gap for gap in run.not_evaluated if gap.kind is Gap.BROKEN] == []
    assert all(isinstance(one, Finding) and one.part for one in run.findings)
