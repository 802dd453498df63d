"""A provider file that is wrong is named with file, line and key; no file brings anything else."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.errors import ConfigProblem, NotFound
from bilbs_cli.providers import checks, loading
from bilbs_cli.providers.limits import parse_hours, parse_limit
from bilbs_cli.providers.reading import Problem
from bilbs_cli.providers.schema import Broken, parse
from bilbs_cli.support.sla import events_file
from bilbs_cli.support.sla.history import TYPES

SOURCE = Path(loading.__file__).parent
TEXT = (SOURCE / "bilbs.toml").read_text(encoding="utf-8")
LINES = TEXT.split("\n")


def broken(text: str) -> list[str]:
    with pytest.raises(Broken) as caught:
        parse(text, "acme.toml")
    return [str(one) for one in caught.value.problems]


def with_line(old: str, new: str, nth: int = 1) -> tuple[str, int]:
    """Return the text with the nth line that begins with `old` replaced, and the number of that line."""
    at = [number for number, line in enumerate(LINES) if line.startswith(old)][nth - 1]
    return "\n".join([*LINES[:at], new, *LINES[at + 1 :]]), at + 1


@pytest.mark.parametrize(
    ("old", "new", "nth", "key", "said"),
    [
        ("schema = 1", "schema = 2", 1, "schema", "expected 1"),
        ("id = ", 'id = "Bilbs Inc"', 1, "id", "is no id"),
        ("name = ", "name = 3", 1, "name", "expected a text, found a number"),
        ("default_severity", 'default_severity = "sve3"', 1, "default_severity", "did you mean sev3"),
        ('metric = "first', 'metric = "frist_response"', 3, "targets[3].metric", "did you mean first_response"),
        ('limit = "1h"', 'limit = "1hour"', 2, "targets[6].limit", "is no limit"),
        ('calendar = "business"', 'calendar = "bussines"', 2, "targets[3].calendar", "did you mean business"),
        ("role = ", 'role = "max"', 1, "targets[4].role", "known: target, outer"),
        ("start = ", 'start = "solved"', 1, "targets[8].start", "did you mean resolved"),
        ("pause = ", 'pause = ["lunch"]', 2, "targets[8].pause", "known: waiting_customer"),
        ("when = { kind", 'when = { kid = "hardware" }', 1, "targets[6].when.kid", "unknown key; did you mean kind?"),
        ("when = { kind", 'when = "hardware"', 1, "targets[6].when", "expected a table, found a text"),
        ("hours = ", 'hours = "Mon-Fri 9-17"', 2, "calendars.business.hours", "is no window"),
        ("zone = ", 'zone = "Mars/Olympus"', 1, "calendars.business.zone", "is no time zone"),
        ("holidays = ", 'holidays = "France"', 1, "calendars.business.holidays", "a country such as US"),
        (
            "self_service = ",
            'self_service = "yes"',
            1,
            "tiers.mini.self_service",
            "expected true or false, found a text",
        ),
        ("amount = 4", "amount = -4", 1, "tiers.pro.includes.consulting.amount", "expected a number from 0"),
        ("per = ", 'per = "fortnight"', 1, "tiers.mini.includes.consulting.per", "known: month, quarter"),
        ("card = ", 'card = "fax"', 1, "channels.slack.card", "known: pager, slack, email"),
        ("value = 30", "value = []", 1, "terms.review.value", "expected a number or a text"),
        ("assumed = ", "assumed = 3", 1, "calendars.business.assumed", "expected true, or a list of keys"),
        ("ask = ", 'aks = "?"', 1, "severities.sev1.aks", "unknown key; did you mean ask?"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_its_key(old: str, new: str, nth: int, key: str, said: str) -> None:
    text, line = with_line(old, new, nth)
    found = next((one for one in broken(text) if one.startswith(f"acme.toml:{line}: {key}: ")), None)
    assert found, broken(text)
    assert said in found


def test_a_name_that_means_two_levels_is_named_at_the_second() -> None:
    text, _ = with_line("aliases = ", 'aliases = ["SEV-2"]', 1)
    header = text.split("\n").index("[severities.sev2]") + 1
    assert broken(text) == [f"acme.toml:{header}: severities.sev2: sev2 means sev1 as well"]


def test_a_missing_key_is_named_at_its_table() -> None:
    text, line = with_line('clause = "< 4 h', "", 1)
    header = max(number for number, one in enumerate(text.split("\n")[:line], 1) if one == "[[targets]]")
    assert broken(text) == [f"acme.toml:{header}: targets[2].clause: missing"]


def test_a_limit_that_counts_needs_a_calendar() -> None:
    text, _ = with_line('calendar = "always"', "", 1)
    assert "targets[1].calendar: missing: a limit of 1h counts on one of always, business" in broken(text)[0]


def test_days_of_different_length_need_to_say_what_a_business_day_is_worth() -> None:
    text, _ = with_line("hours = ", 'hours = ["Mon-Thu 09:00-17:00", "Fri 09:00-12:00"]', 2)
    assert "its days differ in length" in broken(text)[0]
    good = text.replace('name = "business hours"', 'name = "business hours"\nbusiness_day = "8h"')
    assert parse(good, "acme.toml").calendar("business").day_s == 8 * 3600


def test_grammar_that_is_no_toml_is_named_with_its_line() -> None:
    assert broken('schema = 1\nid = "x\n') == ["acme.toml:2: TOML: Illegal character '\\n'"]
    assert len(broken("x = " + "[" * 5000)) == 1


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = TEXT.replace('limit = "4h"', 'limit = "4x"').replace('metric = "rca"', 'metric = "rac"')
    lines = [int(re.match(r"acme.toml:(\d+)", one)[1]) for one in broken(text)]  # type: ignore[index]
    assert len(lines) == 4
    assert lines == sorted(lines)


@given(st.data())
def test_no_damage_brings_anything_but_problems_with_lines_that_exist(data: st.DataObject) -> None:
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "double", "swap", "cut", "noise"])):
            case "drop":
                lines[at] = ""
            case "double":
                lines.insert(at, lines[at])
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "cut":
                lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
            case "noise":
                lines[at] += data.draw(st.text(max_size=5))
    text = "\n".join(lines)
    problems: tuple[Problem, ...] = ()
    try:
        parse(text, "acme.toml")
    except Broken as error:
        problems = error.problems
    assert all(0 <= one.line <= text.count("\n") + 1 for one in problems)


@given(st.text(max_size=20))
def test_no_limit_and_no_hours_bring_anything_but_a_reason(text: str) -> None:
    for read in (parse_limit, lambda one: parse_hours([one])):
        try:
            read(text)
        except ValueError as error:
            assert "write" in str(error)  # noqa: PT017 - the message is the point


@pytest.mark.parametrize(
    "text", ["0h", "1.5h", "1,5h", "h", "100000h", "0 business days", "101 %", "0 %", "event:", "4 h ", "\u0661h"]
)
def test_what_is_nearly_a_limit_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no limit"):
        parse_limit(text)


@pytest.mark.parametrize(
    "text",
    [
        "Mon-Fri",
        "Fri-Mon 09:00-17:00",
        "Mon 17:00-09:00",
        "Mon 09:00-24:01",
        "Mon 09:00-10:00,09:30-11:00",
        "Mon 9:00-17:00",
        "mon 09:00-17:00",
        "Mon-Fri 09:60-10:00",
        "25x7",
    ],
)
def test_what_are_nearly_hours_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"hours|window|week|overlap"):
        parse_hours([text])


# --- loading ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "bilbs" / "providers.d"
    path.mkdir(parents=True)
    return path


def test_a_file_must_bear_the_name_of_its_plan(folder: Path) -> None:
    (folder / "acme.toml").write_text(TEXT)
    with pytest.raises(ConfigProblem, match=r"acme.toml: id: bilbs in a file named acme.toml"):
        loading.load("acme")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"# " + b"x" * (2 << 20)])
def test_a_file_that_is_no_text_is_a_problem_of_its_own(folder: Path, content: bytes) -> None:
    (folder / "acme.toml").write_bytes(content)
    with pytest.raises(ConfigProblem, match=r"acme\.toml") as caught:
        loading.load("acme")
    assert caught.value.next.endswith("acme.toml")
    assert loading.load("bilbs").id == "bilbs"


def test_a_fifo_among_the_files_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "acme.toml")
    with pytest.raises(ConfigProblem, match="a FIFO"):
        loading.load("acme")


def test_an_unknown_plan_names_the_nearest() -> None:
    with pytest.raises(NotFound, match="no support plan aetherlnk; did you mean aetherlink"):
        loading.load("aetherlnk")


def test_no_level_tier_or_number_of_a_plan_stands_in_the_code() -> None:
    plans = [loading.read(one) for one in loading.found(env={})]
    names = {one.id for plan in plans for one in plan.severities} | {one.id for plan in plans for one in plan.tiers}
    names -= {"box", "high", "low", "normal", "critical", "medium"}  # words of the field, too
    amounts = {f"{price.amount:g}" for plan in plans for tier in plan.tiers for price in tier.prices if price.amount}
    features = ("support", "plan")
    code = [*SOURCE.glob("*.py"), *(path for name in features for path in SOURCE.parent.joinpath(name).rglob("*.py"))]
    code = [path for path in code if path.name != "api.py"]  # 400 and 500 are statuses of HTTP there
    for path in code:
        text = re.sub(r'"""(?:.|\n)*?"""|#.*|help=("[^"]*"|\'[^\']*\')', "", path.read_text())
        for word in names | amounts:
            assert not re.search(rf'["\']{re.escape(word)}["\']|(?<![\w.]){re.escape(word)}(?![\w.])', text), (
                path.name,
                word,
            )


# --- what grammar does not see ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bilbs", "aethel", "briqmind", "controlplane"])
def test_the_built_in_plans_have_nothing_odd(name: str) -> None:
    assert checks.warnings(loading.load(name, env={})) == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('role = "outer"', "", "sev3 mini: two targets for first_response, 4h and 1 business day"),
        (
            'limit = "1 business day"',
            'limit = "2h"',
            "the outer limit for first_response, 2h, is stricter than its target, 4h",
        ),
        (
            'when = { severity = "sev4" }',
            'when = { severity = "sev4", tier = "pro" }',
            "sev4 mini: nothing is said about the first response",
        ),
        (
            "[calendars.business]",
            '[calendars.spare]\nname = "s"\nhours = "24x7"\nsource = "s"\n[calendars.business]',
            "the calendar spare is never used",
        ),
    ],
)
def test_what_is_odd_in_good_grammar_is_told(old: str, new: str, said: str) -> None:
    found = checks.warnings(parse(TEXT.replace(old, new, 1), "acme.toml"))
    assert any(said in one for one in found), found


def test_the_example_of_the_documents_is_a_good_plan_without_anything_odd() -> None:
    page = Path(__file__).parents[2].joinpath("docs/providers.md").read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    plan = parse(example, "acme.toml")
    assert checks.warnings(plan) == ()
    assert plan.calendar("office").day_s == 8 * 3600


def test_the_events_of_the_documents_are_read() -> None:
    page = Path(__file__).parents[2].joinpath("docs/providers.md").read_text(encoding="utf-8")
    story = events_file.parse(page.split("```json\n")[1].split("```")[0], "docs", loading.load("bilbs", env={}))[""]
    assert [one.type for one in story.events] == ["acknowledged", "waiting", "resumed", "severity"]
    named = page.split("Types: `")[1].split("`")[0].split()
    assert named == list(TYPES)
