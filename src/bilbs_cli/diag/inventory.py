"""What a box is made of right now, as a baseline; and when a check may renew the one that is remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bilbs_cli.diag import identity
from bilbs_cli.diag.baseline import WHOLE, Baseline, KnownGpu
from bilbs_cli.diag.findings import Box, Facts, Judgement, Severity
from bilbs_cli.diag.model import ReadError, branch, lookup, value

# The counters that are remembered, each with the first place that has it. The first six only grow: `pcie_replays` since
# the driver was loaded, the rest in the life of the card. The banks are the row remapper's histogram, as it stands.
COUNTERS: Mapping[str, tuple[str, ...]] = {
    "remapped_correctable": ("remapped_rows/correctable", "fields/remapped_rows/correctable"),
    "remapped_uncorrectable": ("remapped_rows/uncorrectable", "fields/remapped_rows/uncorrectable"),
    "pcie_replays": ("pcie/replays", "pcie/replay_counter"),
    "ecc_aggregate_corrected": ("ecc/aggregate/corrected",),
    "ecc_aggregate_uncorrected": ("ecc/aggregate/uncorrected",),
    "banks_max": ("row_remapper_histogram/max",),
    "banks_high": ("row_remapper_histogram/high",),
    "banks_partial": ("row_remapper_histogram/partial",),
    "banks_low": ("row_remapper_histogram/low",),
    "banks_none": ("row_remapper_histogram/none",),
}
NVLINK_PER_LINK = {
    "replay": (("errors/replay", "dl_replay"),),
    "recovery": (("errors/recovery", "dl_recovery", "counters/recoveries"),),
    "crc": (("errors/crc_flit", "dl_crc"), ("errors/crc_data",)),
}
NVLINK_TOTALS = {
    "replay": ("nvlink_totals/replay",),
    "recovery": ("nvlink_totals/recovery",),
    "crc": ("nvlink_totals/crc_flit", "nvlink_totals/crc_data"),
}
PAGES = ("single_bit", "double_bit")  # retired pages by cause: a list each, or a count among the field values
DISK_PREFIXES_OF_NETWORK = ("nbd", "rbd", "drbd")
HERE = frozenset({"gpu", "pci", "system"})  # the facts that say which GPUs are here now
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_NAMED = 3


def inventory(facts: Facts, at: datetime, by: str) -> Baseline:
    """Return what these facts say the box is made of. What was not readable is left out: it is unknown, not absent."""
    driver, populated = value(facts, "gpu", "system", "driver_version"), dimm_slots(facts)
    return Baseline(
        taken_at=at,
        gpus=tuple(_gpu(facts, one) for one in _gpus(facts)),
        by=by,
        driver=driver if isinstance(driver, str) else "",
        dimms=len(populated) or None,
        disks=tuple(dict.fromkeys(disks_of(facts))),
        sensors=tuple(sorted(set(_sensors(facts)))),
        interfaces=tuple(_interfaces(facts)),
        dimm_slots=populated,
    )


def _gpu(facts: Facts, gpu: identity.GpuIdentity) -> KnownGpu:
    device = device_of(facts, gpu.pci)
    vbios = value(device, "vbios")
    return KnownGpu(
        pci=gpu.pci,
        serial=gpu.serial,
        uuid=gpu.uuid,
        part_number=gpu.part_number,
        name=gpu.name,
        slot=gpu.slot,
        module_id=gpu.module_id,
        index=gpu.index,
        vbios=vbios if isinstance(vbios, str) else "",
        pcie_width=_whole(value(device, "pcie", "width_current")),
        pcie_generation=_whole(value(device, "pcie", "generation_current")),
        nvlinks_up=frozenset(_links_up(device)),
        counters=counters_of(device),
    )


def device_of(facts: Facts, pci: str) -> Mapping[str, Any]:
    """Return the driver's facts of the GPU at a PCI address, empty where it has none."""
    devices = branch(facts, "gpu", "devices").values()
    known = (one for one in devices if isinstance(one, Mapping) and pci and identity.address_of(one) == pci)
    return next(known, {})


def counters_of(device: Facts) -> dict[str, int]:
    """Return the counters of one GPU that can be read (see `COUNTERS`), and `retired_pages`."""
    found = {}
    for name, places in COUNTERS.items():
        counts = (_whole(value(device, *place.split("/"))) for place in places)
        if (count := next((one for one in counts if one is not None), None)) is not None:
            found[name] = count
    found |= {f"nvlink_{kind}": count for kind in NVLINK_TOTALS if (count := _nvlinks(device, kind)) is not None}
    pages = [_pages(device, cause) for cause in PAGES]
    known = [one for one in pages if one is not None]
    return found | ({"retired_pages": sum(known)} if len(known) == len(PAGES) else {})


def _pages(device: Facts, cause: str) -> int | None:
    listed = value(device, "retired_pages", cause)
    return len(listed) if isinstance(listed, list) else _whole(value(device, "fields", "retired_pages", cause))


def _nvlinks(device: Facts, kind: str) -> int | None:
    """Return a count over all NVLinks: the driver's total or the sum of the links, whichever is larger."""
    totals = [count for place in NVLINK_TOTALS[kind] if (count := _whole(value(device, *place.split("/")))) is not None]
    found = [sum(totals)] if totals else []
    for ways in NVLINK_PER_LINK[kind]:
        counts = [_largest(link, ways) for link in branch(device, "nvlink").values()]
        known = [count for count in counts if count is not None]
        found += [sum(known)] if known else []
    return max(found, default=None)


def _largest(link: Facts, ways: Sequence[str]) -> int | None:
    counts = (_whole(value(link, *way.split("/"))) for way in ways)
    return max((count for count in counts if count is not None), default=None)


def _links_up(device: Facts) -> Iterator[int]:
    for name, link in branch(device, "nvlink").items():
        if name.isascii() and name.isdigit() and len(name) < 4 and value(link, "state") == "active":
            yield int(name)


def dimm_slots(facts: Facts) -> tuple[str, ...]:
    """Return the locators of the memory slots with a module in them; none where they were not read."""
    modules = branch(facts, "system", "dmi", "memory")
    return tuple(name for name, one in modules.items() if value(one, "populated") is True)


def disks_of(facts: Facts) -> Iterator[str]:
    """Yield the disks that stay: by serial, which outlives a new name, else by name; not removable or remote ones."""
    for name, disk in branch(facts, "storage", "disks").items():
        if value(disk, "removable") is not True and not name.startswith(DISK_PREFIXES_OF_NETWORK):
            yield disk_id(name, disk)
    for name, controller in branch(facts, "storage", "nvme").items():
        if value(controller, "transport") in {None, "pcie"}:
            yield disk_id(name, controller)


def disk_id(name: str, disk: Facts) -> str:
    """Return what a disk is remembered by: `serial S3XYZ`, or `sda` where the kernel knows no serial.

    The serial in SMART data is left aside: it is there or not by the rights of the user who looks.
    """
    found = value(disk, "serial")
    serial = found.strip() if isinstance(found, str) else ""
    return f"serial {serial}" if serial else name


def _sensors(facts: Facts) -> Iterator[str]:
    """Yield the names of the BMC's sensors that have a reading: an absent entity is none."""
    sensors = branch(facts, "bmc", "sensors")
    for key in sensors:
        found = value(sensors, key)
        name = found.get("name") if isinstance(found, Mapping) else None
        if isinstance(name, str) and name and isinstance(found, Mapping):
            alive = found.get("value") is not None or found.get("states")
            yield from (name,) if alive else ()


def _interfaces(facts: Facts) -> Iterator[str]:
    """Yield the interfaces of real devices that are up."""
    for name, one in branch(facts, "network", "interfaces").items():
        if value(one, "operstate") == "up" and value(one, "carrier") is True and value(one, "physical") is True:
            yield name


def _whole(number: object) -> int | None:
    is_whole = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < WHOLE
    return number if is_whole and isinstance(number, int) else None


def next_baseline(old: Baseline | None, facts: Facts, judgement: Judgement, at: datetime) -> Baseline | None:
    """Return the baseline after a check, None where the check may not renew it (see `obstacles`).

    It adds what is new (a card, a link that is up, a grown counter) and drops nothing: what is gone for good, a person
    takes out with `bilbs diag baseline set`. A card that moved is at its new place only.
    """
    if obstacles(old, facts, judgement):
        return None
    now = inventory(facts, at, "a clean check")
    return _grown(old, now) if old else now


def obstacles(old: Baseline | None, facts: Facts, judgement: Judgement) -> tuple[str, ...]:
    """Return why a check is no healthy one, in words for people; none when it may renew the baseline."""
    looks: tuple[Callable[[], Iterator[str]], ...] = (
        lambda: _findings(judgement),
        lambda: _hidden(facts),
        lambda: _gone(old, facts),
    )
    return tuple(reason for look in looks for reason in look())


def _findings(judgement: Judgement) -> Iterator[str]:
    loud = [one for one in judgement.findings if one.severity is not Severity.INFO]
    if loud:
        named = ", ".join(f"{one.rule} ({one.label or one.part})" for one in loud[:MOST_NAMED])
        yield f"{len(loud)} finding{'s' * (len(loud) > 1)}: {named}{', ...' * (len(loud) > MOST_NAMED)}"


def _hidden(facts: Facts) -> Iterator[str]:
    """Yield what may hide a GPU: a driver that was not asked or did not answer, and GPUs that are not well in it."""
    seen = _gpus(facts)
    nvml = lookup(facts, "gpu", "system", "nvml")
    if not identity.looked(facts):
        yield "nobody asked the GPU driver or looked at the PCI bus"
    elif isinstance(nvml, ReadError) and seen:
        yield f"the GPU driver did not answer: {nvml.message}"
    states = {"lost": "is lost to the driver", "pci": "is on the PCI bus and not with the driver"}
    for gpu in seen:
        if gpu.present in states:
            yield f"{identity.label(gpu)} {states[gpu.present]}"
        elif not gpu.serial and not gpu.uuid:
            yield f"{identity.label(gpu)} told neither its serial nor its UUID"


def _gone(old: Baseline | None, facts: Facts) -> Iterator[str]:
    """Yield the cards of the old baseline that are not here any more."""
    now = _gpus(facts)
    if old and len(now) < len(old.gpus):
        yield f"{len(now)} GPU{'s' * (len(now) != 1)}, and the baseline of {old.taken_at:%Y-%m-%d} has {len(old.gpus)}"
    here = {name for one in now for name in (one.serial, one.uuid) if name}
    known = [({gpu.serial, gpu.uuid} - {""}, gpu) for gpu in (old.gpus if old else ())]
    gone = [gpu for names, gpu in known if names and not names & here]
    yield from (f"GPU {gpu.serial or gpu.uuid}, at {gpu.pci} in the baseline, is gone" for gpu in gone[:MOST_NAMED])
    if len(gone) > MOST_NAMED:
        yield f"{len(gone) - MOST_NAMED} more GPUs of the baseline are gone"


def _gpus(facts: Facts) -> tuple[identity.GpuIdentity, ...]:
    """Return the GPUs that are here, not the ones that are only remembered."""
    return identity.gpus(Box({name: tree for name, tree in facts.items() if name in HERE}, EPOCH))


def _grown(old: Baseline, now: Baseline) -> Baseline:
    return replace(
        now,
        gpus=tuple(_grown_gpu(old, gpu) for gpu in now.gpus),
        driver=now.driver or old.driver,
        dimms=_most(old.dimms, now.dimms),
        disks=_joined(old.disks, now.disks),
        sensors=_joined(old.sensors, now.sensors),
        interfaces=_joined(old.interfaces, now.interfaces),
        dimm_slots=_joined(old.dimm_slots, now.dimm_slots),
    )


def _grown_gpu(old: Baseline, gpu: KnownGpu) -> KnownGpu:
    """Return a GPU with the best that was ever known: links and width belong to the place, counters to the card."""
    place, card = old.gpu_at(gpu.pci), old.gpu_with(gpu.serial)
    if place:
        gpu = replace(
            gpu,
            nvlinks_up=gpu.nvlinks_up | place.nvlinks_up,
            pcie_width=_most(gpu.pcie_width, place.pcie_width),
            pcie_generation=_most(gpu.pcie_generation, place.pcie_generation),
            slot=gpu.slot or place.slot,
        )
    return replace(gpu, counters={**card.counters, **gpu.counters}) if card else gpu


def _most(*numbers: int | None) -> int | None:
    return max((one for one in numbers if one is not None), default=None)


def _joined(old: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*old, *now)))
