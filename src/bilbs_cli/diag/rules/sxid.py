"""SXid errors of NVSwitches: one rule per code of the catalogue, and one for codes it does not know."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bilbs_cli.diag.findings import Box, Case, Found, Rule, Severity, Verdict
from bilbs_cli.diag.rules import catalogue
from bilbs_cli.diag.rules.catalogue import Sxid
from bilbs_cli.diag.rules.log_events import Gathered, gather
from bilbs_cli.diag.rules.scopes import LOGS

JUDGED = {  # by reach
    "no": (Severity.WARNING, Verdict.IGNORE),
    "other": (Severity.WARNING, Verdict.IGNORE),
    "thermal": (Severity.WARNING, Verdict.INSPECT),
    "port": (Severity.CRITICAL, Verdict.RESET_GPU),
    "always": (Severity.CRITICAL, Verdict.REBOOT),
}
AGAIN = 2  # boots with the same fatal error: the switch has to be looked at


def judge(case: Case, entry: Sxid) -> Iterator[Found]:
    """Return one finding per switch that logged the code."""
    for seen in case.box.derive(_by_code).get(entry.code, ()):
        yield _told(seen, f"SXid {entry.code}: {entry.words}", entry.reach)


def judge_unknown(case: Case) -> Iterator[Found]:
    """Some SXid that the catalogue does not know.

    The line's own word decides how bad it is; without one it is a warning. It is shown and never dropped.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): 31337, Non-fatal, Link 30 something new
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 30 LTSSM Fault Up
    """
    known = catalogue.load()
    for code, all_seen in case.box.derive(_by_code).items():
        if code not in known.sxids:
            for seen in all_seen:
                yield _told(seen, f"SXid {code}, unknown to catalogue {known.version}", "other", f"sxid.{code}")


def _by_code(box: Box) -> dict[int, list[Gathered]]:
    found: dict[int, list[Gathered]] = {}
    for seen in gather(box, "sxid"):
        if seen.code is not None:
            found.setdefault(seen.code, []).append(seen)
    return found


def _told(seen: Gathered, words: str, reach: str, rule: str = "") -> Found:
    severity, verdict = JUDGED[reach]
    fatal = _own_word(seen)
    if fatal is False:  # 12028 says Non-fatal of itself while gpud calls it fatal: the line knows better
        severity, verdict = Severity.WARNING, Verdict.IGNORE
    elif fatal and severity is not Severity.CRITICAL:
        severity, verdict = JUDGED["port"]
    steps = ""
    if severity is Severity.CRITICAL and seen.boots >= AGAIN:
        verdict, steps = (
            Verdict.INSPECT,
            "Drain the box: the same switch failed in several boots. Open a support case with the bundle.",
        )
    links = sorted({link for _, event in seen.told if isinstance(link := event.detail.get("link"), int)})
    where = f" on link {', '.join(map(str, links[:8]))}" if links else ""
    word = "" if fatal is None else ", fatal by its own word" if fatal else ", not fatal by its own word"
    return Found(
        f"{words}{where}{word}",
        seen.evidence(),
        next=steps,
        severity=severity,
        verdict=verdict,
        part=f"nvswitch:{seen.pci or 'unknown'}",
        rule=rule,
        count=seen.count,
        first_at=seen.first_at,
        last_at=seen.last_at,
    )


def _own_word(seen: Gathered) -> bool | None:
    """Return whether the lines call it fatal; one that does is enough, None where none says."""
    words = [event.detail.get("fatal") for _, event in seen.told]
    return True if True in words else False if False in words else None


def _rule(entry: Sxid) -> Rule:
    severity, verdict = JUDGED[entry.reach]
    doc = "\n".join(
        [
            f"SXid {entry.code}: {entry.words}.",
            "",
            (
                f"By NVIDIA's Fabric Manager guide its reach is: {entry.reach}. Where the line itself says Fatal or Non-fatal, "
                "that counts more."
            ),
            "",
            f"What to do: {entry.next}",
            "",
            "Fires:",
            f"    log: Nov 21 03:12:01 gpu01 kernel: nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): {entry.code}, Link 30 example",
            "Quiet:",
            "    log: Nov 21 03:12:01 gpu01 kernel: nvidia-nvswitch0: using MSI",
        ]
    )
    return Rule(
        f"sxid.{entry.code}",
        severity,
        verdict,
        needs=(),
        source=catalogue.load().sxid_source,
        judge=partial(judge, entry=entry),
        scope=LOGS,
        next=entry.next,
        doc=doc,
    )


SXID_RULES = (
    *(_rule(entry) for entry in catalogue.load().sxids.values()),
    Rule(
        "sxid.unknown",
        Severity.WARNING,
        Verdict.IGNORE,
        needs=(),
        source=catalogue.load().sxid_source,
        judge=judge_unknown,
        scope=LOGS,
        next="Open a support case with the bundle (bilbs diag collect), and update bilbs: newer versions may know it.",
    ),
)
