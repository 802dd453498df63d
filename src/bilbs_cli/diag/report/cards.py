"""The findings of a report: what to do and how sure we are, the proof with its place, and what followed from it."""

from __future__ import annotations

from collections.abc import Sequence

from bilbs_cli.diag import check_words, suggest
from bilbs_cli.diag.findings import Evidence, Finding, Verdict
from bilbs_cli.diag.report.markup import Markup, join, tag

MOST_FOLLOWED = 50


def anchor(number: int) -> str:
    """Return the anchor of the finding with this number, from 1."""
    return f"finding-{number}"


def card(number: int, one: Finding, followed: Sequence[Finding]) -> Markup:
    """Return one root finding with what followed from it, open; its summary takes the keyboard's focus."""
    return tag(
        "details",
        _summary(one),
        _body(one),
        _followed(followed),
        id=anchor(number),
        open=True,
        class_=f"card {one.severity.value}",
    )


def _summary(one: Finding) -> Markup:
    return tag(
        "summary",
        tag("span", one.severity.value.upper(), class_="badge"),
        tag("strong", one.label or one.part),
        tag("span", one.message, class_="message"),
    )


def _body(one: Finding) -> Markup:
    rows: list[tuple[str, object]] = []
    if one.verdict is not Verdict.IGNORE:
        rows.append(("Verdict", check_words.verdict_words(one)))
    if one.next:
        rows.append(("Next", one.next))
    if one.count > 1:
        rows.append(("Seen", check_words.seen(one)))
    if one.evidence:
        rows.append(("Evidence", join(_proof(proof) for proof in one.evidence)))
    rows += [("Note", note) for note in one.notes]
    if one.sev:
        rows.append(("Ticket", f"{suggest.NAMES.get(one.sev, one.sev)}, because {one.sev_why}"))
    rows.append(("Rule", join([tag("code", one.rule), Markup(" "), f"from {one.source}" if one.source else ""])))
    return tag("dl", join(tag("div", tag("dt", name), tag("dd", said)) for name, said in rows))


def _proof(proof: Evidence) -> Markup:
    where = check_words.place(proof)
    return tag("div", tag("span", where, class_="place") if where else "", tag("code", proof.text), class_="proof")


def _followed(followed: Sequence[Finding]) -> Markup:
    if not followed:
        return Markup("")
    more = len(followed) - MOST_FOLLOWED
    return tag(
        "div",
        tag("h4", f"What followed from it: {len(followed)}"),
        join(
            tag("details", _summary(one), _body(one), class_=f"card {one.severity.value}")
            for one in followed[:MOST_FOLLOWED]
        ),
        tag("p", f"and {more} more, in findings.json") if more > 0 else "",
        class_="followed",
    )
