"""Frames join to one stream that other programs read; headers are those of a tar."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.bundle.frames import END_OF_ARCHIVE, Compression, Framer, compress, header, padding
from tests.diag.bundle.making import log, noise, run

UNPACK = {Compression.ZSTD: ["zstd", "-dc"], Compression.GZIP: ["gzip", "-dc"]}


@pytest.mark.parametrize("compression", list(Compression))
def test_joined_frames_unpack_to_the_content_in_the_program_of_that_format(compression: Compression) -> None:
    content = log(1, 300_000) + noise(2, 50_000)
    framer = Framer(compression, 64 << 10)
    frames = [*framer.feed(content), *framer.finish()]
    assert len(frames) == -(-len(content) // (64 << 10))
    assert run(UNPACK[compression], b"".join(frame.data for frame in frames)) == content
    assert framer.size == len(content) == sum(frame.size for frame in frames)


@settings(max_examples=100, deadline=None)
@given(pieces=st.lists(st.binary(max_size=40), max_size=9), frame_bytes=st.integers(1, 25))
def test_frames_are_the_same_however_the_content_is_cut(pieces: list[bytes], frame_bytes: int) -> None:
    content = b"".join(pieces)
    whole, cut = Framer(Compression.ZSTD, frame_bytes), Framer(Compression.ZSTD, frame_bytes)
    expected = [*whole.feed(content), *whole.finish()]
    assert [*(frame for piece in pieces for frame in cut.feed(piece)), *cut.finish()] == expected
    assert cut.sha256 == hashlib.sha256(content).hexdigest()


def test_a_frame_tells_the_digest_of_the_content_up_to_its_end() -> None:
    content = noise(3, 25_000)
    framer = Framer(Compression.GZIP, 10_000)
    frames = [*framer.feed(content), *framer.finish()]
    assert [frame.sha256 for frame in frames] == [
        hashlib.sha256(content[:end]).hexdigest() for end in (10_000, 20_000, 25_000)
    ]


def test_empty_content_has_no_frame_and_the_digest_of_nothing() -> None:
    framer = Framer(Compression.ZSTD)
    assert [*framer.feed(b""), *framer.finish()] == []
    assert framer.sha256 == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("compression", list(Compression))
def test_a_frame_carries_a_checksum(compression: Compression) -> None:
    data = bytearray(compress(compression, b"what was read"))
    data[-1 if compression is Compression.ZSTD else -8] ^= 1
    with pytest.raises(Exception, match="returned non-zero"):
        run(UNPACK[compression], bytes(data))


@pytest.mark.parametrize("size", [0, 1, 511, 512, 8 << 30, (8 << 30) - 1, 10 << 40])
def test_a_header_of_any_size_is_read_by_gnu_tar(size: int) -> None:
    listing = _listing(header("top/kern.log", size, 1_795_000_000))
    assert listing.startswith("-rw------- 0/0")
    assert f" {size} 2026-11-" in listing
    assert listing.rstrip().endswith("top/kern.log")


@pytest.mark.parametrize(
    "name", ["top/" + "d/" * 60 + "x.log", "top/" + "n" * 180, "top/日本/é.log", "top/" + "é" * 120]
)
def test_long_and_foreign_names_survive(name: str) -> None:
    block = header(name, 0, 0) + END_OF_ARCHIVE
    assert _names(block) == [name]
    assert _listing(block, "--quoting-style=literal").rstrip().endswith(name)


def test_hostile_names_do_not_reach_a_header() -> None:
    assert _names(header("../../etc/\x1b[2Jpasswd\udcff", 0, 0) + END_OF_ARCHIVE) == [
        "%2E%2E/%2E%2E/etc/%1B[2Jpasswd%FF"
    ]


def test_times_before_1970_become_1970() -> None:
    assert "1970-01-01" in _listing(header("top/x", 0, -5))


@pytest.mark.parametrize(("size", "zeros"), [(0, 0), (1, 511), (512, 0), (513, 511)])
def test_padding_fills_the_last_block(size: int, zeros: int) -> None:
    assert padding(size) == bytes(zeros)


def _names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


def _listing(data: bytes, *options: str) -> str:
    """Return GNU tar's listing of a header whose content need not follow."""
    ended = subprocess.run(
        ["tar", "-tvf", "-", "--utc", *options],
        input=data,
        capture_output=True,
        timeout=20,
        check=False,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )
    return ended.stdout.decode()
