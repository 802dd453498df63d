"""Hostile text: nothing that a terminal obeys, hides or reorders gets through."""

from __future__ import annotations

import doctest
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli import escape
from bilbs_cli.escape import visible

EVERY_CHARACTER = "".join(map(chr, range(sys.maxunicode + 1)))
DANGEROUS = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # controls, formats, surrogates, private, unassigned, separators


def test_no_character_of_unicode_gets_through_that_a_terminal_may_obey_or_hide() -> None:
    through = set(visible(EVERY_CHARACTER))
    assert {char for char in through if unicodedata.category(char) in DANGEROUS} == set()
    assert through.isdisjoint("\u202e\u2066\u200b\u200d\u061c\ufeff\u3164\u115f\u2800\ufe0f\x7f\x9b\u2028")


def test_letters_marks_digits_and_symbols_of_every_script_stay() -> None:
    for text in (
        "café",
        "日本語",
        "Ελληνικά",
        "Привет",
        "עברית",
        "naïve",
        "ÅΩ°µ",
        "→ ✓ █ €",
        "a\u0301",
        "half\u00a0space",
    ):
        assert visible(text) == text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J\x1b[1;1Hroot ok", r"\x1b[2J\x1b[1;1Hroot ok"),
        ("\x1b]52;c;ZXZpbA==\x07", r"\x1b]52;c;ZXZpbA==\x07"),
        ("\x1bP1$r0m\x1b\\", "\\x1bP1$r0m\\x1b\\"),
        ("\x9b31mred", r"\x9b31mred"),
        ("user\u202egpj.exe", r"user\u202egpj.exe"),
        ("\u2066a\u2069\u200f", r"\u2066a\u2069\u200f"),
        ("gpu\u200b0", r"gpu\u200b0"),
        ("gpu\u3164\ufe0f", r"gpu\u3164\ufe0f"),
        ("one\u2028two\u2029", r"one\u2028two\u2029"),
        ("a\r\nb\tc\x00\x7f", r"a\r\nb\tc\x00\x7f"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("file\udcff", r"file\xff"),
        (b"\xff\xfe\x1b caf\xc3\xa9", "\\xff\\xfe\\x1b café"),
        (b"\xc2\x9b", r"\x9b"),
    ],
)
def test_hostile_text_is_shown_and_not_obeyed(hostile: str | bytes, shown: str) -> None:
    assert visible(hostile) == shown


def test_newlines_and_tabs_are_kept_only_when_asked() -> None:
    assert visible("a\n\tb\r") == r"a\n\tb\r"
    assert visible("a\n\tb\r", multiline=True) == "a\n\tb\\r"


@given(st.text() | st.binary(), st.booleans())
def test_what_is_visible_stays_as_it_is(text: str | bytes, multiline: bool) -> None:
    once = visible(text, multiline=multiline)
    assert visible(once, multiline=multiline) == once
    assert all(
        char.isprintable() or unicodedata.category(char) == "Zs" or (multiline and char in "\n\t") for char in once
    )


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_printable_ascii_is_never_changed(text: str) -> None:
    assert visible(text) is text


def test_the_examples_in_its_docstrings_are_true() -> None:
    assert doctest.testmod(escape).failed == 0
