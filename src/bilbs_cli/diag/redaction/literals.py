"""The host's own secrets, as bytes, in every encoding they may turn up in: to mask them, and to prove that none is left."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

import re2

MINIMUM = 8  # bytes of a secret that is hunted: shorter ones turn up by chance
PIECE = 32  # bytes of a form that are searched for; the rest is compared
_SHORTEST = 7  # bytes of an encoded form


def encodings(secret: bytes) -> set[bytes]:
    """Return the byte forms of `secret`: as it is, URL, JSON, Python and XML escapes, base64, hexadecimal, UTF-16.

    Base64 comes in its three alignments and both alphabets, cut to the characters that do not depend on the neighbours.
    """
    forms = {secret, *_text_forms(secret)}
    for skip in range(3):
        inner = _aligned(secret, skip)
        forms |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    forms |= {secret.hex().encode(), secret.hex().upper().encode()}
    return {form for form in forms if len(form) >= _SHORTEST}


def _text_forms(secret: bytes) -> Iterator[bytes]:
    for safe in ("", "/", "-_.!~*'()"):
        url = quote(secret, safe=safe)
        yield url.encode()
        yield re.sub(r"%..", lambda m: m[0].lower(), url).encode()
    yield quote_plus(secret).encode()
    yield repr(secret)[2:-1].encode()
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return
    once = json.dumps(text)[1:-1]
    yield from (once.encode(), once.replace("/", "\\/").encode(), json.dumps(once)[1:-1].encode())
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
    yield repr(text)[1:-1].encode()
    xml = html.escape(text, quote=False)
    yield from (
        xml.encode(),
        xml.replace('"', "&quot;").replace("'", "&apos;").encode(),
        xml.replace('"', "&#34;").replace("'", "&#39;").encode(),
    )
    yield text.replace("'", "'\\''").encode()
    yield from (text.encode("utf-16-le"), text.encode("utf-16-be"))


def _aligned(secret: bytes, skip: int) -> bytes:
    """Return the base64 characters that `secret` gives, standing `skip` bytes after a multiple of three."""
    text = base64.b64encode(bytes(skip) + secret)
    first = (0, 2, 3)[skip]
    whole_bits = 8 * (skip + len(secret))
    return text[first : whole_bits // 6]


class Literals:
    """A set of byte strings that is searched for in one pass, each under the name of its source."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._forms: dict[bytes, list[tuple[bytes, str]]] = {}
        for name, secret in secrets.items():
            for part in secret.splitlines():
                if len(part.strip()) >= MINIMUM:
                    self._add(part.strip(), name)
        self.longest = max((len(form) for forms in self._forms.values() for form, _ in forms), default=0)
        pieces = sorted(self._forms, key=len, reverse=True)
        self.pattern = b"(?-i:" + b"|".join(re2.escape(piece) for piece in pieces) + b")" if pieces else b""

    def _add(self, secret: bytes, name: str) -> None:
        for form in encodings(secret):
            self._forms.setdefault(form[:PIECE], []).append((form, name))

    def __bool__(self) -> bool:
        return bool(self._forms)

    def source(self, piece: bytes) -> str:
        """Return the name of the source that a matched piece belongs to."""
        return self._forms[piece][0][1] if piece in self._forms else ""

    def extent(self, text: bytes, start: int, end: int) -> int:
        """Return where the secret ends whose first piece is `text[start:end]`: as much of it as is there."""
        best = end
        for form, _ in self._forms.get(text[start:end], ()):
            shared = len(form) if text.startswith(form, start) else _shared(form, text[start : start + len(form)])
            best = max(best, start + shared)
        return best


def _shared(one: bytes, two: bytes) -> int:
    """Return the length of the common prefix."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == two[:middle] else (low, middle - 1)
    return low


class Gate:
    """Searches a finished bundle for the host's real secrets, in every encoding, across the cuts of its chunks."""

    def __init__(self, known: Mapping[str, bytes]) -> None:
        self._literals, self._regex = _prepared(tuple(known.items()))
        self._tail = b""
        self._seen = 0

    def feed(self, chunk: bytes) -> list[tuple[str, int]]:
        """Return the hits that became visible with `chunk`: the secret's source and its offset from the first byte fed."""
        if self._regex is None:
            return []
        text = self._tail + chunk
        base, old = self._seen - len(self._tail), len(self._tail)
        hits = [
            (self._literals.source(text[slice(*m.span())]), base + m.start())
            for m in self._regex.finditer(text)
            if m.end() > old
        ]
        self._seen += len(chunk)
        self._tail = text[-(PIECE - 1) :]
        return hits


@lru_cache(maxsize=2)  # a bundle has a gate for each of its members
def _prepared(known: tuple[tuple[str, bytes], ...]) -> tuple[Literals, Any]:
    literals = Literals(dict(known))
    return literals, _literal_regex(literals.pattern) if literals else None


def _literal_regex(pattern: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    options.log_errors = False
    options.max_mem = 64 << 20
    return re2.compile(pattern, options=options)


def weak(secret: bytes) -> bool:
    """Say whether `secret` is a word that logs hold anyway: hunting it would mask half a bundle."""
    text = secret.strip()
    if (
        len(text) < MINIMUM
        or len(set(text)) < 5
        or (text.startswith((b"/", b"./", b"~/", b"http://", b"https://")) and b"@" not in text)
    ):
        return True
    return (text.isdigit() and len(text) < 10) or (text.isalpha() and len(text) < 20 and text[1:].lower() == text[1:])


def named(secrets: Iterable[bytes]) -> dict[str, bytes]:
    """Return nameless secrets under numbers, for masking."""
    return {str(i): secret for i, secret in enumerate(secrets)}
