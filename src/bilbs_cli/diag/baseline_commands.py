"""`bilbs diag baseline show`, `set`, `path`, `reset`: what this box is made of while it is healthy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import Exit

if TYPE_CHECKING:
    from bilbs_cli.diag.checked import Checked

app = typer.Typer(
    help="What this box is made of while it is healthy: what checks compare it with.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command("show")
def show_baseline(_json: terminal.Json = False) -> None:
    """Show the baseline: cards with serials and slots, links, counters, and what the history holds."""
    from bilbs_cli import paths
    from bilbs_cli.diag import baseline_text, memory

    state = paths.state_dir()
    baseline_text.show(memory.kept(state), state)


@app.command("set")
def set_baseline(yes: terminal.Yes = False, _json: terminal.Json = False) -> None:
    """Take this box as it is now as the baseline; asks first when it does not look healthy."""
    from bilbs_cli import paths
    from bilbs_cli.diag import baseline_text, inventory, memory

    state = paths.state_dir()
    checked = _look(state)
    old = memory.kept(state).baseline
    new = inventory.inventory(checked.facts, checked.collected_at, "bilbs diag baseline set")
    doubts = inventory.obstacles(old, checked.facts, checked.judgement)
    baseline_text.propose(old, new, doubts)
    if doubts and not yes and not terminal.confirm("Take it as the baseline all the same?"):
        baseline_text.left_alone(old)
        raise typer.Exit(Exit.FAILED)
    memory.take(state, new)
    baseline_text.taken(new, doubts, state)


def _look(state: Path) -> Checked:
    """Return what a check of this box says right now; it is not remembered."""
    from bilbs_cli.diag import check_run, checking, live, memory, requests
    from bilbs_cli.progress import Progress

    request = requests.build(since="7d", deadline=check_run.DEADLINE_S)
    with Progress("auto") as watcher:
        snapshot = live.snapshot(request, watcher)
    known = replace(snapshot, facts={**snapshot.facts, "memory": memory.recall(state)})
    return checking.judge(known, request.options.since)


@app.command("path")
def baseline_path(_json: terminal.Json = False) -> None:
    """Print where the baseline is kept, for backups and for check --baseline."""
    from bilbs_cli import paths
    from bilbs_cli.diag import memory

    path = paths.state_dir() / memory.BASELINE
    terminal.emit("diag.baseline", {"path": str(path), "exists": path.exists()}, text=str(path))


@app.command("reset")
def reset_baseline(
    history: Annotated[bool, typer.Option("--history", help="Forget the counters and faults of checks too.")] = False,
    yes: terminal.Yes = False,
    _json: terminal.Json = False,
) -> None:
    """Forget the baseline, before the box gets another purpose; the next clean check takes a new one."""
    from bilbs_cli import paths
    from bilbs_cli.diag import baseline_text, memory

    state = paths.state_dir()
    what = "the baseline and the history of checks" if history else "the baseline"
    if not yes and not terminal.confirm(f"Forget {what} in {state}?"):
        raise typer.Exit(Exit.FAILED)
    baseline_text.forgotten(memory.forget(state, history=history))
