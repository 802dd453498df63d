"""HTML that cannot be injected into: every text is escaped unless it was made here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from bilbs_cli.escape import visible

TEXT = 600  # characters of one text
VOID = frozenset({"meta", "br"})  # of HTML; the elements of a picture are closed like the others


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(words: object) -> Markup:
    r"""Return words as HTML: one line, invisible and controlling characters shown as escapes, bounded.

    >>> text("<b>\x1b[31m & \u202e")
    '&lt;b&gt;\\x1b[31m &amp; \\u202e'
    """
    line = " ".join(str(words).split())
    return Markup(escape(visible(line[:TEXT] + ("…" if len(line) > TEXT else ""))))


def tag(element: str, /, *children: object, **attributes: object) -> Markup:
    """Return an element; a child that is no `Markup` is text. `class_` and `aria_label` name what they look like.

    An attribute that is True stands alone, one that is None or False is left out.

    >>> tag("p", "a < b", tag("br"), class_="x")
    '<p class="x">a &lt; b<br></p>'
    """
    named = "".join(_attribute(key, value) for key, value in attributes.items())
    start = f"<{element}{named}>"
    return Markup(start if element in VOID else f"{start}{join(children)}</{element}>")


def join(children: Iterable[object]) -> Markup:
    """Return children after each other."""
    return Markup("".join(one if isinstance(one, Markup) else text(one) for one in children))


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(value)}"'
