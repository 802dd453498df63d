"""The command line as a whole: one place for errors, usage in one style, signals, version, help."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import bilbs_cli
from bilbs_cli import main
from bilbs_cli.errors import EXIT_MEANING
from tests.conftest import Bilbs
from tests.terminals import on_terminal


def program(body: str) -> str:
    """Return a program whose command `act` has this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return (
        "import os, sys, time, signal\nfrom bilbs_cli import main, terminal, errors\n@main.app.command()\n"
        f"def act(_json: terminal.Json = False) -> None:\n{lines}\nsys.exit(main.run(['act', *sys.argv[1:]]))"
    )


def test_the_version_is_printed_whatever_the_settings_are(bilbs: Bilbs, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[[[")
    for env in ({}, {"BILBS_CONFIG": str(tmp_path / "broken.toml")}, {"HOME": None, "PATH": None}):
        done = bilbs("--version", env=env)
        assert (done.status, done.stdout, done.stderr) == (0, f"bilbs {bilbs_cli.__version__}\n", "")


def test_help_names_every_group_and_topic_whatever_the_settings_are(bilbs: Bilbs) -> None:
    done = bilbs("--help", env={"BILBS_CONFIG": "/nonexistent"})
    assert (done.status, done.stderr) == (0, "")
    for name, _, line in main.GROUPS:
        assert re.search(rf"^  {name} +{re.escape(line)}", done.stdout, re.MULTILINE)
    assert "\x1b" not in done.stdout
    assert bilbs("-h").stdout == done.stdout


def test_every_group_can_be_imported_and_shows_its_commands(bilbs: Bilbs) -> None:
    for name, _, _ in main.GROUPS:
        done = bilbs(name, "--help")
        assert done.status == 0, done.stderr
        assert done.stdout.startswith(f"Usage: bilbs {name} [OPTIONS] COMMAND [ARGS]...")
        assert "Commands:" in done.stdout


def test_without_a_command_the_help_goes_to_stderr_and_the_status_is_usage(bilbs: Bilbs) -> None:
    for arguments in ([], ["config"]):
        done = bilbs(*arguments)
        assert (done.status, done.stdout) == (2, "")
        assert done.stderr.startswith("Usage: bilbs")


@pytest.mark.parametrize(
    ("arguments", "message", "next_step"),
    [
        (["daig"], "no such command 'daig'. Did you mean 'diag'?", "bilbs --help"),
        (["config", "lst"], "no such command 'lst'. Did you mean 'list'", "bilbs config --help"),
        (["config", "list", "--jsn"], "no such option: --jsn. Did you mean --json?", "bilbs config list --help"),
        (["config", "get"], "missing argument 'key'", "bilbs config get --help"),
        (["config", "get", "a", "b"], "unexpected extra argument", "bilbs config get --help"),
        (["--verbos=3"], "no such option: --verbos", "bilbs --help"),
        (["\x1b[2J"], r"no such command '\x1b[2J'", "bilbs --help"),
        (["help", "exit-code"], "no help on exit-code; did you mean exit-codes?", "bilbs help"),
    ],
)
def test_a_command_line_that_is_wrong_gets_one_message_the_nearest_name_and_the_next_step(
    bilbs: Bilbs, arguments: list[str], message: str, next_step: str
) -> None:
    done = bilbs(*arguments)
    assert done.status == (5 if arguments[0] == "help" else 2)
    assert done.stdout == ""
    assert done.stderr.startswith("bilbs: ")
    assert message in done.stderr
    assert f"  next: {next_step}\n" in done.stderr
    assert "Usage:" not in done.stderr
    assert "\x1b" not in done.stderr


def test_a_wrong_command_line_with_json_is_one_document_too(bilbs: Bilbs) -> None:
    done = bilbs("config", "list", "--jsn", "--json")
    assert done.status == 2
    document = done.json
    assert (document["kind"], document["data"], document["errors"][0]["code"], document["errors"][0]["exit"]) == (
        "error",
        None,
        "usage",
        2,
    )


def test_every_error_ends_with_its_own_status(bilbs: Bilbs) -> None:
    for status in (3, 5, 20, 69, 73, 77, 78):
        body = f"class Odd(errors.BilbsError):\n    code, exit = 'odd', errors.Exit({status})\nraise Odd('it happened', safe='all of it', next='do this')"
        done = bilbs("--json", program=program(body))
        assert done.status == status
        assert done.stderr == "bilbs: it happened [odd]\n  safe: all of it\n  next: do this\n"
        assert done.json["errors"] == [
            {"code": "odd", "message": "it happened", "safe": "all of it", "next": "do this", "exit": status}
        ]


def test_a_status_that_a_command_chooses_is_kept(bilbs: Bilbs) -> None:
    assert bilbs(program=program("import typer\nterminal.out('done')\nraise typer.Exit(20)")).status == 20
    assert bilbs(program=program("terminal.out('done')")).status == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_the_work_runs_its_cleanup_and_ends_with_130(
    number: signal.Signals, tmp_path: Path
) -> None:
    body = f"try:\n    print('ready', flush=True); time.sleep(30)\nfinally:\n    open({str(tmp_path / 'cleaned')!r}, 'w').close()"
    with subprocess.Popen(
        [sys.executable, "-c", program(body)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == 130
    assert (tmp_path / "cleaned").exists()
    assert stderr == f"bilbs: {'interrupted' if number == signal.SIGINT else f'ended by {number.name}'} [interrupted]\n"


def test_a_broad_except_in_a_library_does_not_swallow_a_signal(tmp_path: Path) -> None:
    body = "for _ in range(3):\n    try:\n        print('ready', flush=True); time.sleep(5)\n    except Exception:\n        pass"
    with subprocess.Popen(
        [sys.executable, "-c", program(body)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.terminate()
        assert process.wait(5) == 130


def test_under_nohup_a_hangup_changes_nothing() -> None:
    body = "os.kill(os.getpid(), signal.SIGHUP); terminal.out('still here')"
    done = subprocess.run(["nohup", sys.executable, "-c", program(body)], capture_output=True, text=True, check=True)
    assert done.stdout == "still here\n"


def test_ctrl_c_on_a_terminal_leaves_no_traceback() -> None:
    status, shown = on_terminal(["-c", program("os.kill(os.getpid(), signal.SIGINT); time.sleep(5)")])
    assert status == 130
    assert "Traceback" not in shown


def test_ctrl_c_while_it_is_still_loading_is_quiet() -> None:
    entry = """
import sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from bilbs_cli.__main__ import main
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", entry], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_reader_of_bytes_that_goes_away_ends_it_quietly(bilbs: Bilbs) -> None:
    body = "stream = terminal.binary_stdout('-')\nwhile True:\n    stream.write(b'x' * 100000)"
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | head -c 10 | wc -c; echo "${PIPESTATUS[0]}"', sys.executable, program(body)],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.split() == ["10", "73"]
    assert done.stderr == ""


def test_the_second_script_is_the_group_diag() -> None:
    entry = "import sys; from bilbs_cli.__main__ import diag; sys.argv = ['diag', *sys.argv[1:]]; sys.exit(diag())"
    done = subprocess.run([sys.executable, "-c", entry, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: bilbs diag ")
    done = subprocess.run([sys.executable, "-c", entry, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"bilbs {bilbs_cli.__version__}\n"


def test_a_damaged_installation_says_so() -> None:
    entry = "import sys; sys.modules['typer'] = None; from bilbs_cli.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", entry], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("bilbs: this installation is damaged: ")


def test_the_exit_table_is_printed_as_it_is(bilbs: Bilbs) -> None:
    rows = bilbs("help", "exit-codes", "--json").json["data"]["rows"]
    assert rows == [{"status": int(status), "meaning": meaning} for status, meaning in EXIT_MEANING.items()]
    text = bilbs("help", "exit-codes").stdout
    for status, meaning in EXIT_MEANING.items():
        assert re.search(rf"^{int(status)} +{re.escape(meaning)}$", text, re.MULTILINE)


def test_every_topic_of_help_is_printed_in_both_forms(bilbs: Bilbs) -> None:
    topics = [row["topic"] for row in bilbs("help", "--json").json["data"]["rows"]]
    prose = ["redaction", "offline", "air-gap", "scripting", "permissions"]
    assert topics == ["exit-codes", "environment", "files", "settings", *prose]
    for topic in topics:
        assert bilbs("help", topic).stdout.count("\n") > 3
        assert bilbs("help", topic, "--json").json["data"]["rows"]


def test_verbose_says_more_and_only_on_stderr(bilbs: Bilbs) -> None:
    logging = "import logging; logging.getLogger('x').info('detail password=hunter2hunter2'); terminal.out('result')"
    start = program(logging).replace("['act', *sys.argv[1:]]", "sys.argv[1:]")
    assert bilbs("act", program=start).stderr == ""
    done = bilbs("-v", "act", program=start)
    assert "bilbs: INFO: x: detail" in done.stderr
    assert "hunter2" not in done.stderr
    assert done.stdout == "result\n"
    assert "detail" in bilbs("act", program=start, env={"BILBS_LOG": "debug"}).stderr


def test_running_it_leaves_no_file_behind(bilbs: Bilbs) -> None:
    for arguments in (["--help"], ["--version"], ["help"], ["config", "list"], ["nonsense"]):
        bilbs(*arguments)
    assert list(Path(os.environ["HOME"]).rglob("*")) == []


def test_the_commands_that_topics_name_exist(bilbs: Bilbs) -> None:
    from bilbs_cli import command_tree, help_texts

    known = {" ".join(one.path) for one in command_tree.read(main.app).everything()}
    flags = {
        name for one in command_tree.read(main.app).everything() for option in one.options for name in option.names
    }
    rows = [*help_texts.REDACTION, *help_texts.OFFLINE, *help_texts.AIR_GAP, *help_texts.SCRIPTING]
    text = " ".join(word for row in rows for word in row)
    named = re.findall(r"bilbs ((?:[a-z][a-z|-]*)(?: [a-z][a-z|-]*)*)", text)
    assert len(named) > 15
    for line in named:
        for choice in line.split()[-1].split("|"):
            words = [*line.split()[:-1], choice]
            while words and " ".join(words) not in known:
                words.pop()
            assert words, line
    assert set(re.findall(r"(?<![\w-])--[a-z-]+", text)) <= flags
