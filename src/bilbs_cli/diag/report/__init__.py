"""report.html: the verdict over a box as one file that asks nothing of any network and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

from bilbs_cli.diag import box_lines, check_words, checked_json, identity, suggest
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Box, Finding, Severity, Verdict
from bilbs_cli.diag.report import cards, places, readings, story, strips
from bilbs_cli.diag.report.markup import Markup, join, tag
from bilbs_cli.diag.slots import slot_map
from bilbs_cli.quantities import show_time

MOST = 200  # findings with a card; all are in findings.json
MOST_SUSPECTS = 8
MOST_GPUS = 64
MOST_GAPS = 300

Told = Sequence[tuple[Finding, list[Finding]]]


def page(checked: Checked) -> str:
    """Return the page; the same check gives the same page.

    Its policy allows its own style sheet, by its hash, and nothing else: no script, no request, no form.
    """
    told = check_words.folded(checked.judgement.findings)
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    named = f"{checked_json.status(checked).upper()}: {checked.host or 'this box'}"
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{named} - bilbs"),
        Markup(f"<style>{style}</style>"),
    ]
    body = [_header(checked, told), tag("main", join(_sections(checked, told))), _footer(checked)]
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', *body), lang='en')}\n"


@cache
def _style() -> str:
    return resources.files(__name__).joinpath("style.css").read_text()


def _header(checked: Checked, told: Told) -> Markup:
    status = checked_json.status(checked)
    first = next((one for one in checked.timeline if one.first_cause), None)
    began = f"It began at {show_time(first.at)} ({first.source}): {first.text}" if first else ""
    sev, why = suggest.overall(checked.judgement)
    ticket = f"Suggested severity of a ticket: {suggest.NAMES.get(sev, sev)}, because {why}. You decide." if sev else ""
    return tag(
        "header",
        tag("h1", check_words.headline(checked)),
        tag("p", box_lines.name(checked.header, checked.facts)),
        tag("p", f"As of {show_time(checked.collected_at)}"),
        tag("p", began) if began else "",
        _suspects(told),
        _steps(checked),
        tag("p", ticket) if ticket else "",
        class_=status,
    )


def _suspects(told: Told) -> Markup:
    found = check_words.suspects(one for one, _ in told)
    more = len(found) - MOST_SUSPECTS
    return join([*map(_pull, found[:MOST_SUSPECTS]), tag("p", f"and {more} more suspects below") if more > 0 else ""])


def _pull(one: Finding) -> Markup:
    """Return which part may have to be pulled, how sure we are, and what is still missing for its RMA."""
    proofs = len(one.have) + len(one.missing)
    rma = one.verdict is Verdict.RMA
    sure = f"{len(one.have)} of {proofs} proofs" + ("" if rma else f" for an RMA; do this first: {one.verdict.words}")
    return tag(
        "section",
        tag("h2", f"{'RMA candidate' if rma else 'Suspect'}: {one.label or one.part}"),
        tag("p", one.message),
        tag("p", sure) if proofs else "",
        tag(
            "ul",
            join(tag("li", f"have: {proof}", class_="have") for proof in one.have),
            join(tag("li", f"still missing: {proof}", class_="missing") for proof in one.missing),
        )
        if proofs
        else "",
        class_="pull",
    )


def _steps(checked: Checked) -> Markup:
    rows = [tag("li", tag("code", typed), tag("span", why)) for typed, why in check_words.steps(checked)]
    return tag("section", tag("h2", "What to type next"), tag("ol", join(rows)), class_="steps") if rows else Markup("")


def _sections(checked: Checked, told: Told) -> Iterator[Markup]:
    box = Box(checked.facts, checked.collected_at)
    findings = checked.judgement.findings
    anchors = {one.key: cards.anchor(at) for at, (root, rest) in enumerate(told[:MOST], 1) for one in (*rest, root)}
    pulled = {one.part for one in findings if one.verdict is Verdict.RMA}
    troubled = {one.part for one in findings if one.severity is Severity.CRITICAL}
    yield _section("Findings", _findings(told))
    yield _section("GPUs", _gpus(checked))
    yield _section("Slots", places.slot_map(slot_map(box), pulled, troubled))
    yield _section("BMC sensors", _sensors(checked))
    yield _section("Timeline (UTC)", story.story(checked.timeline, anchors))
    yield _section("Not evaluated", _coverage(checked))


def _section(title: str, *inside: object) -> Markup:
    return tag("section", tag("h2", title), *inside)


def _findings(told: Told) -> Markup:
    if not told:
        return tag("p", "None. What was not looked at is listed below: unknown is not healthy.")
    more = len(told) - MOST
    return join(
        [
            *(cards.card(at, one, rest) for at, (one, rest) in enumerate(told[:MOST], 1)),
            tag("p", f"and {more} more, in findings.json") if more > 0 else "",
        ]
    )


def _gpus(checked: Checked) -> Markup:
    if not checked.gpus:
        return tag("p", "None is known: neither the driver, the PCI bus, a baseline nor the kernel log names one.")
    words = {
        "nvml": "answers",
        "pci": "on the bus, not with the driver",
        "lost": "LOST",
        "missing": "MISSING",
        "unknown": "not known whether it is there",
    }
    rows = []
    for gpu in checked.gpus[:MOST_GPUS]:
        shown = readings.of_gpu(checked.facts, gpu)
        rows.append(
            tag(
                "article",
                tag("h3", identity.label(gpu)),
                tag("p", ", ".join(part for part in (gpu.name, words.get(gpu.present, gpu.present)) if part)),
                join(map(strips.row, shown)) if shown else tag("p", "No reading of it could be had.", class_="none"),
                class_=f"gpu {gpu.present}",
            )
        )
    more = len(checked.gpus) - MOST_GPUS
    return join(
        [tag("div", join(rows), class_="grid"), tag("p", f"and {more} more, in facts.json") if more > 0 else ""]
    )


def _sensors(checked: Checked) -> Markup:
    shown = readings.of_sensors(checked.facts)
    if not shown:
        return tag("p", "None with a threshold was read.")
    return tag("div", join(map(strips.row, shown)), class_="grid sensors")


def _coverage(checked: Checked) -> Markup:
    judgement = checked.judgement
    gaps = judgement.not_evaluated
    said = tag("p", f"{judgement.evaluated} checks by {judgement.rules} rules. {check_words.coverage(checked)}")
    if cut := check_words.not_whole(checked):
        said = join([said, tag("p", cut)])
    if not gaps:
        return said
    rows = [
        tag("tr", tag("td", tag("code", one.rule)), tag("td", one.part), tag("td", one.reason))
        for one in gaps[:MOST_GAPS]
    ]
    titles = tag("tr", *(tag("th", name, scope="col") for name in ("Rule", "Part", "Why it said nothing")))
    more = len(gaps) - MOST_GAPS
    return join(
        [
            said,
            tag(
                "details",
                tag("summary", f"All {len(gaps)}"),
                tag("div", tag("table", tag("thead", titles), tag("tbody", *rows)), class_="wide"),
                tag("p", f"and {more} more, in findings.json") if more > 0 else "",
            ),
        ]
    )


def _footer(checked: Checked) -> Markup:
    made = f"Made by {checked.tool}, Xid catalogue {checked.catalogue}, from {checked.source}."
    return tag("footer", tag("p", made), tag("p", "Places name a member of the bundle and its line."))
