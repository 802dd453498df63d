"""`bilbs support sla` as a whole process: the worked examples of the plan, explain, simulate, attainment, calendars."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Bilbs, Ended

PARIS = ("--tz", "Europe/Paris", "--country", "none")
NOW = ("--now", "2026-11-29T12:00:00Z")  # the Sunday after the examples


def targets(ended: Ended) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the targets by metric and role; there must be one of each."""
    found = ended.json["data"]["targets"]
    by_name = {(one["metric"], one["role"]): one for one in found}
    assert len(by_name) == len(found)
    return by_name


# --- the four examples of §04 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opened", "severity", "kind", "wanted"),
    [
        ("Mon 10:14 AM", "sev3", None, {("first_response", "target"): "2026-11-23T14:14:00+01:00", ("first_response", "outer"): "2026-11-24T10:14:00+01:00"}),
        ("Sat 3:30 AM", "sev1", None, {("first_response", "target"): "2026-11-28T04:30:00+01:00"}),
        ("Tue 11:47 PM", "sev3", None, {("first_response", "target"): "2026-11-25T13:00:00+01:00", ("first_response", "outer"): "2026-11-25T17:00:00+01:00"}),
        (
            "Thu 9:03 AM",
            "sev2",
            "hardware",
            {
                ("first_response", "target"): "2026-11-26T13:03:00+01:00",
                ("rma_filed", "target"): "2026-11-26T13:03:00+01:00",
                ("engineer_open", "target"): "2026-11-26T10:03:00+01:00",
            },
        ),
    ],
)  # fmt: skip
def test_the_worked_examples_of_the_plan_are_exact(
    bilbs: Bilbs, opened: str, severity: str, kind: str | None, wanted: dict[tuple[str, str], str]
) -> None:
    flags = ["--kind", kind] if kind else []
    ended = bilbs("support", "sla", "--severity", severity, "--opened", opened, *flags, *PARIS, *NOW, "--json")
    found = targets(ended)
    assert {key: found[key]["due_local"] for key in wanted} == wanted
    simulated = bilbs(
        "support", "sla", "simulate", opened, "-s", severity, *flags, *PARIS, "--now", "2026-11-22T12:00:00Z", "--json"
    )
    assert {key: targets(simulated)[key]["due_local"] for key in wanted} == wanted


def test_the_names_that_others_build_on(bilbs: Bilbs) -> None:
    ended = bilbs("support", "sla", "--severity", "P1", "--opened", "Sat 03:30", *PARIS, *NOW, "--json")
    document = ended.json
    assert (document["schema_version"], document["kind"]) == (1, "support.sla")
    first = document["data"]["targets"][0]
    assert (
        first
        | {
            "metric": "first_response",
            "due_at": "2026-11-28T03:30:00Z",
            "role": "target",
            "limit": "1h",
            "calendar": "always",
            "state": "breached",
            "source": "§02 Severity definitions",
            "assumed": False,
            "severity": "sev1",
        }
        == first
    )
    assert document["data"]["zone"] == {"name": "Europe/Paris", "origin": "--tz"}


@pytest.mark.parametrize("name", ["sev2", "SEV-2", "p2", "High", "level 2", "2", "s2"])
def test_a_severity_has_many_names(bilbs: Bilbs, name: str) -> None:
    assert bilbs("support", "sla", "-s", name, *PARIS, "--json").json["data"]["severity"] == "sev2"


@pytest.mark.parametrize(
    ("provider", "tier", "severity", "limit"),
    [
        ("briqmind", None, "p1", "15min"),
        ("aetherlink", "Standard", "critical", "8h"),
        ("controlplane", None, "level1", "4h"),
        ("aethel", "enterprise", "critical", "15min"),
        ("AETHEL", "professional", "sev4", "48h"),
    ],
)
def test_every_plan_answers(bilbs: Bilbs, provider: str, tier: str | None, severity: str, limit: str) -> None:
    flags = ["--tier", tier] if tier else []
    ended = bilbs("support", "sla", "--provider", provider, *flags, "-s", severity, *PARIS, "--json")
    assert targets(ended)["first_response", "target"]["limit"] == limit


# --- what is asked in the wrong way -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (["-s", "sve1"], 5, "did you mean sev1"),
        (["--provider", "aethl"], 5, "did you mean aethel"),
        (["--provider", "aetherlink"], 2, "depend on the tier: enterprise, professional, starter"),
        (["--tier", "huge"], 5, "has no tier huge"),
        (["--kind", "hardwear"], 2, "one of software, hardware"),
        (["--channel", "fax"], 2, "one of slack, pager, email"),
        (["--tz", "Mars/Olympus"], 2, "no time zone"),
        (["--country", "XX"], 2, "no public holidays are known for XX"),
        (["--opened", "soon"], 2, "is no time"),
        (["--opened", "2030-01-01 10:00"], 2, "is in the future"),
        (["--opened", "2026-03-29 02:30", "--tz", "Europe/Paris"], 2, "does not exist in Europe/Paris"),
        (["--now", "never"], 2, "--now"),
        (["--events", "/nonexistent"], 5, "there is no file /nonexistent"),
        (["--events", "/dev/zero"], 1, "a character device"),
        (["-s", "sev1", "explain"], 2, "options stand behind the word explain"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_right(
    bilbs: Bilbs, flags: list[str], status: int, said: str
) -> None:
    ended = bilbs("support", "sla", *flags)
    assert ended.status == status, ended.stderr
    assert said in ended.stderr
    assert ended.stdout == ""


def test_what_was_assumed_about_the_question_is_said(bilbs: Bilbs) -> None:
    ended = bilbs("support", "sla", *PARIS)
    assert "no severity was given: Sev-3" in ended.stderr
    assert "as if it were opened now" in ended.stderr
    told = bilbs("support", "sla", "-s", "sev1", "--opened", "Sat 03:30", *PARIS, *NOW)
    assert "no --events: as if nobody had answered" in told.stderr


# --- settings ---------------------------------------------------------------------------------------------------------


def test_zone_country_holidays_provider_and_tier_come_from_the_settings(bilbs: Bilbs, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[support]\nprovider = "aetherlink"\ntier = "professional"\ntimezone = "America/New_York"\ncountry = "US"\nholidays = [2026-11-30]\n'
    )
    found = bilbs("support", "sla", "-s", "high", "--json", env={"BILBS_CONFIG": str(path)}).json["data"]
    assert (found["provider"]["id"], found["tier"]) == ("aetherlink", "professional")
    assert found["holidays"] == {"country": "US", "origin": "support.country"}
    other = bilbs(
        "support",
        "sla",
        "-s",
        "sev2",
        "--provider",
        "bilbs",
        "--opened",
        "2026-11-25 16:00",
        "--now",
        "2026-12-02T00:00:00Z",
        "--json",
        env={"BILBS_CONFIG": str(path)},
    )
    assert other.json["data"]["tier"] is None  # the tier of the settings belongs to their provider
    # Thanksgiving is Thu 26, the account is closed on Mon 30: one hour on Wed, three on Fri
    assert targets(other)["first_response", "target"]["due_local"] == "2026-11-27T12:00:00-05:00"


def test_a_holiday_is_skipped_and_named_in_the_explanation(bilbs: Bilbs) -> None:
    ended = bilbs(
        "support",
        "sla",
        "explain",
        "-s",
        "sev3",
        "--opened",
        "2026-12-24 16:00",
        "--tz",
        "Europe/Paris",
        "--now",
        "2026-12-29T12:00:00Z",
    )
    assert "Christmas Day" in ended.stdout
    assert "so due Mon 28 Dec 2026 12:00 CET" in ended.stdout


def test_the_card_s_zone_counts_when_nothing_else_says_one(bilbs: Bilbs) -> None:
    bilbs("support", "card", "set", "--zone", "Asia/Kathmandu")
    found = bilbs("support", "sla", "-s", "sev1", "--json").json["data"]["zone"]
    assert found == {"name": "Asia/Kathmandu", "origin": "the card"}


# --- events -----------------------------------------------------------------------------------------------------------

STORY = [
    {"at": "2026-11-23T09:14:00Z", "type": "opened", "severity": "sev3"},
    {"at": "2026-11-23T09:15:00Z", "type": "acknowledged", "by": "automatic"},
    {"at": "2026-11-23T12:00:00Z", "type": "severity", "by": "customer", "to": "sev1"},
    {"at": "2026-11-23T12:10:00Z", "type": "severity", "by": "engineer", "to": "sev4"},
]


def events(tmp_path: Path, story: list[dict[str, str]]) -> str:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in story))
    return str(path)


def test_an_automatic_acknowledgement_fulfils_nothing_and_the_vendor_lowers_nothing_before_a_look(
    bilbs: Bilbs, tmp_path: Path
) -> None:
    path = events(tmp_path, STORY)
    found = bilbs("support", "sla", "--events", path, *PARIS, "--now", "2026-11-23T12:30:00Z", "--json").json["data"]
    shown = [
        (one["severity"], one["metric"], one["due_at"], one["state"])
        for one in found["targets"]
        if one["metric"] == "first_response"
    ]
    assert shown == [
        # raised at 13:00: its hour begins then, unless the milder promise, which goes on, is due earlier
        ("sev1", "first_response", "2026-11-23T13:00:00Z", "running"),
    ]
    late = bilbs("support", "sla", "--events", path, *PARIS, "--now", "2026-11-23T14:00:00Z", "--exit-status")
    assert late.status == 3
    assert "BREACHED, 1 h late" in late.stdout
    looked = [*STORY, {"at": "2026-11-23T12:40:00Z", "type": "responded", "by": "engineer"}]
    path = events(tmp_path, looked)
    ended = bilbs(
        "support", "sla", "--events", path, *PARIS, "--now", "2026-11-23T14:00:00Z", "--json", "--exit-status"
    )
    assert ended.status == 0
    assert ended.json["data"]["targets"][0]["severity"] == "sev4"  # from the look on, the vendor's word counts


def test_waiting_on_you_outside_hours_and_paused_are_told_apart(bilbs: Bilbs, tmp_path: Path) -> None:
    story = [{"at": "2026-11-26T08:03:00Z", "type": "opened", "severity": "sev2", "kind": "hardware"}]
    said = {
        "waiting_on_you": [{"at": "2026-11-26T08:10:00Z", "type": "waiting", "on": "customer"}],
        "paused": [{"at": "2026-11-26T08:10:00Z", "type": "waiting", "on": "third_party"}],
        "running": [],
    }
    for state, more in said.items():
        ended = bilbs(
            "support",
            "sla",
            "--events",
            events(tmp_path, story + more),
            *PARIS,
            "--now",
            "2026-11-26T08:30:00Z",
            "--json",
        )
        found = targets(ended)
        assert found["rma_filed", "target"]["state"] == state
        assert found["first_response", "target"]["state"] == "running"  # no one waits for you before they have answered
        assert found["rma_filed", "target"]["provisional"] is (state != "running")
    night = [{"at": "2026-11-26T20:00:00Z", "type": "opened", "severity": "sev2"}]
    ended = bilbs(
        "support", "sla", "--events", events(tmp_path, night), *PARIS, "--now", "2026-11-26T21:00:00Z", "--json"
    )
    assert targets(ended)["first_response", "target"]["state"] == "outside_hours"


def test_events_come_from_stdin_too_and_one_of_many_tickets_is_named(bilbs: Bilbs, tmp_path: Path) -> None:
    two = [one | {"ticket": name} for name in ("BB-1", "BB-2") for one in STORY[:1]]
    text = "".join(f"{json.dumps(one)}\n" for one in two)
    ended = bilbs("support", "sla", "--events", "-", *PARIS, *NOW, stdin=text)
    assert (ended.status, "holds 2 tickets" in ended.stderr, "--ticket BB-1" in ended.stderr) == (2, True, True)
    assert bilbs("support", "sla", "--events", "-", "--ticket", "BB-2", *PARIS, *NOW, stdin=text).status == 0


def test_a_mistake_in_the_events_is_named_with_its_line(bilbs: Bilbs, tmp_path: Path) -> None:
    path = events(tmp_path, [*STORY, {"at": "2026-11-23T12:40:00Z", "type": "answered"}])
    ended = bilbs("support", "sla", "--events", path, *PARIS)
    assert (ended.status, f"{path}:5.type: no event answered" in ended.stderr) == (2, True)


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["40", "80"])
@pytest.mark.parametrize(
    "command", [["sla"], ["sla", "explain"], ["contacts"], ["severity"], ["providers", "show", "aethel"], ["card"]]
)
def test_every_page_fits_its_width_and_has_no_colour(bilbs: Bilbs, command: list[str], columns: str) -> None:
    flags = ["-s", "sev1", "--kind", "hardware", "--opened", "Sat 03:30", *PARIS, *NOW] if command[0] == "sla" else []
    ended = bilbs("support", *command, *flags, env={"COLUMNS": columns, "LC_ALL": "C.UTF-8"})
    assert ended.status == 0
    assert "\x1b" not in ended.stdout
    too_long = [line for line in ended.stdout.split("\n") if len(line) > int(columns) and len(line.split()) > 2]
    assert columns == "40" or not too_long
    assert len(ended.stdout.split("\n")) > 5


def test_the_explanation_adds_up_line_by_line(bilbs: Bilbs) -> None:
    ended = bilbs("support", "sla", "explain", "-s", "sev3", "--opened", "Fri 16:00", *PARIS, *NOW)
    first = ended.stdout.split("\n\n")[1]
    assert "Fri 27 Nov 16:00 - Fri 27 Nov 17:00  + 1 h, counted 1 h of 4 h" in first
    assert "Fri 27 Nov 17:00 - Mon 30 Nov 09:00  2 d 16 h outside hours" in first
    assert "Mon 30 Nov 09:00 - Mon 30 Nov 12:00  + 3 h, counted 4 h of 4 h" in first
    assert "so due Mon 30 Nov 2026 12:00 CET" in first


def test_the_night_of_an_hour_less_costs_nobody_an_hour(bilbs: Bilbs) -> None:
    ended = bilbs(
        "support",
        "sla",
        "-s",
        "sev1",
        "--opened",
        "2026-03-29 01:30",
        *PARIS,
        "--now",
        "2026-03-30T00:00:00Z",
        "--json",
    )
    assert targets(ended)["first_response", "target"]["due_local"] == "2026-03-29T03:30:00+02:00"


def test_hostile_words_of_a_plan_reach_the_terminal_made_visible(bilbs: Bilbs) -> None:
    folder = Path(os.environ["HOME"], ".config", "bilbs", "providers.d")
    folder.mkdir(parents=True)
    text = Path(__file__).parents[2].joinpath("src/bilbs_cli/providers/controlplane.toml").read_text()
    text = text.replace('id = "controlplane"', 'id = "evil"').replace("Level 1 - Urgent: 4", "\\u001b]0;owned\\u0007 4")
    (folder / "evil.toml").write_text(text)
    for command in (["sla", "-s", "sev1"], ["providers", "show", "evil"], ["severity"]):
        flags = ["--provider", "evil"] if command[0] != "providers" else []
        ended = bilbs("support", *command, *flags)
        assert ended.status == 0
        assert "\x1b" not in ended.stdout + ended.stderr


# --- calendar files ---------------------------------------------------------------------------------------------------


def unfolded(data: str) -> list[str]:
    return data.replace("\r\n ", "").split("\r\n")


def test_the_due_times_go_into_a_calendar_file(bilbs: Bilbs, tmp_path: Path) -> None:
    path = tmp_path / "due.ics"
    ended = bilbs(
        "support",
        "sla",
        "simulate",
        "2026-11-24 23:47",
        "-s",
        "sev3",
        *PARIS,
        "--now",
        "2026-11-20T00:00:00Z",
        "--ics",
        str(path),
    )
    assert "wrote 2 due times" in ended.stderr
    data = path.read_bytes().decode()
    assert all(len(line.encode()) <= 75 for line in data.split("\r\n"))
    lines = unfolded(data)
    assert lines[0] == "BEGIN:VCALENDAR"
    assert [line for line in lines if line.startswith("DTSTART")] == [
        "DTSTART:20261125T120000Z",
        "DTSTART:20261125T160000Z",
    ]
    assert len({line for line in lines if line.startswith("UID")}) == 2
    assert lines.count("TRIGGER:-PT15M") == 2
    again = tmp_path / "again.ics"
    bilbs(
        "support",
        "sla",
        "simulate",
        "2026-11-24 23:47",
        "-s",
        "sev3",
        *PARIS,
        "--now",
        "2026-11-21T00:00:00Z",
        "--ics",
        str(again),
    )
    assert [line for line in unfolded(again.read_bytes().decode()) if line.startswith("UID")] == [
        line for line in lines if line.startswith("UID")
    ]
    piped = bilbs(
        "support",
        "sla",
        "simulate",
        "2026-11-24 23:47",
        "-s",
        "sev3",
        *PARIS,
        "--now",
        "2026-11-20T00:00:00Z",
        "--ics",
        "-",
    )
    assert piped.stdout.startswith("BEGIN:VCALENDAR")


def test_what_is_met_is_not_in_the_calendar(bilbs: Bilbs, tmp_path: Path) -> None:
    story = [STORY[0], {"at": "2026-11-23T09:20:00Z", "type": "responded", "by": "engineer"}]
    ended = bilbs(
        "support", "sla", "--events", events(tmp_path, story), *PARIS, "--now", "2026-11-23T10:00:00Z", "--ics", "-"
    )
    assert "BEGIN:VEVENT" not in ended.stdout


# --- attainment -------------------------------------------------------------------------------------------------------


def month(late: int, in_time: int) -> str:
    lines = []
    for number in range(late + in_time):
        opened = datetime(2026, 11, 2, 10, tzinfo=UTC) + timedelta(hours=number)
        answered = opened + (timedelta(minutes=20) if number < late else timedelta(minutes=10))
        name = f"T{number}"
        lines += [
            {"ticket": name, "at": opened.isoformat(), "type": "opened", "severity": "critical"},
            {"ticket": name, "at": answered.isoformat(), "type": "responded", "by": "engineer"},
        ]
    return "".join(f"{json.dumps(one)}\n" for one in lines)


@pytest.mark.parametrize(("late", "status", "percent"), [(0, 0, 100.0), (1, 3, 99.0)])
def test_the_attainment_of_a_month_is_compared_with_the_promise(
    bilbs: Bilbs, late: int, status: int, percent: float
) -> None:
    flags = [
        "--provider",
        "aethel",
        "--tier",
        "enterprise",
        "--month",
        "2026-11",
        *PARIS,
        "--now",
        "2026-12-01T00:00:00Z",
    ]
    ended = bilbs(
        "support",
        "sla",
        "attainment",
        "--events",
        "-",
        *flags,
        "--exit-status",
        "--json",
        stdin=month(late, 100 - late),
    )
    assert ended.status == status
    data = ended.json["data"]
    assert (data["percent"], data["promised_percent"], data["met"] + data["breached"]) == (percent, 99.9, 100)


def test_a_month_in_which_nothing_came_due_has_no_figure(bilbs: Bilbs) -> None:
    flags = ["--provider", "aethel", "--tier", "enterprise", "--month", "2026-10", *PARIS]
    ended = bilbs("support", "sla", "attainment", "--events", "-", *flags, "--exit-status", stdin=month(1, 1))
    assert (ended.status, "no first response came due" in ended.stdout) == (0, True)
    assert bilbs("support", "sla", "attainment", "--events", "-", "--month", "November", stdin="").status == 2
