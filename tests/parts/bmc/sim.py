"""Start, freeze and stop OpenIPMI's `ipmi_sim`, each time on ports and in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bilbs_cli.diag.job import BmcTarget
from tests.parts.bmc.box import PASSWORD, USER, Box

READY_S = 10.0
# Get Channel Authentication Capabilities (22.13) outside a session, IPMI 1.5 form: what every LAN BMC answers
HELLO = bytes.fromhex("0600ff07 00 00000000 00000000 09 20 18 c8 81 00 38 0e 04 35")


@dataclass
class Sim:
    """A running simulator: `port` is its UDP port, `driver` the TCP port of its system interface."""

    folder: Path
    port: int
    console_port: int
    driver: int
    process: subprocess.Popen[bytes]

    @property
    def target(self) -> BmcTarget:
        """Return how to reach it as administrator."""
        return BmcTarget("127.0.0.1", USER, PASSWORD, self.port)

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does (SIGSTOP): it keeps its port and answers nothing."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.process.pid, signal.SIGCONT)

    def console(self, command: str) -> None:
        """Give it a command of ipmi_sim_cmd(5)."""
        with socket.create_connection(("127.0.0.1", self.console_port), 2) as line:
            line.sendall(command.encode() + b"\r\n")
            line.settimeout(0.2)
            try:
                while line.recv(4096):
                    pass
            except TimeoutError:
                pass

    def tool(self, *arguments: str, user: str = USER, password: str = PASSWORD) -> str:
        """Return what ipmitool says of it: the independent reading."""
        argv = [
            "ipmitool",
            "-I",
            "lanplus",
            "-C",
            "3",
            "-N",
            "1",
            "-R",
            "3",
            "-H",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            user,
            "-E",
        ]
        environment = {**os.environ, "IPMI_PASSWORD": password, "LC_ALL": "C", "TZ": "UTC"}
        done = subprocess.run(
            [*argv, *arguments], env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        return done.stdout

    def set_clock(self, ahead_s: int) -> None:
        """Set the clock of its event log this far ahead of the host's."""
        seconds = (int(time.time()) + ahead_s).to_bytes(4, "little")
        self.tool("raw", "0x0a", "0x49", *(f"{byte:#04x}" for byte in seconds))


def free_port(kind: socket.SocketKind) -> int:
    """Return a port of 127.0.0.1 that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def simulator(folder: Path, box: Box | None = None) -> Iterator[Sim]:
    """Run a simulator of `box` in a new folder below `folder` until the block ends."""
    folder = folder / f"bmc-{time.monotonic_ns()}"
    folder.mkdir()
    port, console, driver = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
    (box or Box()).write(folder, port, console, driver)
    with (folder / "out.txt").open("wb") as output:
        process = subprocess.Popen(
            [
                "ipmi_sim",
                "-c",
                str(folder / "lan.conf"),
                "-f",
                str(folder / "bmc.emu"),
                "-s",
                str(folder / "state"),
                "-n",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _await(process, port, folder)
        yield Sim(folder, port, console, driver, process)
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.kill()
        process.wait(5)


def _await(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    until = time.monotonic() + READY_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(0.05)
        line.connect(("127.0.0.1", port))
        while time.monotonic() < until and process.poll() is None:
            try:
                line.send(HELLO)
                line.recv(512)
            except OSError:  # refused or silent: not up yet
                time.sleep(0.01)
            else:
                return
    raise RuntimeError(f"ipmi_sim did not start: {(folder / 'out.txt').read_text(errors='replace')[-800:]}")
