"""The finished archive: its order, its manifest, its name, and how other programs see it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.diag.bundle import reader
from bilbs_cli.diag.bundle.frames import Compression
from bilbs_cli.diag.bundle.runs import resumable
from bilbs_cli.diag.bundle.seal import Front, seal
from bilbs_cli.diag.bundle.spool import Spool
from bilbs_cli.diag.bundle.verify import verify
from bilbs_cli.diag.model import Status
from bilbs_cli.errors import BilbsError, NotFound, OutputUnwritable, SecretFound
from tests.diag.bundle.making import (
    NAME,
    ORDER,
    begin,
    bundle,
    extracted,
    finish,
    front,
    item,
    log,
    noise,
    put,
    run,
    start,
)
from tests.parts.disk import small_disk

MEMBERS = {
    "system/os-release": b"ID=debian\n",
    "kern/kern.log": log(1, 900_000),
    "gpu/smi.xml": b"<a/>",
    "gpu/dump.bin": noise(1, 700_000),
    "gpu/empty": b"",
    "gpu/exact": bytes(512),
}


def _collect(folder: Path, compression: Compression = Compression.ZSTD) -> Spool:
    spool = start(folder, compression)
    for path, content in MEMBERS.items():
        put(spool, path, content, collector={"kern": "kernel"}.get(path.split("/")[0], path.split("/")[0]))
    spool.finish(item("gpu/topology.txt", "gpu", None, status=Status.TIMEOUT, reason="no end after 15 s"))
    return spool


@pytest.mark.parametrize("compression", list(Compression))
def test_gnu_tar_reads_the_archive_and_every_digest_holds(tmp_path: Path, compression: Compression) -> None:
    sealed = finish(_collect(tmp_path, compression))
    assert sealed.path.name == NAME + (".tar.zst" if compression is Compression.ZSTD else ".tar.gz")
    assert run(["tar", "-tf", str(sealed.path)])
    made = extracted(sealed.path, tmp_path / "out")
    assert {path: made[path] for path in MEMBERS} == MEMBERS
    listed = {row["path"]: row for row in json.loads(made["manifest.json"])["items"]}
    assert set(listed) - {path for path, row in listed.items() if row["sha256"] is None} == set(made) - {
        "manifest.json"
    }
    sums = "".join(f"{row['sha256']}  {NAME}/{path}\n" for path, row in listed.items() if row["sha256"])
    subprocess.run(["sha256sum", "-c", "--quiet"], input=sums.encode(), cwd=tmp_path / "out", check=True, timeout=20)


def test_the_summary_comes_first_and_members_follow_in_the_order_of_collectors(tmp_path: Path) -> None:
    names = run(["tar", "-tf", str(finish(_collect(tmp_path)).path)]).decode().splitlines()
    assert names == [
        f"{NAME}/{name}"
        for name in (
            "SUMMARY.txt",
            "manifest.json",
            "facts.json",
            "redaction.json",
            "gpu/smi.xml",
            "gpu/dump.bin",
            "gpu/empty",
            "gpu/exact",
            "gpu/topology.txt.err.txt",
            "kern/kern.log",
            "system/os-release",
        )
    ]


def test_members_have_the_time_at_which_they_were_read(tmp_path: Path) -> None:
    listing = run(["tar", "--utc", "--full-time", "-tvf", str(finish(_collect(tmp_path)).path)]).decode()
    times = {line.split()[5].removeprefix(f"{NAME}/"): line.split()[4] for line in listing.splitlines()}
    assert (times["gpu/smi.xml"], times["SUMMARY.txt"]) == ("03:30:00", "03:31:40")


def test_summary_and_report_stand_before_the_manifest_wherever_they_were_given(tmp_path: Path) -> None:
    def pages(spool: Spool) -> Front:
        made = front(spool)
        return Front(made.manifest, [made.members[1], ("report.html", b"<html>"), made.members[0]])

    names = run(["tar", "-tf", str(seal(_collect(tmp_path), pages).path)]).decode().splitlines()
    assert [name.split("/")[1] for name in names[:4]] == ["SUMMARY.txt", "report.html", "manifest.json", "facts.json"]


def test_a_gap_has_its_reason_beside_it(tmp_path: Path) -> None:
    made = extracted(finish(_collect(tmp_path)).path, tmp_path / "out")
    assert made["gpu/topology.txt.err.txt"] == b"timeout: no end after 15 s\nsource: file: /gpu/topology.txt\n"
    rows = {row["path"]: row for row in json.loads(made["manifest.json"])["items"]}
    assert (rows["gpu/topology.txt"]["sha256"], rows["gpu/topology.txt"]["status"]) == (None, "timeout")
    assert rows["gpu/topology.txt.err.txt"]["sha256"] == hashlib.sha256(made["gpu/topology.txt.err.txt"]).hexdigest()


def test_a_reason_beside_a_gap_takes_no_members_name(tmp_path: Path) -> None:
    spool = start(tmp_path)
    spool.finish(item("gpu/x", "gpu", None, status=Status.FAILED))
    put(spool, "gpu/x.err.txt", b"stderr of x")
    made = extracted(finish(spool).path, tmp_path / "out")
    assert made["gpu/x.err.txt"] == b"stderr of x"
    assert made["gpu/x.err.txt.2"].startswith(b"failed: no reason was given")


def test_the_result_tells_size_and_digest_of_the_file(tmp_path: Path) -> None:
    sealed = finish(_collect(tmp_path))
    assert sealed.size_bytes == sealed.path.stat().st_size
    assert run(["sha256sum", str(sealed.path)]).split()[0].decode() == sealed.sha256
    assert verify(sealed.path).sha256 == sealed.sha256


def test_only_the_archive_is_left_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    spool = start(tmp_path / "out", state_dir=state)
    assert [path.name for path in (state / "runs").iterdir()] == [NAME]
    put(spool, "gpu/x", b"x")
    sealed = finish(spool)
    assert list((tmp_path / "out").iterdir()) == [sealed.path]
    assert list((state / "runs").iterdir()) == []
    assert stat.S_IMODE(sealed.path.stat().st_mode) == 0o600
    assert sealed.path.stat().st_nlink == 1


def test_a_bundle_of_nothing_is_still_a_bundle(tmp_path: Path) -> None:
    assert verify(bundle(tmp_path, {})).members == 4


def test_an_archive_that_appears_meanwhile_is_not_overwritten_and_nothing_is_lost(tmp_path: Path) -> None:
    spool = _collect(tmp_path)
    other = tmp_path / spool.target
    other.write_text("precious")
    with pytest.raises(OutputUnwritable) as caught:
        finish(spool)
    spool.close()
    assert caught.value.code == "exists"
    assert "kept in" in caught.value.safe
    assert other.read_text() == "precious"
    other.unlink()
    assert verify(finish(Spool.reopen(spool.volume.path)).path).members == 11


def test_a_link_as_output_folder_is_followed_and_a_dangling_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    sealed = finish(_collect(tmp_path / "link"))
    assert sealed.path.parent == tmp_path / "real"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputUnwritable):
        start(tmp_path / "dangling")


def test_a_link_of_the_archives_name_is_not_written_through(tmp_path: Path) -> None:
    spool = _collect(tmp_path)
    victim = tmp_path / "victim"
    (tmp_path / spool.target).symlink_to(victim)
    with pytest.raises(OutputUnwritable):
        finish(spool)
    assert not victim.exists()
    spool.close()


def test_where_links_are_impossible_the_archive_is_renamed_and_still_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(1, "Operation not permitted")  # what vfat says

    monkeypatch.setattr(os, "link", refuse)
    spool = _collect(tmp_path)
    (tmp_path / spool.target).write_text("precious")
    with pytest.raises(OutputUnwritable):
        finish(spool)
    spool.close()
    (tmp_path / spool.target).unlink()
    again = Spool.reopen(spool.volume.path)
    assert verify(finish(again).path).members == 11


def test_a_strangers_file_under_the_name_of_a_half_published_bundle_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(5, "Input/output error")

    spool = _collect(tmp_path)
    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(OutputUnwritable, match="Input/output error"):
        finish(spool)
    spool.close()
    monkeypatch.undo()
    other = tmp_path / spool.target
    other.write_text("precious")
    again = Spool.reopen(spool.volume.path)
    with pytest.raises(OutputUnwritable, match="exists already"):
        finish(again)
    again.close()
    assert other.read_text() == "precious"
    other.unlink()
    assert verify(finish(Spool.reopen(spool.volume.path)).path).members == 11


def test_a_part_that_lost_its_end_after_the_plan_is_named_and_makes_no_archive(tmp_path: Path) -> None:
    spool = start(tmp_path)
    put(spool, "gpu/x", noise(1, 200_000))
    spool.commit(spool.pieces("gpu/x"))
    spool.close()
    os.truncate(spool.volume.path / "p000002", 10)
    again = Spool.reopen(spool.volume.path)
    with pytest.raises(BilbsError, match="p000002 lost its end") as caught:
        finish(again)
    again.close()
    assert caught.value.code == "work-damaged"


def test_the_gate_stops_a_bundle_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    def stop(archive: reader.Reader) -> None:
        names = [member.name for member in archive]
        assert names[0] == f"{NAME}/SUMMARY.txt"
        raise SecretFound("found")

    spool = _collect(tmp_path)
    with pytest.raises(SecretFound):
        seal(spool, front, gate=stop)
    assert list(tmp_path.iterdir()) == []
    spool.close()


def test_the_gate_reads_a_bundle_that_unpacks_to_ten_thousand_times_its_size(tmp_path: Path) -> None:
    """Sparse files are read like others; what would be a bomb in a stranger's bundle is a disk image in ours."""
    spool = start(tmp_path)
    for number in range(6):
        put(spool, f"gpu/sparse{number}", bytes(8 << 20), frame_bytes=4 << 20)
    read = 0

    def gate(archive: reader.Reader) -> None:
        nonlocal read
        archive.limits = replace(archive.limits, ratio_from=0)
        read = sum(member.size for member in archive)

    seal(spool, front, gate=gate)
    assert read > 48 << 20


def test_a_gate_that_breaks_leaves_the_work_for_a_resume_and_no_archive(tmp_path: Path) -> None:
    def broken(_: reader.Reader) -> None:
        raise ValueError("a bug")

    spool = _collect(tmp_path)
    with pytest.raises(ValueError, match="a bug"):
        seal(spool, front, gate=broken)
    spool.close()
    assert [path.name for path in tmp_path.iterdir()] == [f".{NAME}.work"]
    seen: list[str] = []
    sealed = seal(
        Spool.reopen(spool.volume.path), front, gate=lambda archive: seen.extend(member.name for member in archive)
    )
    assert len(seen) == 11
    assert verify(sealed.path).members == 11


def test_first_pages_that_break_leave_the_work_for_a_resume(tmp_path: Path) -> None:
    def broken(_: Spool) -> Front:
        raise ValueError("a bug")

    spool = _collect(tmp_path)
    with pytest.raises(ValueError, match="a bug"):
        seal(spool, broken)
    spool.close()
    assert verify(finish(Spool.reopen(spool.volume.path)).path).members == 11


def test_progress_counts_to_the_size_of_the_archive(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    sealed = seal(_collect(tmp_path), front, order=ORDER, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (sealed.size_bytes, sealed.size_bytes)
    assert told == sorted(told)


def test_a_damaged_work_folder_is_named_and_makes_no_archive(tmp_path: Path) -> None:
    spool = _collect(tmp_path)

    def broken(_: reader.Reader) -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        seal(spool, front, gate=broken)
    spool.close()
    os.truncate(spool.volume.path / "archive", 5000)
    again = Spool.reopen(spool.volume.path)
    with pytest.raises(BilbsError) as caught:
        finish(again)
    again.close()
    assert caught.value.code == "work-damaged"
    assert [path.name for path in tmp_path.iterdir()] == [f".{NAME}.work"]


def test_no_handle_is_left_open_by_a_run(tmp_path: Path) -> None:
    finish(_collect(tmp_path / "one"))
    before = _handles()
    finish(_collect(tmp_path / "two"))
    assert _handles() == before


def test_no_handle_is_left_open_by_a_full_disk_an_interruption_and_a_resume(tmp_path: Path) -> None:
    before = _handles()
    with small_disk(tmp_path / "disk", 3 << 20) as disk:
        spool = start(disk.path)
        put(spool, "gpu/x", noise(1, 400_000))
        begin(spool, "kern/y", noise(2, 300_000))
        with pytest.raises(OutputUnwritable):
            begin(spool, "kern/z", noise(3, 3 << 20))
        spool.close()
        assert _handles() == before
        (disk.path / f"{NAME}.tar.zst").touch()
        with pytest.raises(OutputUnwritable):
            start(disk.path)
        (disk.path / f"{NAME}.tar.zst").unlink()
        assert resumable(None, disk.path).interrupted == [spool.volume.path]
        assert _handles() == before
        finish(Spool.reopen(spool.volume.path))
        assert _handles() == before
        spool.volume.path.mkdir(mode=0o700)
        with pytest.raises(NotFound):
            Spool.reopen(spool.volume.path)
        spool.volume.path.mkdir(mode=0o777)
        spool.volume.path.chmod(0o777)
        with pytest.raises(OutputUnwritable):
            Spool.reopen(spool.volume.path)
        assert _handles() == before


def _handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
