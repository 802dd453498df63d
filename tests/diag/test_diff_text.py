"""The page and the JSON of `diag diff`: two boxes first, plain 80 columns, hostile text made visible."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from bilbs_cli import terminal
from bilbs_cli.diag import diff, diff_text
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Box
from bilbs_cli.tables import cells
from tests.diag.judged import checks, dead_gpu, judge
from tests.diag.remembered import NOW, tree


def box(readings: dict[str, Any], days: float = 0, **more: Any) -> Checked:
    return judge(Box(tree(readings), NOW + timedelta(days=days)), **more)


def test_the_page_says_what_changed_from_which_value_to_which_and_where() -> None:
    before = box({"gpu/system/driver_version": "580.105.08"}, source="a.tar.zst")
    after = box({"gpu/system/driver_version": "580.126.09"}, 7, source="b.tar.zst")
    assert diff_text.page(diff.compare(before, after)) == [
        "1 difference over 7.0 days",
        "before  gpu01, 2026-11-21 04:00:00 UTC: a.tar.zst",
        "after   gpu01, 2026-11-28 04:00:00 UTC: b.tar.zst",
        "",
        "Firmware and versions (1)",
        " ~ gpu/system/driver_version",
        "     580.105.08 -> 580.126.09",
        "",
        "~ changed",
        "0 readings compared; 0 are readable in neither and were not compared.".replace("0 readings", "1 readings"),
        "Left out: temperatures, load, clocks, traffic and free memory, unless a",
        "threshold was crossed.",
    ]


def test_two_boxes_stand_on_the_first_line() -> None:
    found = diff.compare(box({}, host="gpu01"), box({}, host="gpu02"))
    assert diff_text.page(found)[0].startswith("TWO DIFFERENT BOXES: host gpu01 and gpu02")


def test_no_difference_is_said_with_what_was_not_compared() -> None:
    lines = diff_text.page(diff.compare(dead_gpu(), dead_gpu()))
    assert lines[0] == "NO DIFFERENCE in what could be compared"
    assert any("readable in neither" in line for line in lines)


def test_a_long_group_ends_with_its_number() -> None:
    before = {f"kernel/settings/vm/s{number}": 1 for number in range(500)}
    lines = diff_text.page(diff.compare(box(before), box(dict.fromkeys(before, 2))))
    assert "Settings (500)" in lines
    assert "  and 470 more: --json lists them" in lines


def test_hostile_text_is_made_visible() -> None:
    before, after = box({"gpu/system/driver_version": "1"}), box({"gpu/system/driver_version": "\x1b]0;x\x07\u202e"})
    text = "\n".join(diff_text.page(diff.compare(before, after)))
    assert "\x1b" not in text
    assert r"\x1b]0;x\x07\u202e" in text


@settings(max_examples=60, deadline=None)
@given(checks(), checks())
def test_every_page_fits_and_every_json_is_strict(before: Checked, after: Checked) -> None:
    found = diff.compare(before, replace(after, collected_at=after.collected_at + timedelta(days=3)))
    for width in (20, 80):
        assert max(map(cells, diff_text.page(found, width))) <= max(width, diff_text.NARROWEST)
    assert json.loads(terminal.envelope(diff_text.KIND, diff.as_json(found)))["data"]["changes"] is not None


def test_show_prints_the_page_or_the_envelope(capsys: pytest.CaptureFixture[str]) -> None:
    found = diff.compare(dead_gpu(), dead_gpu())
    diff_text.show(found)
    assert capsys.readouterr().out.startswith("NO DIFFERENCE")
    terminal.begin(["--json"])
    diff_text.show(found)
    assert json.loads(capsys.readouterr().out)["kind"] == "diag.diff"
    terminal.begin([])
