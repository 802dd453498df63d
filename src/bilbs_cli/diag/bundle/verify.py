"""Is a bundle what it says it is: hashes, sizes, missing and extra members."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bilbs_cli.diag.bundle import manifest, reader
from bilbs_cli.diag.bundle.manifest import Manifest
from bilbs_cli.diag.bundle.unpack import Limits
from bilbs_cli.errors import VerificationFailed

MANIFEST_BYTES = 8 << 20  # of hostile JSON Python makes up to thirty times as much
SHOWN = 5  # faults named in the message; the rest is counted


@dataclass(frozen=True, slots=True)
class Report:
    """A bundle that was verified. `sha256` and `size_bytes` are of the archive file, `members` counts its files."""

    path: Path
    manifest: Manifest
    sha256: str
    size_bytes: int
    members: int

    @property
    def gaps(self) -> int:
        """Return how many items could not be had."""
        return sum(1 for item in self.manifest.items if item.sha256 is None)


@dataclass(slots=True)
class _Hashed:
    """A file that is hashed as it is read."""

    stream: BinaryIO
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    size: int = 0

    def read(self, count: int) -> bytes:
        data = self.stream.read(count)
        self.hash.update(data)
        self.size += len(data)
        return data


def verify(path: Path, limits: Limits | None = None) -> Report:
    """Read a whole archive and compare it with its manifest.

    Raises `VerificationFailed`, naming the first members that are missing, extra or changed, `NotFound`,
    `PermissionNeeded`.
    """
    with reader.open_file(path) as stream:
        hashed = _Hashed(stream)
        found, listed = _read(reader.Reader(hashed, str(path), limits or Limits()))  # type: ignore[arg-type]  # it only reads
    if listed is None:
        raise VerificationFailed(f"{path} has no {manifest.NAME}: it is not a bundle, or its end is all there is")
    if not manifest.digest_holds(listed):
        raise VerificationFailed(f"{path}: {manifest.NAME} was changed after it was written")
    contents = manifest.decode(listed)
    faults = list(_faults(contents, found))
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise VerificationFailed(f"{path}: {'; '.join(faults[:SHOWN])}{more}")
    return Report(path, contents, hashed.hash.hexdigest(), hashed.size, len(found))


def _read(archive: reader.Reader) -> tuple[dict[str, tuple[int, str]], bytes | None]:
    """Return size and digest of every member by its whole name, and the manifest's bytes."""
    found: dict[str, tuple[int, str]] = {}
    listed = None
    for member in archive:
        if member.name.partition("/")[2] == manifest.NAME:
            listed = member.read(MANIFEST_BYTES)
            found[member.name] = (len(listed), hashlib.sha256(listed).hexdigest())
            continue
        digest = hashlib.sha256()
        for chunk in member.chunks():
            digest.update(chunk)
        found[member.name] = (member.size, digest.hexdigest())
    return found, listed


def _faults(contents: Manifest, found: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    there = [item for item in contents.items if item.sha256]
    expected = {f"{contents.name}/{item.path}": (item.size_bytes, item.sha256) for item in there}
    for name, (size, digest) in expected.items():
        if name not in found:
            yield f"{name!r} is missing"
        elif found[name][0] != size:
            yield f"{name!r} has {found[name][0]} bytes, and the manifest says {size}"
        elif found[name][1] != digest:
            yield f"{name!r} was changed: its sha256 is not that of the manifest"
    for name in found:
        if name not in expected and name != f"{contents.name}/{manifest.NAME}":
            yield f"{name!r} is not in the manifest"
