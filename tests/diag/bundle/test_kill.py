"""SIGKILL at every step of a run and of its resume: what was finished is in a verified bundle, and nothing else is left."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyrage
import pytest

from bilbs_cli.diag.bundle.encrypt import Recipients
from bilbs_cli.diag.bundle.frames import Compression
from bilbs_cli.diag.bundle.reader import Reader
from bilbs_cli.diag.bundle.runs import resumable
from bilbs_cli.diag.bundle.seal import ENCRYPTED, seal
from bilbs_cli.diag.bundle.spool import Spool
from bilbs_cli.diag.bundle.verify import verify
from bilbs_cli.errors import NotFound, SecretFound
from tests.diag.bundle.killing import Power, Work, run_and_kill
from tests.diag.bundle.making import NAME, begin, extracted, finish, front, item, log, noise, start
from tests.parts.disk import small_disk

SOAK = bool(os.environ.get("BILBS_SOAK"))
ALL = {
    "gpu/smi.xml": log(1, 3000), "kern/kern.log": noise(2, 420_000), "gpu/dump": noise(3, 150_000), "system/os": b"ID=x\n",
    "system/empty": b"", "kern/old.log": log(4, 90_000), "gpu/last": noise(5, 70_000),
}  # fmt: skip
MEMBERS = ALL if SOAK else {name: ALL[name] for name in ("gpu/smi.xml", "gpu/dump", "system/empty")}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Make a disk in memory: many runs in little time, whatever else the machine is doing."""
    with small_disk(tmp_path / "disk", 1 << 30) as disk:
        yield disk.path


def _collect(folder: Path, state: Path, recipients: Recipients | None, *, sync: bool = False) -> Work:
    def work(report: Callable[[str], None]) -> None:
        spool = start(folder, Compression.ZSTD, recipients=recipients, state_dir=state)
        spool.finish(item("gpu/gap", "gpu", None))
        if sync:
            spool.sync()
        report("gap")
        for number, (path, content) in enumerate(MEMBERS.items()):
            spool.fact(("gpu", str(number)), {"value": number})
            begin(spool, path, content, frame_bytes=64 << 10)
            spool.finish(item(path, path.split("/")[0], content))
            if sync:
                spool.sync()
            report(path)
        report(finish(spool).path.name)

    return work


def _resume(folder: Path, state: Path) -> Work:
    def work(report: Callable[[str], None]) -> None:
        for path in resumable(state, folder).interrupted:
            try:
                sealed = finish(Spool.reopen(path, state_dir=state))
                assert hashlib.sha256(sealed.path.read_bytes()).hexdigest() == sealed.sha256
            except NotFound:
                report("nothing")

    return work


def _check(folder: Path, state: Path, reported: list[str], key: pyrage.x25519.Identity | None) -> None:
    """Look at what is there after the last resume."""
    archives = list(folder.iterdir()) if folder.exists() else []
    assert (
        [path.name for path in archives] == [NAME + ".tar.zst" + (".age" if key else "")]
        if reported
        else len(archives) <= 1
    )
    assert list((state / "runs").glob("*")) == []
    for archive in archives:
        plain = archive
        if key:
            plain = folder / "plain.tar.zst"
            plain.write_bytes(pyrage.decrypt(archive.read_bytes(), [key]))
        report = verify(plain)
        made = extracted(plain, folder / "out")
        status = {one.path: one.status.value for one in report.manifest.items}
        for path in reported:
            if path in MEMBERS:
                assert (status[path], made[path]) == ("ok", MEMBERS[path])
    shutil.rmtree(folder, ignore_errors=True)


def _steps(count: int, share: int) -> list[int]:
    """Return where to kill: everywhere in the long tests, else at a third of the steps near the end and a 20th of those before."""
    return [step for step in range(1, count + 1) if SOAK or step % (3 if step > count - 45 else 20) == share]


@pytest.mark.parametrize("encrypted", [False, True])
def test_killed_at_any_step_a_run_ends_in_a_verified_bundle(place: Path, encrypted: bool) -> None:
    key = pyrage.x25519.Identity.generate() if encrypted else None
    recipients = Recipients((str(key.to_public()),)) if key else None
    _, count = run_and_kill(_collect(place / "whole", place / "state", recipients), 0)
    assert count
    chance = random.Random(7)
    for step in _steps(count, 1 if encrypted else 0):
        folder, state = place / f"run{step}", place / f"state{step}"
        reported, _ = run_and_kill(_collect(folder, state, recipients), step)
        again = chance.randrange(1, count // 2)  # the resume is killed as well, and the one after
        for _ in range(2):
            run_and_kill(_resume(folder, state), again)
        run_and_kill(_resume(folder, state), 0)
        _check(folder, state, reported, key)


@pytest.mark.parametrize(("power", "encrypted"), [(Power.LOST, False), (Power.LOST, True), (Power.LOST_LATE, False)])
def test_after_a_power_loss_at_any_step_what_was_synced_is_in_a_verified_bundle(
    place: Path, power: Power, encrypted: bool
) -> None:
    key = pyrage.x25519.Identity.generate() if encrypted else None
    recipients = Recipients((str(key.to_public()),)) if key else None
    _, count = run_and_kill(_collect(place / "whole", place / "state", recipients, sync=True), 0)
    assert count
    chance = random.Random(13)
    for step in _steps(count, 2 if encrypted else 1 if power is Power.LOST else 0):
        folder, state = place / f"run{step}", place / f"state{step}"
        reported, _ = run_and_kill(_collect(folder, state, recipients, sync=True), step, power=power)
        run_and_kill(_resume(folder, state), chance.randrange(1, count // 2), power=power)
        run_and_kill(_resume(folder, state), 0)
        _check(folder, state, reported, key)


def test_no_plain_archive_ever_gets_the_name_of_an_encrypted_one(place: Path) -> None:
    key = pyrage.x25519.Identity.generate()
    recipients = Recipients((str(key.to_public()),))
    _, steps = run_and_kill(_collect(place / "whole", place / "state", recipients), 0)
    assert steps
    for number, step in enumerate(range(steps - 24, steps)):
        folder = place / str(number)
        run_and_kill(_collect(folder, place / "state", recipients), step)
        for path in folder.glob("bilbs-diag-*"):
            assert path.read_bytes().startswith(b"age-encryption.org/v1")
        assert not list(folder.glob(f"*/{ENCRYPTED}.*"))


def test_a_withheld_bundle_stays_withheld_wherever_its_removal_was_cut_short(place: Path) -> None:
    def work(report: Callable[[str], None]) -> None:
        spool = start(place)
        begin(spool, "gpu/x", noise(1, 300_000))
        try:
            seal(spool, front, gate=_found)
        except SecretFound:
            report("withheld")

    _, steps = run_and_kill(work, 0)
    assert steps
    assert list(place.iterdir()) == []
    for step in range(steps + 8, steps - 14, -1):
        run_and_kill(work, step)
        for path in resumable(None, place).interrupted:
            try:
                spool = Spool.reopen(path)
            except NotFound:
                continue
            with pytest.raises(SecretFound):  # it had not come to the removal
                seal(spool, front, gate=_found)
        assert list(place.iterdir()) == []


def _found(archive: Reader) -> None:
    assert list(archive)
    raise SecretFound("found")


def test_a_run_killed_at_a_random_moment_resumes(place: Path) -> None:
    """The clock chooses here, so also the places between two calls."""
    import signal
    import time

    chance = random.Random(11)
    for number in range(200 if SOAK else 10):
        folder, state = place / f"run{number}", place / f"state{number}"
        pid = os.fork()
        if pid == 0:
            try:
                _collect(folder, state, None)(lambda _: None)
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0, 0.06))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        run_and_kill(_resume(folder, state), 0)
        _check(folder, state, [], None)
