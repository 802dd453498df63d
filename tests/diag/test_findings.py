"""Needs with alternatives, and judges that cannot say: both end as "not evaluated", never as a pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bilbs_cli.diag.findings import BOX, Box, Case, Found, Gap, Judgement, Rule, Severity, Unjudged, Verdict, evaluate
from bilbs_cli.diag.model import NotCollected, ReadError, Value
from tests.diag.remembered import NOW, tree

UNSUPPORTED = ReadError("NVMLError_NotSupported", "Not Supported", 3)


def judged(judge: Any, facts: dict[str, Any], *needs: str) -> Judgement:
    rule = Rule("a.b", Severity.WARNING, Verdict.INSPECT, needs, "https://example.org", judge, BOX, next="look")
    return evaluate([rule], Box(tree(facts), NOW))


def silent(_case: Case) -> None:
    """Say nothing."""


@pytest.mark.parametrize(
    ("first", "second", "evaluated"),
    [
        (Value(False), UNSUPPORTED, 1),
        (UNSUPPORTED, Value(0), 1),
        (Value(None), Value(1), 1),
        (UNSUPPORTED, NotCollected("x"), 0),
        (Value(None), UNSUPPORTED, 0),
    ],
)
def test_a_need_with_alternatives_is_met_by_any_of_them_that_is_a_value(
    first: Any, second: Any, evaluated: int
) -> None:
    judgement = judged(silent, {"a/call": first, "a/field": second}, "/a/call|/a/field")
    assert judgement.evaluated == evaluated
    assert len(judgement.not_evaluated) == 1 - evaluated


@pytest.mark.parametrize("asked", ["a/call", "a/field"])
def test_a_need_without_any_of_its_alternatives_tells_the_reason_of_one_that_was_asked(asked: str) -> None:
    (gap,) = judged(silent, {asked: UNSUPPORTED}, "/a/call|/a/field").not_evaluated
    assert (gap.kind, gap.need) == (Gap.UNSUPPORTED, "/a/call|/a/field")
    assert gap.reason == f"{asked} was not readable: Not Supported"


def test_a_judge_that_cannot_say_leaves_a_gap_with_its_kind_and_no_finding() -> None:
    def judge(case: Case) -> Iterator[Found]:
        if case.get("/a") is not True:
            raise Unjudged("/b", "there is nothing to compare it with", Gap.DENIED)
        yield Found("a")

    judgement = judged(judge, {"a": 1})
    assert (judgement.findings, judgement.evaluated) == ((), 0)
    (gap,) = judgement.not_evaluated
    assert (gap.kind, gap.need, gap.reason) == (Gap.DENIED, "/b", "there is nothing to compare it with")
    assert judged(judge, {"a": True}).evaluated == 1


@pytest.mark.parametrize(
    ("reading", "kind", "words"),
    [
        (ReadError("Timeout", "no answer"), Gap.TIMEOUT, "a was not readable: no answer"),
        (NotCollected("not asked"), Gap.NOT_COLLECTED, "a was not readable: not asked"),
        (Value("x" * 500), Gap.ERROR, f"a was not readable: {'x' * 80} is no value that this reading can have"),
    ],
)
def test_what_a_judge_could_not_read_is_said_with_its_reason(reading: Any, kind: Gap, words: str) -> None:
    def judge(case: Case) -> None:
        raise case.unread("/a")

    (gap,) = judged(judge, {"a": reading}).not_evaluated
    assert (gap.kind, gap.reason) == (kind, words)


@pytest.mark.parametrize("value", [True, "1", None, [1], float("nan"), float("-inf"), 10**400, -(10**400)])
def test_what_no_float_can_hold_is_no_number(value: Any) -> None:
    assert Case(Box(tree({"a": value}), NOW), (), "", "").number("a") is None
    assert Case(Box(tree({"a": 1 << 62}), NOW), (), "", "").number("a") == 1 << 62
