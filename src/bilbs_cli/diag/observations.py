"""What stands out in the facts, for SUMMARY.txt: readings to look at first, each with its place. Not a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag import notable
from bilbs_cli.diag.model import ReadError, Value, branch, leaves, lookup, value

Facts = Mapping[str, Any]
FULL_PERCENT = 90.0  # of a file system or its inodes
SKEW_S = 60.0  # between BMC and host
ALARMS = (
    "fail",
    "lost",
    "fault",
    "uncorrectable",
    "non-recoverable",
    "critical, going",
    "intrusion",
    "thermal trip",
    "ierr",
    "redundancy",
    "full",
)
EVENTS = 4  # of the BMC's log that are shown
LOUD = {"hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown"}


@dataclass(frozen=True, slots=True)
class Observation:
    """One line: what was read, and where in the bundle it stands."""

    text: str
    place: str


def observe(facts: Facts) -> list[Observation]:
    """Return what stands out, most telling source first. Facts of any shape are survived."""
    found: list[Observation] = []
    for look in LOOKS:
        try:
            found += look(facts)
        except (TypeError, ValueError, AttributeError, KeyError, IndexError):
            found.append(Observation(f"some facts could not be understood ({look.__name__.strip('_')})", "facts.json"))
    return found


def gpu_label(index: str, device: Facts) -> str:
    """Return how a person finds this GPU: index, PCI address, serial."""
    parts = [str(found) for name in ("pci_bus_id", "serial") if (found := value(device, name))]
    return f"GPU {index}" + (f" ({', serial '.join(parts)})" if parts else "")


def _gpus(facts: Facts) -> Iterator[Observation]:
    system = branch(facts, "gpu", "system")
    in_pci, seen = value(system, "gpus_in_pci"), value(system, "device_count")
    nvml = lookup(system, "nvml")
    if isinstance(nvml, ReadError) and in_pci:
        yield Observation(
            f"the NVIDIA driver does not answer ({nvml.message}), and {len(in_pci)} GPUs are on the PCI bus",
            "facts.json gpu/system/nvml",
        )
    if isinstance(seen, int) and isinstance(in_pci, list) and seen < len(in_pci):
        yield Observation(f"{len(in_pci)} GPUs on the PCI bus, {seen} known to the driver", "facts.json gpu/system")
    for address, device in branch(facts, "gpu", "pci").items():
        if value(device, "answers") is False:
            yield Observation(
                f"the device at {address} does not answer on the PCI bus (all ones)", f"facts.json gpu/pci/{address}"
            )
    for index, device in branch(facts, "gpu", "devices").items():
        place = f"facts.json gpu/devices/{index}"
        yield from (Observation(f"{gpu_label(index, device)}: {text}", place) for text in _gpu(device))


def _gpu(device: Facts) -> Iterator[str]:
    lost = [
        path
        for path, reading in leaves(device)
        if isinstance(reading, ReadError) and reading.kind == "NVMLError_GpuIsLost"
    ]
    if lost:
        yield f"the driver says that the GPU is lost ({len(lost)} readings)"
    hung = [
        "/".join(path)
        for path, reading in leaves(device)
        if isinstance(reading, ReadError) and reading.kind in {"Timeout", "ProcessDied"}
    ]
    if hung:
        yield f"the driver never answered for {', '.join(hung[:3])}"
    for words, path in (
        ("uncorrected ECC errors since the driver was loaded", ("ecc", "volatile", "uncorrected")),
        ("uncorrected ECC errors in its life", ("ecc", "aggregate", "uncorrected")),
        ("rows remapped after uncorrectable errors", ("remapped_rows", "uncorrectable")),
    ):
        count = value(device, *path)
        if isinstance(count, int) and count > 0:
            yield f"{count} {words}"
    for words, path in (
        ("row remapping FAILED", ("remapped_rows", "failure")),
        ("a row remapping waits for a GPU reset", ("remapped_rows", "pending")),
        ("retired pages wait for a reboot", ("retired_pages", "pending")),
        ("the SRAM error threshold is exceeded", ("ecc", "sram_status", "threshold_exceeded")),
    ):
        if value(device, *path) is True:
            yield words
    yield from _gpu_state(device)


def _gpu_state(device: Facts) -> Iterator[str]:
    width, widest = (value(device, "pcie", name) for name in ("width_current", "width_max"))
    if isinstance(width, int) and isinstance(widest, int) and width < widest:
        yield f"PCIe width x{width}, x{widest} is possible"
    reasons = value(device, "clocks_event_reasons")
    names = reasons.get("names") if isinstance(reasons, Mapping) else reasons
    slow = LOUD & {str(name) for name in names or ()}
    if slow:
        yield f"slowed down: {', '.join(sorted(slow))}"
    action = value(device, "fields", "recovery_action")
    if action not in {None, 0, "none"}:
        yield f"the driver asks for: {str(action).replace('_', ' ')}"


def _bmc(facts: Facts) -> Iterator[Observation]:
    for key in branch(facts, "bmc", "sensors"):
        sensor = value(facts, "bmc", "sensors", key)
        if isinstance(sensor, Mapping) and sensor.get("status") in {"nc", "cr", "nr"}:
            shown = (
                f"{sensor['value']:g} {sensor.get('unit') or ''}".strip()
                if isinstance(sensor.get("value"), int | float)
                else "no value"
            )
            yield Observation(
                f"sensor {sensor.get('name')}: {shown}, {', '.join(sensor.get('states') or ())}", "ipmi/sensors.txt"
            )
        if (
            isinstance(sensor, Mapping)
            and sensor.get("status") == "discrete"
            and (alarming := _alarming(sensor.get("states") or ()))
        ):
            yield Observation(f"sensor {sensor.get('name')}: {', '.join(alarming)}", "ipmi/sensors.txt")
    yield from _event_log(facts)
    skew = value(facts, "bmc", "sel", "clock_offset_s")
    if isinstance(skew, int | float) and abs(skew) > SKEW_S:
        yield Observation(f"the BMC's clock is {skew:+.0f} s from the host's", "facts.json bmc/sel/clock_offset_s")


def _alarming(states: Sequence[object]) -> list[str]:
    return [str(state) for state in states if any(word in str(state).lower() for word in ALARMS)]


def _event_log(facts: Facts) -> Iterator[Observation]:
    """Show the last events of the BMC's log that sound like a fault and were not taken back by a later one."""
    loud: dict[object, Mapping[str, Any]] = {}
    for one in value(facts, "bmc", "sel", "records") or ():
        key = (one.get("sensor_key"), one.get("event_type"), one.get("offset"))
        loud.pop(key, None)
        if one.get("asserted") and _alarming([one.get("text")]):
            loud[key] = one
    for one in list(loud.values())[-EVENTS:]:
        when = str(one.get("host_time") or one.get("bmc_time") or "no time")[:19].replace("T", " ")
        yield Observation(
            f"BMC event log, {when}: {one.get('sensor') or 'no sensor'}: {one.get('text')}",
            f"ipmi/sel.txt {one.get('id'):04x}",
        )
    if len(loud) > EVENTS:
        yield Observation(f"BMC event log: {len(loud) - EVENTS} more events like these", "ipmi/sel.txt")


def _kernel(facts: Facts) -> Iterator[Observation]:
    words = {kind: text for kind, text, _ in notable.KINDS}
    best: dict[str, tuple[int, str, Sequence[str]]] = {}
    for path, _ in leaves(branch(facts, "kernel", "notable")):
        for kind, found in (value(facts, "kernel", "notable", *path) or {}).items():
            if found["count"] > best.get(kind, (0, "", ()))[0]:
                best[kind] = (found["count"], "/".join(path), found["first"])
    for kind, (count, member, first) in best.items():
        line, _, text = str(first[0]).partition(": ")
        yield Observation(f"{count} x {words.get(kind, kind)}, first: {text}", f"kernel/{member} {line}")


def _storage(facts: Facts) -> Iterator[Observation]:
    for name, disk in branch(facts, "storage", "disks").items():
        if value(disk, "smart", "passed") is False:
            yield Observation(f"disk {name}: its own SMART verdict is FAILED", f"storage/smart/{name}.json")
        warning = value(disk, "smart", "critical_warning")
        if isinstance(warning, int) and warning:
            yield Observation(f"disk {name}: NVMe critical warning {warning:#04x}", f"storage/smart/{name}.json")
    for key, mount in branch(facts, "storage", "file_systems").items():
        where = value(mount, "mount_point")
        used = [value(mount, name) for name in ("used_percent", "inodes_used_percent")]
        full = max((number for number in used if isinstance(number, int | float)), default=0.0)
        if full >= FULL_PERCENT and not value(mount, "read_only"):
            yield Observation(f"{where} is {full:.0f} % full", f"facts.json storage/file_systems/{key}")


def _fabric(facts: Facts) -> Iterator[Observation]:
    for address, device in branch(facts, "pci", "devices").items():
        if value(device, "answers") is False and value(device, "kind") != "gpu":
            kind = value(device, "kind") or "device"
            yield Observation(
                f"{kind} at {address} does not answer on the PCI bus", f"facts.json pci/devices/{address}"
            )
    for name, array in branch(facts, "storage", "md").items():
        failed = value(array, "failed")
        if failed:
            yield Observation(
                f"RAID array {name}: failed members: {', '.join(failed) if isinstance(failed, list) else failed}",
                f"facts.json storage/md/{name}",
            )
    for name, drive in branch(facts, "storage", "nvme").items():
        state = value(drive, "state")
        if state not in {None, "live"}:
            yield Observation(f"NVMe controller {name} is {state}", f"facts.json storage/nvme/{name}")
    for path, reading in leaves(branch(facts, "network", "infiniband")):
        if path[-1] == "state" and isinstance(reading, Value) and "ACTIVE" not in str(reading.value).upper():
            yield Observation(f"InfiniBand {'/'.join(path[:-1])} is {reading.value}", "facts.json network/infiniband")


def _system(facts: Facts) -> Iterator[Observation]:
    blocked = value(facts, "system", "tasks", "blocked_count")
    if isinstance(blocked, int) and blocked:
        yield Observation(f"{blocked} tasks in state D (waiting in the kernel)", "facts.json system/tasks")
    kills = value(facts, "system", "memory", "oom_kills")
    if isinstance(kills, int) and kills:
        yield Observation(
            f"{kills} processes killed for lack of memory since boot", "facts.json system/memory/oom_kills"
        )
    for controller, counts in branch(facts, "system", "edac").items():
        errors = value(counts, "ue_count")
        if isinstance(errors, int) and errors:
            yield Observation(
                f"{errors} uncorrected memory errors ({controller})", f"facts.json system/edac/{controller}"
            )
    if value(facts, "system", "clock", "synchronized") is False:
        yield Observation("the clock is not synchronised: times in logs may be off", "facts.json system/clock")
    if value(facts, "system", "reboot_required") is True:
        yield Observation("an update waits for a reboot", "facts.json system/reboot_required")


def _services(facts: Facts) -> Iterator[Observation]:
    failed = value(facts, "services", "failed")
    if isinstance(failed, list) and failed:
        yield Observation(f"failed units: {', '.join(map(str, failed[:6]))}", "services/units.txt")


LOOKS: tuple[Callable[[Facts], Iterator[Observation]], ...] = (
    _gpus,
    _bmc,
    _kernel,
    _fabric,
    _storage,
    _system,
    _services,
)
