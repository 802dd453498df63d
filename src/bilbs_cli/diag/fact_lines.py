"""Which line of facts.json a reading stands on, so that a finding can cite it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from bilbs_cli.diag.findings import FACTS, Evidence, Finding

KEY = re.compile(r'^( *)"((?:[^"\\]|\\.)*)":', re.MULTILINE)


def lines_of(text: str, wanted: Iterable[str]) -> dict[str, int]:
    r"""Return the line (from 1) of each wanted path in the text of facts.json (written with an indent of 1).

    >>> lines_of('{\n "facts": {\n  "gpu": {\n   "a/b": {\n    "value": 1\n   }\n  }\n }\n}\n', ["gpu/a/b"])
    {'gpu/a/b': 4}
    """
    left = set(wanted)
    found: dict[str, int] = {}
    names: list[str] = []
    line, seen = 1, 0
    for match in KEY.finditer(text):
        if not left:
            break
        line, seen = line + text.count("\n", seen, match.start()), match.start()
        depth = len(match[1])
        name = match[2] if "\\" not in match[2] else str(json.loads(f'"{match[2]}"'))
        names[depth - 1 :] = [name]
        path = "/".join(names[1:])
        if names[0] == "facts" and path in left:
            found[path] = line
            left.discard(path)
    return found


def cited(findings: Iterable[Finding], text: str) -> tuple[Finding, ...]:
    """Return the findings with the line of every reading they cite in facts.json, whose text is given."""
    listed = tuple(findings)
    wanted = {proof.path for one in listed for proof in one.evidence if proof.member == FACTS and proof.path}
    lines = lines_of(text, wanted)
    return tuple(replace(one, evidence=tuple(_cited(proof, lines) for proof in one.evidence)) for one in listed)


def _cited(proof: Evidence, lines: Mapping[str, int]) -> Evidence:
    known = proof.member == FACTS and proof.line is None
    return replace(proof, line=lines.get(proof.path)) if known else proof
