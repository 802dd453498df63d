"""`bilbs config list`, `get`, `set`, `path`: every setting with the place it came from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import ConfigProblem, UsageProblem

app = typer.Typer(help="Every setting, and the place it came from.", no_args_is_help=True, add_completion=False)

Key = Annotated[str, typer.Argument(help="A setting, for example diag.profile.", show_default=False)]


@app.command("list")
def list_settings(_json: terminal.Json = False) -> None:
    """List every setting, its value and where it was set."""
    from bilbs_cli.config import load
    from bilbs_cli.settings import SETTINGS

    config, rows, errors = load(), [], []
    for setting in SETTINGS:
        try:
            found = config.find(setting.name)
            rows.append(_row(setting, found.value, found.origin))
        except ConfigProblem as error:
            errors.append(error)
            rows.append({"name": setting.name, "value": None, "origin": None, "error": str(error)})
    warnings = tuple(config.warnings())
    terminal.emit("config", {"settings": rows}, text=lambda: _table(rows), warnings=warnings, errors=errors)
    if errors:
        raise errors[0]


def _row(setting: Any, value: Any, origin: str) -> dict[str, Any]:
    from bilbs_cli.settings import RULES

    shown = [name for name, _ in value] if setting.kind is RULES else list(value) if isinstance(value, tuple) else value
    return {"name": setting.name, "value": shown, "origin": origin, "error": None}


def _table(rows: list[dict[str, Any]]) -> None:
    from bilbs_cli.settings import BY_NAME

    def shown(row: dict[str, Any]) -> str:
        if row["error"]:
            return "(wrong)"
        return ", ".join(row["value"]) if isinstance(row["value"], list) else BY_NAME[row["name"]].show(row["value"])

    lines = [(row["name"], shown(row), row["origin"] or row["error"]) for row in rows]
    terminal.table(("setting", "value", "from"), lines)


@app.command("get")
def get_setting(key: Key, _json: terminal.Json = False) -> None:
    """Print one setting's value."""
    from bilbs_cli.config import load, named

    setting, config = named(key), load()
    found = config.find(key)
    terminal.emit(
        "config",
        _row(setting, found.value, found.origin),
        text=setting.show(found.value),
        warnings=tuple(config.warnings()),
    )


@app.command("set")
def set_setting(
    key: Key,
    value: Annotated[str, typer.Argument(help="Its new value; a list as a,b,c.", show_default=False)],
    system: Annotated[bool, typer.Option("--system", help="For the whole machine: /etc/bilbs/config.toml.")] = False,
    _json: terminal.Json = False,
) -> None:
    """Write a setting into the user's file, or the machine's with --system; comments stay."""
    from bilbs_cli import config, paths, toml_file
    from bilbs_cli.settings import RULES

    setting = config.named(key)
    if setting.kind is RULES:
        raise UsageProblem(f"{key} is written into the file by hand, as [[{key}]] tables", next="bilbs config path")
    try:
        setting.kind.parse(value)
    except ValueError as error:
        raise UsageProblem(f"{key}: {error}", safe="nothing was changed", next="bilbs help settings") from error
    path = paths.SYSTEM_CONFIG if system else _user_file()
    toml_file.set_values(path, {setting.path: setting.kind.as_toml(value)})
    terminal.emit(
        "config", {"name": key, "path": str(path)}, text=f"{key} is set in {path}", warnings=_overridden(key, path)
    )


def _user_file() -> Path:
    from bilbs_cli.config import places

    files = places(os.environ)
    if os.environ.get("BILBS_CONFIG") and files:
        return files[0]
    if len(files) < 2:  # only the machine's, or none
        raise UsageProblem(
            "there is no settings file of this user: no HOME, or BILBS_CONFIG leaves it out",
            safe="nothing was changed",
            next="--system, or set HOME or BILBS_CONFIG",
        )
    return files[0]


def _overridden(key: str, path: Path) -> tuple[str, ...]:
    """Return the warning that the new value is not the one in use, because a higher place sets it too."""
    from bilbs_cli.config import load

    origin = load().find(key).origin
    return () if origin.startswith(str(path)) else (f"{key} in use comes from {origin}, which is higher",)


@app.command("path")
def show_path(_json: terminal.Json = False) -> None:
    """Print the settings files in the order they count."""
    from bilbs_cli.config import places

    rows = [{"path": str(path), "exists": path.exists()} for path in places(os.environ)]
    lines = [f"{row['path']}{'' if row['exists'] else '  (absent)'}" for row in rows]
    terminal.emit("config", {"files": rows}, text="\n".join(lines))
