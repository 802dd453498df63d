"""The line of a reading in facts.json is the one an editor shows."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag import model
from bilbs_cli.diag.fact_lines import cited, lines_of
from bilbs_cli.diag.findings import Evidence, Finding, Severity, Verdict

NAMES = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=6)
TREES = st.recursive(
    st.sampled_from([{"value": 1}, {"value": {"a": [1, {"b": 2}], "facts": 3}}, {"not_collected": "x"}]),
    lambda inner: st.dictionaries(NAMES.filter(lambda name: name not in model.RESERVED), inner, min_size=1, max_size=4),
    max_leaves=12,
)


def document(facts: Any) -> str:
    return json.dumps({"schema_version": 1, "host": "h", "facts": facts}, indent=1, ensure_ascii=True) + "\n"


@given(TREES)
def test_every_reading_is_found_where_it_stands(facts: Any) -> None:
    text = document({"top": facts})
    lines = text.splitlines()
    paths = {"/".join(path): path for path, _ in model.leaves({"top": facts})}
    found = lines_of(text, paths)
    assert set(found) == set(paths)
    for path, line in found.items():
        assert lines[line - 1].strip().startswith(json.dumps(paths[path][-1]) + ":")
        assert len(lines[line - 1]) - len(lines[line - 1].lstrip()) == len(paths[path]) + 1


def test_what_is_not_there_has_no_line_and_a_log_line_keeps_its_own() -> None:
    finding = Finding(
        "a.b",
        Severity.INFO,
        Verdict.IGNORE,
        "p",
        "m",
        (
            Evidence("facts.json", "x", path="gpu/a"),
            Evidence("facts.json", "x", path="gpu/none"),
            Evidence("k", "x", 9),
        ),
        "n",
        "s",
    )
    (done,) = cited([finding], document({"gpu": {"a": {"value": 1}}}))
    assert [one.line for one in done.evidence] == [6, None, 9]
    assert [one.line for one in cited([finding], "")[0].evidence] == [None, None, 9]
