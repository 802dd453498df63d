"""Names and values: which announce a secret, where a value ends, which values are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.redaction import Redactor, values
from bilbs_cli.diag.redaction.allowed import is_counter, is_path, is_prose, is_state, looks_random
from bilbs_cli.diag.redaction.keys import Kind, kind_of

REDACTOR = Redactor()


@pytest.mark.parametrize(
    "name",
    [
        b"password",
        b"DB_PASSWORD",
        b"dbPassword",
        b"spring.datasource.password",
        b"PGPASSWORD",
        b"MYSQL_PWD",
        b"bindpw",
        b"client_secret",
        b"SECRET_KEY_BASE",
        b"keyStorePassword",
        b"wifi.psk",
        b"ansible_become_pass",
        b"password2",
        b"pin_code",
    ],
)
def test_names_of_passwords(name: bytes) -> None:
    assert kind_of(name) is Kind.PASSWORD


@pytest.mark.parametrize(
    "name",
    [
        b"token",
        b"accessToken",
        b"api_key",
        b"apiKey",
        b"x-api-key",
        b"AWS_ACCESS_KEY_ID",
        b"secret_access_key",
        b"AccountKey",
        b"private-key",
        b"credentials",
        b"session_key",
        b"refresh_token",
    ],
)
def test_names_of_tokens_and_keys(name: bytes) -> None:
    assert kind_of(name) in {Kind.TOKEN, Kind.PASSWORD}


@pytest.mark.parametrize(
    "name",
    [
        b"password_file",
        b"max_tokens",
        b"tokenizer",
        b"token_type",
        b"secretName",
        b"PasswordAuthentication",
        b"bypass",
        b"password_policy",
        b"public_key",
        b"compass",
        b"passthrough",
        b"tokenExpirationSeconds",
        b"has_password",
        b"keyboard",
        b"secret.go",
        b"passed",
        b"monkey",
        b"key",
    ],
)
def test_names_that_only_sound_like_secrets(name: bytes) -> None:
    assert kind_of(name) is None


@pytest.mark.parametrize(
    "value",
    [
        b"yes",
        b"None",
        b"null,",
        b"******",
        b"<redacted>",
        b"${DB_PASSWORD}",
        b"{{ vault }}",
        b"%s",
        b"",
        b"[REDACTED:x]",
        b"YES)",
    ],
)
def test_states_and_placeholders_are_no_secrets(value: bytes) -> None:
    assert is_state(value)


@pytest.mark.parametrize("value", [b"hunter2", b"$ecret", b"x" * 300, b"12345678"])
def test_other_values_may_be_secrets(value: bytes) -> None:
    assert not is_state(value)


def test_paths_counters_prose_and_random_values_are_told_apart() -> None:
    assert is_path(b"/etc/ssl/private/x.pem")
    assert is_path(b"certs/signing_key.pem")
    assert not is_path(b"/dJ3f+9sKq/xx")
    assert is_counter(b"35.2")
    assert is_counter(b"0x12")
    assert not is_counter(b"12345678")
    assert is_prose(b"permission denied")
    assert not is_prose(b"hunter2 x")
    assert looks_random(b"a1b2c3d4e5f6")
    assert not looks_random(b"user:123:profile")


@given(st.text(max_size=30), st.integers(min_value=0, max_value=3))
def test_a_quoted_value_ends_where_json_says(value: str, depth: int) -> None:
    import json

    text = json.dumps({"password": "S" + value + "x1", "next": 17})
    for _ in range(depth):
        text = json.dumps(text)
    level = 2**depth - 1
    start = text.index("S", text.index("password") + 8)
    end = values.closing(text.encode(), start, b'"', level)
    assert end >= 0
    assert text.encode()[end:].startswith(b"\\" * level + b'", ')


@given(
    st.text(
        alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), min_size=6, max_size=24
    )
)
def test_any_password_in_json_is_masked_and_the_json_stays(value: str) -> None:
    import json

    password = "Zq7" + value
    out = REDACTOR.text(json.dumps({"user": "bob", "password": password, "n": 17}))
    assert password not in out
    assert json.loads(out) == {"user": "bob", "password": "[REDACTED:password]", "n": 17}


@given(
    st.text(
        alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'`\\"),
        min_size=6,
        max_size=24,
    )
)
def test_any_password_in_an_environment_file_is_masked(value: str) -> None:
    password = "Zq7" + value + "9"
    out = REDACTOR.text(f"A=1\nDB_PASSWORD={password}\nB=2\n")
    assert out == "A=1\nDB_PASSWORD=[REDACTED:password]\nB=2\n"


@given(
    st.text(
        alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'`\\,;&|()[]{}<>#"),
        min_size=6,
        max_size=24,
    )
)
def test_any_plain_password_in_a_log_line_is_masked_and_the_rest_stays(value: str) -> None:
    password = "Zq7" + value + "9"
    out = REDACTOR.text(f"Nov 21 03:30:01 gpu01 app[1]: user=bob password={password} rc=17")
    assert out == "Nov 21 03:30:01 gpu01 app[1]: user=bob password=[REDACTED:password] rc=17"
