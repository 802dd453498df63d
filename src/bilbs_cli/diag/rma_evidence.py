"""The evidence of a packet: findings of a part with their root causes, the lines they rest on, the BMC's records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bilbs_cli.diag import identity
from bilbs_cli.diag.baseline import history_of
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import FACTS, Box, Evidence, Finding, Verdict, moment
from bilbs_cli.diag.model import value
from bilbs_cli.diag.past import faults_of
from bilbs_cli.diag.rma_parts import Part
from bilbs_cli.diag.swaps import Entry, Follows, ledger
from bilbs_cli.diag.timeline import Moment
from bilbs_cli.escape import visible
from bilbs_cli.quantities import show_time

MOST_READ = 4  # members of which lines are looked up
LINE = 600  # characters of a line
LIKE = 24  # characters of the message that the line must hold: else it is not the line that was meant
RECORDS, MOMENTS = 64, 40
NEAR = timedelta(minutes=10)  # records this near to a fault are told, whatever they speak of
SWAP = "Swap test: "


@dataclass(frozen=True, slots=True)
class Case:
    """What a bundle says of one part: its own findings, the root causes of these, and what followed from them."""

    own: tuple[Finding, ...]
    roots: tuple[Finding, ...]
    followed: tuple[Finding, ...]

    @property
    def all(self) -> tuple[Finding, ...]:
        """Return the part's findings and their roots, as they stand in the evidence."""
        return (*self.own, *self.roots)

    @property
    def candidates(self) -> tuple[Finding, ...]:
        """Return the findings that make it an RMA candidate, the one with the most proof first."""
        found = [one for one in self.own if one.verdict is Verdict.RMA]
        return tuple(sorted(found, key=lambda one: (len(one.missing) - len(one.have), -one.severity.rank)))


def case_of(checked: Checked, part: Part) -> Case:
    """Return the findings of a part, of its roots, and of what followed, each in the order of the check."""
    findings = checked.judgement.findings
    by_key: dict[str, Finding] = {}
    for one in findings:
        by_key.setdefault(one.key, one)
    own = tuple(one for one in findings if one.part in part.spoken)
    mine = {one.key for one in own}
    roots: dict[str, Finding] = {}
    for one in own:
        seen = {one.key}
        while one.caused_by in by_key and one.caused_by not in seen:
            one = by_key[one.caused_by]  # noqa: PLW2901 - the chain is walked to its end
            seen.add(one.key)
            if one.key not in mine:
                roots.setdefault(one.key, one)
    followed = tuple(one for one in findings if one.caused_by in mine and one.key not in mine)
    return Case(own, tuple(roots.values()), followed)


def swap_entry(checked: Checked, part: Part, case: Case) -> Entry | None:
    """Return what the swap-test ledger says of the part's worst fault, None where it is no GPU or has none."""
    if part.gpu is None:
        return None
    box = Box(checked.facts, checked.collected_at)
    gpus = identity.gpus(box)
    entries = ledger(history_of(checked.facts), faults_of(box, checked.judgement), gpus)
    rules = {one.rule for one in case.own}
    mine = [one for one in entries if one.pci == part.gpu.pci and one.rule in rules]
    return next((one for one in mine if one.follows is not Follows.UNKNOWN), next(iter(mine), None))


def swap_words(part: Part, case: Case, entry: Entry | None) -> str:
    """Return the advice on a swap test: the ledger's word, a finding's own note, else what to do by the kind of part."""
    notes = (note for one in case.own for note in one.notes if note.startswith(SWAP))
    said = entry.words if entry else next(notes, "").removeprefix(SWAP)
    if said:
        return said
    if part.kind == "gpu" and part.gpu and part.gpu.slot.startswith("module"):
        return "modules of a baseboard are swapped by the maker's service: ask for it, then check again"
    if part.kind in {"gpu", "pci", "ib", "net", "dimm", "disk", "nvme", "psu", "fan"}:
        return "put it into another place (or swap it with its neighbour) and check again: a fault that moves along is its own"
    return ""


def cited(case: Case) -> tuple[str, ...]:
    """Return the members whose lines prove a case, at most `MOST_READ`; those that the candidates rest on come first."""
    proofs = (proof for one in (*case.candidates, *case.all) for proof in one.evidence)
    return tuple(dict.fromkeys(proof.member for proof in proofs if _is_line(proof)))[:MOST_READ]


def _is_line(proof: Evidence) -> bool:
    """Say whether an evidence is a line of text; facts and journals are cited by what their line says."""
    return proof.line is not None and proof.member != FACTS and not proof.member.endswith((".jsonl", ".json"))


class Lines:
    """The lines of members as they stand in the bundle, of those members that were read."""

    def __init__(self, members: Mapping[str, bytes]) -> None:
        self._members = members
        self._known: dict[str, list[bytes]] = {}

    def text(self, proof: Evidence) -> str:
        """Return the line that an evidence cites, its own text where the line cannot be had or is another one."""
        own = " ".join(proof.text.split())
        number = proof.line if _is_line(proof) else None
        if number is None:
            return own
        lines = self._lines(proof.member)
        raw = lines[number - 1].decode("utf-8", "replace") if 0 < number <= len(lines) else ""
        line = " ".join(raw.split())
        return line[:LINE] if own[:LIKE] and own[:LIKE] in line else own

    def _lines(self, member: str) -> list[bytes]:
        if member not in self._known:
            self._known[member] = self._members.get(member, b"").split(b"\n")
        return self._known[member]


def evidence_text(checked: Checked, part: Part, case: Case, lines: Lines) -> str:
    """Return evidence.txt: each finding with the lines it rests on, the BMC's records, the timeline of the part."""
    out = [
        f"Evidence for {visible(part.title)} on {visible(checked.host)}",
        "Times are UTC. MEMBER:LINE is the place in the bundle.",
        "",
    ]
    if not case.all:
        out += ["No finding in this bundle speaks of this part.", ""]
    for one in case.all:
        out += [*_finding(one, lines, is_root=one in case.roots), ""]
    records = list(_records(checked, part, case))
    out.append(
        f"Records of the BMC's event log ({len(records)}): those of this part, and those within 10 minutes of the fault"
    )
    out += [*(_record(one) for one in records[:RECORDS]), *(["none"] if not records else [])]
    moments = _moments(checked, part, case)
    out += ["", f"Timeline ({len(moments)})", *map(_moment, moments[:MOMENTS]), *(["nothing"] if not moments else [])]
    return "\n".join(out) + "\n"


def _finding(one: Finding, lines: Lines, *, is_root: bool) -> Iterator[str]:
    root = " (root cause)" if is_root else ""
    yield visible(
        f"[{one.severity.value.upper()}] {one.rule} on {one.label or one.part}{root}: {' '.join(one.message.split())}"
    )
    times = [f"{name} {time_of(when)}" for name, when in (("first", one.first_at), ("last", one.last_at)) if when]
    count = f"{one.count} times" if one.count > 1 else "once"
    yield visible(f"  {one.verdict.words}; seen {count}{'; ' + ', '.join(times) if times else ''}")
    for proof in one.evidence:
        yield f"  {place_of(proof)}  {visible(lines.text(proof))}"
    yield f"  rule: {visible(one.source)}"


def place_of(proof: Evidence) -> str:
    """Return where an evidence stands and when it was, in words."""
    where = (
        f"{proof.member}:{proof.line}"
        if proof.line is not None
        else f"{proof.member} ({proof.path})"
        if proof.path
        else proof.member
    )
    return visible(f"{where}, {time_of(proof.at)}" if proof.at else where)


def time_of(text: str | None) -> str:
    """Return the time of an event for people, the text itself where it is none."""
    when = moment(text)
    return show_time(when) if when else text or ""


def _records(checked: Checked, part: Part, case: Case) -> Iterator[Mapping[str, Any]]:
    found = value(checked.facts, "bmc", "sel", "records")
    faults = [when for one in case.all for text in (one.first_at, one.last_at) if (when := moment(text))]
    cited = {proof.text for one in case.all for proof in one.evidence if proof.member.startswith("ipmi/")}
    for one in found if isinstance(found, list) else ():
        if isinstance(one, Mapping) and (_is_of(one, part) or _is_near(one, faults) or _is_cited(one, cited)):
            yield one


def _is_of(record: Mapping[str, Any], part: Part) -> bool:
    return isinstance(key := record.get("sensor_key"), str) and key in part.sensors


def _is_near(record: Mapping[str, Any], faults: Sequence[datetime]) -> bool:
    when = moment(record.get("host_time")) or moment(record.get("bmc_time"))
    return when is not None and any(abs(when - one) <= NEAR for one in faults)


def _is_cited(record: Mapping[str, Any], cited: set[str]) -> bool:
    raw = record.get("raw")
    return isinstance(raw, str) and bool(raw) and any(raw in text for text in cited)


def _record(one: Mapping[str, Any]) -> str:
    number = one.get("id")
    name = f"{number:04x}" if isinstance(number, int) and 0 <= number < 1 << 16 else "----"
    asserted = one.get("asserted")
    state = "asserted" if asserted is True else "deasserted" if asserted is False else "-"
    fields = (
        f"host {one.get('host_time') or 'time unknown'}",
        f"BMC {one.get('bmc_time') or 'time unknown'}",
        one.get("sensor"),
        one.get("text"),
    )
    said = "  ".join(" ".join(str(field).split())[:120] for field in fields if field)
    return visible(f"  {name}  {said}  [{state}]  raw {str(one.get('raw'))[:60]}")


def _moments(checked: Checked, part: Part, case: Case) -> list[Moment]:
    rules = {one.rule for one in case.all}
    parts = part.spoken | {one.part for one in case.roots}
    return [
        one
        for one in checked.timeline
        if one.first_cause or (one.part in parts and (one.rule in rules or one.severity))
    ]


def _moment(one: Moment) -> str:
    first = " (first cause)" if one.first_cause else ""
    times = f" ({one.count} times)" if one.count > 1 else ""
    return visible(f"  {one.at:%Y-%m-%d %H:%M:%S}  {one.source:<7}  {one.text}{times}{first}")
