"""The ids that the desk gives: what may stand in a path of the API and in the name of a file."""

from __future__ import annotations

from typing import TypeGuard

LONGEST = 64
_ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


def is_id(value: object) -> TypeGuard[str]:
    """Tell whether a value is an id: 1 to 64 ASCII letters, digits, `_` and `-`."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST and _ALLOWED.issuperset(value)
