"""What NVML's raw numbers mean: units, names of enumerations, and values that a driver reports and that cannot be.

A call that succeeds is no proof: a driver answers 0xFFFFFFFF, NaN or a field it never filled in. Every converter here
raises `Implausible` for those, so that they become errors and never healthy values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

NOT_AVAILABLE = {0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF}  # NVML_VALUE_NOT_AVAILABLE as unsigned int and as unsigned long long
VALUE_TYPES = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}  # nvmlValueType_t

Convert = Callable[[Any], Any]


class Implausible(ValueError):
    """The driver reported success and a value that cannot be."""


def whole(raw: Any) -> int:
    """Return a count as it is."""
    number = int(raw)
    if number < 0 or number in NOT_AVAILABLE:
        raise Implausible(f"{number:#x} is the driver's sign for a value it does not have")
    return number


def _within(low: float, high: float, unit: str) -> Convert:
    def bounded(raw: Any) -> Any:
        if isinstance(raw, float) and not math.isfinite(raw):
            raise Implausible(f"{raw} {unit}")
        if raw in NOT_AVAILABLE:
            raise Implausible(f"{raw:#x} is the driver's sign for a value it does not have")
        if not low <= raw <= high:
            raise Implausible(f"{raw} {unit} cannot be")
        return raw

    return bounded


celsius = _within(-100, 250, "°C")
percent = _within(0, 100, "%")
fan_percent = _within(0, 500, "%")  # nvml.h: the intended speed "may exceed 100% in certain cases"
megahertz = _within(0, 100_000, "MHz")
generation = _within(1, 16, "as PCIe generation")
lanes = _within(0, 32, "PCIe lanes")
_milliwatts = _within(0, 50_000_000, "mW")


def watts(raw: Any) -> float:
    """Return watts of NVML's milliwatts."""
    return float(_milliwatts(raw)) / 1000


def joules(raw: Any) -> float:
    """Return joules of NVML's millijoules (since the driver was loaded)."""
    return whole(raw) / 1000


def flag(raw: Any) -> bool:
    """Return NVML's enabled/disabled, yes/no, active/inactive as a boolean."""
    if raw not in {0, 1}:
        raise Implausible(f"{raw} is neither 0 nor 1")
    return bool(raw)


def only(raw: Any) -> bool:
    """Return the one flag in a list (pynvml wraps the default ECC mode in one)."""
    return flag(raw[0])


def device_count(raw: Any) -> int:
    """Return a number of GPUs that one machine can have."""
    if not 0 <= raw <= 256:
        raise Implausible(f"{raw} GPUs")
    return int(raw)


def text(raw: Any) -> str:
    """Return text of str or bytes, without what follows a NUL. Empty text is no value."""
    found = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    found = found.split("\0")[0].strip()
    if not found:
        raise Implausible("the driver answered with an empty text")
    return found


def done(_: Any) -> bool:
    """Return True for a call that says everything by not failing."""
    return True


def hexadecimal(raw: Any) -> str:
    """Return an identifier or a mask as nvidia-smi prints it, with 0x: JSON numbers lose bits above 53."""
    return f"0x{int(raw):x}"


def flags_of(raw: Any) -> list[bool]:
    """Return a pair of flags: current and pending, enabled and default."""
    return [flag(one) for one in raw]


def watts_of(raw: Any) -> list[float]:
    """Return a pair of powers in watts: lowest and highest limit."""
    return [watts(one) for one in raw]


def numbers_of(raw: Any) -> list[int]:
    """Return several counts."""
    return [whole(one) for one in raw]


def remapped(raw: Any) -> list[int | bool]:
    """Return correctable, uncorrectable, pending, failure of nvmlDeviceGetRemappedRows."""
    correctable, uncorrectable, pending, failure = raw
    return [whole(correctable), whole(uncorrectable), flag(pending), flag(failure)]


def histogram(raw: Any) -> list[int]:
    """Return the banks with max, high, partial, low and no spare rows (nvmlRowRemapperHistogramValues_t)."""
    return [whole(getattr(raw, name)) for name in ("max", "high", "partial", "low", "none")]


def capability(raw: Any) -> str:
    """Return the compute capability as CUDA writes it.

    >>> capability((9, 0))
    '9.0'
    """
    major, minor = numbers_of(raw)
    return f"{major}.{minor}"


def pstate(raw: Any) -> str:
    """Return the performance state: P0 is the fastest, P15 the slowest; 32 is NVML's "unknown"."""
    if not 0 <= raw <= 15:
        raise Implausible(f"performance state {raw}")
    return f"P{raw}"


def cuda_version(raw: Any) -> str:
    """Return the CUDA version of the driver.

    >>> cuda_version(12040)
    '12.4'
    """
    return f"{whole(raw) // 1000}.{whole(raw) % 1000 // 10}"


def one_of(names: Mapping[int, str]) -> Convert:
    """Return a converter from the numbers of an enumeration to its words; a number without a word is kept as such."""

    def name(raw: Any) -> str:
        return names.get(raw, f"unknown ({raw})")

    return name


RECOVERY = one_of(
    {
        0: "none",
        1: "gpu reset",
        2: "node reboot",
        3: "drain p2p",
        4: "drain and reset",
        5: "recover imex domain",
        6: "bus reset",
        7: "system reboot",
    }
)  # NVML_GPU_RECOVERY_ACTION_*
ARCHITECTURE = one_of(
    {
        2: "Kepler",
        3: "Maxwell",
        4: "Pascal",
        5: "Volta",
        6: "Turing",
        7: "Ampere",
        8: "Ada Lovelace",
        9: "Hopper",
        10: "Blackwell",
        11: "DLA",
        12: "DLA2",
        13: "Rubin",
    }
)  # NVML_DEVICE_ARCH_*
COMPUTE_MODE = one_of({0: "Default", 1: "Exclusive_Thread", 2: "Prohibited", 3: "Exclusive_Process"})
POWER_SOURCE = one_of({0: "AC", 1: "battery", 2: "undersized"})
LINK_STATE = one_of({0: "inactive", 1: "active", 2: "sleep", 3: "active, traffic disabled"})
LINK_VERSION = one_of({1: "1.0", 2: "2.0", 3: "2.2", 4: "3.0", 5: "3.1", 6: "4.0", 7: "5.0", 8: "6.0"})
REMOTE_TYPE = one_of({0: "gpu", 1: "ibm npu", 2: "switch", 0xFF: "unknown"})  # nvmlIntNvLinkDeviceType_t

EVENT_REASONS = {  # nvmlClocksEventReason*, nvmlClocksThrottleReason*
    0x1: "gpu_idle",
    0x2: "applications_clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x100: "display_clocks_setting",
    0x200: "board_limit",
    0x400: "reliability",
}


def reasons(raw: Any) -> list[Any]:
    """Return the set bits of a clocks event mask by name, and the mask itself.

    >>> reasons(0x48)
    [['hw_slowdown', 'hw_thermal_slowdown'], '0x48']
    """
    mask = int(raw)
    if mask in NOT_AVAILABLE:
        raise Implausible(f"{mask:#x} is the driver's sign for a value it does not have")
    bits = [1 << bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    return [[EVENT_REASONS.get(bit, f"bit {bit:#x}") for bit in bits], hexadecimal(mask)]


def bit_error_rate(raw: Any) -> float:
    """Return a bit error rate of NVLink 5: exponent in bits 0-7, mantissa in bits 8-11 (NVML_NVLINK_BER_*).

    >>> bit_error_rate(0xF << 8 | 0xFF), bit_error_rate(3 << 8 | 12)
    (1.5e-254, 3e-12)
    """
    number = whole(raw)
    return float(f"{number >> 8 & 0xF}e-{number & 0xFF}")


_PCI = re.compile(r"([0-9a-f]{1,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])", re.IGNORECASE)


def pci_address(raw: str) -> str:
    """Return a PCI address as sysfs writes it; NVML and nvidia-smi use eight digits for the domain, and capitals.

    Raises `Implausible`.

    >>> pci_address("00000000:3B:00.0"), pci_address("00010000:01:00.0")
    ('0000:3b:00.0', '10000:01:00.0')
    """
    found = _PCI.fullmatch(text(raw))
    if not found:
        raise Implausible(f"{raw!r} is not a PCI address")
    domain, bus, device, function = found.groups()
    if int(domain, 16) in NOT_AVAILABLE:  # the far end of a link in a virtual machine
        raise Implausible(f"{raw} is the driver's sign for an address it does not have")
    return f"{int(domain, 16):04x}:{bus}:{device}.{function}".lower()


def field_value(item: Any) -> Any:
    """Return what an item of nvmlDeviceGetFieldValues holds (nvmlFieldValue_t with nvmlReturn 0).

    Raises `Implausible` for NaN, for a type that NVML does not have, and for an item that an old driver left as it was.
    """
    name = VALUE_TYPES.get(item.valueType)
    if name is None:
        raise Implausible(f"value type {item.valueType}")
    if not (item.timestamp or item.latencyUsec or item.valueType or item.value.ullVal):
        raise Implausible("the driver left this field as it was")
    found = getattr(item.value, name)
    if isinstance(found, float) and not math.isfinite(found):
        raise Implausible(f"{found} is not a number")
    return found
