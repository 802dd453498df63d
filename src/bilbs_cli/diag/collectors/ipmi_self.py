"""Reading what a BMC says of itself and its box: identity, chassis, clock, network, power."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bilbs_cli.diag.collectors import ipmi_device as say
from bilbs_cli.diag.collectors.ipmi_commands import APP, CHASSIS, DCMI_GROUP, GROUP, STORAGE, TRANSPORT
from bilbs_cli.diag.collectors.ipmi_reader import Reader
from bilbs_cli.diag.collectors.ipmi_sel import PRE_INIT_END, UNSPECIFIED_TIME
from bilbs_cli.diag.collectors.ipmi_session import Bmc, CompletionCodeError

LAN_CHANNELS = range(1, 9)
ABSENT = {0xC1, 0xC9, 0xCB, 0xCC, 0xD5, 0xD6}  # completion codes for a channel that is not there
DCMI_ENTITIES = {"inlet_c": 0x40, "processors_c": 0x41, "baseboard_c": 0x42}


def read_identity(reader: Reader) -> None:
    """Read device, chassis and watchdog: eight exchanges."""
    ask = reader.bmc.ask
    reader.group("device", "id", lambda: say.device(ask(APP, 0x01, least=11)))
    reader.read(("device", "guid"), lambda: say.guid(ask(APP, 0x08, least=16)))
    reader.read(("device", "system_guid"), lambda: say.guid(ask(APP, 0x37, least=16)))
    reader.read(("self_test",), lambda: say.self_test(ask(APP, 0x04, least=2)))
    reader.group("chassis", "power_on", lambda: say.chassis(ask(CHASSIS, 0x01, least=3)))
    reader.read(("chassis", "power_on_hours"), lambda: say.power_on_hours(ask(CHASSIS, 0x0F, least=5)))
    reader.read(("restart_cause",), lambda: say.restart_cause(ask(CHASSIS, 0x07, least=1)))
    reader.read(("watchdog",), lambda: say.watchdog(ask(APP, 0x25, least=8)))


def read_clock(reader: Reader) -> float | None:
    """Read the event log's clock (31.10); return how far it is ahead of the host's, in seconds, within one."""
    offset: float | None = reader.group("sel", "bmc_time", partial(_clock, reader.bmc)).get("clock_offset_s")
    reader.read(("sel", "utc_offset_min"), lambda: say.utc_offset(reader.bmc.ask(STORAGE, 0x5C, least=2)))
    return offset


def _clock(bmc: Bmc) -> dict[str, Any]:
    before = time.time()
    seconds = bmc.ask(STORAGE, 0x48, least=4)[:4]
    host = (before + time.time()) / 2
    count = int.from_bytes(seconds, "little")
    return {
        "bmc_time": say.clock(seconds),
        "host_time": datetime.fromtimestamp(host, UTC).isoformat(timespec="milliseconds"),
        "clock_offset_s": round(count - host, 1) if PRE_INIT_END <= count < UNSPECIFIED_TIME else None,
    }


def read_log_size(reader: Reader) -> int | None:
    """Read how full the event log is (31.2); return its number of records."""
    entries: int | None = reader.group(
        "sel",
        "entries",
        lambda: say.sel_info(reader.bmc.ask(STORAGE, 0x40, least=14)),
    ).get("entries")
    return entries


def read_lan(reader: Reader) -> None:
    """Read address, gateway and VLAN of every LAN channel (23.2; operators only on most BMCs)."""
    for channel in reader.attempt("lan/channels", partial(_lan_channels, reader.bmc)) or ():
        for name, parameter, least, decoder in say.LAN_PARAMETERS:
            reader.read(("lan", str(channel), name), partial(_lan, reader.bmc, channel, parameter, least, decoder))


def _lan(bmc: Bmc, channel: int, parameter: int, least: int, decoder: Callable[[bytes], Any]) -> Any:
    return decoder(bmc.ask(TRANSPORT, 0x02, bytes([channel, parameter, 0, 0]), least=least + 1)[1:])


def _lan_channels(bmc: Bmc) -> list[int]:
    """Return the channels that are LANs (Get Channel Info, 22.24)."""
    found = []
    for channel in LAN_CHANNELS:
        try:
            answer = bmc.ask(APP, 0x42, bytes([channel]), least=2)
        except CompletionCodeError as error:
            if error.cc not in ABSENT:
                raise
        else:
            if answer[1] & 0x7F == say.MEDIA_LAN:
                found.append(answer[0] & 0x0F)
    return found


def read_dcmi(reader: Reader) -> None:
    """Read power, its limit, the asset tag and DCMI temperatures; many BMCs refuse them with 0xC1."""

    def ask(command: int, data: bytes, least: int) -> bytes:
        return reader.bmc.ask(GROUP, command, bytes([DCMI_GROUP]) + data, least=least)

    reader.group("dcmi", "power_w", lambda: say.dcmi_power(ask(0x02, b"\x01\0\0", 18)))
    reader.group("dcmi", "power_limit_w", lambda: say.dcmi_limit(ask(0x03, b"\0\0", 14)))
    reader.read(("dcmi", "asset_tag"), lambda: say.text(ask(0x06, b"\0\x10", 2)[2:]))
    for name, entity in DCMI_ENTITIES.items():
        request = bytes([0x01, entity, 0, 1])  # temperature, all instances, from the first
        reader.read(("dcmi", name), partial(_temperatures, ask, request))


def _temperatures(ask: Callable[[int, bytes, int], bytes], request: bytes) -> list[tuple[int, int]]:
    return say.dcmi_temperatures(ask(0x10, request, 3))
