"""Make docs/gpu-readings.md from the tables of readings: `python -m tests.diag.collectors.gpu_readings_page`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bilbs_cli.diag.collectors import nvml_fields, nvml_table
from bilbs_cli.diag.collectors.nvml import PREFIX, Part, Query
from bilbs_cli.diag.collectors.nvml_fields import Field

PAGE = Path(__file__).parents[3] / "docs" / "gpu-readings.md"
HEAD = """# What is read of each GPU

Made from the tables in `src/bilbs_cli/diag/collectors/nvml_table.py` and `nvml_fields.py` by
`python -m tests.diag.collectors.gpu_readings_page`; a test says when it is not current.

Facts stand below `gpu/devices/<index>` in `facts.json`; their unit is the end of their name. Each has a value, or the
error that NVML gave for it (`NVMLError_NotSupported`, `NVMLError_GpuIsLost`, `Timeout`, `Implausible` for a value that
cannot be), or the reason why it was not asked. The last column is the element below `gpu` in `nvidia-smi -q -x`.

Besides these: `handle` (only when NVML does not give one), `cper` (Common Platform Error Records, nvmlSystemGetCPER_v1),
`calls/…` (only when a call that gives several facts did not return), `rest` (why the rest was not asked),
`nvlink_states` (in place of links that are all "not supported"), `pci_bus_id_by_elimination`. `gpu/system` has the
versions, how NVML started, and the counts; `gpu/pci/<address>` what Linux knows without NVML.
"""
UNITS = ("w", "c", "mhz", "percent", "bytes", "ns", "us", "s", "j", "mbps", "rpm")


def page() -> str:
    """Return the whole page."""
    groups: tuple[tuple[str, str, Iterable[tuple[str, str, str]]], ...] = (
        ("Calls", "", _calls((*nvml_table.DEVICE, nvml_table.FAN_COUNT))),
        ("Field values", "", _fields(field for fields in nvml_fields.DEVICE.values() for field in fields)),
        ("Each fan", "fans/<fan>/", _calls(nvml_table.FAN)),
        (
            "Each NVLink",
            "nvlink/<link>/",
            [*_calls((nvml_table.LINK_STATE, *nvml_table.LINK)), *_fields(nvml_fields.LINK)],
        ),
        ("Each NVLink of generation 5 and later", "nvlink/<link>/", _fields(nvml_fields.LINK5)),
    )
    return HEAD + "".join(f"\n## {title}\n\n{_table(below, rows)}" for title, below, rows in groups)


def parts(query: Query) -> tuple[Part, ...]:
    """Return the facts of a query with their elements in nvidia-smi's XML."""
    return query.parts or (Part(query.fact, query.smi),)


def _calls(queries: Iterable[Query]) -> Iterator[tuple[str, str, str]]:
    for query in queries:
        arguments = ", ".join(str(one).removeprefix("NVML_") for one in query.arguments)
        call = f"{PREFIX}{query.call}({arguments})" if arguments else PREFIX + query.call
        older = f", else {PREFIX}{query.older}" if query.older else ""
        yield from ((part.fact, call + older, part.smi) for part in parts(query))


def _fields(fields: Iterable[Field]) -> Iterator[tuple[str, str, str]]:
    for field in fields:
        scope = f", scope {field.scope}" if field.scope else ""
        yield field.fact, f"field {field.number} {field.name}{scope}", field.smi


def _table(below: str, rows: Iterable[tuple[str, str, str]]) -> str:
    lines = (
        f"| `{below}{fact}` | {_unit(fact)} | {call} | {f'`{smi}`' if smi else ''} |\n" for fact, call, smi in rows
    )
    return "| fact | unit | NVML | nvidia-smi |\n|---|---|---|---|\n" + "".join(lines)


def _unit(fact: str) -> str:
    end = fact.rpartition("_")[2]
    return (
        {"c": "°C", "w": "W", "mhz": "MHz", "percent": "%", "j": "J", "mbps": "MB/s", "rpm": "1/min"}.get(end, end)
        if end in UNITS and "_" in fact
        else ""
    )


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
