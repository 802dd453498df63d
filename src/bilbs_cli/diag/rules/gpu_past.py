"""What is remembered of a GPU: its baseline, earlier counters of the same card, and earlier boots with the same fault."""

from __future__ import annotations

from datetime import datetime, timedelta

from bilbs_cli.diag import identity
from bilbs_cli.diag.baseline import Baseline, History, KnownGpu, Sample, baseline_of, history_of
from bilbs_cli.diag.findings import Box, Case, Unjudged, moment
from bilbs_cli.diag.model import branch, value

BASELINE, HISTORY = "/memory/baseline", "/memory/history"
JITTER = timedelta(seconds=5)  # of the time of the boot, which is now minus the uptime


def _baseline(box: Box) -> Baseline | None:
    return baseline_of(box.facts)


def _history(box: Box) -> History:
    return history_of(box.facts)


def baseline(case: Case) -> Baseline | None:
    """Return the baseline of the box."""
    return case.box.derive(_baseline)


def serial_of(case: Case) -> str:
    """Return the serial that the GPU tells of itself, empty where it tells none."""
    found = case.get("serial")
    return found if isinstance(found, str) else ""


def address_of(case: Case) -> str:
    """Return the PCI address of the GPU before the judge, empty where unknown."""
    return identity.address_of(branch(case.box.facts, *case.path))


def known_place(case: Case) -> KnownGpu | None:
    """Return what the baseline has at this GPU's address: links and lanes belong to the place."""
    found = baseline(case)
    return found.gpu_at(address_of(case)) if found else None


def known_card(case: Case) -> KnownGpu | None:
    """Return what the baseline has of this card: by its serial, by its address where either serial is unknown."""
    found, serial = baseline(case), serial_of(case)
    if found is None:
        return None
    place = found.gpu_at(address_of(case))
    return found.gpu_with(serial) or (place if place and not (serial and place.serial) else None)


def samples(case: Case) -> list[Sample]:
    """Return the earlier samples of this card, oldest first; by its address only where its serial is not known."""
    serial, pci, every = serial_of(case), address_of(case), case.box.derive(_history).samples
    now = [one for one in every if one.at < case.box.now]
    if serial:
        return [one for one in now if one.serial == serial]
    return [one for one in now if pci and one.pci == pci and not one.serial]


def booted_at(box: Box) -> datetime | None:
    """Return when the running system was started."""
    return moment(value(box.facts, "system", "booted_at"))


def since_boot(case: Case, name: str, at_least: timedelta) -> tuple[Sample, int]:
    """Return the last sample of a counter that starts at 0 with the driver: of this boot, and not just now.

    Raises `Unjudged` when there is none.
    """
    began = booted_at(case.box)
    usable = [
        one
        for one in samples(case)
        if name in one.counters and case.box.now - one.at >= at_least and (began is None or one.at >= began)
    ]
    if not usable:
        raise Unjudged(HISTORY, f"no earlier check of this boot counted {name.replace('_', ' ')} of this GPU")
    return usable[-1], usable[-1].counters[name]


def earlier_faults(box: Box, pci: str, serial: str, rules: frozenset[str]) -> list[datetime]:
    """Return when earlier boots had one of these faults: on this card, or in this place with a card unknown by serial."""
    began, faults = booted_at(box), box.derive(_history).faults
    if began is None:
        return []
    own = [
        one
        for one in faults
        if one.rule in rules
        and (one.serial == serial if serial and one.serial else bool(pci) and one.pci == pci)
        and one.at < began - JITTER
    ]
    boots = {one.boot or one.at.isoformat(): one.at for one in own}
    return sorted(boots.values())
