"""The RMA packet of one part, built from a checked bundle and the members that a maker asks for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bilbs_cli.diag import checked_json, rma_evidence, rma_packet
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.diff import disguised as is_disguised
from bilbs_cli.diag.rma_checklist import BUG_REPORT, Known, checklist
from bilbs_cli.diag.rma_evidence import Lines
from bilbs_cli.diag.rma_folder import Packet, Written, tar_bytes, write
from bilbs_cli.diag.rma_identifiers import identifiers
from bilbs_cli.diag.rma_oems import choose
from bilbs_cli.diag.rma_packet import Source, Told
from bilbs_cli.diag.rma_parts import resolve
from bilbs_cli.diag.swaps import Follows

__all__ = ["Packet", "Source", "Written", "build", "tar_bytes", "write"]

MEMBER_BYTES = 8 << 20  # of one member that is copied, or looked up: callers read no more of it
COPIED: Mapping[str, tuple[str, ...]] = {  # members that a maker asks for, by the kind of the part; `*` for all
    "*": ("ipmi/sel.txt", "ipmi/fru.txt"),
    "gpu": ("gpu/nvidia-smi-q.xml", BUG_REPORT),
    "nvswitch": (BUG_REPORT,),
    "psu": ("ipmi/sensors.txt",),
    "fan": ("ipmi/sensors.txt",),
    "disk": ("storage/lsblk.json",),
}
RECEIPT = "redaction.json"
ReadMembers = Callable[[Collection[str]], Mapping[str, bytes]]


def build(
    checked: Checked, part: str, oem: str | None, read_members: ReadMembers, source: Source | None = None
) -> Packet:
    """Return the packet for a part as a person names it; `oem` None asks the bundle who made the box.

    `read_members` is called once, and returns the first `MEMBER_BYTES` of each of the named members that the bundle has.
    Raises `NotFound` or `UsageProblem` for a part that is not there or not clear, `UsageProblem` for an unknown maker.
    """
    found = resolve(checked, part)
    maker, maker_from = choose(checked, oem)
    case = rma_evidence.case_of(checked, found)
    entry = rma_evidence.swap_entry(checked, found, case)
    wanted = (*COPIED["*"], *COPIED.get(found.kind, ()))  # what is copied has its name from here, never from the bundle
    read = read_members({*wanted, RECEIPT, *rma_evidence.cited(case)})
    members = {name: read[name] for name in wanted if name in read}
    disguised = is_disguised(checked)
    ids = identifiers(checked, found)
    known = Known(
        checked,
        found,
        ids,
        case.all,
        entry.follows if entry else Follows.UNKNOWN,
        disguised,
        lambda name: name in members,
    )
    told = Told(
        name=packet_name(checked.host, found.id, checked.collected_at),
        checked=checked,
        part=found,
        oem=maker,
        oem_from=maker_from,
        identifiers=ids,
        case=case,
        items=checklist(maker, known),
        swap=rma_evidence.swap_words(found, case, entry),
        disguised=disguised,
        source=source or Source(Path(checked.source).name or "this box"),
    )
    sentence = rma_packet.sure(case, sum(one.part in found.spoken for one in checked.judgement.not_evaluated))
    contents = _contents(told, sentence, Lines(read), members, _receipt(read.get(RECEIPT, b"")))
    return Packet(
        told.name,
        checked.collected_at,
        found,
        maker,
        maker_from,
        sentence,
        told.worthy,
        disguised,
        ids,
        told.items,
        contents,
    )


def packet_name(host: str, part: str, at: datetime) -> str:
    """Return `bilbs-rma-<host>-<part>-<UTC time>` in letters that every file system and shell takes.

    >>> packet_name("gpu01", "gpu:0000:3b:00.0", datetime(2026, 11, 21, 4, tzinfo=UTC))
    'bilbs-rma-gpu01-gpu-0000-3b-00.0-20261121T040000Z'
    """
    plain = [re.sub(r"[^A-Za-z0-9.]+", "-", text[:200]).strip("-.")[:48].rstrip("-.") for text in (host, part)]
    return f"bilbs-rma-{plain[0] or 'box'}-{plain[1] or 'part'}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _receipt(text: bytes) -> Any:
    """Return what the bundle's receipt of redaction says, None where it has none that can be read."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    version, total = found.get("rules_version"), found.get("total")
    return {
        "rules_version": str(version)[:80] if isinstance(version, str | int) else None,
        "replaced": total if isinstance(total, int) and 0 <= total < 1 << 62 else None,
    }


def _contents(
    told: Told, sentence: str, lines: Lines, members: Mapping[str, bytes], receipt: Any
) -> Mapping[str, bytes]:
    cut = [name for name, data in members.items() if len(data) >= MEMBER_BYTES]
    named = [f"{name} (its first {MEMBER_BYTES >> 20} MiB)" if name in cut else name for name in members]
    texts = {
        "README.txt": rma_packet.guide(told, sentence, named),
        "case.txt": rma_packet.case_text(told, sentence, lines),
        "checklist.txt": rma_packet.checklist_text(told, sentence),
        "checklist.json": _json(rma_packet.checklist_json(told, sentence)),
        "identifiers.txt": rma_packet.identifiers_text(told),
        "identifiers.json": _json(rma_packet.identifiers_json(told)),
        "evidence.txt": rma_evidence.evidence_text(told.checked, told.part, told.case, lines),
        "findings.json": _json(_findings(told)),
    }
    found = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
    found |= {f"members/{name}": data for name, data in members.items()}
    found["custody.json"] = _json(_custody(told, found, cut, receipt)).encode()
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(found.items()))
    return dict(sorted((found | {"SHA256SUMS": sums.encode()}).items()))


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _findings(told: Told) -> Any:
    """Return the part's findings, their roots and what followed, in the form of findings.json."""
    checked, case = told.checked, told.case
    kept = {one.key for one in (*case.all, *case.followed)}
    judgement = replace(
        checked.judgement,
        findings=tuple(one for one in checked.judgement.findings if one.key in kept),
        not_evaluated=tuple(one for one in checked.judgement.not_evaluated if one.part in told.part.spoken),
    )
    gpus = tuple(one for one in checked.gpus if told.part.gpu is None or one.part == told.part.gpu.part)
    moments = tuple(one for one in checked.timeline if one.first_cause or one.part in told.part.spoken)
    return checked_json.as_json(replace(checked, judgement=judgement, gpus=gpus, timeline=moments))


def _custody(told: Told, found: Mapping[str, bytes], cut: Sequence[str], receipt: Any) -> Any:
    checked, source = told.checked, told.source
    return {
        "schema_version": 1,
        "packet": told.name,
        "bundle": {
            "name": source.name,
            "sha256": source.sha256 or None,
            "size_bytes": source.size_bytes,
            "host": checked.host,
            "collected_at": checked.collected_at.astimezone(UTC).isoformat(timespec="seconds"),
            "collected_by": checked.tool,
        },
        "catalogue": checked.catalogue,
        "pseudonymized": told.disguised,
        "real_names": rma_packet.STAND_INS if told.disguised else None,
        "redaction": receipt,
        "cut_members": list(cut),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(found.items())},
    }
