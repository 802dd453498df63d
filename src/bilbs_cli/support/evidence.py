"""What `diag check` found, as evidence of a ticket, and the key under which the same failure joins the same ticket."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bilbs_cli import process
from bilbs_cli.errors import BilbsError

DEADLINE_S, LIMIT = 15.0, 64 << 20
MOST = 20
_WORST = ("critical", "warning")


class Found(NamedTuple):
    """What a check found: `evidence` as the contract writes it, the worst first; `failing` is (part, rule) of the worst."""

    evidence: tuple[dict[str, str], ...]
    failing: tuple[str, str] | None
    severity: str
    why: str


def of_box() -> Found:
    """Return what a check of this box finds, in a process of its own. Raises `BilbsError` where it does not answer in time."""
    done = process.run_bilbs("diag", "check", "--json", timeout_s=DEADLINE_S, max_output=LIMIT)
    if done.timed_out:
        raise BilbsError(f"diag check gave no answer within {DEADLINE_S:.0f} s", code="no-check")
    return parse(done.stdout)


def parse(data: bytes) -> Found:
    """Return what the JSON of `diag check --json` says. Raises `BilbsError`."""
    try:
        checked = json.loads(data)["data"]
        findings = [one for one in checked["findings"] if one["severity"] in _WORST]
        suggested = checked["suggested"]
        return Found(
            tuple(_evidence(one) for one in _sorted(findings)[:MOST]),
            next(
                ((str(one["part"]), str(one["rule"])) for one in _sorted(findings) if one["severity"] == "critical"),
                None,
            ),
            str(suggested.get("severity") or ""),
            str(suggested.get("why") or ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BilbsError("diag check gave no answer that can be read", code="no-check") from error


def _sorted(findings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return causes before what followed from them, the worst first, in a fixed order."""
    return sorted(
        findings,
        key=lambda one: (bool(one.get("caused_by")), _WORST.index(one["severity"]), str(one["part"]), str(one["rule"])),
    )


def _evidence(one: Mapping[str, Any]) -> dict[str, str]:
    return {"rule": str(one["rule"])[:100], "part": str(one["part"])[:200], "message": str(one["message"])[:4000]}


def dedup_key(box: str, found: Found) -> str | None:
    """Return the key: the box, the part, the rule; None where nothing is critical."""
    return f"{box}/{found.failing[0]}/{found.failing[1]}"[:200] if found.failing else None
