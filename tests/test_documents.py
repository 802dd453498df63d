"""The documents say what the program does: exit table, links, commands and their flags."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest

from bilbs_cli.errors import EXIT_MEANING
from tests.conftest import Bilbs

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMAND = re.compile(r"`(?:sudo )?((?:bilbs|diag) [^`]+)`")


def exit_table() -> str:
    rows = [f"| {int(status)} | {meaning} |" for status, meaning in EXIT_MEANING.items()]
    return "\n".join(["| status | meaning |", "|---:|---|", *rows])


def test_the_exit_table_of_the_readme_is_that_of_the_program() -> None:
    readme = (ROOT / "README.md").read_text()
    between = re.search(r"<!-- exit-codes: begin -->\n(.*?)\n<!-- exit-codes: end -->", readme, re.DOTALL)
    assert between
    assert between[1] == exit_table()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_command_in_the_readme_exists_with_its_flags(bilbs: Bilbs) -> None:
    seen = 0
    for line in COMMAND.findall((ROOT / "README.md").read_text()):
        words = shlex.split(line)
        arguments = (["diag"] if words[0] == "diag" else []) + words[1:]
        before = list(takewhile(lambda word: word.startswith("--"), arguments))  # flags of `bilbs` itself
        assert [flag for flag in before if flag not in bilbs("--help").stdout] == []
        arguments = arguments[len(before) :]
        deepest = arguments[: 3 if arguments[0] == "support" else 2]
        path = list(takewhile(lambda word: re.fullmatch(r"[a-z][a-z-]*", word), deepest))
        if path[:1] == ["help"]:
            continue
        ended = bilbs(*path, "--help")
        assert ended.status == 0, line
        for flag in (word for word in arguments if re.match(r"--?[a-z]", word)):
            assert flag in ended.stdout, f"{line}: no {flag}"
        seen += 1
    assert seen > 5


def test_the_readme_names_the_two_commands_that_do_all_the_set_up() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "sh tools/bundle.sh" in readme
    assert "sh tools/check.sh" in readme
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("sh tools/check.sh")
