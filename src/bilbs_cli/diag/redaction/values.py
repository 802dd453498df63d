"""Where a value begins and ends behind its key: quotes at any depth of escaping, wrappers, lists, bare words, whole lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bilbs_cli.diag.redaction.rule import LINE_END, TOKEN, Edge

COLOUR = rb"(?:\x1b|\\x1b|\\u001b|\\033|#033|\^\[)\[[\d;]*m"  # ANSI, as itself and as loggers write it
_LEAD = re.compile(rb"(?>[ \t]*(?:" + COLOUR + rb")?)*")
_OPENER = re.compile(
    rb"(?:![\w:/.-]*[ \t]+)?(?:&|@)?(?:[A-Za-z_][\w.:]{0,40}\()?(?:rb|br|b|u|r|f|L|B|U)?(\\*)(\"\"\"|'''|[\"'`])"
)
_BARE = re.compile(
    rb"(?>[^\s,;&\"'`<>()\[\]{}|\\\x00\x1b#]"
    rb"|\\(?!(?:[nrt0]|\\*[\"'`]|u00|x1b|033))."
    rb"|[,;&|](?![\s,;&|)\]}>\"'`]|$|[\"']?[\w.-]{1,64}[\"']?[ \t]*[=:])"
    rb"|[\"'`)\]}>](?![\s,;:.)\]}>\"'`|\\&<]|$)"
    rb"|[(\[{]"
    rb"|<(?![/a-zA-Z])"
    rb"|\#(?!033\[))++"
)
_NEXT_PAIR = re.compile(rb"\s[\w.-]{1,40}[\"']?=")
_COMMENT = re.compile(rb"(?<![ \t])[ \t]++[#;](?:[ \t].*)?$")  # the look-behind keeps long runs of blanks linear
_TAIL = b" \t\r,;"
_BLOCK = re.compile(rb"[ \t]*(?:![\w:/.-]*[ \t]+)?[|>][+-]?\d?[+-]?[ \t]*(?:#.*)?\r?$")


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote mark and the number of backslashes before it: 0 plain, 1 inside a JSON string, 3 one deeper."""

    mark: bytes
    level: int = 0

    @property
    def text(self) -> bytes:
        """Return the quote as it is written."""
        return b"\\" * self.level + self.mark


@dataclass(frozen=True, slots=True)
class Value:
    """The bytes `start` to `end` of a value; `closed` is False when its end lies beyond this text."""

    start: int
    end: int
    quote: Quote | None = None
    closed: bool = True

    @property
    def edge(self) -> Edge:
        """Return how this value would go on."""
        return Edge(self.quote.mark, self.quote.level) if self.quote else TOKEN


def closing(text: bytes, start: int, mark: bytes, level: int, floor: int | None = None) -> int:
    """Return where the string ends that was opened by `mark` behind `level` backslashes, -1 when it is left open.

    The search begins at `start`; backslashes count from `floor` on (None: from `start`).

    With JSON in JSON each level doubles the backslashes: a quote closes when its run of them is `level` modulo twice
    `level` plus one; fewer than `level` close an outer string, and this one with it.
    """
    at = text.find(mark, start)
    while at >= 0:
        run = at
        while run > (start if floor is None else floor) and text[run - 1] == 0x5C:
            run -= 1
        count = at - run
        if count < level:
            return run
        if count % (2 * (level + 1)) == level:
            return at - level
        at = text.find(mark, at + 1)
    return -1


def enclosing(text: bytes, at: int) -> Quote | None:
    """Return the quote that opens right before `at` (`"PASSWORD=…"`), None when there is none."""
    if at == 0 or text[at - 1 : at] not in {b'"', b"'", b"`"}:
        return None
    run = at - 1
    while run > 0 and text[run - 1] == 0x5C:
        run -= 1
    return Quote(text[at - 1 : at], at - 1 - run)


def starts_block(text: bytes, pos: int) -> bool:
    """Say whether a YAML block scalar (`|`, `>-`) begins at `pos`."""
    return bool(_BLOCK.match(text, pos))


def skip_lead(text: bytes, pos: int) -> int:
    """Return `pos` after blanks and colour sequences."""
    found = _LEAD.match(text, pos)
    return found.end() if found else pos


def read(text: bytes, pos: int, inside: Quote | None, *, whole_line: bool) -> Value | None:
    """Return the value that begins at `pos` (blanks allowed before it), None when there is none on this line.

    `inside` is the quote that was opened before the key; with `whole_line` a bare value goes to the end of the line.
    """
    pos = skip_lead(text, pos)
    opener = _OPENER.match(text, pos)
    if opener and not (inside and opener[2] == inside.mark and len(opener[1]) <= inside.level):
        return _quoted(text, opener)
    if inside:
        end = closing(text, pos, inside.mark, inside.level)
        if end >= 0 and not _NEXT_PAIR.search(text, pos, end):
            return Value(pos, end, inside) if end > pos else None
    return _whole(text, pos) if whole_line and not inside and not _NEXT_PAIR.search(text, pos) else _bare(text, pos)


def _quoted(text: bytes, opener: re.Match[bytes]) -> Value | None:
    quote = Quote(opener[2], len(opener[1]))
    end = closing(text, opener.end(), quote.mark, quote.level)
    if end < 0:
        return Value(opener.end(), len(text.rstrip(b"\r")), quote, closed=False)
    return Value(opener.end(), end, quote) if end > opener.end() else None


def _whole(text: bytes, pos: int) -> Value | None:
    comment = _COMMENT.search(text, pos)
    end = len(text[pos : comment.start() if comment else len(text)].rstrip(_TAIL)) + pos
    return Value(pos, end) if end > pos else None


def _bare(text: bytes, pos: int) -> Value | None:
    found = _BARE.match(text, pos)
    if not found:
        return None
    end = len(text[: found.end()].rstrip(b".")) if found.end() == len(text) else found.end()
    return Value(pos, end) if end > pos else None


def line_edge(value: Value) -> Edge:
    """Return the edge of a value that was read to the end of its line."""
    return value.edge if value.quote else LINE_END
