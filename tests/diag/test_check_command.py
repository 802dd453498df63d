"""`bilbs diag check` as a whole process: a mounted system, a bundle, its folder, its facts; formats, exit statuses, bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.diag.rules.log_events import SAME
from tests.conftest import Bilbs
from tests.diag.test_collect_command import opened, private
from tests.parts.bmc.box import PASSWORD, USER
from tests.parts.bmc.sim import simulator

OFF_BUS = "Nov 21 03:12:01 gpu01 kernel: [ 4242.100000] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n"
CLEANUP = (
    "Nov 21 03:12:02 gpu01 kernel: [ 4243.{n:06d}] NVRM: Xid (PCI:0000:3b:00): 45, pid={n}, name=python, Ch {n:08x}\n"
)
BENIGN = "Nov 21 03:10:00 gpu01 kernel: [ 4121.000001] nvme nvme0: 8/0/0 default/read/poll queues\n"


@pytest.fixture
def dead_box(tmp_path: Path) -> Path:
    """Make a mounted system whose GPU fell off the bus."""
    return system(tmp_path, BENIGN + OFF_BUS + "".join(CLEANUP.format(n=n) for n in range(30)))


def system(tmp_path: Path, log: str) -> Path:
    root = tmp_path / "mnt"
    (root / "var/log").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n')
    (root / "etc/timezone").write_text("Europe/Paris\n")
    (root / "var/log/kern.log").write_text(log)
    return root


def check(bilbs: Bilbs, *arguments: str) -> dict[str, Any]:
    ended = bilbs("diag", "check", *arguments, "--json")
    assert ended.stdout, ended.stderr
    data: dict[str, Any] = ended.json["data"]
    return data


def test_a_mounted_system_names_rule_severity_verdict_part_and_evidence(bilbs: Bilbs, dead_box: Path) -> None:
    ended = bilbs("diag", "check", "--sysroot", str(dead_box), "--since", "all", "--json")
    assert ended.status == 11
    assert ended.json["kind"] == "diag.check"
    found = {one["rule"]: one for one in ended.json["data"]["findings"]}
    fallen = found["xid.79"]
    assert (fallen["severity"], fallen["part"]) == ("critical", "gpu:0000:3b:00.0")
    assert fallen["evidence"][0]["member"] == "kernel/var/log/kern.log"
    assert fallen["evidence"][0]["line"] == 2
    assert "fallen off the bus" in fallen["evidence"][0]["text"]
    assert fallen["next"]
    cleanup = found["xid.45"]
    assert (cleanup["severity"], cleanup["verdict"], cleanup["count"]) == ("info", "ignore", 30)
    assert cleanup["caused_by"] == "xid.79@gpu:0000:3b:00.0"
    assert ended.json["data"]["not_evaluated"], "a mounted system has no driver to ask: that is never a pass"


def test_a_bundle_its_folder_and_its_facts_give_the_answer_of_the_system(
    bilbs: Bilbs, tmp_path: Path, dead_box: Path
) -> None:
    bilbs("diag", "collect", "--sysroot", str(dead_box), "--since", "all", "-o", str(tmp_path))
    (path,) = tmp_path.glob("*.tar.zst")
    folder = tmp_path / "unpacked"
    folder.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", str(path), "-C", str(folder)], check=True)
    (facts,) = folder.glob("*/facts.json")
    live = check(bilbs, "--sysroot", str(dead_box), "--since", "all")
    for source in (path, folder, facts.parent, facts):
        again = check(bilbs, str(source))
        for one in live["findings"] + again["findings"]:
            for proof in one["evidence"]:
                proof.pop("line") if proof["member"] == "facts.json" else None  # only a file has lines
        assert again["findings"] == live["findings"], source


def test_the_first_page_of_every_bundle_is_the_verdict(bilbs: Bilbs, tmp_path: Path, dead_box: Path) -> None:
    bilbs("diag", "collect", "--sysroot", str(dead_box), "--since", "all", "-o", str(tmp_path))
    (path,) = tmp_path.glob("*.tar.zst")
    members = opened(path)
    assert list(members)[:2] == ["SUMMARY.txt", "report.html"]
    summary = members["SUMMARY.txt"].decode()
    assert summary.index("CRITICAL") < summary.index("xid.79") < summary.index("GPUS")
    assert "kernel/var/log/kern.log:2" in summary
    assert b"fallen off the bus" in members["report.html"]
    findings = json.loads(members["findings.json"])
    assert findings["findings"][0]["rule"] == "xid.79"


def test_the_first_page_of_a_bundle_tells_what_to_type_of_that_bundle(
    bilbs: Bilbs, tmp_path: Path, dead_box: Path
) -> None:
    ended = bilbs("diag", "collect", "--sysroot", str(dead_box), "--since", "all", "-o", str(tmp_path))
    page = " ".join(opened(Path(ended.stdout.strip()))["SUMMARY.txt"].decode().replace("\\\n", "").split())
    assert "bilbs diag rma BUNDLE --part gpu:0000:3b:00.0" in page
    assert "not an RMA candidate yet, 1 of 4 proofs" in page


def test_every_cited_line_is_where_the_finding_says(bilbs: Bilbs, tmp_path: Path, dead_box: Path) -> None:
    bilbs("diag", "collect", "--sysroot", str(dead_box), "--since", "all", "-o", str(tmp_path))
    (path,) = tmp_path.glob("*.tar.zst")
    members = opened(path)
    seen = 0
    for one in json.loads(members["findings.json"])["findings"]:
        for proof in one["evidence"]:
            lines = members[proof["member"]].decode().splitlines()
            assert proof["line"], one["rule"]
            line = lines[proof["line"] - 1]
            wanted = proof["path"].rpartition("/")[2] if proof["path"] else proof["text"]
            wanted = one["rule"].partition(".")[2] if wanted == SAME else wanted
            assert wanted in line, (one["rule"], proof)
            seen += 1
    assert seen >= 2


@pytest.mark.parametrize(
    ("log", "fail_on", "status"),
    [
        (BENIGN, "warning", 0),
        (OFF_BUS, "warning", 11),
        (OFF_BUS, "critical", 11),
        (OFF_BUS.replace(" 79,", " 94,"), "warning", 10),
        (OFF_BUS.replace(" 79,", " 94,"), "critical", 0),
        (OFF_BUS.replace(" 79,", " 45,"), "warning", 0),
        (OFF_BUS.replace(" 79,", " 999,"), "warning", 10),
    ],
)
def test_the_exit_status_tells_the_worst(bilbs: Bilbs, tmp_path: Path, log: str, fail_on: str, status: int) -> None:
    root = system(tmp_path, log)
    ended = bilbs("diag", "check", "--sysroot", str(root), "--since", "all", "--only", "kernel", "--fail-on", fail_on)
    assert ended.status == status, ended.stdout


def test_a_monitoring_plugin_gets_its_own_statuses_and_one_first_line(
    bilbs: Bilbs, tmp_path: Path, dead_box: Path
) -> None:
    arguments = ("diag", "check", "--sysroot", str(dead_box), "--since", "all", "--format", "nagios")
    ended = bilbs(*arguments)
    assert ended.status == 2
    first = ended.stdout.splitlines()[0]
    assert first.startswith("BILBS CRITICAL - ")
    assert "|" in first
    quiet = bilbs("diag", "check", str(tmp_path / "nothing.tar.zst"), "--format", "nagios")
    assert quiet.status == 3
    assert quiet.stdout.startswith("BILBS UNKNOWN - ")


def test_a_textfile_collector_gets_a_page(bilbs: Bilbs, dead_box: Path) -> None:
    ended = bilbs("diag", "check", "--sysroot", str(dead_box), "--since", "all", "--format", "prometheus")
    assert 'bilbs_finding{rule="xid.79",part="gpu:0000:3b:00.0"' in ended.stdout
    assert ended.stdout.endswith("\n")
    assert bilbs("diag", "check", "--sysroot", str(dead_box), "--format", "json").json["kind"] == "diag.check"


def test_text_fits_80_columns_and_names_the_card(bilbs: Bilbs, dead_box: Path) -> None:
    ended = bilbs("diag", "check", "--sysroot", str(dead_box), "--since", "all", env={"COLUMNS": "80"})
    assert ended.stdout.startswith("CRITICAL")
    assert "0000:3b:00.0" in ended.stdout
    assert "not evaluated" in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80


def test_the_same_facts_are_judged_the_same_with_the_machine_itself_out_of_reach(
    bilbs: Bilbs, tmp_path: Path, dead_box: Path
) -> None:
    bilbs("diag", "collect", "--sysroot", str(dead_box), "--since", "all", "-o", str(tmp_path))
    (path,) = tmp_path.glob("*.tar.zst")
    before = check(bilbs, str(path))
    shutil.rmtree(dead_box)
    assert check(bilbs, str(path)) == before


@pytest.mark.parametrize(
    ("name", "content", "said", "status"),
    [
        ("none.tar.zst", None, "does not exist", 5),
        ("empty.json", b"", "is not JSON", 1),
        ("half.json", b'{"facts": {"gpu": ', "line 1", 1),
        ("list.json", b"[]", "not a JSON object", 1),
        ("bare.json", b'{"facts": 7}', "holds no facts", 1),
        ("deep.json", b'{"facts":' * 100000, "is not JSON", 1),
        ("noise.tar.zst", b"\x28\xb5\x2f\xfd" + bytes(range(256)), "damaged", 1),
        ("text.tar.zst", b"hello", "neither", 1),
    ],
)
def test_bad_input_is_named_and_never_a_clean_bill(
    bilbs: Bilbs, tmp_path: Path, name: str, content: bytes | None, said: str, status: int
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    ended = bilbs("diag", "check", str(path))
    assert ended.status == status, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_no_facts_at_all_are_no_clean_bill_either(bilbs: Bilbs, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text('{"facts": {}, "collected_at": "2026-11-21T04:00:00+00:00"}')
    assert bilbs("diag", "check", str(path)).status == 20
    assert bilbs("diag", "check", str(path), "--format", "nagios").status == 3


def test_a_live_check_leaves_no_bundle_and_remembers_where_it_may(bilbs: Bilbs, tmp_path: Path) -> None:
    state = tmp_path / "state"
    ended = bilbs("diag", "check", "--json", env={"BILBS_STATE_DIR": str(state)})
    assert ended.status in {0, 10, 11}, ended.stderr
    assert ended.json["data"]["source"] == "live"
    assert [one.name for one in tmp_path.glob("*.tar*")] == []
    assert (state / "history.jsonl").exists()


def test_a_state_folder_that_cannot_be_written_costs_the_memory_and_not_the_verdict(
    bilbs: Bilbs, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    ended = bilbs("diag", "check", env={"BILBS_STATE_DIR": str(blocked / "state")})
    assert ended.status in {0, 10, 11}, ended.stderr
    assert "remembered" in ended.stdout + ended.stderr


def test_a_rule_can_be_explained_offline_and_an_unknown_one_gets_the_nearest_name(bilbs: Bilbs) -> None:
    told = bilbs("diag", "explain", "xid.79")
    assert told.status == 0
    assert "https://" in told.stdout
    assert "NVRM: Xid" in told.stdout
    assert bilbs("diag", "explain", "--json").json["data"]
    assert "catalogue does not know" in bilbs("diag", "explain", "xid.4711").stdout
    missing = bilbs("diag", "explain", "xit.79")
    assert missing.status == 5
    assert "did you mean xid.79?" in missing.stderr


SEEDED = {  # what tests/parts/bmc/box.py makes wrong, and nothing else; causes are those of the same part
    ("bmc.fan.stopped", "bmc:sensor:FAN2", "critical", ""),
    ("bmc.sel.fan", "bmc:sensor:FAN2", "critical", "bmc.fan.stopped@bmc:sensor:FAN2"),
    ("bmc.sensor.critical", "bmc:sensor:GPU3 Temp", "critical", ""),
    ("bmc.sel.threshold", "bmc:sensor:GPU3 Temp", "critical", "bmc.sensor.critical@bmc:sensor:GPU3 Temp"),
    ("bmc.sensor.critical", "bmc:sensor:VBAT", "critical", ""),
    ("bmc.psu", "bmc:sensor:PSU2 Status", "warning", ""),
    ("bmc.sel.power_supply", "bmc:sensor:PSU2 Status", "critical", "bmc.psu@bmc:sensor:PSU2 Status"),
    ("bmc.sensor.warning", "bmc:sensor:FAN3", "warning", ""),
    ("bmc.sel.bus_fatal", "bmc:sel", "critical", ""),
    ("bmc.clock", "bmc:sel", "warning", ""),
    ("bmc.sel.memory_correctable", "bmc:sel", "info", ""),
    ("bmc.sel.oem", "bmc:sel", "info", ""),
    ("bmc.fru", "bmc:fru:1", "info", ""),
    ("bmc.intrusion", "bmc:sensor:Intrusion", "info", ""),
}


def test_a_real_bmc_exchange_gives_exactly_the_faults_that_were_put_in(bilbs: Bilbs, tmp_path: Path) -> None:
    with simulator(tmp_path) as bmc:
        password = private(tmp_path / "password", PASSWORD)
        to_bmc = ["--bmc-host", "127.0.0.1", "--bmc-port", str(bmc.port), "--bmc-user", USER]
        ended = bilbs("diag", "check", *to_bmc, "--bmc-password-file", str(password), "--json")
    assert ended.status == 11
    found = [one for one in ended.json["data"]["findings"] if one["rule"].startswith("bmc.")]
    assert {(one["rule"], one["part"], one["severity"], one["caused_by"]) for one in found} == SEEDED
    assert len(found) == len(SEEDED)


def test_a_log_of_which_only_the_end_was_read_is_named_everywhere(bilbs: Bilbs, tmp_path: Path) -> None:
    root = tmp_path / "root" / "var" / "log"
    root.mkdir(parents=True)
    lines = (
        f"Nov 26 09:{number // 1000:02d}:00 gpu01 kernel: [ {number}.0] usb 1-1: new device" for number in range(30000)
    )
    (root / "kern.log").write_text("\n".join(lines) + "\n")
    env = {"BILBS_DIAG_MAX_FILE_SIZE": "256K"}
    live = ("diag", "check", "--sysroot", str(tmp_path / "root"), "--since", "all")
    whole = bilbs(*live, "--json").json["data"]["coverage"]["cut"]
    assert whole == []
    member = "kernel/var/log/kern.log"
    assert bilbs(*live, "--json", env=env).json["data"]["coverage"]["cut"] == [member]
    said = f"Not read whole (beyond diag.max_file_size, or ended early): {member}"
    assert said in " ".join(bilbs(*live, env=env).stdout.split())
    collected = bilbs("diag", "collect", *live[2:], "-o", str(tmp_path), "--json", env=env, timeout=90)
    bundle = collected.json["data"]["path"]
    shown = bilbs("diag", "check", bundle)
    assert said in " ".join(shown.stdout.split())
    assert bilbs("diag", "check", bundle, "--json").json["data"]["coverage"]["cut"] == [member]
    html = tmp_path / "report.html"
    bilbs("diag", "show", bundle, "--html", str(html))
    assert said in html.read_text()


# --- hooks and journals: what has changed ----------------------------------------------------------------------------


def hook(tmp_path: Path, status: int = 0) -> Path:
    path = tmp_path / "hook"
    path.write_text(
        f'#!/bin/sh\nprintf \'%s|%s|%s\\n\' "$BILBS_BEFORE" "$BILBS_NOW" "$BILBS_CHANGE" >> {tmp_path}/told\nexit {status}\n'
    )
    path.chmod(0o755)
    return path


def test_a_hook_runs_on_a_change_only_and_again_where_it_failed(bilbs: Bilbs, tmp_path: Path) -> None:
    root = system(tmp_path, BENIGN)
    told = tmp_path / "told"
    run = ("diag", "check", "--sysroot", str(root), "--since", "all", "--changes-only", "--on-change")
    first = bilbs(*run, str(hook(tmp_path)))
    assert first.stdout.startswith("first check -> ")
    again = bilbs(*run, str(hook(tmp_path)))
    assert (again.stdout, len(told.read_text().splitlines())) == ("", 1)
    (root / "var/log/kern.log").write_text(BENIGN + OFF_BUS)
    failed = bilbs(*run, str(hook(tmp_path, status=3)))
    assert (failed.status, "hook-failed" in failed.stderr, "exit status 3" in failed.stderr) == (1, True, True)
    worse = bilbs(*run, str(hook(tmp_path)))
    assert worse.status == 11
    assert "-> critical. new: " in worse.stdout
    assert "[xid.79]" in worse.stdout
    assert bilbs(*run, str(hook(tmp_path))).stdout == ""
    rows = [line.split("|") for line in told.read_text().splitlines()]
    assert [row[1] for row in rows][1:] == ["critical", "critical"]
    assert rows[-1][2] == worse.stdout.strip()
    (root / "var/log/kern.log").write_text(BENIGN)
    assert "gone: critical" in bilbs(*run, str(hook(tmp_path))).stdout
    assert not (root / "var/lib").exists()  # a mounted system stays as it was found


def test_a_hook_sees_no_shell_and_no_escape_sequence(bilbs: Bilbs, tmp_path: Path) -> None:
    evil = OFF_BUS.replace("<unknown>", "\x1b[2J$(touch /tmp/evil-hook)")
    root = system(tmp_path, evil)
    run = ("diag", "check", "--sysroot", str(root), "--since", "all", "--on-change")
    bilbs(*run, f"{hook(tmp_path)} ; touch {tmp_path}/second")
    assert not (tmp_path / "second").exists()
    assert "\x1b" not in (tmp_path / "told").read_text()
    assert bilbs(*run, "'").status in {2, 11}
    assert bilbs("diag", "check", "--on-change", "x", "nothing.tar.zst").status == 2


def test_the_page_for_prometheus_is_written_whole_for_everyone_to_read(
    bilbs: Bilbs, dead_box: Path, tmp_path: Path
) -> None:
    page = tmp_path / "bilbs.prom"
    run = ("diag", "check", "--sysroot", str(dead_box), "--since", "all")
    ended = bilbs(*run, "--format", "prometheus", "-o", str(page))
    assert (ended.status, ended.stdout, page.stat().st_mode & 0o777) == (11, "", 0o644)
    assert "bilbs_check_finding" in page.read_text()
    assert bilbs(*run, "-o", str(page)).status == 2
    assert bilbs(*run, "--format", "prometheus", "-o", "/nonexistent/x.prom").status == 73
