"""The admin's own rules: used like the others, refused by name when they are wrong."""

from __future__ import annotations

import pytest

from bilbs_cli.diag.redaction import CustomRule, Redactor
from bilbs_cli.errors import ConfigProblem, Exit


def test_a_group_is_masked_and_what_stands_around_it_stays() -> None:
    redactor = Redactor(custom=[CustomRule("project", r"project-(\w+)-end")])
    assert redactor.text("a Project-falcon-END b") == "a Project-[REDACTED:custom-project]-END b"


def test_without_a_group_all_of_the_match_is_masked() -> None:
    redactor = Redactor(custom=[CustomRule("code-name", r"falcon\d+")])
    assert redactor.text("x falcon12 y") == "x [REDACTED:custom-code-name] y"


def test_an_admins_rule_gives_its_name_before_the_pack() -> None:
    redactor = Redactor(custom=[CustomRule("ours", r"ACME-\w+")])
    assert redactor.text("password=ACME-1234") == "password=[REDACTED:custom-ours]"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (CustomRule("broken", "(unclosed"), "broken"),
        (CustomRule("look", "(?=x)y"), "look"),
        (CustomRule("all", ".*"), "matches where nothing is"),
        (CustomRule("blank", " +"), "matches where nothing is"),
        (CustomRule("", "x"), "an id is made of"),
        (CustomRule("Bad Id", "x"), "an id is made of"),
        (CustomRule("long", "x" * 3000), "longer than"),
        (CustomRule("none", ""), "empty"),
        (CustomRule("huge", "((a{1000}){1000}){1000}"), "huge"),
    ],
)
def test_a_wrong_rule_is_refused_by_name(rule: CustomRule, words: str) -> None:
    with pytest.raises(ConfigProblem, match=r"redaction\.rules") as problem:
        Redactor(custom=[rule])
    assert words in str(problem.value)
    assert problem.value.exit is Exit.CONFIG


def test_an_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigProblem, match="twice"):
        Redactor(custom=[CustomRule("a1", "x"), CustomRule("a1", "y")])


def test_the_version_names_custom_rules_too() -> None:
    assert Redactor(custom=[CustomRule("a1", "x")]).rules_version != Redactor().rules_version
