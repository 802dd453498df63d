"""The desk's side of the plan: quotes, subscriptions, changes; what they cost and when, by the client's own state machine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bilbs_cli.plan import subscription
from bilbs_cli.plan.subscription import Charge, NotPossible, Step, Subscription, Terms
from bilbs_cli.providers.model import Tier
from bilbs_cli.sandbox import plan
from bilbs_cli.sandbox.calls import Call, Refused, Reply, found
from bilbs_cli.sandbox.store import Document, Store, minted, rfc3339

QUOTE_S = 900
CURRENCY = "USD"
KIND = "subscription"


def plans(_call: Call) -> Reply:
    """Return the tiers that can be had."""
    return Reply(body={"data": [_tier(one) for one in plan.provider("bilbs").tiers]})


def _tier(one: Tier) -> Document:
    price = next((price for price in one.prices if price.per == "month"), None)
    doc: Document = {"id": one.id, "name": one.name, "self_service": one.self_service}
    if price:
        doc |= {"monthly": money(round(price.amount * 100), price.currency), "starts_at": price.starts_at}
    return doc | ({"contact": one.contact} if one.contact else {})


def money(cents: int, currency: str = CURRENCY) -> Document:
    """Return an amount as the contract writes it."""
    sign = "-" if cents < 0 else ""
    return {"amount": f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}", "currency": currency}


def subscribed(store: Store) -> bool:
    """Say whether the account has a subscription that has not ended."""
    doc = _newest(store)
    standing = subscription.state(_facts(doc) if doc else None, _moment(store.now()))
    return standing in {subscription.ACTIVE, subscription.CANCELLING}


def listing(call: Call) -> Reply:
    """Return the subscriptions of the account, the newest first."""
    return Reply(body={"data": [_view(doc, call.now) for _, doc in call.store.all(KIND)]})


def preview(call: Call) -> Reply:
    """Return lines, dates and a quote; nothing is agreed."""
    terms, name = _asked(call)
    before = _newest(call.store)
    step, kind = _step(before, terms, call.now)
    rate = int(call.store.get("tax_percent", 0))
    due = sum(charge.cents for charge in step.charges)
    tax = (due * rate + 50) // 100
    starts = step.subscription.then_from or _moment(call.now)
    month = subscription.period(step.subscription, starts)
    quote = {
        "quote_id": minted("quo"),
        "expires_at": rfc3339(call.now + QUOTE_S),
        "kind": kind,
        "lines": [_line(name, charge, kind) for charge in step.charges],
        "tax": money(tax),
        "total": money(due + tax),
        "monthly": money(terms.monthly),
        "starts_at": rfc3339(starts.timestamp()),
        "first_billing_at": rfc3339(starts.timestamp()),
        "next_billing_at": rfc3339(month.ends.timestamp()),
        "zone": plan.ZONE,
        "agreement": _agreement(name, terms, kind),
        "restores_channel": step.restores,
    }
    kept = {"id": quote["quote_id"], "_terms": terms, "_after": (before["id"], before["_version"]) if before else None}
    call.store.put("quote", quote | kept)
    return Reply(body=quote)


def _asked(call: Call) -> tuple[Terms, str]:
    tier = plan.provider("bilbs").tier(call.body["tier"])
    if tier is None:
        wrong = {"pointer": "/tier", "detail": f"no tier {call.body['tier']}"}
        raise Refused(422, "invalid", "see errors", errors=[wrong])
    price = next((price for price in tier.prices if price.per == "month"), None)
    if not tier.self_service or price is None:
        raise Refused(409, "contact", f"{tier.name} is not self-service: {tier.contact or 'ask your account owner'}")
    monthly = call.store.get(f"price:{tier.id}") or round(price.amount * 100)
    boxes = int(call.body["boxes"])  # JSON knows no whole numbers: 1.0 is one, too
    return Terms(tier.id, boxes, monthly * boxes), tier.name


def _step(before: Document | None, terms: Terms, now: float) -> tuple[Step, str]:
    """Return what the terms make of the subscription, and what kind of step that is. Raises `Refused`."""
    facts, moment = (_facts(before) if before else None), _moment(now)
    standing = subscription.state(facts, moment)
    try:
        if facts is not None and standing in {subscription.ACTIVE, subscription.CANCELLING}:
            step = subscription.change(facts, terms, moment)
            return step, "downgrade" if step.subscription.then else "upgrade" if step.charges else "change"
        step = subscription.subscribe(facts, terms, moment, ZoneInfo(plan.ZONE))
    except NotPossible as error:
        raise Refused(409, error.code, str(error)) from error
    return step, "return" if step.restores else "new"


def _line(name: str, charge: Charge, kind: str) -> Document:
    boxes = f"{charge.terms.boxes} box{'es' if charge.terms.boxes > 1 else ''}"
    part = f"the difference for {charge.days} of {charge.of_days} days" if kind == "upgrade" else "one month"
    return {"text": f"Support, {name}, {boxes}, {part}", "amount": money(charge.cents)}


def _agreement(name: str, terms: Terms, kind: str) -> str:
    price = money(terms.monthly)
    begins = {"downgrade": "From the next billing month on: "}.get(kind, "")
    return (
        f"{begins}Support for {terms.boxes} x {name} at {price['amount']} {price['currency']} a month plus tax, billed in "
        "advance on the billing day, until cancelled. Cancelling takes effect at the end of the billing month."
    )


def commit(call: Call) -> Reply:
    """Subscribe, or change the subscription, with a quote that was previewed, still holds, and still fits."""
    quote = call.store.find("quote", call.body["quote_id"])
    before = _newest(call.store)
    now = _moment(call.now)
    if quote is None or datetime.fromisoformat(quote["expires_at"]) < now:
        raise Refused(409, "quote-expired", "the quote is unknown or has expired; ask for a preview again")
    if quote["_after"] != ([before["id"], before["_version"]] if before else None):
        raise Refused(409, "quote-expired", "the subscription has changed since the quote; ask for a preview again")
    terms = Terms(*quote["_terms"])
    step, kind = _step(before, terms, call.now)
    if sum(charge.cents for charge in step.charges) + _cents(quote["tax"]) != _cents(quote["total"]):
        raise Refused(409, "quote-expired", "a day has passed since the quote; ask for a preview again")
    changed = kind in {"upgrade", "downgrade", "change"}
    extras = {name: value for name, value in (before or {}).items() if name in {"usage", "next_review_at"}}
    made = {
        **extras,
        "id": before["id"] if changed and before else minted("sub"),
        "quote_id": quote["quote_id"],
        "_facts": _kept(step.subscription),
        "_version": before["_version"] + 1 if changed and before else 1,
    }
    call.store.remove("quote", quote["quote_id"])
    call.store.put(KIND, made)
    if _cents(quote["total"]):
        _invoice(call, quote["total"])
    call.store.audit(call.who.kind, f"{kind} of the subscription: {terms.tier}")
    headers = {"Location": f"{call.root}/subscriptions/{made['id']}", "ETag": _etag(made)}
    return Reply(200 if changed else 201, _view(made, call.now), headers)


def _invoice(call: Call, total: Document) -> None:
    number = call.store.count("invoice")
    doc = {
        "id": minted("inv"),
        "number": f"SANDBOX-1{number:03d}",
        "issued_at": rfc3339(call.now),
        "total": total,
        "paid": False,
    }
    call.store.put("invoice", doc)


def change(call: Call) -> Reply:
    """Cancel at the end of the billing month, or take that back."""
    name = call.parameters["subscription_id"]
    doc = found(call.store.find(KIND, name), "subscription", name)
    if call.parameters["If-Match"] not in {_etag(doc), "*"}:
        raise Refused(412, "changed", "the subscription has changed")
    step = {"cancel": subscription.cancel, "resume": subscription.resume}[call.body["action"]]
    try:
        facts = step(_facts(doc), _moment(call.now)).subscription
    except NotPossible as error:
        raise Refused(409, error.code, str(error)) from error
    doc |= {"_facts": _kept(facts), "_version": doc["_version"] + 1}
    call.store.put(KIND, doc)
    call.store.audit(call.who.kind, f"{call.body['action']} {doc['id']}")
    return Reply(body=_view(doc, call.now), headers={"ETag": _etag(doc)})


def begin(store: Store, tier: Tier, began: datetime) -> None:
    """Put a subscription of one box into the store."""
    price = next(one for one in tier.prices if one.per == "month")
    step = subscription.subscribe(None, Terms(tier.id, 1, round(price.amount * 100)), began, ZoneInfo(plan.ZONE))
    store.put(
        KIND,
        {
            "id": "sub_1",
            "quote_id": None,
            "next_review_at": rfc3339(store.now() + 6 * 86400),
            "_facts": _kept(step.subscription),
            "_version": 1,
        },
    )


def _newest(store: Store) -> Document | None:
    return next((doc for _, doc in store.all(KIND, limit=1)), None)


def _view(doc: Document, now: float) -> Document:
    """Return a subscription as the contract writes it, as it stands at a moment."""
    moment = _moment(now)
    facts = subscription.current(_facts(doc), moment)
    ends = facts.ends
    month = subscription.period(
        facts, moment if ends is None or moment < ends else datetime.fromtimestamp(ends.timestamp() - 1, UTC)
    )
    dates = subscription.cancellation(ends, facts.zone) if ends else (None,) * 4
    names = ("effective_at", "channel_archived_at", "transcript_export_until", "restorable_until")
    return {
        **{name: value for name, value in doc.items() if not name.startswith("_")},
        "plan": "support",
        "tier": facts.terms.tier,
        "boxes": facts.terms.boxes,
        "monthly": money(facts.terms.monthly),
        "state": subscription.state(facts, moment),
        "billing_day": facts.billing_day,
        "zone": plan.ZONE,
        "period": {"begins_at": rfc3339(month.begins.timestamp()), "ends_at": rfc3339(month.ends.timestamp())},
        "next": _next(facts),
        "etag": _etag(doc),
        **{name: rfc3339(at.timestamp()) if at else None for name, at in zip(names, dates, strict=True)},
    }


def _next(facts: Subscription) -> Document | None:
    if facts.then is None or facts.then_from is None:
        return None
    terms = facts.then
    return {
        "tier": terms.tier,
        "boxes": terms.boxes,
        "monthly": money(terms.monthly),
        "at": rfc3339(facts.then_from.timestamp()),
    }


def _kept(facts: Subscription) -> Document:
    return {
        "terms": facts.terms,
        "began": facts.began.timestamp(),
        "ends": facts.ends.timestamp() if facts.ends else None,
        "then": facts.then,
        "then_from": facts.then_from.timestamp() if facts.then_from else None,
    }


def _facts(doc: Document) -> Subscription:
    kept: dict[str, Any] = doc["_facts"]
    return Subscription(
        Terms(*kept["terms"]),
        _moment(kept["began"]),
        ZoneInfo(plan.ZONE),
        _moment(kept["ends"]) if kept["ends"] else None,
        Terms(*kept["then"]) if kept["then"] else None,
        _moment(kept["then_from"]) if kept["then_from"] else None,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _cents(amount: Document) -> int:
    return round(float(amount["amount"]) * 100)


def _etag(doc: Document) -> str:
    return f'"{doc["_version"]}"'
