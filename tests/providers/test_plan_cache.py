"""What is kept of a provider file is used while the file stays the same, and never else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bilbs_cli import paths
from bilbs_cli.errors import ConfigProblem
from bilbs_cli.providers import loading, plan_cache, schema

SOURCE = Path(loading.__file__).parent


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a provider file of the user."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "bilbs" / "providers.d" / "acme.toml"
    path.parent.mkdir(parents=True)
    path.write_text((SOURCE / "controlplane.toml").read_text().replace('"controlplane"', '"acme"'))
    return path


def kept() -> list[Path]:
    return list((paths.state_dir() / "cache" / "plans").glob("acme-*.json"))


def test_a_plan_that_is_kept_is_not_parsed_again_and_is_the_same(acme: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = loading.load("acme")
    assert [path.stat().st_mode & 0o777 for path in kept()] == [0o600]
    monkeypatch.setattr(schema, "parsed", None)  # to call it would fail
    assert loading.load("acme") == first


def test_every_built_in_plan_is_the_same_from_its_copy() -> None:
    for name in ("bilbs", "aethel", "aetherlink", "briqmind", "controlplane"):
        assert loading.load(name) == loading.load(name)
        assert plan_cache.read(SOURCE / f"{name}.toml") is not None


def test_a_file_that_was_changed_is_parsed_anew(acme: Path) -> None:
    loading.load("acme")
    times = acme.stat()
    acme.write_text(acme.read_text().replace('limit = "8h"', 'limit = "9h"'))  # of the same length
    os.utime(acme, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    assert "9h" in [one.limit.text for one in loading.load("acme").targets]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"of": 1, "data": {}}', b"\xff"])
def test_a_damaged_copy_is_made_anew(acme: Path, damage: bytes) -> None:
    good = loading.load("acme")
    kept()[0].write_bytes(damage)
    assert loading.load("acme") == good
    assert json.loads(kept()[0].read_bytes())["data"]["id"] == "acme"


def test_a_copy_that_the_schema_no_longer_takes_is_passed_over(acme: Path) -> None:
    good = loading.load("acme")
    copy = json.loads(kept()[0].read_bytes())
    copy["data"]["schema"] = 0
    kept()[0].write_text(json.dumps(copy))
    assert loading.load("acme") == good


def test_a_broken_file_is_not_kept_and_names_its_line_each_time(acme: Path) -> None:
    acme.write_text(acme.read_text().replace('limit = "8h"', 'limit = "8x"'))
    for _ in range(2):
        with pytest.raises(ConfigProblem, match=r"acme\.toml:\d+: targets\[2\]\.limit"):
            loading.load("acme")
    assert kept() == []


def test_a_plan_with_dates_is_parsed_each_time(acme: Path) -> None:
    acme.write_text(acme.read_text().replace('holidays = "account"', 'holidays = "account"\nclosed = [2026-12-24]'))
    assert loading.load("acme") == loading.load("acme")
    assert kept() == []


def test_a_state_folder_that_cannot_be_written_costs_only_the_copy(
    acme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BILBS_STATE_DIR", str(tmp_path / "file" / "below"))
    assert loading.load("acme").id == "acme"
