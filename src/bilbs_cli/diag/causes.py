"""Which finding caused which: Xid 154 over the catalogue's verdicts, sympathetic Xids under the root they follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bilbs_cli.diag.findings import Box, Finding, Judgement, Verdict, moment, order
from bilbs_cli.diag.rules import catalogue
from bilbs_cli.diag.rules.log_events import Gathered, gather
from bilbs_cli.diag.rules.xid import action, part_of

NEAR = timedelta(minutes=5)  # a consequence may be logged that long before its cause
CLEANUP, RECOVERY = 45, 154
FOLLOWED_BY = {  # what else the loss of a GPU shows: rules that speak of the same card
    "gpu.off_bus": ("xid.79",),
    "gpu.lost": ("xid.79", "gpu.off_bus"),
    "gpu.handle": ("xid.79", "gpu.off_bus", "gpu.lost"),
    "gpu.count": ("xid.79", "gpu.lost", "gpu.off_bus"),
    "gpu.driver.init_failed": ("xid.79", "gpu.off_bus"),
    "gpu.outlier.width": ("gpu.pcie.width",),
    "gpu.sram.uncorrected": ("gpu.ecc.uncorrected",),
    "host.aer.logged": ("xid.79", "gpu.off_bus"),
    "host.aer.fatal": ("xid.79", "gpu.off_bus", "host.aer.logged"),
    "bmc.sel.threshold": ("bmc.sensor.critical",),  # the event, and how the sensor reads now
    "bmc.sel.fan": ("bmc.fan.stopped",),
    "bmc.sel.power_supply": ("bmc.psu",),
    "gpu.row_remap.pending": ("xid.63", "xid.48", "xid.94", "xid.95"),
    "gpu.recovery_action": ("xid.79", "xid.95", "xid.48", "xid.119", "xid.120", "xid.154"),
}


@dataclass(frozen=True, slots=True)
class _Xid:
    """A finding of an Xid: its code and GPU, and when it happened (first)."""

    code: int
    part: str
    at: datetime | None
    finding: Finding


def relate(judgement: Judgement, box: Box) -> Judgement:
    """Return the judgement with overridden verdicts and causes; nothing is hidden. See docs/decisions/0005."""
    findings = [_overridden(one, box) for one in judgement.findings]
    causes = dict(_causes(findings, box))
    related = [_caused(one, _first(one.key, causes)) for one in findings]
    return replace(judgement, findings=order(related))


def _overridden(one: Finding, box: Box) -> Finding:
    """Return an Xid's finding with the verdict that the driver gave by Xid 154 in the same boot."""
    code = _code(one)
    if code is None or code in {CLEANUP, RECOVERY} or one.verdict is Verdict.RMA:
        return one
    asked = box.derive(_asked).get(one.part)
    if asked is None or not _is_before(one, asked):
        return one
    words, verdict = action(asked[0])
    if verdict is one.verdict:
        return one
    note = f"Xid 154 asks for {words}; the catalogue alone says: {one.verdict.words}"
    return replace(one, verdict=verdict, notes=(*one.notes, note))


def _asked(box: Box) -> Mapping[str, tuple[int, datetime | None]]:
    """Return per GPU the last recovery action that Xid 154 asked for, when it is not "none"."""
    found: dict[str, tuple[int, datetime | None]] = {}
    for seen in gather(box, "xid"):
        if seen.code == RECOVERY and seen.sightings:
            _, event, sight = seen.sightings[-1]
            number = event.detail.get("action")
            if isinstance(number, int) and number != 0:
                found[part_of(seen.pci)] = (number, moment(sight.at))
    return found


def _is_before(one: Finding, asked: tuple[int, datetime | None]) -> bool:
    """Say whether an error may be what the action is about: it is not known to have come later."""
    first = moment(one.first_at)
    return first is None or asked[1] is None or first <= asked[1] + NEAR


def _causes(findings: Sequence[Finding], box: Box) -> Iterator[tuple[str, str]]:
    """Yield key of a finding -> key of what it follows directly."""
    xids = list(_xids(findings))
    known = {(one.code, one.part): one for one in xids}
    named = box.derive(_named_causes)
    for one in xids:
        if cause := _cause(one, xids, known, named.get((one.code, one.part))):
            yield one.finding.key, cause.finding.key
    yield from _of_states(findings)


def _xids(findings: Iterable[Finding]) -> Iterator[_Xid]:
    for one in findings:
        code = _code(one)
        if code is not None:
            # a clean-up may go on for hours: the last one tells whether an error came before it
            yield _Xid(code, one.part, moment(one.last_at if code == CLEANUP else one.first_at), one)


def _code(one: Finding) -> int | None:
    family, _, number = one.rule.partition(".")
    return int(number) if family == "xid" and number.isdigit() else None


def _cause(one: _Xid, xids: Sequence[_Xid], known: Mapping[tuple[int, str], _Xid], named: int | None) -> _Xid | None:
    """Return the error that `one` follows: the one its own line names, else by the catalogue the worst on its GPU."""
    if named is not None and (found := known.get((named, one.part))) and found.code != one.code:
        return found
    entry = catalogue.load().xids.get(one.code)
    if one.code in {CLEANUP, RECOVERY}:
        wanted = [other for other in xids if other.code not in {CLEANUP, RECOVERY}]
    else:
        wanted = [other for other in xids if entry and other.code in entry.follows]
    near = [other for other in wanted if other.part == one.part and _may_follow(one, other)]
    return max(
        near, key=lambda other: (other.finding.severity.rank, other.finding.verdict.rank, -other.code), default=None
    )


def _may_follow(one: _Xid, other: _Xid) -> bool:
    return one.at is None or other.at is None or other.at <= one.at + NEAR


def _named_causes(box: Box) -> Mapping[tuple[int, str], int]:
    """Return the causes that lines name themselves ("caused by previous Xid 149")."""
    found: dict[tuple[int, str], int] = {}
    for seen in gather(box, "xid"):
        number = next(_causes_in(seen), None)
        if seen.code is not None and number is not None:
            found[seen.code, part_of(seen.pci)] = number
    return found


def _causes_in(seen: Gathered) -> Iterator[int]:
    for _, event in seen.told:
        number = event.detail.get("caused_by")
        if isinstance(number, int):
            yield number


def _of_states(findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """Yield what the state of a GPU follows from: the event in the log that explains it."""
    by_key = {one.key: one for one in findings}
    for one in findings:
        for cause in FOLLOWED_BY.get(one.rule, ()):
            if f"{cause}@{one.part}" in by_key:
                yield one.key, f"{cause}@{one.part}"
                break


def _first(key: str, causes: Mapping[str, str]) -> str:
    """Return the first cause at the end of a chain, empty for a root; of a circle one member is taken as the root."""
    chain = [key]
    while cause := causes.get(chain[-1]):
        if cause in chain:
            root = min(chain[chain.index(cause) :])
            return "" if root == key else root
        chain.append(cause)
    return chain[-1] if len(chain) > 1 else ""


def _caused(one: Finding, root: str) -> Finding:
    if not root or root == one.key:
        return one
    rule, _, part = root.partition("@")
    where = "" if part == one.part else f" on {part}"
    return replace(one, caused_by=root, notes=(*one.notes, f"follows {rule}{where}"))
