"""Plain-text tables, clipped and wrapped lines: columns counted as a terminal counts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bilbs_cli.escape import visible

GAP = "  "
NARROWEST = 20  # a last column is wrapped to this or more; below, lines may be longer than the screen


def cells(text: str) -> int:
    """Return how many columns `text` (already visible) takes: two for wide East Asian characters, none for accents."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(char: str) -> int:
    from unicodedata import combining, east_asian_width

    if combining(char):
        return 0
    return 2 if east_asian_width(char) in {"W", "F"} else 1


def clip(text: str, width: int) -> str:
    """Return `text` cut to `width` columns, its end replaced by `...`."""
    if cells(text) <= width:
        return text
    return _head(text, max(width - 3, 0)) + "..."[: max(width, 0)]


def _head(text: str, width: int) -> str:
    taken = 0
    for position, char in enumerate(text):
        taken += _cells(char)
        if taken > width:
            return text[:position]
    return text


def wrapped(text: str, head: str, width: int) -> list[str]:
    """Return hostile text made visible, behind `head`, in lines of at most `width` columns; those after the first are indented.

    >>> wrapped("one two three", "say  ", 12)
    ['say  one two', '     three']
    """
    import textwrap

    text = visible(" ".join(text.split()))
    room = width - len(head) if width > len(head) else NARROWEST  # a head as wide as the screen: longer lines
    lines = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
    if any(cells(line) > room for line in lines):  # characters of two columns
        lines = textwrap.wrap(text, room // 2, break_on_hyphens=False)
    return [((head if not number else " " * len(head)) + line).rstrip() for number, line in enumerate(lines)]


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Return a table with a heading; the last column is wrapped so that lines fit into `width` where they can."""
    lines = [[name.upper() for name in columns], *rows]
    sizes = [max(cells(line[index]) for line in lines) for index in range(len(columns))]
    indent = sum(size + len(GAP) for size in sizes[:-1])
    room = max(width - indent, NARROWEST)
    return "\n".join(part for line in lines for part in _row(line, sizes, indent, room))


def _row(line: Sequence[str], sizes: Sequence[int], indent: int, room: int) -> Iterator[str]:
    first = "".join(cell + " " * (size - cells(cell)) + GAP for cell, size in zip(line[:-1], sizes, strict=False))
    for number, part in enumerate(folded(line[-1], room)):
        yield ((first if number == 0 else " " * indent) + part).rstrip()


def folded(text: str, room: int) -> Iterator[str]:
    """Yield `text` in lines of at most `room` columns, broken at blanks: a path or a hash stays whole, to be copied."""
    line = ""
    for word in text.split(" "):
        if line and cells(line) + 1 + cells(word) > room:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line
