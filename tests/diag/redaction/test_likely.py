"""The filter leaves out only what every judge would let pass: compared with a filter that leaves nothing out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.redaction import Redactor, assigned, keys
from bilbs_cli.diag.redaction.likely import FREQUENT

WORDS = sorted({word.decode() for word in keys.AFTER | FREQUENT}) + [
    "password", "passwd", "pass", "pwd", "pw", "secret", "token", "tokens", "credential", "psk", "api", "key", "access", "db", "old", "x2",
    "2", "prompt", "oldpwd", "pwdx", "pwt", "tokenize", "id", "name", "session"]
VALUES = ["35.2", "12", "1234567", "123456", "/home/ops", "~/x", "hunter2-fake", "Zm9vYmFyYmF6cXV4", "0x12", "", "yes", "true", '"12"', "12,",
          "12}", "7f3a9c2e11d04b5a", "Tr0ub4dor&3", "12 GB", "/etc/x", "/%secret#1"]


@pytest.fixture(scope="module")
def thorough() -> Redactor:
    """A redactor whose filter takes every name."""
    kept, assigned.LIKELY = assigned.LIKELY, assigned.ASSIGNED
    try:
        return Redactor()
    finally:
        assigned.LIKELY = kept


@settings(max_examples=1500, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(["", "_", "-", ".", "__"])), min_size=1, max_size=4),
    st.sampled_from([str.lower, str.upper, str.title]), st.sampled_from(["=", ": ", "=>", ' = "', '": "', "':'", " : ", "= "]),
    st.sampled_from(VALUES), st.sampled_from(["", " ", " and more", ",", '"', "}"]), st.sampled_from(["", "app[1]: ", '{"', "export ", "x."]),
)
def test_a_name_that_the_filter_leaves_out_holds_no_secret(
    thorough: Redactor, quick: Redactor, words: list[tuple[str, str]], case: object, separator: str, value: str, end: str, start: str,
) -> None:
    name = "".join(word + join for word, join in words)
    line = f"{start}{case(name)}{separator}{value}{end}\n"  # type: ignore[operator]
    assert quick.text(line) == thorough.text(line)


@pytest.fixture(scope="module")
def quick() -> Redactor:
    return Redactor()


@pytest.mark.parametrize("line", [
    b"request 200 tokens_per_second=35.2 latency_ms=12", b'"usage":{"prompt_tokens": 12,"completion_tokens":33}',
    b"ops : TTY=pts/0 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/id", b"password_file: /etc/x", b"token_type=bearer",
])
def test_what_everyday_logs_are_full_of_costs_nothing(quick: Redactor, line: bytes) -> None:
    assert quick.scanner.sieve.lines(line)(0) == -1
