"""One value written into a TOML file that people edit: comments, order and mode of the file stay."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bilbs_cli import config, files
from bilbs_cli.errors import OutputUnwritable
from bilbs_cli.toml_text import KeyPath, with_value


def set_values(path: Path, values: Mapping[KeyPath, Any]) -> None:
    """Set keys in the TOML file at `path`, made if absent, in one write; its comments and its mode stay.

    Raises `ConfigProblem` for a file that is broken already, `PermissionNeeded`, `OutputUnwritable`.
    """
    path = Path(os.path.realpath(path))  # a link into someone's dotfiles stays a link
    layer = config.read(path)
    for_all = path.is_relative_to("/etc")
    try:
        mode = path.stat().st_mode & 0o777 if layer else 0o644 if for_all else 0o600
        text = layer.text if layer else ""
        for key, value in values.items():
            text = with_value(text, key, value)
        path.parent.mkdir(mode=0o755 if for_all else 0o700, parents=True, exist_ok=True)
        files.write_private(path, text.encode(), mode=mode)
    except (OSError, OutputUnwritable) as error:
        raise files.not_written(path, error) from error
