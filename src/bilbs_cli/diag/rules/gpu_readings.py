"""Readings of one GPU for judges: of the right type, or "not evaluated"; several facts may tell the same thing.

The same counter stands in a call and in a field value of NVML; drivers have one, the other or both. A flag is set when
either says so, of two counters the larger counts.
"""

from __future__ import annotations

from collections.abc import Iterator

from bilbs_cli.diag.findings import Case

MOST = 1 << 62  # a larger counter is none
LINKS = 72  # of one GPU; NVML's limit is 36 (NVML_NVLINK_MAX_LINKS)


def set_in(case: Case, *paths: str) -> str:
    """Return the first path whose flag is set, empty where all that can be read are not. Raises `Unjudged`."""
    found = [(path, flag) for path in paths if isinstance(flag := case.get(path), bool)]
    if not found:
        raise case.unread(*paths)
    return next((path for path, flag in found if flag), "")


def counter(case: Case, path: str) -> int | None:
    """Return a count, None for what is none."""
    found = case.number(path)
    return found if isinstance(found, int) and 0 <= found < MOST else None


def most(case: Case, *paths: str) -> tuple[int, str]:
    """Return the largest of several counts with its path. Raises `Unjudged` when none can be read."""
    found = [(count, path) for path in paths if (count := counter(case, path)) is not None]
    if not found:
        raise case.unread(*paths)
    return max(found, key=lambda one: one[0])


def number(case: Case, path: str) -> float:
    """Return a finite number. Raises `Unjudged`."""
    found = case.number(path)
    if found is None or abs(found) >= MOST:
        raise case.unread(path)
    return float(found)


def word(case: Case, path: str) -> str:
    """Return a text. Raises `Unjudged`."""
    found = case.get(path)
    if not isinstance(found, str):
        raise case.unread(path)
    return found


def links(case: Case) -> Iterator[str]:
    """Yield the names of the NVLinks that were looked at."""
    yield from [name for name in case.names("nvlink") if name.isascii() and name.isdigit()][:LINKS]


def shown(value: float) -> str:
    """Return a number as people write it.

    >>> shown(58.0), shown(68.57)
    ('58', '68.57')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")
