"""What `bilbs diag check` says, as lines of plain text for a person at night: verdict, causes, coverage, what to type."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from bilbs_cli.diag import checked_json, suggest
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import FACTS, Evidence, Finding, Gap, NotEvaluated, Severity, Verdict, moment
from bilbs_cli.escape import visible
from bilbs_cli.tables import cells

WIDTH = 80
MOST = 20  # findings told in full
MOST_INFO = 10
MOST_FOLLOWED = 4
PROOFS = 2
REASONS = 3
LABEL = 10
COMMAND = 27
MARKS = {"critical": "!!", "warning": " !", "info": "  "}
GAPS = {
    Gap.UNSUPPORTED: "unsupported by this hardware",
    Gap.DENIED: "denied",
    Gap.NOT_COLLECTED: "not collected",
    Gap.TIMEOUT: "timed out",
    Gap.ERROR: "answered with an error",
    Gap.BROKEN: "not understood by the rule itself",
}


def page(checked: Checked, remembered: str = "", width: int = WIDTH) -> list[str]:
    """Return the page; no line is wider than `width`. `remembered` is what the box keeps of this check, in words."""
    width = max(width, 40)
    told = _folded(checked.judgement.findings)
    parts = [list(_verdict(checked, width)), *_findings(told, width), list(_infos(told, width))]
    parts += [list(_end(checked, remembered, width)), list(_next(checked, width))]
    lines = [line for part in parts if part for line in (*part, "")]
    return lines[:-1]


def _folded(findings: Sequence[Finding]) -> list[tuple[Finding, list[Finding]]]:
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


def _verdict(checked: Checked, width: int) -> Iterator[str]:
    status, host = checked_json.status(checked), checked.host or "this box"
    counts = Counter(one.severity for one in checked.judgement.findings)
    found = ", ".join(f"{counts[one]} {one.value}" for one in reversed(Severity) if counts[one])
    said = {
        "critical": f"CRITICAL on {host}: {found}",
        "warning": f"WARNING on {host}: {found}",
        "healthy": f"HEALTHY as far as could be read: {found or 'nothing found'} on {host}",
        "unknown": f"UNKNOWN on {host}: {_why_unknown(checked)}",
    }[status]
    yield from wrapped(said, "", width)
    place = "this box" if checked.source == "live" else checked.source
    yield from wrapped(f"{place}, as of {_time(checked.collected_at)}; Xid catalogue {checked.catalogue}", "", width)
    if first := next((one for one in checked.timeline if one.first_cause), None):
        yield from wrapped(f"It began at {_time(first.at)} ({first.source}): {first.text}", "", width)


def _why_unknown(checked: Checked) -> str:
    return "no GPU gave a single reading" if checked.judgement.evaluated else "nothing could be evaluated"


def _findings(told: Sequence[tuple[Finding, list[Finding]]], width: int) -> Iterator[list[str]]:
    alarming = [(one, followed) for one, followed in told if one.severity is not Severity.INFO]
    for one, followed in alarming[:MOST]:
        yield list(_finding(one, followed, width))
    if rest := alarming[MOST:]:
        counts = Counter(one.severity.value for one, _ in rest)
        named = ", ".join(f"{count} {name}" for name, count in counts.items())
        yield list(wrapped(f"and {len(rest)} more ({named}): bilbs diag check --json lists them", "", width))


def _finding(one: Finding, followed: Sequence[Finding], width: int) -> Iterator[str]:
    head = f"{MARKS[one.severity.value]} {one.severity.value.upper():<8}  "
    yield from wrapped(f"{one.label or one.part}", head, width)
    yield from wrapped(f"{one.message} [{one.rule}]", "   ", width)
    if one.verdict is not Verdict.IGNORE:
        yield from _field("verdict", _verdict_words(one), width)
    if one.count > 1:
        yield from _field("seen", _seen(one), width)
    for proof in one.evidence[:PROOFS]:
        yield from _field("evidence", _place(proof) or proof.text, width)
        yield from _field("", proof.text, width) if _place(proof) else ()
    if more := len(one.evidence) - PROOFS:
        yield from _field("", f"and {more} more lines", width) if more > 0 else ()
    for note in one.notes:
        yield from _field("note", note, width)
    if one.next:
        yield from _field("next", one.next, width)
    yield from _followed(one, followed, width)


def _verdict_words(one: Finding) -> str:
    if not (one.have or one.missing):
        return one.verdict.words
    named = (("have ", one.have), ("still missing: ", one.missing))
    said = [word + ", ".join(proofs) for word, proofs in named if proofs]
    return f"{one.verdict.words}, {len(one.have)} of {len(one.have) + len(one.missing)} proofs ({'; '.join(said)})"


def _seen(one: Finding) -> str:
    first, last = _told(one.first_at), _told(one.last_at)
    return f"{one.count} times" + (f", from {first} to {last}" if first and last and first != last else "")


def _place(proof: Evidence) -> str:
    if proof.member == FACTS and proof.line is None:
        return ""  # a reading of now: there is no file to look into
    where = proof.member + (f":{proof.line}" if proof.line else "")
    when = _told(proof.at)
    return where + (f", {when}" if when else "")


def _followed(root: Finding, followed: Sequence[Finding], width: int) -> Iterator[str]:
    for one in followed[:MOST_FOLLOWED]:
        times = f" ({one.count} times)" if one.count > 1 else ""
        where = "" if one.part == root.part else f" on {one.label or one.part}"
        yield from _field("followed", f"{one.rule}{where}{times}: {one.message}", width)
    if more := followed[MOST_FOLLOWED:]:
        yield from _field("", f"and {len(more)} more findings that follow from it", width)


def _infos(told: Sequence[tuple[Finding, list[Finding]]], width: int) -> Iterator[str]:
    infos = [one for one, _ in told if one.severity is Severity.INFO]
    if infos:
        yield "For your information"
    for one in infos[:MOST_INFO]:
        times = f" ({one.count} times)" if one.count > 1 else ""
        yield from wrapped(f"{one.label or one.part}: {one.message}{times} [{one.rule}]", "   ", width)
    if len(infos) > MOST_INFO:
        yield f"   and {len(infos) - MOST_INFO} more"


def _end(checked: Checked, remembered: str, width: int) -> Iterator[str]:
    judgement = checked.judgement
    yield from wrapped(f"{judgement.evaluated} checks by {judgement.rules} rules. {_coverage(checked)}", "", width)
    for reason, count in _reasons(judgement.not_evaluated):
        yield from wrapped(f"{count} x {reason}", "   ", width)
    sev, why = suggest.overall(judgement)
    if sev:
        said = f"Suggested severity of a ticket: {suggest.NAMES.get(sev, sev)}, because {why}. You decide."
        yield from wrapped(said, "", width)
    if remembered:
        yield from wrapped(f"Memory: {remembered}", "", width)


def _coverage(checked: Checked) -> str:
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


def _reasons(gaps: Sequence[NotEvaluated]) -> list[tuple[str, int]]:
    """Return the most frequent reasons, without those that are already said: unsupported, and denied."""
    said = {Gap.UNSUPPORTED, Gap.DENIED}
    told = (one.reason.rpartition(" was not readable: ")[2] for one in gaps if one.kind not in said)
    return Counter(told).most_common(REASONS)


def _next(checked: Checked, width: int) -> Iterator[str]:
    steps = list(_steps(checked))
    if steps:
        yield "Next"
    for typed, why in steps:
        command = visible(" ".join(typed.split()))
        if len(command) <= COMMAND:
            yield from wrapped(why, f"   {command:<{COMMAND}} ", width)
        else:  # a line of its own, to be copied
            yield from wrapped(command, "   ", width)
            yield from wrapped(why, " " * (COMMAND + 4), width)


def _steps(checked: Checked) -> Iterator[tuple[str, str]]:
    live, status = checked.source == "live", checked_json.status(checked)
    roots = [one for one in checked.judgement.findings if not one.caused_by and one.severity is not Severity.INFO]
    if live and status != "healthy":
        yield "bilbs diag collect", "keep the evidence before a reset or reboot wipes it"
    if candidate := next((one for one in roots if one.verdict is Verdict.RMA), None):
        bundle = "BUNDLE" if live else checked.source
        yield f"bilbs diag rma {bundle} --part {candidate.part}", "the papers for the OEM"
    if roots:
        yield f"bilbs diag explain {roots[0].rule}", "what it means, and where that is from"
    if status == "unknown" and live and checked.header.get("root") is not True:
        yield "sudo bilbs diag check", "what only root can read"


def _field(label: str, text: str, width: int) -> Iterator[str]:
    yield from wrapped(text, f"   {label:<{LABEL}}", width)


def wrapped(text: str, head: str, width: int) -> Iterator[str]:
    """Yield text behind `head`, in lines of at most `width` columns, those after the first indented."""
    text = visible(" ".join(text.split()))
    room = width - len(head)
    lines = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
    if any(cells(line) > room for line in lines):  # characters of two columns
        lines = textwrap.wrap(text, room // 2, break_on_hyphens=False)
    for number, line in enumerate(lines):
        yield ((head if number == 0 else " " * len(head)) + line).rstrip()


def _told(text: str | None) -> str:
    when = moment(text)
    return _time(when) if when else ""


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
