"""Each rule by its own examples, and the pack as a whole."""

from __future__ import annotations

import re

import pytest

from bilbs_cli.diag.redaction import Redactor
from bilbs_cli.diag.redaction.rule import Rule, compiled
from bilbs_cli.diag.redaction.rules import RULES
from bilbs_cli.diag.redaction.scanner import Scanner
from tests.diag.redaction.examples import expand

REDACTOR = Redactor()
LEAKS = [(rule, example) for rule in RULES for example in rule.leaks]
KEEPS = [(rule, example) for rule in RULES for example in rule.keeps]


def called(pair: tuple[Rule, str]) -> str:
    return f"{pair[0].id}: {pair[1][:40]}"


@pytest.mark.parametrize("pair", LEAKS, ids=called)
def test_what_a_rule_names_as_a_leak_is_masked(pair: tuple[Rule, str]) -> None:
    example = expand(pair[1])
    out = REDACTOR.text(example.text.decode()).encode()
    assert b"[REDACTED:" in out
    for secret in example.secrets:
        assert secret not in out


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_finds_its_own_examples_without_the_others(rule: Rule) -> None:
    alone = Scanner([rule])
    for text in (expand(example).text for example in rule.leaks):
        assert any(span.rule == rule.id for line in text.split(b"\n") for span in alone.scan(line).spans), text


@pytest.mark.parametrize("pair", KEEPS, ids=called)
def test_what_a_rule_names_as_harmless_stays(pair: tuple[Rule, str]) -> None:
    text = expand(pair[1]).text.decode()
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_complete(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]{2,39}", rule.id)
    assert rule.title
    assert rule.leaks
    assert compiled(rule.pattern).groups >= 1


def test_ids_are_used_once() -> None:
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids))
    assert not {"password", "token", "key", "private-key", "known-secret"} & set(ids)


def test_the_version_changes_with_the_pack() -> None:
    assert Scanner(RULES).version == Scanner(RULES).version
    assert Scanner(RULES[:-1]).version != Scanner(RULES).version


def test_the_filter_in_front_lets_every_example_through() -> None:
    for rule in RULES:
        for example in rule.leaks:
            lines = expand(example).text.split(b"\n")
            assert any(REDACTOR.scanner.sieve.lines(line)(0) >= 0 for line in lines), (rule.id, example)
