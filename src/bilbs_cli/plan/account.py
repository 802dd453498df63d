"""What the desk says about the account: the subscription, who may change it, and the lists beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bilbs_cli.errors import BilbsError, LoginNeeded, NotFound, PermissionNeeded
from bilbs_cli.plan import subscription
from bilbs_cli.plan.subscription import Dates
from bilbs_cli.quantities import moment
from bilbs_cli.support import ticket_view
from bilbs_cli.support.api import Desk

Document = dict[str, Any]
Wanted = Mapping[str, tuple[str, Mapping[str, Any]]]  # lists by name: path and parameters
PAGE, MOST = 100, 2000  # items of a list; what is over it is not counted, and said
RMA_DONE = "reported"
RIGHT = "plan:write"


class Lists(NamedTuple):
    """Lists of the desk; None for one that could not be had, and `problems` says why."""

    found: dict[str, list[Document] | None]
    problems: tuple[str, ...]


def newest(desk: Desk) -> Document | None:
    """Return the subscription that counts, the newest; None where there never was one. Raises as `Desk.get`."""
    rows = desk.get("/subscriptions").get("data")
    found = (
        [one for one in rows if isinstance(one, dict) and one.get("plan") == "support"]
        if isinstance(rows, list)
        else []
    )
    return found[0] if found else None


def required(desk: Desk, wanted: str) -> Document:
    """Return the subscription in order to change it. Raises `NotFound` where there is none."""
    found = newest(desk)
    if found is None or found.get("state") in {subscription.CANCELLED, subscription.ARCHIVED, subscription.LAPSED}:
        was = f"it is {found.get('state')}" if found else "there never was one"
        raise NotFound(
            f"there is no subscription to {wanted}: {was}",
            code="not-subscribed",
            safe="nothing was changed",
            next="bilbs plan list",
        )
    return found


def require_right(desk: Desk) -> Document:
    """Return who is logged in. Raises `PermissionNeeded`, naming the owner of the account, where they may not change the plan."""
    me = desk.get("/me")
    scopes = me.get("scopes")
    if isinstance(scopes, list) and RIGHT in scopes:
        return me
    who = "the credential of this box" if me.get("kind") == "box" else str(me.get("name") or me.get("id"))
    raise PermissionNeeded(
        f"{who} may read the plan and never change it (role {me.get('role') or 'unknown'}, no {RIGHT})",
        code="not-the-owner",
        safe="nothing was changed",
        next=f"ask {owner(me)}; or bilbs login as someone who may",
    )


def owner(me: Mapping[str, Any]) -> str:
    """Return the owner of the account and how to reach them, as far as the desk says."""
    found = me.get("account_owner")
    if not isinstance(found, dict) or not found.get("name"):
        return "the owner of your account"
    return f"the account owner, {found['name']}" + (f" ({found['address']})" if found.get("address") else "")


def zone(doc: Mapping[str, Any] | None, fallback: tzinfo) -> tzinfo:
    """Return the zone whose midnights begin the billing months."""
    name = (doc or {}).get("zone")
    try:
        return ZoneInfo(name) if isinstance(name, str) and name else fallback
    except (OSError, ValueError, LookupError):
        return fallback


def dates(doc: Mapping[str, Any], where: tzinfo) -> Dates | None:
    """Return what follows if it is cancelled now, or what the desk says where it is already; None without a period."""
    said = [moment(doc.get(name)) for name in NAMES]
    if all(said):
        return Dates(*(one.astimezone(UTC) for one in said if one))
    period = doc.get("period")
    ends = moment(period.get("ends_at")) if isinstance(period, dict) else None
    return subscription.cancellation(ends.astimezone(UTC), where) if ends else None


NAMES = ("effective_at", "channel_archived_at", "transcript_export_until", "restorable_until")


def dates_json(found: Dates | None) -> dict[str, str | None]:
    """Return the dates under the names of the contract."""
    values = found or (None,) * len(NAMES)
    return {name: f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None for name, at in zip(NAMES, values, strict=True)}


def lists(desk: Desk, wanted: Wanted) -> Lists:
    """Return several lists by name (path, parameters); one that fails costs only itself. Raises `LoginNeeded`."""
    found: dict[str, list[Document] | None] = {}
    problems = []
    for name, (path, params) in wanted.items():
        try:
            rows = list(islice(desk.pages(path, {"limit": PAGE, **params}), MOST + 1))
        except LoginNeeded:
            raise
        except BilbsError as error:
            found[name] = None
            problems.append(f"{name} not known: {error}")
            continue
        found[name] = rows[:MOST]
        if len(rows) > MOST:
            problems.append(f"{name}: more than {MOST}; the rest is not counted")
    return Lists(found, tuple(problems))


LEDGER: Wanted = {"hours": ("/consulting/ledger", {})}
VISITS: Wanted = {"visits": ("/visits", {})}
OPEN_TICKETS: Wanted = {"tickets": ("/tickets", {"status": list(ticket_view.OPEN)})}
RMAS: Wanted = {"RMAs": ("/rmas", {})}


def tickets_since(month: datetime) -> Wanted:
    """Return the list of tickets that were touched since a moment."""
    return {"tickets": ("/tickets", {"updated_after": f"{month.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"})}
