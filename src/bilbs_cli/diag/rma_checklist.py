"""The checklist of a packet: what the maker wants, whether the bundle has it, and how to get what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Finding, Severity, moment
from bilbs_cli.diag.model import Value, lookup, value
from bilbs_cli.diag.rma_identifiers import REAL_NAMES, Identifier
from bilbs_cli.diag.rma_oems import Oem, Want
from bilbs_cli.diag.rma_parts import Part
from bilbs_cli.diag.swaps import Follows

BUG_REPORT = "gpu/nvidia-bug-report.log"
NAMED = 3


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist. `detail` says where it is, or why it is missing."""

    id: str
    what: str
    have: bool
    detail: str
    how: str
    source: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the checks may look at."""

    checked: Checked
    part: Part
    identifiers: Sequence[Identifier]
    findings: Sequence[Finding]
    follows: Follows
    disguised: bool
    has_member: Callable[[str], bool]


Answer = tuple[bool, str]


def checklist(oem: Oem, known: Known) -> tuple[Item, ...]:
    """Return the checklist of a maker for a part, in the order of the data."""
    return tuple(_item(want, known) for want in oem.wants_for(known.part.kind))


def _item(want: Want, known: Known) -> Item:
    name, _, argument = want.check.partition(":")
    have, detail = CHECKS[name](argument, known)
    return Item(want.id, want.what, have, detail, want.how, want.source)


def _identifier(key: str, known: Known) -> Answer:
    found = next((one for one in known.identifiers if one.key == key), None)
    if found is None or not found.value:
        return False, f"not readable: {found.why if found else 'parts of this kind have none'}"
    if known.disguised and key in REAL_NAMES:
        return False, f"only its pseudonym {found.value} is here"
    return True, f"{found.value}, from {found.source}"


def _evidence(_: str, known: Known) -> Answer:
    count = sum(len(one.evidence) for one in known.findings)
    timed = sum(proof.at is not None for one in known.findings for proof in one.evidence)
    return bool(
        count
    ), f"{count} lines, {timed} with times: evidence.txt" if count else "no finding speaks of this part"


def _swap(_: str, known: Known) -> Answer:
    words = {
        Follows.CARD: "earlier checks saw it follow the card",
        Follows.SLOT: "earlier checks saw it stay with the slot: that speaks against the card",
        Follows.BOTH: "earlier checks saw it both ways",
        Follows.UNKNOWN: "the card was not moved yet, as far as earlier checks know",
    }
    return known.follows is Follows.CARD, words[known.follows]


def _bug_report(when: str, known: Known) -> Answer:
    if not known.has_member(BUG_REPORT):
        return False, "not in this bundle"
    booted = moment(value(known.checked.facts, "system", "booted_at"))
    times = [at for one in known.findings if (at := moment(one.last_at))]
    if booted is None or not times:
        return False, f"{BUG_REPORT} is there, but not known is whether the box was restarted after the fault"
    since = "after a restart that followed the fault" if max(times) < booted else "in the boot of the fault"
    return (max(times) < booted) == (when == "cycle"), f"{BUG_REPORT} was taken {since}"


def _proof(words: str, known: Known) -> Answer:
    proofs = [proof for one in known.findings for proof in one.have if words.lower() in proof.lower()]
    return bool(proofs), proofs[0] if proofs else "no result of it in this bundle"


def _nothing_else(_: str, known: Known) -> Answer:
    mine = {one.key for one in known.findings}
    others = [one for one in known.checked.judgement.findings if one.key not in mine and not one.caused_by]
    loud = [one for one in others if one.severity is not Severity.INFO]
    if not known.checked.judgement.evaluated:
        return False, "nothing of this box could be evaluated"
    named = ", ".join(f"{one.rule} ({one.part})" for one in loud[:NAMED])
    more = f" and {len(loud) - NAMED} more" if len(loud) > NAMED else ""
    return not loud, f"there are other findings: {named}{more}" if loud else "nothing else was found on this box"


def _member(name: str, known: Known) -> Answer:
    there = known.has_member(name)
    return there, f"members/{name}" if there else f"{name} is not in this bundle"


def _smart(_: str, known: Known) -> Answer:
    found = lookup(known.checked.facts, *known.part.path.split("/"), "smart", "passed")
    return isinstance(found, Value), "read by smartctl or nvme, in the bundle" if isinstance(
        found, Value
    ) else "not in this bundle"


def _manual(_: str, _known: Known) -> Answer:
    return False, "no program on this box can make it"


CHECKS: dict[str, Callable[[str, Known], Answer]] = {
    "identifier": _identifier,
    "evidence": _evidence,
    "swap": _swap,
    "bug_report": _bug_report,
    "proof": _proof,
    "nothing_else": _nothing_else,
    "member": _member,
    "smart": _smart,
    "manual": _manual,
}
