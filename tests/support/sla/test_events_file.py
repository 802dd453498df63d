"""A ticket's events as a file: what is read, and how a mistake is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.providers import loading
from bilbs_cli.support.sla.events_file import parse
from bilbs_cli.support.sla.history import Event

BILBS = loading.load("bilbs", env={})
LINES = """\
{"at": "2026-11-23T09:14:00Z", "type": "opened", "severity": "p1", "kind": "hardware"}

{"at": "2026-11-23T09:20:00Z", "type": "acknowledged", "by": "engineer"}
{"at": "2026-11-23T10:00:00+01:00", "type": "waiting", "on": "customer", "unknown": "is ignored"}
{"at": "2026-11-23T12:00:00Z", "type": "severity", "by": "customer", "to": "Sev-3"}
"""


def test_lines_are_read_with_aliases_resolved() -> None:
    text = LINES.replace("10:00:00+01:00", "11:00:00+01:00")
    story = parse(text, "t.jsonl", BILBS)[""]
    assert (story.severity, story.kind, len(story.events)) == ("sev1", "hardware", 3)
    assert story.events[1].on == "customer"
    assert story.events[2] == Event(story.events[2].at, "severity", "customer", to="sev3")


def test_an_event_before_the_opening_is_refused() -> None:
    with pytest.raises(ValueError, match="before the ticket was opened"):
        parse(LINES, "t.jsonl", BILBS)


@pytest.mark.parametrize(
    "wrap", [list, lambda items: {"events": items}, lambda items: {"data": items, "has_more": False}]
)
def test_a_list_and_what_the_desk_answers_are_read_as_well(wrap: Callable[[list[dict[str, str]]], Any]) -> None:
    items = [{"at": "2026-11-23T09:14:00Z", "type": "opened"}, {"at": "2026-11-23T09:20:00Z", "type": "resolved"}]
    assert [one.type for one in parse(json.dumps(wrap(items)), "t", BILBS)[""].events] == ["resolved"]


def test_one_single_event_is_a_file_too() -> None:
    assert parse('{"at": "2026-11-23T09:14:00Z", "type": "resolved"}', "t", BILBS)[""].events[0].type == "resolved"


def test_tickets_are_kept_apart() -> None:
    lines = [{"ticket": name, "at": "2026-11-23T09:14:00Z", "type": "opened"} for name in ("a", "b")]
    assert list(parse("\n".join(map(json.dumps, lines)), "t", BILBS)) == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", r"t\.jsonl:2: no JSON"),
        ("[1]", r"t\.jsonl:2: expected an object"),
        ('{"type": "resolved"}', r"t\.jsonl:2\.at: missing"),
        ('{"at": 5, "type": "resolved"}', r"t\.jsonl:2\.at: expected a text"),
        ('{"at": "2026-11-23T09:14:00", "type": "resolved"}', r"t\.jsonl:2\.at: .* no time with a zone"),
        ('{"at": "soon", "type": "resolved"}', r"t\.jsonl:2\.at: 'soon' is no time"),
        ('{"at": "9999-12-31T23:59:59Z", "type": "resolved"}', r"t\.jsonl:2\.at"),
        (
            '{"at": "2026-11-23T09:14:00Z", "type": "reslved"}',
            r"t\.jsonl:2\.type: no event reslved; did you mean resolved\?",
        ),
        ('{"at": "2026-11-23T09:14:00Z", "type": "responded"}', r"t\.jsonl:2\.by: missing"),
        ('{"at": "2026-11-23T09:14:00Z", "type": "responded", "by": "me"}', r"t\.jsonl:2\.by: no me; one of customer"),
        ('{"at": "2026-11-23T09:14:00Z", "type": "waiting"}', r"t\.jsonl:2\.on: missing"),
        (
            '{"at": "2026-11-23T09:14:00Z", "type": "severity", "by": "customer", "to": "sve1"}',
            r"t\.jsonl:2\.to: .*did you mean sev1",
        ),
        ("[" * 100_000, r"t\.jsonl:2: no JSON"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_key(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(f'{{"at": "2026-11-23T09:14:00Z", "type": "opened"}}\n{line}\n', "t.jsonl", BILBS)


def test_a_mistake_in_a_list_is_named_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"t: events\[2\]\.type: missing"):
        parse('[{"at": "2026-11-23T09:14:00Z", "type": "opened"}, {"at": "2026-11-23T09:14:00Z"}]', "t", BILBS)


@given(
    st.text(max_size=200)
    | st.recursive(
        st.none() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["at", "type", "events", "by"]), inner),
    ).map(json.dumps)
)
def test_no_file_brings_anything_but_events_or_a_reason(text: str) -> None:
    try:
        parse(text, "t", BILBS)
    except ValueError as error:
        assert str(error).startswith("t:")  # noqa: PT017 - the message is the point
