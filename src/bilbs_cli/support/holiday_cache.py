"""Public holidays of a country and year from the `holidays` library, kept on disk: its import takes 60 ms."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from functools import cache
from pathlib import Path

from bilbs_cli import __version__, files, paths
from bilbs_cli.errors import OutputUnwritable

KEPT_S = 30 * 86400  # governments move holidays: a month is how late we may learn of it after an upgrade of the library
LIMIT = 1 << 16


@cache
def names(country: str, year: int) -> Mapping[date, str]:
    """Return the public holidays of a country (`US`, `US-NY`) by date.

    Raises `ValueError` for a country or subdivision that the library does not know.
    """
    place = paths.state_dir() / "cache" / "holidays" / f"{country}-{year}.json"
    kept = _read(place)
    if kept is None:
        kept = _computed(country, year)
        _keep(place, kept)
    return kept


def _read(place: Path) -> dict[date, str] | None:
    try:
        with files.open_regular(place) as stream:
            data = json.loads(stream.read(LIMIT))
        fresh = data["version"] == __version__ and 0 <= time.time() - data["at"] < KEPT_S
        return {date.fromisoformat(day): str(name) for day, name in data["days"].items()} if fresh else None
    except (OSError, files.NotReadable, ValueError, KeyError, TypeError, AttributeError):
        return None  # absent, old or damaged: computed anew


def _keep(place: Path, days: Mapping[date, str]) -> None:
    data = {
        "version": __version__,
        "at": int(time.time()),
        "days": {day.isoformat(): name for day, name in days.items()},
    }
    with suppress(OutputUnwritable, OSError):  # a read-only disk: computed each time
        files.private_dir(place.parent)
        files.write_private(place, json.dumps(data).encode())


def _computed(country: str, year: int) -> dict[date, str]:
    import holidays

    code, _, part = country.partition("-")
    try:
        found = holidays.country_holidays(code, subdiv=part or None, years=year, language="en_US")
    except (NotImplementedError, KeyError) as error:
        known = "" if part else "; write a country such as US, FR, DE, or none"
        raise ValueError(f"no public holidays are known for {country}{known}: {error}") from None
    return {day: name for day, name in sorted(found.items()) if day.year == year}
