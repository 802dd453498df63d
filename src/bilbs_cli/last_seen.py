"""The last check, bundle and plan of this box, for what answers without the network; losing them costs nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bilbs_cli import files, paths
from bilbs_cli.errors import OutputUnwritable

CHECK, BUNDLE, PLAN = "last-check", "last-bundle", "last-plan"
LIMIT = 1 << 20


def place(name: str) -> Path:
    """Return the file."""
    return paths.state_dir() / f"{name}.json"


def keep(name: str, data: Mapping[str, Any]) -> None:
    """Keep what was seen, with the time; a disk that takes nothing is no error."""
    with suppress(OutputUnwritable, OSError):
        files.private_dir(place(name).parent)
        files.write_private(place(name), json.dumps({"at": time.time(), **data}).encode())


def read(name: str) -> dict[str, Any] | None:
    """Return what was kept, None where there is nothing that can be read."""
    try:
        with files.open_regular(place(name)) as stream:
            found = json.loads(stream.read(LIMIT))
        return found if isinstance(found, dict) and isinstance(found.get("at"), int | float) else None
    except (OSError, files.NotReadable, ValueError, RecursionError):
        return None
