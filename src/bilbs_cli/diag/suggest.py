"""The severity to suggest for a ticket, sev1 to sev4, and why. A table of reasons; a person decides."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bilbs_cli.diag import identity, timeline
from bilbs_cli.diag.findings import Box, Finding, Judgement, Severity, Verdict
from bilbs_cli.diag.kernel_log import bursts
from bilbs_cli.diag.model import ReadError, lookup

NAMES = {"sev1": "Sev-1", "sev2": "Sev-2", "sev3": "Sev-3", "sev4": "Sev-4"}
LOOP_S = 24 * 3600  # ours: two panics within a day are a loop, one is an accident
GONE = frozenset({"lost", "pci", "missing"})  # `GpuIdentity.present` of a GPU that no program can use


@dataclass(frozen=True, slots=True)
class Around:
    """The box around a finding.

    `gpus` is how many are known; `gone` are the parts among them that no program can use, `broken` those that are gone
    or need a reset or more. `driver_dead` says why no GPU answers, `panics` counts those of the last day.
    """

    gpus: int
    gone: frozenset[str]
    broken: frozenset[str]
    driver_dead: str
    panics: int


@dataclass(frozen=True, slots=True)
class Row:
    """One reason: the severity it leads to, and the words for it; an empty answer of `why` means that it does not hold."""

    sev: str
    why: Callable[[Finding, Around], str]


def _driver_dead(finding: Finding, around: Around) -> str:
    holds = _is_critical(finding) and around.driver_dead and _is_gpu(finding)
    return f"no GPU of this box can be used: {around.driver_dead}" if holds else ""


def _all_gone(finding: Finding, around: Around) -> str:
    if not (_is_critical(finding) and _is_gpu(finding) and 0 < around.gpus <= len(around.gone)):
        return ""
    return "the only GPU cannot be used" if around.gpus == 1 else f"none of the {around.gpus} GPUs can be used"


def _all_broken(finding: Finding, around: Around) -> str:
    holds = _is_critical(finding) and finding.part in around.broken and 1 < around.gpus <= len(around.broken)
    return f"all {around.gpus} GPUs are offline or need a reset or more" if holds else ""


def _panic_loop(finding: Finding, around: Around) -> str:
    holds = around.panics > 1 and _is_critical(finding) and re.search(r"(^|[._])panic", finding.rule)
    return f"the kernel panicked {around.panics} times within 24 hours" if holds else ""


def _one_gone(finding: Finding, around: Around) -> str:
    if not (_is_critical(finding) and finding.part in around.gone):
        return ""
    gone = len(around.gone)
    return f"{gone} of {around.gpus} GPUs {'is' if gone == 1 else 'are'} offline: degraded but functional"


def _read_only_root(finding: Finding, _around: Around) -> str:
    holds = finding.part == "fs:/" and "read_only" in finding.rule
    return "the root file system is read-only: what runs goes on, nothing can be written" if holds else ""


def _no_redundancy(finding: Finding, _around: Around) -> str:
    holds = finding.severity is not Severity.INFO and re.search(r"(^|[._])(psu|redundancy|power_supply)", finding.rule)
    return "a power supply is lost: the next fault takes the box down" if holds else ""


def _critical(finding: Finding, _around: Around) -> str:
    return "a part is broken; nothing that was read says that the whole box is down" if _is_critical(finding) else ""


def _warning(finding: Finding, _around: Around) -> str:
    return "the box works; this wants a look" if finding.severity is Severity.WARNING else ""


def _rest(_finding: Finding, _around: Around) -> str:
    return "nothing that has to be done soon"


def _is_critical(finding: Finding) -> bool:
    return finding.severity is Severity.CRITICAL


def _is_gpu(finding: Finding) -> bool:
    return finding.part == "host" or finding.part.startswith("gpu") or finding.rule.startswith(("gpu.", "xid."))


# The first row that holds decides. Sev-1: down or unresponsive, production hit. Sev-2: degraded but functional.
# Sev-3: working, a question or a minor issue. Sev-4: nothing urgent. (The plan's definitions of severity.)
ROWS: tuple[Row, ...] = (
    Row("sev1", _driver_dead),
    Row("sev1", _all_gone),
    Row("sev1", _all_broken),
    Row("sev1", _panic_loop),
    Row("sev2", _one_gone),
    Row("sev2", _read_only_root),
    Row("sev2", _no_redundancy),
    Row("sev2", _critical),
    Row("sev3", _warning),
    Row("sev4", _rest),
)


def suggest(judgement: Judgement, box: Box) -> Judgement:
    """Return the judgement with the severity suggested for each finding; one that was caused takes its root's."""
    around = _around(judgement, box)
    by_key: dict[str, Finding] = {}
    for finding in judgement.findings:
        by_key.setdefault(finding.key, finding)
    return replace(judgement, findings=tuple(_suggested(one, by_key, around) for one in judgement.findings))


def overall(judgement: Judgement) -> tuple[str, str]:
    """Return the severity to suggest for one ticket about all of it, and why; two empty texts without a finding.

    Call it with what `suggest` returned.
    """
    rated = [one for one in judgement.findings if one.sev]
    if not rated:
        return "", ""
    worst = min(rated, key=lambda one: (one.sev, bool(one.caused_by)))
    return worst.sev, worst.sev_why


def _suggested(finding: Finding, by_key: Mapping[str, Finding], around: Around) -> Finding:
    root = _root(finding, by_key)
    sev, why = next((row.sev, why) for row in ROWS if (why := row.why(root, around)))
    return replace(finding, sev=sev, sev_why=why if root is finding else f"it follows from {root.key}: {why}")


def _root(finding: Finding, by_key: Mapping[str, Finding]) -> Finding:
    """Return what a finding was caused by in the end; itself where that is not there, or goes round in a circle."""
    seen = {finding.key}
    while finding.caused_by in by_key and finding.caused_by not in seen:
        finding = by_key[finding.caused_by]
        seen.add(finding.key)
    return finding


def _around(judgement: Judgement, box: Box) -> Around:
    gpus = identity.gpus(box)
    gone = frozenset(one.part for one in gpus if one.present in GONE)
    there = {one.part for one in gpus if one.present != "unknown"}
    hurt = {
        one.part
        for one in judgement.findings
        if _is_critical(one) and one.verdict.rank >= Verdict.RESET_GPU.rank and not one.caused_by
    }
    return Around(len(there), gone, gone | (hurt & there), _dead_driver(box, bool(gpus)), _panics(box))


def _dead_driver(box: Box, has_gpus: bool) -> str:
    nvml = lookup(box.facts, "gpu", "system", "nvml")
    if not has_gpus or not isinstance(nvml, ReadError):
        return ""
    return "the driver hangs" if nvml.kind == "Timeout" else f"the driver does not start ({nvml.message[:120]})"


def _panics(box: Box) -> int:
    """Return how many panics the logs hold of the last day, each counted once."""
    panics = [copies for copies in timeline.told(box) if copies[0].event.kind == "panic"]
    recent = (one for one in panics if (at := one[0].last_at) and box.now.timestamp() - at.timestamp() <= LOOP_S)
    return sum(bursts.count(one) for one in recent)
