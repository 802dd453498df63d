"""What the rules about GPUs have to say, written from the documents and not from the rules: one row, one threshold.

Paths are below `gpu/devices/0`; those that start with `/` are from the top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag.findings import Box, Judgement, evaluate
from bilbs_cli.diag.model import ReadError
from bilbs_cli.diag.rules.gpu import GPU_RULES
from tests.diag.remembered import NOW, tree

PCI, PART, SERIAL = "0000:3b:00.0", "gpu:0000:3b:00.0", "1652324000311"
UNSUPPORTED = ReadError("NVMLError_NotSupported", "Not Supported", 3)
LOST = ReadError("NVMLError_GpuIsLost", "GPU is lost", 15)
CORRUPT = ReadError("NVMLError_CorruptedInforom", "Corrupted infoROM", 14)


@dataclass(frozen=True, slots=True)
class Row:
    """A rule, facts on which it fires and facts just below its threshold, and what it then says."""

    rule: str
    fires: dict[str, Any]
    quiet: dict[str, Any]
    severity: str
    verdict: str

    @property
    def name(self) -> str:
        return f"{self.rule} {self.fires}"[:90]


def page(*days_ago: int) -> list[dict[str, Any]]:
    """Return a list of retired pages, each retired that many days ago."""
    return [
        {"address": hex(4096 * n), "retired_at_s": int(NOW.timestamp()) - day * 86400} for n, day in enumerate(days_ago)
    ]


def sample(days_ago: float, **counters: int) -> dict[str, Any]:
    """Return the history with one earlier check of the GPU."""
    at = NOW.timestamp() - days_ago * 86400
    when = NOW.fromtimestamp(at, NOW.tzinfo).isoformat()
    return {"samples": [{"at": when, "boot": "b", "pci": PCI, "serial": SERIAL, "counters": counters}]}


def baseline(**gpu: Any) -> dict[str, Any]:
    """Return a baseline with this GPU."""
    return {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": PCI, "serial": SERIAL, **gpu}]}


def facts_of(*readings: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a box whose GPU 0 has these readings."""
    base: dict[str, Any] = {"pci_bus_id": PCI, "serial": SERIAL, "/system/booted_at": "2026-11-20T04:00:00+00:00"}
    found = {}
    for path, reading in {name: one for some in (base, *readings) for name, one in some.items()}.items():
        found[path[1:] if path.startswith("/") else f"gpu/devices/0/{path}"] = reading
    return tree(found)


def judged(*readings: dict[str, Any], only: str = "") -> Judgement:
    """Return what the rules (or one of them) say of such a box."""
    rules = [one for one in GPU_RULES if not only or one.id == only]
    assert rules, only
    return evaluate(rules, Box(facts_of(*readings), NOW))


LIMITS = {"pcie/generation_max": 5, "pcie/width_current": 16}
MINUTES_10 = 10 / 1440
NO_REPAIR = {"repair/channel_pending": False, "repair/tpc_pending": False}
NO_SRAM = {"ecc/volatile/sram/corrected": 0, "ecc/aggregate/sram/corrected": 9_999}
NO_DRAM = {"ecc/volatile/dram/corrected": 0, "ecc/aggregate/dram/corrected": 19_999_999}
ECC_ON = {"ecc_mode_current": True, "ecc_mode_pending": True, "ecc_mode_default": True}
P0 = {"performance_state": "P0", "pcie/generation_max": 5}
FABRIC = {"fabric/state": "completed", "fabric/status": "success"}
GOOD_HEALTH = {"degraded_bandwidth": "false", "route_unhealthy": "false", "incorrect_configuration": "none"}
NO_PAGES: dict[str, Any] = {"retired_pages/single_bit": [], "retired_pages/pending": False}
DBE = "retired_pages/double_bit"
SBE_FIELD, DBE_FIELD = "fields/retired_pages/single_bit", "fields/retired_pages/double_bit"


def flag(rule: str, path: str, severity: str, verdict: str) -> Row:
    return Row(rule, {path: True}, {path: False}, severity, verdict)


ROWS: tuple[Row, ...] = (
    flag("gpu.row_remap.failure", "remapped_rows/failure", "critical", "rma_candidate"),
    flag("gpu.row_remap.failure", "fields/remapped_rows/failure", "critical", "rma_candidate"),
    Row(
        "gpu.row_remap.failure",
        {"remapped_rows/failure": False, "fields/remapped_rows/failure": True},
        {"remapped_rows/failure": UNSUPPORTED, "fields/remapped_rows/failure": False},
        "critical",
        "rma_candidate",
    ),
    Row(
        "gpu.row_remap.uncorrectable",
        {"remapped_rows/uncorrectable": 512},
        {"remapped_rows/uncorrectable": 511},
        "critical",
        "drain_and_inspect",
    ),
    Row(
        "gpu.row_remap.uncorrectable",
        {"remapped_rows/uncorrectable": 0, "fields/remapped_rows/uncorrectable": 513},
        {"remapped_rows/uncorrectable": UNSUPPORTED, "fields/remapped_rows/uncorrectable": 0},
        "critical",
        "drain_and_inspect",
    ),
    flag("gpu.row_remap.pending", "remapped_rows/pending", "warning", "reset_gpu"),
    flag("gpu.row_remap.pending", "fields/remapped_rows/pending", "warning", "reset_gpu"),
    flag("gpu.bank_remap.pending", "bank_remapper/pending", "warning", "reset_gpu"),
    Row(
        "gpu.row_remap.histogram",
        {"row_remapper_histogram/none": 1, "row_remapper_histogram/low": 0},
        {"row_remapper_histogram/none": 0, "row_remapper_histogram/low": 7},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.row_remap.histogram",
        {
            "row_remapper_histogram/none": 0,
            "row_remapper_histogram/low": 3,
            "/memory/baseline": baseline(counters={"banks_low": 2}),
        },
        {
            "row_remapper_histogram/none": 0,
            "row_remapper_histogram/low": 3,
            "/memory/baseline": baseline(counters={"banks_low": 3}),
        },
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.row_remap.growth",
        {"remapped_rows/uncorrectable": 4, "/memory/history": sample(6, remapped_uncorrectable=2)},
        {"remapped_rows/uncorrectable": 4, "/memory/history": sample(6, remapped_uncorrectable=4)},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.row_remap.growth",
        {"remapped_rows/uncorrectable": 4, "/memory/history": sample(6, remapped_uncorrectable=3)},
        {"remapped_rows/uncorrectable": 4, "/memory/baseline": baseline(counters={"remapped_uncorrectable": 4})},
        "info",
        "ignore",
    ),
    Row(
        "gpu.row_remap.growth",
        {"remapped_rows/uncorrectable": 9, "/memory/baseline": baseline(counters={"remapped_uncorrectable": 2})},
        {"remapped_rows/uncorrectable": 2, "/memory/baseline": baseline(counters={"remapped_uncorrectable": 2})},
        "info",
        "ignore",
    ),
    *(
        Row("gpu.repair.pending", NO_REPAIR | {path: True}, NO_REPAIR, "warning", "reset_gpu")
        for path in ("repair/channel_pending", "repair/tpc_pending")
    ),
    flag("gpu.unrepairable_memory", "unrepairable_memory", "critical", "rma_candidate"),
    flag("gpu.sram.threshold", "ecc/sram_status/threshold_exceeded", "critical", "rma_candidate"),
    Row(
        "gpu.sram.uncorrected",
        {"ecc/volatile/sram/uncorrected": 1, "ecc/aggregate/sram/uncorrected": 1},
        {"ecc/volatile/sram/uncorrected": 0, "ecc/aggregate/sram/uncorrected": 0},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.sram.uncorrected",
        {
            "ecc/volatile/sram/uncorrected": UNSUPPORTED,
            "ecc/sram_status/volatile/uncorrected_parity": 0,
            "ecc/sram_status/aggregate/uncorrected_parity": 0,
            "ecc/sram_status/aggregate/uncorrected_secded": 1,
        },
        {"ecc/sram_status/volatile/uncorrected_parity": 0, "ecc/sram_status/aggregate/uncorrected_parity": 0},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.sram.corrected",
        NO_SRAM | {"ecc/volatile/sram/corrected": 10_001},
        NO_SRAM | {"ecc/volatile/sram/corrected": 10_000},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.dram.corrected",
        NO_DRAM | {"ecc/volatile/dram/corrected": 20_000_000},
        NO_DRAM | {"ecc/volatile/dram/corrected": 19_999_999},
        "info",
        "ignore",
    ),
    Row(
        "gpu.dram.corrected",
        NO_DRAM | {"ecc/aggregate/dram/corrected": 50_000_000},
        NO_DRAM,
        "info",
        "ignore",
    ),
    Row(
        "gpu.ecc.uncorrected", {"ecc/volatile/uncorrected": 1}, {"ecc/volatile/uncorrected": 0}, "critical", "reset_gpu"
    ),
    Row("gpu.ecc.mode", ECC_ON | {"ecc_mode_pending": False}, ECC_ON, "warning", "reset_gpu"),
    Row(
        "gpu.ecc.mode",
        ECC_ON | {"ecc_mode_current": False, "ecc_mode_pending": False},
        {"ecc_mode_current": False, "ecc_mode_pending": False, "ecc_mode_default": False},
        "warning",
        "reset_gpu",
    ),
    Row(
        "gpu.retired_pages.count",
        NO_PAGES | {DBE: page(*[400] * 63)},
        NO_PAGES | {DBE: page(*[400] * 62)},
        "critical",
        "drain_and_inspect",
    ),
    Row(
        "gpu.retired_pages.count",
        {SBE_FIELD: 32, DBE_FIELD: 30, "retired_pages/pending": True},
        {SBE_FIELD: 31, DBE_FIELD: 30, "retired_pages/pending": True},
        "critical",
        "drain_and_inspect",
    ),
    flag("gpu.retired_pages.pending", "retired_pages/pending", "warning", "reset_gpu"),
    Row(
        "gpu.retired_pages.rate",
        NO_PAGES | {DBE: page(*[400] * 14, 6, 1)},
        NO_PAGES | {DBE: page(*[400] * 15, 1)},
        "critical",
        "drain_and_inspect",
    ),
    Row(
        "gpu.retired_pages.rate",
        NO_PAGES | {DBE: page(*[400] * 14, 6, 1)},
        NO_PAGES | {DBE: page(*[400] * 13, 6, 1)},
        "critical",
        "drain_and_inspect",
    ),
    Row(
        "gpu.retired_pages.rate",
        {SBE_FIELD: 0, DBE_FIELD: 18, "/memory/history": sample(7, retired_pages=16)},
        {SBE_FIELD: 0, DBE_FIELD: 18, "/memory/history": sample(7, retired_pages=17)},
        "critical",
        "drain_and_inspect",
    ),
    Row("gpu.inforom.corrupt", {"inforom/valid": CORRUPT}, {"inforom/valid": True}, "critical", "drain_and_inspect"),
    Row("gpu.inforom.corrupt", {"inforom/valid": False}, {"inforom/valid": True}, "critical", "drain_and_inspect"),
    Row(
        "gpu.pcie.width",
        {"pcie/width_current": 15, "pcie/width_max": 16},
        {"pcie/width_current": 16, "pcie/width_max": 16},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.pcie.width",
        {"pcie/width_current": 8, "pcie/width_max": 8, "/memory/baseline": baseline(pcie_width=16)},
        {"pcie/width_current": 8, "pcie/width_max": 8, "/memory/baseline": baseline(pcie_width=8)},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.pcie.generation",
        P0 | {"pcie/generation_current": 4},
        P0 | {"pcie/generation_current": 5},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.pcie.generation",
        {
            "performance_state": "P2",
            "utilization/gpu_percent": 3,
            "pcie/generation_current": 1,
            "pcie/generation_max": 4,
        },
        {
            "performance_state": "P8",
            "utilization/gpu_percent": 0,
            "pcie/generation_current": 4,
            "pcie/generation_max": 4,
        },
        "warning",
        "drain_and_inspect",
    ),
    *(
        Row(
            "gpu.pcie.replays",
            {
                "pcie/replays": 1000 + limit * 10 + 1,
                "pcie/generation_max": generation,
                "pcie/width_current": lanes,
                "/memory/history": sample(MINUTES_10, pcie_replays=1000),
            },
            {
                "pcie/replays": 1000 + limit * 10,
                "pcie/generation_max": generation,
                "pcie/width_current": lanes,
                "/memory/history": sample(MINUTES_10, pcie_replays=1000),
            },
            "warning",
            "drain_and_inspect",
        )
        for generation, lanes, limit in (  # a minute: per lane 0.15, 0.3, 0.48, 0.96, 1.92, 3.84, rounded up for the link
            (1, 16, 3),
            (2, 16, 5),
            (3, 16, 8),
            (4, 16, 16),
            (5, 16, 31),
            (5, 8, 16),
            (6, 16, 62),
            (7, 16, 62),
        )
    ),
    Row("gpu.pcie.errors", {"pcie/fatal_errors": 1}, {"pcie/fatal_errors": 0}, "critical", "drain_and_inspect"),
    Row(
        "gpu.pcie.nonfatal",
        {"pcie/non_fatal_errors": 3, "pcie/unsupported_requests": 2},
        {"pcie/non_fatal_errors": 2, "pcie/unsupported_requests": 2},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.clocks.hw_slowdown",
        {"clocks_event_reasons": ["hw_slowdown"]},
        {"clocks_event_reasons": ["hw_slowdown", "hw_thermal_slowdown"]},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.clocks.hw_thermal",
        {"clocks_event_reasons": ["hw_thermal_slowdown"]},
        {"clocks_event_reasons": ["sw_thermal_slowdown"]},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.clocks.power_brake",
        {"clocks_event_reasons": ["hw_slowdown", "hw_power_brake_slowdown"]},
        {"clocks_event_reasons": ["hw_slowdown", "sw_power_cap"]},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.temperature.margin",
        {"temperature_margin_c": 0},
        {"temperature_margin_c": 1},
        "critical",
        "drain_and_inspect",
    ),
    Row(
        "gpu.temperature.margin",
        {"temperature_margin_c": -3},
        {"temperature_margin_c": 58},
        "critical",
        "drain_and_inspect",
    ),
    Row(
        "gpu.temperature.margin",
        {"temperature_margin_c": UNSUPPORTED, "temperature_c": 92, "temperature_thresholds/slowdown_c": 92},
        {"temperature_c": 91, "temperature_thresholds/slowdown_c": 92},
        "critical",
        "drain_and_inspect",
    ),
    Row(
        "gpu.temperature.memory",
        {"memory_temperature_c": 95, "temperature_thresholds/memory_max_c": 95},
        {"memory_temperature_c": 94, "temperature_thresholds/memory_max_c": 95},
        "warning",
        "drain_and_inspect",
    ),
    *(
        Row(
            "gpu.recovery_action",
            {"fields/recovery_action": action},
            {"fields/recovery_action": "none"},
            severity,
            verdict,
        )
        for action, severity, verdict in (
            ("gpu reset", "critical", "reset_gpu"),
            ("node reboot", "critical", "reboot"),
            ("drain p2p", "warning", "restart_app"),
            ("drain and reset", "warning", "reset_gpu"),
            ("recover imex domain", "warning", "restart_app"),
            ("bus reset", "critical", "reboot"),
            ("system reboot", "critical", "reboot"),
            ("unknown (8)", "warning", "drain_and_inspect"),
        )
    ),
    flag("gpu.reset.required", "fields/reset_required", "critical", "reset_gpu"),
    flag("gpu.reset.recommended", "fields/drain_and_reset_recommended", "warning", "reset_gpu"),
    Row(
        "gpu.reset.required",
        {"fields/reset_required": True, "fields/recovery_action": "none"},
        {"fields/reset_required": True, "fields/recovery_action": "gpu reset"},
        "critical",
        "reset_gpu",
    ),
    Row("gpu.persistence", {"persistence_mode": False}, {"persistence_mode": True}, "info", "ignore"),
    Row(
        "gpu.power.limit",
        {"power_limit_enforced_w": 699.0, "power_limit_default_w": 700.0},
        {"power_limit_enforced_w": 699.5, "power_limit_default_w": 700.0},
        "info",
        "ignore",
    ),
    *(
        Row("gpu.fabric.state", FABRIC | {"fabric/state": state}, FABRIC, "critical", "restart_app")
        for state in ("not started", "in progress", "unknown (9)")
    ),
    Row("gpu.fabric.state", FABRIC | {"fabric/status": "Insufficient Resources"}, FABRIC, "critical", "restart_app"),
    *(
        Row(
            "gpu.fabric.health",
            FABRIC | {"fabric/health": GOOD_HEALTH | {name: value}},
            FABRIC
            | {"fabric/health": GOOD_HEALTH | {"partition_assigned": "false"}, "fabric/health_summary": "healthy"},
            severity,
            "drain_and_inspect",
        )
        for name, value, severity in (
            ("degraded_bandwidth", "true", "critical"),
            ("route_unhealthy", "true", "critical"),
            ("incorrect_configuration", "insufficient nvlinks", "critical"),
            ("route_recovery", "true", "warning"),
            ("access_timeout_recovery", "true", "warning"),
        )
    ),
    Row(
        "gpu.fabric.health",
        FABRIC | {"fabric/health_summary": "unhealthy"},
        FABRIC | {"fabric/health_summary": "not supported"},
        "critical",
        "drain_and_inspect",
    ),
    Row(
        "gpu.fabric.manager",
        {
            "/gpu/system/nvml": "initialised",
            "/pci/counts/nvswitch": 1,
            "/services/processes/nv-fabricmanager/running": False,
        },
        {
            "/gpu/system/nvml": "initialised",
            "/pci/counts/nvswitch": 4,
            "/services/processes/nv-fabricmanager/running": True,
            "/services/units/nvidia-fabricmanager.service/active_state": "failed",
        },
        "critical",
        "restart_app",
    ),
    Row(
        "gpu.fabric.manager",
        {
            "/gpu/system/nvml": "initialised",
            "/pci/counts/nvswitch": 4,
            "/services/units/nvidia-fabricmanager.service/active_state": "inactive",
        },
        {
            "/pci/counts/nvswitch": 0,
            "/services/units/nvidia-fabricmanager.service/active_state": "failed",
        },
        "critical",
        "restart_app",
    ),
    Row(
        "gpu.nvlink.errors",
        {"nvlink/0/errors/recovery": 1, "nvlink/0/errors/replay": 0},
        {"nvlink/0/errors/recovery": 0, "nvlink/0/errors/replay": 0, "nvlink/0/errors/crc_data": 9},
        "warning",
        "drain_and_inspect",
    ),
    Row("gpu.nvlink.errors", {"nvlink_totals/replay": 1}, {"nvlink_totals/replay": 0}, "info", "ignore"),
    Row(
        "gpu.nvlink.errors",
        {"nvlink/3/dl_replay": 8, "/memory/history": sample(MINUTES_10, nvlink_replay=7)},
        {"nvlink/3/dl_replay": 8, "/memory/history": sample(MINUTES_10, nvlink_replay=8)},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.nvlink.errors",
        {
            "nvlink_totals/crc_flit": 60_000,
            "nvlink_totals/crc_data": 0,
            "/memory/history": sample(MINUTES_10, nvlink_crc=0),
        },
        {"nvlink_totals/crc_flit": 59_999, "/memory/history": sample(MINUTES_10, nvlink_crc=0)},
        "warning",
        "drain_and_inspect",
    ),
    Row(
        "gpu.nvlink.errors",
        {"nvlink/0/counters/recoveries_failed": 1},
        {"nvlink/0/counters/recoveries_failed": 0},
        "warning",
        "drain_and_inspect",
    ),
)
