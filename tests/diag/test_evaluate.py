"""The engine: what is absent is never a pass, a broken rule costs one rule, the order is the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.findings import (
    BOX,
    MOST_FOUND,
    Box,
    Case,
    Evidence,
    Finding,
    Found,
    Gap,
    Rule,
    Scope,
    Severity,
    Verdict,
    evaluate,
    gap_of,
    moment,
    order,
)
from bilbs_cli.diag.model import NotCollected, ReadError, Value, encode

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
EACH = Scope("gpu", "gpu/devices/*", lambda _, path: f"gpu:{path[-1]}", lambda _: "the driver was not asked")


def hot(case: Case) -> Iterator[Found]:
    """Say that a GPU is hot."""
    degrees = case.number("temperature_c")
    if degrees is not None and degrees > 90:
        yield Found(f"{degrees} C", (case.cite("temperature_c"),))


def rule(judge: Any = hot, needs: tuple[str, ...] = ("temperature_c",), scope: Scope = EACH, name: str = "a.b") -> Rule:
    return Rule(name, Severity.CRITICAL, Verdict.INSPECT, needs, "https://example.org", judge, scope, next="look")


def box(**gpus: Any) -> Box:
    return Box({"gpu": {"devices": {name: {"temperature_c": encode(leaf)} for name, leaf in gpus.items()}}}, NOW)


def test_a_value_is_judged_and_everything_else_is_a_gap_with_its_reason() -> None:
    judged = evaluate(
        [rule()],
        box(
            a=Value(95),
            b=Value(30),
            c=ReadError("NVMLError_NotSupported", "Not Supported", 3),
            d=ReadError("PermissionError", "Operation not permitted", 1),
            e=ReadError("Timeout", "no answer"),
            f=ReadError("NVMLError_GpuIsLost", "GPU is lost", 15),
            g=NotCollected("not asked"),
            h=Value(None),
        ),
    )
    assert [(one.part, one.message) for one in judged.findings] == [("gpu:a", "95 C")]
    assert judged.evaluated == 2
    assert [(one.part, one.kind) for one in judged.not_evaluated] == [
        ("gpu:c", Gap.UNSUPPORTED),
        ("gpu:d", Gap.DENIED),
        ("gpu:e", Gap.TIMEOUT),
        ("gpu:f", Gap.ERROR),
        ("gpu:g", Gap.NOT_COLLECTED),
        ("gpu:h", Gap.NOT_COLLECTED),
    ]
    assert "temperature_c was not readable: no answer" in judged.not_evaluated[2].reason
    assert "2 checks by 1 rules, 6 not evaluated (2 not collected, 1 unsupported" in judged.coverage


def test_no_subject_is_a_gap_when_there_may_be_some_unseen_and_nothing_when_there_are_none() -> None:
    assert [gap.reason for gap in evaluate([rule()], Box({}, NOW)).not_evaluated] == ["the driver was not asked"]
    none = Scope("gpu", "gpu/devices/*", lambda _, path: path[-1])
    assert evaluate([rule(scope=none)], Box({}, NOW)).not_evaluated == ()


def test_a_reading_of_the_whole_box_can_be_needed() -> None:
    judged = evaluate([rule(needs=("/memory/baseline",))], box(a=Value(95)))
    assert judged.findings == ()
    assert judged.not_evaluated[0].reason == "memory/baseline was not readable: not present in these facts"


@pytest.mark.parametrize("error", [ValueError("x"), RecursionError("y"), ZeroDivisionError("z")])
def test_a_rule_that_fails_costs_that_part_alone_and_is_named(error: Exception) -> None:
    def broken(case: Case) -> Iterator[Found]:
        if case.path[-1] == "a":
            raise error
        yield Found("fine", next="x")

    judged = evaluate([rule(broken), rule(name="c.d")], box(a=Value(95), b=Value(95)))
    assert [(one.rule, one.part) for one in judged.findings] == [("a.b", "gpu:b"), ("c.d", "gpu:a"), ("c.d", "gpu:b")]
    assert [(one.kind, one.part) for one in judged.not_evaluated] == [(Gap.BROKEN, "gpu:a")]
    assert type(error).__name__ in judged.not_evaluated[0].reason
    assert judged.evaluated == 3


def test_a_flood_of_findings_is_counted_and_a_long_text_is_cut() -> None:
    def flood(case: Case) -> Iterator[Found]:
        for number in range(MOST_FOUND + 5):
            yield Found(f"{number} " + "x" * 5000, (Evidence("m", "y" * 5000),) * 99)

    judged = evaluate([rule(flood, (), BOX)], Box({}, NOW))
    assert len(judged.findings) == MOST_FOUND + 1
    assert any("5 more findings of this rule" in one.message for one in judged.findings)
    assert max(len(one.message) for one in judged.findings) <= 400
    assert max(len(one.evidence) for one in judged.findings) <= 8


def test_a_single_found_or_none_is_a_judgement_too() -> None:
    assert len(evaluate([rule(lambda _: Found("one"), (), BOX)], Box({}, NOW)).findings) == 1
    assert evaluate([rule(lambda _: None, (), BOX)], Box({}, NOW)).evaluated == 1


def test_the_worst_comes_first_and_roots_before_what_followed_them() -> None:
    def finding(name: str, severity: Severity, verdict: Verdict, caused_by: str = "") -> Finding:
        return Finding(name, severity, verdict, "p", "m", (), "n", "s", caused_by=caused_by)

    listed = [
        finding("a", Severity.INFO, Verdict.IGNORE),
        finding("b", Severity.CRITICAL, Verdict.RESET_GPU, "c@p"),
        finding("c", Severity.CRITICAL, Verdict.REBOOT),
        finding("d", Severity.WARNING, Verdict.RMA),
        finding("e", Severity.CRITICAL, Verdict.RMA),
    ]
    assert [one.rule for one in order(reversed(listed))] == ["e", "c", "b", "d", "a"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("2026-11-21T04:00:00+00:00", NOW),
        ("2026-11-21T05:00:00+01:00", NOW),
        ("2026-11-21T04:00:00", None),
        ("nonsense", None),
        (5, None),
        (None, None),
    ],
)
def test_only_times_with_a_zone_are_times(given: object, wanted: datetime | None) -> None:
    assert moment(given) == wanted


@pytest.mark.parametrize("leaf", [True, False, float("nan"), float("inf"), "5", [], {}])
def test_booleans_nan_and_texts_are_no_numbers(leaf: object) -> None:
    judged = evaluate([rule(lambda case: Found(str(case.number("temperature_c"))))], box(a=Value(leaf)))
    assert [one.message for one in judged.findings] == ["None"]


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda s: st.dictionaries(st.text(max_size=3), s, max_size=3))
)
def test_any_tree_is_survived_and_gives_the_same_answer_twice(tree: Any) -> None:
    facts = {"gpu": {"devices": tree}} if isinstance(tree, dict) else {"gpu": tree}
    assert evaluate([rule()], Box(facts, NOW)) == evaluate([rule()], Box(facts, NOW))


def test_what_is_derived_from_a_box_is_made_once() -> None:
    calls = []

    def make(_: Box) -> int:
        calls.append(1)
        return 7

    one = Box({}, NOW, NOW - timedelta(days=1))
    assert (one.derive(make), one.derive(make), calls) == (7, 7, [1])


def test_the_kind_of_a_gap_is_told_from_the_error() -> None:
    assert gap_of(ReadError("CompletionCodeError", "no", 0xC1))[0] is Gap.UNSUPPORTED
    assert gap_of(ReadError("CompletionCodeError", "no", 0xD4))[0] is Gap.DENIED
    assert gap_of(ReadError("NVMLError_NoPermission", "no", 4))[0] is Gap.DENIED
    assert gap_of(ReadError("NVMLError_FunctionNotFound", "no", 13))[0] is Gap.UNSUPPORTED
