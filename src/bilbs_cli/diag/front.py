"""The first pages of a bundle, made from what its spool holds: the verdict in three forms, facts, receipt, manifest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bilbs_cli import __version__
from bilbs_cli.diag import checked_json, checking, report, summary
from bilbs_cli.diag.bundle.manifest import Manifest
from bilbs_cli.diag.bundle.seal import Front
from bilbs_cli.diag.bundle.spool import Spool
from bilbs_cli.diag.checked import THIS_BUNDLE, Checked, Snapshot
from bilbs_cli.diag.findings import moment
from bilbs_cli.diag.model import FACTS_VERSION, Status
from bilbs_cli.diag.redaction import receipt


def pages(spool: Spool) -> Front:
    """Return the front of the bundle that `spool` becomes; the same spool gives the same pages."""
    ended = ending(spool)
    header = spool.header
    manifest = Manifest(
        name=spool.name,
        version=__version__,
        host=_text(header, "host"),
        started_at=_text(header, "started_at"),
        finished_at=_text(ended, "finished_at"),
        profile=_text(header, "profile"),
        status=status(spool),
        options=dict(header.get("options") or {})
        | {"root": header.get("root"), "pseudonymized": header.get("pseudonymized")},
        collectors={one["name"]: one for one in ended["collectors"]} | {"abandoned": ended.get("abandoned", [])},
    )
    facts = {
        "schema_version": FACTS_VERSION,
        "tool": f"bilbs {__version__}",
        "host": _text(header, "host"),
        "collected_at": _text(header, "started_at"),
        "facts": spool.facts,
    }
    seen = receipt.receipt(_text(header, "rules_version"), spool.items)
    facts_page = _json(facts)
    checked = _judged(header, facts, facts_page.decode())
    complete = manifest.status == "complete"
    return Front(
        manifest,
        [
            _page("SUMMARY.txt", lambda: summary.write(header, ended, checked, spool.items, seen, complete=complete)),
            _page("report.html", lambda: report.page(checked)),
            ("facts.json", facts_page),
            ("findings.json", _json(checked_json.as_json(checked))),
            ("redaction.json", _json(seen)),
        ],
    )


def _judged(header: Mapping[str, Any], facts: Mapping[str, Any], text: str) -> Checked:
    started = moment(header.get("started_at")) or datetime.fromtimestamp(0, UTC)
    return checking.judge(
        Snapshot(_text(header, "host"), started, THIS_BUNDLE, str(facts["tool"]), header, facts["facts"], text)
    )


def _page(name: str, write: Callable[[], str]) -> tuple[str, bytes]:
    """Return a page; a mistake of ours in its making must not cost the bundle, so it says what went wrong instead."""
    try:
        return name, write().encode()
    except Exception as error:  # noqa: BLE001 - the boundary of a page: the evidence is worth more than its picture
        reason = f"This page could not be made ({type(error).__name__}: {error}).\nThe facts are in facts.json.\n"
        return name, reason.encode("utf-8", "backslashreplace")


def ending(spool: Spool) -> dict[str, Any]:
    """Return how the run ended; for one that was interrupted, what its items say."""
    for kind, data in reversed(spool.notes):
        if kind == "ended" and isinstance(data, dict):
            return data
    titles = spool.header.get("titles") or {}
    done = {item.collector for item in spool.items}
    collectors = []
    for name in spool.header.get("collectors") or ():
        reason = "the run was interrupted before it came to its end"
        own = [item for item in spool.items if item.collector == name]
        collectors.append(
            {
                "name": name,
                "title": titles.get(name, name),
                "status": Status.FAILED.value,
                "reason": reason
                if name in done or name in spool.facts
                else "the run was interrupted before it was its turn",
                "duration_s": round(sum(item.duration_s for item in own), 3),
                "size_bytes": sum(item.size_bytes for item in own),
            }
        )
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    return {"finished_at": finished, "collectors": collectors, "abandoned": [], "trouble": "the run was interrupted"}


def status(spool: Spool) -> str:
    """Return `complete`, or `partial` when anything timed out, failed or was cut short by trouble."""
    ended = ending(spool)
    bad = any(item.status.is_failure for item in spool.items)
    bad = bad or any(Status(one["status"]).is_failure for one in ended["collectors"])
    return "partial" if bad or ended.get("trouble") else "complete"


def _text(data: Mapping[str, Any], name: str) -> str:
    found = data.get(name)
    return found if isinstance(found, str) else ""


def _json(data: object) -> bytes:
    return json.dumps(data, indent=1, ensure_ascii=True, allow_nan=False).encode() + b"\n"
