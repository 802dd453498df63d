"""Write docs/rules/: one page per rule, from its docstring, and the list of them. `make rules` runs it."""

from __future__ import annotations

from pathlib import Path

from bilbs_cli.diag.rule_page import markdown, page
from bilbs_cli.diag.rules import RULES

PAGES = Path(__file__).parents[1] / "docs/rules"


def main() -> None:
    """Write every page and remove those of rules that are gone."""
    PAGES.mkdir(exist_ok=True)
    for old in PAGES.glob("*.md"):
        old.unlink()
    rows = []
    for rule in RULES:
        shown = page(rule)
        (PAGES / f"{rule.id}.md").write_text(markdown(shown))
        rows.append(f"| [{rule.id}]({rule.id}.md) | {rule.severity.value} | {rule.verdict.words} | {shown.title} |")
    head = [
        "# Rules",
        "",
        f"The {len(RULES)} rules of `bilbs diag check`. Made by `make rules` from their docstrings; their examples run as tests.",
        "",
        "| rule | severity | verdict | what |",
        "|---|---|---|---|",
    ]
    (PAGES / "README.md").write_text("\n".join([*head, *rows]) + "\n")


main()
