"""An oracle that shares nothing with the rules: it decodes every piece of a text in every way, and looks for the plain secret."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

_TOKEN = re.compile(rb"[A-Za-z0-9+/_=-]{8,}")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}){6,}")
_UNICODE = re.compile(rb"\\u00([0-9a-fA-F]{2})")
_NUMBERS = re.compile(rb"\[\s*(\d{1,3}(?:\s*,\s*\d{1,3})+)\s*\]")


def holds(text: bytes, secret: bytes) -> bool:
    """Say whether `secret` can be read out of `text`, as it is or in any encoding."""
    return any(secret in seen for seen in views(text))


def views(text: bytes, depth: int = 2) -> Iterator[bytes]:
    """Yield `text` and everything that it, or a token in it, decodes to."""
    yield text
    if not depth:
        return
    for decoded in {
        unquote_to_bytes(text),
        html.unescape(text.decode("latin-1")).encode("latin-1", "ignore"),
        text[0::2],
        text[1::2],
        _UNICODE.sub(lambda m: bytes([int(m[1], 16)]), text),
        text.replace(b'\\"', b'"').replace(b"\\\\", b"\\"),
    } - {text}:
        yield from views(decoded, depth - 1)
    for found in _TOKEN.findall(text):
        yield from _base64(found)
    for found in _HEX.findall(text):
        yield bytes.fromhex(found.decode())
    for found in _NUMBERS.findall(text):
        numbers = [int(number) for number in found.split(b",")]
        if max(numbers) < 256:
            yield bytes(numbers)


def _base64(token: bytes) -> Iterator[bytes]:
    plain = token.translate(bytes.maketrans(b"-_", b"+/")).replace(b"=", b"")
    for skip in range(4):
        body = plain[skip:]
        try:
            yield base64.b64decode(body[: len(body) - (len(body) % 4 == 1)] + b"==")
        except binascii.Error:
            continue
