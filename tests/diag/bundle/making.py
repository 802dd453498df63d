"""Runs, members and bundles for the tests of the archive."""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bilbs_cli.diag.bundle.encrypt import Recipients
from bilbs_cli.diag.bundle.frames import Compression, Framer
from bilbs_cli.diag.bundle.manifest import Item, Manifest
from bilbs_cli.diag.bundle.seal import Front, Sealed, seal
from bilbs_cli.diag.bundle.spool import Spool
from bilbs_cli.diag.model import Status

NAME = "bilbs-diag-box7-20261121T033000Z-a1b2c3"
STARTED = "2026-11-21T03:30:00+00:00"
FINISHED = "2026-11-21T03:31:40+00:00"
ORDER = ("gpu", "kernel", "system")


def noise(seed: int, size: int) -> bytes:
    """Return bytes that no compression makes smaller."""
    return random.Random(seed).randbytes(size)


def log(seed: int, size: int) -> bytes:
    """Return about `size` bytes of lines that compress like a log."""
    chance = random.Random(seed)
    lines = []
    while size > 0:
        lines.append(f"Nov 21 03:{chance.randrange(60):02d} box7 kernel: NVRM: Xid 79, pid={chance.randrange(99999)}\n")
        size -= len(lines[-1])
    return "".join(lines).encode()


def start(
    folder: Path,
    compression: Compression = Compression.ZSTD,
    *,
    recipients: Recipients | None = None,
    state_dir: Path | None = None,
) -> Spool:
    """Return a new run."""
    header = {"started_at": STARTED, "folders": {"gpu": "gpu", "kern": "kernel"}}
    return Spool.create(folder, NAME, header, compression, recipients=recipients, state_dir=state_dir)


def item(
    path: str, collector: str, content: bytes | None, *, status: Status = Status.OK, reason: str | None = None
) -> Item:
    """Return the item of a member, or of a gap."""
    return Item(
        path=path,
        collector=collector,
        source=f"file: /{path}",
        status=status,
        started_at=STARTED,
        duration_s=0.25,
        exit_status=0,
        size_bytes=len(content or b""),
        raw_bytes=len(content or b"") + 7,
        sha256=None if content is None else hashlib.sha256(content).hexdigest(),
        redactions={"url-userinfo": 1},
        reason=reason,
    )


def put(spool: Spool, path: str, content: bytes, *, collector: str = "gpu", frame_bytes: int = 256 << 10) -> Item:
    """Write a whole member and finish it."""
    begin(spool, path, content, frame_bytes=frame_bytes)
    return spool.finish(item(path, collector, content))


def begin(spool: Spool, path: str, content: bytes, *, frame_bytes: int = 256 << 10) -> None:
    """Write all frames of a member, and not its end."""
    framer = Framer(spool.compression, frame_bytes)
    for frame in [*framer.feed(content), *framer.finish()]:
        spool.write(path, frame)


def front(spool: Spool) -> Front:
    """Return first pages of the kind that a run makes."""
    status = "partial" if any(one.status.is_failure for one in spool.items) else "complete"
    manifest = Manifest(
        name=spool.name,
        version="0.0",
        host="box7",
        started_at=STARTED,
        finished_at=FINISHED,
        profile="standard",
        status=status,
        options={"since": "24h"},
        collectors={"gpu": {"status": "ok"}},
    )
    pages = [
        ("SUMMARY.txt", f"{len(spool.items)} items\n".encode()),
        ("facts.json", b'{"gpu": {}}\n'),
        ("redaction.json", b"{}\n"),
    ]
    return Front(manifest, pages)


def finish(spool: Spool) -> Sealed:
    """Seal a run."""
    return seal(spool, front, order=ORDER)


def bundle(folder: Path, members: Mapping[str, bytes], compression: Compression = Compression.ZSTD) -> Path:
    """Return a sealed bundle with these members."""
    spool = start(folder, compression)
    for path, content in members.items():
        put(spool, path, content)
    return finish(spool).path


def run(argv: Sequence[str], stdin: bytes = b"") -> bytes:
    """Return the output of a program that must end well."""
    return subprocess.run(argv, input=stdin, check=True, capture_output=True, timeout=20).stdout


def extracted(archive: Path, folder: Path) -> dict[str, bytes]:
    """Return what GNU tar makes of an archive: every file's content by its path below the top folder."""
    folder.mkdir(parents=True)
    run(["tar", "-xf", str(archive), "-C", str(folder)])
    top = folder / NAME
    return {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


def reset_peak_memory() -> None:
    """Forget the most memory that this process ever had (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory_kib() -> int:
    """Return the most memory that this process had, in KiB: of this program only, unlike getrusage(2)."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0])
