"""The folders of bilbs as plain text, from the environment: for `support pager`, whose start may import nothing."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM = "/etc/bilbs"
SYSTEM_STATE = "/var/lib/bilbs"


def home(env: Mapping[str, str]) -> str:
    """Return the home folder; empty where there is none (a cron job, a stripped environment)."""
    value = env.get("HOME", "")
    return value if value.startswith("/") else ""


def xdg(variable: str, fallback: str, env: Mapping[str, str]) -> str:
    """Return an XDG folder; empty without a home."""
    value = env.get(variable, "")
    if value.startswith("/"):  # the XDG specification: a relative path is invalid and ignored
        return value
    base = home(env)
    return f"{base}/{fallback}" if base else ""


def user(env: Mapping[str, str]) -> str:
    """Return the folder of this user's settings; empty without a home."""
    base = xdg("XDG_CONFIG_HOME", ".config", env)
    return f"{base}/bilbs" if base else ""


def state(env: Mapping[str, str]) -> str:
    """Return the folder of everything that must survive a reboot.

    `BILBS_STATE_DIR`, else `/var/lib/bilbs` for root, else the XDG state folder, else (no home) one below `/var/tmp`.
    """
    override = env.get("BILBS_STATE_DIR", "")
    if override:
        return override if override.startswith("/") else f"{_here()}/{override}"
    if os.geteuid() == 0:
        return SYSTEM_STATE
    base = xdg("XDG_STATE_HOME", ".local/state", env)
    return f"{base}/bilbs" if base else f"/var/tmp/bilbs-{os.geteuid()}"  # noqa: S108 - made 0700 by files.private_dir


def _here() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib is too slow here
    except OSError:  # the current folder was deleted
        return "/"
