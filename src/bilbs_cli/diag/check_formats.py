"""A check for monitoring: the line of a Nagios-style plugin, and a page for a Prometheus textfile collector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag import check_words, checked_json, identity
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Finding, Gap, Severity
from bilbs_cli.diag.gpu_samples import MOST_GPUS, SAMPLED, devices, number
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.escape import visible
from bilbs_cli.tables import clip

FIRST_LINE = 200  # characters before the performance data: pagers and NRPE cut what is longer
LONG_LINES = 20  # lines of long output
LINE = 300
NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")  # by exit status


def nagios(checked: Checked, fail_on: str = "warning") -> tuple[str, int]:
    """Return a plugin's output and exit status (0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN).

    The form is that of https://www.monitoring-plugins.org/doc/guidelines.html: a line of text, `|` and performance data,
    then long output. With `fail_on` `critical` warnings are shown and do not alarm.
    """
    worst = checked_json.status(checked)
    exit_status = {"healthy": 0, "warning": 1 if fail_on == "warning" else 0, "critical": 2, "unknown": 3}[worst]
    first = clip(_plain(f"BILBS {NAMES[exit_status]} - {_said(checked, worst)}"), FIRST_LINE)
    details = [_plain(line) for line in _long(checked)]
    return "\n".join([f"{first} | {' '.join(_performance(checked))}", *details]), exit_status


def _said(checked: Checked, worst: str) -> str:
    if worst == "unknown":
        return f"{check_words.why_unknown(checked)}; {checked.judgement.coverage}"
    if worst == "healthy":
        return f"nothing found as far as could be read; {checked.judgement.coverage}"
    roots = [one for one in checked.judgement.findings if not one.caused_by and one.severity.value != "info"]
    named = f"{_where(roots[0])}: {roots[0].message}" if roots else ""
    more = f" (and {len(roots) - 1} more)" if len(roots) > 1 else ""
    counts = _counts(checked.judgement.findings)
    alarming = ", ".join(f"{counts[one]} {one}" for one in ("critical", "warning") if counts[one])
    room = FIRST_LINE - len(f"BILBS CRITICAL - {alarming}: {more}")
    return f"{alarming}: {clip(_plain(named), room)}{more}"


def _where(finding: Finding) -> str:
    return finding.label or finding.part


def _counts(findings: Iterable[Finding]) -> Counter[str]:
    return Counter(one.severity.value for one in findings)


def _plain(text: str) -> str:
    """Return text that can stand in a plugin's output: on one line, without the mark that begins performance data."""
    return clip(visible(" ".join(text.split())).replace("|", "/"), LINE)


def _long(checked: Checked) -> Iterator[str]:
    findings = checked.judgement.findings
    for one in findings[:LONG_LINES]:
        followed = f" (follows from {one.caused_by})" if one.caused_by else ""
        yield f"{one.severity.value}: {_where(one)}: {one.message} [{one.rule}] {one.verdict.words}{followed}"
    if len(findings) > LONG_LINES:
        yield f"and {len(findings) - LONG_LINES} more findings: bilbs diag check"
    yield checked.judgement.coverage


def _performance(checked: Checked) -> Iterator[str]:
    counts, judgement = _counts(checked.judgement.findings), checked.judgement
    yield f"'critical'={counts['critical']};;0;0"
    yield f"'warning'={counts['warning']};0;;0"
    yield f"'info'={counts['info']};;;0"
    yield f"'not_evaluated'={len(judgement.not_evaluated)};;;0"
    yield f"'evaluated'={judgement.evaluated};;;0"
    for index, device in devices(checked.facts):
        for one in SAMPLED:
            if one.plugin and (shown := number(device, one.path)):
                unit = "c" if one.counter else ""  # degrees and watts have no unit there
                limits = ";".join(_limit(device, limit) for limit in (one.warn, one.crit, "", one.most))
                yield f"'gpu{index}_{one.plugin}'={shown}{unit};{limits}".rstrip(";")


def _limit(device: Mapping[str, Any], limit: str) -> str:
    return limit if not limit or limit[0].isdigit() else number(device, limit)


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    help: str
    samples: Sequence[tuple[tuple[tuple[str, str], ...], str]]
    counter: bool = False


def prometheus(checked: Checked) -> str:
    """Return a page in the text format 0.0.4 for node_exporter's textfile collector: no time stamps, each series once.

    The format: https://prometheus.io/docs/instrumenting/exposition_formats/.
    """
    return "".join(_page(one) for one in (*_check_metrics(checked), *_gpu_metrics(checked)) if one.samples)


def _check_metrics(checked: Checked) -> Iterator[_Metric]:
    judgement, counts = checked.judgement, _counts(checked.judgement.findings)
    gaps = Counter(one.kind.value for one in judgement.not_evaluated)
    status = checked_json.status(checked)
    yield _Metric(
        "bilbs_check_timestamp_seconds",
        "When the box was read.",
        [((), f"{checked.collected_at.timestamp():.3f}")],
    )
    yield _Metric(
        "bilbs_check_status",
        "1 for the state of the box; unknown is no clean bill.",
        [((("status", one),), str(int(one == status))) for one in ("healthy", "warning", "critical", "unknown")],
    )
    yield _Metric(
        "bilbs_check_findings",
        "Findings by severity.",
        [((("severity", one.value),), str(counts[one.value])) for one in Severity],
    )
    yield _Metric(
        "bilbs_finding",
        "1 for each thing that is wrong.",
        [(labels, "1") for labels in dict.fromkeys(map(_finding_labels, judgement.findings))],
    )
    yield _Metric(
        "bilbs_check_not_evaluated",
        "Rules that could not be evaluated, by reason: never a pass.",
        [((("kind", one.value),), str(gaps[one.value])) for one in Gap],
    )
    yield _Metric("bilbs_check_evaluated", "Rules evaluated, once for each part.", [((), str(judgement.evaluated))])
    yield _Metric(
        "bilbs_catalogue_info", "Version of the Xid data.", [((("version", _label(checked.catalogue)),), "1")]
    )


def _finding_labels(one: Finding) -> tuple[tuple[str, str], ...]:
    named = ("rule", one.rule), ("part", one.part), ("severity", one.severity.value), ("verdict", one.verdict.value)
    return tuple((name, _label(said)) for name, said in named)


def _gpu_metrics(checked: Checked) -> Iterator[_Metric]:
    known = dict.fromkeys(map(_gpu_labels, checked.gpus[: MOST_GPUS * 2]))
    yield _Metric(
        "bilbs_gpu_info",
        "1 for each GPU that is known; one that is missing or lost does not answer.",
        [(one, "1") for one in known],
    )
    answering = [(_device_labels(index, device), device) for index, device in devices(checked.facts)]
    for name in dict.fromkeys(one.metric for one in SAMPLED):
        rows = [one for one in SAMPLED if one.metric == name]
        samples = [
            ((*labels, *row.labels), shown)
            for row in rows
            for labels, device in answering
            if (shown := number(device, row.path))
        ]
        yield _Metric(name, rows[0].help, samples, rows[0].counter)


def _gpu_labels(gpu: GpuIdentity) -> tuple[tuple[str, str], ...]:
    named = (
        ("gpu", "" if gpu.index is None else str(gpu.index)),
        ("pci", gpu.pci),
        ("uuid", gpu.uuid),
        ("serial", gpu.serial),
        ("name", gpu.name),
        ("slot", gpu.slot),
        ("state", gpu.present),
    )
    return tuple((name, _label(said)) for name, said in named)


def _device_labels(index: str, device: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return ("gpu", index), ("pci", _label(identity.address_of(device)))


def _label(said: str) -> str:
    return visible(said)[:LINE]


def _page(metric: _Metric) -> str:
    lines = [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {'counter' if metric.counter else 'gauge'}"]
    for labels, shown in metric.samples:
        named = ",".join(f'{name}="{_escaped(said)}"' for name, said in labels)
        lines.append(f"{metric.name}{f'{{{named}}}' if named else ''} {shown}")
    return "\n".join(lines) + "\n"


def _escaped(said: str) -> str:
    return said.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
