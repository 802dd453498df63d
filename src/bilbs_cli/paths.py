"""Where bilbs keeps its things: `/var/lib/bilbs` for root, XDG folders for a user, `BILBS_STATE_DIR` over both.

Standard library only, and nothing here touches the disk: `support pager` imports it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SYSTEM_CONFIG = Path("/etc/bilbs/config.toml")
SYSTEM_STATE = Path("/var/lib/bilbs")


def home(env: Mapping[str, str] = os.environ) -> Path | None:
    """Return the home folder, or None where there is none (a cron job, a stripped environment)."""
    value = env.get("HOME", "")
    return Path(value) if value.startswith("/") else None


def _xdg(variable: str, fallback: str, env: Mapping[str, str]) -> Path | None:
    value = env.get(variable, "")
    if value.startswith("/"):  # the XDG specification: a relative path is invalid and ignored
        return Path(value)
    base = home(env)
    return base / fallback if base else None


def user_config(env: Mapping[str, str] = os.environ) -> Path | None:
    """Return the user's settings file, or None without a home."""
    base = _xdg("XDG_CONFIG_HOME", ".config", env)
    return base / "bilbs" / "config.toml" if base else None


def state_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of everything that must survive a reboot.

    `BILBS_STATE_DIR`, else `/var/lib/bilbs` for root, else the XDG state folder, else (no home) one below `/var/tmp`.
    """
    override = env.get("BILBS_STATE_DIR", "")
    if override:
        return Path(override).absolute()
    if os.geteuid() == 0:
        return SYSTEM_STATE
    base = _xdg("XDG_STATE_HOME", ".local/state", env)
    return base / "bilbs" if base else Path("/var/tmp") / f"bilbs-{os.geteuid()}"  # noqa: S108 - made 0700 by files.private_dir
