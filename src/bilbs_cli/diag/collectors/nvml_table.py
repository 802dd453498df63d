"""The table of NVML readings of one GPU: fact, call, unit, and the element of `nvidia-smi -q -x` that shows the same.

It is data: `docs/gpu-readings.md` is made from it. A reading with several parts is one call that gives several facts.
"""

from __future__ import annotations

from bilbs_cli.diag.collectors import nvml_structs as structs
from bilbs_cli.diag.collectors import nvml_values as values
from bilbs_cli.diag.collectors.nvml import Part, Query
from bilbs_cli.diag.collectors.nvml_values import celsius, flag, flags_of, hexadecimal, text, watts


def _parts(*parts: tuple[str, str]) -> tuple[Part, ...]:
    return tuple(Part(*part) for part in parts)


def _pair(call: str, convert: values.Convert, *parts: tuple[str, str]) -> Query:
    return Query("", call, convert, parts=_parts(*parts))


IDENTITY = (
    Query("name", "GetName", text, "product_name"),
    Query("uuid", "GetUUID", text, "uuid"),
    Query("serial", "GetSerial", text, "serial"),
    Query("part_number", "GetBoardPartNumber", text, "board_part_number"),
    Query("pci_bus_id", "GetPciInfo", structs.pci_bus_id, "pci/pci_bus_id"),
    _pair(
        "GetPciInfo",
        structs.pci_ids,
        ("pci_device_id", "pci/pci_device_id"),
        ("pci_subsystem_id", "pci/pci_sub_system_id"),
    ),
    Query("minor_number", "GetMinorNumber", smi="minor_number"),
    Query("module_id", "GetModuleId", smi="platformInfo/module_id"),
    Query("board_id", "GetBoardId", hexadecimal, "board_id"),
    Query("architecture", "GetArchitecture", values.ARCHITECTURE, "product_architecture"),
    Query("compute_capability", "GetCudaComputeCapability", values.capability),
    Query(
        "",
        "GetPlatformInfo",
        list,
        special=structs.platform,
        parts=_parts(
            ("platform/chassis_serial", "platformInfo/chassis_serial_number"),
            ("platform/slot", "platformInfo/slot_number"),
            ("platform/tray", "platformInfo/tray_index"),
            ("platform/host_id", "platformInfo/host_id"),
            ("platform/peer_type", "platformInfo/peer_type"),
            ("platform/module_id", ""),
            ("platform/gpu_fabric_guid", "platformInfo/gpu_fabric_guid"),
        ),
    ),
)

FIRMWARE = (
    Query("vbios", "GetVbiosVersion", text, "vbios_version"),
    Query("inforom/image", "GetInforomImageVersion", text, "inforom_version/img_version"),
    Query("inforom/oem", "GetInforomVersion", text, "inforom_version/oem_object", ("NVML_INFOROM_OEM",)),
    Query("inforom/ecc", "GetInforomVersion", text, "inforom_version/ecc_object", ("NVML_INFOROM_ECC",)),
    Query("inforom/power", "GetInforomVersion", text, "inforom_version/pwr_object", ("NVML_INFOROM_POWER",)),
    Query("inforom/checksum", "GetInforomConfigurationChecksum", hexadecimal),
    Query("inforom/valid", "ValidateInforom", values.done),
    _pair(
        "GetLastBBXFlushTime",
        values.numbers_of,  # nvml.h does not say in what the first counts
        ("inforom/bbx_flush_timestamp", ""),
        ("inforom/bbx_flush_us", "inforom_bbx_flush/latest_duration"),
    ),
    Query("inforom/bbx_run_s", "GetBBXTimeData_v1", structs.bbx_run_time),
    Query("gsp/version", "GetGspFirmwareVersion", text, "gsp_firmware_version"),
    _pair("GetGspFirmwareMode", flags_of, ("gsp/enabled", ""), ("gsp/enabled_by_default", "")),
)

_KINDS = (("volatile", "NVML_VOLATILE_ECC"), ("aggregate", "NVML_AGGREGATE_ECC"))
_TYPES = (("corrected", "NVML_MEMORY_ERROR_TYPE_CORRECTED"), ("uncorrected", "NVML_MEMORY_ERROR_TYPE_UNCORRECTED"))
_LOCATIONS = (("sram", "NVML_MEMORY_LOCATION_SRAM"), ("dram", "NVML_MEMORY_LOCATION_DRAM"))
_SMI = {
    ("sram", "corrected"): "sram_correctable",
    ("dram", "corrected"): "dram_correctable",
    ("dram", "uncorrected"): "dram_uncorrectable",
}
_SRAM = (
    ("corrected", "sram_correctable"),
    ("uncorrected_parity", "sram_uncorrectable_parity"),
    ("uncorrected_secded", "sram_uncorrectable_secded"),
)
_SOURCES = ("l2", "sm", "pcie", "microcontroller", "other")

ECC = (
    _pair(
        "GetEccMode",
        flags_of,
        ("ecc_mode_current", "ecc_mode/current_ecc"),
        ("ecc_mode_pending", "ecc_mode/pending_ecc"),
    ),
    Query("ecc_mode_default", "GetDefaultEccMode", values.only),
    *(
        Query(f"ecc/{kind}/{word}", "GetTotalEccErrors", arguments=(number, counter))
        for kind, counter in _KINDS
        for word, number in _TYPES
    ),
    *(
        Query(
            f"ecc/{kind}/{place}/{word}",
            "GetMemoryErrorCounter",
            arguments=(number, counter, location),
            smi=f"ecc_errors/{kind}/{_SMI[place, word]}" if (place, word) in _SMI else "",
        )
        for kind, counter in _KINDS
        for place, location in _LOCATIONS
        for word, number in _TYPES
    ),
    Query(
        "",
        "GetSramEccErrorStatus",
        list,
        special=structs.sram_status,
        parts=_parts(
            *(
                (f"ecc/sram_status/{kind}/{fact}", f"ecc_errors/{kind}/{smi}")
                for kind, _ in _KINDS
                for fact, smi in _SRAM
            ),
            *(
                (
                    f"ecc/sram_status/aggregate_sources/{name}",
                    f"ecc_errors/aggregate_uncorrectable_sram_sources/sram_{name}",
                )
                for name in _SOURCES
            ),
            ("ecc/sram_status/threshold_exceeded", "ecc_errors/aggregate/sram_threshold_exceeded"),
        ),
    ),
    Query(
        "ecc/sram_unique_uncorrected",
        "GetSramUniqueUncorrectedEccErrorCounts",
        list,
        special=structs.unique_sram_errors,
    ),
    _pair(
        "GetRepairStatus",
        flags_of,
        ("repair/channel_pending", "ecc_errors/channel_repair_pending"),
        ("repair/tpc_pending", "ecc_errors/tpc_repair_pending"),
    ),
    Query("unrepairable_memory", "GetUnrepairableMemoryFlag_v1", flag, "ecc_errors/unrepairable_memory"),
)

_CAUSE = "NVML_PAGE_RETIREMENT_CAUSE_"
_ROWS = "remapped_rows/remapped_row"
_BANKS = ("active", "inactive", "pending", "groups_with_all_spares", "groups_without_spare")

MEMORY_REPAIR = (
    *(
        Query(
            f"retired_pages/{fact}",
            "GetRetiredPages_v2",
            structs.retired_pages,
            arguments=(_CAUSE + cause,),
            older="GetRetiredPages",
            smi=f"retired_pages/{element}/retired_count (their number)",
        )
        for fact, cause, element in (
            ("single_bit", "MULTIPLE_SINGLE_BIT_ECC_ERRORS", "multiple_single_bit_retirement"),
            ("double_bit", "DOUBLE_BIT_ECC_ERROR", "double_bit_retirement"),
        )
    ),
    Query("retired_pages/pending", "GetRetiredPagesPendingStatus", flag, "retired_pages/pending_retirement"),
    _pair(
        "GetRemappedRows",
        values.remapped,
        ("remapped_rows/correctable", f"{_ROWS}_corr"),
        ("remapped_rows/uncorrectable", f"{_ROWS}_unc"),
        ("remapped_rows/pending", f"{_ROWS}_pending"),
        ("remapped_rows/failure", f"{_ROWS}_failure"),
    ),
    Query(
        "",
        "GetRemappedRows_v2",
        values.numbers_of,
        special=structs.remapped_rows_v2,
        parts=_parts(
            ("remapped_rows/correctable_active", ""),
            ("remapped_rows/correctable_inactive", f"{_ROWS}_corr_inactive"),
            ("remapped_rows/uncorrectable_active", ""),
            ("remapped_rows/uncorrectable_inactive", f"{_ROWS}_unc_inactive"),
        ),
    ),
    _pair(
        "GetRowRemapperHistogram",
        values.histogram,
        *(
            (f"row_remapper_histogram/{word}", f"remapped_rows/row_remapper_histogram/row_remapper_histogram_{word}")
            for word in ("max", "high", "partial", "low", "none")
        ),
    ),
    Query(
        "",
        "GetBankRemapperStatus_v1",
        list,
        special=structs.bank_remapper,
        parts=_parts(*((f"bank_remapper/{word}", "") for word in _BANKS)),
    ),
)

_CLOCKS = (("graphics", "GRAPHICS"), ("sm", "SM"), ("mem", "MEM"), ("video", "VIDEO"))
_POLICIES = ("power", "thermal", "board_limit", "reliability")

CLOCKS = (
    Query("performance_state", "GetPerformanceState", values.pstate, "performance_state"),
    *(
        Query(f"clocks/{word}_mhz", "GetClockInfo", values.megahertz, f"clocks/{word}_clock", (f"NVML_CLOCK_{kind}",))
        for word, kind in _CLOCKS
    ),
    *(
        Query(
            f"clocks_max/{word}_mhz",
            "GetMaxClockInfo",
            values.megahertz,
            f"max_clocks/{word}_clock",
            (f"NVML_CLOCK_{kind}",),
        )
        for word, kind in _CLOCKS
    ),
    Query(
        "",
        "GetCurrentClocksEventReasons",
        values.reasons,
        older="GetCurrentClocksThrottleReasons",
        parts=_parts(
            ("clocks_event_reasons", "clocks_event_reasons/* (those Active)"), ("clocks_event_reasons_mask", "")
        ),
    ),
    Query(
        "",
        "GetSupportedClocksEventReasons",
        values.reasons,
        older="GetSupportedClocksThrottleReasons",
        parts=_parts(("clocks_event_reasons_supported", ""), ("clocks_event_reasons_supported_mask", "")),
    ),
    *(
        Query(
            "",
            "GetViolationStatus",
            structs.violation,
            arguments=(f"NVML_PERF_POLICY_{word.upper()}",),
            parts=_parts((f"violations/{word}_ns", ""), (f"violations/{word}_since_us", "")),
        )
        for word in _POLICIES
    ),
)

_LIMITS = (
    ("shutdown", "SHUTDOWN", "max"),
    ("slowdown", "SLOWDOWN", "slow"),
    ("memory_max", "MEM_MAX", "max_mem"),
    ("gpu_max", "GPU_MAX", "max_gpu"),
)

THERMAL = (
    Query(
        "temperature_c",
        "GetTemperatureV",
        celsius,
        "temperature/gpu_temp",
        ("NVML_TEMPERATURE_GPU",),
        older="GetTemperature",
    ),
    Query("temperature_margin_c", "GetMarginTemperature", celsius, "temperature/gpu_temp_tlimit"),
    *(
        Query(
            f"temperature_thresholds/{word}_c",
            "GetTemperatureThreshold",
            celsius,
            f"temperature/gpu_temp_{smi}_threshold",
            (f"NVML_TEMPERATURE_THRESHOLD_{kind}",),
        )
        for word, kind, smi in _LIMITS
    ),
)

_POWER = "gpu_power_readings"

POWER = (
    Query("power_w", "GetPowerUsage", watts, f"{_POWER}/average_power_draw"),
    Query("power_limit_w", "GetPowerManagementLimit", watts, f"{_POWER}/requested_power_limit"),
    Query("power_limit_default_w", "GetPowerManagementDefaultLimit", watts, f"{_POWER}/default_power_limit"),
    _pair(
        "GetPowerManagementLimitConstraints",
        values.watts_of,
        ("power_limit_min_w", f"{_POWER}/min_power_limit"),
        ("power_limit_max_w", f"{_POWER}/max_power_limit"),
    ),
    Query("power_limit_enforced_w", "GetEnforcedPowerLimit", watts, f"{_POWER}/current_power_limit"),
    Query("power_source", "GetPowerSource", values.POWER_SOURCE),
    Query("energy_j", "GetTotalEnergyConsumption", values.joules),
)

_GEN = "pci/pci_gpu_link_info/pcie_gen"
_WIDTH = "pci/pci_gpu_link_info/link_widths"

PCIE = (
    Query("pcie/generation_current", "GetCurrPcieLinkGeneration", values.generation, f"{_GEN}/current_link_gen"),
    Query("pcie/generation_max", "GetMaxPcieLinkGeneration", values.generation, f"{_GEN}/max_link_gen"),
    Query("pcie/generation_max_gpu", "GetGpuMaxPcieLinkGeneration", values.generation, f"{_GEN}/max_device_link_gen"),
    Query("pcie/width_current", "GetCurrPcieLinkWidth", values.lanes, f"{_WIDTH}/current_link_width"),
    Query("pcie/width_max", "GetMaxPcieLinkWidth", values.lanes, f"{_WIDTH}/max_link_width"),
    Query("pcie/replay_counter", "GetPcieReplayCounter", smi="pci/replay_counter"),
)

FABRIC = (
    Query(
        "",
        "GetGpuFabricInfoV",
        list,
        special=structs.fabric,
        parts=_parts(
            ("fabric/state", "fabric/state"),
            ("fabric/status", "fabric/status"),
            ("fabric/clique_id", "fabric/cliqueId"),
            ("fabric/cluster_uuid", "fabric/clusterUuid"),
            ("fabric/health_mask", ""),
            ("fabric/health", "fabric/health/*"),
            ("fabric/health_summary", "fabric/health/summary"),
        ),
    ),
)

_FB = "fb_memory_usage"
_BAR1 = "bar1_memory_usage"

USE = (
    Query("persistence_mode", "GetPersistenceMode", flag, "persistence_mode"),
    _pair(
        "GetMigMode",
        flags_of,
        ("mig_mode_current", "mig_mode/current_mig"),
        ("mig_mode_pending", "mig_mode/pending_mig"),
    ),
    Query("compute_mode", "GetComputeMode", values.COMPUTE_MODE, "compute_mode"),
    Query(
        "",
        "GetMemoryInfo",
        list,
        special=structs.memory,
        parts=_parts(
            ("memory/total_bytes", f"{_FB}/total"),
            ("memory/used_bytes", f"{_FB}/used"),
            ("memory/free_bytes", f"{_FB}/free"),
            ("memory/reserved_bytes", f"{_FB}/reserved"),
        ),
    ),
    _pair(
        "GetBAR1MemoryInfo",
        structs.bar1,
        ("bar1/total_bytes", f"{_BAR1}/total"),
        ("bar1/used_bytes", f"{_BAR1}/used"),
        ("bar1/free_bytes", f"{_BAR1}/free"),
    ),
    _pair(
        "GetUtilizationRates",
        structs.utilization,
        ("utilization/gpu_percent", "utilization/gpu_util"),
        ("utilization/memory_percent", "utilization/memory_util"),
    ),
    *(
        Query(
            f"processes/{word}",
            f"Get{call}RunningProcesses_v3",
            structs.processes,
            f"processes (type {letter})",
            older=f"Get{call}RunningProcesses_v2",
        )
        for word, call, letter in (
            ("compute", "Compute", "C"),
            ("graphics", "Graphics", "G"),
            ("mps", "MPSCompute", "M"),
        )
    ),
)

DEVICE = IDENTITY + FIRMWARE + ECC + MEMORY_REPAIR + CLOCKS + THERMAL + POWER + PCIE + FABRIC + USE

FAN_COUNT = Query("fans/count", "GetNumFans")
FAN = (  # facts below devices/<index>/fans/<fan>
    Query("speed_percent", "GetFanSpeed_v2", values.fan_percent, "fan_speed"),
    Query("speed_rpm", "GetFanSpeedRPM", special=structs.fan_rpm),
)

LINK_STATE = Query("state", "GetNvLinkState", values.LINK_STATE)
LINK_VERSION = Query("version", "GetNvLinkVersion", values.LINK_VERSION)
LINK = (  # facts below devices/<index>/nvlink/<link>
    LINK_VERSION,
    Query("remote_type", "GetNvLinkRemoteDeviceType", values.REMOTE_TYPE),
    Query("remote_pci_bus_id", "GetNvLinkRemotePciInfo", structs.pci_bus_id),
    *(
        Query(f"errors/{word}", "GetNvLinkErrorCounter", arguments=(f"NVML_NVLINK_ERROR_DL_{word.upper()}",))
        for word in ("replay", "recovery", "crc_flit", "crc_data")
    ),
)
