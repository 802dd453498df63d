"""Which interrupted runs are found: by the state folder, by the output folder, and never those of others."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from bilbs_cli.diag.bundle.runs import forget, resumable
from bilbs_cli.diag.bundle.spool import Spool
from bilbs_cli.diag.bundle.verify import verify
from tests.diag.bundle.making import NAME, finish, put, start


def _interrupted(folder: Path, state: Path | None) -> Path:
    spool = start(folder, state_dir=state)
    put(spool, "gpu/x", b"x")
    spool.close()
    return spool.volume.path


def test_a_run_is_found_by_its_state_wherever_its_output_is(tmp_path: Path) -> None:
    work = _interrupted(tmp_path / "far" / "away", tmp_path / "state")
    found = resumable(tmp_path / "state", None)
    assert (found.interrupted, found.live) == ([work], [])
    assert verify(finish(Spool.reopen(work, state_dir=tmp_path / "state")).path).members == 5
    assert resumable(tmp_path / "state", None).interrupted == []
    assert list((tmp_path / "state" / "runs").iterdir()) == []


def test_a_run_without_a_state_is_found_in_its_folder(tmp_path: Path) -> None:
    work = _interrupted(tmp_path / "out", None)
    (tmp_path / "link").symlink_to(tmp_path / "out")
    assert resumable(None, tmp_path / "out").interrupted == [work]
    assert resumable(tmp_path / "state", tmp_path / "link").interrupted == [work]


def test_a_run_known_twice_is_listed_once(tmp_path: Path) -> None:
    work = _interrupted(tmp_path / "out", tmp_path / "state")
    assert resumable(tmp_path / "state", tmp_path / "out").interrupted == [work]


def test_a_live_run_is_named_and_left_alone(tmp_path: Path) -> None:
    spool = start(tmp_path / "out", state_dir=tmp_path / "state")
    found = resumable(tmp_path / "state", tmp_path / "out")
    assert (found.interrupted, found.live) == ([], [spool.volume.path])
    put(spool, "gpu/x", b"x")
    assert finish(spool).path.exists()


def test_a_child_that_hangs_for_ever_does_not_keep_a_dead_run_live(tmp_path: Path) -> None:
    """Children close what they inherit (`fork.fork`), and the lock is among it."""
    spool = start(tmp_path)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.closerange(3, writing)
        os.closerange(writing + 1, 4096)
        os.write(writing, b"closed")
        while True:
            signal.pause()
    assert os.read(reading, 6) == b"closed"
    spool.close()
    try:
        assert resumable(None, tmp_path).interrupted == [spool.volume.path]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def test_links_to_runs_that_are_gone_are_removed(tmp_path: Path) -> None:
    work = _interrupted(tmp_path / "out", tmp_path / "state")
    Spool.reopen(work).remove()
    runs = tmp_path / "state" / "runs"
    assert len(list(runs.iterdir())) == 1
    assert resumable(tmp_path / "state", None).interrupted == []
    assert list(runs.iterdir()) == []


def test_what_else_is_in_the_state_is_neither_followed_nor_removed(tmp_path: Path) -> None:
    runs = tmp_path / "state" / "runs"
    runs.mkdir(parents=True)
    (runs / "note.txt").write_text("mine")
    (runs / "to-etc").symlink_to("/etc")
    (runs / "relative").symlink_to("../../x/.bilbs-diag-x.work")
    assert resumable(tmp_path / "state", tmp_path / "nowhere").interrupted == []
    assert [path.name for path in runs.iterdir()] == ["note.txt"]


def test_work_folders_of_other_users_and_links_are_not_listed(tmp_path: Path) -> None:
    work = _interrupted(tmp_path / "out", None)
    os.chown(work, 12345, 12345)
    (tmp_path / "out" / ".bilbs-diag-evil.work").symlink_to(work)
    (tmp_path / "out" / ".bilbs-diag-file.work").touch()
    (tmp_path / "out" / ".bilbs-diag-other").mkdir(mode=0o700)
    (tmp_path / "out" / "other.work").mkdir(mode=0o700)
    found = resumable(None, tmp_path / "out")
    assert (found.interrupted, found.live) == ([], [])


def test_a_state_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    spool = start(tmp_path / "out", state_dir=tmp_path / "state")
    put(spool, "gpu/x", b"x")
    assert finish(spool).path.exists()
    assert resumable(tmp_path / "state", None).interrupted == []
    forget(tmp_path / "state", NAME)


def test_several_runs_are_all_found(tmp_path: Path) -> None:
    for number in range(3):
        spool = Spool.create(tmp_path / "out", f"bilbs-diag-box-{number}", {}, state_dir=tmp_path / "state")
        spool.close()
    assert len(resumable(tmp_path / "state", None).interrupted) == 3
