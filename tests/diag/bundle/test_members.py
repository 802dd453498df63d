"""Single members of a bundle: out of an archive in one pass, and out of a folder that may hold anything."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bilbs_cli.diag import memory, opening
from bilbs_cli.diag.bundle import members, reader
from bilbs_cli.diag.bundle.frames import Compression
from bilbs_cli.errors import BilbsError, NotFound, VerificationFailed
from tests.diag.bundle.making import NAME
from tests.diag.bundle.tars import pack, plain
from tests.people import as_user

LIMIT = 1 << 20


def archive(path: Path, *contents: tuple[str, bytes], end: bytes | None = None) -> Path:
    """Return an archive with these members below its top folder."""
    rows = [plain(f"{NAME}/{name}", content) for name, content in contents]
    path.write_bytes(pack(*rows, compression=Compression.GZIP) if end is None else pack(*rows, end=end))
    return path


def folder(path: Path, **contents: bytes) -> Path:
    """Return an unpacked bundle with a facts.json and these members; `__` in a name is a `/`."""
    for name, content in {"facts_json": b"{}", **contents}.items():
        file = path / name.replace("__", "/").replace("_json", ".json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


def test_members_come_in_the_order_of_the_archive_and_each_of_them_cut(tmp_path: Path) -> None:
    bundle = archive(tmp_path / "b", ("a", b"12345"), ("b/c", b"unwanted"), ("b/d", b"1"), ("e", b""))
    assert list(members.read(bundle, ("e", "b/d", "a", "missing"), 3)) == [("a", b"123"), ("b/d", b"1"), ("e", b"")]


def test_an_archive_is_read_no_further_than_the_last_wanted_member(tmp_path: Path) -> None:
    damaged = archive(tmp_path / "b", ("a", b"1"), ("b", b"2"), end=b"\x07" * 1024)
    assert dict(members.read(damaged, ("b", "a"), LIMIT)) == {"a": b"1", "b": b"2"}


def test_of_a_damaged_archive_the_members_before_the_damage_come_and_then_the_error(tmp_path: Path) -> None:
    found: dict[str, bytes] = {}
    with pytest.raises(VerificationFailed):
        found.update(members.read(archive(tmp_path / "b", ("a", b"1"), end=b"\x07" * 1024), ("a", "z"), LIMIT))
    assert found == {"a": b"1"}


def test_members_come_out_of_an_unpacked_bundle_and_out_of_the_folder_around_it(tmp_path: Path) -> None:
    folder(tmp_path / "b", ipmi__sel=b"12345")
    for path in (tmp_path / "b", tmp_path):
        assert dict(members.read(path, ("ipmi/sel", "ipmi", "missing"), 3)) == {"ipmi/sel": b"123"}


def test_a_folder_that_is_no_bundle_or_holds_two_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        members.root_of(tmp_path)
    folder(tmp_path / "one")
    folder(tmp_path / "two")
    with pytest.raises(NotFound) as caught:
        list(members.read(tmp_path, ("facts.json",), LIMIT))
    assert caught.value.code == "no-bundle"


@pytest.mark.parametrize("name", ["../secret", "link", "linked/secret", "x" * 300, "a\0b", "", ".", "pipe"])
def test_no_name_leads_out_of_an_unpacked_bundle(tmp_path: Path, name: str) -> None:
    root = folder(tmp_path / "b")
    (tmp_path / "secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "linked").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    assert dict(members.read(root, (name, str(tmp_path / "secret")), LIMIT)) == {}


@pytest.fixture
def shared() -> Iterator[Path]:
    """Return a folder that everybody may look into, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="bilbs-test-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.parametrize("name", ["shut", "shut/b", "shut/b.tar.zst", "shut/b/facts.json"])
def test_what_another_user_may_not_look_at_is_denied_by_name(shared: Path, name: str) -> None:
    folder(shared / "shut" / "b")
    folder(shared / "shut").chmod(0o700)

    def denied() -> list[str]:
        said = []
        for read in (opening.snapshot, memory.load, lambda path: list(members.read(path, ("facts.json",), LIMIT))):
            try:
                read(shared / name)
            except BilbsError as error:
                said.append(type(error).__name__)
        return said

    by_name = "ConfigProblem" if name.endswith(".json") else "PermissionNeeded"
    assert as_user(65534, denied) == ["PermissionNeeded", by_name, "PermissionNeeded"]


def test_of_a_content_only_so_many_chunks_are_asked_for_as_are_needed() -> None:
    rest = iter([b"abc", b"def", b"ghi"])
    assert reader.first(rest, 4) == b"abcd"
    assert list(rest) == [b"ghi"]
    assert reader.first([b"ab"], 4) == b"ab"


def test_a_file_that_cannot_be_read_is_an_error_by_its_kind(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"x" * 3_000_000)
    assert b"".join(reader.file_chunks(tmp_path / "mine")) == b"x" * 3_000_000
    for path, kind in ((tmp_path / "none", NotFound), (tmp_path, VerificationFailed)):
        with pytest.raises(kind):
            list(reader.file_chunks(path))
