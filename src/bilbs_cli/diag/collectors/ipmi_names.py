"""Words for the numbers of IPMI 2.0: sensor types, event offsets, entities, units, completion codes. Data only.

Source: Intelligent Platform Management Interface Specification, second generation, v2.0 revision 1.1: tables 5-2
(completion codes), 42-1 to 42-3 (events), 43-13 (entities), 43-15 (units).
"""

from __future__ import annotations

COMPLETION_CODES: dict[int, str] = {
    0x80: "command-specific error 0x80", 0x81: "command-specific error 0x81", 0x82: "command-specific error 0x82",
    0x83: "no acknowledge on the bus behind the BMC",
    0xC0: "node busy", 0xC1: "invalid command: this BMC does not have it", 0xC2: "command invalid for this LUN",
    0xC3: "time-out inside the BMC", 0xC4: "out of space", 0xC5: "reservation cancelled or invalid",
    0xC6: "request data truncated", 0xC7: "request data length invalid", 0xC8: "request data too long",
    0xC9: "parameter out of range", 0xCA: "cannot return that many bytes",
    0xCB: "sensor, data or record not present", 0xCC: "invalid field in the request",
    0xCD: "command illegal for this sensor or record", 0xCE: "no response could be given",
    0xCF: "cannot execute a duplicated request", 0xD0: "SDR repository in update mode",
    0xD1: "device in firmware update mode", 0xD2: "BMC initialization in progress", 0xD3: "destination unavailable",
    0xD4: "insufficient privilege", 0xD5: "not supported in the present state", 0xD6: "command disabled in firmware",
    0xFF: "unspecified error",
}

SENSOR_TYPES: dict[int, str] = {
    0x01: "Temperature", 0x02: "Voltage", 0x03: "Current", 0x04: "Fan", 0x05: "Physical Security",
    0x06: "Platform Security", 0x07: "Processor", 0x08: "Power Supply", 0x09: "Power Unit", 0x0A: "Cooling Device",
    0x0B: "Other", 0x0C: "Memory", 0x0D: "Drive Slot", 0x0E: "POST Memory Resize", 0x0F: "System Firmware Progress",
    0x10: "Event Logging Disabled", 0x11: "Watchdog 1", 0x12: "System Event", 0x13: "Critical Interrupt",
    0x14: "Button / Switch", 0x15: "Module / Board", 0x16: "Microcontroller", 0x17: "Add-in Card", 0x18: "Chassis",
    0x19: "Chip Set", 0x1A: "Other FRU", 0x1B: "Cable / Interconnect", 0x1C: "Terminator",
    0x1D: "System Boot Initiated", 0x1E: "Boot Error", 0x1F: "OS Boot", 0x20: "OS Stop", 0x21: "Slot / Connector",
    0x22: "System ACPI Power State", 0x23: "Watchdog 2", 0x24: "Platform Alert", 0x25: "Entity Presence",
    0x26: "Monitor ASIC", 0x27: "LAN", 0x28: "Management Subsystem Health", 0x29: "Battery", 0x2A: "Session Audit",
    0x2B: "Version Change", 0x2C: "FRU State",
}

# Table 42-2: what the offset of an event or a state bit means, by event/reading type
GENERIC_EVENTS: dict[int, tuple[str, ...]] = {
    0x01: (
        "lower non-critical, going low", "lower non-critical, going high", "lower critical, going low",
        "lower critical, going high", "lower non-recoverable, going low", "lower non-recoverable, going high",
        "upper non-critical, going low", "upper non-critical, going high", "upper critical, going low",
        "upper critical, going high", "upper non-recoverable, going low", "upper non-recoverable, going high",
    ),
    0x02: ("transition to idle", "transition to active", "transition to busy"),
    0x03: ("state deasserted", "state asserted"),
    0x04: ("predictive failure deasserted", "predictive failure asserted"),
    0x05: ("limit not exceeded", "limit exceeded"),
    0x06: ("performance met", "performance lags"),
    0x07: (
        "transition to OK", "transition to non-critical from OK", "transition to critical from less severe",
        "transition to non-recoverable from less severe", "transition to non-critical from more severe",
        "transition to critical from non-recoverable", "transition to non-recoverable", "monitor", "informational",
    ),
    0x08: ("device removed / absent", "device inserted / present"),
    0x09: ("device disabled", "device enabled"),
    0x0A: (
        "transition to running", "transition to in test", "transition to power off", "transition to on line",
        "transition to off line", "transition to off duty", "transition to degraded", "transition to power save",
        "install error",
    ),
    0x0B: (
        "fully redundant", "redundancy lost", "redundancy degraded",
        "non-redundant: sufficient resources from redundant", "non-redundant: sufficient resources from insufficient",
        "non-redundant: insufficient resources", "redundancy degraded from fully redundant",
        "redundancy degraded from non-redundant",
    ),
    0x0C: ("D0 power state", "D1 power state", "D2 power state", "D3 power state"),
}

# Table 42-3: the same for event/reading type 6Fh, by sensor type
SENSOR_EVENTS: dict[int, tuple[str, ...]] = {
    0x05: (
        "general chassis intrusion", "drive bay intrusion", "I/O card area intrusion", "processor area intrusion",
        "LAN leash lost", "unauthorized dock", "fan area intrusion",
    ),
    0x06: (
        "secure mode violation attempt", "pre-boot password violation: user", "pre-boot password violation: setup",
        "pre-boot password violation: network boot", "other pre-boot password violation",
        "out-of-band access password violation",
    ),
    0x07: (
        "IERR", "thermal trip", "FRB1 / BIST failure", "FRB2 / hang in POST", "FRB3 / start or initialization failure",
        "configuration error", "SMBIOS uncorrectable CPU-complex error", "processor presence detected",
        "processor disabled", "terminator presence detected", "processor automatically throttled",
        "machine check exception (uncorrectable)", "correctable machine check error",
    ),
    0x08: (
        "presence detected", "failure detected", "predictive failure", "input lost (AC/DC)",
        "input lost or out of range", "input out of range, but present", "configuration error", "inactive (in standby)",
    ),
    0x09: (
        "power off / power down", "power cycle", "240 VA power down", "interlock power down", "AC lost",
        "soft power control failure", "failure detected", "predictive failure",
    ),
    0x0C: (
        "correctable ECC / other correctable memory error", "uncorrectable ECC / other uncorrectable memory error",
        "parity error", "memory scrub failed (stuck bit)", "memory device disabled",
        "correctable ECC logging limit reached", "presence detected", "configuration error", "spare",
        "automatically throttled", "critical overtemperature",
    ),
    0x0D: (
        "drive present", "drive fault", "predictive failure", "hot spare", "consistency / parity check in progress",
        "in critical array", "in failed array", "rebuild / remap in progress", "rebuild / remap aborted",
    ),
    0x0F: ("firmware error (POST error)", "firmware hang", "firmware progress"),
    0x10: (
        "correctable memory error logging disabled", "logging of an event type disabled", "log area reset / cleared",
        "all event logging disabled", "SEL full", "SEL almost full",
        "correctable machine check error logging disabled",
    ),
    0x11: (
        "BIOS watchdog reset", "OS watchdog reset", "OS watchdog shut down", "OS watchdog power down",
        "OS watchdog power cycle", "OS watchdog NMI / diagnostic interrupt", "OS watchdog expired, status only",
        "OS watchdog pre-timeout interrupt",
    ),
    0x12: (
        "system reconfigured", "OEM system boot event", "undetermined system hardware failure",
        "entry added to auxiliary log", "PEF action", "timestamp clock synchronization",
    ),
    0x13: (
        "front panel NMI / diagnostic interrupt", "bus time-out", "I/O channel check NMI", "software NMI", "PCI PERR",
        "PCI SERR", "EISA fail-safe time-out", "bus correctable error", "bus uncorrectable error", "fatal NMI",
        "bus fatal error", "bus degraded",
    ),
    0x14: (
        "power button pressed", "sleep button pressed", "reset button pressed", "FRU latch open",
        "FRU service request button pressed",
    ),
    0x19: ("soft power control failure", "thermal trip"),
    0x1B: ("cable / interconnect connected", "configuration error: incorrect cable connected"),
    0x1D: (
        "initiated by power up", "initiated by hard reset", "initiated by warm reset", "user requested PXE boot",
        "automatic boot to diagnostic", "OS run-time software initiated hard reset",
        "OS run-time software initiated warm reset", "system restart",
    ),
    0x1E: (
        "no bootable media", "non-bootable diskette left in drive", "PXE server not found", "invalid boot sector",
        "time-out waiting for user selection of boot source",
    ),
    0x1F: (
        "A: boot completed", "C: boot completed", "PXE boot completed", "diagnostic boot completed",
        "CD-ROM boot completed", "ROM boot completed", "boot completed, device not specified",
        "OS installation started", "OS installation completed", "OS installation aborted", "OS installation failed",
    ),
    0x20: (
        "critical stop during OS load / initialization", "run-time critical stop", "OS graceful stop",
        "OS graceful shutdown", "soft shutdown initiated by PEF", "agent not responding",
    ),
    0x21: (
        "fault status asserted", "identify status asserted", "device installed / attached",
        "ready for device installation", "ready for device removal", "slot power off", "device removal request",
        "interlock asserted", "slot disabled", "slot holds spare device",
    ),
    0x22: (
        "S0 / G0 working", "S1 sleeping", "S2 sleeping", "S3 sleeping", "S4 non-volatile sleep", "S5 / G2 soft-off",
        "S4 / S5 soft-off", "G3 mechanical off", "sleeping in S1, S2 or S3", "G1 sleeping", "S5 entered by override",
        "legacy on state", "legacy off state", "unspecified power state", "unknown power state",
    ),
    0x23: (
        "timer expired, status only", "hard reset", "power down", "power cycle", "reserved offset 4",
        "reserved offset 5", "reserved offset 6", "reserved offset 7", "timer interrupt",
    ),
    0x24: (
        "platform generated page", "platform generated LAN alert", "platform event trap generated",
        "platform generated SNMP trap",
    ),
    0x25: ("entity present", "entity absent", "entity disabled"),
    0x27: ("LAN heartbeat lost", "LAN heartbeat"),
    0x28: (
        "sensor access degraded or unavailable", "controller access degraded or unavailable",
        "management controller off-line", "management controller unavailable", "sensor failure", "FRU failure",
    ),
    0x29: ("battery low (predictive failure)", "battery failed", "battery presence detected"),
    0x2A: (
        "session activated", "session deactivated", "invalid username or password", "disabled after bad passwords",
    ),
    0x2B: (
        "hardware change detected", "firmware or software change detected", "hardware incompatibility detected",
        "firmware or software incompatibility detected", "invalid or unsupported hardware version",
        "invalid or unsupported firmware or software version", "hardware change successful",
        "firmware or software change successful",
    ),
    0x2C: (
        "not installed", "inactive", "activation requested", "activation in progress", "active",
        "deactivation requested", "deactivation in progress", "communication lost",
    ),
}

# Event data 2 of sensor type 0Fh (System Firmware Progress)
POST_ERRORS: tuple[str, ...] = (
    "unspecified", "no system memory installed", "no usable system memory", "unrecoverable hard-disk failure",
    "unrecoverable system-board failure", "unrecoverable diskette failure",
    "unrecoverable hard-disk controller failure", "unrecoverable keyboard failure", "removable boot media not found",
    "unrecoverable video controller failure",
    "no video device detected", "firmware (BIOS) ROM corruption", "CPU voltage mismatch", "CPU speed mismatch",
)
POST_PROGRESS: tuple[str, ...] = (
    "unspecified", "memory initialization", "hard-disk initialization", "secondary processor initialization",
    "user authentication", "user-initiated system setup", "USB resource configuration", "PCI resource configuration",
    "option ROM initialization", "video initialization", "cache initialization", "SM bus initialization",
    "keyboard controller initialization", "embedded / management controller initialization",
    "docking station attachment", "enabling docking station", "docking station ejection", "disabling docking station",
    "calling operating system wake-up vector", "starting operating system boot", "baseboard initialization",
    "reserved 15h", "floppy initialization", "keyboard test", "pointing device test",
    "primary processor initialization",
)

RESTART_CAUSES: tuple[str, ...] = (  # section 28.11
    "unknown", "chassis control command", "reset by push button", "power up by push button", "watchdog expired",
    "OEM", "automatic power up: always restore", "automatic power up: restore previous state",
    "reset by PEF", "power cycle by PEF", "soft reset", "power up by real-time clock",
)

ENTITIES: dict[int, str] = {
    0x00: "unspecified", 0x01: "other", 0x02: "unknown", 0x03: "processor", 0x04: "disk or disk bay",
    0x05: "peripheral bay", 0x06: "system management module", 0x07: "system board", 0x08: "memory module",
    0x09: "processor module", 0x0A: "power supply", 0x0B: "add-in card", 0x0C: "front panel board",
    0x0D: "back panel board", 0x0E: "power system board", 0x0F: "drive backplane",
    0x10: "system internal expansion board", 0x11: "other system board", 0x12: "processor board", 0x13: "power unit",
    0x14: "power module", 0x15: "power distribution board", 0x16: "chassis back panel board", 0x17: "system chassis",
    0x18: "sub-chassis", 0x19: "other chassis board", 0x1A: "disk drive bay", 0x1B: "peripheral bay",
    0x1C: "device bay", 0x1D: "fan", 0x1E: "cooling unit", 0x1F: "cable / interconnect", 0x20: "memory device",
    0x21: "system management software", 0x22: "system firmware", 0x23: "operating system", 0x24: "system bus",
    0x25: "group", 0x26: "remote management device", 0x27: "external environment", 0x28: "battery",
    0x29: "processing blade", 0x2A: "connectivity switch", 0x2B: "processor / memory module", 0x2C: "I/O module",
    0x2D: "processor / I/O module", 0x2E: "management controller firmware", 0x2F: "IPMI channel", 0x30: "PCI bus",
    0x31: "PCI Express bus", 0x32: "SCSI bus", 0x33: "SATA / SAS bus", 0x34: "processor / front-side bus",
    0x35: "real-time clock", 0x37: "air inlet", 0x40: "air inlet", 0x41: "processor", 0x42: "baseboard",
}

UNITS: tuple[str, ...] = (
    "unspecified", "degrees C", "degrees F", "kelvin", "V", "A", "W", "J", "C", "VA", "nit", "lm", "lx", "cd", "kPa",
    "psi", "N", "CFM", "RPM", "Hz", "us", "ms", "s", "min", "h", "d", "week", "mil", "in", "ft", "cu in", "cu ft", "mm",
    "cm", "m", "cu cm", "cu m", "l", "fl oz", "rad", "sr", "revolutions", "cycles", "g", "oz", "lb", "ft-lb", "oz-in",
    "gauss", "gilbert", "H", "mH", "F", "uF", "ohm", "S", "mol", "Bq", "ppm", "reserved", "dB", "dBA", "dBC", "Gy",
    "Sv", "K color temperature", "bit", "kbit", "Mbit", "Gbit", "byte", "kB", "MB", "GB", "word", "dword", "qword",
    "line", "hit", "miss", "retry", "reset", "overrun", "underrun", "collision", "packets", "messages", "characters",
    "error", "correctable error", "uncorrectable error", "fatal error", "gram",
)
RATES: tuple[str, ...] = ("", "per us", "per ms", "per s", "per min", "per h", "per d", "")

CHASSIS_TYPES: dict[int, str] = {  # SMBIOS, system enclosure type
    1: "other", 2: "unknown", 3: "desktop", 4: "low profile desktop", 5: "pizza box", 6: "mini tower", 7: "tower",
    8: "portable", 9: "laptop", 10: "notebook", 11: "hand held", 12: "docking station", 13: "all in one",
    14: "sub notebook", 15: "space-saving", 16: "lunch box", 17: "main server chassis", 18: "expansion chassis",
    19: "sub chassis", 20: "bus expansion chassis", 21: "peripheral chassis", 22: "RAID chassis",
    23: "rack mount chassis", 24: "sealed-case PC", 25: "multi-system chassis", 26: "compact PCI", 27: "advanced TCA",
    28: "blade", 29: "blade enclosure",
}


def word(table: dict[int, str] | tuple[str, ...], number: int, kind: str) -> str:
    """Return the word for `number`, or `kind` with the number where the specification has none."""
    if isinstance(table, dict):
        return table.get(number) or f"{kind} 0x{number:02x}"
    return table[number] if 0 <= number < len(table) else f"{kind} 0x{number:02x}"


def event_text(sensor_type: int, event_type: int, offset: int) -> str:
    """Return what `offset` means for this sensor type and event/reading type (tables 42-2 and 42-3)."""
    texts = SENSOR_EVENTS.get(sensor_type, ()) if event_type == 0x6F else GENERIC_EVENTS.get(event_type, ())
    if offset < len(texts):
        return texts[offset]
    if 0x70 <= event_type <= 0x7F:
        return f"OEM event type 0x{event_type:02x}, offset {offset}"
    if sensor_type >= 0xC0:
        return f"OEM sensor type 0x{sensor_type:02x}, offset {offset}"
    return f"event type 0x{event_type:02x}, offset {offset}"
