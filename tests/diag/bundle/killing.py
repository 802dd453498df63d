"""A process that is killed at a chosen step of its work: in the middle of a write, or together with its disk cache."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
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


class Power(Enum):
    """What happens to the machine at the moment of the kill.

    `LOST`: what no fsync had made durable is gone, the end of files and names whose folder was not synced; what was
    removed stays removed. `LOST_LATE`: the journal had reached the disk by itself, and lost ends of files are zeros.
    """

    STAYS = 1
    LOST = 2
    LOST_LATE = 3


def run_and_kill(work: Work, step: int, *, power: Power = Power.STAYS) -> tuple[list[str], int | None]:
    """Run `work(report)` in a forked child that gets SIGKILL at its `step`-th call that touches the disk.

    Every second write is cut in half by it. Returns what the child reported before, and None when it was killed, else
    how many such calls it made.
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
        kept, path = line.removeprefix(LOST).split(" ", 1)
        _lose(Path(path), int(kept), power)
    lines = [line for line in lines if not line.startswith(LOST)]
    if os.WIFSIGNALED(status):
        return lines, None
    assert os.WEXITSTATUS(status) == 0, lines
    return lines[:-1], int(lines[-1])


LOST = "lost "


def _lose(path: Path, kept: int, power: Power) -> None:
    if kept < 0:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    elif path.exists() and not (power is Power.LOST_LATE and path.name.startswith("journal")):
        size = path.stat().st_size
        os.truncate(path, kept)
        if power is Power.LOST_LATE:
            os.truncate(path, size)


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

    def named(self, path: str) -> None:
        """Follow a call that made a name."""
        self.names.add(path)

    def lost(self) -> list[str]:
        """Return what is to be cut (to how many bytes) or removed (-1)."""
        cut = [path for path, size in self.written.items() if self.durable.get(path, 0) < size and Path(path).exists()]
        return [f"{LOST}{self.durable.get(path, 0)} {path}" for path in cut] + [
            f"{LOST}-1 {path}" for path in self.names if Path(path).exists()
        ]


def _be_child(work: Work, step: int, pipe: int, *, power: Power) -> None:
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
                for line in [] if power is Power.STAYS else cache.lost():
                    report(line)
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(*args, **options)
            if name in {"open", "write", "pwrite", "fsync", "fdatasync", "ftruncate"}:
                cache.after(name, args, done if name == "open" else args[0])
            elif name in {"mkdir", "link"} and (folder := options.get("dst_dir_fd", options.get("dir_fd"))):
                cache.named(str(Path(f"/proc/self/fd/{folder}").readlink() / args[name == "link"]))
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
