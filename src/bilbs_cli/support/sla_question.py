"""What `bilbs support sla` was asked: plan, tier, severity, zone, holidays and ticket, from flags, settings and the card."""

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start
from zoneinfo import ZoneInfo

from bilbs_cli import files
from bilbs_cli.config import Config
from bilbs_cli.errors import BilbsError, NotFound, UsageProblem
from bilbs_cli.providers import loading
from bilbs_cli.providers.model import KINDS, Provider, Severity, Tier
from bilbs_cli.support import zones
from bilbs_cli.support.sla import events_file, moments
from bilbs_cli.support.sla.clocks import Clock, Ticket, clocks
from bilbs_cli.support.sla.working_time import Holidays, WorkingTime, no_holidays
from bilbs_cli.support.sla_flags import Flags

FILE_LIMIT = 64 << 20


class Plan:
    """A provider with the account's zone and holidays: what all clocks of an account share."""

    def __init__(
        self, provider: Provider, zone: zones.AccountZone, holidays: zones.AccountHolidays, dates: frozenset[date]
    ) -> None:
        self.provider, self.zone, self.holidays, self._dates = provider, zone, holidays, dates
        self._times: dict[str, WorkingTime] = {}

    def times(self, calendar_id: str) -> WorkingTime:
        """Return the working time of one of the provider's calendars."""
        if calendar_id not in self._times:
            calendar = self.provider.calendar(calendar_id)
            zone = ZoneInfo(calendar.zone) if calendar.zone else self.zone.zone
            self._times[calendar_id] = WorkingTime(calendar, zone, self._holidays(calendar.holidays))
        return self._times[calendar_id]

    def _holidays(self, name: str) -> Holidays:
        if name == "none":
            return no_holidays
        return zones.with_dates(self.holidays.in_year if name == "account" else zones.of_country(name), self._dates)


class Question(NamedTuple):
    """One ticket under one plan at one moment: its `name` in the events file, and `notes` on how it was understood."""

    plan: Plan
    severity: Severity
    tier: Tier | None
    ticket: Ticket
    now: datetime
    name: str = ""
    notes: tuple[str, ...] = ()

    def clocks(self) -> tuple[Clock, ...]:
        """Return the clocks of the ticket."""
        return clocks(self.plan.provider, self.ticket, self.plan.times, self.now)


def plan(flags: Flags, config: Config) -> Plan:
    """Return the plan that is asked about. Raises `NotFound`, `ConfigProblem`, `UsageProblem`."""
    provider = loading.load(str(config.value("support.provider", flags.provider)))
    try:
        zone = zones.account_zone(flags.tz, config.value("support.timezone"), _card_zone())
        holidays = zones.account_holidays(config.value("support.country", flags.country), zone)
        dates = frozenset(date.fromisoformat(text) for text in config.value("support.holidays"))
    except ValueError as error:
        raise UsageProblem(str(error), next="bilbs help settings") from error
    return Plan(provider, zone, holidays, dates)


def question(flags: Flags, config: Config, *, simulated: str | None = None) -> Question:
    """Return what is asked; `simulated` is the time at which a ticket would be opened, instead of one that was.

    Raises `NotFound`, `ConfigProblem`, `UsageProblem`.
    """
    shared = plan(flags, config)
    now, notes = _now(flags, shared)
    story = _story(flags, shared.provider)
    severity = severity_of(shared.provider, flags.severity or story.severity or shared.provider.default_severity)
    if not (flags.severity or story.severity):
        notes = (*notes, f"no severity was given: {severity.name}, what {shared.provider.name} takes then")
    tier = tier_of(shared.provider, flags.tier or story.tier or _setting_tier(flags, config))
    opened, said = _opened(flags, story, shared, now, simulated)
    ticket = Ticket(
        severity=severity.id,
        opened=opened,
        tier=tier.id if tier else "",
        kind=_word("--kind", flags.kind or story.kind, KINDS),
        channel=_word("--channel", flags.channel or story.channel, tuple(one.id for one in shared.provider.channels)),
        events=tuple(story.events),
    )
    return Question(shared, severity, tier, ticket, opened if simulated else now, story.id, (*notes, *said))


def questions(flags: Flags, config: Config) -> tuple[Plan, datetime, tuple[Question, ...]]:
    """Return the plan, the moment, and one question for each ticket of the events file. Raises as `question` does."""
    shared = plan(flags, config)
    now, _ = _now(flags, shared)
    asked = []
    for story in _stories(flags, shared.provider).values():
        if story.opened is None:
            name = story.id or "without a name"
            raise UsageProblem(f"{flags.events}: ticket {name} has no event of the type opened", code="events-file")
        severity = severity_of(shared.provider, story.severity or shared.provider.default_severity)
        tier = tier_of(shared.provider, story.tier or flags.tier or _setting_tier(flags, config))
        told = (story.kind, story.channel, tuple(story.events))
        ticket = Ticket(severity.id, story.opened, tier.id if tier else "", *told)
        asked.append(Question(shared, severity, tier, ticket, now, story.id))
    return shared, now, tuple(asked)


def severity_of(provider: Provider, name: str) -> Severity:
    """Return the provider's severity with that id or alias. Raises `NotFound` with the nearest and all names."""
    severity = provider.severity(name)
    if severity is None:
        near = provider.nearest_severity(name)
        raise NotFound(
            f"{provider.name} knows no severity {name}{f'; did you mean {near}?' if near else ''} "
            f"(it has {', '.join(one.id for one in provider.severities)})",
            code="no-such-severity",
            next=f"bilbs support severity --provider {provider.id}",
        )
    return severity


def tier_of(provider: Provider, name: str) -> Tier | None:
    """Return the provider's tier; None where the plan has no tiers, or none was named and no target depends on it.

    Raises `NotFound` for an unknown one, `UsageProblem` naming `--tier` where the answer depends on it.
    """
    if name:
        tier = provider.tier(name)
        if tier is None:
            near = provider.nearest_tier(name)
            has = f"it has {', '.join(one.id for one in provider.tiers)}" if provider.tiers else "it has none"
            raise NotFound(
                f"{provider.name} has no tier {name}{f'; did you mean {near}?' if near else ''} ({has})",
                code="no-such-tier",
                next=f"bilbs support providers show {provider.id}",
            )
        return tier
    if provider.default_tier:
        return provider.tier(provider.default_tier)
    if provider.depends_on_tier:
        raise UsageProblem(
            f"the targets of {provider.name} depend on the tier: {', '.join(one.id for one in provider.tiers)}",
            code="tier-needed",
            next=f"the same command with --tier {provider.tiers[0].id}",
        )
    return None


def _setting_tier(flags: Flags, config: Config) -> str:
    """Return the tier of the settings, which belongs to the provider of the settings."""
    same = flags.provider is None or flags.provider.strip().lower() == config.value("support.provider")
    return (config.value("support.tier") or "") if same else ""


def _card_zone() -> str:
    from bilbs_cli.support import card_file

    return card_file.fields().get("zone", "")


def _now(flags: Flags, shared: Plan) -> tuple[datetime, tuple[str, ...]]:
    here = datetime.now(UTC).replace(microsecond=0)
    if flags.now is None:
        return here, ()
    return _when("--now", flags.now, here, shared, past=True)


def _opened(
    flags: Flags, story: events_file.Story, shared: Plan, now: datetime, simulated: str | None
) -> tuple[datetime, tuple[str, ...]]:
    if simulated is not None:
        return _when("WHEN", simulated, now, shared, past=False)
    if flags.opened is None:
        if story.opened is None and flags.events is not None:
            raise UsageProblem(
                f"{flags.events} does not say when the ticket was opened", code="events-file", next="--opened TIME"
            )
        return (story.opened, ()) if story.opened else (now, ("no time was given: as if it were opened now",))
    opened, notes = _when("--opened", flags.opened, now, shared, past=True)
    if flags.events is None:
        notes = (*notes, "no --events: as if nobody had answered since")
    if opened > now:
        raise UsageProblem(
            f"--opened {flags.opened} is in the future; this machine's clock says {now.astimezone(shared.zone.zone):%a %Y-%m-%d %H:%M %Z}",
            code="time-in-future",
            next=f'bilbs support sla simulate "{flags.opened}"',
        )
    return opened, notes


def _when(flag: str, text: str, now: datetime, shared: Plan, *, past: bool) -> tuple[datetime, tuple[str, ...]]:
    try:
        when, note = moments.parse_when(text, now, shared.zone.zone, past=past)
    except (ValueError, OverflowError) as error:
        raise UsageProblem(f"{flag}: {error}", code="bad-time") from error
    return when, (note,) if note else ()


def _word(flag: str, name: str, known: tuple[str, ...]) -> str:
    if name and name not in known:
        raise UsageProblem(f"{flag} {name}: one of {', '.join(known)}", code="bad-choice")
    return name


def _story(flags: Flags, provider: Provider) -> events_file.Story:
    if flags.events is None:
        return events_file.Story("")
    stories = _stories(flags, provider)
    if flags.ticket is not None:
        if flags.ticket not in stories:
            raise NotFound(f"{flags.events} has no ticket {flags.ticket}", code="no-such-ticket")
        return stories[flags.ticket]
    if len(stories) > 1:
        first = next(iter(stories))
        raise UsageProblem(
            f"{flags.events} holds {len(stories)} tickets; one is asked for",
            next=f"the same command with --ticket {first}",
        )
    return next(iter(stories.values()), events_file.Story(""))


def _stories(flags: Flags, provider: Provider) -> dict[str, events_file.Story]:
    name = flags.events or "-"
    try:
        return events_file.parse(_text(name), "stdin" if name == "-" else name, provider)
    except ValueError as error:
        raise UsageProblem(str(error), code="events-file", safe="nothing was computed") from error


def _text(name: str) -> str:
    """Return the text of the events file, or of stdin for `-`. Raises `BilbsError`."""
    try:
        if name == "-":
            data = sys.stdin.buffer.read(FILE_LIMIT + 1)
        else:
            with files.open_regular(Path(name)) as stream:
                data = stream.read(FILE_LIMIT + 1)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {name}", code="no-such-file") from error
    except (OSError, files.NotReadable) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BilbsError(f"cannot read {name}: {reason}", code="events-file") from error
    if len(data) > FILE_LIMIT:
        raise ValueError(f"{name} is over {FILE_LIMIT >> 20} MB: no events file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{name}:{line}: not UTF-8 text") from error
