"""Over-redaction: the output of real tools comes out as it went in."""

from __future__ import annotations

from pathlib import Path

import pytest

from bilbs_cli.diag.redaction import Redactor
from tests.diag.redaction.examples import DATA

REDACTOR = Redactor()
SAMPLES = sorted((DATA / "keeps").iterdir())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_the_output_of_a_tool_comes_out_byte_for_byte(sample: Path) -> None:
    text = sample.read_bytes()
    stream = REDACTOR.stream()
    out = stream.feed(text) + stream.finish()
    for before, after in zip(text.split(b"\n"), out.split(b"\n"), strict=True):
        assert after == before
    assert not stream.counts


@pytest.mark.parametrize(
    "value",
    [
        "GPU-8a3f1c2d-52b7-4e0a-9c31-0d2f6b7a9e14",
        "00000000:3B:00.0",
        "0000:3b:00.0",
        "580.95.05",
        "96.00.89.00.01",
        "1650124014249",
        "3c:ec:ef:01:02:03",
        "4c6d1a0f0a6a7b1e2d3c4b5a69788796a5b4c3d2",
        "sha256:4c6d1a0f0a6a7b1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899a",
        "0x0000000000000000",
        "692-2G520-0200-000",
        "nqn.1994-11.com.samsung:nvme:PM9A3:2.5-inch:S64HNE0R123456",
        "H100 80GB HBM3",
        "71.32",
        "2026-11-21T03:30:01Z",
    ],
)
def test_what_a_reading_holds_is_no_secret(value: str) -> None:
    for text in (value, f"value: {value}", f'"value": "{value}"', f"x={value},"):
        assert REDACTOR.text(text) == text
