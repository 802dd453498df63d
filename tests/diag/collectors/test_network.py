"""The network collector: links, bonds, InfiniBand and proxies, live against psutil and dead from `tests/data`."""

from __future__ import annotations

import doctest
import os
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli import process
from bilbs_cli.diag import model
from bilbs_cli.diag.collectors import network
from bilbs_cli.diag.collectors.network import NETWORK
from bilbs_cli.diag.job import Options, Profile
from bilbs_cli.diag.model import NotCollected, ReadError, Status, Value
from tests.diag.collectors.hosts import calls, copied, dead, part, program, write
from tests.inprocess import Gathered, gather
from tests.parts.patience import BUSY_S

PORT = ("infiniband", "mlx5_0", "ports", "1")


@pytest.fixture(scope="module")
def fallen() -> Gathered:
    return gather(NETWORK, dead())


def fact(got: Gathered, *path: str) -> model.Reading:
    return model.lookup(got.facts, "network", *path)


def test_the_samples_in_the_docstrings_are_true() -> None:
    result = doctest.testmod(network)
    assert result.attempted
    assert not result.failed


def test_live_interfaces_are_those_of_the_kernel() -> None:
    got = gather(NETWORK, Options(profile=Profile.TRIAGE))
    found = model.branch(got.facts, "network", "interfaces")
    witness = psutil.net_if_stats()
    assert set(witness) == set(found)
    for name, stats in witness.items():
        assert fact(got, "interfaces", name, "mtu") == Value(stats.mtu)
        assert isinstance(fact(got, "interfaces", name, "counters", "rx_bytes"), Value)
    sent = psutil.net_io_counters(pernic=True)
    for name in found:
        assert model.value(found, name, "counters", "rx_packets") <= sent[name].packets_recv


def test_a_dead_infiniband_port_is_told_with_its_counters(fallen: Gathered) -> None:
    assert fact(fallen, *PORT, "state") == Value("DOWN")
    assert fact(fallen, *PORT, "physical_state") == Value("Disabled")
    assert fact(fallen, *PORT, "rate_gbps") == Value(10.0)
    assert fact(fallen, *PORT, "counters") == Value({"link_downed": 4, "port_rcv_errors": 0, "symbol_error": 17})
    assert fact(fallen, *PORT, "hw_counters") == Value({"out_of_sequence": 9})
    assert fact(fallen, "infiniband", "mlx5_0", "device") == Value("0000:18:00.0")


def test_the_speed_of_a_link_that_is_down_is_not_the_one_it_had(fallen: Gathered) -> None:
    assert fact(fallen, "interfaces", "ibp24s0", "operstate") == Value("down")
    assert fact(fallen, "interfaces", "ibp24s0", "speed_mbps") == NotCollected("the link is down"), (
        "the file says 10000"
    )


def test_a_speed_that_the_driver_does_not_know_is_not_minus_one(fallen: Gathered) -> None:
    assert isinstance(fact(fallen, "interfaces", "bond0", "speed_mbps"), NotCollected)
    assert fact(fallen, "interfaces", "bond0", "carrier") == Value(value=True)


def test_an_interface_without_a_driver_has_no_errors() -> None:
    got = gather(NETWORK, Options(profile=Profile.TRIAGE))
    found = dict(model.leaves(model.branch(got.facts, "network", "interfaces", "lo")))
    assert found
    assert [path for path, reading in found.items() if isinstance(reading, ReadError)] == []


def test_a_bond_has_its_slaves_and_an_ordinary_link_has_no_bond(fallen: Gathered) -> None:
    assert fact(fallen, "interfaces", "bond0", "bond", "slaves") == Value(["eno1", "eno2"])
    assert fact(fallen, "interfaces", "bond0", "bond", "mii_status") == Value("up")
    assert not model.branch(fallen.facts, "network", "interfaces", "ibp24s0", "bond")
    assert "bonding_masters" not in model.branch(fallen.facts, "network", "interfaces")


def test_a_device_is_told_from_a_virtual_interface(fallen: Gathered) -> None:
    assert fact(fallen, "interfaces", "ibp24s0", "physical") == Value(value=True)
    assert fact(fallen, "interfaces", "ibp24s0", "driver") == Value("mlx5_core")
    assert fact(fallen, "interfaces", "bond0", "physical") == Value(value=False)


def test_the_way_out_is_named_by_its_interface(fallen: Gathered) -> None:
    assert fact(fallen, "default_routes") == Value({"ipv4": ["bond0"], "ipv6": []})


def test_of_proxies_only_the_names_of_variables_are_taken(fallen: Gathered, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fact(fallen, "proxy_variables", "system") == Value(["HTTPS_PROXY", "no_proxy"])
    monkeypatch.setenv("https_proxy", "http://user:correcthorse@proxy:3128")
    got = gather(NETWORK, Options(profile=Profile.TRIAGE))
    assert "https_proxy" in model.value(got.facts, "network", "proxy_variables", "session")
    for gathered, secret in ((got, "correcthorse"), (fallen, "hunter2")):
        assert secret not in repr(gathered.facts)
        assert not [member for member, data in gathered.members.items() if secret.encode() in data]


def test_a_counter_that_is_no_number_is_an_error_and_costs_one_reading(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write(root, "/sys/devices/virtual/net/bond0/statistics/rx_errors", "lots")
    got = gather(NETWORK, dead(root))
    assert isinstance(fact(got, "interfaces", "bond0", "counters", "rx_errors"), ReadError)
    assert fact(got, "interfaces", "bond0", "counters", "rx_bytes") == Value(7)


def test_an_interface_whose_driver_hangs_costs_its_own_facts_only() -> None:
    again = gather(NETWORK, dead(), skip=frozenset({"interfaces/ibp24s0/sysfs"}))
    assert isinstance(fact(again, "interfaces", "ibp24s0", "mtu"), NotCollected)
    assert fact(again, "interfaces", "bond0", "mtu") == Value(9000)
    assert fact(again, *PORT, "state") == Value("DOWN")


def test_a_fifo_among_the_attributes_does_not_hang(tmp_path: Path) -> None:
    root = copied(tmp_path)
    for path in ("sys/devices/virtual/net/bond0/operstate", "proc/net/route", "etc/resolv.conf"):
        (root / path).unlink()
        os.mkfifo(root / path)
    began = time.monotonic()
    got = gather(NETWORK, dead(root))
    assert time.monotonic() - began < 3 + BUSY_S
    assert isinstance(fact(got, "interfaces", "bond0", "operstate"), ReadError)
    assert got.item("network/etc/resolv.conf").status is Status.SKIPPED


def test_thousands_of_container_interfaces_do_not_crowd_out_the_real_ones(tmp_path: Path) -> None:
    root = copied(tmp_path)
    for number in range(network.INTERFACES + 40):
        write(root, f"/sys/class/net/aveth{number:04}/operstate", "up\n")
    got = gather(NETWORK, dead(root))
    found = model.branch(got.facts, "network", "interfaces")
    assert len(found) == network.INTERFACES
    assert "ibp24s0" in found
    assert fact(got, "interfaces_count") == Value(network.INTERFACES + 42)


def test_an_interface_name_that_a_tool_would_take_as_an_option_is_not_passed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard = program(monkeypatch, tmp_path / "bin", "ethtool", "echo ok")
    program(monkeypatch, tmp_path / "bin", "ip", "echo []")
    got = gather(part(lambda job: network._tools(job, ["--flash", "eth0", "../x"]), "network"))
    assert calls(heard) == [["eth0"], ["-i", "eth0"], ["-S", "eth0"]]
    assert [got.item(f"network/ethtool/name-{number}").status for number in (0, 2)] == [Status.SKIPPED] * 2


def test_a_missing_ethtool_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find", lambda _: None)
    got = gather(part(lambda job: network._tools(job, ["eth0", "eth1"]), "network"))
    missing = [item for item in got.items if "ethtool" in item.path]
    assert [(item.path, item.status) for item in missing] == [("network/ethtool", Status.UNAVAILABLE)]


def test_modules_of_optics_are_read_only_in_a_full_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard = program(monkeypatch, tmp_path / "bin", "ethtool", "echo ok")
    program(monkeypatch, tmp_path / "bin", "ip", "echo []")
    got = gather(part(lambda job: network._tools(job, ["eth0"]), "network"), Options(profile=Profile.FULL))
    assert ["-m", "eth0"] in calls(heard)
    assert got.item("network/ethtool/eth0-module.txt").status is Status.OK


def test_an_empty_disk_gives_no_values(tmp_path: Path) -> None:
    got = gather(NETWORK, dead(tmp_path))
    assert [path for path, reading in model.leaves(got.facts) if isinstance(reading, Value)] == []
    assert got.members == {}


@given(st.text(max_size=300))
def test_any_routing_table_is_parsed(text: str) -> None:
    network.default_interfaces(text)
    network.default_interfaces6(text)
