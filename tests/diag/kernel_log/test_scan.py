"""A log that comes in pieces: the same events however it is cut, exact counts, flat bounds, hostile bytes survived."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.kernel_log import events
from bilbs_cli.diag.kernel_log.events import Log
from bilbs_cli.diag.kernel_log.members import family, is_log
from bilbs_cli.diag.kernel_log.prefix import split
from bilbs_cli.diag.kernel_log.scan import CACHED, DISTINCT, FIRST, LONGEST, MESSAGE, SPREAD, Clock, Scanner, clock_of
from bilbs_cli.diag.kernel_log.wall_time import AHEAD
from tests.diag.kernel_log.test_messages import CLOCK, ROWS

KERN = "kernel/var/log/kern.log"
XID = "Nov 21 03:{m:02d}:{s:02d} gpu01 kernel: [{n}.000001] NVRM: Xid (PCI:0000:{bus:02x}:00): {code}, pid={n}, name=x, Ch {n:08x}\n"


def scan(pieces: list[bytes], member: str = KERN, clock: Clock = CLOCK) -> Log:
    scanner = Scanner(member, clock)
    for piece in pieces:
        scanner.feed(piece)
    return scanner.finish()


LINES = st.lists(
    st.sampled_from([row[4] for row in ROWS])
    | st.text(max_size=30)
    | st.just("x" * (LONGEST + 5) + " NVRM: Xid (PCI:0:1"),
    max_size=8,
).map(lambda lines: "\n".join(lines).encode())


@settings(max_examples=300, deadline=None)
@given(LINES, st.lists(st.integers(0, 200_000), max_size=6))
@example(b"y" * (LONGEST - 4) + b"NVRM: Xid (PCI:0000:3b:00): 79, x\n", [LONGEST - 1, LONGEST + 2])
def test_the_cuts_make_no_difference(data: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[a:b] for a, b in pairwise(places)]
    assert scan(pieces) == scan([data])


@given(st.lists(st.sampled_from([13, 31, 45, 79, 94]), max_size=300), st.integers(1, 3))
def test_repeats_are_folded_and_every_one_is_counted(codes: list[int], cards: int) -> None:
    lines = [XID.format(m=n // 60 % 60, s=n % 60, n=n, bus=n % cards, code=code) for n, code in enumerate(codes)]
    log = scan(["".join(lines).encode()])
    wanted = Counter((code, f"0000:{n % cards:02x}:00.0") for n, code in enumerate(codes))
    assert {(one.code, one.pci): one.count for one in log.events} == wanted
    assert log.lines == len(codes)
    for one in log.events:
        own = [n + 1 for n, code in enumerate(codes) if (code, f"0000:{n % cards:02x}:00.0") == (one.code, one.pci)]
        seen = [sight.line for sight in one.sightings]
        assert seen[:FIRST] == own[:FIRST]
        assert seen[-1] == own[-1]
        assert set(seen) <= set(own)
        assert len(seen) <= FIRST + SPREAD + 1
        assert seen == sorted(set(seen))


def test_sightings_of_a_long_flood_are_spread_over_it() -> None:
    log = scan(["".join(XID.format(m=0, s=0, n=n, bus=1, code=45) for n in range(20000)).encode()])
    (event,) = log.events
    assert event.count == 20000
    gaps = [b.line - a.line for a, b in pairwise(event.sightings[FIRST - 1 :])]
    assert max(gaps) < 20000 / 8


def test_many_different_events_are_bounded_and_the_rest_is_counted() -> None:
    lines = "".join(f"NVRM: Xid (PCI:0000:01:00): {n}, x\n" for n in range(DISTINCT + 500))
    log = scan([lines.encode()])
    assert (len(log.events), log.left_out) == (DISTINCT, 500)
    assert len(events.encode(log)["events"]) == DISTINCT


def test_a_message_is_looked_at_as_far_as_a_kernel_can_write_one() -> None:
    xid = " NVRM: Xid (PCI:0000:01:00): 79, x\n"
    assert [one.code for one in scan([("x" * (MESSAGE - len(xid)) + xid).encode()]).events] == [79]
    assert scan([("x" * MESSAGE + xid).encode()]).events == ()


def test_memory_stays_flat_whatever_the_messages() -> None:
    scanner = Scanner(KERN, CLOCK)
    scanner.feed("".join(f"INFO: task t{n}:1 blocked for more than {n} seconds.\n" for n in range(CACHED * 3)).encode())
    assert len(scanner._cache) <= CACHED
    scanner.feed(b"NVRM: Xid " * (LONGEST // 2))
    assert len(scanner._rest) <= LONGEST
    assert sys.getsizeof(scanner._folder._found) < 1 << 20


def test_a_boot_in_the_log_starts_a_new_one_and_a_journal_names_its_own() -> None:
    text = "[1.0] NVRM: Xid (PCI:0000:01:00): 79, x\nLinux version 6.1\n[1.0] NVRM: Xid (PCI:0000:01:00): 79, x\nLinux version 6.1\n[2.0] NVRM: Xid (PCI:0000:01:00): 79, x\n"
    xid = next(one for one in scan([text.encode()]).events if one.kind == "xid")
    assert [sight.boot for sight in xid.sightings] == ["", "boot-1", "boot-2"]
    (early,) = scan([b"[1.0] NVRM: Xid (PCI:0000:01:00): 79, x\n"], "kernel/journal-previous-boot.jsonl").events
    assert early.first.boot == "previous"


def test_a_time_since_boot_that_goes_back_is_another_boot() -> None:
    xid = "Nov 21 03:12:01 gpu01 kernel: [{}] NVRM: Xid (PCI:0000:01:00): 79, x\n"
    (event,) = scan(["".join(map(xid.format, ("900.5", "899.9", "30.0", "31.0", "2.0"))).encode()]).events
    assert [sight.boot for sight in event.sightings] == ["", "", "boot-1", "boot-1", "boot-2"]
    (event,) = scan(["".join(map(xid.format, ("900.5", "2.0"))).encode()], "kernel/dmesg.txt").events
    assert [sight.boot for sight in event.sightings] == ["this", "this"]


def test_an_xid_with_another_cause_is_another_event_however_often_it_came_without() -> None:
    plain = "Nov 21 03:12:01 gpu01 kernel: [1.5] NVRM: Xid (PCI:0000:01:00): 45, pid=7, name=x, Ch 00000001"
    lines = [plain, plain, plain + " caused by previous Xid 149", plain + " caused by previous Xid 145", plain]
    log = scan([("\n".join(lines) + "\n").encode()])
    assert [(one.detail.get("caused_by"), one.count) for one in log.events] == [(None, 3), (149, 1), (145, 1)]


def test_the_ring_buffer_gets_wall_times_from_the_boot_and_a_file_of_old_boots_does_not() -> None:
    clock = Clock(CLOCK.reference, UTC, datetime(2026, 11, 20, tzinfo=UTC))
    line = [b"<3>[ 3600.500000] NVRM: Xid (PCI:0000:01:00): 79, x\n"]
    assert scan(line, "kernel/dmesg.txt", clock).events[0].first.at == "2026-11-20T01:00:00+00:00"
    assert scan(line, KERN, clock).events[0].first.at is None


@settings(max_examples=300)
@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [b"NVRM", b"Xid (", b"SXid (", b"{", b'"MESSAGE":"', b"[", b"\x1b", b"\n", b"AER: ", b"EDAC ", b"\xff"]
        ),
        max_size=30,
    ).map(b"".join)
)
def test_no_bytes_break_it_and_its_json_reads_back(data: bytes) -> None:
    log = scan([data])
    assert events.decode(KERN, events.encode(log)) == log
    assert log.lines == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")


def brute(month: int, day: int, hour: int, minute: int, second: int, clock: Clock) -> datetime | None:
    """Return the answer by trying every year there is."""
    known = []
    for year in range(1990, 2100):
        try:
            at = datetime(year, month, day, hour, minute, second, tzinfo=clock.zone).astimezone(UTC)
        except ValueError:
            continue
        if at <= clock.reference + AHEAD:
            known.append(at)
    return max(known) if known else None


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2034, 1, 1)),
    st.datetimes(datetime(2024, 1, 1), datetime(2024, 12, 31, 23, 59, 59)),
    st.sampled_from(
        ["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Pacific/Chatham", "Australia/Lord_Howe"]
    ),
)
@example(datetime(2026, 1, 1, 0, 0, 30), datetime(2024, 12, 31, 23, 59, 59), "UTC")
@example(datetime(2027, 3, 1), datetime(2024, 2, 29, 12), "UTC")
def test_the_year_of_a_syslog_line_is_the_latest_that_can_be(reference: datetime, at: datetime, zone: str) -> None:
    clock = Clock(reference.replace(tzinfo=UTC), ZoneInfo(zone))
    text = f"{at:%b} {at.day:2d} {at:%H:%M:%S} gpu01 kernel: x"
    assert split(text, clock).at == brute(at.month, at.day, at.hour, at.minute, at.second, clock)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-21T03:12:01+05:45 h kernel: x", datetime(2026, 11, 20, 21, 27, 1, tzinfo=UTC)),
        ("2026-11-21T03:12:01-0330 h kernel: x", datetime(2026, 11, 21, 6, 42, 1, tzinfo=UTC)),
        ("2026-13-41T03:12:01Z h kernel: x", None),
        ("2026-11-21T03:12:01+99:99 h kernel: x", None),
        ("Feb 30 03:12:01 h kernel: x", None),
        ("Foo 21 03:12:01 h kernel: x", None),
        ("Nov 21 25:12:01 h kernel: x", None),
    ],
)
def test_times_are_read_with_their_zone_and_what_is_none_has_none(text: str, wanted: datetime | None) -> None:
    line = split(text, CLOCK)
    assert (line.at, line.message) == (wanted, "x")


def test_a_naive_time_is_of_the_hosts_zone() -> None:
    clock = Clock(CLOCK.reference, ZoneInfo("Europe/Paris"))
    assert split("Nov 21 03:12:01 h kernel: x", clock).at == datetime(2026, 11, 21, 2, 12, 1, tzinfo=UTC)
    assert split("[Fri Jul 21 03:12:01 2026] x", clock).at == datetime(2026, 7, 21, 1, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Nowhere/Land", "", 7, None, "../../etc/passwd", "A" * 5000])
def test_a_zone_that_is_none_is_utc(zone: object) -> None:
    facts = {"system": {"timezone": {"value": zone}, "booted_at": {"value": "nonsense"}}}
    clock = clock_of(facts, CLOCK.reference)
    assert (clock.zone, clock.booted_at) == (UTC, None)


def test_a_clock_is_read_from_the_facts() -> None:
    facts = {"system": {"timezone": {"value": "Asia/Tokyo"}, "booted_at": {"value": "2026-11-20T00:00:00+00:00"}}}
    clock = clock_of(facts, CLOCK.reference)
    assert clock.zone.utcoffset(CLOCK.reference.replace(tzinfo=None)) == timedelta(hours=9)
    assert clock.booted_at == datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("member", "wanted"),
    [
        ("kernel/dmesg.txt", "ring buffer"),
        ("kernel/journal-this-boot.jsonl", "journal"),
        ("kernel/journal-previous-boot.jsonl", "journal"),
        ("kernel/var/log/kern.log", "kern.log"),
        ("kernel/var/log/kern.log.2.gz", "kern.log"),
        ("kernel/var/log/syslog.1", "syslog"),
        ("kernel/var/log/messages-20261101", "messages"),
        ("kernel/sys/fs/pstore/dmesg-erst-1", "crash dump"),
        ("kernel/var/crash/202611/dmesg.202611", "crash dump"),
        ("gpu/var/log/fabricmanager.log", "fabric manager"),
    ],
)
def test_logs_and_their_families(member: str, wanted: str) -> None:
    assert is_log(member)
    assert family(member) == wanted


@pytest.mark.parametrize(
    "member",
    [
        "kernel/proc/modules",
        "kernel/module-parameters.txt",
        "kernel/journal-boots.txt",
        "system/cpuinfo-first.txt",
        "gpu/nvidia-smi-q.xml",
        "facts.json",
    ],
)
def test_what_is_no_log_is_not_scanned(member: str) -> None:
    assert not is_log(member)


def test_a_million_bytes_of_noise_between_two_xids_change_nothing() -> None:
    noise = random.Random(3).randbytes(1 << 20)
    text = b"NVRM: Xid (PCI:0000:01:00): 79, x\n" + noise + b"\nNVRM: Xid (PCI:0000:01:00): 79, x\n"
    xid = next(one for one in scan([text]).events if one.kind == "xid")
    assert (xid.count, xid.first.line, xid.last.line) == (2, 1, text.count(b"\n"))


@pytest.mark.parametrize(
    "word", ["task ", "Xid (", "NVRM: Xid (PCI:0000:01:00): 149, AAAA ", "oom-kill:constraint=A,", "(sct 0x"]
)
def test_a_long_line_of_hostile_words_takes_no_longer_than_another(word: str) -> None:
    began = time.process_time()
    scan([(word * (LONGEST // len(word)) + "blocked for more than\n").encode()] * 20)
    assert time.process_time() - began < 3
