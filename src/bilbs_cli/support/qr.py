"""QR codes for a terminal, drawn from segno's modules: light on dark or with explicit colours, `##` where letters must do."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

QUIET = 4  # modules of quiet zone on each side (ISO/IEC 18004)
_HALVES = {(False, False): " ", (True, False): "\u2580", (False, True): "\u2584", (True, True): "\u2588"}


def modules(text: str) -> list[list[bool]]:
    """Return the code of `text` as rows of modules, True is dark, quiet zone included."""
    import segno

    code = segno.make(text, error="m", micro=False)
    return [[bool(module) for module in row] for row in code.matrix_iter(border=QUIET)]


def for_terminal(text: str) -> str:
    """Return the code for stdout.

    On a colour terminal black on white by SGR, whatever its background. Else half blocks in UTF-8, and `##` in other
    encodings: the light modules are drawn, as on a dark screen (qrencode does the same); scanners take both polarities.
    """
    rows = modules(text)
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    if encoding != "utf8":
        return in_letters(rows)
    colour = (
        sys.stdout is not None
        and sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )
    return in_colour(rows) if colour else in_halves(rows, drawn=False)


def in_halves(rows: Sequence[Sequence[bool]], *, drawn: bool) -> str:
    """Return two rows of modules a line; `drawn` says which modules get ink: the dark ones (True) or the light ones."""
    lines = []
    for at in range(0, len(rows), 2):
        below = rows[at + 1] if at + 1 < len(rows) else [not drawn] * len(rows[at])
        lines.append("".join(_HALVES[up is drawn, down is drawn] for up, down in zip(rows[at], below, strict=True)))
    return "\n".join(lines) + "\n"


def in_colour(rows: Sequence[Sequence[bool]]) -> str:
    """Return half blocks in black on white, each line with its own colours so that nothing else is painted."""
    lines = in_halves(rows, drawn=True).splitlines()
    return "".join(f"\x1b[38;5;16;48;5;231m{line}\x1b[0m\n" for line in lines)


def in_letters(rows: Sequence[Sequence[bool]]) -> str:
    """Return one row of modules a line, a light module as `##`."""
    return "".join("".join("  " if dark else "##" for dark in row) + "\n" for row in rows)
