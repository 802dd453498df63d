"""What dmidecode(8) prints: the structures of SMBIOS (DMTF DSP0134), for serials, memory slots and the slot map."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

UNKNOWN = {
    "",
    "unknown",
    "not specified",
    "not provided",
    "no module installed",
    "none",
    "to be filled by o.e.m.",
    "default string",
}
UNIT_BYTES = {"kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


@dataclass(frozen=True, slots=True)
class Structure:
    """One SMBIOS structure: its type number, title and the fields that stand on one line."""

    kind: int
    title: str
    fields: dict[str, str]

    def known(self, name: str) -> str | None:
        """Return a field, None when it is absent or says that nobody filled it in."""
        text = self.fields.get(name, "")
        return None if text.strip().lower() in UNKNOWN else text


def structures(text: str) -> list[Structure]:
    r"""Return the structures in dmidecode's output.

    >>> structures("Handle 0x0011, DMI type 17, 92 bytes\nMemory Device\n\tSize: 64 GB\n\tFlags:\n\t\tx\n\n")
    [Structure(kind=17, title='Memory Device', fields={'Size': '64 GB', 'Flags': ''})]
    """
    found = []
    for block in re.split(r"\n(?=Handle 0x)", "\n" + text):
        head = re.match(r"Handle 0x[0-9A-Fa-f]+, DMI type (\d+), \d+ bytes\n([^\n]*)\n?", block)
        if head:
            fields = re.findall(r"^\t([^\t:][^:]*):[ \t]*(.*?)[ \t]*$", block[head.end() :], re.MULTILINE)
            found.append(Structure(int(head[1]), head[2], dict(fields)))
    return found


def size_bytes(text: str) -> int:
    """Return a size as dmidecode writes it, in bytes. Raises `ValueError`.

    >>> size_bytes("64 GB")
    68719476736
    """
    number, _, unit = text.partition(" ")
    if unit not in UNIT_BYTES:
        raise ValueError(f"not a size: {text!r}")
    return int(number) * UNIT_BYTES[unit]


def memory_modules(all_found: list[Structure]) -> dict[str, dict[str, Any]]:
    """Return the memory slots by locator (type 17): size, part number, serial, speed; `populated` False for empty ones.

    Where a bank locator is needed to tell two slots apart, the name is `BANK LOCATOR`.
    """
    slots = [one for one in all_found if one.kind == 17]
    locators = [one.fields.get("Locator", "?") for one in slots]
    found = {}
    for one, locator in zip(slots, locators, strict=True):
        unique = locators.count(locator) == 1
        found[locator if unique else f"{one.fields.get('Bank Locator', '?')} {locator}"] = _module(one)
    return found


def _module(one: Structure) -> dict[str, Any]:
    try:
        size = size_bytes(one.fields.get("Size", ""))
    except ValueError:
        size = None
    wanted = (
        ("manufacturer", "Manufacturer"),
        ("part_number", "Part Number"),
        ("serial", "Serial Number"),
        ("speed", "Speed"),
        ("configured_speed", "Configured Memory Speed"),
    )
    known = {fact: one.known(name) for fact, name in wanted}
    return {"populated": one.known("Size") is not None, "size_bytes": size} | known


def slots(found: list[Structure]) -> dict[str, dict[str, str | None]]:
    r"""Return the expansion slots by what is printed on the board (type 9): bus address, type, use.

    >>> slots(structures("Handle 0x0020, DMI type 9, 24 bytes\nSystem Slot Information\n\tDesignation: PCIe Slot 3\n"
    ...                  "\tCurrent Usage: In Use\n\tBus Address: 0000:17:00.0\n"))
    {'PCIe Slot 3': {'bus_address': '0000:17:00.0', 'usage': 'In Use', 'type': None}}
    """
    wanted = (("bus_address", "Bus Address"), ("usage", "Current Usage"), ("type", "Type"))
    return {
        one.fields.get("Designation", "?"): {fact: one.known(name) for fact, name in wanted}
        for one in found
        if one.kind == 9
    }
