"""What a check says of this box, a bundle or a file, asked in a process of its own."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from bilbs_cli.errors import BilbsError
from bilbs_cli.support import box_facts
from tests.conftest import Bilbs

GOOD = {
    "schema_version": 1,
    "kind": "diag.check",
    "errors": [],
    "data": {"status": "critical", "suggested": {"severity": "sev2", "why": "w"}},
}


def test_a_live_check_answers_with_its_status() -> None:
    found = box_facts.of_box()
    assert found.status in {"healthy", "warning", "critical", "unknown"}
    assert found.source == "diag check of this box"


def test_the_json_of_a_check_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "check.json"
    path.write_text(json.dumps(GOOD))
    found = box_facts.of_file(str(path))
    assert (found.severity, found.why, found.status) == ("sev2", "w", "critical")


def test_a_bundle_is_checked(bilbs: Bilbs, tmp_path: Path) -> None:
    collected = bilbs("diag", "collect", "--profile", "triage", "-o", str(tmp_path), "--json", timeout=90)
    bundle = collected.json["data"]["path"]
    assert box_facts.of_file(bundle).source == f"diag check of {bundle}"


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"data": {"suggested": 3}, "errors": []}', "\x00", "[" * 100_000]
)
def test_what_is_no_check_is_refused_and_says_so(content: str) -> None:
    with pytest.raises(BilbsError, match="no output of bilbs diag check"):
        box_facts.parse(content.encode(), "stdin")


def test_the_error_of_a_check_is_passed_on() -> None:
    failed = {"errors": [{"message": "no such bundle"}], "data": None}
    with pytest.raises(BilbsError, match="stdin: no such bundle"):
        box_facts.parse(json.dumps(failed).encode(), "stdin")


def test_a_check_that_hangs_ends_at_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(box_facts, "DEADLINE_S", 0.5)
    began = time.monotonic()
    with pytest.raises(BilbsError, match="gave no answer within"):
        box_facts.of_box()
    assert time.monotonic() - began < 10
