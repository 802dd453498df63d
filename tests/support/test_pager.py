"""`bilbs support pager`, as a whole process on its worst days: it prints the number, or says how to find it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.errors import Exit
from bilbs_cli.providers import loading
from bilbs_cli.support import card_file, pager
from bilbs_cli.terminal import SCHEMA_VERSION
from tests.conftest import Bilbs
from tests.people import as_user
from tests.terminals import on_terminal

NUMBER = "+12015550123"
GIVEN = {"BILBS_PAGER": NUMBER}


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the path of the user's card, which does not exist yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "config" / "bilbs" / "card.toml"
    path.parent.mkdir(parents=True)
    return path


def start(*flags: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the pager with descriptors and an environment of one's own."""
    command = [sys.executable, "-m", "bilbs_cli", "support", "pager", *flags]
    return subprocess.run(command, check=False, timeout=20, **more)


# --- where the number comes from --------------------------------------------------------------------------------------


def test_the_number_stands_alone_on_stdout(bilbs: Bilbs, card: Path) -> None:
    card.write_text('# mine\npager = "+1 201 555 0123"  # of the desk\naccount = "a-1"\n')
    ended = bilbs("support", "pager")
    assert (ended.status, ended.stdout, ended.stderr) == (0, "+1 201 555 0123\n", "")


def test_the_first_place_that_has_a_number_wins(bilbs: Bilbs, card: Path, tmp_path: Path) -> None:
    state = Path(os.environ["BILBS_STATE_DIR"])
    state.mkdir(parents=True)
    (state / "card.toml").write_text('pager = "+4400000001"\n')
    assert bilbs("support", "pager", "--json").json["data"]["origin"] == str(state / "card.toml")
    card.write_text('account = "a-1"\n')  # a card without a number is passed over
    assert bilbs("support", "pager").stdout == "+4400000001\n"
    card.write_text('pager = "+4400000002"\n')
    assert bilbs("support", "pager").stdout == "+4400000002\n"
    ended = bilbs("support", "pager", "--json", env={"BILBS_PAGER": " +4400000003 "})
    assert ended.json["data"] == {
        "number": "+4400000003",
        "uri": "tel:+4400000003",
        "e164": "+4400000003",
        "origin": "BILBS_PAGER",
    }


def test_the_card_of_the_machine_counts_between_the_user_s_and_the_desk_s() -> None:
    script = """
        mount -t tmpfs tmpfs /etc && mkdir /etc/bilbs "$BILBS_STATE_DIR"
        echo 'pager = "+4400000004"' > /etc/bilbs/card.toml
        echo 'pager = "+4400000001"' > "$BILBS_STATE_DIR/card.toml"
        "$0" -m bilbs_cli support pager
        mkdir -p "$HOME/.config/bilbs"; echo 'pager = "+4400000002"' > "$HOME/.config/bilbs/card.toml"
        "$0" -m bilbs_cli support pager
    """
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", script, sys.executable], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "+4400000004\n+4400000002\n"


def test_with_no_number_it_says_how_to_find_one_and_invents_none(bilbs: Bilbs) -> None:
    ended = bilbs("support", "pager")
    assert (ended.status, ended.stdout) == (78, "")
    assert "wallet card" in ended.stderr
    assert "bilbs support card set --pager" in ended.stderr
    assert max(map(len, ended.stderr.split("\n"))) <= 80
    as_json = bilbs("support", "pager", "--json")
    assert (as_json.status, as_json.json["data"], as_json.json["errors"][0]["code"]) == (78, None, "no-pager-number")


def test_the_other_channels_are_those_of_the_plan() -> None:
    plan = loading.load("bilbs", env={})
    text = pager.UNKNOWN
    slack, email = (next(one for one in plan.channels if one.id == name) for name in ("slack", "email"))
    assert slack.wake.replace("{severity}", plan.severities[0].name).partition(": ")[0] in text
    assert slack.address in text
    assert email.address in text


def test_the_numbers_that_it_may_not_import_are_those_of_the_program() -> None:
    assert (pager.OK, pager.CANNOT_WRITE, pager.CONFIG) == (Exit.OK, Exit.CANNOT_WRITE, Exit.CONFIG)
    assert pager.SCHEMA_VERSION == SCHEMA_VERSION


# --- what the number looks like ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "uri"),
    [
        ("+1 (201) 555-0123", "tel:+12015550123"),
        ("+44.20/1234 5678", "tel:+442012345678"),
        ("1-800-AETHER", "tel:1-800-AETHER"),
        ("+0123456789", "tel:+0123456789"),
        ("+123456", "tel:+123456"),
        ("+1234567890123456", "tel:+1234567890123456"),
        ("call me; please#1", "tel:call%20me;%20please%231"),
        ("+\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "tel:+%D9%A1%D9%A2%D9%A3%D9%A4%D9%A5%D9%A6%D9%A7"),
    ],
)
def test_the_uri_of_a_number_and_a_warning_where_it_looks_wrong(bilbs: Bilbs, number: str, uri: str) -> None:
    ended = bilbs("support", "pager", "--uri", env={"BILBS_PAGER": number})
    assert (ended.status, ended.stdout) == (0, f"{uri}\n")
    good = number.startswith(("+1 (", "+44."))
    assert ("does not look like a telephone number" in ended.stderr) is not good
    assert (bilbs("support", "pager", "--json", env={"BILBS_PAGER": number}).json["data"]["e164"] is None) is not good


def test_a_hostile_number_reaches_the_terminal_made_visible(bilbs: Bilbs) -> None:
    ended = bilbs("support", "pager", env={"BILBS_PAGER": "+1\x1b]0;owned\x07\u202e201"})
    assert ended.stdout == "+1\\x1b]0;owned\\x07\\u202e201\n"
    assert "\x1b" not in ended.stderr


# --- broken cards -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'pager = "+12015550123"\nslack = \n', ":2: Invalid value"),
        (b"pager = +12015550123\n", ": pager is not a text"),
        (b"pager = +1 201 555 0123\n", ":1: "),
        (b'pager = "+12015550123\n', ":1: "),
        (b'pager "+1"\n[x\npager = "+9999999999"\n', ":1: "),
        (b'\xff\xfe\npager = "+12015550123"\n', ":1: not UTF-8 text"),
        (b'pager = "+12015550123"\n\x00\n', ":2: "),
        (b'pager = "+12015550123"\npager = "+9999999999"\n', ":2: "),
        (b"pager = []\n", ": pager is not a text"),
        (b"x = " + b"[" * 5000, ""),
    ],
)
def test_a_broken_card_is_named_with_its_line_and_gives_what_can_be_read(
    bilbs: Bilbs, card: Path, content: bytes, said: str
) -> None:
    card.write_bytes(content)
    ended = bilbs("support", "pager")
    assert f"{card}{said}" in ended.stderr
    readable = content.startswith((b'pager = "+1', b"pager = +1", b"\xff"))
    assert ended.status == (0 if readable else 78)
    assert ended.stdout.replace(" ", "") == (f"{NUMBER}\n" if readable else "")


@pytest.mark.parametrize("kind", ["fifo", "folder", "loop", "device", "dangling", "huge", "socket"])
def test_what_is_no_card_is_passed_over_and_never_waited_for(
    bilbs: Bilbs, card: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    match kind:
        case "fifo":
            os.mkfifo(card)
        case "folder":
            card.mkdir()
        case "loop":
            card.symlink_to(card)
        case "device":
            card.symlink_to("/dev/zero")
        case "dangling":
            card.symlink_to("/nowhere")
        case "huge":
            with card.open("wb") as stream:
                stream.truncate(1 << 30)
        case "socket":
            monkeypatch.chdir(card.parent)  # a socket's path may be 108 bytes long
            with socket.socket(socket.AF_UNIX) as there:
                there.bind(card.name)
    state = Path(os.environ["BILBS_STATE_DIR"])
    state.mkdir(parents=True)
    (state / "card.toml").write_text(f'pager = "{NUMBER}"\n')
    ended = bilbs("support", "pager", timeout=5)
    assert (ended.status, ended.stdout) == (0, f"{NUMBER}\n")
    assert (str(card) in ended.stderr) is (kind != "dangling")


def test_a_card_that_this_user_may_not_read_is_named(card: Path) -> None:
    card.write_text(f'pager = "{NUMBER}"\n')
    card.chmod(0o600)
    for folder in card.parents[:-1]:
        if folder.stat().st_uid == 0 and str(folder) != "/tmp":
            folder.chmod(0o755)
    warnings = as_user(65534, lambda: card_file.read(str(card)).warnings)  # type: ignore[union-attr]
    assert warnings == [f"{card} cannot be read: Permission denied"]


def test_a_broken_settings_file_is_not_even_looked_at(bilbs: Bilbs, card: Path) -> None:
    (card.parent / "config.toml").write_text("[[[")
    assert bilbs("support", "pager", env=GIVEN).stdout == f"{NUMBER}\n"


# --- a box that has nothing left --------------------------------------------------------------------------------------


def test_it_needs_no_environment_at_all() -> None:
    done = start(capture_output=True, env={"BILBS_PAGER": NUMBER, "PYTHONPATH": os.environ["PYTHONPATH"]})
    assert (done.returncode, done.stdout) == (0, NUMBER.encode() + b"\n")


@pytest.mark.parametrize("locale", ["C", "POSIX", "tr_TR.UTF-8", "nonsense"])
def test_any_locale_will_do(locale: str, card: Path) -> None:
    card.write_text('pager = "+1 201 555 0123"\nslack = "#bilbs-caf\u00e9"\n', encoding="utf-8")
    done = start(
        capture_output=True, env=os.environ | {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"+1 201 555 0123\n", b"")


def test_a_folder_that_was_deleted_under_it_is_no_reason_to_fail(tmp_path: Path) -> None:
    script = f'cd {tmp_path} && mkdir gone && cd gone && rmdir ../gone && BILBS_STATE_DIR=state exec "$0" -m bilbs_cli support pager'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable], capture_output=True, check=False, timeout=20, env=os.environ | GIVEN
    )
    assert (done.returncode, done.stdout) == (0, NUMBER.encode() + b"\n")


def test_closed_streams_do_not_hide_it() -> None:
    script = '"$0" -m bilbs_cli support pager <&- >&-'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable], capture_output=True, check=False, timeout=20, env=os.environ | GIVEN
    )
    assert (done.returncode, done.stdout) == (73, b"")
    assert NUMBER.encode() in done.stderr


def test_a_full_stdout_sends_it_to_stderr() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = start(stdout=full, stderr=subprocess.PIPE, env=os.environ | GIVEN)
    assert (done.returncode, done.stderr) == (73, NUMBER.encode() + b"\n")


def test_with_every_stream_gone_the_terminal_still_shows_it() -> None:
    program = "import os, subprocess, sys; os.open(os.ttyname(0), os.O_RDWR); subprocess.run(['sh', '-c', '\"$0\" -m bilbs_cli support pager <&- >&- 2>&-', sys.executable], check=False)"
    _, shown = on_terminal(["-c", program], env=GIVEN)
    assert NUMBER in shown


def test_a_reader_that_went_away_is_no_error() -> None:
    script = '"$0" -m bilbs_cli support pager --qr | true; exit 0'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable], capture_output=True, check=False, timeout=20, env=os.environ | GIVEN
    )
    assert done.stderr == b""


def test_in_a_dead_rack_as_nobody_on_a_read_only_disk_without_network_home_or_terminal() -> None:
    # the program becomes nobody by itself: its interpreter may lie where nobody cannot go
    program = """
import os, sys
from bilbs_cli.support import pager
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534); os.setsid()
try:
    open("/tmp/bilbs-cannot-write", "w")
except OSError as error:
    assert error.errno == 30, error
os.environ.clear(); os.environ["BILBS_PAGER"] = sys.argv[1]
sys.exit(pager.run([]))
"""
    script = """
        mount --make-rprivate / && mount -o remount,ro,bind / && { mount -o remount,ro,bind /tmp 2>/dev/null || true; }
        exec "$0" -c "$1" "$2"
    """
    done = subprocess.run(
        ["unshare", "-m", "-n", "sh", "-ec", script, sys.executable, program, NUMBER],
        capture_output=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
        env={"PYTHONPATH": os.environ["PYTHONPATH"], "PATH": os.environ["PATH"]},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, NUMBER.encode() + b"\n", b"")


def test_it_writes_no_file_and_opens_no_socket(card: Path, tmp_path: Path) -> None:
    card.write_text(f'pager = "{NUMBER}"\n')
    trace = tmp_path / "trace"
    done = subprocess.run(
        [
            "strace",
            "-f",
            "-o",
            str(trace),
            "-e",
            "trace=open,openat,creat,socket,connect,unlink,rename,mkdir",
            sys.executable,
            "-B",
            "-m",
            "bilbs_cli",
            "support",
            "pager",
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == NUMBER.encode() + b"\n"
    calls = trace.read_text()
    assert str(card) in calls
    for word in ("socket(", "connect(", "O_WRONLY", "O_RDWR", "O_CREAT", "unlink", "rename", "mkdir"):
        assert word not in calls


def test_nothing_but_the_smallest_part_of_the_standard_library_is_loaded(card: Path) -> None:
    card.write_text(f'pager = "{NUMBER}"\naccount = "a"\n')
    program = """
import sys
before = set(sys.modules)
sys.argv = ["bilbs", "support", "pager"]
from bilbs_cli.__main__ import main
assert main() == 0
sys.stderr.write(" ".join(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{NUMBER}\n"
    assert set(done.stderr.split()) == {
        "__future__",
        "bilbs_cli",
        "bilbs_cli.__main__",
        "bilbs_cli.folders",
        "bilbs_cli.support",
        "bilbs_cli.support.card_file",
        "bilbs_cli.support.pager",
    }


def test_a_damaged_installation_still_answers(tmp_path: Path) -> None:
    (tmp_path / "typer").mkdir()
    (tmp_path / "typer" / "__init__.py").write_text("raise ImportError('damaged')\n")
    env = os.environ | GIVEN | {"PYTHONPATH": f"{tmp_path}:{os.environ['PYTHONPATH']}"}
    done = start("--help", capture_output=True, env=env)
    assert (done.returncode, done.stdout) == (0, NUMBER.encode() + b"\n")
    other = subprocess.run([sys.executable, "-m", "bilbs_cli", "status"], capture_output=True, check=False, env=env)
    assert other.returncode == 1
    assert b"bilbs support pager" in other.stderr


def test_an_error_of_its_own_does_not_hide_the_number(tmp_path: Path) -> None:
    program = (
        "from bilbs_cli.support import pager; pager._as_text = lambda *a: 1/0; import sys; sys.exit(pager.run([]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, env=os.environ | GIVEN)
    assert (done.returncode, done.stdout) == (0, NUMBER.encode() + b"\n")
    assert b"ZeroDivisionError" in done.stderr


# --- for the ordinary parser ------------------------------------------------------------------------------------------


def test_the_ordinary_parser_gives_the_same_answer(bilbs: Bilbs) -> None:
    for flags in ([], ["--uri"], ["--json"], ["--uri", "--json"]):
        fast = bilbs("support", "pager", *flags, env=GIVEN)
        slow = bilbs("-v", "support", "pager", *flags, env=GIVEN)
        assert (fast.status, fast.stdout) == (slow.status, slow.stdout)


def test_an_unknown_flag_is_a_usage_error_that_names_the_command(bilbs: Bilbs) -> None:
    ended = bilbs("support", "pager", "--number", env=GIVEN)
    assert ended.status == 2
    assert "bilbs support pager" in ended.stderr
    assert bilbs("support", "pager", "--help").status == 0


def test_on_a_terminal_it_says_where_the_number_is_from(card: Path) -> None:
    card.write_text(f'pager = "{NUMBER}"\n')
    status, shown = on_terminal(["-m", "bilbs_cli", "support", "pager"])
    assert status == 0
    assert shown == f"from {card}\n{NUMBER}\n"
