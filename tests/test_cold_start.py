"""The start: nothing heavy is loaded before a command needs it. Times are measured in docs/benchmarks.md, not here."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "rich",
    "httpx",
    "httpcore",
    "psutil",
    "pynvml",
    "pyipmi",
    "re2",
    "zstandard",
    "pyrage",
    "tomli_w",
    "asyncio",
    "email",
    "ssl",
    "cryptography",
    "pydantic",
    "click",
    "http",
    "multiprocessing",
    "concurrent",
    "sqlite3",
    "xml",
    "ctypes",
    "unittest",
}
LIST = "import sys, json; from bilbs_cli.main import run; run(sys.argv[1:]); sys.stderr.write(json.dumps(sorted(sys.modules)))"


def loaded_by(*arguments: str) -> set[str]:
    """Return the modules that a command line loads, packages by their first name too."""
    done = subprocess.run([sys.executable, "-c", LIST, *arguments], capture_output=True, text=True, check=True)
    return {module for name in json.loads(done.stderr.splitlines()[-1]) for module in (name, name.partition(".")[0])}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["diag", "--help"],
        ["diag", "collect", "--help"],
        ["config", "--help"],
        ["help"],
        ["config", "path"],
    ],
)
def test_a_command_that_says_little_loads_little(arguments: list[str]) -> None:
    assert loaded_by(*arguments) & HEAVY == set()


def test_the_root_loads_no_group_to_name_it() -> None:
    loaded = loaded_by("--help")
    assert "typer" in loaded
    assert {name for name in loaded if name.startswith("bilbs_cli.") and ("diag" in name or "config" in name)} == set()


def test_comparing_plans_needs_no_network_and_no_table_of_rich() -> None:
    assert loaded_by("plan", "compare") & HEAVY == set()


def test_reading_settings_needs_no_writer() -> None:
    assert loaded_by("config", "list") & (HEAVY - {"email"}) == set()


def test_the_entry_itself_needs_only_the_standard_library() -> None:
    program = "import sys; before = set(sys.modules); import bilbs_cli.__main__, bilbs_cli.paths, bilbs_cli.errors, bilbs_cli.escape; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {sys.path[0]!r}); sys.path[:0] = {sys.path!r}; {program}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not [
        name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names | {"bilbs_cli"}
    ]
