"""The GPU readings that monitoring gets: their names there, their limits, and how a value is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag.findings import Facts
from bilbs_cli.diag.model import branch, value

MOST_GPUS = 64
LARGEST = 1 << 53  # above it a monitoring system's float is no longer exact; no counter of ours gets there


@dataclass(frozen=True, slots=True)
class Sampled:
    """A GPU reading that monitoring gets.

    `plugin` is its label in a plugin's performance data, empty where it is not in there. `warn`, `crit` and `most` are
    the path of a reading, or a range as a plugin writes it (https://www.monitoring-plugins.org/doc/guidelines.html,
    threshold and ranges). `metric` and `labels` are the names for Prometheus.
    """

    path: str
    metric: str
    help: str
    labels: tuple[tuple[str, str], ...] = ()
    counter: bool = False
    plugin: str = ""
    warn: str = ""
    crit: str = ""
    most: str = ""


def _ecc(kind: str, life: str, plugin: str = "", warn: str = "") -> Sampled:
    return Sampled(
        f"ecc/{life}/{kind}",
        "bilbs_gpu_ecc_errors_total",
        "ECC errors, volatile (since the driver was loaded) or aggregate (of the card's life).",
        (("type", kind), ("lifetime", life)),
        counter=True,
        plugin=plugin,
        warn=warn,
    )


REMAPPED = ("bilbs_gpu_remapped_rows_total", "Rows of memory that were remapped, by what made it necessary.")
SAMPLED: tuple[Sampled, ...] = (
    Sampled(
        "temperature_c",
        "bilbs_gpu_temperature_celsius",
        "Temperature of the GPU.",
        plugin="temp",
        crit="temperature_thresholds/slowdown_c",
        most="temperature_thresholds/shutdown_c",
    ),
    Sampled(
        "memory_temperature_c",
        "bilbs_gpu_memory_temperature_celsius",
        "Temperature of the GPU's memory.",
        plugin="mem_temp",
        crit="temperature_thresholds/memory_max_c",
    ),
    Sampled(
        "temperature_margin_c",
        "bilbs_gpu_temperature_margin_celsius",
        "Degrees left to the slowdown.",
        plugin="margin",
        crit="1:",
    ),
    Sampled("power_w", "bilbs_gpu_power_watts", "Power drawn.", plugin="power", most="power_limit_w"),
    Sampled("power_limit_enforced_w", "bilbs_gpu_power_limit_watts", "Power limit that is enforced."),
    _ecc("corrected", "volatile", "ecc_corrected"),
    _ecc("uncorrected", "volatile", "ecc_uncorrected", "0"),
    _ecc("corrected", "aggregate"),
    _ecc("uncorrected", "aggregate"),
    Sampled(
        "remapped_rows/correctable",
        *REMAPPED,
        (("type", "correctable"),),
        counter=True,
        plugin="remapped_correctable",
    ),
    Sampled(
        "remapped_rows/uncorrectable",
        *REMAPPED,
        (("type", "uncorrectable"),),
        counter=True,
        plugin="remapped_uncorrectable",
        crit="511",  # DCGM fails a GPU from 512 on (DCGM_LIMIT_MAX_ROW_REMAP_UNCORRECTABLE)
    ),
    Sampled(
        "remapped_rows/pending",
        "bilbs_gpu_row_remap_pending",
        "1 where a remap waits for a reset of the GPU.",
        plugin="remap_pending",
        warn="0",
    ),
    Sampled(
        "remapped_rows/failure",
        "bilbs_gpu_row_remap_failure",
        "1 where a row could not be remapped.",
        plugin="remap_failure",
        crit="0",
    ),
    Sampled("pcie/width_current", "bilbs_gpu_pcie_width_lanes", "PCIe lanes in use.", plugin="pcie_width"),
    Sampled("pcie/width_max", "bilbs_gpu_pcie_width_max_lanes", "PCIe lanes that GPU and slot have."),
    Sampled("pcie/generation_current", "bilbs_gpu_pcie_generation", "PCIe generation in use (lower when idle)."),
    Sampled(
        "pcie/replay_counter", "bilbs_gpu_pcie_replays_total", "PCIe replays.", counter=True, plugin="pcie_replays"
    ),
    Sampled("utilization/gpu_percent", "bilbs_gpu_utilization_percent", "Share of the time in which a kernel ran."),
)


def devices(facts: Facts) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield index and facts of the GPUs that the driver knows, by index."""
    known = branch(facts, "gpu", "devices")
    numbered = [one for one in known if one.isascii() and one.isdigit() and len(one) < 6 and str(int(one)) == one]
    for index in sorted(numbered, key=int)[:MOST_GPUS]:
        yield index, branch(known, index)


def number(device: Mapping[str, Any], path: str) -> str:
    """Return a value as digits, a truth as 1 or 0; empty for what is no value: an absent reading is an absent sample."""
    found = value(device, *path.split("/"))
    if isinstance(found, bool):
        return str(int(found))
    if not isinstance(found, int | float) or not -LARGEST <= found <= LARGEST:
        return ""
    return str(found) if isinstance(found, int) else f"{found:.6f}".rstrip("0").rstrip(".")
