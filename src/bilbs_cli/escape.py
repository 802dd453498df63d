"""Hostile text made visible: controls, escape sequences, bidi and invisible characters never reach a terminal."""

from __future__ import annotations

import re

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

# Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties.txt) that `str.isprintable` lets through, and the blank
# braille pattern: they draw nothing, so two different names look the same.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

# Space separators (Zs): `str.isprintable` says no to all but U+0020, and they only move to the right.
_SPACES = frozenset("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000")


def visible(text: str | bytes, *, multiline: bool = False) -> str:
    r"""Return `text` with everything that a terminal would obey, hide or reorder written as an escape.

    C0 and C1 controls (so ESC, CSI, OSC, DCS), DEL, bidi embeddings, overrides, isolates and marks, zero-width and
    other invisible characters, line and paragraph separators, surrogates, private and unassigned code points become
    `\x1b`, `\u202e`, `\U000e0001`. Bytes that are not UTF-8 become `\xff`. With `multiline` newlines and tabs are kept.
    Applied twice it changes nothing more.

    >>> print(visible("\x1b]0;owned\x07 caf\u00e9"))
    \x1b]0;owned\x07 café
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if text.isascii():
        if text.isprintable():
            return text
    elif text.isprintable() and not _INVISIBLE.search(text):
        return text
    return "".join(map(_safe_multiline if multiline else _safe, text))


def _safe_multiline(char: str) -> str:
    return char if char in "\n\t" else _safe(char)


def _safe(char: str) -> str:
    if (char.isprintable() and not _INVISIBLE.match(char)) or char in _SPACES:
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte that is not UTF-8 (PEP 383), in file names too
        code -= 0xDC00
    if code < 0x100:
        return _SHORT.get(char) or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
