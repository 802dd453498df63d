"""findings.json: exactly the fields that others build on, by the published schema, whatever the facts are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

import bilbs_cli.diag
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.checked_json import as_json, blind, status
from bilbs_cli.diag.findings import Severity
from tests.diag.judged import checks, dead_gpu, dead_gpu_box, dead_gpu_findings, judge, quiet

SCHEMA = json.loads((Path(bilbs_cli.diag.__file__).parent / "findings.schema.json").read_text(encoding="utf-8"))
VALID = Draft202012Validator(SCHEMA)

FINDING = {
    "rule",
    "severity",
    "verdict",
    "part",
    "label",
    "message",
    "evidence",
    "next",
    "source",
    "missing",
    "have",
    "count",
    "first_at",
    "last_at",
    "immediate",
    "notes",
    "caused_by",
    "suggested_severity",
    "suggested_why",
}


def test_the_schema_is_one_and_closed_everywhere() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    objects = list(walk(SCHEMA))
    assert len(objects) == 9
    for one in objects:
        assert one.get("additionalProperties") is not None, one
        assert set(one.get("required", ())) == set(one.get("properties", ())), one


def walk(node: Any) -> Any:
    """Yield every schema of an object."""
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for one in node.values():
            yield from walk(one)
    elif isinstance(node, list):
        for one in node:
            yield from walk(one)


def test_a_dead_gpu_is_told_with_every_field_by_its_name() -> None:
    told = json.loads(json.dumps(as_json(dead_gpu()), allow_nan=False))
    VALID.validate(told)
    assert (told["status"], told["worst"], told["host"], told["source"]) == ("critical", "critical", "gpu01", "live")
    assert told["collected_at"] == "2026-11-21T04:00:00.000+00:00"
    assert [one["rule"] for one in told["findings"]] == ["xid.79", "gpu.row_remap.pending", "gpu.persistence", "xid.45"]
    first = told["findings"][0]
    assert set(first) == FINDING
    assert first["evidence"] == [
        {
            "member": "kernel/var/log/kern.log",
            "line": 2,
            "text": "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
            "path": "",
            "at": "2026-11-21T03:12:01+00:00",
        }
    ]
    assert (first["severity"], first["verdict"], first["part"]) == ("critical", "rma_candidate", "gpu:0000:3b:00.0")
    assert (first["have"], first["missing"]) == (
        ["the Xid"],
        ["the same after a power cycle", "the field diagnostic"],
    )
    assert first["suggested_severity"] == "sev2"
    assert told["findings"][3]["caused_by"] == "xid.79@gpu:0000:3b:00.0"
    assert told["not_evaluated"][0] == {
        "rule": "gpu.a0",
        "part": "gpu:0000:3b:00.0",
        "kind": "unsupported",
        "need": "x",
        "reason": "x was not readable: Not Supported",
    }
    assert told["coverage"] == {
        "evaluated": 42,
        "rules": 30,
        "not_evaluated": 12,
        "kinds": {"denied": 3, "unsupported": 9},
        "words": "42 checks by 30 rules, 12 not evaluated (9 unsupported, 3 denied)",
        "cut": [],
    }
    assert [(one["part"], one["present"]) for one in told["gpus"]] == [
        ("gpu:0000:1b:00.0", "nvml"),
        ("gpu:0000:3b:00.0", "lost"),
    ]
    assert told["gpus"][1]["label"] == "GPU 1 (0000:3b:00.0, slot 5)"
    assert [one["source"] for one in told["timeline"]] == ["boot", "kernel", "kernel", "check"]
    assert [one["at"] for one in told["timeline"] if one["first_cause"]] == ["2026-11-21T03:12:01.000+00:00"]
    assert told["suggested"] == {"severity": "sev2", "why": "1 of 2 GPUs is offline: degraded but functional"}


def only(severity: Severity) -> Checked:
    return judge(dead_gpu_box(), *(one for one in dead_gpu_findings() if one.severity is severity))


@pytest.mark.parametrize(
    ("checked", "expected", "worst"),
    [
        (quiet(), "healthy", None),
        (only(Severity.INFO), "healthy", "info"),
        (only(Severity.WARNING), "warning", "warning"),
        (only(Severity.CRITICAL), "critical", "critical"),
        (judge(dead_gpu_box(), evaluated=0), "unknown", None),
    ],
)
def test_the_status_is_a_clean_bill_only_where_something_was_evaluated(
    checked: Checked, expected: str, worst: str | None
) -> None:
    told = as_json(checked)
    VALID.validate(told)
    assert (told["status"], told["worst"]) == (expected, worst)
    assert status(checked) == expected
    assert not blind(checked)


def test_nothing_found_suggests_no_ticket() -> None:
    assert as_json(quiet())["suggested"] == {"severity": None, "why": ""}


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"status": "fine"},
        {"worst": "bad"},
        {"suggested": {"severity": "sev5", "why": ""}},
        {"findings": [{"rule": "x"}]},
        {"host": None},
    ],
)
def test_the_schema_refuses_what_it_does_not_know(change: dict[str, Any]) -> None:
    told = as_json(dead_gpu())
    VALID.validate(told)
    assert not VALID.is_valid(told | change)
    for name in told:
        assert not VALID.is_valid({key: one for key, one in told.items() if key != name})


@given(checks())
def test_every_check_is_plain_json_by_the_schema(checked: Checked) -> None:
    text = json.dumps(as_json(checked), ensure_ascii=True, allow_nan=False)
    VALID.validate(json.loads(text))


def test_the_same_check_gives_the_same_document() -> None:
    assert as_json(dead_gpu()) == as_json(dead_gpu())
    assert as_json(replace(dead_gpu(), host="other")) != as_json(dead_gpu())
