"""The readings of the GPU collector: the real pynvml on a library of our own whose answers stand in a table."""

from __future__ import annotations

import doctest
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pynvml
import pytest

from bilbs_cli.diag.collectors import nvidia_files, nvml_fields, nvml_structs, nvml_table, nvml_values
from bilbs_cli.diag.collectors.nvml import Query
from bilbs_cli.diag.collectors.nvml_fields import Field
from tests.diag.collectors import gpu_readings_page
from tests.parts import nvml
from tests.parts.nvml import Collected, fact

OLD_DRIVER = (  # functions that a driver of the 470 series does not have
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetSupportedClocksEventReasons",
    "nvmlDeviceGetTemperatureV",
    "nvmlDeviceGetMarginTemperature",
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetRetiredPages_v2",
    "nvmlDeviceGetGpuFabricInfoV",
    "nvmlDeviceGetUnrepairableMemoryFlag_v1",
    "nvmlSystemGetDriverBranch",
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="module")
def healthy(library: Path) -> Collected:
    return nvml.collect(library)


def table_with(folder: Path, *lines: str) -> Path:
    """Return a table whose first rows are `lines`: they come before the others."""
    path = folder / "changed.table"
    path.write_text("\n".join(lines) + "\n" + nvml.TABLE.read_text(), encoding="utf-8", errors="surrogateescape")
    return path


def leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in node.items():
        if set(inner) & {"value", "error", "not_collected"} and len(inner) == 1:
            yield path + name, inner
        else:
            yield from leaves(inner, f"{path}{name}/")


def values(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {path: leaf["value"] for path, leaf in leaves(facts) if "value" in leaf}


def error_class(leaf: Any) -> str:
    return str(leaf["error"]["class"])


# ---- against nvidia-smi


def smi_element(text: str) -> Any:
    """Return what an element of `nvidia-smi -q -x` says, in the units that bilbs uses."""
    number, _, unit = text.partition(" ")
    match unit:
        case "W":
            return float(number)
        case "MiB":
            return int(number) << 20
        case "us" | "MHz" | "%" | "C" | "bank(s)":
            return int(number)
    if text in {"Enabled", "Yes"} or text in {"Disabled", "No"}:
        return text in {"Enabled", "Yes"}
    if re.fullmatch(r"\d+x", text):
        return int(text[:-1])
    return int(text) if re.fullmatch(r"0|[1-9]\d{0,9}", text) else text


SAME_IN_OTHER_WORDS = {
    "pci_bus_id": lambda shown: shown[4:].lower(),
    "pci_device_id": lambda shown: f"0x{shown.lower()}",
    "pci_subsystem_id": lambda shown: f"0x{shown.lower()}",
    "fields/recovery_action": str.lower,
    "fabric/state": str.lower,
    "fabric/status": str.lower,
    "fabric/health_summary": str.lower,
}


def shown_by_smi() -> Iterator[tuple[str, str]]:
    """Yield fact and element of each reading that the XML of nvidia-smi shows."""
    gpu = ET.parse(nvml.SMI_XML).getroot().find("gpu")  # noqa: S314 - a file of ours
    assert gpu is not None
    readings = [(part.fact, part.smi) for query in nvml_table.DEVICE for part in gpu_readings_page.parts(query)]
    readings += [(field.fact, field.smi) for fields in nvml_fields.DEVICE.values() for field in fields]
    for path, element in readings:
        found = gpu.find(element) if element and not set(element) & {"*", "("} else None
        if found is not None and len(found) == 0:
            yield path, str(found.text)


def test_each_reading_says_what_nvidia_smi_shows_for_the_same_gpu(healthy: Collected) -> None:
    gpu = healthy.facts["devices"]["0"]
    compared = list(shown_by_smi())
    for path, shown in compared:
        leaf = fact(gpu, path)
        if shown == "N/A":
            assert error_class(leaf) == "NVMLError_NotSupported", path
        elif path.endswith("_ns"):
            assert leaf["value"] // 1000 == smi_element(shown), path
        elif path.endswith("_bytes"):
            assert abs(leaf["value"] - smi_element(shown)) <= 1 << 20, path  # nvidia-smi rounds to MiB
        else:
            assert leaf["value"] == SAME_IN_OTHER_WORDS.get(path, smi_element)(shown), path
    assert len(compared) > 100
    assert {shown for _, shown in compared} > {"N/A"}


# ---- against the table of the library


def test_the_library_answers_every_reading_of_the_tables(healthy: Collected) -> None:
    def facts_of(queries: tuple[Query, ...]) -> set[str]:
        return {part.fact for query in queries for part in gpu_readings_page.parts(query)}

    found = set(values(healthy.facts["devices"]["0"])) | set(values(healthy.facts["devices"]["1"]))
    fields = {field.fact for fields in nvml_fields.DEVICE.values() for field in fields}
    assert facts_of(nvml_table.DEVICE) | fields <= found
    assert {f"fans/1/{name}" for name in facts_of(nvml_table.FAN)} <= found
    links = facts_of((nvml_table.LINK_STATE, *nvml_table.LINK)) | {
        field.fact for field in nvml_fields.LINK + nvml_fields.LINK5
    }
    assert {f"nvlink/2/{name}" for name in links} <= found


ALL_FIELDS = [field for fields in nvml_fields.DEVICE.values() for field in fields] + [
    *nvml_fields.LINK,
    *nvml_fields.LINK5,
]


@pytest.mark.parametrize("field", ALL_FIELDS, ids=lambda field: f"{field.number}-{field.scope}")
def test_each_field_has_the_number_that_nvml_gives_its_name(field: Field) -> None:
    assert getattr(pynvml, f"NVML_FI_DEV_{field.name}") == field.number


def test_each_field_value_arrives_under_its_own_name(healthy: Collected) -> None:
    rows = nvml.rows()
    gpu = healthy.facts["devices"]["1"]
    checked = 0
    for field in ALL_FIELDS:
        of_link = field in nvml_fields.LINK + nvml_fields.LINK5
        keys = (f"{field.number},{2 if of_link else field.scope}", str(field.number))
        row = next(
            row
            for key in keys
            for gpu_index in ("1", "*")
            if (row := rows.get((f"nvmlDeviceGetFieldValues:{key}", gpu_index)))
        )
        leaf = fact(gpu, f"nvlink/2/{field.fact}" if of_link else field.fact)
        raw = int(row[2], 0)
        if field.fact.endswith("_w"):
            assert leaf["value"] == pytest.approx(raw / 1000)
        elif field.fact.startswith("ber/"):
            assert leaf["value"] == pytest.approx((raw >> 8) * 10.0 ** -(raw & 0xFF))
        elif field.fact == "fields/recovery_action":
            assert (raw, leaf["value"]) == (2, "node reboot")
        else:
            assert leaf["value"] == raw, field.fact
        checked += 1
    assert checked == len(ALL_FIELDS)


EXPECTED = {  # GPU 1, in words of the field
    "name": "NVIDIA H100 80GB HBM3",
    "uuid": "GPU-6f2b1c01-5a60-459e-b48d-d6b7466901e4",
    "serial": "1652324001311",
    "pci_bus_id": "0000:3b:00.0",
    "compute_capability": "9.0",
    "architecture": "Hopper",
    "minor_number": 1,
    "platform/chassis_serial": "1820000000001",
    "platform/slot": 25,
    "platform/tray": 15,
    "platform/host_id": 1,
    "platform/peer_type": "switch connected",
    "platform/module_id": 2,
    "platform/gpu_fabric_guid": "0x000102030405060708090a0b0c0d0e0f",
    "ecc/volatile/corrected": 11,
    "ecc/volatile/uncorrected": 0,
    "ecc/aggregate/corrected": 1288,
    "ecc/aggregate/uncorrected": 2,
    "ecc/aggregate/sram/uncorrected": 1,
    "ecc_mode_default": True,
    "ecc/sram_unique_uncorrected": [
        {"unit": 5, "location": 1, "sublocation": 2, "extlocation": 3, "address": 4096, "parity": True, "count": 9},
        {"unit": 6, "location": 1, "sublocation": 2, "extlocation": 3, "address": 8192, "parity": False, "count": 1},
    ],
    "retired_pages/double_bit": [
        {"address": "0x1f000", "retired_at_s": 1755700000},
        {"address": "0x2f000", "retired_at_s": None},
    ],
    "retired_pages/pending": True,
    "remapped_rows/correctable": 2,
    "remapped_rows/uncorrectable": 1,
    "remapped_rows/pending": True,
    "remapped_rows/failure": False,
    "bank_remapper/groups_without_spare": 3,
    "clocks_event_reasons": ["hw_slowdown", "hw_thermal_slowdown"],
    "clocks_event_reasons_mask": "0x48",
    "violations/power_ns": 7015662857000,
    "violations/power_since_us": 1755702000000000,
    "energy_j": 98765432.1,
    "power_source": "AC",
    "temperature_thresholds/memory_max_c": 97,
    "inforom/bbx_run_s": 31536000,
    "inforom/checksum": "0x7d3a1f20",
    "gsp/enabled": True,
    "fans/count": 2,
    "fans/0/speed_percent": 45,
    "fans/1/speed_percent": 46,
    "fans/0/speed_rpm": 2100,
    "fans/1/speed_rpm": 2150,
    "nvlink_count": 3,
    "nvlink/0/state": "active",
    "nvlink/0/version": "4.0",
    "nvlink/0/remote_type": "switch",
    "nvlink/0/remote_pci_bus_id": "0000:05:00.0",
    "nvlink/1/errors/replay": 3,
    "nvlink/1/errors/crc_data": 17,
    "nvlink/2/state": "inactive",
    "nvlink/2/version": "5.0",
    "nvlink/2/errors/recovery": 62,
    "nvlink/2/errors/crc_flit": 63,
    "nvlink/2/ber/effective": 1.5e-253,
    "nvlink/2/ber/symbol": 3e-12,
    "fabric/health": {
        "degraded_bandwidth": "false",
        "route_recovery": "false",
        "route_unhealthy": "false",
        "access_timeout_recovery": "false",
        "incorrect_configuration": "insufficient nvlinks",
        "partition_assigned": "true",
    },
    "processes/compute": [
        {"pid": 4242, "used_bytes": 73400320},
        {"pid": 4243, "used_bytes": None, "gpu_instance": 1, "compute_instance": 0},
    ],
    "processes/graphics": [],
    "processes/mps": [{"pid": 4343, "used_bytes": 1024}],
    "cper": [{"severity": "fatal", "sections": 2, "bytes_hex": "43504552 0101ffff ffff0200 01000000 00000000"}],
}


@pytest.mark.parametrize("path", EXPECTED)
def test_a_reading_is_in_the_words_and_units_of_the_field(healthy: Collected, path: str) -> None:
    assert fact(healthy.facts["devices"]["1"], path) == {"value": EXPECTED[path]}


def test_the_system_says_its_versions_and_its_excluded_gpus(healthy: Collected) -> None:
    found = values(healthy.facts["system"])
    assert found["driver_version"] == "580.105.08"
    assert found["nvml_version"] == "13.580.105.08"
    assert found["cuda_driver_version"] == "13.0"
    assert found["driver_branch"] == "r580_00"
    assert found["device_count"] == 2
    assert found["excluded_0"] == {"pci_bus_id": "0000:e1:00.0", "uuid": "GPU-0e1c0de0-0000-4000-8000-0000000000e1"}


def test_the_domain_of_a_gpu_behind_a_volume_management_device_survives(library: Path) -> None:
    found = nvml.collect(library, COUNT=4)
    assert fact(found.facts, "devices/3/pci_bus_id") == {"value": "10000:9a:00.0"}
    assert fact(found.facts, "pci/10000:9a:00.0/nvml_index") == {"value": 3}


def test_a_corrupt_inforom_is_an_error_and_a_good_one_a_value(healthy: Collected) -> None:
    assert fact(healthy.facts, "devices/0/inforom/valid") == {"value": True}
    assert fact(healthy.facts, "devices/1/inforom/valid")["error"] == {
        "class": "NVMLError_CorruptedInforom",
        "code": 14,
        "message": "Corrupted infoROM",
    }


def test_counters_of_nvlink_5_are_not_asked_of_an_older_link(healthy: Collected) -> None:
    assert fact(healthy.facts, "devices/0/nvlink/0/counters") is None
    assert fact(healthy.facts, "devices/1/nvlink/2/counters/recoveries") == {"value": 5}


# ---- what a driver says that is not so

IMPOSSIBLE = {
    "power_w": "nvmlDeviceGetPowerUsage 0 0 0xffffffff",
    "temperature_c": "nvmlDeviceGetTemperatureV:0 0 0 -2147483648",
    "temperature_margin_c": "nvmlDeviceGetMarginTemperature 0 0 100000",
    "ecc/volatile/uncorrected": "nvmlDeviceGetTotalEccErrors:1,0 0 0 0xffffffffffffffff",
    "ecc_mode_current": "nvmlDeviceGetEccMode 0 0 7 0",
    "remapped_rows/failure": "nvmlDeviceGetRemappedRows 0 0 0 0 0 255",
    "pcie/width_current": "nvmlDeviceGetCurrPcieLinkWidth 0 0 63",
    "performance_state": "nvmlDeviceGetPerformanceState 0 0 32",
    "utilization/gpu_percent": "nvmlDeviceGetUtilizationRates 0 0 4294967295 0",
    "memory/used_bytes": "nvmlDeviceGetMemoryInfo_v2 0 0 1000 0 0 2000",
    "serial": 'nvmlDeviceGetSerial 0 0 ""',
    "clocks_event_reasons": "nvmlDeviceGetCurrentClocksEventReasons 0 0 0xffffffffffffffff",
    "memory_temperature_c": "nvmlDeviceGetFieldValues:82 0 0 0 nan",
    "throttled/sw_power_cap_ns": "nvmlDeviceGetFieldValues:74 0 0 9 1",
    "ecc/sram_unique_uncorrected": "nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts 0 0 4294967295",
    "nvlink/0/remote_pci_bus_id": "nvmlDeviceGetNvLinkRemotePciInfo_v2:0 0 0 0xffffffff 0xff 0xff 0 0",
    "throttled/board_limit_ns": "nvmlDeviceGetFieldValues:77 0 0 0 inf",
    "fields/reset_required": "nvmlDeviceGetFieldValues:226 0 0",  # a success, and the item left as it was
}
LIES = (
    *IMPOSSIBLE.values(),
    "nvmlDeviceGetFieldValues:230 0 3",
    "nvmlDeviceGetFieldValues:230 1 999",
    "nvmlDeviceGetFieldValues:230 2 0 1 9",
    "nvmlDeviceGetArchitecture 1 0 77",
    "nvmlDeviceGetCurrentClocksEventReasons 1 0 0x10001",
    'nvmlDeviceGetName 0 0 "H100 \x1b]0;owned\x07"',
    'nvmlDeviceGetName 1 0 "H\udcff\udcfe100"',
)


@pytest.fixture(scope="module")
def lying(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Collected:
    return nvml.collect(library, table=table_with(tmp_path_factory.mktemp("lies"), *LIES), COUNT=3)


@pytest.mark.parametrize("path", IMPOSSIBLE)
def test_a_success_with_a_value_that_cannot_be_is_an_error(lying: Collected, path: str) -> None:
    assert error_class(fact(lying.facts["devices"]["0"], path)) == "Implausible"


def test_an_impossible_value_costs_its_reading_only(lying: Collected) -> None:
    assert fact(lying.facts, "devices/0/power_limit_w") == {"value": 700.0}
    assert fact(lying.facts, "devices/0/throttled/sync_boost_ns") == {"value": 0}


def test_an_unsupported_recovery_action_is_an_error_and_not_none(lying: Collected) -> None:
    assert error_class(fact(lying.facts, "devices/0/fields/recovery_action")) == "NVMLError_NotSupported"
    assert fact(lying.facts, "devices/1/fields/recovery_action")["error"] == {
        "class": "NVMLError_Unknown",
        "code": 999,
        "message": "Unknown Error",
    }


def test_an_enumeration_that_is_newer_than_bilbs_keeps_its_number(lying: Collected) -> None:
    assert fact(lying.facts, "devices/2/fields/recovery_action") == {"value": "unknown (9)"}
    assert fact(lying.facts, "devices/1/architecture") == {"value": "unknown (77)"}
    assert fact(lying.facts, "devices/1/clocks_event_reasons") == {"value": ["gpu_idle", "bit 0x10000"]}


def test_a_name_with_an_escape_sequence_stays_text_of_the_facts(lying: Collected) -> None:
    assert fact(lying.facts, "devices/0/name") == {"value": "H100 \x1b]0;owned\x07"}


def test_text_that_is_not_utf8_costs_one_reading(lying: Collected) -> None:
    assert error_class(fact(lying.facts, "devices/1/name")) == "UnicodeDecodeError"
    assert fact(lying.facts, "devices/1/serial") == {"value": "1652324001311"}


@pytest.mark.parametrize("count", [0, 4_000_000_000])
def test_a_count_of_gpus_is_believed_only_within_reason(library: Path, count: int) -> None:
    found = nvml.collect(library, COUNT=count)
    leaf = fact(found.facts, "system/device_count")
    assert leaf == {"value": 0} if count == 0 else error_class(leaf) == "Implausible"
    assert "devices" not in found.facts


# ---- older drivers and other cards


def test_an_older_driver_is_asked_by_its_older_functions(healthy: Collected, tmp_path: Path) -> None:
    old = nvml.collect(nvml.build(tmp_path / "old", without=OLD_DRIVER))
    now, before = values(healthy.facts["devices"]["1"]), values(old.facts["devices"]["1"])
    changed = {
        "memory/reserved_bytes",
        "memory/used_bytes",
        "retired_pages/double_bit",
        "retired_pages/single_bit",
        "fabric/health",
        "fabric/health_mask",
        "fabric/health_summary",
    }
    missing = {
        "temperature_margin_c",
        "unrepairable_memory",
        "clocks_event_reasons_supported",
        "clocks_event_reasons_supported_mask",
    }
    assert {path for path in now if now[path] != before.get(path)} == changed | missing
    assert all(path not in before for path in missing)
    for path in ("temperature_margin_c", "unrepairable_memory"):
        assert error_class(fact(old.facts["devices"]["1"], path)) == "NVMLError_FunctionNotFound"
    assert before["memory/reserved_bytes"] is None
    assert before["retired_pages/double_bit"] == [
        {"address": "0x1f000", "retired_at_s": None},
        {"address": "0x2f000", "retired_at_s": None},
    ]
    assert error_class(fact(old.facts, "system/driver_branch")) == "NVMLError_FunctionNotFound"


def test_a_driver_that_knows_the_second_fabric_structure_is_asked_for_it(library: Path, tmp_path: Path) -> None:
    found = nvml.collect(library, table=table_with(tmp_path, "fabric_version * 0 2"))
    assert fact(found.facts, "devices/0/fabric/health_mask") == {"value": "0x15aa"}
    assert fact(found.facts, "devices/0/fabric/health_summary") == {"value": None}


def test_a_library_without_field_values_leaves_errors_and_every_other_reading(
    healthy: Collected, tmp_path: Path
) -> None:
    found = nvml.collect(nvml.build(tmp_path / "fieldless", without=["nvmlDeviceGetFieldValues"]))
    assert error_class(fact(found.facts, "devices/0/fields/recovery_action")) == "NVMLError_FunctionNotFound"
    gpu = values(found.facts["devices"]["0"])
    fields = {field.fact for fields in nvml_fields.DEVICE.values() for field in fields}
    for path, value in values(healthy.facts["devices"]["0"]).items():
        if path not in fields and not path.startswith("nvlink/"):
            assert gpu[path] == value, path
    assert gpu["nvlink/2/state"] == "inactive"  # without the count the links end at InvalidArgument
    assert "nvlink/3/state" not in dict(leaves(found.facts["devices"]["0"]))


def test_a_card_without_nvlink_says_so_once(library: Path, tmp_path: Path) -> None:
    rows = [f"nvmlDeviceGetNvLinkState:{link} 0 3" for link in range(4)]
    found = nvml.collect(library, table=table_with(tmp_path, *rows, "nvmlDeviceGetFieldValues:91 0 3"))
    assert error_class(fact(found.facts, "devices/0/nvlink_states")) == "NVMLError_NotSupported"
    assert "nvlink" not in found.facts["devices"]["0"]


def test_one_link_that_is_not_supported_does_not_end_the_links(library: Path, tmp_path: Path) -> None:
    found = nvml.collect(
        library, table=table_with(tmp_path, "nvmlDeviceGetNvLinkState:0 0 3", "nvmlDeviceGetFieldValues:91 0 3")
    )
    assert error_class(fact(found.facts, "devices/0/nvlink/0/state")) == "NVMLError_NotSupported"
    assert fact(found.facts, "devices/0/nvlink/1/state") == {"value": "active"}
    assert fact(found.facts, "devices/0/nvlink/0/version") is None


@pytest.mark.parametrize("module", [nvidia_files, nvml_structs, nvml_values], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module) == (0, doctest.testmod(module).attempted)
    assert doctest.testmod(module).attempted


def test_no_reading_changes_the_state_of_a_gpu() -> None:
    calls = {
        query.call
        for query in (
            *nvml_table.DEVICE,
            *nvml_table.FAN,
            nvml_table.FAN_COUNT,
            nvml_table.LINK_STATE,
            *nvml_table.LINK,
        )
    }
    assert {call for call in calls if not call.startswith("Get")} == {"ValidateInforom"}


def test_the_page_of_readings_is_current() -> None:
    assert gpu_readings_page.PAGE.read_text(encoding="utf-8") == gpu_readings_page.page()
