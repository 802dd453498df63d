"""Run the BMC collector in a process of its own that has a /dev/ipmi0 (ipmi0.c) with a simulator behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SHIM = Path(__file__).with_name("ipmi0.c")
ROOT = Path(__file__).parents[3]
PROGRAM = """
import json, sys
from bilbs_cli.diag.collectors.bmc import BMC
from tests.inprocess import gather
got = gather(BMC)
items = [[item.path, str(item.status), item.reason] for item in got.items]
json.dump({"facts": got.facts, "items": items, "members": sorted(got.members)}, sys.stdout)
"""


def build(folder: Path) -> Path:
    """Compile the device; return the library to preload."""
    library = folder / "ipmi0.so"
    subprocess.run(
        ["cc", "-std=c11", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o", str(library), str(SHIM), "-ldl"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return library


def collected(library: Path, behind: str) -> dict[str, Any]:
    """Return facts, items and members of a collector whose /dev/ipmi0 is `behind`: a port, or `EACCES`."""
    environment = {**os.environ, "LD_PRELOAD": str(library), "BILBS_TEST_IPMI0": behind}
    environment["PYTHONPATH"] = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
