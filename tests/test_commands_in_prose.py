"""Every command that a document names in its text or its tables runs as it is written there, in the order of a reader.

The place is a box with GPUs (the stub of the driver library), a desk (the sandbox) and the files that the commands name.
What stands before a command here is what its reader has done before.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts import nvml
from tests.parts.sandbox import Sandbox, running_sandbox
from tests.parts.shims import memory_left_as_found, path_with

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"`((?:sudo |ssh gpu07 )?(?:bilbs|diag) [^`]+)`")
KEY = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
FILES = {
    "bmc.pass": "secret-of-the-bmc\n",
    "oem.age": f"{KEY}\n",
    "app.log": "password=hunter2 and nothing else\n",
    "passphrase": "correct horse battery\n",
    "events.json": '{"at": "2026-11-23T09:14:00Z", "type": "opened", "severity": "sev3"}\n',
    "acme.toml": re.findall(r"```toml\n(.*?)```", (ROOT / "docs/providers.md").read_text(), re.DOTALL)[0],
}
BEFORE = {  # a command begins so: what was done before it
    "bilbs diag diff before": "cp bundle.tar.zst before.tar.zst",
    "bilbs diag diff last-healthy": 'tar --zstd -xOf bundle.tar.zst --wildcards "*/facts.json" > "$BILBS_STATE_DIR/last-healthy.json"',
    "bilbs support outbox export": 'BILBS_TOKEN= bilbs support ticket open -s sev2 -m "GPU 1 is gone" || true',
    "bilbs plan resume": "bilbs plan cancel support --yes",
}
# A command whose status says something about this box or this moment, and is right about it.
STATUS = {
    "bilbs diag check --format nagios": {0, 1, 2, 3},
    "bilbs diag check": {0, 10, 11, 20},
    "diag check": {0, 10, 11, 20},
    "bilbs diag collect": {0, 20},  # not everything could be read
    "bilbs doctor": {0, 10, 11, 20},
    "bilbs plan subscribe support --tier box --boxes 8": {6},
    "bilbs sandbox serve": {124},  # serves until it is ended
}
ASKED = ("bilbs plan subscribe support --tier box", "bilbs plan resume support", "bilbs sandbox reset")
STICK = re.compile(r"outbox (export|send)|inbox ")


@dataclass
class Place:
    """A folder with the files that commands name, and a way to type there."""

    here: Path
    path: str
    etc: Path

    def typed(self, line: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Type a line there, with a login screen (in /etc) that is not the machine's; a question is answered with yes."""
        asked = line in ASKED
        shown = f"script -qec {shlex.quote(line)} /dev/null" if asked else line  # a question wants a terminal
        seconds = "4" if "serve" in line else "25"
        return subprocess.run(
            ["timeout", seconds, "unshare", "--mount", "sh", "-c", f"mount --bind {self.etc} /etc && {shown}"],
            cwd=self.here,
            env=os.environ | {"PATH": self.path} | env,
            capture_output=True,
            text=True,
            check=False,
            input="y\n" if asked else "",
            timeout=60,
        )


@contextmanager
def place(root: Path) -> Iterator[Place]:
    """Make the folder; away from it stay the machine's own /etc and /dev/shm."""
    path = path_with(root / "bin", ssh='shift; exec "$@"', logger="cat /dev/null")  # the other machine is this one
    made = Place(root / "here", path, root / "etc")
    made.here.mkdir()
    for name, text in FILES.items():
        (made.here / name).write_text(text)
        (made.here / name).chmod(0o600)
    subprocess.run(["cp", "-a", "/etc", str(made.etc)], check=True)
    with memory_left_as_found():
        yield made


def commands() -> list[str]:
    """Return each command once, in the order in which a reader meets it."""
    return list(dict.fromkeys(one for page in PAGES for one in COMMAND.findall(FENCED.sub("", page.read_text()))))


def beginning(line: str, table: dict[str, set[int]] | dict[str, str]) -> str:
    """Return the longest beginning of a line that the table has, or nothing."""
    return max((one for one in table if line.removeprefix("sudo ").startswith(one)), key=len, default="")


def test_the_documents_name_commands_as_they_can_be_typed() -> None:
    found = commands()
    assert len(found) > 90
    assert [line for line in found if re.search(r"\.\.\.|\b(FILE|BUNDLE|DIR|PATH|CMD|KEY)\b", line)] == []
    assert {one for one in BEFORE if not any(line.startswith(one) for line in found)} == set()


@pytest.mark.timeout(400)
def test_every_command_in_the_text_runs_as_it_is_written(
    desk: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(nvml.build(tmp_path / "nvml")))
    monkeypatch.setenv("FAKE_NVML_TABLE", str(nvml.TABLE))
    monkeypatch.setenv("BILBS_API_URL", desk.url)
    failed = []
    with place(tmp_path) as box, running_sandbox(tmp_path / "far") as far:
        (box.here / "token").write_text(desk.token)
        # the box of the stick has a desk of its own, which it has no way to
        by_stick = {"BILBS_STATE_DIR": str(tmp_path / "box"), "BILBS_API_URL": far.url, "BILBS_TOKEN": far.token}
        for line in commands():
            env = by_stick if STICK.search(line) else {}
            if "ticket watch" in line:
                desk.advance(3 * 3600)  # its people do in an instant what takes them three hours
            if line.endswith("--page"):
                threading.Timer(1.0, desk.advance, (60,)).start()
            before = BEFORE.get(beginning(line, BEFORE), "true")
            made = box.typed(before, env)
            assert made.returncode == 0, f"{before}\n{made.stderr}"
            done = box.typed(line, env)
            if done.returncode not in STATUS.get(beginning(line, STATUS), {0}) or "Traceback" in done.stderr:
                failed.append(f"{line}\n{done.returncode}\n{done.stdout[-600:]}{done.stderr[-600:]}")
    assert not failed, "\n=====\n".join(failed)
