"""What makers of servers want with a returned part (oems.toml), and which of them made this box."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Facts
from bilbs_cli.diag.model import branch, value
from bilbs_cli.errors import UsageProblem

DATA = Path(__file__).with_name("oems.toml")
FALLBACK = "nvidia"  # whoever made the box: its GPUs are NVIDIA's


@dataclass(frozen=True, slots=True)
class Want:
    """One thing that a maker wants: what it is, how to get it, the public page that says so (empty where none does)."""

    id: str
    what: str
    how: str
    source: str
    check: str
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Oem:
    """One maker: how others spell its name, its portal, the fields of its form in order, what it wants, the last line."""

    name: str
    title: str
    vendors: tuple[str, ...]
    portal: str
    fields: tuple[str, ...]
    ask: str
    wants: tuple[Want, ...]

    def wants_for(self, kind: str) -> tuple[Want, ...]:
        """Return what it wants with a part of this kind."""
        return tuple(one for one in self.wants if not one.kinds or kind in one.kinds)


@cache
def oems() -> dict[str, Oem]:
    """Return the makers by name, in the order of the data."""
    data = tomllib.loads(DATA.read_text(encoding="utf-8"))
    return {row["name"]: _oem(row, data["want"]) for row in data["oem"]}


def _oem(row: dict[str, Any], wants: list[dict[str, Any]]) -> Oem:
    mine = tuple(
        Want(one["id"], one["what"], one["how"], one["source"], one["check"], frozenset(one.get("part", ())))
        for one in wants
        if row["name"] in one["oem"]
    )
    return Oem(row["name"], row["title"], tuple(row["vendors"]), row["portal"], tuple(row["fields"]), row["ask"], mine)


def choose(checked: Checked, name: str | None) -> tuple[Oem, str]:
    """Return the maker and how it is known: as told, as DMI, FRU or BMC spell it, else NVIDIA as the GPUs' maker.

    Raises `UsageProblem` for a maker that is in no data.
    """
    known = oems()
    seen = _seen(checked.facts)
    if name is not None:
        if name not in known:
            raise UsageProblem(f"--oem {name}: known are {', '.join(known)}", code="unknown-oem")
        other = next((f"; but {where} says {text}" for found, where, text in seen if found != name), "")
        return known[name], f"as told with --oem{other}"
    for found, where, text in seen:
        return known[found], f"guessed: {where} says {text}"
    return known[FALLBACK], "guessed: no vendor of the box that is known here; NVIDIA made its GPUs (--oem to choose)"


def _seen(facts: Facts) -> list[tuple[str, str, str]]:
    """Return the makers that the box names, with where and in what words, best source first."""
    frus = branch(facts, "bmc", "fru")
    texts = [(f"DMI ({name})", value(facts, "system", "dmi", name)) for name in ("sys_vendor", "chassis_vendor")]
    texts += [("DMI (board_vendor)", value(facts, "system", "dmi", "board_vendor"))]
    for area in ("product", "board"):
        fru = value(frus, "0")
        found = fru.get(area) if isinstance(fru, dict) else None
        texts.append((f"FRU 0, {area} area", found.get("manufacturer") if isinstance(found, dict) else None))
    texts.append(("the BMC", value(facts, "bmc", "device", "manufacturer")))
    return [
        (oem.name, where, " ".join(text.split())[:60])
        for where, text in texts
        if isinstance(text, str)
        for oem in oems().values()
        if any(vendor in text.lower() for vendor in oem.vendors)
    ]
