"""What kind of bytes a member holds: text, UTF-16 text, a compressed file that is left alone, a database of fixed offsets."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

HEAD = 8192  # bytes that the decision is made on

_COMPRESSED = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"age-encryption.org/v1", "age"),
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"Salted__", "openssl"),
    (b"LUKS\xba\xbe", "luks"),
)
_FIXED = (b"SQLite format 3\x00", b"\x7fELF", b"LPKSHHRH", b"\x00asm", b"KDMP", b"KDUMP   ", b"PAGEDU")
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Form:
    """How a member is read: `skipped` names a format that is left as it is, `codec` the code of its characters (None:
    bytes that hold ASCII), `fixed` says that its offsets must not move."""  # noqa: D209, D205

    skipped: str = ""
    codec: str | None = None
    fixed: bool = False


TEXT = Form()


def form_of(head: bytes) -> Form:
    """Return the form of a member by its first bytes (`HEAD` of them, or all)."""
    for magic, name in _COMPRESSED:
        if head.startswith(magic):
            return Form(skipped=name)
    if head.startswith(_FIXED):
        return Form(fixed=True)
    for bom, codec in _BOMS:
        if head.startswith(bom):
            return Form(codec=codec)
    return Form(codec=_wide(head[:512]))


def _wide(head: bytes) -> str | None:
    """Return the UTF-16 order of text without a byte order mark: every other byte is NUL."""
    even, odd = head[0::2], head[1::2]
    if len(odd) < 4:
        return None
    if odd.count(0) > 0.9 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.9 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be"
    return None


class Transcoder:
    """Turns wide text into UTF-8 for the rules, and back, in pieces; lone surrogates survive."""

    def __init__(self, codec: str) -> None:
        self._decode = codecs.getincrementaldecoder(codec)("surrogatepass" if "16" in codec else "replace")
        self._back = codecs.getincrementaldecoder("utf-8")("surrogatepass")
        self._codec = codec
        self._unit = 4 if "32" in codec else 2
        self._odd = b""

    def narrow(self, data: bytes, *, final: bool) -> bytes:
        """Return the next bytes as UTF-8; `final` gives out half a pair of surrogates too."""
        data = self._odd + data
        cut = len(data) - len(data) % self._unit
        self._odd = data[cut:]
        return self._decode.decode(data[:cut], final).encode("utf-8", "surrogatepass")

    def widen(self, data: bytes) -> bytes:
        """Return redacted UTF-8 in the member's own code."""
        return self._back.decode(data).encode(self._codec, "surrogatepass")

    def rest(self) -> bytes:
        """Return the bytes of a last character that was cut off."""
        return self._odd
