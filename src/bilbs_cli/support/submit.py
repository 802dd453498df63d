"""The one way that a write reaches the desk: committed to the outbox, then tried at once within a budget."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bilbs_cli import credentials, paths
from bilbs_cli.config import Config
from bilbs_cli.errors import LoginNeeded, UsageProblem
from bilbs_cli.support import api, delivery, outbox
from bilbs_cli.support.outbox import DELIVERED, Entry, Outbox

BUDGET_S = 20.0
URGENT_BUDGET_S = 10.0  # a Sev-1 without a receipt by then goes to the pager
CREDENTIAL, VARIABLE = "bilbs.token", "BILBS_TOKEN"


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
    kind: str, body: Mapping[str, Any], config: Config, *, ticket: str = "", budget_s: float = BUDGET_S
) -> Submitted:
    """Commit a write and try to deliver it. `ticket` is the desk's id or number, or the id of the entry that opens it.

    Raises `OutputUnwritable` where it cannot be committed: then nothing was sent.
    """
    with outbox.opened() as box:
        after = box.get(ticket).id if ticket.startswith("ob_") else ""
        entry = box.add(kind, body, occurred_at=now(), ticket="" if after else ticket, after=after)
        report = send(box, config, budget_s=budget_s, only=entry.chain)
        entry = box.get(entry.id)
        return Submitted(entry, "" if entry.state == DELIVERED else entry.last_error or report.stopped, box.volatile)


def send(box: Outbox, config: Config, *, budget_s: float, only: str = "") -> delivery.Report:
    """Send what waits in an outbox; without a token nothing leaves this box."""
    found = token()
    if found is None:
        return delivery.Report(stopped="nobody is logged in on this box", logged_out=True)
    with desk(config, found) as there:
        return delivery.flush(box, there, budget_s=budget_s, only=only)


def desk(config: Config, secret: str) -> api.Desk:
    """Return a connection to the desk of the settings. Raises `ConfigProblem`."""
    return api.Desk(
        config.value("api.url") or api.BASE,
        secret,
        ca_bundle=config.value("api.ca_bundle"),
        proxy=config.value("api.proxy"),
    )


def token() -> str | None:
    """Return the access token: `BILBS_TOKEN`, the systemd credential `bilbs.token`, the token file of the state folder.

    Raises `PermissionNeeded` for a file that others can read, `LoginNeeded` for one that holds no token.
    """
    file = paths.state_dir() / "token"
    found = credentials.find(CREDENTIAL, file=None, variable=VARIABLE)
    if found is None and file.exists():
        found = credentials.find(CREDENTIAL, file=file, variable=VARIABLE)
    if found is not None and not re.fullmatch(r"[A-Za-z0-9._~+/=-]{8,4096}", found):
        raise LoginNeeded(
            "the token is not one: it has blanks or characters that no token has", next=f"set {VARIABLE} anew"
        )
    return found


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
