"""What `diag rma` prints, and one run of it over a bundle's folder."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given, settings

from bilbs_cli import terminal
from bilbs_cli.diag import rma, rma_text
from bilbs_cli.diag.bundle import reader
from bilbs_cli.diag.bundle.frames import Compression
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.rma_parts import all_parts
from bilbs_cli.errors import UsageProblem
from bilbs_cli.tables import cells
from tests.diag.bundle.tars import pack, plain
from tests.diag.judged import checks
from tests.diag.returned import MEMBERS, checked, packet, reading


def test_the_page_says_how_sure_it_is_first_and_then_what_is_missing() -> None:
    lines = rma_text.page(packet(checked()))
    assert lines[0].startswith("RMA candidate, 1 of 3 proofs (xid.79)")
    assert "  [x] Service Tag of the chassis" in lines
    assert "  [ ] Log of the NVIDIA field diagnostic on this GPU" in lines


def test_a_run_writes_the_packet_and_prints_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "b.tar.zst"
    bundle.write_bytes(b"not a bundle: its members cannot be read, the facts were")
    written = rma_text.make(checked(), bundle, "gpu:1", None, tmp_path / "out")
    printed = capsys.readouterr().out
    assert str(written.tarball) in printed
    assert written.sha256 in printed
    custody = json.loads((written.folder / "custody.json").read_text())
    assert custody["bundle"]["size_bytes"] == bundle.stat().st_size


def test_members_are_read_from_an_unpacked_bundle(tmp_path: Path) -> None:
    (tmp_path / "b" / "ipmi").mkdir(parents=True)
    (tmp_path / "b" / "ipmi" / "sel.txt").write_text("# records\n")
    (tmp_path / "b" / "facts.json").write_text("{}")
    written = rma_text.make(checked(), tmp_path / "b", "gpu:1", "dell", tmp_path / "out")
    assert (written.folder / "members" / "ipmi" / "sel.txt").read_text() == "# records\n"


def test_a_member_of_a_bundle_that_is_too_large_is_cut_and_called_so(tmp_path: Path) -> None:
    (tmp_path / "b" / "ipmi").mkdir(parents=True)
    (tmp_path / "b" / "facts.json").write_text("{}")
    (tmp_path / "b" / "ipmi" / "sel.txt").write_bytes(b"x" * (rma.MEMBER_BYTES + 5))
    written = rma_text.make(checked(), tmp_path / "b", "gpu:1", "dell", tmp_path / "out")
    assert (written.folder / "members" / "ipmi" / "sel.txt").stat().st_size == rma.MEMBER_BYTES
    assert json.loads((written.folder / "custody.json").read_text())["cut_members"] == ["ipmi/sel.txt"]


def test_an_archive_is_opened_once_for_all_that_a_packet_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    really = reader.open_bundle

    def counted(path: Path) -> AbstractContextManager[reader.Reader]:
        opened.append(path)
        return really(path)

    monkeypatch.setattr(reader, "open_bundle", counted)
    bundle = tmp_path / "b.tar.gz"
    bundle.write_bytes(
        pack(*(plain(f"top/{name}", data) for name, data in MEMBERS.items()), compression=Compression.GZIP)
    )
    written = rma_text.make(checked(), bundle, "gpu:1", None, tmp_path / "out")
    assert (written.folder / "members" / "ipmi" / "sel.txt").read_bytes() == MEMBERS["ipmi/sel.txt"]
    assert "[12345.678]" in (written.folder / "evidence.txt").read_text()
    assert json.loads((written.folder / "custody.json").read_text())["redaction"]["replaced"] == 7
    assert opened == [bundle]


def test_json_is_one_envelope(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.begin(["--json"])
    rma_text.show(packet(checked()))
    terminal.begin([])
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["data"]["part"]) == ("diag.rma", "gpu:0000:3b:00.0")
    assert document["data"]["case"].startswith("RMA request")


@settings(max_examples=40, deadline=None)
@given(checks())
def test_every_page_fits(box: Checked) -> None:
    for part in all_parts(box)[:3]:
        try:
            found = rma.build(box, part.id, None, reading({}))
        except UsageProblem:
            continue
        for width in (40, 80):
            assert max(map(cells, rma_text.page(found, None, width))) <= width
        terminal.envelope(rma_text.KIND, rma_text.as_json(found))
