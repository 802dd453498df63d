"""The box that the simulated BMC watches: sensors, event log, FRUs, and the files ipmi_sim reads them from."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

USER, PASSWORD = "admin", "s3cret!pw"
READER, READER_PASSWORD = "reader", "readonly1"
NAME = "bilbsim"
CELSIUS, VOLT, WATT, RPM = 1, 4, 6, 18


def tl(text: str) -> bytes:
    """Return an 8-bit ASCII type/length field."""
    return bytes([0xC0 | len(text)]) + text.encode("ascii")


@dataclass(frozen=True)
class Gauge:
    """A sensor with thresholds (unr, ucr, unc, lnr, lcr, lnc, raw; None where there is none); `raw` None: not scanned."""

    number: int
    name: str
    kind: int
    entity: int
    instance: int
    unit: int
    m: int
    exponent: int
    raw: int | None
    limits: tuple[int | None, int | None, int | None, int | None, int | None, int | None]

    @property
    def _ordered(self) -> tuple[int | None, ...]:
        unr, ucr, unc, lnr, lcr, lnc = self.limits
        return (lnc, lcr, lnr, unc, ucr, unr)

    def sdr(self) -> bytes:
        """Return the full sensor record (IPMI 2.0, table 43-1) after its header."""
        mask = sum(1 << bit for bit, limit in enumerate(self._ordered) if limit is not None)
        return (
            bytes([0x20, 0, self.number, self.entity, self.instance, 0x7F, 0x68, self.kind, 0x01])
            + struct.pack("<HH", self._events, self._events)
            + bytes(
                [
                    mask,
                    mask,
                    0,
                    self.unit,
                    0,
                    0,
                    self.m & 0xFF,
                    (self.m >> 8 & 3) << 6,
                    0,
                    0,
                    0,
                    (self.exponent & 15) << 4,
                ]
            )
            + bytes([0, 0, 0, 0, 0xFF, 0, *(limit or 0 for limit in self.limits), 1, 1, 0, 0, 0])
            + tl(self.name)
        )

    @property
    def _events(self) -> int:
        pairs = zip((0, 2, 4, 7, 9, 11), self._ordered, strict=True)
        return sum(1 << bit for bit, limit in pairs if limit is not None)

    def commands(self, owner: int = 0x20) -> Iterable[str]:
        """Yield the simulator's commands that make it."""
        at = f"{owner:#x} 0 {self.number}"
        mask = "".join("0" if limit is None else "1" for limit in reversed(self._ordered))
        values = " ".join(f"{limit or 0:#04x}" for limit in reversed(self._ordered))
        events = f"{self._events:015b}"
        yield f"sensor_add {at} {self.kind:#04x} 0x01"
        yield f"sensor_set_threshold {at} settable {mask} {values}"
        scanning = "no-scanning" if self.raw is None else "scanning"
        yield f"sensor_set_event_support {at} enable {scanning} per-state {events} {events} {events} {events}"
        if self.raw is not None:
            yield f"sensor_set_value {at} {self.raw} 0"


@dataclass(frozen=True)
class States:
    """A discrete sensor (event/reading type 6Fh) with the bits that are set."""

    number: int
    name: str
    kind: int
    entity: int
    instance: int
    bits: tuple[int, ...]

    def sdr(self) -> bytes:
        """Return the compact sensor record (table 43-2) after its header."""
        return (
            bytes([0x20, 0, self.number, self.entity, self.instance, 0x7F, 0x40, self.kind, 0x6F])
            + struct.pack("<HHH", 0x7F, 0x7F, 0x7F)
            + bytes([0xC0, *[0] * 10])
            + tl(self.name)
        )

    def commands(self, owner: int = 0x20) -> Iterable[str]:
        """Yield the simulator's commands that make it."""
        at = f"{owner:#x} 0 {self.number}"
        yield f"sensor_add {at} {self.kind:#04x} 0x6f"
        yield f"sensor_set_event_support {at} enable scanning per-state " + " ".join(["000000001111111"] * 4)
        for bit in self.bits:
            yield f"sensor_set_bit {at} {bit} 1 0"


Thing = Gauge | States

SENSORS: tuple[Thing, ...] = (
    Gauge(1, "Inlet Temp", 0x01, 0x37, 1, CELSIUS, 1, 0, 24, (47, 42, 38, None, 5, 10)),
    Gauge(2, "CPU0 Temp", 0x01, 0x03, 1, CELSIUS, 1, 0, 61, (105, 100, 95, None, None, None)),
    Gauge(3, "GPU3 Temp", 0x01, 0x0B, 4, CELSIUS, 1, 0, 97, (105, 95, 90, None, None, None)),  # upper critical
    Gauge(4, "FAN1", 0x04, 0x1D, 1, RPM, 100, 0, 84, (None, None, None, 5, 10, 15)),
    Gauge(5, "FAN2", 0x04, 0x1D, 2, RPM, 100, 0, 0, (None, None, None, 5, 10, 15)),  # stopped
    Gauge(6, "FAN3", 0x04, 0x1D, 3, RPM, 100, 0, 12, (None, None, None, 5, 10, 15)),  # lower non-critical
    Gauge(7, "P12V", 0x02, 0x07, 1, VOLT, 6, -2, 201, (None, 220, 215, None, 180, 185)),
    Gauge(8, "VBAT", 0x02, 0x28, 1, VOLT, 2, -2, 105, (None, None, None, None, 110, 125)),  # lower critical
    Gauge(9, "PSU1 Power In", 0x0B, 0x0A, 1, WATT, 8, 0, 81, (None, 250, 240, None, None, None)),
    Gauge(10, "DIMM A1 Temp", 0x01, 0x20, 1, CELSIUS, 1, 0, None, (95, 90, 85, None, None, None)),  # not scanned
    States(11, "PSU1 Status", 0x08, 0x0A, 1, (0,)),
    States(12, "PSU2 Status", 0x08, 0x0A, 2, (0, 1, 3)),  # there, failed, input lost
    States(13, "PSU3 Status", 0x08, 0x0A, 3, ()),  # absent
    States(14, "Intrusion", 0x05, 0x17, 1, (0,)),
)


def stamp(text: str) -> int:
    """Return the seconds of an ISO time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def event(when: int, kind: int, number: int, event_type: int, *data: int) -> bytes:
    """Return a system event record (table 32-1) after its id; bit 7 of `event_type` says deasserted."""
    whole = (*data, 0xFF, 0xFF)[:3]
    return bytes([2]) + struct.pack("<I", when) + bytes([0x20, 0, 4, kind, number, event_type, *whole])


EVENTS: tuple[bytes, ...] = (
    event(0x1A, 0x12, 0xF1, 0x6F, 0x01),  # 26 s after the BMC started
    event(stamp("2026-11-18T02:11:09"), 0x10, 0xF2, 0x6F, 0x02),  # log cleared
    event(stamp("2026-11-19T23:58:01"), 0x0C, 0x40, 0x6F, 0xA0, 0x00, 0x05),  # correctable ECC
    event(stamp("2026-11-20T04:15:30"), 0x01, 3, 0x01, 0x57, 90, 90),
    event(stamp("2026-11-20T04:16:02"), 0x01, 3, 0x01, 0x59, 97, 95),
    event(stamp("2026-11-20T06:00:00"), 0x08, 12, 0x6F, 0x01),
    event(stamp("2026-11-20T06:00:01"), 0x08, 12, 0x6F, 0x03),
    event(stamp("2026-11-20T06:10:00"), 0x08, 12, 0xEF, 0x03),  # input back
    event(stamp("2026-11-20T07:30:00"), 0x04, 5, 0x01, 0x54, 0, 5),
    event(stamp("2026-11-20T07:31:00"), 0x13, 0xA1, 0x6F, 0xA8, 0x3B, 0x00),
    bytes([0xC1]) + struct.pack("<I", stamp("2026-11-20T07:32:00")) + bytes.fromhex("7c2a00") + b"GPUERR",
    bytes([0xE2]) + b"XID79 GPU#3 \0",  # OEM without a time
    bytes([0x00]) + b"not a type! \0",  # a record type the specification does not have
)


def area(head: bytes, *fields: str) -> bytes:
    """Return a FRU area with its length and checksum."""
    body = bytearray(head + b"".join(tl(text) if text else b"\xc0" for text in fields) + b"\xc1")
    body += bytes(-(len(body) + 1) % 8)
    body[1] = (len(body) + 1) // 8
    return bytes(body) + bytes([-sum(body) & 0xFF])


def fru(
    chassis: tuple[str, ...] = (), board: tuple[str, ...] = (), product: tuple[str, ...] = (), records: bytes = b""
) -> bytes:
    """Return a FRU with these areas."""
    minutes = int((datetime(2025, 3, 4, 10, tzinfo=UTC) - datetime(1996, 1, 1, tzinfo=UTC)).total_seconds() // 60)
    parts = {
        2: area(bytes([1, 0, 0x17]), *chassis) if chassis else b"",
        3: area(bytes([1, 0, 25]) + minutes.to_bytes(3, "little"), *board) if board else b"",
        4: area(bytes([1, 0, 25]), *product) if product else b"",
        5: records,
    }
    header, body = bytearray([1, 0, 0, 0, 0, 0, 0]), b""
    for index, part in parts.items():
        if part:
            header[index] = (8 + len(body)) // 8
            body += part
    return bytes(header) + bytes([-sum(header) & 0xFF]) + body


def spoilt(data: bytes) -> bytes:
    """Return a FRU whose last area's checksum is wrong."""
    return data[:-1] + bytes([data[-1] ^ 0x55])


FRUS: dict[int, bytes] = {
    0: fru(
        ("CH-PN-1", "CHSN000123"),
        ("Supermicro", "X13DGU board", "BSN-0042", "BPN-77", ""),
        ("Supermicro", "SYS-821GE-TNHR", "PPN-900", "1.02", "S123456X7890", "rack12-u20", ""),
    ),
    1: spoilt(fru(board=("DELTA", "PSU 3000W Ti", "PSU2SN0099", "PWS-3K06G-2R", ""))),
    2: fru(board=("NVIDIA", "HGX H100 8-GPU", "GPUBB-1650123", "935-24287-0001", "")),
}
LOCATORS = ((1, 0x0A, 2, "PSU2 FRU"), (2, 0x0B, 4, "GPU baseboard"))


@dataclass
class Box:
    """What the simulated BMC is made of; `extra` are commands of the simulator, `records` further SDRs (header left out)."""

    sensors: tuple[Thing, ...] = SENSORS
    events: tuple[bytes, ...] = EVENTS
    frus: dict[int, bytes] = field(default_factory=lambda: dict(FRUS))
    records: tuple[tuple[int, bytes], ...] = ()
    extra: tuple[str, ...] = ()

    def write(self, folder: Path, port: int, console: int, driver: int) -> None:
        """Write the simulator's files: lan.conf, bmc.emu, and the event log as its saved state."""
        state = folder / "state" / "ipmi_sim" / NAME
        state.mkdir(parents=True)
        (folder / "bmc.emu").write_text("\n".join(self._commands()) + "\n")
        (folder / "lan.conf").write_text(_LAN.format(port=port, console=console, driver=driver))
        # `sel_add` stamps records anew, so the log is written as the simulator itself would have saved it
        lines = [
            f"{number}:d:{_escaped(struct.pack('<H', number) + record)}" for number, record in enumerate(self.events, 1)
        ]
        lines += [
            f"time_offset:i:{int(time.time() - time.monotonic())}",
            f"last_erase_time:i:{stamp('2026-11-18T02:11:09')}",
        ]
        lines += [f"last_add_time:i:{stamp('2026-11-20T07:32:00')}"]
        (state / "sel.20").write_text("\n".join(reversed(lines)) + "\n")

    def _commands(self) -> Iterable[str]:
        yield from (
            "mc_setbmc 0x20",
            "mc_add 0x20 0 no-device-sdrs 1 2 0x45 0xbf 0x002a7c 0x1b0f",
            "sel_enable 0x20 1000 0x0a",
        )
        yield _sdr(0x12, bytes([0x20, 0, 0, 0xBF, 0, 0, 0, 0x07, 1, 0]) + tl("BMC"))
        for number, entity, instance, name in LOCATORS:
            yield _sdr(0x11, bytes([0x20, number, 0x80, 0, 0, 0x10, 0, entity, instance, 0]) + tl(name))
        for sensor in self.sensors:
            yield _sdr(0x01 if isinstance(sensor, Gauge) else 0x02, sensor.sdr())
            yield from sensor.commands()
        yield from (_sdr(kind, body) for kind, body in self.records)
        for number, data in self.frus.items():
            yield f"mc_add_fru_data 0x20 {number} {len(data)} data {_hex(data)}"
        yield from self.extra
        yield "mc_enable 0x20"


def _sdr(kind: int, body: bytes) -> str:
    return "main_sdr_add 0x20 " + _hex(bytes([0, 0, 0x51, kind, len(body)]) + body)


def _hex(data: bytes) -> str:
    return " ".join(f"{byte:#04x}" for byte in data)


def _escaped(data: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\{byte:02x}" for byte in data)


_LAN = f"""name "{NAME}"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {{port}}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user     none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin    none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  serial kcs 127.0.0.1 {{driver}} codec VM
  user 1 true  ""     ""     user  10 none md2 md5 straight
  user 2 true  "{USER}" "{PASSWORD}" admin 10 none md2 md5 straight
  user 3 true  "{READER}" "{READER_PASSWORD}" user 10 none md2 md5 straight
console 127.0.0.1 {{console}}
"""
