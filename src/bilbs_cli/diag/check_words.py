"""The words of a check that every page of it says alike: headline, verdicts, coverage, and what to type next."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bilbs_cli.diag import box_lines, checked_json
from bilbs_cli.diag.checked import LIVE, THIS_BUNDLE, Checked
from bilbs_cli.diag.findings import FACTS, Evidence, Finding, Gap, NotEvaluated, Severity, Verdict, moment
from bilbs_cli.diag.kernel_log.events import logs_of
from bilbs_cli.quantities import show_time

REASONS = 3
ABSENT = "not present in these facts"  # what `model.lookup` says of a reading that nothing wrote
GAPS = {
    Gap.UNSUPPORTED: "unsupported by this hardware",
    Gap.DENIED: "denied",
    Gap.NOT_COLLECTED: "not collected",
    Gap.TIMEOUT: "timed out",
    Gap.ERROR: "answered with an error",
    Gap.BROKEN: "not understood by the rule itself",
}


def headline(checked: Checked) -> str:
    """Return the verdict over the box in one line; unknown is not healthy."""
    host = box_lines.dead_name(checked.header, checked.facts) or checked.host or "this box"
    counts = Counter(one.severity for one in checked.judgement.findings)
    found = ", ".join(f"{counts[one]} {one.value}" for one in reversed(Severity) if counts[one])
    return {
        "critical": f"CRITICAL on {host}: {found}",
        "warning": f"WARNING on {host}: {found}",
        "healthy": f"HEALTHY as far as could be read: {found or 'nothing found'} on {host}",
        "unknown": f"UNKNOWN on {host}: {why_unknown(checked)}",
    }[checked_json.status(checked)]


def folded(findings: Sequence[Finding]) -> list[tuple[Finding, list[Finding]]]:
    """Return the findings with what followed from each folded under it.

    Nothing is lost: one whose cause is not there or mild, or that was caused in a circle, is told as a root.
    """
    keys, reached = {one.key for one in findings}, set[str]()
    told: list[tuple[Finding, list[Finding]]] = []
    for alone in (True, False):
        for one in findings:
            is_root = one.caused_by not in keys or one.caused_by == one.key
            if one.key not in reached and (is_root or not alone):
                followed = [] if one.severity is Severity.INFO else _after(one, findings)
                told.append((one, followed))
                reached |= {other.key for other in followed}
        reached |= {one.key for one, _ in told}
    return told


def _after(root: Finding, findings: Sequence[Finding]) -> list[Finding]:
    """Return what followed from a finding, what followed from that included."""
    keys, found = {root.key}, list[Finding]()
    while new := [one for one in findings if one.caused_by in keys and one.key not in keys]:
        found += new
        keys |= {one.key for one in new}
    return found


def why_unknown(checked: Checked) -> str:
    """Return why nothing can be said of a box whose status is unknown."""
    return "no GPU gave a single reading" if checked.judgement.evaluated else "nothing could be evaluated"


def verdict_words(one: Finding) -> str:
    """Return what to do, and for an RMA candidate how sure we are and which proof is missing."""
    if not (one.have or one.missing):
        return one.verdict.words
    named = (("have ", one.have), ("still missing: ", one.missing))
    said = [word + ", ".join(proofs) for word, proofs in named if proofs]
    way = "" if one.verdict is Verdict.RMA else "not an RMA candidate yet, "
    return f"{one.verdict.words}, {way}{len(one.have)} of {len(one.have) + len(one.missing)} proofs ({'; '.join(said)})"


def suspects(findings: Iterable[Finding]) -> list[Finding]:
    """Return what may have to be pulled, one finding a part: RMA candidates first, then what could become one."""
    found = [one for one in findings if one.verdict is Verdict.RMA or one.missing]
    by_part: dict[str, Finding] = {}
    for one in sorted(found, key=lambda one: one.verdict is not Verdict.RMA):
        by_part.setdefault(one.part, one)
    return list(by_part.values())


def seen(one: Finding) -> str:
    """Return how often and when it was seen."""
    first, last = _told_time(one.first_at), _told_time(one.last_at)
    return f"{one.count} times" + (f", from {first} to {last}" if first and last and first != last else "")


def place(proof: Evidence) -> str:
    """Return where a proof stands in the bundle, and when it happened; empty for a reading of now."""
    if proof.member == FACTS and proof.line is None:
        return ""  # a reading of now: there is no file to look into
    where = proof.member + (f":{proof.line}" if proof.line else "")
    when = _told_time(proof.at)
    return where + (f", {when}" if when else "")


def coverage(checked: Checked) -> str:
    """Return what was not evaluated, by kind, and what would help."""
    gaps = checked.judgement.not_evaluated
    if not gaps:
        return "Nothing was left out."
    kinds = Counter(one.kind for one in gaps).most_common()
    said = [f"{count} {GAPS[kind]}" for kind, count in kinds if kind is not Gap.DENIED]
    if denied := dict(kinds).get(Gap.DENIED):
        root, live = checked.header.get("root") is True, checked.source == "live"
        type_ = "" if root else f": sudo bilbs diag {'check' if live else 'collect'}"
        said.append(f"{denied} {'denied' if root else 'need root'}{type_}")
    return f"{len(gaps)} not evaluated: {', '.join(said)}"


def not_whole(checked: Checked) -> str:
    """Return which logs were not read whole, as a sentence; empty where all were."""
    cut = [log.member for log in logs_of(checked.facts) if log.cut]
    return f"Not read whole (beyond diag.max_file_size, or ended early): {', '.join(cut)}" if cut else ""


def reasons(gaps: Sequence[NotEvaluated]) -> list[tuple[str, int]]:
    """Return the most frequent reasons, without those that are already said: unsupported, and denied."""
    said = {Gap.UNSUPPORTED, Gap.DENIED}
    return Counter(_reason(one) for one in gaps if one.kind not in said).most_common(REASONS)


def _reason(gap: NotEvaluated) -> str:
    said = gap.reason.rpartition(" was not readable: ")[2]
    return f"{gap.part.partition(':')[0]}: {said}" if said == ABSENT else said


def steps(checked: Checked) -> Iterator[tuple[str, str]]:
    """Yield what to type next, each command with its purpose."""
    live, status = checked.source == "live", checked_json.status(checked)
    roots = [one for one in checked.judgement.findings if not one.caused_by and one.severity is not Severity.INFO]
    if live and status != "healthy":
        yield "bilbs diag collect", "keep the evidence before a reset or reboot wipes it"
    if suspect := next(iter(suspects(roots)), None):
        bundle = "BUNDLE" if checked.source in {LIVE, THIS_BUNDLE} else shlex.quote(checked.source)
        yet = "" if suspect.verdict is Verdict.RMA else ", once the proof is there"
        yield f"bilbs diag rma {bundle} --part {suspect.part}", f"the papers for the OEM{yet}"
    if roots:
        yield f"bilbs diag explain {roots[0].rule}", "what it means, and where that is from"
    if status == "unknown" and live and checked.header.get("root") is not True:
        yield "sudo bilbs diag check", "what only root can read"


def _told_time(text: str | None) -> str:
    when = moment(text)
    return show_time(when) if when else ""
