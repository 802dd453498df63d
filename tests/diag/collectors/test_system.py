"""The system collector: the live host against other witnesses, and the dead one in `tests/data`."""

from __future__ import annotations

import contextlib
import doctest
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag import model
from bilbs_cli.diag.collectors import clock, dmi, hardware, proc_text, processes, rasdaemon, sysfs, system
from bilbs_cli.diag.collectors.system import SYSTEM
from bilbs_cli.diag.job import Options, Profile
from bilbs_cli.diag.model import NotCollected, ReadError, Status, Value
from tests.diag.collectors.hosts import as_nobody, copied, dead, write
from tests.inprocess import Gathered, gather
from tests.parts.patience import BUSY_S


@pytest.fixture(scope="module")
def live() -> Gathered:
    return gather(SYSTEM)


@pytest.fixture(scope="module")
def fallen() -> Gathered:
    return gather(SYSTEM, dead())


def fact(got: Gathered, *path: str) -> model.Reading:
    return model.lookup(got.facts, "system", *path)


@pytest.mark.parametrize("module", [clock, dmi, proc_text, processes, sysfs])
def test_the_samples_in_the_docstrings_are_true(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted
    assert not result.failed


def test_the_live_host_is_described_as_its_kernel_describes_it(live: Gathered) -> None:
    assert fact(live, "kernel_release") == Value(os.uname().release)
    assert fact(live, "architecture") == Value(os.uname().machine)
    assert fact(live, "memory", "total_bytes") == Value(psutil.virtual_memory().total)
    assert fact(live, "cpu", "threads") == Value(psutil.cpu_count())
    assert fact(live, "memory", "swap_total_bytes") == Value(psutil.swap_memory().total)
    assert model.value(live.facts, "system", "uptime_s") == pytest.approx(
        time.clock_gettime(time.CLOCK_BOOTTIME), abs=30
    )


def test_every_process_of_the_live_host_is_counted(live: Gathered) -> None:
    count = model.value(live.facts, "system", "tasks", "count")
    assert count == pytest.approx(len(psutil.pids()), abs=30)
    assert sum(model.value(live.facts, "system", "tasks", "states").values()) == count
    assert f"{os.getpid():8} " in live.members["system/processes.txt"].decode()


def test_the_clock_is_read_and_not_changed(live: Gathered) -> None:
    assert isinstance(model.value(live.facts, "system", "clock", "synchronized"), bool)
    before, after = clock.discipline(), clock.discipline()
    assert before["frequency_ppm"] == after["frequency_ppm"]


def test_an_unsynchronised_clock_is_told_from_a_synchronised_one() -> None:
    assert clock.facts_of(0, clock.Timex(status=0))["synchronized"] is True
    assert clock.facts_of(clock.TIME_ERROR, clock.Timex(status=0))["synchronized"] is False
    assert clock.facts_of(0, clock.Timex(status=clock.STA_UNSYNC))["synchronized"] is False
    assert clock.facts_of(0, clock.Timex(offset=1500))["offset_s"] == 0.0015


@contextlib.contextmanager
def stuck_process(folder: Path) -> Iterator[int]:
    """Make a process in state D: posix_spawn(3) waits uninterruptibly for its child, which waits at a FIFO."""
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    script = (
        "import os, sys\n"
        f"os.posix_spawn('/bin/true', ['true'], {{}}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, {str(fifo)!r}, os.O_RDONLY, 0)])"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as stuck:
        try:
            seen = 0
            for _ in range(400):  # its start reads a disk, which is a moment of that state, too
                task = processes.read(None, f"/proc/{stuck.pid}")
                seen = seen + 1 if task and task.state == "D" else 0
                if seen == 10:
                    break
                time.sleep(0.02)
            yield stuck.pid
        finally:
            with fifo.open("wb"):
                pass


def test_a_process_that_hangs_in_the_kernel_is_named_with_where_it_hangs(tmp_path: Path) -> None:
    with stuck_process(tmp_path) as pid:
        for _ in range(4):  # the walk over all threads has half a second: a busy machine may need another
            got = gather(SYSTEM)
            if fact(got, "tasks", "blocked", str(pid), "name") != NotCollected("not present in these facts"):
                break
    assert isinstance(fact(got, "tasks", "blocked", str(pid), "name"), Value)
    assert model.value(got.facts, "system", "tasks", "blocked_count") >= 1
    assert f"pid {pid} " in got.members["system/blocked-tasks.txt"].decode()


def test_a_blocked_thread_of_a_sleeping_process_is_found(fallen: Gathered) -> None:
    assert fact(fallen, "tasks", "blocked_count") == Value(2)
    assert fact(fallen, "tasks", "blocked", "900", "wchan") == Value("nv_wait_for_gpu")
    assert fact(fallen, "tasks", "blocked", "4250", "wchan") == Value("uvm_down_read")
    text = fallen.members["system/blocked-tasks.txt"].decode()
    assert "rm_ioctl" in text
    assert "pid 4250 cuda" in text


def test_the_name_of_a_process_makes_no_lines_and_no_colours_of_its_own(fallen: Gathered) -> None:
    assert fact(fallen, "tasks", "blocked", "4250", "name") == Value(r"cuda\x0aFAKE LINE\x1b[31m")
    for member in ("system/processes.txt", "system/blocked-tasks.txt"):
        assert b"\x1b" not in fallen.members[member]
        assert b"\nFAKE" not in fallen.members[member]


def test_arguments_of_processes_are_not_read(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/proc/900/cmdline", "trainer\0--password\0hunter2\0")
    write(root, "/proc/900/environ", "TOKEN=hunter2\0")
    assert not [member for member, data in gather(SYSTEM, dead(root)).members.items() if b"hunter2" in data]


def test_memory_errors_are_named_by_the_label_on_the_board(fallen: Gathered) -> None:
    dimm = ("edac", "mc0", "dimms", "dimm0")
    assert fact(fallen, *dimm, "label") == Value("P1-DIMMA1")
    assert fact(fallen, *dimm, "ue_count") == Value(1)
    assert fact(fallen, *dimm, "ce_count") == Value(40)


def test_a_host_whose_memory_errors_nobody_counts_is_not_one_without_errors(tmp_path: Path) -> None:
    got = gather(SYSTEM, dead(tmp_path))
    assert isinstance(fact(got, "edac", "controllers"), NotCollected)


def test_a_counter_that_holds_no_number_is_an_error_and_costs_one_reading(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/sys/devices/system/edac/mc/mc0/ue_count", "many\n")
    got = gather(SYSTEM, dead(root))
    broken = fact(got, "edac", "mc0", "ue_count")
    assert isinstance(broken, ReadError)
    assert broken.kind == "ValueError"
    assert fact(got, "edac", "mc0", "ce_count") == Value(41)


def test_an_empty_disk_gives_no_values(tmp_path: Path) -> None:
    got = gather(SYSTEM, dead(tmp_path))
    assert [path for path, reading in model.leaves(got.facts) if isinstance(reading, Value)] == []
    assert got.members == {}


def test_a_half_installed_driver_is_told(fallen: Gathered) -> None:
    packages = model.value(fallen.facts, "system", "packages")
    assert packages["nvidia-driver-570-server"] == "570.86.15-0ubuntu0.22.04.1 (half-configured)"
    assert "libcudnn9-cuda-12" not in packages, "removed, only its settings are left"
    assert "vim" not in packages
    assert fact(fallen, "reboot_required") == Value(value=True)


def test_pressure_and_oom_kills_are_read(fallen: Gathered) -> None:
    assert fact(fallen, "pressure", "memory", "full", "avg10_percent") == Value(75.0)
    assert fact(fallen, "memory", "oom_kills") == Value(3)
    assert fact(fallen, "cpu", "core_throttled", "largest") == Value(15)
    assert fact(fallen, "cpu", "sockets") == Value(2)


def test_what_was_refused_says_so_and_the_rest_is_read() -> None:
    with as_nobody() as folder:
        root = copied_as_root(folder)
        got = gather(SYSTEM, dead(root))
    serial = fact(got, "dmi", "product_serial")
    assert isinstance(serial, ReadError)
    assert serial.kind == "PermissionError"
    assert fact(got, "dmi", "product_name") == Value("SYS-821GE-TNHR")
    for name in ("dmi-serials", "task-stacks"):
        item = got.item(f"system/{name}")
        assert item.status is Status.DENIED
        assert "root" in (item.reason or "")
    assert fact(got, "tasks", "blocked", "900", "wchan") == Value("nv_wait_for_gpu")


def copied_as_root(folder: Path) -> Path:
    """Copy the dead system with the serial readable by its owner only, who is not the one that reads."""
    was = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    root = copied(folder)
    for path in ("sys/class/dmi/id/product_serial", "proc/900/stack"):
        (root / path).chmod(0o400 if os.getuid() == 0 else 0)
    if os.getuid() == 0:
        os.seteuid(was)
    return root


def test_without_root_dmidecode_is_denied_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tables = tmp_path / "DMI"
    tables.write_bytes(b"x")
    monkeypatch.setattr(hardware, "DMI_TABLES", str(tables))
    assert gather(SYSTEM, Options(root=False)).item("system/dmidecode.txt").status is Status.DENIED


DMIDECODE = """# dmidecode 3.3
Handle 0x0011, DMI type 17, 92 bytes
Memory Device
\tTotal Width: 80 bits
\tSize: 64 GB
\tLocator: DIMM1
\tBank Locator: P0 CHANNEL A
\tManufacturer: Samsung
\tSerial Number: 80CE0123456789ABCD
\tPart Number: M321R8GA0BB0-CQKZJ
\tSpeed: 4800 MT/s

Handle 0x0012, DMI type 17, 92 bytes
Memory Device
\tSize: No Module Installed
\tLocator: DIMM1
\tBank Locator: P0 CHANNEL B
\tManufacturer: NO DIMM

Handle 0x0020, DMI type 9, 24 bytes
System Slot Information
\tDesignation: CPU1 SLOT 3
\tType: x16 PCI Express 5
\tCurrent Usage: In Use
\tBus Address: 0000:17:00.0
"""


def test_memory_slots_with_the_same_name_stay_apart() -> None:
    modules = dmi.memory_modules(dmi.structures(DMIDECODE))
    assert modules["P0 CHANNEL A DIMM1"]["size_bytes"] == 64 << 30
    assert modules["P0 CHANNEL A DIMM1"]["serial"] == "80CE0123456789ABCD"
    assert modules["P0 CHANNEL B DIMM1"]["populated"] is False
    assert modules["P0 CHANNEL B DIMM1"]["size_bytes"] is None


def test_the_board_says_which_slot_a_bus_address_is() -> None:
    assert dmi.slots(dmi.structures(DMIDECODE))["CPU1 SLOT 3"]["bus_address"] == "0000:17:00.0"


def test_recorded_memory_errors_are_read_without_touching_the_database(tmp_path: Path) -> None:
    root = copied(tmp_path)
    place = write(root, "/var/lib/rasdaemon/ras-mc_event.db", b"")
    with contextlib.closing(sqlite3.connect(place)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")  # opened without care, it gets files beside it
        database.execute("CREATE TABLE mc_event (id INTEGER PRIMARY KEY, timestamp TEXT, err_type TEXT, label TEXT)")
        database.execute("INSERT INTO mc_event VALUES (1, '2026-11-20 03:00:00', 'Uncorrected', 'P1-DIMMA1')")
        database.execute("INSERT INTO mc_event VALUES (2, '2026-11-20 03:00:01', 'Corrected', CAST(x'ff' AS TEXT))")
        database.execute(
            "CREATE VIEW aer_event AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x FROM n"
        )
    before = place.read_bytes()
    got = gather(SYSTEM, dead(root))
    assert fact(got, "rasdaemon", "mc_event") == Value(2)
    assert got.members["system/rasdaemon/mc_event.jsonl"].count(b"\n") == 2
    assert isinstance(fact(got, "rasdaemon", "aer_event"), NotCollected), "a view is no table of rasdaemon"
    assert place.read_bytes() == before
    assert sorted(path.name for path in place.parent.iterdir()) == [place.name]


def test_a_damaged_error_database_is_an_error_and_costs_nothing_else(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/var/lib/rasdaemon/ras-mc_event.db", b"SQLite format 3\0" + b"\xff" * 5000)
    got = gather(SYSTEM, dead(root))
    assert isinstance(fact(got, "rasdaemon", "events"), ReadError)
    assert fact(got, "os", "id") == Value("ubuntu")


def test_a_table_that_computes_for_ever_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasdaemon, "STEPS", 100)
    place = tmp_path / "ras.db"
    with contextlib.closing(sqlite3.connect(place)) as database, database:
        database.execute("CREATE TABLE mc_event (id INTEGER PRIMARY KEY)")
        database.executemany("INSERT INTO mc_event VALUES (?)", [(number,) for number in range(400)])
    with pytest.raises(sqlite3.OperationalError, match="interrupt"):
        rasdaemon.events(place)


def test_a_reading_that_hung_is_left_out_when_the_collector_runs_again() -> None:
    again = gather(SYSTEM, dead(), skip=frozenset({"tasks/threads", "edac/mc0/sysfs"}))
    assert isinstance(fact(again, "tasks", "blocked_count"), NotCollected)
    assert isinstance(fact(again, "edac", "mc0", "ue_count"), NotCollected)
    assert fact(again, "edac", "mc0", "dimms", "dimm0", "ue_count") == Value(1)
    assert fact(again, "tasks", "count") == Value(3)


def test_a_fifo_in_place_of_a_file_of_proc_does_not_hang(tmp_path: Path) -> None:
    root = copied(tmp_path)
    for path in ("proc/meminfo", "proc/900/stat", "sys/class/dmi/id/product_name", "proc/cpuinfo"):
        (root / path).unlink()
        os.mkfifo(root / path)
    began = time.monotonic()
    got = gather(SYSTEM, dead(root))
    assert time.monotonic() - began < 3 + BUSY_S
    assert isinstance(fact(got, "memory", "meminfo"), ReadError)
    assert isinstance(fact(got, "dmi", "product_name"), ReadError)
    assert fact(got, "tasks", "count") == Value(2)


@given(st.text(max_size=400))
def test_a_stat_line_is_a_task_or_an_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert processes.parse_stat(text).name.isprintable()


@given(st.text(max_size=400))
def test_parsers_of_host_text_return_or_say_what_is_wrong(text: str) -> None:
    for parse in (
        proc_text.os_release,
        proc_text.meminfo,
        proc_text.cpuinfo,
        proc_text.pressure,
        proc_text.limits,
        proc_text.load,
        sysfs.counters,
        dmi.structures,
    ):
        with contextlib.suppress(ValueError):
            parse(text)
    proc_text.dpkg_status(text.encode())


def test_lines_that_are_no_pressure_are_left_out() -> None:
    assert proc_text.pressure("some total=1\nother avg10=1.0 total=1\n") == {"some": {"total_s": 1e-06}}


def test_a_number_too_long_for_python_is_an_error_of_its_own_reading(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/proc/meminfo", f"MemTotal: {'9' * 5000} kB\n")
    write(root, "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "9" * 5000)
    got = gather(SYSTEM, dead(root))
    assert isinstance(fact(got, "memory", "meminfo"), ReadError)
    assert fact(got, "cpu", "core_throttled", "largest") == Value(15)


def test_threads_that_there_was_no_time_for_are_admitted() -> None:
    tasks = processes.every(None)
    assert processes.blocked(None, tasks, budget_s=-1) == ([], False)
    assert processes.blocked(None, tasks, budget_s=60)[1] is True


def test_the_collector_leaves_no_file_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    gather(SYSTEM)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_each_profile_reads_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "FULL_FILES", ("/proc/filesystems",))
    assert "system/proc/filesystems" not in gather(SYSTEM, Options(profile=Profile.TRIAGE)).members
    assert "system/proc/filesystems" in gather(SYSTEM, Options(profile=Profile.FULL)).members


def test_only_who_waits_all_the_time_is_blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that reads a disk is in state D for a moment, and again when it is looked at a second time."""
    own = processes.read(None, "/proc/self")
    assert own
    with stuck_process(tmp_path) as pid:
        stuck = processes.read(None, f"/proc/{pid}")
        assert stuck
        seen = [("/proc/self", own), (f"/proc/{pid}", stuck), ("/proc/4194305", own)]
        assert processes.stayed(seen, 0.2) == [(f"/proc/{pid}", stuck)]
        turns = iter(["1", "2"])
        monkeypatch.setattr(processes, "_turns", lambda _: next(turns))
        assert processes.stayed(seen[1:2], 0.0) == [], "it has run in between"
    assert processes.stayed([], 60) == []
