"""Rules, findings and the engine between them: facts in, verdicts out; nothing is read here and nothing is printed.

A rule is a value: an id that tickets cite for ever, the readings it `needs`, its source, and a pure `judge`. The engine
hands each subject of the rule's scope (a GPU, a sensor, the whole box) to `judge` when every need is there, and records
"not evaluated, because ..." when one is not: an absent reading is never healthy. `judge` cannot stop the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

from bilbs_cli.diag.kernel_log.events import Log, logs_of
from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Value, branch, finite, lookup

Facts = Mapping[str, Any]
T = TypeVar("T")

MOST_FOUND = 64  # findings of one rule; the rest is counted in one more
MOST_EVIDENCE = 8  # lines cited by one finding
TEXT = 400  # characters of a message or an evidence line
FACTS = "facts.json"


class Severity(StrEnum):
    """How bad a finding is; the order is that of `rank`."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return 0 for info, 2 for critical."""
        return list(Severity).index(self)


class Verdict(StrEnum):
    """What to do about it, mildest first. `RMA` always says what proof is still missing."""

    IGNORE = "ignore"
    RESTART_APP = "restart_app"
    RESET_GPU = "reset_gpu"
    REBOOT = "reboot"
    INSPECT = "drain_and_inspect"
    RMA = "rma_candidate"

    @property
    def rank(self) -> int:
        """Return the rung of the ladder, 0 for `ignore`."""
        return list(Verdict).index(self)

    @property
    def words(self) -> str:
        """Return it for people."""
        return {
            "ignore": "ignore",
            "restart_app": "restart the application",
            "reset_gpu": "reset the GPU",
            "reboot": "reboot",
            "drain_and_inspect": "drain and inspect",
            "rma_candidate": "RMA candidate",
        }[self.value]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a finding can be checked: a member of the bundle and a line of it (from 1), and what stands there.

    For a reading, `member` is facts.json and `path` its place there; `line` is filled in when the file is written.
    `at` is the time of the event (RFC 3339, UTC), None where it is unknown.
    """

    member: str
    text: str
    line: int | None = None
    path: str = ""
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a `judge` says of one subject; what it leaves out is the rule's own or the subject's.

    `missing` names the proof that an RMA still needs, `have` what is there. `rule` and `part` are only given by judges
    that speak of more than one (the Xid catalogue). `immediate` is the source's own word for the verdict.
    """

    message: str
    evidence: tuple[Evidence, ...] = ()
    next: str = ""
    severity: Severity | None = None
    verdict: Verdict | None = None
    missing: tuple[str, ...] = ()
    have: tuple[str, ...] = ()
    part: str = ""
    rule: str = ""
    count: int = 1
    first_at: str | None = None
    last_at: str | None = None
    immediate: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, with its proof. `caused_by` is the rule and part of the root cause, empty for a root.

    `sev` is the severity suggested for a ticket (sev1 to sev4) and `sev_why` the reason; a person decides.
    `label` is the part for people: index, PCI address, slot, serial with its provenance.
    """

    rule: str
    severity: Severity
    verdict: Verdict
    part: str
    message: str
    evidence: tuple[Evidence, ...]
    next: str
    source: str
    label: str = ""
    missing: tuple[str, ...] = ()
    have: tuple[str, ...] = ()
    count: int = 1
    first_at: str | None = None
    last_at: str | None = None
    immediate: str = ""
    notes: tuple[str, ...] = ()
    caused_by: str = ""
    sev: str = ""
    sev_why: str = ""

    @property
    def key(self) -> str:
        """Return what makes it the same finding in another run: rule and part."""
        return f"{self.rule}@{self.part}"


class Gap(StrEnum):
    """Why a rule could not be evaluated."""

    NOT_COLLECTED = "not_collected"
    UNSUPPORTED = "unsupported"  # the hardware or driver has no such reading
    DENIED = "denied"
    TIMEOUT = "timeout"
    ERROR = "error"
    BROKEN = "broken"  # the rule itself failed on these facts: our bug, or facts that are none


@dataclass(frozen=True, slots=True)
class NotEvaluated:
    """A rule that said nothing about a part, and why: never a pass."""

    rule: str
    part: str
    kind: Gap
    need: str
    reason: str


class Unjudged(Exception):
    """What a judge raises, before it yields anything, when it cannot say: "not evaluated", with the need and the reason."""

    def __init__(self, need: str, reason: str, kind: Gap = Gap.NOT_COLLECTED) -> None:
        super().__init__(reason)
        self.need, self.kind = need, kind


@dataclass(frozen=True)
class Box:
    """Everything rules may look at: the facts of one moment, and what is derived from them once.

    `now` is the moment of the facts (aware, UTC), not of the evaluation. `since` leaves out older log events.
    """

    facts: Facts
    now: datetime
    since: datetime | None = None

    @cached_property
    def logs(self) -> tuple[Log, ...]:
        """Return the kernel logs, each with its folded events; malformed ones are left out."""
        return logs_of(self.facts, self.since)

    @cached_property
    def remembered(self) -> dict[str, Any]:
        """Return a place for what several rules derive from the same facts (see `derive`)."""
        return {}

    def derive(self, make: Callable[[Box], T]) -> T:
        """Return `make(box)`, computed once per box."""
        name = f"{make.__module__}.{make.__qualname__}"
        if name not in self.remembered:
            self.remembered[name] = make(self)
        found: T = self.remembered[name]
        return found


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule looks at, one by one.

    `pattern` is a path of facts with `*` for every name on that level; an empty one is the whole box. `part` gives the
    subject's id (`gpu:0000:3b:00.0`), `label` its name for people. `absent` is asked when nothing matches: it returns
    why subjects may be there unseen (then every rule of the scope is "not evaluated"), None where there are none.
    """

    kind: str
    pattern: str
    part: Callable[[Facts, tuple[str, ...]], str]
    absent: Callable[[Facts], str | None] = lambda _: None
    label: Callable[[Facts, tuple[str, ...]], str] = lambda _, path: path[-1] if path else ""

    def subjects(self, facts: Facts) -> Iterator[tuple[tuple[str, ...], Any]]:
        """Yield path and node of every subject, in the order of the facts."""
        return _matches(facts, tuple(self.pattern.split("/")) if self.pattern else ())


@dataclass(frozen=True, slots=True)
class Case:
    """One subject before a judge. Paths are relative to it; those that start with `/` are from the top of the facts."""

    box: Box
    path: tuple[str, ...]
    part: str
    label: str

    def reading(self, path: str) -> Reading:
        """Return the reading at `path` (an empty one: the subject itself)."""
        return lookup(self.box.facts, *self._absolute(path))

    def get(self, path: str) -> Any:
        """Return the value at `path`, None where there is none."""
        found = self.reading(path)
        return found.value if isinstance(found, Value) else None

    def number(self, path: str) -> int | float | None:
        """Return the value at `path` when it is a finite number (True and False are none), else None."""
        return finite(self.get(path))

    def names(self, path: str) -> tuple[str, ...]:
        """Return the names below `path`."""
        return tuple(map(str, branch(self.box.facts, *self._absolute(path))))

    def cite(self, path: str, text: str = "") -> Evidence:
        """Return the reading at `path` as evidence."""
        where = "/".join(self._absolute(path))
        reading = self.reading(path)
        shown = text or f"{where} = {_shown(reading)}"
        return Evidence(FACTS, shown[:TEXT], path=where)

    def unread(self, *ways: str) -> Unjudged:
        """Return what to raise when no reading of these can be used; one that was asked and failed tells why."""
        path = next((way for way in ways if isinstance(self.reading(way), ReadError)), ways[0])
        reading = self.reading(path)
        kind, reason = gap_of(reading)
        if isinstance(reading, Value) and reading.value is not None:
            kind, reason = Gap.ERROR, f"{_shown(reading)[:80]} is no value that this reading can have"
        return Unjudged(path, f"{path.lstrip('/') or self.part} was not readable: {reason}", kind)

    def _absolute(self, path: str) -> tuple[str, ...]:
        if path.startswith("/"):
            return tuple(path[1:].split("/"))
        return self.path + (tuple(path.split("/")) if path else ())


Judge = Callable[[Case], Iterable[Found] | Found | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. The docstring of `judge` is its page in docs/rules/, with a firing and a quiet example.

    `severity` and `verdict` are what it says unless a `Found` says otherwise. `needs` are paths below the subject (or
    from the top, with `/`) that must be values; `a|b` is met by either. With `doc` given the page is that text (rules made from a catalogue).
    """

    id: str
    severity: Severity
    verdict: Verdict
    needs: tuple[str, ...]
    source: str
    judge: Judge
    scope: Scope
    title: str = ""
    next: str = ""
    doc: str = ""

    @property
    def text(self) -> str:
        """Return the page's text."""
        return self.doc or self.judge.__doc__ or ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What all rules said: findings (worst first), what was not evaluated, and how many evaluations there were."""

    findings: tuple[Finding, ...] = ()
    not_evaluated: tuple[NotEvaluated, ...] = ()
    evaluated: int = 0
    rules: int = 0

    @property
    def worst(self) -> Severity | None:
        """Return the worst severity found, None when nothing was."""
        return max((one.severity for one in self.findings), key=lambda one: one.rank, default=None)

    @property
    def coverage(self) -> str:
        """Return the coverage line: what was looked at and what was not, by reason."""
        kinds = Counter(one.kind.value.replace("_", " ") for one in self.not_evaluated)
        gaps = f" ({', '.join(f'{count} {kind}' for kind, count in kinds.most_common())})" if kinds else ""
        return f"{self.evaluated} checks by {self.rules} rules, {len(self.not_evaluated)} not evaluated{gaps}"


@dataclass(slots=True)
class _Run:
    findings: list[Finding] = field(default_factory=list)
    gaps: list[NotEvaluated] = field(default_factory=list)
    evaluated: int = 0


def evaluate(rules: Sequence[Rule], box: Box) -> Judgement:
    """Return what `rules` say of `box`. The same facts give the same answer; no facts make it raise."""
    run = _Run()
    for rule in rules:
        try:
            _apply(rule, box, run)
        except Exception as error:  # noqa: BLE001 - the boundary of a rule: hostile facts cost one rule, and it is named
            run.gaps.append(_broken(rule, rule.scope.kind, error))
    return Judgement(order(run.findings), tuple(run.gaps), run.evaluated, len(rules))


def order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings worst first: roots before what they caused, then severity, verdict, rule and part."""
    return tuple(
        sorted(
            findings,
            key=lambda one: (-one.severity.rank, bool(one.caused_by), -one.verdict.rank, one.rule, one.part),
        )
    )


def _apply(rule: Rule, box: Box, run: _Run) -> None:
    seen = False
    for path, _ in rule.scope.subjects(box.facts):
        seen = True
        part = rule.scope.part(box.facts, path)
        case = Case(box, path, part, rule.scope.label(box.facts, path))
        gap = next((gap for need in rule.needs if (gap := _gap(rule, case, need))), None)
        if gap:
            run.gaps.append(gap)
            continue
        run.evaluated += 1
        try:
            found = rule.judge(case)
            all_found = [found] if isinstance(found, Found) else list(found or ())
        except Unjudged as said:
            run.evaluated -= 1
            run.gaps.append(NotEvaluated(rule.id, part, said.kind, said.need, str(said)[:TEXT]))
            continue
        except Exception as error:  # noqa: BLE001 - the boundary of a rule: hostile facts cost one rule, and it is named
            run.evaluated -= 1
            run.gaps.append(_broken(rule, part, error))
            continue
        run.findings += [_finding(rule, case, one) for one in all_found[:MOST_FOUND]]
        if len(all_found) > MOST_FOUND:
            rest = Found(f"{len(all_found) - MOST_FOUND} more findings of this rule are not listed")
            run.findings.append(_finding(rule, case, rest))
    if not seen and (reason := rule.scope.absent(box.facts)):
        run.gaps.append(NotEvaluated(rule.id, rule.scope.kind, Gap.NOT_COLLECTED, rule.scope.pattern, reason))


def _finding(rule: Rule, case: Case, found: Found) -> Finding:
    return Finding(
        rule=found.rule or rule.id,
        severity=found.severity or rule.severity,
        verdict=found.verdict or rule.verdict,
        part=found.part or case.part,
        message=" ".join(found.message.split())[:TEXT],
        evidence=tuple(replace(one, text=one.text[:TEXT]) for one in found.evidence[:MOST_EVIDENCE]),
        next=found.next or rule.next,
        source=rule.source,
        label=case.label if not found.part or found.part == case.part else "",
        missing=found.missing,
        have=found.have,
        count=found.count,
        first_at=found.first_at,
        last_at=found.last_at,
        immediate=found.immediate,
    )


def _gap(rule: Rule, case: Case, need: str) -> NotEvaluated | None:
    ways = need.split("|")
    if any(case.get(way) is not None for way in ways):
        return None
    gap = case.unread(*ways)
    return NotEvaluated(rule.id, case.part, gap.kind, need, str(gap))


def gap_of(reading: Reading) -> tuple[Gap, str]:
    """Return why a reading is no value, as a kind and in words."""
    if isinstance(reading, ReadError):
        low = reading.kind.lower()
        words = reading.message or reading.kind
        if low.endswith(("notsupported", "functionnotfound")) or reading.code == 0xC1:
            return Gap.UNSUPPORTED, words
        if "permission" in low or reading.code == 0xD4:
            return Gap.DENIED, words
        return (Gap.TIMEOUT if low == "timeout" else Gap.ERROR), words
    if isinstance(reading, NotCollected):
        return Gap.NOT_COLLECTED, reading.reason
    return Gap.NOT_COLLECTED, "the source itself has no value for it"


def _broken(rule: Rule, part: str, error: Exception) -> NotEvaluated:
    reason = f"the rule could not judge these facts ({type(error).__name__}: {error})"
    return NotEvaluated(rule.id, part, Gap.BROKEN, "", reason[:TEXT])


def _matches(node: Any, pattern: tuple[str, ...], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not pattern:
        yield path, node
        return
    if not isinstance(node, Mapping):
        return
    first, rest = pattern[0], pattern[1:]
    for name in list(node) if first == "*" else [first] if first in node else []:
        if isinstance(name, str):
            yield from _matches(node[name], rest, (*path, name))


def _shown(reading: Reading) -> str:
    match reading:
        case Value(value):
            return str(value)[:TEXT]
        case ReadError(kind, message):
            return f"{kind}: {message}"[:TEXT]
        case NotCollected(reason):
            return f"not collected: {reason}"[:TEXT]


def _whole_box(_facts: Facts, _path: tuple[str, ...]) -> str:
    return "host"


BOX = Scope("host", "", _whole_box, label=lambda _facts, _path: "this box")


def moment(text: object) -> datetime | None:
    """Return an RFC 3339 time as an aware datetime in UTC, None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None
