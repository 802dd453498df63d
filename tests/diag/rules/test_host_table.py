"""BMC, host, storage and network against the health document, section 2.3, transcribed by hand; limits on both sides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.findings import Box, Finding, Gap, Judgement, evaluate
from bilbs_cli.diag.model import NotCollected, ReadError
from bilbs_cli.diag.rules import RULES
from tests.diag.remembered import NOW, tree
from tests.diag.rules.logged import box, line

DISK = "storage/disks/nvme0n1/smart"
VAR = "storage/file_systems/var"
ROOM = {
    f"{VAR}/mount_point": "/var",
    f"{VAR}/type": "ext4",
    f"{VAR}/available_bytes": 10**12,
    f"{VAR}/used_percent": 10.0,
}


def judgement(readings: dict[str, Any]) -> Judgement:
    """Return what the rules say of these readings and no others."""
    return evaluate(RULES, Box(tree(readings), NOW))


def told(findings: tuple[Finding, ...]) -> set[tuple[str, str]]:
    """Return rules with their severity."""
    return {(one.rule, one.severity.value) for one in findings}


def sensor(kind: str, value: float | None = None, *states: str, **limits: float) -> dict[str, Any]:
    """Return the facts of one sensor of the BMC, as the collector has them."""
    names = {"lnc": "lower non-critical", "lcr": "lower critical", "unc": "upper non-critical", "ucr": "upper critical"}
    names |= {"lnr": "lower non-recoverable", "unr": "upper non-recoverable"}
    past = [
        words
        for name, words in names.items()
        if name in limits and value is not None and (value >= limits[name] if name[0] == "u" else value <= limits[name])
    ]
    status = "ok"
    for code, level in (("nc", "non-critical"), ("cr", " critical"), ("nr", "non-recoverable")):
        status = code if any(one.endswith(level) for one in past) else status
    found = {
        "name": "S1",
        "type": kind,
        "value": value,
        "unit": "RPM" if kind == "Fan" else "x",
        "states": [*states, *past],
        "thresholds": limits,
    }
    return {"bmc/sensors/32.0.1": found | {"status": status if limits else "discrete"}}


READINGS = [
    (sensor("Temperature", 97.0, unc=90, ucr=95), {("bmc.sensor.critical", "critical")}),
    (sensor("Temperature", 95.0, unc=90, ucr=95), {("bmc.sensor.critical", "critical")}),
    (sensor("Temperature", 94.0, unc=90, ucr=95), {("bmc.sensor.warning", "warning")}),
    (sensor("Temperature", 89.0, unc=90, ucr=95), set()),
    (sensor("Voltage", 10.0, lnc=11.1, lcr=10.8), {("bmc.sensor.critical", "critical")}),
    (sensor("Voltage", 12.0, lnc=11.1, lcr=10.8), set()),
    (sensor("Fan", 1000.0, lnc=1500, lcr=1000), {("bmc.fan.stopped", "critical")}),
    (sensor("Fan", 0.0, lnc=1500, lcr=1000), {("bmc.fan.stopped", "critical")}),
    (sensor("Fan", 1400.0, lnc=1500, lcr=1000), {("bmc.sensor.warning", "warning")}),
    (sensor("Fan", 8000.0, lnc=1500, lcr=1000), set()),
    (sensor("Power Supply", None, "presence detected"), set()),
    (sensor("Power Supply", None, "presence detected", "input lost (AC/DC)"), {("bmc.psu", "warning")}),
    (sensor("Power Supply", None, "presence detected", "failure detected"), {("bmc.psu", "warning")}),
    ({"bmc/sel/records": [], "bmc/sel/clock_offset_s": 60.0}, set()),
    ({"bmc/sel/records": [], "bmc/sel/clock_offset_s": -61.0}, {("bmc.clock", "warning")}),
    ({f"{DISK}/passed": True}, set()),
    ({f"{DISK}/passed": False}, {("host.smart.failed", "critical")}),
    ({f"{DISK}/critical_warning": 0}, set()),
    ({f"{DISK}/critical_warning": 4}, {("host.nvme.critical_warning", "critical")}),
    ({f"{DISK}/spare_percent": 10, f"{DISK}/spare_threshold_percent": 10}, set()),
    ({f"{DISK}/spare_percent": 9, f"{DISK}/spare_threshold_percent": 10}, {("host.nvme.spare", "critical")}),
    ({f"{DISK}/used_percent": 99}, set()),
    ({f"{DISK}/used_percent": 100}, {("host.nvme.used", "warning")}),
    ({f"{DISK}/passed": True, f"{DISK}/media_errors": 1}, {("host.nvme.media_errors", "warning")}),
    ({f"{DISK}/passed": True, f"{DISK}/media_errors": 0}, set()),
    (ROOM, set()),
    (ROOM | {f"{VAR}/available_bytes": 499_999_999}, {("host.fs.space", "warning")}),
    (ROOM | {f"{VAR}/used_percent": 90.0}, set()),
    (ROOM | {f"{VAR}/used_percent": 90.1}, {("host.fs.space", "warning")}),
    ({"system/clock/synchronized": True}, set()),
    ({"system/clock/synchronized": False}, {("host.clock.unsynchronised", "warning")}),
]


@pytest.mark.parametrize(("readings", "expected"), READINGS, ids=[str(number) for number in range(len(READINGS))])
def test_a_reading_means_what_the_health_document_says(
    readings: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert told(judgement(readings).findings) == expected


LINES = [
    ("Out of memory: Killed process 4242 (python) total-vm:1kB, anon-rss:1kB", {("host.oom", "warning")}),
    ("watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [python:4242]", {("host.soft_lockup", "warning")}),
    ("EXT4-fs (sda1): Remounting filesystem read-only", {("host.fs.remounted", "critical")}),
    ("nvme nvme0: I/O 12 QID 3 timeout, aborting", {("host.nvme.logged", "warning")}),
    ("nvme nvme0: I/O 12 QID 3 timeout, reset controller", {("host.nvme.logged", "warning")}),
    (
        "nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0xffff",
        {("host.nvme.logged", "critical")},
    ),
    ("nvme nvme0: Disabling device after reset failure: -19", {("host.nvme.logged", "critical")}),
    ("md/raid1:md0: Disk failure on sdb1, disabling device.", {("host.md.logged", "critical")}),
    ("Buffer I/O error on dev sda1, logical block 1, async page read", {("host.io_errors", "critical")}),
    ("mce: [Hardware Error]: CPU 0: Machine Check: 0 Bank 5: bea0000000000108", {("host.mce", "critical")}),
    ("eth0: link becomes ready", set()),
    ("EXT4-fs (sda1): mounted filesystem with ordered data mode", set()),
    ("nvme nvme0: 8/0/0 default/read/poll queues", set()),
]


@pytest.mark.parametrize(("message", "expected"), LINES)
def test_a_kernel_line_means_what_the_health_document_says(message: str, expected: set[tuple[str, str]]) -> None:
    assert told(evaluate(RULES, box([line(message)])).findings) == expected


UNREAD = [
    NotCollected("nobody asked"),
    ReadError("Timeout", "no answer in 5 s"),
    ReadError("PermissionError", "no", 13),
]
NEEDED = {
    "host.smart.failed": f"{DISK}/passed",
    "host.nvme.critical_warning": f"{DISK}/critical_warning",
    "host.nvme.used": f"{DISK}/used_percent",
    "host.fs.space": f"{VAR}/used_percent",
    "bmc.clock": "bmc/sel/clock_offset_s",
    "bmc.sensor.critical": "bmc/sensors/32.0.1",
    "host.clock.unsynchronised": "system/clock/synchronized",
}


@pytest.mark.parametrize("unread", UNREAD, ids=["not collected", "timeout", "denied"])
@pytest.mark.parametrize("rule", NEEDED)
def test_what_was_not_read_is_neither_healthy_nor_broken(rule: str, unread: object) -> None:
    found = judgement(ROOM | {NEEDED[rule]: unread})
    assert rule not in {one.rule for one in found.findings}
    kind = {0: Gap.NOT_COLLECTED, 1: Gap.TIMEOUT, 2: Gap.DENIED}[UNREAD.index(unread)]
    assert kind in {one.kind for one in found.not_evaluated if one.rule == rule}


@given(st.integers(0, 2 * 10**9), st.floats(0, 100))
def test_room_on_a_disk_is_judged_by_bytes_and_by_share(left: int, used: float) -> None:
    found = told(judgement(ROOM | {f"{VAR}/available_bytes": left, f"{VAR}/used_percent": used}).findings)
    assert (("host.fs.space", "warning") in found) == (left < 500 * 10**6 or used > 90)
