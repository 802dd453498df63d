"""What the filter takes for `name SEPARATOR value`: everything that is judged, but for what everyday logs are full of.

`tokens_per_second=35.2`, `"prompt_tokens": 12` and `PWD=/home/ops` are judged harmless every time; where a log has one in
each line, finding them costs more than all the rest. RE2 has no look-ahead, so "a word other than these" is spelled out as
a tree of letters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

FREQUENT = frozenset(  # of the words behind a core that say "no secret": those that logs repeat
    b"per count counts counter type types file files path paths expires expired expiry ttl size limit limits length len max min "
    b"rate policy status state enabled disabled required version age timeout usage mode format manager provider url".split()
)
LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_ON = rb"[\w.\-]*"
_HARMLESS_NUMBER = rb"(?:[^\d \t]|\d{7}|\d{1,6}(?:\.\d*)?[^\d.,;}\])\s\"']|\r?$)"  # what is not `12` or `35.2`
_NO_PATH = rb"(?:[^/~ \t\r]|\r?$)"


def likely(cores: bytes, tail: bytes, harmless: Iterable[bytes]) -> bytes:
    """Return the pattern: `cores` is the group of words that announce a secret, `tail` what stands between name and value.

    A name is left out when one of the `harmless` words follows the core behind `_`, `-` or `.`; so is `tokens` before a
    small number and `pwd` before a path.
    """
    others = cores.replace(rb"|pwd", rb"").replace(rb"|pw|", rb"|").replace(rb"|token|", rb"|")
    parts = (
        cores + rb"[a-z0-9]*[_.\-]+" + unlike(harmless) + tail,
        rb"(?:"
        + others
        + rb"[a-z0-9]*|[\w.\-]pwd[a-z0-9]*|pwd[a-z0-9]+|pw(?:[a-ce-z0-9][a-z0-9]*)?|token(?:[a-rt-z0-9][a-z0-9]*|s[a-z0-9]+)?)"
        + tail,
        rb"pwd" + tail + rb"[ \t]*" + _NO_PATH,
        rb"tokens" + tail + rb"[ \t]*" + _HARMLESS_NUMBER,
    )
    return rb"(?:" + rb"|".join(parts) + rb")"


def unlike(words: Iterable[bytes]) -> bytes:
    """Return the pattern of everything made of letters, digits, `_`, `-` and `.` that does not begin with one of `words`.

    A word counts where it ends: `type` keeps `type`, `type_2` out and `typed` in.
    """
    tree: dict[Any, Any] = {}
    for word in words:
        node = tree
        for letter in word:
            node = node.setdefault(letter, {})
        node["end"] = True
    return _branches(tree)


def _branches(node: dict[Any, Any]) -> bytes:
    letters = sorted(letter for letter in node if letter != "end")
    parts = [bytes([letter]) + _branches(node[letter]) for letter in letters]
    others = bytes(letter for letter in LETTERS if letter not in letters)
    if others:
        parts.append(rb"[" + others + rb"]" + _ON)
    if "end" not in node:
        parts += [rb"[0-9_.\-]" + _ON, rb""]
    return rb"(?:" + rb"|".join(parts) + rb")"
