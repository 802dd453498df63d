"""Rules that the admin adds in the settings (`[[redaction.rules]]`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import re2

from bilbs_cli.diag.redaction.rule import Rule, compiled
from bilbs_cli.errors import ConfigProblem

_ID = re.compile(r"[a-z][a-z0-9-]{0,39}")
_LONGEST = 2000  # characters of a pattern
_HINT = "see https://github.com/google/re2/wiki/Syntax"


@dataclass(frozen=True, slots=True)
class CustomRule:
    """A pattern (RE2, case-insensitive) whose capturing groups are secrets; without a group, all of the match is."""

    id: str
    pattern: str


def as_rules(custom: Iterable[CustomRule]) -> tuple[Rule, ...]:
    """Return custom rules as rules of the pack.

    Raises `ConfigProblem` naming the rule that is wrong and why.
    """
    rules: list[Rule] = []
    for item in custom:
        rules.append(_rule(item))
        if any(rules[-1].id == other.id for other in rules[:-1]):
            raise ConfigProblem(f"redaction.rules: the id {item.id!r} stands there twice", code="redaction-rule")
    return tuple(rules)


def _rule(item: CustomRule) -> Rule:
    name = f"redaction.rules: rule {item.id[:60]!r}"
    if not _ID.fullmatch(item.id):
        raise ConfigProblem(f"{name}: an id is made of a-z, 0-9 and -, and starts with a letter", code="redaction-rule")
    if not 0 < len(item.pattern) <= _LONGEST:
        raise ConfigProblem(f"{name}: the pattern is empty or longer than {_LONGEST} characters", code="redaction-rule")
    pattern = item.pattern.encode()
    try:
        regex = compiled(pattern)
    except re2.error as error:
        raise ConfigProblem(f"{name}: {_text(error)}", code="redaction-rule", next=_HINT) from error
    if regex.search(b"") is not None or regex.search(b" ") is not None:
        raise ConfigProblem(f"{name}: the pattern matches where nothing is", code="redaction-rule", next=_HINT)
    if regex.groups == 0:
        pattern = b"(" + pattern + b")"
    return Rule(f"custom-{item.id}", item.id, pattern)


def _text(error: Exception) -> str:
    detail = error.args[0] if error.args else error
    return detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
