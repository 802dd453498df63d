"""`bilbs support severity`: the guide of the plan, and `--help-me-choose` with facts from this box or a bundle."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import BilbsError, UsageProblem

if TYPE_CHECKING:
    from bilbs_cli.providers.model import Provider
    from bilbs_cli.support.choosing import Choice, Facts


app = typer.Typer(add_completion=False)


@app.command()
def severity(
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="ID", help="Support plan; the setting support.provider.")
    ] = None,
    tier: Annotated[str | None, typer.Option("--tier", help="Show the promises of this tier.")] = None,
    choose: Annotated[
        bool, typer.Option("--help-me-choose", help="Look at this box, ask, and suggest one with the reasons.")
    ] = False,
    facts: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="BUNDLE|FILE|-",
            help="Take the facts from a bundle, or from `diag check --json` (- for stdin).",
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Look at this box with diag check.")] = True,
    answers: Annotated[
        str | None, typer.Option("--answers", metavar="yes,no,...", help="Answer the questions, in their order.")
    ] = None,
    _json: terminal.Json = False,
) -> None:
    """Show what each severity means; with --help-me-choose suggest one."""
    from bilbs_cli import config
    from bilbs_cli.providers import loading
    from bilbs_cli.support.sla_question import tier_of

    settings = config.load()
    plan = loading.load(str(settings.value("support.provider", provider)))
    if choose:
        _suggest(plan, _facts(facts, check=check), _answers(plan, answers))
        return
    if facts or answers or not check:
        raise UsageProblem("--from, --answers and --no-check belong to --help-me-choose", next="add --help-me-choose")
    from bilbs_cli.support import reach_text

    named = tier_of(plan, tier) if tier else None
    terminal.emit(
        "support.severity",
        _guide(plan),
        text=lambda: terminal.out(reach_text.guide_page(plan, named.id if named else "", terminal.width())),
        warnings=tuple(settings.warnings()),
    )


def _guide(plan: Provider) -> dict[str, Any]:
    levels = [one._asdict() | {"assumed": sorted(one.assumed)} for one in plan.severities]
    return {"provider": plan.id, "default": plan.default_severity, "severities": levels}


def _facts(source: str | None, *, check: bool) -> Facts | None:
    """Return what a check says; None, with a warning, where it says nothing: the questions are left then."""
    from pathlib import Path

    from bilbs_cli.support import box_facts

    if source is None:
        if not check:
            return None
        try:
            return box_facts.of_box()
        except BilbsError as error:
            terminal.warn(f"{error}; only the questions are left")
            return None
    if source == "-":
        return box_facts.parse(sys.stdin.buffer.read(box_facts.LIMIT), "stdin")
    if not Path(source).exists():
        raise UsageProblem(f"--from {source}: there is no such file", next="bilbs diag collect, or - for stdin")
    return box_facts.of_file(source)


def _answers(plan: Provider, given: str | None) -> dict[str, bool]:
    """Return the answers to the plan's questions: given, or asked on a terminal until the first yes; else none."""
    from bilbs_cli.support import choosing

    asked = choosing.questions(plan)
    if given is not None:
        words = [word.strip().lower() for word in given.split(",")]
        if not set(words) <= {"yes", "no", "y", "n"} or len(words) > len(asked):
            raise UsageProblem(f"--answers {given}: write yes or no, at most {len(asked)} of them, with commas")
        return {one.id: word.startswith("y") for one, word in zip(asked, words, strict=False)}
    answers: dict[str, bool] = {}
    if sys.stdin is not None and sys.stdin.isatty() and not terminal.wants_json():
        for one in asked:
            answers[one.id] = terminal.confirm(one.ask, flag="--answers")
            if answers[one.id]:
                break
    return answers


def _suggest(plan: Provider, facts: Facts | None, answers: dict[str, bool]) -> None:
    from bilbs_cli.support import choosing, reach_text

    choice = choosing.choose(plan, facts, answers)
    if choice is None:
        raise UsageProblem(
            "nothing says how bad it is: no answers, and nothing that a check found",
            code="needs-answer",
            next="--answers yes,no,... (bilbs support severity lists the levels), or --from BUNDLE",
        )
    terminal.emit(
        "support.severity.choice",
        _chosen(choice, facts),
        text=lambda: terminal.out(reach_text.choice_page(choice, terminal.width())),
    )


def _chosen(choice: Choice, facts: Facts | None) -> dict[str, Any]:
    return {
        "severity": choice.severity.id,
        "name": choice.severity.name,
        "reasons": list(choice.reasons),
        "findings_suggest": choice.findings_say.id if choice.findings_say else None,
        "status": facts.status if facts else None,
    }
