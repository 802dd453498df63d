"""What a bundle says of itself: one `Item` for each member and gap, and the `Manifest` over them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from bilbs_cli.diag.model import Status
from bilbs_cli.errors import VerificationFailed

SCHEMA_VERSION = 1
NAME = "manifest.json"
SELF = "manifest_sha256"
_NO_DIGEST = "0" * 64
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Item:
    """One member of the archive, or a gap where one could not be had.

    `path` is the member's name below the top folder; `started_at` RFC 3339 in UTC; `size_bytes` and `sha256` are of
    the redacted content in the archive, `raw_bytes` is what was read; `sha256` None says that there is no content.
    """

    path: str
    collector: str
    source: str
    status: Status
    started_at: str
    duration_s: float
    exit_status: int | None
    size_bytes: int
    raw_bytes: int
    sha256: str | None
    truncated: bool = False
    redactions: dict[str, int] = field(default_factory=dict)
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Item:
        """Return the item of a JSON form of any version: an unknown or missing status is a failure, never "ok"."""
        digest, counts, ended = data.get("sha256"), data.get("redactions"), data.get("exit_status")
        status, reason = _status(data)
        return cls(
            path=_text(data.get("path")),
            collector=_text(data.get("collector")),
            source=_text(data.get("source")),
            status=status,
            started_at=_text(data.get("started_at")),
            duration_s=float(_number(data.get("duration_s"))),
            exit_status=ended if isinstance(ended, int) else None,
            size_bytes=int(_number(data.get("size_bytes"))),
            raw_bytes=int(_number(data.get("raw_bytes"))),
            sha256=digest if isinstance(digest, str) and _DIGEST.fullmatch(digest) else None,
            truncated=data.get("truncated") is True,
            redactions={str(k): int(_number(v)) for k, v in counts.items()} if isinstance(counts, Mapping) else {},
            reason=reason,
        )


def _status(data: Mapping[str, Any]) -> tuple[Status, str | None]:
    text = data.get("status")
    if isinstance(text, str) and text in set(Status):
        return Status(text), _text(data.get("reason")) or None
    return Status.FAILED, f"status {text!r} is not known to this version"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | int:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1 << 63
    return value if good else 0  # type: ignore[return-value]  # `good` has looked


@dataclass(frozen=True, slots=True)
class Manifest:
    """The table of contents of a bundle.

    `name` is the top folder; `status` is `complete` or `partial`; `collectors` maps each name to a JSON object (status,
    reason, duration); `items` holds every member but `manifest.json`, and every gap, in the order of the archive.
    """

    name: str
    version: str
    host: str
    started_at: str
    finished_at: str
    profile: str
    status: str
    options: Mapping[str, Any] = field(default_factory=dict)
    collectors: Mapping[str, Any] = field(default_factory=dict)
    items: Sequence[Item] = ()
    schema_version: int = SCHEMA_VERSION

    def with_items(self, items: Sequence[Item]) -> Manifest:
        """Return it with these items."""
        return replace(self, items=tuple(items))

    def encode(self) -> bytes:
        """Return the member `manifest.json`.

        Its own `manifest_sha256` is the digest of the whole file with 64 zeros in that place, so that the one member
        the list cannot hold is covered too.
        """
        first = {"schema_version": self.schema_version, SELF: _NO_DIGEST}
        rest = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        rest["items"] = [item.as_dict() for item in self.items]
        text = json.dumps(first | rest, indent=1, ensure_ascii=True).encode() + b"\n"
        return text.replace(_NO_DIGEST.encode(), hashlib.sha256(text).hexdigest().encode(), 1)


def digest_holds(data: bytes) -> bool:
    """Say whether the bytes of a `manifest.json` match the `manifest_sha256` inside."""
    found = re.search(rb'"' + SELF.encode() + rb'": "([0-9a-f]{64})"', data)
    if not found:
        return False
    zeroed = data[: found.start(1)] + _NO_DIGEST.encode() + data[found.end(1) :]
    return hashlib.sha256(zeroed).hexdigest().encode() == found.group(1)


def decode(data: bytes) -> Manifest:
    """Return the manifest of `manifest.json`, read strictly where a check depends on it, leniently elsewhere.

    Raises `VerificationFailed` for what is no JSON object, has no list of items, repeats a path or has a bad digest.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise VerificationFailed(f"{NAME} is not JSON: {error}") from None
    rows = found.get("items") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise VerificationFailed(f"{NAME} has no list of items")
    seen: set[str] = set()
    for row in rows:
        _check(row, seen)
    number = found.get("schema_version")
    return Manifest(
        name=_text(found.get("name")),
        version=_text(found.get("version")),
        host=_text(found.get("host")),
        started_at=_text(found.get("started_at")),
        finished_at=_text(found.get("finished_at")),
        profile=_text(found.get("profile")),
        status=_text(found.get("status")),
        options=found["options"] if isinstance(found.get("options"), dict) else {},
        collectors=found["collectors"] if isinstance(found.get("collectors"), dict) else {},
        items=tuple(Item.from_dict(row) for row in rows),
        schema_version=number if isinstance(number, int) else 0,
    )


def _check(row: Mapping[str, Any], seen: set[str]) -> None:
    """Look at what verification stands on: a path of its own, and a size and digest of the right form or none."""
    path, digest = row.get("path"), row.get("sha256")
    if not isinstance(path, str) or not path:
        raise VerificationFailed(f"{NAME} has an item without a path")
    if path in seen:
        raise VerificationFailed(f"{NAME} lists {path!r} twice")
    seen.add(path)
    if digest is not None and not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        raise VerificationFailed(f"{NAME} has no usable sha256 for {path!r}")
    size = row.get("size_bytes")
    if digest is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise VerificationFailed(f"{NAME} has no usable size for {path!r}")
