"""Reading what a BMC hands out in pieces: its sensor data records and the inventories of its FRUs."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from bilbs_cli.diag.collectors.ipmi_commands import SENSOR, STORAGE
from bilbs_cli.diag.collectors.ipmi_fru import wanted
from bilbs_cli.diag.collectors.ipmi_sdr import BMC_ADDRESS
from bilbs_cli.diag.collectors.ipmi_session import Bmc, CompletionCodeError, ShortAnswer

TOO_MANY = {0xC7, 0xC8, 0xCA, 0xFF}  # completion codes of a BMC that cannot return so many bytes at once
LOST_RESERVATION = 0xC5
PIECE = 32  # fits every interface; SSIF and some KCS firmware want less
SMALLEST = 8
HEADER = 5
END = 0xFFFF


@dataclass(slots=True)
class SdrStore:
    """The SDR repository (33.12), or the device SDRs (35.3) of a BMC that has only these."""

    what: str
    bmc: Bmc
    netfn: int
    reserve: int
    get: int
    reservation: int = 0
    piece: int = PIECE

    def read(self, record: int) -> tuple[int, bytes]:
        """Return the next record's id and the bytes of `record` (0: the first), fewer where the BMC fails half-way.

        Raises what `Bmc.ask` raises when not even the header can be read.
        """
        following, raw = self._part(record, 0, HEADER)
        if len(raw) < HEADER:
            raise ShortAnswer(f"SDR {record:#06x}: a header of {len(raw)} bytes")
        whole = HEADER + raw[4]
        while len(raw) < whole:
            try:
                _, more = self._part(record, len(raw), min(self.piece, whole - len(raw)))
            except CompletionCodeError as error:
                if error.cc in TOO_MANY and self.piece > SMALLEST:
                    self.piece -= SMALLEST
                    continue
                return following, raw
            if not more:
                break
            raw += more
        return following, raw[:whole]

    def _part(self, record: int, offset: int, count: int) -> tuple[int, bytes]:
        for _ in range(3):  # another reader, or a sensor that was added, cancels the reservation
            try:
                request = struct.pack("<HHBB", self.reservation, record, offset, count)
                answer = self.bmc.ask(self.netfn, self.get, request, least=2)
            except CompletionCodeError as error:
                if error.cc != LOST_RESERVATION:
                    raise
                self.reservation = int.from_bytes(self.bmc.ask(self.netfn, self.reserve, least=2)[:2], "little")
            else:
                return int.from_bytes(answer[:2], "little"), answer[2:]
        raise CompletionCodeError(f"SDR {record:#06x}", LOST_RESERVATION)


def repository(bmc: Bmc) -> SdrStore:
    """Return the SDR repository of a BMC."""
    return SdrStore("record", bmc, STORAGE, 0x22, 0x23)


def device_sdrs(bmc: Bmc) -> SdrStore:
    """Return the device SDRs of a BMC without a repository."""
    return SdrStore("device-record", bmc, SENSOR, 0x22, 0x21)


def read_fru(
    bmc: Bmc,
    fru_id: int,
    owner: int = BMC_ADDRESS,
    channel: int = 0,
    lun: int = 0,
    extent: Callable[[bytes, int], int] = wanted,
) -> bytes:
    """Return the bytes of a FRU that hold its areas (34.1, 34.2), fewer where the BMC fails half-way.

    Raises what `Bmc.ask` raises when nothing can be read.
    """
    info = bmc.ask(STORAGE, 0x10, bytes([fru_id]), lun=lun, owner=owner, channel=channel, least=3)
    size, words = int.from_bytes(info[:2], "little"), info[2] & 1
    data, piece = b"", PIECE
    while (count := min(piece, extent(data, size) - len(data))) > 0:
        step = max(count // 2, 1) if words else count
        request = struct.pack("<BHB", fru_id, len(data) // 2 if words else len(data), step)
        try:
            answer = bmc.ask(STORAGE, 0x11, request, lun=lun, owner=owner, channel=channel, least=1)
        except CompletionCodeError as error:
            if error.cc in TOO_MANY and piece > SMALLEST:
                piece -= SMALLEST
                continue
            if data:
                return data
            raise
        if len(answer) < 2:
            break
        data += answer[1:]
    return data
