"""FRU inventory: what the bytes of a field replaceable unit say of its maker, part and serial number (pure).

Layout: IPMI Platform Management FRU Information Storage Definition v1.0. Bad checksums are common and no reason to drop
a serial number: they are reported, and the raw bytes are kept beside the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bilbs_cli.diag.collectors.ipmi_names import CHASSIS_TYPES, word
from bilbs_cli.diag.collectors.ipmi_sdr import text_of

HEADER_BYTES = 8
LARGEST = 16 << 10  # what is read of one FRU at most; the definition allows 64 KiB, real ones hold 0.25 to 4
BLANK_BYTES = 256  # what is kept of a FRU whose header says nothing
AREAS = ("internal", "chassis", "board", "product", "multirecord")
END_OF_FIELDS = 0xC1
EPOCH = datetime(1996, 1, 1, tzinfo=UTC)
ENGLISH = {0, 25}
_FIELDS = {
    "chassis": ("part_number", "serial"),
    "board": ("manufacturer", "product", "serial", "part_number", "fru_file_id"),
    "product": ("manufacturer", "product", "part_number", "version", "serial", "asset_tag", "fru_file_id"),
}
_FIRST_FIELD = {"chassis": 3, "board": 6, "product": 3}
_RECORD_TYPES = {
    0x00: "power supply information",
    0x01: "DC output",
    0x02: "DC load",
    0x03: "management access",
    0x04: "base compatibility",
    0x05: "extended compatibility",
}


def offsets(data: bytes) -> dict[str, int]:
    """Return where each area starts, by name (section 8); areas that are not there are left out."""
    if len(data) < HEADER_BYTES or data[0] & 0x0F != 1:
        return {}
    return {name: data[index] * 8 for index, name in enumerate(AREAS, 1) if data[index]}


def wanted(data: bytes, size: int) -> int:
    """Return how many bytes of a FRU of `size` must be read, by what `data`, its beginning, says so far.

    Called again with what was read until it is satisfied; a header that makes no sense gets the first 256 bytes.
    """
    size = min(size, LARGEST)
    if len(data) < HEADER_BYTES:
        return min(HEADER_BYTES, size)
    places = offsets(data)
    if not places:
        return min(BLANK_BYTES, size)
    ends = [HEADER_BYTES]
    for name, start in places.items():
        following = min((other for other in places.values() if other > start), default=size)
        if name == "internal":  # it has no length of its own
            ends.append(following)
        elif name == "multirecord":
            ends.append(_records_end(data, start))
        else:
            ends.append(start + data[start + 1] * 8 if len(data) > start + 1 else start + HEADER_BYTES)
    return min(max(ends), size)


def _records_end(data: bytes, start: int) -> int:
    while start + 5 <= len(data):
        last, start = bool(data[start + 1] & 0x80), start + 5 + data[start + 2]
        if last:
            return start
    return start + 5


def decode(data: bytes) -> dict[str, Any]:
    """Return what a FRU says: one entry per area, and `problems` in words. Never raises."""
    problems: list[str] = []
    found: dict[str, Any] = {"size_read": len(data), "problems": problems}
    if len(data) < HEADER_BYTES:
        problems.append(f"only {len(data)} bytes")
        return found
    if sum(data[:HEADER_BYTES]) & 0xFF:
        problems.append("common header: bad checksum")
    places = offsets(data)
    if not places:
        problems.append(f"common header: format {data[0] & 0x0F} is unknown" if any(data) else "blank")
    for name, start in places.items():
        try:
            if name == "multirecord":
                found[name] = list(_records(data, start, problems))
            elif name in _FIELDS:
                found[name] = _area(name, data[start:], problems)
        except IndexError:
            problems.append(f"{name} area: cut off")
    return found


def _area(name: str, area: bytes, problems: list[str]) -> dict[str, Any]:
    """Return the fields of a chassis, board or product area (sections 10 to 12); those before a cut are kept."""
    length = area[1] * 8
    if area[0] & 0x0F != 1:
        problems.append(f"{name} area: format {area[0] & 0x0F} is unknown")
        return {}
    if length > len(area):
        problems.append(f"{name} area: {len(area)} of {length} bytes")
    elif sum(area[:length]) & 0xFF:
        problems.append(f"{name} area: bad checksum")
    found: dict[str, Any] = {}
    if name == "chassis":
        found["type"] = word(CHASSIS_TYPES, area[2], "chassis type")
    elif name == "board":
        minutes = int.from_bytes(area[3:6], "little")
        found["made"] = (EPOCH + timedelta(minutes=minutes)).isoformat() if minutes else None
    unicode = name != "chassis" and area[2] not in ENGLISH
    texts = _texts(area[: length or None], _FIRST_FIELD[name], unicode=unicode)
    found |= dict(zip(_FIELDS[name], texts, strict=False))
    extra = [text for text in texts if text]
    return found | ({"custom": extra} if extra else {})


def _texts(area: bytes, at: int, *, unicode: bool) -> Iterator[str]:
    """Yield the type/length fields (section 13) up to the end mark or the end of the bytes."""
    while at < len(area) and area[at] != END_OF_FIELDS:
        kind, length = area[at] >> 6, area[at] & 0x3F
        yield text_of(kind, area[at + 1 : at + 1 + length], unicode=unicode and kind == 3)
        at += 1 + length


def _records(data: bytes, start: int, problems: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the multirecord area's records (section 16): a kind, and the bytes; power supplies with their ratings."""
    while start + 5 <= len(data):
        head, body = data[start : start + 5], data[start + 5 : start + 5 + data[start + 2]]
        kind = word(_RECORD_TYPES, head[0], "OEM record" if head[0] >= 0xC0 else "record")
        record: dict[str, Any] = {"type": kind, "raw": body.hex(" ")}
        if sum(head) & 0xFF:
            problems.append(f"multirecord at {start}: bad header checksum")
        if (sum(body) + head[3]) & 0xFF:
            problems.append(f"multirecord at {start}: bad checksum")
        if head[0] == 0x00 and len(body) >= 24:
            record |= _power_supply(body)
        yield record
        if head[1] & 0x80:
            return
        start += 5 + head[2]
    problems.append("multirecord area: no end of list")


def _power_supply(body: Sequence[int]) -> dict[str, Any]:
    """Return the ratings of a power supply information record (section 18.1)."""
    flags = body[17]
    return {
        "capacity_w": _word(body, 0) & 0x0FFF,
        "input_v": [_word(body, 6) / 100, _word(body, 8) / 100],
        "hot_swap": bool(flags & 0x08),
        "power_factor_correction": bool(flags & 0x02),
        "predictive_fail": bool(flags & 0x01),
    }


def _word(body: Sequence[int], at: int) -> int:
    return body[at] | body[at + 1] << 8


def describe(fru: dict[str, Any], title: str) -> str:
    """Return a FRU as text for a person."""
    lines = [title]
    for name in ("chassis", "board", "product"):
        for field, text in fru.get(name, {}).items():
            shown = ", ".join(text) if isinstance(text, list) else text
            lines += [f"  {name + ' ' + field.replace('_', ' '):26}: {shown}"] if shown else []
    for record in fru.get("multirecord", ()):
        ratings = ", ".join(f"{key} {value}" for key, value in record.items() if key not in {"type", "raw"})
        lines.append(f"  {record['type']:26}: {ratings or record['raw']}")
    lines += [f"  ! {problem}" for problem in fru["problems"]]
    return "\n".join(lines) + "\n"
