"""A rule's page: its title, text and examples, read from its docstring; shown offline and written to docs/rules/."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bilbs_cli.diag import model
from bilbs_cli.diag.findings import Rule
from bilbs_cli.diag.kernel_log import events
from bilbs_cli.diag.kernel_log.scan import Clock, Scanner
from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Value

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)  # of every example
LOG = "var/log/kern.log"  # where the log lines of an example stand, below kernel/
SECTION = re.compile(r"^(Fires|Quiet):[ \t]*$", re.MULTILINE)
LINE = re.compile(r"(?P<path>[^ =]+) (?:= (?P<how>error|not collected) (?P<rest>.*)|= (?P<json>.*))")


@dataclass(frozen=True, slots=True)
class Page:
    """What a docstring says: its first line, its paragraphs, the lines of its two examples."""

    rule: Rule
    title: str
    body: str
    fires: tuple[str, ...]
    quiet: tuple[str, ...]


def page(rule: Rule) -> Page:
    """Return the page of a rule. Raises `ValueError` when an example is missing."""
    text = textwrap.dedent(_undented(rule.text)).strip()
    words, *sections = SECTION.split(text)
    examples = {name: _lines(lines) for name, lines in zip(sections[::2], sections[1::2], strict=True)}
    if not examples.get("Fires") or not examples.get("Quiet"):
        raise ValueError(f"{rule.id}: its text needs a part `Fires:` and a part `Quiet:`")
    title, _, body = words.strip().partition("\n")
    return Page(rule, rule.title or title.strip().rstrip("."), body.strip(), examples["Fires"], examples["Quiet"])


def _undented(doc: str) -> str:
    """Return a docstring whose first line starts at the margin like the rest."""
    first, newline, rest = doc.partition("\n")
    return first.strip() + newline + textwrap.dedent(rest)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def facts_of(lines: Iterable[str]) -> model.Tree:
    """Return the facts of an example. Raises `ValueError` for a line that is none."""
    facts: model.Tree = {}
    scanner = Scanner(f"kernel/{LOG}", Clock(NOW, UTC, None))
    logged = False
    for line in lines:
        if line.startswith("log:"):
            scanner.feed(line.removeprefix("log:").strip().encode() + b"\n")
            logged = True
        else:
            path, reading = _reading(line)
            model.insert(facts, path, reading)
    if logged:
        model.insert(facts, ("kernel", "log", LOG), Value(events.encode(scanner.finish())))
    return facts


def _reading(line: str) -> tuple[tuple[str, ...], Reading]:
    found = LINE.fullmatch(line)
    if not found:
        raise ValueError(f"not a line of an example: {line!r}")
    path = tuple(found["path"].replace("\\/", "\0").split("/"))
    path = tuple(step.replace("\0", "/") for step in path)
    if found["how"] == "error":
        kind, code, message = [*found["rest"].split(" ", 2), "", ""][:3]
        return path, ReadError(kind, message or kind, int(code) if code.lstrip("-").isdigit() else None)
    if found["how"]:
        return path, NotCollected(found["rest"])
    return path, Value(json.loads(found["json"]))


def markdown(shown: Page) -> str:
    """Return the page for docs/rules/."""
    rule = shown.rule
    needs = ", ".join(f"`{need}`" for need in rule.needs) or "nothing but its subject"
    return "\n".join(
        [
            f"# {rule.id}",
            "",
            f"{shown.title}.",
            "",
            "| | |",
            "|---|---|",
            f"| severity | {rule.severity.value} |",
            f"| verdict | {rule.verdict.words} |",
            f"| looks at | {rule.scope.kind} |",
            f"| needs | {needs} |",
            f"| source | <{rule.source}> |",
            "",
            *([shown.body, ""] if shown.body else []),
            *_example("It fires on", shown.fires),
            *_example("It is quiet on", shown.quiet),
        ]
    )


def _example(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield from (f"{title}:", "", "```text", *lines, "```", "")


def as_json(shown: Page) -> Mapping[str, Any]:
    """Return the page for `bilbs diag explain --json`."""
    rule = shown.rule
    return {
        "rule": rule.id,
        "title": shown.title,
        "severity": rule.severity.value,
        "verdict": rule.verdict.value,
        "scope": rule.scope.kind,
        "needs": list(rule.needs),
        "source": rule.source,
        "text": shown.body,
        "fires": list(shown.fires),
        "quiet": list(shown.quiet),
    }
