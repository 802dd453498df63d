"""`bilbs support ticket open`: on this disk first, then at the desk; then its bundle, and the page for a Sev-1."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import BilbsError, Exit, UsageProblem
from bilbs_cli.support.commands.ticket_flags import File, Message

if TYPE_CHECKING:
    from bilbs_cli.config import Config
    from bilbs_cli.providers.model import Provider
    from bilbs_cli.support.sla_question import Question
    from bilbs_cli.support.submit import Submitted

app = typer.Typer(add_completion=False)

PROFILES = {"triage": ("triage",), "standard": ("triage", "standard")}  # the small bundle at once, the full one later
PAGE_POLL_S = 25


@app.command()
def open_ticket(
    severity: Annotated[
        str | None, typer.Option("--severity", "-s", help="sev1 to sev4; you set it. Unmarked: the plan's default.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="One line; without it the first line of the text.")
    ] = None,
    message: Message = None,
    file: File = None,
    impact: Annotated[
        str | None, typer.Option("--impact", metavar="TEXT", help="What is hit, how many, production or not.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="hardware, software, question or feature.")] = None,
    category: Annotated[str | None, typer.Option("--category", help="What it is about.")] = None,
    diag: Annotated[
        str | None,
        typer.Option("--diag", metavar="triage|standard|BUNDLE", help="Attach a bundle of this box, or this one."),
    ] = None,
    dedup: Annotated[
        str | None,
        typer.Option(
            "--dedup",
            metavar="auto|KEY|none",
            help="Join the open ticket with this key; auto: of this box and what fails.",
        ),
    ] = None,
    page: Annotated[
        bool,
        typer.Option(
            "--page", help="Wake the on-call engineer (most severe level), and wait for a person.", show_default=False
        ),
    ] = False,
    page_wait: Annotated[
        str, typer.Option("--page-wait", metavar="TIME", help="How long to wait for a person.")
    ] = "15m",
    provider: Annotated[str | None, typer.Option("--provider", metavar="ID", help="Support plan.")] = None,
    tier: Annotated[str | None, typer.Option("--tier", help="Its tier.")] = None,
    _json: terminal.Json = False,
) -> None:
    """Open a ticket. It is safe on this disk before anything is sent; exit 75 means queued, not delivered.

    The text comes from -m, -F, a pipe, or your $EDITOR.
    """
    from bilbs_cli import config
    from bilbs_cli.support import sla_question, ticket_text
    from bilbs_cli.support.sla_flags import Flags

    settings = config.load()
    asked = sla_question.question(Flags(provider, tier, severity, kind), settings)
    plan = asked.plan.provider
    urgent = plan.rank(asked.severity.id) == 0
    ticket_text.refuse_elsewhere(plan, category)
    ticket_text.require_impact(plan, asked.severity, impact)
    wait_s = _page_wait(page_wait) if page and urgent else _no_page(plan, page=page)
    bundles = _bundles(diag)
    with ticket_text.given(message, file) as text:
        body = _body(asked, text, subject=subject, impact=impact, kind=kind, category=category)
        _add_evidence(body, dedup)
        done = _sent(body, settings, text, urgent=urgent)
    _told(done)
    attached, problems = _attached(done, bundles, settings)
    paged = _paged(done, body, settings, wait_s) if wait_s and done.delivered else None
    _finish(done, asked, attached, problems, paged, urgent=urgent)


def _page_wait(text: str) -> float:
    from bilbs_cli.quantities import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageProblem(f"--page-wait: {error}", safe="nothing was sent") from error


def _no_page(plan: Provider, *, page: bool) -> float:
    """Return 0. Raises `UsageProblem` where a page was asked for that the plan does not have."""
    if page:
        level = plan.severities[0]
        raise UsageProblem(
            f"the pager is for {level.name} only", safe="nothing was sent", next=f"--severity {level.id}"
        )
    return 0.0


def _bundles(diag: str | None) -> tuple[str, ...]:
    """Return what is to be attached: profiles to collect, or a file that is there. Raises `UsageProblem`."""
    from pathlib import Path

    if diag is None:
        return ()
    if diag in PROFILES:
        return PROFILES[diag]
    if not Path(diag).is_file():
        raise UsageProblem(
            f"--diag {diag}: there is no such file",
            safe="nothing was sent",
            next="--diag triage, --diag standard, or a bundle",
        )
    return (diag,)


def _body(
    asked: Question, text: str, *, subject: str | None, impact: str | None, kind: str | None, category: str | None
) -> dict[str, Any]:
    from bilbs_cli.support import card_file, submit, ticket_text

    body: dict[str, Any] = {
        "subject": ticket_text.subject_of(subject, text),
        "body": text,
        "severity": asked.severity.id,
        "provider": asked.plan.provider.id,
        "occurred_at": submit.now(),
    }
    extra = {
        "kind": kind,
        "category": category,
        "impact": {"statement": impact} if impact else None,
        "box_id": card_file.fields().get("serial"),
    }
    return body | {name: value for name, value in extra.items() if value}


def _add_evidence(body: dict[str, Any], dedup: str | None) -> None:
    """Add the key, and with `auto` what `diag check` finds; a check that gives no answer costs the key, not the ticket."""
    if dedup is None or dedup == "none":
        return
    if dedup != "auto":
        body["dedup_key"] = dedup
        return
    import socket

    from bilbs_cli.support import evidence

    try:
        found = evidence.of_box()
    except BilbsError as error:
        terminal.warn(f"{error}: the ticket joins no other one")
        return
    key = evidence.dedup_key(str(body.get("box_id") or socket.gethostname()), found)
    if key:
        body["dedup_key"] = key
    else:
        terminal.warn("diag check finds nothing critical here: the ticket joins no other one")
    if found.evidence:
        body["evidence"] = list(found.evidence)
    if found.severity and found.severity != body["severity"]:
        terminal.note(f"diag check would say {found.severity} ({found.why}); yours, {body['severity']}, is taken")


def _sent(body: dict[str, Any], settings: Config, text: str, *, urgent: bool) -> Submitted:
    from bilbs_cli.support.commands import ticket_writing

    return ticket_writing.submitted("ticket.open", body, settings, text, urgent=urgent)


def _told(done: Submitted) -> None:
    """Say at once that the desk has it, before the bundle is collected."""
    from bilbs_cli.support.commands import ticket_writing

    if done.delivered and not terminal.wants_json():
        joined = " (joined: it was open already)" if _joined(done) else ""
        terminal.out(f"ticket {ticket_writing.name_of(done)}: delivered{joined}")


def _joined(done: Submitted) -> bool:
    """Say whether the desk answered with a ticket that was open before this one was written."""
    return bool((done.entry.answer or {}).get("joined"))


def _attached(
    done: Submitted, bundles: tuple[str, ...], settings: Config
) -> tuple[list[dict[str, Any]], list[BilbsError]]:
    """Collect and attach each bundle; what fails costs that bundle, never the ticket."""
    attached: list[dict[str, Any]] = []
    problems: list[BilbsError] = []
    if done.entry.state == "refused":
        return attached, problems
    for one in bundles:
        try:
            attached.append(_attach(done, one, settings))
        except BilbsError as error:
            problems.append(error)
            terminal.note(f"bilbs: {error}")
    return attached, problems


def _attach(done: Submitted, bundle: str, settings: Config) -> dict[str, Any]:
    from pathlib import Path

    from bilbs_cli.support import audit, box_bundle
    from bilbs_cli.support.commands import ticket_attach_command

    path = Path(bundle)
    if bundle in PROFILES:
        terminal.note(f"collecting the {bundle} bundle of this box ...")
        path = box_bundle.collected(bundle)
    audit.note("consented", kind="bundle", entry=done.entry.id, file=str(path), by="ticket open --diag")
    ticket = str((done.entry.answer or {}).get("id") or done.entry.id)
    return ticket_attach_command.attached(ticket, path, "diag", settings)


def _paged(done: Submitted, body: dict[str, Any], settings: Config, wait_s: float) -> dict[str, Any]:
    """Page the on-call engineer and follow the page to a person."""
    from bilbs_cli.support.commands import ticket_desk, ticket_writing

    number = ticket_writing.name_of(done)
    message = f"{body['severity']} {number}: {body['subject']}"[:1000]
    ticket = str((done.entry.answer or {}).get("id"))
    page = ticket_writing.submitted("ticket.page", {"message": message}, settings, message, ticket=ticket, urgent=True)
    answer = page.entry.answer or {}
    if not page.delivered or not isinstance(answer.get("id"), str):
        terminal.note(f"the page is not delivered: {page.reason}")
        return {"state": "queued", "human_acked": None}
    until = time.monotonic() + wait_s
    said = ""
    with ticket_desk.connected(settings) as desk:
        while True:
            state = str(answer.get("state"))
            if state != said:
                terminal.note(f"page: {state.replace('_', ' ')}")
                said = state
            acked = answer.get("human_acked")
            left = until - time.monotonic()
            if acked or left <= 0:
                return {"id": answer.get("id"), "state": state, "human_acked": acked or None}
            poll = max(min(int(left), PAGE_POLL_S), 1)
            try:
                answer = desk.get(
                    f"/pages/{answer['id']}", headers={"Prefer": f"wait={poll}"}, timeout_s=poll + 10, budget_s=left
                )
            except BilbsError as error:
                terminal.warn(f"the page cannot be followed: {error}")
                return {"id": answer.get("id"), "state": state, "human_acked": None}


def _finish(
    done: Submitted,
    asked: Question,
    attached: list[dict[str, Any]],
    problems: list[BilbsError],
    paged: dict[str, Any] | None,
    *,
    urgent: bool,
) -> None:
    from bilbs_cli.support import sla_json
    from bilbs_cli.support.commands import ticket_writing

    due = [
        {name: one[name] for name in ("metric", "role", "due_at", "limit", "source", "assumed")}
        for one in (sla_json.target(asked, clock, explained=False) for clock in asked.clocks())
        if one["due_at"]
    ]
    failed = ticket_writing.problem(done, "ticket")
    errors = [*([failed] if failed else []), *problems]
    data = {
        **ticket_writing.as_json(done),
        "due": due,
        "severity": asked.severity.id,
        "joined": done.delivered and _joined(done),
        "attachments": attached,
        "page": paged,
    }
    terminal.emit("support.ticket", data, text=lambda: _page_told(paged), errors=errors)
    if paged and not paged["human_acked"]:
        terminal.note(f"nobody has acknowledged the page: it is {str(paged['state']).replace('_', ' ')}")
    if urgent and (failed or (paged and not paged["human_acked"])):
        ticket_writing.page_by_hand()
    if errors:
        raise errors[0]
    if paged and not paged["human_acked"]:
        raise typer.Exit(Exit.CONDITION)


def _page_told(paged: dict[str, Any] | None) -> None:
    if paged and isinstance(paged["human_acked"], dict):
        terminal.out(f"{paged['human_acked'].get('by')} has it since {paged['human_acked'].get('at')}")
