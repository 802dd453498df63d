"""What a collector is, and the hand it works with: the `Job` of the child process it runs in.

A collector's `collect(job)` runs in a forked child of its own. It reads through the job, one reading at a time, and
everything it reads leaves the child redacted and compressed. When one reading never returns, the parent ends the child,
records that reading as `timeout` and runs `collect` again with every finished reading and the hung one left out: so
`collect` is a plain sequence of `job.…` calls that can be repeated, and each of them may do nothing and return None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from bilbs_cli.diag.model import Reading, Status


class Profile(StrEnum):
    """How much a run collects."""

    TRIAGE = "triage"  # 10 s: facts, kernel log, no large files
    STANDARD = "standard"
    FULL = "full"  # with vendor dumps that take minutes


@dataclass(frozen=True, slots=True)
class BmcTarget:
    """A remote BMC (RMCP+). The password is never shown."""

    host: str
    user: str
    password: str = field(repr=False)
    port: int = 623
    cipher_suite: int = 3


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for, the same for every collector.

    `since` None means everything; `sysroot` is a mounted dead system whose files are read instead of the live ones;
    `services` are systemd units named in the config.
    """

    profile: Profile = Profile.STANDARD
    since: datetime | None = None
    sysroot: Path | None = None
    max_file_bytes: int = 64 << 20
    services: tuple[str, ...] = ()
    bmc: BmcTarget | None = None
    root: bool = False
    pseudonymize: bool = False  # identities are replaced: raw bytes that hold them in another form stay out
    facts_only: bool = False  # nothing is archived: only what facts are made of is read (`diag check`)

    @property
    def live(self) -> bool:
        """Say whether the running machine is looked at (NVML, IPMI, commands), not a mounted one."""
        return self.sysroot is None


class Job(Protocol):
    """The hand of a collector inside its child."""

    options: Options

    def read(self, path: Sequence[str], call: Callable[[], Any], *, timeout_s: float = 5.0) -> Any:
        """Announce, call, and record the result as the fact at `path` below the collector's name; return it.

        Any exception becomes that fact's error (`ReadError`) and None is returned; so does a call that never returns,
        after `timeout_s`. The result must be a JSON value (an enum, bytes or ctypes value is not).
        """

    def attempt(self, key: str, call: Callable[[], Any], *, timeout_s: float = 5.0) -> Any:
        """Announce and call like `read`, but record nothing unless it fails (the error is then the fact at `key`)."""

    def hung(self, prefix: str) -> int:
        """Return how many readings at or below `prefix` (a `/`-joined path) never returned in earlier tries."""

    def record(self, path: Sequence[str], reading: Reading) -> None:
        """Record a fact that needed no waiting: parsed from something already read."""

    def file(self, path: str, member: str | None = None, *, since: bool = False) -> None:
        """Put a file (absolute path, `sysroot` applied) into the bundle, its tail when it is over the cap.

        `member` defaults to the path without its first slash, below the collector's folder. Absent files leave no trace;
        unreadable ones a status. Large files are handed to children of their own. With `since` a file last changed
        before `options.since` is skipped.
        """

    def files(self, pattern: str, *, since: bool = False, limit: int = 500) -> list[str]:
        """`file` every path that the glob `pattern` (absolute, `sysroot` applied) matches, sorted; return the paths."""

    def slurp(self, path: str, limit: int = 1 << 20) -> bytes | None:
        """Return a small file's content for parsing (`sysroot` applied), None when absent or unreadable. Not archived."""

    def glob(self, pattern: str, limit: int = 5000) -> list[str]:
        """Return the absolute paths (without `sysroot`) that match `pattern` (`sysroot` applied), sorted."""

    def command(
        self,
        argv: Sequence[str],
        member: str,
        *,
        timeout_s: float = 15.0,
        good: Sequence[int] | None = (0,),
        later: bool = False,
        keep: bool = True,
    ) -> bytes | None:
        """Run a program and put its output into the bundle; return the raw output for parsing (8 MiB at most).

        A program that is not installed is `unavailable`; one that ends outside `good` (None: any) is `partial` with its
        stderr beside it. `later` hands it to a child of its own (for long output) and returns None.
        With `keep` False the output is only returned. Does nothing with `sysroot`.
        """

    def text(self, member: str, content: str | bytes, *, source: str) -> None:
        """Put text that was made here into the bundle."""

    def gap(self, member: str, status: Status, reason: str, *, source: str = "") -> None:
        """Record that something could not be had. With the collector's own name as `member` it is the collector's status."""

    def say(self, message: str) -> None:
        """Tell the person who watches what is going on now."""


@dataclass(frozen=True, slots=True)
class Collector:
    """One line of the tuple in `collectors/__init__.py`.

    `folder` is its place in the bundle; `timeout_s` its whole budget; `reads` what it reads, for `bilbs diag list`;
    `idle` says that it waits for hardware rather than using the processor, so it runs beside the others; `obstacle` says
    why it has nothing to read here (None: it has), without touching hardware.
    """

    name: str
    title: str
    folder: str
    timeout_s: float
    collect: Callable[[Job], None]
    reads: tuple[str, ...] = ()
    idle: bool = False
    obstacle: Callable[[Options], str | None] = lambda _: None
