"""NVML calls that fill a structure, and the structures that plain calls return, as lists of JSON values.

A list has the order of the `parts` of its query in nvml.py. `nvml` is the pynvml module, `handle` a device of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from ctypes import POINTER, byref, c_ubyte, cast
from typing import Any

from bilbs_cli.diag.collectors.nvml_values import (
    NOT_AVAILABLE,
    Implausible,
    flag,
    hexadecimal,
    one_of,
    pci_address,
    percent,
    text,
    whole,
)

ENTRIES = 4096  # of a list whose length the driver says: more is no list but a lie
CPER_BYTES = 64 << 10
CPER_RECORDS = 16


def pci_ids(raw: Any) -> list[str]:
    """Return device with vendor, and subsystem (nvmlPciInfo_t): 0x233010de is device 2330 of vendor 10de."""
    return [f"0x{whole(raw.pciDeviceId):08x}", f"0x{whole(raw.pciSubSystemId):08x}"]


def pci_bus_id(raw: Any) -> str:
    """Return the PCI address, as sysfs writes it (nvmlPciInfo_t)."""
    return pci_address(text(raw.busId))


def bbx_run_time(raw: Any) -> int:
    """Return the seconds that the GPU has run in its life (nvmlBBXTimeData_v1_t)."""
    return whole(raw.timeRun)


def violation(raw: Any) -> list[int]:
    """Return nanoseconds of reduced clocks and the reference time in microseconds (nvmlViolationTime_t)."""
    return [whole(raw.violationTime), whole(raw.referenceTime)]


def bar1(raw: Any) -> list[int]:
    """Return total, used, free bytes (nvmlBAR1Memory_t)."""
    return [whole(raw.bar1Total), whole(raw.bar1Used), whole(raw.bar1Free)]


def utilization(raw: Any) -> list[int]:
    """Return GPU and memory utilization in percent (nvmlUtilization_t)."""
    return [percent(raw.gpu), percent(raw.memory)]


def retired_pages(raw: Any) -> list[dict[str, Any]]:
    """Return address and time (seconds since 1970; None where the driver has none) of each retired page."""
    pages = (page if isinstance(page, Mapping) else {"address": page, "timestamp": None} for page in raw[:ENTRIES])
    return [{"address": hexadecimal(page["address"]), "retired_at_s": page["timestamp"] or None} for page in pages]


def processes(raw: Any) -> list[dict[str, int | None]]:
    """Return process id, used bytes (None when the driver cannot say) and, under MIG, its instances."""
    return [
        {
            "pid": one.pid,
            "used_bytes": one.usedGpuMemory,
            **({} if one.gpuInstanceId in NOT_AVAILABLE else {"gpu_instance": one.gpuInstanceId}),
            **({} if one.computeInstanceId in NOT_AVAILABLE else {"compute_instance": one.computeInstanceId}),
        }
        for one in raw[:ENTRIES]
    ]


def memory(nvml: Any, handle: Any) -> list[int | None]:
    """Return total, used, free, reserved bytes (nvmlMemory_v2_t).

    Older drivers have nvmlMemory_t, where what is reserved counts as used: reserved is None then.
    """
    try:
        found = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    except nvml.NVMLError_FunctionNotFound:
        found = nvml.nvmlDeviceGetMemoryInfo(handle)
    numbers = [whole(found.total), whole(found.used), whole(found.free)]
    if max(numbers) > numbers[0]:
        raise Implausible(f"{numbers[1]} bytes used and {numbers[2]} free of {numbers[0]}")
    reserved = getattr(found, "reserved", None)
    return [*numbers, None if reserved is None else whole(reserved)]


def fan_rpm(nvml: Any, handle: Any, fan: int) -> int:
    """Return the speed of a fan in turns a minute (nvmlFanSpeedInfo_v1); pynvml's own function reads only the first."""
    info = nvml.c_nvmlFanSpeedInfo_t(version=nvml.nvmlFanSpeedInfo_v1, fan=fan)
    call = nvml._nvmlGetFunctionPointer("nvmlDeviceGetFanSpeedRPM")  # noqa: SLF001 - as pynvml itself calls
    result = call(handle, byref(info))
    if result != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(result)
    return whole(info.speed)


def sram_status(nvml: Any, handle: Any) -> list[int | bool]:
    """Return SRAM errors (nvmlEccSramErrorStatus_v1_t; root, Ampere and later) in the order of the table."""
    status = nvml.c_nvmlEccSramErrorStatus_v1_t()
    nvml.nvmlDeviceGetSramEccErrorStatus(handle, byref(status))
    names = [f"{kind}{what}" for kind in ("volatile", "aggregate") for what in ("Cor", "UncParity", "UncSecDed")]
    names += [f"aggregateUncBucket{place}" for place in ("L2", "Sm", "Pcie", "Mcu", "Other")]
    return [*(whole(getattr(status, name)) for name in names), flag(status.bThresholdExceeded)]


def unique_sram_errors(nvml: Any, handle: Any) -> list[dict[str, int | bool]]:
    """Return the places with uncorrected SRAM errors (nvmlEccSramUniqueUncorrectedErrorCounts_v1_t).

    Root, Blackwell and later.
    """
    counts = nvml.c_nvmlEccSramUniqueUncorrectedErrorCounts_v1_t()
    try:
        nvml.nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts(handle, byref(counts))  # with no room: how many there are
    except nvml.NVMLError_InsufficientSize:
        if counts.entryCount > ENTRIES:
            raise Implausible(f"{counts.entryCount} places with errors") from None
        room = (nvml.c_nvmlEccSramUniqueUncorrectedErrorEntry_v1_t * counts.entryCount)()
        counts.entries = cast(room, POINTER(nvml.c_nvmlEccSramUniqueUncorrectedErrorEntry_v1_t))
        nvml.nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts(handle, byref(counts))
        places = ("unit", "location", "sublocation", "extlocation", "address")
        return [
            {**{name: getattr(one, name) for name in places}, "parity": bool(one.isParity), "count": one.count}
            for one in room[: counts.entryCount]
        ]
    return []


def remapped_rows_v2(nvml: Any, handle: Any) -> list[int]:
    """Return active, inactive remappings of correctable, then of uncorrectable errors (nvmlRemappedRowsInfo_v2_t)."""
    info = nvml.c_nvmlRemappedRowsInfo_v2_t()
    nvml.nvmlDeviceGetRemappedRows_v2(handle, byref(info))
    return [info.corrActiveRemaps, info.corrInactiveRemaps, info.uncActiveRemaps, info.uncInactiveRemaps]


def bank_remapper(nvml: Any, handle: Any) -> list[int | bool]:
    """Return active, inactive, pending, groups with all and without spare banks (nvmlEccBankRemapperStatus_v1_t)."""
    status = nvml.c_nvmlEccBankRemapperStatus_v1_t()
    nvml.nvmlDeviceGetBankRemapperStatus_v1(handle, byref(status))
    return [
        whole(status.activeRemappings),
        whole(status.inactiveRemappings),
        flag(status.bPending),
        whole(status.histogram.maxSpareGroupCount),
        whole(status.histogram.noSpareGroupCount),
    ]


_PEER = one_of({0: "direct connected", 1: "switch connected"})  # nvmlPlatformInfo_v2_t.peerType


def platform(nvml: Any, handle: Any) -> list[str | int]:
    """Return chassis serial, slot, tray, host id, peer type, module, fabric GUID (nvmlPlatformInfo_v2_t).

    Blackwell and later. Its bytes are numbers: taken from memory, because ctypes would end the GUID at its first zero.
    """
    info = nvml.c_nvmlPlatformInfo_v2_t()
    nvml.nvmlDeviceGetPlatformInfo(handle, byref(info))
    raw = bytes(info)
    kind = type(info)
    guid, chassis = raw[kind.ibGuid.offset :][:16], raw[kind.chassisSerialNumber.offset :][:16]
    slot, tray, host, peer, module = raw[kind.slotNumber.offset :][:5]
    return [text(chassis), slot, tray, host, _PEER(peer), module, f"0x{guid.hex()}"]


# NVML_GPU_FABRIC_STATE_*, NVML_GPU_FABRIC_HEALTH_SUMMARY_*, NVML_GPU_FABRIC_HEALTH_MASK_*
_STATE = one_of({0: "not supported", 1: "not started", 2: "in progress", 3: "completed"})
_SUMMARY = one_of({0: "not supported", 1: "healthy", 2: "unhealthy", 3: "limited capacity"})
_YES_NO = one_of({0: "not supported", 1: "true", 2: "false"})
_CONFIGURATION = one_of(
    {
        0: "not supported",
        1: "none",
        2: "incorrect system guid",
        3: "incorrect chassis serial",
        4: "no partition",
        5: "insufficient nvlinks",
        6: "incompatible gpu firmware",
        7: "invalid location",
        8: "gpu state invalid",
    }
)
_HEALTH = (  # fact, shift, width
    ("degraded_bandwidth", 0, 0x3, _YES_NO),
    ("route_recovery", 2, 0x3, _YES_NO),
    ("route_unhealthy", 4, 0x3, _YES_NO),
    ("access_timeout_recovery", 6, 0x3, _YES_NO),
    ("incorrect_configuration", 8, 0xF, _CONFIGURATION),
    ("partition_assigned", 12, 0x3, _YES_NO),
)


def fabric(nvml: Any, handle: Any) -> list[Any]:
    """Return state, status, clique, cluster UUID, health mask, its meaning, and the summary (nvmlGpuFabricInfo_v3_t).

    Hopper and later. What the structure of an older driver (v2, v1) does not have is None. `status` is the error of the
    registration.
    """
    info = _fabric(nvml, handle)
    mask = getattr(info, "healthMask", None)
    summary = getattr(info, "healthSummary", None)
    status = "success" if info.status == nvml.NVML_SUCCESS else str(nvml.NVMLError(info.status))
    return [
        _STATE(info.state),
        status,
        info.cliqueId,
        str(uuid.UUID(bytes=bytes(info.clusterUuid))),
        None if mask is None else hexadecimal(mask),
        None if mask is None else {name: words(mask >> shift & width) for name, shift, width, words in _HEALTH},
        None if summary is None else _SUMMARY(summary),
    ]


def _fabric(nvml: Any, handle: Any) -> Any:
    for kind in (nvml.c_nvmlGpuFabricInfo_v3_t, nvml.c_nvmlGpuFabricInfo_v2_t):
        info = kind()
        try:
            nvml.nvmlDeviceGetGpuFabricInfoV(handle, byref(info))
        except (nvml.NVMLError_ArgumentVersionMismatch, nvml.NVMLError_FunctionNotFound):
            continue
        return info
    info = nvml.c_nvmlGpuFabricInfo_t()
    nvml.nvmlDeviceGetGpuFabricInfo(handle, byref(info))
    return info


_SEVERITY = one_of({0: "recoverable", 1: "fatal", 2: "corrected", 3: "informational"})  # UEFI 2.10, appendix N.2.1


def cper(nvml: Any, gpu_uuid: str) -> list[dict[str, Any]]:
    """Return the Common Platform Error Records of one GPU with their raw bytes (nvmlSystemGetCPER_v1; root)."""
    query = nvml.c_nvmlGetCPER_v1_t()
    query.cursor.cperTypeMask = nvml.NVML_CPER_ACCESS_TYPE_GPU
    query.cursor.uuid = gpu_uuid.encode()
    query.cursor.handle = nvml.NVML_CPER_CURSOR_HANDLE_INIT
    room = (c_ubyte * CPER_BYTES)()
    found: list[dict[str, Any]] = []
    while len(found) < CPER_RECORDS:
        query.buffer, query.bufferSize = cast(room, POINTER(c_ubyte)), CPER_BYTES
        nvml.nvmlSystemGetCPER_v1(query)
        if not query.bufferSize:
            break
        found.append(cper_record(bytes(room[: query.bufferSize])))
    return found


def cper_record(raw: bytes) -> dict[str, Any]:
    """Return severity, sections and bytes of a CPER (UEFI 2.10, appendix N.2.1: the record header).

    >>> cper_record(b"CPER" + bytes([1, 1, 255, 255, 255, 255, 2, 0, 1, 0, 0, 0]))["severity"]
    'fatal'
    """
    known = len(raw) >= 16 and raw.startswith(b"CPER")
    return {
        "severity": _SEVERITY(int.from_bytes(raw[12:16], "little")) if known else None,
        "sections": int.from_bytes(raw[10:12], "little") if known else None,
        "bytes_hex": raw.hex(" ", -4),
    }
