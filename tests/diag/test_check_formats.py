"""Formats for monitoring: a plugin's line by the Monitoring Plugins guidelines, a page that a strict parser reads."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given

from bilbs_cli.diag.check_formats import nagios, prometheus
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Gap, Judgement, Severity
from bilbs_cli.diag.model import ReadError
from bilbs_cli.escape import visible
from tests.diag.judged import (
    NOT_SUPPORTED,
    PCI,
    box,
    checks,
    dead_gpu,
    dead_gpu_box,
    dead_gpu_findings,
    event,
    judge,
    quiet,
)
from tests.diag.remembered import tree

# 'label'=value[UOM];[warn];[crit];[min];[max], as the guidelines have it; a range is [@][start:][end]
RANGE = r"(?:@?(?:~|-?[0-9.]+)?:?(?:-?[0-9.]+)?)?"
DATUM = re.compile(
    rf"'[^'=|]+'=(-?[0-9]+(?:\.[0-9]+)?)(?:c|%|s|B)?(?:;{RANGE}(?:;{RANGE}(?:;(?:-?[0-9.]+)?(?:;(?:-?[0-9.]+)?)?)?)?)?"
)


def data(output: str) -> dict[str, str]:
    """Return the performance data of a plugin's output by label, each datum checked."""
    first, *rest = output.split("\n")
    text, bar, performance = first.partition(" | ")
    assert bar
    assert "|" not in text + performance + "".join(rest)
    found = {}
    for datum in performance.split(" "):
        assert DATUM.fullmatch(datum), datum
        label, _, value = datum.partition("=")
        assert label not in found
        found[label.strip("'")] = value
    return found


def test_a_critical_box_is_critical_on_its_first_line_with_counts_and_gpu_readings() -> None:
    output, status = nagios(dead_gpu(), "warning")
    assert status == 2
    assert output.split(" | ")[0] == (
        "BILBS CRITICAL - 1 critical, 1 warning: "
        "GPU 1 (0000:3b:00.0, slot 5): the GPU has fallen off the bus (and 1 more)"
    )
    assert data(output) == {
        "critical": "1;;0;0",
        "warning": "1;0;;0",
        "info": "2;;;0",
        "not_evaluated": "12;;;0",
        "evaluated": "42;;;0",
        "gpu0_temp": "54;;92;;95",
        "gpu0_margin": "33;;1:",
        "gpu0_power": "68.57;;;;700",
        "gpu0_ecc_corrected": "11c",
        "gpu0_ecc_uncorrected": "0c;0",
        "gpu0_remapped_uncorrectable": "1c;;511",
        "gpu0_remap_pending": "1;0",
        "gpu0_remap_failure": "0;;0",
        "gpu0_pcie_width": "16",
    }
    assert output.split("\n")[1:] == [
        "critical: GPU 1 (0000:3b:00.0, slot 5): the GPU has fallen off the bus [xid.79] RMA candidate",
        (
            "warning: GPU 0 (0000:1b:00.0, serial 1652324000311): a row of memory waits to be remapped"
            " [gpu.row_remap.pending] reset the GPU"
        ),
        "info: GPU 0 (0000:1b:00.0, serial 1652324000311): persistence mode is off [gpu.persistence] ignore",
        (
            "info: GPU 1 (0000:3b:00.0, slot 5): channels were cleaned up [xid.45] ignore"
            " (follows from xid.79@gpu:0000:3b:00.0)"
        ),
        "42 checks by 30 rules, 12 not evaluated (9 unsupported, 3 denied)",
    ]


def only(severity: str) -> Checked:
    return judge(dead_gpu_box(), *(one for one in dead_gpu_findings() if one.severity.value == severity))


@pytest.mark.parametrize(
    ("checked", "fail_on", "name", "expected"),
    [
        (quiet(), "warning", "OK", 0),
        (only("info"), "warning", "OK", 0),
        (only("warning"), "warning", "WARNING", 1),
        (only("warning"), "critical", "OK", 0),
        (only("critical"), "critical", "CRITICAL", 2),
        (judge(dead_gpu_box(), evaluated=0), "warning", "UNKNOWN", 3),
        (judge(dead_gpu_box(), *dead_gpu_findings(), evaluated=0), "warning", "CRITICAL", 2),
    ],
)
def test_the_exit_status_is_that_of_the_first_line(checked: Checked, fail_on: str, name: str, expected: int) -> None:
    output, status = nagios(checked, fail_on)
    assert output.startswith(f"BILBS {name} - ")
    assert status == expected


def silent_gpus() -> Checked:
    lost = ReadError("NVMLError_GpuIsLost", "GPU is lost", 15)
    facts = tree({"gpu/devices/0/pci_bus_id": "0000:1b:00.0", "gpu/devices/0/temperature_c": lost})
    return judge(box(facts))


def test_gpus_that_gave_no_reading_at_all_are_unknown_and_never_ok() -> None:
    output, status = nagios(silent_gpus())
    assert status == 3
    assert output.startswith("BILBS UNKNOWN - no GPU gave a single reading")


def test_gpus_that_only_a_log_knows_were_not_looked_for_and_make_nothing_unknown() -> None:
    checked = judge(box({}, kern=(event("xid", "03:00:00", code=43, pci=PCI),)))
    assert [one.present for one in checked.gpus] == ["unknown"]
    assert nagios(checked)[1] == 0


def test_an_absent_reading_is_an_absent_sample_and_never_zero() -> None:
    facts = tree({"gpu/devices/0/temperature_c": NOT_SUPPORTED, "gpu/devices/0/power_w": 0})
    checked = judge(box(facts))
    assert "gpu0_temp" not in data(nagios(checked)[0])
    assert data(nagios(checked)[0])["gpu0_power"] == "0"
    assert "temperature" not in prometheus(checked)
    assert 'bilbs_gpu_power_watts{gpu="0",pci=""} 0\n' in prometheus(checked)


@pytest.mark.parametrize(
    ("found", "sample"),
    [
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
        (1e300, None),
        ("54", None),
        ([54], None),
        (None, None),
        (True, "1"),
        (-3, "-3"),
        (1e-9, "0"),
        (54.5, "54.5"),
    ],
)
def test_a_value_that_is_no_number_for_monitoring_is_no_sample(found: object, sample: str | None) -> None:
    checked = judge(box(tree({"gpu/devices/0/pcie/width_current": found})))
    assert data(nagios(checked)[0]).get("gpu0_pcie_width") == sample
    assert ("bilbs_gpu_pcie_width_lanes" in parse(prometheus(checked))) == (sample is not None)


def test_long_output_is_bounded_and_says_what_is_left_out() -> None:
    many = [replace(dead_gpu_findings()[0], part=f"gpu:{n}") for n in range(100)]
    lines = nagios(judge(dead_gpu_box(), *many))[0].split("\n")
    assert len(lines) == 23
    assert lines[-2] == "and 80 more findings: bilbs diag check"


@given(checks())
def test_no_judgement_breaks_a_plugins_output(checked: Checked) -> None:
    for fail_on in ("warning", "critical"):
        output, status = nagios(checked, fail_on)
        assert status in {0, 1, 2, 3}
        text = output.split("\n")[0].partition(" | ")[0]
        assert len(text) <= 200
        assert visible(text) == text
        data(output)


@dataclass
class Family:
    kind: str
    help: str
    samples: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)


LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def parse(page: str) -> dict[str, Family]:
    """Read a page strictly by the text format 0.0.4, and by what node_exporter's textfile collector refuses besides."""
    assert page.endswith("\n")
    page.encode("utf-8")
    families: dict[str, Family] = {}
    helps: dict[str, str] = {}
    current = ""
    for line in page[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, said = line[7:].split(" ", 1)
            assert name not in helps
            helps[name] = said
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert kind in {"counter", "gauge"}
            assert name not in families
            families[name] = Family(kind, helps[name])
            current = name
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            assert found[1] == current, "samples of a metric stand together, behind its TYPE"
            labels = parse_labels(found[2] or "")
            number = float(found[3])
            assert math.isfinite(number)
            assert labels not in families[current].samples, "a series twice"
            families[current].samples[labels] = number
    assert all(one.samples for one in families.values())
    return families


def parse_labels(text: str) -> tuple[tuple[str, str], ...]:
    found, at = [], 0
    while at < len(text):
        label = LABEL.match(text, at)
        assert label, text
        said = re.sub(r"\\[\\\"n]", lambda one: UNESCAPED[one[0]], label[2])
        found.append((label[1], said))
        at = label.end()
    assert len({name for name, _ in found}) == len(found)
    return tuple(found)


def test_the_page_holds_findings_gaps_and_gpus() -> None:
    checked = dead_gpu()
    page = parse(prometheus(checked))
    assert page["bilbs_check_timestamp_seconds"].samples == {(): checked.collected_at.timestamp()}
    assert page["bilbs_check_findings"].samples == {
        (("severity", "info"),): 2,
        (("severity", "warning"),): 1,
        (("severity", "critical"),): 1,
    }
    named = (("rule", "xid.79"), ("part", "gpu:0000:3b:00.0"), ("severity", "critical"), ("verdict", "rma_candidate"))
    assert page["bilbs_finding"].samples[named] == 1
    assert page["bilbs_check_not_evaluated"].samples[(("kind", "unsupported"),)] == 9
    assert page["bilbs_check_evaluated"].samples == {(): 42}
    assert page["bilbs_catalogue_info"].samples == {(("version", "2026-10"),): 1}
    assert page["bilbs_check_status"].samples[(("status", "critical"),)] == 1
    card = (("gpu", "0"), ("pci", "0000:1b:00.0"))
    assert page["bilbs_gpu_temperature_celsius"].samples == {card: 54}
    corrected = (*card, ("type", "corrected"), ("lifetime", "volatile"))
    assert page["bilbs_gpu_ecc_errors_total"].kind == "counter"
    assert page["bilbs_gpu_ecc_errors_total"].samples[corrected] == 11
    states = {dict(labels)["pci"]: dict(labels)["state"] for labels in page["bilbs_gpu_info"].samples}
    assert states == {"0000:1b:00.0": "nvml", "0000:3b:00.0": "lost"}


def test_every_counter_is_called_total_and_no_gauge_is() -> None:
    for name, one in parse(prometheus(dead_gpu())).items():
        assert name.endswith("_total") == (one.kind == "counter"), name


def test_what_stands_in_a_label_comes_back_from_it() -> None:
    part = 'disk:a"b\\c'
    checked = judge(dead_gpu_box(), replace(dead_gpu_findings()[0], part=part))
    (labels,) = parse(prometheus(checked))["bilbs_finding"].samples
    assert dict(labels)["part"] == part


def test_the_same_finding_twice_is_one_series() -> None:
    checked = judge(dead_gpu_box(), dead_gpu_findings()[0], replace(dead_gpu_findings()[0], message="again"))
    page = parse(prometheus(checked))
    assert len(page["bilbs_finding"].samples) == 1
    assert page["bilbs_check_findings"].samples[(("severity", "critical"),)] == 2


@given(checks())
def test_every_page_is_read_by_a_strict_parser(checked: Checked) -> None:
    page = parse(prometheus(checked))
    counts = {dict(labels)["severity"]: n for labels, n in page["bilbs_check_findings"].samples.items()}
    assert sum(counts.values()) == len(checked.judgement.findings)
    assert set(counts) == {one.value for one in Severity}
    assert sum(page["bilbs_check_not_evaluated"].samples.values()) == len(checked.judgement.not_evaluated)
    assert len(page["bilbs_check_not_evaluated"].samples) == len(Gap)


def test_the_parser_of_these_tests_refuses_what_the_format_forbids() -> None:
    good = prometheus(replace(quiet(), judgement=Judgement(evaluated=1)))
    parse(good)
    for bad in (
        good.removesuffix("\n"),
        good + good,
        good + 'x{a="b"} 1\n',
        good.replace("bilbs_check_evaluated 1", "bilbs_check_evaluated one"),
        good.replace('{severity="info"}', '{severity="in"fo"}'),
        good.replace('{severity="info"}', '{severity="warning"}'),
    ):
        with pytest.raises((AssertionError, ValueError, KeyError)):
            parse(bad)
