"""A program of its own that prints what nvidia-bug-report.sh writes: `python nvidia_bug_report.py SCRIPT [OPTION…]`.

The script wants a file name and appends gzip members to it. Here that file is a FIFO in a private folder in memory:
what it writes is decompressed on the way to stdout and never lies on a disk unredacted. Its temporary files go to the
same folder, which is removed. `mst` (Mellanox tools) is hidden from the script: it would load modules and erase the log
of a switch, and this tool leaves the host as it was. Standard library only, run with `python -I`.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

MEMORY = ("/dev/shm", "/run")  # noqa: S108 - mkdtemp makes a private folder there
MAGIC = b"\x1f\x8b\x08"
PIECE = 1 << 16
DAMAGED = b"\n[bilbs: damaged gzip data left out]\n"


class Gunzip:
    """Decompress gzip members as they come; after damage go on with the next member."""

    def __init__(self) -> None:
        self._member: zlib._Decompress | None = None  # None: looking for the beginning of the next one
        self._kept = b""  # the last bytes without a beginning in them: it may be cut in two

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` decompresses to."""
        data, self._kept = self._kept + data, b""
        while data:
            if self._member is None:
                start = data.find(MAGIC)
                if start < 0:
                    self._kept = data[1 - len(MAGIC) :]
                    return
                data, self._member = data[start:], zlib.decompressobj(wbits=31)
            try:
                yield self._member.decompress(data)
            except zlib.error:
                yield DAMAGED
                data, self._member = data[1:], None
                continue
            data = self._member.unused_data
            if self._member.eof:
                self._member = None


def _private_folder() -> Path:
    for place in MEMORY:
        if Path(place).is_dir() and os.access(place, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="bilbs-bug-report-", dir=place))
    return Path(tempfile.mkdtemp(prefix="bilbs-bug-report-"))


def _fifo(path: Path) -> int:
    """Make a FIFO and open both of its ends, so that it never ends between two writers."""
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def _print(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def run(argv: Sequence[str], folder: Path) -> int:
    """Run the script to its end and print its report; return its exit status."""
    scratch, hidden = folder / "tmp", folder / "bin"
    scratch.mkdir()
    hidden.mkdir()
    (hidden / "mst").symlink_to(shutil.which("false") or "/bin/false")
    plain, packed = _fifo(folder / "report.log"), _fifo(folder / "report.log.gz")
    environment = os.environ | {"TMPDIR": str(scratch), "PATH": f"{hidden}:{os.environ.get('PATH', os.defpath)}"}
    script = subprocess.Popen(
        [*argv, "--output-file", str(folder / "report.log")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
        cwd=folder,
    )
    gunzip = Gunzip()
    with selectors.DefaultSelector() as selector:
        selector.register(plain, selectors.EVENT_READ)
        selector.register(packed, selectors.EVENT_READ)
        while (ready := selector.select(0.1)) or script.poll() is None:
            for key, _ in ready:
                data = os.read(key.fd, PIECE)
                for piece in gunzip.feed(data) if key.fd == packed else (data,):
                    _print(piece)
    return script.returncode


def main() -> int:
    """Run the program of the first argument; return an exit status."""
    folder = _private_folder()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder is removed
    try:
        return run(sys.argv[1:], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
