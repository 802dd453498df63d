"""The readings of a box that are worth a picture: of each GPU and BMC sensor, with the limits that the box gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bilbs_cli.diag import identity
from bilbs_cli.diag.findings import Facts, Gap, gap_of
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.model import Value, branch, finite, lookup, value
from bilbs_cli.diag.report.strips import Strip

MOST_SENSORS = 256
GIB = 2**30


def of_gpu(facts: Facts, gpu: GpuIdentity) -> list[Strip]:
    """Return the strips of a GPU; empty where the driver does not know it."""
    devices = branch(facts, "gpu", "devices")
    device = next((one for one in devices.values() if gpu.pci and identity.address_of(one) == gpu.pci), None)
    if device is None and gpu.index is not None:
        device = devices.get(str(gpu.index))
    return list(_of_device(device)) if isinstance(device, Mapping) else []


def _of_device(device: Facts) -> Iterator[Strip]:
    yield _temperature(device)
    hottest = finite(value(device, "temperature_thresholds", "memory_max_c"))
    limits = f"limit {hottest:.0f} C" if hottest else ""
    yield _strip(
        device,
        "Memory temperature",
        ("memory_temperature_c",),
        "{:.0f} C",
        warn=hottest or None,
        high=110.0,
        limits=limits,
    )
    cap = finite(value(device, "power_limit_enforced_w"))
    yield _strip(device, "Power", ("power_w",), "{:.0f} W", high=cap, limits=f"capped at {cap:.0f} W" if cap else "")
    total = finite(value(device, "memory", "total_bytes"))
    size = f"of {total / GIB:.0f} GiB" if total else ""
    used = finite(value(device, "memory", "used_bytes"))
    words = f"{used / GIB:.1f} GiB" if used is not None else "{}"
    yield _strip(device, "Memory in use", ("memory", "used_bytes"), words, high=total, limits=size)
    widest = finite(value(device, "pcie", "width_max"))
    lanes = f"of x{widest:.0f}" if widest else ""
    yield _strip(device, "PCIe lanes", ("pcie", "width_current"), "x{:.0f}", high=widest, limits=lanes)
    for name, counted in (("since the driver was loaded", "volatile"), ("in its life", "aggregate")):
        path = ("ecc", counted, "uncorrected")
        yield _strip(
            device, f"Uncorrected ECC errors {name}", path, "{:.0f}", high=10.0
        )  # what a count means is the rules' to say


def _temperature(device: Facts) -> Strip:
    """Return the temperature. NVML_TEMPERATURE_THRESHOLD_SLOWDOWN, or what the margins to it (T.Limit) come to."""
    slow, off = (finite(value(device, "temperature_thresholds", name)) for name in ("slowdown_c", "shutdown_c"))
    now, margin = finite(value(device, "temperature_c")), finite(value(device, "temperature_margin_c"))
    behind = finite(value(device, "temperature_tlimits", "slowdown_c"))
    if slow is None and now is not None and margin is not None and behind is not None:
        slow = now + margin - behind
    named = [f"{word} at {limit:.0f} C" for word, limit in (("slows down", slow), ("shuts down", off)) if limit]
    return _strip(
        device, "Temperature", ("temperature_c",), "{:.0f} C", warn=slow, crit=off, high=110.0, limits=", ".join(named)
    )


def _strip(device: Facts, name: str, path: tuple[str, ...], form: str, **limits: Any) -> Strip:
    reading = lookup(device, *path)
    at = finite(reading.value) if isinstance(reading, Value) else None
    if at is not None:
        return Strip(name, form.format(at), at, **limits)
    kind, reason = gap_of(reading)
    if isinstance(reading, Value) and reading.value is not None:
        kind, reason = Gap.ERROR, f"{str(reading.value)[:40]} is no value that this reading can have"
    return Strip(name, f"{kind.value.replace('_', ' ')}: {reason}"[:160], **limits)


def of_sensors(facts: Facts) -> list[Strip]:
    """Return the strips of the BMC's sensors with a number, those without one last; at most `MOST_SENSORS`."""
    found = [_of_sensor(facts, key) for key in branch(facts, "bmc", "sensors")]
    return sorted((one for one in found if one), key=lambda one: _RANKS[one.state])[:MOST_SENSORS]


_RANKS = {"critical": 0, "warning": 1, "ok": 2, "unknown": 3}


def _of_sensor(facts: Facts, key: str) -> Strip | None:
    """Return a sensor's strip, None for one that has states only (IPMI 2.0, section 42)."""
    reading = lookup(facts, "bmc", "sensors", key)
    if not isinstance(reading, Value):
        kind, reason = gap_of(reading)
        return Strip(key, f"{kind.value.replace('_', ' ')}: {reason}"[:160])
    sensor = reading.value
    if not isinstance(sensor, Mapping):
        return Strip(key, "this reading could not be understood")
    limits = sensor.get("thresholds")
    at, name = finite(sensor.get("value")), str(sensor.get("name") or key)
    if not isinstance(limits, Mapping) or not limits:
        return Strip(name, "not read") if at is None and not sensor.get("states") else None
    unit = {"degrees C": "C"}.get(str(sensor.get("unit")), str(sensor.get("unit") or ""))
    known = {word: finite(limits.get(word)) for word in ("lnr", "lcr", "lnc", "unc", "ucr", "unr")}
    told = [f"{words} {known[word]:g}" for word, words in _LIMITS.items() if known[word] is not None]
    return Strip(
        name,
        f"{at:g} {unit}" if at is not None else "not read",
        at,
        warn=known["unc"],
        crit=_first(known, "ucr", "unr"),
        low_warn=known["lnc"],
        low_crit=_first(known, "lcr", "lnr"),
        low=0.0,
        limits=", ".join(told),
    )


_LIMITS = {"lcr": "critical below", "lnc": "warns below", "unc": "warns above", "ucr": "critical above"}


def _first(known: Mapping[str, float | None], *names: str) -> float | None:
    return next((found for name in names if (found := known[name]) is not None), None)
