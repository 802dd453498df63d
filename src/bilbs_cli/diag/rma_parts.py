"""Which part is meant: `gpu:1`, `gpu:serial:165...`, `slot:5`, `psu:2`, `fan:FAN2`, `dimm:A1`, `disk:nvme0n1`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bilbs_cli.diag import identity, slots
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Box, Facts
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.model import branch, value
from bilbs_cli.errors import NotFound, UsageProblem

TEXT = 80
LISTED = 24  # parts named in an error
NUMBER = re.compile(r"(\d{1,4})\D*$")
SUPPLY = re.compile(r"(?:\bpsu|\bps|power supply)[ _-]?(\d{1,3})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One replaceable part.

    `id` is its name in findings where rules speak of it (else one of this form), `title` that for people. `names` are all
    that a person may type for it (lower case), `spoken` the parts of findings that speak of it. `path` is its place in
    the facts, `sensors` the keys of its sensors, `fru` the id of its FRU; each empty where there is none.
    """

    kind: str
    id: str
    title: str
    names: tuple[str, ...]
    spoken: frozenset[str]
    path: str = ""
    gpu: GpuIdentity | None = None
    sensors: frozenset[str] = frozenset()
    fru: str = ""


def resolve(checked: Checked, text: str) -> Part:
    """Return the part that a person means. Raises `NotFound` with what there is, `UsageProblem` where it fits two."""
    wanted = _name(text)
    known = all_parts(checked)
    fits = [one for one in known if wanted in one.names]
    exact = [one for one in fits if wanted == one.id.lower()] or fits
    if len(exact) == 1:
        return exact[0]
    if exact:
        named = ", ".join(one.id for one in exact[:LISTED])
        raise UsageProblem(f"{text} fits {len(exact)} parts: {named}", code="ambiguous-part", next="name one of them")
    if empty := next((row for row in _slots(checked) if wanted in _slot_names(row.slot)), None):
        raise NotFound(f"nothing is known to be in {text} ({empty.state}): there is no part to replace in it")
    raise NotFound(
        f"this bundle has no part {text}; it has {_offer(known)}", code="no-such-part", next=_nearest(wanted, known)
    )


def _nearest(wanted: str, known: Iterable[Part]) -> str:
    names = {name: one for one in known for name in one.names}
    alike = [name for name in names if name.partition(":")[0] == wanted.partition(":")[0]]
    close = difflib.get_close_matches(wanted[:TEXT], alike or names, n=1, cutoff=0.5)
    return f"did you mean --part {close[0]} ({names[close[0]].title})?" if close else "name one of these with --part"


def _offer(known: tuple[Part, ...]) -> str:
    shown = ", ".join(one.names[0] for one in known[:LISTED])
    return (shown + (f" and {len(known) - LISTED} more" if len(known) > LISTED else "")) or "none at all"


def all_parts(checked: Checked) -> tuple[Part, ...]:
    """Return every part that the bundle knows of, GPUs first, then what findings speak of besides."""
    facts = checked.facts
    makers = (_supplies(facts), _fans(facts), _dimms(facts), _disks(facts), _networks(facts), _pci(facts))
    found = [*(_gpu(one) for one in checked.gpus), *(part for parts in makers for part in parts)]
    taken = {name for one in found for name in one.spoken}
    rest = dict.fromkeys(one.part for one in checked.judgement.findings if one.part not in taken)
    found += [_other(name) for name in rest if ":" in name]
    return tuple(_in_slots(checked, found))


def _name(text: str) -> str:
    return " ".join(text.split()).lower()


def _names(*texts: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_name(one) for one in texts if one))


def _gpu(gpu: GpuIdentity) -> Part:
    spoken = {gpu.part, f"pci:{gpu.pci}"} | ({f"gpu:index:{gpu.index}"} if gpu.index is not None else set())
    short = gpu.pci.removesuffix(".0")
    names = [f"gpu:{gpu.index}" if gpu.index is not None else "", gpu.part, f"gpu:{gpu.pci}" if gpu.pci else ""]
    names += [f"gpu:{short}", f"gpu:{short.removeprefix('0000:')}"] if gpu.pci else []
    names += [f"gpu:serial:{gpu.serial}", f"gpu:{gpu.serial}"] if gpu.serial else []
    names += [f"gpu:{gpu.uuid}", f"gpu:uuid:{gpu.uuid}"] if gpu.uuid else []
    path = f"gpu/devices/{gpu.index}" if gpu.index is not None else ""
    title = identity.label(replace(gpu, serial=""))  # the serial is an identifier, told with where it is from
    return Part("gpu", gpu.part, title, _names(*names), frozenset(spoken - {"pci:"}), path, gpu)


def _sensors(facts: Facts) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield key, name and reading of the BMC's sensors that have a name."""
    found = branch(facts, "bmc", "sensors")
    for key in found:
        one = value(found, key)
        if isinstance(one, Mapping) and isinstance(one.get("name"), str) and one["name"]:
            yield key, one["name"][:TEXT], one


def _supplies(facts: Facts) -> Iterator[Part]:
    """Yield the power supplies, by the number that sensors, entities and FRUs give them."""
    numbers: dict[int, dict[str, str]] = {}
    for key, name, one in _sensors(facts):
        if found := SUPPLY.search(name) or SUPPLY.search(str(one.get("entity"))):
            numbers.setdefault(int(found[1]), {})[key] = name
    frus = dict(_supply_frus(facts))
    for number in sorted({*numbers, *frus}):
        mine = numbers.get(number, {})
        spoken = {f"psu:{number}", f"psu:PSU{number}", *(f"bmc:sensor:{name}" for name in mine.values())}
        names = _names(f"psu:{number}", f"psu:psu{number}", *spoken, *(f"psu:{name}" for name in mine.values()))
        fru = frus.get(number, "")
        path = f"bmc/fru/{fru}" if fru else ""
        yield Part(
            "psu", f"psu:{number}", f"power supply {number}", names, frozenset(spoken), path, None, frozenset(mine), fru
        )


def _supply_frus(facts: Facts) -> Iterator[tuple[int, str]]:
    frus = branch(facts, "bmc", "fru")
    for number in frus:
        one = value(frus, number)
        if isinstance(one, Mapping) and (found := SUPPLY.search(str(one.get("name"))[:TEXT])):
            yield int(found[1]), number


def _fans(facts: Facts) -> Iterator[Part]:
    for key, name, one in _sensors(facts):
        if one.get("type") == "Fan" or re.match(r"fan\b", str(one.get("entity"))):
            number = NUMBER.search(name)
            spoken = frozenset({f"bmc:sensor:{name}", f"fan:{name}"})
            names = _names(f"fan:{name}", *spoken, f"fan:{number[1]}" if number else "")
            yield Part("fan", f"fan:{name}", f"fan {name}", names, spoken, f"bmc/sensors/{key}", None, frozenset({key}))


def _dimms(facts: Facts) -> Iterator[Part]:
    labels = {label.lower(): place for label, place in _edac(facts)}
    for locator in branch(facts, "system", "dmi", "memory"):
        if value(facts, "system", "dmi", "memory", locator, "populated") is not False:
            names = _names(f"dimm:{locator}", *(f"dimm:{word}" for word in locator.split() if len(word) > 1))
            spoken = {f"dimm:{locator}", *(f"dimm:{label}" for label in labels if locator.lower() in label)}
            path = f"system/dmi/memory/{locator}"
            yield Part(
                "dimm", f"dimm:{locator}"[:TEXT], f"memory module {locator}"[:TEXT], names, frozenset(spoken), path
            )


def _edac(facts: Facts) -> Iterator[tuple[str, str]]:
    for controller, one in branch(facts, "system", "edac").items():
        for dimm, readings in branch(one, "dimms").items() if isinstance(one, Mapping) else ():
            label = value(readings, "label") if isinstance(readings, Mapping) else None
            if isinstance(label, str) and label:
                yield label, f"{controller}/{dimm}"


def _disks(facts: Facts) -> Iterator[Part]:
    controllers = set(branch(facts, "storage", "nvme"))
    disks = branch(facts, "storage", "disks")
    for name in disks:
        found = re.match(r"(nvme\d+)n\d+", name)
        controller = found[1] if found else ""
        controllers.discard(controller)
        yield _disk("disk", name, f"storage/disks/{name}", _serials(facts, name, controller), controller)
    for name in sorted(controllers):
        yield _disk("nvme", name, f"storage/nvme/{name}", _serials(facts, name, name), name)


def _serials(facts: Facts, name: str, controller: str) -> list[str]:
    places = (("disks", name, "serial"), ("disks", name, "smart", "serial"), ("nvme", controller, "serial"))
    found = (value(facts, "storage", *place) for place in places)
    return [one.strip()[:TEXT] for one in found if isinstance(one, str) and one.strip()]


def _disk(kind: str, name: str, path: str, serials: list[str], controller: str) -> Part:
    spoken = {f"{kind}:{name}", f"disk:{name}", *([f"nvme:{controller}"] if controller else [])}
    named = [f"disk:/dev/{name}", *(f"disk:serial:{one}" for one in serials)]
    return Part(
        kind,
        f"{kind}:{name}",
        f"disk {name}",
        _names(f"{kind}:{name}", *sorted(spoken), *named),
        frozenset(spoken),
        path,
    )


def _networks(facts: Facts) -> Iterator[Part]:
    for name, one in branch(facts, "network", "interfaces").items():
        if value(one, "physical") is True:
            known = frozenset({f"net:{name}"})
            yield Part(
                "net", f"net:{name}", f"network interface {name}", _names(*known), known, f"network/interfaces/{name}"
            )
    for name in branch(facts, "network", "infiniband"):
        ports = {f"ib:{name}/{port}" for port in branch(facts, "network", "infiniband", name, "ports")}
        spoken = frozenset({f"ib:{name}", *ports})
        names = _names(f"ib:{name}", *sorted(spoken))
        yield Part("ib", f"ib:{name}", f"InfiniBand adapter {name}", names, spoken, f"network/infiniband/{name}")


def _pci(facts: Facts) -> Iterator[Part]:
    for address, one in branch(facts, "pci", "devices").items():
        kind = value(one, "kind")
        if not isinstance(kind, str) or kind in {"gpu", "bridge"}:
            continue
        short = "nvswitch" if kind == "nvswitch" else "pci"
        spoken = frozenset({f"pci:{address}", f"{short}:{address}"})
        model = value(one, "model")
        title = f"{model if isinstance(model, str) else kind} at {address}"[:TEXT]
        names = _names(f"{short}:{address}", f"{short}:{address.removesuffix('.0')}", *sorted(spoken))
        yield Part(short, f"{short}:{address}", title, names, spoken, f"pci/devices/{address}")


def _other(name: str) -> Part:
    kind = name.partition(":")[0]
    return Part(kind[:16] or "part", name[:TEXT], name[:TEXT], _names(name), frozenset({name}))


def _slots(checked: Checked) -> tuple[slots.SlotRow, ...]:
    return slots.slot_map(Box(checked.facts, checked.collected_at))


def _slot_names(slot: str) -> tuple[str, ...]:
    number = NUMBER.search(slot)
    return _names(f"slot:{slot}", f"slot:{number[1]}" if number else "") if slot else ()


def _in_slots(checked: Checked, found: list[Part]) -> Iterator[Part]:
    """Yield the parts with the names of the slots they sit in."""
    by_place: dict[str, tuple[str, ...]] = {}
    for row in _slots(checked):
        place = row.address.rpartition(".")[0] or row.address
        by_place[place] = (*by_place.get(place, ()), *_slot_names(row.slot))
    for one in found:
        address = one.gpu.pci if one.gpu else one.id.partition(":")[2]
        extra = by_place.get(address.rpartition(".")[0], ())
        yield replace(one, names=(*one.names, *extra)) if extra and one.kind in {"gpu", "pci", "nvswitch"} else one
