"""Decompression of archives that may be hostile: bounded memory, bounded output, every truncation noticed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from shlex import quote
from typing import BinaryIO

from bilbs_cli.diag.bundle.frames import BLOCK
from bilbs_cli.errors import VerificationFailed

READ_BYTES = 64 << 10
SMALLEST_SLICE, LARGEST_SLICE = 64, 512  # of zstd input at once: 4 bytes can stand for a block of 128 KiB, so 16 MiB
OUTPUT_BYTES = 256 << 10
WINDOW_BYTES = 128 << 20  # of a zstd frame; `zstd` itself refuses more without --long
AGE = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")
FOREIGN = {b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "zip", b"\x04\x22\x4d\x18": "lz4"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may cost to read. `ratio` counts once `ratio_from` bytes came out."""

    total_bytes: int = 256 << 30
    members: int = 50_000
    ratio: int = 10_000
    ratio_from: int = 8 << 30


@dataclass(slots=True)
class Unpacked:
    """The tar stream inside an archive (zstd, gzip or none, told by its first bytes), read forward only.

    `read_bytes` of the archive were used so far, `offset` bytes came out and were taken.
    """

    stream: BinaryIO
    name: str
    limits: Limits = field(default_factory=Limits)
    read_bytes: int = 0
    offset: int = 0
    _made: int = 0
    _chunks: Iterator[bytes] | None = None
    _rest: memoryview = field(default_factory=lambda: memoryview(b""))

    def some(self, limit: int) -> memoryview:
        """Return the next bytes, between 1 and `limit`; none at the end. Raises `VerificationFailed` for damage."""
        if self._chunks is None:
            self._chunks = self._start()
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._made += len(chunk)
            self._check_limits()
            self._rest = memoryview(chunk)
        taken, self._rest = self._rest[:limit], self._rest[limit:]
        self.offset += len(taken)
        return taken

    def exactly(self, count: int) -> bytes:
        """Return `count` bytes, fewer only at the end."""
        data = b""
        while len(data) < count and (more := self.some(count - len(data))):
            data += more
        return data

    def failure(self, what: str) -> VerificationFailed:
        """Return the error for a fault at this place."""
        return VerificationFailed(f"{self.name}: {what} (at byte {self.offset} of the tar)")

    def _check_limits(self) -> None:
        if self._made > self.limits.total_bytes:
            raise self.failure(f"it unpacks to more than {self.limits.total_bytes} bytes")
        if self._made > self.limits.ratio_from and self._made > self.limits.ratio * self.read_bytes:
            raise self.failure(f"it unpacks to more than {self.limits.ratio} times its size: a decompression bomb")

    def _blocks(self) -> Iterator[bytes]:
        while True:
            try:
                data = self.stream.read(READ_BYTES)
            except OSError as error:
                raise VerificationFailed(f"{self.name}: cannot be read: {error.strerror}") from None
            if not data:
                return
            self.read_bytes += len(data)
            yield data

    def _start(self) -> Iterator[bytes]:
        """Look at the first bytes and return the right way to read on."""
        blocks = self._blocks()
        first = next(blocks, b"")
        while 0 < len(first) < BLOCK and (more := next(blocks, b"")):  # a pipe gives less at a time
            first += more
        if first.startswith(AGE):
            raise VerificationFailed(
                f"{self.name} is encrypted",
                code="encrypted",
                next=f"age -d -i KEYFILE {quote(self.name)} > {quote(self.name.removesuffix('.age'))}",
            )
        for magic, kind in FOREIGN.items():
            if first.startswith(magic):
                raise VerificationFailed(f"{self.name} is a {kind} file, not a bundle")
        if first[:4] == b"\x28\xb5\x2f\xfd" or (first[1:4] == b"\x2a\x4d\x18" and first[0] >> 4 == 5):  # RFC 8878, 3.1
            return self._zstd(first, blocks)
        if first[:2] == b"\x1f\x8b":  # RFC 1952, 2.3.1
            return self._gzip(first, blocks)
        if first[257:262] == b"ustar":
            return _chained(first, blocks)
        raise VerificationFailed(
            f"{self.name} is neither a .tar.zst, a .tar.gz nor a .tar file" if first else f"{self.name} is empty"
        )

    def _zstd(self, first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
        import zstandard

        opener = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
        frame, made, step = None, bytearray(), SMALLEST_SLICE
        for block in _chained(first, blocks):
            done = 0
            while done < len(block):
                frame = frame or opener.decompressobj()
                data = block[done : done + step]
                try:
                    out = frame.decompress(data)
                except zstandard.ZstdError as error:
                    raise self._damaged(str(error)) from None
                done += len(data)
                if frame.eof:
                    done, frame = done - len(frame.unused_data), None
                step = SMALLEST_SLICE if len(out) > OUTPUT_BYTES else min(2 * step, LARGEST_SLICE)
                made += out
                if len(made) >= OUTPUT_BYTES:
                    yield bytes(made)
                    made.clear()
        if made:
            yield bytes(made)
        if frame:
            raise self._damaged("it ends in the middle of a frame")

    def _gzip(self, first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
        member = None
        for block in _chained(first, blocks):
            data = block
            while data:
                member = member or zlib.decompressobj(31)
                try:
                    out = member.decompress(data, OUTPUT_BYTES)
                except zlib.error as error:
                    raise self._damaged(str(error)) from None
                data = member.unconsumed_tail
                if member.eof:
                    data, member = member.unused_data, None
                if out:
                    yield out
        if member:
            raise self._damaged("it ends in the middle of a gzip member")

    def _damaged(self, what: str) -> VerificationFailed:
        return VerificationFailed(f"{self.name}: damaged near byte {self.read_bytes} of the file: {what}")


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
