"""The account's zone and public holidays, and where each comes from."""

from __future__ import annotations

import json
import os
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from bilbs_cli import paths
from bilbs_cli.support import holiday_cache, zones
from bilbs_cli.support.zones import account_holidays, account_zone, country_of, with_dates


@pytest.fixture(autouse=True)
def _fresh() -> None:
    holiday_cache.names.cache_clear()


@pytest.mark.parametrize(
    ("given", "setting", "card", "name", "origin"),
    [
        ("Asia/Kathmandu", "Europe/Paris", "UTC", "Asia/Kathmandu", "--tz"),
        (None, "Europe/Paris", "UTC", "Europe/Paris", "support.timezone"),
        (None, None, "America/St_Johns", "America/St_Johns", "the card"),
    ],
)
def test_the_highest_place_that_names_a_zone_wins(
    given: str | None, setting: str | None, card: str, name: str, origin: str
) -> None:
    zone = account_zone(given, setting, card, {})
    assert (zone.name, zone.origin) == (name, origin)


def test_without_one_it_is_that_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/Pacific/Chatham")
    monkeypatch.setattr(zones, "LOCALTIME", link)
    assert account_zone(None, None, "", {}).name == "Pacific/Chatham"
    assert account_zone(None, None, "", {"TZ": ":Asia/Tehran"}).name == "Asia/Tehran"


@pytest.mark.parametrize("tz", ["../../etc/passwd", "CET-1CEST,M3.5.0,M10.5.0/3", "No/Where", "\x1b[31m"])
def test_a_zone_of_the_machine_that_is_none_is_passed_over(
    tz: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zones, "LOCALTIME", tmp_path / "absent")
    found = account_zone(None, None, "", {"TZ": tz})
    assert found.origin != "TZ"


def test_a_name_that_no_machine_knows_says_where_it_was_written() -> None:
    with pytest.raises(ValueError, match="Mars/Olympus \\(the card\\) is no time zone"):
        account_zone(None, None, "Mars/Olympus", {})


def test_the_country_of_a_zone_is_read_from_iana_s_table() -> None:
    found = {name: country_of(name) for name in ("Europe/Paris", "America/New_York", "Europe/Oslo", "UTC", "Etc/GMT+5")}
    assert found == {"Europe/Paris": "FR", "America/New_York": "US", "Europe/Oslo": "NO", "UTC": "", "Etc/GMT+5": ""}


def test_the_tables_of_the_package_serve_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zones, "TZPATH", ())
    assert country_of("Europe/Paris") == "FR"


def test_holidays_are_those_of_the_zone_s_country_unless_a_setting_says_otherwise() -> None:
    paris = account_zone("Europe/Paris", None, "", {})
    own = account_holidays(None, paris)
    assert (own.country, own.origin) == ("FR", "the country of Europe/Paris")
    assert own.in_year(2026)[date(2026, 7, 14)] == "National Day"
    other = account_holidays("US-NY", paris)
    assert date(2026, 7, 4) in other.in_year(2026) or date(2026, 7, 3) in other.in_year(2026)
    assert account_holidays("none", paris).in_year(2026) == {}


def test_a_zone_without_a_country_has_no_holidays_and_says_so() -> None:
    found = account_holidays(None, account_zone("UTC", None, "", {}))
    assert (found.country, found.in_year(2026)) == ("", {})
    assert "belongs to no country" in found.origin


@pytest.mark.parametrize("country", ["XX", "US-ZZ"])
def test_a_country_that_is_not_known_is_refused(country: str) -> None:
    with pytest.raises(ValueError, match="no public holidays are known"):
        account_holidays(country, account_zone("UTC", None, "", {}))


def test_dates_of_the_account_come_on_top() -> None:
    both = with_dates(
        account_holidays("FR", account_zone("UTC", None, "", {})).in_year, frozenset({date(2026, 12, 24)})
    )
    assert both(2026)[date(2026, 12, 24)] == "a date of the account"
    assert date(2026, 12, 25) in both(2026)
    assert date(2026, 12, 24) not in both(2027)


def place() -> Path:
    return paths.state_dir() / "cache" / "holidays" / "FR-2026.json"


def test_what_was_computed_is_kept_and_read_again_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    first = holiday_cache.names("FR", 2026)
    assert place().stat().st_mode & 0o777 == 0o600
    holiday_cache.names.cache_clear()
    monkeypatch.setattr(holiday_cache, "_computed", None)  # to call it would fail
    assert holiday_cache.names("FR", 2026) == first


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"version": "0", "at": 0, "days": {}}', b'{"version": 1, "at": "x", "days": []}', b"\xff\xfe"],
)
def test_a_damaged_or_foreign_cache_is_computed_anew(damage: bytes) -> None:
    good = holiday_cache.names("FR", 2026)
    place().write_bytes(damage)
    holiday_cache.names.cache_clear()
    assert holiday_cache.names("FR", 2026) == good


@pytest.mark.parametrize("age", [-timedelta(days=1), timedelta(days=31)])
def test_an_old_cache_and_one_from_the_future_are_computed_anew(age: timedelta) -> None:
    good = holiday_cache.names("FR", 2026)
    data = json.loads(place().read_bytes()) | {
        "at": int(time.time() - age.total_seconds()),
        "days": {"2026-01-02": "a lie"},
    }
    place().write_text(json.dumps(data))
    holiday_cache.names.cache_clear()
    assert holiday_cache.names("FR", 2026) == good


def test_a_state_folder_that_cannot_be_written_costs_only_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BILBS_STATE_DIR", str(tmp_path / "file" / "below"))
    assert date(2026, 7, 14) in holiday_cache.names("FR", 2026)
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - the names are all that matters
