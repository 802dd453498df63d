"""Redacting files, folders, tarballs and streams: the copy has no secret, the source stays, nothing is overwritten."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import zstandard

from bilbs_cli.diag.redact import redact_path, redact_stream
from bilbs_cli.diag.redaction import Redactor
from bilbs_cli.errors import NotFound, OutputUnwritable, UsageProblem, VerificationFailed

REDACTOR = Redactor()
SECRET = b"hunter2-fake"
TEXT = b"user=bob\npassword=hunter2-fake\nend\n"
CLEAN = b"user=bob\npassword=[REDACTED:password]\nend\n"


def tarball() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in (("top/a.log", TEXT), ("top/empty", b""), ("top/" + "long" * 60 + ".log", TEXT * 3)):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), 1700000000, 0o640
            archive.addfile(info, io.BytesIO(data))
        for kind, name in (
            (tarfile.SYMTYPE, "top/link"),
            (tarfile.CHRTYPE, "top/null"),
            (tarfile.DIRTYPE, "top/folder"),
            (tarfile.FIFOTYPE, "top/fifo"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.log" if kind == tarfile.SYMTYPE else ""
            archive.addfile(info)
    return buffer.getvalue()


def test_a_file_is_copied_without_its_secrets(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(TEXT)
    done = redact_path(tmp_path / "x.log", tmp_path / "out.log", REDACTOR)
    assert (tmp_path / "out.log").read_bytes() == CLEAN
    assert (tmp_path / "x.log").read_bytes() == TEXT
    assert (tmp_path / "out.log").stat().st_mode & 0o777 == 0o600
    assert done.path == tmp_path / "out.log"
    assert done.receipt.as_dict()["members"] == {"x.log": {"password": 1}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.log", "x.log"]


def test_an_existing_output_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(TEXT)
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(OutputUnwritable, match="nothing is overwritten"):
        redact_path(tmp_path / "x.log", tmp_path / "out", REDACTOR)
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(OutputUnwritable, match="nothing is overwritten"):
        redact_path(tmp_path / "x.log", tmp_path / "dangling", REDACTOR)
    assert (tmp_path / "out").read_bytes() == b"mine"


def test_an_existing_folder_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputUnwritable, match="nothing is overwritten"):
        redact_path(tmp_path / "logs", tmp_path / "out", REDACTOR)


def test_a_missing_source_and_a_fifo_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        redact_path(tmp_path / "nothing", tmp_path / "out", REDACTOR)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageProblem, match="FIFO"):
        redact_path(tmp_path / "fifo", tmp_path / "out", REDACTOR)
    assert not (tmp_path / "out").exists()


def test_a_folder_is_copied_file_by_file_and_links_are_named(tmp_path: Path) -> None:
    source = tmp_path / "logs"
    (source / "sub").mkdir(parents=True)
    (source / "a.log").write_bytes(TEXT)
    (source / "sub/b.log").write_bytes(TEXT)
    (source / "old.gz").write_bytes(gzip.compress(TEXT))
    (source / "link").symlink_to("/etc/passwd")
    (source / "loop").symlink_to(".")
    os.mkfifo(source / "fifo")
    done = redact_path(source, tmp_path / "out", REDACTOR)
    assert (tmp_path / "out/a.log").read_bytes() == CLEAN
    assert (tmp_path / "out/sub/b.log").read_bytes() == CLEAN
    assert set(done.left_out) == {"link", "loop", "fifo"}
    assert done.receipt.as_dict()["members"] == {"a.log": {"password": 1}, "sub/b.log": {"password": 1}}
    assert done.receipt.as_dict()["not_scanned"] == {"old.gz": "gzip"}


def test_a_copy_inside_its_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="inside"):
        redact_path(tmp_path, tmp_path / "out", REDACTOR)


@pytest.mark.parametrize("kind", ["tar", "gz", "zst"])
def test_a_tarball_is_redacted_member_by_member(tmp_path: Path, kind: str) -> None:
    raw = {"tar": tarball(), "gz": gzip.compress(tarball()), "zst": zstandard.compress(tarball())}[kind]
    source, out = tmp_path / f"x.tar.{kind}", tmp_path / f"out.tar.{kind}"
    source.write_bytes(raw)
    done = redact_path(source, out, REDACTOR)
    listed = subprocess.run(
        ["tar", "-tvf", out, *(["--zstd"] if kind == "zst" else [])], capture_output=True, text=True, check=True
    ).stdout
    assert "top/link -> a.log" in listed
    assert "crw" in listed
    content = subprocess.run(
        ["tar", "-xOf", out, "top/a.log", *(["--zstd"] if kind == "zst" else [])], capture_output=True, check=True
    ).stdout
    assert content == CLEAN
    assert done.receipt.total == 4
    assert done.receipt.as_dict()["members"]["top/a.log"] == {"password": 1}


def test_a_stream_is_redacted_on_its_way() -> None:
    out = io.BytesIO()
    done = redact_stream(io.BytesIO(TEXT), out, REDACTOR)
    assert out.getvalue() == CLEAN
    assert done.receipt.total == 1


def test_a_tarball_on_stdin_stays_a_tarball() -> None:
    out = io.BytesIO()
    redact_stream(io.BytesIO(gzip.compress(tarball())), out, REDACTOR)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue()), mode="r:gz") as archive:
        member = archive.extractfile("top/a.log")
        assert member
        assert member.read() == CLEAN


@pytest.mark.parametrize("cut", [600, 2000, 5000])
def test_a_damaged_tarball_is_refused_and_leaves_nothing(tmp_path: Path, cut: int) -> None:
    (tmp_path / "x.tar").write_bytes(tarball()[:cut])
    with pytest.raises(VerificationFailed, match="damaged"):
        redact_path(tmp_path / "x.tar", tmp_path / "out", REDACTOR)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar"]


def test_a_secret_in_a_members_name_is_masked_too() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("log-password=hunter2-fake.txt")
        archive.addfile(info)
    out = io.BytesIO()
    redact_stream(io.BytesIO(buffer.getvalue()), out, REDACTOR)
    assert SECRET not in out.getvalue()


def test_a_hostile_tarball_writes_nothing_anywhere(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("../escape", "/etc/escape", "a/../../escape"):
            info = tarfile.TarInfo(name)
            info.size = len(TEXT)
            archive.addfile(info, io.BytesIO(TEXT))
    (tmp_path / "x.tar").write_bytes(buffer.getvalue())
    redact_path(tmp_path / "x.tar", tmp_path / "out.tar", REDACTOR)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tar", "x.tar"]
    assert not (tmp_path.parent / "escape").exists()
