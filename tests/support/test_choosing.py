"""Which severity fits: facts and answers, and who decides."""

from __future__ import annotations

import itertools

import pytest

from bilbs_cli.providers import loading
from bilbs_cli.support.choosing import Facts, choose, from_answers, questions

BILBS = loading.load("bilbs", env={})
ASKED = [one.id for one in questions(BILBS)]


def facts(severity: str) -> Facts:
    return Facts(severity, "1 of 2 GPUs is offline", "critical", "diag check of this box")


def test_the_first_yes_decides_and_only_noes_mean_the_mildest_level() -> None:
    for answers in itertools.product([True, False], repeat=len(ASKED)):
        found = from_answers(BILBS, dict(zip(ASKED, answers, strict=True)))
        expected = ASKED[answers.index(True)] if True in answers else BILBS.severities[-1].id
        assert found is not None
        assert found.id == expected


def test_nothing_said_is_no_suggestion() -> None:
    assert choose(BILBS, None, {}) is None
    assert choose(BILBS, facts(""), {}) is None


@pytest.mark.parametrize(
    ("said", "found", "taken"), [("sev1", "sev3", "sev1"), ("sev3", "sev2", "sev2"), ("sev2", "sev2", "sev2")]
)
def test_the_more_severe_of_person_and_facts_is_taken(said: str, found: str, taken: str) -> None:
    answers = {one: one == said for one in ASKED[: ASKED.index(said) + 1]}
    choice = choose(BILBS, facts(found), answers)
    assert choice is not None
    assert choice.severity.id == taken
    assert ("the more severe of the two is taken; you decide" in choice.reasons) == (said != found)


def test_each_reason_says_where_it_comes_from() -> None:
    choice = choose(BILBS, facts("sev2"), {"sev1": False, "sev2": True})
    assert choice is not None
    assert choice.reasons == (
        f'you said yes to "{BILBS.severities[1].ask}": Sev-2',
        "diag check of this box: 1 of 2 GPUs is offline: Sev-2",
    )


def test_a_healthy_box_lowers_nothing() -> None:
    healthy = Facts("", "", "healthy", "diag check of this box")
    choice = choose(BILBS, healthy, {"sev1": True})
    assert choice is not None
    assert choice.severity.id == "sev1"
    assert choice.reasons[1] == "diag check of this box: the box is healthy; that suggests no severity"
