"""The table of NVML field values (nvmlDeviceGetFieldValues), and how a group of them is read.

A field that a GPU does not have does not raise: each item carries its own nvmlReturn beside a value of 0. The recovery
action read so says "none" on a GPU that does not know the field. Every item is checked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bilbs_cli.diag.collectors import nvml_values as values
from bilbs_cli.diag.collectors.nvml import as_error
from bilbs_cli.diag.collectors.nvml_values import celsius, flag
from bilbs_cli.diag.job import Job
from bilbs_cli.diag.model import Reading, Value


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the fact below `devices/<index>` (below its link for a field of a link), NVML's id and its scope.

    `name` is the constant's name after NVML_FI_DEV_.
    """

    fact: str
    number: int
    name: str
    convert: values.Convert = values.whole
    smi: str = ""
    scope: int = 0


_MEMORIES = (
    ("l1_cache", "L1"),
    ("l2_cache", "L2"),
    ("device_memory", "DEV"),
    ("register_file", "REG"),
    ("texture", "TEX"),
)
_BITS = (("SBE", "corrected"), ("DBE", "uncorrected"))


def _ecc(kind: str, word: str, first: int) -> tuple[Field, ...]:
    return tuple(
        Field(f"ecc/{kind}/{memory}/{fact}", first + 2 * place + offset, f"ECC_{bits}_{word}_{name}")
        for place, (memory, name) in enumerate(_MEMORIES)
        for offset, (bits, fact) in enumerate(_BITS)
    )


ECC = (
    *_ecc("volatile", "VOL", 7),
    Field("ecc/volatile/cbu/uncorrected", 17, "ECC_DBE_VOL_CBU"),
    *_ecc("aggregate", "AGG", 18),
    Field("ecc/aggregate/cbu/uncorrected", 28, "ECC_DBE_AGG_CBU"),
)

MEMORY_REPAIR = (
    Field("fields/retired_pages/single_bit", 29, "RETIRED_SBE"),
    Field("fields/retired_pages/double_bit", 30, "RETIRED_DBE"),
    Field("fields/remapped_rows/correctable", 142, "REMAPPED_COR"),
    Field("fields/remapped_rows/uncorrectable", 143, "REMAPPED_UNC"),
    Field("fields/remapped_rows/pending", 144, "REMAPPED_PENDING", flag),
    Field("fields/remapped_rows/failure", 145, "REMAPPED_FAILURE", flag),
    Field("fields/remapped_rows/correctable_inactive", 301, "REMAPPED_ROWS_COR_INACTIVE"),
    Field("fields/remapped_rows/uncorrectable_inactive", 302, "REMAPPED_ROWS_UNC_INACTIVE"),
    Field("fields/bank_remapper/active", 303, "ACTIVE_BANK_REMAPPINGS"),
    Field("fields/bank_remapper/inactive", 304, "INACTIVE_BANK_REMAPPINGS"),
    Field("fields/bank_remapper/groups_with_all_spares", 305, "BANK_REMAPPER_HISTOGRAM_MAX"),
    Field("fields/bank_remapper/groups_without_spare", 306, "BANK_REMAPPER_HISTOGRAM_NONE"),
    Field("fields/bank_remapper/pending", 307, "PENDING_BANK_REMAPPING", flag),
)

_RESET = "gpu_reset_status"

RECOVERY = (
    Field("fields/reset_required", 226, "RESET_STATUS", flag, f"{_RESET}/reset_required"),
    Field(
        "fields/drain_and_reset_recommended",
        227,
        "DRAIN_AND_RESET_STATUS",
        flag,
        f"{_RESET}/drain_and_reset_recommended",
    ),
    Field("fields/recovery_action", 230, "GET_GPU_RECOVERY_ACTION", values.RECOVERY, "gpu_recovery_action"),
)

_COUNTERS = "clocks_event_reasons_counters/clocks_event_reasons_counters"

CLOCKS = tuple(
    Field(f"throttled/{fact}_ns", number, name, smi=smi)
    for fact, number, name, smi in (
        ("sw_power_cap", 74, "PERF_POLICY_POWER", f"{_COUNTERS}_sw_power_cap"),
        ("thermal", 75, "PERF_POLICY_THERMAL", ""),
        ("sync_boost", 76, "PERF_POLICY_SYNC_BOOST", f"{_COUNTERS}_sync_boost"),
        ("board_limit", 77, "PERF_POLICY_BOARD_LIMIT", ""),
        ("low_utilization", 78, "PERF_POLICY_LOW_UTILIZATION", ""),
        ("reliability", 79, "PERF_POLICY_RELIABILITY", ""),
        ("app_clocks", 80, "PERF_POLICY_TOTAL_APP_CLOCKS", ""),
        ("base_clocks", 81, "PERF_POLICY_TOTAL_BASE_CLOCKS", ""),
        ("sw_thermal_slowdown", 269, "CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN", f"{_COUNTERS}_sw_therm_slowdown"),
        ("hw_thermal_slowdown", 270, "CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN", f"{_COUNTERS}_hw_therm_slowdown"),
        ("hw_power_brake_slowdown", 271, "CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN", f"{_COUNTERS}_hw_power_brake"),
    )
)

THERMAL = (  # T.Limit: distances to a limit, lower is hotter, negative ones are past GPU Max Operating
    Field("memory_temperature_c", 82, "MEMORY_TEMP", celsius, "temperature/memory_temp"),
    *(
        Field(
            f"temperature_tlimits/{fact}_c",
            number,
            f"TEMPERATURE_{name}_TLIMIT",
            celsius,
            f"temperature/gpu_temp_{smi}_tlimit_threshold",
        )
        for fact, number, name, smi in (
            ("shutdown", 193, "SHUTDOWN", "max"),
            ("slowdown", 194, "SLOWDOWN", "slow"),
            ("memory_max", 195, "MEM_MAX", "max_mem"),
            ("gpu_max", 196, "GPU_MAX", "max_gpu"),
        )
    ),
)

_SCOPES = (
    (0, "gpu", "gpu_power_readings"),
    (1, "module", "module_power_readings"),
    (2, "memory", "gpu_memory_power_readings"),
)  # NVML_POWER_SCOPE_*
_POWERS = (
    ("average", 185, "POWER_AVERAGE", "average_power_draw"),
    ("instant", 186, "POWER_INSTANT", "instant_power_draw"),
    ("limit_min", 187, "POWER_MIN_LIMIT", "min_power_limit"),
    ("limit_max", 188, "POWER_MAX_LIMIT", "max_power_limit"),
    ("limit_default", 189, "POWER_DEFAULT_LIMIT", "default_power_limit"),
    ("limit_current", 190, "POWER_CURRENT_LIMIT", "current_power_limit"),
)

POWER = tuple(  # memory has no limits of its own
    Field(f"power/{where}/{fact}_w", number, name, values.watts, f"{element}/{smi}", scope)
    for scope, where, element in _SCOPES
    for fact, number, name, smi in _POWERS
    if where != "memory" or number < 187
)

PCIE = (
    Field("pcie/replays", 94, "PCIE_REPLAY_COUNTER", smi="pci/replay_counter"),
    Field("pcie/replay_rollovers", 95, "PCIE_REPLAY_ROLLOVER_COUNTER", smi="pci/replay_rollover_counter"),
    Field("pcie/l0_to_recovery", 169, "PCIE_L0_TO_RECOVERY_COUNTER"),
    *(
        Field(f"pcie/{fact}", number, f"PCIE_COUNT_{name}")
        for fact, number, name in (
            ("correctable_errors", 173, "CORRECTABLE_ERRORS"),
            ("naks_received", 174, "NAKS_RECEIVED"),
            ("receiver_errors", 175, "RECEIVER_ERROR"),
            ("bad_tlp", 176, "BAD_TLP"),
            ("naks_sent", 177, "NAKS_SENT"),
            ("bad_dllp", 178, "BAD_DLLP"),
            ("non_fatal_errors", 179, "NON_FATAL_ERROR"),
            ("fatal_errors", 180, "FATAL_ERROR"),
            ("unsupported_requests", 181, "UNSUPPORTED_REQ"),
            ("lcrc_errors", 182, "LCRC_ERROR"),
            ("lane_errors", 183, "LANE_ERROR"),
        )
    ),
)

NVLINK = (
    Field("nvlink_count", 91, "NVLINK_LINK_COUNT"),
    Field("nvlink_to_switch_count", 147, "NVSWITCH_CONNECTED_LINK_COUNT"),
    *(
        Field(f"nvlink_totals/{fact}", number, f"NVLINK_{name}_ERROR_COUNT_TOTAL")
        for fact, number, name in (
            ("crc_flit", 38, "CRC_FLIT"),
            ("crc_data", 45, "CRC_DATA"),
            ("replay", 52, "REPLAY"),
            ("recovery", 59, "RECOVERY"),
            ("ecc_data", 160, "ECC_DATA"),
        )
    ),
)

DEVICE = {
    "ecc": ECC,
    "memory": MEMORY_REPAIR,
    "recovery": RECOVERY,
    "clocks": CLOCKS,
    "thermal": THERMAL,
    "power": POWER,
    "pcie": PCIE,
    "nvlink": NVLINK,
}

LINK = (  # scopeId is the link; facts below devices/<index>/nvlink/<link>
    Field("speed_mbps", 164, "NVLINK_GET_SPEED"),
    Field("remote_link", 146, "NVLINK_REMOTE_NVLINK_ID"),
    Field("dl_replay", 161, "NVLINK_ERROR_DL_REPLAY"),
    Field("dl_recovery", 162, "NVLINK_ERROR_DL_RECOVERY"),
    Field("dl_crc", 163, "NVLINK_ERROR_DL_CRC"),
)

_LINK5_COUNTS = (
    ("packets_sent", 201, "XMIT_PACKETS"),
    ("bytes_sent", 202, "XMIT_BYTES"),
    ("packets_received", 203, "RCV_PACKETS"),
    ("bytes_received", 204, "RCV_BYTES"),
    ("malformed_packets", 206, "MALFORMED_PACKET_ERRORS"),
    ("buffer_overruns", 207, "BUFFER_OVERRUN_ERRORS"),
    ("receive_errors", 208, "RCV_ERRORS"),
    ("receive_remote_errors", 209, "RCV_REMOTE_ERRORS"),
    ("receive_general_errors", 210, "RCV_GENERAL_ERRORS"),
    ("local_link_integrity_errors", 211, "LOCAL_LINK_INTEGRITY_ERRORS"),
    ("transmit_discards", 212, "XMIT_DISCARDS"),
    ("recoveries_successful", 213, "LINK_RECOVERY_SUCCESSFUL_EVENTS"),
    ("recoveries", 215, "LINK_RECOVERY_EVENTS"),
    ("recoveries_failed", 214, "LINK_RECOVERY_FAILED_EVENTS"),
    ("effective_errors", 219, "EFFECTIVE_ERRORS"),
    ("symbol_errors", 221, "SYMBOL_ERRORS"),
    ("raw_errors_lane0", 289, "RAW_ERRORS_LANE0"),
    ("raw_errors_lane1", 290, "RAW_ERRORS_LANE1"),
)
_LINK5_RATES = (
    ("effective", 220, "EFFECTIVE_BER"),
    ("symbol", 222, "SYMBOL_BER"),
    ("raw_lane0", 291, "RAW_BER_LANE0_V2"),
    ("raw_lane1", 292, "RAW_BER_LANE1_V2"),
    ("raw", 293, "RAW_BER_V2"),
)

LINK5 = (  # NVLink 5 and later only
    *(Field(f"counters/{fact}", number, f"NVLINK_COUNT_{name}") for fact, number, name in _LINK5_COUNTS),
    *(
        Field(f"ber/{fact}", number, f"NVLINK_COUNT_{name}", values.bit_error_rate)
        for fact, number, name in _LINK5_RATES
    ),
    *(Field(f"fec_history/{place}", 235 + place, f"NVLINK_COUNT_FEC_HISTORY_{place}") for place in range(16)),
)


def read_group(
    job: Job,
    nvml: Any,
    handle: Any,
    base: Sequence[str],
    group: str,
    fields: Sequence[Field],
    *,
    link: int | None = None,
    timeout_s: float = 5.0,
) -> dict[str, Any]:
    """Ask for a group of fields in one call, record each, return fact -> value of those that were read.

    Where the whole call once did not return, each field is asked on its own. `link` is the scopeId of fields of a link.
    """
    key = "/".join((*base, "calls", f"fields_{group}"))
    paths = [(*base, *field.fact.split("/")) for field in fields]
    if job.hung(key):
        return {
            field.fact: job.read(path, partial(_one, nvml, handle, field, link), timeout_s=timeout_s)
            for field, path in zip(fields, paths, strict=True)
        }
    readings: list[Reading] = job.attempt(key, partial(_all, nvml, handle, fields, link), timeout_s=timeout_s) or []
    for path, reading in zip(paths, readings, strict=False):
        job.record(path, reading)
    pairs = zip(fields, readings, strict=False)
    return {field.fact: reading.value for field, reading in pairs if isinstance(reading, Value)}


def _one(nvml: Any, handle: Any, field: Field, link: int | None) -> Reading:
    return _all(nvml, handle, [field], link)[0]


def _all(nvml: Any, handle: Any, fields: Sequence[Field], link: int | None) -> list[Reading]:
    """Return a reading for each field; an error of the whole call (the GPU is lost) is the error of each."""
    wanted = [(field.number, field.scope if link is None else link) for field in fields]
    try:
        items = nvml.nvmlDeviceGetFieldValues(handle, wanted)
    except nvml.NVMLError as error:
        return [as_error(error)] * len(fields)
    return [_reading(nvml, item, field) for item, field in zip(items, fields, strict=True)]


def _reading(nvml: Any, item: Any, field: Field) -> Reading:
    if item.nvmlReturn != nvml.NVML_SUCCESS:
        return as_error(nvml.NVMLError(item.nvmlReturn))
    try:
        return Value(field.convert(values.field_value(item)))
    except (ValueError, OverflowError) as error:
        return as_error(error)
