"""One line in, its secrets out: runs the rules that a line gives reason for, in the line and in what it encodes."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from bilbs_cli.diag.redaction import assigned, recoded
from bilbs_cli.diag.redaction.assigned import Found
from bilbs_cli.diag.redaction.blocks import BLOCK_TRIGGERS, find_blocks
from bilbs_cli.diag.redaction.literals import Literals
from bilbs_cli.diag.redaction.rule import Rule, Span, compiled, mask
from bilbs_cli.diag.redaction.rules import RULES
from bilbs_cli.diag.redaction.sieve import Sieve

_MASK = re.compile(rb"\[REDACTED:[a-z0-9-]{1,60}\]")
DEPTH = 3  # of encodings in encodings
GROUP = 20  # rules that make one small automaton of the sieve

Finder = Callable[[bytes, int, Found], None]


class Scanner:
    """The compiled rule pack."""

    def __init__(self, pack: Iterable[Rule] = RULES, literals: Literals | None = None) -> None:
        pack = tuple(pack)
        self._literals = literals or Literals({})
        self._rank = {rule.id: i for i, rule in enumerate(pack)}
        self._finders: list[Finder] = [
            *map(_of, pack),
            assigned.find_elements,
            assigned.find_options,
            assigned.find_named,
            assigned.find_settings,
            assigned.find_assigned,
            find_blocks,
        ]
        rules = [rule.pattern for rule in pack]
        forms = [b"|".join(assigned.ELEMENTS), assigned.OPTION, assigned.NAMED, assigned.SET]
        rest = [b"|".join(BLOCK_TRIGGERS), b"|".join(recoded.TRIGGERS)]
        groups = [*(rules[i : i + GROUP] for i in range(0, len(rules), GROUP)), forms, [assigned.LIKELY], rest]
        self.sieve = Sieve(groups, self._literals.pattern)
        self._known = compiled(self._literals.pattern, capture=False) if self._literals else None
        self.version = _version(pack)

    def scan(self, text: bytes, begin: int = 0, depth: int = 0) -> Found:
        """Return the secrets of one line (without its newline), merged and in order.

        `begin` is where the line's own bytes start: before it stands what a window repeats from the one before.
        """
        found = Found()
        for i in self.sieve.reasons(text):
            if i < len(self._finders):
                self._finders[i](text, begin, found)
            elif depth < DEPTH:
                self._decoded(text, begin, depth, found)
        if self._known is not None:
            for start, end in assigned.matches(self._known, text, begin):
                found.spans.append(Span(start, self._literals.extent(text, start, end), "known-secret", start))
        if len(found.spans) > 1:
            found.spans = merged(found.spans, self._rank)
        if found.spans and b"[REDACTED:" in text:
            found.spans = merged(_fresh(text, found.spans), self._rank)
        return found

    def _decoded(self, text: bytes, begin: int, depth: int, found: Found) -> None:
        view = recoded.view(text)
        if view is not None:
            inner = self.scan(view.text, view.at(begin), depth + 1)
            found.spans += [view.back(span) for span in inner.spans if span.text is None]
        for piece in recoded.pieces(text, begin):
            inner = self.scan(piece.content, 0, depth + 1)
            if inner.spans:
                found.spans.append(piece.span(applied(piece.raw, inner.spans), inner.spans[0].rule))


def _of(rule: Rule) -> Finder:
    """Return the finder of one rule."""
    regex = compiled(rule.pattern)
    groups = range(1, regex.groups + 1)

    def find(text: bytes, begin: int, found: Found) -> None:
        for match in regex.finditer(text, begin):
            for group in groups:
                start, end = match.span(group)
                if 0 <= start < end and rule.check(text[start:end]):
                    found.spans.append(Span(start, end, rule.id, match.start()))

    return find


def _fresh(text: bytes, spans: list[Span]) -> Iterator[Span]:
    """Yield the spans that hold more than masks: what was redacted once stays as it is."""
    masks = [match.span() for match in _MASK.finditer(text)]
    starts, ends = [start for start, _ in masks], [end for _, end in masks]
    for span in spans:
        touched = masks[bisect_right(ends, span.start) : bisect_left(starts, span.end)]
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
    return replace(
        one,
        end=longer.end,
        rule=name,
        context=min(one.context, two.context),
        edge=longer.edge,
        text=one.text if longer is one else None,
    )


def applied(text: bytes, spans: Iterable[Span]) -> bytes:
    """Return `text` with its secrets masked."""
    out, done = [], 0
    for span in spans:
        out += [
            text[done : span.start],
            span.text if span.text is not None else span.wrap + mask(span.rule) + span.wrap,
        ]
        done = span.end
    out.append(text[done:])
    return b"".join(out)


def _version(pack: tuple[Rule, ...]) -> str:
    """Return a name for exactly this pack: the number of rules and a digest of their patterns."""
    digest = hashlib.sha256(b"\0".join(rule.id.encode() + b"\0" + rule.pattern for rule in pack) + assigned.ASSIGNED)
    return f"{len(pack)}-{digest.hexdigest()[:10]}"
