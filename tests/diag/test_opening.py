"""Opening a bundle whose facts are of any shape: its logs are looked through all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.diag import check_run, opening
from bilbs_cli.diag.kernel_log.events import logs_of
from tests.diag.judged import XID

KERN = "kernel/var/log/kern.log"


def unpacked(root: Path, facts: Any) -> Path:
    """Return an unpacked bundle with these facts and one log, which tells of a GPU that fell off the bus."""
    log = root / KERN
    log.parent.mkdir(parents=True)
    log.write_text(f"Nov 21 03:12:01 gpu01 kernel: [12345.678] {XID}\n")
    (root / "facts.json").write_text(json.dumps({"collected_at": "2026-11-21T04:00:00+00:00", "facts": facts}))
    return root


@pytest.mark.parametrize(
    "kernel",
    [7, None, "x", [], [{}], {"log": 7}, {"log": []}, {"log": {"var/log/kern.log": 7}}, {"log": {"value": 7}}],
    ids=json.dumps,
)
def test_a_log_is_judged_whatever_stands_in_its_place_in_the_facts(tmp_path: Path, kernel: Any) -> None:
    bundle = unpacked(tmp_path / "b", {"kernel": kernel, "system": {"tasks": {"blocked_count": {"value": 3}}}})
    found = opening.snapshot(bundle)
    assert [(log.member, [one.code for one in log.events]) for log in logs_of(found.facts)] == [(KERN, [79])]
    assert found.facts["system"] == {"tasks": {"blocked_count": {"value": 3}}}
    assert "xid.79" in {one.rule for one in check_run.from_bundle(bundle).judgement.findings}
