"""The filter in front of the rules: which lines may hold a secret, and which rules a line gives reason for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import re2

from bilbs_cli.diag.redaction.rule import compiled, options

LOOSE = 6  # it counts no further: `{36}` becomes `{6,}`, which matches more and needs fewer states
_COUNT = re.compile(rb"\{(\d+)(?:,\d*)?\}")
WHOLE_MEM = 16 << 20  # of an automaton's states; beyond it RE2 starts its cache anew
PART_MEM = 2 << 20
LONG = 2048  # bytes of a line from which on its texture matters
_SAMPLE, _SAMPLES = 256, 16
_MARKS = b' "<>:,=\t\n{}'
_TEXTURE = 0.08  # of these marks in a text; logs, JSON and XML have more, base64 and binary data less


class Sieve:
    """All patterns as one automaton, and each group of them as a small one, for text without any texture.

    Base64 and binary data lead the one automaton to ever new states, more than memory holds, and make it slow; the small
    ones stay small. Both find the same.
    """

    def __init__(self, groups: Sequence[Sequence[bytes]], literals: bytes = b"") -> None:
        loose = [[b"(?m:" + _COUNT.sub(_loosened, pattern) + b")" for pattern in group] for group in groups]
        self._size = sum(map(len, groups))
        known = [[literals]] if literals else []
        self._parts = [compiled(b"|".join(group), capture=False, max_mem=PART_MEM) for group in (*loose, *known)]
        self._numbers = _numbered(groups)
        every = [pattern for group in (*loose, *known) for pattern in group]
        self._whole = compiled(b"|".join(every), capture=False, max_mem=WHOLE_MEM)
        self._which = re2.Set.SearchSet(options(capture=False, max_mem=WHOLE_MEM))
        for pattern in every[: self._size]:
            self._which.Add(pattern)
        self._which.Compile()

    def lines(self, text: bytes) -> Callable[[int], int]:
        """Return a function that gives the place of the next hit from a position on, -1 when there is none."""
        if plain(text):
            return _Several(self._parts, text).next
        search = self._whole.search

        def following(pos: int) -> int:
            hit = search(text, pos)
            return -1 if hit is None else hit.start()

        return following

    def reasons(self, line: bytes) -> Sequence[int]:
        """Return the indices of the patterns that `line` may match, in order."""
        if len(line) >= LONG and plain(line):
            return [
                i
                for part, numbers in zip(self._parts, self._numbers, strict=False)
                if part.search(line) is not None
                for i in numbers
            ]
        found: Sequence[int] | None = self._which.Match(line)
        if found:
            return sorted(found)
        # A set whose automaton runs out of memory answers as if nothing matched. One pattern does not: RE2 goes on without.
        return () if self._whole.search(line) is None else range(self._size)


def _numbered(groups: Sequence[Sequence[bytes]]) -> list[range]:
    """Return the indices of the patterns of each group."""
    ends = list(accumulate(len(group) for group in groups))
    return [range(end - len(group), end) for group, end in zip(groups, ends, strict=True)]


class _Several:
    """The next hit of several automata over one text; each looks at each byte once."""

    def __init__(self, parts: Sequence[Any], text: bytes) -> None:
        self._parts, self._text = parts, text
        self._ahead = [-1] * len(parts)  # where each one's next hit is, as far as it was looked for

    def next(self, pos: int) -> int:
        """Return the first hit at or after `pos`, -1 when there is none."""
        best = len(self._text)
        for i, part in enumerate(self._parts):
            if self._ahead[i] < pos:
                hit = part.search(self._text, pos)
                self._ahead[i] = len(self._text) if hit is None else hit.start()
            best = min(best, self._ahead[i])
        return best if best < len(self._text) else -1


def plain(text: bytes) -> bool:
    """Say whether `text` has the texture of base64 or binary data: hardly a blank, quote or separator."""
    step = max(len(text) // _SAMPLES, _SAMPLE)
    sample = b"".join([text[i : i + _SAMPLE] for i in range(0, len(text), step)])
    return len(sample) - len(sample.translate(None, _MARKS)) < _TEXTURE * len(sample)


def _loosened(count: re.Match[bytes]) -> bytes:
    return b"{%d,}" % min(int(count[1]), LOOSE)
