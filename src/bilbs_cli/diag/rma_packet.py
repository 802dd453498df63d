"""The texts of a packet: the case to paste, the checklist, the identifiers, the guide; made from values, nothing is read."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Finding, Severity
from bilbs_cli.diag.rma_checklist import Item
from bilbs_cli.diag.rma_evidence import Case, Lines, place_of, time_of
from bilbs_cli.diag.rma_identifiers import REAL_NAMES, Identifier
from bilbs_cli.diag.rma_oems import Oem
from bilbs_cli.diag.rma_parts import Part
from bilbs_cli.escape import visible
from bilbs_cli.quantities import show_time

WIDTH = 78  # of prose: mail and web forms wrap longer lines themselves, badly
QUOTED = 8  # lines of evidence in the case text
NO_RMA = "Nothing in this bundle supports an RMA of this part."
FILL_IN = "[fill in]"
ADVISE = "Please tell us what else you need to look into it."
TRACED = frozenset({"part_serial", "part_number", "uuid", "vbios", "place"})  # told with where they are from
STAND_INS = (
    "This bundle is pseudonymised: the host name and the serial numbers in this packet are stand-ins. "
    "On the box that made it, `bilbs diag reveal case.txt` prints the case with the real ones."
)


@dataclass(frozen=True, slots=True)
class Source:
    """The bundle that a packet was made from; `sha256` is empty and `size_bytes` None where it is no one file."""

    name: str
    sha256: str = ""
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that the texts of one packet are made of."""

    name: str
    checked: Checked
    part: Part
    oem: Oem
    oem_from: str
    identifiers: tuple[Identifier, ...]
    case: Case
    items: tuple[Item, ...]
    swap: str
    disguised: bool
    source: Source

    @property
    def worthy(self) -> bool:
        """Say whether a finding makes the part an RMA candidate."""
        return bool(self.case.candidates)

    @property
    def missing(self) -> tuple[Item, ...]:
        """Return what the maker wants and the bundle has not."""
        return tuple(one for one in self.items if not one.have)

    def known(self, key: str) -> str:
        """Return an identifier's value, empty where it is not known."""
        return next((one.value for one in self.identifiers if one.key == key), "")


def sure(case: Case, gaps: int) -> str:
    """Return how sure it is that the part is to be replaced, in one sentence; `gaps` rules said nothing of it."""
    rules = f"{gaps} rule{'s' * (gaps != 1)}"
    blind = f" {rules} could not be evaluated on it: what was not read is not healthy." if gaps else ""
    if not case.candidates:
        loud = [one for one in case.own if one.severity is not Severity.INFO]
        if not loud:
            return f"{NO_RMA} No finding speaks of it.{blind}"
        close = max((one for one in loud if one.missing), key=lambda one: len(one.have), default=None)
        if close:
            first = f" Do this first: {close.verdict.words}."
            return f"Not an RMA candidate yet, {_proofs(close)}{first}{blind}"
        worst = max(loud, key=lambda one: (not one.caused_by, one.verdict.rank))
        return f"{NO_RMA} Its findings say: {worst.verdict.words} ({worst.rule}).{blind}"
    best = case.candidates[0]
    causes = [one for one in case.roots if one.key == best.caused_by]
    elsewhere = (
        f" Its root cause is elsewhere: {causes[0].rule} on {causes[0].label or causes[0].part}." if causes else ""
    )
    return f"RMA candidate{', ' if best.have or best.missing else ' '}{_proofs(best)}{elsewhere}"


def _proofs(one: Finding) -> str:
    """Return how many proofs there are, which, and what is needed."""
    total = len(one.have) + len(one.missing)
    parts = [f"there is {_listed(one.have)}"] if one.have else []
    parts += [f"needs {_listed(one.missing)}"] if one.missing else []
    counted = f"{len(one.have)} of {total} proofs " if total else ""
    return f"{counted}({one.rule}): {'; '.join(parts) or one.message}."


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def case_text(told: Told, sentence: str, lines: Lines) -> str:
    """Return case.txt: what to paste into the maker's form, its fields in the maker's order."""
    blocks = [[_subject(told)]]
    blocks += [_prose(STAND_INS)] if told.disguised else []
    blocks += [_prose(NO_RMA + " It is sent for information only.")] if not told.worthy else []
    blocks += [list(_fields(told)), list(_problem(told))]
    blocks += [
        _headed("How sure", _prose(sentence)),
        _headed("Evidence (all of it, with times: evidence.txt)", list(_quoted(told, lines))),
    ]
    blocks += [_headed("Swap test", _prose(told.swap))] if told.swap and told.case.own else []
    missing = [f"- {visible(one.what)}" for one in told.missing]
    blocks += [_headed("Not attached yet", missing)] if missing else []
    blocks += [_headed("Attached", [f"{told.name}.tar.gz (its files and their hashes: SHA256SUMS)"])]
    blocks += [list(_contact()), _prose(told.oem.ask if told.worthy else ADVISE)]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _subject(told: Told) -> str:
    worst = next(iter(told.case.candidates or told.case.own), None)
    tag = next(
        (
            f"{one.label} {one.value}"
            for key in told.oem.fields
            for one in told.identifiers
            if one.key == key and one.value and key in REAL_NAMES
        ),
        "",
    )
    failure = f"{' '.join(worst.message.split())} [{worst.rule}]" if worst else "no fault found in this bundle"
    title = "RMA request" if told.worthy else "Question"
    return visible(f"{title}: {told.part.title}: {failure}{f' - {tag}' if tag else ''}")[:300]


def _fields(told: Told) -> Iterator[str]:
    by_key = {one.key: one for one in told.identifiers}
    for key in told.oem.fields:
        one = by_key.get(key)
        if one is not None:
            traced = f" (from {one.source})" if key in TRACED and one.source else ""
            yield visible(f"{one.label}: {one.value + traced if one.value else f'not readable ({one.why})'}")


def _problem(told: Told) -> Iterator[str]:
    shown = _telling(told)
    yield "Problem"
    if not shown:
        yield f"  {FILL_IN}: what was seen, when, under which load"
    for one in shown[:5]:
        root = ", root cause" if one in told.case.roots else ""
        yield from _hanging(f"- {' '.join(one.message.split())} [{one.rule}{root}]{_when(one)}")


def _telling(told: Told) -> list[Finding]:
    """Return the findings that the maker is told: the candidates first, without what merely followed from another."""
    case = told.case
    keys = {one.key for one in case.own}
    others = [one for one in case.own if one not in case.candidates and one.caused_by not in keys]
    loud = [one for one in others if one.severity is not Severity.INFO]
    return [*case.candidates, *(loud if case.candidates or loud else others), *case.roots]


def _when(one: Finding) -> str:
    times = f", {one.count} times" if one.count > 1 else ""
    if one.first_at and one.last_at and one.first_at != one.last_at:
        return f"{times}, from {time_of(one.first_at)} to {time_of(one.last_at)}"
    return f"{times}, at {time_of(one.first_at or one.last_at)}" if one.first_at or one.last_at else times


def _quoted(told: Told, lines: Lines) -> Iterator[str]:
    proofs = list(dict.fromkeys(proof for one in _telling(told) for proof in one.evidence))
    for proof in proofs[:QUOTED]:
        yield place_of(proof)
        yield f"  {visible(lines.text(proof))}"
    if len(proofs) > QUOTED:
        yield f"and {len(proofs) - QUOTED} more"
    if not proofs:
        yield "none in this bundle"


def _contact() -> Iterator[str]:
    yield f"Contact (name, phone, e-mail): {FILL_IN}"
    yield f"Site and shipping address: {FILL_IN}"
    yield f"Contract or warranty: {FILL_IN}"


def _headed(title: str, lines: list[str]) -> list[str]:
    return [title, *(f"  {line}" for line in lines)]


def _prose(text: str) -> list[str]:
    return textwrap.wrap(visible(" ".join(text.split())), WIDTH - 2, break_on_hyphens=False) or [""]


def _hanging(text: str) -> list[str]:
    return [line if not number else f"    {line}" for number, line in enumerate(_indented(text))]


def _indented(text: str) -> list[str]:
    lines = textwrap.wrap(visible(text), WIDTH - 6, break_on_hyphens=False)
    return [f"  {line}" if not number else line for number, line in enumerate(lines)]


def identifiers_text(told: Told) -> str:
    """Return identifiers.txt: every identifier with where it was read, or why it is not known."""
    out = [f"Identifiers of {visible(told.part.title)} and of its box", ""]
    out += [*_prose(STAND_INS), ""] if told.disguised else []
    for one in told.identifiers:
        out.append(visible(f"{one.label:<26}{one.value or 'not readable'}"))
        out.append(
            visible(f"{'':<26}{f'from {one.source}' if one.value else one.why or 'nothing in the bundle has it'}")
        )
    return "\n".join(out) + "\n"


def identifiers_json(told: Told) -> dict[str, Any]:
    """Return identifiers.json."""
    found = {
        one.key: {"label": one.label, "value": one.value or None, "source": one.source or None, "why": one.why or None}
        for one in told.identifiers
    }
    return {
        "schema_version": 1,
        "part": told.part.id,
        "kind": told.part.kind,
        "title": told.part.title,
        "pseudonymized": told.disguised,
        "identifiers": found,
    }


def checklist_text(told: Told, sentence: str) -> str:
    """Return checklist.txt: what the maker wants, what is there, and how to get the rest."""
    have = len(told.items) - len(told.missing)
    out = [f"What {told.oem.title} wants for {visible(told.part.title)}: {have} of {len(told.items)} are here", ""]
    out += [*_prose(sentence), ""]
    for one in told.items:
        out += [
            f"[{'x' if one.have else ' '}] {line}" if not number else f"    {line}"
            for number, line in enumerate(_prose(one.what))
        ]
        out += [f"    {line}" for line in _prose(one.detail)]
        out += [f"    {line}" for line in _prose(f"how: {one.how}")] if not one.have else []
        out += [f"    source: {one.source}"] if one.source else []
    return "\n".join(out) + "\n"


def checklist_json(told: Told, sentence: str) -> dict[str, Any]:
    """Return checklist.json."""
    rows: list[dict[str, Any]] = [
        {"id": one.id, "what": one.what, "state": "have" if one.have else "missing", "detail": one.detail}
        | dict[str, Any](how=one.how, source=one.source or None)
        for one in told.items
    ]
    return {
        "schema_version": 1,
        "oem": told.oem.name,
        "oem_from": told.oem_from,
        "part": told.part.id,
        "rma_candidate": told.worthy,
        "sure": sentence,
        "items": rows,
    }


FILES = (
    ("case.txt", "the text to paste into the maker's form"),
    ("checklist.txt", "what the maker wants, what is here, how to get the rest (checklist.json for programs)"),
    ("identifiers.txt", "serial and part numbers with where they were read (identifiers.json for programs)"),
    ("evidence.txt", "the lines that prove it, with times; the BMC's records with their raw bytes"),
    ("findings.json", "the findings of this part, as bilbs diag check --json gives them"),
    ("custody.json", "which bundle this was made from, its hash, what was redacted in it"),
    ("SHA256SUMS", "hashes of all files: sha256sum -c SHA256SUMS"),
)


def guide(told: Told, sentence: str, members: Sequence[str]) -> str:
    """Return README.txt: what this folder is, what to do with it, what each file is."""
    checked = told.checked
    out = [f"Evidence for {told.oem.title}: {visible(told.part.title)} on {visible(checked.host)}", ""]
    out += [*_prose(sentence), ""]
    out += [*_prose(STAND_INS), ""] if told.disguised else []
    out += _prose(f"Maker: {told.oem.title} ({told.oem_from}). Portal: {told.oem.portal}")
    out += ["", "What to do"]
    out += _step(1, f"Get what is missing ({len(told.missing)} of {len(told.items)}): checklist.txt says how.")
    out += _step(2, f"Open a case at {told.oem.portal}, paste case.txt, fill in what is marked {FILL_IN}.")
    out += _step(3, f"Attach {told.name}.tar.gz and what you got in step 1.")
    out += _step(4, "Keep the bundle itself: the maker may ask for more of it.")
    out += ["", "Files", *(f"  {name:<16} {what}" for name, what in FILES)]
    out += [f"  {'members/':<16} copied from the bundle: {visible(', '.join(members))}"] if members else []
    out += ["", *_made_from(told)]
    return "\n".join(out) + "\n"


def _step(number: int, text: str) -> list[str]:
    return [f"  {f'{number}.' if not at else '  '} {line}" for at, line in enumerate(_prose(text))]


def _made_from(told: Told) -> Iterator[str]:
    checked, source = told.checked, told.source
    yield visible(f"Made from {source.name}, collected {show_time(checked.collected_at)} by {checked.tool}")
    yield f"sha256 of it: {source.sha256 or 'none, it is not one file'}"
    yield visible(
        f"Xid catalogue {checked.catalogue}; {'pseudonymised' if told.disguised else 'names and serial numbers are real'}"
    )
