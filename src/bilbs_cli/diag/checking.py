"""From a snapshot to what it means: every rule, the root causes, the suggested severity, the timeline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bilbs_cli.diag import causes, fact_lines, identity, suggest, swaps, timeline
from bilbs_cli.diag.checked import Checked, Snapshot
from bilbs_cli.diag.findings import Box, Finding, evaluate
from bilbs_cli.diag.rules import RULES, catalogue


def judge(snapshot: Snapshot, since: datetime | None = None) -> Checked:
    """Return what all rules say of a snapshot; log events known to be older than `since` are left out.

    Pure: the same snapshot gives the same answer, live, from a bundle, or years later with newer rules.
    """
    box = Box(snapshot.facts, snapshot.collected_at, since)
    judged = swaps.noted(suggest.suggest(causes.relate(evaluate(RULES, box), box), box), box)
    judged = replace(judged, findings=_named(box, fact_lines.cited(judged.findings, snapshot.text)))
    return Checked(
        host=snapshot.host,
        collected_at=snapshot.collected_at,
        source=snapshot.source,
        tool=snapshot.tool,
        header=snapshot.header,
        facts=snapshot.facts,
        judgement=judged,
        gpus=identity.gpus(box),
        timeline=timeline.build(box, judged),
        catalogue=catalogue.version(),
    )


def _named(box: Box, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings with the name a person uses for their part: a GPU's index, slot and serial."""
    labels = {gpu.part: identity.label(gpu) for gpu in identity.gpus(box)}
    return tuple(replace(one, label=labels.get(one.part, one.label)) for one in findings)
