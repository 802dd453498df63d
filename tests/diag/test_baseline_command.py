"""`bilbs diag baseline` as whole processes, and what it prints at 80 columns."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from bilbs_cli import paths, terminal
from bilbs_cli.diag import baseline_text, inventory, memory
from bilbs_cli.diag.baseline import Baseline, History, KnownGpu, encode
from tests.conftest import Bilbs
from tests.diag.remembered import CLEAN, DAY, NOW, cards, serials_of
from tests.parts import nvml
from tests.terminals import on_terminal

SERIALS = ["1652324000311", "1652324001311"]  # of the two GPUs in the driver that tests use
SET = ("diag", "baseline", "set")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def gpus(driver: Path) -> dict[str, str]:
    return {"LD_LIBRARY_PATH": str(driver), "FAKE_NVML_TABLE": str(nvml.TABLE)}


@pytest.fixture
def three(tmp_path: Path) -> Baseline:
    """Put a baseline of three GPUs into this test's state folder; one of them is not in the box."""
    rows = zip(("0000:1b:00.0", "0000:3b:00.0", "0000:5e:00.0"), [*SERIALS, "999"], strict=True)
    known = Baseline(NOW - DAY, tuple(KnownGpu(pci, serial) for pci, serial in rows), by="a test")
    memory.take(paths.state_dir(), known)
    return known


def kept() -> Baseline | None:
    return memory.kept(paths.state_dir()).baseline


def test_without_a_baseline_it_says_what_to_type(bilbs: Bilbs) -> None:
    ended = bilbs("diag", "baseline", "show")
    assert ended.status == 5
    assert "[no-baseline]" in ended.stderr
    assert "bilbs diag baseline set" in ended.stderr


def test_path_is_one_line_that_a_script_can_use(bilbs: Bilbs) -> None:
    ended = bilbs("diag", "baseline", "path")
    assert ended.stdout == f"{paths.state_dir() / 'baseline.json'}\n"
    assert bilbs("diag", "baseline", "path", "--json").json["data"]["exists"] is False


def test_set_takes_the_box_and_show_shows_it(bilbs: Bilbs, gpus: dict[str, str]) -> None:
    ended = bilbs(*SET, "--yes", "--json", env=gpus)
    assert ended.status == 0, ended.stderr
    assert ended.json["kind"] == "diag.baseline"
    assert [one["serial"] for one in ended.json["data"]["baseline"]["gpus"]] == SERIALS
    shown = bilbs("diag", "baseline", "show")
    assert shown.status == 0
    assert all(serial in shown.stdout for serial in SERIALS)
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert bilbs("diag", "baseline", "show", "--json").json["data"]["baseline"]["by"] == "bilbs diag baseline set"


def test_fewer_gpus_need_an_answer_and_nothing_changes_without_one(
    bilbs: Bilbs, gpus: dict[str, str], three: Baseline
) -> None:
    ended = bilbs(*SET, env=gpus)
    assert ended.status == 2
    assert "[needs-answer]" in ended.stderr
    assert "2 GPUs, and the baseline of 2026-11-20 has 3" in ended.stdout
    assert "gone: GPU 999 at 0000:5e:00.0" in ended.stdout
    assert kept() == three


@pytest.mark.parametrize(("typed", "status", "serials"), [(b"n\n", 1, [*SERIALS, "999"]), (b"y\n", 0, SERIALS)])
def test_a_person_decides(gpus: dict[str, str], three: Baseline, typed: bytes, status: int, serials: list[str]) -> None:
    got, shown = on_terminal(["-m", "bilbs_cli", *SET], typed=typed, env=gpus)
    assert got == status, shown
    assert "all the same? [y/N]" in shown
    known = kept()
    assert known is not None
    assert serials_of(known.gpus) == serials


def test_reset_asks_and_forgets(bilbs: Bilbs, three: Baseline) -> None:
    assert bilbs("diag", "baseline", "reset").status == 2
    assert kept() == three
    ended = bilbs("diag", "baseline", "reset", "--yes")
    assert ended.status == 0
    assert "baseline.json" in ended.stdout
    assert kept() is None
    assert bilbs("diag", "baseline", "reset", "--yes").stdout == "There was nothing to forget.\n"


def test_a_broken_baseline_is_named_and_set_mends_it(bilbs: Bilbs, gpus: dict[str, str]) -> None:
    place = paths.state_dir()
    place.mkdir(mode=0o700)
    (place / "baseline.json").write_text('{\n "gpus": oops')
    ended = bilbs("diag", "baseline", "show")
    assert ended.status == 78
    assert "line 2" in ended.stderr
    assert bilbs(*SET, "--yes", env=gpus).status == 0
    assert kept()


def test_a_folder_that_cannot_be_written_is_an_error(bilbs: Bilbs, gpus: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    ended = bilbs(*SET, "--yes", env=gpus | {"BILBS_STATE_DIR": str(tmp_path / "file")})
    assert ended.status == 73


def test_hostile_text_in_a_baseline_reaches_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.begin([])
    gpu = KnownGpu("0000:3b:00.0", "\x1b[31m165\n", slot="\x9b5")
    known = Baseline(NOW, (gpu,), by="\x07x", driver="\x1b]0;t", disks=("a",))
    baseline_text.show(memory.Kept(known, History()), Path("/s"))
    shown = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)


def test_what_changed_is_told_line_by_line() -> None:
    old = Baseline(
        NOW - DAY,
        (KnownGpu("0000:3b:00.0", "165", nvlinks_up=frozenset({0, 3})), KnownGpu("0000:5e:00.0", "166")),
        dimms=16,
        disks=("serial S1",),
    )
    new = inventory.inventory(cards(b5e="165", b3b="167"), NOW, "me")
    assert list(baseline_text.changes(old, new)) == [
        "gone: GPU 166 at 0000:5e:00.0",
        "new: GPU 167 at 0000:3b:00.0",
        "moved: GPU 165 from 0000:3b:00.0 to 0000:5e:00.0",
        "NVLinks of GPU 165 that were up and are not: 3",
        "memory modules: 16 before, ? now",
        "gone: disk serial S1",
    ]
    assert list(baseline_text.changes(new, replace(new, taken_at=NOW + DAY))) == []


def test_json_holds_the_faults_seen_before(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.begin(["--json"])
    memory.remember(paths.state_dir(), cards(b3b="165"), CLEAN, NOW, "b")
    baseline_text.show(memory.kept(paths.state_dir()), paths.state_dir())
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["history"] == {"samples": 1, "since": NOW.isoformat(), "boots": 1, "faults": []}
    known = kept()
    assert known is not None
    assert data["baseline"] == encode(known)
    assert os.fspath(paths.state_dir()) in data["path"]
    terminal.begin([])
