"""Where bilbs keeps its things: `/var/lib/bilbs` for root, XDG folders for a user, `BILBS_STATE_DIR` over both.

Nothing here touches the disk. `folders` is the same as text, for the pager.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bilbs_cli import folders

SYSTEM_CONFIG = Path(folders.SYSTEM, "config.toml")
SYSTEM_STATE = Path(folders.SYSTEM_STATE)


def home(env: Mapping[str, str] = os.environ) -> Path | None:
    """Return the home folder, or None where there is none (a cron job, a stripped environment)."""
    text = folders.home(env)
    return Path(text) if text else None


def user_config(env: Mapping[str, str] = os.environ) -> Path | None:
    """Return the user's settings file, or None without a home."""
    text = folders.user(env)
    return Path(text, "config.toml") if text else None


def state_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of everything that must survive a reboot (`folders.state`)."""
    return Path(folders.state(env))
