"""Which readings are worth comparing: a table for the box and one for every kind of part; the rest is noise.

Temperatures, load, clocks, times, traffic and free memory are in no table: they differ between any two moments. What
they mean is: a threshold that was crossed is told by `diff_sensors`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag.diff_change import Group, number
from bilbs_cli.diag.model import value

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Watched:
    """Readings that are compared: `pattern` is a path below the subject, `*` is any one name and `**` all that follow.

    A `counter` is compared by how much it grew. `weight` orders it within its group. With `when`, it is compared only
    where both sides agree (a PCIe generation falls at idle).
    """

    pattern: str
    group: Group
    counter: bool = False
    weight: int = 0
    when: Callable[[Facts], bool] | None = None


class Table:
    """The watched readings of one kind of subject."""

    def __init__(self, *rows: Watched) -> None:
        self._rows = rows
        self._pattern = re.compile("|".join(f"({_regex(row.pattern)})" for row in rows))

    def find(self, path: str) -> Watched | None:
        """Return the row that a path belongs to, the first where there are several; None for noise."""
        found = self._pattern.fullmatch(path)
        return self._rows[found.lastindex - 1] if found and found.lastindex else None


def _regex(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*\*", ".+").replace(r"\*", "[^/]+")


def _texts(group: Group, *patterns: str, weight: int = 0) -> tuple[Watched, ...]:
    return tuple(Watched(pattern, group, weight=weight) for pattern in patterns)


def _counters(*patterns: str, weight: int = 0) -> tuple[Watched, ...]:
    return tuple(Watched(pattern, Group.COUNTERS, counter=True, weight=weight) for pattern in patterns)


def _is_busy(device: Facts) -> bool:
    """Say whether a GPU runs at full clocks: below that its PCIe link may have slowed down to save power."""
    return bool(value(device, "performance_state") == "P0")


BOX = Table(
    *_texts(Group.FIRMWARE, "gpu/system/driver_version", "gpu/system/kernel_module_version", weight=2),
    *_texts(Group.FIRMWARE, "gpu/system/library_versions", "gpu/system/nvml_version", "gpu/system/cuda_driver_version"),
    *_texts(Group.FIRMWARE, "bmc/device/firmware", "bmc/device/auxiliary_firmware", weight=2),
    *_texts(Group.FIRMWARE, "system/dmi/bios_version", "system/dmi/bios_date", "system/dmi/bios_release", weight=2),
    *_texts(Group.FIRMWARE, "system/dmi/ec_firmware_release", "system/cpu/microcode", weight=1),
    *_texts(Group.FIRMWARE, "system/kernel_release", weight=2),
    *_texts(Group.FIRMWARE, "system/kernel_version", "system/os/name", "system/os/version_id", "system/packages/*"),
    *_texts(Group.BOX, "system/dmi/product_serial", "system/dmi/board_serial", "system/dmi/chassis_serial", weight=2),
    *_texts(Group.BOX, "system/dmi/product_name", "system/dmi/board_name", "system/dmi/sys_vendor", weight=1),
    *_texts(Group.PARTS, "system/cpu/model", "system/cpu/sockets", "system/cpu/cores", "system/cpu/online", weight=1),
    *_texts(Group.PARTS, "system/memory/total_bytes", "pci/counts/*", "pci/functions", "pci/slots/*"),
    *_texts(Group.HEALTH, "gpu/system/nvml", "gpu/system/device_count", "gpu/system/excluded_*", weight=2),
    *_texts(Group.HEALTH, "bmc/self_test", "bmc/chassis/power_faults", "bmc/chassis/state", weight=1),
    *_texts(Group.HEALTH, "system/reboot_required", "system/clock/synchronized", "services/failed"),
    *_texts(Group.HEALTH, "services/processes/*/running", "services/systemd/state", "kernel/taint_reasons"),
    *_texts(Group.HEALTH, "storage/md/*/state", "storage/md/*/failed", "storage/md/*/working", weight=2),
    *_texts(Group.HEALTH, "storage/zfs/*/state", "storage/zfs/*/errors", weight=2),
    *_texts(Group.HEALTH, "storage/file_systems/*/read_only", weight=2),
    *_texts(Group.PARTS, "storage/md/*/members", "storage/md/*/level", "storage/md/*/wanted", weight=1),
    *_texts(Group.SETTINGS, "kernel/command_line", "kernel/settings/**", "system/timezone", "system/hostname"),
    *_texts(Group.SETTINGS, "bmc/chassis/restore_policy", "bmc/lan/**", "network/default_routes", "pci/iommu_groups"),
    *_counters("system/memory/oom_kills", "system/memory/hwpoison_pages", "system/rasdaemon/*", weight=1),
    *_counters("system/edac/*/ce_count", "system/edac/*/ue_count", "system/edac/*/*_noinfo_count", weight=1),
    *_counters("system/edac/*/dimms/*/*_count", "system/edac/*/csrows/*/*_count", weight=1),
    *_counters("storage/md/*/mismatches"),
)
GPU = Table(
    *_texts(Group.FIRMWARE, "vbios", "gsp/version", "inforom/image", weight=1),
    *_texts(Group.FIRMWARE, "inforom/oem", "inforom/ecc", "inforom/power"),
    *_texts(Group.GPUS, "name", "part_number", "module_id", "memory/total_bytes", weight=1),
    *_texts(Group.HEALTH, "remapped_rows/failure", "remapped_rows/pending", "retired_pages/pending", weight=2),
    *_texts(Group.HEALTH, "fields/remapped_rows/failure", "fields/remapped_rows/pending", weight=2),
    *_texts(Group.HEALTH, "repair/*", "unrepairable_memory", "ecc/sram_status/threshold_exceeded", weight=2),
    *_texts(Group.HEALTH, "fields/recovery_action", "fields/reset_required", weight=2),
    *_texts(Group.HEALTH, "fields/drain_and_reset_recommended", "bank_remapper/pending", weight=2),
    *_texts(Group.HEALTH, "inforom/valid", "inforom/checksum", "power_source", weight=1),
    *_texts(Group.LINKS, "pcie/width_current", "pcie/width_max", "pcie/generation_max*", weight=2),
    Watched("pcie/generation_current", Group.LINKS, weight=2, when=_is_busy),
    *_texts(Group.LINKS, "nvlink/*/state", "nvlink_count", "nvlink_to_switch_count", weight=2),
    *_texts(Group.LINKS, "nvlink/*/speed_mbps", "nvlink/*/version", "nvlink/*/remote_*"),
    *_texts(Group.LINKS, "fabric/state", "fabric/status", "fabric/health_summary", "fabric/health_mask", weight=2),
    *_texts(Group.LINKS, "fabric/clique_id", "fabric/cluster_uuid"),
    *_texts(Group.SETTINGS, "ecc_mode_*", "mig_mode_*", weight=1),
    *_texts(Group.SETTINGS, "persistence_mode", "compute_mode", "gsp/enabled", "power_limit_w"),
    *_texts(Group.SETTINGS, "power_limit_enforced_w", "power_limit_default_w", "power_limit_max_w"),
    *_texts(Group.SETTINGS, "temperature_thresholds/*"),
    *_counters("remapped_rows/uncorrectable", "fields/remapped_rows/uncorrectable", weight=2),
    *_counters("remapped_rows/correctable", "fields/remapped_rows/correctable", weight=1),
    *_counters("ecc/*/uncorrected", "ecc/*/*/uncorrected", "ecc/sram_*/*/uncorrected_*", weight=2),
    *_counters("ecc/*/corrected", "ecc/*/*/corrected", "ecc/sram_*/aggregate_sources/*", "ecc/sram_unique_uncorrected"),
    *_counters("retired_pages/single_bit", "retired_pages/double_bit", "fields/retired_pages/*", weight=2),
    *_counters("row_remapper_histogram/none", "row_remapper_histogram/low", weight=1),
    *_counters("pcie/replays", "pcie/replay_counter", "pcie/replay_rollovers", "pcie/*_errors", "pcie/bad_*"),
    *_counters("pcie/naks_*", "pcie/unsupported_requests"),
    *_counters("nvlink_totals/*", "nvlink/*/errors/*", "nvlink/*/dl_*", "nvlink/*/counters/*_errors"),
    *_counters("nvlink/*/counters/malformed_packets", "nvlink/*/counters/recoveries*", "nvlink/*/counters/*_overruns"),
    *_counters("violations/thermal_ns", "violations/reliability_ns", "throttled/hw_*_ns"),
)
DISK = Table(
    *_texts(Group.FIRMWARE, "firmware", "smart/firmware", weight=1),
    *_texts(Group.PARTS, "model", "size_bytes", "transport", "address"),
    *_texts(Group.HEALTH, "smart/passed", "smart/critical_warning", "state", "read_only", weight=2),
    *_counters("smart/media_errors", "smart/reallocated_sectors", "smart/pending_sectors", weight=1),
    *_counters("smart/reported_uncorrectable", "smart/offline_uncorrectable", "smart/grown_defects", weight=1),
    *_counters("smart/*_uncorrected", "smart/crc_errors", "smart/unsafe_shutdowns", "smart/error_log_entries"),
    *_counters("smart/used_percent", "io_errors"),
    *_texts(Group.COUNTERS, "smart/spare_percent"),
)
MEMORY = Table(
    *_texts(Group.PARTS, "populated", weight=2),
    *_texts(Group.PARTS, "serial", "part_number", "size_bytes", "manufacturer", weight=1),
    *_texts(Group.SETTINGS, "configured_speed"),
)
INTERFACE = Table(
    *_texts(Group.LINKS, "operstate", "carrier", "speed_mbps", "duplex", "bond/*status", "bond/active_slave", weight=1),
    *_texts(Group.SETTINGS, "mtu", "bond/mode", "bond/slaves"),
    *_texts(Group.PARTS, "mac", "driver", "device"),
    *_counters("counters/*_errors", "counters/collisions", "carrier_changes", "bond/slave_link_failures"),
)
ADAPTER = Table(
    *_texts(Group.FIRMWARE, "firmware", weight=1),
    *_texts(Group.PARTS, "board", "type", "node_guid", "device"),
    *_texts(Group.LINKS, "ports/*/state", "ports/*/physical_state", "ports/*/rate_gbps", "ports/*/rate", weight=2),
    *_texts(Group.LINKS, "ports/*/link_layer", "ports/*/lid", "ports/*/sm_lid"),
    *_counters("ports/*/counters/*err*", "ports/*/counters/*down*", "ports/*/counters/*discard*"),
    *_counters("ports/*/hw_counters/*err*", "ports/*/hw_counters/*nak*", "ports/*/hw_counters/*retrans*"),
    *_counters("ports/*/hw_counters/*timeout*", "ports/*/hw_counters/out_of_*", "ports/*/hw_counters/*discard*"),
)
PCI = Table(
    *_texts(Group.LINKS, "link/current_link_width", "link/max_link_width", "link/max_link_speed_gts", weight=1),
    *_texts(Group.HEALTH, "answers", weight=2),
    *_texts(Group.SETTINGS, "driver", "slot"),
    *_counters("aer_fatal/*", "aer_nonfatal/*", "aer_root_*", weight=2),
    *_counters("aer_correctable/*"),
)
FRU = Table(*_texts(Group.PARTS, "*/serial", "*/part_number", "*/product", "*/version", "*/manufacturer", weight=2))
# Values that are a set of readings themselves, each compared by its name.
SETS = frozenset({"packages", "aer_correctable", "aer_nonfatal", "aer_fatal", "counters", "hw_counters"})
LISTS = frozenset({"retired_pages/single_bit", "retired_pages/double_bit"})  # counted by their members
DOUBLES = {"pcie/replay_counter": "pcie/replays"}  # the same count, read in an older way


def count_of(path: str, found: object) -> int | float | None:
    """Return the count that a counter's value is, None where it is none."""
    return len(found) if isinstance(found, list) and path in LISTS else number(found)


def double_of(path: str) -> str:
    """Return the reading that says the same as this one, which is then not told twice; empty where there is none."""
    return path.removeprefix("fields/") if path.startswith("fields/") else DOUBLES.get(path, "")
