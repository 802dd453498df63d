"""`bilbs plan compare`: tiers side by side, and which of them have what is needed. Exits 3 where none has."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import Exit, UsageProblem
from bilbs_cli.plan.commands import offers

app = typer.Typer(add_completion=False)


class Format(StrEnum):
    """How it is printed."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


@app.command()
def compare(
    tiers: Annotated[
        list[str] | None, typer.Argument(metavar="[PLAN[:TIER]]...", help="Which; without any all that fit --need.")
    ] = None,
    need: Annotated[
        str, typer.Option("--need", metavar="NEEDS", help='For example "response:critical<=1h,24x7,price<=500".')
    ] = "",
    form: Annotated[Format, typer.Option("--format", help="markdown is for a purchase request.")] = Format.TABLE,
    _json: terminal.Json = False,
) -> None:
    """Compare tiers of one plan or of several: price, responses, hours, channels, what is included.

    Needs, separated by commas: response:LEVEL<=TIME, 24x7, price<=AMOUNT, ID>=NUMBER (consulting>=4), attainment>=99.5,
    availability>=99.9, channel:WORD, self-service. What a plan does not promise it does not fulfil.
    """
    from bilbs_cli.plan import catalog, catalog_text, needs

    if form is Format.JSON:
        terminal.choose_json()
    try:
        wanted = needs.parsed(need) if need else ()
    except ValueError as error:
        raise UsageProblem(str(error), code="bad-need", safe="nothing was asked of the network") from error
    found = offers.named(tiers) if tiers else offers.every()
    judged = [(one, list(dict.fromkeys(why for each in wanted if (why := each.unmet(one))))) for one in found]
    fit, unfit = [one for one, why in judged if not why], [(one, why) for one, why in judged if why]
    data = {
        "needs": [one.text for one in wanted],
        "tiers": [{**catalog.as_json(one), "meets": not why, "unmet": why} for one, why in judged],
    }

    def text() -> None:
        if form is Format.MARKDOWN:
            terminal.out(catalog_text.markdown(fit, unfit, need))
            return
        terminal.out(catalog_text.side_by_side(fit, terminal.width()) if fit else "No tier has all of it.")
        if unfit:
            lines = catalog_text.unmet_lines(unfit, terminal.width())
            terminal.out("\n".join(["", f"{len(unfit)} of {len(judged)} do not have it:", *lines]))

    terminal.emit("plan.compare", data, text=text)
    if not fit:
        raise typer.Exit(Exit.CONDITION)
