"""What `bilbs diag explain` prints: one rule's page, or the list of all rules."""

from __future__ import annotations

import textwrap
from difflib import get_close_matches

from bilbs_cli import terminal
from bilbs_cli.diag import rule_page
from bilbs_cli.diag.rules import RULES
from bilbs_cli.errors import NotFound
from bilbs_cli.tables import clip

WIDTH = 78


def show(name: str) -> None:
    """Print the page of a rule; without a name the list. Raises `NotFound` with the nearest name."""
    if not name:
        pages = [rule_page.page(rule) for rule in RULES]
        rows = [[one.rule.id, one.rule.severity.value, clip(one.title, 42)] for one in pages]
        data = [{"rule": one.rule.id, "severity": one.rule.severity.value, "title": one.title} for one in pages]
        terminal.emit("diag.rules", data, text=lambda: terminal.table(["rule", "severity", "what"], rows))
        return
    found = {rule.id: rule for rule in RULES}
    family, _, code = name.lower().partition(".")
    rule = found.get(name.lower()) or (found.get(f"{family}.unknown") if code.isdigit() else None)
    if rule is None:
        near = get_close_matches(name.lower(), found, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise NotFound(f"no rule {name}{hint}", code="no-such-rule", next="bilbs diag explain")
    page = rule_page.page(rule)
    terminal.emit("diag.rule", dict(rule_page.as_json(page)), text=lambda: _show(page))


def _show(page: rule_page.Page) -> None:
    rule = page.rule
    terminal.out(f"{rule.id}: {page.title}")
    terminal.out(f"  {rule.severity.value}; {rule.verdict.words}; looks at {rule.scope.kind}")
    for paragraph in page.body.split("\n\n"):
        terminal.out()
        terminal.out(textwrap.fill(" ".join(paragraph.split()), WIDTH))
    terminal.out()
    for title, lines in (("It fires on", page.fires), ("It is quiet on", page.quiet)):
        terminal.out(f"{title}:")
        for line in lines:
            terminal.out(textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    "))
    terminal.out(f"\nsource: {rule.source}")
