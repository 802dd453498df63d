"""The timeline: one order over all clocks, repeats folded, copies told once, the first cause marked, nothing invented."""

from __future__ import annotations

import doctest
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.findings import Box, Evidence, Finding, Judgement, Severity, Verdict
from bilbs_cli.diag.kernel_log import bursts
from bilbs_cli.diag.kernel_log.events import KINDS, Event, Log, Sighting
from bilbs_cli.diag.model import Value
from bilbs_cli.diag.timeline import MOST, Moment, build, unplaced
from tests.diag.judged import KERN, PCI, XID, box, dead_gpu_box, dead_gpu_findings, event
from tests.diag.remembered import NOW, tree
from tests.diag.test_baseline import JSON

NOTHING = Judgement()


def lines(one: Box, judgement: Judgement = NOTHING) -> list[str]:
    """Return the timeline a line each, without the check itself."""
    return [shown(each) for each in build(one, judgement) if each.source != "check"]


def shown(one: Moment) -> str:
    last = f"-{one.last_at:%H:%M:%S}" if one.last_at else ""
    marks = "".join(mark for mark, on in (("?", one.guessed), ("~", one.corrected), ("*", one.first_cause)) if on)
    return f"{one.at:%H:%M:%S}{last}{marks} {one.source} {one.text} x{one.count} {one.member}:{one.line}"


def test_the_samples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(bursts).attempted
    assert not doctest.testmod(bursts).failed


def test_a_dead_gpu_is_told_from_boot_to_check_with_its_first_cause() -> None:
    told = build(dead_gpu_box(), Judgement(dead_gpu_findings()))
    assert [shown(one) for one in told] == [
        "22:00:00 boot the running system was started x1 facts.json:None",
        f"03:12:01* kernel {XID} x1 {KERN}:2",
        f"03:12:02-03:12:09 kernel NVRM: Xid 45 x30 {KERN}:3",
        "04:00:00 check the state that was checked was read x1 :None",
    ]
    assert [(one.rule, one.part, one.severity) for one in told[1:3]] == [
        ("xid.79", f"gpu:{PCI}", Severity.CRITICAL),
        ("xid.45", f"gpu:{PCI}", Severity.INFO),
    ]


def test_repeats_close_together_are_one_burst_and_a_quiet_time_opens_another() -> None:
    one = box({}, kern=(event("oom", "01:00:00", "01:00:30", "01:09:00", "02:00:00", line=5),))
    assert lines(one) == [
        f"01:00:00-01:09:00 kernel oom x3 {KERN}:5",
        f"02:00:00 kernel oom x1 {KERN}:8",
    ]


def test_repeats_whose_lines_were_not_kept_are_counted_where_they_can_have_been() -> None:
    first = ("01:00:00", "01:00:01", "01:00:02", "01:00:03")
    one = box({}, kern=(event("oom", *first, "03:00:00", "03:00:10", "03:00:20", count=1003),))
    assert lines(one) == [
        f"01:00:00-01:00:03 kernel oom x4 {KERN}:1",
        f"03:00:00-03:00:20 kernel oom x999 {KERN}:5",
    ]


@given(st.lists(st.integers(0, 40_000), max_size=40).map(sorted))
def test_bursts_are_those_of_a_plain_walk_over_the_times(seconds: list[int]) -> None:
    expected: list[list[int]] = []
    for one in seconds:  # the oracle: the same in the plainest words
        if expected and one - expected[-1][-1] <= 600:
            expected[-1].append(one)
        else:
            expected.append([one])
    began = datetime(2026, 11, 1, tzinfo=UTC)
    sightings = tuple(
        Sighting(number, (began + timedelta(seconds=one)).isoformat()) for number, one in enumerate(seconds, 1)
    )
    logs = [Log(KERN, 99, (Event("oom", None, "", "oom", len(seconds), sightings),))] if seconds else []
    told = bursts.told(logs, None)
    got = [(one[0].first_at, one[0].last_at, bursts.count(one)) for one in told]
    assert got == [
        (began + timedelta(seconds=run[0]), began + timedelta(seconds=run[-1]), len(run)) for run in expected
    ]


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=33).map(sorted), st.integers(0, 10**6))
def test_no_repeat_is_lost_or_counted_twice_over_the_bursts(seconds: list[int], more: int) -> None:
    sightings = tuple(Sighting(n, None, float(one) * 60, "this") for n, one in enumerate(seconds, 1))
    log = Log(KERN, 99, (Event("oom", None, "", "oom", len(seconds) + more, sightings),))
    told = bursts.told([log], datetime(2026, 1, 1, tzinfo=UTC))
    assert sum(map(bursts.count, told)) == len(seconds) + more


def test_the_same_event_in_four_logs_is_one_moment() -> None:
    xid: dict[str, Any] = {"code": 79, "pci": PCI, "text": XID}
    one = box(
        tree({"system/booted_at": "2026-11-20T22:00:00+00:00"}),
        dmesg=(event("xid", "+18721.5", line=40, **xid),),
        journal=(event("xid", "03:12:02", line=41, **xid),),
        kern=(event("xid", "03:12:01", line=2, **xid),),
        syslog=(event("xid", "03:12:01", line=7, **xid),),
    )
    assert lines(one)[1:] == [f"03:12:02 kernel {XID} x1 kernel/journal-this-boot.jsonl:41"]


def test_the_copy_that_the_finding_cites_is_the_one_that_is_cited() -> None:
    xid: dict[str, Any] = {"code": 79, "pci": PCI, "text": XID}
    one = box(
        {},
        journal=(event("xid", "03:12:01", line=41, **xid),),
        kern=(event("xid", "03:12:01", line=2, **xid),),
    )
    told = build(one, Judgement(dead_gpu_findings()))
    assert [(each.member, each.line, each.rule) for each in told[:-1]] == [(KERN, 2, "xid.79")]


def test_a_ring_buffer_that_lost_the_beginning_is_still_a_copy() -> None:
    times = [f"03:12:{second:02d}" for second in range(20)]
    one = box(
        {},
        kern=(event("xid", *times, code=45, pci=PCI, text="first"),),
        syslog=(event("xid", *times[15:], code=45, pci=PCI, text="later"),),
    )
    assert lines(one) == [f"03:12:00-03:12:19 kernel first x20 {KERN}:1"]


def test_a_burst_that_goes_on_after_a_rotation_is_one_and_its_counts_add_up() -> None:
    one = box({}, kern1=(event("oom", "03:12:00", "03:12:05"),), kern=(event("oom", "03:12:06", "03:12:10"),))
    assert lines(one) == [f"03:12:00-03:12:10 kernel oom x4 {KERN}.1:1"]


def test_a_journal_that_was_cut_takes_the_beginning_from_another_log() -> None:
    times = [f"03:12:{second:02d}" for second in range(20)]
    one = box({}, kern=(event("oom", *times),), journal=(event("oom", *times[9:]),))
    assert lines(one) == ["03:12:00-03:12:19 kernel oom x20 kernel/journal-this-boot.jsonl:1"]


def test_one_stamp_of_one_boot_is_one_event_though_a_log_was_read_in_the_wrong_zone() -> None:
    def stamped(at: str, mono_s: float, boot: str = "") -> Event:
        return Event("xid", 79, PCI, XID, 1, (Sighting(2, f"2026-11-21T{at}+00:00", mono_s, boot),))

    same = box({}, kern=(stamped("02:12:01", 18721.5, "boot-1"),), journal=(stamped("03:12:01", 18721.5, "a" * 32),))
    assert len(lines(same)) == 1
    assert lines(same)[0].startswith("03:12:01 ")
    other = box({}, old=(stamped("02:12:01", 18721.5, "b" * 32),), journal=(stamped("03:12:01", 18721.5, "a" * 32),))
    assert len(lines(other)) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (event("xid", "03:12:01", code=79, pci=PCI), event("xid", "03:12:01", code=79, pci="0000:5e:00.0")),
        (event("xid", "03:12:01", code=79, pci=PCI), event("xid", "03:12:01", code=45, pci=PCI)),
        (event("xid", "03:12:01", code=79, pci=PCI), event("xid", "03:12:04", code=79, pci=PCI)),
        (
            event("hung_task", "03:12:01", detail={"task": "python"}),
            event("hung_task", "03:12:01", detail={"task": "bash"}),
        ),
    ],
)
def test_what_differs_in_code_address_task_or_time_is_another_event(first: Event, second: Event) -> None:
    assert len(lines(box({}, kern=(first,), syslog=(second,)))) == 2


def test_two_events_of_one_log_stay_two_whatever_they_share() -> None:
    one = box(
        {},
        kern=(
            event("xid", "03:12:01", code=13, pci=PCI, text="GPC 0"),
            event("xid", "03:12:01", code=13, pci=PCI, text="GPC 1"),
        ),
    )
    assert len(lines(one)) == 2


def test_an_event_without_a_wall_time_is_placed_by_its_boot_or_counted() -> None:
    timeless = {"dmesg": (event("oom", "+60"), event("oops", "", line=9))}
    placed = box(tree({"system/booted_at": "2026-11-21T01:00:00+00:00"}), **timeless)
    assert lines(placed) == [
        "01:00:00 boot the running system was started x1 facts.json:None",
        "01:01:00? kernel oom x1 kernel/dmesg.txt:1",
    ]
    assert unplaced(placed) == 1
    assert lines(box({}, **timeless)) == []
    assert unplaced(box({}, **timeless)) == 2


def test_a_boot_time_that_leads_out_of_the_calendar_places_nothing() -> None:
    one = box(tree({"system/booted_at": "9999-12-31T00:00:00+00:00"}), dmesg=(event("oom", "+999999999"),))
    assert unplaced(one) == 1


def test_every_boot_is_told_and_the_running_one_only_once() -> None:
    one = box(
        tree({"system/booted_at": "2026-11-21T03:00:00+00:00"}),
        kern=(event("boot", "02:50:00", "02:55:00", "03:00:20", text="Linux version 6.8"),),
        dmesg=(event("boot", "+0", text="Linux version 6.8"),),
    )
    assert lines(one) == [
        f"02:50:00 boot Linux version 6.8 x1 {KERN}:1",
        f"02:55:00 boot Linux version 6.8 x1 {KERN}:2",
        f"03:00:20 boot Linux version 6.8 x1 {KERN}:3",
    ]


def record(
    number: int, host: str | None, bmc: str | None, text: str = "failure detected", **more: Any
) -> dict[str, Any]:
    at = {
        name: f"2026-11-21T{clock}+00:00" if clock else None for name, clock in (("host_time", host), ("bmc_time", bmc))
    }
    named = {"record_type": 2, "sensor": "Power Supply PSU2", "sensor_key": "32.0.12", "event_type": 111, "offset": 1}
    return {"id": number, "asserted": True, "text": text} | at | named | more


def sel(*records: Any, **more: Any) -> Box:
    readings = {f"bmc/sel/{name}": one for name, one in more.items()}
    return box(tree({"bmc/sel/records": list(records), "bmc/sensors/32.0.12": {"name": "PSU2"}} | readings))


def test_bmc_records_are_corrected_by_the_offset_or_marked_as_the_bmcs_own_time() -> None:
    one = sel(record(1, "02:00:00", "02:05:00"), record(2, None, "03:30:00", offset=3, asserted=False))
    assert lines(one) == [
        "02:00:00~ sel Power Supply PSU2: failure detected x1 ipmi/sel.txt:4",
        "03:30:00? sel Power Supply PSU2: failure detected (over) x1 ipmi/sel.txt:5",
    ]
    assert {each.part for each in build(one, NOTHING)} == {"bmc:sensor:PSU2", ""}


def test_bmc_records_without_a_time_are_counted_and_never_given_one() -> None:
    one = sel(record(1, None, None, pre_init=True, timestamp=26), record(2, None, None, record_type=0xE2, sensor=""))
    assert lines(one) == []
    assert unplaced(one) == 2


def test_a_sensor_that_flaps_is_one_moment_a_burst() -> None:
    flapping = [record(n, f"02:{n % 60:02d}:00", None, f"reading {n}", asserted=n % 2 == 0) for n in range(60)]
    assert lines(sel(*flapping)) == [
        "02:00:00-02:58:00~ sel Power Supply PSU2: reading 0 x30 ipmi/sel.txt:4",
        "02:01:00-02:59:00~ sel Power Supply PSU2: reading 1 (over) x30 ipmi/sel.txt:5",
    ]


def test_the_line_of_a_record_counts_what_is_only_in_the_member() -> None:
    (only,) = build(sel(record(3001, "02:00:00", None), read=3001), NOTHING)[:1]
    assert only.line == 3 + 3001
    (cut,) = build(sel(record(1, "02:00:00", None), read=1, rest="out of time"), NOTHING)[:1]
    assert cut.line == 5


def finding(rule: str, proof: Evidence, severity: Severity = Severity.CRITICAL, caused_by: str = "") -> Finding:
    return Finding(rule, severity, Verdict.INSPECT, "host", "m", (proof,), "n", "s", caused_by=caused_by)


def test_the_first_cause_is_the_earliest_event_of_a_critical_root_whatever_its_source() -> None:
    one = Box({**sel(record(1, "02:00:00", "02:05:00")).facts, "kernel": dead_gpu_box().facts["kernel"]}, NOW)
    psu = finding("bmc.psu", Evidence("ipmi/sel.txt", "x", 4))
    by_clock = finding("bmc.psu", Evidence("facts.json", "x", None, "bmc/sel/records", "2026-11-21T02:05:00+00:00"))
    for found in (psu, by_clock):
        told = build(one, Judgement((*dead_gpu_findings(), found)))
        assert [(each.source, each.rule) for each in told if each.first_cause] == [("sel", "bmc.psu")]
    mild = replace(psu, severity=Severity.WARNING)
    followed = replace(psu, caused_by="xid.79@x")
    for found in (mild, followed):
        told = build(one, Judgement((*dead_gpu_findings(), found)))
        assert [each.rule for each in told if each.first_cause] == ["xid.79"]


def test_a_record_whose_sensor_still_shows_it_is_where_that_fault_began() -> None:
    one = Box({**sel(record(1, "02:00:00", "02:05:00")).facts, "kernel": dead_gpu_box().facts["kernel"]}, NOW)
    logged = finding("bmc.sel.fan", Evidence("ipmi/sel.txt", "x", 4), caused_by="bmc.fan.stopped@host")
    told = build(one, Judgement((*dead_gpu_findings(), logged)))
    assert [each.rule for each in told if each.first_cause] == ["bmc.sel.fan"]
    elsewhere = replace(logged, caused_by="bmc.psu@bmc:sensor:PSU2")
    told = build(one, Judgement((*dead_gpu_findings(), elsewhere)))
    assert [each.rule for each in told if each.first_cause] == ["xid.79"]


def test_a_warning_is_the_first_cause_only_where_nothing_is_critical() -> None:
    one = box({}, kern=(event("oom", "01:00:00", line=7), event("oops", "02:00:00", line=8)))
    warned = finding("host.oom", Evidence(KERN, "x", 7), Severity.WARNING)
    assert [each.text for each in build(one, Judgement((warned,))) if each.first_cause] == ["oom"]
    noted = replace(warned, severity=Severity.INFO)
    assert [each.text for each in build(one, Judgement((noted,))) if each.first_cause] == []


def test_a_failed_unit_is_placed_by_its_own_stamp_and_counted_without_one() -> None:
    failed = {"services/failed": ["fm.service", "x.service"], "services/units/fm.service/result": "exit-code"}
    stamped = {
        "system/booted_at": "2026-11-21T01:00:00+00:00",
        "services/units/fm.service/state_changed_us": 90_000_000,
    }
    one = box(tree(failed | stamped))
    assert lines(one)[1:] == ["01:01:30? service fm.service failed (exit-code) x1 services/units.txt:None"]
    assert unplaced(one) == 1
    far = {"system/booted_at": "9999-12-31T00:00:00+00:00", "services/units/fm.service/state_changed_us": 1 << 61}
    assert unplaced(box(tree(failed | far))) == 2


def test_the_list_is_bounded_keeps_the_newest_and_the_first_cause_and_says_what_is_left_out() -> None:
    many = tuple(
        Event(
            "hung_task", None, "", f"task {n}", 1, (Sighting(n + 10, (NOW - timedelta(seconds=9000 - n)).isoformat()),)
        )
        for n in range(3000)
    )
    one = box({}, kern=many)
    cause = finding("host.hung", Evidence(KERN, "x", 12))
    told = build(one, Judgement((cause,)))
    assert len(told) == MOST
    assert told[0].text == "2602 earlier entries are left out of this list"
    assert (told[0].count, told[0].at) == (2602, NOW - timedelta(seconds=9000))
    assert [each.text for each in told if each.first_cause] == ["task 2"]
    assert [each.text for each in told[2:-1]] == [f"task {n}" for n in range(2603, 3000)]
    assert list(told) == sorted(told, key=lambda each: each.at)


def test_ten_thousand_lines_of_one_event_are_one_line() -> None:
    one = box(
        {},
        kern=(
            event("xid", "03:12:01", "03:12:02", "03:12:03", "03:12:04", "03:20:00", count=10_000, code=45, pci=PCI),
        ),
    )
    assert lines(one) == [f"03:12:01-03:20:00 kernel xid x10000 {KERN}:1"]


STAMPS = st.sampled_from(
    ["2026-11-21T03:12:01+00:00", "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "soon", "2026-11-21"]
)
ROWS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "code": st.integers(-5, 200) | st.none(),
        "pci": st.sampled_from(["", PCI, "x"]),
        "text": st.text(max_size=9),
        "count": st.integers(-1, 10**20),
        "sightings": st.lists(
            st.tuples(
                st.integers(0, 9),
                STAMPS | st.none(),
                st.floats() | st.none() | st.integers(0, 10**13),
                st.sampled_from(["", "this", "previous", "boot-1", "a" * 32]),
            ).map(list),
            max_size=6,
        ),
        "detail": st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=2),
    }
)
LOGS = st.dictionaries(
    st.sampled_from(["dmesg.txt", "var/log/kern.log", "var/log/kern.log.1", "journal-this-boot.jsonl", "x"]),
    st.lists(ROWS, max_size=8).map(lambda rows: {"value": {"lines": 9, "left_out": 1, "events": rows}}),
    max_size=4,
)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "host_time": STAMPS | st.none(),
            "bmc_time": STAMPS | st.none(),
            "text": JSON,
            "sensor": JSON,
            "sensor_key": JSON,
        }
    )
    | JSON,
    max_size=6,
)


@given(LOGS, RECORDS | JSON, JSON, STAMPS | JSON)
def test_random_facts_are_survived_sorted_and_bounded(logs: Any, records: Any, units: Any, booted: Any) -> None:
    facts = tree(
        {"bmc/sel/records": Value(records), "system/booted_at": Value(booted), "services/failed": Value(units)}
    )
    one = Box({**facts, "kernel": {"log": logs}}, NOW)
    told = build(one, Judgement(dead_gpu_findings()))
    assert len(told) <= MOST
    assert list(told) == sorted(told, key=lambda each: each.at)
    assert sum(each.first_cause for each in told) <= 1
    assert all(each.count >= 1 and (each.last_at is None or each.last_at >= each.at) for each in told)
    assert unplaced(one) >= 0


def test_a_million_sightings_are_told_in_seconds() -> None:
    sightings = tuple(Sighting(n, "2026-11-21T03:12:01+00:00") for n in range(200_000))
    many = tuple(Event("xid", n % 3, PCI, f"{n}", 1, (sightings[n],)) for n in range(20_000))
    logs = [Log(member, 9, many) for member in (KERN, "kernel/var/log/syslog")]
    logs.append(Log("kernel/dmesg.txt", 9, (Event("oom", None, "", "oom", 10**9, sightings),)))
    told = bursts.told(logs, None)
    assert sum(map(bursts.count, told)) >= 10**9
