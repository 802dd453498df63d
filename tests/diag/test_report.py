"""report.html without a browser: nothing injected, nothing dangling, unknown drawn as unknown, bounded and repeatable."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag import report
from bilbs_cli.diag.findings import Gap, NotEvaluated, Severity, Verdict
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.model import NotCollected, ReadError
from bilbs_cli.diag.report import readings, strips
from bilbs_cli.diag.report.strips import Strip
from bilbs_cli.escape import visible
from tests.diag.judged import PART, checks, dead_gpu, dead_gpu_box, dead_gpu_findings, gaps, judge, quiet
from tests.diag.remembered import tree

TAGS = """
    html head meta title style body header main section article footer h1 h2 h3 h4 p ul ol li dl div dt dd details summary
    span strong b code a time table thead tbody tr th td svg rect line circle text
"""
GPU = GpuIdentity("0000:1b:00.0", 0)


class Read(HTMLParser):
    """A page as an HTML parser reads it: elements, attributes, text; `crossed` are end tags that close nothing."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes = Counter[str](), list[tuple[str, str, str]]()
        self.words, self._open, self.crossed = list[str](), list[str](), list[str]()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count it."""
        self.tags[tag] += 1
        self.attributes += [(tag, name, found or "") for name, found in attrs]
        if tag not in {"meta", "br"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close it."""
        if not self._open or self._open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data: str) -> None:
        """Keep what is to be read."""
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        """Return all words, one space apart."""
        return " ".join(" ".join(self.words).split())

    def values(self, name: str) -> list[str]:
        """Return the values of an attribute."""
        return [value for _, key, value in self.attributes if key == name]


def test_first_page_tells_which_card_how_sure_what_is_missing_and_what_to_type() -> None:
    page = report.page(dead_gpu())
    first = Read(page[: page.index("<h2>Findings")]).text
    assert "CRITICAL on gpu01: 1 critical, 1 warning, 2 info" in first
    assert "RMA candidate: GPU 1 (0000:3b:00.0, slot 5)" in first
    assert "1 of 3 proofs have: the Xid" in first
    assert "still missing: the same after a power cycle still missing: the field diagnostic" in first
    assert "bilbs diag rma BUNDLE --part gpu:0000:3b:00.0" in first
    assert "Sev-2" in first


def test_a_part_to_pull_is_named_once_by_what_makes_it_a_candidate() -> None:
    off = dead_gpu_findings()[0]
    other = replace(off, rule="gpu.inforom", verdict=Verdict.INSPECT, message="the InfoROM is corrupt")
    for findings in ((off, other), (other, off)):
        page = report.page(judge(dead_gpu_box(), *findings))
        first = Read(page[: page.index("<h2>Findings")]).text
        assert first.count("RMA candidate: ") == 1
        assert "Suspect" not in first


def test_every_finding_has_its_rule_its_line_and_what_to_do_next() -> None:
    words = Read(report.page(dead_gpu())).text
    for one in dead_gpu_findings():
        assert one.rule in words
        assert one.next in words
        for proof in one.evidence:
            assert f"{proof.member}:{proof.line}" in words
            assert proof.text in words


def test_policy_allows_the_style_sheet_of_the_page_and_nothing_else() -> None:
    page = report.page(quiet())
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(one for one in Read(page).values("content") if "default-src" in one)
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "url(" not in style[1]
    assert "@import" not in style[1]


@given(checks())
def test_hostile_findings_and_facts_become_text(checked: Any) -> None:
    page = report.page(checked)
    found = Read(page)
    assert found.tags.keys() <= {*TAGS.split()}
    assert not found.crossed
    assert not [name for _, name, _ in found.attributes if name.startswith("on") or name in {"style", "src", "srcset"}]
    assert page.encode()
    assert all(visible(line) == line for line in page.splitlines())


@given(checks())
def test_links_lead_to_a_finding_of_the_page_and_ids_are_unique(checked: Any) -> None:
    found = Read(report.page(checked))
    ids = Counter(found.values("id"))
    assert not [name for name, count in ids.items() if count > 1]
    assert {href.removeprefix("#") for href in found.values("href")} <= set(ids)


def test_markup_in_a_message_is_shown_as_it_is() -> None:
    bad = replace(dead_gpu_findings()[0], message='</style><script>alert(1)</script><img src=x onerror="x">')
    found = Read(report.page(judge(dead_gpu_box(), bad)))
    assert not found.tags["script"]
    assert not found.tags["img"]
    assert bad.message in found.text


def test_same_check_gives_the_same_page() -> None:
    assert report.page(dead_gpu()) == report.page(dead_gpu())


def test_thousands_of_findings_and_gaps_are_bounded_and_counted() -> None:
    many = [
        replace(dead_gpu_findings()[0], part=f"gpu:{number:04x}:00:00.0", message="m" * 400) for number in range(5000)
    ]
    unread = tuple(NotEvaluated("a.b", f"p{number}", Gap.ERROR, "x", "r" * 400) for number in range(20_000))
    page = report.page(judge(dead_gpu_box(), *many, gaps=unread))
    assert len(page) < 2_000_000
    words = Read(page).text
    assert "and 4800 more, in findings.json" in words
    assert "and 19700 more, in findings.json" in words


def test_nothing_found_does_not_say_healthy_alone() -> None:
    words = Read(report.page(quiet())).text
    assert "HEALTHY as far as could be read" in words
    assert "unknown is not healthy" in words


def test_box_without_facts_is_unknown() -> None:
    bare = replace(judge(replace(dead_gpu_box(), facts={}), gaps=gaps(), evaluated=0), facts={}, gpus=(), timeline=())
    words = Read(report.page(bare)).text
    assert words.count("UNKNOWN on gpu01")
    assert "None is known" in words
    assert "None with a threshold was read" in words


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (NotCollected("nobody asked"), "not collected: nobody asked"),
        (ReadError("Timeout", "no answer in 5 s"), "timeout: no answer in 5 s"),
        (ReadError("NVMLError_NotSupported", "Not Supported", 3), "unsupported: Not Supported"),
        ("warm", "error: warm is no value that this reading can have"),
        (float("nan"), "error: nan is no value that this reading can have"),
    ],
)
def test_reading_without_a_value_says_why_and_has_no_needle(reading: object, said: str) -> None:
    facts = tree({"gpu/devices/0/pci_bus_id": GPU.pci, "gpu/devices/0/power_w": reading})
    power = next(one for one in readings.of_gpu(facts, GPU) if one.name == "Power")
    assert (power.shown, power.state) == (said, "unknown")
    row = strips.row(power)
    assert "needle" not in row
    assert 'class="strip unknown"' in row


def test_slowdown_limit_is_worked_out_of_the_margin_where_the_driver_gives_no_limit() -> None:
    """An H100 gives T.Limit only: 29 C, 58 C of margin, slowdown at -2, shutdown at -8 (and 95 C, which it gives too)."""
    facts = tree(
        {
            "gpu/devices/0/pci_bus_id": GPU.pci,
            "gpu/devices/0/temperature_c": 29,
            "gpu/devices/0/temperature_margin_c": 58,
            "gpu/devices/0/temperature_tlimits/slowdown_c": -2,
            "gpu/devices/0/temperature_thresholds/shutdown_c": 95,
        }
    )
    strip = readings.of_gpu(facts, GPU)[0]
    assert strip.limits == "slows down at 89 C, shuts down at 95 C"
    assert strip.state == "ok"


def test_sensor_with_its_limits_and_its_unit() -> None:
    sensor = {"name": "FAN2", "value": 0.0, "unit": "RPM", "thresholds": {"lnr": 500.0, "lcr": 1000.0, "lnc": 1500.0}}
    (strip,) = readings.of_sensors(tree({"bmc/sensors/32.0.5": sensor}))
    assert (strip.name, strip.shown, strip.state) == ("FAN2", "0 RPM", "critical")
    assert strip.limits == "critical below 1000, warns below 1500"


@pytest.mark.parametrize(
    ("at", "state"), [(5, "critical"), (6, "warning"), (10, "warning"), (11, "ok"), (89, "ok"), (90, "warning")]
)
def test_a_reading_on_its_limit_is_past_it(at: float, state: str) -> None:
    """IPMI 2.0, 35.14: "at or above" for upper thresholds, "at or below" for lower ones."""
    assert Strip("x", "", at, warn=90.0, crit=95.0, low_warn=10.0, low_crit=5.0).state == state


LIMITS = st.lists(st.integers(-1000, 1000), min_size=4, max_size=4, unique=True).map(sorted)


@given(LIMITS, st.integers(-1100, 1100), st.lists(st.booleans(), min_size=4, max_size=4))
def test_needle_stands_in_the_zone_that_the_state_names(limits: list[int], at: int, has: list[bool]) -> None:
    """The picture and the word are worked out apart: one by place, one by comparison."""
    low_crit, low_warn, warn, crit = (float(one) if kept else None for one, kept in zip(limits, has, strict=True))
    strip = Strip(
        "x", f"{at}", float(at), warn=warn, crit=crit, low_warn=low_warn, low_crit=low_crit, low=-1200, high=1200
    )
    row = strips.row(strip)
    zones = re.findall(r'class="zone (\w+)" x="([\d.]+)" y="3" width="([\d.]+)"', row)
    needle = re.search(r'class="needle" x="([\d.]+)"', row)
    assert needle
    place = (at + 1200) / 2400 * strips.WIDTH
    assert abs(float(needle[1]) - min(place, strips.WIDTH - 3)) < 0.1
    inside = {name for name, x, wide in zones if float(x) + 0.1 < place < float(x) + float(wide) - 0.1}
    edges = [float(x) + add for _, x, wide in zones for add in (0.0, float(wide))]
    if all(abs(place - edge) > 0.1 for edge in edges):
        assert inside == ({strip.state} if strip.state != "ok" else set())
    worst = (crit is not None and at >= crit) or (low_crit is not None and at <= low_crit)
    bad = (warn is not None and at >= warn) or (low_warn is not None and at <= low_warn)
    assert strip.state == ("critical" if worst else "warning" if bad else "ok")


@given(st.lists(st.none() | st.floats() | st.integers(-(10**400), 10**400), min_size=6, max_size=6))
def test_any_numbers_are_drawn(numbers: list[float | int | None]) -> None:
    names = ("lnr", "lcr", "lnc", "unc", "ucr")
    sensor = {"name": "x", "value": numbers[0], "thresholds": dict(zip(names, numbers[1:], strict=True))}
    for strip in readings.of_sensors(tree({"bmc/sensors/1": sensor})):
        row = strips.row(strip)
        assert "nan" not in row.replace('name="', "")
        assert all(0 <= float(x) <= strips.WIDTH for x in re.findall(r' x="([\d.]+)"', row))


def test_slot_to_pull_is_marked_in_words() -> None:
    words = Read(report.page(dead_gpu())).text
    assert "PULL THIS ONE slot 5" in words
    off = replace(dead_gpu_findings()[0], verdict=dead_gpu_findings()[1].verdict, severity=Severity.CRITICAL, part=PART)
    assert "LOOK AT THIS ONE slot 5" in Read(report.page(judge(dead_gpu_box(), off))).text
