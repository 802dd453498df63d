"""Names of bundles and members, from hosts and files that may be called anything."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.bundle.naming import bundle_name, freed_name, member_name, parents, safe_path

NOW = datetime(2026, 11, 21, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("gpu07", "gpu07"),
        ("gpu07.rack-3.example.net", "gpu07.rack-3.example.net"),
        ("../../etc/cron.d/x", "etc_cron.d_x"),
        ("a b\x1b]0;owned\x07", "a_b_0_owned"),
        ("büro-ÄÖ", "b_ro"),
        ("-rf", "rf"),
        (".hidden", "hidden"),
        ("", "box"),
        ("日本", "box"),
        ("x" * 300, "x" * 63),
    ],
)
def test_a_bundle_is_named_after_host_time_and_id_in_harmless_letters(host: str, shown: str) -> None:
    assert bundle_name(host, NOW, "a1b2c3") == f"bilbs-diag-{shown}-20261121T033000Z-a1b2c3"


def test_the_time_in_a_name_is_utc() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=-5)))
    assert bundle_name("x", local, "1") == bundle_name("x", NOW, "1")


def test_two_bundles_of_one_second_have_two_names() -> None:
    assert len({bundle_name("x", NOW) for _ in range(50)}) > 45


@given(st.text(max_size=80))
def test_no_host_leads_out_of_the_folder(host: str) -> None:
    assert re.fullmatch(r"bilbs-diag-[A-Za-z0-9][A-Za-z0-9._-]*-20261121T033000Z-[0-9a-f]{6}", bundle_name(host, NOW))


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("gpu/nvidia-smi.xml", "gpu/nvidia-smi.xml"),
        ("/var/log/kern.log", "var/log/kern.log"),
        ("kernel/../../../etc/passwd", "kernel/%2E%2E/%2E%2E/%2E%2E/etc/passwd"),
        ("a//b/./c/", "a/b/c"),
        ("log/\x1b[31mred\n", "log/%1B[31mred%0A"),
        ("log/\u202egol.exe", "log/%E2%80%AEgol.exe"),
        ("log/caf\udce9", "log/caf%E9"),
        ("log/\ud800", "log/%ED%A0%80"),
        ("", "unnamed"),
        ("///", "unnamed"),
        ("日本/é.log", "日本/é.log"),
        ("sys/0000:3b:00.0/a b=c,d", "sys/0000:3b:00.0/a b=c,d"),
    ],
)
def test_member_names_lead_nowhere_else_and_obey_no_terminal(name: str, safe: str) -> None:
    assert member_name(name) == safe


@given(st.text(max_size=400).map(lambda text: text * 5))
def test_a_safe_name_is_short_printable_relative_and_stays_as_it_is(name: str) -> None:
    made = member_name(name)
    assert made.isprintable()
    assert not made.startswith("/")
    assert ".." not in made.split("/")
    assert "" not in made.split("/")
    assert len(made.encode()) <= 900
    assert made.count("/") < 30
    assert all(len(part.encode()) <= 201 for part in made.split("/"))
    assert safe_path(made) == made


def test_a_deep_path_loses_folders_after_its_first() -> None:
    made = member_name("system/" + "/".join(f"d{number}" for number in range(40)) + "/state")
    assert made == "system/" + "/".join(f"d{number}" for number in range(12, 40)) + "/state"


def test_a_long_name_keeps_its_end_and_its_folder() -> None:
    made = member_name("kernel/" + "d/" * 600 + "x" * 300 + ".log.1")
    assert made.startswith("kernel/d/")
    assert made.endswith("x.log.1")


@pytest.mark.parametrize(
    ("name", "taken", "made"),
    [
        ("a/b", [], "a/b"),
        ("a/b", ["a/b"], "a/b.2"),
        ("a/b", ["a/b", "a/b.2"], "a/b.3"),
        ("a", ["a/b"], "a.2"),
        ("a/b/c", ["a/b"], "a/b_c"),
        ("a/b/c", ["a"], "a_b/c"),
        ("a/b/c", ["a/b", "a/b_c"], "a/b_c.2"),
        ("a/b/c", ["a", "a_b"], "a_b_c"),
    ],
)
def test_a_taken_name_or_folder_gives_way(name: str, taken: list[str], made: str) -> None:
    folders = {folder for one in taken for folder in parents(one)}
    assert freed_name(name, set(taken), folders) == made
