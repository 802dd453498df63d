"""Free space is asked for before anything is collected; the answer names the device and both figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from bilbs_cli.diag.bundle.space import check_space, need_bytes
from bilbs_cli.errors import Exit, OutputUnwritable
from tests.parts.disk import small_disk


def test_too_little_space_is_error_73_with_device_need_and_free(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        check_space(disk.path, 7 << 20)
        with pytest.raises(OutputUnwritable) as caught:
            check_space(disk.path / "not" / "there" / "yet", 9 << 20)
        assert (caught.value.exit, caught.value.code) == (Exit.CANNOT_WRITE, "disk-full")
        assert f"9.0 MiB needed, 8.0 MiB free on tmpfs mounted on {disk.path}" in str(caught.value)
        assert f"df -h {disk.path}" in caught.value.next


def test_space_that_only_root_may_use_does_not_count(tmp_path: Path) -> None:
    """ext4 keeps 5 % back: f_bfree has it, f_bavail has not."""
    import os
    import subprocess

    image, place = tmp_path / "image", tmp_path / "disk"
    with image.open("wb") as stream:
        stream.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "50", str(image)], check=True, timeout=20)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True, timeout=20)
    try:
        state = os.statvfs(place)
        between = (state.f_bavail + state.f_bfree) // 2 * state.f_frsize
        assert state.f_bfree * state.f_frsize > between
        with pytest.raises(OutputUnwritable, match="no room"):
            check_space(place, between)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, timeout=20)


def test_a_read_only_disk_is_named_before_its_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        disk.remount("ro")
        with pytest.raises(OutputUnwritable, match="read-only file system") as caught:
            check_space(disk.path, 1)
        assert caught.value.code == "read-only"


def test_a_disk_without_inodes_is_refused(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 << 20, inodes=3) as disk:
        (disk.path / "a").touch()
        (disk.path / "b").touch()
        with pytest.raises(OutputUnwritable, match="no inodes left"):
            check_space(disk.path, 1)


def test_encrypting_needs_the_space_twice() -> None:
    assert need_bytes(100 << 20) >= 110 << 20
    assert need_bytes(100 << 20, encrypted=True) - need_bytes(100 << 20) == 100 << 20
