"""Where things are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bilbs_cli import paths
from tests.people import as_user


def test_the_state_folder_named_by_the_environment_wins_and_is_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.state_dir({"BILBS_STATE_DIR": "here", "HOME": "/home/x"}) == tmp_path / "here"


def test_root_keeps_its_state_in_var_lib_whatever_home_says() -> None:
    assert as_user(0, lambda: str(paths.state_dir({"HOME": "/home/x"}))) == "/var/lib/bilbs"


@pytest.mark.parametrize(
    ("env", "place"),
    [
        ({"HOME": "/home/x"}, "/home/x/.local/state/bilbs"),
        ({"HOME": "/home/x", "XDG_STATE_HOME": "/state"}, "/state/bilbs"),
        ({"HOME": "/home/x", "XDG_STATE_HOME": "relative"}, "/home/x/.local/state/bilbs"),
        ({}, "/var/tmp/bilbs-12345"),
        ({"HOME": ""}, "/var/tmp/bilbs-12345"),
        ({"HOME": "relative"}, "/var/tmp/bilbs-12345"),
    ],
)
def test_a_user_keeps_state_in_xdg_folders_and_without_a_home_below_var_tmp(env: dict[str, str], place: str) -> None:
    assert as_user(12345, lambda: str(paths.state_dir(env))) == place


@pytest.mark.parametrize(
    ("env", "place"),
    [
        ({"HOME": "/home/x"}, Path("/home/x/.config/bilbs/config.toml")),
        ({"HOME": "/home/x", "XDG_CONFIG_HOME": "/conf"}, Path("/conf/bilbs/config.toml")),
        ({}, None),
    ],
)
def test_the_settings_of_a_user_need_a_home(env: dict[str, str], place: Path | None) -> None:
    assert paths.user_config(env) == place


def test_no_folder_is_made_by_asking_for_it() -> None:
    place = paths.state_dir(os.environ)
    assert not place.exists()
