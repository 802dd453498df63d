"""One process at a time for one ticket, and never two tickets waiting for each other."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bilbs_cli.support import chains
from tests.parts.patience import BUSY_S

HOLD = """
import sys
from pathlib import Path
from bilbs_cli.support import chains
with chains.held(Path(sys.argv[1]), sys.argv[2]) as mine:
    print(mine, flush=True)
    sys.stdin.readline()
"""


def test_a_chain_is_held_by_one_process_and_given_back_when_it_ends(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HOLD, str(tmp_path), "tkt_1"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdin
        assert other.stdout.readline() == "True\n"
        began = time.monotonic()
        with chains.held(tmp_path, "tkt_1", wait_s=0.3) as mine:
            assert not mine
        assert 0.3 <= time.monotonic() - began < 2 + BUSY_S
        with chains.held(tmp_path, "tkt_2") as mine:
            assert mine
        other.kill()
        other.wait()
    with chains.held(tmp_path, "tkt_1") as mine:
        assert mine
