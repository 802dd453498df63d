"""`bilbs diag redact` and `reveal` as whole processes: pipes, files, folders, tarballs."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.conftest import Bilbs

SECRET = "correct-horse-battery-staple-7731"
LINE = f"app: connect postgres://svc:{SECRET}@db:5432/x\n"
REDACT = [sys.executable, "-m", "bilbs_cli", "diag", "redact"]


def test_a_pipe_goes_through_without_its_secret() -> None:
    done = subprocess.run([*REDACT, "-"], input=LINE.encode() * 3, capture_output=True, timeout=30, check=True)
    assert done.stdout.count(b"\n") == 3
    assert SECRET.encode() not in done.stdout
    assert b"3 values removed" in done.stderr


def test_a_file_gets_a_copy_and_stays_as_it_is(bilbs: Bilbs, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(LINE)
    ended = bilbs("diag", "redact", str(tmp_path / "app.log"), "-o", str(tmp_path / "clean.log"), "--json")
    assert ended.status == 0, ended.stderr
    assert ended.json["data"]["total"] == 1
    assert SECRET not in (tmp_path / "clean.log").read_text()
    assert (tmp_path / "app.log").read_text() == LINE


def test_nothing_is_overwritten(bilbs: Bilbs, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(LINE)
    (tmp_path / "there").write_text("mine")
    ended = bilbs("diag", "redact", str(tmp_path / "app.log"), "-o", str(tmp_path / "there"))
    assert ended.status == 73
    assert (tmp_path / "there").read_text() == "mine"


def test_a_folder_needs_a_place_for_its_copy(bilbs: Bilbs, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/a.log").write_text(LINE)
    refused = bilbs("diag", "redact", str(tmp_path / "logs"))
    assert refused.status == 2
    assert "-o" in refused.stderr
    assert bilbs("diag", "redact", str(tmp_path / "logs"), "-o", str(tmp_path / "clean")).status == 0
    assert SECRET not in (tmp_path / "clean/a.log").read_text()


def test_a_tarball_comes_out_as_a_tarball(bilbs: Bilbs, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(LINE)
    with tarfile.open(tmp_path / "old.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.log", "var/log/a.log")
    ended = bilbs("diag", "redact", str(tmp_path / "old.tar.gz"), "-o", str(tmp_path / "new.tar.gz"))
    assert ended.status == 0, ended.stderr
    with tarfile.open(tmp_path / "new.tar.gz") as archive:
        content = archive.extractfile("var/log/a.log")
        assert content
        assert SECRET.encode() not in content.read()


def test_stdout_cannot_hold_the_text_and_json(bilbs: Bilbs, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(LINE)
    assert bilbs("diag", "redact", str(tmp_path / "app.log"), "--json").status == 2


@pytest.mark.parametrize("name", ["absent", "fifo"])
def test_what_cannot_be_read_is_an_error_and_no_hang(bilbs: Bilbs, tmp_path: Path, name: str) -> None:
    import os

    os.mkfifo(tmp_path / "fifo")
    ended = bilbs("diag", "redact", str(tmp_path / name), timeout=10)
    assert ended.status in {2, 5}
    assert str(tmp_path / name) in ended.stderr


def test_pseudonyms_of_a_pipe_can_be_revealed_here_and_nowhere_else(bilbs: Bilbs, tmp_path: Path) -> None:
    line = "Nov 21 03:30:12 gpu01 sshd[1]: Accepted publickey for ops from 203.0.113.77 port 22\n"
    hidden = bilbs("diag", "redact", "-", "--pseudonymize", stdin=line).stdout
    assert "203.0.113.77" not in hidden
    assert bilbs("diag", "reveal", "-", stdin=hidden).stdout == line
    elsewhere = bilbs("diag", "reveal", "-", stdin=hidden, env={"BILBS_STATE_DIR": str(tmp_path / "other")})
    assert elsewhere.status == 5
    assert "the box that made" in elsewhere.stderr
