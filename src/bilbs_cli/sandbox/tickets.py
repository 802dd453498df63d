"""Tickets at the desk: open, list, show, change, comment, close, reopen, escalate, severity, timeline, pages."""

from __future__ import annotations

import time
from typing import Any

from bilbs_cli.errors import BilbsError
from bilbs_cli.sandbox import people, plan
from bilbs_cli.sandbox.calls import Call, Refused, Reply, cursor, found, page, position
from bilbs_cli.sandbox.store import Document, Store, minted, rfc3339

OPEN, DONE = ("new", "open", "waiting_customer", "waiting_third_party"), ("resolved", "closed")
POLL_S = 0.1


def create(call: Call) -> Reply:
    """Open a ticket, or join the open one with the same dedup_key."""
    asked = call.body
    name, severity = _checked(asked)
    joined = call.store.open_with(asked["dedup_key"]) if asked.get("dedup_key") else None
    if joined:
        text = asked.get("body") or asked["subject"]
        call.store.add_event(joined["id"], "commented", "customer", call.now, text=text)
        return _shown(call, touched(call.store, joined))
    now = rfc3339(call.now)
    doc: Document = {
        "id": minted("tkt"),
        "number": f"BB-{1000 + call.store.count('ticket')}",
        "subject": asked["subject"],
        "body": asked.get("body", ""),
        "severity": {
            "requested": severity,
            "current": severity,
            "history": [{"at": now, "by": "customer", "to": severity}],
        },
        "status": "new",
        "created_at": now,
        "received_at": now,
        "updated_at": now,
        "provider": {"id": name, "version": plan.provider(name).version},
        "channel": plan.CHANNEL,
        "assignee": None,
        "escalation_level": 1,
        "rma_id": None,
        "attachments": [],
        **{key: asked.get(key) for key in ("category", "box_id", "occurred_at", "dedup_key")},
        **{key: asked[key] for key in ("kind", "impact") if asked.get(key)},
    }
    call.store.put_ticket(doc)
    call.store.add_event(doc["id"], "opened", "customer", call.now, text=doc["subject"])
    people.noticed(call.store, doc, call.now)
    call.store.audit(call.who.kind, f"opened {doc['number']}")
    reply = _shown(call, doc)
    return Reply(201, reply.body, reply.headers | {"Location": f"{call.root}/tickets/{doc['id']}"})


def _checked(asked: Document) -> tuple[str, str]:
    """Return plan and severity of a new ticket. Raises `Refused` 422 with the place."""
    name = asked.get("provider") or "bilbs"
    try:
        provider = plan.provider(name)
    except BilbsError as error:
        raise _invalid("/provider", f"no plan {name}") from error
    severity = provider.severity(asked["severity"])
    if severity is None:
        raise _invalid(
            "/severity", f"no severity {asked['severity']}; one of {', '.join(s.id for s in provider.severities)}"
        )
    elsewhere = next((one for one in provider.elsewhere if one.id == asked.get("category")), None)
    if elsewhere:
        raise _invalid("/category", f"{elsewhere.what}: write to {elsewhere.address}")
    if severity.impact_statement and not (asked.get("impact") or {}).get("statement"):
        raise _invalid("/impact/statement", f"{provider.name} wants an impact statement for {severity.name}")
    return name, severity.id


def _invalid(pointer: str, detail: str) -> Refused:
    return Refused(422, "invalid", "see errors", errors=[{"pointer": pointer, "detail": detail}])


def listed(call: Call) -> Reply:
    """Return one page of tickets."""
    given = call.parameters
    limit = given.get("limit", 50)
    behind = position(call, int)
    rows = call.store.tickets(
        given.get("status", []),
        given.get("severity", []),
        given.get("updated_after", ""),
        behind[0] if behind else 0,
        limit + 1,
    )
    now = call.now
    docs = [(cursor(seq), _with_clocks(call.store, doc, now)) for seq, doc in rows]
    return page(call, docs, limit)


def show(call: Call) -> Reply:
    """Return a ticket."""
    return _shown(call, _ticket(call))


def update(call: Call) -> Reply:
    """Change subject, impact, category or kind, where the ETag is still the current one."""
    doc = _ticket(call)
    if call.parameters["If-Match"] not in {_etag(call.store, doc), "*"}:
        raise Refused(412, "changed", "the ETag is not the current one")
    return _shown(call, touched(call.store, doc | call.body))


def comment(call: Call) -> Reply:
    """Comment on a ticket; an answer ends a wait on the customer."""
    doc = _ticket(call)
    if doc["status"] == "closed":
        raise Refused(409, "conflict", "the ticket is closed; reopen it first")
    answered = doc["status"] == "waiting_customer"
    kind = "responded" if answered else "commented"
    event = call.store.add_event(doc["id"], kind, "customer", call.now, text=call.body["body"])
    if answered:
        doc["status"] = "open"
    touched(call.store, doc)
    return Reply(201, event)


def close(call: Call) -> Reply:
    """Close a ticket."""
    return _moved(call, "closed", (*OPEN, "resolved"), "closed", "the ticket is closed already")


def reopen(call: Call) -> Reply:
    """Reopen a ticket."""
    return _moved(call, "open", DONE, "reopened", "the ticket is open")


def _moved(call: Call, status: str, before: tuple[str, ...], event: str, conflict: str) -> Reply:
    doc = _ticket(call)
    if doc["status"] not in before:
        raise Refused(409, "conflict", conflict)
    call.store.add_event(doc["id"], event, "customer", call.now, text=call.body.get("note"))
    return _shown(call, touched(call.store, doc | {"status": status}))


def escalate(call: Call) -> Reply:
    """Escalate to the plan's next level."""
    doc = _ticket(call)
    levels = plan.provider(doc["provider"]["id"]).escalation
    if doc["status"] in DONE:
        raise Refused(409, "conflict", f"the ticket is {doc['status']}; reopen it first")
    if doc["escalation_level"] >= max(len(levels), 2):
        raise Refused(409, "conflict", "the ticket is at the last level already")
    level = doc["escalation_level"] + 1
    name = levels[level - 1].name if level <= len(levels) else f"level {level}"
    call.store.add_event(doc["id"], "escalated", "customer", call.now, text=call.body["reason"], name=name)
    call.store.audit(call.who.kind, f"escalated {doc['number']} to {name}")
    return _shown(call, touched(call.store, doc | {"escalation_level": level}))


def set_severity(call: Call) -> Reply:
    """Set the severity: it is the customer's."""
    doc = _ticket(call)
    provider = plan.provider(doc["provider"]["id"])
    level = provider.severity(call.body["severity"])
    if level is None:
        raise _invalid(
            "/severity", f"no severity {call.body['severity']}; one of {', '.join(s.id for s in provider.severities)}"
        )
    if doc["status"] in DONE:
        raise Refused(409, "conflict", f"the ticket is {doc['status']}; reopen it first")
    now = call.now
    reason = call.body.get("reason")
    call.store.add_event(doc["id"], "severity", "customer", now, to=level.id, text=reason)
    entry = {"at": rfc3339(now), "by": "customer", "to": level.id} | ({"reason": reason} if reason else {})
    history = [*doc["severity"]["history"], entry]
    return _shown(
        call,
        touched(call.store, doc | {"severity": {"requested": level.id, "current": level.id, "history": history}}),
    )


def events(call: Call) -> Reply:
    """Return the timeline, oldest first; with `Prefer: wait` it waits for something new."""
    ticket = _ticket(call)["id"]
    limit = call.parameters.get("limit", 50)
    behind = position(call, int)
    after = behind[0] if behind else 0
    until = time.monotonic() + _wait(call)
    while True:
        with call.store.change():
            people.advance(call.store)
        rows = call.store.events(ticket, after, limit + 1)
        if rows or time.monotonic() >= until or call.gone():
            break
        time.sleep(POLL_S)
    reply = page(call, [(cursor(seq), doc) for seq, doc in rows], limit)
    if reply.body["next_cursor"] is None:  # the end of the timeline is where the next wait begins
        reply.body["next_cursor"] = cursor(rows[-1][0]) if rows else call.parameters.get("after")
    return reply


def _wait(call: Call) -> float:
    return float(call.parameters.get("Prefer", "wait=0").partition("=")[2])


def page_on_call(call: Call) -> Reply:
    """Page the on-call engineer."""
    doc = _ticket(call)
    if doc["status"] in DONE:
        raise Refused(409, "conflict", f"the ticket is {doc['status']}; reopen it first")
    now = call.now
    made = {
        "id": minted("pag"),
        "ticket_id": doc["id"],
        "state": "queued",
        "created_at": rfc3339(now),
        "human_acked": None,
    }
    call.store.put("page", made)
    call.store.add_event(doc["id"], "paged", "customer", now, text=call.body["message"])
    people.paged(call.store, made, now)
    call.store.audit(call.who.kind, f"paged for {doc['number']}")
    return Reply(202, made, {"Location": f"{call.root}/pages/{made['id']}"})


def show_page(call: Call) -> Reply:
    """Follow a page; with `Prefer: wait` the answer waits for a person."""
    name = call.parameters["page_id"]
    until = time.monotonic() + _wait(call)
    while True:
        with call.store.change():
            people.advance(call.store)
        doc = found(call.store.find("page", name), "page", name)
        if doc["human_acked"] or time.monotonic() >= until or call.gone():
            return Reply(body=doc)
        time.sleep(POLL_S)


def _ticket(call: Call) -> Document:
    name = call.parameters["ticket_id"]
    return found(call.store.ticket(name), "ticket", name)


def touched(store: Store, doc: Document) -> Document:
    """Keep a changed ticket."""
    doc = doc | {"updated_at": rfc3339(store.now())}
    store.put_ticket(doc)
    return doc


def _with_clocks(store: Store, doc: Document, now: float) -> Document:
    return doc | {"sla": plan.ticket_clocks(doc, [one for _, one in store.events(doc["id"])], now)}


def _shown(call: Call, doc: Document) -> Reply:
    etag = _etag(call.store, doc)
    if call.parameters.get("If-None-Match") == etag:
        return Reply(304, headers={"ETag": etag})
    return Reply(body=_with_clocks(call.store, doc, call.now), headers={"ETag": etag})


def _etag(store: Store, doc: Document) -> str:
    rows: list[Any] = store.events(doc["id"])
    return f'"{len(rows)}-{abs(hash_of(doc))}"'


def hash_of(doc: Document) -> int:
    """Return a number that changes with the document."""
    import json
    import zlib

    return zlib.crc32(json.dumps(doc, sort_keys=True).encode())
