"""The shape of the code: imports point one way, features stay apart, text leaves by one door. Read with ast, not run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import bilbs_cli

ROOT = Path(bilbs_cli.__file__).parent

# Low to high; a module imports its own rank or lower. The first pattern that fits a module's name decides.
RANKS = (
    (
        0,
        r"__init__|completing|lazy_groups|folders|errors|paths|files|process|fork|log|escape|quantities|toml_text|tables|settings|digest_field",
    ),
    (5, r"__main__|main"),
    (
        4,
        r"terminal|progress|config_commands|(login|logout|whoami|status|doctor|completion)_command|command_tree|completion_words|completion_scripts|help_topics|help_texts|diag\.commands|plan\.commands(\..*)?|(diag|plan)\.[a-z]+_(text|commands)|diag\.flags|support\.commands(\..*)?|sandbox\.commands",
    ),
    (
        1,
        (
            r"diag|support|plan|diag\.(model|job|journal_json|redaction(\..*)?)"
            r"|diag\.(findings|kernel_log(\..*)?|identity|baseline|timeline|suggest|checked)"
            r"|support\.(sla(\..*)?|contacts|choosing|tickets)|providers|providers\.(model|limits|reading|schema|checks|words)"
            r"|plan\.(billing|subscription|needs|catalog|quote|usage)"
        ),
    ),
    (
        3,
        r"diag\.(collect|run_start|assembly|requests|summary|front|guard|live|opening|checking|check_run)|support\.(delivery|submit|desk_checks|ticket_text|card|card_picture|sla_question|sla_json|sla_month|sla_calendar|sla_text|reach_text|provider_text)",
    ),
    (
        2,
        r"config|last_seen|toml_file|crash|credentials|diag\.[a-z_]+(\..*)?|providers\.(loading|plan_cache)|support\..*|plan\..*|sandbox(\..*)?",
    ),
)
FEATURES = ("diag", "plan", "support", "sandbox")
ALLOWED_BETWEEN = {
    "support": ("diag.model", "diag.findings", "plan.catalog"),
    "plan": ("support.",),  # the desk is reached by one client, and that one lives in support
    "sandbox": ("support.sla", "support.zones", "plan.billing", "plan.subscription"),
}
SANDBOX_USERS = {"main", "support.transport"}
SAYS = {"terminal", "progress", "completing", "__main__"}  # who may write to the standard streams
RUNS = {
    "process",
    "diag.collectors.nvidia_bug_report",
}  # the second is a program of its own, which process.py runs and ends


def modules() -> dict[str, Path]:
    """Return the file of every module by its name below the package (`diag.model`; a package is its own name)."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = path
    return found


MODULES = modules()


@cache
def tree(name: str) -> ast.Module:
    """Return a module as it is parsed."""
    return ast.parse(MODULES[name].read_text(encoding="utf-8"), str(MODULES[name]))


def imports(name: str) -> Iterator[str]:
    """Yield the modules of this package that `name` imports anywhere in it, functions included."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _ours(alias.name)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                yield from _ours(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("bilbs_cli."):
            yield from _ours(node.value)  # by name: importlib.import_module


def _ours(dotted: str) -> Iterator[str]:
    package, _, rest = dotted.partition(".")
    if package == "bilbs_cli":
        while rest and rest not in MODULES:
            rest = rest.rpartition(".")[0]
        yield rest or "__init__"


def rank(name: str) -> int:
    found = [number for number, pattern in RANKS if re.fullmatch(pattern, name)]
    assert found, f"{name} has no rank: add it to RANKS"
    return found[0]


def feature(name: str) -> str:
    first = name.partition(".")[0]
    return first if first in FEATURES else ""


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_its_own_rank_or_lower(name: str) -> None:
    # the root names its groups as text and loads them when they are used
    higher = {other for other in imports(name) if rank(other) > rank(name)}
    assert higher == set(), f"{name} (rank {rank(name)}) imports { ({other: rank(other) for other in higher}) }"


def test_no_import_goes_round_in_a_circle() -> None:
    graph = {name: {other for other in imports(name) if other != name} for name in MODULES}
    while True:
        free = {name for name, needed in graph.items() if not needed & graph.keys()}
        if not free:
            break
        graph = {name: needed for name, needed in graph.items() if name not in free}
    circles = {name: sorted(needed & graph.keys()) for name, needed in graph.items()}
    assert circles == {}


@pytest.mark.parametrize("name", [name for name in MODULES if feature(name)])
def test_a_feature_imports_no_other_feature(name: str) -> None:
    allowed = ALLOWED_BETWEEN.get(feature(name), ())
    strange = {
        other
        for other in imports(name)
        if feature(other) not in {"", feature(name)}
        and not other.startswith(allowed or "\0")
        and name not in SANDBOX_USERS
    }
    assert strange == set()


def test_nothing_imports_the_sandbox_but_its_two_users() -> None:
    users = {
        name
        for name in MODULES
        if feature(name) != "sandbox" and any(feature(other) == "sandbox" for other in imports(name))
    }
    assert users <= SANDBOX_USERS


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_in_one_line_what_lives_there(name: str) -> None:
    said = (ast.get_docstring(tree(name)) or "").split("\n")
    assert 10 < len(said[0]) <= 120
    assert said[0].endswith((".", ":"))


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "base", "core", "lib"}
    assert {name for name in MODULES if drawers & set(re.split(r"[._]", name))} == set()


@pytest.mark.parametrize("name", MODULES)
def test_text_leaves_by_the_terminal_module_only(name: str) -> None:
    def speaks(node: ast.AST) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return node.func.id in {"print", "input"}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "typer":
            return node.attr in {"echo", "secho", "confirm", "prompt"}
        is_stream = isinstance(node, ast.Attribute) and node.attr in {"write", "writelines", "buffer"}
        return is_stream and ast.unparse(node.value) in {"sys.stdout", "sys.stderr"}  # type: ignore[attr-defined]

    lines = [node.lineno for node in ast.walk(tree(name)) if speaks(node)]  # type: ignore[attr-defined]
    assert not lines or name in SAYS, f"{name}:{lines}"


@pytest.mark.parametrize("name", MODULES)
def test_no_program_runs_through_a_shell_or_without_an_end(name: str) -> None:
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"os.system", "os.popen"}, f"{name}:{node.lineno}"
            assert not any(keyword.arg == "shell" for keyword in node.keywords), f"{name}:{node.lineno}"
            if called.startswith("subprocess."):
                assert name in RUNS, f"{name}:{node.lineno} runs a program without process.py"


@pytest.mark.parametrize("name", MODULES)
def test_click_is_never_imported(name: str) -> None:
    for node in ast.walk(tree(name)):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        assert not [one for one in names if one.split(".")[0] == "click"], "typer below 0.29 carries its own"


@pytest.mark.parametrize("name", MODULES)
def test_no_bare_except_and_every_broad_one_says_why(name: str) -> None:
    text = ROOT / f"{name.replace('.', '/')}.py"
    lines = (
        (text if text.exists() else ROOT / name.replace(".", "/") / "__init__.py")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{name}:{node.lineno}"
            if ast.unparse(node.type) in {"Exception", "BaseException"}:
                reraises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
                assert reraises or "#" in lines[node.lineno - 1], (
                    f"{name}:{node.lineno} catches everything without a reason"
                )


def test_no_module_is_named_twice_in_the_ranks_by_accident() -> None:
    for name in ("errors", "config", "terminal", "main"):
        assert [number for number, pattern in RANKS if re.fullmatch(pattern, name)] == [rank(name)]
