"""From the outbox to the desk: in order within a ticket, within a budget, safe beside another run.

A run that sends everything holds `flush.lock`; what sends one ticket holds only that ticket's chain, so that a Sev-1 never
waits behind a thousand comments or a large file. Files go after everything else, and hold back nothing but the closing of
their ticket. Results are written in small batches: a process that dies in between sends again with the same keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

from bilbs_cli import files
from bilbs_cli.support import audit, chains
from bilbs_cli.support.api import Answer, Later, LoggedOut, Never, Taken, jittered, next_pause
from bilbs_cli.support.ids import is_id
from bilbs_cli.support.outbox import DELIVERED, QUEUED, REFUSED, SENDING, Entry, Outbox, Outcome

ATTACH = "ticket.attach"
# The path of each kind; `{ticket}` is the desk's id of the ticket.
PATHS = {
    "ticket.open": "/tickets",
    "ticket.comment": "/tickets/{ticket}/comments",
    "ticket.close": "/tickets/{ticket}/actions/close",
    "ticket.reopen": "/tickets/{ticket}/actions/reopen",
    "ticket.escalate": "/tickets/{ticket}/actions/escalate",
    "ticket.severity": "/tickets/{ticket}/actions/set-severity",
    "ticket.page": "/tickets/{ticket}/pages",
    ATTACH: "/tickets/{ticket}/attachments",
    "engineer.swap": "/engineer/swap",
}
BATCH, BATCH_S = 32, 0.25


class Poster(Protocol):
    """What delivery needs of a desk."""

    def post(self, path: str, body: dict[str, object], key: str, timeout_s: float) -> Answer:
        """Send one body."""


Attach = Callable[[Outbox, Entry, str, float], Answer]  # a file to a path, until a moment of the monotonic clock


@dataclass
class Report:
    """What a run came to. `stopped` says why it ended before the outbox was empty; empty where it did not."""

    delivered: list[Entry] = field(default_factory=list)
    refused: list[Entry] = field(default_factory=list)
    held: list[str] = field(default_factory=list)  # ids behind a refused or undelivered one of the same ticket
    stopped: str = ""
    logged_out: bool = False
    busy: bool = False  # another run holds the lock


@dataclass
class _Run:
    """One run: what it needs, what it has found out, and what it has not written yet."""

    box: Outbox
    desk: Poster
    attach: Attach | None
    until: float
    sleep: Callable[[float], None]
    report: Report = field(default_factory=Report)
    unwritten: list[Outcome] = field(default_factory=list)
    audited: list[dict[str, Any]] = field(default_factory=list)
    written_at: float = 0.0


def flush(
    box: Outbox,
    desk: Poster,
    *,
    budget_s: float,
    only: str = "",
    attach: Attach | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Send what waits, the oldest first; with `only` one chain (`Entry.chain`). Files are sent where `attach` is given.

    An entry that the desk refuses stands aside and holds back only what belongs to the same ticket. One that it does not
    answer is tried again with the same key until the budget is spent; then all wait.
    """
    run = _Run(box, desk, attach, time.monotonic() + budget_s, sleep)
    if only:
        _send(run, lambda: [one for one in box.waiting() if one[2] == only], wait_s=budget_s)
        return run.report
    with files.locked(box.path.with_name("flush.lock")) as mine:
        if not mine:
            run.report.busy, run.report.stopped = True, "another run is sending"
            return run.report
        _send(run, box.waiting, wait_s=0)
    return run.report


def _send(run: _Run, waiting: Callable[[], list[tuple[str, str, str]]], wait_s: float) -> None:
    """Send everything but files, then the files, then what waited for them."""
    try:
        _send_texts(run, waiting(), wait_s)
        files_ = [one for one in waiting() if one[1] == ATTACH] if run.attach and not run.report.stopped else []
        for identity, _, chain in files_:
            with chains.held(run.box.path.parent, f"file:{identity}", wait_s) as mine:
                if mine and not _one(run, identity):
                    return
            _settle(run)
            _send_texts(run, [one for one in waiting() if one[2] == chain and one[1] != ATTACH], wait_s)
    finally:
        _settle(run)


def _send_texts(run: _Run, waiting: list[tuple[str, str, str]], wait_s: float) -> None:
    pending = {chain for _, kind, chain in waiting if kind == ATTACH}
    todo = [
        (identity, chain)
        for identity, kind, chain in waiting
        if kind != ATTACH and not (kind == "ticket.close" and chain in pending)
    ]
    for start in range(0, len(todo), BATCH):
        batch = todo[start : start + BATCH]
        run.box.sending(identity for identity, _ in batch)
        for identity, chain in batch:
            with chains.held(run.box.path.parent, chain, wait_s) as mine:
                if not mine:
                    run.report.held.append(identity)
                elif not _one(run, identity):
                    _give_back(run, [other for other, _ in batch])
                    return
    _give_back(run, run.report.held)


def _give_back(run: _Run, identities: list[str]) -> None:
    """Note that entries which were about to be sent wait again."""
    _settle(run)
    found = [entry for one in identities if (entry := run.box.find(one)) and entry.state == SENDING]
    run.box.settle([Outcome(one.id, QUEUED, one.last_error, one.not_before, tries=0) for one in found])


def _one(run: _Run, identity: str) -> bool:
    """Send one entry; False where the run is over."""
    entry = run.box.find(identity)
    if entry is None or entry.state in {DELIVERED, REFUSED}:  # dropped, or another process was faster
        return True
    ticket = _ticket(run, entry)
    if ticket is None:
        run.report.held.append(entry.id)
        return True
    answer, tries = _try(run, entry, PATHS[entry.kind].format(ticket=ticket))
    if isinstance(answer, Taken):
        if entry.kind == "ticket.open" and answer.status == HTTPStatus.OK:  # the open ticket with the same dedup_key
            answer = Taken(answer.data | {"joined": True}, answer.status)
        run.report.delivered.append(entry._replace(state=DELIVERED, answer=answer.data, last_error=""))
        run.unwritten.append(Outcome(entry.id, DELIVERED, answer=answer.data, tries=tries))
        run.audited.append(_audited(entry, DELIVERED, str(answer.data.get("id", "")), answer.data.get("sha256")))
    elif isinstance(answer, Never):
        why = f"{answer.code}: {answer.reason}"
        run.report.refused.append(entry._replace(state=REFUSED, last_error=why))
        run.unwritten.append(Outcome(entry.id, REFUSED, why, tries=tries))
        run.audited.append(_audited(entry, REFUSED, answer.code))
    else:
        after_s = answer.after_s if isinstance(answer, Later) else 0.0
        run.unwritten.append(Outcome(entry.id, QUEUED, answer.reason, time.time() + after_s, tries=tries))
        run.report.stopped, run.report.logged_out = answer.reason, isinstance(answer, LoggedOut)
    if len(run.unwritten) >= BATCH or time.monotonic() - run.written_at > BATCH_S:
        _settle(run)
    return not run.report.stopped


def _audited(entry: Entry, what: str, answer: str, file_sha256: Any = None) -> dict[str, Any]:
    """Return the line of the audit log: which bytes the desk has now, by their hash."""
    sha256 = file_sha256 if entry.kind == ATTACH else audit.digest(entry.body)
    return {
        "what": what,
        "kind": entry.kind,
        "entry": entry.id,
        "ticket": entry.ticket,
        "answer": answer,
        "sha256": sha256,
    }


def _settle(run: _Run) -> None:
    if run.unwritten:
        run.box.settle(run.unwritten)
        audit.notes(run.audited)
        run.unwritten.clear()
        run.audited.clear()
    run.written_at = time.monotonic()


def _ticket(run: _Run, entry: Entry) -> str | None:
    """Return the desk's id of an entry's ticket (empty for one that is to be opened), None while nobody knows it."""
    if not entry.after:
        return entry.ticket
    if any(one.id == entry.after for one in run.unwritten):
        _settle(run)
    opener = run.box.find(entry.after)
    if opener is None or opener.state != DELIVERED or not opener.answer:
        return None
    found = opener.answer.get("id")
    return found if is_id(found) else None


def _try(run: _Run, entry: Entry, path: str) -> tuple[Answer, int]:
    """Send one entry until there is an answer or the budget is spent; each try has the same key. Returns the tries, too."""
    if entry.kind == ATTACH:
        if run.attach is None:
            return Later("files are not sent now"), 0
        return run.attach(run.box, entry, path, run.until), 1
    waits = jittered()
    tries = 0
    while True:
        tries += 1
        answer = run.desk.post(path, entry.body, entry.key, max(run.until - time.monotonic(), 0.1))
        pause_s = next_pause(answer, waits, run.until)
        if pause_s is None:
            return answer, tries
        run.sleep(pause_s)
