"""A support plan as data: severities, calendars, tiers, targets, channels; what one provider file says."""

from collections.abc import Iterator
from datetime import date
from difflib import get_close_matches
from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

METRICS = {
    "first_response": "first response by a person",
    "engineer_open": "an engineer opens the case",
    "work_started": "work has started",
    "action_plan": "action plan",
    "update_interval": "next update",
    "rma_filed": "RMA filed with the OEM",
    "resolve": "resolved",
    "rca": "post-incident report (RCA)",
    "attainment": "response targets met in a month",
    "availability": "availability in a month",
}
STARTS = {"received": "the ticket was received", "resolved": "the incident was resolved"}
PAUSES = {"waiting_customer": "waiting on you", "waiting_third_party": "waiting on a third party"}
KINDS = ("software", "hardware", "question", "feature")
ROLES = ("target", "outer")


class Limit(NamedTuple):
    """How long something may take. `text` is how the file writes it.

    `kind`: `time` (`seconds` on the target's calendar), `business_days` (`days` of it), `same_business_day`, `event`
    (`event` says which), `best_effort`, `percent` (`percent` of a month).
    """

    text: str
    kind: str
    seconds: int = 0
    days: int = 0
    percent: float = 0.0
    event: str = ""


class Calendar(NamedTuple):
    """When time counts. `windows` holds for Monday to Sunday the pairs (open, close) in minutes after local midnight.

    `zone` is an IANA name, empty for the account's. `holidays` is a country (`US`, `US-NY`), `account` for that of the
    zone, `none` where holidays count like other days; `closed` are further dates without business hours.
    `day_s` is what one business day is worth, in seconds.
    """

    id: str
    name: str
    hours: str
    windows: tuple[tuple[tuple[int, int], ...], ...]
    day_s: int
    zone: str
    holidays: str
    closed: frozenset[date]
    source: str
    assumed: frozenset[str]

    @property
    def always(self) -> bool:
        """Say whether it never closes."""
        return not self.closed and self.holidays == "none" and set(self.windows) == {((0, 1440),)}


class Severity(NamedTuple):
    """One level; the first of a provider is the most severe. `ask` is a question whose yes means this level."""

    id: str
    name: str
    aliases: tuple[str, ...]
    definition: str
    ask: str
    examples: tuple[str, ...]
    impact_statement: bool
    source: str
    assumed: frozenset[str]


class Target(NamedTuple):
    """One promise. Empty tuples in `severities`, `tiers`, `kinds`, `channels` mean any."""

    metric: str
    limit: Limit
    calendar: str
    start: str
    pause: tuple[str, ...]
    role: str
    severities: tuple[str, ...]
    tiers: tuple[str, ...]
    kinds: tuple[str, ...]
    channels: tuple[str, ...]
    clause: str
    source: str
    assumed: frozenset[str]

    def holds(self, severity: str, tier: str, kind: str, channel: str) -> bool:
        """Say whether it is promised for such a ticket; an empty `kind` or `channel` is none that the plan names."""
        asked = ((self.severities, severity), (self.tiers, tier), (self.kinds, kind), (self.channels, channel))
        return all(not named or one in named for named, one in asked)


class Price(NamedTuple):
    """`amount` in `currency` per `per` (`month`, `year`, `hour`, `once`); `starts_at` where it is the lowest of a range."""

    amount: float
    currency: str
    per: str
    starts_at: bool
    what: str
    source: str


class Entitlement(NamedTuple):
    """Something that a tier includes: `amount` of `unit` per `per`; `amount` None where it is not counted."""

    id: str
    text: str
    amount: float | None
    unit: str
    per: str
    source: str
    assumed: frozenset[str]


class Tier(NamedTuple):
    """One plan that can be bought. `contact` is whom to ask where it is not self-service."""

    id: str
    name: str
    aliases: tuple[str, ...]
    best_for: str
    self_service: bool
    contact: str
    prices: tuple[Price, ...]
    entitlements: tuple[Entitlement, ...]
    source: str

    def includes_by_id(self) -> dict[str, Entitlement]:
        """Return what it includes, by id."""
        return {one.id: one for one in self.entitlements}


class Channel(NamedTuple):
    """One way to reach people, in the order to try them. `card` names the field of the wallet card with its address.

    `paste` is the text to send; `{severity}`, `{subject}` and `{company}` in it are filled in. `wake` replaces it for the
    severities in `wake_severities`: the text that wakes someone.
    """

    id: str
    name: str
    address: str
    card: str
    what: str
    paste: str
    wake: str
    wake_severities: tuple[str, ...]
    hours: str
    severities: tuple[str, ...]
    tiers: tuple[str, ...]
    source: str
    assumed: frozenset[str]

    def text_for(self, severity: str) -> str:
        """Return the text to send for a severity id, its places not yet filled in."""
        return self.wake if severity in self.wake_severities else self.paste


class Elsewhere(NamedTuple):
    """A category of questions that support does not take, and where they go."""

    id: str
    what: str
    address: str
    source: str


class Step(NamedTuple):
    """One level of escalation, the first one first."""

    name: str
    what: str
    source: str


class Term(NamedTuple):
    """One more number or condition of the contract: `value` (a number or a text) in `unit`."""

    id: str
    text: str
    value: float | str
    unit: str
    tiers: tuple[str, ...]
    source: str
    assumed: frozenset[str]


class Contradiction(NamedTuple):
    """Two places of the same document that do not agree; `readings` are (source, what it says), `shown` what we do."""

    about: str
    readings: tuple[tuple[str, str], ...]
    shown: str


class Provider(NamedTuple):
    """One support plan. `path` is its file, `origin` `built-in`, `system` or `user`."""

    id: str
    name: str
    document: str
    version: str
    default_severity: str
    default_tier: str
    severities: tuple[Severity, ...]
    calendars: tuple[Calendar, ...]
    tiers: tuple[Tier, ...]
    targets: tuple[Target, ...]
    channels: tuple[Channel, ...]
    elsewhere: tuple[Elsewhere, ...]
    escalation: tuple[Step, ...]
    terms: tuple[Term, ...]
    contradictions: tuple[Contradiction, ...]
    path: str
    origin: str

    def severity(self, name: str) -> Severity | None:
        """Return the level with that id, name or alias, in any case; None where there is none."""
        wanted = _folded(name)
        return next((one for one in self.severities if wanted in map(_folded, (one.id, one.name, *one.aliases))), None)

    def tier(self, name: str) -> Tier | None:
        """Return the tier with that id, name or alias, in any case; None where there is none."""
        wanted = _folded(name)
        return next((one for one in self.tiers if wanted in map(_folded, (one.id, one.name, *one.aliases))), None)

    def calendar(self, name: str) -> Calendar:
        """Return the calendar `name`; the schema has made sure that it is there."""
        return next(one for one in self.calendars if one.id == name)

    def rank(self, severity: str) -> int:
        """Return the place of a severity id: 0 is the most severe."""
        return [one.id for one in self.severities].index(severity)

    def promised(self, severity: str, tier: str, kind: str = "", channel: str = "") -> Iterator[Target]:
        """Yield the targets of such a ticket, in the order of the file."""
        return (one for one in self.targets if one.holds(severity, tier, kind, channel))

    @property
    def depends_on_tier(self) -> bool:
        """Say whether some target holds in one tier and not in another."""
        return any(one.tiers for one in self.targets)

    def nearest_severity(self, name: str) -> str:
        """Return the id or alias that looks most like `name`, or an empty text."""
        return _nearest(name, [text for one in self.severities for text in (one.id, one.name, *one.aliases)])

    def nearest_tier(self, name: str) -> str:
        """Return the id or alias that looks most like `name`, or an empty text."""
        return _nearest(name, [text for one in self.tiers for text in (one.id, one.name, *one.aliases)])


def _folded(name: str) -> str:
    """Return a name as it is compared: `Sev-1`, `SEV 1` and `sev1` are one.

    >>> _folded(" Level_1 "), _folded("SEV-1")
    ('level1', 'sev1')
    """
    return "".join(char for char in name.casefold() if char not in " -_.")


def _nearest(name: str, known: list[str]) -> str:
    folded = {_folded(one): one for one in reversed(known)}
    near = get_close_matches(_folded(name), folded, n=1, cutoff=0.5)
    return folded[near[0]] if near else ""
