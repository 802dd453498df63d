"""What one kernel message says, before it is folded with those that say the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TEXT = 300  # characters kept of a message


@dataclass(frozen=True, slots=True)
class Said:
    """One message understood: see `events.Event` for the fields. `fold` is the part of `detail` that tells events apart.

    `count` is how many occurrences the message itself reports (EDAC: "3 CE ..."). Where a driver tells one thing on two
    lines, the first `opens` what the second `closes`: with the same value they are one occurrence.
    """

    kind: str
    text: str
    code: int | None = None
    pci: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    fold: tuple[Any, ...] = ()
    count: int = 1
    opens: tuple[Any, ...] = ()
    closes: tuple[Any, ...] = ()


class Form(NamedTuple):
    """One form of message: words of which one must be in it (a cheap look), the pattern, what is made of it."""

    words: tuple[str, ...]
    pattern: str
    build: Callable[[re.Match[str], str], Said | None]


def address(domain: str | None, bus: str, device: str, function: str | None = None) -> str:
    """Return a PCI address in the one form that facts use.

    >>> address("00000000", "3B", "00")
    '0000:3b:00.0'
    """
    return f"{int(domain or '0', 16):04x}:{bus.lower()}:{device.lower()}.{function or '0'}"


def shown(message: str) -> str:
    r"""Return what is kept of a message's text, on one line.

    >>> shown("NVRM: The NVIDIA GPU 0000:2b:00.0\nNVRM: has fallen off the bus")
    'NVRM: The NVIDIA GPU 0000:2b:00.0 NVRM: has fallen off the bus'
    """
    return message[:TEXT].replace("\n", " ")


def plain(kind: str, *, told: tuple[str, ...] = ()) -> Callable[[re.Match[str], str], Said]:
    """Return a builder that keeps the pattern's named groups; those in `told` tell events apart."""

    def build(found: re.Match[str], message: str) -> Said:
        detail = {
            name: int(text) if name in {"cpu", "seconds"} else text.strip()
            for name, text in found.groupdict().items()
            if text
        }
        return Said(kind, shown(message), detail=detail, fold=tuple(detail.get(name) for name in told))

    return build
