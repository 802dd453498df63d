"""Secrets inside other encodings: a decoded view of a line, and pieces that are decoded, redacted and encoded again."""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bilbs_cli.diag.redaction.rule import Span, mask

_NUMBERS = (
    rb":[ \t]*\[[ \t]*\d{1,3}[ \t]*,[ \t]*\d{1,3}[ \t]*,[ \t]*\d{1,3}[ \t]*,[ \t]*\d{1,3}[ \t]*,[ \t]*\d{1,3}[ \t]*,"
)
_HEX = rb"\b(?:proctitle|cmd|a\d+|data|comm|exe|key|acct)=[0-9A-F]{10}"
_JSON64 = rb"\beyJ[A-Za-z0-9+/_-]{12}"
ENCODED = (  # escapes beside a name, a URL, a header: only there are lines decoded
    rb"(?:pass|pwd|secret|token|cred|key|psk|auth|bearer|cookie|pw|basic)[\w.\-]*(?:\\*[\"'])?(?:%(?:25)*(?:22|27|3[ad]|5[bd]|20)|&(?:quot|apos|lt|gt|#)"
    rb"|\\+u00|\\x)|%(?:25)*3a%(?:25)*2f%(?:25)*2f|\\+u003a\\+u002f|:\\+/\\+/[^\s:\"]*:"
)
TRIGGERS = (_NUMBERS, rb"(?-i:" + _HEX + rb")", rb"(?-i:" + _JSON64 + rb")", ENCODED)

_NUMBERS_RE = re.compile(rb":[ \t]*(\[[ \t]*\d{1,3}(?:[ \t]*,[ \t]*\d{1,3}){5,}+[ \t]*\])")
_HEX_RE = re.compile(rb"\b(?:proctitle|cmd|a\d{1,4}|data|comm|exe|acct)=([0-9A-F]{10,}+)(?![\w])")
_JSON64_RE = re.compile(rb"\b(eyJ[A-Za-z0-9+/_-]{12,}+={0,2})(?![.\w])")
_ESCAPE = re.compile(
    rb"%(?:25){0,2}([0-9a-fA-F]{2})|&(quot|apos|amp|lt|gt);|&#(\d{1,3});|&#x([0-9a-fA-F]{1,2});"
    rb"|\\{1,4}u00([0-9a-fA-F]{2})|\\{1,4}x([0-9a-fA-F]{2})|\\{1,4}/"
)
_ENTITIES = {b"quot": b'"', b"apos": b"'", b"amp": b"&", b"lt": b"<", b"gt": b">"}


@dataclass(frozen=True, slots=True)
class View:
    """A line with its escapes decoded, and the way back: `decoded[i]` stands at `original[i]`, byte by byte after it."""

    text: bytes
    decoded: tuple[int, ...]
    original: tuple[int, ...]

    def at(self, position: int) -> int:
        """Return where the byte of the line at `position` stands in the view."""
        i = bisect_right(self.original, position) - 1
        following = self.decoded[i + 1] if i + 1 < len(self.decoded) else len(self.text)
        return min(self.decoded[i] + position - self.original[i], following)

    def place(self, position: int) -> int:
        """Return where the byte of the view at `position` stands in the line."""
        i = bisect_right(self.decoded, position) - 1
        return self.original[i] + position - self.decoded[i]

    def back(self, span: Span) -> Span:
        """Return a span of the view as one of the line."""
        end = self.place(span.end - 1) + 1 if span.end > span.start else self.place(span.end)
        after = bisect_right(self.decoded, span.end - 1)
        if after < len(self.decoded) and self.decoded[after] == span.end:
            end = self.original[after]
        return replace(span, start=self.place(span.start), end=end, context=self.place(span.context), wrap=b"")


def view(text: bytes) -> View | None:
    """Return `text` with percent escapes, character entities and Unicode escapes decoded once; None when it has none."""
    out, decoded, original = [], [0], [0]
    done = size = 0
    for found in _ESCAPE.finditer(text):
        plain = text[done : found.start()]
        byte = _byte(found)
        size += len(plain)
        decoded += [size, size + 1]
        original += [found.start(), found.end()]
        out += [plain, byte]
        size += 1
        done = found.end()
    if not out:
        return None
    out.append(text[done:])
    return View(b"".join(out), tuple(decoded), tuple(original))


def _byte(found: re.Match[bytes]) -> bytes:
    if found[0][-1:] == b"/":
        return b"/"
    if found[2]:
        return _ENTITIES[found[2]]
    if found[3]:
        return bytes([int(found[3]) & 0xFF])
    return bytes([int(found[1] or found[4] or found[5] or found[6], 16)])


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line that holds other text: the bytes in it, and how to write them again when they were redacted."""

    start: int
    end: int
    raw: bytes
    encode: Callable[[bytes], bytes]

    @property
    def content(self) -> bytes:
        """Return the bytes for reading: the NULs between the words of a command line become blanks."""
        return self.raw.replace(b"\0", b" ")

    def span(self, redacted: bytes, rule: str) -> Span:
        """Return the span that puts the redacted content in place."""
        return Span(self.start, self.end, rule, self.start, text=self.encode(redacted))


def pieces(text: bytes, begin: int) -> Iterator[Piece]:
    """Yield byte arrays (journalctl's JSON for coloured messages), hexadecimal (auditd) and base64 of JSON objects."""
    if b"[" in text:
        for found in _NUMBERS_RE.finditer(text, begin):
            numbers = [int(number) for number in found[1].strip(b"[] \t").split(b",")]
            if max(numbers) < 256:
                yield Piece(*found.span(1), bytes(numbers), _as_numbers)
    if b"=" in text:
        for found in _HEX_RE.finditer(text, begin):
            if len(found[1]) % 2 == 0:
                yield Piece(*found.span(1), bytes.fromhex(found[1].decode()), _as_hex)
    if b"eyJ" in text:
        yield from _objects(text, begin)


def _objects(text: bytes, begin: int) -> Iterator[Piece]:
    for found in _JSON64_RE.finditer(text, begin):
        body = found[1].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
        try:
            content = base64.b64decode(body[: len(body) // 4 * 4], validate=True)
        except binascii.Error:
            continue
        yield Piece(*found.span(1), content, lambda _: mask("encoded-json"))


def _as_numbers(content: bytes) -> bytes:
    return b"[" + b",".join(str(byte).encode() for byte in content) + b"]"


def _as_hex(content: bytes) -> bytes:
    return content.hex().upper().encode()
