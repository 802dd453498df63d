"""Which severity fits: from what `diag check` found, from the answers to the plan's own questions, or from both."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli.providers.model import Provider, Severity


class Facts(NamedTuple):
    """What a check of the box says: its suggestion as a severity name (empty: none), why, and its status word."""

    severity: str
    why: str
    status: str
    source: str


class Choice(NamedTuple):
    """The severity to take and each reason for it; `findings_say` is what the facts alone lead to (None: nothing)."""

    severity: Severity
    reasons: tuple[str, ...]
    findings_say: Severity | None


def questions(provider: Provider) -> tuple[Severity, ...]:
    """Return the levels to ask about, the most severe first: those with a question."""
    return tuple(one for one in provider.severities if one.ask)


def from_answers(provider: Provider, answers: Mapping[str, bool]) -> Severity | None:
    """Return the first level whose question was answered yes; with only noes the mildest; None without answers."""
    if not answers:
        return None
    return next((one for one in provider.severities if answers.get(one.id)), provider.severities[-1])


def choose(provider: Provider, facts: Facts | None, answers: Mapping[str, bool]) -> Choice | None:
    """Return the more severe of what the facts and the answers lead to, and why; None where neither says anything.

    The person decides: a machine that looks healthy does not lower what a person says, nor the other way round.
    """
    answered = from_answers(provider, answers)
    found = provider.severity(facts.severity) if facts and facts.severity else None
    candidates = [one for one in (answered, found) if one is not None]
    if not candidates:
        return None
    severity = min(candidates, key=lambda one: provider.rank(one.id))
    return Choice(severity, tuple(_reasons(provider, facts, found, answers, answered)), found)


def _reasons(
    provider: Provider,
    facts: Facts | None,
    found: Severity | None,
    answers: Mapping[str, bool],
    answered: Severity | None,
) -> Sequence[str]:
    reasons = []
    if answered is not None:
        yes = [one for one in provider.severities if answers.get(one.id)]
        reasons.append(
            f'you said yes to "{yes[0].ask}": {answered.name}'
            if yes
            else f"you said no to every question: {answered.name}"
        )
    if facts is not None:
        said = f"{facts.source}: {facts.why or f'the box is {facts.status}'}"
        reasons.append(f"{said}: {found.name}" if found else f"{said}; that suggests no severity")
    if answered is not None and found is not None and answered.id != found.id:
        reasons.append("the more severe of the two is taken; you decide")
    return reasons
