"""Causes: Xid 154 over the catalogue, consequences under their root, nothing hidden, no circle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.causes import _first
from bilbs_cli.diag.findings import Severity, Verdict
from tests.diag.rules.logged import judged, line, of, xid

GPU = "gpu:0000:3b:00.0"


def action(old: int, new: int, words: str = "x", **more: str) -> str:
    return xid(154, f"pid=1, name=x, GPU recovery action changed from {old:#x} (None) to {new:#x} ({words})", **more)


@pytest.mark.parametrize(
    ("number", "words", "verdict"),
    [
        (1, "GPU Reset Required", Verdict.RESET_GPU),
        (2, "Node Reboot Required", Verdict.REBOOT),
        (3, "Drain P2P", Verdict.INSPECT),
        (4, "OS Reboot", Verdict.RESET_GPU),  # the words lie, the number counts
        (6, "PF FLR", Verdict.RESET_GPU),
        (7, "System Reboot", Verdict.REBOOT),
        (99, "Whatever", Verdict.INSPECT),
    ],
)
def test_154_overrides_the_catalogue_by_its_number(number: int, words: str, verdict: Verdict) -> None:
    found = judged([xid(31), action(0, number, words, at="03:12:02")])
    assert of(found, "xid.31").verdict is verdict
    assert any("Xid 154 asks for" in note and "restart the application" in note for note in of(found, "xid.31").notes)
    assert of(found, "xid.154").verdict is verdict


def test_154_may_lower_a_verdict_too_but_never_an_rma_candidate() -> None:
    assert of(judged([xid(79), action(0, 1)]), "xid.79").verdict is Verdict.RESET_GPU
    assert of(judged([xid(64), action(0, 1)]), "xid.64").verdict is Verdict.RMA


def test_the_last_154_counts_and_one_that_takes_the_action_back_overrides_nothing() -> None:
    assert of(judged([xid(31), action(0, 1), action(1, 2, at="03:20:00")]), "xid.31").verdict is Verdict.REBOOT
    calm = judged([xid(31), action(0, 2), action(2, 0, at="03:20:00")])
    assert of(calm, "xid.31").verdict is Verdict.RESTART_APP
    assert of(calm, "xid.154").severity is Severity.INFO


def test_154_speaks_for_its_own_gpu_and_for_what_came_before() -> None:
    found = judged([xid(31, pci="0000:9b:00"), action(0, 2), xid(94, at="09:12:01")])
    assert of(found, "xid.31").verdict is Verdict.RESTART_APP
    assert of(found, "xid.94").verdict is Verdict.RESTART_APP


def test_45_stays_what_it_is_under_154() -> None:
    assert of(judged([xid(45), action(0, 2)]), "xid.45").verdict is Verdict.IGNORE


def test_what_follows_is_under_its_root_and_still_there() -> None:
    found = judged([xid(79), xid(119, at="03:12:05"), xid(45, at="03:12:06"), xid(43, at="03:12:07")])
    assert of(found, "xid.79").caused_by == ""
    for code in (119, 45, 43):
        assert of(found, f"xid.{code}").caused_by == f"xid.79@{GPU}", code
        assert "follows xid.79" in of(found, f"xid.{code}").notes


def test_a_chain_leads_to_its_first_cause() -> None:
    found = judged([xid(48), xid(94, at="03:12:05"), xid(63, at="03:12:06")])
    assert {one.caused_by for one in found if one.rule in {"xid.94", "xid.63"}} == {f"xid.48@{GPU}"}


def test_a_line_that_names_its_cause_is_believed() -> None:
    lines = [xid(149, "NETIR_LINK_EVT Fatal XC0 i0 Link 1 (0x000005c6 0x00000000)"), xid(79)]
    found = judged([*lines, xid(45, "pid=1, name=x, channel 0x2 - Preemptive Removal (caused by previous Xid 149)")])
    assert of(found, "xid.45").caused_by == f"xid.149@{GPU}"


def test_nothing_follows_what_came_much_later_or_on_another_gpu() -> None:
    assert of(judged([xid(119), xid(79, at="09:12:01")]), "xid.119").caused_by == ""
    assert of(judged([xid(119), xid(79, pci="0000:9b:00")]), "xid.119").caused_by == ""


def test_45_alone_has_no_cause_and_is_still_only_information() -> None:
    found = of(judged([xid(45)]), "xid.45")
    assert (found.caused_by, found.severity) == ("", Severity.INFO)


def test_roots_come_before_what_followed_them() -> None:
    found = judged([xid(119), xid(79), line("NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus.")])
    rules = [one.rule for one in found]
    assert rules.index("xid.79") < rules.index("xid.119")


@given(st.dictionaries(st.integers(0, 6).map(str), st.integers(0, 6).map(str)))
def test_every_chain_ends_and_every_circle_has_one_root(causes: dict[str, str]) -> None:
    keys = {*causes, *causes.values()}
    roots = {key: _first(key, causes) for key in keys}
    for root in roots.values():
        assert root == "" or roots[root] == ""
