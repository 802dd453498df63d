"""What is printed: text or one JSON document, safe in every terminal, pipe and encoding."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bilbs_cli import terminal
from bilbs_cli.errors import BilbsError, ConfigProblem, OutputUnwritable, UsageProblem
from tests.conftest import Bilbs
from tests.terminals import on_terminal

HOSTILE = "gpu\x1b[2J\x1b]0;owned\x07\u202e0\x9b1m"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    terminal.begin([])


def test_the_envelope_has_exactly_its_five_fields() -> None:
    error = ConfigProblem("broken", safe="all", next="repair")
    document = json.loads(terminal.envelope("diag.bundle", {"a": 1}, ["careful"], [error]))
    assert document == {
        "schema_version": 1,
        "kind": "diag.bundle",
        "data": {"a": 1},
        "warnings": ["careful"],
        "errors": [{"code": "config", "message": "broken", "safe": "all", "next": "repair", "exit": 78}],
    }
    assert list(document) == ["schema_version", "kind", "data", "warnings", "errors"]


def test_a_result_is_text_or_one_document_and_never_both(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.emit("x", {"a": 1}, text="as text")
    terminal.emit("x", {"a": 1}, text=lambda: terminal.out("as call"))
    terminal.begin(["--json"])
    terminal.emit("x", {"a": 1}, text="as text", warnings=["w"])
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[:2] == ["as text", "as call"]
    assert json.loads(lines[2])["warnings"] == ["w"]
    assert len(lines) == 3
    assert said.err == "bilbs: warning: w\n"


def test_json_is_asked_for_before_a_double_dash_only() -> None:
    for arguments, wanted in (
        ([], False),
        (["a", "--json"], True),
        (["a", "--", "--json"], False),
        (["--json", "--"], True),
    ):
        terminal.begin(arguments)
        assert terminal.wants_json() is wanted


@given(st.text(), st.text())
@example("\x7f", "\x7f\x9b")
def test_a_json_document_is_ascii_that_no_terminal_obeys(key: str, value: str) -> None:
    text = terminal.envelope("x", {key: [value]})
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text)["data"] == {key: [value]}


@pytest.mark.parametrize("data", [{"a": b"bytes"}, {"a": float("nan")}, {"a": Path("/")}, object(), {1, 2}])
def test_data_that_is_not_json_is_a_bug_and_not_a_guess(data: object) -> None:
    terminal.begin(["--json"])
    with pytest.raises((TypeError, ValueError)):
        terminal.emit("x", data, text="")


def test_hostile_text_is_made_visible_on_both_streams_also_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.out(HOSTILE)
    terminal.note(HOSTILE)
    terminal.warn(HOSTILE)
    terminal.fail(BilbsError(HOSTILE, safe=HOSTILE, next=HOSTILE))
    terminal.table(("a", "b"), [(HOSTILE, HOSTILE)])
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert not {char for char in text if unicodedata.category(char) in {"Cc", "Cf"} and char != "\n"}
        assert r"gpu\x1b[2J\x1b]0;owned\x07\u202e0\x9b1m" in text


def test_an_error_says_what_happened_its_code_what_is_safe_and_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.fail(OutputUnwritable("disk full", safe="3 items", next="df -h"))
    terminal.fail(OutputUnwritable("disk full"))
    assert capsys.readouterr().err == (
        "bilbs: disk full [cannot-write]\n  safe: 3 items\n  next: df -h\nbilbs: disk full [cannot-write]\n"
    )


def test_a_hostile_message_forges_no_second_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.fail(BilbsError("no file x\n  next: rm -rf /", next="a\nb", safe="c\nd"))
    terminal.warn("a\nbilbs: forged")
    assert capsys.readouterr().err.splitlines() == [
        r"bilbs: no file x\n  next: rm -rf / [failed]",
        r"  safe: c\nd",
        r"  next: a\nb",
        r"bilbs: warning: a\nbilbs: forged",
    ]


def test_an_error_after_the_result_adds_no_second_document(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.begin(["--json"])
    terminal.emit("x", 1, text="")
    terminal.fail(BilbsError("late"))
    said = capsys.readouterr()
    assert json.loads(said.out)["data"] == 1
    assert "late" in said.err


def test_a_warning_is_said_once() -> None:
    terminal.warn("same")
    terminal.warn("same")
    assert terminal._Run.warnings == ("same",)


PRINT = "from bilbs_cli import terminal; terminal.out('caf\\u00e9 \\u65e5\\u672c \\udcff'); terminal.note('caf\\u00e9')"


@pytest.mark.parametrize(
    ("env", "shown"),
    [
        ({"PYTHONIOENCODING": "ascii"}, b"caf\\xe9 \\u65e5\\u672c \\xff\n"),
        ({"PYTHONIOENCODING": "latin-1"}, b"caf\xe9 \\u65e5\\u672c \\xff\n"),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, b"caf\\xe9 \\u65e5\\u672c \\xff\n"),
        ({"PYTHONUTF8": "1"}, "café 日本 \\xff\n".encode()),
    ],
)
def test_no_locale_makes_printing_fail(env: dict[str, str], shown: bytes) -> None:
    done = subprocess.run([sys.executable, "-c", PRINT], env={**os.environ, **env}, capture_output=True, check=True)
    assert done.stdout == shown


def test_a_reader_that_goes_away_is_no_error_and_the_command_keeps_its_status() -> None:
    program = "import sys; from bilbs_cli import terminal\nfor n in range(100000): terminal.out(f'line {n}')\nterminal.finish(); sys.exit(20)"
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | head -1; echo "${PIPESTATUS[0]}"', sys.executable, program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("line 0\n20\n", "")


def test_a_closed_stdout_is_no_error(bilbs: Bilbs) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$0" -m bilbs_cli --version >&-; echo $?', sys.executable],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_with_every_stream_closed_the_next_file_opened_is_not_stdout() -> None:
    program = "import sys, os; sys.argv = ['bilbs', '--version']\nfrom bilbs_cli.__main__ import main\nmain(); f = os.open('/', 0); sys.exit(f)"
    done = subprocess.run(["bash", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, program], check=False)
    assert done.returncode >= 3


def test_a_result_for_a_full_disk_is_an_error_with_its_exit_and_no_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bilbs_cli", "help", "exit-codes"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 73
    assert done.stderr.startswith("bilbs: cannot write the result to stdout: No space left on device [disk-full]\n")
    assert "Traceback" not in done.stderr


def test_an_error_that_cannot_be_said_still_has_its_exit_status() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bilbs_cli", "nonsense", "--json"], stdout=full, stderr=full, check=False
        )
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("given_columns", "width"),
    [("100", 100), ("7", 20), ("999999", 80), ("0", 80), ("x", 80), ("-5", 80), ("٣٣", 80), ("600", 500)],
)
def test_the_width_is_what_columns_says_within_reason(
    monkeypatch: pytest.MonkeyPatch, given_columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", given_columns)
    assert terminal.width() == width


def test_without_a_terminal_text_is_80_columns_wide_and_needs_no_rich(bilbs: Bilbs) -> None:
    done = bilbs("help", "settings")
    assert max(map(len, done.stdout.splitlines())) <= 80
    program = "import sys; from bilbs_cli.main import run; run(['help', 'settings']); sys.exit('rich' in sys.modules)"
    assert bilbs(program=program).status == 0


def test_columns_is_honoured_in_a_pipe(bilbs: Bilbs) -> None:
    assert max(map(len, bilbs("help", "settings", env={"COLUMNS": "120"}).stdout.splitlines())) > 80


def test_on_a_terminal_a_table_fits_its_width_and_has_style() -> None:
    status, shown = on_terminal(["-m", "bilbs_cli", "help", "exit-codes"], columns=60)
    assert status == 0
    assert "\x1b[1m" in shown
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in shown.splitlines()) <= 60


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"TERM": ""}])
def test_on_a_dumb_terminal_nothing_is_sent_but_text(env: dict[str, str]) -> None:
    assert "\x1b" not in on_terminal(["-m", "bilbs_cli", "help", "exit-codes"], env=env)[1]


def test_no_color_leaves_colours_out() -> None:
    shown = on_terminal(["-m", "bilbs_cli", "help", "exit-codes"], env={"NO_COLOR": "1"})[1]
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", shown)


HOSTILE_TABLE = "from bilbs_cli import terminal; terminal.table(('a','b'), [('x\\x1b[2J[bold]', 'y\\u202e:warning:')])"


def test_a_rich_table_shows_hostile_text_and_markup_as_it_is() -> None:
    shown = on_terminal(["-c", HOSTILE_TABLE])[1]
    assert r"x\x1b[2J[bold]" in shown
    assert r"y\u202e:warning:" in shown


ASK = "from bilbs_cli import terminal; print('ANSWER', terminal.confirm('Go on\\x1b[2J?'))"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [(b"y\n", True), (b"YES\n", True), (b"n\n", False), (b"\n", False), (b"\x04", False), (b"yolo\n", False)],
)
def test_a_question_is_asked_on_a_terminal_and_only_yes_is_yes(typed: bytes, answer: bool) -> None:
    shown = on_terminal(["-c", ASK], typed=typed)[1]
    assert r"Go on\x1b[2J? [y/N]" in shown
    assert f"ANSWER {answer}" in shown


def test_without_a_terminal_no_question_is_asked_and_the_flag_is_named(bilbs: Bilbs) -> None:
    program = "from bilbs_cli import terminal\ntry: terminal.confirm('Go on?', flag='--yes')\nexcept Exception as e: print(type(e).__name__, e.next)"
    assert bilbs(program=program, stdin="y\n").stdout == "UsageProblem the same command with --yes\n"


def test_binary_data_is_not_written_to_a_terminal() -> None:
    program = "from bilbs_cli import terminal\ntry: terminal.binary_stdout('-o -')\nexcept Exception as e: print(type(e).__name__, e)"
    assert "UsageProblem -o - writes binary data, and stdout is a terminal" in on_terminal(["-c", program])[1]


def test_binary_data_goes_through_a_pipe_untouched() -> None:
    program = "from bilbs_cli import terminal; terminal.binary_stdout('-o -').write(bytes(range(256)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == bytes(range(256))


def test_binary_data_for_a_closed_stdout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(UsageProblem, match="closed"):
        terminal.binary_stdout("-o -")
