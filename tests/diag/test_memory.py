"""The files of a box's memory: full and read-only disks, a writer that is killed, two at once, hostile content."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bilbs_cli.diag import memory, model, past
from bilbs_cli.diag.baseline import Baseline
from bilbs_cli.errors import BilbsError, ConfigProblem, NotFound
from tests.diag.remembered import CLEAN, DAY, NOW, cards, fault, judged, serials_of
from tests.parts.disk import small_disk
from tests.parts.patience import BUSY_S
from tests.people import as_user

PCI = "0000:3b:00.0"


def remember(state: Path, facts: Any, judgement: Any = CLEAN, days: float = 0, boot: str = "b1") -> memory.Remembered:
    return memory.remember(state, facts, judgement, NOW + days * DAY, boot)


def baseline_of(state: Path) -> Baseline:
    found = memory.kept(state).baseline
    assert found is not None
    return found


def reading(state: Path, name: str) -> model.Reading:
    return model.decode(memory.recall(state)[name])


def test_a_box_without_memory_says_what_to_type(tmp_path: Path) -> None:
    assert reading(tmp_path / "none", "baseline") == model.NotCollected("no baseline yet: bilbs diag baseline set")
    assert isinstance(reading(tmp_path / "none", "history"), model.NotCollected)
    assert not (tmp_path / "none").exists()


def test_clean_checks_are_remembered_and_come_back(tmp_path: Path) -> None:
    assert remember(tmp_path, cards(b3b="165")) == memory.Remembered(True, "this clean check is the baseline now")
    assert remember(tmp_path, cards(b3b="165", b5e="166"), days=1).updated
    assert serials_of(baseline_of(tmp_path).gpus) == ["165", "166"]
    history = memory.kept(tmp_path).history
    assert [(one.at, one.serial) for one in history.samples] == [(NOW, "165"), (NOW + DAY, "165"), (NOW + DAY, "166")]
    assert history.boots == ("b1",)


def test_the_memory_of_a_mounted_system_is_its_own(tmp_path: Path) -> None:
    assert memory.place(tmp_path) == tmp_path / "var/lib/bilbs"
    assert memory.place(None) == Path(os.environ["BILBS_STATE_DIR"])


def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    remember(tmp_path / "state", cards(b3b="165"))
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"baseline.json", "history.jsonl", "memory.lock"}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()} == {0o600}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_check_with_findings_leaves_the_baseline_and_books_the_fault(tmp_path: Path) -> None:
    remember(tmp_path, cards(b3b="165"))
    text = (tmp_path / "baseline.json").read_bytes()
    got = remember(tmp_path, cards(b3b="165"), judged(fault(f"gpu:{PCI}")), days=1)
    assert got == memory.Remembered(False, f"the baseline stays as it is: 1 finding: xid.79 (gpu:{PCI})")
    assert (tmp_path / "baseline.json").read_bytes() == text
    assert [(one.rule, one.serial) for one in memory.kept(tmp_path).history.faults] == [("xid.79", "165")]


def test_a_read_only_disk_is_a_sentence_and_no_end(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        remember(disk.path / "state", cards(b3b="165"))
        disk.remount("ro")
        got = remember(disk.path / "state", cards(b3b="165"), days=1)
        assert got.failed
        assert "read-only" in got.why
        assert serials_of(baseline_of(disk.path / "state").gpus) == ["165"]
        assert remember(disk.path / "other", cards(b3b="165")).failed


def test_a_full_disk_leaves_both_files_as_they_were(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 << 10) as disk:
        remember(disk.path, cards(b3b="165"))
        before = {name: (disk.path / name).read_bytes() for name in (memory.BASELINE, memory.HISTORY)}
        with (disk.path / "filler").open("wb", buffering=0) as filler:
            while True:
                try:
                    filler.write(b"x" * 512)
                except OSError:
                    break
        many = cards(**{f"b{number:02x}": f"{number:03}" * 10 for number in range(1, 60)})
        got = remember(disk.path, many, days=1)
        assert got.failed
        assert "no space left" in got.why
        assert {name: (disk.path / name).read_bytes() for name in before} == before
        assert not list(disk.path.glob(".*"))


@pytest.mark.parametrize("state", ["file", "link", "deep/er"])
def test_a_state_folder_that_is_none_is_a_sentence(tmp_path: Path, state: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "deep").write_text("x")
    got = remember(tmp_path / state, cards(b3b="165"))
    assert got.failed
    assert got.why.startswith("this check could not be remembered: ")


def test_the_memory_of_root_is_denied_to_others_and_not_taken_for_none(tmp_path: Path) -> None:
    state = tmp_path / "state"
    remember(state, cards(b3b="165"))
    for folder in [*tmp_path.parents][:4]:
        folder.chmod(folder.stat().st_mode | 0o055)
    tmp_path.chmod(0o755)
    got = as_user(65534, lambda: memory.recall(state))
    assert got["baseline"]["error"]["class"] == "PermissionError"
    assert got["history"]["error"]["class"] == "PermissionError"


def test_a_line_that_was_cut_costs_itself(tmp_path: Path) -> None:
    remember(tmp_path, cards(b3b="165"))
    with (tmp_path / memory.HISTORY).open("ab") as stream:
        stream.write(b'{"at":"2026-11-22T00:00:00+00:00","gpus":[{"pci":"00')
    remember(tmp_path, cards(b3b="165"), days=2)
    assert [one.at for one in memory.kept(tmp_path).history.samples] == [NOW, NOW + 2 * DAY]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"taken_at": "x"}', b"[" * 100_000, b"9" * 9000]
)
def test_a_broken_baseline_is_an_error_and_no_check_writes_over_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / memory.BASELINE).write_bytes(content)
    found = reading(tmp_path, "baseline")
    assert isinstance(found, model.ReadError)
    got = remember(tmp_path, cards(b3b="165"))
    assert not got.updated
    assert "bilbs diag baseline set" in got.why
    assert (tmp_path / memory.BASELINE).read_bytes() == content
    assert memory.kept(tmp_path).problem


def test_files_that_are_no_files_are_survived(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / memory.BASELINE)
    os.mkfifo(tmp_path / memory.HISTORY)
    began = time.monotonic()
    assert isinstance(reading(tmp_path, "baseline"), model.ReadError)
    assert remember(tmp_path, cards(b3b="165")).failed
    assert time.monotonic() - began < 5


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=60) | st.sampled_from([
    b'{"at": "2026-11-20T00:00:00+00:00", "gpus": [1, {"pci": 1e999}], "faults": NaN, "boot": {}}',
    b'{"at": "2026-11-20T00:00:00+00:00", "gpus": {"a": [[[]]]}}', b"{}", b"null", b'{"at": 7}',
]), max_size=8))  # fmt: skip
def test_a_hostile_history_is_survived_and_kept_growing(tmp_path: Path, lines: list[bytes]) -> None:
    state = tmp_path / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(mode=0o700)
    (state / memory.HISTORY).write_bytes(b"\n".join(lines))
    remember(state, cards(b3b="165"))
    assert [one.at for one in memory.kept(state).history.samples if one.serial == "165"] == [NOW]


def test_a_huge_history_is_cut_to_its_bounds_by_the_next_check(tmp_path: Path) -> None:
    row = {"at": (NOW - DAY).isoformat(), "boot": "b0", "gpus": [], "faults": [], "x": float("inf")}
    text = (json.dumps({**row, "x": "y" * 200}) + "\n").encode() * 40_000 + (json.dumps(row) + "\n").encode() * 20
    (tmp_path / memory.HISTORY).write_bytes(text)
    assert not remember(tmp_path, cards(b3b="165")).failed
    assert (tmp_path / memory.HISTORY).stat().st_size <= past.MOST_BYTES
    assert memory.kept(tmp_path).history.samples[-1].serial == "165"


def test_a_year_of_checks_stays_small(tmp_path: Path) -> None:
    serials = {f"b{number:02x}": f"165{number}" for number in range(1, 9)}
    remember(tmp_path, cards(**serials))
    first = json.loads((tmp_path / memory.HISTORY).read_text())
    year = [{**first, "at": (NOW + number * DAY / 2).isoformat(), "boot": f"b{number // 100}"} for number in range(700)]
    (tmp_path / memory.HISTORY).write_text("".join(json.dumps(line) + "\n" for line in year[: past.MOST_LINES - 20]))
    for number in range(past.MOST_LINES - 20, past.MOST_LINES + 40):
        memory.remember(tmp_path, cards(**serials), CLEAN, NOW + number * DAY / 2, year[number]["boot"])
    assert memory.kept(tmp_path).history.samples[-1].boot == year[number]["boot"]
    assert (tmp_path / memory.HISTORY).stat().st_size <= past.MOST_BYTES
    assert len((tmp_path / memory.HISTORY).read_text().splitlines()) <= past.MOST_LINES
    assert len(json.dumps(memory.recall(tmp_path))) < 100_000


def check_many(state: str, boot: str) -> None:
    for number in range(25):
        memory.remember(Path(state), cards(b3b="165"), CLEAN, NOW + number * timedelta(minutes=6), boot)


def test_two_checks_at_once_lose_no_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=check_many, args=(str(tmp_path), boot)) for boot in ("cron", "person")]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
        assert one.exitcode == 0
    samples = memory.kept(tmp_path).history.samples
    lines = [json.loads(line) for line in (tmp_path / memory.HISTORY).read_text().splitlines()]
    assert sorted(line["boot"] for line in lines) == ["cron"] * 25 + ["person"] * 25
    assert samples
    assert baseline_of(tmp_path)


def test_a_check_does_not_wait_for_long_for_one_that_hangs(tmp_path: Path) -> None:
    from bilbs_cli import files

    began = time.monotonic()
    with files.locked(tmp_path / memory.LOCK) as mine:
        assert mine
        got = remember(tmp_path, cards(b3b="165"))
    assert got.failed
    assert "another check holds" in got.why
    assert time.monotonic() - began < memory.LOCK_S + 2 + BUSY_S


WRITER = """
    import sys
    from datetime import timedelta
    from pathlib import Path
    from bilbs_cli.diag import memory
    from tests.diag.remembered import CLEAN, NOW, cards

    facts = cards(**{f"b{number:02x}": f"165{number}" for number in range(1, 40)})
    print("ready", flush=True)
    for number in range(100000):
        memory.remember(Path(sys.argv[1]), facts, CLEAN, NOW + number * timedelta(minutes=6), "b")
"""


def test_a_writer_that_is_killed_leaves_a_memory_that_can_be_read_and_grows(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    chance = random.Random(7)
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'src'}"}
    remember(tmp_path, cards(b3b="165"), days=-1, boot="first")
    seen = 0
    for _ in range(8):
        argv = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)]
        writer = subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment, cwd=root)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0.02, 0.3))
        writer.send_signal(signal.SIGKILL)
        writer.wait(10)
        writer.stdout.close()
        found = memory.kept(tmp_path)
        assert found.problem == ""
        assert found.baseline is not None
        assert len(found.history.samples) >= 1
        lines = (tmp_path / memory.HISTORY).read_text().splitlines()
        assert len(lines) >= min(seen, past.MOST_LINES // 2)
        seen = len(lines)
    assert seen > 2  # how far it comes between two kills is the machine's affair
    assert not remember(tmp_path, cards(b3b="165"), days=900, boot="last").failed
    assert memory.kept(tmp_path).history.samples[-1].boot == "last"


def test_what_a_person_decides_is_taken_as_it_is(tmp_path: Path) -> None:
    remember(tmp_path, cards(b3b="165", b5e="166"))
    known = memory.kept(tmp_path).baseline
    assert known is not None
    memory.take(tmp_path, Baseline(NOW, known.gpus[:1], by="a person"))
    assert serials_of(baseline_of(tmp_path).gpus) == ["165"]


def test_forgetting_takes_the_history_only_when_asked(tmp_path: Path) -> None:
    remember(tmp_path, cards(b3b="165"))
    assert memory.forget(tmp_path, history=False) == (tmp_path / memory.BASELINE,)
    assert (tmp_path / memory.HISTORY).exists()
    assert memory.forget(tmp_path, history=True) == (tmp_path / memory.HISTORY,)
    assert memory.forget(tmp_path, history=True) == ()


def test_a_named_baseline_or_the_facts_of_a_bundle_stand_in_for_the_boxs_own(tmp_path: Path) -> None:
    remember(tmp_path, cards(b3b="165"))
    own = memory.load(tmp_path / memory.BASELINE)
    assert own["baseline"] == memory.recall(tmp_path)["baseline"]
    document = {"collected_at": NOW.isoformat(), "facts": {**cards(b5e="166"), "memory": memory.recall(tmp_path)}}
    (tmp_path / "facts.json").write_text(json.dumps(document))
    for path in (tmp_path / "facts.json", tmp_path):
        found = memory.load(path)
        assert [one["serial"] for one in found["baseline"]["value"]["gpus"]] == ["166"]
        assert found["history"] == memory.recall(tmp_path)["history"]


def test_a_named_file_that_is_broken_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text('{\n "facts": {\n  "gpu": oops\n }\n}\n')
    with pytest.raises(ConfigProblem, match=r"facts\.json line 3: no JSON"):
        memory.load(path)


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"7", b'{"facts": 7}', b'{"facts": {}}', b"{}", b"9" * 9000])
def test_a_named_file_that_is_something_else_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ConfigProblem, match=r"x\.json") as caught:
        memory.load(path)
    assert caught.value.next


@pytest.mark.parametrize(
    ("name", "kind"), [("none.json", NotFound), ("none.tar.zst", NotFound), ("fifo.json", ConfigProblem)]
)
def test_a_named_file_that_is_none_is_an_error(tmp_path: Path, name: str, kind: type[BilbsError]) -> None:
    os.mkfifo(tmp_path / "fifo.json")
    with pytest.raises(kind):
        memory.load(tmp_path / name)
