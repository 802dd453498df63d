"""The documents say what the program does: exit table, links, commands and their flags."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from bilbs_cli.errors import EXIT_MEANING
from tests.parts.sandbox import Sandbox
from tests.parts.shims import memory_left_as_found, path_with

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


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


def test_the_readme_names_the_two_commands_that_do_all_the_set_up() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "sh tools/bundle.sh" in readme
    assert "sh tools/check.sh" in readme
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("sh tools/check.sh")


# --- every block of commands runs, as it is written -------------------------------------------------------------------

BLOCK = re.compile(r"```sh(?: (box|laptop))?\n(.*?)```", re.DOTALL)
WALKED = [path for path in DOCUMENTS if path.parent.name == "docs" and BLOCK.search(path.read_text())]


def allowed(line: str) -> set[int]:
    """Return the exit statuses that a line says it has: in its comment, behind the word exit; without one 0."""
    comment = line.partition(" # ")[2]
    if "exit" not in comment:
        return {0}
    numbers = {int(word) for word in re.findall(r"\b\d+\b", comment.partition("exit")[2])}
    return numbers if comment.lstrip().startswith("exit") and len(numbers) == 1 else numbers | {0}


def test_the_documents_have_blocks_to_run() -> None:
    assert len(WALKED) >= 8
    assert allowed("x   # exit 75") == {75}
    assert allowed("x   # the page (exit 0, 10, 11)") == {0, 10, 11}
    assert allowed("x   # as it is") == {0}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("document", WALKED, ids=lambda path: path.name)
def test_every_block_runs_as_it_is_written(
    document: Path, desk: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin", logger="cat /dev/null"))
    here = tmp_path / "here"
    (here / "stick").mkdir(parents=True)
    (here / "passphrase").write_text("correct horse battery\n")
    (here / "passphrase").chmod(0o600)
    online = {"BILBS_API_URL": desk.url, "BILBS_TOKEN": desk.token}
    if document.name != "quick-start.md":  # the first page stores the number, the others count on it
        subprocess.run([str(tmp_path / "bin/bilbs"), "support", "card", "set", "--pager", "+12015550123"], check=True)
    with memory_left_as_found():
        for where, block in BLOCK.findall(document.read_text()):
            apart = ["unshare", "--net"] if where == "box" else []  # the box of the air gap has no route to anywhere
            env = {**os.environ, **({} if where == "box" else online)}
            if where == "laptop":
                env["BILBS_STATE_DIR"] = str(tmp_path / "laptop")
            for line in block.strip().splitlines():
                done = subprocess.run(
                    [*apart, "sh", "-c", line],
                    cwd=here,
                    env=env,
                    capture_output=True,
                    text=True,
                    check=False,
                    stdin=subprocess.DEVNULL,
                    timeout=120,
                )
                assert done.returncode in allowed(line), f"{line}\n{done.returncode}\n{done.stdout}{done.stderr}"
                assert "Traceback" not in done.stderr
    if document.name == "air-gap.md":
        assert [doc["subject"] for _, doc in desk.store.tickets([], [], "", 0, 9)] == ["GPU 1 is gone since 9:03"]
        assert list((here / "stick").glob("*.answer"))


def test_every_page_of_the_documentation_is_reached_from_the_readme() -> None:
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                found = (page.parent / target).resolve()
                todo += sorted(found.glob("*.md")) if found.is_dir() else [found]
    assert {path for path in DOCUMENTS if path.parent.name == "docs"} <= seen
