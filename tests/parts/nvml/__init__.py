"""The NVML test library: build it, and run the GPU collector on it in a process of its own.

pynvml keeps the loaded library in the process and LD_LIBRARY_PATH counts only before the start: hence the subprocess.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TABLE = HERE / "h100.table"
SMI_XML = HERE / "h100.xml"


def build(folder: Path, *, without: Sequence[str] = ()) -> Path:
    """Compile libnvidia-ml.so.1 into `folder`, without the functions named; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "symbols.map"  # ld(1), VERSION: a whole name counts more than one with a star
    script.write_text(f"{{ global: nvml*; local: {''.join(f'{name}; ' for name in without)}*; }};\n")
    subprocess.run(
        [
            "cc",
            "-std=c11",
            "-D_GNU_SOURCE",
            "-shared",
            "-fPIC",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wl,-soname,libnvidia-ml.so.1",
            f"-Wl,--version-script={script}",
            "-o",
            str(folder / "libnvidia-ml.so.1"),
            str(HERE / "fake_nvml.c"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return folder


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run of the GPU collector left."""

    facts: dict[str, Any]
    items: dict[str, dict[str, Any]]
    statuses: dict[str, str]
    members: dict[str, str]
    abandoned: list[str]
    took_s: float


def collect(
    library: Path | None,
    *,
    table: Path = TABLE,
    programs: Path | None = None,
    timeout_s: float = 60.0,
    options: Mapping[str, Any] | None = None,
    **switches: object,
) -> Collected:
    """Run the GPU collector through the real parent and child on the library in `library` (None: no library at all).

    `switches` are the FAKE_NVML_ variables; `programs` a folder that comes first on PATH.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FAKE_NVML_")}
    environment |= {f"FAKE_NVML_{name}": str(value) for name, value in switches.items()}
    environment |= {
        "FAKE_NVML_TABLE": str(table),
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "LD_LIBRARY_PATH": str(library or ""),
    }
    if programs:
        environment["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "tests.parts.nvml.run", json.dumps(dict(options or {}))],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Collected(**json.loads(done.stdout))


def fact(facts: Mapping[str, Any], path: str) -> Any:
    """Return the leaf at a path such as `devices/0/power_w`: a dict with `value`, `error` or `not_collected`; None if absent."""
    node: Any = facts
    for name in path.split("/"):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def rows(table: Path = TABLE) -> dict[tuple[str, str], list[str]]:
    """Return the table: (function with arguments, gpu) -> result and values."""
    lines = (line.split('"') for line in table.read_text().splitlines() if line.strip() and not line.startswith("#"))
    words = (
        [word for place, part in enumerate(line) for word in ([part] if place % 2 else part.split())] for line in lines
    )
    return {(line[0], line[1]): line[2:] for line in words}
