"""A conversation with one BMC: opened, asked one command at a time, over at the first silence, closed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from bilbs_cli.diag.collectors.ipmi_commands import name_of
from bilbs_cli.diag.collectors.ipmi_names import COMPLETION_CODES
from bilbs_cli.diag.collectors.ipmi_sdr import BMC_ADDRESS
from bilbs_cli.diag.job import BmcTarget

if TYPE_CHECKING:
    from pyipmi import Ipmi

DEVICES = ("/dev/ipmi0", "/dev/ipmi/0", "/dev/ipmidev/0")  # ipmi_devintf; the others are older udev layouts
PRIVILEGES = ("operator", "user")  # the least that reads everything, then what every account has
# RMCP+ status codes (table 13-15): role invalid, unauthorized, without resources, not with this name
ROLE_REFUSED = {0x09, 0x0A, 0x0B, 0x0D}
USER_REFUSED = {0x0C, 0x0F}  # name length, integrity check value
LEVEL_REFUSED = {0x80, 0x81, 0xD4}  # completion codes of Set Session Privilege Level (22.18)


class CompletionCodeError(Exception):
    """The BMC answered with an error; `cc` is its completion code (table 5-2)."""

    def __init__(self, command: str, cc: int) -> None:
        self.cc = cc
        super().__init__(f"{command}: {COMPLETION_CODES.get(cc, 'completion code')} (0x{cc:02X})")


class Timeout(Exception):
    """The BMC did not answer."""


class AuthenticationError(Exception):
    """The BMC refused the user name, the password or the privilege."""


class SessionRefused(Exception):
    """The BMC opens no session, whoever asks: too many are open, or it has another cipher suite."""


class NoDevice(Exception):
    """There is no IPMI device on this machine."""


class ShortAnswer(Exception):
    """The BMC answered with fewer bytes than the command's answer has."""


class Bmc:
    """An open session. After the first unanswered request nothing more is asked: later errors would mislead.

    Attributes: `interface` and `privilege` in words; `over` is why nothing more is asked, empty while all is well;
    `lost` says that it is because the BMC fell silent; `until` is the time (monotonic) to end.
    """

    def __init__(self, library: Ipmi, interface: str, privilege: str, until: float) -> None:
        self._library = library
        self.interface = interface
        self.privilege = privilege
        self.until = until
        self.over = ""
        self.lost = False
        self._silent: dict[int, str] = {}  # satellite controllers that did not answer, by address

    def why_not(self) -> str:
        """Return why nothing more can be asked, empty when it can."""
        if not self.over and time.monotonic() >= self.until:
            self.over = "not asked: the time for the BMC was used up"
        return self.over

    def ask(
        self,
        netfn: int,
        command: int,
        data: bytes = b"",
        *,
        lun: int = 0,
        owner: int = BMC_ADDRESS,
        channel: int = 0,
        least: int = 0,
    ) -> bytes:
        """Send one command and return its answer without the completion code, `least` bytes or more.

        Raises `CompletionCodeError`, `Timeout`, `ShortAnswer`, `NotARead` (a command that does not only read).
        """
        from bilbs_cli.diag.collectors.ipmi_wire import route

        request = bytes([command]) + data
        name = name_of(netfn, request)
        if why := self._silent.get(owner):
            raise Timeout(why)
        send, target = self._library.interface.send_and_receive_raw, route(owner, channel)
        answer = self._talk(name, lambda: bytes(send(target, lun, netfn, request)), owner)
        if not answer:
            raise ShortAnswer(f"{name}: an empty answer")
        if answer[0]:
            raise CompletionCodeError(name, answer[0])
        if len(answer) - 1 < least:
            raise ShortAnswer(f"{name}: {len(answer) - 1} bytes instead of {least}")
        return answer[1:]

    def _talk(self, name: str, call: Callable[[], bytes], owner: int) -> bytes:
        """Make one call of pyipmi and give its failures their names; a silence of the BMC ends the conversation."""
        from pyipmi.errors import CompletionCodeError as LibraryCompletion
        from pyipmi.errors import IpmiTimeoutError, RetryError

        if self.why_not():
            raise Timeout(self.over)
        started = time.monotonic()
        try:
            return call()
        except LibraryCompletion as error:
            raise CompletionCodeError(name, error.cc) from None
        except (IpmiTimeoutError, RetryError, TimeoutError):
            waited = f"{name}: no answer in {time.monotonic() - started:.1f} s"
            self._end(owner, f"stopped answering ({waited})")
            raise Timeout(waited) from None
        except OSError as error:
            self._end(owner, f"cannot be reached any more ({name}: {error.strerror or error})")
            raise

    def _end(self, owner: int, why: str) -> None:
        """End the conversation, or only the one with a controller behind the BMC."""
        if owner == BMC_ADDRESS:
            self.over, self.lost = f"not asked: the BMC {why}", True
        else:
            self._silent[owner] = f"not asked: controller 0x{owner:02x} {why}"

    def close(self) -> None:
        """Close the session, so that it does not stay open in the BMC; a lost one is left to the BMC's own time-out."""
        if self.lost:
            self._library.session.activated = False
        with suppress(Exception):  # the way out: nothing is left to do about it
            self._library.close()


def open_local(until: float) -> Bmc:
    """Open the IPMI device of this machine. Raises `NoDevice` or `OSError` (no permission, driver without a BMC)."""
    import pyipmi

    from bilbs_cli.diag.collectors.ipmi_wire import LocalInterface, QuietSession

    for device in DEVICES:
        library = pyipmi.Ipmi(interface=LocalInterface(device), session=QuietSession())
        try:
            library.open()
        except FileNotFoundError:
            continue
        return Bmc(library, f"kernel driver, {device}", "local", until)
    raise NoDevice(
        f"no IPMI device ({', '.join(DEVICES)}): load the driver with `modprobe -a ipmi_devintf ipmi_si` as root "
        "(`ipmi_ssif` on some boards), or name a BMC with --bmc-host",
    )


def open_remote(target: BmcTarget, until: float) -> Bmc:
    """Open an RMCP+ session with a remote BMC, as operator or, for an account that may not, as user.

    Raises `AuthenticationError`, `Timeout`, `OSError` (no such host, nobody listens), or pyipmi's errors.
    """
    from pyipmi.errors import CompletionCodeError as LibraryCompletion
    from pyipmi.errors import MessageStatusCodeError

    for privilege in PRIVILEGES:
        try:
            return _establish(target, privilege, until)
        except MessageStatusCodeError as error:
            if error.msc in ROLE_REFUSED and privilege != PRIVILEGES[-1]:
                continue
            if error.msc in ROLE_REFUSED | USER_REFUSED:
                raise AuthenticationError(f"the BMC refuses this user: {error.msc_desc} (0x{error.msc:02X})") from None
            raise SessionRefused(f"the BMC refuses the session: {error.msc_desc} (0x{error.msc:02X})") from None
        except LibraryCompletion as error:
            if error.cc not in LEVEL_REFUSED:
                raise CompletionCodeError("opening the session", error.cc) from None
            if privilege == PRIVILEGES[-1]:
                raise AuthenticationError(f"the BMC refuses this user even to read (0x{error.cc:02X})") from None
    raise AssertionError  # the last privilege returns or raises


def _establish(target: BmcTarget, privilege: str, until: float) -> Bmc:
    import pyipmi
    from pyipmi.errors import AuthenticationError as Refused
    from pyipmi.errors import CompletionCodeError as Completion
    from pyipmi.errors import IpmiLongPasswordError, IpmiTimeoutError, RetryError

    from bilbs_cli.diag.collectors.ipmi_wire import LanInterface, QuietSession

    session = QuietSession()
    session.set_session_type_rmcp(target.host, target.port)
    session.set_auth_type_user(target.user, target.password)
    session.set_priv_level(privilege)
    library = pyipmi.Ipmi(interface=LanInterface(target), session=session)
    where = f"{target.host} port {target.port}/udp"
    started = time.monotonic()
    try:
        library.open()
    except BaseException as error:
        with suppress(Exception):  # the error says it already
            library.close() if session.activated and isinstance(error, Completion) else library.interface.close()
        match error:
            case Refused() | IpmiLongPasswordError():
                raise AuthenticationError(
                    f"authentication failed at {where}, check user and password: {error.msg}"
                ) from None
            case IpmiTimeoutError() | RetryError() | TimeoutError():
                raise Timeout(f"no answer from {where} in {time.monotonic() - started:.1f} s") from None
            case ConnectionRefusedError():
                raise ConnectionRefusedError(error.errno, f"nobody listens at {where}") from None
            case socket.gaierror():
                raise OSError(error.errno, f"no address for {target.host}: {error.strerror}") from None
        raise
    session.forget_password()
    return Bmc(library, f"RMCP+ cipher suite {library.interface.cipher_suite}, {where}", privilege, until)
