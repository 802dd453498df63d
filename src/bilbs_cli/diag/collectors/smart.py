"""What smartctl(8) and nvme(1) say in JSON about a disk, as facts with units."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ATTRIBUTES = {  # ATA attribute numbers whose raw value is a count of trouble; names by smartctl's drive database
    5: "reallocated_sectors",
    187: "reported_uncorrectable",
    197: "pending_sectors",
    198: "offline_uncorrectable",
    199: "crc_errors",
}
BOTH = {
    "critical_warning": "critical_warning",
    "media_errors": "media_errors",
    "unsafe_shutdowns": "unsafe_shutdowns",
    "num_err_log_entries": "error_log_entries",
    "power_on_hours": "power_on_hours",
    "data_units_written": "data_units_written",
}
NVME = BOTH | {
    "available_spare": "spare_percent",
    "available_spare_threshold": "spare_threshold_percent",
    "percentage_used": "used_percent",
}
NVME_CLI = BOTH | {
    "avail_spare": "spare_percent",
    "spare_thresh": "spare_threshold_percent",
    "percent_used": "used_percent",
}
EXIT_BITS = (
    "command_line",
    "open_failed",
    "command_failed",
    "failing",
    "prefail_below_threshold",
    "was_below_threshold",
    "error_log",
    "selftest_log",
)  # smartctl(8), EXIT STATUS


def document(data: bytes | None) -> Mapping[str, Any] | None:
    """Return the JSON object of a program's output, None when there is none."""
    try:
        found = json.loads(data or b"")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def pick(node: object, *names: str) -> Any:
    """Return what stands at a path of a JSON document, None when it does not."""
    for name in names:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def number(value: object) -> int | float | None:
    """Return a JSON number, None for anything else (true is no number; nvme-cli writes large ones as text)."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 40:
        return int(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def smartctl(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of `smartctl -x -j`; None where the disk did not say.

    >>> smartctl({"smart_status": {"passed": False}, "smartctl": {"exit_status": 8}})["passed"]
    False
    >>> smartctl({})["passed"] is None
    True
    """
    passed = pick(found, "smart_status", "passed")
    facts: dict[str, Any] = {
        "passed": passed if isinstance(passed, bool) else None,
        "model": _text(pick(found, "model_name") or pick(found, "scsi_model_name")),
        "serial": _text(pick(found, "serial_number")),
        "firmware": _text(pick(found, "firmware_version")),
        "temperature_c": number(pick(found, "temperature", "current")),
        "power_on_hours": number(pick(found, "power_on_time", "hours")),
        "exit_bits": exit_bits(pick(found, "smartctl", "exit_status")),
        "messages": _messages(found),
    }
    health = pick(found, "nvme_smart_health_information_log")
    if isinstance(health, Mapping):
        facts |= {fact: number(health.get(name)) for name, fact in NVME.items()}
    return facts | _ata(found) | _scsi(found)


def _ata(found: Mapping[str, Any]) -> dict[str, Any]:
    table = pick(found, "ata_smart_attributes", "table")
    rows = ((pick(row, "id"), pick(row, "raw", "value")) for row in table) if isinstance(table, list) else ()
    facts = {ATTRIBUTES[kind]: number(raw) for kind, raw in rows if isinstance(kind, int) and kind in ATTRIBUTES}
    errors = number(pick(found, "ata_smart_error_log", "extended", "count"))
    return facts | ({"error_log_entries": errors} if errors is not None else {})


def _scsi(found: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    grown = number(pick(found, "scsi_grown_defect_list"))
    if grown is not None:
        facts["grown_defects"] = grown
    for direction in ("read", "write"):
        errors = number(pick(found, "scsi_error_counter_log", direction, "total_uncorrected_errors"))
        if errors is not None:
            facts[f"{direction}_uncorrected"] = errors
    return facts


def exit_bits(status: object) -> list[str] | None:
    """Return what smartctl's exit status says: it is a set of bits, not a number to compare with 0.

    >>> exit_bits(0), exit_bits(8 + 64)
    ([], ['failing', 'error_log'])
    """
    if not isinstance(status, int):
        return None
    return [name for bit, name in enumerate(EXIT_BITS) if status >> bit & 1]


def nvme_smart_log(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of `nvme smart-log -o json`; its temperature is in kelvin.

    >>> nvme_smart_log({"critical_warning": 0, "temperature": 310, "avail_spare": 100})["temperature_c"]
    37
    """
    warning = found.get("critical_warning")
    kelvin = number(found.get("temperature"))
    facts = {fact: number(found.get(name)) for name, fact in NVME_CLI.items()}
    if isinstance(warning, Mapping):  # nvme-cli 2 takes the bits apart
        facts["critical_warning"] = number(warning.get("value"))
    return facts | {"temperature_c": kelvin - 273 if kelvin is not None else None}


def _text(value: object) -> str | None:
    return value.strip() if isinstance(value, str) and value.strip() else None


def _messages(found: Mapping[str, Any]) -> list[str]:
    messages = pick(found, "smartctl", "messages")
    return [str(pick(one, "string")) for one in messages] if isinstance(messages, list) else []
