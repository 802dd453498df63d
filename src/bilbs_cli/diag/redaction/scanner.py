"""One line in, its secrets out: runs the rules that a line gives reason for, in the line and in what it encodes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from bilbs_cli.diag.redaction import assigned, recoded
from bilbs_cli.diag.redaction.assigned import Found
from bilbs_cli.diag.redaction.blocks import BLOCK_TRIGGERS, find_blocks
from bilbs_cli.diag.redaction.literals import Literals
from bilbs_cli.diag.redaction.rule import Rule, Span, compiled, mask
from bilbs_cli.diag.redaction.rules import RULES

FORK = 5  # branches of the tree of rules at each level
LOOSE = 6  # the filter counts no further: `{36}` becomes `{6,}`, which matches more and needs fewer states
_COUNT = re.compile(rb"\{(\d+)(?:,\d*)?\}")
FILTER_MEM = 24 << 20  # of the filter's automaton; beyond it RE2 starts its cache anew
_ENCODED = rb"%(?:25)*(?:22|27|3[ad]|5[bd])|&(?:quot|apos|lt|gt|#\d+|#x[0-9a-f]+);|\\+u00[0-9a-f]{2}|\\x[0-9a-f]{2}"
_MASK = re.compile(rb"\[REDACTED:[a-z0-9-]{1,60}\]")
DEPTH = 3


class Scanner:
    """The compiled rule pack."""

    def __init__(self, rules: Iterable[Rule] = RULES, literals: Literals | None = None) -> None:
        pack = tuple(rules)
        self._literals = literals or Literals({})
        self._tree = _tree(pack)
        self._rank = {rule.id: i for i, rule in enumerate(pack)}
        patterns = [*assigned.TRIGGERS, *BLOCK_TRIGGERS, *recoded.TRIGGERS, *(rule.pattern for rule in pack)]
        patterns += [self._literals.pattern] if self._literals else []  # escaped: no count in it is loosened
        self.filter = _any_of(patterns, max_mem=FILTER_MEM)
        self._forms = _any_of(assigned.FORMS)
        self._codes = compiled(_ENCODED, capture=False)
        self._rare = _any_of([*BLOCK_TRIGGERS, *recoded.TRIGGERS, _ENCODED])
        self._known = compiled(self._literals.pattern, capture=False) if self._literals else None
        self.version = _version(pack)

    def scan(self, text: bytes, begin: int = 0, depth: int = 0) -> Found:
        """Return the secrets of one line (without its newline), merged and in order.

        `begin` is where the line's own bytes start: before it stands what a window repeats from the one before.
        """
        found = Found()
        self._tree.apply(text, begin, found)
        if self._known is not None:
            self._apply_known(text, begin, found)
        if self._forms.search(text, begin) is not None:
            assigned.find_elements(text, begin, found)
            assigned.find_options(text, begin, found)
            assigned.find_named(text, begin, found)
            assigned.find_settings(text, begin, found)
        assigned.find_assigned(text, begin, found)
        if self._rare.search(text, begin) is not None:
            find_blocks(text, begin, found)
            if depth < DEPTH:
                self._encoded(text, begin, depth, found)
        found.spans = merged(found.spans, self._rank) if len(found.spans) > 1 else found.spans
        if found.spans and b"[REDACTED:" in text:
            found.spans = merged(_fresh(text, found.spans), self._rank)
        return found

    def _apply_known(self, text: bytes, begin: int, found: Found) -> None:
        for start, end in assigned.matches(self._known, text, begin):
            found.spans.append(Span(start, self._literals.extent(text, start, end), "known-secret", start))

    def _encoded(self, text: bytes, begin: int, depth: int, found: Found) -> None:
        if self._codes.search(text, begin) is not None:
            view = recoded.view(text)
            inner = self.scan(view.text, view.at(begin), depth + 1)
            found.spans += [view.back(span) for span in inner.spans if span.text is None]
        for piece in recoded.pieces(text, begin):
            inner = self.scan(piece.content, 0, depth + 1)
            if inner.spans:
                found.spans.append(piece.span(applied(piece.raw, inner.spans), inner.spans[0].rule))


class _Leaf:
    """One rule."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._regex = compiled(rule.pattern)
        self._groups = range(1, self._regex.groups + 1)

    def apply(self, text: bytes, begin: int, found: Found) -> None:
        for match in self._regex.finditer(text, begin):
            for group in self._groups:
                start, end = match.span(group)
                if 0 <= start < end and self._rule.check(text[start:end]):
                    found.spans.append(Span(start, end, self._rule.id, match.start()))


class _Branch:
    """Rules that are looked for together first: a line gives reason for few of them, if any."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._any = _any_of([rule.pattern for rule in rules])
        size = -(-len(rules) // FORK)
        self._below = [_tree(rules[i : i + size]) for i in range(0, len(rules), size)]

    def apply(self, text: bytes, begin: int, found: Found) -> None:
        if self._any.search(text, begin) is not None:
            for node in self._below:
                node.apply(text, begin, found)


def _tree(rules: Sequence[Rule]) -> _Branch | _Leaf:
    return _Leaf(rules[0]) if len(rules) == 1 else _Branch(rules)


def _any_of(patterns: Sequence[bytes], max_mem: int = 8 << 20) -> Any:
    """Return one automaton that finds every line that one of `patterns` matches, and a few more."""
    loose = (b"(?:" + _COUNT.sub(_loosened, pattern) + b")" for pattern in patterns)
    return compiled(b"(?m:" + b"|".join(loose) + b")", capture=False, max_mem=max_mem)


def _loosened(count: re.Match[bytes]) -> bytes:
    return b"{%d,}" % min(int(count[1]), LOOSE)


def _fresh(text: bytes, spans: list[Span]) -> Iterator[Span]:
    """Yield the spans that hold more than masks: what was redacted once stays as it is."""
    masks = [match.span() for match in _MASK.finditer(text)]
    for span in spans:
        touched = [(start, end) for start, end in masks if start < span.end and span.start < end]
        if not touched:
            yield span
            continue
        rest, at = b"", span.start
        for start, end in touched:
            rest, at = rest + text[at : max(start, at)], end
        rest += text[at : max(span.end, at)]
        if rest.strip(b"[]{}()<>:;,.'\"\\ \t\r=&|"):
            yield replace(span, start=min(span.start, touched[0][0]), end=max(span.end, touched[-1][1]))


def merged(spans: Iterable[Span], rank: dict[str, int]) -> list[Span]:
    """Return `spans` in order, overlapping ones joined under the name of the more special rule."""
    out: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if out and span.start < out[-1].end:
            out[-1] = _joined(out[-1], span, rank)
        else:
            out.append(span)
    return out


def _joined(one: Span, two: Span, rank: dict[str, int]) -> Span:
    last = len(rank)
    name = min((one.rule, two.rule), key=lambda rule: rank.get(rule, last))
    longer = one if one.end >= two.end else two
    return replace(one, end=longer.end, rule=name, context=min(one.context, two.context), edge=longer.edge,
                   text=one.text if longer is one else None)


def applied(text: bytes, spans: Iterable[Span]) -> bytes:
    """Return `text` with its secrets masked."""
    out, done = [], 0
    for span in spans:
        out += [text[done : span.start], span.text if span.text is not None else span.wrap + mask(span.rule) + span.wrap]
        done = span.end
    out.append(text[done:])
    return b"".join(out)


def _version(pack: tuple[Rule, ...]) -> str:
    """Return a name for exactly this pack: the number of rules and a digest of their patterns."""
    digest = hashlib.sha256(b"\0".join(rule.id.encode() + b"\0" + rule.pattern for rule in pack) + assigned.ASSIGNED)
    return f"{len(pack)}-{digest.hexdigest()[:10]}"
