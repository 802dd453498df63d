"""Commands and groups that are imported when they are used: a start costs only what the command needs."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, ClassVar

import typer
import typer.core
import typer.main

Group = tuple[
    str, str, str
]  # its name, the module whose `app` holds it (or MODULE:NAME; one command, or several), its line in the help


class LazyGroup(typer.core.TyperGroup):
    """A name that stands for the command or the group in its module until it is used."""

    module: ClassVar[str]

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the real one and let it parse the rest of the command line."""
        real = loaded(self)
        real.name = self.name
        return real.make_context(info_name, args, parent, **extra)


def loaded(command: Any) -> Any:
    """Return the command that a name stands for; one that is no `LazyGroup` stands for itself."""
    if not isinstance(command, LazyGroup):
        return command
    module, _, name = command.module.partition(":")
    app = getattr(import_module(module), name or "app")
    app.rich_markup_mode = None
    return typer.main.get_command(app)


def add_groups(app: typer.Typer, groups: Iterable[Group]) -> None:
    """Add commands and groups to `app` by name, without importing them."""
    for name, module, line in groups:
        app.add_typer(typer.Typer(), name=name, help=line, cls=type("Lazy", (LazyGroup,), {"module": module}))
