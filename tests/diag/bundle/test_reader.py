"""Hostile archives: each is refused with what is wrong and where, in flat memory, and nothing reaches the disk."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.bundle.frames import END_OF_ARCHIVE, Compression, compress, header
from bilbs_cli.diag.bundle.reader import Reader, open_bundle
from bilbs_cli.diag.bundle.unpack import Limits
from bilbs_cli.errors import NotFound, PermissionNeeded, VerificationFailed
from tests.diag.bundle.making import bundle, log, noise, peak_memory_kib, reset_peak_memory
from tests.diag.bundle.tars import extended, member, pack, plain, raw, with_gnu_names


def _read(data: bytes, limits: Limits | None = None) -> dict[str, bytes]:
    return {one.name: one.read(1 << 30) for one in Reader(io.BytesIO(data), "x.tar", limits or Limits())}


def _said(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(VerificationFailed) as caught:
        _read(data, limits)
    return str(caught.value)


@pytest.mark.parametrize("compression", [None, *Compression])
def test_good_archives_are_read_whatever_their_compression(compression: Compression | None) -> None:
    files = {
        "top/a": b"",
        "top/b": log(1, 100_000),
        "top/" + "d/" * 20 + "n" * 150: bytes(512),
        "top/é": noise(1, 600_000),
    }
    data = pack(*(plain(name, content) for name, content in files.items()), compression=compression)
    assert _read(data) == files


def test_archives_of_gnu_tar_in_pax_format_are_read(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "top").mkdir()
    (tmp_path / "top" / ("n" * 180)).write_bytes(b"x" * 700)
    out = subprocess.run(
        ["tar", "--format=pax", "--zstd", "-cf", "-", "top/" + "n" * 180], cwd=tmp_path, capture_output=True, check=True
    )
    assert _read(out.stdout) == {"top/" + "n" * 180: b"x" * 700}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pack(member("../../etc/passwd")), "'../../etc/passwd' is not a safe name"),
        (pack(member("/etc/passwd")), "'/etc/passwd' is not a safe name"),
        (pack(member("a/./b")), "not a safe name"),
        (pack(member("a//b")), "not a safe name"),
        (pack(member("a/b/")), "not a safe name"),
        (pack(member("top/\x1b[2J")), r"'top/\x1b[2J' is not a safe name"),
        (pack(member("top/\u202egol")), "not a safe name"),
        (pack(member("a/" * 60 + "x")), "not a safe name"),
        (pack(member("a" * 2000)), "not a safe name"),
        (pack(member("top/x", b"", type=tarfile.SYMTYPE, linkname="/etc/shadow")), "'top/x' is a symbolic link"),
        (pack(member("top/x", b"", type=tarfile.LNKTYPE, linkname="top/y")), "'top/x' is a hard link"),
        (pack(member("top/x", b"", type=tarfile.CHRTYPE)), "'top/x' is a character device"),
        (pack(member("top/x", b"", type=tarfile.BLKTYPE)), "'top/x' is a block device"),
        (pack(member("top/x", b"", type=tarfile.FIFOTYPE)), "'top/x' is a FIFO"),
        (pack(member("top/x", b"", type=tarfile.DIRTYPE)), "'top/x/' is a folder"),
        (pack(member("top/x", type=tarfile.CONTTYPE)), "'top/x' is a contiguous file"),
        (pack(member("top/x", type=tarfile.GNUTYPE_SPARSE)), "'top/x' is a GNU sparse file"),
        (pack(member("top/x", type=b"Z")), "'top/x' is of type b'Z'"),
        (pack(with_gnu_names("n" * 300)), "is a GNU long name"),
        (pack(raw(plain("top/x"), kind=(156, b"g"))), "is a global pax header"),
        (pack(plain("top/x"), plain("top/x")), "'top/x' is there twice"),
        (pack(plain("top/x"), plain("top/x/y")), "'top/x' is both a file and a folder"),
        (pack(plain("top/x/y"), plain("top/x")), "'top/x' is both a file and a folder"),
        (pack(extended(b"GNU.sparse.major=1", then=plain("top/x"))), "sets 'GNU.sparse.major'"),
        (pack(extended(b"linkpath=/etc/shadow", then=plain("top/x"))), "sets 'linkpath'"),
        (pack(extended(b"path=/etc/shadow", then=plain("top/x"))), "'/etc/shadow' is not a safe name"),
        (pack(extended(b"path=top/y", b"path=top/z", then=plain("top/x"))), "pax header is damaged"),
        (pack(extended(b"path=top/\xff", then=plain("top/x"))), "pax header is not UTF-8"),
        (pack(extended(b"size=3", then=plain("top/x"))), "'top/x' has two sizes"),
        (pack(extended(b"size=-3", then=plain("top/x", b""))), "not decimal"),
        (pack(extended(b"size=1e9", then=plain("top/x", b""))), "not decimal"),
        (pack(extended(b"size=" + b"9" * 30, then=plain("top/x", b""))), "not decimal"),
        (pack(extended(b"size=900000000000000", then=plain("top/x", b""))), "claims 900000000000000 bytes"),
        (pack(extended(b"path=top/y", then=extended(b"path=top/z", then=plain("top/x")))), "of type b'x'"),
        (pack(extended(b"path=top/y")), "pax header without its member"),
        (pack(extended(b"path=top/y")[:-1] + b"!", plain("top/x")), "pax header is damaged"),
        (extended(b"path=top/" + b"y" * 700)[:1100], "pax header is damaged"),
        (
            pack(raw(header("pax", 6, 0), kind=(156, b"x")) + b"9999 a" + bytes(506), plain("top/x")),
            "pax header is damaged",
        ),
        (
            pack(raw(header("pax", 6, 0), kind=(156, b"x")) + b"0 a=b\n" + bytes(506), plain("top/x")),
            "pax header is damaged",
        ),
        (
            pack(raw(header("pax", 5100, 0), kind=(156, b"x")) + b"9" * 5000 + b" a=b\n" + bytes(115)),
            "pax header is damaged",
        ),
        (pack(raw(header("pax", 1 << 30, 0), kind=(156, b"x"))), "a pax header of 1073741824 bytes"),
        (pack(raw(plain("top/x"), size=(124, b"-0000000007\0"))), "not octal"),
        (pack(raw(plain("top/x"), size=(124, b"\x80" + bytes(10) + b"\x07"))), "not octal"),
        (pack(raw(plain("top/x"), size=(124, b"77777777777\0"))), "has 8589934591 bytes, more than"),
        (pack(raw(plain("top/x"), name=(0, b"top/\xff"))), "a name is not UTF-8"),
        (pack(raw(plain("top/x"), magic=(257, b"nothing"))), "neither a .tar.zst"),
        (plain("top/x")[:148] + b"0000000\0" + plain("top/x")[156:] + END_OF_ARCHIVE, "not a tar header"),
        (pack(plain("top/x")[:-1] + b"!"), "data in the padding after 'top/x'"),
        (pack(plain("top/x"), end=b""), "without the end of a tar archive"),
        (pack(plain("top/x"), end=bytes(512)), "without the end of a tar archive"),
        (pack(plain("top/x"), end=bytes(512) + plain("top/y")), "without the end of a tar archive"),
        (pack(plain("top/x")) + plain("top/y"), "data after the end"),
        (pack(plain("top/x")) + bytes(2 << 20), "data after the end"),
        (
            pack(plain("top/x"), compression=Compression.ZSTD) + compress(Compression.ZSTD, plain("top/y")),
            "data after the end",
        ),
        (pack(plain("top/x", bytes(2000)))[:1500], "'top/x' ends 1012 bytes too early"),
        (b"", "x.tar is empty"),
        (b"hello", "neither a .tar.zst"),
        (b"\0" * 5000, "neither a .tar.zst"),
        (b"\x60\x2a\x4d\x18" + bytes(600), "neither a .tar.zst"),
        (b"BZh91AY" + bytes(600), "is a bzip2 file"),
        (b"PK\x03\x04" + bytes(600), "is a zip file"),
        (b"\xfd7zXZ\0" + bytes(600), "is a xz file"),
        (pack(plain("top/x"), compression=Compression.ZSTD) + b"garbage", "damaged near byte"),
        (pack(plain("top/x"), compression=Compression.GZIP) + b"garbage", "damaged near byte"),
        (pack(plain("top/x"), compression=Compression.ZSTD)[:-1], "ends in the middle of a frame"),
        (pack(plain("top/x"), compression=Compression.ZSTD)[:-5], "ends in the middle of a frame"),
        (pack(plain("top/x"), compression=Compression.GZIP)[:-1], "ends in the middle of a gzip member"),
        (compress(Compression.ZSTD, b"not a tar, but long enough " * 50), "not a tar header"),
        (zstandard.ZstdCompressor(level=1, write_content_size=False).compress(b"")[:3] + b"\0", "neither a .tar.zst"),
    ],
)
def test_what_a_bundle_never_has_is_refused_by_name(data: bytes, said: str) -> None:
    assert said in _said(data)


def test_faults_name_their_place_in_the_archive() -> None:
    assert "at byte 1536 of the tar" in _said(pack(plain("top/a"), plain("../x")[:0] + member("../x")))


def test_empty_frames_and_skippable_frames_between_others_change_nothing() -> None:
    empty, skippable = compress(Compression.ZSTD, b""), b"\x50\x2a\x4d\x18\x04\0\0\0skip"
    data = (
        skippable
        + compress(Compression.ZSTD, plain("top/x"))
        + empty
        + skippable
        + compress(Compression.ZSTD, END_OF_ARCHIVE)
    )
    assert _read(data) == {"top/x": b"content"}


def test_an_encrypted_bundle_is_refused_with_the_command_that_opens_it(tmp_path: Path) -> None:
    for head in (b"age-encryption.org/v1\n-> X25519 ", b"-----BEGIN AGE ENCRYPTED FILE-----\n"):
        path = tmp_path / "my bundle.tar.zst.age"
        path.write_bytes(head + bytes(600))
        with pytest.raises(VerificationFailed) as caught, open_bundle(path) as archive:
            list(archive)
        assert caught.value.code == "encrypted"
        assert caught.value.next == f"age -d -i KEYFILE '{path}' > '{tmp_path}/my bundle.tar.zst'"


@pytest.mark.parametrize("compression", list(Compression))
def test_a_bomb_costs_neither_memory_nor_time(compression: Compression) -> None:
    frame = compress(compression, bytes(64 << 20))
    data = compress(compression, header("top/zeros", 640 << 20, 0)) + frame * 10 + compress(compression, END_OF_ARCHIVE)
    reset_peak_memory()
    before = peak_memory_kib()
    began = time.monotonic()
    assert "a decompression bomb" in _said(data, Limits(ratio=100, ratio_from=32 << 20))
    assert "claims 671088640 bytes" in _said(data, Limits(total_bytes=50_000_000))
    assert peak_memory_kib() - before < 64 << 10
    assert time.monotonic() - began < 5


def test_what_unpacks_to_much_is_no_bomb_while_the_ratio_is_as_allowed() -> None:
    data = pack(plain("top/zeros", bytes(3 << 20)), compression=Compression.ZSTD)
    assert len(_read(data, Limits(ratio=1 << 20, ratio_from=1 << 20))["top/zeros"]) == 3 << 20


def test_a_disk_that_fails_while_it_is_read_is_an_error_of_the_archive() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:  # noqa: ARG002 - the signature of a stream
            raise OSError(5, "Input/output error")

    with pytest.raises(VerificationFailed, match="cannot be read: Input/output error"):
        list(Reader(Failing(), "x"))


def test_a_zstd_window_of_gigabytes_is_refused() -> None:
    wide = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=30, write_content_size=False)
    )
    stream = wide.compressobj()
    assert "damaged near byte" in _said(stream.compress(plain("top/x")) + stream.flush())


def test_members_are_counted() -> None:
    assert "more than 10 members" in _said(pack(*(plain(f"top/{n}", b"") for n in range(11))), Limits(members=10))


def test_data_without_end_stops_at_the_limit() -> None:
    endless = header("top/x", 1 << 30, 0) + bytes(3 << 20)
    assert "claims 1073741824 bytes" in _said(endless, Limits(total_bytes=1 << 20))
    assert "unpacks to more than 1048576" in _said(
        pack(plain("top/x"), end=bytes(1024) + bytes(3 << 20), compression=Compression.GZIP),
        Limits(total_bytes=1 << 20),
    )


def test_a_member_larger_than_expected_is_not_read_whole() -> None:
    [one] = list(Reader(io.BytesIO(pack(plain("top/x", b""))), "x"))
    assert one.read(0) == b""
    for one in Reader(io.BytesIO(pack(plain("top/x", bytes(100)))), "x"):
        with pytest.raises(VerificationFailed, match="has 100 bytes, more than the 99"):
            one.read(99)


def test_members_that_are_not_read_are_passed_over() -> None:
    names = [
        one.name
        for one in Reader(io.BytesIO(pack(plain("top/a", noise(1, 3000)), plain("top/b", noise(2, 70_000)))), "x")
    ]
    assert names == ["top/a", "top/b"]


def test_a_pipe_that_gives_a_byte_at_a_time_is_read() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 1, 7))

    data = pack(plain("top/a", noise(1, 3000)))
    assert [one.read(5000) for one in Reader(Slow(data), "x")] == [noise(1, 3000)]


def test_paths_that_are_no_files_are_errors_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, error in (
        (tmp_path / "none", NotFound),
        (tmp_path / "fifo", VerificationFailed),
        (tmp_path, VerificationFailed),
        (Path("/dev/zero"), VerificationFailed),
    ):
        with pytest.raises(error), open_bundle(path):
            pass


def test_a_file_of_others_is_a_matter_of_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bundle(tmp_path, {})
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.seteuid(65534)
            with open_bundle(path):
                pass
        except PermissionNeeded:
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


GOOD = pack(
    plain("top/a", b"some content"),
    extended(b"path=top/" + b"n" * 120, then=plain("top/n", bytes(700))),
    plain("top/c", b""),
)


@settings(max_examples=300, deadline=None)
@given(
    place=st.integers(0, len(GOOD) - 1),
    data=st.binary(min_size=1, max_size=40),
    cut=st.integers(0, len(GOOD)),
    compression=st.sampled_from([None, *Compression]),
)
def test_no_damage_raises_anything_but_a_verification_error(
    place: int, data: bytes, cut: int, compression: Compression | None
) -> None:
    damaged = (GOOD[:place] + data + GOOD[place + len(data) :])[: max(cut, place + len(data))]
    try:
        found = _read(compress(compression, damaged) if compression else damaged)
    except VerificationFailed:
        return
    assert len(found) == 3


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=700), st.sampled_from([b"", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", b"\x50\x2a\x4d\x18"]))
def test_random_bytes_are_never_a_bundle(data: bytes, magic: bytes) -> None:
    with pytest.raises(VerificationFailed):
        _read(magic + data)


def test_what_gnu_tar_puts_where_posix_has_a_prefix_is_no_part_of_the_name() -> None:
    data = pack(raw(plain("top/x"), magic=(257, b"ustar  \0"), atime=(345, b"15000000000\0")))
    assert _read(data) == {"top/x": b"content"}


def test_archives_with_old_gzip_headers_are_read() -> None:
    assert _read(gzip.compress(pack(plain("top/x")), mtime=5)) == {"top/x": b"content"}
