"""The work folder of a run: what it keeps, what it corrects, and what is left of it after a crash."""

from __future__ import annotations

import gzip
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from bilbs_cli.diag import model
from bilbs_cli.diag.bundle.frames import Compression, Frame, Framer, compress
from bilbs_cli.diag.bundle.seal import seal
from bilbs_cli.diag.bundle.spool import Spool
from bilbs_cli.diag.model import ReadError, Status, Value
from bilbs_cli.errors import BilbsError, NotFound, OutputUnwritable
from tests.diag.bundle.making import NAME, begin, extracted, finish, front, item, log, noise, put, start


def _work(folder: Path) -> Path:
    return folder / f".{NAME}.work"


def test_a_reopened_run_has_everything_that_was_finished(tmp_path: Path) -> None:
    spool = start(tmp_path)
    members = {f"gpu/m{n}.txt": noise(n, 40_000 * n) for n in range(9)}
    items = [put(spool, path, content) for path, content in members.items()]
    items.append(spool.finish(item("gpu/gone", "gpu", None, status=Status.UNAVAILABLE, reason="no such program")))
    for path, reading in ((("gpu", "a"), Value(7)), (("gpu", "b"), ReadError("GpuIsLost", "lost", 15))):
        spool.fact(path, model.encode(reading))
    spool.note("pairs", {"box7": "host-1"})
    spool.close()
    again = Spool.reopen(_work(tmp_path))
    assert again.items == items
    assert again.facts == {
        "gpu": {"a": {"value": 7}, "b": {"error": {"class": "GpuIsLost", "code": 15, "message": "lost"}}}
    }
    assert again.notes == [("pairs", {"box7": "host-1"})]
    assert again.header["folders"] == {"gpu": "gpu", "kern": "kernel"}
    made = extracted(finish(again).path, tmp_path / "out")
    assert {path: made[path] for path in members} == members


@pytest.mark.parametrize("compression", list(Compression))
def test_a_member_that_was_being_written_is_kept_up_to_its_last_frame_and_called_failed(
    tmp_path: Path, compression: Compression
) -> None:
    spool = start(tmp_path, compression)
    framer = Framer(compression, 100_000)
    for frame in framer.feed(log(1, 350_000)):
        spool.write("kern/kern.log", frame)
    spool.close()
    again = Spool.reopen(_work(tmp_path))
    [found] = again.items
    assert (found.path, found.collector, found.status, found.truncated) == (
        "kern/kern.log",
        "kernel",
        Status.FAILED,
        True,
    )
    assert found.size_bytes == 300_000
    assert "interrupted" in str(found.reason)
    assert extracted(finish(again).path, tmp_path / "out")["kern/kern.log"] == log(1, 350_000)[:300_000]


def test_frames_that_did_not_reach_the_disk_are_not_believed(tmp_path: Path) -> None:
    """After a power loss the journal can be ahead of the parts."""
    spool = start(tmp_path)
    done = put(spool, "gpu/done.txt", noise(1, 200_000))
    begin(spool, "gpu/half.txt", noise(2, 1_000_000))
    spool.close()
    lanes = sorted(_work(tmp_path).glob("p*"))
    for part in lanes[-3:]:
        size = part.stat().st_size
        os.truncate(part, 0)
        os.truncate(part, size)
    again = Spool.reopen(_work(tmp_path))
    assert again.items[0] == done
    assert 0 < again.items[1].size_bytes < 1_000_000
    assert finish(again).size_bytes


def test_a_frame_that_unpacks_to_something_else_is_not_believed(tmp_path: Path) -> None:
    spool = start(tmp_path)
    begin(spool, "gpu/x", b"the true beginning")
    packed = compress(Compression.ZSTD, b"something else")
    spool.write("gpu/x", Frame(packed, 14, "0" * 64))
    spool.close()
    again = Spool.reopen(_work(tmp_path))
    assert extracted(finish(again).path, tmp_path / "out")["gpu/x"] == b"the true beginning"


def test_an_item_that_no_sync_followed_is_believed_only_after_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal may have reached the disk by itself, and the end of a part not: it is there, and all zeros."""
    spool = start(tmp_path)
    put(spool, "gpu/synced", b"x")
    spool.sync()
    monkeypatch.setattr(Spool, "sync", Spool._flush)
    put(spool, "kern/not", noise(1, 100_000), collector="kernel")
    spool.close()
    monkeypatch.undo()
    lost = max(_work(tmp_path).glob("p*"))
    size = lost.stat().st_size
    os.truncate(lost, 0)
    os.truncate(lost, size)
    again = Spool.reopen(_work(tmp_path))
    assert [(one.path, one.status) for one in again.items] == [("gpu/synced", Status.OK), ("kern/not", Status.FAILED)]
    finish(again)


def test_what_no_member_needs_is_removed_from_a_reopened_run(tmp_path: Path) -> None:
    spool = start(tmp_path)
    put(spool, "gpu/x", b"x")
    spool.parts.put("front", noise(1, 900_000))  # half a seal
    spool.close()
    again = Spool.reopen(_work(tmp_path))
    assert len(list(_work(tmp_path).glob("p*"))) == 1
    finish(again)


def test_a_finished_member_whose_part_is_gone_is_not_called_whole(tmp_path: Path) -> None:
    spool = start(tmp_path)
    put(spool, "gpu/a.txt", noise(1, 500_000))
    put(spool, "kern/b.txt", noise(2, 10_000), collector="kernel")
    spool.sync()
    spool.close()
    (_work(tmp_path) / "p000001").unlink()
    again = Spool.reopen(_work(tmp_path))
    assert [(one.path, one.status, one.sha256 is None) for one in again.items] == [
        ("gpu/a.txt", Status.FAILED, True),
        ("kern/b.txt", Status.OK, False),
    ]
    assert extracted(finish(again).path, tmp_path / "out").keys() >= {"kern/b.txt", "gpu/a.txt.err.txt"}


def test_a_gap_after_some_content_keeps_the_content(tmp_path: Path) -> None:
    spool = start(tmp_path)
    begin(spool, "gpu/x.log", log(1, 5000))
    found = spool.finish(item("gpu/x.log", "gpu", None, status=Status.FAILED, reason="Input/output error"))
    assert (found.size_bytes, found.truncated, found.status, found.reason) == (
        len(log(1, 5000)),
        True,
        Status.FAILED,
        "Input/output error",
    )
    assert extracted(finish(spool).path, tmp_path / "out")["gpu/x.log"] == log(1, 5000)


def test_an_item_cannot_claim_more_than_the_disk_took(tmp_path: Path) -> None:
    spool = start(tmp_path)
    begin(spool, "gpu/x.log", b"half of it")
    found = spool.finish(item("gpu/x.log", "gpu", b"half of it and the rest"))
    assert (found.status, found.size_bytes, found.truncated) == (Status.PARTIAL, 10, True)
    lost = spool.finish(item("gpu/y.log", "gpu", b"never written"))
    assert (lost.status, lost.size_bytes, lost.sha256) == (Status.FAILED, 0, None)
    finish(spool)


def test_an_empty_file_is_a_member_and_not_a_gap(tmp_path: Path) -> None:
    spool = start(tmp_path)
    assert put(spool, "gpu/empty.txt", b"").status is Status.OK
    made = extracted(finish(spool).path, tmp_path / "out")
    assert made["gpu/empty.txt"] == b""
    assert "gpu/empty.txt.err.txt" not in made


def test_two_members_of_one_name_are_both_kept(tmp_path: Path) -> None:
    spool = start(tmp_path)
    assert put(spool, "gpu/x", b"first").path == "gpu/x"
    assert put(spool, "gpu/x", b"second").path == "gpu/x.2"
    assert put(spool, "gpu/x/deeper", b"third").path == "gpu/x_deeper"
    assert put(spool, "manifest.json", b"fourth").path == "manifest.json.2"
    assert put(spool, "gpu/y/deep", b"fifth").path == "gpu/y/deep"
    assert put(spool, "gpu/y", b"sixth").path == "gpu/y.2"
    made = extracted(finish(spool).path, tmp_path / "out")
    assert [made[name] for name in ("gpu/x", "gpu/x.2", "gpu/x_deeper", "manifest.json.2")] == [
        b"first",
        b"second",
        b"third",
        b"fourth",
    ]


def test_hostile_member_names_stay_below_the_top_folder(tmp_path: Path) -> None:
    spool = start(tmp_path)
    put(spool, "gpu/../../../../tmp/owned\x1b[2J", b"x")
    made = extracted(finish(spool).path, tmp_path / "out")
    assert "gpu/%2E%2E/%2E%2E/%2E%2E/%2E%2E/tmp/owned%1B[2J" in made


def test_the_work_folder_and_all_in_it_are_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        spool = start(tmp_path)
        put(spool, "gpu/x", b"x")
        begin(spool, "gpu/y", noise(1, 200_000))
    finally:
        os.umask(old)
    assert stat.S_IMODE(_work(tmp_path).stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in _work(tmp_path).iterdir()} == {0o600}
    spool.remove()


def test_a_live_run_is_not_taken_over(tmp_path: Path) -> None:
    spool = start(tmp_path)
    with pytest.raises(BilbsError) as caught:
        Spool.reopen(_work(tmp_path))
    assert caught.value.code == "run-is-live"
    spool.close()
    Spool.reopen(_work(tmp_path)).remove()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_can_write_is_not_taken_over(tmp_path: Path) -> None:
    start(tmp_path).close()
    _work(tmp_path).chmod(0o770)
    with pytest.raises(OutputUnwritable, match="not a private folder"):
        Spool.reopen(_work(tmp_path))
    _work(tmp_path).chmod(0o700)
    os.chown(_work(tmp_path), 12345, 12345)
    with pytest.raises(OutputUnwritable, match="not a private folder"):
        Spool.reopen(_work(tmp_path))


def test_a_folder_of_a_stranger_gets_not_even_a_lock(tmp_path: Path) -> None:
    _work(tmp_path).mkdir(mode=0o777)
    os.chown(_work(tmp_path), 12345, 12345)
    with pytest.raises(OutputUnwritable):
        Spool.reopen(_work(tmp_path))
    assert list(_work(tmp_path).iterdir()) == []


def test_a_lock_that_is_a_link_is_not_followed_and_not_taken_for_a_live_run(tmp_path: Path) -> None:
    start(tmp_path).close()
    (_work(tmp_path) / "lock").unlink()
    (_work(tmp_path) / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OutputUnwritable):
        Spool.reopen(_work(tmp_path))
    assert not (tmp_path / "victim").exists()


def test_a_run_can_be_ended_twice(tmp_path: Path) -> None:
    spool = start(tmp_path)
    finish(spool)
    handle = os.open(tmp_path, os.O_RDONLY)  # takes a number that the spool had
    spool.close()
    spool.remove()
    os.fstat(handle)
    os.close(handle)


def test_a_work_folder_of_another_version_is_left_alone(tmp_path: Path) -> None:
    spool = start(tmp_path)
    spool.close()
    packed = gzip.compress(b'{"k": "start", "shape": "of the future"}\n')
    (_work(tmp_path) / "journal-1.jsonl.gz").write_bytes(packed)
    with pytest.raises(BilbsError) as caught:
        Spool.reopen(_work(tmp_path))
    assert caught.value.code == "work-damaged"
    assert (_work(tmp_path) / "journal-1.jsonl.gz").read_bytes() == packed


def test_the_items_of_a_sealed_plan_are_those_of_the_manifest(tmp_path: Path) -> None:
    spool = start(tmp_path)
    put(spool, "gpu/done", b"x")
    begin(spool, "gpu/half", b"y")
    spool.close()
    again = Spool.reopen(_work(tmp_path))
    with pytest.raises(ValueError, match="stop"):
        seal(again, front, gate=_stop)
    again.close()
    third = Spool.reopen(_work(tmp_path))
    assert [(one.path, one.status) for one in third.items] == [("gpu/done", Status.OK), ("gpu/half", Status.FAILED)]
    third.remove()


def _stop(_: object) -> None:
    raise ValueError("stop")


def test_a_link_in_place_of_a_work_folder_is_not_followed(tmp_path: Path) -> None:
    start(tmp_path / "real").close()
    (tmp_path / "trap").mkdir()
    _work(tmp_path / "trap").symlink_to(_work(tmp_path / "real"))
    with pytest.raises(OutputUnwritable):
        Spool.reopen(_work(tmp_path / "trap"))
    assert _work(tmp_path / "real").is_dir()


def test_a_work_folder_without_a_run_is_removed(tmp_path: Path) -> None:
    _work(tmp_path).mkdir(mode=0o700)
    with pytest.raises(NotFound, match="nothing to finish"):
        Spool.reopen(_work(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_an_archive_of_that_name_stops_a_run_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.tar.zst").write_text("precious")
    with pytest.raises(OutputUnwritable, match="exists already") as caught:
        start(tmp_path)
    assert caught.value.code == "exists"
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.tar.zst"]


def test_a_run_of_that_name_stops_another(tmp_path: Path) -> None:
    spool = start(tmp_path)
    put(spool, "gpu/x", b"x")
    with pytest.raises(OutputUnwritable):
        start(tmp_path)
    assert finish(spool).path.exists()


def test_the_output_folder_is_made_private_when_it_is_new(tmp_path: Path) -> None:
    spool = start(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    finish(spool)


def test_facts_survive_a_kill_without_a_sync(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        spool = start(tmp_path)
        for number in range(200):
            spool.fact(("gpu", str(number)), {"value": number})
        put(spool, "gpu/last", b"x")
        spool.note("pairs", {"a": "b"})
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    again = Spool.reopen(_work(tmp_path))
    assert len(again.facts["gpu"]) == 200
    assert again.notes == [("pairs", {"a": "b"})]
    again.remove()


def test_members_that_no_child_finished_are_sealed_as_failed(tmp_path: Path) -> None:
    spool = start(tmp_path)
    begin(spool, "gpu/x.log", log(1, 5000))
    seal(spool, front)
    assert [(one.path, one.status, one.size_bytes) for one in spool.items] == [
        ("gpu/x.log", Status.FAILED, len(log(1, 5000)))
    ]


def test_a_moved_output_folder_does_not_lead_the_archive_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    spool = start(tmp_path / "out")
    put(spool, "gpu/x", b"x")
    (tmp_path / "out").rename(tmp_path / "moved")
    (tmp_path / "out").symlink_to("/")
    finish(spool)
    assert [path.name for path in (tmp_path / "moved").iterdir()] == [f"{NAME}.tar.zst"]


def test_garbled_records_cost_only_themselves(tmp_path: Path) -> None:
    spool = start(tmp_path)
    spool.journal.append(
        [
            {"k": "frame"},
            {"k": 5},
            {"no": "kind"},
            {"k": "frame", "m": ["x"], "p": [["p1"]], "s": "x", "h": 1},
            {"k": "item", "i": 7},
            {"k": "fact", "p": 5, "l": 1},
            {"k": "new", "x": 1},
        ]
    )
    kept = put(spool, "gpu/x", b"x")
    spool.close()
    again = Spool.reopen(_work(tmp_path))
    assert again.items == [replace(kept)]
    again.remove()
