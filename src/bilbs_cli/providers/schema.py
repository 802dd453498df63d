"""The schema of a provider file: TOML text in, a `Provider` out, or every problem in it with line and key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bilbs_cli.providers.limits import parse_hours, parse_limit
from bilbs_cli.providers.model import (
    KINDS,
    METRICS,
    PAUSES,
    ROLES,
    STARTS,
    Calendar,
    Channel,
    Contradiction,
    Elsewhere,
    Entitlement,
    Limit,
    Price,
    Provider,
    Severity,
    Step,
    Target,
    Term,
    Tier,
)
from bilbs_cli.providers.reading import Document, Problem, Table

VERSION = 1
_ID = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_COUNTRY = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
PERIODS = ("month", "quarter", "year", "hour", "once")


class Broken(Exception):
    """A provider file that cannot be used; `problems` holds all that is wrong in it, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(str(problems[0]))
        self.problems = tuple(problems)


def parse(text: str, path: str, origin: str = "built-in") -> Provider:
    """Return the provider that a file describes. Raises `Broken` with every problem."""
    return build(parsed(text, path), text, path, origin)


def parsed(text: str, path: str) -> dict[str, Any]:
    """Return the tables of a provider file. Raises `Broken` for a text that is no TOML."""
    import tomllib  # 4 ms, which a plan that is kept (plan_cache) does not pay

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Broken([_syntax(path, str(error))]) from error


def build(data: dict[str, Any], text: str, path: str, origin: str) -> Provider:
    """Return the provider that the tables of a file describe; `text` is needed to name lines. Raises `Broken`."""
    document = Document(path, text)
    provider = _provider(Table(document, (), data), origin)
    if document.problems:
        raise Broken(sorted(document.problems, key=lambda one: one.line or 1 << 30))  # those without a line last
    return provider


def _syntax(path: str, message: str) -> Problem:
    found = re.search(r" \(at line (\d+), column \d+\)$", message)
    what = message[: found.start()] if found else message.removesuffix(" (at end of document)")
    return Problem(path, int(found[1]) if found else 0, "TOML", what)


def _provider(top: Table, origin: str) -> Provider:
    if top.raw("schema") != VERSION:
        top.complain("schema", f"expected {VERSION}, the version of the schema that this bilbs knows")
    identity = _id(top, "id", top.text("id"))
    calendars = tuple(_calendar(name, table) for name, table in top.tables("calendars"))
    severities = tuple(_severity(name, table) for name, table in top.tables("severities"))
    tiers = tuple(_tier(name, table) for name, table in top.tables("tiers"))
    ids = _Ids([one.id for one in calendars], [one.id for one in severities], [one.id for one in tiers])
    channels = tuple(_channel(name, table, ids) for name, table in top.tables("channels"))
    if not severities:
        top.complain("severities", "missing: at least one [severities.NAME]")
    _unique(top, "severities", severities)
    _unique(top, "tiers", tiers)
    provider = Provider(
        id=identity,
        name=top.text("name"),
        document=top.text("document"),
        version=top.text("version"),
        default_severity=top.word("default_severity", ids.severities),
        default_tier=top.word("default_tier", ids.tiers, default=""),
        severities=severities,
        calendars=calendars,
        tiers=tiers,
        targets=tuple(_target(table, ids, [one.id for one in channels]) for table in top.rows("targets")),
        channels=channels,
        elsewhere=tuple(_elsewhere(name, table) for name, table in top.tables("elsewhere")),
        escalation=tuple(_step(table) for table in top.rows("escalation")),
        terms=tuple(_term(name, table, ids) for name, table in top.tables("terms")),
        contradictions=tuple(_contradiction(table) for table in top.rows("contradictions")),
        path=top.document.path,
        origin=origin,
    )
    top.done()
    return provider


class _Ids:
    """The ids that targets and channels may name."""

    def __init__(self, calendars: list[str], severities: list[str], tiers: list[str]) -> None:
        self.calendars, self.severities, self.tiers = calendars, severities, tiers


def _id(table: Table, key: str, value: str) -> str:
    if value and not _ID.fullmatch(value):
        table.complain(key, f"{value!r} is no id; write small letters, digits, - and _, a letter first")
    return value


def _unique(top: Table, key: str, named: Sequence[Severity | Tier]) -> None:
    """Complain where an id, name or alias means two things."""
    owners: dict[str, str] = {}
    for one in named:
        for text in {
            "".join(c for c in name.casefold() if c not in " -_.") for name in (one.id, one.name, *one.aliases)
        }:
            other = owners.setdefault(text, one.id)
            if other != one.id:
                top.document.complain((*top.place, key, one.id), f"{text} means {other} as well")


def _severity(name: str, table: Table) -> Severity:
    severity = Severity(
        id=_id(table, "", name),
        name=table.text("name"),
        aliases=table.texts("aliases"),
        definition=table.text("definition"),
        ask=table.text("ask", ""),
        examples=table.texts("examples"),
        impact_statement=table.flag("impact_statement", default=False),
        source=table.text("source"),
        assumed=table.assumed(),
    )
    table.done()
    return severity


def _calendar(name: str, table: Table) -> Calendar:
    lines = list(table.texts("hours"))
    windows: tuple[tuple[tuple[int, int], ...], ...] = ((),) * 7
    try:
        windows = parse_hours(lines)
    except ValueError as error:
        table.complain("hours", str(error))
    if not any(windows):
        table.complain("hours", "missing: a calendar that never opens")
    calendar = Calendar(
        id=_id(table, "", name),
        name=table.text("name"),
        hours=", ".join(lines),
        windows=windows,
        day_s=_business_day(table, windows),
        zone=_zone(table),
        holidays=_holidays(table),
        closed=table.dates("closed"),
        source=table.text("source"),
        assumed=table.assumed(),
    )
    table.done()
    return calendar


def _business_day(table: Table, windows: Sequence[Sequence[tuple[int, int]]]) -> int:
    """Return the seconds of one business day: `business_day`, which is needed only where the days differ."""
    lengths = {sum(closes - opens for opens, closes in day) for day in windows if day}
    if not table.has("business_day"):
        if len(lengths) > 1:
            table.complain("", 'its days differ in length: say what one business day is worth, business_day = "8h"')
        return max(lengths, default=0) * 60
    limit = _limit(table, "business_day")
    if limit.kind != "time":
        table.complain("business_day", "expected hours or minutes, such as 8h")
    return limit.seconds


def _zone(table: Table) -> str:
    name = table.text("zone", "account")
    if name == "account":
        return ""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        table.complain(
            "zone", f"{name!r} is no time zone of this machine; write account, or a name such as Europe/Paris"
        )
    return name


def _holidays(table: Table) -> str:
    name = table.text("holidays", "none")
    if name not in {"account", "none"} and not _COUNTRY.fullmatch(name):
        table.complain("holidays", f"{name!r}: write account, none, or a country such as US, FR, US-NY")
    return name


def _target(table: Table, ids: _Ids, channels: Sequence[str]) -> Target:
    when = Table(table.document, (*table.place, "when"), table.raw("when") or {})
    limit = _limit(table, "limit")
    calendar = table.word("calendar", ids.calendars, default="")
    if limit.kind in {"time", "business_days", "same_business_day"} and not calendar:
        table.complain("calendar", f"missing: a limit of {limit.text} counts on one of {', '.join(ids.calendars)}")
    target = Target(
        metric=table.word("metric", tuple(METRICS)),
        limit=limit,
        calendar=calendar,
        start=table.word("start", tuple(STARTS), default="received"),
        pause=table.texts("pause", tuple(PAUSES)),
        role=table.word("role", ROLES, default="target"),
        severities=when.texts("severity", ids.severities),
        tiers=when.texts("tier", ids.tiers),
        kinds=when.texts("kind", KINDS),
        channels=when.texts("channel", channels),
        clause=table.text("clause"),
        source=table.text("source"),
        assumed=table.assumed(),
    )
    when.done()
    table.done()
    return target


def _limit(table: Table, key: str) -> Limit:
    text = table.text(key)
    try:
        return parse_limit(text)
    except ValueError as error:
        if text:
            table.complain(key, str(error))
        return Limit(text, "best_effort")


def _tier(name: str, table: Table) -> Tier:
    tier = Tier(
        id=_id(table, "", name),
        name=table.text("name"),
        aliases=table.texts("aliases"),
        best_for=table.text("best_for", ""),
        self_service=table.flag("self_service", default=False),
        contact=table.text("contact", ""),
        prices=tuple(_price(row) for row in table.rows("prices")),
        entitlements=tuple(_entitlement(entry, row) for entry, row in table.tables("includes")),
        source=table.text("source"),
    )
    table.done()
    return tier


def _price(table: Table) -> Price:
    amount = table.number("amount")
    if amount is None:
        table.complain("amount", "missing")
    price = Price(
        amount=amount or 0,
        currency=table.word("currency", ("USD", "EUR", "GBP", "CAD"), default="USD"),
        per=table.word("per", PERIODS),
        starts_at=table.flag("starts_at", default=False),
        what=table.text("what", ""),
        source=table.text("source"),
    )
    table.done()
    return price


def _entitlement(name: str, table: Table) -> Entitlement:
    entitlement = Entitlement(
        id=_id(table, "", name),
        text=table.text("text"),
        amount=table.number("amount"),
        unit=table.text("unit", ""),
        per=table.word("per", PERIODS, default=""),
        source=table.text("source"),
        assumed=table.assumed(),
    )
    table.done()
    return entitlement


def _channel(name: str, table: Table, ids: _Ids) -> Channel:
    wake = Table(table.document, (*table.place, "wake"), table.raw("wake") or {})
    channel = Channel(
        id=_id(table, "", name),
        name=table.text("name"),
        address=table.text("address", ""),
        card=table.word("card", ("pager", "slack", "email"), default=""),
        what=table.text("what"),
        paste=table.text("paste", ""),
        wake=wake.text("paste", ""),
        wake_severities=wake.texts("severity", ids.severities),
        hours=table.word("hours", ids.calendars, default=""),
        severities=table.texts("severity", ids.severities),
        tiers=table.texts("tier", ids.tiers),
        source=table.text("source"),
        assumed=table.assumed(),
    )
    if not channel.address and not channel.card:
        table.complain("address", 'missing: an address, or card = "pager" where it stands on the wallet card')
    wake.done()
    table.done()
    return channel


def _elsewhere(name: str, table: Table) -> Elsewhere:
    elsewhere = Elsewhere(_id(table, "", name), table.text("what"), table.text("address"), table.text("source"))
    table.done()
    return elsewhere


def _step(table: Table) -> Step:
    step = Step(table.text("name"), table.text("what"), table.text("source"))
    table.done()
    return step


def _term(name: str, table: Table, ids: _Ids) -> Term:
    value: Any = table.raw("value")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        table.complain("value", "expected a number or a text")
        value = ""
    term = Term(
        id=_id(table, "", name),
        text=table.text("text"),
        value=value,
        unit=table.text("unit", ""),
        tiers=table.texts("tier", ids.tiers),
        source=table.text("source"),
        assumed=table.assumed(),
    )
    table.done()
    return term


def _contradiction(table: Table) -> Contradiction:
    readings = tuple((row.text("source"), row.text("says")) for row in table.rows("readings"))
    if len(readings) < 2:
        table.complain("readings", "expected two or more [[contradictions.readings]]")
    contradiction = Contradiction(table.text("about"), readings, table.text("shown"))
    table.done()
    return contradiction
