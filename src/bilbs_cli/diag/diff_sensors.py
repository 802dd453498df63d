"""Sensors, temperatures and disks that crossed a threshold between two bundles: the one kind of noise that is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bilbs_cli.diag import identity
from bilbs_cli.diag.diff_change import Change, Group, Kind, change, number, same, words
from bilbs_cli.diag.diff_watched import Facts
from bilbs_cli.diag.model import Reading, Value, branch, lookup, value

STATUS = {"ok": 0, "discrete": 0, "nc": 1, "cr": 2, "nr": 3}
NO_READING = frozenset({"disabled", "unavailable"})
NEARLY_FULL_PERCENT = 90.0  # less than a tenth free: the threshold of gpud's disk check
IN_WORDS = {"nc": "past a warning threshold", "cr": "past a critical threshold", "nr": "past its last threshold"}
LEVELS = ("below its thresholds", "at its slowdown threshold", "at its shutdown threshold")


def sensors(before: Facts, after: Facts) -> Iterator[Change]:
    """Yield the sensors whose state is another one now."""
    yield from _bmc(branch(before, "bmc", "sensors"), branch(after, "bmc", "sensors"))
    for place, old, new in _levels(before, after):
        if old is not None and new is not None and old != new:
            yield from _crossed(place, old, new, before, after)


def _bmc(old: Facts, new: Facts) -> Iterator[Change]:
    if not old or not new:
        return
    for key in {**old, **new}:
        was, now = lookup(old, key), lookup(new, key)
        path = f"bmc/sensors/{key}"
        if isinstance(was, Value) and isinstance(now, Value):
            yield from _sensor(path, was.value, now.value)
        elif key not in old or key not in new:
            name = _name(key, was, now)
            sides = (was, None) if key not in new else (None, now)
            there = [_shown(one) if one else None for one in sides]
            yield change(Group.SENSORS, Kind.GONE if key not in new else Kind.NEW, name, there, path, weight=1)
        elif isinstance(was, Value) or isinstance(now, Value):
            there = [_shown(was), _shown(now)]
            yield change(Group.UNKNOWN, Kind.UNKNOWN, _name(key, was, now), there, path, note=_lacks(now), weight=1)


def _lacks(now: Reading) -> str:
    return "only the later one has it" if isinstance(now, Value) else "only the earlier one has it"


def _shown(reading: Reading) -> Reading:
    return Value(_state(reading.value)) if isinstance(reading, Value) else reading


def _name(key: str, *readings: Reading) -> str:
    for reading in readings:
        if isinstance(reading, Value) and isinstance(reading.value, Mapping) and reading.value.get("name"):
            return f"sensor {reading.value['name']}"
    return f"sensor {key}"


def _sensor(path: str, was: Any, now: Any) -> Iterator[Change]:
    if not isinstance(was, Mapping) or not isinstance(now, Mapping):
        return
    name = _name(path, Value(now), Value(was))
    ranks = [STATUS.get(str(one.get("status")), 0) for one in (was, now)]
    silent = [str(one.get("status")) in NO_READING for one in (was, now)]
    if silent[0] != silent[1]:
        note = "it gives no reading any more" if silent[1] else "it gives a reading again"
        yield _moved(name, path, was, now, note, 1)
    elif was.get("status") != now.get("status") or not same(_states(was), _states(now)):
        yield _moved(name, path, was, now, IN_WORDS.get(str(now.get("status")), ""), max(ranks))
    if not same(was.get("thresholds"), now.get("thresholds")) and was.get("thresholds") and now.get("thresholds"):
        sides = Value(was.get("thresholds")), Value(now.get("thresholds"))
        yield change(Group.SETTINGS, Kind.CHANGED, f"{name}: thresholds", sides, path, weight=1)


def _moved(name: str, path: str, was: Mapping[str, Any], now: Mapping[str, Any], note: str, weight: int) -> Change:
    sides = Value(_state(was)), Value(_state(now))
    return change(Group.SENSORS, Kind.CHANGED, name, sides, path, note=note, weight=weight)


def _states(one: Mapping[str, Any]) -> list[str]:
    found = one.get("states")
    return sorted(str(state) for state in found) if isinstance(found, list) else []


def _state(one: Any) -> str:
    """Return a sensor's state with its value, in words."""
    if not isinstance(one, Mapping):
        return "unreadable"
    status, unit = str(one.get("status")), one.get("unit")
    states = ", ".join(_states(one))
    if status == "discrete":
        return states or "no state asserted"
    count = number(one.get("value"))
    read = f"{words(Value(count))} {unit or ''}".strip() if count is not None else "no value"
    return f"{read} ({states})" if states else f"{read} ({status})"


def _levels(before: Facts, after: Facts) -> Iterator[tuple[str, int | None, int | None]]:
    for scan in (_gpu_levels, _host_levels, _disk_levels):
        old, new = dict(scan(before)), dict(scan(after))
        yield from ((place, old.get(place), new.get(place)) for place in {**old, **new})


def _gpu_levels(facts: Facts) -> Iterator[tuple[str, int | None]]:
    """Yield how hot each GPU is against its own thresholds, by PCI address."""
    for name, device in branch(facts, "gpu", "devices").items():
        if not isinstance(device, Mapping):
            continue
        hot, margin = number(value(device, "temperature_c")), number(value(device, "temperature_margin_c"))
        limits = branch(device, "temperature_thresholds")
        slow, stop = number(value(limits, "slowdown_c")), number(value(limits, "shutdown_c"))
        level = 2 if hot is not None and stop is not None and hot >= stop else 0
        past = (hot is not None and slow is not None and hot >= slow) or (margin is not None and margin <= 0)
        known = margin is not None or (hot is not None and (slow is not None or stop is not None))
        place = identity.address_of(device) or name
        yield f"gpu/devices/{place}/temperature_c", max(level, int(past)) if known else None


def _host_levels(facts: Facts) -> Iterator[tuple[str, int | None]]:
    for chip, labels in branch(facts, "system", "sensors").items():
        for label, one in labels.items() if isinstance(labels, Mapping) else ():
            hot, limit = number(value(one, "temperature_c")), number(value(one, "critical_c"))
            known = hot is not None and limit is not None and limit > 0
            place = f"system/sensors/{chip}/{label}/temperature_c"
            yield place, (2 if hot >= limit else 0) if known and hot is not None and limit is not None else None


def _disk_levels(facts: Facts) -> Iterator[tuple[str, int | None]]:
    for name, one in branch(facts, "storage", "file_systems").items():
        for fact in ("used_percent", "inodes_used_percent"):
            used = number(value(one, fact))
            yield f"storage/file_systems/{name}/{fact}", None if used is None else int(used >= NEARLY_FULL_PERCENT)


def _crossed(place: str, old: int, new: int, before: Facts, after: Facts) -> Iterator[Change]:
    what, disk = place, place.startswith("storage/")
    if disk:
        mount = value(after, *place.split("/")[:-1], "mount_point")
        what = f"file system {mount if isinstance(mount, str) else place.split('/')[2]}"
        sides: list[Reading] = [lookup(facts, *place.split("/")) for facts in (before, after)]
        note = f"over {NEARLY_FULL_PERCENT:g} % in use" if new else f"below {NEARLY_FULL_PERCENT:g} % again"
        what = f"{what}: {place.rpartition('/')[2]}"
    else:
        sides = [Value(LEVELS[old]), Value(LEVELS[new])]
        note = ""
    yield change(Group.SENSORS, Kind.CHANGED, what, sides, place, note=note, weight=max(old, new))
