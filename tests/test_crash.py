"""The crash log: made whatever is broken, without a secret, and few of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bilbs_cli import crash, log
from tests.conftest import Bilbs
from tests.parts.patience import BUSY_S
from tests.people import as_user
from tests.test_files import small_disk

NOW = datetime(2026, 11, 21, 3, 30, tzinfo=UTC)
BOOM = """
import sys
from bilbs_cli import main
@main.app.command()
def boom(given: str = "") -> None:
    local = "local-secret-1234"
    raise RuntimeError("password=hunter2hunter2 \\x1b[2J at https://joe:swordfish@db.example/x")
sys.exit(main.run(["boom", *sys.argv[1:]]))
"""


def remove(page: Path) -> None:
    """Remove a page that had to go to /tmp, and its folder when nothing else is there."""
    page.unlink()
    with suppress(OSError):
        page.parent.rmdir()


def test_a_bug_is_a_short_message_and_a_private_page_to_send(bilbs: Bilbs) -> None:
    done = bilbs(program=BOOM)
    assert done.status == 1
    assert done.stdout == ""
    path = Path(re.search(r"send (\S+) to support@groupebilbs\.com", done.stderr)[1])  # type: ignore[index]
    assert path.parent == Path(os.environ["BILBS_STATE_DIR"]) / "crash"
    assert path.stat().st_mode & 0o777 == 0o600
    assert done.stderr.startswith("bilbs: unexpected RuntimeError: password=")
    assert "Traceback" not in done.stderr
    page = path.read_text()
    assert "Traceback" in page
    assert "in boom" in page


def test_no_secret_and_no_escape_sequence_reaches_page_or_terminal(bilbs: Bilbs) -> None:
    done = bilbs("--given", "token=calvin1234calvin", program=BOOM, env={"BILBS_BMC_PASSWORD": "environ-secret-99"})
    page = next((Path(os.environ["BILBS_STATE_DIR"]) / "crash").iterdir()).read_text()
    for text in (page, done.stderr):
        for secret in (
            "hunter2hunter2",
            "swordfish",
            "calvin1234calvin",
            "local-secret-1234",
            "environ-secret-99",
            "\x1b",
        ):
            assert secret not in text.replace('local = "local-secret-1234"', "")
    assert "BILBS_BMC_PASSWORD" in page


def test_a_crash_with_json_is_one_document(bilbs: Bilbs) -> None:
    done = bilbs("--json", program=BOOM.replace("given: str", "json: bool = False, given: str"))
    assert [error["code"] for error in done.json["errors"]] == ["crash"]


@pytest.mark.parametrize("state", ["/proc/none", "/dev/null/x", "/etc/hostname"])
def test_a_state_folder_that_cannot_be_written_is_survived(bilbs: Bilbs, state: str) -> None:
    done = bilbs(program=BOOM, env={"BILBS_STATE_DIR": state, "HOME": None})
    assert done.status == 1
    path = Path(re.search(r"send (\S+) to", done.stderr)[1])  # type: ignore[index]
    assert path.parent == Path(f"/tmp/bilbs-crash-{os.geteuid()}")
    remove(path)


def test_a_full_disk_is_survived(bilbs: Bilbs, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        (disk / "crash").mkdir()
        (disk / "fill").write_bytes(b"x" * (128 << 10))
        subprocess.run(["sh", "-c", f"cat /dev/zero > {disk}/more 2>/dev/null"], check=False)
        done = bilbs(program=BOOM, env={"BILBS_STATE_DIR": str(disk)})
        assert done.status == 1
        path = Path(re.search(r"send (\S+) to", done.stderr)[1])  # type: ignore[index]
        assert "Traceback" in path.read_text()
        remove(path)
        assert list((disk / "crash").iterdir()) == []


def test_where_nothing_can_be_written_the_page_goes_to_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILBS_STATE_DIR", "/proc/none")
    place = Path("/tmp/bilbs-crash-54321")
    place.write_text("a file of someone else stands in the way")
    try:
        path, page = as_user(54321, lambda: crash.record(RuntimeError("x"), ["a"], NOW))
    finally:
        place.unlink()
    assert path is None
    assert "RuntimeError: x" in page


def test_only_the_newest_pages_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILBS_STATE_DIR", str(tmp_path))
    for day in range(1, 26):
        crash.record(RuntimeError("x"), [], NOW.replace(day=day))
    kept = sorted(path.name for path in (tmp_path / "crash").iterdir())
    assert len(kept) == crash.KEPT
    assert kept[-1].startswith("crash-20261125")


def test_a_page_is_never_large() -> None:
    page = crash.report(RuntimeError("start " + "x" * 10_000_000 + " end"), [], NOW, clean=str)
    assert len(page) <= crash.LIMIT + 100
    assert page.rstrip().endswith("end")


def test_a_secret_that_lies_across_the_cut_is_masked_before_it_is_cut() -> None:
    secret = "S" * 200
    message = f"{'x ' * crash.LIMIT} password={secret} {'y ' * (crash.LIMIT // 4 - 50)}"
    page = crash.report(RuntimeError(message), [], NOW, clean=crash.mask)
    assert len(page) < len(message)
    assert "SSSS" not in page


@pytest.mark.parametrize(
    "message", ["x" * 10_000_000, "password" * 1_000_000, "token: " * 1_000_000, "://a:" * 1_000_000, '="' * 1_000_000]
)
def test_a_hostile_message_costs_no_time(message: str) -> None:
    started = time.monotonic()
    crash.report(RuntimeError(message), [], NOW, clean=crash.mask)
    assert time.monotonic() - started < 2 + BUSY_S


def test_an_exception_that_cannot_be_shown_is_reported_all_the_same(bilbs: Bilbs) -> None:
    odd = "class Odd(Exception):\n    def __str__(self) -> str:\n        raise ValueError\n"
    done = bilbs(
        program=BOOM.replace("import sys\n", f"import sys\n{odd}", 1).replace("raise RuntimeError(", "raise Odd(")
    )
    assert done.status == 1
    assert done.stderr.startswith("bilbs: unexpected ")
    assert "Traceback" not in done.stderr


def test_a_secret_named_to_the_log_is_masked_in_the_page_too() -> None:
    log.hide("calvin-named")
    try:
        assert "calvin-named" not in crash.report(RuntimeError("with calvin-named"), ["calvin-named"], NOW)
    finally:
        log._hidden.clear()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=hunter2", "password=[REDACTED]"),
        ("--bmc-password hunter2", "--bmc-password [REDACTED]"),
        ("{'api_key': 'hunter2'}", "{'api_key': [REDACTED]}"),
        ("Authorization: Bearer hunter2", "Authorization: Bearer [REDACTED]"),
        ("postgres://joe:hunter2@db", "postgres://joe:[REDACTED]@db"),
        ('secret = "a hunter2 b" rest', "secret = [REDACTED] rest"),
        ("password=[REDACTED:key-value] rest", "password=[REDACTED:key-value] rest"),
        ("GPU-8f3a: Xid 79, temperature: 81", "GPU-8f3a: Xid 79, temperature: 81"),
    ],
)
def test_the_last_line_of_defence_masks_values_and_nothing_else(text: str, masked: str) -> None:
    assert crash.mask(text) == masked


def test_the_page_is_masked_even_when_the_redaction_rules_cannot_load() -> None:
    program = (
        "import sys; sys.modules['bilbs_cli.diag.redaction'] = None; from bilbs_cli import crash\n"
        "print(crash.redact('password=hunter2hunter2'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "password=[REDACTED]\n"
