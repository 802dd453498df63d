"""What the bytes of a BMC say: records, readings, log entries and FRUs, the damaged and hostile ones included."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.diag.collectors import ipmi_commands, ipmi_device, ipmi_fru, ipmi_names, ipmi_sdr, ipmi_sel, ipmi_sensors
from bilbs_cli.diag.collectors.ipmi_sdr import Factors, FruLocator, Other, Sensor
from tests.parts.bmc.box import CELSIUS, FRUS, Gauge, States, event, fru, spoilt, stamp, tl


def record(kind: int, body: bytes) -> bytes:
    return bytes([1, 0, 0x51, kind, len(body)]) + body


def sensor(kind: int, body: bytes) -> Sensor:
    (found,) = ipmi_sdr.parse(record(kind, body))
    assert isinstance(found, Sensor)
    return found


TEMPERATURE = sensor(1, Gauge(3, "GPU3 Temp", 1, 0x0B, 4, CELSIUS, 1, 0, 97, (105, 95, 90, None, None, None)).sdr())
SUPPLY = sensor(2, States(12, "PSU2 Status", 8, 0x0A, 2, ()).sdr())


# readings


def test_a_sensor_that_is_not_scanned_has_no_value() -> None:
    reading = ipmi_sensors.describe(TEMPERATURE, bytes([0, 0x80, 0, 0]))
    assert (reading["status"], reading["value"], reading["raw"]) == ("disabled", None, None)


def test_a_sensor_whose_state_is_unavailable_is_not_ok() -> None:
    reading = ipmi_sensors.describe(TEMPERATURE, bytes([0, 0xE0, 0, 0]))
    assert (reading["status"], reading["value"], reading["raw"]) == ("unavailable", None, None)


@pytest.mark.parametrize(
    ("bits", "status"),
    [(0x00, "ok"), (0x08, "nc"), (0x18, "cr"), (0x38, "nr"), (0x01, "nc"), (0x03, "cr"), (0x07, "nr")],
)
def test_the_worst_threshold_that_is_passed_is_the_status(bits: int, status: str) -> None:
    assert ipmi_sensors.describe(TEMPERATURE, bytes([97, 0xC0, bits]))["status"] == status


def test_reserved_bits_of_the_comparison_do_not_count() -> None:
    assert ipmi_sensors.describe(TEMPERATURE, bytes([24, 0xC0, 0xC0, 0x80]))["status"] == "ok"


def test_states_come_in_words_from_both_bytes() -> None:
    slot = sensor(2, States(1, "Slot", 0x21, 1, 1, ()).sdr())
    reading = ipmi_sensors.describe(slot, bytes([0, 0xC0, 0x01, 0x83]))
    assert reading["states"] == ["fault status asserted", "slot disabled", "slot holds spare device"]
    assert reading["state_bits"] == 0x301


def test_an_absent_supply_says_nothing_and_is_not_ok() -> None:
    reading = ipmi_sensors.describe(SUPPLY, bytes([0, 0xC0, 0, 0x80]))
    assert (reading["states"], reading["status"]) == ([], "discrete")
    assert "no state asserted" in ipmi_sensors.table([("PSU2 Status", reading)])


@given(st.binary(min_size=2, max_size=8))
def test_any_answer_of_a_sensor_is_described(answer: bytes) -> None:
    for thing in (TEMPERATURE, SUPPLY):
        reading = ipmi_sensors.describe(thing, answer)
        assert reading["answer"] == answer.hex(" ")
        assert (reading["raw"] is None) == (reading["status"] in {"disabled", "unavailable"})


# conversion


@pytest.mark.parametrize(("raw", "factors", "value"), [
    (201, Factors(form=0, m=6, r_exp=-2), 12.06),
    (84, Factors(form=0, m=100), 8400),
    (0xF6, Factors(form=2), -10),
    (0xF5, Factors(form=1), -10),
    (0xFF, Factors(form=1), 0),
    (10, Factors(form=0, m=2, b=5, b_exp=1), 70),
    (10, Factors(form=0, m=-1, b=-5), -15),
    (4, Factors(form=0, linearization=7), 0.25),
    (8, Factors(form=0, linearization=3), 3),
    (3, Factors(form=0, linearization=8), 9),
    (27, Factors(form=0, linearization=11), 3),
    (0xE5, Factors(form=2, linearization=11), -3),
    (2, Factors(form=0, linearization=5), 100),
])  # fmt: skip
def test_a_raw_byte_becomes_a_value(raw: int, factors: Factors, value: float) -> None:
    assert math.isclose(ipmi_sdr.convert(raw, factors), value, abs_tol=1e-12)


@pytest.mark.parametrize(("raw", "linearization"), [(0, 7), (0, 1), (0, 2), (0, 3), (5, 12), (5, 0x6F)])
def test_a_formula_without_a_value_says_so(raw: int, linearization: int) -> None:
    with pytest.raises(ValueError, match=r"formula|linearization"):
        ipmi_sdr.convert(raw, Factors(form=0, linearization=linearization))


def test_a_discrete_sensor_has_no_value() -> None:
    with pytest.raises(ValueError, match="no analog reading"):
        ipmi_sdr.convert(3, Factors(form=3))


@given(
    st.integers(0, 255),
    st.builds(
        Factors,
        form=st.integers(0, 3),
        m=st.integers(-512, 511),
        b=st.integers(-512, 511),
        b_exp=st.integers(-8, 7),
        r_exp=st.integers(-8, 7),
        linearization=st.integers(0, 127),
    ),
)
def test_conversion_ends_in_a_finite_value_or_a_reason(raw: int, factors: Factors) -> None:
    try:
        value = ipmi_sdr.convert(raw, factors)
    except ValueError:
        value = 0.0
    assert math.isfinite(value)


def test_factors_that_change_with_the_reading_come_from_the_answer() -> None:
    found = ipmi_sdr.factors_from_answer(
        bytes([9, 0xFF, 0xC0, 0x02, 0x00, 0, 0xE1]), Factors(form=0, linearization=0x70)
    )
    assert (found.m, found.b, found.r_exp, found.b_exp, found.needs_lookup) == (-1, 2, -2, 1, False)


@pytest.mark.parametrize(
    ("flags", "base", "modifier", "text"),
    [
        (0, 1, 0, "degrees C"),
        (0, 0, 0, ""),
        (1, 0, 0, "%"),
        (0x02, 17, 23, "CFM/min"),
        (0x04, 46, 41, "ft-lb*revolutions"),
        (0x18, 89, 0, "correctable error per s"),
        (0, 200, 0, "unit 0xc8"),
    ],
)
def test_units_come_in_words(flags: int, base: int, modifier: int, text: str) -> None:
    assert ipmi_sdr.unit_text(flags, base, modifier) == text


# sensor data records


def test_sensors_that_share_a_record_are_all_there() -> None:
    body = bytearray(States(0x40, "DIMM", 0x0C, 0x20, 1, ()).sdr())
    body[18:20] = bytes([0x03, 0x81])  # three sensors, numbers from 1, entity instances count too
    found = ipmi_sdr.parse(record(2, bytes(body)))
    assert [(one.number, one.name, one.instance) for one in found if isinstance(one, Sensor)] == [
        (0x40, "DIMM1", 1),
        (0x41, "DIMM2", 2),
        (0x42, "DIMM3", 3),
    ]


def test_shared_names_can_count_in_letters() -> None:
    body = bytearray(States(0x40, "PSU ", 0x08, 0x0A, 1, ()).sdr())
    body[18:20] = bytes([0x12, 0x00])
    assert [one.name for one in ipmi_sdr.parse(record(2, bytes(body))) if isinstance(one, Sensor)] == ["PSUA", "PSUB"]


def test_an_event_only_sensor_is_known_and_not_read() -> None:
    found = sensor(3, bytes([0x20, 0, 9, 0x22, 1, 0x0F, 0x6F, 0, 0, 0, 0]) + tl("POST"))
    assert (found.name, found.sensor_type, found.is_readable) == ("POST", 0x0F, False)


def test_a_sensor_of_system_software_is_not_asked_for() -> None:
    body = bytearray(States(1, "BIOS", 0x0F, 0x22, 1, ()).sdr())
    body[0] = 0x41
    assert not sensor(2, bytes(body)).is_readable


def test_a_record_keeps_owner_lun_and_channel() -> None:
    body = bytearray(States(7, "SAT", 8, 0x0A, 1, ()).sdr())
    body[0:2] = bytes([0x30, 0x62])
    found = sensor(2, bytes(body))
    assert (found.owner, found.channel, found.lun, found.key) == (0x30, 6, 2, "48.2.7")


def test_a_fru_on_a_private_bus_is_told_from_one_behind_the_controller() -> None:
    bodies = (bytes([0x20, 1, flag, 0, 0, 0x10, 0, 0x0A, 1, 0]) + tl("PSU") for flag in (0x80, 0x00))
    found = [ipmi_sdr.parse(record(0x11, body))[0] for body in bodies]
    assert [one.logical for one in found if isinstance(one, FruLocator)] == [True, False]


@pytest.mark.parametrize(("kind", "data", "text"), [
    (1, bytes([0x12, 0x3A, 0xBC]), "123 -."),  # BCD plus: 0-9, space, dash, dot
    (2, bytes([0x29, 0xDC, 0xA6]), "IPMI"),  # the example of FRU Information Storage, section 13.2
    (3, b"Caf\xe9 \x1b[31m\x00", "Café \\x1b[31m"),
    (0, b"\xde\xad", "de ad"),
])  # fmt: skip
def test_every_kind_of_string_is_read_and_made_harmless(kind: int, data: bytes, text: str) -> None:
    assert ipmi_sdr.text_of(kind, data) == text


def test_an_escape_sequence_in_a_sensor_name_reaches_no_terminal() -> None:
    body = States(1, "\x1b]0;owned\x07", 8, 0x0A, 1, ()).sdr()
    assert sensor(2, body).name == "\\x1b]0;owned\\x07"


@given(st.binary(max_size=80), st.sampled_from([0x01, 0x02, 0x03, 0x08, 0x11, 0x12, 0xC0]))
def test_any_record_is_read_or_kept_with_its_bytes(body: bytes, kind: int) -> None:
    raw = record(kind, body)
    for cut in (raw, raw[: len(raw) // 2]):
        found = ipmi_sdr.parse(cut)
        assert found
        assert all(one.raw == cut for one in found if isinstance(one, Other))


# the event log


NAMES = {(0x20, 0, 3): TEMPERATURE, (0x20, 0, 12): SUPPLY}


def entry(raw: bytes, number: int = 1) -> ipmi_sel.Event:
    return ipmi_sel.decode(number.to_bytes(2, "little") + raw, NAMES)


def test_a_threshold_event_shows_reading_and_threshold_in_units() -> None:
    found = entry(event(stamp("2026-11-20T04:16:02"), 0x01, 3, 0x01, 0x59, 97, 95))
    assert found.sensor == "Temperature GPU3 Temp"
    assert found.text == "upper critical, going high: reading 97 degrees C, threshold 95 degrees C"
    assert found.asserted is True


def test_a_deasserted_event_says_so() -> None:
    found = entry(event(stamp("2026-11-20T06:10:00"), 0x08, 12, 0xEF, 0x03))
    assert (found.text, found.asserted) == ("input lost (AC/DC)", False)
    assert "[deasserted]" in found.line(None)


def test_a_time_before_the_clock_was_set_is_no_time() -> None:
    found = entry(event(0x1A, 0x12, 0xF1, 0x6F, 0x01))
    assert (found.pre_init, found.bmc_time, found.host_time(5)) == (True, None, None)
    assert "pre-init +26 s" in found.line(5)


def test_an_unspecified_time_is_no_time() -> None:
    assert entry(event(0xFFFFFFFF, 0x12, 0xF1, 0x6F, 0x01)).bmc_time is None


def test_an_oem_record_with_a_time_keeps_it_and_its_data() -> None:
    found = entry(
        bytes([0xC1]) + stamp("2026-11-20T07:32:00").to_bytes(4, "little") + bytes.fromhex("7c2a00") + b"GPUERR"
    )
    assert found.bmc_time is not None
    assert found.bmc_time.isoformat() == "2026-11-20T07:32:00+00:00"
    assert (found.data, found.asserted) == (b"GPUERR", None)
    assert "manufacturer 10876" in found.text


@pytest.mark.parametrize("kind", [0xE0, 0xE2, 0xFF, 0x00, 0x01, 0x03, 0xBF])
def test_no_time_is_invented_for_a_record_without_one(kind: int) -> None:
    found = entry(bytes([kind]) + b"XID79 GPU#3 \0")
    assert (found.timestamp, found.bmc_time, found.asserted) == (None, None, None)
    assert found.raw.endswith(b"XID79 GPU#3 \0")


def test_host_time_is_bmc_time_less_the_offset() -> None:
    found = entry(event(stamp("2026-11-20T06:00:00"), 0x08, 12, 0x6F, 0x01))
    host = found.host_time(90.0)
    assert host is not None
    assert host.isoformat() == "2026-11-20T05:58:30+00:00"
    assert found.host_time(None) is None


@pytest.mark.parametrize(("kind", "data", "text"), [
    (0x0F, (0xC0, 0x01), "firmware error (POST error): no system memory installed"),
    (0x0F, (0xC2, 0x01), "firmware progress: memory initialization"),
    (0x0C, (0x31, 0xFF, 0x07), "uncorrectable ECC / other uncorrectable memory error: memory module 7"),
    (0x1D, (0xC7, 0x04), "system restart: watchdog expired"),
    (0x13, (0xA8, 0x3B, 0x00), "bus uncorrectable error (data 2 0x3b, data 3 0x00)"),
    (0x08, (0x0F,), "event type 0x6f, offset 15"),
    (0xC8, (0x02,), "OEM sensor type 0xc8, offset 2"),
])  # fmt: skip
def test_event_data_is_told(kind: int, data: Sequence[int], text: str) -> None:
    assert entry(event(stamp("2026-11-20T06:00:00"), kind, 0x99, 0x6F, *data)).text == text


def test_a_record_that_is_cut_off_is_damaged_and_kept() -> None:
    found = ipmi_sel.decode(bytes.fromhex("0700 02 1a000000 2000"), NAMES)
    assert (found.id, found.timestamp, found.text) == (7, None, "damaged record: 9 bytes instead of 16")


LOG_BYTES = st.one_of(
    st.binary(max_size=20),
    st.tuples(st.sampled_from([0x00, 0x02, 0xC0, 0xDF, 0xE0, 0xFF]), st.binary(max_size=14)),
)


@given(LOG_BYTES)
def test_any_log_record_is_told_and_keeps_its_bytes(some: bytes | tuple[int, bytes]) -> None:
    raw = some if isinstance(some, bytes) else b"\1\0" + bytes([some[0]]) + some[1]
    found = ipmi_sel.decode(raw, NAMES)
    assert bytes.fromhex(found.as_dict(90)["raw"]) == raw
    assert found.text
    assert "\n" not in found.line(-3.5)
    assert found.line(None).isprintable()


# the walk


Log = dict[int, tuple[int, bytes] | None]


def log_of(ids: Sequence[int]) -> Log:
    follow = [*ids[1:], ipmi_sel.LAST]
    log: Log = {
        one: (after, one.to_bytes(2, "little") + b"\x02" + bytes(13)) for one, after in zip(ids, follow, strict=True)
    }
    return log | {0: log[ids[0]], ipmi_sel.LAST: log[ids[-1]]}


class Clock:
    """A clock that goes on by `pace` with each record that is read."""

    def __init__(self, log: Log, pace: float) -> None:
        self.log, self.pace, self.time, self.read = log, pace, 0.0, 0

    def get(self, record_id: int) -> tuple[int, bytes] | None:
        self.time += self.pace
        self.read += 1
        return self.log.get(record_id)

    def walk(self, entries: int | None, until: float) -> ipmi_sel.Walk:
        return ipmi_sel.walk(self.get, entries, until, lambda: self.time)


def ids_of(walk: ipmi_sel.Walk) -> list[int]:
    return [int.from_bytes(raw[:2], "little") for raw in walk.records]


def test_the_whole_log_is_walked_in_its_order() -> None:
    walk = Clock(log_of([3, 1, 7, 200]), 0.01).walk(4, 10)
    assert (ids_of(walk), walk.gap) == ([3, 1, 7, 200], "")


def test_a_log_that_runs_in_a_circle_ends() -> None:
    log = log_of([1, 2, 3])
    log[3] = (1, log_of([3])[3][1])  # type: ignore[index]
    walk = Clock(log, 0.01).walk(3, 10)
    assert ids_of(walk) == [1, 2, 3, 1]
    assert "repeats record 0x0002" in walk.gap


def test_a_log_that_never_ends_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipmi_sel, "WALK_CAP", 100)
    endless: Log = {one: (one + 1, one.to_bytes(2, "little") + bytes(14)) for one in range(500)}
    walk = Clock(endless, 0.0).walk(None, 10)
    assert len(walk.records) == 100
    assert "more than 100 records" in walk.gap


def test_a_record_that_cannot_be_read_ends_the_walk_and_the_newest_is_still_there() -> None:
    log = log_of([1, 2, 3, 4])
    log[2] = None
    walk = Clock(log, 0.01).walk(4, 10)
    assert ids_of(walk) == [1, 4]
    assert "0x0002 could not be read" in walk.gap


def test_a_slow_bmc_gives_its_newest_records() -> None:
    clock = Clock(log_of(range(1, 1001)), 0.1)
    walk = clock.walk(1000, 20)
    assert clock.time <= 20.2
    assert ids_of(walk)[-1] == 1000
    assert len(walk.records) > 120
    assert "left out" in walk.gap


def test_where_ids_are_not_consecutive_no_record_is_skipped() -> None:
    clock = Clock(log_of(range(16, 16 * 200, 16)), 0.1)
    walk = clock.walk(199, 5)
    assert ids_of(walk)[:40] == list(range(16, 16 * 41, 16))
    assert ids_of(walk)[-1] == 16 * 199
    assert walk.gap == "out of time"


@given(st.lists(st.integers(1, 0xFFFE), min_size=1, max_size=60, unique=True), st.floats(0, 1), st.floats(0, 30))
def test_a_walk_ends_in_time_and_never_repeats_a_record(ids: list[int], pace: float, until: float) -> None:
    clock = Clock(log_of(ids), pace)
    walk = clock.walk(len(ids), until)
    assert clock.time <= until + 2 * pace + 1e-9
    found = ids_of(walk)
    assert len(found) == len(set(found))
    assert ids[-1] in found
    assert walk.gap or found == ids


# FRUs


def test_a_bad_checksum_costs_no_serial_number() -> None:
    found = ipmi_fru.decode(spoilt(FRUS[2]))
    assert found["board"]["serial"] == "GPUBB-1650123"
    assert found["problems"] == ["board area: bad checksum"]


def test_a_bad_header_checksum_is_told() -> None:
    broken = FRUS[2][:7] + bytes([FRUS[2][7] ^ 1]) + FRUS[2][8:]
    found = ipmi_fru.decode(broken)
    assert found["board"]["serial"] == "GPUBB-1650123"
    assert "common header: bad checksum" in found["problems"]


def test_a_fru_that_is_cut_off_keeps_what_was_read() -> None:
    found = ipmi_fru.decode(FRUS[0][:0x28])
    assert found["chassis"]["serial"] == "CHSN000123"
    assert found["board"]["manufacturer"] == "S"
    assert any("board area" in problem for problem in found["problems"])


def test_a_blank_fru_is_blank_and_not_healthy() -> None:
    assert ipmi_fru.decode(bytes(64))["problems"]
    assert ipmi_fru.decode(b"\xff" * 64)["problems"]


def test_fields_beyond_the_named_ones_are_kept() -> None:
    found = ipmi_fru.decode(fru(board=("DELTA", "PSU", "SN", "PN", "", "REV A", "LOT 7")))
    assert found["board"]["custom"] == ["REV A", "LOT 7"]


def test_a_power_supply_tells_its_ratings() -> None:
    ratings = bytearray(24)
    ratings[0:2] = (3000).to_bytes(2, "little")
    ratings[6:10] = (18000).to_bytes(2, "little") + (26400).to_bytes(2, "little")
    ratings[17] = 0x0A
    head = bytes([0x00, 0x82, len(ratings), -sum(ratings) & 0xFF])
    found = ipmi_fru.decode(
        fru(board=("DELTA", "PSU", "SN", "PN"), records=head + bytes([-sum(head) & 0xFF]) + bytes(ratings))
    )
    (supply,) = found["multirecord"]
    assert (supply["capacity_w"], supply["input_v"], supply["hot_swap"]) == (3000, [180.0, 264.0], True)
    assert found["problems"] == []


def test_only_the_bytes_that_hold_areas_are_wanted() -> None:
    whole = FRUS[0] + b"\xff" * 4000
    read = b""
    while (count := ipmi_fru.wanted(read, len(whole)) - len(read)) > 0:
        read += whole[len(read) : len(read) + count]
    assert read == FRUS[0]


@given(st.binary(max_size=300), st.integers(0, 0xFFFF))
def test_any_fru_is_read_to_an_end_and_told(data: bytes, size: int) -> None:
    read, steps = b"", 0
    while (count := ipmi_fru.wanted(read, size) - len(read)) > 0:
        piece = data[len(read) : len(read) + min(count, 32)]
        if not piece:
            break
        read, steps = read + piece, steps + 1
    assert steps <= 300
    found = ipmi_fru.decode(read)
    assert ipmi_fru.describe(found, "FRU").startswith("FRU")


# the BMC itself


def test_the_inverted_bit_of_the_device_id_is_turned_round() -> None:
    normal = bytes([0x20, 0x81, 0x02, 0x45, 0x02, 0xBF, 0x7C, 0x2A, 0x00, 0x0F, 0x1B])
    updating = normal[:2] + bytes([0x82]) + normal[3:]
    assert ipmi_device.device(normal)["normal_operation"] is True
    assert ipmi_device.device(updating)["normal_operation"] is False
    assert (ipmi_device.device(normal)["firmware"], ipmi_device.device(normal)["manufacturer"]) == (
        "2.45",
        "Supermicro",
    )


def test_a_failed_self_test_names_what_failed() -> None:
    found = ipmi_device.self_test(bytes([0x57, 0x88]))
    assert found["faults"] == ["SDR repository empty", "cannot access SEL device"]
    assert ipmi_device.self_test(bytes([0x55, 0]))["result"] == "passed"


def test_chassis_power_and_faults_are_told() -> None:
    found = ipmi_device.chassis(bytes([0x49, 0x09, 0x61]))
    assert found["power_on"] is True
    assert found["power_faults"] == ["fault"]
    assert found["restore_policy"] == "powers up"
    assert found["last_power_event"] == ["AC failed", "fault"]
    assert (found["state"], found["identify"]) == (["intrusion"], "on")


def test_power_on_time_is_counted_in_the_units_of_the_bmc() -> None:
    assert ipmi_device.power_on_hours(bytes([30, 0x10, 0x27, 0, 0])) == 5000.0


def test_dcmi_power_and_temperatures_are_told() -> None:
    answer = (
        bytes([0xDC])
        + b"".join(watts.to_bytes(2, "little") for watts in (648, 90, 3210, 500))
        + bytes(4)
        + (1000).to_bytes(4, "little")
        + b"\x40"
    )
    assert ipmi_device.dcmi_power(answer)["power_max_w"] == 3210
    assert ipmi_device.dcmi_temperatures(bytes([0xDC, 2, 2, 24, 1, 0x85, 2])) == [(1, 24), (2, -5)]


def test_a_log_that_overflowed_says_so() -> None:
    info = ipmi_device.sel_info(bytes([0x51, 12, 0, 0xC0, 0x3D]) + bytes(4) + b"\xff\xff\xff\xff" + bytes([0x80]))
    assert (info["entries"], info["free_bytes"], info["overflow"], info["last_erased"]) == (12, 15808, True, None)


# what may be sent


def test_nothing_that_changes_the_bmc_is_on_the_list() -> None:
    changing = {
        (0x00, 0x02): "Chassis Control",
        (0x00, 0x04): "Chassis Identify",
        (0x00, 0x08): "Set System Boot Options",
        (0x04, 0x26): "Set Sensor Thresholds",
        (0x04, 0x28): "Set Sensor Event Enable",
        (0x04, 0x2A): "Re-arm Sensor Events",
        (0x06, 0x02): "Cold Reset",
        (0x06, 0x03): "Warm Reset",
        (0x06, 0x22): "Reset Watchdog Timer",
        (0x06, 0x24): "Set Watchdog Timer",
        (0x06, 0x34): "Send Message",
        (0x06, 0x47): "Set User Password",
        (0x06, 0x52): "Master Write-Read",
        (0x0A, 0x12): "Write FRU Data",
        (0x0A, 0x27): "Clear SDR Repository",
        (0x0A, 0x44): "Add SEL Entry",
        (0x0A, 0x46): "Delete SEL Entry",
        (0x0A, 0x47): "Clear SEL",
        (0x0A, 0x49): "Set SEL Time",
        (0x0C, 0x01): "Set LAN Configuration Parameters",
    }
    assert not changing.keys() & ipmi_commands.READS.keys()


@given(st.integers(0, 0x3F) | st.sampled_from([0x04, 0x06, 0x0A, 0x2C]), st.binary(max_size=4))
def test_whatever_is_not_on_the_list_is_not_sent(netfn: int, request: bytes) -> None:
    known = (
        netfn == 0x2C and request[:1] in {bytes([one]) for one in ipmi_commands.DCMI_READS} and request[1:2] == b"\xdc"
    )
    if known or (request and (netfn, request[0]) in ipmi_commands.READS):
        assert ipmi_commands.name_of(netfn, request)
    else:
        with pytest.raises(ipmi_commands.NotARead):
            ipmi_commands.name_of(netfn, request)


def test_a_group_command_of_another_standard_is_not_sent() -> None:
    assert ipmi_commands.name_of(0x2C, b"\x02\xdc") == "Get Power Reading"
    with pytest.raises(ipmi_commands.NotARead):
        ipmi_commands.name_of(0x2C, b"\x02\x00")


# the tables, against FreeIPMI's


def test_every_unit_and_offset_that_freeipmi_knows_is_in_the_tables() -> None:
    library = ctypes.CDLL("libfreeipmi.so.17")
    buffer = ctypes.create_string_buffer(512)
    for kind in range(0x2D):
        known = [library.ipmi_get_sensor_type_message(kind, offset, buffer, 512) > 0 for offset in range(15)]
        assert len(ipmi_names.SENSOR_EVENTS.get(kind, ())) == sum(known), hex(kind)
    for kind in range(0x02, 0x0D):
        known = [library.ipmi_get_generic_event_message(kind, offset, buffer, 512) > 0 for offset in range(15)]
        assert len(ipmi_names.GENERIC_EVENTS[kind]) == sum(known), hex(kind)
    units = [text.decode() for text in (ctypes.c_char_p * 93).in_dll(library, "ipmi_sensor_units") if text]
    assert len(ipmi_names.UNITS) == len(units)
    assert [ipmi_names.UNITS.index(unit) for unit in ("degrees C", "RPM", "CFM", "mil", "ohm")] == [
        units.index(unit) for unit in ("degrees C", "RPM", "CFM", "mil", "ohms")
    ]
