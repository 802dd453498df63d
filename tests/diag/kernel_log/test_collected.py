"""Logs that a collector reads are scanned on their way, behind the redaction, by the clock that the facts tell of."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from bilbs_cli.diag import model
from bilbs_cli.diag.collectors.gpu import GPU
from bilbs_cli.diag.collectors.kernel import KERNEL
from bilbs_cli.diag.collectors.system import SYSTEM
from bilbs_cli.diag.job import Options
from bilbs_cli.diag.kernel_log import events, scan
from tests.diag.collectors.hosts import copied, dead, program, write
from tests.diag.kernel_log.test_messages import CLOCK
from tests.inprocess import Gathered, gather

XID = "Jul 21 03:12:01 gpu01 kernel: [   42.5] NVRM: Xid (PCI:0000:17:00): 79, pid=7, GPU has fallen off the bus.\n"
FABRIC = "[Jul 21 2026 03:12:01] [ERROR] [tid 1] detected NVSwitch fatal error 20034 on fid 0 on NVSwitch pci bus id 00000000:C5:00.0 physical id 3 port 61\n"


def logs(got: Gathered) -> dict[str, events.Log]:
    return {log.member: log for log in events.logs_of(got.facts)}


def test_a_log_file_becomes_a_fact_with_times_of_its_systems_zone(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/etc/timezone", "America/New_York\n")
    write(root, "/var/log/kern.log", XID)
    log = logs(gather(KERNEL, dead(root)))["kernel/var/log/kern.log"]
    assert log.lines == 1
    assert [(one.kind, one.code, one.pci, one.first.at) for one in log.events] == [
        ("xid", 79, "0000:17:00.0", "2026-07-21T07:12:01+00:00")
    ]


def test_the_clock_of_a_child_is_the_one_of_the_facts(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/etc/timezone", "Asia/Kathmandu\n")
    write(root, "/var/log/kern.log", XID)
    kernel, system = gather(KERNEL, dead(root)), gather(SYSTEM, dead(root))
    scanner = scan.Scanner("kernel/var/log/kern.log", scan.clock_of(system.facts, CLOCK.reference))
    scanner.feed(kernel.members["kernel/var/log/kern.log"])
    assert scanner.finish() == logs(kernel)["kernel/var/log/kern.log"]


def test_the_fabric_managers_log_is_scanned_too(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/var/log/fabricmanager.log", FABRIC)
    got = logs(gather(GPU, dead(root)))["gpu/var/log/fabricmanager.log"]
    assert [(one.kind, one.code, one.pci) for one in got.events] == [("sxid", 20034, "0000:c5:00.0")]


def test_what_is_no_log_is_no_fact_and_every_log_is_one(tmp_path: Path) -> None:
    got = gather(KERNEL, dead(copied(tmp_path)))
    members = {name for name in got.members if "/var/log/" in name or "/pstore/" in name or "/var/crash/" in name}
    assert members
    assert set(logs(got)) == members
    assert "kernel/proc/cmdline" in got.members


def test_lines_are_those_of_the_member_in_the_bundle(tmp_path: Path) -> None:
    got = gather(KERNEL, dead(copied(tmp_path)))
    for name, log in logs(got).items():
        assert log.lines == len(got.members[name].decode("utf-8", "replace").rstrip("\n").split("\n")), name


def test_no_secret_comes_into_the_facts_by_a_log(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/var/log/kern.log", XID.replace("GPU has", "password=hunter2secret GPU has"))
    got = gather(KERNEL, dead(root))
    (event,) = logs(got)["kernel/var/log/kern.log"].events
    assert (event.code, "hunter2secret" in event.text, "GPU has fallen" in event.text) == (79, False, True)


def test_a_journal_keeps_boot_and_time_in_the_facts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = {
        "__REALTIME_TIMESTAMP": "1795230721000000",
        "_SOURCE_MONOTONIC_TIMESTAMP": "98765432",
        "_BOOT_ID": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "SYSLOG_IDENTIFIER": "kernel",
        "MESSAGE": "NVRM: Xid (PCI:0000:17:00): 79, pid=7, GPU has fallen off the bus.",
    }
    boots = '[{"index":0,"boot_id":"0f1e2d3c4b5a69788796a5b4c3d2e1f0"}]'
    script = f"case \"$*\" in *--list-boots*) echo '{boots}';; *) echo '{json.dumps(entry)}';; esac"
    program(monkeypatch, tmp_path / "bin", "journalctl", script)
    got = gather(KERNEL, Options(root=True))
    (event,) = logs(got)["kernel/journal-this-boot.jsonl"].events
    assert event.first == events.Sighting(1, "2026-11-21T03:12:01+00:00", 98.765432, entry["_BOOT_ID"])


def test_the_facts_with_logs_are_what_the_schema_says(tmp_path: Path) -> None:
    got = gather(KERNEL, dead(copied(tmp_path)))
    schema = json.loads((Path(model.__file__).parent / "facts.schema.json").read_text())
    branch = model.branch(got.facts, "kernel", "log")
    assert branch
    jsonschema.validate(branch, {"$ref": "#/$defs/branch", "$defs": schema["$defs"]})
