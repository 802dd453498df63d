"""Lines and small edits of TOML text: comments stay, and the meaning changes in one key only."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.toml_text import entries, line_of, with_value

SAMPLE = '''# settings of gpu01
title = "x"   # a key without a table

[diag]  # collection
profile = "full" # while we hunt the Xid
services = [
    "nvidia-dcgm",  # [not = a key]
    "x]y",
]
text = """
[bmc]
host = "no"
"""
quoted."a b" = 'it''s'
[bmc]
host = '10.0.0.1'

[[redaction.rules]]
id = "badge"
pattern = "B-[0-9]+"
'''.replace("'it''s'", "'its'")


def test_every_key_is_found_in_its_line() -> None:
    found = {entry.path: entry.line for entry in entries(SAMPLE)}
    assert found == {
        ("title",): 2,
        ("diag",): 4,
        ("diag", "profile"): 5,
        ("diag", "services"): 6,
        ("diag", "text"): 10,
        ("diag", "quoted", "a b"): 14,
        ("bmc",): 15,
        ("bmc", "host"): 16,
        ("redaction", "rules"): 18,
        ("redaction", "rules", "id"): 19,
        ("redaction", "rules", "pattern"): 20,
    }
    assert line_of(SAMPLE, ("bmc", "host")) == 16
    assert line_of(SAMPLE, ("bmc", "user")) is None


@pytest.mark.parametrize(
    ("path", "value", "changed"),
    [
        (("diag", "profile"), "triage", {'profile = "triage" # while we hunt the Xid'}),
        (("bmc", "host"), "bmc1", {'host = "bmc1"'}),
        (("bmc", "port"), 624, {"port = 624"}),
        (("diag", "nice"), 5, {"nice = 5"}),
        (("account", "id"), "a-1", {"", "[account]", 'id = "a-1"'}),
    ],
)
def test_one_key_changes_and_every_other_line_stays(path: tuple[str, str], value: Any, changed: set[str]) -> None:
    edited = with_value(SAMPLE, path, value)
    old, new = SAMPLE.splitlines(), edited.splitlines()
    assert set(new) - set(old) == changed - {""}
    assert len(set(old) - set(new)) <= 1
    wanted = tomllib.loads(SAMPLE)
    wanted.setdefault(path[0], {})[path[1]] = value
    assert tomllib.loads(edited) == wanted


def test_a_new_key_in_an_empty_table_keeps_every_comment() -> None:
    text = "[bmc]\n# why\n[diag]\nnice = 1\n"
    assert with_value(text, ("bmc", "port"), 5) == "[bmc]\nport = 5\n# why\n[diag]\nnice = 1\n"


def test_a_new_key_goes_to_the_end_of_its_table() -> None:
    assert (
        with_value("[bmc]\nhost = 'a'\n\n[diag]\nnice = 1\n", ("bmc", "port"), 5)
        == "[bmc]\nhost = 'a'\nport = 5\n\n[diag]\nnice = 1\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[bmc]",
        "[bmc]\n",
        "bmc.user = 'x'\n",
        "bmc = {user = 'x'}\n",
        "a = 1",
        "# only\r\n[bmc]\r\nhost='x'\r\n",
        "\n\n",
    ],
)
def test_a_key_can_be_set_in_any_style_of_file(text: str) -> None:
    wanted = tomllib.loads(text)
    wanted.setdefault("bmc", {})["host"] = "new"
    assert tomllib.loads(with_value(text, ("bmc", "host"), "new")) == wanted


def test_a_comment_is_lost_only_where_the_table_is_written_inline() -> None:
    assert "# why" in with_value("# why\n[bmc]\nuser = 'x'\n", ("bmc", "host"), "h")
    assert tomllib.loads(with_value("# why\nbmc = {user = 'x'}\n", ("bmc", "host"), "h"))["bmc"] == {
        "user": "x",
        "host": "h",
    }


KEYS = st.sampled_from(["diag", "bmc", "a b", "é", "x.y", 'q"', "#", "[", "="])
VALUES = st.recursive(
    st.integers(-9, 9)
    | st.booleans()
    | st.text(max_size=8)
    | st.sampled_from(['"""', "'''", "\n[bmc]\nhost = 1\n", "# no"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4), KEYS, KEYS, VALUES, st.booleans())
def test_setting_any_key_in_any_file_changes_that_key_and_nothing_else(
    content: dict[str, Any], table: str, key: str, value: Any, multiline: bool
) -> None:
    text = tomli_w.dumps(content, multiline_strings=multiline)
    wanted = tomllib.loads(text)
    wanted.setdefault(table, {})[key] = value
    assert tomllib.loads(with_value(text, (table, key), value)) == tomllib.loads(tomli_w.dumps(wanted))
