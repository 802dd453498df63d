"""Memory stays flat however large a member or a bundle is."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.diag.bundle.making import run

PROGRAM = """
import os, re, sys
from pathlib import Path
from bilbs_cli.diag.bundle.frames import Compression, Framer
from bilbs_cli.diag.bundle.manifest import Item, Manifest
from bilbs_cli.diag.bundle.seal import Front, seal
from bilbs_cli.diag.bundle.spool import Spool
from bilbs_cli.diag.bundle.verify import verify
from bilbs_cli.diag.model import Status
when = "2026-11-21T03:30:00+00:00"
spool = Spool.create(Path(sys.argv[1]), "bilbs-diag-x", {})
framer, block = Framer(Compression.ZSTD), os.urandom(1 << 20)
for _ in range(int(sys.argv[2])):
    for frame in framer.feed(block):
        spool.write("kern/big.log", frame)
for frame in framer.finish():
    spool.write("kern/big.log", frame)
spool.finish(Item("kern/big.log", "kernel", "x", Status.OK, when, 0.0, 0, framer.size, framer.size, framer.sha256))
front = lambda spool: Front(Manifest("bilbs-diag-x", "0", "x", when, when, "full", "complete"), [])
assert verify(seal(spool, front).path).manifest.items[0].size_bytes == framer.size
print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_writing_sealing_and_verifying_take_the_same_memory_for_little_and_much(tmp_path: Path) -> None:
    little, much = (int(run([sys.executable, "-c", PROGRAM, str(tmp_path / str(mib)), str(mib)])) for mib in (24, 128))
    assert much - little < 6 << 10  # KiB
    assert much < 60 << 10
