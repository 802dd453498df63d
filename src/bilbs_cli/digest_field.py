"""SHA-256 as the fields `Content-Digest` and `Repr-Digest` write it (RFC 9530)."""

from __future__ import annotations

import base64
import re


def field(digest: bytes) -> str:
    """Return a digest as a field.

    >>> field(bytes(32))
    'sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:'
    """
    return f"sha-256=:{base64.b64encode(digest).decode()}:"


def parse(text: str) -> bytes | None:
    """Return the digest of a field, None where there is none of SHA-256.

    >>> parse("md5=:AA==:, sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:") == bytes(32), parse("")
    (True, None)
    """
    found = re.search(r"sha-256=:([A-Za-z0-9+/]{43}=):", text)
    return base64.b64decode(found[1]) if found else None
