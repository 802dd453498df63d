"""What the answers of a BMC about itself, its chassis, log, network and power say (pure: bytes in, facts out).

Sections are of IPMI 2.0; DCMI is the Data Center Manageability Interface 1.5. Answers come without the completion code.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bilbs_cli.diag.collectors.ipmi_names import RESTART_CAUSES, word
from bilbs_cli.diag.collectors.ipmi_sel import PRE_INIT_END, UNSPECIFIED_TIME
from bilbs_cli.escape import visible

Facts = dict[str, Any]

MANUFACTURERS: dict[int, str] = {  # IANA private enterprise numbers of makers of servers
    2: "IBM",
    11: "Hewlett-Packard",
    42: "Oracle (Sun)",
    343: "Intel",
    674: "Dell",
    2623: "ASUS",
    5703: "NVIDIA",
    5771: "Cisco",
    6653: "Tyan",
    7244: "Quanta",
    10368: "Fujitsu",
    10876: "Supermicro",
    15370: "Gigabyte",
    19046: "Lenovo",
    33049: "Mellanox",
    47196: "Hewlett Packard Enterprise",
}
FUNCTIONS = (
    "sensors",
    "SDR repository",
    "SEL",
    "FRU inventory",
    "event receiver",
    "event generator",
    "bridge",
    "chassis",
)
POWER_FAULTS = ("overload", "interlock", "fault", "control fault")
POLICIES = ("stays off", "restores the last state", "powers up", "unknown")
SELF_TEST_FAULTS = (
    "controller operational firmware corrupted",
    "controller update boot block firmware corrupted",
    "internal use area corrupted",
    "SDR repository empty",
    "IPMB signal lines do not respond",
    "cannot access BMC FRU device",
    "cannot access SDR repository",
    "cannot access SEL device",
)
SELF_TESTS = {
    0x55: "passed",
    0x56: "not implemented",
    0x57: "corrupted or inaccessible data or devices",
    0x58: "fatal hardware error",
}
TIMER_USES = ("reserved", "BIOS FRB2", "BIOS/POST", "OS load", "SMS/OS", "OEM")
TIMER_ACTIONS = ("no action", "hard reset", "power down", "power cycle")
MEDIA_LAN = 0x04
ADDRESS_SOURCES = ("unspecified", "static", "DHCP", "BIOS or system software", "other protocol")


def device(answer: bytes) -> Facts:
    """Read Get Device ID (20.1). `normal_operation` is bit 7 of the firmware byte, where 1 means an update goes on."""
    maker = int.from_bytes(answer[6:9], "little") & 0xFFFFF
    return {
        "id": answer[0],
        "revision": answer[1] & 0x0F,
        "provides_sdrs": bool(answer[1] & 0x80),
        "normal_operation": not answer[2] & 0x80,
        "firmware": f"{answer[2] & 0x7F}.{answer[3]:02x}",
        "ipmi_version": f"{answer[4] & 0x0F}.{answer[4] >> 4}",
        "functions": _bits(answer[5], FUNCTIONS),
        "manufacturer_id": maker,
        "manufacturer": MANUFACTURERS.get(maker),
        "product_id": int.from_bytes(answer[9:11], "little"),
        "auxiliary_firmware": answer[11:15].hex(" ") or None,
    }


def guid(answer: bytes) -> str:
    """Return a GUID in its usual form (20.8: least significant byte first)."""
    text = answer[:16][::-1].hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def self_test(answer: bytes) -> Facts:
    """Read Get Self Test Results (20.4)."""
    result = SELF_TESTS.get(answer[0], f"device-specific result 0x{answer[0]:02x}")
    faults = _bits(answer[1], SELF_TEST_FAULTS) if answer[0] == 0x57 else []
    return {"result": result, "code": answer[0], "detail": answer[1], "faults": faults}


def chassis(answer: bytes) -> Facts:
    """Read Get Chassis Status (28.2)."""
    power, last, state = answer[:3]
    return {
        "power_on": bool(power & 1),
        "power_faults": _bits(power >> 1, POWER_FAULTS),
        "restore_policy": POLICIES[power >> 5 & 3],
        "last_power_event": _bits(last, ("AC failed", *POWER_FAULTS[:3], "power on by IPMI command")),
        "state": _bits(state, ("intrusion", "front panel lockout", "drive fault", "cooling fault")),
        "identify": ("off", "temporarily on", "on", "reserved")[state >> 4 & 3] if state & 0x40 else None,
    }


def restart_cause(answer: bytes) -> str:
    """Read Get System Restart Cause (28.11)."""
    return word(RESTART_CAUSES, answer[0] & 0x0F, "cause")


def power_on_hours(answer: bytes) -> float:
    """Read Get POH Counter (28.14); hours, rounded to one decimal."""
    return round(int.from_bytes(answer[1:5], "little") * answer[0] / 60, 1)


def watchdog(answer: bytes) -> Facts:
    """Read Get Watchdog Timer (27.7)."""
    return {
        "use": word(TIMER_USES, answer[0] & 7, "use"),
        "running": bool(answer[0] & 0x40),
        "logs": not answer[0] & 0x80,
        "action": word(TIMER_ACTIONS, answer[1] & 7, "action"),
        "expired_for": _bits(answer[3], TIMER_USES),
        "initial_s": int.from_bytes(answer[4:6], "little") / 10,
        "left_s": int.from_bytes(answer[6:8], "little") / 10,
    }


def sel_info(answer: bytes) -> Facts:
    """Read Get SEL Info (31.2). `overflow` says that events were dropped because the log was full."""
    return {
        "version": f"{answer[0] & 0x0F}.{answer[0] >> 4}",
        "entries": int.from_bytes(answer[1:3], "little"),
        "free_bytes": int.from_bytes(answer[3:5], "little"),
        "last_added": clock(answer[5:9]),
        "last_erased": clock(answer[9:13]),
        "overflow": bool(answer[13] & 0x80),
    }


def clock(seconds: bytes) -> str | None:
    """Return a timestamp of the BMC (section 37), None where it has none; its zone is the BMC's own business."""
    count = int.from_bytes(seconds, "little")
    if count == UNSPECIFIED_TIME:
        return None
    return f"pre-init +{count} s" if count < PRE_INIT_END else datetime.fromtimestamp(count, UTC).isoformat()


def utc_offset(answer: bytes) -> int | None:
    """Read Get SEL Time UTC Offset (31.11a); minutes, None when the BMC does not know it (07FFh)."""
    minutes = int.from_bytes(answer[:2], "little", signed=True)
    return None if minutes == 0x7FF else minutes


LAN_PARAMETERS: tuple[tuple[str, int, int, Callable[[bytes], Any]], ...] = (  # table 23-4: name, number, bytes, decoder
    ("address", 3, 4, lambda data: str(ipaddress.IPv4Address(data[:4]))),
    ("source", 4, 1, lambda data: word(ADDRESS_SOURCES, data[0] & 0x0F, "source")),
    ("mac", 5, 6, lambda data: data[:6].hex(":")),
    ("netmask", 6, 4, lambda data: str(ipaddress.IPv4Address(data[:4]))),
    ("gateway", 12, 4, lambda data: str(ipaddress.IPv4Address(data[:4]))),
    ("vlan", 20, 2, lambda data: int.from_bytes(data[:2], "little") & 0xFFF if data[1] & 0x80 else None),
)


def dcmi_power(answer: bytes) -> Facts:
    """Read DCMI Get Power Reading (6.6.1); watts, and the period of the statistics in seconds."""
    words = [int.from_bytes(answer[at : at + 2], "little") for at in (1, 3, 5, 7)]
    names = ("power_w", "power_min_w", "power_max_w", "power_average_w")
    return dict(zip(names, words, strict=True)) | {
        "power_period_s": int.from_bytes(answer[13:17], "little") / 1000,
        "power_measured": bool(answer[17] & 0x40),
    }


def dcmi_limit(answer: bytes) -> Facts:
    """Read DCMI Get Power Limit (6.6.2)."""
    return {
        "power_limit_w": int.from_bytes(answer[4:6], "little"),
        "power_limit_action": answer[3],
        "power_limit_correction_s": int.from_bytes(answer[6:10], "little") / 1000,
    }


def dcmi_temperatures(answer: bytes) -> list[tuple[int, int]]:
    """Read DCMI Get Temperature Readings (6.7.3): pairs of instance and degrees Celsius; bit 7 is the sign."""
    pairs = zip(answer[3::2], answer[4::2], strict=False)
    return [(instance, -(raw & 0x7F) if raw & 0x80 else raw) for raw, instance in list(pairs)[: answer[2]]]


def text(data: bytes) -> str:
    """Return a string of a BMC, up to its zero byte, with nothing a terminal could act on."""
    return visible(data.split(b"\0", 1)[0].decode("utf-8", "replace").strip())


def _bits(value: int, names: tuple[str, ...]) -> list[str]:
    return [name for bit, name in enumerate(names) if value >> bit & 1]
