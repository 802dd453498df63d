"""The journal of a run: readable up to its last whole line after any end, and never torn by a full disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bilbs_cli.diag.bundle import journal
from bilbs_cli.diag.bundle.journal import Journal
from bilbs_cli.diag.bundle.volume import Volume
from bilbs_cli.errors import OutputUnwritable
from tests.parts.disk import small_disk


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    yield from _volume(tmp_path)


def _volume(folder: Path) -> Iterator[Volume]:
    parent = os.open(folder, os.O_RDONLY)
    made = Volume.make(parent, folder / "work")
    yield made
    made.close()
    os.close(parent)


def _records(count: int) -> list[dict[str, object]]:
    return [{"k": "fact", "p": ["gpu", str(number)], "l": {"value": number * 7919}} for number in range(count)]


def test_records_are_read_in_the_order_they_were_written(volume: Volume) -> None:
    made = Journal.begin(volume)
    for record in _records(300):
        made.append([record])
    made.close()
    assert list(journal.read(volume)) == _records(300)


def test_a_second_process_goes_on_after_the_first(volume: Volume) -> None:
    records = _records(11 * 3)
    for start in range(0, 33, 3):  # 11 files: their order is that of numbers, not of text
        made = Journal.begin(volume)
        made.append(records[start : start + 3])
        made.close()
    assert list(journal.read(volume)) == records


def test_a_journal_cut_anywhere_gives_every_record_before_the_cut(volume: Volume) -> None:
    made = Journal.begin(volume)
    ends = []
    for record in _records(40):
        made.append([record])
        ends.append(os.fstat(made.handle).st_size)
    made.close()
    file = volume.path / "journal-1.jsonl.gz"
    data = file.read_bytes()
    for cut in range(len(data) + 1):
        file.write_bytes(data[:cut])
        assert len(list(journal.read(volume))) >= sum(1 for end in ends if end <= cut), cut


def test_zeros_in_place_of_the_tail_end_it_there(volume: Volume) -> None:
    made = Journal.begin(volume)
    made.append(_records(30))
    kept = os.fstat(made.handle).st_size
    made.append(_records(60)[30:])
    made.close()
    file = volume.path / "journal-1.jsonl.gz"
    size = file.stat().st_size
    os.truncate(file, kept)
    os.truncate(file, size)  # as after a power loss: the length is there, the blocks are not
    assert list(journal.read(volume)) == _records(30)


def test_what_a_full_disk_refuses_is_kept_and_written_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 256 << 10) as disk:
        for volume in _volume(disk.path):
            made = Journal.begin(volume)
            made.append(_records(5))
            filler = disk.path / "filler"
            _fill(filler)
            with pytest.raises(OutputUnwritable) as caught:
                made.append(_records(4000)[5:])
            assert caught.value.code == "disk-full"
            with pytest.raises(OutputUnwritable):
                made.sync()
            filler.unlink()
            made.sync()
            made.close()
            assert list(journal.read(volume)) == _records(4000)


def test_an_empty_or_foreign_journal_holds_nothing(volume: Volume) -> None:
    (volume.path / "journal-1.jsonl.gz").write_bytes(b"")
    (volume.path / "journal-2.jsonl.gz").write_bytes(b"not a gzip stream at all")
    assert list(journal.read(volume)) == []


def _fill(path: Path) -> None:
    """Take all the space that is left."""
    with path.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(4096)):
            pass
