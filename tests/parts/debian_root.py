"""A clean root of Debian or Ubuntu made with debootstrap(8), run with chroot(8) in a network namespace of its own that has no route."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

INCLUDED = "python3,sudo"  # what a box has; nothing of bilbs
UBUNTU = ("noble",)  # 24.04
UBUNTU_SCRIPT = Path("/usr/share/debootstrap/scripts/gutsy")  # of all their releases; it knows their mirror
ENVIRONMENT = ("env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TERM=dumb")


@dataclass(frozen=True)
class Root:
    """One root. What it prints on stderr comes with stdout."""

    path: Path
    suite: str

    def run(self, script: str, *, status: int | None = 0, timeout: float = 120) -> str:
        """Run a script in the root without a network, and return what it printed."""
        argv = ["unshare", "--net", "chroot", str(self.path), *ENVIRONMENT, "sh", "-c", script]
        done = subprocess.run(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert status is None or done.returncode == status, f"{script}: {done.returncode}\n{done.stdout}"
        return done.stdout


@contextmanager
def debian_root(folder: Path, suite: str, *more: str) -> Iterator[Root]:
    """Make a root of a suite with more packages (downloads it), mount what a system has, unmount it in the end."""
    argv = ["debootstrap", "--variant=minbase", f"--include={','.join((INCLUDED, *more))}"]
    if suite in UBUNTU:  # Debian has no package of their keys: nothing but this test's root comes from there
        mirror = re.findall(r"default_mirror (\S+archive\S+)", UBUNTU_SCRIPT.read_text())[0]
        argv += ["--no-check-gpg", suite, str(folder), mirror, str(UBUNTU_SCRIPT)]
    else:
        argv += [suite, str(folder)]
    made = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr
    mounts = [
        ("-t", "proc", "proc", "proc"),
        ("-t", "sysfs", "sys", "sys"),
        ("--rbind", "/dev", "dev"),
        ("-t", "tmpfs", "tmpfs", "tmp"),
    ]
    done = []
    try:
        for *arguments, target in mounts:
            subprocess.run(["mount", *arguments, str(folder / target)], check=True)
            done.append(str(folder / target))
        subprocess.run(["mount", "--make-rslave", str(folder / "dev")], check=True)
        yield Root(folder, suite)
    finally:
        for target in reversed(done):
            subprocess.run(["umount", "--recursive", "--lazy", target], check=False)
