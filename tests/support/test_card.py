"""The wallet card: what it says, its forms, its QR code read by another program, its block on the login screen."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bilbs_cli.errors import BilbsError
from bilbs_cli.providers import loading
from bilbs_cli.support import card, card_block, card_file, card_picture, qr
from tests.conftest import Bilbs
from tests.parts.disk import small_disk
from tests.terminals import on_terminal

PLAN = loading.load("bilbs", env={})
NUMBER = "+12015550123"
HOSTILE = "a<b>&\"'\\n\x1b[2J\u202e"


def wallet(**fields: str) -> card.WalletCard:
    lines = tuple(card.Line(name, fields.get(name, ""), "test") for name in card.LABELS)
    return card.WalletCard("Bilbs", lines, ())


FULL = wallet(pager="+1 201 555 0123", account="acme-1", serial="BX-0042", slack="#bilbs-acme", email="s@example.com")


# --- the file ---------------------------------------------------------------------------------------------------------

VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=20)
LAYOUTS = st.lists(
    st.one_of(
        st.sampled_from(
            ["# a comment", "", "  ", "\t# x = 1", "other = 3", "note = '''\npager = \"+999\"\n'''", 'deep.key = "x"']
        ),
        st.tuples(st.sampled_from(card_file.FIELDS), VALUES).map(
            lambda pair: f"{pair[0]} = {json.dumps(pair[1], ensure_ascii=False)}"
        ),
        st.tuples(st.sampled_from(card_file.FIELDS), VALUES.filter(lambda text: "'" not in text)).map(
            lambda pair: f"'{pair[0]}'='{pair[1]}' # c"
        ),
        st.sampled_from(["[table]", "[[list]]", "[table.sub] # x"]),
    ),
    max_size=8,
)


@given(LAYOUTS)
def test_a_card_is_read_as_tomllib_reads_it(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assert card_file.parse(text.encode(), "card.toml").warnings
        return
    found = card_file.parse(text.encode(), "card.toml")
    assert found.warnings == []
    assert found.values == {
        name: wanted[name].strip() for name in card_file.FIELDS if str(wanted.get(name, "")).strip()
    }


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    found = card_file.parse(data, "card.toml")
    assert set(found.values) <= set(card_file.FIELDS)


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        ("+12015550123", "+12015550123"),
        ("+1 (201) 555-01.23", "+12015550123"),
        ("+1234567", "+1234567"),
        ("+123456789012345", "+123456789012345"),
        ("+1234567890123456", ""),
        ("+123456", ""),
        ("+0123456789", ""),
        ("12015550123", ""),
        ("++12015550123", ""),
        ("+", ""),
        ("", ""),
        ("+1201555O123", ""),
    ],
)
def test_what_an_e_164_number_is(number: str, wanted: str) -> None:
    assert card_file.digits(number) == wanted


# --- gathering --------------------------------------------------------------------------------------------------------


def test_each_line_says_where_it_comes_from_and_the_unknown_is_not_invented(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "BILBS_STATE_DIR": str(tmp_path / "state")}
    found = card.gather(PLAN, "a-1", env, dmi=tmp_path)
    by_name = {line.field: (line.value, line.origin) for line in found.lines}
    assert by_name["account"] == ("a-1", "account.id")
    assert by_name["email"] == ("support@groupebilbs.com", "the plan")
    for name in ("pager", "serial", "slack"):
        assert by_name[name][0] == ""
        assert "bilbs support card set" in by_name[name][1]
    assert found.uri == ""


@pytest.mark.parametrize(
    ("serial", "board", "value"),
    [
        ("BX-1", "MB-1", "BX-1"),
        ("To be filled by O.E.M.", "MB-1", "MB-1"),
        ("Not Specified", "None", ""),
        ("", "0", ""),
    ],
)
def test_the_serial_is_the_product_s_else_the_board_s(tmp_path: Path, serial: str, board: str, value: str) -> None:
    (tmp_path / "product_serial").write_text(f"{serial}\n")
    (tmp_path / "board_serial").write_text(f"{board}\n")
    found = card.gather(PLAN, None, {"BILBS_STATE_DIR": str(tmp_path)}, dmi=tmp_path)
    assert found.value("serial") == value


def test_a_card_goes_before_the_settings_and_the_box(tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "bilbs"
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text('account = "of-the-card"\nserial = "S"\n')
    (tmp_path / "product_serial").write_text("BX-1\n")
    found = card.gather(
        PLAN, "of-the-settings", {"HOME": str(tmp_path), "BILBS_STATE_DIR": str(tmp_path)}, dmi=tmp_path
    )
    assert (found.value("account"), found.value("serial")) == ("of-the-card", "S")


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 80])
def test_the_page_fits_its_width_and_shows_every_line(width: int) -> None:
    page = card.page(FULL, width)
    assert max(map(len, page.split("\n"))) <= width
    for text in ("+1 201 555 0123", "acme-1", "BX-0042", "#bilbs-acme", "s@example.com"):
        assert text in page


def test_the_block_is_ascii_of_79_columns_and_hides_what_a_terminal_would_obey() -> None:
    block = card.block(wallet(pager=NUMBER, account=HOSTILE, slack="\u4e16" * 60))
    assert block.isascii()
    assert max(map(len, block.split("\n"))) <= 79
    assert "\x1b" not in block


def test_issue_doubles_the_backslashes_that_agetty_obeys() -> None:
    assert card.for_issue("a\\nb") == "a\\\\nb"


# --- pictures ---------------------------------------------------------------------------------------------------------


def read_codes(image: Image.Image) -> list[str]:
    return [code.text for code in zxingcpp.read_barcodes(image)]


def test_another_program_reads_the_number_from_the_png() -> None:
    image = Image.open(io.BytesIO(card_picture.png(FULL)))
    assert read_codes(image) == [f"tel:{NUMBER}"]
    assert image.size == (1011, 638)
    assert round(image.info["dpi"][0]) == 300


def test_another_program_reads_the_code_alone() -> None:
    assert read_codes(Image.open(io.BytesIO(card_picture.qr_png(FULL)))) == [f"tel:{NUMBER}"]


def test_a_card_without_a_number_has_no_code_and_says_so() -> None:
    empty = wallet(account="acme-1")
    assert read_codes(Image.open(io.BytesIO(card_picture.png(empty)))) == []
    assert "no number known" in card_picture.svg(empty)


def test_the_svg_is_one_drawing_without_anything_from_outside_and_its_text_is_text() -> None:
    svg = card_picture.svg(wallet(pager=NUMBER, account=HOSTILE))
    root = ET.fromstring(svg)  # noqa: S314 - our own
    kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert kinds == {"svg", "title", "rect", "text", "path"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in attributes if "href" in name or name.startswith("on")}
    assert "\x1b" not in svg
    shown = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert any(text and text.startswith("a<b>&\"'\\n\\x1b[2J") for text in shown)


def test_the_svg_s_code_is_the_png_s() -> None:
    path = re.search(r' d="([^"]+)"', card_picture.svg(FULL))
    assert path
    drawn = {(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", path[1])}
    assert drawn == {(x, y) for y, row in enumerate(qr.modules(f"tel:{NUMBER}")) for x, dark in enumerate(row) if dark}


@pytest.mark.parametrize("number", ["+1" * 7, "9" * 30, "\u4e16" * 20, "+" + "1" * 200])
def test_a_long_or_strange_number_still_makes_a_picture(number: str) -> None:
    assert card_picture.png(wallet(pager=number)).startswith(b"\x89PNG")


# --- QR on a terminal -------------------------------------------------------------------------------------------------


def picture_of(rows: list[list[bool]]) -> Image.Image:
    """Return modules (True is dark) as an image of 6 pixels each."""
    image = Image.new("L", (len(rows[0]), len(rows)), 255)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            image.putpixel((x, y), 0 if dark else 255)
    return image.resize((image.width * 6, image.height * 6), Image.Resampling.NEAREST)


def from_halves(text: str, *, ink_is_dark: bool) -> list[list[bool]]:
    ink = {" ": (False, False), "\u2580": (True, False), "\u2584": (False, True), "\u2588": (True, True)}
    rows: list[list[bool]] = []
    for line in text.rstrip("\n").split("\n"):
        rows += [[ink[char][half] is ink_is_dark for char in line] for half in (0, 1)]
    return rows


def test_the_code_in_half_blocks_is_read_with_its_light_modules_drawn(bilbs: Bilbs) -> None:
    shown = bilbs("support", "pager", "--qr", env={"BILBS_PAGER": NUMBER, "PYTHONUTF8": "1"}).stdout
    first, _, code = shown.partition("\n")
    assert first == NUMBER
    assert read_codes(picture_of(from_halves(code, ink_is_dark=False))) == [f"tel:{NUMBER}"]
    assert max(map(len, code.split("\n"))) <= 40


def test_the_code_in_letters_is_read(bilbs: Bilbs) -> None:
    env = {
        "BILBS_PAGER": NUMBER,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    code = bilbs("support", "pager", "--qr", env=env).stdout.partition("\n")[2]
    assert set(code) <= {"#", " ", "\n"}
    rows = [[line[at : at + 2] == "  " for at in range(0, len(line), 2)] for line in code.rstrip("\n").split("\n")]
    assert read_codes(picture_of(rows)) == [f"tel:{NUMBER}"]


def test_the_code_on_a_colour_terminal_is_black_on_white_and_read() -> None:
    env = {"BILBS_PAGER": NUMBER, "PYTHONUTF8": "1"}
    _, shown = on_terminal(["-m", "bilbs_cli", "support", "pager", "--qr"], env=env)
    lines = re.findall(r"\x1b\[38;5;16;48;5;231m(.+?)\x1b\[0m", shown)
    assert read_codes(picture_of(from_halves("\n".join(lines), ink_is_dark=True))) == [f"tel:{NUMBER}"]
    _, plain = on_terminal(["-m", "bilbs_cli", "support", "pager", "--qr"], env=env | {"NO_COLOR": "1"})
    assert "\x1b" not in plain


def test_without_the_library_the_number_stays(tmp_path: Path, bilbs: Bilbs) -> None:
    (tmp_path / "segno.py").write_text("raise ImportError('no segno')\n")
    path = f"{tmp_path}:{os.environ['PYTHONPATH']}"
    ended = bilbs("support", "pager", "--qr", env={"BILBS_PAGER": NUMBER, "PYTHONPATH": path})
    assert (ended.status, ended.stdout) == (0, f"{NUMBER}\n")
    assert "the QR code cannot be drawn" in ended.stderr


# --- the commands -----------------------------------------------------------------------------------------------------


def test_card_set_stores_and_card_shows(bilbs: Bilbs) -> None:
    stored = bilbs("support", "card", "set", "--pager", "+1 201 555 0123", "--slack", "#bilbs-acme", "--json")
    path = Path(stored.json["data"]["path"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert bilbs("support", "pager").stdout == "+1 201 555 0123\n"
    shown = bilbs("support", "card", "--json").json["data"]
    assert shown["uri"] == f"tel:{NUMBER}"
    assert shown["lines"]["slack"] == {"value": "#bilbs-acme", "origin": str(path)}


def test_card_set_keeps_comments_and_other_keys(bilbs: Bilbs) -> None:
    path = Path(os.environ["HOME"], ".config", "bilbs", "card.toml")
    path.parent.mkdir(parents=True)
    path.write_text('# the desk\naccount = "a-1"  # ours\n\n[notes]\nx = 1\n')
    assert bilbs("support", "card", "set", "--pager", NUMBER).status == 0
    assert path.read_text() == f'# the desk\naccount = "a-1"  # ours\npager = "{NUMBER}"\n\n[notes]\nx = 1\n'


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "nothing to store"),
        (["--pager", "call me"], "does not look like a telephone number"),
        (["--pager", ""], "expected a line of text"),
        (["--slack", "a\x1b[2J"], "expected a line of text"),
        (["--account", "x" * 201], "at most 200"),
        (["--zone", "Mars/Olympus"], "no time zone"),
    ],
)
def test_card_set_refuses_what_is_wrong_and_stores_nothing(bilbs: Bilbs, flags: list[str], said: str) -> None:
    ended = bilbs("support", "card", "set", *flags)
    assert ended.status == 2
    assert said in ended.stderr
    assert not Path(os.environ["HOME"], ".config").exists()


def test_a_number_that_looks_wrong_is_stored_when_it_is_meant(bilbs: Bilbs) -> None:
    assert bilbs("support", "card", "set", "--pager", "1-800-AETHER", "--anyway").status == 0
    assert bilbs("support", "pager").stdout == "1-800-AETHER\n"


def test_a_broken_card_is_not_overwritten(bilbs: Bilbs) -> None:
    path = Path(os.environ["HOME"], ".config", "bilbs", "card.toml")
    path.parent.mkdir(parents=True)
    path.write_text("account = \n")
    ended = bilbs("support", "card", "set", "--pager", NUMBER)
    assert ended.status == 78
    assert f"{path}:1:" in ended.stderr
    assert path.read_text() == "account = \n"


def test_a_broken_settings_or_provider_file_does_not_hide_the_card(bilbs: Bilbs) -> None:
    folder = Path(os.environ["HOME"], ".config", "bilbs")
    (folder / "providers.d").mkdir(parents=True)
    (folder / "providers.d" / "bilbs.toml").write_text("schema = 2\n")
    (folder / "card.toml").write_text(f'pager = "{NUMBER}"\n')
    shown = bilbs("support", "card")
    assert (shown.status, NUMBER in shown.stdout) == (0, True)
    assert "providers.d/bilbs.toml:1: schema" in shown.stderr
    (folder / "config.toml").write_text("[[[")
    assert NUMBER in bilbs("support", "card").stdout


def test_a_picture_goes_to_a_file_or_a_pipe_and_never_over_another_file(bilbs: Bilbs, tmp_path: Path) -> None:
    env = {"BILBS_PAGER": NUMBER}
    path = tmp_path / "card.png"
    assert bilbs("support", "card", "--format", "png", "-o", str(path), env=env).stdout == f"{path}\n"
    again = bilbs("support", "card", "--format", "png", "-o", str(path), env=env)
    assert (again.status, "is there already" in again.stderr) == (2, True)
    assert bilbs("support", "card", "--format", "svg", "-o", str(path), "--force", env=env).status == 0
    assert path.read_bytes().startswith(b"<svg")
    piped = subprocess.run(
        [sys.executable, "-m", "bilbs_cli", "support", "card", "--format", "qr"],
        capture_output=True,
        check=True,
        env=os.environ | env,
    )
    assert read_codes(Image.open(io.BytesIO(piped.stdout))) == [f"tel:{NUMBER}"]
    status, shown = on_terminal(["-m", "bilbs_cli", "support", "card", "--format", "png"], env=env)
    assert (status, "is a terminal" in shown) == (2, True)


def test_a_code_of_no_number_is_refused(bilbs: Bilbs) -> None:
    ended = bilbs("support", "card", "--format", "qr")
    assert (ended.status, "no pager number is known" in ended.stderr) == (2, True)


# --- the login screen -------------------------------------------------------------------------------------------------

CONTENTS = st.binary(max_size=300).filter(lambda data: card_block.BEGIN not in data and card_block.END not in data)


@given(
    CONTENTS,
    st.binary(max_size=80).filter(lambda data: b"---" not in data),
    st.binary(max_size=80).filter(lambda data: b"---" not in data),
)
def test_what_is_put_in_is_taken_out_to_the_byte(content: bytes, block: bytes, other: bytes) -> None:
    once = card_block.installed(content, block)
    assert card_block.installed(once, block) == once
    assert card_block.installed(once, other) == card_block.installed(content, other)
    assert card_block.removed(once) == content
    assert card_block.removed(content) == content


def test_the_block_stays_where_someone_moved_it() -> None:
    block = card_block.BEGIN + b"old\n" + card_block.END
    assert card_block.installed(b"above\n" + block + b"below", b"new\n") == (
        b"above\n" + card_block.BEGIN + b"new\n" + card_block.END + b"below"
    )


@pytest.mark.parametrize(
    "content",
    [
        card_block.BEGIN + b"x\n",
        b"a\n" + card_block.END,
        card_block.END + card_block.BEGIN,
        (card_block.BEGIN + card_block.END) * 2,
    ],
)
def test_a_block_without_one_of_its_markers_is_not_touched(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "issue").write_bytes(content)
    with pytest.raises(BilbsError, match=r"issue, line [12]: the block of the card has lost"):
        card_block.write("issue", b"new\n", tmp_path)
    assert (tmp_path / "etc" / "issue").read_bytes() == content


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the root of a mounted system with an /etc/issue."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "issue").write_bytes(b"Debian \\n \\l\r\n\xff")
    (tmp_path / "etc" / "issue").chmod(0o640)
    return tmp_path


def test_the_card_is_installed_kept_up_and_removed(bilbs: Bilbs, root: Path) -> None:
    issue = root / "etc" / "issue"
    os.chown(issue, 123, 45)
    before = issue.read_bytes()
    env = {"BILBS_PAGER": NUMBER}
    done = bilbs("support", "card", "--install", "issue", "--sysroot", str(root), env=env)
    assert done.stdout == f"the card is installed in {issue}\n"
    assert NUMBER.encode() in issue.read_bytes()
    info = issue.stat()
    assert (info.st_mode & 0o777, info.st_uid, info.st_gid) == (0o640, 123, 45)
    again = bilbs("support", "card", "--install", "issue", "--sysroot", str(root), "--json", env=env)
    assert again.json["data"] == {"path": str(issue), "changed": False, "installed": True}
    bilbs("support", "card", "--install", "issue", "--sysroot", str(root), env={"BILBS_PAGER": "+4400000000"})
    assert NUMBER.encode() not in issue.read_bytes()
    bilbs("support", "card", "--remove", "issue", "--sysroot", str(root))
    assert issue.read_bytes() == before
    assert (
        bilbs("support", "card", "--remove", "issue", "--sysroot", str(root)).stdout == f"the card is not in {issue}\n"
    )


def test_a_login_screen_that_is_not_there_is_made(bilbs: Bilbs, root: Path) -> None:
    bilbs("support", "card", "--install", "motd", "--sysroot", str(root), env={"BILBS_PAGER": NUMBER})
    motd = root / "etc" / "motd"
    assert NUMBER in motd.read_text()
    assert motd.stat().st_mode & 0o777 == 0o644


def test_a_link_that_leads_out_of_etc_is_left_alone(bilbs: Bilbs, root: Path) -> None:
    (root / "usr").mkdir()
    (root / "usr" / "motd").write_text("of the system\n")
    (root / "etc" / "motd").symlink_to("/usr/motd")
    ended = bilbs("support", "card", "--install", "motd", "--sysroot", str(root))
    assert ended.status == 1
    assert "is a link to" in ended.stderr
    assert (root / "usr" / "motd").read_text() == "of the system\n"


def test_a_full_disk_leaves_the_login_screen_as_it_was(bilbs: Bilbs, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 65536) as disk:
        (disk.path / "etc").mkdir()
        (disk.path / "etc" / "issue").write_bytes(b"before\n")
        with suppress(OSError), (disk.path / "fill").open("wb", buffering=0) as stream:
            while True:
                stream.write(b"x" * 4096)
        ended = bilbs("support", "card", "--install", "issue", "--sysroot", str(disk.path), env={"BILBS_PAGER": NUMBER})
        assert ended.status == 73
        assert (disk.path / "etc" / "issue").read_bytes() == b"before\n"


@pytest.mark.parametrize(
    "flags", [["--install", "issue", "--remove", "issue"], ["--sysroot", "/mnt"], ["--install", "passwd"]]
)
def test_flags_that_do_not_go_together_are_refused(bilbs: Bilbs, flags: list[str]) -> None:
    assert bilbs("support", "card", *flags).status == 2
