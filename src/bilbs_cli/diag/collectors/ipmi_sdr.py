"""Sensor data records: what bytes of the SDR repository say, and how a raw reading becomes a value with a unit (pure).

Layouts: IPMI 2.0, chapter 43. A record that is damaged or of a kind unknown here is kept with its bytes, never dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from bilbs_cli.diag.collectors.ipmi_names import ENTITIES, RATES, SENSOR_TYPES, UNITS, word
from bilbs_cli.escape import visible

FULL, COMPACT, EVENT_ONLY, FRU_LOCATOR, MC_LOCATOR = 0x01, 0x02, 0x03, 0x11, 0x12
THRESHOLD_EVENTS = 0x01  # event/reading type of a sensor with thresholds
BMC_ADDRESS = 0x20
THRESHOLDS = ("lnc", "lcr", "lnr", "unc", "ucr", "unr")  # the order of the bits, and of Get Sensor Thresholds (35.9)


@dataclass(frozen=True, slots=True)
class Factors:
    """How a raw byte becomes a value (36.3): y = L[(M x + B 10^b_exp) 10^r_exp]; `form` 3 is a reading that is none."""

    form: int = 3
    m: int = 1
    b: int = 0
    b_exp: int = 0
    r_exp: int = 0
    linearization: int = 0

    @property
    def needs_lookup(self) -> bool:
        """Say whether the factors change with the reading and must be asked for (Get Sensor Reading Factors, 35.5)."""
        return 0x70 <= self.linearization <= 0x7F


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor of a full, compact or event-only record; a record that several share yields several of these.

    `channel` is where the owner sits; `thresholds` are raw bytes of the record, by name, readable ones only.
    """

    record_type: int
    owner: int
    channel: int
    lun: int
    number: int
    name: str
    sensor_type: int
    event_type: int
    entity: int
    instance: int
    unit: str = ""
    factors: Factors = Factors()
    has_thresholds: bool = False
    thresholds: tuple[tuple[str, int], ...] = ()

    @property
    def key(self) -> str:
        """Return the name of its fact: owner.lun.number, decimal."""
        return f"{self.owner}.{self.lun}.{self.number}"

    @property
    def is_threshold(self) -> bool:
        """Say whether its reading is compared with thresholds (event/reading type 01h)."""
        return self.event_type == THRESHOLD_EVENTS

    @property
    def is_readable(self) -> bool:
        """Say whether it can be read: not event-only, and not owned by system software (owner bit 0, 43.1)."""
        return self.record_type != EVENT_ONLY and not self.owner & 1

    @property
    def type_text(self) -> str:
        """Return its sensor type in words."""
        return word(SENSOR_TYPES, self.sensor_type, "sensor type")

    @property
    def entity_text(self) -> str:
        """Return what it watches, as `power supply 2` (entity id and instance)."""
        return f"{word(ENTITIES, self.entity, 'entity')} {self.instance & 0x7F}"

    @property
    def is_analog(self) -> bool:
        """Say whether its reading is a quantity. Discrete sensors often leave the format at 0 without a unit."""
        return self.factors.form != 3 and (self.is_threshold or bool(self.unit))


@dataclass(frozen=True, slots=True)
class FruLocator:
    """Where a FRU's data is read: device `fru_id` of the controller at `address` (43.8)."""

    name: str
    address: int
    fru_id: int
    channel: int
    lun: int
    logical: bool
    entity: int
    instance: int

    @property
    def key(self) -> str:
        """Return the name of its fact: the id, with the controller before it when that is not the BMC."""
        return str(self.fru_id) if self.address == BMC_ADDRESS else f"{self.address}.{self.fru_id}"


@dataclass(frozen=True, slots=True)
class Other:
    """A record of another kind (associations, confirmations, OEM), or a damaged one: `why` says which."""

    record_type: int
    why: str
    raw: bytes


Record = Sensor | FruLocator | Other


def parse(raw: bytes) -> list[Record]:
    """Return what an SDR, header included, says. Never raises: what it cannot read is an `Other` with the bytes."""
    kind = raw[3] if len(raw) > 3 else 0
    try:
        match kind:
            case 0x01:
                return [_full(raw)]
            case 0x02:
                return list(_shared(_sensor(raw, 12, 31), raw[23], raw[24]))
            case 0x03:
                return list(_shared(_sensor(raw, 10, 16), raw[12], raw[13]))
            case 0x11:
                return [_fru_locator(raw)]
    except IndexError:
        return [Other(kind, "record is too short", raw)]
    return [Other(kind, "controller locator" if kind == MC_LOCATOR else f"record type 0x{kind:02x}", raw)]


def _sensor(raw: bytes, types: int, name: int) -> Sensor:
    return Sensor(
        record_type=raw[3],
        owner=raw[5],
        channel=raw[6] >> 4,
        lun=raw[6] & 3,
        number=raw[7],
        name=id_string(raw, name),
        sensor_type=raw[types],
        event_type=raw[types + 1],
        entity=raw[8],
        instance=raw[9],
    )


def _full(raw: bytes) -> Sensor:
    factors = Factors(
        form=raw[20] >> 6,
        linearization=raw[23] & 0x7F,
        m=_signed(raw[24] | (raw[25] & 0xC0) << 2, 10),
        b=_signed(raw[26] | (raw[27] & 0xC0) << 2, 10),
        r_exp=_signed(raw[29] >> 4, 4),
        b_exp=_signed(raw[29] & 0x0F, 4),
    )
    record = replace(_sensor(raw, 12, 47), unit=unit_text(raw[20], raw[21], raw[22]), factors=factors)
    readable = raw[18] & 0x3F if record.is_threshold else 0
    values = dict(zip(("unr", "ucr", "unc", "lnr", "lcr", "lnc"), raw[36:42], strict=True))
    return replace(
        record,
        has_thresholds=record.is_threshold and raw[11] >> 2 & 3 in {1, 2},  # 3: fixed, and not readable
        thresholds=tuple((name, values[name]) for bit, name in enumerate(THRESHOLDS) if readable >> bit & 1),
    )


def _shared(first: Sensor, sharing: int, more: int) -> Iterator[Sensor]:
    """Yield every sensor that shares a compact or event-only record: numbers count up, names get a suffix (43.2)."""
    count = sharing & 0x0F
    if count <= 1:
        yield first
        return
    for step in range(count):
        suffix = (more & 0x7F) + step
        label = chr(ord("A") + suffix % 26) if sharing >> 4 & 3 == 1 else str(suffix)
        instance = first.instance + step if more & 0x80 else first.instance
        yield replace(first, number=(first.number + step) & 0xFF, name=first.name + label, instance=instance & 0xFF)


def _fru_locator(raw: bytes) -> FruLocator:
    return FruLocator(
        name=id_string(raw, 15),
        address=raw[5] & 0xFE,
        fru_id=raw[6],
        channel=raw[8] >> 4,
        lun=raw[7] >> 3 & 3,
        logical=bool(raw[7] & 0x80),
        entity=raw[12],
        instance=raw[13],
    )


def id_string(raw: bytes, at: int) -> str:
    """Return the type/length string at `at` (43.15): Unicode, BCD plus, packed 6-bit ASCII, or 8-bit ASCII and Latin 1.

    A string that is cut off is returned as far as it goes. Raises `IndexError` when not even the length is there.
    """
    kind, length = raw[at] >> 6, raw[at] & 0x1F
    return text_of(kind, raw[at + 1 : at + 1 + length], unicode=kind == 0)


def text_of(kind: int, data: bytes, *, unicode: bool = False) -> str:
    """Return the text of a type/length field of an SDR or a FRU, with nothing a terminal could act on.

    `kind` 0 is Unicode in an SDR (`unicode`) and binary, shown as hex, in a FRU; 1 BCD plus; 2 packed 6-bit; 3 8-bit
    (or UTF-16 with `unicode`: a FRU whose language is not English).
    """
    if kind == 1:
        text = "".join("0123456789 -.:,_"[nibble] for byte in data for nibble in (byte >> 4, byte & 0x0F))
    elif kind == 2:
        bits = int.from_bytes(data, "little")
        text = "".join(chr(0x20 + (bits >> 6 * index & 0x3F)) for index in range(len(data) * 8 // 6))
    elif unicode:
        text = data.decode("utf-16-le" if b"\0" in data else "utf-8", "replace")
    else:
        text = data.decode("latin-1") if kind == 3 else data.hex(" ")
    return visible(text.strip("\0").strip())


def unit_text(flags: int, base: int, modifier: int) -> str:
    """Return the unit of sensor units bytes 1-3 (43.1), empty when unspecified."""
    text = word(UNITS, base, "unit") if base else ""
    if flags >> 1 & 3 and modifier:
        text = f"{text}{'/' if flags >> 1 & 3 == 1 else '*'}{word(UNITS, modifier, 'unit')}"
    if flags & 1:
        text = f"% {text}".rstrip()
    return f"{text} {RATES[flags >> 3 & 7]}".strip()


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 & 1 else value


_CURVES: Mapping[int, Callable[[float], float]] = {  # table 43-1, byte 24
    1: math.log,
    2: math.log10,
    3: math.log2,
    4: math.exp,
    5: lambda x: 10.0**x,
    6: lambda x: 2.0**x,
    7: lambda x: 1.0 / x,
    8: lambda x: x * x,
    9: lambda x: x**3,
    10: math.sqrt,
    11: math.cbrt,
}


def convert(raw: int, factors: Factors) -> float:
    """Return the value of a raw byte in the sensor's unit.

    Raises `ValueError` where the formula has no value (logarithm of 0, an OEM curve, a discrete sensor).
    """
    if factors.form == 3:
        raise ValueError("the sensor has no analog reading")
    x = raw & 0xFF
    if factors.form == 1 and x & 0x80:
        x = -(~x & 0xFF)
    elif factors.form == 2:
        x = _signed(x, 8)
    linear = (Decimal(factors.m * x) + Decimal(factors.b).scaleb(factors.b_exp)).scaleb(factors.r_exp)
    if factors.linearization == 0 or factors.needs_lookup:
        return float(linear)
    curve = _CURVES.get(factors.linearization)
    if curve is None:
        raise ValueError(f"linearization 0x{factors.linearization:02x} is not in the specification")
    try:
        return curve(float(linear))
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"the sensor's formula has no value at raw {raw}") from error


def factors_from_answer(answer: bytes, factors: Factors) -> Factors:
    """Return the factors for one reading, from the 7 bytes of Get Sensor Reading Factors (35.5)."""
    return replace(
        factors,
        linearization=0,
        m=_signed(answer[1] | (answer[2] & 0xC0) << 2, 10),
        b=_signed(answer[3] | (answer[4] & 0xC0) << 2, 10),
        r_exp=_signed(answer[6] >> 4, 4),
        b_exp=_signed(answer[6] & 0x0F, 4),
    )
