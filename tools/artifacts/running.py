"""The programs that make artifacts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*argv: str, **more: object) -> None:
    """Run a program; its output is shown where it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(f"dist: {' '.join(argv[:4])} failed")
