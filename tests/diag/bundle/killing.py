"""A process that is killed at a chosen step of its work: in the middle of a write, or together with its disk cache."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Work = Callable[[Callable[[str], None]], None]
STEPS = (
    "open",
    "write",
    "pwrite",
    "fdatasync",
    "fsync",
    "ftruncate",
    "unlink",
    "link",
    "mkdir",
    "rmdir",
    "posix_fallocate",
    "rename",
    "symlink",
)


def run_and_kill(work: Work, step: int, *, power: bool = True) -> tuple[list[str], int | None]:
    """Run `work(report)` in a forked child that gets SIGKILL at its `step`-th call that touches the disk.

    Every second write is cut in half by it. Without `power`, what no fsync had made durable is lost as well: the end of
    files, and files whose folder was not synced; what was removed stays removed. Returns what the child reported
    before, and None when it was killed, else how many such calls it made.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_child(work, step, writing, power=power)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        lines = pipe.read().decode().splitlines()
    _, status = os.waitpid(pid, 0)
    for line in [line for line in lines if line.startswith(LOST)]:
        size, path = line.removeprefix(LOST).split(" ", 1)
        os.truncate(path, int(size)) if int(size) >= 0 else Path(path).unlink()
    lines = [line for line in lines if not line.startswith(LOST)]
    if os.WIFSIGNALED(status):
        return lines, None
    assert os.WEXITSTATUS(status) == 0, lines
    return lines[:-1], int(lines[-1])


LOST = "lost "


@dataclass
class Cache:
    """What a power loss would take: by path, how much is durable of what was written, and names without a synced folder."""

    written: dict[str, int] = field(default_factory=dict)
    durable: dict[str, int] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def after(self, call: str, args: tuple[Any, ...], handle: int) -> None:
        """Follow a call that succeeded; `handle` is the file it was about."""
        path = str(Path(f"/proc/self/fd/{handle}").readlink())
        info = os.fstat(handle)
        if stat.S_ISDIR(info.st_mode) and call == "fsync":
            self.names = {name for name in self.names if str(Path(name).parent) != path}
        elif stat.S_ISREG(info.st_mode):
            if call == "open" and path not in self.written:
                self.durable[path] = info.st_size  # of an earlier process
                if args[1] & os.O_CREAT and info.st_size == 0:
                    self.names.add(path)
            self.written[path] = info.st_size
            if call in {"fsync", "fdatasync"}:
                self.durable[path] = info.st_size

    def lost(self) -> list[str]:
        """Return what is to be cut (to how many bytes) or removed (-1)."""
        here = [path for path in self.written if Path(path).exists()]
        cut = [
            f"{LOST}{self.durable.get(path, 0)} {path}"
            for path in here
            if path not in self.names and self.durable.get(path, 0) < self.written[path]
        ]
        return cut + [f"{LOST}-1 {path}" for path in here if path in self.names]


def _be_child(work: Work, step: int, pipe: int, *, power: bool) -> None:
    count = 0
    write = os.write
    cache = Cache()

    def report(line: str) -> None:
        write(pipe, line.encode() + b"\n")

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                if name in {"write", "pwrite"} and step % 2:
                    real(args[0], args[1][: len(args[1]) // 2], *args[2:])
                for line in [] if power else cache.lost():
                    report(line)
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(*args, **options)
            if name in {"open", "write", "pwrite", "fsync", "fdatasync", "ftruncate"}:
                cache.after(name, args, done if name == "open" else args[0])
            return done

        return call

    for name in STEPS:
        setattr(os, name, counted(name, getattr(os, name)))
    try:
        work(report)
        report(str(count))
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - a child must never return into the tests
        report(f"{type(error).__name__}: {error}")
        os._exit(70)
