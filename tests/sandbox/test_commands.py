"""`bilbs sandbox` and `bilbs --sandbox` as whole processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.conftest import Bilbs


def test_serve_and_token_are_all_that_a_script_needs(bilbs: Bilbs, tmp_path: Path) -> None:
    data = tmp_path / "desk"
    server = subprocess.Popen(
        [sys.executable, "-m", "bilbs_cli", "sandbox", "serve", "--port", "0", "--data", str(data)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout
        url = server.stdout.readline().strip()
        token = bilbs("sandbox", "token", "--data", str(data)).stdout.strip()
        env = {"BILBS_API_URL": url, "BILBS_TOKEN": token}
        made = bilbs("support", "ticket", "open", "-m", "GPU 1 is gone", "--json", env=env)
        assert (made.status, made.json["data"]["state"], made.json["data"]["number"]) == (0, "delivered", "BB-1001")
        assert made.json["data"]["due"]
        box = bilbs("sandbox", "token", "--box", "--data", str(data)).stdout.strip()
        assert httpx.get(f"{url}/me", headers={"Authorization": f"Bearer {box}"}).json()["kind"] == "box"
        counted = bilbs("sandbox", "status", "--data", str(data), "--json").json["data"]
        assert counted["tickets"] == {"new": 1}
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(10)
        if server.stdout:
            server.stdout.close()
    assert server.returncode == 130


def test_it_does_not_listen_for_other_machines_by_accident(bilbs: Bilbs, tmp_path: Path) -> None:
    ended = bilbs("sandbox", "serve", "--host", "192.0.2.1", "--port", "0", "--data", str(tmp_path))
    assert (ended.status, "--expose" in ended.stderr) == (2, True)


def test_in_process_it_needs_no_set_up_and_is_marked(bilbs: Bilbs) -> None:
    made = bilbs(
        "--sandbox",
        "support",
        "ticket",
        "open",
        "-m",
        "a drill",
        "--json",
        env={"BILBS_API_URL": "http://127.0.0.1:9/v1"},
    )
    assert (made.status, made.json["data"]["number"]) == (0, "BB-1001")
    assert "SANDBOX" in made.json["warnings"][0]
    assert "SANDBOX" in made.stderr
    shown = bilbs("--sandbox", "support", "ticket", "show", "BB-1001")
    assert "a drill" in shown.stdout


def test_what_a_drill_writes_stays_out_of_the_real_outbox_and_a_real_token_out_of_the_drill(bilbs: Bilbs) -> None:
    state = Path(os.environ["BILBS_STATE_DIR"])
    env = {"BILBS_TOKEN": "a-real-token-of-the-tests"}
    bilbs("--sandbox", "support", "ticket", "open", "-m", "a drill", env=env)
    assert bilbs("support", "outbox", "list", "--all", "--json").json["data"]["entries"] == []
    inside = b"".join(path.read_bytes() for path in (state / "sandbox").rglob("*") if path.is_file())
    assert b"a drill" in inside
    assert b"a-real-token-of-the-tests" not in inside


def test_the_clock_is_set_and_its_people_do_what_they_would_have_done(bilbs: Bilbs) -> None:
    bilbs("--sandbox", "support", "ticket", "open", "-s", "sev1", "-m", "all is down")
    watch = ["--sandbox", "support", "ticket", "watch", "BB-1001", "--until", "acked", "--exit-status", "--json"]
    assert bilbs(*watch, "--timeout", "1s").status == 3
    assert bilbs("sandbox", "clock", "+30m").status == 0
    done = bilbs(*watch, "--timeout", "20s")
    assert (done.status, done.json["data"]["reached"]["by"]) == (0, "engineer")
    assert bilbs("sandbox", "clock", "yesterday").status == 2


def test_the_sandbox_that_is_talked_to_is_the_one_that_is_shown(bilbs: Bilbs) -> None:
    bilbs("--sandbox", "support", "ticket", "open", "-m", "a drill")
    shown = [bilbs(*flags, "sandbox", "status", "--json").json["data"] for flags in ([], ["--sandbox"])]
    assert [one["tickets"] for one in shown] == [{"new": 1}, {"new": 1}]
    assert shown[0]["data"] == shown[1]["data"]


def test_reset_asks_and_empties_it(bilbs: Bilbs) -> None:
    bilbs("--sandbox", "support", "ticket", "open", "-m", "a drill")
    assert bilbs("sandbox", "reset").status == 2
    assert bilbs("sandbox", "reset", "--yes").status == 0
    assert bilbs("--sandbox", "support", "ticket", "list", "--all", "--json").json["data"]["tickets"] == []
    assert bilbs("sandbox", "reset", "--yes", "--data", "/nonexistent").status == 5


def test_without_the_extra_it_says_what_to_install(bilbs: Bilbs) -> None:
    hidden = "import sys; sys.modules['flask'] = None; from bilbs_cli.__main__ import main; main()"
    ended = bilbs("--sandbox", "support", "ticket", "open", "-m", "a drill", program=hidden)
    assert "pip install 'bilbs-cli[sandbox]'" in ended.stderr
