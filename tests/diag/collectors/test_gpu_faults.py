"""The GPU collector when the driver fails: a lost GPU, calls that never return, no driver, no library, a dead system."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.diag.collectors import gpu, nvidia_files, nvml_fields, nvml_table
from bilbs_cli.diag.job import Collector, Job
from bilbs_cli.diag.model import Value
from tests.diag.collectors import gpu_readings_page
from tests.inprocess import gather
from tests.parts import nvml
from tests.parts.nvml import Collected, fact

SHORT = {"wait_s": 0.5}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="module")
def healthy(library: Path) -> Collected:
    return nvml.collect(library)


def leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in node.items():
        if set(inner) & {"value", "error", "not_collected"} and len(inner) == 1:
            yield path + name, inner
        else:
            yield from leaves(inner, f"{path}{name}/")


def differences(one: Collected, other: Collected) -> dict[str, Any]:
    """Return the facts of `one` that `other` has not, or not so."""
    known = dict(leaves(other.facts))
    return {path: leaf for path, leaf in leaves(one.facts) if known.get(path) != leaf}


def error_class(leaf: Any) -> str:
    return str(leaf["error"]["class"])


# ---- a GPU that is lost


def test_a_lost_gpu_keeps_its_place_and_costs_the_others_nothing(library: Path, healthy: Collected) -> None:
    found = nvml.collect(library, LOST=1)
    changed = differences(found, healthy)
    assert {path.split("/")[:2][1] for path in changed if path.startswith("devices/")} == {"1"}
    gpu_1 = dict(leaves(found.facts["devices"]["1"]))
    for query in nvml_table.DEVICE:
        for part in gpu_readings_page.parts(query):
            assert gpu_1[part.fact]["error"] == {
                "class": "NVMLError_GpuIsLost",
                "code": 15,
                "message": "GPU is lost",
            }, part.fact
    for field in (field for fields in nvml_fields.DEVICE.values() for field in fields):
        assert error_class(gpu_1[field.fact]) == "NVMLError_GpuIsLost"
    assert not [path for path, leaf in gpu_1.items() if "value" in leaf]


def test_a_gpu_without_a_handle_is_named_with_its_error(library: Path, healthy: Collected) -> None:
    found = nvml.collect(library, LOST_HANDLE=1)
    assert error_class(fact(found.facts, "devices/1/handle")) == "NVMLError_GpuIsLost"
    assert "not_collected" in fact(found.facts, "devices/1/pci_bus_id")
    assert found.facts["devices"]["0"] == healthy.facts["devices"]["0"]


@pytest.mark.parametrize("calls", [0, 1, 7, 60, 120])
def test_a_gpu_that_falls_off_in_the_middle_keeps_what_was_read_before(
    library: Path, healthy: Collected, calls: int
) -> None:
    found = nvml.collect(library, LOST_AFTER=f"1:{calls}")
    before = dict(leaves(healthy.facts["devices"]["1"]))
    seen = [leaf == before.get(path) for path, leaf in leaves(found.facts["devices"]["1"]) if "/nvlink" not in path]
    kept = seen.index(False)
    assert kept >= min(calls, 5)
    for path, leaf in leaves(found.facts["devices"]["1"]):
        assert leaf == before.get(path) or error_class(leaf) == "NVMLError_GpuIsLost", path
    assert found.facts["devices"]["0"] == healthy.facts["devices"]["0"]


def tie(count: int, addresses: dict[int, str], in_pci: list[str]) -> dict[str, Any]:
    def collect(job: Job) -> None:
        gpu._tie(job, count, addresses, in_pci)

    return dict(leaves(gather(Collector("gpu", "", "gpu", 1.0, collect)).facts["gpu"]))


def test_the_address_of_the_only_lost_gpu_is_the_only_one_left() -> None:
    found = tie(3, {0: "0000:1b:00.0", 2: "0000:5d:00.0"}, ["0000:1b:00.0", "0000:3b:00.0", "0000:5d:00.0"])
    assert found["system/gpus_without_nvml_address"] == {"value": ["0000:3b:00.0"]}
    assert found["devices/1/pci_bus_id_by_elimination"] == {"value": "0000:3b:00.0"}
    assert found["pci/0000:5d:00.0/nvml_index"] == {"value": 2}


def test_the_addresses_of_two_lost_gpus_are_not_guessed() -> None:
    found = tie(3, {0: "0000:1b:00.0"}, ["0000:1b:00.0", "0000:3b:00.0", "0000:5d:00.0"])
    assert not [path for path in found if "elimination" in path]
    assert found["system/gpus_without_nvml_address"] == {"value": ["0000:3b:00.0", "0000:5d:00.0"]}


# ---- a driver that does not answer


def test_a_call_that_never_returns_costs_its_reading_only(library: Path, healthy: Collected) -> None:
    found = nvml.collect(library, HANG="nvmlDeviceGetPowerUsage:1", options=SHORT)
    assert {path: error_class(leaf) for path, leaf in differences(found, healthy).items()} == {
        "devices/1/power_w": "Timeout"
    }
    assert not differences(healthy, found).keys() - {"devices/1/power_w"}
    assert found.items["gpu/nvidia-smi-q.xml"]["status"] == "skipped"
    assert found.statuses == {"gpu": "timeout"}
    assert found.abandoned == []


def test_a_call_of_several_facts_that_never_returns_costs_those(library: Path, healthy: Collected) -> None:
    found = nvml.collect(library, HANG="nvmlDeviceGetRemappedRows:0", options=SHORT)
    rows = {f"devices/0/remapped_rows/{name}" for name in ("correctable", "uncorrectable", "pending", "failure")}
    changed = differences(found, healthy)
    assert set(changed) == rows | {"devices/0/calls/remapped_rows_correctable"}
    assert {error_class(leaf) for leaf in changed.values()} == {"Timeout"}


def test_one_field_that_hangs_the_driver_costs_its_reading_only(library: Path, healthy: Collected) -> None:
    found = nvml.collect(library, HANG="field180:0", options=SHORT)
    changed = differences(found, healthy)
    assert set(changed) == {"devices/0/pcie/fatal_errors", "devices/0/calls/fields_pcie"}
    assert {error_class(leaf) for leaf in changed.values()} == {"Timeout"}
    assert fact(found.facts, "devices/0/pcie/correctable_errors") == {"value": 6}


def test_one_link_that_hangs_the_driver_leaves_the_others(library: Path, healthy: Collected) -> None:
    found = nvml.collect(library, HANG="nvmlDeviceGetNvLinkState:1:1", options=SHORT)
    assert error_class(fact(found.facts, "devices/1/nvlink/1/state")) == "Timeout"
    assert found.facts["devices"]["1"]["nvlink"]["2"] == healthy.facts["devices"]["1"]["nvlink"]["2"]


def test_a_gpu_that_hangs_the_driver_again_and_again_is_given_up_and_the_others_are_read(library: Path) -> None:
    healthy = nvml.collect(library, COUNT=3)
    hang = " ".join(f"nvmlDeviceGet{name}:0" for name in ("Serial", "ModuleId", "GspFirmwareVersion", "PowerUsage"))
    found = nvml.collect(library, COUNT=3, HANG=hang, options=SHORT)
    for index in ("1", "2"):
        assert found.facts["devices"][index] == healthy.facts["devices"][index]
    dead = dict(leaves(found.facts["devices"]["0"]))
    assert [path for path, leaf in dead.items() if "error" in leaf and error_class(leaf) == "Timeout"] == [
        "serial",
        "module_id",
        "gsp/version",
    ]
    assert dead["rest"] == {"not_collected": "3 readings of this GPU never returned: the rest was not asked"}
    assert dead["name"] == {"value": "NVIDIA H100 80GB HBM3"}
    assert fact(found.facts, "pci/0000:1b:00.0/nvml_index") == {"value": 0}
    assert fact(found.facts, "system/gpus_without_nvml_address") == {"value": []}


def test_gpus_that_hang_the_driver_are_read_after_those_that_answer(library: Path) -> None:
    healthy = nvml.collect(library, COUNT=4)
    names = ("Serial", "ModuleId", "GspFirmwareVersion")
    found = nvml.collect(
        library,
        COUNT=4,
        HANG=" ".join(f"nvmlDeviceGet{name}:{index}" for index in (0, 1) for name in names),
        options=SHORT,
    )
    for index in ("2", "3"):
        assert found.facts["devices"][index] == healthy.facts["devices"][index]


def test_a_handle_that_never_comes_leaves_the_other_gpus(library: Path, healthy: Collected) -> None:
    found = nvml.collect(library, HANG="nvmlDeviceGetHandleByIndex_v2:0", options={"start_s": 0.8})
    assert error_class(fact(found.facts, "devices/0/handle")) == "Timeout"
    assert found.facts["devices"]["1"] == healthy.facts["devices"]["1"]


def test_a_driver_that_hangs_at_the_start_is_a_fact_and_no_tool_is_run_into_it(library: Path, tools: Path) -> None:
    found = nvml.collect(library, HANG="nvmlInit:-1", options={"start_s": 0.5}, programs=tools)
    assert error_class(fact(found.facts, "system/nvml")) == "Timeout"
    assert "nvml_without_gpus" not in found.facts["system"]
    assert "value" in fact(found.facts, "system/gpus_in_pci")
    assert found.items["gpu/nvidia-smi-q.xml"]["status"] == "skipped"
    assert found.took_s < 10


def test_a_library_that_crashes_the_process_costs_one_reading(library: Path, healthy: Collected) -> None:
    found = nvml.collect(library, CRASH="nvmlDeviceGetSerial:0")
    assert {path: error_class(leaf) for path, leaf in differences(found, healthy).items()} == {
        "devices/0/serial": "ProcessDied"
    }


# ---- no driver


def test_without_the_library_the_start_is_an_error_and_the_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text(
        "not a library\n"
    )  # found first: whatever this machine has is not asked
    found = nvml.collect(tmp_path)
    assert error_class(fact(found.facts, "system/nvml")) == "NVMLError_LibraryNotFound"
    assert "nvml_without_gpus" not in found.facts["system"]
    assert "value" in fact(found.facts, "system/gpus_in_pci")
    assert "devices" not in found.facts


def test_without_the_driver_both_starts_are_errors(library: Path) -> None:
    found = nvml.collect(library, INIT=9, INIT_NO_GPUS=9)
    for name in ("nvml", "nvml_without_gpus"):
        assert fact(found.facts, f"system/{name}")["error"] == {
            "class": "NVMLError_DriverNotLoaded",
            "code": 9,
            "message": "Driver Not Loaded",
        }


def test_a_mismatch_of_library_and_driver_still_tells_the_versions(library: Path) -> None:
    found = nvml.collect(library, INIT=18, COUNT=0)
    assert error_class(fact(found.facts, "system/nvml")) == "NVMLError_LibRmVersionMismatch"
    assert fact(found.facts, "system/nvml_without_gpus") == {"value": "initialised"}
    assert fact(found.facts, "system/driver_version") == {"value": "580.105.08"}


def test_the_collector_is_listed_without_loading_pynvml() -> None:
    program = "import sys, bilbs_cli.diag.collectors.gpu; sys.exit('pynvml' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


# ---- files

INFORMATION = """Model: \t\t NVIDIA H100 80GB HBM3
IRQ:   \t\t 92
GPU UUID: \t GPU-6f2b1c00-5a60-459e-b48d-d6b7466900e4
Video BIOS: \t 96.00.99.00.01
Bus Type: \t PCIe
DMA Size: \t 52 bits
DMA Mask: \t 0xfffffffffffff
Bus Location: \t 0000:1b:00.0
Device Minor: \t 0
GPU Firmware: \t 580.105.08
GPU Excluded:\t No
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """Make the files of a box: a good GPU, one that fell off the bus, an NVSwitch, a network card, a BMC's VGA."""

    def device(address: str, port: str, files: Mapping[str, str], config: bytes) -> None:
        real = tmp_path / "sys/devices/pci0000:00" / port / address
        real.mkdir(parents=True)
        for name, content in files.items():
            (real / name).write_text(content + "\n")
        (real / "config").write_bytes(config)
        link = tmp_path / "sys/bus/pci/devices" / address
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../../devices/pci0000:00/{port}/{address}")

    gpu_files = {
        "vendor": "0x10de",
        "device": "0x2330",
        "class": "0x030200",
        "current_link_speed": "32.0 GT/s PCIe",
        "current_link_width": "16",
        "max_link_width": "16",
        "numa_node": "0",
        "aer_dev_correctable": "RxErr 3\nBadTLP 1\nTOTAL_ERR_COR 4",
    }
    device("0000:1b:00.0", "0000:00:01.0", gpu_files, b"\xde\x10\x30\x23" + bytes(60))
    device(
        "0000:3b:00.0",
        "0000:00:02.0",
        gpu_files | {"current_link_width": "63", "current_link_speed": "Unknown"},
        b"\xff" * 64,
    )
    device(
        "0000:05:00.0",
        "0000:00:03.0",
        {"vendor": "0x10de", "device": "0x22a3", "class": "0x068000"},
        b"\xde\x10\xa3\x22",
    )
    device(
        "0000:06:00.0",
        "0000:00:04.0",
        {"vendor": "0x15b3", "device": "0x1021", "class": "0x020700"},
        b"\xb3\x15\x21\x10",
    )
    device(
        "0000:07:00.0",
        "0000:00:05.0",
        {"vendor": "0x1a03", "device": "0x2000", "class": "0x030000"},
        b"\x03\x1a\x00\x20",
    )
    driver = tmp_path / "sys/bus/pci/drivers/nvidia"
    driver.mkdir(parents=True)
    (tmp_path / "sys/devices/pci0000:00/0000:00:01.0/0000:1b:00.0/driver").symlink_to(
        "../../../../bus/pci/drivers/nvidia"
    )
    for address, text in (
        ("0000:1b:00.0", INFORMATION),
        ("0000:3b:00.0", INFORMATION.replace("96.00.99.00.01", "??.??.??.??.??")),
    ):
        folder = tmp_path / "proc/driver/nvidia/gpus" / address
        folder.mkdir(parents=True)
        (folder / "information").write_text(text)
    (tmp_path / "proc/driver/nvidia/version").write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.105.08\n"
    )
    (tmp_path / "sys/module/nvidia").mkdir(parents=True)
    (tmp_path / "sys/module/nvidia/version").write_text("580.105.08\n")
    libraries = tmp_path / "usr/lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    (libraries / "libnvidia-ml.so.580.126.09").write_bytes(b"")
    (libraries / "libnvidia-ml.so.1").symlink_to("libnvidia-ml.so.580.126.09")
    (tmp_path / "var/log").mkdir(parents=True)
    (tmp_path / "var/log/fabricmanager.log").write_text("[Nov 21 2026] [INFO] Connected to 1 node.\n")
    return tmp_path


@pytest.fixture
def dead_system(library: Path, box: Path) -> Collected:
    return nvml.collect(library, options={"sysroot": str(box)})


def test_the_files_of_a_dead_system_tell_its_gpus_without_a_driver(dead_system: Collected) -> None:
    facts = dead_system.facts
    assert fact(facts, "system/gpus_in_pci") == {"value": ["0000:1b:00.0", "0000:3b:00.0"]}
    assert fact(facts, "system/nvml") == {"not_collected": "the files of another system are read: no driver to ask"}
    assert fact(facts, "pci/0000:05:00.0/kind") == {"value": "nvswitch"}
    assert set(facts["pci"]) == {"0000:1b:00.0", "0000:3b:00.0", "0000:05:00.0"}
    good = facts["pci"]["0000:1b:00.0"]
    assert fact(good, "link_width_current") == {"value": 16}
    assert fact(good, "link_speed_current") == {"value": "32.0 GT/s PCIe"}
    assert fact(good, "aer_correctable") == {"value": {"RxErr": 3, "BadTLP": 1, "TOTAL_ERR_COR": 4}}
    assert "not_collected" in fact(good, "aer_fatal")
    assert fact(good, "numa_node") == {"value": 0}
    assert fact(good, "driver") == {"value": "nvidia"}
    assert fact(good, "upstream_port") == {"value": "0000:00:01.0"}
    assert fact(good, "proc/gpu_uuid") == {"value": "GPU-6f2b1c00-5a60-459e-b48d-d6b7466900e4"}
    assert "devices" not in facts


def test_a_gpu_that_fell_off_the_bus_does_not_answer_and_has_no_link(dead_system: Collected) -> None:
    gone = dead_system.facts["pci"]["0000:3b:00.0"]
    assert fact(gone, "answers") == {"value": False}
    assert fact(dead_system.facts, "pci/0000:1b:00.0/answers") == {"value": True}
    assert error_class(fact(gone, "link_width_current")) == "Implausible"
    assert error_class(fact(gone, "proc/video_bios")) == "Unknown"
    assert fact(gone, "proc/model") == {"value": "NVIDIA H100 80GB HBM3"}


def test_the_versions_of_module_and_library_stand_beside_each_other(dead_system: Collected) -> None:
    assert fact(dead_system.facts, "system/kernel_module_version") == {"value": "580.105.08"}
    assert fact(dead_system.facts, "system/library_versions") == {"value": ["580.126.09"]}


def test_the_driver_s_files_and_logs_are_in_the_bundle(dead_system: Collected) -> None:
    assert "580.105.08" in dead_system.members["gpu/proc/driver/nvidia/version"]
    assert dead_system.members["gpu/proc/driver/nvidia/gpus/0000:1b:00.0/information"] == INFORMATION
    assert "Connected to 1 node" in dead_system.members["gpu/var/log/fabricmanager.log"]


def test_a_configuration_space_that_cannot_be_read_says_nothing_of_the_bus() -> None:
    assert not isinstance(nvidia_files.answers(None), Value)
    assert not isinstance(nvidia_files.answers(b"\xff\xff"), Value)


# ---- tools


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Make an nvidia-smi that shows the XML of the fixture, and what it was asked otherwise."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder, "nvidia-smi", f'[ "$*" = "-q -x" ] && exec cat {nvml.SMI_XML}; echo "asked: $*"')
    return folder


def test_nvidia_smi_is_put_into_the_bundle(library: Path, tools: Path) -> None:
    found = nvml.collect(library, programs=tools)
    assert found.members["gpu/nvidia-smi-q.xml"] == nvml.SMI_XML.read_text()
    assert found.members["gpu/nvidia-smi-topo.txt"] == "asked: topo -m\n"
    assert found.members["gpu/nvidia-smi-nvlink-status.txt"] == "asked: nvlink -s\n"
    assert found.members["gpu/nvidia-smi-nvlink-errors.txt"] == "asked: nvlink -e\n"
    assert "gpu/nvidia-bug-report.log" not in found.items


def test_triage_asks_nvml_and_runs_no_tool(library: Path, tools: Path) -> None:
    found = nvml.collect(library, programs=tools, options={"profile": "triage"})
    assert fact(found.facts, "devices/1/power_w") == {"value": 68.57}
    assert not [name for name in found.items if "smi" in name]


def test_an_nvidia_smi_that_hangs_costs_only_itself(library: Path, tools: Path, healthy: Collected) -> None:
    program(tools, "nvidia-smi", "echo '<nvidia_smi_log>'; trap '' TERM; sleep 60")
    found = nvml.collect(library, programs=tools, options={"smi_s": 0.5})
    assert found.facts["devices"] == healthy.facts["devices"]
    assert found.items["gpu/nvidia-smi-q.xml"]["status"] == "timeout"
    assert found.members["gpu/nvidia-smi-q.xml"] == "<nvidia_smi_log>\n"
    assert {item["status"] for name, item in found.items.items() if "topo" in name or "nvlink" in name} == {"skipped"}
    assert found.took_s < 6


BUG_REPORT = """
PATH="/sbin:/usr/sbin:$PATH"
[ "$1" = --safe-mode ] && [ "$2" = --output-file ] || exit 3
LOG=$3.gz
if [ -f $LOG ]; then mv $LOG $3.old.gz; fi
touch $LOG || exit 1
( echo "Start of NVIDIA bug report log file."; echo "tmp $TMPDIR" ) | gzip -c >> $LOG
echo scratch > "$TMPDIR/scratch"
( [ -f $LOG ] && echo "it is a file" || echo "it is no file" ) | gzip -c >> $LOG
( mst=`which mst`; $mst start && echo "mst was started" || echo "no mst" ) | gzip -c >> $LOG
( seq 1 200000 ) | gzip -c >> $LOG
( echo "End of NVIDIA bug report log file." ) | gzip -c >> $LOG
"""


def test_the_bug_report_is_decompressed_on_its_way_and_leaves_nothing(library: Path, tools: Path) -> None:
    program(tools, "nvidia-bug-report.sh", BUG_REPORT)
    program(tools, "mst", "exit 0")
    found = nvml.collect(library, programs=tools, options={"profile": "full", "root": True})
    text = found.members["gpu/nvidia-bug-report.log"]
    lines = text.splitlines()
    assert lines[0] == "Start of NVIDIA bug report log file."
    assert lines[2:4] == ["it is no file", "no mst"]
    assert lines[4:-1] == [str(number) for number in range(1, 200_001)]
    assert lines[-1] == "End of NVIDIA bug report log file."
    assert not Path(lines[1].removeprefix("tmp ")).parent.exists()
    assert found.items["gpu/nvidia-bug-report.log"]["status"] == "ok"


def test_a_bug_report_without_gzip_is_taken_as_it_is(library: Path, tools: Path) -> None:
    program(tools, "nvidia-bug-report.sh", 'echo "plain report" >> $3')
    found = nvml.collect(library, programs=tools, options={"profile": "full", "root": True})
    assert found.members["gpu/nvidia-bug-report.log"] == "plain report\n"


def test_a_bug_report_that_hangs_is_ended_and_its_beginning_kept(library: Path, tools: Path, tmp_path: Path) -> None:
    folder = tmp_path / "where"
    program(tools, "nvidia-bug-report.sh", f'dirname "$3" > {folder}; echo beginning | gzip -c >> $3.gz; sleep 60')
    found = nvml.collect(library, programs=tools, options={"profile": "full", "root": True, "deadline_s": 3.0})
    assert found.items["gpu/nvidia-bug-report.log"]["status"] == "timeout"
    assert not Path(folder.read_text().strip()).exists()
    assert found.took_s < 6


def test_without_root_the_bug_report_is_denied_and_says_why(library: Path, tools: Path) -> None:
    program(tools, "nvidia-bug-report.sh", "echo never; exit 1")
    found = nvml.collect(library, programs=tools, options={"profile": "full", "root": False})
    assert found.items["gpu/nvidia-bug-report.log"]["status"] == "denied"
    assert "root" in found.items["gpu/nvidia-bug-report.log"]["reason"]
