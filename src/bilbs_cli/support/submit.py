"""The one way that a write reaches the desk: committed to the outbox, then tried at once within a budget."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bilbs_cli.config import Config
from bilbs_cli.errors import ConfigProblem, LoginNeeded, PermissionNeeded, UsageProblem
from bilbs_cli.support import api, audit, delivery, login, outbox, upload
from bilbs_cli.support.outbox import DELIVERED, Entry, Outbox
from bilbs_cli.support.upload import Pace

BUDGET_S = 20.0
ELSEWHERE = "it waits for another entry of its ticket, or another run is sending that one"
URGENT_BUDGET_S = 10.0  # a Sev-1 without a receipt by then goes to the pager


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a write: its entry as it is now, and why it was not delivered (empty: it was)."""

    entry: Entry
    reason: str
    volatile: bool

    @property
    def delivered(self) -> bool:
        """Say whether the desk has it."""
        return self.entry.state == DELIVERED


def submit(
    kind: str,
    body: Mapping[str, Any],
    config: Config,
    *,
    ticket: str = "",
    budget_s: float = BUDGET_S,
    pace: Pace | None = None,
) -> Submitted:
    """Commit a write and try to deliver it. `ticket` is the desk's id or number, or the id of the entry that opens it.

    Raises `OutputUnwritable` where it cannot be committed: then nothing was sent.
    """
    with outbox.opened() as box:
        after = box.get(ticket).id if ticket.startswith("ob_") else ""
        entry = box.add(kind, body, occurred_at=now(), ticket="" if after else ticket, after=after)
        audit.note("queued", kind=kind, entry=entry.id, ticket=ticket, sha256=audit.digest(entry.body))
        try:
            reason = send(box, config, budget_s=_budget(config, budget_s), only=entry.chain, pace=pace).stopped
        except (LoginNeeded, PermissionNeeded, ConfigProblem) as error:  # it is on the disk: that is what must be said
            reason = f"{error}; {error.next}" if error.next else str(error)
        entry = box.get(entry.id)
        return Submitted(
            entry, "" if entry.state == DELIVERED else entry.last_error or reason or ELSEWHERE, box.volatile
        )


def _budget(config: Config, budget_s: float) -> float:
    """Return how long to try: what the settings say, for a Sev-1 never longer than its own ten seconds."""
    most = float(config.value("api.budget_s") or budget_s)
    return min(budget_s, most) if budget_s == URGENT_BUDGET_S else most


def send(
    box: Outbox,
    config: Config,
    *,
    budget_s: float,
    only: str = "",
    pace: Pace | None = Pace(),  # noqa: B008 - a constant
) -> delivery.Report:
    """Send what waits in an outbox, files only with a `pace`; without a token nothing leaves this box."""
    until = time.monotonic() + budget_s
    found = login.token(config, within_s=budget_s / 2)  # to renew a login must not cost the whole budget
    if found is None:
        return delivery.Report(stopped="nobody is logged in on this box (bilbs login)", logged_out=True)
    with desk(config, found) as there:
        attach = upload.attacher(there, pace) if pace is not None else None
        left_s = max(until - time.monotonic(), 0)
        return delivery.flush(box, there, budget_s=left_s, only=only, attach=attach)


def desk(config: Config, secret: str) -> api.Desk:
    """Return a connection to the desk of the settings. Raises `ConfigProblem`."""
    return api.Desk(login.base(config), secret, login.options(config))


def reference(text: str) -> str:
    """Return a ticket as it is named: the desk's id, its number, or the entry that opens it. Raises `UsageProblem`."""
    if not re.fullmatch(r"tkt_[A-Za-z0-9_-]{1,60}|BB-\d{1,12}|ob_[0-9a-f]{4,12}", text):
        raise UsageProblem(
            f"{text} is no ticket",
            safe="nothing was sent",
            next="BB-1234, tkt_..., or ob_... from bilbs support outbox list",
        )
    return text


def now() -> str:
    """Return this moment as RFC 3339 in UTC."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
