"""Everything else of the desk: card, status, incidents, invoices, hours, visits, RMAs, reports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bilbs_cli.errors import BilbsError
from bilbs_cli.plan.billing import midnight
from bilbs_cli.providers import loading
from bilbs_cli.sandbox import people, plan, subscriptions, uploads
from bilbs_cli.sandbox.calls import PAGER, Call, Refused, Reply, cursor, found, page, position
from bilbs_cli.sandbox.store import Document, Store, minted, rfc3339


def card(call: Call) -> Reply:
    """Return the contact card; with a login the account's."""
    known = call.who.kind != "nobody"
    channels = [
        {"id": one.id, "name": one.name, "address": _address(one.id, one.address)}
        for one in plan.provider("bilbs").channels
        if known or one.id == "email"
    ]
    body = {
        "pager": PAGER if known else None,
        "account": plan.ACCOUNT if known else None,
        "company": plan.COMPANY if known else None,
        "slack": plan.CHANNEL if known else None,
        "email": "support@groupebilbs.com",
        "zone": plan.ZONE if known else None,
        "channels": channels,
    }
    return _with_etag(call, body)


def _address(name: str, address: str) -> str:
    return {"slack": plan.CHANNEL, "pager": PAGER}.get(name, address or "support@groupebilbs.com")


def status(call: Call) -> Reply:
    """Return how the desk is."""
    state = call.store.get("status", "up")
    return _with_etag(call, {"state": state, "message": "this is the sandbox", "updated_at": call.store.get("began")})


def provider(call: Call) -> Reply:
    """Return a support plan as data."""
    name = call.parameters["provider_id"]
    try:
        known = loading.built_in(name)
        found_plan = plan.provider(name)
    except (BilbsError, KeyError, OSError, StopIteration) as error:
        raise Refused(404, "not-found", f"no provider {name}") from error
    return _with_etag(call, {"id": name, "version": found_plan.version, "toml": loading.text_of(known.path)})


def business_calendar(call: Call) -> Reply:
    """Return the account's business hours and holidays of this year."""
    name = call.parameters["calendar_id"]
    known = {one.id: one for one in plan.provider("bilbs").calendars}
    if name not in known:
        raise Refused(404, "not-found", f"no calendar {name}")
    work = plan.working_time("bilbs", name)
    year = datetime.fromtimestamp(call.now, UTC).year
    closed = [] if known[name].holidays == "none" else sorted(str(day) for day in work.holidays(year))
    return _with_etag(call, {"id": name, "zone": plan.ZONE, "hours": [known[name].hours], "holidays": closed})


def _with_etag(call: Call, body: Document) -> Reply:
    from bilbs_cli.sandbox.tickets import hash_of

    etag = f'"{hash_of(body)}"'
    return Reply(304 if call.parameters.get("If-None-Match") == etag else 200, body, {"ETag": etag})


def listing(kind: str, *, oldest_first: bool = False, only: str = "") -> Any:
    """Return the handler that lists one kind of document, newest first; `only` names the parameter that chooses."""

    def handler(call: Call) -> Reply:
        limit = call.parameters.get("limit", 50)
        behind = position(call, int)
        edge = behind[0] if behind else 0
        rows = call.store.all(
            kind, oldest_first=oldest_first, **({"after": edge} if oldest_first else {"before": edge})
        )
        wanted = call.parameters.get(only) if only else None
        kept = [(cursor(seq), doc) for seq, doc in rows if wanted is None or doc[only] == wanted]
        return page(call, kept[: limit + 1], limit)

    return handler


def showing(kind: str, parameter: str, what: str) -> Any:
    """Return the handler that shows one document."""

    def handler(call: Call) -> Reply:
        name = call.parameters[parameter]
        return Reply(body=found(call.store.find(kind, name), what, name))

    return handler


def incident_updates(call: Call) -> Reply:
    """Return the updates of an incident."""
    name = call.parameters["incident_id"]
    found(call.store.find("incident", name), "incident", name)
    reply: Reply = listing(f"update:{name}", oldest_first=True)(call)
    reply.body["data"] = [{key: doc[key] for key in ("at", "state", "text")} for doc in reply.body["data"]]
    return reply


def engineer(call: Call) -> Reply:
    """Return the engineer and the backup."""
    _subscribed(call.store, "an engineer of your own")
    return Reply(body=call.store.find("engineer", "engineer_1") or {})


def swap(call: Call) -> Reply:
    """Ask for another engineer."""
    _subscribed(call.store, "engineer swap")
    doc = (call.store.find("engineer", "engineer_1") or {}) | {"swap_requested": True}
    call.store.put("engineer", doc)
    call.store.audit(call.who.kind, "asked for another engineer")
    return Reply(202, doc)


def _subscribed(store: Store, what: str) -> None:
    if not subscriptions.subscribed(store):
        raise Refused(402, "plan-required", f"{what} is part of the Support plan")


def export(call: Call) -> Reply:
    """Begin an export of the channel's transcript."""
    _subscribed(call.store, "the channel's transcript")
    made = {"id": minted("exp"), "state": "queued", "attachment": None}
    call.store.put("export", made)
    call.store.later(call.now + 1, export=made["id"])
    call.store.audit(call.who.kind, "exported the transcript")
    return Reply(202, made, {"Location": f"{call.root}/exports/{made['id']}"})


# what a new sandbox holds


def furnish(store: Store) -> None:
    """Put what a customer of some months has into an empty sandbox."""
    if store.get("furnished"):
        return
    now = store.now()
    day = 86400
    store.set("began", rfc3339(now))
    store.put(
        "incident",
        {
            "id": "inc_1",
            "title": "Slow answers of the desk",
            "state": "resolved",
            "services": ["desk"],
            "started_at": rfc3339(now - 9 * day),
            "resolved_at": rfc3339(now - 8.9 * day),
        },
    )
    for number, (state, text) in enumerate(
        (("investigating", "Answers are slow."), ("resolved", "They are fast again."))
    ):
        store.put(
            "update:inc_1",
            {"id": f"upd_{number}", "at": rfc3339(now - (9 - number / 10) * day), "state": state, "text": text},
        )
    store.put(
        "window",
        {
            "id": "win_1",
            "begins_at": rfc3339(now + 5 * day),
            "ends_at": rfc3339(now + 5 * day + 7200),
            "services": ["desk"],
            "rollback": "errors above 1 % for ten minutes",
        },
    )
    tier = next(one for one in plan.provider("bilbs").tiers if one.self_service)
    price = next(one for one in tier.prices if one.per == "month")
    store.put(
        "invoice",
        {
            "id": "inv_1",
            "number": "SANDBOX-0001",
            "issued_at": rfc3339(now - 20 * day),
            "total": subscriptions.money(round(price.amount * 100), price.currency),
            "paid": True,
        },
    )
    store.put(
        "ledger",
        {
            "id": "led_1",
            "at": rfc3339(now - 20 * day),
            "hours": -10.0,
            "text": "prepaid hours",
            "left": 10.0,
            "prepaid": True,
        },
    )
    store.put(
        "ledger",
        {
            "id": "led_2",
            "at": rfc3339(now - 3 * day),
            "hours": 1.5,
            "text": "tuning of the batch size",
            "left": 8.5,
            "prepaid": True,
        },
    )
    store.put(
        "visit", {"id": "vis_1", "at": rfc3339(now - 60 * day), "place": "your rack", "state": "done", "included": True}
    )
    rca = b"# Post-incident report\n\nThis is the sandbox: nothing broke, and nobody was woken.\n"
    attachment = uploads.keep_file(
        store,
        {
            "id": "att_report",
            "filename": "rca-sandbox.md",
            "media_type": "text/markdown",
            "created_at": rfc3339(now - 8 * day),
        },
        rca,
    )
    store.put(
        "report",
        {
            "id": "rep_1",
            "type": "rca",
            "title": "Slow answers of the desk",
            "created_at": rfc3339(now - 8 * day),
            "ticket_id": None,
            "attachment": attachment,
        },
    )
    uploads.keep_file(
        store,
        {
            "id": "att_transcript",
            "filename": "transcript-sandbox.txt",
            "media_type": "text/plain",
            "created_at": rfc3339(now),
        },
        b"10:00 you: is anyone there?\n10:01 the engineer: yes.\n",
    )
    store.put(
        "engineer",
        {
            "id": "engineer_1",
            "name": people.ENGINEER,
            "since": rfc3339(now - 200 * day),
            "backup": "the backup",
            "swap_requested": False,
        },
    )
    local = datetime.fromtimestamp(now, ZoneInfo(plan.ZONE)).date()
    subscriptions.begin(store, tier, midnight(local.replace(day=1), ZoneInfo(plan.ZONE)))
    store.set("furnished", True)
