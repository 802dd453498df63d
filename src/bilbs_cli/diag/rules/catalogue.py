"""NVIDIA's Xid and SXid errors as data (xid.toml, sxid.toml): loaded once, and checked entry by entry."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bilbs_cli.diag.findings import Severity, Verdict

HERE = Path(__file__).parent
NOT_SAID = "none given"  # where the catalogue leaves a bucket empty
VERDICTS = {  # NVIDIA's bucket for the immediate action -> our ladder
    "IGNORE": Verdict.IGNORE,
    "RESTART_APP": Verdict.RESTART_APP,
    "RESET_GPU": Verdict.RESET_GPU,
    "RESTART_BM": Verdict.REBOOT,
    "RESTART_VM": Verdict.REBOOT,
    "CHECK_MECHANICALS": Verdict.INSPECT,
    "CHECK_UVM": Verdict.INSPECT,
    "CONTACT_SUPPORT": Verdict.INSPECT,
    "UPDATE_SWFW": Verdict.INSPECT,
    "WORKFLOW_XID_45": Verdict.INSPECT,
    "WORKFLOW_XID_48": Verdict.INSPECT,
    "WORKFLOW_NVLINK_ERR": Verdict.INSPECT,
    "WORKFLOW_NVLINK5_ERR": Verdict.INSPECT,
    "XID_154": Verdict.INSPECT,  # the number in the line says more
    "XID_154_EVAL": Verdict.INSPECT,  # as the Xid 154 beside it says; without one somebody has to look
    "": Verdict.INSPECT,
}
REACHES = ("no", "other", "thermal", "port", "always")


class BrokenCatalogue(ValueError):
    """A data file of ours is wrong: the message names file and entry."""


@dataclass(frozen=True, slots=True)
class Xid:
    """One code: see the head of xid.toml for the fields."""

    code: int
    name: str
    words: str
    immediate: str
    investigatory: str
    severity: Severity
    verdict: Verdict
    next: str
    repeated: Severity | None = None
    recurs: Verdict | None = None
    deviation: str = ""
    follows: frozenset[int] = frozenset()
    have: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    used: bool = True


@dataclass(frozen=True, slots=True)
class LinkError:
    """What an NVLink 5 error (Xid 144 to 150) comes to by unit, sub-code (None: any) and error status."""

    immediate: str
    verdict: Verdict
    fatal: bool


@dataclass(frozen=True, slots=True)
class Sxid:
    """One code of an NVSwitch; `reach` is one of `REACHES`."""

    code: int
    words: str
    reach: str
    next: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All of it, with the versions and the first source of each file."""

    version: str
    xid_source: str
    sxid_source: str
    xids: Mapping[int, Xid]
    links: Mapping[tuple[int, str, int | None, int], LinkError]
    sxids: Mapping[int, Sxid]

    def link(self, xid: int, unit: object, subcode: object, status: object) -> LinkError | None:
        """Return what an NVLink 5 error comes to, None where the table has no row for it.

        A line may give a unit both its names (`TLW_RX/TLW_RX_PIPE0`).
        """
        if not isinstance(unit, str) or not isinstance(status, int):
            return None
        subcodes = [subcode] if isinstance(subcode, int) else []
        keys = ((xid, name, code, status) for name in unit.split("/") for code in (*subcodes, None))
        return next((self.links[key] for key in keys if key in self.links), None)


@cache
def load() -> Catalogue:
    """Return the catalogue. Raises `BrokenCatalogue` naming file and entry."""
    xids, sxids = _read("xid.toml"), _read("sxid.toml")
    steps: Mapping[str, str] = xids["next"]
    known = {one.code: one for one in (_xid(row, steps) for row in xids["xid"])}
    known |= {int(code): _unused(int(code), name, steps) for code, name in xids["unused"].items()}
    return Catalogue(
        version=f"{xids['version']}"
        if xids["version"] == sxids["version"]
        else f"{xids['version']}/{sxids['version']}",
        xid_source=xids["sources"][0],
        sxid_source=sxids["sources"][0],
        xids=dict(sorted(known.items())),
        links=dict(_link(row) for row in xids["nvlink"]),
        sxids={row["code"]: _sxid(row, sxids["next"]) for row in sxids["sxid"]},
    )


def version() -> str:
    """Return the version of the data."""
    return load().version


def _read(name: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads((HERE / name).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BrokenCatalogue(f"{name}: {error}") from error


def _xid(row: Mapping[str, Any], steps: Mapping[str, str]) -> Xid:
    try:
        immediate = row.get("immediate", "")
        own, repeated, recurs = row.get("verdict"), row.get("repeated"), row.get("recurs")
        found = Xid(
            code=row["code"],
            name=row["name"],
            words=row["words"],
            immediate=immediate,
            investigatory=row.get("investigatory", ""),
            severity=Severity(row["severity"]),
            verdict=Verdict(own) if own else VERDICTS[immediate],
            next=row.get("next") or steps[immediate],
            repeated=Severity(repeated) if repeated else None,
            recurs=Verdict("drain_and_inspect" if recurs == "inspect" else recurs) if recurs else None,
            deviation=row.get("deviation", ""),
            follows=frozenset(row.get("follows", ())),
            have=tuple(row.get("have", ())),
            missing=tuple(row.get("missing", ())),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise BrokenCatalogue(f"xid.toml: the entry {row.get('code')} is broken: {error!r}") from error
    if found.verdict is not VERDICTS[immediate] and immediate and not found.deviation:
        raise BrokenCatalogue(f"xid.toml: the verdict of {found.code} is not its bucket's, and no deviation says why")
    return found


def _unused(code: int, name: str, steps: Mapping[str, str]) -> Xid:
    bucket = "CONTACT_SUPPORT"
    words = "not in use on current GPUs"
    return Xid(code, name, words, bucket, "", Severity.WARNING, VERDICTS[bucket], steps[bucket], used=False)


def _link(row: Mapping[str, Any]) -> tuple[tuple[int, str, int | None, int], LinkError]:
    try:
        key = (row["xid"], row["unit"], row.get("subcode"), row["status"])
        return key, LinkError(row["immediate"], VERDICTS[row["immediate"]], row["fatal"])
    except KeyError as error:
        raise BrokenCatalogue(f"xid.toml: the NVLink row {dict(row)} is broken: {error!r}") from error


def _sxid(row: Mapping[str, Any], steps: Mapping[str, str]) -> Sxid:
    try:
        return Sxid(row["code"], row["words"], row["reach"], steps[row["reach"]])
    except KeyError as error:
        raise BrokenCatalogue(f"sxid.toml: the entry {row.get('code')} is broken: {error!r}") from error
