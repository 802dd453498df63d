"""The swap-test ledger: card or slot, and when it may not say."""

from __future__ import annotations

from dataclasses import replace

from bilbs_cli.diag.baseline import History, PastFault, Sample
from bilbs_cli.diag.findings import Verdict
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.swaps import Follows, ledger, noted, swap_note
from tests.diag.remembered import DAY, NOW, box, cards, fault, judged

A, B = "0000:3b:00.0", "0000:5e:00.0"
SLOT = {A: "3", B: "5"}


def past(pci: str, serial: str, days_ago: int = 0, rule: str = "xid.79") -> PastFault:
    return PastFault(NOW - days_ago * DAY, f"boot{days_ago}", rule, pci, serial, SLOT[pci])


def gpu(pci: str, serial: str, present: str = "nvml") -> GpuIdentity:
    return GpuIdentity(
        pci, serial=serial, serial_from="the driver", slot=SLOT[pci], slot_from="SMBIOS", present=present
    )


def test_the_same_card_in_two_slots_carries_the_fault() -> None:
    (entry,) = ledger(History(faults=(past(A, "165", 9),)), [past(B, "165")], [gpu(A, "166"), gpu(B, "165")])
    assert entry.follows is Follows.CARD
    assert entry.words == "follows the card (serial 165): in slot 3 on 2026-11-12, in slot 5 on 2026-11-21"


def test_two_cards_in_one_slot_acquit_the_card() -> None:
    (entry,) = ledger(History(faults=(past(A, "165", 9),)), [past(A, "166")], [gpu(A, "166"), gpu(B, "165")])
    assert entry.follows is Follows.SLOT
    assert entry.words.startswith("stays with the slot (slot 3): serial 165 on 2026-11-12, serial 166 on 2026-11-21")


def test_both_at_once_decide_nothing() -> None:
    history = History(faults=(past(A, "165", 9), past(A, "166", 8)))
    (entry,) = [one for one in ledger(history, [past(B, "165")], []) if one.pci == B]
    assert entry.follows is Follows.CARD
    (entry,) = ledger(History(faults=(past(A, "165", 9), past(B, "165", 8))), [past(A, "166"), past(B, "165")], [])[1:]
    assert entry.follows is Follows.CARD
    (entry, *_) = ledger(
        History(faults=(past(A, "165", 9), past(B, "165", 8), past(B, "166", 7))), [past(B, "165")], []
    )
    assert entry.follows is Follows.BOTH
    assert entry.words.startswith("undecided")


def test_one_placement_is_unknown_and_says_what_to_swap() -> None:
    gpus = [gpu(A, "165", "lost"), gpu(B, "166")]
    (entry,) = ledger(History(), [past(A, "165")], gpus)
    assert entry.follows is Follows.UNKNOWN
    assert entry.words.startswith("not moved yet: swap it with the card in slot 5 (serial 166) and check again")


def test_the_same_placement_twice_is_still_one() -> None:
    (entry,) = ledger(History(faults=(past(A, "165", 9), past(A, "165", 3))), [past(A, "165")], [])
    assert entry.follows is Follows.UNKNOWN
    assert len(entry.placements) == 1


def test_another_fault_is_another_test() -> None:
    entries = ledger(History(faults=(past(A, "165", 9, rule="xid.48"),)), [past(B, "165")], [])
    assert [one.follows for one in entries] == [Follows.UNKNOWN]


def test_a_card_without_a_serial_cannot_be_followed() -> None:
    (entry,) = ledger(History(faults=(past(A, "", 9), past(A, "165", 5))), [past(A, "")], [gpu(A, "")])
    assert entry.follows is Follows.UNKNOWN
    assert "serial" in entry.words


def test_a_card_that_was_well_elsewhere_is_a_hint_and_no_proof() -> None:
    history = History(samples=(Sample(NOW - 9 * DAY, "b", A, "165", {}, "3"),))
    (entry,) = ledger(history, [past(B, "165")], [gpu(B, "165")])
    assert entry.follows is Follows.UNKNOWN
    assert "no xid.79 in slot 3 (last seen there on 2026-11-12)" in entry.words


def test_a_past_fault_that_a_move_decided_is_told_though_it_is_quiet_now() -> None:
    (entry,) = ledger(History(faults=(past(A, "165", 9), past(B, "165", 4))), [], [])
    assert entry.follows is Follows.CARD


def test_a_finding_gets_the_note_of_its_own_fault_and_place() -> None:
    gpus = [gpu(A, "166"), gpu(B, "165")]
    entries = ledger(History(faults=(past(A, "165", 9),)), [past(B, "165")], gpus)
    assert swap_note(fault(f"gpu:{B}"), entries, gpus).startswith("Swap test: follows the card (serial 165)")
    assert swap_note(fault(f"gpu:{A}"), entries, gpus) == ""
    assert swap_note(fault(f"gpu:{B}", rule="xid.48"), entries, gpus) == ""
    assert swap_note(fault("host"), entries, gpus) == ""


def test_a_swap_is_proposed_only_where_somebody_looks_at_the_hardware() -> None:
    gpus = [gpu(A, "165"), gpu(B, "166")]
    entries = ledger(History(), [past(A, "165")], gpus)
    assert swap_note(fault(f"gpu:{A}"), entries, gpus) == ""
    assert "not moved yet" in swap_note(replace(fault(f"gpu:{A}"), verdict=Verdict.INSPECT), entries, gpus)


def test_nobody_is_sent_to_swap_the_modules_of_a_baseboard() -> None:
    gpus = [replace(gpu(A, "165"), slot="module 3", module_id=3), gpu(B, "166")]
    (entry,) = ledger(History(), [past(A, "165")], gpus)
    assert "by the vendor's service" in entry.words


def test_a_judgement_gets_its_notes_from_the_memory_in_the_facts() -> None:
    before = {"at": (NOW - DAY).isoformat(), "boot": "b1", "rule": "xid.79", "pci": A, "serial": "165", "slot": "3"}
    found = noted(judged(fault(f"gpu:{B}"), fault("host")), box(cards(b5e="165"), history={"faults": [before]}))
    assert found.findings[0].notes[0].startswith("Swap test: follows the card (serial 165): in slot 3 on 2026-11-20")
    assert found.findings[1].notes == ()
