"""Plain tables and clipped lines, measured as a terminal measures them."""

from __future__ import annotations

import doctest

from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli import tables
from bilbs_cli.escape import visible
from bilbs_cli.tables import cells, clip, plain_table, wrapped


def test_columns_line_up_also_with_wide_and_combining_characters() -> None:
    text = plain_table(("name", "value"), [("日本", "a"), ("e\u0301te", "b"), ("plain", "c")], 80)
    assert text == "NAME   VALUE\n日本   a\ne\u0301te    b\nplain  c"


def test_the_last_column_is_wrapped_at_blanks_to_the_width() -> None:
    text = plain_table(("a", "b"), [("x", "one two three four five six seven")], 25)
    assert text == "A  B\nx  one two three four\n   five six seven"


def test_a_path_is_never_broken() -> None:
    path = "/very/long/path/that/is/longer/than/the/width"
    assert path in plain_table(("a", "b"), [("x", f"see {path} there")], 20)


def test_a_table_without_rows_is_its_heading() -> None:
    assert plain_table(("a", "b"), [], 80) == "A  B"


def test_a_line_is_clipped_to_columns_and_not_to_characters() -> None:
    assert clip("short", 10) == "short"
    assert clip("a long line", 8) == "a lon..."
    assert clip("日本語日本語", 8) == "日本..."
    assert clip("anything", 2) == ".."


@given(st.text(), st.integers(0, 40))
def test_a_clipped_line_always_fits(text: str, width: int) -> None:
    assert cells(clip(text, width)) <= width


def test_the_samples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(tables).attempted
    assert not doctest.testmod(tables).failed


@given(
    st.text(max_size=200) | st.text("日本 a", max_size=200),
    st.sampled_from(["", "  [x] ", "note    "]),
    st.integers(40, 120),
)
def test_wrapped_lines_fit_begin_with_the_head_and_lose_nothing(text: str, head: str, width: int) -> None:
    lines = wrapped(text, head, width)
    assert max(map(cells, lines)) <= width
    assert lines[0].startswith(head.rstrip())
    assert all(not line[: len(head)].strip() for line in lines[1:])
    kept = "".join(line[len(head) :] for line in lines).replace(" ", "")
    assert kept == "".join(visible(" ".join(text.split())).split(" "))
