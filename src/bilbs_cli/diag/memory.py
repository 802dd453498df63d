"""The files of a box's memory in /var/lib/bilbs: baseline.json and history.jsonl, read, renewed and never trusted.

`baseline.json` is replaced as a whole (temporary file, fsync, rename). `history.jsonl` gets one line per check, synced; a
line that is cut or hostile costs itself. It keeps the newest 100 checks, the last of each earlier day and every check
with a fault, at most 500 lines and 1 MiB. Checks within five minutes of the last add nothing but new faults. Writers
hold `memory.lock`. A memory that cannot be written is a sentence for the person, never the end of a check.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bilbs_cli import files, paths
from bilbs_cli.diag import baseline as baselines
from bilbs_cli.diag import past
from bilbs_cli.diag.baseline import Baseline, History
from bilbs_cli.diag.bundle import members
from bilbs_cli.diag.findings import FACTS, Facts, Judgement, moment
from bilbs_cli.diag.inventory import inventory, next_baseline, obstacles
from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Tree, Value, encode, lookup
from bilbs_cli.errors import BilbsError, ConfigProblem, NotFound

BASELINE, HISTORY, LOCK = "baseline.json", "history.jsonl", "memory.lock"
NONE_YET = "no baseline yet: bilbs diag baseline set"
NO_HISTORY = "this is the first check that is remembered"
MOST_READ, MOST_FILE = 4 << 20, 64 << 20  # bytes of a memory file, of a file that a person names
OTHER_FILE = "a baseline.json (bilbs diag baseline path), a bundle, or its facts.json"
LOCK_S = 2.0  # how long another check may hold the memory


@dataclass(frozen=True, slots=True)
class Remembered:
    """Whether a check renewed the baseline, and why or why not, in words; `failed` when nothing could be written."""

    updated: bool
    why: str
    failed: bool = False


def place(root: Path | None) -> Path:
    """Return the folder of the memory: this user's, or that of the system mounted at `root`."""
    return files.rooted(root, str(paths.SYSTEM_STATE)) if root else paths.state_dir()


def recall(state_dir: Path) -> dict[str, Tree]:
    """Return the leaves of the facts `memory/baseline` and `memory/history`, by their last name. Raises nothing."""
    return _leaves({"baseline": _baseline(state_dir), "history": _history(state_dir)})


@dataclass(frozen=True, slots=True)
class Kept:
    """What the files hold; `problem` says why a baseline that is there cannot be read."""

    baseline: Baseline | None
    history: History
    problem: str = ""


def kept(state_dir: Path) -> Kept:
    """Return what the files hold."""
    found, facts = _baseline(state_dir), {"memory": recall(state_dir)}
    problem = found.message if isinstance(found, ReadError) else ""
    return Kept(baselines.baseline_of(facts), baselines.history_of(facts), problem)


def _leaves(readings: Mapping[str, Reading]) -> dict[str, Tree]:
    return {name: encode(reading) for name, reading in readings.items()}


def _baseline(state_dir: Path) -> Reading:
    try:
        text = _read(state_dir / BASELINE, MOST_READ)
        found = baselines.decode(parse(text, state_dir / BASELINE))
    except FileNotFoundError:
        return NotCollected(NONE_YET)
    except (OSError, files.NotReadable, ConfigProblem) as error:
        return _error(error)
    return Value(baselines.encode(found)) if found else ReadError("Broken", f"{state_dir / BASELINE} is no baseline")


def _history(state_dir: Path) -> Reading:
    try:
        lines = _lines(state_dir)
    except FileNotFoundError:
        return NotCollected(NO_HISTORY)
    except (OSError, files.NotReadable) as error:
        return _error(error)
    known = baselines.decode_history(past.history_value(lines))
    return Value(baselines.encode_history(known)) if lines else NotCollected(NO_HISTORY)


def _error(error: Exception) -> ReadError:
    said = error.strerror if isinstance(error, OSError) else None
    return ReadError(type(error).__name__, said or str(error), error.errno if isinstance(error, OSError) else None)


def _read(path: Path, most: int) -> str:
    """Return a file's text, of a larger one the end. Raises `OSError` or `NotReadable`."""
    with files.open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(size - most, 0))
        left, parts = most, []
        while left > 0 and (part := stream.read(left)):
            parts.append(part)
            left -= len(part)
    return b"".join(parts).decode("utf-8", "replace")


def _lines(state_dir: Path) -> list[past.Line]:
    """Return the lines of the history that are objects with a time; others are left out."""
    found = []
    for line in _read(state_dir / HISTORY, MOST_READ).split("\n"):
        try:
            row = json.loads(line) if line.startswith("{") else None
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and moment(row.get("at")):
            found.append(row)
    return found


def remember(state_dir: Path, facts: Facts, judgement: Judgement, at: datetime, boot: str) -> Remembered:
    """Add a live check to the history, and renew the baseline when it is a healthy one.

    `facts` carry the memory as it was recalled for this check; what another check wrote since is read again under the
    lock. `boot` is the boot id. Raises nothing: a disk that is full or read-only is what `why` says.
    """
    try:
        with _holding(state_dir):
            return _remember(state_dir, facts, judgement, at, boot)
    except (BilbsError, OSError, files.NotReadable) as error:
        return Remembered(False, f"this check could not be remembered: {error}", failed=True)


def _remember(state_dir: Path, facts: Facts, judgement: Judgement, at: datetime, boot: str) -> Remembered:
    now = {**facts, "memory": recall(state_dir)}
    line = past.line_of(now, judgement, at, boot, baselines.history_of(now))
    if line:
        _append(state_dir, line)
    found = lookup(now, "memory", "baseline")
    if isinstance(found, ReadError):
        return Remembered(False, f"the baseline cannot be read ({found.message}): bilbs diag baseline set")
    old = baselines.baseline_of(now)
    if new := next_baseline(old, now, judgement, at):
        _write(state_dir / BASELINE, new)
        return Remembered(True, "the baseline was renewed" if old else "this clean check is the baseline now")
    stays = "the baseline stays as it is" if old else "no baseline was taken"
    return Remembered(False, f"{stays}: {'; '.join(obstacles(old, now, judgement))}")


def take(state_dir: Path, new: Baseline) -> None:
    """Write a baseline that a person decided on. Raises `OutputUnwritable`."""
    with _holding(state_dir):
        _write(state_dir / BASELINE, new)


def forget(state_dir: Path, *, history: bool) -> tuple[Path, ...]:
    """Remove the baseline, and the history too when asked; return what was there. Raises `OutputUnwritable`."""
    paths = [state_dir / BASELINE, *([state_dir / HISTORY] if history else [])]
    there = tuple(path for path in paths if os.path.lexists(path))
    for path in there:
        try:
            path.unlink()
        except OSError as error:
            raise files.cannot_write(path, error) from error
    return there


@contextmanager
def _holding(state_dir: Path) -> Iterator[None]:
    """Hold the memory alone. Raises `OutputUnwritable`, `ConfigProblem` when another check holds it for long."""
    lock = files.private_dir(state_dir) / LOCK
    end = time.monotonic() + LOCK_S
    with ExitStack() as held:
        while not _try(lock, held):
            if time.monotonic() > end:
                raise ConfigProblem(f"another check holds {lock}", code="memory-busy", next="try again in a minute")
            time.sleep(0.02)
        yield


def _try(lock: Path, held: ExitStack) -> bool:
    try:
        return held.enter_context(files.locked(lock))
    except OSError as error:
        raise files.cannot_write(lock, error) from error


def _write(path: Path, new: Baseline) -> None:
    files.write_private(path, (json.dumps(baselines.encode(new), indent=1, allow_nan=False) + "\n").encode())


def _text(line: past.Line) -> bytes:
    return (json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n").encode()


def _append(state_dir: Path, line: past.Line) -> None:
    """Add a line and sync it; on a full disk the file is as before. Too large a file is rewritten, thinned."""
    path, text = state_dir / HISTORY, _text(line)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(handle).st_size
            ended = size == 0 or os.pread(handle, 1, size - 1) == b"\n"  # else the last writer was cut off
            _put(handle, size, text if ended else b"\n" + text)
        finally:
            os.close(handle)
    except OSError as error:
        raise files.cannot_write(path, error) from error
    lines = _lines(state_dir)
    if size + len(text) > past.MOST_BYTES or len(lines) > past.MOST_LINES:
        files.write_private(path, b"".join(past.thinned(list(_texts(lines)))))


def _texts(lines: list[past.Line]) -> Iterator[tuple[past.Line, bytes]]:
    """Yield the lines with their text; one with an endless number in it is left out."""
    for line in lines:
        with suppress(ValueError):
            yield line, _text(line)


def _put(handle: int, size: int, text: bytes) -> None:
    try:
        while text:
            text = text[os.pwrite(handle, text, os.fstat(handle).st_size) :]
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise


def load(path: Path) -> dict[str, Tree]:
    """Return the leaves of `memory/...` from a file that a person names: a baseline.json, a facts.json, or a bundle.

    Of a bundle the box as it was then is the baseline, and the history that it carried the history. Raises `NotFound`,
    `ConfigProblem` that names the line, and what `members.read` raises.
    """
    document = parse(_named(path), path)
    facts = document.get("facts") if isinstance(document, Mapping) else None
    if isinstance(facts, Mapping) and (then := moment(document.get("collected_at"))):
        found = inventory(facts, then, f"{path.name} of {then:%Y-%m-%d}")
        return _leaves({"baseline": Value(baselines.encode(found)), "history": lookup(facts, "memory", "history")})
    if known := baselines.decode(document):
        history = NotCollected("a baseline.json has no history")
        return _leaves({"baseline": Value(baselines.encode(known)), "history": history})
    raise ConfigProblem(
        f"{path} is neither a baseline (no taken_at) nor a facts.json (no facts, collected_at)", next=OTHER_FILE
    )


def _named(path: Path) -> str:
    if path.suffix == ".json" and not members.is_folder(path):
        return _plain(path)
    for _, data in members.read(path, (FACTS,), MOST_FILE):
        return data.decode("utf-8", "replace")
    raise ConfigProblem(f"{path} has no {FACTS}", next=OTHER_FILE)


def _plain(path: Path) -> str:
    try:
        return _read(path, MOST_FILE)
    except FileNotFoundError as error:
        raise NotFound(f"there is no {path}", next=OTHER_FILE) from error
    except (OSError, files.NotReadable) as error:
        said = error.strerror if isinstance(error, OSError) else None
        raise ConfigProblem(f"{path} cannot be read: {said or error}", next=OTHER_FILE) from error


def parse(text: str, path: Path) -> Any:
    """Return the JSON in a file. Raises `ConfigProblem` with its line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        said = f"{path} line {error.lineno}: no JSON: {error.msg}"
        raise ConfigProblem(said, next=OTHER_FILE) from error
    except (ValueError, RecursionError) as error:
        raise ConfigProblem(f"{path} line 1: no JSON that can be read: {error}", next=OTHER_FILE) from error
