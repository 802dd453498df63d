"""Real small disks: a tmpfs that gets full, and can be remounted larger or read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Disk:
    """A mounted tmpfs."""

    path: Path

    def remount(self, options: str) -> None:
        """Change it while it is in use: `size=8m`, `ro`, `rw`."""
        _run("mount", "-o", f"remount,{options}", str(self.path))


@contextmanager
def small_disk(path: Path, size_bytes: int, *, inodes: int = 0) -> Iterator[Disk]:
    """Mount a tmpfs of `size_bytes` (a multiple of the page size) at `path`; unmount it at the end. Needs root."""
    path.mkdir(parents=True, exist_ok=True)
    options = f"size={size_bytes},mode=0755" + (f",nr_inodes={inodes}" if inodes else "")
    _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path))
    try:
        yield Disk(path)
    finally:
        _run("umount", "-l", str(path))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=20)
