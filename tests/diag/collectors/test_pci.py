"""The PCI collector: a GPU that fell off the bus, the bridges above it, and a live bus against lspci."""

from __future__ import annotations

import doctest
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag import model
from bilbs_cli.diag.collectors import pci, pci_config, sysfs
from bilbs_cli.diag.collectors.pci import PCI
from bilbs_cli.diag.job import Options, Profile
from bilbs_cli.diag.model import NotCollected, ReadError, Value
from tests.diag.collectors.hosts import copied, dead, write
from tests.inprocess import Gathered, gather

GPU, NIC, ROOT_PORT = "0000:17:00.0", "0000:18:00.0", "0000:15:01.0"
GPU_FOLDER = "sys/devices/pci0000:15/0000:15:01.0/0000:16:00.0/0000:16:01.0/0000:17:00.0"
NIC_FOLDER = "sys/devices/pci0000:15/0000:15:01.0/0000:16:00.0/0000:16:02.0/0000:18:00.0"


@pytest.fixture(scope="module")
def fallen() -> Gathered:
    return gather(PCI, dead())


def fact(got: Gathered, address: str, *path: str) -> model.Reading:
    return model.lookup(got.facts, "pci", "devices", address, *path)


def test_the_samples_in_the_docstrings_are_true() -> None:
    result = doctest.testmod(pci_config)
    assert result.attempted
    assert not result.failed


def test_a_gpu_that_fell_off_the_bus_is_told_from_one_that_answers(fallen: Gathered) -> None:
    assert fact(fallen, GPU, "kind") == Value("gpu")
    assert fact(fallen, GPU, "answers") == Value(value=False)
    assert fact(fallen, NIC, "answers") == Value(value=True)


def test_the_registers_of_a_device_that_does_not_answer_are_not_believed(fallen: Gathered) -> None:
    assert isinstance(fact(fallen, GPU, "link", "current_link_width"), NotCollected), "the file says 63"
    assert isinstance(fact(fallen, GPU, "aspm"), NotCollected)


def test_what_the_kernel_remembers_of_a_dead_gpu_is_kept(fallen: Gathered) -> None:
    assert fact(fallen, GPU, "device_id") == Value("2330")
    assert fact(fallen, GPU, "model") == Value("GH100 [H100 SXM5 80GB]")
    assert fact(fallen, GPU, "driver") == Value("nvidia")
    assert model.value(fallen.facts, "pci", "devices", GPU, "aer_correctable")["BadTLP"] == 10


def test_a_link_narrower_than_it_could_be_has_both_numbers(fallen: Gathered) -> None:
    assert fact(fallen, NIC, "link", "current_link_width") == Value(8)
    assert fact(fallen, NIC, "link", "max_link_width") == Value(16)
    assert fact(fallen, NIC, "link", "current_link_speed_gts") == Value(32.0)


def test_the_bridges_above_a_device_are_read_up_to_the_root_port(fallen: Gathered) -> None:
    assert fact(fallen, GPU, "bridges_above") == Value([ROOT_PORT, "0000:16:00.0", "0000:16:01.0"])
    assert fact(fallen, ROOT_PORT, "port_type") == Value("root_port")
    assert fact(fallen, ROOT_PORT, "aer_root_fatal") == Value(1)
    assert isinstance(fact(fallen, "0000:16:01.0", "aer_root_fatal"), NotCollected)


def test_the_slot_is_the_devices_own_or_that_of_the_board_it_sits_on(fallen: Gathered) -> None:
    assert fact(fallen, GPU, "slot") == Value("21")
    assert fact(fallen, NIC, "slot") == Value("CPU1 SLOT 3")
    assert isinstance(fact(fallen, ROOT_PORT, "slot"), NotCollected)


def test_access_control_that_breaks_peer_to_peer_is_seen(fallen: Gathered) -> None:
    assert "request_redirect" in model.value(fallen.facts, "pci", "devices", ROOT_PORT, "acs_enabled")
    assert fact(fallen, NIC, "aspm") == Value("L1")


def test_a_machine_without_a_bus_has_no_counts(tmp_path: Path) -> None:
    got = gather(PCI, dead(tmp_path))
    assert isinstance(model.lookup(got.facts, "pci", "counts", "gpu"), NotCollected)
    assert [path for path, reading in model.leaves(got.facts) if isinstance(reading, Value)] == []


def test_a_sleeping_device_is_not_woken(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, f"{NIC_FOLDER}/power/runtime_status", "suspended\n")
    (root / NIC_FOLDER / "config").write_bytes(b"\xff" * 64)
    answers = fact(gather(PCI, dead(root)), NIC, "answers")
    assert isinstance(answers, NotCollected)
    assert "wake" in answers.reason


def test_a_configuration_space_that_never_returns_costs_one_reading() -> None:
    again = gather(PCI, dead(), skip=frozenset({f"devices/{NIC}/answers"}))
    assert isinstance(fact(again, NIC, "link", "current_link_width"), NotCollected)
    assert fact(again, NIC, "numa_node") == Value(0)
    assert fact(again, GPU, "answers") == Value(value=False)


def test_an_empty_configuration_space_is_an_error_not_a_dead_device(tmp_path: Path) -> None:
    root = copied(tmp_path)
    (root / NIC_FOLDER / "config").write_bytes(b"")
    assert isinstance(fact(gather(PCI, dead(root)), NIC, "answers"), ReadError)


def test_a_fifo_or_a_loop_among_the_devices_does_not_hang(tmp_path: Path) -> None:
    root = copied(tmp_path)
    for name in ("vendor", "config", "numa_node"):
        (root / NIC_FOLDER / name).unlink()
        os.mkfifo(root / NIC_FOLDER / name)
    (root / "sys/bus/pci/devices/0000:99:00.0").symlink_to("0000:99:00.0")
    got = gather(PCI, dead(root))
    assert isinstance(fact(got, NIC, "kind"), NotCollected), "a function without a vendor is nobody's"
    assert fact(got, GPU, "answers") == Value(value=False)
    assert "0000:99:00.0 class ? id ?:?" in got.members["pci/functions.txt"].decode()


def test_virtual_functions_are_counted_and_not_looked_at(fallen: Gathered) -> None:
    assert model.lookup(fallen.facts, "pci", "virtual_functions") == Value(1)
    assert model.lookup(fallen.facts, "pci", "counts", "infiniband") == Value(1)
    assert isinstance(fact(fallen, "0000:18:00.1", "kind"), NotCollected)


def test_a_device_that_leaves_while_it_is_described_costs_its_place_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysfs, "home", lambda *_: None)
    got = gather(PCI, dead())
    assert fact(got, NIC, "bridges_above") == Value([])
    assert fact(got, NIC, "link", "current_link_width") == Value(8)


def test_a_place_that_is_a_loop_or_nowhere_is_none(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "void").symlink_to("/nowhere")
    assert [sysfs.home(tmp_path, path) for path in ("/loop", "/void", "/absent")] == [None, None, None]
    assert sysfs.home(None, str(tmp_path / "loop")) is None
    assert sysfs.home(None, "/proc/self/exe/x") is None


def test_names_that_are_no_address_are_not_followed(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/sys/bus/pci/devices/../../../etc/vendor", "0x10de")
    write(root, "/sys/bus/pci/devices/evil\nname/vendor", "0x10de\n")
    got = gather(PCI, dead(root))
    assert model.lookup(got.facts, "pci", "functions") == Value(7)


def test_the_live_bus_is_the_one_that_lspci_sees() -> None:
    got = gather(PCI, later=False)
    table = {
        line.split()[0]: line.split()[4] for line in got.members.get("pci/functions.txt", b"").decode().splitlines()
    }
    witness = shutil.which("lspci")
    seen = {}
    if witness:
        lines = subprocess.run([witness, "-D", "-n"], capture_output=True, text=True, check=True).stdout.splitlines()
        seen = {line.split()[0]: line.split()[2] for line in lines}
    kernel = sorted(path.name for path in Path(pci.DEVICES).glob("*")) if Path(pci.DEVICES).is_dir() else []
    assert sorted(table) == kernel
    assert table == seen or not witness


def test_lspci_is_not_run_on_a_dead_system_or_in_a_hurry(fallen: Gathered) -> None:
    assert not [item for item in fallen.items if "lspci" in item.path]
    hurried = gather(PCI, Options(profile=Profile.TRIAGE))
    assert not [item for item in hurried.items if "lspci" in item.path]


@given(st.binary(max_size=600))
def test_any_configuration_space_is_decoded_without_an_end_in_sight_or_a_crash(config: bytes) -> None:
    for value in pci_config.details(config).values():
        assert isinstance(value, str | list)


def test_a_capability_list_that_is_a_loop_ends() -> None:
    config = bytearray(4096)
    config[6], config[0x34] = 0x10, 0x40
    config[0x40:0x42] = b"\x09\x40"
    config[0x100:0x104] = (0x0001 | 0x100 << 20).to_bytes(4, "little")
    assert pci_config.capability(bytes(config), 0x10) is None
    assert pci_config.extended_capability(bytes(config), 0x0D) is None


def test_a_vendor_that_the_name_database_does_not_know_has_no_name() -> None:
    database = (
        b"# list\n1000  Broadcom\n\t2330  not this one\n10de  NVIDIA\n\t1db4  V100\n15b3  Mellanox\n\t2330  nor this\n"
    )
    assert pci_config.names(database, "dead", "2330") == (None, None)
    assert pci_config.names(database, "10de", "2330") == ("NVIDIA", None)
    assert pci_config.names(database, "10de", "1db4") == ("NVIDIA", "V100")
    assert pci_config.names(b"", "10de", "2330") == (None, None)


@given(st.binary(max_size=300), st.sampled_from(["10de", "15b3", "ffff"]))
def test_a_damaged_name_database_names_nothing_wrong(noise: bytes, vendor: str) -> None:
    vendor_name, model_name = pci_config.names(noise, vendor, "2330")
    assert model_name is None or vendor_name is not None
