"""The BMC collector on a real IPMI implementation (OpenIPMI's simulator), with faults; ipmitool is the second opinion."""

from __future__ import annotations

import csv
import json
import logging
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.diag import model
from bilbs_cli.diag.collectors import bmc, ipmi_session, ipmi_wire
from bilbs_cli.diag.collectors.bmc import BMC
from bilbs_cli.diag.collectors.ipmi_commands import STORAGE, NotARead
from bilbs_cli.diag.job import BmcTarget, Options
from bilbs_cli.diag.model import NotCollected, ReadError, Status, Value
from tests.inprocess import Gathered, gather
from tests.parts.bmc import local
from tests.parts.bmc.box import CELSIUS, EVENTS, FRUS, PASSWORD, READER, READER_PASSWORD, Box, Gauge
from tests.parts.bmc.relay import OpenBook, losing, relay, slow
from tests.parts.bmc.sim import Sim, free_port, simulator
from tests.parts.patience import BUSY_S

FROZEN_S = 6.0  # the interface waits four seconds for one answer


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sim]:
    with simulator(tmp_path_factory.mktemp("bmc")) as running:
        running.set_clock(90)
        yield running


@pytest.fixture(scope="module")
def whole(sim: Sim) -> Gathered:
    """One collection of the box as it is."""
    return gather(BMC, Options(root=True, bmc=sim.target))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a tenth of the time for an answer."""
    monkeypatch.setattr(ipmi_wire, "TRY_S", ipmi_wire.TRY_S / 10)


def of(gathered: Gathered, *path: str) -> Any:
    return model.value(gathered.facts, "bmc", *path)


def sensor(gathered: Gathered, number: int) -> dict[str, Any]:
    found = of(gathered, "sensors", f"32.0.{number}")
    assert isinstance(found, dict)
    return found


# a box in trouble


def test_every_value_agrees_with_ipmitool(sim: Sim, whole: Gathered) -> None:
    rows = list(csv.reader(sim.tool("-c", "sdr", "elist", "full").splitlines()))
    theirs = {row[0]: float(row[1]) for row in rows if row[1].replace(".", "").isdigit()}
    ours = {
        found["name"]: found["value"]
        for number in range(1, 11)
        if (found := sensor(whole, number))["value"] is not None
    }
    assert ours == theirs
    assert len(ours) == 9


def test_thresholds_are_in_the_units_of_the_sensor(sim: Sim, whole: Gathered) -> None:
    row = next(line for line in sim.tool("sensor").splitlines() if line.startswith("P12V")).split("|")
    theirs = dict(zip(("lnr", "lcr", "lnc", "unc", "ucr", "unr"), (cell.strip() for cell in row[4:]), strict=False))
    assert sensor(whole, 7)["thresholds"] == {name: float(cell) for name, cell in theirs.items() if cell != "na"}


@pytest.mark.parametrize(("number", "status"), [(1, "ok"), (3, "cr"), (5, "nr"), (6, "nc"), (8, "cr")])
def test_a_sensor_beyond_a_threshold_says_how_bad_it_is(whole: Gathered, number: int, status: str) -> None:
    assert sensor(whole, number)["status"] == status


def test_a_disabled_sensor_is_not_zero(whole: Gathered) -> None:
    found = sensor(whole, 10)
    assert (found["status"], found["value"], found["raw"]) == ("disabled", None, None)
    assert "no reading" in line_of(whole, "sensors.txt", "DIMM A1 Temp")


def test_a_stopped_fan_is_zero(whole: Gathered) -> None:
    assert sensor(whole, 5)["value"] == 0


def test_a_failed_supply_and_an_absent_one_are_told_apart(whole: Gathered) -> None:
    assert sensor(whole, 12)["states"] == ["presence detected", "failure detected", "input lost (AC/DC)"]
    assert sensor(whole, 13)["states"] == []
    assert "no state asserted" in line_of(whole, "sensors.txt", "PSU3 Status")


def line_of(gathered: Gathered, member: str, text: str) -> str:
    lines = gathered.members[f"ipmi/{member}"].decode().splitlines()
    return next(line for line in lines if text in line)


def test_the_log_has_the_records_that_ipmitool_sees(sim: Sim, whole: Gathered) -> None:
    theirs = [int(row[0], 16) for row in csv.reader(sim.tool("-c", "sel", "list").splitlines())]
    assert [found["id"] for found in of(whole, "sel", "records")] == theirs
    assert of(whole, "sel", "entries") == of(whole, "sel", "read") == len(EVENTS)


def test_every_record_of_the_log_keeps_its_bytes(whole: Gathered) -> None:
    records = json.loads(whole.members["ipmi/sel.json"])["records"]
    assert [bytes.fromhex(found["raw"])[2:] for found in records] == list(EVENTS)


def test_records_without_a_time_get_none(whole: Gathered) -> None:
    records = {found["id"]: found for found in of(whole, "sel", "records")}
    assert [records[number]["bmc_time"] for number in (1, 12, 13)] == [None, None, None]
    assert records[1]["pre_init"] is True
    assert records[11]["bmc_time"] == "2026-11-20T07:32:00+00:00"
    assert "not in the specification" in records[13]["text"]


def test_the_clock_of_the_bmc_is_compared_with_the_hosts(whole: Gathered) -> None:
    assert 88 <= of(whole, "sel", "clock_offset_s") <= 91
    record = next(found for found in of(whole, "sel", "records") if found["id"] == 6)
    assert record["bmc_time"] == "2026-11-20T06:00:00+00:00"
    assert record["host_time"].startswith("2026-11-20T05:58:")


def test_a_bad_fru_checksum_costs_nothing(whole: Gathered) -> None:
    found = of(whole, "fru", "1")
    assert found["board"]["serial"] == "PSU2SN0099"
    assert found["problems"] == ["board area: bad checksum"]
    assert "bad checksum" in whole.members["ipmi/fru.txt"].decode()


@pytest.mark.parametrize("number", FRUS)
def test_the_bytes_of_a_fru_are_kept(whole: Gathered, number: int) -> None:
    lines = whole.members[f"ipmi/fru-{number}.hex"].decode().splitlines()
    assert b"".join(bytes.fromhex(line[6:]) for line in lines) == FRUS[number]


def test_serial_numbers_agree_with_ipmitool(sim: Sim, whole: Gathered) -> None:
    theirs = [line.split(":", 1)[1].strip() for line in sim.tool("fru", "print", "0").splitlines() if "Serial" in line]
    found = of(whole, "fru", "0")
    assert [found[area]["serial"] for area in ("chassis", "board", "product")] == theirs


def test_what_the_bmc_does_not_have_is_an_error_and_not_a_value(whole: Gathered) -> None:
    for path in (("self_test",), ("device", "guid"), ("chassis", "power_on_hours"), ("dcmi", "power_w")):
        found = model.lookup(whole.facts, "bmc", *path)
        assert isinstance(found, ReadError), path
        assert found.kind == "CompletionCodeError"
        assert found.code in {0xC1, 0xD4}


def test_an_answer_that_is_too_short_is_not_decoded(whole: Gathered) -> None:
    found = model.lookup(whole.facts, "bmc", "watchdog")  # ipmi_sim leaves the countdown out
    assert isinstance(found, ReadError)
    assert found.kind == "ShortAnswer"


def test_the_collection_leaves_everything_in_the_bundle(whole: Gathered) -> None:
    names = {item.path: item.status for item in whole.items}
    assert names.keys() == {
        f"ipmi/{name}"
        for name in ("sdr.hex", "sensors.txt", "sel.txt", "sel.json", "fru.txt", "fru-0.hex", "fru-1.hex", "fru-2.hex")
    }
    assert set(names.values()) == {Status.OK}


# it only reads


def test_the_log_is_the_same_afterwards(sim: Sim, whole: Gathered) -> None:
    before = sim.tool("sel", "list", "-v")
    gather(BMC, Options(bmc=sim.target))
    assert sim.tool("sel", "list", "-v") == before
    assert len(before.splitlines()) >= len(EVENTS)


def test_a_command_that_changes_something_does_not_leave_this_program(sim: Sim) -> None:
    opened = ipmi_session.open_remote(sim.target, time.monotonic() + 10)
    try:
        with pytest.raises(NotARead):
            opened.ask(STORAGE, 0x47, b"\0\0CLR\xaa")
        for change in (
            opened._library.clear_sel,
            opened._library.cold_reset,
            opened._library.chassis_control_hard_reset,
        ):
            with pytest.raises(NotARead):
                change()
    finally:
        opened.close()
    assert len(csv_of(sim.tool("-c", "sel", "list"))) == len(EVENTS)


def csv_of(text: str) -> list[list[str]]:
    return list(csv.reader(text.splitlines()))


def test_the_session_is_closed_and_does_not_stay_in_the_bmc(sim: Sim) -> None:
    def sessions() -> int:
        counts = [line for line in sim.tool("channel", "info", "1").splitlines() if "Active Session Count" in line]
        return int(counts[0].split(":")[1])

    before = sessions()
    gather(BMC, Options(bmc=sim.target))
    assert sessions() == before


def test_a_sensor_is_read_from_the_controller_that_owns_it(tmp_path: Path) -> None:
    satellite = Gauge(1, "SAT Temp", 0x01, 0x0B, 1, CELSIUS, 1, 0, 77, (100, 90, 85, None, None, None))
    body = b"\x30" + satellite.sdr()[1:]
    extra = ("mc_add 0x30 1 no-device-sdrs 1 1 1 0x01 0x002a7c 0x1111", *satellite.commands(0x30), "mc_enable 0x30")
    absent = b"\x42" + satellite.sdr()[1:]
    with simulator(tmp_path, Box(records=((0x01, body), (0x01, absent)), extra=extra)) as running:
        found = gather(BMC, Options(bmc=running.target))
    assert of(found, "sensors", "48.0.1")["value"] == 77
    assert of(found, "sensors", "32.0.1")["value"] == 24  # the BMC's own sensor 1
    gone = model.lookup(found.facts, "bmc", "sensors", "66.0.1")
    assert isinstance(gone, ReadError)
    assert "SAT Temp" in gone.message
    assert of(found, "sel", "read") == len(EVENTS)


# who may read


def test_an_account_with_user_privilege_reads_the_same(sim: Sim, whole: Gathered) -> None:
    found = gather(BMC, Options(bmc=BmcTarget("127.0.0.1", READER, READER_PASSWORD, sim.port)))
    assert found.facts["bmc"]["sensors"] == whole.facts["bmc"]["sensors"]
    assert found.facts["bmc"]["fru"] == whole.facts["bmc"]["fru"]


def test_an_account_that_may_not_be_operator_reads_as_user(sim: Sim) -> None:
    refused: list[bytes] = []

    def refuse_operators(answer: bytes) -> list[bytes]:
        if answer[4:6] == b"\x06\x13" and not refused:  # the first RAKP message 2 (13.21): unauthorized role
            refused.append(answer)
            return [answer[:17] + b"\x0a" + answer[18:]]
        return [answer]

    with relay(sim, back=refuse_operators) as way:
        found = gather(BMC, Options(bmc=way.target))
    assert refused
    assert of(found, "session", "privilege") == "user"
    assert sensor(found, 3)["value"] == 97


@pytest.mark.parametrize(
    ("user", "password"), [("admin", "wrong"), ("nobody", PASSWORD), ("admin", "x" * 21), ("u" * 17, PASSWORD)]
)
def test_a_wrong_password_is_called_authentication(sim: Sim, user: str, password: str) -> None:
    started = time.monotonic()
    found = gather(BMC, Options(bmc=BmcTarget("127.0.0.1", user, password, sim.port)))
    assert time.monotonic() - started < FROZEN_S
    error = model.lookup(found.facts, "bmc", "session")
    assert isinstance(error, ReadError)
    assert error.kind == "AuthenticationError"
    assert found.item("ipmi/bmc").status is Status.DENIED


@pytest.mark.usefixtures("hasty")
def test_a_bmc_that_answers_a_bad_login_with_silence_is_called_authentication(sim: Sim) -> None:
    with relay(sim, back=lambda answer: [] if answer[4:6] == b"\x06\x13" else [answer]) as way:
        found = gather(BMC, Options(bmc=way.target))
    error = model.lookup(found.facts, "bmc", "session")
    assert isinstance(error, ReadError)
    assert error.kind == "AuthenticationError"
    assert "password" in error.message


@pytest.mark.parametrize("password", [PASSWORD, "wr0ng-pass&word"])
def test_the_password_is_nowhere(sim: Sim, password: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    target = replace(sim.target, password=password)
    found = gather(BMC, Options(bmc=target))
    said = repr([found, target, caplog.text, [item.as_dict() for item in found.items]])
    assert password not in said
    assert password.encode().hex(" ") not in said
    assert not [record for record in caplog.records if record.name.startswith("pyipmi")]  # whole sessions, whole frames


def test_an_open_session_has_forgotten_its_password(sim: Sim) -> None:
    opened = ipmi_session.open_remote(sim.target, time.monotonic() + 5)
    opened.close()
    session = opened._library.session
    assert PASSWORD not in repr([vars(opened), session, str(session), vars(session)])


def test_a_cipher_suite_that_the_bmc_does_not_have_is_named(sim: Sim) -> None:
    found = gather(BMC, Options(bmc=replace(sim.target, cipher_suite=17)))
    item = found.item("ipmi/bmc")
    assert item.status is Status.FAILED
    assert "refuses the session: Invalid authentication algorithm" in (item.reason or "")


# a BMC that is not there


def test_nobody_listening_is_said_at_once() -> None:
    import socket

    started = time.monotonic()
    found = gather(BMC, Options(bmc=BmcTarget("127.0.0.1", "admin", PASSWORD, free_port(socket.SOCK_DGRAM))))
    assert time.monotonic() - started < 2
    item = found.item("ipmi/bmc")
    assert item.status is Status.UNAVAILABLE
    assert "nobody listens" in (item.reason or "")


def test_a_frozen_bmc_costs_one_exchange(tmp_path: Path) -> None:
    with simulator(tmp_path) as running:
        running.freeze()
        started = time.monotonic()
        found = gather(BMC, Options(bmc=running.target))
        assert time.monotonic() - started < FROZEN_S
    item = found.item("ipmi/bmc")
    assert item.status is Status.TIMEOUT
    assert "no answer" in (item.reason or "")


@pytest.mark.usefixtures("hasty")
def test_a_bmc_that_stops_in_the_middle_keeps_what_was_read(tmp_path: Path) -> None:
    with simulator(tmp_path) as running:
        started = time.monotonic()
        found = frozen_at(running, "sensors/32.0.6")
        assert time.monotonic() - started < FROZEN_S
    readings = [model.lookup(found.facts, "bmc", "sensors", f"32.0.{number}") for number in range(1, 15)]
    kinds = [type(reading) for reading in readings]
    assert kinds == [Value] * 5 + [ReadError] + [NotCollected] * 8
    assert isinstance(readings[-1], NotCollected)
    assert "Intrusion: not asked: the BMC stopped answering" in readings[-1].reason
    assert isinstance(model.lookup(found.facts, "bmc", "sel", "records"), NotCollected)
    assert "stopped answering" in found.members["ipmi/sensors.txt"].decode()
    assert found.item("ipmi/bmc").status is Status.TIMEOUT


@pytest.mark.usefixtures("hasty")
def test_a_bmc_that_stops_in_its_log_keeps_the_records_read_so_far(tmp_path: Path) -> None:
    with simulator(tmp_path) as running:
        found = frozen_at(running, "sel/record-0x0006")
    assert [record["id"] for record in of(found, "sel", "records")] == [1, 2, 3, 4, 5, len(EVENTS)]
    assert "# not whole" in found.members["ipmi/sel.txt"].decode()


def frozen_at(running: Sim, key: str) -> Gathered:
    """Collect from a BMC that stops when the reading `key` begins."""
    from bilbs_cli.diag.child import ChildJob

    real = ChildJob._begin

    def begin(self: ChildJob, name: str, what: str, timeout_s: float) -> None:
        if name == key:
            running.freeze()
        real(self, name, what, timeout_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChildJob, "_begin", begin)
        return gather(BMC, Options(bmc=running.target))


def test_a_bmc_that_comes_back_within_the_wait_loses_nothing(tmp_path: Path) -> None:
    with simulator(tmp_path) as running:
        running.freeze()
        threading.Timer(1.5, running.thaw).start()
        found = gather(BMC, Options(bmc=running.target))
    assert of(found, "sel", "read") == len(EVENTS)
    assert not [item for item in found.items if item.status is not Status.OK]


# a bad network


def test_lost_datagrams_lose_no_reading(sim: Sim, whole: Gathered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipmi_wire, "TRY_S", 0.03)  # as many tries, less waiting
    monkeypatch.setattr(ipmi_wire, "TRIES", 12)
    with relay(sim, there=losing(0.2, seed=1), back=losing(0.2, seed=2)) as way:
        found = gather(BMC, Options(bmc=way.target))
    assert way.answered < 0.9 * len(way.asked)
    assert found.facts["bmc"]["sensors"] == whole.facts["bmc"]["sensors"]
    assert [record["raw"] for record in of(found, "sel", "records")] == [
        record["raw"] for record in of(whole, "sel", "records")
    ]


def test_forged_and_repeated_datagrams_are_not_taken_for_answers(sim: Sim, whole: Gathered) -> None:
    last = [b""]

    def spoil(answer: bytes) -> list[bytes]:
        before, last[0] = last[0], answer
        return [b"\x00", os.urandom(40), answer[:20], b"\x06\x00\xff\x07" + bytes(30), before or b"x", answer]

    with relay(sim, back=spoil) as way:
        found = gather(BMC, Options(bmc=way.target))
    assert found.facts["bmc"]["sensors"] == whole.facts["bmc"]["sensors"]
    assert of(found, "sel", "read") == len(EVENTS)


def test_a_slow_bmc_is_read_as_far_as_its_time_goes(sim: Sim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bmc, "BUDGET_S", dict.fromkeys(bmc.BUDGET_S, 1.5))
    with relay(sim, back=slow(0.02)) as way:
        started = time.monotonic()
        found = gather(BMC, Options(bmc=way.target))
        assert time.monotonic() - started < 3
    assert of(found, "device", "id") == 0
    assert of(found, "sel", "records")[-1]["id"] == len(EVENTS)
    reasons = [leaf.reason for _, leaf in model.leaves(found.facts) if isinstance(leaf, NotCollected)]
    assert any("time" in reason for reason in reasons)
    assert found.item("ipmi/bmc").status is Status.PARTIAL


# what other BMCs answer


def answering(sim: Sim, answer: Callable[[int, int, bytes], bytes | None]) -> Gathered:
    """Collect from a BMC some of whose answers are replaced."""
    book = OpenBook(answer)
    with relay(sim, there=book.there, back=book.back) as way:
        return gather(BMC, Options(bmc=replace(way.target, cipher_suite=1)))


@pytest.mark.parametrize("most", [24, 8])
def test_a_bmc_that_returns_few_bytes_at_once_is_asked_for_fewer(sim: Sim, whole: Gathered, most: int) -> None:
    asked: list[int] = []

    def few(netfn: int, command: int, data: bytes) -> bytes | None:
        if netfn == STORAGE and command in {0x11, 0x23}:  # Read FRU Data, Get SDR
            asked.append(data[-1])
            return b"\xca" if data[-1] > most else None
        return None

    found = answering(sim, few)
    assert max(asked) > most
    for part in ("sdr.hex", "fru-0.hex", "fru-2.hex"):
        assert found.members[f"ipmi/{part}"] == whole.members[f"ipmi/{part}"]


def test_a_reservation_that_is_lost_is_taken_again(sim: Sim, whole: Gathered) -> None:
    lost: list[bytes] = []

    def lose(netfn: int, command: int, data: bytes) -> bytes | None:
        if (netfn, command) == (STORAGE, 0x23) and data[4] and len(lost) < 2:
            lost.append(data)
            return b"\xc5"
        return None

    found = answering(sim, lose)
    assert len(lost) == 2
    assert found.members["ipmi/sdr.hex"] == whole.members["ipmi/sdr.hex"]


def test_sdrs_that_point_at_each_other_end(sim: Sim) -> None:
    def circle(netfn: int, command: int, data: bytes) -> bytes | None:
        return b"\0\x01\0" + bytes([1, 0, 0x51, 0x08, 0]) if (netfn, command) == (STORAGE, 0x23) else None

    found = answering(sim, circle)
    reading = model.lookup(found.facts, "bmc", "sdr", "rest")
    assert isinstance(reading, NotCollected)
    assert "repeats" in reading.reason
    assert found.item("ipmi/sdr-rest").status is Status.PARTIAL
    assert of(found, "sdr", "records") == 2


def test_power_and_temperatures_of_dcmi_are_facts(sim: Sim) -> None:
    power = (
        b"\0\xdc"
        + b"".join(watts.to_bytes(2, "little") for watts in (648, 90, 3210, 500))
        + bytes(4)
        + (60000).to_bytes(4, "little")
        + b"\x40"
    )
    answers = {
        0x02: power,
        0x03: b"\0\xdc\0\0\x01" + (5000).to_bytes(2, "little") + bytes(4) + bytes(4),
        0x06: b"\0\xdc\x0arack12-u20",
        0x10: b"\0\xdc\x01\x01\x18\x01",
    }
    found = answering(sim, lambda netfn, command, _: answers.get(command) if netfn == 0x2C else None)
    assert (of(found, "dcmi", "power_w"), of(found, "dcmi", "power_average_w")) == (648, 500)
    assert of(found, "dcmi", "power_period_s") == 60
    assert of(found, "dcmi", "power_limit_w") == 5000
    assert of(found, "dcmi", "asset_tag") == "rack12-u20"
    assert of(found, "dcmi", "inlet_c") == [[1, 24]]


def test_a_bmc_that_answers_nonsense_costs_only_its_facts(sim: Sim) -> None:
    dice = random.Random(7)

    def nonsense(netfn: int, _command: int, _data: bytes) -> bytes | None:
        return b"\0" + dice.randbytes(dice.randrange(30)) if netfn != 0x06 and dice.random() < 0.3 else None

    for _ in range(5):
        found = answering(sim, nonsense)
        assert of(found, "device", "id") == 0
        assert found.items


def test_a_sensor_that_answers_with_an_error_costs_itself(sim: Sim, whole: Gathered) -> None:
    found = answering(
        sim, lambda netfn, command, data: b"\xcb" if (netfn, command, data) == (0x04, 0x2D, b"\x03") else None
    )
    reading = model.lookup(found.facts, "bmc", "sensors", "32.0.3")
    assert isinstance(reading, ReadError)
    assert (reading.code, reading.message[:10]) == (0xCB, "GPU3 Temp:")
    assert "! could not be read" in line_of(found, "sensors.txt", "GPU3 Temp")
    assert {**found.facts["bmc"]["sensors"], "32.0.3": None} == {**whole.facts["bmc"]["sensors"], "32.0.3": None}


def test_thresholds_that_the_sensor_does_not_tell_come_from_its_record(sim: Sim, whole: Gathered) -> None:
    found = answering(sim, lambda netfn, command, _: b"\xd5" if (netfn, command) == (0x04, 0x27) else None)
    assert sensor(found, 7)["thresholds"] == sensor(whole, 7)["thresholds"]
    assert sensor(found, 7)["thresholds_from"].startswith("record")


def test_a_bmc_without_a_repository_gives_its_device_sdrs(sim: Sim, whole: Gathered) -> None:
    records = [bytes.fromhex(line) for line in whole.members["ipmi/sdr.hex"].decode().splitlines()]

    def device_sdrs(netfn: int, command: int, data: bytes) -> bytes | None:
        if (netfn, command) == (STORAGE, 0x23):
            return b"\xc1"
        if (netfn, command) != (0x04, 0x21):
            return b"\0\x01\0" if (netfn, command) == (0x04, 0x22) else None
        number = int.from_bytes(data[2:4], "little") or 1
        after = number + 1 if number < len(records) else 0xFFFF
        return b"\0" + after.to_bytes(2, "little") + records[number - 1][data[4] : data[4] + data[5]]

    found = answering(sim, device_sdrs)
    assert found.members["ipmi/sdr.hex"] == whole.members["ipmi/sdr.hex"]
    assert sensor(found, 3)["value"] == 97


# this machine's own


def test_without_a_device_it_is_unavailable_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ipmi_session, "DEVICES", (str(tmp_path / "ipmi0"),))
    found = gather(BMC)
    item = found.item("ipmi/bmc")
    assert item.status is Status.UNAVAILABLE
    assert "modprobe -a ipmi_devintf ipmi_si" in (item.reason or "")
    assert isinstance(model.lookup(found.facts, "bmc", "session"), NotCollected)


def test_a_fifo_in_place_of_the_device_is_no_bmc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ipmi0")
    monkeypatch.setattr(ipmi_session, "DEVICES", (str(tmp_path / "ipmi0"),))
    started = time.monotonic()
    found = gather(BMC)
    assert time.monotonic() - started < 2 + BUSY_S
    assert not [
        leaf
        for path, leaf in model.leaves(found.facts)
        if isinstance(leaf, Value) and path[1] not in {"session", "sdr"}
    ]
    assert found.item("ipmi/bmc").status is Status.TIMEOUT


def test_with_a_sysroot_the_bmc_is_not_asked(tmp_path: Path, sim: Sim) -> None:
    found = gather(BMC, Options(sysroot=tmp_path, bmc=sim.target))
    assert [(item.path, item.status) for item in found.items] == [("ipmi/bmc", Status.SKIPPED)]
    assert found.facts == {}


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return local.build(tmp_path_factory.mktemp("ipmi0"))


def test_the_kernels_device_gives_the_same_readings_as_the_network(sim: Sim, whole: Gathered, device: Path) -> None:
    found = local.collected(device, str(sim.driver))["facts"]["bmc"]
    assert found["session"]["interface"] == {"value": "kernel driver, /dev/ipmi0"}
    for part in ("sensors", "fru", "sdr"):
        assert found[part] == whole.facts["bmc"][part], part
    assert [record["raw"] for record in found["sel"]["records"]["value"]] == [
        record["raw"] for record in of(whole, "sel", "records")
    ]


def test_a_device_that_may_not_be_opened_is_denied(device: Path) -> None:
    found = local.collected(device, "EACCES")
    ((path, status, reason),) = found["items"]
    assert (path, status) == ("ipmi/bmc", "denied")
    assert "needs root" in reason


def test_a_satellite_that_the_driver_cannot_reach_costs_only_itself(tmp_path: Path, device: Path) -> None:
    satellite = Gauge(1, "SAT Temp", 0x01, 0x0B, 1, CELSIUS, 1, 0, 77, (100, 90, 85, None, None, None))
    with simulator(tmp_path, Box(records=((0x01, b"\x30" + satellite.sdr()[1:]),))) as running:
        found = local.collected(device, str(running.driver))["facts"]["bmc"]
    assert "error" in found["sensors"]["48.0.1"]
    assert found["sel"]["read"] == {"value": len(EVENTS)}


# tries after a hang


def test_a_reading_that_hung_is_left_out_of_the_next_try(sim: Sim, whole: Gathered) -> None:
    memo = {"device/guid": model.encode(Value("kept"))}
    found = gather(BMC, Options(bmc=sim.target), skip=frozenset({"sensors/32.0.3"}), memo=memo)
    assert isinstance(model.lookup(found.facts, "bmc", "sensors", "32.0.3"), NotCollected)
    assert found.facts["bmc"]["sensors"].keys() == whole.facts["bmc"]["sensors"].keys() - {"32.0.3"}
    assert of(found, "sel", "read") == len(EVENTS)


def test_a_driver_that_hung_twice_is_left_alone(sim: Sim) -> None:
    found = gather(BMC, Options(bmc=sim.target), skip=frozenset({"sensors/32.0.3", "sdr/record-0x0000"}))
    assert [(item.path, item.status) for item in found.items] == [("ipmi/bmc", Status.TIMEOUT)]
    assert found.begun == []


def test_no_ipmi_program_is_run(sim: Sim, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **_: object) -> None:
        raise AssertionError(arguments)

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "system", refuse)
    found = gather(BMC, Options(bmc=sim.target))
    assert of(found, "sel", "read") == len(EVENTS)
