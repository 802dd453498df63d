"""`bilbs support card`: the wallet card in every form, and its block on the login screen."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import ConfigProblem, UsageProblem
from bilbs_cli.lazy_groups import Group, add_groups

if TYPE_CHECKING:
    from bilbs_cli.support.card import WalletCard

COMMANDS: tuple[Group, ...] = (
    ("set", "bilbs_cli.support.commands.card_set_command", "Store the number and the rest of the card."),
)


class Format(StrEnum):
    """The forms of the card."""

    TEXT = "text"
    ISSUE = "issue"
    MOTD = "motd"
    SVG = "svg"
    PNG = "png"
    QR = "qr"


class Place(StrEnum):
    """The login screens that can carry it."""

    ISSUE = "issue"
    MOTD = "motd"


app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def card(
    ctx: typer.Context,
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TEXT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there; a new file, or with --force.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that is there.")] = False,
    install: Annotated[
        Place | None, typer.Option("--install", help="Put it on the login screen: /etc/issue or /etc/motd.")
    ] = None,
    remove: Annotated[Place | None, typer.Option("--remove", help="Take it out again.")] = None,
    sysroot: Annotated[
        Path | None, typer.Option("--sysroot", metavar="DIR", help="With --install, --remove: a mounted system.")
    ] = None,
    _json: terminal.Json = False,
) -> None:
    """Show the wallet card: number, account, box serial, channels. It can stand on the screen of a dead box."""
    if ctx.invoked_subcommand is not None:
        return
    if install and remove:
        raise UsageProblem("--install and --remove do not go together")
    if sysroot and not (install or remove):
        raise UsageProblem("--sysroot belongs to --install or --remove")
    known = _card()
    for warning in known.warnings:
        terminal.warn(warning)
    if install or remove:
        _login_screen(known, install, remove, sysroot)
    else:
        _show(known, form, output, force=force)


def _card() -> WalletCard:
    from bilbs_cli import config
    from bilbs_cli.providers import loading
    from bilbs_cli.support import card as wallet

    try:
        settings = config.load()
        account, provider = settings.value("account.id"), str(settings.value("support.provider"))
        plan = loading.load(provider)
    except ConfigProblem as error:  # a broken settings or provider file must not hide the number
        terminal.warn(f"{error}; the built-in plan is shown")
        account, plan = None, loading.read(loading.built_in("bilbs"))
    return wallet.gather(plan, account)


def _show(known: WalletCard, form: Format, output: Path | None, *, force: bool) -> None:
    from bilbs_cli.support import card as wallet
    from bilbs_cli.support import qr

    if form is Format.TEXT and output is None:
        terminal.emit("support.card", as_json(known), text=lambda: terminal.out(wallet.page(known, terminal.width())))
        return
    if form is Format.QR and not known.uri:
        raise UsageProblem(
            "no pager number is known: there is nothing to encode", next="bilbs support card set --pager +1..."
        )
    if form is Format.QR and output is None and terminal.is_rich(sys.stdout):
        terminal.raw(qr.for_terminal(known.uri).encode())
        return
    data = _data(known, form)
    if output is None:
        if form in {Format.PNG, Format.QR}:
            terminal.binary_stdout(f"--format {form}")
        terminal.raw(data)
        return
    _write(output, data, force=force)
    terminal.emit("support.card", as_json(known) | {"path": str(output)}, text=f"{output}")


def _data(known: WalletCard, form: Format) -> bytes:
    from bilbs_cli.support import card as wallet
    from bilbs_cli.support import card_picture

    match form:
        case Format.TEXT:
            return (wallet.page(known, wallet.BLOCK_WIDTH) + "\n").encode()
        case Format.ISSUE:
            return wallet.for_issue(wallet.block(known)).encode()
        case Format.MOTD:
            return wallet.block(known).encode()
        case Format.SVG:
            return card_picture.svg(known).encode()
        case Format.PNG:
            return card_picture.png(known)
        case Format.QR:
            return card_picture.qr_png(known)


def _write(output: Path, data: bytes, *, force: bool) -> None:
    from bilbs_cli import files

    if output.exists() and not force:
        raise UsageProblem(f"{output} is there already", safe="it was not changed", next="--force, or another name")
    files.write_private(output.absolute(), data, mode=0o644)


def _login_screen(known: WalletCard, install: Place | None, remove: Place | None, sysroot: Path | None) -> None:
    from bilbs_cli.support import card as wallet
    from bilbs_cli.support import card_block

    place = install or remove
    assert place is not None  # noqa: S101 - the caller asks for one of them
    text = wallet.block(known)
    block = (wallet.for_issue(text) if place is Place.ISSUE else text).encode() if install else None
    path, changed = card_block.write(place.value, block, sysroot)
    done = ("installed in" if install else "removed from") if changed else ("up to date in" if install else "not in")
    terminal.emit(
        "support.card.block",
        {"path": str(path), "changed": changed, "installed": bool(install)},
        text=f"the card is {done} {path}",
    )


def as_json(known: WalletCard) -> dict[str, object]:
    """Return the card; `value` is null where nothing knows it, and `origin` says why."""
    lines = {line.field: {"value": line.value or None, "origin": line.origin} for line in known.lines}
    return {"provider": known.provider, "uri": known.uri or None, "lines": lines}


add_groups(app, COMMANDS)
