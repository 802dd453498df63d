"""Secrets that a command needs: from a private file, the environment or a systemd credential; never from argv."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from bilbs_cli import files, log
from bilbs_cli.errors import ConfigProblem, PermissionNeeded

LIMIT = 64 << 10


def find(credential: str, *, file: Path | None, variable: str, env: Mapping[str, str] = os.environ) -> str | None:
    """Return a secret: from `file`, else the variable, else `$CREDENTIALS_DIRECTORY/<credential>` (systemd.exec(5)).

    None when there is none. It never appears in our log afterwards. Raises `PermissionNeeded` for a file that others can
    read, `ConfigProblem` for one that cannot be read or is empty.
    """
    folder = env.get("CREDENTIALS_DIRECTORY", "")
    if file is not None:
        secret: str | None = _read(file, private=True)
    elif env.get(variable):
        secret = env[variable]
    elif folder and (Path(folder) / credential).exists():
        secret = _read(Path(folder) / credential, private=False)  # systemd keeps that folder private itself
    else:
        secret = None
    if secret:
        log.hide(secret)
    return secret


def _read(path: Path, *, private: bool) -> str:
    try:
        with files.open_regular(path) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if private and stat.S_IMODE(mode) & 0o077:
                raise PermissionNeeded(
                    f"{path} can be read by others (mode {stat.S_IMODE(mode):04o})",
                    code="secret-not-private",
                    safe="it was not used",
                    next=f"chmod 600 {path}",
                )
            text = stream.read(LIMIT).decode("utf-8", "surrogateescape").rstrip("\r\n")
    except (OSError, files.NotReadable) as error:
        raise ConfigProblem(
            f"cannot read the secret in {path}: {getattr(error, 'strerror', None) or error}", code="secret-unreadable"
        ) from error
    if not text:
        raise ConfigProblem(f"{path} is empty, and a secret was expected in it", code="secret-empty")
    return text
