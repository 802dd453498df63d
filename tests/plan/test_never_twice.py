"""A subscription is made once: killed at every point, with lost replies, half replies, and two runs at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bilbs_cli.plan import receipts
from bilbs_cli.sandbox import faults
from tests.conftest import Bilbs
from tests.parts.sandbox import Sandbox

# Kills itself before or after the N-th of the things that can be told apart from outside: a request, a write, a deletion.
KILLED = """
import os, signal, sys
from pathlib import Path
from bilbs_cli import files, main
from bilbs_cli.support import transport
left = int(sys.argv[1])
def point():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
def around(owner, name):
    real = getattr(owner, name)
    def call(*given, **named):
        point()
        result = real(*given, **named)
        point()
        return result
    setattr(owner, name, call)
for owner, name in ((transport, "send"), (files, "write_private"), (Path, "unlink"), (os, "replace"), (os, "fsync")):
    around(owner, name)
sys.exit(main.run(["plan", "subscribe", "support", "--tier", "box", "--yes", "--json"]))
"""
SUBSCRIBE = ("plan", "subscribe", "support", "--tier", "box", "--yes")


def gone(desk: Sandbox) -> None:
    """Let the last subscription have ended long ago, and take its invoices away."""
    _, doc = desk.store.all("subscription")[0]
    ended = desk.store.now() - 400 * 86400
    desk.store.put("subscription", {**doc, "_facts": {**doc["_facts"], "ends": ended}, "_version": doc["_version"] + 1})
    for _, invoice in desk.store.all("invoice"):
        desk.store.remove("invoice", invoice["id"])


def standing(desk: Sandbox, before: int) -> tuple[int, int]:
    """Return how many subscriptions and invoices came to be."""
    return len(desk.store.all("subscription")) - before, len(desk.store.all("invoice"))


@pytest.mark.timeout(300)
def test_killed_at_every_point_it_is_subscribed_once(bilbs: Bilbs, used_desk: Sandbox) -> None:
    kills = 0
    for number in range(1, 200):
        gone(used_desk)
        before = len(used_desk.store.all("subscription"))
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(number)], capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        kills += 1
        assert standing(used_desk, before) in {(0, 0), (1, 1)}
        ended = bilbs(*SUBSCRIBE)
        assert ended.status == 0, ended.stderr
        assert standing(used_desk, before) == (1, 1), number
        assert receipts.pending() is None
        made = used_desk.store.all("subscription")[0][1]["id"]
        kept = [path for path in (receipts.folder() / "receipts").glob("*.json") if made in path.read_text()]
        assert kept, f"no receipt after a kill at point {number}"
    assert kills > 15


@pytest.mark.parametrize("fault", ["drop", "half", "503", "500", "html", "refuse", "redirect"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_reply_that_is_lost_subscribes_once(bilbs: Bilbs, used_desk: Sandbox, fault: str, times: int) -> None:
    gone(used_desk)
    faults.switch(used_desk.store, fault, 1.0, times)
    first = bilbs(*SUBSCRIBE)
    faults.off(used_desk.store)
    assert first.status in {0, 69}
    assert bilbs(*SUBSCRIBE).status == 0
    assert standing(used_desk, 1) == (1, 1)


def test_without_any_reply_it_says_that_nobody_knows_and_the_next_run_finds_out(
    bilbs: Bilbs, used_desk: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone(used_desk)
    program = """
import sys
from bilbs_cli import main
from bilbs_cli.support import transport
real = transport.send
def send(client, method, url, **more):
    raw = real(client, method, url, **more)
    if (method == "POST" and url.endswith("/subscriptions")) or send.lost:
        send.lost = True
        raise transport.NoAnswer("the line is cut")
    return raw
send.lost = False
transport.send = send
sys.exit(main.run(["plan", "subscribe", "support", "--tier", "box", "--yes", "--json"]))
"""
    monkeypatch.setenv("BILBS_API_BUDGET_S", "3")
    lost = bilbs(program=program)
    assert lost.status == 69
    error = lost.json["errors"][0]
    assert (error["code"], "cannot subscribe twice" in error["safe"]) == ("no-receipt", True)
    assert standing(used_desk, 1) == (1, 1)
    other = bilbs("plan", "subscribe", "support", "--tier", "pro", "--yes")
    assert "earlier attempt" in other.stdout  # what was taken is told first; nothing new is bought
    assert standing(used_desk, 1) == (1, 1)
    assert receipts.pending() is None


def test_an_attempt_that_never_arrived_is_finished_or_given_up(bilbs: Bilbs, used_desk: Sandbox) -> None:
    gone(used_desk)
    quote = bilbs("plan", "subscribe", "support", "--tier", "box", "--dry-run", "--json").json["data"]["quote"]
    step = receipts.begin(used_desk.url, quote, {"tier": "box", "boxes": 1})  # killed before it was sent
    other = bilbs("plan", "subscribe", "support", "--tier", "pro", "--yes")
    assert (other.status, "has no receipt yet" in other.stderr) == (6, True)
    assert standing(used_desk, 1) == (0, 0)
    finished = bilbs(*SUBSCRIBE)
    assert (finished.status, "An attempt of" in finished.stderr) == (0, True)
    keys = [row[0] for row in used_desk.store.base.execute("select key from reply")]
    assert keys == [step.key]  # whatever becomes of the first one on its way, the desk knows the second as the same
    assert standing(used_desk, 1) == (1, 1)


def test_an_attempt_whose_quote_has_expired_is_void(bilbs: Bilbs, used_desk: Sandbox) -> None:
    gone(used_desk)
    quote = bilbs("plan", "subscribe", "support", "--tier", "box", "--dry-run", "--json").json["data"]["quote"]
    receipts.begin(used_desk.url, quote, {"tier": "box", "boxes": 1})
    used_desk.advance(1000)
    assert bilbs("plan", "subscribe", "support", "--tier", "pro", "--yes").status == 0
    assert standing(used_desk, 1) == (1, 1)


def test_two_runs_at_once_are_one(bilbs: Bilbs, used_desk: Sandbox) -> None:
    gone(used_desk)
    argv = [sys.executable, "-m", "bilbs_cli", *SUBSCRIBE]
    runs = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(4)]
    said = [run.communicate(timeout=60)[0] for run in runs]
    assert {run.returncode for run in runs} <= {0, 6}, said
    assert standing(used_desk, 1) == (1, 1)


def test_a_damaged_record_of_an_attempt_sends_nothing(bilbs: Bilbs, used_desk: Sandbox) -> None:
    gone(used_desk)
    place = receipts.folder() / "pending.json"
    place.parent.mkdir(parents=True, mode=0o700)
    place.write_text('{"key": ')
    ended = bilbs(*SUBSCRIBE)
    assert (ended.status, "pending-damaged" in ended.stderr, place.exists()) == (1, True, True)
    assert standing(used_desk, 1) == (0, 0)


def test_a_full_disk_subscribes_nothing(bilbs: Bilbs, used_desk: Sandbox, tmp_path: Path) -> None:
    from tests.parts.disk import small_disk

    gone(used_desk)
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        (disk.path / "state").mkdir(mode=0o700)
        filler = disk.path / "filler"
        with pytest.raises(OSError, match="space"):
            filler.write_bytes(b"x" * (2 << 20))
        ended = bilbs(*SUBSCRIBE, env={"BILBS_STATE_DIR": str(disk.path / "state")})
        assert ended.status == 73
        assert standing(used_desk, 1) == (0, 0)
        filler.unlink()
        assert bilbs(*SUBSCRIBE, env={"BILBS_STATE_DIR": str(disk.path / "state")}).status == 0
    assert standing(used_desk, 1) == (1, 1)
