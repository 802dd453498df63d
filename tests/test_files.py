"""Files written whole or not at all, and reads that cannot hang, on real disks, pipes, sockets and devices."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bilbs_cli import files
from bilbs_cli.errors import OutputUnwritable
from bilbs_cli.files import NotReadable
from tests.parts.patience import BUSY_S
from tests.people import as_user


@contextmanager
def small_disk(folder: Path, options: str = "size=256k") -> Iterator[Path]:
    """Mount a tmpfs on `folder`; needs root."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "bilbs-test", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_private_file_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        files.write_private(tmp_path / "a", b"one")
    finally:
        os.umask(old)
    assert (mode_of(tmp_path / "a"), (tmp_path / "a").read_bytes()) == (0o600, b"one")


def test_a_file_for_others_gets_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    files.write_private(tmp_path / "a", b"one", mode=0o644)
    assert mode_of(tmp_path / "a") == 0o644


def test_a_reader_sees_the_old_or_the_new_content_and_never_half_of_it(tmp_path: Path) -> None:
    path, seen, stop = tmp_path / "a", set(), threading.Event()
    files.write_private(path, b"0" * 100_000)

    def read() -> None:
        while not stop.is_set():
            content = path.read_bytes()
            seen.add((len(content), *set(content)))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 12):
            files.write_private(path, str(number % 10).encode() * 100_000)
    finally:
        stop.set()
        reader.join()
    assert all(size == 100_000 and len(digits) == 1 for size, *digits in seen)


def test_data_is_on_the_disk_before_the_name_and_the_name_before_the_return(tmp_path: Path) -> None:
    program = f"from pathlib import Path; from bilbs_cli import files; files.write_private(Path({str(tmp_path)!r}) / 'a', b'data')"
    trace = tmp_path / "trace"
    subprocess.run(
        [
            "strace",
            "-f",
            "-o",
            str(trace),
            "-e",
            "trace=write,fsync,rename,renameat,renameat2,openat",
            sys.executable,
            "-c",
            program,
        ],
        check=True,
    )
    calls = [
        line.split(None, 1)[1]
        for line in trace.read_text().splitlines()
        if str(tmp_path) in line or "fsync" in line or '"data"' in line
    ]
    order = [call.split("(")[0] for call in calls if not call.startswith("openat") or "O_DIRECTORY" in call]
    assert order == ["write", "fsync", "rename", "openat", "fsync"]


def test_a_full_disk_is_named_with_its_device_and_keeps_the_old_content(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        files.write_private(disk / "a", b"old")
        with pytest.raises(OutputUnwritable, match=f"bilbs-test mounted on {disk}") as caught:
            files.write_private(disk / "a", b"x" * (1 << 20))
        assert (caught.value.code, caught.value.exit) == ("disk-full", 73)
        assert "df -h" in caught.value.next
        assert {path.name: path.read_bytes() for path in disk.iterdir()} == {"a": b"old"}


def test_a_read_only_disk_is_named_and_keeps_the_old_content(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        files.write_private(disk / "a", b"old")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(OutputUnwritable, match="read-only") as caught:
            files.write_private(disk / "a", b"new")
        assert (caught.value.code, (disk / "a").read_bytes()) == ("read-only", b"old")


def test_a_missing_folder_is_a_failed_write_and_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritable, match="No such file"):
        files.write_private(tmp_path / "none" / "a", b"x")


def test_an_interrupt_in_the_middle_of_a_write_leaves_nothing_behind(tmp_path: Path) -> None:
    class Interrupting(bytes):
        def __buffer__(self, flags: int) -> memoryview:  # pragma: no cover - Python 3.12 and newer
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, TypeError)):
        files.write_private(tmp_path / "a", None)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_private_folder_and_its_new_parents_are_for_their_owner_only(tmp_path: Path) -> None:
    made = files.private_dir(tmp_path / "a" / "b")
    assert (mode_of(made), mode_of(tmp_path / "a")) == (0o700, 0o700)


def test_a_private_folder_is_refused_when_it_is_a_link_a_file_or_another_users(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").touch()
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    for name in ("link", "file", "theirs"):
        with pytest.raises(OutputUnwritable):
            files.private_dir(tmp_path / name)


def test_a_folder_without_permission_is_a_failed_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)

    def attempt() -> str:
        try:
            files.private_dir(tmp_path / "a")
        except OutputUnwritable as error:
            return str(error)
        return "made"

    assert "Permission denied" in as_user(12345, attempt)


def test_a_regular_file_and_a_link_to_one_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "link").symlink_to("a")
    for name in ("a", "link"):
        with files.open_regular(tmp_path / name) as stream:
            assert stream.read() == b"one"


def special_files(folder: Path) -> dict[str, Path]:
    os.mkfifo(folder / "fifo")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "socket"))
    server.close()
    (folder / "link-to-fifo").symlink_to("fifo")
    return {
        "a FIFO": folder / "fifo",
        "a socket": folder / "socket",
        "a folder": folder,
        "a character device": Path("/dev/zero"),
    }


def test_a_fifo_a_socket_a_device_and_a_folder_are_refused_at_once_and_named(tmp_path: Path) -> None:
    started = time.monotonic()
    for kind, path in special_files(tmp_path).items():
        with pytest.raises(NotReadable, match=kind):
            files.open_regular(path)
    with pytest.raises(NotReadable, match="a FIFO"):
        files.open_regular(tmp_path / "link-to-fifo")
    assert time.monotonic() - started < 1 + BUSY_S


def test_a_loop_of_links_is_an_error_and_not_a_hang(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        files.open_regular(tmp_path / "a")


def test_a_file_that_is_swapped_for_a_fifo_while_it_is_opened_never_hangs(tmp_path: Path) -> None:
    path, stop = tmp_path / "a", threading.Event()
    (tmp_path / "file").write_bytes(b"one")
    os.mkfifo(tmp_path / "fifo")
    os.link(tmp_path / "file", path)

    def swap() -> None:
        while not stop.is_set():
            for source in ("fifo", "file"):
                os.link(tmp_path / source, tmp_path / "next")
                (tmp_path / "next").replace(path)
                (tmp_path / "next").unlink(missing_ok=True)  # rename(2) of two names of one file does nothing

    swapper = threading.Thread(target=swap)
    swapper.start()
    outcomes = set()
    try:
        until = time.monotonic() + 0.7
        while time.monotonic() < until:
            try:
                with files.open_regular(path) as stream:
                    outcomes.add(stream.read())
            except NotReadable:
                outcomes.add(b"refused")
    finally:
        stop.set()
        swapper.join(5)
    assert outcomes == {b"one", b"refused"}


def test_links_below_a_root_never_lead_out_of_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "hosts").write_text("inside")
    (root / "absolute").symlink_to("/etc/hosts")
    (root / "climbing").symlink_to("../../../../../../etc/hosts")
    (root / "folder").symlink_to("etc")
    for path in ("/etc/hosts", "/absolute", "/climbing", "/folder/hosts", "/../../etc/hosts", "/etc/../../etc/./hosts"):
        assert files.rooted(root, path) == root / "etc" / "hosts", path


def test_without_a_root_a_path_is_itself() -> None:
    assert files.rooted(None, "/etc/../etc/hosts") == Path("/etc/../etc/hosts")


def test_a_loop_of_links_below_a_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(NotReadable, match="loop"):
        files.rooted(tmp_path, "/a/x")


def test_a_lock_is_held_by_one_process_and_free_after_its_kill(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = f"from pathlib import Path; from bilbs_cli import files\nwith files.locked(Path({str(path)!r})): print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with files.locked(path) as mine:
            assert mine is False
        holder.kill()
        holder.wait()
    with files.locked(path) as mine:
        assert mine is True
    assert mode_of(path) == 0o600


def test_the_device_of_a_path_is_named_from_the_mount_table() -> None:
    found = subprocess.run(
        ["findmnt", "-n", "-o", "SOURCE,TARGET", "-T", "/proc/self"], capture_output=True, text=True, check=True
    )
    source, target = found.stdout.split()
    assert files.device_of(Path("/proc/self/status")) == f"{source} mounted on {target}"


def test_the_nearest_existing_parent_is_found(tmp_path: Path) -> None:
    assert files.existing_parent(tmp_path / "no" / "such") == tmp_path
