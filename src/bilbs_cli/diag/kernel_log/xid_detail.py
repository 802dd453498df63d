"""What single Xids tell besides their number: unit, link, fault, recovery action. One reader for each code that does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Detail = dict[str, Any]
More = tuple[Detail, tuple[Any, ...]]  # the details, and those of them that tell one event from another

UNIT = re.compile(r"GPC ?(\d{1,4}),? TPC ?(\d{1,4})(?:,? SM ?(\d{1,4}))?")
MMU = re.compile(
    r"MMU Fault: ENGINE (\S{1,40})(?: (.{1,60}?))? faulted @ (0x[0-9a-f_]{1,20}).{0,80}?(FAULT_\w{1,40})(?: (ACCESS_\w{1,40}))?",
    re.DOTALL,
)
DOUBLE_BIT = re.compile(r"physAddr (0x[0-9a-f]{1,16})(?: partition (\d{1,4}),? subpartition (\d{1,4}))?")
RETIRED = re.compile(
    r"([Rr]ow[ -]?[Rr]emap|[Pp]age [Rr]etirement)\w*.{0,160}?(?:\((0x[0-9a-fA-F]{1,16})\)|$)", re.DOTALL
)
NVLINK4 = re.compile(r"NVLink: .{0,60}?[Ll]ink (\d{1,4}) ?\(((?:0x[0-9a-fA-F]{1,16}(?:, )?){1,8})\)", re.DOTALL)
CONTAINED = re.compile(r"(?:Contained|Uncontained): (.{1,80}?)\. RST: (Yes|No), D-RST: (Yes|No)", re.DOTALL)
GSP = re.compile(
    r"(?:after (\d{1,6})s of )?waiting for RPC (?:response )?from (?:GPU(\d{1,4}) )?GSP! Expected function (\d{1,6}) \((\w{1,40})\)"
)
ACTION = re.compile(r"action changed from (0x[0-9a-fA-F]{1,8})\b.{0,60}? to (0x[0-9a-fA-F]{1,8})\b", re.DOTALL)
NVLINK5 = re.compile(
    r"([A-Z][A-Za-z0-9_/]{2,60})\s[^(]{0,80}\((0x[0-9a-fA-F]{1,16})(?:[ ,]+(0x[0-9a-fA-F]{1,16}))?", re.DOTALL
)
LINK = re.compile(r"\bLink[ :](-?\d{1,4})(?!\d)", re.IGNORECASE)
WORD = re.compile(r"\b(non-?fatal|fatal)\b", re.IGNORECASE)


def more(code: int, rest: str) -> More:
    """Return what an Xid says besides; `rest` is its text behind number and process.

    >>> more(154, "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)")[0]
    {'previous_action': 0, 'action': 2}
    >>> more(13, "Graphics SM Warp Exception on (GPC 1, TPC 3, SM 0): Out Of Range Address")[0]
    {'gpc': 1, 'tpc': 3, 'sm': 0}
    """
    reader = READERS.get(code)
    return reader(rest) if reader else ({}, ())


def fatal(text: str) -> bool | None:
    """Return the line's own word on whether it is fatal, None where it has none."""
    found = WORD.search(text)
    return None if found is None else not found[1].lower().startswith("non")


def link_of(text: str) -> dict[str, int]:
    """Return the NVLink that a line names, -1 for the whole unit, as `link`; empty where it names none."""
    found = LINK.search(text)
    return {"link": int(found[1])} if found else {}


def _exception(rest: str) -> More:
    found = UNIT.search(rest)
    if not found:
        return {}, ()
    detail = {name: int(number) for name, number in zip(("gpc", "tpc", "sm"), found.groups(), strict=True) if number}
    return detail, (detail["gpc"], detail["tpc"])


def _mmu_fault(rest: str) -> More:
    found = MMU.search(rest)
    if not found:
        return {}, ()
    names = ("engine", "client", "address", "fault", "access")
    detail = {name: text for name, text in zip(names, found.groups(), strict=True) if text}
    return detail, (detail["engine"], detail["fault"])


def _double_bit(rest: str) -> More:
    found = DOUBLE_BIT.search(rest)
    if not found:
        return {}, ()
    parts = {"partition": found[2], "subpartition": found[3]}
    return {"address": found[1]} | {name: int(number) for name, number in parts.items() if number}, ()


def _retirement(rest: str) -> More:
    """Return whether rows are remapped or pages retired: both have the same numbers, on other generations of GPUs."""
    found = RETIRED.search(rest)
    if not found:
        return {}, ()
    by = "row_remapping" if found[1].lower().startswith("row") else "page_retirement"
    return {"by": by} | ({"address": found[2]} if found[2] else {}), (by,)


def _nvlink4(rest: str) -> More:
    found = NVLINK4.search(rest)
    if not found:
        detail: Detail = dict(link_of(rest))
    else:
        detail = {"link": int(found[1]), "registers": [int(one, 16) for one in found[2].split(",")]}
    return detail | {"fatal": fatal(rest)}, (detail.get("link"),)


def _containment(rest: str) -> More:
    found = CONTAINED.search(rest)
    if not found:
        return {}, ()
    return {"unit": found[1], "reset": found[2] == "Yes", "drain_reset": found[3] == "Yes"}, (found[1],)


def _gsp(rest: str) -> More:
    found = GSP.search(rest)
    if not found:
        return {}, ()
    parts = {"seconds": found[1], "gpu": found[2], "function": found[3]}
    return {name: int(number) for name, number in parts.items() if number} | {"function_name": found[4]}, ()


def _recovery(rest: str) -> More:
    """Return the recovery action by its number: its words differ between drivers."""
    found = ACTION.search(rest)
    if not found:
        return {}, ()
    detail = {"previous_action": int(found[1], 16), "action": int(found[2], 16)}
    return detail, tuple(detail.values())


def _nvlink5(rest: str) -> More:
    """Return unit, sub-code, error status, link and the line's own word."""
    detail: Detail = {}
    if found := NVLINK5.search(rest):
        info = int(found[2], 16)
        detail |= {"unit": found[1], "subcode": info >> 20 & 0x3F, "intrinfo": info}
        if found[3]:
            detail["status"] = int(found[3], 16)
    detail |= link_of(rest)
    detail["fatal"] = fatal(rest)
    return detail, tuple(detail.get(name) for name in ("unit", "subcode", "status", "link", "fatal"))


READERS: dict[int, Callable[[str], More]] = {
    13: _exception,
    31: _mmu_fault,
    48: _double_bit,
    63: _retirement,
    64: _retirement,
    74: _nvlink4,
    94: _containment,
    95: _containment,
    119: _gsp,
    154: _recovery,
    **dict.fromkeys(range(144, 151), _nvlink5),
}
