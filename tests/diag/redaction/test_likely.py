"""The filter leaves out only what every judge would let pass: compared with a filter that leaves nothing out."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.redaction import Redactor, assigned, keys
from bilbs_cli.diag.redaction.likely import FREQUENT

WORDS = [
    *sorted({word.decode() for word in keys.AFTER | FREQUENT}),
    "old",
    "x2",
    "2",
    "base",
    "typed",
    "id",
    "name",
    "prod",
]
CORES = [
    "password",
    "pass",
    "pwd",
    "pw",
    "secret",
    "token",
    "tokens",
    "api_key",
    "access_key",
    "db_password",
    "oldpwd",
    "pwdx",
    "prompt_tokens",
    "psk",
]
VALUES = ["35.2", "1234567", "/home/ops", "hunter2-fake", "Zm9vYmFyYmF6cXV4"]
ODD = [
    "12",
    "123456",
    "~/x",
    "0x12",
    "",
    "yes",
    '"12"',
    "12,",
    "12}",
    "7f3a9c2e11d04b5a",
    "Tr0ub4dor&3",
    "12 GB",
    "/etc/x",
    "/%secret#1",
]


@pytest.fixture(scope="module")
def thorough() -> Redactor:
    """Return a redactor whose filter takes every name."""
    kept, assigned.LIKELY = assigned.LIKELY, assigned.ASSIGNED
    try:
        return Redactor()
    finally:
        assigned.LIKELY = kept


@pytest.fixture(scope="module")
def quick() -> Redactor:
    return Redactor()


@pytest.mark.parametrize("core", CORES)
def test_a_name_that_the_filter_leaves_out_holds_no_secret(thorough: Redactor, quick: Redactor, core: str) -> None:
    for word, join, value in product(WORDS, ("_", "-", "", "."), VALUES):
        line = f"app[1]: {core}{join}{word}={value}\n"
        assert quick.text(line) == thorough.text(line)


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(CORES),
    st.sampled_from(["", "_", "-", ".", "__"]),
    st.sampled_from(["", *WORDS]),
    st.sampled_from([str.lower, str.upper, str.title]),
    st.sampled_from(["=", ": ", "=>", ' = "', '": "', "':'", " : ", "= "]),
    st.sampled_from([*VALUES, *ODD]),
    st.sampled_from(["", " ", " and more", ",", '"', "}"]),
    st.sampled_from(["", "app[1]: ", '{"', "export ", "x.", "MY_"]),
)
def test_in_every_notation(
    thorough: Redactor,
    quick: Redactor,
    core: str,
    join: str,
    word: str,
    case: object,
    separator: str,
    value: str,
    end: str,
    start: str,
) -> None:
    line = f"{start}{case(core + join + word)}{separator}{value}{end}\n"  # type: ignore[operator]
    assert quick.text(line) == thorough.text(line)


@pytest.mark.parametrize(
    "line",
    [
        b"request 200 tokens_per_second=35.2 latency_ms=12",
        b'"usage":{"prompt_tokens": 12,"completion_tokens":33}',
        b"ops : TTY=pts/0 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/id",
        b"password_file: /etc/x",
        b"token_type=bearer",
    ],
)
def test_what_everyday_logs_are_full_of_costs_nothing(quick: Redactor, line: bytes) -> None:
    assert quick.scanner.sieve.lines(line)(0) == -1
