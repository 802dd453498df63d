"""What stands before a message: every program's way to write time, host and tag; and who is speaking."""

from __future__ import annotations

import doctest
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.kernel_log import host, messages, nvrm, prefix, xid_detail
from bilbs_cli.diag.kernel_log.prefix import Line, split
from tests.diag.kernel_log.test_messages import CLOCK, scanned

AT = datetime(2026, 11, 21, 3, 12, 1, tzinfo=UTC)
SAID = "NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus."


@pytest.mark.parametrize("module", [host, messages, nvrm, prefix, xid_detail])
def test_the_samples_in_the_docstrings_are_true(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("before", "at", "mono_s"),
    [
        ("kernel: ", None, None),
        ("gpu01 kernel: ", None, None),
        ("kernel: [123.5] ", None, 123.5),
        ("[   98.5] gpu01 kernel: ", None, 98.5),  # journalctl -o short-monotonic
        ("[Sat Nov 21 03:12:01 2026] gpu01 kernel: ", AT, None),
        ("Nov 21 03:12:01 kernel: ", AT, None),  # --no-hostname
        ("Nov 21 03:12:01 gpu01 kernel[0]: ", AT, None),
        ("Nov 21 03:12:01 OpenWrt kern.err kernel: [   42.5] ", AT, 42.5),
        ("Nov 21 03:12:01 gpu01 kernel: [   42.5][  C12] ", AT, 42.5),
        ("Nov 21 03:12:01 gpu01 kernel: [   42.5] [ T77] ", AT, 42.5),
        ("Nov 21 2026 03:12:01 gpu01 kernel: ", AT, None),
        ("nov. 21 03:12:01 gpu01 kernel: ", AT, None),
        ("Okt 21 03:12:01 gpu01 kernel: ", None, None),  # a month in another language has no time, but its line counts
        ("Nov 21 03:12:01 fe80::1%eth0 kernel: ", AT, None),
        ("Sat 2026-11-21 03:12:01 UTC gpu01 kernel: ", AT, None),  # journalctl -o short-full
        ("1795230721.123456 gpu01 kernel: ", AT, None),  # journalctl -o short-unix
        ("2026-11-21T03:12:01.123456789Z gpu01 kernel: ", AT + timedelta(microseconds=123456), None),
        ("2026-11-21T04:12:01,123456+01:00 gpu01 kernel: ", AT + timedelta(microseconds=123456), None),
        ("2026-11-21T03:12:01Z kernel: [ 7.5] ", AT, 7.5),
        ("2026-11-20T22:12:01-05:00 ", AT, None),
        ("[2026-11-21T03:12:01+00:00] ", AT, None),
        ("[2026-11-21 03:12:01] ", AT, None),
        ("<4>1 2026-11-21T03:12:01Z gpu01 kernel - - - ", AT, None),
        ('<4>1 2026-11-21T03:12:01Z gpu01 kernel - - [x@1 a="b"] ', AT, None),
        ("<4>1 2026-11-21T03:12:01Z gpu01 kernel - - - \ufeff", AT, None),
        ("user  :warn  : [   12.25] ", None, 12.25),
        ("3,512,98765432,-,caller=T77;", None, 98.765432),
        ("\x1b[31m<3>[    1.5] \x1b[0m", None, 1.5),
        ("2026-11-21T03:12:01.5Z stdout F [    1.5] ", AT + timedelta(seconds=0.5), 1.5),
    ],
)
def test_what_stands_before_a_message_is_taken_off_it(before: str, at: datetime | None, mono_s: float | None) -> None:
    text = f"{before.removesuffix(chr(0x1B) + '[0m')}{SAID}"
    assert split(text, CLOCK) == Line(SAID, at, mono_s)
    (event,) = scanned(text + "\n")
    assert (event.kind, event.pci, event.text) == ("off_bus", "0000:3b:00.0", SAID)


@pytest.mark.parametrize(
    "message",
    [
        "nvme nvme0: I/O 12 QID 3 timeout, aborting",
        "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [x:991]",
        "block nvme0n1: no available path - failing I/O",
        "EDAC MC0: 1 CE memory read error on DIMM_A1 (channel:1)",
        "rcu: INFO: rcu_sched self-detected stall on CPU",
    ],
)
def test_a_message_without_host_and_tag_is_not_taken_for_another_programs(message: str) -> None:
    assert split(f"2026-11-21T03:12:01Z {message}", CLOCK) == Line(message, AT)


@pytest.mark.parametrize(
    "line",
    [
        f"Nov 21 03:12:01 gpu01 watcher[77]: on gpu02 kernel: {SAID}",
        f"Nov 21 03:12:01 gpu01 watcher: gpu02 kernel: [1.5] {SAID}",
        f"Nov 21 03:12:01 watcher[77]: {SAID}".replace("watcher[77]: ", "gpu01 watcher[77]: "),
        f"2026-11-21T03:12:01Z gpu01 dcgm-exporter[1]: {SAID}",
        f"<3>1 2026-11-21T03:12:01Z gpu01 dcgm 77 - - {SAID}",
        json.dumps({"MESSAGE": SAID, "SYSLOG_IDENTIFIER": "kernel-watcher"}),
        json.dumps({"MESSAGE": f'quote "{SAID}"', "SYSLOG_IDENTIFIER": "gpud"}),
        json.dumps({"MESSAGE": SAID, "SYSLOG_IDENTIFIER": ["kernel"]}),
    ],
)
def test_what_another_program_says_of_the_kernel_is_no_event(line: str) -> None:
    assert scanned(line + "\n") == ()


def test_the_fabric_manager_may_speak_in_the_syslog() -> None:
    said = "detected NVSwitch non-fatal error 22013 on NodeId 0 on NVSwitch pci bus id 00000000:08:00.0 physical id 3 port 60"
    (event,) = scanned(f"Mar 03 18:39:57 gpu01 nv-fabricmanager[5183]: {said}\n", "kernel/var/log/syslog")
    assert (event.kind, event.code, event.pci, event.detail["link"]) == ("sxid", 22013, "0000:08:00.0", 60)


@pytest.mark.parametrize(
    "before", ["Nov 21 03:12:01 gpu01 kernel: ", "Nov 21 03:12:01 gpu01 kernel: [   42.5] ", "<3>[1.5] "]
)
def test_repeats_that_the_syslog_folded_are_counted(before: str) -> None:
    xid = "NVRM: Xid (PCI:0000:3b:00): 31, pid=7"
    lines = f"{before}{xid}\n{before}message repeated 9 times: [ {xid}]\n{before}message repeated 2 times: [ [ 7.5] {xid}]\n"
    (event,) = scanned(lines)
    assert (event.count, len(event.sightings), event.text) == (12, 3, xid)


def test_a_line_of_a_container_is_the_line_inside() -> None:
    inner = f"Nov 21 03:12:01 gpu01 kernel: {SAID}\n"
    assert split(json.dumps({"log": inner, "stream": "stdout", "time": "2026-11-21T09:00:00Z"}), CLOCK) == Line(
        SAID, AT
    )
    assert split(json.dumps({"log": json.dumps({"log": inner})}), CLOCK).kernel
    assert scanned(json.dumps({"log": inner}) + "\n")[0].pci == "0000:3b:00.0"


def test_a_journal_entry_may_have_its_message_in_bytes_and_anything_else_in_it() -> None:
    entry = {"MESSAGE": list(SAID.encode()), "__REALTIME_TIMESTAMP": "1795230721000000", "_BOOT_ID": 7}
    assert split(json.dumps(entry), CLOCK) == Line(SAID, AT)
    for odd in (
        '{"MESSAGE":null}',
        '{"MESSAGE":{}}',
        '{"MESSAGE":[1e9,-1,"x"]}',
        '{"__REALTIME_TIMESTAMP":1e99}',
        "{" * 99_999,
    ):
        assert split(odd, CLOCK).at is None
    assert split('{"MESSAGE":"x","__REALTIME_TIMESTAMP":999999999999999999}', CLOCK).at is None


def test_a_message_of_several_lines_in_one_entry_is_one_event() -> None:
    lines = "NVRM: The NVIDIA GPU 0000:2b:00.0\nNVRM: (PCI ID: 10de:2330) installed in this system has\nNVRM: fallen off the bus"
    (event,) = scanned(json.dumps({"MESSAGE": lines, "SYSLOG_IDENTIFIER": "kernel"}) + "\n")
    assert (event.kind, event.pci) == ("off_bus", "0000:2b:00.0")
    assert "\n" not in event.text
    shown = lines.replace("\n", "\n               ")
    assert [(one.kind, one.pci) for one in scanned(f"[ 1843.308145] {shown}\n")] == [("off_bus", "0000:2b:00.0")]


@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(["[", "] ", "1.5", "Nov 21 ", "03:12:01", " ", "kernel: ", "<3>", "{", "T1", ",", ";", "9"]),
        max_size=12,
    ).map("".join)
)
def test_any_text_is_split_and_nothing_of_a_message_is_made_up(text: str) -> None:
    line = split(text, CLOCK)
    assert text.startswith("{") or "\x1b" in text or line.message.rstrip("]") in text
    assert line.at is None or line.at.tzinfo is UTC
