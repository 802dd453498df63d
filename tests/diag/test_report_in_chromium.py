"""report.html in a real browser: nothing asked of any network, nothing to complain about, all of it within reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bilbs_cli.diag import report
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Evidence
from tests.diag.judged import dead_gpu, dead_gpu_box, dead_gpu_findings, judge, quiet
from tests.parts import chromium

LONG = "/dev/disk/by-id/" + "nvme-SAMSUNG_MZQL21T9HCJR-00A07_S64GNE0R" * 6


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Browser]:
    """Return a browser for all tests of this module."""
    with chromium.opened() as found:
        yield found


def written(tmp_path: Path, checked: Checked) -> Path:
    """Return the report's file."""
    path = tmp_path / "report.html"
    path.write_text(report.page(checked))
    return path


def crowded() -> Checked:
    """Return a check with words that no line can hold."""
    root, *rest = dead_gpu_findings()
    wide = replace(root, label=LONG, message=LONG, evidence=(Evidence(f"storage/{LONG}", LONG, 7),), missing=(LONG,))
    return judge(dead_gpu_box(), wide, *rest, host=LONG)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("checked", [dead_gpu(), quiet(), crowded()], ids=["dead", "quiet", "crowded"])
def test_nothing_is_requested_and_the_console_says_nothing(
    browser: chromium.Browser, tmp_path: Path, checked: Checked, dark: bool
) -> None:
    page = browser.open(written(tmp_path, checked), 800, dark=dark)
    assert page.requests == []
    assert page.messages == []
    assert page.evaluate("getComputedStyle(document.body).fontSize") == "16px"  # the policy lets its style through


@pytest.mark.parametrize("width", [320, 390, 800, 1400])
@pytest.mark.parametrize("checked", [dead_gpu(), crowded()], ids=["dead", "crowded"])
def test_nothing_is_wider_than_the_screen(
    browser: chromium.Browser, tmp_path: Path, checked: Checked, width: int
) -> None:
    page = browser.open(written(tmp_path, checked), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = (
        "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert page.evaluate(wide) == 0


def test_every_finding_is_reached_by_the_tab_key_and_shown(browser: chromium.Browser, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, dead_gpu()), 800)
    reached = set()
    for _ in range(60):
        page.press("Tab")
        reached.add(page.evaluate("document.activeElement.closest('details')?.innerText || ''"))
    for one in dead_gpu_findings():
        assert any(one.message in text for text in reached), one.message
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") in {"solid", "none"}


def test_enter_opens_what_followed(browser: chromium.Browser, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, dead_gpu()), 800)
    rule = "[...document.querySelectorAll('.followed code')].find(e => e.textContent == 'xid.45').checkVisibility()"
    assert page.evaluate(rule) is False
    page.press("Tab")
    page.press("Tab")
    assert "channels were cleaned up" in page.evaluate("document.activeElement.innerText")
    page.press("Enter")
    assert page.evaluate(rule) is True


def test_scripts_of_hostile_evidence_do_not_run(browser: chromium.Browser, tmp_path: Path) -> None:
    bad = '"><script>document.title="owned"</script><img src=http://127.0.0.1:9/x onerror="document.title=1">'
    found = replace(dead_gpu_findings()[0], message=bad, evidence=(Evidence(bad, bad, 1),), label=bad, next=bad)
    page = browser.open(written(tmp_path, judge(dead_gpu_box(), found, host=bad)), 800)
    assert "owned" not in page.evaluate("document.title").removesuffix(bad).split("<")[0]
    assert page.evaluate("document.querySelectorAll('script, img').length") == 0
    assert page.requests == []
    assert page.messages == []


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_from_their_ground(browser: chromium.Browser, tmp_path: Path, dark: bool) -> None:
    """WCAG 2.1, 1.4.3: a contrast of 4.5 at least, of every colour that text has on the page."""
    page = browser.open(written(tmp_path, dead_gpu()), 800, dark=dark)
    colours = page.evaluate(
        "[...new Set([...document.querySelectorAll('body, body *')].filter(e => e.checkVisibility() && e.innerText?.trim())"
        ".map(e => getComputedStyle(e).color))]"
    )
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert len(colours) >= 4
    assert {colour: round(contrast(colour, ground), 1) for colour in colours if contrast(colour, ground) < 4.5} == {}


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2.1 defines it (relative luminance, sRGB)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_it_prints(browser: chromium.Browser, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, dead_gpu()), 800, dark=True)
    assert page.pdf().startswith(b"%PDF-")
    page.call("Emulation.setEmulatedMedia", media="print", features=[])
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    hidden = "[...document.querySelectorAll('.card dd')].filter(e => !e.checkVisibility({contentVisibilityAuto: true})).length"
    assert page.evaluate(hidden) == 0
