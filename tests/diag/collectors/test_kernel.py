"""The kernel collector: ring buffer, journal and log files, and what hostile folders full of logs do to it."""

from __future__ import annotations

import doctest
import gzip
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bilbs_cli.diag import model
from bilbs_cli.diag.collectors import kernel, kmsg
from bilbs_cli.diag.collectors.kernel import KERNEL
from bilbs_cli.diag.job import Options, Profile
from bilbs_cli.diag.model import NotCollected, ReadError, Status, Value
from tests.diag.collectors.hosts import as_nobody, calls, copied, dead, program, write
from tests.inprocess import Gathered, gather
from tests.parts.patience import BUSY_S

BOOTS = '[{"index":-1,"boot_id":"aa","first_entry":1,"last_entry":2},{"index":0,"boot_id":"bb"}]'
JOURNAL = f"""case "$*" in
*--list-boots*) echo '{BOOTS}';;
*) echo '{{"MESSAGE":"NVRM: Xid (PCI:0000:17:00): 79","PRIORITY":"3"}}';;
esac"""


@pytest.fixture(scope="module")
def fallen() -> Gathered:
    return gather(KERNEL, dead())


@pytest.mark.parametrize("module", [kernel, kmsg])
def test_the_samples_in_the_docstrings_are_true(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted
    assert not result.failed


def ring_buffer() -> list[bytes] | OSError:
    """Return what this user may read of the ring buffer."""
    try:
        return [kmsg.line(record) for record in kmsg.records()]
    except OSError as error:
        return error


def test_the_ring_buffer_is_kept_or_the_refusal_is() -> None:
    expected = ring_buffer()
    got = gather(KERNEL, Options(root=True, profile=Profile.TRIAGE))
    if isinstance(expected, OSError):
        assert got.item("kernel/dmesg.txt").status in {Status.DENIED, Status.UNAVAILABLE}
        assert isinstance(model.lookup(got.facts, "kernel", "ring_buffer", "records"), ReadError)
    else:
        text = got.members["kernel/dmesg.txt"].splitlines()
        assert text[0].split(b"]")[0] == expected[0].split(b"]")[0]
        assert model.lookup(got.facts, "kernel", "ring_buffer", "records") == Value(len(text))


def test_reading_the_ring_buffer_takes_nothing_from_it_and_ends() -> None:
    began = time.monotonic()
    first, second = ring_buffer(), ring_buffer()
    assert time.monotonic() - began < 5
    assert isinstance(first, OSError) or first == second[: len(first)]  # type: ignore[index]


def test_without_rights_the_ring_buffer_is_denied_or_as_it_is_for_that_user() -> None:
    with as_nobody():
        expected = ring_buffer()
        got = gather(KERNEL, Options(root=False, profile=Profile.TRIAGE))
    records = model.lookup(got.facts, "kernel", "ring_buffer", "records")
    if isinstance(expected, OSError):
        assert isinstance(records, ReadError)
        assert records.code == expected.errno
    else:
        assert isinstance(records, Value)
    assert got.item("kernel/dmesg.txt").status is (Status.OK if isinstance(expected, list) else Status.DENIED)


def test_a_ring_buffer_that_is_no_device_is_read_to_its_end(tmp_path: Path) -> None:
    place = tmp_path / "kmsg"
    place.write_bytes(b"6,1,5000000,-;hello\n DEVICE=x\n")
    assert [kmsg.line(record) for record in kmsg.records(str(place))] == [b"<6>[    5.000000] hello\n"]
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    began = time.monotonic()
    assert list(kmsg.records(str(fifo))) == []
    assert time.monotonic() - began < 2 + BUSY_S


def test_what_is_no_kernel_record_stays_as_it_is() -> None:
    for record in (b"", b"no separator\n", b";\n", b"a,b,c;text\n", b"6;short head\n", b"\xff\xfe,1,2;x"):
        assert kmsg.line(record).rstrip(b"\n") == record.rstrip(b"\n")


def test_logs_of_a_dead_system_are_read_with_their_rotated_and_compressed_ones(fallen: Gathered) -> None:
    assert b"Xid (PCI:0000:17:00): 79" in fallen.members["kernel/var/log/kern.log"]
    assert b"Linux version" in fallen.members["kernel/var/log/kern.log.1"]
    assert b"taints kernel" in fallen.members["kernel/var/log/kern.log.2.gz"]
    assert b"nvidia-persistenced" in fallen.members["kernel/var/log/syslog"]
    assert b"Kernel panic" in fallen.members["kernel/sys/fs/pstore/dmesg-efi-170044400001001"]


def test_a_password_in_a_log_does_not_come_along_but_the_xid_does(fallen: Gathered) -> None:
    assert b"hunter2secret" not in fallen.members["kernel/var/log/syslog"]
    assert b"GPU Board Serial Number: 1650124014249" in fallen.members["kernel/var/log/kern.log"]


def test_the_ring_buffer_and_the_journal_of_the_living_are_left_out_on_a_dead_system(fallen: Gathered) -> None:
    assert "kernel/dmesg.txt" not in fallen.members
    assert fallen.item("kernel/journal-this-boot.jsonl").status is Status.SKIPPED
    assert "journalctl -D" in (fallen.item("kernel/journal-this-boot.jsonl").reason or "")


def test_taint_modules_and_settings_are_facts(fallen: Gathered) -> None:
    assert model.lookup(fallen.facts, "kernel", "taint_reasons") == Value(
        ["proprietary module", "warning", "out-of-tree module"]
    )
    assert model.lookup(fallen.facts, "kernel", "modules", "nvidia", "version") == Value("570.86.15")
    assert "ext4" not in model.branch(fallen.facts, "kernel", "modules"), "of no interest here"
    assert model.lookup(fallen.facts, "kernel", "settings", "kernel", "hung_task_timeout_secs") == Value(120)
    assert b"nvidia.NVreg_EnableGpuFirmware=18\n" in fallen.members["kernel/module-parameters.txt"]


def test_a_driver_that_was_not_built_for_the_kernel_shows_for_which_it_was(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/var/lib/dkms/nvidia/570.86.15/build/make.log", "make: *** [Makefile:120: modules] Error 2\n")
    fallen = gather(KERNEL, dead(root))
    assert model.lookup(fallen.facts, "kernel", "dkms", "nvidia", "5.15.0-117-generic") == Value("570.86.15")
    assert isinstance(model.lookup(fallen.facts, "kernel", "dkms", "nvidia", "5.15.0-118-generic"), NotCollected)
    assert b"Error 2" in fallen.members["kernel/var/lib/dkms/nvidia/570.86.15/build/make.log"]


def test_a_taint_bit_of_a_newer_kernel_is_named_by_its_number() -> None:
    assert kernel.taint_reasons(1 << 40) == ["bit 40"]


def test_pipes_sockets_loops_and_folders_among_the_logs_are_stepped_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(tmp_path)
    logs = root / "var/log"
    os.mkfifo(logs / "kern.log.fifo")
    (logs / "syslog.loop").symlink_to("syslog.loop")
    (logs / "syslog.d").mkdir()
    (logs / "messages").symlink_to("/etc/hostname")
    monkeypatch.chdir(logs)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("syslog.socket")
        began = time.monotonic()
        got = gather(KERNEL, dead(root))
    assert time.monotonic() - began < 5
    for name in ("kern.log.fifo", "syslog.loop", "syslog.d", "syslog.socket"):
        assert got.item(f"kernel/var/log/{name}").status is Status.SKIPPED, name
    assert got.members["kernel/var/log/messages"] == b"gpu07\n", (
        "a link leads inside the mounted system, not to this one"
    )
    assert b"Xid" in got.members["kernel/var/log/kern.log"]


def test_logs_in_any_encoding_keep_their_bytes(tmp_path: Path) -> None:
    root = copied(tmp_path)
    odd = "Nov 20 gpu07 kernel: caf\N{LATIN SMALL LETTER E WITH ACUTE}\n"
    write(root, "/var/log/messages", odd.encode("latin-1") + b"\0\0\x1b[31mred\n" + odd.encode())
    assert gather(KERNEL, dead(root)).members["kernel/var/log/messages"] == (
        odd.encode("latin-1") + b"\0\0\x1b[31mred\n" + odd.encode()
    )


def test_a_rotated_log_whose_compression_is_a_lie_is_still_text(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/var/log/kern.log.3.gz", "plain after all: NVRM: Xid (PCI:0000:18:00): 48\n")
    write(
        root,
        "/var/log/kern.log.4.gz",
        gzip.compress(b"".join(b"line %d\n" % number for number in range(200_000)))[:-60],
    )
    got = gather(KERNEL, dead(root))
    assert b"Xid (PCI:0000:18:00): 48" in got.members["kernel/var/log/kern.log.3.gz"]
    assert got.members["kernel/var/log/kern.log.4.gz"].startswith(b"line 0\nline 1\n")


def test_logs_last_changed_before_since_are_left_out(tmp_path: Path) -> None:
    root = copied(tmp_path)
    since = datetime(2026, 11, 19, tzinfo=UTC)
    os.utime(root / "var/log/kern.log.1", (since.timestamp() - 1,) * 2)
    os.utime(root / "var/log/kern.log", (since.timestamp() + 1,) * 2)
    got = gather(KERNEL, dead(root, since=since))
    assert got.item("kernel/var/log/kern.log.1").status is Status.SKIPPED
    assert got.item("kernel/var/log/kern.log").status is Status.OK


def test_in_a_hurry_only_the_newest_log_of_each_kind_is_read() -> None:
    got = gather(KERNEL, dead(profile=Profile.TRIAGE))
    assert "kernel/var/log/kern.log" in got.members
    assert "kernel/var/log/kern.log.1" not in got.members


def test_the_journal_of_this_and_the_previous_boot_is_asked_for_as_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard = program(monkeypatch, tmp_path / "bin", "journalctl", JOURNAL)
    since = datetime(2026, 11, 19, tzinfo=UTC)
    got = gather(KERNEL, Options(root=True, since=since, max_file_bytes=1 << 20))
    assert b"Xid" in got.members["kernel/journal-this-boot.jsonl"]
    assert b"Xid" in got.members["kernel/journal-previous-boot.jsonl"]
    assert model.lookup(got.facts, "kernel", "journal", "boots") == Value(2)
    asked = [call for call in calls(heard) if "-k" in call]
    assert [call[call.index("-b") + 1] for call in asked] == ["0", "-1"]
    assert all(f"--since=@{int(since.timestamp())}" in call for call in asked)
    assert all(call[call.index("-n") + 1] == "2048" for call in asked), "the newest entries, within the cap of a file"


def test_in_a_hurry_only_this_boot_is_asked_for_and_fewer_entries(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard = program(monkeypatch, tmp_path / "bin", "journalctl", JOURNAL)
    gather(KERNEL, Options(root=True, profile=Profile.TRIAGE))
    asked = [call for call in calls(heard) if "-k" in call]
    assert [(call[call.index("-b") + 1], call[call.index("-n") + 1]) for call in asked] == [("0", "5000")]


def test_a_boot_that_the_journal_does_not_have_is_unavailable_not_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(monkeypatch, tmp_path / "bin", "journalctl", """echo '[{"index":0,"boot_id":"bb"}]'""")
    got = gather(KERNEL, Options(root=True))
    assert got.item("kernel/journal-this-boot.jsonl").status is Status.OK
    assert got.item("kernel/journal-previous-boot.jsonl").status is Status.UNAVAILABLE


@pytest.mark.parametrize(("root", "status"), [(True, Status.UNAVAILABLE), (False, Status.DENIED)])
def test_an_empty_journal_is_unavailable_to_root_and_denied_to_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: bool, status: Status
) -> None:
    program(monkeypatch, tmp_path / "bin", "journalctl", "exit 0")
    got = gather(KERNEL, Options(root=root))
    assert got.item("kernel/journal-this-boot.jsonl").status is status
    assert isinstance(model.lookup(got.facts, "kernel", "journal", "boots"), NotCollected)


def test_a_journal_that_hangs_is_asked_again_for_nothing_and_the_files_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(monkeypatch, tmp_path / "bin", "journalctl", JOURNAL)
    done = frozenset({"kernel/journal-boots.txt", "kernel/journal-this-boot.jsonl"})
    got = gather(KERNEL, Options(root=True), skip=done)
    assert "kernel/journal-this-boot.jsonl" not in got.members
    assert "kernel/journal-previous-boot.jsonl" in got.members
    assert "kernel/proc/cmdline" in got.members


def test_boots_that_are_not_what_they_should_be_are_no_boots() -> None:
    for listing in ("", "null", "[1]", '[{"index":"x","boot_id":1}]', "{", "[" * 100_000, " 9999999 abc"):
        assert kernel.boots(listing) == {}


def test_an_empty_disk_gives_no_values(tmp_path: Path) -> None:
    got = gather(KERNEL, dead(tmp_path))
    assert [path for path, reading in model.leaves(got.facts) if isinstance(reading, Value)] == []
    assert got.members == {}
