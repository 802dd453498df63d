"""The parent of a run: one child per collector and per large file, one deadline, a status for everything.

The loop below never waits for a child. A child announces each reading before it starts; when one does not return in its
time, the child is ended, that reading is recorded as `timeout`, and the collector is tried again without it. Children
that cannot be killed are abandoned and named. Everything small goes first, large files and long commands after it,
smallest first, in as many children as there are workers.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from bilbs_cli import fork, process
from bilbs_cli.diag import model
from bilbs_cli.diag.bundle.frames import Compression, Frame
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.child import STALL_S, ChildJob, Later, pipe_writer, unpack
from bilbs_cli.diag.job import Collector, Options
from bilbs_cli.diag.model import ReadError, Status
from bilbs_cli.diag.redaction import Redactor

WORKERS = 2  # children that use the processor at the same time; each redacts and compresses what it reads
TRIES = 6  # of one collector; each try leaves out what hung before
PIPE_BYTES = 1 << 20


class Sink(Protocol):
    """Where finished frames, items and facts go: the spool of a bundle, or memory in `diag check`."""

    def write(self, member: str, frame: Frame) -> None:
        """Take a frame of a member."""

    def finish(self, item: Item) -> Item:
        """Take the end of a member, or a gap; return the item as it is kept."""

    def fact(self, path: Sequence[str], leaf: object) -> None:
        """Take a fact."""


class Watcher(Protocol):
    """The progress display."""

    def update(self, running: Sequence[tuple[str, float, str]], done: int, total: int, size_bytes: int) -> None:
        """Show what runs: name, seconds so far, what it is reading."""


@dataclass(slots=True)
class Task:
    """One child's work: a collector, or one large file or long command of it (`later`)."""

    collector: Collector
    later: Later | None = None
    tries: int = 0
    skip: set[str] = field(default_factory=set)
    memo: dict[str, Any] = field(default_factory=dict)
    spent_s: float = 0.0

    @property
    def name(self) -> str:
        """Return what the watcher sees."""
        return self.later.member if self.later else self.collector.name

    @property
    def budget_s(self) -> float:
        """Return the seconds that all tries of this task may take together."""
        return self.later.timeout_s + 3 if self.later else self.collector.timeout_s


@dataclass(slots=True)
class Child:
    """A running child and the reading it is in."""

    task: Task
    pid: int
    pipe: int
    started: float
    buffer: bytearray = field(default_factory=bytearray)
    key: str = ""
    what: str = ""
    due: float = float("inf")
    programs: set[int] = field(default_factory=set)
    open_members: dict[str, tuple[int, str]] = field(default_factory=dict)  # member -> size and digest so far
    done: bool = False


@dataclass(frozen=True, slots=True)
class CollectorResult:
    """How one collector ended."""

    name: str
    title: str
    status: Status
    reason: str | None
    duration_s: float
    size_bytes: int


@dataclass(slots=True)
class Tally:
    """What the parent knows of a collector while it runs."""

    noted: list[tuple[Status, str | None]] = field(default_factory=list)
    own: tuple[Status, str | None] | None = None  # what the collector said of itself as a whole
    values: int = 0
    duration_s: float = 0.0
    size_bytes: int = 0

    def note(self, status: Status, reason: str | None) -> None:
        """Take the end of one item."""
        self.noted.append((status, reason))

    def verdict(self) -> tuple[Status, str | None]:
        """Return the collector's status: the worst failure, else what there is beside what there is not."""
        seen = {status for status, _ in self.noted}
        for failure in (Status.TIMEOUT, Status.FAILED):
            if failure in seen:
                return failure, self._first(failure)
        if self.own:
            return self.own
        some = bool(self.values) or bool(seen & {Status.OK, Status.PARTIAL})
        if not some:
            for status in (Status.DENIED, Status.UNAVAILABLE, Status.SKIPPED):
                if status in seen:
                    return status, self._first(status)
            return Status.UNAVAILABLE, "nothing of it on this machine"
        if seen & {Status.DENIED, Status.PARTIAL}:
            return Status.PARTIAL, self._first(Status.DENIED if Status.DENIED in seen else Status.PARTIAL)
        return Status.OK, None

    def _first(self, status: Status) -> str | None:
        return next((reason for kept, reason in self.noted if kept == status and reason), None)


class Run:
    """One run of the collectors into a sink.

    `abandoned` names what could not be killed. After `run()`, `results` has one entry per collector asked for.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        options: Options,
        *,
        sink: Sink,
        redactor: Redactor,
        compression: Compression,
        deadline_s: float,
        watcher: Watcher | None = None,
        dry: bool = False,
        pairs: Callable[[dict[str, str]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options, self.sink, self.redactor, self.compression, self.dry = options, sink, redactor, compression, dry
        self.collectors, self.watcher, self.pairs, self.clock = collectors, watcher, pairs, clock
        self.began = clock()
        self.deadline = self.began + deadline_s
        self.tallies = {collector.name: Tally() for collector in collectors}
        self.abandoned: list[str] = []
        self.items: list[Item] = []
        self.facts: model.Tree = {}
        self.size_bytes = 0
        self._small = deque(Task(collector) for collector in collectors)
        self._large: list[Task] = []
        self._children: dict[int, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._finished = 0

    def run(self) -> list[CollectorResult]:
        """Collect until everything ended or the deadline came. On any exception the children are ended first."""
        try:
            while (self._small or self._large or self._children) and self.clock() < self.deadline:
                self._start_what_fits()
                self._listen()
                self._end_what_hangs()
                self._show()
            self._out_of_time()
        finally:
            self._end(list(self._children.values()))
            self._selector.close()
        return self.results()

    def results(self) -> list[CollectorResult]:
        """Return how each collector ended, in their order."""
        found = []
        for collector in self.collectors:
            tally = self.tallies[collector.name]
            status, reason = tally.verdict()
            found.append(
                CollectorResult(
                    collector.name, collector.title, status, reason, round(tally.duration_s, 3), tally.size_bytes
                )
            )
        return found

    def _start_what_fits(self) -> None:
        for _ in range(len(self._small)):
            task = self._small.popleft()
            if task.collector.idle or self._busy() < WORKERS:
                self._fork(task)
            else:
                self._small.append(task)
        if not self._small:
            self._large.sort(key=lambda task: task.later.size_bytes if task.later else 0, reverse=True)
            while self._large and self._busy() < WORKERS:
                self._fork(self._large.pop())

    def _busy(self) -> int:
        return sum(1 for child in self._children.values() if child.task.later or not child.task.collector.idle)

    def _fork(self, task: Task) -> None:
        task.tries += 1
        pid, reading = fork.fork(lambda pipe: _work(task, pipe, self))
        with suppress(OSError):
            fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(reading, False)
        child = Child(task, pid, reading, self.clock())
        self._children[pid] = child
        self._selector.register(reading, selectors.EVENT_READ, child)

    def _listen(self) -> None:
        now = self.clock()
        soonest = min(
            [self.deadline, now + 0.5, *(min(child.due, self._budget_end(child)) for child in self._children.values())]
        )
        for key, _ in self._selector.select(max(soonest - now, 0)):
            child = key.data
            if child.pid not in self._children:
                continue
            try:
                data = os.read(child.pipe, PIPE_BYTES)
            except BlockingIOError:
                continue
            child.buffer += data
            try:
                for header, payload in unpack(child.buffer):
                    self._hear(child, header, payload)
            except (ValueError, KeyError, TypeError):
                data = b""  # a child that garbles its pipe is treated as dead
            if not data:
                self._child_ended(child)

    def _hear(self, child: Child, header: dict[str, Any], payload: bytes) -> None:
        tally = self.tallies[child.task.collector.name]
        match header["t"]:
            case "begin":
                child.key, child.what, child.due = header["key"], header["what"], self.clock() + header["timeout_s"]
            case "end":
                self._returned(child)
            case "fact":
                self._fact(child.task, header["key"], header["path"], header["leaf"])
                self._returned(child)
            case "frame":
                self.sink.write(header["member"], Frame(payload, header["size"], header["sha256"]))
                size = header["size"]
                child.open_members[header["member"]] = (
                    child.open_members.get(header["member"], (0, ""))[0] + size,
                    header["sha256"],
                )
                self.size_bytes += size
                child.due = max(child.due, self.clock() + STALL_S)
            case "item":
                child.open_members.pop(header["item"]["path"], None)
                child.task.skip.add(header["key"])
                self._item(Item.from_dict(header["item"]))
                self._returned(child)
            case "later":
                what = header["what"]
                good = what["good"]
                later = Later(**(what | {"argv": tuple(what["argv"]), "good": None if good is None else tuple(good)}))
                child.task.skip.add(later.member)
                self._large.append(Task(child.task.collector, later))
            case "spawn":
                child.programs.add(header["pid"])
            case "reap":
                child.programs.discard(header["pid"])
                if header["abandoned"]:
                    self.abandoned.append(f"{child.what} (pid {header['pid']})")
            case "pairs" if self.pairs:
                self.pairs(header["pairs"])
            case "say":
                child.what = header["text"]
            case "done":
                child.done = True
                tally.duration_s = max(tally.duration_s, child.task.spent_s + self.clock() - child.started)

    def _returned(self, child: Child) -> None:
        child.key, child.due = "", float("inf")

    def _fact(self, task: Task, key: str, path: Sequence[str], leaf: object) -> None:
        task.memo[key] = leaf
        reading = model.decode(leaf)
        self.tallies[task.collector.name].values += isinstance(reading, model.Value)
        model.insert(self.facts, tuple(path), reading)
        self.sink.fact(path, leaf)

    def _item(self, item: Item) -> None:
        tally = self.tallies[item.collector]
        tally.note(item.status, item.reason)
        if item.path.rpartition("/")[2] == item.collector:
            tally.own = (item.status, item.reason)
        tally.size_bytes += item.size_bytes
        self.items.append(self.sink.finish(item))

    def _child_ended(self, child: Child) -> None:
        """Settle a child that closed its pipe: it is done, or it died in the middle of a reading."""
        self._forget(child)
        self.abandoned += [
            f"{child.task.name} (pid {pid})" for pid in process.end_all([child.pid, *child.programs], _dead)
        ]
        child.task.spent_s += self.clock() - child.started
        if child.done:
            self._finished += 1
        else:
            self._lost(child, Status.FAILED, "the reading process died")

    def _end_what_hangs(self) -> None:
        now = self.clock()
        for child in [child for child in self._children.values() if now >= min(child.due, self._budget_end(child))]:
            whole = now >= self._budget_end(child)
            self._end([child])
            child.task.spent_s += now - child.started
            waited = f"no answer from {child.what or child.task.name} after {now - child.started:.1f} s"
            self._lost(child, Status.TIMEOUT, waited, again=not whole)

    def _budget_end(self, child: Child) -> float:
        return child.started + child.task.budget_s - child.task.spent_s

    def _lost(self, child: Child, status: Status, reason: str, *, again: bool = True) -> None:
        """Record the reading that a dead child was in, keep what it had sent, and try its collector again without it."""
        task, key = child.task, child.key
        tally = self.tallies[task.collector.name]
        tally.duration_s = max(tally.duration_s, task.spent_s)
        member = next(iter(child.open_members), None) or (key if key.startswith(task.collector.folder + "/") else None)
        if member:
            size, digest = child.open_members.get(member, (0, ""))
            self._item(self._broken_item(child, member, status, reason, size, digest or None))
        elif key:
            kind = "Timeout" if status is Status.TIMEOUT else "ProcessDied"
            self._fact(task, key, [task.collector.name, *key.split("/")], model.encode(ReadError(kind, reason)))
            tally.note(status, reason)
        else:
            tally.note(status, reason)
        task.skip |= {key, member or ""} - {""}
        if again and key and not task.later and task.tries < TRIES:
            self._small.append(task)
        else:
            self._finished += 1

    def _broken_item(
        self, child: Child, member: str, status: Status, reason: str, size: int, digest: str | None
    ) -> Item:
        took = self.clock() - child.started
        return Item(
            path=member,
            collector=child.task.collector.name,
            source=child.what or member,
            status=status,
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            duration_s=round(took, 3),
            exit_status=None,
            size_bytes=size,
            raw_bytes=size,
            sha256=digest,
            truncated=bool(digest),
            redactions={},
            reason=reason,
        )

    def _out_of_time(self) -> None:
        """End what runs and name what waits, when the deadline has come."""
        children = list(self._children.values())
        self._end(children)
        for child in children:
            child.task.spent_s += self.clock() - child.started
            self._lost(
                child, Status.TIMEOUT, f"the deadline came while it was at {child.what or child.task.name}", again=False
            )
        for task in [*self._small, *self._large]:
            reason = "the deadline came before it was its turn"
            if task.later:
                child = Child(task, 0, -1, self.clock(), what=task.later.path or " ".join(task.later.argv))
                self._item(self._broken_item(child, task.later.member, Status.TIMEOUT, reason, 0, None))
            else:
                self.tallies[task.collector.name].note(Status.TIMEOUT, reason)
        self._small.clear()
        self._large.clear()

    def _end(self, children: Sequence[Child]) -> None:
        for child in children:
            self._drain(child)
            self._forget(child)
        left = process.end_all([pid for child in children for pid in (child.pid, *child.programs)], _dead)
        names = {pid: child.what or child.task.name for child in children for pid in (child.pid, *child.programs)}
        self.abandoned += [f"{names[pid]} (pid {pid})" for pid in left]

    def _drain(self, child: Child) -> None:
        """Hear what a child that is about to be ended has already sent."""
        with suppress(BlockingIOError, ValueError, KeyError, TypeError, OSError):
            while data := os.read(child.pipe, PIPE_BYTES):
                child.buffer += data
                for header, payload in unpack(child.buffer):
                    self._hear(child, header, payload)

    def _forget(self, child: Child) -> None:
        if self._children.pop(child.pid, None):
            self._selector.unregister(child.pipe)
            os.close(child.pipe)

    def _show(self) -> None:
        if self.watcher:
            now = self.clock()
            running = [(child.task.name, now - child.started, child.what) for child in self._children.values()]
            total = self._finished + len(running) + len(self._small) + len(self._large)
            self.watcher.update(running, self._finished, total, self.size_bytes)


def _dead(pid: int) -> bool:
    """Say whether a child, or a program that a child started, is gone."""
    if not process.reaped(pid):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    with suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as stream:  # noqa: PTH123 - one small read
        return stream.read().rpartition(b")")[2].split()[0] in {b"Z", b"X"}
    return True


def _work(task: Task, pipe: int, run: Run) -> None:
    """Do a task, in its child."""
    emit = pipe_writer(pipe)
    job = ChildJob(
        task.collector.name,
        task.collector.folder,
        run.options,
        run.redactor,
        run.compression,
        emit,
        skip=frozenset(task.skip),
        memo=task.memo,
        dry=run.dry,
        heavy=task.later is not None,
    )
    if task.later:
        job.run_later(task.later)
    else:
        _collect(task.collector, job)
    emit({"t": "done"}, b"")


def _collect(collector: Collector, job: ChildJob) -> None:
    """Run a collector; a bug in it costs what it had not read yet, and is named."""
    try:
        collector.collect(job)
    except Exception as error:  # noqa: BLE001 - the boundary of a collector
        import traceback

        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119 - text only
        job.gap(
            "collector",
            Status.FAILED,
            f"{type(error).__name__} at {place}: {error}",
            source=f"collector {collector.name}",
        )
