"""The IPMI commands that may be sent: those that only read. Nothing else leaves this program (pure)."""

from __future__ import annotations

CHASSIS, SENSOR, APP, STORAGE, TRANSPORT, GROUP = 0x00, 0x04, 0x06, 0x0A, 0x0C, 0x2C
DCMI_GROUP = 0xDC  # first byte of every DCMI request (DCMI 1.5, chapter 6)

# IPMI 2.0, appendix G; no command here changes a setting, a log, a sensor or the power. Two act on this session alone
# (its privilege, its end), and two reservations cancel at most another reader's reservation.
READS: dict[tuple[int, int], str] = {
    (CHASSIS, 0x01): "Get Chassis Status",
    (CHASSIS, 0x07): "Get System Restart Cause",
    (CHASSIS, 0x0F): "Get POH Counter",
    (SENSOR, 0x21): "Get Device SDR",
    (SENSOR, 0x22): "Reserve Device SDR Repository",
    (SENSOR, 0x23): "Get Sensor Reading Factors",
    (SENSOR, 0x27): "Get Sensor Thresholds",
    (SENSOR, 0x2D): "Get Sensor Reading",
    (APP, 0x01): "Get Device ID",
    (APP, 0x04): "Get Self Test Results",
    (APP, 0x08): "Get Device GUID",
    (APP, 0x25): "Get Watchdog Timer",
    (APP, 0x37): "Get System GUID",
    (APP, 0x38): "Get Channel Authentication Capabilities",
    (APP, 0x3B): "Set Session Privilege Level",
    (APP, 0x3C): "Close Session",
    (APP, 0x42): "Get Channel Info",
    (STORAGE, 0x10): "Get FRU Inventory Area Info",
    (STORAGE, 0x11): "Read FRU Data",
    (STORAGE, 0x22): "Reserve SDR Repository",
    (STORAGE, 0x23): "Get SDR",
    (STORAGE, 0x40): "Get SEL Info",
    (STORAGE, 0x43): "Get SEL Entry",
    (STORAGE, 0x48): "Get SEL Time",
    (STORAGE, 0x5C): "Get SEL Time UTC Offset",
    (TRANSPORT, 0x02): "Get LAN Configuration Parameters",
}
DCMI_READS: dict[int, str] = {
    0x01: "Get DCMI Capabilities",
    0x02: "Get Power Reading",
    0x03: "Get Power Limit",
    0x06: "Get Asset Tag",
    0x0B: "Get Management Controller Identifier String",
    0x10: "Get Temperature Readings",
}


class NotARead(Exception):
    """A command outside the list was about to be sent to the BMC; it was not sent."""


def name_of(netfn: int, request: bytes) -> str:
    """Return the name of a request (command byte first). Raises `NotARead` when it is not one that only reads."""
    name = None
    if request and netfn == GROUP:
        name = DCMI_READS.get(request[0]) if request[1:2] == bytes([DCMI_GROUP]) else None
    elif request:
        name = READS.get((netfn, request[0]))
    if name is None:
        command = request[:1].hex() or "none"
        raise NotARead(f"netfn {netfn:02x} command {command} is not one that only reads; it was not sent")
    return name
