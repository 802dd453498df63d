"""A bundle that was changed is noticed: every byte of it, every member too many or too few."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.diag.bundle.frames import END_OF_ARCHIVE, Compression, compress, header
from bilbs_cli.diag.bundle.manifest import Item, decode
from bilbs_cli.diag.bundle.reader import open_bundle
from bilbs_cli.diag.bundle.verify import verify
from bilbs_cli.diag.model import Status
from bilbs_cli.errors import NotFound, VerificationFailed
from tests.diag.bundle.making import NAME, bundle, extracted, finish, item, put, run, start
from tests.diag.bundle.tars import pack, plain

FEW = {"gpu/a.txt": b"power 71 W\n", "gpu/b.txt": b""}


def _contents(path: Path) -> dict[str, bytes]:
    with open_bundle(path) as archive:
        return {member.name: member.read(1 << 20) for member in archive}


def _again(path: Path, files: dict[str, bytes]) -> Path:
    path.write_bytes(pack(*(plain(name, content) for name, content in files.items()), compression=Compression.ZSTD))
    return path


def test_a_good_bundle_verifies_with_its_counts(tmp_path: Path) -> None:
    spool = start(tmp_path)
    put(spool, "gpu/a.txt", b"x")
    spool.finish(item("gpu/gone", "gpu", None, status=Status.DENIED))
    report = verify(finish(spool).path)
    assert (report.members, report.gaps, report.manifest.name, report.manifest.status) == (6, 1, NAME, "complete")
    assert report.size_bytes == report.path.stat().st_size
    assert report.sha256 == hashlib.sha256(report.path.read_bytes()).hexdigest()


def test_a_bundle_repacked_by_gnu_tar_still_verifies(tmp_path: Path) -> None:
    path = bundle(tmp_path, FEW)
    names = run(["tar", "-tf", str(path)]).decode().split()
    run(["tar", "-xf", str(path), "-C", str(tmp_path)])
    run(["tar", "--format=ustar", "-czf", str(tmp_path / "again.tar.gz"), "-C", str(tmp_path), *names])
    assert verify(tmp_path / "again.tar.gz").members == 6
    (tmp_path / "plain.tar").write_bytes(run(["zstd", "-dc", str(path)]))
    assert verify(tmp_path / "plain.tar").members == 6


@pytest.mark.parametrize("form", ["zstd", "gzip", "tar"])
def test_flipping_any_byte_is_noticed_or_changes_nothing_that_is_read(tmp_path: Path, form: str) -> None:
    path = bundle(tmp_path, FEW, Compression.GZIP if form == "gzip" else Compression.ZSTD)
    data, whole = path.read_bytes(), _contents(path)
    if form == "tar":
        data = run(["zstd", "-dc", str(path)])
    unnoticed = 0
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data)
    with damaged.open("r+b", buffering=0) as stream:
        for place, byte in enumerate(data):
            os.pwrite(stream.fileno(), bytes((byte ^ 1 << place % 8,)), place)
            try:
                verify(damaged)
            except VerificationFailed:
                pass
            else:
                unnoticed += 1
                assert _contents(damaged) == whole, place
            os.pwrite(stream.fileno(), bytes((byte,)), place)
    frames = 12  # their headers have fields that mean nothing here: time and system in gzip, an unused bit in zstd
    assert unnoticed <= {"zstd": 2 * frames, "gzip": 8 * frames, "tar": 2 * 6}[form]  # tar: what follows a checksum


@pytest.mark.parametrize("compression", list(Compression))
def test_cutting_anywhere_is_noticed(tmp_path: Path, compression: Compression) -> None:
    data = bundle(tmp_path, FEW, compression).read_bytes()
    cut = tmp_path / "cut"
    for size in [*range(0, len(data), 7), *range(len(data) - 40, len(data))]:
        cut.write_bytes(data[:size])
        with pytest.raises(VerificationFailed):
            verify(cut)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.pop(f"{NAME}/gpu/a.txt"), "'.*/gpu/a.txt' is missing"),
        (lambda files: files.pop(f"{NAME}/SUMMARY.txt"), "SUMMARY.txt' is missing"),
        (lambda files: files.pop(f"{NAME}/manifest.json"), "has no manifest.json"),
        (lambda files: files.update({f"{NAME}/gpu/a.txt": b"power 99 W\n"}), "gpu/a.txt' was changed"),
        (
            lambda files: files.update({f"{NAME}/gpu/a.txt": b"power 7 W\n"}),
            "gpu/a.txt' has 10 bytes, and the manifest says 11",
        ),
        (lambda files: files.update({f"{NAME}/SUMMARY.txt": b"all is well"}), "SUMMARY.txt' has 11 bytes"),
        (lambda files: files.update({f"{NAME}/gpu/new.txt": b""}), "gpu/new.txt' is not in the manifest"),
        (lambda files: files.update({"elsewhere/gpu/a.txt": b""}), "'elsewhere/gpu/a.txt' is not in the manifest"),
        (
            lambda files: files.update({"elsewhere/manifest.json": b"{}"}),
            "was changed after it was written|not in the manifest",
        ),
        (lambda files: files.update({f"{NAME}/manifest.json": b'{"items": []}'}), "was changed after it was written"),
        (lambda files: files.update({f"{NAME}/manifest.json": bytes(9 << 20)}), "has 9437184 bytes, more than"),
    ],
)
def test_changes_are_named(tmp_path: Path, change: Any, said: str) -> None:
    files = _contents(bundle(tmp_path, FEW))
    change(files)
    with pytest.raises(VerificationFailed, match=said):
        verify(_again(tmp_path / "changed.tar.zst", files))


def test_a_gap_that_has_content_after_all_is_an_extra_member(tmp_path: Path) -> None:
    spool = start(tmp_path)
    spool.finish(item("gpu/gone", "gpu", None, status=Status.DENIED))
    files = _contents(finish(spool).path)
    files[f"{NAME}/gpu/gone"] = b"planted"
    with pytest.raises(VerificationFailed, match="gpu/gone' is not in the manifest"):
        verify(_again(tmp_path / "changed.tar.zst", files))


def test_many_faults_are_counted_and_the_first_named(tmp_path: Path) -> None:
    files = _contents(bundle(tmp_path, FEW))
    files |= {f"{NAME}/extra{n}": b"" for n in range(30)}
    with pytest.raises(VerificationFailed, match=r"'.*/extra0'.*extra4'.*; and 25 more"):
        verify(_again(tmp_path / "changed.tar.zst", files))


def test_a_manifest_that_lists_itself_wrongly_is_refused(tmp_path: Path) -> None:
    """A hostile bundle may carry a manifest that is whole and still no use."""
    from tests.diag.bundle.making import front

    spool = start(tmp_path)
    made = front(spool).manifest
    spool.remove()
    twice = made.with_items([item("x", "gpu", b""), item("x", "gpu", b"")])
    with pytest.raises(VerificationFailed, match="lists 'x' twice"):
        verify(_again(tmp_path / "t.tar.zst", {f"{NAME}/manifest.json": twice.encode()}))


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        verify(tmp_path / "none.tar.zst")
    (tmp_path / "x.tar.zst").write_bytes(compress(Compression.ZSTD, END_OF_ARCHIVE))
    with pytest.raises(VerificationFailed, match=r"no manifest\.json"):
        verify(tmp_path / "x.tar.zst")


def test_verifying_writes_nothing(tmp_path: Path) -> None:
    path = bundle(tmp_path, FEW)
    before = sorted((found, found.stat().st_mtime_ns) for found in tmp_path.rglob("*"))
    verify(path)
    assert sorted((found, found.stat().st_mtime_ns) for found in tmp_path.rglob("*")) == before


def test_the_manifest_lists_every_member_but_itself(tmp_path: Path) -> None:
    made = extracted(bundle(tmp_path, FEW), tmp_path / "out")
    listed = decode(made["manifest.json"]).items
    assert [one.path for one in listed if isinstance(one, Item)] == [
        "SUMMARY.txt",
        "facts.json",
        "redaction.json",
        "gpu/a.txt",
        "gpu/b.txt",
    ]
    assert set(json.loads(made["manifest.json"])) >= {
        "schema_version",
        "name",
        "version",
        "host",
        "started_at",
        "finished_at",
        "profile",
        "options",
        "status",
        "collectors",
        "items",
        "manifest_sha256",
    }


def test_a_size_of_ten_gigabytes_is_believed_only_when_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "x.tar.zst").write_bytes(compress(Compression.ZSTD, header(f"{NAME}/x", 10 << 30, 0) + bytes(5000)))
    with pytest.raises(VerificationFailed, match="too early"):
        verify(tmp_path / "x.tar.zst")
