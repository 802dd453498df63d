"""The swap-test ledger: does a fault follow the card or stay with the slot? Worked out from earlier checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bilbs_cli.diag import identity
from bilbs_cli.diag.baseline import History, PastFault, Sample, history_of
from bilbs_cli.diag.findings import Box, Finding, Judgement, Verdict
from bilbs_cli.diag.identity import GpuIdentity, named_slot, place_of
from bilbs_cli.diag.past import faults_of


class Follows(StrEnum):
    """What a fault sticks to."""

    CARD = "card"
    SLOT = "slot"
    BOTH = "both"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Placement:
    """A card in a place with the fault: `at` is the first time that it was seen there."""

    at: datetime
    pci: str
    serial: str
    slot: str = ""

    @property
    def where(self) -> str:
        """Return the place for people."""
        return named_slot(self.slot) if self.slot else self.pci


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault (a rule, on a card or in a place) and every placement it was seen in, oldest first."""

    rule: str
    pci: str
    serial: str
    follows: Follows
    words: str
    placements: tuple[Placement, ...] = ()


def ledger(history: History, faults: Iterable[PastFault], gpus: Sequence[GpuIdentity]) -> tuple[Entry, ...]:
    """Return one entry for every fault of now, in their order, then for past ones whose moves decided something.

    A fault follows the card when the same serial had it in two places, and stays with the slot when two serials had it
    in one place. Both at once, or fewer than two placements with a known serial, decide nothing.
    """
    present = list(faults)
    every = [*history.faults, *present]
    now = dict.fromkeys((one.rule, one.pci, one.serial) for one in present)
    entries = [_entry(*name, every, history, gpus) for name in now]
    told = {placement for one in entries for placement in ((one.rule, it) for it in one.placements)}
    for name in dict.fromkeys((one.rule, one.pci, one.serial) for one in reversed(history.faults)):
        past = _entry(*name, every, history, gpus)
        if past.follows is not Follows.UNKNOWN and not {(past.rule, it) for it in past.placements} <= told:
            entries.append(past)
            told |= {(past.rule, it) for it in past.placements}
    return tuple(entries)


def _entry(
    rule: str, pci: str, serial: str, every: list[PastFault], history: History, gpus: Sequence[GpuIdentity]
) -> Entry:
    seen = [one for one in every if one.rule == rule and one.serial and one.pci]
    of_card = _placements(one for one in seen if one.serial == serial)
    of_slot = _placements(one for one in seen if one.pci == pci)
    moved, shared = len({one.pci for one in of_card}) > 1, len({one.serial for one in of_slot}) > 1
    both = tuple(sorted({*of_card, *of_slot}, key=lambda one: (one.at, one.pci, one.serial)))
    if moved and shared:
        return Entry(rule, pci, serial, Follows.BOTH, _both(serial, of_card, of_slot), both)
    if moved:
        return Entry(rule, pci, serial, Follows.CARD, _card(serial, of_card), of_card)
    if shared:
        return Entry(rule, pci, serial, Follows.SLOT, _slot(of_slot), of_slot)
    return Entry(rule, pci, serial, Follows.UNKNOWN, _unknown(rule, pci, serial, both, history, gpus), both)


def _placements(faults: Iterable[PastFault]) -> tuple[Placement, ...]:
    """Return the first time of each card in each place."""
    first: dict[tuple[str, str], Placement] = {}
    for one in sorted(faults, key=lambda one: one.at):
        first.setdefault((one.pci, one.serial), Placement(one.at, one.pci, one.serial, one.slot))
    return tuple(first.values())


def _card(serial: str, placements: tuple[Placement, ...]) -> str:
    return f"follows the card (serial {serial}): {_in_places(placements)}"


def _slot(placements: tuple[Placement, ...]) -> str:
    cards = ", ".join(f"serial {one.serial} on {one.at:%Y-%m-%d}" for one in placements)
    return f"stays with the slot ({placements[-1].where}): {cards}; look at riser, cable and board, not at the card"


def _both(serial: str, of_card: tuple[Placement, ...], of_slot: tuple[Placement, ...]) -> str:
    return (
        f"undecided: card {serial} had it {_in_places(of_card)}, and {of_slot[-1].where} had it with "
        f"{len({one.serial for one in of_slot})} cards: power, cooling or software may be the cause"
    )


def _in_places(placements: tuple[Placement, ...]) -> str:
    return ", ".join(f"in {one.where} on {one.at:%Y-%m-%d}" for one in placements)


def _unknown(
    rule: str, pci: str, serial: str, seen: tuple[Placement, ...], history: History, gpus: Sequence[GpuIdentity]
) -> str:
    if not serial:
        return "unknown: the serial of the card with this fault is not known, so no move of it can be followed"
    if quiet := _healed(rule, pci, serial, history, seen):
        return quiet
    here = next((one for one in gpus if one.pci == pci), None)
    other = next((one for one in gpus if one.pci != pci and one.present == "nvml" and one.serial), None)
    if here and here.slot.startswith("module"):
        return "not moved yet: modules of a baseboard are swapped by the vendor's service; ask for it, then check again"
    if other is None or here is None:
        return "not moved yet: put the card into another slot and check again"
    partner = place_of(other) or other.pci
    return (
        f"not moved yet: swap it with the card in {partner} (serial {other.serial}) and check again: "
        "a fault that moves along is the card's, one that stays is the slot's"
    )


def _healed(rule: str, pci: str, serial: str, history: History, seen: tuple[Placement, ...]) -> str:
    """Return that the card sat elsewhere before without this fault: a hint, and no proof (it may just be new)."""
    last = _elsewhere(history.samples, pci, serial)
    if last is None or any(one.serial == serial and one.pci != pci for one in seen):
        return ""
    where = named_slot(last.slot) if last.slot else last.pci
    return (
        f"unknown: this card had no {rule} in {where} (last seen there on {last.at:%Y-%m-%d}); it points to the slot, "
        "and proves it when the next card in it fails too"
    )


def _elsewhere(samples: Sequence[Sample], pci: str, serial: str) -> Sample | None:
    return next((one for one in reversed(samples) if one.serial == serial and one.pci and one.pci != pci), None)


def swap_note(finding: Finding, entries: Iterable[Entry], gpus: Sequence[GpuIdentity]) -> str:
    """Return what the ledger says of a finding, a sentence to put beside it; empty where it says nothing.

    An undecided test is only proposed where a person is to look at the hardware anyway.
    """
    gpu = next((one for one in gpus if one.part == finding.part), None)
    mine = [one for one in entries if gpu and one.rule == finding.rule and one.pci == gpu.pci]
    found = next((one for one in mine if gpu and one.serial == gpu.serial), mine[0] if mine else None)
    if found is None or (found.follows is Follows.UNKNOWN and finding.verdict.rank < Verdict.INSPECT.rank):
        return ""
    return f"Swap test: {found.words}."


def noted(judgement: Judgement, box: Box) -> Judgement:
    """Return a judgement whose findings carry what the ledger says of them, as a note."""
    gpus = identity.gpus(box)
    entries = ledger(history_of(box.facts), faults_of(box, judgement), gpus)
    return replace(judgement, findings=tuple(_noted(one, swap_note(one, entries, gpus)) for one in judgement.findings))


def _noted(finding: Finding, note: str) -> Finding:
    return replace(finding, notes=(*finding.notes, note)) if note else finding
