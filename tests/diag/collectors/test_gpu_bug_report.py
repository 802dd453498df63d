"""The bug report's way from a FIFO of gzip members to text."""

from __future__ import annotations

import gzip
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.collectors.nvidia_bug_report import DAMAGED, Gunzip

TEXTS = st.lists(st.binary(max_size=400), min_size=1, max_size=6)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return `data` cut at `cuts` (taken modulo its length)."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


def gunzip(parts: list[bytes]) -> bytes:
    engine = Gunzip()
    return b"".join(out for part in parts for out in engine.feed(part))


@given(TEXTS, st.lists(st.integers(min_value=0), max_size=12))
def test_members_are_joined_wherever_the_pipe_cuts_them(texts: list[bytes], cuts: list[int]) -> None:
    packed = b"".join(gzip.compress(text) for text in texts)
    assert gunzip(pieces(packed, cuts)) == b"".join(texts)


@given(st.binary(max_size=60), st.lists(st.integers(min_value=0), max_size=6))
def test_what_is_no_gzip_between_members_is_left_out(noise: bytes, cuts: list[int]) -> None:
    noise = noise.replace(b"\x1f", b"")
    packed = gzip.compress(b"before") + noise + gzip.compress(b"after")
    assert gunzip(pieces(packed, cuts)) == b"beforeafter"


@given(st.integers(min_value=0, max_value=400), st.lists(st.integers(min_value=0), max_size=6))
def test_damage_in_one_member_leaves_the_members_around_it(place: int, cuts: list[int]) -> None:
    damaged = bytearray(gzip.compress(bytes(range(256)) * 3))
    damaged[12 + place % (len(damaged) - 12)] ^= 0x55
    found = gunzip(pieces(gzip.compress(b"first") + bytes(damaged) + gzip.compress(b"last of all"), cuts))
    assert found.startswith(b"first")
    assert found.endswith(b"last of all") or DAMAGED in found


def test_damage_is_said() -> None:
    damaged = bytearray(gzip.compress(b"a line of text\n" * 100))
    damaged[14] ^= 0xFF
    found = gunzip([gzip.compress(b"first\n"), bytes(damaged), gzip.compress(b"last\n")])
    assert DAMAGED in found
    assert found.endswith(b"last\n")
