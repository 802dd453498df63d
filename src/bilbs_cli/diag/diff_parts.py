"""GPUs, disks, memory modules, interfaces: which part of the one bundle is which of the other, what is gone, new, moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag import diff_watched, identity
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.diff_change import Change, Group, Kind, change
from bilbs_cli.diag.diff_readings import ABSENT, Subject, Tally, compared
from bilbs_cli.diag.diff_watched import Facts, Table
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.model import NotCollected, Reading, Value, branch, value

STATES = {
    "nvml": "answers the driver",
    "lost": "lost to the driver",
    "pci": "on the bus, not with the driver",
    "missing": "missing",
    "unknown": "not looked for",
}
NOT_LOOKED = NotCollected("nobody asked the driver or looked at the PCI bus")

Pair = tuple[GpuIdentity | None, GpuIdentity | None]


@dataclass(frozen=True, slots=True)
class Collection:
    """Parts of one kind below `path`. `serial` gives what a part is known by wherever it sits; empty: by its name."""

    path: str
    noun: str
    table: Table
    serial: Callable[[Facts], str] = lambda _: ""
    counts: Callable[[Facts], bool] = lambda _: True  # whether its coming and going is told here

    def parts(self, facts: Facts) -> dict[str, Any]:
        """Return the parts by name."""
        found = branch(facts, *self.path.split("/"))
        return {name: _opened(found, name) for name in found if isinstance(found[name], Mapping)}


def _opened(found: Facts, name: str) -> Any:
    """Return a part's readings; a part that is one value with areas in it (a FRU) is taken apart."""
    whole = value(found, name)
    if not isinstance(whole, Mapping):
        return found[name]
    areas = {area: fields for area, fields in whole.items() if isinstance(fields, Mapping)}
    return {area: {field: {"value": one} for field, one in fields.items()} for area, fields in areas.items()}


def _serial(part: Facts) -> str:
    found = value(part, "serial")
    return found.strip() if isinstance(found, str) else ""


def _is_no_gpu(part: Facts) -> bool:
    return value(part, "kind") not in ("gpu", "bridge")


COLLECTIONS = (
    Collection("storage/disks", "disk", diff_watched.DISK, _serial),
    Collection("storage/nvme", "NVMe controller", diff_watched.DISK, _serial),
    Collection("system/dmi/memory", "memory slot", diff_watched.MEMORY),
    Collection("network/interfaces", "interface", diff_watched.INTERFACE),
    Collection("network/infiniband", "InfiniBand adapter", diff_watched.ADAPTER),
    Collection("pci/devices", "PCI device", diff_watched.PCI, counts=_is_no_gpu),
    Collection("bmc/fru", "FRU", diff_watched.FRU),
)


def parts(before: Facts, after: Facts, tally: Tally, *, by_serial: bool) -> Iterator[Change]:
    """Yield what changed in the parts of every kind; `by_serial` is False where one side has stand-ins for serials."""
    for kind in COLLECTIONS:
        yield from _parts(kind, kind.parts(before), kind.parts(after), tally, by_serial=by_serial)


def _parts(
    kind: Collection, old: Mapping[str, Any], new: Mapping[str, Any], tally: Tally, *, by_serial: bool
) -> Iterator[Change]:
    if bool(old) != bool(new):
        yield _unread(kind, lost=bool(old), name=next(iter(old or new)), count=len(old or new))
        return
    known = kind.serial if by_serial else lambda _: ""
    pairs = _paired({name: known(one) for name, one in old.items()}, {name: known(one) for name, one in new.items()})
    for was, now in pairs:
        before = Subject(f"{kind.path}/{was}", old.get(was), f"{kind.noun} {was}")
        after = Subject(f"{kind.path}/{now}", new.get(now), f"{kind.noun} {now}")
        if was and now:
            yield from _placed(kind, before, after, was, now)
            yield from compared(kind.table, before, after, tally)
        elif kind.counts(before.node or after.node):
            yield _unpaired(before if was else after, gone=bool(was), serial=kind.serial)


def _unread(kind: Collection, *, lost: bool, name: str, count: int) -> Change:
    what = f"{kind.noun}s: none known in one of the two"
    there: Reading = Value(f"{count} {kind.noun}{'s' * (count > 1)}")
    sides: tuple[Reading, Reading] = (there, ABSENT) if lost else (ABSENT, there)
    note = "only the earlier one has them" if lost else "only the later one has them"
    path = f"{kind.path}/{name}"
    return change(Group.UNKNOWN, Kind.UNKNOWN, what, sides, kind.path, note=note, weight=1, paths=(path,), count=count)


def _paired(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the names that belong together: by serial, else by name; the rest alone, with an empty other half."""
    here = _unique(new)
    pairs = [(name, here[serial]) for serial, name in _unique(old).items() if serial in here]
    olds, news = {one for one, _ in pairs}, {one for _, one in pairs}
    pairs += [(name, name) for name in old if name in new and name not in olds | news]
    olds, news = {one for one, _ in pairs}, {one for _, one in pairs}
    alone = [(name, "") for name in old if name not in olds] + [("", name) for name in new if name not in news]
    return pairs + alone


def _unique(names: Mapping[str, str]) -> dict[str, str]:
    serials = list(names.values())
    return {serial: name for name, serial in names.items() if serial and serials.count(serial) == 1}


def _placed(kind: Collection, before: Subject, after: Subject, was: str, now: str) -> Iterator[Change]:
    """Yield that a part has another name now, or that another one has its name."""
    old, new = kind.serial(before.node), kind.serial(after.node)
    if was != now:
        what = f"{kind.noun} with serial {new}" if new else after.label
        yield change(Group.PARTS, Kind.MOVED, what, (Value(was), Value(now)), after.path, path_before=before.path)
    elif old and new and old != new:
        sides = Value(f"serial {old}"), Value(f"serial {new}")
        yield change(Group.PARTS, Kind.REPLACED, after.label, sides, after.path, path_before=before.path, weight=2)


def _unpaired(part: Subject, *, gone: bool, serial: Callable[[Facts], str]) -> Change:
    number = serial(part.node)
    there = Value(f"serial {number}" if number else "there")
    sides = (there, None) if gone else (None, there)
    kind = Kind.GONE if gone else Kind.NEW
    return change(Group.PARTS, kind, part.label, sides, part.path, weight=2 if gone else 1)


def gpus(before: Checked, after: Checked, tally: Tally, *, by_serial: bool) -> Iterator[Change]:
    """Yield what changed in the GPUs: gone, new, moved, replaced, lost or back, and what their readings say."""
    if (looked := identity.looked(before.facts)) != identity.looked(after.facts) and (before.gpus or after.gpus):
        counts = Value(len(before.gpus)), Value(len(after.gpus))
        sides: tuple[Reading, Reading] = (counts[0], NOT_LOOKED) if looked else (NOT_LOOKED, counts[1])
        note = "only one side looked for them"
        yield change(Group.UNKNOWN, Kind.UNKNOWN, "the GPUs", sides, "gpu/devices", note=note, weight=2)
        return
    for was, now in _matched(before.gpus, after.gpus, by_serial=by_serial):
        if was and now:
            yield from _same_place(before.facts, after.facts, was, now, tally, by_serial=by_serial)
        elif one := was or now:
            yield _alone(one, gone=now is None)


def _matched(old: Sequence[GpuIdentity], new: Sequence[GpuIdentity], *, by_serial: bool) -> list[Pair]:
    """Return the GPUs that belong together: the same card by UUID or serial, else the same place.

    GPUs that tell nothing but their index, or an address that another one tells too, are paired in their order.
    """
    pairs: list[Pair] = []
    lefts, rights = list(old), list(new)
    for name in ("uuid", "serial", "part") if by_serial else ("uuid", "part"):
        for left in list(lefts):
            key = getattr(left, name)
            fits = [one for one in rights if key and getattr(one, name) == key]
            only = len(fits) == 1 and sum(getattr(one, name) == key for one in lefts) == 1
            if fits and (only or name == "part"):
                pairs.append((left, fits[0]))
                lefts.remove(left)
                rights.remove(fits[0])
    alone: list[Pair] = [(one, None) for one in lefts]
    return [*pairs, *alone, *((None, one) for one in rights)]


def _same_place(
    before: Facts, after: Facts, was: GpuIdentity, now: GpuIdentity, tally: Tally, *, by_serial: bool
) -> Iterator[Change]:
    old, new = _subject(before, was), _subject(after, now)
    known = now if now.serial or not was.serial else was
    names = identity.label(known), new.path, old.path
    if _is_other_card(was, now, by_serial=by_serial):
        sides = Value(_card(was)), Value(_card(now))
        yield _gpu(Kind.REPLACED, names, sides, "another card in the same place", 2)
    elif was.pci != now.pci or (was.slot and now.slot and was.slot != now.slot):
        sides = Value(_place(was)), Value(_place(now))
        yield _gpu(Kind.MOVED, names, sides, "the same card in another place", 1)
    if was.present != now.present:
        worse = now.present != "nvml"
        kind = Kind.GONE if worse and was.present == "nvml" else Kind.NEW if now.present == "nvml" else Kind.CHANGED
        yield _gpu(kind, names, (Value(_present(was)), Value(_present(now))), "", 3)
    if was.index != now.index and None not in {was.index, now.index}:
        sides = Value(was.index), Value(now.index)
        yield _gpu(Kind.CHANGED, names, sides, "its index for nvidia-smi and CUDA", 0)
    yield from compared(diff_watched.GPU, old, new, tally)


def _gpu(
    kind: Kind, names: tuple[str, str, str], sides: tuple[Reading | None, Reading | None], note: str, weight: int
) -> Change:
    what, path, path_before = names
    return change(Group.GPUS, kind, what, sides, path, path_before=path_before, note=note, weight=weight)


def _present(gpu: GpuIdentity) -> str:
    return STATES.get(gpu.present, gpu.present)


def _is_other_card(was: GpuIdentity, now: GpuIdentity, *, by_serial: bool) -> bool:
    pairs = [(was.uuid, now.uuid), *([(was.serial, now.serial)] if by_serial else [])]
    return any(one and other and one != other for one, other in pairs)


def _card(gpu: GpuIdentity) -> str:
    return f"serial {gpu.serial}" if gpu.serial else gpu.uuid or gpu.name or "unknown card"


def _place(gpu: GpuIdentity) -> str:
    place = identity.place_of(gpu)
    return f"{gpu.pci}, {place}" if place else gpu.pci or f"index {gpu.index}"


def _alone(gpu: GpuIdentity, *, gone: bool) -> Change:
    there = Value(f"{_card(gpu)} at {_place(gpu)}: {_present(gpu)}")
    sides = (there, None) if gone else (None, there)
    path = f"gpu/pci/{gpu.pci}" if gpu.pci else "gpu/devices"
    return _gpu(Kind.GONE if gone else Kind.NEW, (identity.label(gpu), path, path), sides, "", 3 if gone else 2)


def _label(gpu: GpuIdentity) -> str:
    named = "GPU" if gpu.index is None else f"GPU {gpu.index}"
    return f"{named} ({gpu.pci})" if gpu.pci else named


def _subject(facts: Facts, gpu: GpuIdentity) -> Subject:
    devices = branch(facts, "gpu", "devices")
    for name, device in devices.items():
        if isinstance(device, Mapping) and gpu.pci and identity.address_of(device) == gpu.pci:
            return Subject(f"gpu/devices/{name}", device, _label(gpu))
    if gpu.index is not None and not gpu.pci:
        return Subject(f"gpu/devices/{gpu.index}", devices.get(str(gpu.index), {}), _label(gpu))
    return Subject(f"gpu/pci/{gpu.pci}", {}, _label(gpu))
