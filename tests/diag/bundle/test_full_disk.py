"""A disk that gets full or read-only at any stage: an error that says what to do, and nothing finished is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.diag.bundle.frames import Compression
from bilbs_cli.diag.bundle.seal import seal
from bilbs_cli.diag.bundle.spool import Spool
from bilbs_cli.diag.bundle.verify import verify
from bilbs_cli.diag.model import Status
from bilbs_cli.errors import Exit, OutputUnwritable
from tests.diag.bundle.making import NAME, begin, extracted, finish, front, item, log, noise, put, start
from tests.parts.disk import small_disk

MEMBERS = {
    f"{('gpu', 'kern', 'system')[n % 3]}/m{n:02d}": noise(n, 15_000 + 40_000 * (n % 5)) for n in range(30)
}  # 2.7 MB


def _fill(spool: Spool) -> list[str]:
    """Write members until the disk is full; return those that were finished."""
    done: list[str] = []
    for path, content in MEMBERS.items():
        try:
            put(spool, path, content, collector=path.split("/")[0], frame_bytes=64 << 10)
        except OutputUnwritable as error:
            assert (error.code, error.exit) == ("disk-full", Exit.CANNOT_WRITE)  # noqa: PT017 - the loop goes on with it
            return done
        done.append(path)
    return done


def _check(archive: Path, done: list[str], folder: Path) -> None:
    report = verify(archive)
    made = extracted(archive, folder)
    good = {one.path for one in report.manifest.items if one.status is Status.OK}
    assert set(done) <= good
    assert all(made[path] == MEMBERS[path] for path in done)


@pytest.mark.parametrize("size", [1700 << 10, 2 << 20, 2500 << 10, 3 << 20, 3500 << 10, 4 << 20])
def test_on_a_full_disk_what_was_finished_is_sealed_with_the_space_held_back(tmp_path: Path, size: int) -> None:
    with small_disk(tmp_path / "disk", size) as disk:
        spool = start(disk.path)
        done = _fill(spool)
        sealed = finish(spool)
        _check(sealed.path, done, tmp_path / "out")
        assert len(done) < len(MEMBERS) or size > 3 << 20
        assert list(disk.path.iterdir()) == [sealed.path]


def test_nothing_follows_a_frame_that_the_disk_refused(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        spool = start(disk.path)
        begin(spool, "gpu/x", b"first ")
        whole = b"first " + noise(1, 5 << 20) + b"last"
        with pytest.raises(OutputUnwritable):
            begin(spool, "gpu/x", whole[6:-4], frame_bytes=8 << 20)
        begin(spool, "gpu/x", b"last")
        found = spool.finish(item("gpu/x", "gpu", whole))
        assert (found.status, found.size_bytes, found.truncated) == (Status.PARTIAL, 6, True)
        assert extracted(finish(spool).path, tmp_path / "out")["gpu/x"] == b"first "


@pytest.mark.parametrize("size", [8 << 10, 64 << 10, 128 << 10, 300 << 10, 700 << 10, 1 << 20, 1500 << 10])
def test_a_seal_without_space_keeps_the_work_until_there_is_some(tmp_path: Path, size: int) -> None:
    """The disk is too small for a ballast, or someone else takes it at once."""
    with small_disk(tmp_path / "disk", size) as disk:
        done: list[str] = []
        try:
            spool = start(disk.path)
        except OutputUnwritable as error:
            assert error.code == "disk-full"  # noqa: PT017
            assert list(disk.path.iterdir()) == []
            return
        done = _fill(spool)
        spool.parts.drop_ballast()
        with (disk.path / "other").open("wb", buffering=0) as other:
            try:
                while other.write(bytes(4096)):
                    pass
            except OSError:
                pass
        with pytest.raises(OutputUnwritable) as caught:
            finish(spool)
        assert (caught.value.code, caught.value.exit) == ("disk-full", Exit.CANNOT_WRITE)
        assert "kept in" in caught.value.safe
        assert "bilbs diag resume" in caught.value.next
        assert not list(disk.path.glob("bilbs-diag-*"))
        spool.close()
        disk.remount("size=16m")
        _check(finish(Spool.reopen(spool.volume.path)).path, done, tmp_path / "out")


@pytest.mark.parametrize("left", range(0, 1600, 130))
def test_the_disk_may_fill_at_any_moment_of_the_seal(tmp_path: Path, left: int) -> None:
    with small_disk(tmp_path / "disk", 16 << 20) as disk:
        spool = start(disk.path, Compression.GZIP)
        done = _fill(spool)
        spool.parts.drop_ballast()
        free = os.statvfs(disk.path).f_bavail * 4096
        with (disk.path / "other").open("wb") as other:
            os.posix_fallocate(other.fileno(), 0, free - (left << 10) or 1)
        try:
            sealed = finish(spool)
        except OutputUnwritable as error:
            assert error.code == "disk-full"  # noqa: PT017
            spool.close()
            (disk.path / "other").unlink()
            sealed = finish(Spool.reopen(spool.volume.path))
        _check(sealed.path, done, tmp_path / "out")


def test_the_seal_needs_no_more_space_than_one_part_and_the_first_pages(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 << 20) as disk:
        spool = start(disk.path)
        for number in range(20):
            put(spool, f"gpu/m{number}", noise(number, 1_200_000))
        need = spool.parts.part_bytes + (128 << 10)
        spool.parts.drop_ballast()
        free = os.statvfs(disk.path).f_bavail * 4096
        with (disk.path / "other").open("wb") as other:
            os.posix_fallocate(other.fileno(), 0, free - need)
        assert verify(finish(spool).path).members == 24


def test_a_disk_that_becomes_read_only_is_named_and_the_run_goes_on_later(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16 << 20) as disk:
        spool = start(disk.path)
        put(spool, "gpu/a", noise(1, 100_000))
        spool.close()
        disk.remount("ro")
        with pytest.raises(OutputUnwritable) as caught:
            Spool.reopen(spool.volume.path)
        assert caught.value.code == "read-only"
        disk.remount("rw")
        assert verify(finish(Spool.reopen(spool.volume.path)).path).members == 5


def test_a_read_only_folder_stops_a_run_before_it_starts(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        disk.remount("ro")
        with pytest.raises(OutputUnwritable) as caught:
            start(disk.path)
        assert (caught.value.code, caught.value.exit) == ("read-only", Exit.CANNOT_WRITE)


@pytest.mark.parametrize("inodes", [1, 2, 3])
def test_a_run_that_cannot_even_start_leaves_nothing(tmp_path: Path, inodes: int) -> None:
    with small_disk(tmp_path / "disk", 8 << 20, inodes=inodes) as disk:
        with pytest.raises(OutputUnwritable):
            start(disk.path)
        assert list(disk.path.iterdir()) == []


def test_no_inodes_left_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 << 20, inodes=8) as disk:
        spool = start(disk.path)
        done = _fill(spool)
        (disk.path / "x1").touch() if len(list(disk.path.rglob("*"))) < 7 else None
        try:
            sealed = finish(spool)
        except OutputUnwritable as error:
            assert error.code == "disk-full"  # noqa: PT017
            spool.close()
            disk.remount("nr_inodes=200")
            sealed = finish(Spool.reopen(spool.volume.path))
        _check(sealed.path, done, tmp_path / "out")


def test_the_disk_never_holds_much_more_than_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "disk", 2 << 30) as disk:
        before = os.statvfs(disk.path).f_bfree
        peak = 0

        def looking(real: Callable[..., None]) -> Callable[..., None]:
            def call(*args: Any, **options: Any) -> None:
                nonlocal peak
                peak = max(peak, (before - os.statvfs(disk.path).f_bfree) * 4096)
                real(*args, **options)

            return call

        monkeypatch.setattr(os, "fdatasync", looking(os.fdatasync))  # the peak is before an unlink
        monkeypatch.setattr(os, "unlink", looking(os.unlink))
        spool = start(disk.path)
        for number in range(40):
            put(spool, f"gpu/m{number}", noise(number, 150_000 * (1 + number % 7)) + log(number, 100_000))
            spool.fact(("gpu", str(number)), {"value": number})
        sealed = seal(spool, front)
        assert sealed.size_bytes > 20 << 20
        assert peak > sealed.size_bytes
        assert peak <= 1.1 * sealed.size_bytes


def test_a_full_state_folder_does_not_stop_a_run(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state", 4096, inodes=2) as state:
        (state.path / "last").touch()
        spool = start(tmp_path / "out", state_dir=state.path)
        put(spool, "gpu/x", b"x")
        assert finish(spool).path.name == f"{NAME}.tar.zst"
