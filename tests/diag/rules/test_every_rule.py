"""Every rule, whatever it is about: its examples are true, its page is current, and no facts break it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.findings import Box, Gap, Rule, Verdict, evaluate
from bilbs_cli.diag.rule_page import NOW, facts_of, markdown, page
from bilbs_cli.diag.rules import RULES

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs/rules"
SOAK = bool(os.environ.get("BILBS_SOAK"))
ID = re.compile(r"(xid|sxid)\.(\d+|unknown)|[a-z0-9]+(\.[a-z0-9_]+)+")


def spoken_for(rule: Rule, said: str) -> bool:
    """Say whether a finding's id is that rule's: a rule of unknown codes speaks for any code."""
    family, _, name = rule.id.partition(".")
    return said == rule.id or (name == "unknown" and said.startswith(f"{family}."))


def test_ids_are_unique_and_well_formed() -> None:
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids))
    assert [one for one in ids if not ID.fullmatch(one)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_fires_on_its_firing_example(rule: Rule) -> None:
    judged = evaluate([rule], Box(facts_of(page(rule).fires), NOW))
    assert [gap for gap in judged.not_evaluated if gap.kind is Gap.BROKEN] == []
    assert any(spoken_for(rule, found.rule) for found in judged.findings), judged


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_looks_at_its_quiet_example_and_says_nothing(rule: Rule) -> None:
    judged = evaluate([rule], Box(facts_of(page(rule).quiet), NOW))
    assert judged.findings == ()
    assert judged.evaluated > 0, judged.not_evaluated


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_what_a_rule_needs_and_does_not_get_is_never_a_pass(rule: Rule) -> None:
    facts = facts_of(page(rule).fires)
    judged = evaluate([rule], Box({}, NOW))
    assert judged.findings == ()
    for need in rule.needs:
        without = evaluate([rule], Box(_without(facts, need), NOW))
        assert without.evaluated == 0 or without.not_evaluated or without.findings, need


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_finding_says_what_to_do_and_where_it_stands(rule: Rule) -> None:
    for found in evaluate([rule], Box(facts_of(page(rule).fires), NOW)).findings:
        assert found.message
        assert found.next
        assert found.evidence
        assert found.source.startswith("https://")
        if found.verdict is Verdict.RMA:
            assert found.missing, "an RMA candidate says what is still missing"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_page_in_the_documents_is_current(rule: Rule) -> None:
    path = PAGES / f"{rule.id}.md"
    assert path.exists(), "make rules"
    assert path.read_text() == markdown(page(rule)), "make rules"


def test_no_page_is_left_of_a_rule_that_is_gone() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == {rule.id for rule in RULES}


def _without(facts: dict[str, Any], need: str) -> dict[str, Any]:
    """Return the facts with every branch that ends in one of the alternatives of `need` taken out."""
    ways = [tuple(step for step in way.lstrip("/").split("/") if step) for way in need.split("|")]

    def copy(node: Any, path: tuple[str, ...]) -> Any:
        if not isinstance(node, dict):
            return node
        kept = {name for name in node if not any(way and (*path, name)[-len(way) :] == way for way in ways)}
        return {name: copy(inner, (*path, name)) for name, inner in node.items() if name in kept}

    result: dict[str, Any] = copy(facts, ())
    return result


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["NaN", "\x1b[31m", "0000:3b:00.0", 1 << 80, -1, float("inf"), "gpu:1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def _leaf(value: Any) -> Any:
    return st.sampled_from(
        [
            {"value": value},
            {"error": {"class": "NVMLError_GpuIsLost", "code": 15, "message": "GPU is lost"}},
            {"error": value},
            {"not_collected": "x"},
            value,
        ]
    )


def _shaken(facts: Any, draw: Any) -> Any:
    """Return facts of the same shape whose leaves are anything."""
    if isinstance(facts, dict) and not set(facts) & {"value", "error", "not_collected"}:
        return {name: _shaken(inner, draw) for name, inner in facts.items()}
    return facts if draw(st.booleans()) else draw(JUNK.flatmap(_leaf))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
@settings(max_examples=200 if SOAK else 12, deadline=None)
@given(data=st.data())
def test_no_facts_break_a_rule(rule: Rule, data: st.DataObject) -> None:
    shown = page(rule)
    facts = facts_of(data.draw(st.sampled_from([shown.fires, shown.quiet])))
    judged = evaluate([rule], Box(_shaken(facts, data.draw), NOW))
    broken = [gap.reason for gap in judged.not_evaluated if gap.kind is Gap.BROKEN]
    assert [reason for reason in broken if "(ValueError: " not in reason] == [], (
        "only what a judge says of its own accord"
    )
