"""The account's time zone and its public holidays, each with the place it came from."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start
from zoneinfo import TZPATH, ZoneInfo

from bilbs_cli.support import holiday_cache
from bilbs_cli.support.sla.working_time import Holidays, no_holidays

LOCALTIME = Path("/etc/localtime")


class AccountZone(NamedTuple):
    """The zone in which business hours are counted, and who says so."""

    zone: ZoneInfo
    origin: str

    @property
    def name(self) -> str:
        """Return its IANA name."""
        return self.zone.key


class AccountHolidays(NamedTuple):
    """Public holidays by year. `country` is empty where none is known: then every weekday counts, and `origin` says why."""

    country: str
    origin: str
    in_year: Holidays


def account_zone(given: str | None, setting: str | None, card: str, env: Mapping[str, str] = os.environ) -> AccountZone:
    """Return the zone: `given` by flag, the setting, the card's, this machine's, else UTC.

    Raises `ValueError` for a name that this machine does not know, saying where it was written.
    """
    for name, origin in ((given, "--tz"), (setting, "support.timezone"), (card, "the card")):
        if name:
            return AccountZone(_zone(name, origin), origin)
    for name, origin in _machine_names(env):
        try:
            return AccountZone(_zone(name, origin), origin)
        except ValueError:
            continue  # a file of ours to read, not to judge
    return AccountZone(ZoneInfo("UTC"), "nothing says which; set support.timezone")


def _zone(name: str, origin: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(
            f"{name} ({origin}) is no time zone of this machine; write a name such as Europe/Paris"
        ) from None


def _machine_names(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the names that this machine gives its zone: TZ (tzset(3)), /etc/localtime, /etc/timezone."""
    if re.fullmatch(r":?[A-Za-z_]+(/[A-Za-z0-9_+-]+)*", env.get("TZ", "")):
        yield env["TZ"].removeprefix(":"), "TZ"
    try:
        _, found, name = os.readlink(LOCALTIME).partition("zoneinfo/")  # noqa: PTH115 - the link's own text
        if found:
            yield name, "this machine's"
    except OSError:
        pass
    with suppress(OSError, ValueError):
        yield Path("/etc/timezone").read_text(encoding="ascii")[:80].strip(), "this machine's"


def account_holidays(setting: str | None, zone: AccountZone) -> AccountHolidays:
    """Return the public holidays: of the country that the setting names (`none`: none), else of the zone's.

    Raises `ValueError` for a country that the `holidays` library does not know.
    """
    if setting and setting.lower() == "none":
        return AccountHolidays("", "support.country says none", no_holidays)
    if setting:
        return AccountHolidays(setting, "support.country", of_country(setting))
    country = country_of(zone.name)
    if not country:
        return AccountHolidays("", f"{zone.name} belongs to no country; set support.country", no_holidays)
    try:
        return AccountHolidays(country, f"the country of {zone.name}", of_country(country))
    except ValueError:
        return AccountHolidays("", f"none are known for {country}, the country of {zone.name}", no_holidays)


def of_country(country: str) -> Holidays:
    """Return the public holidays of a country (`US`, `US-NY`). Raises `ValueError` for one that is not known."""
    holiday_cache.names(country, datetime.now(UTC).year)
    return lambda year: holiday_cache.names(country, year)


def with_dates(holidays: Holidays, dates: frozenset[date]) -> Holidays:
    """Return holidays with further dates of the account's own."""
    if not dates:
        return holidays

    def both(year: int) -> Mapping[date, str]:
        own = {day: "a date of the account" for day in dates if day.year == year}
        return {**own, **holidays(year)}

    return both


def country_of(zone: str) -> str:
    """Return the country of a zone (ISO 3166, the first one that shares it) by IANA's zone.tab; empty where it has none."""
    for table in _tables():
        for line in table.splitlines():
            fields = line.split("\t")
            if len(fields) > 2 and fields[2] == zone and not line.startswith("#"):
                return fields[0].split(",")[0]
    return ""


def _tables() -> Iterator[str]:
    for folder in TZPATH:
        for name in ("zone1970.tab", "zone.tab"):
            try:
                yield Path(folder, name).read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
    from importlib.resources import files

    try:
        yield files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")
    except (ModuleNotFoundError, OSError):  # the package is for machines without the system's own
        return
