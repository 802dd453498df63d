"""A bundle of this box, collected in a process of its own: a hung driver cannot hang a ticket."""

from __future__ import annotations

import json
from pathlib import Path

from bilbs_cli import files, paths, process
from bilbs_cli.errors import BilbsError

DEADLINES_S = {"triage": 40.0, "standard": 300.0}
LIMIT = 16 << 20


def collected(profile: str) -> Path:
    """Return the bundle of a fresh collection. Raises `BilbsError` where there is none."""
    folder = files.private_dir(paths.state_dir() / "bundles")
    command = ("diag", "collect", "--profile", profile, "-o", str(folder), "--json")
    done = process.run_bilbs(*command, timeout_s=DEADLINES_S[profile], max_output=LIMIT)
    try:
        document = json.loads(done.stdout)
        return Path(document["data"]["path"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        why = f"no answer within {DEADLINES_S[profile]:.0f} s" if done.timed_out else _why(done.stdout)
        raise BilbsError(
            f"no bundle of this box: {why}",
            code="no-bundle",
            next="bilbs diag collect, then bilbs support ticket attach",
        ) from error


def _why(data: bytes) -> str:
    try:
        return str(json.loads(data)["errors"][0]["message"])
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return "diag collect gave no answer"
