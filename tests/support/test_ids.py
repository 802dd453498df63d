"""What is an id of the desk: nothing else stands in a path of the API or in the name of a file."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.support.ids import is_id


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,66}", fullmatch=True))
def test_an_id_is_what_the_contract_allows(text: str) -> None:
    assert is_id(text) == bool(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text))


@pytest.mark.parametrize(
    "value", [None, 3, True, ["a"], "", ".", "..", "a/b", "tkt_\u0661", "tkt_1\n", "t\u00e9", "x" * 65]
)
def test_what_could_lead_elsewhere_is_none(value: object) -> None:
    assert not is_id(value)
