"""`bilbs support card set`: store the number and the rest of the card in the user's card file, or the machine's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import ConfigProblem, UsageProblem

app = typer.Typer(add_completion=False)


@app.command()
def set_card(
    pager: Annotated[str | None, typer.Option("--pager", metavar="+1...", help="The 24/7 pager number.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="The account at support.")] = None,
    serial: Annotated[str | None, typer.Option("--serial", help="The serial of this box.")] = None,
    slack: Annotated[str | None, typer.Option("--slack", metavar="#bilbs-...", help="The Slack channel.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="The address of support.")] = None,
    company: Annotated[str | None, typer.Option("--company", help="The name to give on the telephone.")] = None,
    zone: Annotated[str | None, typer.Option("--zone", metavar="ZONE", help="The account's time zone.")] = None,
    system: Annotated[bool, typer.Option("--system", help="For the whole machine: /etc/bilbs/card.toml.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Store a number that does not look like one.")] = False,
    _json: terminal.Json = False,
) -> None:
    """Store what stands on your wallet card, so that this box can show it at night."""
    from bilbs_cli import toml_file
    from bilbs_cli.support import card_file

    given = {
        "pager": pager,
        "account": account,
        "serial": serial,
        "slack": slack,
        "email": email,
        "company": company,
        "zone": zone,
    }
    values = {name: _checked(name, text) for name, text in given.items() if text is not None}
    if not values:
        raise UsageProblem("nothing to store", next="bilbs support card set --pager +1...")
    if "pager" in values and not card_file.digits(values["pager"]) and not anyway:
        raise UsageProblem(
            f"{values['pager']} does not look like a telephone number: + and the country first, 7 to 15 digits",
            code="not-a-number",
            safe="nothing was stored",
            next="correct it, or --anyway",
        )
    path = _path(system=system)
    try:
        toml_file.set_values(path, {(name,): text for name, text in values.items()})
    except ConfigProblem as error:
        raise ConfigProblem(
            str(error), code=error.code, safe="the card was not changed", next=f"correct {path}"
        ) from error
    terminal.emit(
        "support.card.set",
        {"path": str(path), "stored": values},
        text="\n".join([*(f"{name} = {text}" for name, text in values.items()), f"stored in {path}"]),
    )


def _checked(name: str, text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > 200:
        raise UsageProblem(f"--{name}: expected a line of text, at most 200 characters", safe="nothing was stored")
    if name == "zone":
        from bilbs_cli.settings import ZONE

        try:
            return str(ZONE.parse(text))
        except ValueError as error:
            raise UsageProblem(f"--zone: {error}", safe="nothing was stored") from error
    return text.strip()


def _path(*, system: bool) -> Path:
    from bilbs_cli import folders
    from bilbs_cli.support import card_file

    folder = folders.SYSTEM if system else folders.user(os.environ)
    if not folder:
        raise UsageProblem(
            "there is no HOME for a card of this user", safe="nothing was stored", next="--system, or set HOME"
        )
    return Path(folder, card_file.NAME)
