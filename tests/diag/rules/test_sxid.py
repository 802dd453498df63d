"""SXids: the guide's classes, and the line's own word over them."""

from __future__ import annotations

import pytest

from bilbs_cli.diag.findings import Severity, Verdict
from bilbs_cli.diag.rules import catalogue
from tests.diag.rules.logged import judged, line, of


def sxid(code: int, rest: str) -> str:
    return line(f"nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): {code}, {rest}")


@pytest.mark.parametrize(
    ("code", "rest", "severity", "verdict"),
    [
        (20034, "Fatal, Link 30 LTSSM Fault Up", "critical", "reset_gpu"),
        (22003, "Fatal, Minion Halt", "critical", "reboot"),
        (23017, "Fatal, x", "critical", "reboot"),
        (12028, "Non-fatal, Link 32 egress non-posted PRIV error (First)", "warning", "ignore"),
        (12028, "Link 32 egress non-posted PRIV error", "warning", "ignore"),
        (11012, "Non-fatal, Link 02 x", "warning", "ignore"),
        (11001, "x", "critical", "reset_gpu"),
        (11001, "Non-fatal, x", "warning", "ignore"),
        (22013, "Fatal, Minion Link DLREQ interrupt", "critical", "reset_gpu"),
        (10004, "x", "warning", "drain_and_inspect"),
        (31337, "Fatal, new", "critical", "reset_gpu"),
        (31337, "Non-fatal, new", "warning", "ignore"),
    ],
)
def test_the_lines_own_word_counts_more_than_the_table(code: int, rest: str, severity: str, verdict: str) -> None:
    found = of(judged([sxid(code, rest)]), f"sxid.{code}")
    assert (found.severity.value, found.verdict.value) == (severity, verdict)
    assert found.part == "nvswitch:0000:c1:00.0"


def test_the_same_fatal_error_in_several_boots_asks_for_a_look() -> None:
    boot = line("Linux version 6.1.0-28-amd64 #1 SMP")
    again = of(judged([boot, sxid(20034, "Fatal, Link 30 x"), boot, sxid(20034, "Fatal, Link 30 x")]), "sxid.20034")
    assert (again.severity, again.verdict) == (Severity.CRITICAL, Verdict.INSPECT)


def test_the_links_are_named() -> None:
    found = of(judged([sxid(20034, "Fatal, Link 30 x"), sxid(20034, "Fatal, Link 31 x")]), "sxid.20034")
    assert "on link 30, 31" in found.message
    assert found.count == 2


def test_every_class_of_the_guide_is_there() -> None:
    known = catalogue.load().sxids.values()
    fatal = {one.code for one in known if one.reach in {"port", "always"}}
    assert {11001, 11009, 11013, 12020, 12022, 14017, 15001, 15013, 19047, 19067, 20034, 22003, 22011, 23001, 23017, 24004, 24007} <= fatal  # fmt: skip
    assert len(known) == 93
