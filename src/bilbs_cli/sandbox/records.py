"""Everything else of the desk: card, status, plans, subscriptions, incidents, invoices, hours, visits, RMAs, reports."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from typing import Any

from bilbs_cli.errors import BilbsError
from bilbs_cli.providers import loading
from bilbs_cli.sandbox import people, plan, uploads
from bilbs_cli.sandbox.calls import PAGER, Call, Refused, Reply, cursor, found, page, position
from bilbs_cli.sandbox.store import Document, Store, minted, rfc3339, seconds

QUOTE_S = 900
ARCHIVED_DAYS, RESTORABLE_MONTHS = 30, 6  # §06 of the plan


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
    if not any(doc["state"] in {"active", "cancelling"} for _, doc in store.all("subscription")):
        raise Refused(402, "plan-required", f"{what} is part of the Support plan")


def export(call: Call) -> Reply:
    """Begin an export of the channel's transcript."""
    _subscribed(call.store, "the channel's transcript")
    made = {"id": minted("exp"), "state": "queued", "attachment": None}
    call.store.put("export", made)
    call.store.later(call.now + 1, export=made["id"])
    call.store.audit(call.who.kind, "exported the transcript")
    return Reply(202, made, {"Location": f"{call.root}/exports/{made['id']}"})


# the plan


def plans(_call: Call) -> Reply:
    """Return the tiers that can be had."""
    return Reply(body={"data": [_tier(one) for one in plan.provider("bilbs").tiers]})


def _tier(one: Any) -> Document:
    price = next((price for price in one.prices if price.per == "month"), None)
    doc: Document = {"id": one.id, "name": one.name, "self_service": one.self_service}
    if price:
        doc |= {"monthly": _money(price.amount, price.currency), "starts_at": price.starts_at}
    return doc | ({"contact": one.contact} if one.contact else {})


def _money(amount: float, currency: str) -> Document:
    return {"amount": f"{amount:.2f}", "currency": currency}


def subscriptions(call: Call) -> Reply:
    """Return the subscriptions of the account."""
    return Reply(body={"data": [_etagless(doc) for _, doc in call.store.all("subscription")]})


def _etagless(doc: Document) -> Document:
    return {name: value for name, value in doc.items() if not name.startswith("_")}


def preview(call: Call) -> Reply:
    """Return lines, dates and a quote; nothing is agreed."""
    tier = plan.provider("bilbs").tier(call.body["tier"])
    if tier is None:
        raise Refused(
            422, "invalid", "see errors", errors=[{"pointer": "/tier", "detail": f"no tier {call.body['tier']}"}]
        )
    price = next((price for price in tier.prices if price.per == "month"), None)
    if not tier.self_service or price is None:
        raise Refused(409, "contact", f"{tier.name} is not self-service: {tier.contact or 'ask your account owner'}")
    boxes, now = call.body["boxes"], call.now
    total = price.amount * boxes
    restores = any(
        doc["state"] in {"cancelled", "archived"} and seconds(doc["restorable_until"]) > now
        for _, doc in call.store.all("subscription")
    )
    quote = {
        "quote_id": minted("quo"),
        "expires_at": rfc3339(now + QUOTE_S),
        "lines": [{"text": f"Support, {tier.name}, {boxes} x a month", "amount": _money(total, price.currency)}],
        "tax": _money(0, price.currency),
        "total": _money(total, price.currency),
        "first_billing_at": rfc3339(now),
        "agreement": f"Support for {boxes} x {tier.name}, {total:.2f} {price.currency} a month, until cancelled.",
        "restores_channel": restores,
    }
    call.store.put("quote", quote | {"id": quote["quote_id"], "_tier": tier.id, "_boxes": boxes})
    return Reply(body=quote)


def commit(call: Call) -> Reply:
    """Subscribe with a quote that was previewed and has not expired."""
    quote = call.store.find("quote", call.body["quote_id"])
    if quote is None or seconds(quote["expires_at"]) < call.now:
        raise Refused(409, "quote-expired", "the quote is unknown or has expired; ask for a preview again")
    if any(doc["state"] == "active" for _, doc in call.store.all("subscription")):
        raise Refused(409, "conflict", "the account is subscribed already")
    begins = datetime.fromtimestamp(call.now, UTC)
    made = {
        "id": minted("sub"),
        "plan": "support",
        "tier": quote["_tier"],
        "boxes": quote["_boxes"],
        "state": "active",
        "billing_day": begins.day,
        "period": {"begins_at": rfc3339(call.now), "ends_at": rfc3339(months_later(begins, 1, begins.day).timestamp())},
        **dict.fromkeys(("effective_at", "channel_archived_at", "transcript_export_until", "restorable_until")),
        "_version": 1,
    }
    call.store.remove("quote", quote["quote_id"])
    call.store.put("subscription", made)
    call.store.audit(call.who.kind, f"subscribed to {made['tier']}")
    return Reply(201, _etagless(made), {"Location": f"{call.root}/subscriptions/{made['id']}", "ETag": _version(made)})


def months_later(day: datetime, months: int, billing_day: int) -> datetime:
    """Return the same day some months later; a month that is too short ends it."""
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    return day.replace(year=year, month=month, day=min(billing_day, calendar.monthrange(year, month)[1]))


def _version(doc: Document) -> str:
    return f'"{doc["_version"]}"'


def change(call: Call) -> Reply:
    """Cancel at the end of the month, or take that back."""
    name = call.parameters["subscription_id"]
    doc = found(call.store.find("subscription", name), "subscription", name)
    if call.parameters["If-Match"] not in {_version(doc), "*"}:
        raise Refused(412, "changed", "the ETag is not the current one")
    wanted = {"cancel": "active", "resume": "cancelling"}[call.body["action"]]
    if doc["state"] != wanted:
        raise Refused(409, "conflict", f"the subscription is {doc['state']}")
    dates: Document = dict.fromkeys(
        ("effective_at", "channel_archived_at", "transcript_export_until", "restorable_until")
    )
    if wanted == "active":
        ends = datetime.fromisoformat(doc["period"]["ends_at"])
        archived = rfc3339((ends + timedelta(days=ARCHIVED_DAYS)).timestamp())
        until = rfc3339(months_later(ends, RESTORABLE_MONTHS, ends.day).timestamp())
        dates = {
            "effective_at": doc["period"]["ends_at"],
            "channel_archived_at": archived,
            "transcript_export_until": archived,
            "restorable_until": until,
        }
    doc |= dates | {"state": "cancelling" if wanted == "active" else "active", "_version": doc["_version"] + 1}
    call.store.put("subscription", doc)
    call.store.audit(call.who.kind, f"{call.body['action']} {doc['id']}")
    return Reply(body=_etagless(doc), headers={"ETag": _version(doc)})


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
            "total": _money(price.amount, price.currency),
            "paid": True,
        },
    )
    store.put(
        "ledger",
        {"id": "led_1", "at": rfc3339(now - 20 * day), "hours": -4.0, "text": "hours of the month", "left": 4.0},
    )
    store.put(
        "ledger",
        {"id": "led_2", "at": rfc3339(now - 3 * day), "hours": 1.5, "text": "tuning of the batch size", "left": 2.5},
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
    begins = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0)
    ends = months_later(begins, 1, 1)
    store.put(
        "subscription",
        {
            "id": "sub_1",
            "plan": "support",
            "tier": tier.id,
            "boxes": 1,
            "state": "active",
            "billing_day": 1,
            "period": {"begins_at": rfc3339(begins.timestamp()), "ends_at": rfc3339(ends.timestamp())},
            **dict.fromkeys(("effective_at", "channel_archived_at", "transcript_export_until", "restorable_until")),
            "_version": 1,
        },
    )
    store.set("furnished", True)
