"""The sandbox against the contract: every operation is there, and a program that knows only openapi.yaml finds no fault."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bilbs_cli.sandbox import contract
from bilbs_cli.sandbox.app import HANDLERS
from tests.parts.sandbox import Sandbox

OPENAPI = Path(contract.__file__).parents[1] / "support" / "openapi.yaml"
HOOKS = """
import schemathesis

@schemathesis.serializer("application/partial-upload")
def upload(context, value):
    return b"hello"

@schemathesis.deserializer("application/octet-stream")
def octets(context, response):
    return response.content
"""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"


def test_every_operation_of_the_contract_has_a_handler_and_none_is_left_over() -> None:
    assert set(HANDLERS) == {one.id for one in contract.operations()}


@pytest.mark.parametrize(
    ("schema", "value", "wrong"),
    [
        ({"$ref": "#/components/schemas/TicketCreate"}, {"subject": "s", "severity": "sev1"}, ()),
        ({"$ref": "#/components/schemas/TicketCreate"}, {"severity": "sev1"}, ("",)),
        ({"$ref": "#/components/schemas/TicketCreate"}, {"subject": "", "severity": 1}, ("/severity", "/subject")),
        ({"$ref": "#/components/schemas/TicketCreate"}, {"subject": "s", "severity": "x", "kind": "a/b"}, ("/kind",)),
        ({"type": "object", "properties": {"a/b~": {"type": "string"}}}, {"a/b~": 1}, ("/a~1b~0",)),
        ({"$ref": "#/components/schemas/Time"}, "2026-11-24T22:47:00+01:00", ("",)),
        ({"$ref": "#/components/schemas/Time"}, "2026-13-24T22:47:00Z", ("",)),
    ],
)
def test_what_is_against_a_schema_is_named_by_its_place(
    schema: dict[str, object], value: object, wrong: tuple[str, ...]
) -> None:
    assert tuple(sorted(pointer for pointer, _ in contract.faults(schema, value))) == wrong


def run(desk: Sandbox, tmp_path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "hooks.py").write_text(HOOKS)
    program = str(Path(sys.executable).with_name("schemathesis"))
    argv = [program, "run", str(OPENAPI), "--url", desk.url, "-H", f"Authorization: Bearer {desk.token}"]
    argv += [
        "--checks",
        CHECKS,
        "--suppress-health-check",
        "all",
        "--no-color",
        "--seed",
        "7",
        "--request-timeout",
        "40",
        *more,
    ]
    return subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
    )


@pytest.mark.timeout(300)
def test_a_tester_that_reads_only_the_contract_finds_no_violation(desk: Sandbox, tmp_path: Path) -> None:
    done = run(desk, tmp_path, "--max-examples", "12", "--phases", "examples,coverage,fuzzing,stateful")
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search(r"Tested: 46", done.stdout), done.stdout[-3000:]
    assert int(re.findall(r"(\d+) generated", done.stdout)[0]) > 1500


def test_the_tester_would_see_an_answer_that_is_not_in_the_contract(
    desk: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.store.set("status", "no such state")
    done = run(desk, tmp_path, "--max-examples", "1", "--phases", "examples,coverage", "--include-path", "/status")
    assert done.returncode == 1
    assert "no such state" in done.stdout
