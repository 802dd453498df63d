"""The receipt: counts by rule and by member, what was not looked at, and never a secret."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from bilbs_cli.diag.redaction import Redactor
from bilbs_cli.diag.redaction.receipt import Receipt, receipt


@dataclass(frozen=True)
class Item:
    path: str
    redactions: dict[str, int] = field(default_factory=dict)


def test_counts_add_up_by_rule_and_by_member() -> None:
    found = receipt(
        "v1",
        [
            Item("a.log", {"password": 2, "jwt": 1}),
            Item("b.log", {"password": 3}),
            Item("c.gz", {"not-scanned:gzip": 0}),
            Item("d"),
        ],
    )
    assert found == {
        "schema_version": 1,
        "rules_version": "v1",
        "total": 6,
        "rules": {"jwt": 1, "password": 5},
        "members": {"a.log": {"jwt": 1, "password": 2}, "b.log": {"password": 3}},
        "not_scanned": {"c.gz": "gzip"},
    }
    assert "jwt" in json.dumps(found)


def test_the_counts_of_a_stream_make_a_receipt() -> None:
    redactor = Redactor()
    stream = redactor.stream()
    stream.feed(b"password=hunter2-fake\n")
    stream.finish()
    whole = Receipt(redactor.rules_version)
    whole.add("x", stream.counts)
    assert whole.total == 1
    assert "hunter2" not in json.dumps(whole.as_dict())
