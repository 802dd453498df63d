"""All GPU rules together: no facts break them, what resets or reboots captures first, and nothing random is an RMA."""

from __future__ import annotations

import doctest
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.collectors import nvml_fields, nvml_table
from bilbs_cli.diag.findings import Box, Gap, Rule, Verdict, evaluate
from bilbs_cli.diag.model import leaves
from bilbs_cli.diag.rule_page import facts_of, page
from bilbs_cli.diag.rules import gpu_readings
from bilbs_cli.diag.rules.gpu import GPU_RULES
from tests.diag.remembered import NOW
from tests.diag.rules.gpu_table import ROWS


def test_examples_in_docstrings_are_true() -> None:
    assert doctest.testmod(gpu_readings) == (0, 1)


WIPES = {Verdict.RESET_GPU, Verdict.REBOOT}


@pytest.mark.parametrize("rule", GPU_RULES, ids=lambda rule: rule.id)
def test_what_resets_or_reboots_says_to_capture_first(rule: Rule) -> None:
    for found in evaluate([rule], Box(facts_of(page(rule).fires), NOW)).findings:
        assert found.verdict not in WIPES or "bilbs diag collect" in found.next
        assert found.verdict is not Verdict.RMA or (found.have and found.missing)


@pytest.mark.parametrize(
    "rule", [one for one in GPU_RULES if one.scope.pattern == "gpu/devices/*"], ids=lambda rule: rule.id
)
def test_what_a_rule_needs_is_something_that_the_collector_reads(rule: Rule) -> None:
    read = {field.fact for fields in nvml_fields.DEVICE.values() for field in fields}
    for query in nvml_table.DEVICE:
        read |= {part.fact for part in query.parts} | {query.fact}
    asked = [way for need in rule.needs for way in need.split("|") if not way.startswith("/")]
    assert [way for way in asked if way not in read] == []


ADDRESS = st.sampled_from(["0000:3b:00.0", "0000:5E:00.0", "", "x" * 500, "10000:9a:00.0", "\x1b[31m"])
NUMBERS = st.one_of(
    st.integers(-5, 10**6),
    st.sampled_from([10**400, 1 << 63, -1, 0, 511, 512, True, False]),
    st.floats(),
)
WORDS = st.sampled_from(
    ["P0", "none", "gpu reset", "active", "inactive", "completed", "true", "NVIDIA L40S", "vfio-pci"]
)
ANYTHING = st.one_of(
    st.none(),
    NUMBERS,
    WORDS,
    ADDRESS,
    st.lists(st.one_of(WORDS, NUMBERS, ADDRESS), max_size=3),
    st.dictionaries(
        st.sampled_from(["retired_at_s", "pci_bus_id", "route_unhealthy", "at"]), st.one_of(WORDS, NUMBERS), max_size=3
    ),
)
LEAF = st.one_of(
    ANYTHING.map(lambda one: {"value": one}),
    st.sampled_from(
        ["NVMLError_GpuIsLost", "NVMLError_NotSupported", "Timeout", "ProcessDied", "NVMLError_CorruptedInforom"]
    ).map(lambda kind: {"error": {"class": kind, "code": 15, "message": "x"}}),
    st.just({"not_collected": "x"}),
    ANYTHING,
)
PATHS = sorted(
    {path for row in ROWS for path in (*row.fires, *row.quiet) if not path.startswith("/")}
    | {"name", "handle", "power_w"}
)
DEVICE = st.dictionaries(st.sampled_from(["pci_bus_id", "serial", *PATHS]), LEAF, max_size=14)
SYSTEM = st.dictionaries(
    st.sampled_from(["nvml", "gpus_in_pci", "device_count", "excluded_count", "excluded_0", "library_versions"]),
    LEAF,
    max_size=6,
)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(
                ["xid", "off_bus", "nvrm_init", "nvrm_mismatch", "nvrm_reset_required", "nvrm_identity"]
            ),
            "code": st.sampled_from([79, 31, None, "x"]),
            "pci": ADDRESS,
            "text": st.text(max_size=20),
            "count": NUMBERS,
            "sightings": st.lists(
                st.tuples(
                    st.integers(0, 9), st.sampled_from([None, "2026-11-21T03:00:00+00:00", "x"]), st.none(), st.just("")
                ).map(list),
                max_size=2,
            ),
            "detail": st.just({"serial": "1652324000311"}),
        }
    ),
    max_size=4,
)
MEMORY = st.dictionaries(
    st.sampled_from(["baseline", "history"]),
    st.one_of(
        ANYTHING,
        st.fixed_dictionaries(
            {
                "taken_at": st.sampled_from(["2026-11-01T00:00:00+00:00", "x", None]),
                "gpus": st.lists(
                    st.fixed_dictionaries(
                        {"pci": ADDRESS, "serial": ADDRESS, "nvlinks_up": ANYTHING, "counters": ANYTHING}
                    ),
                    max_size=3,
                ),
                "samples": st.lists(
                    st.fixed_dictionaries(
                        {
                            "at": st.sampled_from(
                                ["2026-11-20T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+00:00"]
                            ),
                            "pci": ADDRESS,
                            "serial": ADDRESS,
                            "counters": st.dictionaries(
                                st.sampled_from(
                                    ["pcie_replays", "remapped_uncorrectable", "retired_pages", "nvlink_crc"]
                                ),
                                NUMBERS,
                            ),
                        }
                    ),
                    max_size=3,
                ),
                "faults": st.lists(
                    st.fixed_dictionaries(
                        {
                            "at": st.just("2026-11-10T00:00:00+00:00"),
                            "rule": st.just("gpu.lost"),
                            "pci": ADDRESS,
                            "serial": ADDRESS,
                        }
                    ),
                    max_size=2,
                ),
            }
        ),
    ).map(lambda one: {"value": one}),
    max_size=2,
)


def _inserted(devices: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return devices whose readings stand at their paths."""
    found: dict[str, Any] = {}
    for index, device in devices.items():
        node: dict[str, Any] = found.setdefault(index, {})
        for path, leaf in device.items():
            *above, last = path.split("/")
            inner: Any = node
            for name in above:
                inner = inner.setdefault(name, {}) if isinstance(inner, dict) else {}
            if isinstance(inner, dict):
                inner[last] = leaf
    return found


@settings(max_examples=300, deadline=None)
@given(
    devices=st.dictionaries(st.sampled_from(["0", "1", "2", "3", "x;y", ""]), DEVICE, max_size=5).map(_inserted),
    system=SYSTEM,
    buses=st.dictionaries(
        ADDRESS, st.dictionaries(st.sampled_from(["kind", "answers", "driver"]), LEAF, max_size=3), max_size=3
    ),
    logged=EVENTS,
    memory=MEMORY,
    booted=st.sampled_from([None, "2026-11-20T00:00:00+00:00", "9999-12-31T23:59:59-14:00", 7]),
)
def test_no_facts_break_a_gpu_rule(
    devices: Any, system: Any, buses: Any, logged: Any, memory: Any, booted: Any
) -> None:
    facts = {
        "gpu": {"devices": devices, "system": system, "pci": buses},
        "pci": {"devices": buses, "counts": {"nvswitch": {"value": 4}}},
        "services": {"processes": {"nv-fabricmanager": {"running": {"value": False}}}},
        "kernel": {"log": {"dmesg.txt": {"value": {"lines": 9, "events": logged}}}},
        "memory": memory,
        "system": {"booted_at": {"value": booted}},
    }
    judgement = evaluate(GPU_RULES, Box(facts, NOW))
    assert [gap for gap in judgement.not_evaluated if gap.kind is Gap.BROKEN] == []
    flags = {
        "remapped_rows/failure",
        "fields/remapped_rows/failure",
        "ecc/sram_status/threshold_exceeded",
        "unrepairable_memory",
    }
    set_flags = any(
        "/".join(path[1:]) in flags and getattr(one, "value", None) is True for path, one in leaves(devices)
    )
    for found in judgement.findings:
        assert re.fullmatch(r"gpu(\.[a-z_]+)+", found.rule)
        assert found.message
        assert found.next
        assert found.evidence
        if found.verdict is Verdict.RMA:
            assert found.missing
            assert set_flags or found.rule in {"gpu.lost", "gpu.off_bus", "gpu.driver.init_failed"}
