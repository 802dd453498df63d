"""What `bilbs diag check` says, as lines of plain text for a person at night: verdict, causes, coverage, what to type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from bilbs_cli.diag import check_words, suggest
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Finding, Severity, Verdict
from bilbs_cli.escape import visible
from bilbs_cli.quantities import show_time
from bilbs_cli.tables import cells, wrapped

WIDTH = 80
MOST = 20  # findings told in full
MOST_INFO = 10
MOST_FOLLOWED = 4
PROOFS = 2
LABEL = 10
COMMAND = 27
MARKS = {"critical": "!!", "warning": " !", "info": "  "}


def page(checked: Checked, remembered: str = "", width: int = WIDTH) -> list[str]:
    """Return the page; no line is wider than `width`. `remembered` is what the box keeps of this check, in words."""
    width = max(width, 40)
    told = check_words.folded(checked.judgement.findings)
    parts = [list(_verdict(checked, width)), *_findings(told, width), list(_infos(told, width))]
    parts += [list(_end(checked, remembered, width)), list(_next(checked, width))]
    lines = [line for part in parts if part for line in (*part, "")]
    return lines[:-1]


def _verdict(checked: Checked, width: int) -> Iterator[str]:
    yield from wrapped(check_words.headline(checked), "", width)
    place = "this box" if checked.source == "live" else checked.source
    yield from wrapped(
        f"{place}, as of {show_time(checked.collected_at)}; Xid catalogue {checked.catalogue}", "", width
    )
    if first := next((one for one in checked.timeline if one.first_cause), None):
        yield from wrapped(f"It began at {show_time(first.at)} ({first.source}): {first.text}", "", width)


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
        yield from _field("verdict", check_words.verdict_words(one), width)
    if one.count > 1:
        yield from _field("seen", check_words.seen(one), width)
    for proof in one.evidence[:PROOFS]:
        yield from _field("evidence", check_words.place(proof) or proof.text, width)
        yield from _field("", proof.text, width) if check_words.place(proof) else ()
    if more := len(one.evidence) - PROOFS:
        yield from _field("", f"and {more} more lines", width) if more > 0 else ()
    for note in one.notes:
        yield from _field("note", note, width)
    if one.next:
        yield from _field("next", one.next, width)
    yield from _followed(one, followed, width)


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
    yield from wrapped(
        f"{judgement.evaluated} checks by {judgement.rules} rules. {check_words.coverage(checked)}", "", width
    )
    if cut := check_words.not_whole(checked):
        yield from wrapped(cut, "", width)
    for reason, count in check_words.reasons(judgement.not_evaluated):
        yield from wrapped(f"{count} x {reason}", "   ", width)
    sev, why = suggest.overall(judgement)
    if sev:
        said = f"Suggested severity of a ticket: {suggest.NAMES.get(sev, sev)}, because {why}. You decide."
        yield from wrapped(said, "", width)
    if remembered:
        yield from wrapped(f"Memory: {remembered}", "", width)


def _next(checked: Checked, width: int) -> Iterator[str]:
    steps = list(check_words.steps(checked))
    if steps:
        yield "Next"
    for typed, why in steps:
        command = visible(" ".join(typed.split()))
        if len(command) <= COMMAND:
            yield from wrapped(why, f"   {command:<{COMMAND}} ", width)
        else:  # lines of their own, to be copied
            yield from _typed(command, width)
            yield from wrapped(why, " " * (COMMAND + 4), width)


def _typed(command: str, width: int) -> Iterator[str]:
    """Yield a command as a shell takes it: a line ends in a backslash between two words, and in none of them."""
    rows, room = [""], width - 5
    for word in re.findall(r"(?:'[^']*'|[^ '])+", command):
        if rows[-1] and len(rows[-1]) + 1 + cells(word) > room:
            rows.append("")
        rows[-1] += f" {word}" if rows[-1] else word
    if any(cells(row) > room for row in rows):  # one word is wider than the screen: nothing can be done about it
        yield from wrapped(command, "   ", width)
        return
    yield from (f"   {row} \\" for row in rows[:-1])
    yield f"   {rows[-1]}"


def _field(label: str, text: str, width: int) -> Iterator[str]:
    yield from wrapped(text, f"   {label:<{LABEL}}", width)
