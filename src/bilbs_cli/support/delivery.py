"""From the outbox to the desk: one at a time, in order within a ticket, within a budget, safe beside another run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bilbs_cli import files
from bilbs_cli.support.api import LAST_TRY_S, Answer, Later, LoggedOut, Never, Taken, jittered
from bilbs_cli.support.outbox import DELIVERED, QUEUED, SENDING, Entry, Outbox

# The path of each kind; `{ticket}` is the desk's id of the ticket.
PATHS = {
    "ticket.open": "/tickets",
    "ticket.comment": "/tickets/{ticket}/comments",
    "ticket.close": "/tickets/{ticket}/actions/close",
    "ticket.reopen": "/tickets/{ticket}/actions/reopen",
    "ticket.escalate": "/tickets/{ticket}/actions/escalate",
    "ticket.severity": "/tickets/{ticket}/actions/set-severity",
}


class Poster(Protocol):
    """What delivery needs of a desk."""

    def post(self, path: str, body: dict[str, object], key: str, timeout_s: float) -> Answer:
        """Send one body."""


@dataclass
class Report:
    """What a run came to. `stopped` says why it ended before the outbox was empty; empty where it did not."""

    delivered: list[Entry] = field(default_factory=list)
    refused: list[Entry] = field(default_factory=list)
    held: list[Entry] = field(default_factory=list)  # behind a refused or undelivered one of the same ticket
    stopped: str = ""
    logged_out: bool = False
    busy: bool = False  # another run holds the lock


def flush(
    box: Outbox,
    desk: Poster,
    *,
    budget_s: float,
    only: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Send what waits, the oldest first; with `only` one chain (`Entry.chain`).

    An entry that the desk refuses stands aside and holds back only what belongs to the same ticket. One that it does not
    answer is tried again with the same key until the budget is spent; then all wait.
    """
    report = Report()
    with files.locked(box.path.with_name("flush.lock")) as mine:
        if not mine:
            report.busy, report.stopped = True, "another run is sending"
            return report
        _send_all(box, desk, report, time.monotonic() + budget_s, only, sleep)
    return report


def _send_all(
    box: Outbox, desk: Poster, report: Report, until: float, only: str, sleep: Callable[[float], None]
) -> None:
    for entry in list(box.entries(QUEUED, SENDING)):
        if only and entry.chain != only:
            continue
        ticket = _ticket(box, entry)
        if ticket is None:
            report.held.append(entry)
            continue
        answer = _try(box, desk, entry, PATHS[entry.kind].format(ticket=ticket), until, sleep)
        if isinstance(answer, Taken):
            box.delivered(entry, answer.data)
            report.delivered.append(box.get(entry.id))
        elif isinstance(answer, Never):
            box.refused(entry, f"{answer.code}: {answer.reason}")
            report.refused.append(box.get(entry.id))
        else:
            report.stopped, report.logged_out = answer.reason, isinstance(answer, LoggedOut)
            return


def _ticket(box: Outbox, entry: Entry) -> str | None:
    """Return the desk's id of an entry's ticket (empty for one that is to be opened), None while nobody knows it."""
    if not entry.after:
        return entry.ticket
    opener = next((one for one in box.entries() if one.id == entry.after), None)
    if opener is None or opener.state != DELIVERED or not opener.answer:
        return None
    found = opener.answer.get("id")
    return found if isinstance(found, str) and found.replace("_", "").replace("-", "").isalnum() else None


def _try(
    box: Outbox, desk: Poster, entry: Entry, path: str, until: float, sleep: Callable[[float], None]
) -> Taken | Never | Later | LoggedOut:
    """Send one entry until there is an answer or the budget is spent; each try has the same key."""
    waits = jittered()
    while True:
        box.sending(entry)
        answer = desk.post(path, entry.body, entry.key, max(until - time.monotonic(), 0.1))
        if not isinstance(answer, Later | LoggedOut):
            return answer
        after_s = answer.after_s if isinstance(answer, Later) else 0.0
        left = until - time.monotonic()
        box.put_back(entry, answer.reason, time.time() + after_s)
        if isinstance(answer, LoggedOut) or left < LAST_TRY_S or after_s >= left:
            return answer
        sleep(max(min(next(waits), left / 2), after_s))  # half of what is left: the end of the budget is used, too
