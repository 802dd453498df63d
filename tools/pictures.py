"""Make the pictures of the README anew: the terminal as SVG (a real run on a terminal of 80 columns), the report as PNG.

    PYTHONPATH=. .venv/bin/python tools/pictures.py

The box is a mounted system whose kernel log holds a GPU that fell off the bus; the report is the one of the tests.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text
from tests.terminals import on_terminal

ROOT = Path(__file__).parents[1]
LOG = (
    "Nov 21 03:10:00 gpu01 kernel: [ 4121.000001] nvme nvme0: 8/0/0 default/read/poll queues\n"
    "Nov 21 03:12:01 gpu01 kernel: [ 4242.100000] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, "
    "GPU has fallen off the bus.\n"
)
STEPS = (
    ("bilbs diag check", ["diag", "check", "--sysroot", "{root}", "--since", "all", "--progress", "none"]),
    (
        'bilbs support ticket open -s sev2 --kind hardware -m "GPU 1 fell off the bus"',
        ["--sandbox", "support", "ticket", "open", "-s", "sev2", "--kind", "hardware", "-m", "GPU 1 fell off the bus"],
    ),
    ("bilbs plan list", ["plan", "list"]),
)


def terminal(target: Path) -> None:
    """Run the steps on a terminal and write what it showed as one SVG."""
    console = Console(record=True, width=82, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "mnt"
        (root / "var/log").mkdir(parents=True)
        (root / "etc").mkdir()
        (root / "etc/os-release").write_text('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n')
        (root / "etc/hostname").write_text("gpu01\n")
        (root / "etc/timezone").write_text("Europe/Paris\n")
        (root / "var/log/kern.log").write_text(LOG)
        env = {"BILBS_STATE_DIR": f"{folder}/state", "HOME": folder}
        for shown, arguments in STEPS:
            argv = ["-m", "bilbs_cli", *(word.format(root=root) for word in arguments)]
            _, said = on_terminal(argv, env=env)
            said = re.sub(r"^bilbs: warning: SANDBOX.*\n", "", said, flags=re.MULTILINE).replace(folder, "")
            console.print(Text.assemble(("$ ", "bold green"), (shown, "bold")))
            console.print(Text.from_ansi(said.rstrip() + "\n"))
    svg = console.export_svg(title="bilbs", unique_id="bilbs")
    target.write_text(re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL))  # nothing is fetched by whoever looks


def report(target: Path) -> None:
    """Photograph the report of a box with a dead GPU."""
    from tests.diag.judged import dead_gpu
    from tests.parts import chromium

    from bilbs_cli.diag import report as report_page

    with tempfile.TemporaryDirectory() as folder, chromium.opened() as browser:
        page = Path(folder) / "report.html"
        page.write_text(report_page.page(dead_gpu()), encoding="utf-8")
        target.write_bytes(browser.open(page, 900, 700).screenshot())


if __name__ == "__main__":
    os.chdir(ROOT)
    folder = ROOT / "docs/pictures"
    folder.mkdir(exist_ok=True)
    terminal(folder / "terminal.svg")
    subprocess.run(
        [sys.executable, "-c", "import xml.dom.minidom as m, sys; m.parse(sys.argv[1])", str(folder / "terminal.svg")],
        check=True,
    )
    report(folder / "report.png")
