"""Which states and events of IPMI sensors are a fault, and how bad: by sensor type and offset, not by words in a text.

Offsets are those of IPMI 2.0 tables 42-2 (generic) and 42-3 (by sensor type); how bad they are follows the defaults of
FreeIPMI's freeipmi_interpret_sensor.conf(5) and freeipmi_interpret_sel.conf(5). Where this differs from them: a processor
that is disabled, a supply that predicts its failure, a battery that is low and a degraded controller of the BMC are
warnings here (each goes on working), an opened chassis is told only (a rule of its own), and an absent device or entity is no fault.
"""

from __future__ import annotations

from collections.abc import Mapping

from bilbs_cli.diag.collectors.ipmi_names import GENERIC_EVENTS, SENSOR_EVENTS, SENSOR_TYPES
from bilbs_cli.diag.findings import Severity

IPMI = (
    "https://www.intel.com/content/www/us/en/products/docs/servers/ipmi/ipmi-second-gen-interface-spec-v2-rev1-1.html"
)
FREEIPMI = "https://www.gnu.org/software/freeipmi/manpages/man5/freeipmi_interpret_sel.conf.5.html"
THRESHOLD, STATE, REDUNDANCY, SPECIFIC = 0x01, 0x03, 0x0B, 0x6F  # event/reading types
TEMPERATURE, VOLTAGE, FAN, INTRUSION, PROCESSOR, SUPPLY = 0x01, 0x02, 0x04, 0x05, 0x07, 0x08
UNIT, MEMORY, DRIVE, LOGGING, INTERRUPT, CHIP_SET = 0x09, 0x0C, 0x0D, 0x10, 0x13, 0x19

C, W = Severity.CRITICAL, Severity.WARNING
Levels = Mapping[int, Severity]  # by offset
Numbers = tuple[int, int, int]  # of an event: sensor type, event type, offset

BY_TYPE: Mapping[int, Levels] = {  # table 42-3
    PROCESSOR: {0: C, 1: C, 2: C, 3: C, 4: C, 5: C, 6: C, 8: W, 10: W, 11: C, 12: W},
    SUPPLY: {1: C, 2: W, 3: C, 4: C, 5: W, 6: W},
    UNIT: {2: W, 3: W, 4: C, 5: C, 6: C, 7: W},
    MEMORY: {0: W, 1: C, 2: C, 3: C, 4: C, 5: W, 7: C, 9: W, 10: C},
    DRIVE: {1: C, 2: W, 5: C, 6: C, 8: C},
    0x0F: {0: C, 1: C},  # system firmware: POST error, hang
    LOGGING: {0: W, 1: W, 3: C, 4: C, 5: W, 6: W},
    0x11: {0: W, 1: W, 2: W, 3: W, 4: W, 5: W},  # watchdog 1
    0x12: {2: C},  # system event: undetermined hardware failure
    INTERRUPT: {0: W, 1: C, 2: C, 3: W, 4: C, 5: C, 6: C, 7: W, 8: C, 9: C, 10: C, 11: W},
    CHIP_SET: {0: C, 1: C},
    0x1B: {1: W},  # cable: the wrong one
    0x1E: {0: W, 3: W},  # boot error: no medium, bad sector
    0x20: {0: C, 1: C},  # the operating system stopped
    0x21: {0: C},  # slot: fault
    0x23: {1: W, 2: W, 3: W},  # watchdog 2: reset, power down, power cycle
    0x28: {0: W, 1: W, 2: W, 3: W, 4: W, 5: W},  # management subsystem
    0x29: {0: W, 1: C},  # battery
    0x2B: {2: W, 3: W, 4: W, 5: W},  # versions that do not fit
}
GENERIC: Mapping[int, Levels] = {  # table 42-2; going-low and going-high are the direction in which a limit was crossed
    THRESHOLD: {2: C, 4: C, 9: C, 11: C},
    0x04: {1: W},
    0x05: {1: C},
    0x06: {1: W},
    0x07: {1: W, 2: C, 3: C, 4: W, 5: C, 6: C},
    0x0A: {6: C, 8: C},
    REDUNDANCY: {1: C, 2: W, 3: C, 4: C, 5: C, 6: W, 7: W},
}
ASSERTED: Levels = {  # "state asserted" means what the maker likes: by sensor type, as FreeIPMI takes it
    TEMPERATURE: W,
    VOLTAGE: W,
    FAN: W,
    PROCESSOR: C,
    SUPPLY: W,
    UNIT: W,
    MEMORY: C,
}


def level(sensor_type: int, event_type: int, offset: int) -> Severity | None:
    """Return how bad an asserted event is, None when it is no fault.

    >>> level(0x0C, 0x6F, 1), level(0x08, 0x6F, 0), level(0x01, 0x01, 9)
    (<Severity.CRITICAL: 'critical'>, None, <Severity.CRITICAL: 'critical'>)
    """
    if event_type == SPECIFIC:
        return BY_TYPE.get(sensor_type, {}).get(offset)
    if event_type == STATE:
        return ASSERTED.get(sensor_type) if offset == 1 else None
    return GENERIC.get(event_type, {}).get(offset)


def _texts(table: Mapping[int, tuple[str, ...]], key: int, levels: Levels) -> dict[str, Severity]:
    return {table[key][offset]: bad for offset, bad in levels.items() if offset < len(table.get(key, ()))}


_OF_TYPE = {SENSOR_TYPES[key]: _texts(SENSOR_EVENTS, key, levels) for key, levels in BY_TYPE.items()}
_OF_ALL = {
    text: bad
    for key, levels in GENERIC.items()
    if key not in {THRESHOLD, REDUNDANCY}
    for text, bad in _texts(GENERIC_EVENTS, key, levels).items()
}
_OF_SET = _texts(GENERIC_EVENTS, REDUNDANCY, GENERIC[REDUNDANCY])
_STATE = {SENSOR_TYPES[key]: bad for key, bad in ASSERTED.items()}


def level_of(kind: str, state: str) -> Severity | None:
    """Return how bad a state of a discrete sensor is, by the words of `ipmi_names` for its type and the state.

    >>> level_of("Power Supply", "predictive failure deasserted") is None, level_of("Battery", "battery failed").value
    (True, 'critical')
    """
    if state == GENERIC_EVENTS[STATE][1]:
        return _STATE.get(kind)
    return _OF_TYPE.get(kind, {}).get(state) or _OF_ALL.get(state) or _OF_SET.get(state)


def is_redundancy(state: str) -> bool:
    """Say whether a state speaks of a set of parts, not of one.

    >>> is_redundancy("redundancy lost"), is_redundancy("failure detected")
    (True, False)
    """
    return state in _OF_SET
