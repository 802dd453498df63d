"""The seal gate names member and line of a secret, and never the secret."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bilbs_cli.diag.bundle.frames import Compression
from bilbs_cli.diag.bundle.gate import search
from bilbs_cli.diag.bundle.reader import Reader
from bilbs_cli.diag.bundle.seal import seal
from bilbs_cli.errors import Exit, SecretFound
from tests.diag.bundle.making import front, log, put, start
from tests.diag.bundle.tars import pack, plain

SECRET = b"hunter2-hunter2"


@dataclass
class Scanner:
    """Finds one secret across the edges of chunks: the plainest scanner there can be."""

    seen: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[tuple[str, int]]:
        self.seen += data
        place = self.seen.find(SECRET)
        return [] if place < 0 else [("/etc/ipmi.conf", place)]


def _line(content: bytes) -> str:
    reader = Reader(
        io.BytesIO(pack(plain("top/a", b"clean\n"), plain("top/b", content), compression=Compression.ZSTD)), "x"
    )
    with pytest.raises(SecretFound) as caught:
        search(reader, Scanner)
    assert SECRET.decode() not in f"{caught.value} {caught.value.next} {caught.value.safe}"
    assert caught.value.exit is Exit.FAILED
    return str(caught.value)


def test_a_hit_names_member_line_and_source() -> None:
    assert (
        _line(b"one\ntwo\npassword " + SECRET + b"\nfour")
        == "a secret of this host (/etc/ipmi.conf) is in top/b, line 3"
    )


@pytest.mark.parametrize("before", [0, 1, 262_130, 262_137, 262_144, 700_000, 3_000_000])
def test_the_line_is_right_wherever_the_content_is_cut_into_chunks(before: int) -> None:
    content = log(1, before)[:before]
    assert _line(content + SECRET + b"\nand\nmore\n").endswith(f"line {content.count(10) + 1}")


def test_a_secret_in_a_name_is_found_and_the_name_not_shown() -> None:
    reader = Reader(io.BytesIO(pack(plain(f"top/{SECRET.decode()}.log", b"x"))), "x")
    with pytest.raises(SecretFound, match="the name of a member") as caught:
        search(reader, Scanner)
    assert SECRET.decode() not in str(caught.value)


def test_a_clean_bundle_passes(tmp_path: Path) -> None:
    spool = start(tmp_path)
    put(spool, "kern/kern.log", log(1, 300_000))
    assert seal(spool, front, gate=lambda reader: search(reader, Scanner)).path.exists()


def test_a_secret_in_the_first_pages_is_found_too(tmp_path: Path) -> None:
    spool = start(tmp_path)
    put(spool, "gpu/a", b"x")
    spool.finish(
        spool.items[0].__class__.from_dict(
            spool.items[0].as_dict() | {"path": "gpu/b", "sha256": None, "reason": SECRET.decode()}
        )
    )
    with pytest.raises(SecretFound, match=r"manifest\.json, line"):
        seal(spool, front, gate=lambda reader: search(reader, Scanner))
    assert list(tmp_path.iterdir()) == []
