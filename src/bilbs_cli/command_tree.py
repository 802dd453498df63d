"""The whole command tree as data: what manual pages and completion are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import typer
import typer.main

from bilbs_cli.lazy_groups import loaded


class Option(NamedTuple):
    """One flag: its `names`, what it takes (`value`, empty for a switch; `choices`), whether it can be repeated."""

    names: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    path: bool
    repeats: bool
    help: str
    default: str


class Argument(NamedTuple):
    """One word that is no flag: `shown` as in the usage line."""

    name: str
    shown: str
    choices: tuple[str, ...]
    path: bool
    repeats: bool
    required: bool
    help: str


class Command(NamedTuple):
    """One command or group: `path` without `bilbs`, its first line, the whole text, what it takes, what it holds."""

    path: tuple[str, ...]
    line: str
    text: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    commands: tuple[Command, ...]

    def everything(self) -> Iterator[Command]:
        """Yield this one and all below, each before what it holds."""
        yield self
        for one in self.commands:
            yield from one.everything()


def read(root: Any) -> Command:
    """Return the tree below a command of click or an app of typer; groups that load late are loaded."""
    found = typer.main.get_command(root) if isinstance(root, typer.Typer) else root
    return _command(found, (), "")


def _command(found: Any, path: tuple[str, ...], line: str) -> Command:
    real = loaded(found)
    text = _first(real.help or line or "")
    below = [(name, one) for name, one in getattr(real, "commands", {}).items() if not one.hidden]
    return Command(
        path,
        _first(line) or text,
        (real.help or line or "").split("\f")[0].strip(),
        tuple(_option(one) for one in real.params if one.param_type_name == "option" and not one.hidden),
        tuple(_argument(one) for one in real.params if one.param_type_name == "argument"),
        tuple(_command(one, (*path, name), one.help or "") for name, one in below),
    )


def _first(text: str) -> str:
    """Return the first sentence of a help text."""
    return " ".join(text.split("\f", maxsplit=1)[0].split("\n\n", maxsplit=1)[0].split()).split(". ")[0]


def _choices(parameter: Any) -> tuple[str, ...]:
    known = getattr(parameter.type, "choices", None)
    if known:
        return tuple(map(str, known))
    shown = str(parameter.metavar or "")
    words = shown.split("|")
    return tuple(word for word in words if word.islower() and word.isalpha()) if len(words) > 1 else ()


def _is_path(parameter: Any) -> bool:
    shown = str(parameter.metavar or "")
    return "Path" in type(parameter.type).__name__ or any(word in shown for word in ("FILE", "DIR", "BUNDLE", "PATH"))


def _option(one: Any) -> Option:
    names = tuple(sorted((*one.opts, *one.secondary_opts), key=len))
    switch = bool(one.is_flag or one.count)
    words = _choices(one)
    value = "" if switch else str(one.metavar or "|".join(words) or one.type.name.upper())
    default = "" if switch else _default(one)
    return Option(
        names,
        value,
        () if switch else words,
        not switch and _is_path(one),
        one.multiple,
        one.help or "",
        default,
    )


def _default(one: Any) -> str:
    if isinstance(one.show_default, str):
        return one.show_default
    if one.default is None or one.default == "" or not one.show_default or callable(one.default):
        return ""
    return str(getattr(one.default, "value", one.default))


def _argument(one: Any) -> Argument:
    name = str(one.metavar or one.name.upper())
    shown = name if one.required or name.startswith("[") else f"[{name}]"
    shown += "..." if one.nargs == -1 and not shown.endswith("...") else ""
    return Argument(
        one.name,
        shown,
        _choices(one),
        _is_path(one),
        one.nargs == -1,
        bool(one.required),
        getattr(one, "help", "") or "",
    )
