"""Keeps pytest out of the dead system: its links lead in circles, as those of a real /sys do."""

from __future__ import annotations

collect_ignore = ["sysroot"]
