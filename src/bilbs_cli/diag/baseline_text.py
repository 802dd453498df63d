"""What `bilbs diag baseline` prints: the cards, the rest in numbers, what a new baseline would change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bilbs_cli import terminal
from bilbs_cli.diag import baseline as baselines
from bilbs_cli.diag.baseline import Baseline, KnownGpu
from bilbs_cli.diag.identity import named_slot
from bilbs_cli.diag.memory import BASELINE, Kept
from bilbs_cli.errors import ConfigProblem, NotFound

KIND = "diag.baseline"


def show(kept: Kept, state: Path) -> None:
    """Print the baseline and what the history holds. Raises `NotFound` without one, `ConfigProblem` for a broken one."""
    path = state / BASELINE
    if kept.problem:
        said = f"the baseline in {path} cannot be read: {kept.problem}"
        raise ConfigProblem(said, code="baseline-broken", next="bilbs diag baseline set")
    if kept.baseline is None:
        raise NotFound(
            f"no baseline yet in {state}",
            code="no-baseline",
            next="bilbs diag baseline set (or a check that finds nothing)",
        )
    data = as_json(kept.baseline, path) | {"history": _history_json(kept)}
    terminal.emit(KIND, data, text=lambda: _show(kept, path))


def as_json(known: Baseline, path: Path | None = None) -> dict[str, Any]:
    """Return `data` of the commands that print a baseline."""
    return {"path": str(path) if path else None, "baseline": baselines.encode(known)}


def _history_json(kept: Kept) -> dict[str, Any]:
    history = kept.history
    first = min((one.at for one in history.samples), default=None)
    return {
        "samples": len(history.samples),
        "since": first.isoformat() if first else None,
        "boots": len(history.boots),
        "faults": baselines.encode_history(history)["faults"],
    }


def _show(kept: Kept, path: Path) -> None:
    known, history = kept.baseline, kept.history
    if known is None:
        return
    terminal.out(f"Baseline of {known.taken_at:%Y-%m-%d %H:%M} UTC, by {known.by or 'an unknown hand'}")
    _table(known)
    terminal.out(_rest(known))
    faults = len(history.faults)
    terminal.out(f"history: {len(history.samples)} samples, {len(history.boots)} boots, {faults} faults seen before")
    terminal.out(f"kept in {path}")


def _table(known: Baseline) -> None:
    if known.gpus:
        rows = [_row(gpu) for gpu in known.gpus]
        terminal.table(("PCI address", "place", "serial", "PCIe", "NVLinks up"), rows)
    else:
        terminal.out("no GPU")


def _row(gpu: KnownGpu) -> tuple[str, ...]:
    place = named_slot(gpu.slot) if gpu.slot else f"module {gpu.module_id}" if gpu.module_id else "-"
    speed = f" gen {gpu.pcie_generation}" if gpu.pcie_generation else ""
    width = f"x{gpu.pcie_width}{speed}" if gpu.pcie_width else "-"
    return gpu.pci or "-", place, gpu.serial or "-", width, str(len(gpu.nvlinks_up) or "-")


def _rest(known: Baseline) -> str:
    dimms = "unknown" if known.dimms is None else str(known.dimms)
    return (
        f"driver {known.driver or 'unknown'}; memory modules: {dimms}; disks: {len(known.disks)}; "
        f"sensors: {len(known.sensors)}; network up: {len(known.interfaces)}"
    )


def propose(old: Baseline | None, new: Baseline, doubts: tuple[str, ...]) -> None:
    """Print what would be taken, how it differs from the old one, and why a person should look at it first."""
    if terminal.wants_json():
        return
    terminal.out("This box now:")
    _table(new)
    terminal.out(_rest(new))
    for line in changes(old, new) if old else ():
        terminal.out(f"  {line}")
    if doubts:
        terminal.out("It does not look healthy:")
        for doubt in doubts:
            terminal.out(f"  - {doubt}")


def changes(old: Baseline, new: Baseline) -> Iterator[str]:
    """Yield what differs between two baselines, a line each."""
    before, after = ({_name(one): one for one in known.gpus} for known in (old, new))
    yield from (f"gone: GPU {name} at {before[name].pci}" for name in before if name not in after)
    yield from (f"new: GPU {name} at {after[name].pci}" for name in after if name not in before)
    for name in before:
        if name in after and before[name].pci != after[name].pci:
            yield f"moved: GPU {name} from {before[name].pci} to {after[name].pci}"
        if name in after and (down := before[name].nvlinks_up - after[name].nvlinks_up):
            yield f"NVLinks of GPU {name} that were up and are not: {', '.join(map(str, sorted(down)))}"
    if old.dimms != new.dimms:
        yield f"memory modules: {old.dimms if old.dimms is not None else '?'} before, {new.dimms or '?'} now"
    for what, was, now in (
        ("disk", old.disks, new.disks),
        ("sensor", old.sensors, new.sensors),
        ("interface", old.interfaces, new.interfaces),
    ):
        yield from (f"gone: {what} {one}" for one in was if one not in now)


def _name(gpu: KnownGpu) -> str:
    return gpu.serial or gpu.uuid or gpu.pci


def taken(new: Baseline, doubts: tuple[str, ...], state: Path) -> None:
    """Print that a baseline was taken."""
    path = state / BASELINE
    data = as_json(new, path) | {"doubts": list(doubts)}
    terminal.emit(KIND, data, text=f"The baseline is taken: {len(new.gpus)} GPUs, in {path}")


def left_alone(old: Baseline | None) -> None:
    """Print that nothing was taken."""
    stays = f"the one of {old.taken_at:%Y-%m-%d} stays" if old else "there is none yet"
    terminal.note(f"Nothing was changed: {stays}.")


def forgotten(removed: tuple[Path, ...]) -> None:
    """Print what was removed."""
    names = ", ".join(str(path) for path in removed)
    text = f"Removed: {names}" if removed else "There was nothing to forget."
    terminal.emit(KIND, {"removed": [str(path) for path in removed]}, text=text)
