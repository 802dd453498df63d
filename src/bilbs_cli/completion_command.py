"""`bilbs completion`: the script for a shell, made from the program."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bilbs_cli import terminal

app = typer.Typer(add_completion=False)


class Shell(StrEnum):
    """A shell that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def completion(context: typer.Context, shell: Annotated[Shell, typer.Argument(help="Which shell.")]) -> None:
    """Print the completion script of a shell; the Debian package has it installed.

    bash: bilbs completion bash > ~/.local/share/bash-completion/completions/bilbs

    zsh: bilbs completion zsh > FOLDER/_bilbs, where FOLDER is in fpath

    fish: bilbs completion fish > ~/.config/fish/completions/bilbs.fish
    """
    from bilbs_cli import command_tree, completion_scripts

    root = command_tree.read(context.find_root().command)
    terminal.raw(completion_scripts.SCRIPTS[shell.value](root).encode())
