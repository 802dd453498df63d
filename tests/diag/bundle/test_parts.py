"""Part files: lanes, rotation, and a full disk in the middle of a frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bilbs_cli.diag.bundle import parts as parts_module
from bilbs_cli.diag.bundle.contents import read_piece
from bilbs_cli.diag.bundle.parts import BALLAST, SMALLEST_PART, Parts, Piece
from bilbs_cli.diag.bundle.volume import Volume
from bilbs_cli.errors import OutputUnwritable
from tests.diag.bundle.making import noise
from tests.parts.disk import small_disk


@contextmanager
def _volume(folder: Path) -> Iterator[Volume]:
    parent = os.open(folder, os.O_RDONLY)
    made = Volume.make(parent, folder / "work")
    yield made
    made.close()
    os.close(parent)


def _content(volume: Volume, pieces: list[Piece]) -> bytes:
    return b"".join(read_piece(volume, piece) for piece in pieces)


def test_frames_of_interleaved_members_come_back_whole(tmp_path: Path) -> None:
    with _volume(tmp_path) as volume:
        parts = Parts(volume)
        frames = [(f"{'abc'[n % 3]}/m{n % 7}", noise(n, 1000 if n % 4 else 200_000)) for n in range(60)]
        places = [parts.put_frame(member, data) for member, data in frames]
        parts.sync()
        assert [_content(volume, place) for place in places] == [data for _, data in frames]
        parts.close()


def test_small_frames_of_one_folder_share_a_part(tmp_path: Path) -> None:
    with _volume(tmp_path) as volume:
        parts = Parts(volume)
        used = {piece[0] for n in range(30) for piece in parts.put_frame(f"gpu/m{n}", noise(n, 900))}
        other = {piece[0] for piece in parts.put_frame("kernel/m", b"x")}
        assert len(used) == 1
        assert other != used
        parts.close()


def test_a_part_never_grows_past_its_limit_so_that_it_can_be_freed_soon(tmp_path: Path) -> None:
    with _volume(tmp_path) as volume:
        parts = Parts(volume)
        pieces = [piece for n in range(20) for piece in parts.put("x", noise(n, 300_000))]
        assert max(offset + length for _, offset, length in pieces) <= max(parts.part_bytes, SMALLEST_PART)
        assert len({name for name, _, _ in pieces}) > 20
        parts.close()


def test_a_frame_that_does_not_fit_leaves_nothing_and_its_lane_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2 << 20) as disk, _volume(disk.path) as volume:
        parts = Parts(volume)
        first = noise(1, 1000)
        place = parts.put("lane", first)
        before = sum((volume.path / name).stat().st_size for name in volume.names() if name.startswith("p"))
        with pytest.raises(OutputUnwritable) as caught:
            parts.put("lane", noise(2, 3 << 20))
        assert caught.value.code == "disk-full"
        assert sum((volume.path / name).stat().st_size for name in volume.names() if name.startswith("p")) == before
        second = noise(3, 2000)
        later = parts.put("lane", second)
        assert _content(volume, place) + _content(volume, later) == first + second
        assert later[0][:2] == (place[0][0], 1000)
        parts.sync()
        parts.close()


def test_ballast_is_held_only_where_space_is_scarce_and_gives_it_back(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 4 << 20) as disk, _volume(disk.path) as volume:
        free = os.statvfs(disk.path).f_bavail
        parts = Parts(volume)
        assert (volume.size(BALLAST) or 0) >= 1 << 20
        parts.drop_ballast()
        assert os.statvfs(disk.path).f_bavail == free
        parts.put("x", noise(1, 100))
        assert volume.size(BALLAST) is None
        parts.close()
    with small_disk(tmp_path / "large", 2 << 30) as disk, _volume(disk.path) as volume:
        Parts(volume)
        assert volume.size(BALLAST) is None


def test_ballast_is_taken_when_space_becomes_scarce_and_grows_with_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", 64 << 20) as disk, _volume(disk.path) as volume:
        monkeypatch.setattr(parts_module, "ROOMY", 60 << 20)
        parts = Parts(volume)
        parts.put("x", noise(1, 1 << 20))
        assert volume.size(BALLAST) is None
        parts.put("x", noise(2, 8 << 20))
        first = volume.size(BALLAST)
        parts.put("x", noise(3, 16 << 20))
        assert first
        assert (volume.size(BALLAST) or 0) > first
        parts.close()


def test_numbers_go_on_after_those_of_an_earlier_process(tmp_path: Path) -> None:
    with _volume(tmp_path) as volume:
        first = Parts(volume)
        [(name, _, _)] = first.put("x", b"1")
        first.close()
        second = Parts(volume)
        assert second.put("x", b"2")[0][0] > name
        second.close()


def test_no_handle_is_left_open(tmp_path: Path) -> None:
    with _volume(tmp_path) as volume:
        before = len(list(Path("/proc/self/fd").iterdir()))
        parts = Parts(volume)
        for n in range(40):
            parts.put(f"lane{n % 5}", noise(n, 100_000))
        parts.sync()
        parts.close()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
