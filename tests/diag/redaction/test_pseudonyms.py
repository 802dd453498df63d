"""Identities: replaced by stand-ins that are stable, keep subnets, and can be undone on the box only."""

from __future__ import annotations

import ipaddress
import json
import os
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilbs_cli.diag.redaction import Pseudonyms, Redactor, pseudonyms
from bilbs_cli.diag.redaction.addresses import Addresses
from bilbs_cli.diag.redaction.pseudonyms import reveal
from bilbs_cli.errors import OutputUnwritable
from tests.diag.redaction.examples import DATA
from tests.parts.patience import BUSY_S

KEY = b"k" * 32
ADDRESSES = Addresses(KEY)
LOG = """Nov 21 03:30:01 gpu01 sshd[8271]: Accepted publickey for alice from 10.1.2.3 port 22 ssh2
Nov 21 03:30:02 gpu02 kernel: NVRM: loading NVIDIA UNIX 580.95.05, fw 28.39.1.2, driver version 10.2.3.4
2026-11-21T03:30:02+00:00 gpu03 app[1]: GPU-8a3f1c2d-52b7-4e0a-9c31-0d2f6b7a9e14 at 0000:3b:00.0, Xid 79
gpu07.cluster.example.com fe80::a236:9fff:fe12:3456%eth0 2001:db8:1:2::15 10.1.2.99/24 brd 10.1.2.255 a0:36:9f:12:34:56
Serial Number: S64GNE0R123456, mail bob@corp.example.org, home /home/alice/x, GPU01 and gpu01-ipmi
{"serial_number":"165012401424","wwn":"5000c500c1a2b3c4"} std::string 03:30:02 <serial>1650124014249</serial>
"""


def made(**more: list[str]) -> Pseudonyms:
    return Pseudonyms(KEY, hosts=["gpu01.cluster.example.com"], users=["alice"], **more)


def test_identities_are_replaced_and_can_be_revealed() -> None:
    names = made()
    out = Redactor(pseudonyms=names).text(LOG)
    for identity in (
        "gpu01 ",
        "gpu02",
        "gpu03",
        "gpu07",
        "example.com",
        "alice",
        "10.1.2.3 ",
        "10.1.2.99",
        "2001:db8",
        "9f12:3456",
        "12:34:56",
        "S64GNE0R123456",
        "bob@",
        "corp",
        "165012401424",
        "5000c500c1a2b3c4",
    ):
        assert identity not in out, identity
    for kept in (
        "580.95.05",
        "28.39.1.2",
        "10.2.3.4",
        "GPU-8a3f1c2d-52b7-4e0a-9c31-0d2f6b7a9e14",
        "0000:3b:00.0",
        "Xid 79",
        "std::string",
        "03:30:02",
        "%eth0",
        "a0:36:9f:",
        "fe80::",
    ):
        assert kept in out, kept
    assert reveal(out, names.new_pairs()).replace("gpu01", "GPU01") == LOG.replace("gpu01", "GPU01")
    assert names.new_pairs() == {}


def test_the_same_key_gives_the_same_stand_ins_and_another_key_others() -> None:
    assert made().replace(LOG.encode()) == made().replace(LOG.encode())
    assert Pseudonyms(b"j" * 32).replace(b"from 10.1.2.3 x") != Pseudonyms(KEY).replace(b"from 10.1.2.3 x")


def test_short_and_long_host_names_match() -> None:
    names = made()
    assert names.host("gpu01.cluster.example.com").startswith(names.host("gpu01") + ".")
    assert names.host("GPU01") == names.host("gpu01")


def test_words_of_every_log_are_no_names() -> None:
    names = Pseudonyms(KEY, hosts=["localhost", "gpu"], users=["root", "nvidia", "me"])
    text = b"Nov 21 03:30:01 localhost nvidia: root gpu me localhost.localdomain"
    assert names.replace(text) == text


def test_a_key_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Pseudonyms(b"short")


@pytest.mark.parametrize(
    "sample", ["nvidia-smi-q.xml", "lspci-vvv.txt", "dmesg.txt", "lscpu.txt", "ipmitool.txt", "proc.txt"]
)
def test_the_output_of_tools_keeps_its_form(sample: str) -> None:
    text = (DATA / "keeps" / sample).read_bytes()
    names = Pseudonyms(KEY)
    out = names.replace(text)
    assert out.count(b"\n") == text.count(b"\n")
    for before, after in zip(text.split(b"\n"), out.split(b"\n"), strict=True):
        if before != after:
            assert b"erial" in before or b"UUID" in before or b"10.0.0" in before, (before, after)
    assert reveal(out.decode(), names.new_pairs()) == text.decode()


SPECIAL = ["127.0.0.1", "0.0.0.0", "255.255.255.255", "255.255.254.0", "169.254.1.1", "224.0.0.251"]  # noqa: S104 - text


@pytest.mark.parametrize("address", SPECIAL)
def test_special_ipv4_addresses_stay(address: str) -> None:
    assert ADDRESSES.v4(address) == address


@pytest.mark.parametrize("address", ["::1", "ff02::1"])
def test_special_ipv6_addresses_stay(address: str) -> None:
    assert ADDRESSES.v6(address) == address


ipv4 = st.integers(min_value=0, max_value=2**32 - 1).map(lambda n: str(ipaddress.IPv4Address(n)))


@given(ipv4)
@settings(max_examples=150, deadline=None)
def test_private_stays_private_and_public_stays_public(address: str) -> None:
    before, after = ipaddress.IPv4Address(address), ipaddress.IPv4Address(ADDRESSES.v4(address))
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"):
        assert (before in ipaddress.IPv4Network(net)) == (after in ipaddress.IPv4Network(net))


public = st.integers(min_value=20 << 24, max_value=(100 << 24) - 1).map(lambda n: str(ipaddress.IPv4Address(n)))


@given(public, st.integers(min_value=16, max_value=24), st.integers(min_value=0, max_value=2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_hosts_of_one_subnet_stay_in_one_subnet_and_others_do_not_join(address: str, prefix: int, other: int) -> None:
    one = int(ipaddress.IPv4Address(address))
    size = 32 - prefix
    two = one >> size << size | other & (1 << size) - 1
    three = one ^ 1 << size  # in the neighbouring subnet
    moved = [int(ipaddress.IPv4Address(ADDRESSES.v4(str(ipaddress.IPv4Address(n))))) for n in (one, two, three)]
    assert moved[0] >> size == moved[1] >> size
    assert moved[0] >> size != moved[2] >> size


def test_no_public_address_becomes_a_private_or_special_one() -> None:
    others = [
        ipaddress.IPv4Network(net)
        for net in (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "224.0.0.0/3",
        )
    ]
    for high in range(11, 100):
        for low in range(0, 256, 8):
            after = ipaddress.IPv4Address(ADDRESSES.v4(f"{high}.{low}.9.9"))
            assert not any(after in net for net in others), after


def test_every_host_of_a_subnet_gets_a_stand_in_of_its_own() -> None:
    stand_ins = {ADDRESSES.v4(f"10.20.30.{n}") for n in range(256)}
    assert len(stand_ins) == 256
    assert {s.rpartition(".")[0] for s in stand_ins} == {ADDRESSES.v4("10.20.30.0").rpartition(".")[0]}
    assert ADDRESSES.v4("10.20.30.255").endswith(".255")


def test_ipv6_keeps_its_scope_and_its_subnets() -> None:
    one, two, three = (
        ipaddress.IPv6Address(ADDRESSES.v6(a)) for a in ("2001:db8:1:2::15", "2001:db8:1:2::16", "2001:db8:1:3::16")
    )
    assert int(one) >> 64 == int(two) >> 64 != int(three) >> 64
    assert ADDRESSES.v6("fd00:1::1").startswith("fd")
    assert ADDRESSES.v6("fe80::1").startswith("fe80::")
    assert ADDRESSES.v6("::ffff:10.1.2.3") == "::ffff:" + ADDRESSES.v4("10.1.2.3")


def test_hardware_addresses_keep_their_maker() -> None:
    assert ADDRESSES.mac("a0:36:9f:12:34:56").startswith("a0:36:9f:")
    assert ADDRESSES.mac("a0:36:9f:12:34:56") != "a0:36:9f:12:34:56"
    assert ADDRESSES.mac("A0-36-9F-12-34-56").startswith("a0-36-9f-")
    for kept in ("ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "01:00:5e:00:00:fb", "33:33:00:00:00:01"):
        assert ADDRESSES.mac(kept) == kept


def test_what_was_replaced_is_kept_on_the_box_for_its_owner_only(tmp_path: Path) -> None:
    pseudonyms.save(tmp_path, {"host-1": "gpu01"})
    pseudonyms.save(tmp_path, {"host-2": "gpu02"})
    assert pseudonyms.load(tmp_path) == {"host-1": "gpu01", "host-2": "gpu02"}
    assert stat.S_IMODE((tmp_path / "pseudonyms.json").stat().st_mode) == 0o600


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    first = pseudonyms.key(tmp_path)
    assert len(first) == 32
    assert pseudonyms.key(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "pseudonyms.key").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pseudonyms.key"]


def test_of_two_runs_that_make_a_key_at_once_both_use_the_first(tmp_path: Path) -> None:
    first = pseudonyms.key(tmp_path)
    pseudonyms._create(tmp_path / "pseudonyms.key", b"2" * 32)
    assert pseudonyms.key(tmp_path) == first


def test_a_broken_key_is_named_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "pseudonyms.key").write_bytes(b"short")
    with pytest.raises(OutputUnwritable, match="is no key"):
        pseudonyms.key(tmp_path)
    assert (tmp_path / "pseudonyms.key").read_bytes() == b"short"


def test_a_damaged_mapping_does_not_stop_a_run(tmp_path: Path) -> None:
    (tmp_path / "pseudonyms.json").write_bytes(b"{broken")
    assert pseudonyms.load(tmp_path) == {}
    pseudonyms.save(tmp_path, {"a": "b"})
    assert json.loads((tmp_path / "pseudonyms.json").read_bytes()) == {"a": "b"}


def test_a_fifo_in_place_of_the_mapping_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pseudonyms.json")
    began = time.monotonic()
    with pytest.raises(OutputUnwritable, match="FIFO"):
        pseudonyms.load(tmp_path)
    assert time.monotonic() - began < 1 + BUSY_S


def test_the_names_of_a_box_are_read_from_its_files(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hostname").write_text("gpu01\n")
    (tmp_path / "etc/hosts").write_text("127.0.0.1 localhost\n10.1.2.3 gpu02.example.com gpu02 # peer\n")
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
    )
    hosts, users = pseudonyms.own_names(tmp_path)
    assert hosts == {"gpu01", "localhost", "gpu02.example.com", "gpu02"}
    assert users == {"alice"}


def test_pairs_of_a_stream_are_told_before_its_end(tmp_path: Path) -> None:
    names = pseudonyms.of_box(tmp_path)
    stream = Redactor(pseudonyms=names).stream()
    out = stream.feed(b"from 10.1.2.3\n" * 1000) + stream.finish()
    pseudonyms.save(tmp_path, names.new_pairs())
    assert reveal(out.decode(), pseudonyms.load(tmp_path)) == "from 10.1.2.3\n" * 1000
