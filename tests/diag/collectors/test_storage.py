"""The storage collector: mounts that hang or lie, disks that sleep or die, and the live host against df and psutil."""

from __future__ import annotations

import contextlib
import doctest
import gzip
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli import process
from bilbs_cli.diag import collect, model
from bilbs_cli.diag.bundle.frames import Compression, Frame
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.collectors import mounts, raid, smart, storage
from bilbs_cli.diag.collectors.storage import STORAGE
from bilbs_cli.diag.job import Job, Options, Profile
from bilbs_cli.diag.model import NotCollected, ReadError, Status, Value
from bilbs_cli.diag.redaction import Redactor
from tests.diag.collectors.hosts import calls, copied, dead, part, program, write
from tests.inprocess import Gathered, gather
from tests.parts.disk import small_disk


@pytest.fixture(scope="module")
def fallen() -> Gathered:
    return gather(STORAGE, dead())


def fact(got: Gathered, *path: str) -> model.Reading:
    return model.lookup(got.facts, "storage", *path)


@pytest.mark.parametrize("module", [mounts, raid, smart])
def test_the_samples_in_the_docstrings_are_true(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted
    assert not result.failed


def test_free_space_is_what_df_would_say() -> None:
    got = gather(STORAGE, Options(profile=Profile.TRIAGE))
    compared = []
    for name, usage in model.branch(got.facts, "storage", "file_systems").items():
        with contextlib.suppress(OSError):  # unmounted by now
            witness = psutil.disk_usage(model.value(usage, "mount_point"))
            if witness.total and "size_bytes" in usage:
                assert model.lookup(usage, "size_bytes") == Value(witness.total)
                assert model.value(usage, "used_percent") == pytest.approx(witness.percent, abs=1)
                assert model.value(usage, "available_bytes") == pytest.approx(witness.free, abs=1 << 30)
                compared.append(name)
    assert compared


def test_a_file_system_that_went_read_only_is_seen(fallen: Gathered) -> None:
    assert fact(fallen, "file_systems", "-", "read_only") == Value(value=True)
    assert fact(fallen, "file_systems", "home", "read_only") == Value(value=False)


def test_bind_mounts_images_and_container_layers_do_not_count_again(fallen: Gathered) -> None:
    names = list(model.branch(fallen.facts, "storage", "file_systems"))
    assert names == ["-", "dev-shm", "run", "home", r"mnt-two\x20words"]


def test_the_space_of_a_system_that_does_not_run_is_not_that_of_this_one(fallen: Gathered) -> None:
    assert isinstance(fact(fallen, "file_systems", "-", "usage"), NotCollected)
    assert isinstance(fact(fallen, "file_systems", "-", "size_bytes"), NotCollected)


class Memory:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.facts: model.Tree = {}
        self.members: dict[str, bytes] = {}
        self.items: list[Item] = []

    def write(self, member: str, frame: Frame) -> None:
        self.members[member] = self.members.get(member, b"") + gzip.decompress(frame.data)

    def finish(self, item: Item) -> Item:
        self.items.append(item)
        return item

    def fact(self, path: Sequence[str], leaf: object) -> None:
        model.insert(self.facts, tuple(path), model.decode(leaf))


def test_dead_servers_cost_one_wait_each_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in real children: statvfs(3) of a dead NFS server does not return and signals do not end it."""
    table = [
        mounts.Mount("/dev/root", "/", "ext4", ("rw",)),
        mounts.Mount("filer:/home", "/home", "nfs4", ("rw",)),
        mounts.Mount("filer:/data", "/data", "nfs4", ("rw",)),
        mounts.Mount("other:/x", "/x", "nfs4", ("rw",)),
    ]
    usage = mounts.usage

    def dead_server(place: str) -> dict[str, object]:
        if place in {"/home", "/data"}:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
        return usage("/")

    monkeypatch.setattr(mounts, "storing", lambda _: table)
    monkeypatch.setattr(mounts, "usage", dead_server)
    monkeypatch.setattr(storage, "REMOTE_S", 0.3)
    memory = Memory()
    began = time.monotonic()
    results = collect.Run(
        [STORAGE],
        Options(profile=Profile.TRIAGE),
        sink=memory,
        redactor=Redactor(),
        compression=Compression.GZIP,
        deadline_s=20,
    ).run()
    assert time.monotonic() - began < 6
    assert results[0].status is Status.TIMEOUT
    branch = ("storage", "file_systems")
    home = model.lookup(memory.facts, *branch, "home", "usage")
    assert isinstance(home, ReadError)
    assert home.kind == "Timeout"
    assert isinstance(model.lookup(memory.facts, *branch, "data", "usage"), NotCollected), "same server: not asked"
    for answered in ("-", "x"):
        assert isinstance(model.lookup(memory.facts, *branch, answered, "size_bytes"), Value)


def test_a_mount_that_refuses_is_an_error_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        mounts,
        "storing",
        lambda _: [
            mounts.Mount("gone:/a", "/no/such/place", "nfs4", ("rw",)),
            mounts.Mount("gone:/b", "/", "nfs4", ("rw",)),
        ],
    )
    got = gather(STORAGE, Options(profile=Profile.TRIAGE))
    assert fact(got, "file_systems", "no-such-place", "usage") == ReadError(
        "FileNotFoundError", "No such file or directory", 2
    )
    assert isinstance(fact(got, "file_systems", "-", "size_bytes"), Value), "an error is an answer"


def test_what_another_machine_must_answer_comes_last() -> None:
    text = (
        "filer:/a /a nfs4 rw 0 0\n//nas/share /b cifs rw 0 0\n/dev/sda1 /z ext4 rw 0 0\nsshfs#x /c fuse.sshfs rw 0 0\n"
        "/dev/sdb /n fuseblk rw 0 0\n"
    )
    assert [mount.place for mount in mounts.storing(mounts.parse(text))] == ["/n", "/z", "/a", "/b", "/c"]
    assert {mount.server for mount in mounts.parse(text)} == {"filer", "nas", "/dev/sda1", "sshfs#x", "/dev/sdb"}


def test_a_later_mount_covers_an_earlier_one_at_the_same_place() -> None:
    (mount,) = mounts.storing(mounts.parse("/dev/sda1 /mnt ext4 rw 0 0\n/dev/sdb1 /mnt xfs ro 0 0\n"))
    assert (mount.device, mount.read_only) == ("/dev/sdb1", True)


@given(st.lists(st.text(min_size=1, max_size=8).filter(lambda part: "/" not in part), max_size=4))
def test_a_mount_point_is_one_step_of_a_path_and_stays_itself(parts: list[str]) -> None:
    place = "/" + "/".join(parts)
    name = mounts.unit_name(place)
    assert "/" not in name
    assert name
    unescaped = name.replace("-", "/").encode().decode("unicode_escape").encode("latin-1")
    assert unescaped == ("/".join(parts).encode("utf-8", "surrogateescape") or b"/")


@given(st.binary(max_size=300))
def test_any_mount_table_is_parsed(noise: bytes) -> None:
    for line in (noise, b"/dev/sdb1 /mnt/" + noise + b" ext4 rw 0 0"):
        for mount in mounts.storing(mounts.parse(line.decode("utf-8", "surrogateescape"))):
            assert mounts.unit_name(mount.place).isascii()


@given(st.binary(max_size=300))
def test_any_mountinfo_is_parsed(noise: bytes) -> None:
    for line in (noise, b"27 1 8:1 / /mnt/" + noise + b" rw - ext4 /dev/sda1 rw", b"27 1 8:1 / / rw - " + noise):
        for mount in mounts.storing(mounts.parse_info(line.decode("utf-8", "surrogateescape"))):
            assert mounts.unit_name(mount.place).isascii()


def test_a_place_that_is_read_only_for_this_process_alone_is_no_read_only_file_system(tmp_path: Path) -> None:
    """As in a hardened unit of systemd: ProtectSystem=strict. A file system that is read-only is still found."""
    with small_disk(tmp_path / "seen", 4 << 20) as seen, small_disk(tmp_path / "itself", 4 << 20) as itself:
        script = f"mount -o remount,bind,ro {seen.path} && mount -o remount,ro {itself.path} && cat /proc/self/mountinfo && cat /proc/mounts >&2"
        done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=True)
        told = {mount.place: mount.read_only for mount in mounts.parse_info(done.stdout)}
        naive = {mount.place: mount.read_only for mount in mounts.parse(done.stderr)}
    assert (told[str(seen.path)], told[str(itself.path)]) == (False, True)
    assert (naive[str(seen.path)], naive[str(itself.path)]) == (True, True)


def test_lines_that_are_cut_short_are_left_out() -> None:
    assert mounts.parse("/dev/sda1 /mnt ext4\n/dev/sda1\n\n") == []
    assert mounts.parse_info("27 1 8:1 / / rw\n27 1 8:1 - ext4 /dev/sda1 rw\n27 1 8:1 / / rw - ext4 x\n\n") == []
    assert raid.zpools(" state: ONLINE\n  pool: tank\n") == {"tank": {"state": None, "errors": None}}
    assert raid.mdstat("md0\nmd1 :\nmd2 : active\n")["md2"]["members"] == []


def test_a_mount_point_in_another_encoding_is_recorded(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/proc/mounts", b"/dev/sdb1 /mnt/caf\xe9\\040x ext4 rw 0 0\n")
    got = gather(STORAGE, dead(root))
    assert list(model.branch(got.facts, "storage", "file_systems")) == [r"mnt-caf\xe9\x20x"]


def test_a_degraded_mirror_names_its_failed_disk(fallen: Gathered) -> None:
    assert fact(fallen, "md", "md0", "failed") == Value(["nvme1n1p2"])
    assert (fact(fallen, "md", "md0", "wanted"), fact(fallen, "md", "md0", "working")) == (Value(2), Value(1))
    assert fact(fallen, "md", "md0", "progress") == Value("recovery = 12.6%")
    assert (fact(fallen, "md", "md0", "level"), fact(fallen, "md", "md0", "state")) == (Value("raid1"), Value("active"))
    assert fact(fallen, "md", "md1", "failed") == Value([])
    assert fact(fallen, "md", "md0", "degraded") == Value(1)


@given(st.text(max_size=300))
def test_any_text_of_arrays_and_pools_is_parsed(text: str) -> None:
    for before in ("", "md0 : active ", "  pool: "):
        raid.mdstat(before + text)
        raid.zpools(before + text)


def test_a_pool_that_lost_a_disk_has_its_state() -> None:
    text = "  pool: tank\n state: DEGRADED\nstatus: One or more devices...\nerrors: 3 data errors, use '-v' for a list\n\n  pool: b\n state: ONLINE\n"
    assert raid.zpools(text) == {
        "tank": {"state": "DEGRADED", "errors": "3 data errors, use '-v' for a list"},
        "b": {"state": "ONLINE", "errors": None},
    }


def test_a_dead_controller_and_an_offline_disk_are_seen_without_asking_them(fallen: Gathered) -> None:
    assert fact(fallen, "nvme", "nvme0", "state") == Value("dead")
    assert fact(fallen, "disks", "sda", "state") == Value("offline")
    assert fact(fallen, "disks", "sda", "io_errors") == Value(31)
    assert fact(fallen, "disks", "nvme0n1", "serial") == Value("S64HNE0T100200")
    assert fact(fallen, "disks", "nvme0n1", "read_only") == Value(value=True)
    assert "loop0" not in model.branch(fallen.facts, "storage", "disks")


NVME = {
    "smart_status": {"passed": True},
    "model_name": "SAMSUNG MZQL23T8HCLS",
    "temperature": {"current": 41},
    "smartctl": {"exit_status": 0},
    "power_on_time": {"hours": 9000},
    "nvme_smart_health_information_log": {
        "critical_warning": 4,
        "available_spare": 3,
        "available_spare_threshold": 10,
        "percentage_used": 101,
        "media_errors": 12,
        "power_on_hours": 9001,
    },
}
ATA = {
    "smart_status": {"passed": False},
    "smartctl": {"exit_status": 24, "messages": [{"string": "Warning", "severity": "warning"}]},
    "ata_smart_attributes": {
        "table": [
            {"id": 5, "raw": {"value": 120}},
            {"id": 197, "raw": {"value": 8}},
            {"id": 9, "raw": {"value": 1}},
            {"raw": {"value": 1}},
            {"id": []},
            7,
        ]
    },
    "ata_smart_error_log": {"extended": {"count": 6}},
}
SCSI = {
    "smart_status": {"passed": True},
    "scsi_grown_defect_list": 7,
    "scsi_model_name": "X",
    "scsi_error_counter_log": {"read": {"total_uncorrected_errors": 2}},
}


def test_the_wear_of_an_nvme_disk_is_read() -> None:
    facts = smart.smartctl(NVME)
    assert facts["passed"] is True
    assert (facts["critical_warning"], facts["spare_percent"], facts["spare_threshold_percent"]) == (4, 3, 10)
    assert (facts["used_percent"], facts["media_errors"], facts["temperature_c"]) == (101, 12, 41)


def test_the_exit_status_of_smartctl_is_a_set_of_bits() -> None:
    facts = smart.smartctl(ATA)
    assert facts["exit_bits"] == ["failing", "prefail_below_threshold"]
    assert (facts["reallocated_sectors"], facts["pending_sectors"], facts["error_log_entries"]) == (120, 8, 6)
    assert facts["messages"] == ["Warning"]


def test_the_defects_of_a_scsi_disk_are_read() -> None:
    facts = smart.smartctl(SCSI)
    assert (facts["grown_defects"], facts["read_uncorrected"], facts["model"]) == (7, 2, "X")


@pytest.mark.parametrize("status", [None, "yes", 1, {}, []])
def test_a_disk_that_does_not_say_is_not_healthy(status: object) -> None:
    assert smart.smartctl({"smart_status": {"passed": status}})["passed"] is None
    assert smart.smartctl({"smart_status": status})["passed"] is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*NVME, *ATA, *SCSI]), json_values))
def test_any_document_of_a_disk_is_decoded(found: dict[str, object]) -> None:
    smart.smartctl(found)
    smart.nvme_smart_log(found)


def test_what_is_no_document_is_none() -> None:
    for data in (None, b"", b"null", b"[]", b"{", b"[" * 100_000, b"\xff"):
        assert smart.document(data) is None


def test_nvme_cli_in_both_of_its_forms_gives_celsius_and_the_warning() -> None:
    old = {"critical_warning": 1, "temperature": 314, "avail_spare": 100, "percent_used": 2, "media_errors": "12"}
    new = old | {"critical_warning": {"value": 1, "available_spare": 1}}
    for document in (old, new):
        facts = smart.nvme_smart_log(document)
        assert (facts["critical_warning"], facts["temperature_c"], facts["media_errors"]) == (1, 41, 12)


def test_smartctl_is_believed_whatever_its_exit_status_and_does_not_wake_a_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard = program(monkeypatch, tmp_path / "bin", "smartctl", f"echo '{json.dumps(ATA)}'; exit 24")
    got = gather(part(lambda job: storage._smart(job, "sda", "/dev/sda"), "storage"))
    assert got.item("storage/smart/sda.json").status is Status.OK
    assert got.item("storage/smart/sda.json").exit_status == 24
    assert fact(got, "disks", "sda", "smart", "passed") == Value(value=False)
    assert fact(got, "disks", "sda", "smart", "exit_bits") == Value(["failing", "prefail_below_threshold"])
    (call,) = calls(heard)
    assert call[call.index("-n") + 1] == "standby"


def test_where_smartctl_says_nothing_nvme_cli_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(monkeypatch, tmp_path / "bin", "smartctl", "exit 1")
    program(
        monkeypatch, tmp_path / "bin", "nvme", """echo '{"critical_warning":0,"temperature":300,"media_errors":3}'"""
    )
    got = gather(part(lambda job: storage._smart(job, "nvme0n1", "/dev/nvme0"), "storage"))
    assert fact(got, "disks", "nvme0n1", "smart", "media_errors") == Value(3)
    assert isinstance(fact(got, "disks", "nvme0n1", "smart", "spare_percent"), NotCollected)
    assert isinstance(fact(got, "disks", "nvme0n1", "smart", "passed"), NotCollected)


def test_disks_behind_a_raid_controller_are_found_and_odd_answers_are_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scan = {
        "devices": [
            {"name": "/dev/bus/0", "type": "megaraid,3"},
            {"name": "/dev/sda; x", "type": "megaraid,1"},
            {"name": "/dev/sdb", "type": "scsi"},
            {"name": "--help", "type": "megaraid,2"},
            7,
        ]
    }
    heard = program(
        monkeypatch,
        tmp_path / "bin",
        "smartctl",
        f"case \"$1\" in --scan) echo '{json.dumps(scan)}';; *) echo '{json.dumps(SCSI)}';; esac",
    )
    got = gather(part(storage._megaraid, "storage"))
    assert fact(got, "disks", "bus_0-megaraid,3", "smart", "grown_defects") == Value(7)
    assert [call for call in calls(heard) if "-x" in call] == [
        ["-x", "-j", "-n", "standby", "/dev/bus/0", "-d", "megaraid,3"]
    ]


def test_the_smart_data_of_a_controller_are_those_of_its_namespace(tmp_path: Path) -> None:
    root = copied(tmp_path)
    for name in ("nvme1/nvme1c1n1", "nvme2/state"):
        write(root, f"/sys/class/nvme/{name}", "")
    named: list[str] = []
    gather(
        part(lambda job: named.extend(storage._namespace(job, name) for name in ("nvme0", "nvme1", "nvme2"))),
        dead(root),
    )
    assert named == ["nvme0n1", "nvme1n1", "nvme2"]


def test_disks_that_must_not_be_asked_say_why(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/sys/devices/platform/host9/session1/target9:0:0/9:0:0:0/block/sdz/size", "8\n")
    (root / "sys/block/sdz").symlink_to("../devices/platform/host9/session1/target9:0:0/9:0:0:0/block/sdz")
    reasons: dict[str, str | None] = {}

    def ask(job: Job) -> None:
        reasons["sdz"] = storage._disk_obstacle(job, "sdz")
        reasons["nowhere"] = storage._disk_obstacle(job, "no-such-disk")
        reasons["sda"] = storage._disk_obstacle(job, "sda")
        reasons["nvme0"] = storage._nvme_obstacle(job, "nvme0")
        (root / "sys/class/nvme/nvme0/state").write_text("live\n")
        reasons["live"] = storage._nvme_obstacle(job, "nvme0")
        (root / "sys/class/nvme/nvme0/transport").write_text("tcp\n")
        reasons["remote"] = storage._nvme_obstacle(job, "nvme0")

    gather(part(ask), dead(root))
    assert reasons.pop("nowhere") == "its place in sysfs cannot be read"
    assert reasons == {
        "sdz": "it is an iSCSI disk: asking it would use the network",
        "sda": "the disk is offline",
        "nvme0": "the controller is dead",
        "live": None,
        "remote": "it is reached over tcp: asking it would use the network",
    }


def test_missing_disk_tools_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find", lambda _: None)
    got = gather(part(lambda job: storage._health(job, ["sda", "sdb"], ["nvme0"]), "storage"))
    assert [(item.path, item.status) for item in got.items] == [("storage/smart", Status.UNAVAILABLE)]


def test_without_root_smart_data_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_disk_obstacle", lambda *_: None)
    monkeypatch.setattr(process, "find", lambda name: name)
    got = gather(part(lambda job: storage._health(job, ["sda"], []), "storage"), Options(root=False))
    assert got.item("storage/smart/sda.json").status is Status.DENIED


def test_programs_are_left_alone_on_a_dead_system_and_in_a_hurry(fallen: Gathered) -> None:
    for got in (fallen, gather(STORAGE, Options(profile=Profile.TRIAGE, root=True))):
        assert not [item for item in got.items if item.source.startswith("command:")]


def test_an_empty_disk_gives_no_values(tmp_path: Path) -> None:
    got = gather(STORAGE, dead(tmp_path))
    assert [path for path, reading in model.leaves(got.facts) if isinstance(reading, Value)] == []
    assert got.members == {}


def test_a_fifo_in_place_of_the_mount_table_does_not_hang(tmp_path: Path) -> None:
    root = copied(tmp_path)
    with contextlib.suppress(FileNotFoundError):
        (root / "proc/mounts").unlink()
    os.mkfifo(root / "proc/mounts")
    got = gather(STORAGE, dead(root))
    assert got.item("storage/proc/mounts").status is Status.SKIPPED
    assert fact(got, "md", "md0", "working") == Value(1)
