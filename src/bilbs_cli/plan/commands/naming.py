"""The flags and checks that the commands which change the plan share."""

from __future__ import annotations

from typing import Annotated

import typer

from bilbs_cli.errors import UsageProblem

SUPPORT = "support"
Plan = Annotated[str, typer.Argument(metavar="support", help="The plan; there is one.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show everything, change nothing.", show_default=False)]


def check(plan: str, command: str) -> None:
    """Say no to a plan that does not exist. Raises `UsageProblem`."""
    if plan != SUPPORT:
        raise UsageProblem(
            f"there is no plan {plan}: the one that can be had is {SUPPORT}",
            code="no-such-plan",
            safe="nothing was changed",
            next=f"bilbs plan {command} {SUPPORT}",
        )
