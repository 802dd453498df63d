"""The key of pseudonyms and what they stand for, kept on the box: 0600, in the state folder, never in a bundle."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from bilbs_cli import files
from bilbs_cli.diag.redaction.disguise import Pseudonyms, reveal
from bilbs_cli.errors import OutputUnwritable, PermissionNeeded

__all__ = ["Pseudonyms", "key", "load", "of_box", "own_names", "reveal", "save"]

KEY_NAME, PAIRS_NAME, LOCK_NAME = "pseudonyms.key", "pseudonyms.json", "pseudonyms.lock"
KEY_BYTES = 32
PAIRS_BYTES = 256 << 20
LOWEST_UID, HIGHEST_UID = 1000, 60000  # of people: login.defs(5), UID_MIN and UID_MAX
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


def key(state_dir: Path) -> bytes:
    """Return this box's key, made at the first call. Raises `OutputUnwritable` when it cannot be kept."""
    path = files.private_dir(state_dir) / KEY_NAME
    with suppress(FileNotFoundError):
        found = _read(path, KEY_BYTES + 1)
        if len(found) == KEY_BYTES:
            return found
        raise OutputUnwritable(f"{path} is no key of pseudonyms", next=f"move it away: mv {path} {path}.broken")
    fresh = secrets.token_bytes(KEY_BYTES)
    _create(path, fresh)
    return _read(path, KEY_BYTES)


def _create(path: Path, data: bytes) -> None:
    """Give `path` its content once: of two runs that start together, both use the first one's key."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    files.write_private(temporary, data)
    try:
        with suppress(FileExistsError):
            os.link(temporary, path)
    except OSError as error:
        raise files.cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path, limit: int) -> bytes:
    try:
        with files.open_regular(path) as stream:
            return stream.read(limit)
    except PermissionError as error:
        raise PermissionNeeded(
            f"{path} cannot be read by this user", next="run it as the user who made the bundle (sudo)"
        ) from error
    except files.NotReadable as error:
        raise OutputUnwritable(str(error)) from error


def load(state_dir: Path) -> dict[str, str]:
    """Return what the pseudonyms of this box stand for; empty when none were made, or the file is damaged."""
    try:
        data = json.loads(_read(state_dir / PAIRS_NAME, PAIRS_BYTES))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): str(meaning) for name, meaning in data.items()} if isinstance(data, dict) else {}


def save(state_dir: Path, pairs: Mapping[str, str]) -> None:
    """Add `pairs` (stand-in to original) to those kept, atomically. Raises `OutputUnwritable`."""
    if not pairs:
        return
    folder = files.private_dir(state_dir)
    with _lock(folder / LOCK_NAME):
        known = load(folder)
        if not pairs.items() <= known.items():
            files.write_private(folder / PAIRS_NAME, json.dumps(known | dict(pairs), indent=0, sort_keys=True).encode())


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Wait for the other run that saves now (flock(2)); its work is a few milliseconds."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise files.cannot_write(path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def own_names(root: Path | None = None) -> tuple[set[str], set[str]]:
    """Return this box's host names (uname, /etc/hostname, /etc/hosts) and the people in /etc/passwd."""
    hosts = set() if root else {platform.node()}
    hosts |= set(_text(root, "/etc/hostname").split()[:1])
    for line in _text(root, "/etc/hosts").splitlines():
        words = line.partition("#")[0].split()
        hosts.update(words[1:])
    users = set()
    for line in _text(root, "/etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) == 7 and fields[2].isdigit() and LOWEST_UID <= int(fields[2]) < HIGHEST_UID:
            users.add(fields[0])
    return {host for host in hosts if _NAME.fullmatch(host)}, users


def _text(root: Path | None, path: str) -> str:
    with suppress(OSError, files.NotReadable), files.open_regular(files.rooted(root, path)) as stream:
        return stream.read(1 << 20).decode("utf-8", "replace")
    return ""


def of_box(state_dir: Path, root: Path | None = None) -> Pseudonyms:
    """Return the pseudonyms of this box. Raises `OutputUnwritable` when its key cannot be kept."""
    hosts, users = own_names(root)
    return Pseudonyms(key(state_dir), hosts=hosts, users=users)
