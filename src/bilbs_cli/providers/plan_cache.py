"""Provider files as parsed before: a JSON copy in the state folder, while size and time of the file stay the same.

Reading TOML takes 10 ms of each start, with the import of its reader; JSON takes less than one.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bilbs_cli import __version__, files, paths
from bilbs_cli.errors import OutputUnwritable

LIMIT = 4 << 20


def read(path: Path) -> dict[str, Any] | None:
    """Return what the file at `path` held when it was last parsed; None where it has changed, or nothing is kept."""
    try:
        with files.open_regular(_place(path)) as stream:
            kept = json.loads(stream.read(LIMIT))
        return dict(kept["data"]) if kept["of"] == _fingerprint(path) else None
    except (OSError, files.NotReadable, ValueError, KeyError, TypeError):
        return None  # absent, old, damaged or not ours: parsed anew


def keep(path: Path, data: Mapping[str, Any]) -> None:
    """Keep what a good file holds. Dates have no JSON form: such a file is parsed each time."""
    with suppress(OSError, OutputUnwritable, TypeError):  # a read-only disk: parsed each time
        text = json.dumps({"of": _fingerprint(path), "data": data})
        files.private_dir(_place(path).parent)
        files.write_private(_place(path), text.encode())


def _place(path: Path) -> Path:
    folder = str(path.absolute().parent).replace("/", "+")[
        -120:
    ]  # two that collide overwrite each other's copy: the path is in it
    return paths.state_dir() / "cache" / "plans" / f"{path.stem[:40]}-{folder}.json"


def _fingerprint(path: Path) -> list[Any]:
    info = path.stat()
    return [__version__, str(path.absolute()), info.st_size, info.st_mtime_ns, info.st_ino]
