"""The table of contents: what it keeps, what it refuses, and what it makes of a newer or a hostile one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.bundle.manifest import Item, Manifest, decode, digest_holds
from bilbs_cli.diag.model import Status
from bilbs_cli.errors import VerificationFailed
from tests.diag.bundle.making import FINISHED, NAME, STARTED, item

DIGEST = "a" * 64


def _manifest(*items: Item) -> Manifest:
    return Manifest(
        name=NAME,
        version="1.2",
        host="box7",
        started_at=STARTED,
        finished_at=FINISHED,
        profile="full",
        status="partial",
        options={"since": "24h"},
        collectors={"gpu": {"status": "ok"}},
        items=items,
    )


def test_a_manifest_reads_back_as_it_was_written() -> None:
    made = _manifest(
        item("gpu/a.txt", "gpu", b"x"), item("gpu/b.txt", "gpu", None, status=Status.TIMEOUT, reason="hung")
    )
    assert decode(made.encode()) == made


def test_every_item_has_path_and_sha256_in_the_file() -> None:
    rows = json.loads(_manifest(item("gpu/a.txt", "gpu", b"x"), item("b", "gpu", None)).encode())["items"]
    assert [(row["path"], row["sha256"] is None, row["status"]) for row in rows] == [
        ("gpu/a.txt", False, "ok"),
        ("b", True, "ok"),
    ]


def test_an_item_keeps_every_field_through_its_dict() -> None:
    one = replace(item("gpu/a.txt", "gpu", b"x", status=Status.PARTIAL, reason="half"), truncated=True, exit_status=3)
    assert Item.from_dict(json.loads(json.dumps(one.as_dict()))) == one


def test_every_byte_of_a_manifest_is_covered_by_its_own_digest() -> None:
    data = _manifest(item("gpu/a.txt", "gpu", b"x")).encode()
    assert digest_holds(data)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        assert not digest_holds(bytes(changed)), place


@pytest.mark.parametrize("status", [None, "fine", 7, ["ok"], "OK"])
def test_a_status_that_is_not_known_is_not_ok(status: Any) -> None:
    found = Item.from_dict({"path": "x", "status": status})
    assert found.status is Status.FAILED
    assert "not known" in str(found.reason)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["path", "status", "size_bytes", "sha256", "duration_s", "redactions", "truncated", "exit_status", "new"]
)


@given(st.dictionaries(FIELDS, JSON, max_size=9))
def test_no_json_object_breaks_an_item(data: dict[str, Any]) -> None:
    found = Item.from_dict(data)
    assert found.size_bytes >= 0
    assert found.sha256 is None or len(found.sha256) == 64
    json.dumps(found.as_dict(), allow_nan=False)


def test_fields_of_a_newer_version_are_left_out() -> None:
    data = json.loads(_manifest(item("a", "gpu", b"x")).encode())
    data["schema_version"], data["colour"], data["items"][0]["mood"] = 9, "blue", "calm"
    assert decode(json.dumps(data).encode()).schema_version == 9


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "no list of items"),
        (b"{}", "no list of items"),
        (b'{"items": {"a": 1}}', "no list of items"),
        (b'{"items": [1]}', "no list of items"),
        (b'{"items": [{}]}', "without a path"),
        (b'{"items": [{"path": ""}]}', "without a path"),
        (b'{"items": [{"path": "a"}, {"path": "a"}]}', "lists 'a' twice"),
        (b'{"items": [{"path": "a", "sha256": "xyz"}]}', "no usable sha256 for 'a'"),
        (b'{"items": [{"path": "a", "sha256": 5}]}', "no usable sha256 for 'a'"),
        (b'{"items": [{"path": "a", "sha256": "%s"}]}' % DIGEST.encode(), "no usable size for 'a'"),
        (b'{"items": [{"path": "a", "sha256": "%s", "size_bytes": -1}]}' % DIGEST.encode(), "no usable size for 'a'"),
        (b'{"items": [{"path": "a", "sha256": "%s", "size_bytes": true}]}' % DIGEST.encode(), "no usable size for 'a'"),
    ],
)
def test_a_manifest_that_cannot_be_checked_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(VerificationFailed, match=said):
        decode(data)


def test_a_manifest_without_its_own_digest_is_not_trusted() -> None:
    assert not digest_holds(b'{"items": []}')
