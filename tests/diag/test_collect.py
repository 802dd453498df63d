"""The parent of a run: real children that hang, die, ignore signals, flood and lie."""

from __future__ import annotations

import gzip
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from bilbs_cli.diag import model
from bilbs_cli.diag.bundle.frames import Compression, Frame
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.collect import CollectorResult, Run
from bilbs_cli.diag.job import Collector, Job, Options
from bilbs_cli.diag.model import NotCollected, ReadError, Status, Value
from bilbs_cli.diag.redaction import Redactor
from tests.parts.patience import BUSY_S


@dataclass
class Memory:
    """A sink that keeps everything."""

    facts: model.Tree = field(default_factory=dict)
    members: dict[str, bytes] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)

    def write(self, member: str, frame: Frame) -> None:
        self.members[member] = self.members.get(member, b"") + gzip.decompress(frame.data)

    def finish(self, item: Item) -> Item:
        assert item.path not in self.items, f"{item.path} ended twice"
        self.items[item.path] = item
        return item

    def fact(self, path: Sequence[str], leaf: object) -> None:
        model.insert(self.facts, tuple(path), model.decode(leaf))


@dataclass
class Ended:
    sink: Memory
    results: dict[str, CollectorResult]
    run: Run
    wall_s: float


def run_all(*collectors: Collector, deadline_s: float = 20.0, options: Options | None = None) -> Ended:
    sink = Memory()
    run = Run(
        collectors,
        options or Options(root=True),
        sink=sink,
        redactor=Redactor(),
        compression=Compression.GZIP,
        deadline_s=deadline_s,
    )
    began = time.monotonic()
    results = run.run()
    return Ended(sink, {result.name: result for result in results}, run, time.monotonic() - began)


def collector(
    collect: Callable[[Job], None], name: str = "probe", *, timeout_s: float = 15.0, idle: bool = False
) -> Collector:
    return Collector(name, name, name, timeout_s, collect, idle=idle)


def forever() -> None:
    """Hang as a driver call does: signals do not end it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60)


def program(folder: Path, text: str) -> str:
    path = folder / "tool"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def ask(job: Job, tool: str, timeout_s: float) -> None:
    job.command([tool], "tool.txt", timeout_s=timeout_s)


def alive(pid: int) -> bool:
    """Say whether a process runs: not gone, and not a zombie that its new parent has yet to reap."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_a_reading_that_never_returns_costs_itself_alone() -> None:
    def collect(job: Job) -> None:
        job.read(("first",), lambda: 1)
        job.read(("hung",), forever, timeout_s=0.4)
        job.read(("second",), lambda: 2)
        job.text("note.txt", "here", source="test")

    ended = run_all(collector(collect))
    assert model.lookup(ended.sink.facts, "probe", "first") == Value(1)
    assert model.lookup(ended.sink.facts, "probe", "second") == Value(2)
    hung = model.lookup(ended.sink.facts, "probe", "hung")
    assert isinstance(hung, ReadError)
    assert hung.kind == "Timeout"
    assert ended.sink.members["probe/note.txt"] == b"here"
    assert ended.results["probe"].status is Status.TIMEOUT
    assert "hung" in str(ended.results["probe"].reason)
    assert ended.wall_s < 4


def test_a_second_try_gives_the_values_of_the_first() -> None:
    def collect(job: Job) -> None:
        count = job.read(("count",), lambda: 3)
        job.read(("hung",), forever, timeout_s=0.3)
        for index in range(count):
            job.read(("gpu", str(index)), partial(int.__mul__, index, 10))

    ended = run_all(collector(collect))
    assert [model.value(ended.sink.facts, "probe", "gpu", str(index)) for index in range(3)] == [0, 10, 20]


def test_a_child_that_dies_costs_the_reading_it_was_in() -> None:
    def collect(job: Job) -> None:
        job.read(("dies",), lambda: os.kill(os.getpid(), signal.SIGSEGV))
        job.read(("lives",), lambda: "yes")

    ended = run_all(collector(collect))
    died = model.lookup(ended.sink.facts, "probe", "dies")
    assert isinstance(died, ReadError)
    assert died.kind == "ProcessDied"
    assert model.lookup(ended.sink.facts, "probe", "lives") == Value("yes")
    assert ended.results["probe"].status is Status.FAILED


def test_every_hang_counts_against_the_budget_of_its_collector() -> None:
    def collect(job: Job) -> None:
        for index in range(50):
            job.read((str(index),), forever, timeout_s=0.3)

    ended = run_all(collector(collect, timeout_s=1.5), collector(lambda job: job.record(("fine",), Value(1)), "other"))
    assert ended.wall_s < 5
    assert ended.results["probe"].status is Status.TIMEOUT
    assert ended.results["other"].status is Status.OK


def test_the_deadline_ends_everything_and_names_what_ran_and_what_waited() -> None:
    hanging = [
        collector(lambda job: job.read(("hung",), forever, timeout_s=60), f"c{number}", timeout_s=60)
        for number in range(5)
    ]
    ended = run_all(*hanging, deadline_s=1.0)
    assert ended.wall_s < 2.5
    assert {result.status for result in ended.results.values()} == {Status.TIMEOUT}
    reasons = [str(result.reason) for result in ended.results.values()]
    assert sum("before it was its turn" in reason for reason in reasons) == 3
    assert sum("hung" in reason for reason in reasons) == 2


def test_a_program_that_ignores_term_is_killed_and_its_output_kept(tmp_path: Path) -> None:
    tool = program(tmp_path, 'trap "" TERM; echo before; while :; do sleep 1; done')
    ended = run_all(collector(lambda job: ask(job, tool, 0.5)))
    item = ended.sink.items["probe/tool.txt"]
    assert item.status is Status.TIMEOUT
    assert item.truncated
    assert ended.sink.members["probe/tool.txt"] == b"before\n"
    assert ended.wall_s < 4


def test_programs_of_a_child_that_is_ended_are_ended_too(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    tool = program(tmp_path, f'trap "" TERM; echo $$ > {marker}; while :; do sleep 0.1; done')
    run_all(collector(lambda job: ask(job, tool, 60)), deadline_s=1.0)
    assert not alive(int(marker.read_text()))


def test_a_bug_in_a_collector_is_named_and_keeps_what_was_read() -> None:
    def collect(job: Job) -> None:
        job.record(("kept",), Value(1))
        raise ZeroDivisionError("a mistake of ours")

    ended = run_all(collector(collect))
    assert model.lookup(ended.sink.facts, "probe", "kept") == Value(1)
    assert ended.results["probe"].status is Status.FAILED
    assert "ZeroDivisionError at test_collect.py" in str(ended.results["probe"].reason)


def test_a_missing_program_is_unavailable_and_no_failure() -> None:
    ended = run_all(collector(lambda job: ask(job, "no-such-program-at-all", 5)))
    assert ended.sink.items["probe/tool.txt"].status is Status.UNAVAILABLE
    assert ended.results["probe"].status is Status.UNAVAILABLE
    assert "no-such-program-at-all is not installed" in str(ended.results["probe"].reason)


def test_absent_hardware_is_not_ok() -> None:
    ended = run_all(collector(lambda _: None))
    assert ended.results["probe"].status is Status.UNAVAILABLE
    assert model.lookup(ended.sink.facts, "probe", "anything") == NotCollected("not present in these facts")


def test_large_files_come_after_everything_small_and_are_whole(tmp_path: Path) -> None:
    large = tmp_path / "large.log"
    large.write_bytes(b"".join(b"line %d of the log\n" % number for number in range(200_000)))
    order: list[str] = []

    class Ordered(Memory):
        def finish(self, item: Item) -> Item:
            order.append(item.path)
            return super().finish(item)

    sink = Ordered()
    collectors = [
        collector(lambda job: job.file(str(large), "large.log"), "a"),
        collector(lambda job: job.text("t", "x", source="test"), "b"),
    ]
    Run(
        collectors, Options(root=True), sink=sink, redactor=Redactor(), compression=Compression.GZIP, deadline_s=20
    ).run()
    assert order == ["b/t", "a/large.log"]
    assert sink.members["a/large.log"] == large.read_bytes()


def test_a_file_over_the_cap_keeps_its_tail_from_a_line_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %06d\n" % number for number in range(10_000)))
    ended = run_all(collector(lambda job: job.file(str(log), "log")), options=Options(root=True, max_file_bytes=1005))
    kept = ended.sink.members["probe/log"]
    assert kept.startswith(b"line ")
    assert log.read_bytes().endswith(kept)
    assert 990 <= len(kept) <= 1005
    assert ended.sink.items["probe/log"].truncated


def test_fifos_sockets_devices_loops_and_unreadable_things_are_a_status(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()

    def collect(job: Job) -> None:
        for name in ("fifo", "loop", "device", "folder", "absent"):
            job.file(str(tmp_path / name), name)

    ended = run_all(collector(collect))
    assert {name: item.status for name, item in ended.sink.items.items()} == {
        "probe/fifo": Status.SKIPPED,
        "probe/loop": Status.SKIPPED,
        "probe/device": Status.SKIPPED,
        "probe/folder": Status.SKIPPED,
    }
    assert ended.wall_s < 2


def test_a_sparse_terabyte_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "sparse.log"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    ended = run_all(
        collector(lambda job: job.file(str(path), "sparse.log")), options=Options(root=True, max_file_bytes=1 << 20)
    )
    assert ended.sink.items["probe/sparse.log"].size_bytes <= 1 << 20
    assert ended.wall_s < 5


def test_a_file_that_grows_ends_where_it_ended_when_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "growing.log"
    path.write_bytes(b"x\n" * 1000)
    stop = time.monotonic() + 20
    writer = os.fork()
    if writer == 0:
        with path.open("ab", buffering=0) as stream:
            while time.monotonic() < stop:
                stream.write(b"more\n" * 2000)
        os._exit(0)
    try:
        ended = run_all(collector(lambda job: job.file(str(path), "growing.log")))
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
    assert ended.wall_s < 3 + BUSY_S
    assert ended.sink.items["probe/growing.log"].status is Status.OK


@pytest.mark.parametrize("packer", ["gzip", "xz", "bzip2", "zstd"])
def test_a_rotated_log_is_decompressed_so_that_its_secrets_can_be_seen(tmp_path: Path, packer: str) -> None:
    import subprocess

    log = tmp_path / "syslog.1"
    log.write_text("kernel: all is well\napp: password=hunter2hunter2\n" * 50)
    subprocess.run([packer, "-q", str(log)], check=True)
    packed = next(tmp_path.iterdir())
    ended = run_all(collector(lambda job: job.file(str(packed), packed.name)))
    content = next(iter(ended.sink.members.values()))
    assert b"all is well" in content
    assert b"hunter2" not in content


def test_a_secret_in_a_fact_or_an_error_never_leaves_the_child() -> None:
    def fail() -> None:
        raise RuntimeError("login failed: password=hunter2hunter2")

    def collect(job: Job) -> None:
        job.read(("value",), lambda: {"deep": ["password=hunter2hunter2"]})
        job.read(("error",), fail)

    ended = run_all(collector(collect))
    assert "hunter2" not in repr(ended.sink.facts)
    assert isinstance(model.lookup(ended.sink.facts, "probe", "error"), ReadError)


def test_a_driver_that_prints_does_not_garble_our_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    run_all(collector(lambda job: job.read(("noise",), lambda: os.write(1, b"NOISE"))))
    assert capfd.readouterr().out == ""


def open_files() -> list[str]:
    return sorted(str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.exists())


def test_a_child_holds_no_file_of_the_parent(tmp_path: Path) -> None:
    with (tmp_path / "held").open("w"):
        ended = run_all(collector(lambda job: job.read(("open",), open_files)))
    assert not [name for name in model.value(ended.sink.facts, "probe", "open") if "held" in name]


def test_slow_waiting_collectors_do_not_hold_up_the_others() -> None:
    waiting = collector(lambda job: job.read(("slow",), lambda: time.sleep(1.0)), "bmc", idle=True)
    quick = [collector(lambda job: job.record(("x",), Value(1)), f"q{number}") for number in range(6)]
    ended = run_all(waiting, *quick)
    assert ended.wall_s < 2.5
    assert ended.results["q5"].duration_s < 0.9


def test_a_collector_that_is_not_on_this_machine_says_so_as_a_whole() -> None:
    def collect(job: Job) -> None:
        job.record(("looked",), Value(True))
        job.gap("probe", Status.UNAVAILABLE, "no such card in this machine")

    ended = run_all(collector(collect))
    assert (ended.results["probe"].status, ended.results["probe"].reason) == (
        Status.UNAVAILABLE,
        "no such card in this machine",
    )


def test_a_damaged_rotated_log_keeps_what_came_before_the_damage(tmp_path: Path) -> None:
    packed = bytearray(
        gzip.compress(b"".join(b"line %d %s\n" % (n, os.urandom(8).hex().encode()) for n in range(20_000)))
    )
    packed[-2000:] = b"\0" * 2000
    (tmp_path / "syslog.2.gz").write_bytes(packed)
    ended = run_all(collector(lambda job: job.file(str(tmp_path / "syslog.2.gz"), "syslog.2.gz")))
    assert ended.sink.members["probe/syslog.2.gz"].startswith(b"line 0 ")
    assert ended.sink.items["probe/syslog.2.gz"].truncated


def test_a_thing_called_error_is_no_error(tmp_path: Path) -> None:
    ended = run_all(collector(lambda job: job.record(("interfaces", "error", "mtu"), Value(1500))))
    assert list(model.leaves(ended.sink.facts)) == [(("probe", "interfaces", "error_", "mtu"), Value(1500))]
