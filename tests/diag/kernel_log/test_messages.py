"""Kernel messages in the forms of drivers and kernels of ten years: kind, code, address and details, whatever stands before."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.kernel_log.events import KINDS, Event
from bilbs_cli.diag.kernel_log.scan import Clock, Scanner

DATA = Path(__file__).parents[2] / "data/kernel_lines"
CLOCK = Clock(datetime(2026, 11, 21, 4, tzinfo=UTC), UTC)
Row = tuple[str, int | None, str, dict[str, Any], str]


def rows(name: str) -> list[Row]:
    found = []
    for line in (DATA / name).read_text().splitlines():
        if line and not line.startswith("#"):
            kind, code, pci, detail, message = line.split("\t")
            found.append((kind, None if code == "-" else int(code), pci.strip("-"), json.loads(detail), message))
    return found


ROWS = rows("nvidia.tsv") + rows("host.tsv")
PREFIXES = (
    "",
    "[   98.765432] ",
    "[98.765432][ T1946] ",
    "[   98.765432] [  C12] ",
    "<3>[   98.765432] ",
    "3,512,98765432,-;",
    "kern  :err   : [   98.765432] ",
    "kern  :warn  : [Fri Nov 21 03:12:01 2026] ",
    "[Fri Nov 21 03:12:01 2026] ",
    "Nov 21 03:12:01 gpu01 kernel: ",
    "Nov  1 03:12:01 gpu01 kernel: [   98.765432] ",
    "Nov 21 03:12:01 gpu01.example.com kernel: [98.765432] ",
    "<6>Nov 21 03:12:01 gpu01 kernel: ",
    "Nov 21 03:12:01.123456 gpu01 kernel: ",
    "2026-11-21T03:12:01.123456+00:00 gpu01 kernel: ",
    "2026-11-21T03:12:01.123456+00:00 gpu01 kernel: [   98.765432] ",
    "2026-11-21T03:12:01+0100 gpu01 kernel: ",
    "2026-11-21T03:12:01Z gpu01 kernel: ",
    "2026-11-21 03:12:01 gpu01 kernel: ",
    "2026-11-21T03:12:01,123456+00:00 ",
    "<3>1 2026-11-21T03:12:01.123Z gpu01 kernel - - - ",
    "2026-11-21T03:12:01.123456789Z stderr F ",
    "\x1b[32m[   98.765432] \x1b[0m",
)
ONE = {"kernel": "NVRM: x"}


def scanned(text: str, member: str = "kernel/var/log/kern.log") -> tuple[Event, ...]:
    scanner = Scanner(member, CLOCK)
    scanner.feed(text.encode())
    return scanner.finish().events


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}-{row[4][:24]}")
def test_a_message_is_understood_behind_every_prefix(row: Row) -> None:
    kind, code, pci, detail, message = row
    for before in PREFIXES:
        if kind == "boot" and before not in {"", "[   98.765432] "} and "kernel" not in before:
            continue
        (event,) = scanned(before + message + "\n") or (None,)
        assert event, before + message
        assert (event.kind, event.code, event.pci) == (kind, code, pci), before
        assert {name: event.detail.get(name) for name in detail} == detail, before


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}-{row[4][:24]}")
def test_a_message_is_understood_in_the_journal(row: Row) -> None:
    kind, code, pci, _, message = row
    entry = {
        "__REALTIME_TIMESTAMP": "1795230721000000",
        "_SOURCE_MONOTONIC_TIMESTAMP": "98765432",
        "_BOOT_ID": "b" * 32,
    }
    for more in ({}, {"SYSLOG_IDENTIFIER": "kernel"}):
        for spaced in (None, (",", ":")):
            text = json.dumps(entry | more | {"MESSAGE": message}, separators=spaced)
            (event,) = scanned(text + "\n", "kernel/journal-this-boot.jsonl")
            assert (event.kind, event.code, event.pci) == (kind, code, pci)
            assert event.first.boot == "b" * 32
            assert event.first.mono_s == 98.765432
            assert event.first.at == "2026-11-21T03:12:01+00:00"


def test_every_kind_has_a_line_here() -> None:
    assert {row[0] for row in ROWS} == set(KINDS)


@pytest.mark.parametrize("message", (DATA / "benign.txt").read_text().splitlines())
def test_what_every_healthy_box_says_is_no_event(message: str) -> None:
    for before in PREFIXES:
        assert scanned(before + message + "\n") == (), before


def test_a_program_that_quotes_the_kernel_is_not_the_kernel() -> None:
    for tag in ("dcgm[77]", "python3", "nv-hostengine[4]", "kubelet"):
        assert scanned(f"Nov 21 03:12:01 gpu01 {tag}: saw NVRM: Xid (PCI:0000:3b:00): 79, GPU\n") == ()
    entry = {"MESSAGE": "NVRM: Xid (PCI:0000:3b:00): 79, GPU", "SYSLOG_IDENTIFIER": "dcgm"}
    assert scanned(json.dumps(entry) + "\n") == ()


HEX = "0123456789abcdefABCDEF"


@given(
    st.sampled_from(["", "PCI:"]),
    st.one_of(
        st.just(""), st.text(HEX, min_size=4, max_size=4), st.text(HEX, min_size=4, max_size=4).map("0000".__add__)
    ),
    st.text(HEX, min_size=2, max_size=2),
    st.text(HEX, min_size=2, max_size=2),
    st.sampled_from(["", ".0", ".7"]),
    st.sampled_from(["", " GPU-I:05", " GPU-I:11,CI:02"]),
    st.integers(0, 999999),
    st.sampled_from(PREFIXES),
)
def test_any_address_and_code_is_read_right(
    word: str, domain: str, bus: str, device: str, function: str, instance: str, code: int, before: str
) -> None:
    shown = f"{domain}:" if domain else ""
    (event,) = scanned(f"{before}NVRM: Xid ({word}{shown}{bus}:{device}{function}{instance}): {code}, pid=1, x\n")
    assert event.code == code
    assert event.pci == f"{int(domain or '0', 16):04x}:{bus.lower()}:{device.lower()}{function or '.0'}"


def test_a_gpu_that_is_named_on_one_line_and_lost_on_the_next_is_one_gpu() -> None:
    text = (
        "[10.1] NVRM: The NVIDIA GPU 0000:2b:00.0 (PCI ID: 10de:2330)\n"
        "[10.2] NVRM: installed in this system has fallen off the bus and is not\n"
        "[10.3] NVRM: responding to commands.\n"
    )
    assert [(one.kind, one.pci) for one in scanned(text)] == [("off_bus", "0000:2b:00.0")]


def test_serial_and_uuid_beside_an_xid_belong_to_its_gpu() -> None:
    text = (
        "[10.1] NVRM: GPU at PCI:0000:9b:00: GPU-1d2c3b4a-0001-4002-8003-0000000000a1\n"
        "[10.2] NVRM: GPU Board Serial Number: 1650124014249\n"
        "[10.3] NVRM: Xid (PCI:0000:9b:00): 119, pid=1, name=x, Timeout after 6s of waiting for RPC response\n"
    )
    assert [(one.kind, one.pci, dict(one.detail)) for one in scanned(text)][:2] == [
        ("nvrm_identity", "0000:9b:00.0", {"uuid": "GPU-1d2c3b4a-0001-4002-8003-0000000000a1"}),
        ("nvrm_identity", "0000:9b:00.0", {"serial": "1650124014249"}),
    ]


def test_further_lines_of_an_sxid_are_no_events_of_their_own() -> None:
    text = (
        "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Non-fatal, Link 46 MC TS crumbstore MCTO (First)\n"
        "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Severity 0 Engine instance 46 Sub-engine instance 00\n"
        "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Data {0x00140004, 0x00100000, 0x00140004}\n"
    )
    assert [(one.code, one.count) for one in scanned(text)] == [(28006, 1)]


def test_the_fabric_manager_tells_of_sxids_in_its_own_log() -> None:
    line = (
        "[Nov 21 2026 03:12:01] [ERROR] [tid 1234] detected NVSwitch fatal error 20034 on fid 0 on NVSwitch pci bus id "
        "00000000:C5:00.0 physical id 3 port 61\n"
    )
    (event,) = scanned(line, "gpu/var/log/fabricmanager.log")
    assert (event.kind, event.code, event.pci) == ("sxid", 20034, "0000:c5:00.0")
    assert (event.detail["fatal"], event.detail["link"], event.detail["from"]) == (True, 61, "fabric_manager")
    assert event.first.at == "2026-11-21T03:12:01+00:00"


def test_a_serial_that_stands_alone_is_of_the_gpu_that_the_next_line_names() -> None:
    serial, xid = "NVRM: GPU Board Serial Number: 1650124014249\n", "NVRM: Xid (PCI:0000:9b:00): 79, x\n"
    assert [(one.kind, one.pci, one.first.line) for one in scanned(serial + xid)] == [
        ("nvrm_identity", "0000:9b:00.0", 1),
        ("xid", "0000:9b:00.0", 2),
    ]
    assert [one.pci for one in scanned(serial)] == [""]
    other = "NVRM: GPU0 a message of no note\n"
    assert [one.pci for one in scanned(serial + other + xid)] == ["", "0000:9b:00.0"], "not the next line"
    assert [one.pci for one in scanned(xid * 2 + other * 4 + serial)] == ["0000:9b:00.0", ""], "named long before"


def test_a_gpu_named_long_before_is_not_the_one_that_is_lost() -> None:
    named, other = "NVRM: GPU 0000:01:00.0: is fine\n", "NVRM: GPU0 a message of no note\n"
    lost = "NVRM: fallen off the bus and is not responding to commands.\n"
    assert [one.pci for one in scanned(named + lost)] == ["0000:01:00.0"]
    assert [one.pci for one in scanned(named + other * 4 + lost)] == [""]


def test_data_of_an_sxid_whose_first_line_is_missing_is_an_event() -> None:
    head = "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Non-fatal, Link 46 MC TS crumbstore MCTO (First)\n"
    more = "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Severity 0 Engine instance 46 Sub-engine instance 00\n"
    assert [(one.code, one.detail["fatal"], one.count) for one in scanned(more)] == [(28006, None, 1)]
    other = more.replace("c1:00", "c2:00")
    assert [(one.pci, one.count) for one in scanned(head + more + other)] == [("0000:c1:00.0", 1), ("0000:c2:00.0", 1)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "pcieport 0000:3a:00.0: AER: Corrected error received: 0000:3b:00.0",
            "nvidia 0000:3b:00.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)",
        ),
        (
            "pcieport 0000:3a:00.0: AER: Uncorrectable (Fatal) error message received from 0000:3b:00.0",
            "nvidia 0000:3b:00.0: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Inaccessible, (Unregistered Agent ID)",
        ),
        (
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task_memcg=/x,task=node,pid=863,uid=0",
            "Memory cgroup out of memory: Killed process 863 (node) total-vm:1kB",
        ),
        (
            "NVRM: GPU 0000:3b:00.0: RmInitAdapter failed! (0x26:0x56:1474)",
            "NVRM: GPU 0000:3b:00.0: rm_init_adapter failed, device minor number 0",
        ),
    ],
)
def test_one_thing_told_on_two_lines_is_counted_once(first: str, second: str) -> None:
    assert [one.count for one in scanned(f"{first}\n{second}\n")] == [1]
    assert [one.count for one in scanned(f"{first}\n{second}\n" * 3)] == [3]
    assert sum(one.count for one in scanned(f"{second}\n{first}\n")) == 2, "not a pair in this order"
    assert sum(one.count for one in scanned(f"{second}\n" * 2)) == 2


def test_a_rate_counts_every_error_that_one_message_stands_for() -> None:
    line = "EDAC MC0: {} CE memory read error on DIMM_A1 (channel:1 slot:0)\n"
    (event,) = scanned("".join(line.format(count) for count in (1, 32767, 5)))
    assert event.count == 32773


def test_a_flood_of_other_events_leaves_room_for_a_dead_gpu() -> None:
    flood = "".join(f"INFO: task t{n}:1 blocked for more than 120 seconds.\n" for n in range(5000))
    assert scanned(flood + "NVRM: Xid (PCI:0000:3b:00): 79, x\n")[-1].code == 79
