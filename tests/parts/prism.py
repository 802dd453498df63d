"""Prism, a mock server that knows only openapi.yaml and refuses what is against it; and the log of what it refused."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bilbs_cli import support

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / ".venv" / "prism" / "node_modules" / ".bin" / "prism"
OPENAPI = Path(support.__file__).with_name("openapi.yaml")


@dataclass
class Prism:
    """A running mock: its address and its log."""

    url: str
    log: Path

    def requests(self) -> list[str]:
        """Return what was asked, as `post /tickets`."""
        return re.findall(r"\[HTTP SERVER\] (\w+ \S+)", self._text())

    def refused(self) -> list[str]:
        """Return each line about a request that is against the contract. That it cannot answer with bytes is Prism's own limit."""
        lines = [
            line for line in self._text().splitlines() if "Cannot find serializer for application/octet" not in line
        ]
        return [line for line in lines if re.search(r"violat|✖|error ", line, re.IGNORECASE)]

    def _text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def running_prism(folder: Path) -> Iterator[Prism]:
    """Run the mock, in validating mode, on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # The mock serves the paths without `/v1`: the one Location of the contract has to lead there as well.
    contract = folder / "openapi.yaml"
    contract.write_text(OPENAPI.read_text().replace("/v1/uploads/upl_1", "/uploads/upl_1"))
    log = folder / "prism.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(PROGRAM), "mock", "-h", "127.0.0.1", "-p", str(port), "--errors", str(contract)],
            stdout=out,
            stderr=out,
        )
    try:
        until = time.monotonic() + 40
        while "Prism is listening" not in log.read_text(encoding="utf-8", errors="replace"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield Prism(f"http://127.0.0.1:{port}", log)
    finally:
        process.terminate()
        process.wait(10)
