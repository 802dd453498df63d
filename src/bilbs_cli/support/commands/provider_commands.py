"""`bilbs support providers list`, `show`, `validate`: the support plans that this box can compute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import ConfigProblem, Exit, NotFound

if TYPE_CHECKING:
    from bilbs_cli.providers.loading import Found
    from bilbs_cli.providers.model import Provider

app = typer.Typer(
    help="The support plans that this box can compute: five are built in, files of yours come on top.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command("list")
def list_providers(_json: terminal.Json = False) -> None:
    """List the plans, where each comes from, and what is broken."""
    from bilbs_cli.providers import loading

    rows, errors = [], []
    for file in loading.found():
        try:
            rows.append(_row(file, loading.read(file)))
        except ConfigProblem as error:
            errors.append(error)
            rows.append(_row(file, None))
            terminal.warn(str(error))
    terminal.emit("support.providers", {"providers": rows}, text=lambda: _table(rows), errors=errors)


def _row(file: Found, provider: Provider | None) -> dict[str, Any]:
    return {
        "id": file.id,
        "name": provider.name if provider else None,
        "tiers": [one.id for one in provider.tiers] if provider else None,
        "origin": file.origin,
        "path": str(file.path),
        "hides": [str(path) for path in file.hides],
    }


def _table(rows: list[dict[str, Any]]) -> None:
    def origin(row: dict[str, Any]) -> str:
        return str(row["origin"]) + (f", hides {', '.join(row['hides'])}" if row["hides"] else "")

    lines = [(row["id"], row["name"] or "(broken)", ", ".join(row["tiers"] or ()) or "-", origin(row)) for row in rows]
    terminal.table(("id", "plan", "tiers", "from"), lines)


@app.command("show")
def show_provider(
    provider: Annotated[str, typer.Argument(help="The plan's id.", metavar="ID")], _json: terminal.Json = False
) -> None:
    """Show everything that a plan says, with the section it stands in and what is assumed."""
    from bilbs_cli.providers import loading
    from bilbs_cli.support import provider_text

    plan = loading.load(provider)
    terminal.emit(
        "support.provider", plain(plan), text=lambda: terminal.out(provider_text.page(plan, terminal.width()))
    )


def plain(value: Any) -> Any:
    """Return a plan, or a piece of one, as JSON: records become objects, sets and tuples lists."""
    if hasattr(value, "_asdict"):
        return {name: plain(inner) for name, inner in value._asdict().items()}
    if isinstance(value, frozenset):
        return sorted(str(inner) for inner in value)
    if isinstance(value, tuple):
        return [plain(inner) for inner in value]
    return value


@app.command("validate")
def validate(
    file: Annotated[Path, typer.Argument(help="A provider file (TOML).", metavar="FILE")], _json: terminal.Json = False
) -> None:
    """Check a provider file: every problem with its line and key. Exits 78 for a broken one, 10 for warnings only."""
    from bilbs_cli.providers import checks, loading, schema
    from bilbs_cli.support import provider_text

    if not file.exists():
        raise NotFound(f"there is no file {file}", code="no-such-file")
    problems: list[dict[str, Any]] = []
    texts: list[str] = []
    odd: tuple[str, ...] = ()
    try:
        plan = schema.parse(loading.text_of(file), str(file), "file")
        odd = checks.warnings(plan)
    except schema.Broken as broken:
        problems = [one._asdict() for one in broken.problems]
        texts = [str(one) for one in broken.problems]
    terminal.emit(
        "support.provider.validation",
        {"path": str(file), "problems": problems, "odd": list(odd)},
        text=lambda: terminal.out(provider_text.problems_page(str(file), texts, odd, terminal.width())),
    )
    if problems:
        raise typer.Exit(Exit.CONFIG)
    if odd:
        raise typer.Exit(Exit.WARNINGS)
