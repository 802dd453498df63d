"""`bilbs doctor`: every path tried before the night it is needed; its exit status is the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import BilbsError, Exit

if TYPE_CHECKING:
    from bilbs_cli.support.desk_checks import Check

app = typer.Typer(add_completion=False)

COLLECTORS_S = 30.0
LIMIT = 4 << 20


@app.command()
def doctor(
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="How long one answer is waited for.")
    ] = 5.0,
    _json: terminal.Json = False,
) -> None:
    """Try everything that a bad night needs: disk, pager, login, desk, TLS, proxy, clocks, and what can be read here.

    Exit status 0 when all of it works, 10 with warnings or what could not be tried, 11
    when something would fail.
    """
    from bilbs_cli.support import desk_checks

    found: list[Check] = []
    for one in _all(timeout):
        found.append(one)
        if not terminal.wants_json():
            _show(one)
    states = [one.state for one in found]
    status = (
        Exit.CRITICAL if desk_checks.FAIL in states else Exit.WARNINGS if set(states) - {desk_checks.OK} else Exit.OK
    )
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    data = {"checks": [one._asdict() | {"state": one.state.lower()} for one in found], "exit": int(status)}
    terminal.emit("doctor", data, text=counted)
    raise typer.Exit(status)


def _all(timeout: float) -> Iterator[Check]:
    from bilbs_cli import config as settings
    from bilbs_cli.support import desk_checks as checks

    try:
        loaded = settings.load()
        odd = list(loaded.warnings())
    except BilbsError as error:
        yield checks.Check("settings", checks.FAIL, str(error), error.next)
        return
    yield (
        checks.Check("settings", checks.WARN, odd[0], "bilbs config list")
        if odd
        else checks.Check("settings", checks.OK, "read")
    )
    try:
        yield from checks.checks(loaded, timeout)
    except BilbsError as error:
        yield checks.Check("settings", checks.FAIL, str(error), error.next)
    yield from _collectors(checks.Check)


def _collectors(check: type[Check]) -> Iterator[Check]:
    """Yield what can be read on this box, asked in a process of its own: a hung driver cannot hang us."""
    from bilbs_cli import process
    from bilbs_cli.support.desk_checks import FAIL, OK, UNKNOWN, WARN

    done = process.run_bilbs("diag", "list", "--json", timeout_s=COLLECTORS_S, max_output=LIMIT)
    try:
        rows = json.loads(done.stdout)["data"]["collectors"]
        states = {"yes": OK, "no": WARN, "partly": WARN}
        for row in rows:
            yield check(row["name"], states.get(row["available"], WARN), row["why"] or "can be read")
    except (ValueError, KeyError, TypeError):
        if done.timed_out:
            yield check(
                "collectors",
                FAIL,
                f"no answer within {COLLECTORS_S:.0f} s: a driver hangs",
                "bilbs diag collect --profile triage",
            )
        else:
            yield check("collectors", UNKNOWN, "diag list gave no answer", "bilbs diag list")


def _show(one: Check) -> None:
    from bilbs_cli.tables import wrapped

    lines = wrapped(one.said, f"{one.state:8}{one.name:12}", terminal.width())
    if one.next and one.state != "ok":
        lines += wrapped(one.next, f"{'':20}next: ", terminal.width())
    terminal.out("\n".join(lines))
