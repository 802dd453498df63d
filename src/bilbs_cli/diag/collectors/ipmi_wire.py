"""pyipmi's native interfaces, narrowed: they send only commands that read, and wait for an answer within a bound.

Its `ipmitool` interface is never used: a process for every message, and the password in its arguments.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from typing import Any

from pyipmi import Target
from pyipmi.errors import AuthenticationError, DecodingError
from pyipmi.interfaces.ipmidev import IpmiDev
from pyipmi.interfaces.rmcpplus import CIPHER_SUITES, RmcpPlus
from pyipmi.session import Session

from bilbs_cli.diag.collectors.ipmi_commands import name_of
from bilbs_cli.diag.job import BmcTarget

TRY_S = 1.0  # wait for one datagram's answer; a slower answer still counts when it comes during the next try
TRIES = 4  # UDP loses datagrams: at 20 % loss each way an exchange fails once in 60
ANSWER_S = TRY_S * TRIES
REMOTE_CONSOLE = 0x81  # our address in a bridged message (table 5-4)

# pyipmi writes whole sessions, with the password, into its debug log
logging.getLogger("pyipmi").setLevel(logging.WARNING)


class LanInterface(RmcpPlus):  # type: ignore[misc]  # pyipmi has no types
    """RMCP+ (IPMI 2.0, section 13) to a remote BMC, over IPv4 or IPv6."""

    def __init__(self, target: BmcTarget) -> None:
        """Take the host's cipher suite; where the BMC refuses 3, the stronger 17 is tried."""
        super().__init__(cipher_suite=target.cipher_suite, keep_alive_interval=0, max_retries=TRIES - 1)
        if target.cipher_suite == 3:
            self.cipher_suites = tuple(suite for suite in (3, 17) if suite in CIPHER_SUITES)
        self._address = (target.host, target.port)

    def open(self) -> None:
        """Open the socket, for IPv4 where the host has such an address. Raises `OSError` when it has none."""
        families = {found[0] for found in socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)}
        family = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self.set_timeout(TRY_S)

    def ping(self) -> None:
        """Send no ASF ping: firewalls drop it, BMCs need not answer it, and the next request says the same."""

    def _receive_rmcp_msg(self) -> Any:
        try:
            return super()._receive_rmcp_msg()
        except struct.error as error:  # shorter than its header; pyipmi passes over what it calls a decoding error
            raise DecodingError("not an RMCP datagram") from error

    def _receive_ipmi_msg(self, ignore_sdu_length: bool = False) -> bytes:
        """Wait for a message; a datagram that is none (stray, forged) is passed over, not taken for the answer."""
        until = time.monotonic() + TRY_S
        while True:
            try:
                return bytes(super()._receive_ipmi_msg(ignore_sdu_length))
            except (DecodingError, AuthenticationError, LookupError):
                if time.monotonic() >= until:
                    raise TimeoutError from None

    def _rakp(self, session: Any, suite: Any, managed_session_id: int) -> Any:
        try:
            return super()._rakp(session, suite, managed_session_id)
        except TimeoutError as error:  # some BMCs answer a wrong name or password with silence (13.20 allows it)
            raise AuthenticationError(
                "the BMC opened a session and did not answer the key exchange: "
                "user name, password or privilege is wrong, or it stopped just now"
            ) from error

    @property
    def cipher_suite(self) -> int | None:
        """Return the cipher suite that was agreed on, None before."""
        return self._keys.suite.id if self._keys else None

    def send_and_receive_raw(self, target: Any, lun: int, netfn: int, raw_bytes: bytes) -> bytes:
        """Send a request that only reads; see pyipmi. Raises `NotARead` for any other."""
        name_of(netfn, bytes(raw_bytes))
        return bytes(super().send_and_receive_raw(target, lun, netfn, bytes(raw_bytes)))


class LocalInterface(IpmiDev):  # type: ignore[misc]  # pyipmi has no types
    """The kernel's driver (ipmi_devintf) to the BMC of this machine."""

    def __init__(self, device: str) -> None:
        """Use the character device `device`."""
        super().__init__(port=device, timeout=ANSWER_S)

    def send_and_receive_raw(self, target: Any, lun: int, netfn: int, raw_bytes: bytes) -> bytes:
        """Send a request that only reads; see pyipmi. Raises `NotARead` for any other."""
        name_of(netfn, bytes(raw_bytes))
        return bytes(super().send_and_receive_raw(target, lun, netfn, bytes(raw_bytes)))


class QuietSession(Session):  # type: ignore[misc]  # pyipmi has no types
    """A session that does not print its password (pyipmi's own `str` does)."""

    def __str__(self) -> str:
        return f"session with {self.rmcp_host}:{self.rmcp_port}"

    __repr__ = __str__

    def forget_password(self) -> None:
        """Drop the password once the session's keys are made."""
        self._auth_password = None


def route(owner: int, channel: int) -> Any:
    """Return pyipmi's target for the controller at `owner`: the BMC itself, or one bridge away on `channel`.

    pyipmi by itself would ask the BMC and take its sensor of the same number for the other controller's.
    """
    if owner == IpmiDev.BMC_ADDRESS:
        return Target(ipmb_address=owner)
    hops = [(REMOTE_CONSOLE, IpmiDev.BMC_ADDRESS, channel), (IpmiDev.BMC_ADDRESS, owner, None)]
    return Target(ipmb_address=owner, routing=hops)
