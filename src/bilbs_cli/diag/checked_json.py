"""What a check came to as JSON: findings.json of a bundle and `data` of `diag check --json` (findings.schema.json)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from bilbs_cli.diag import identity, suggest
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Evidence, Finding, NotEvaluated
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.kernel_log.events import logs_of
from bilbs_cli.diag.model import Value, branch, leaves
from bilbs_cli.diag.timeline import Moment

ADDRESSES = frozenset({"pci_bus_id", "pci_bus_id_by_elimination"})


def status(checked: Checked) -> str:
    """Return `critical`, `warning`, `healthy` (as far as could be read) or `unknown`.

    Unknown is a box of which nothing could be judged, and one with GPUs of which none gave a single reading, while
    nothing worse was found: that is no clean bill.
    """
    worst = checked.worst
    if worst is not None and worst.value != "info":
        return worst.value
    return "unknown" if not checked.judgement.evaluated or blind(checked) else "healthy"


def blind(checked: Checked) -> bool:
    """Say whether there are GPUs and the driver told nothing of any of them. Those that nobody looked for do not count."""
    there = any(one.present in {"nvml", "lost", "pci"} for one in checked.gpus)
    readings = leaves(branch(checked.facts, "gpu", "devices"))
    return there and not any(isinstance(one, Value) for path, one in readings if path[-1] not in ADDRESSES)


def as_json(checked: Checked) -> dict[str, Any]:
    """Return the JSON form of a check; every value in it is plain JSON."""
    judgement = checked.judgement
    sev, why = suggest.overall(judgement)
    return {
        "status": status(checked),
        "worst": checked.worst.value if checked.worst else None,
        "host": checked.host,
        "collected_at": _time(checked.collected_at),
        "source": checked.source,
        "tool": checked.tool,
        "catalogue": checked.catalogue,
        "findings": [_finding(one) for one in judgement.findings],
        "not_evaluated": [_gap(one) for one in judgement.not_evaluated],
        "coverage": {
            "evaluated": judgement.evaluated,
            "rules": judgement.rules,
            "not_evaluated": len(judgement.not_evaluated),
            "kinds": dict(sorted(Counter(one.kind.value for one in judgement.not_evaluated).items())),
            "words": judgement.coverage,
            "cut": [log.member for log in logs_of(checked.facts) if log.cut],
        },
        "gpus": [_gpu(one) for one in checked.gpus],
        "timeline": [_moment(one) for one in checked.timeline],
        "suggested": {"severity": sev or None, "why": why},
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "severity": one.severity.value,
        "verdict": one.verdict.value,
        "part": one.part,
        "label": one.label,
        "message": one.message,
        "evidence": [_evidence(proof) for proof in one.evidence],
        "next": one.next,
        "source": one.source,
        "missing": list(one.missing),
        "have": list(one.have),
        "count": one.count,
        "first_at": one.first_at,
        "last_at": one.last_at,
        "immediate": one.immediate,
        "notes": list(one.notes),
        "caused_by": one.caused_by,
        "suggested_severity": one.sev,
        "suggested_why": one.sev_why,
    }


def _evidence(proof: Evidence) -> dict[str, Any]:
    return {"member": proof.member, "line": proof.line, "text": proof.text, "path": proof.path, "at": proof.at}


def _gap(one: NotEvaluated) -> dict[str, Any]:
    return {"rule": one.rule, "part": one.part, "kind": one.kind.value, "need": one.need, "reason": one.reason}


def _gpu(one: GpuIdentity) -> dict[str, Any]:
    return {
        "part": one.part,
        "label": identity.label(one),
        "pci": one.pci,
        "index": one.index,
        "present": one.present,
        "serial": one.serial,
        "serial_from": one.serial_from,
        "uuid": one.uuid,
        "part_number": one.part_number,
        "name": one.name,
        "slot": one.slot,
        "slot_from": one.slot_from,
        "module_id": one.module_id,
    }


def _moment(one: Moment) -> dict[str, Any]:
    return {
        "at": _time(one.at),
        "last_at": _time(one.last_at) if one.last_at else None,
        "source": one.source,
        "text": one.text,
        "part": one.part,
        "severity": one.severity.value if one.severity else None,
        "rule": one.rule,
        "member": one.member,
        "line": one.line,
        "count": one.count,
        "first_cause": one.first_cause,
        "corrected": one.corrected,
        "guessed": one.guessed,
    }


def _time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds")
