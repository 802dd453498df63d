"""The simulated people: what they do after a ticket, a page, a login; all by the desk's own clock.

A machine acknowledges within seconds; a person looks after a tenth of the promised time, at the least severe level after
an hour; then an answer, the end of the work, and for hardware the steps of an RMA.
"""

from __future__ import annotations

from bilbs_cli.sandbox import plan
from bilbs_cli.sandbox.store import Document, Store, minted, rfc3339

ENGINEER = "the engineer"
AUTO_S, PAGE_DELIVERED_S, PAGE_ACKED_S = 2, 2, 20
RMA_STEPS = ("opened", "confirmed", "diag_pulled", "filed", "dispatched", "swapped", "eval_passed", "reported")
RMA_STEP_S = 3600
DEFAULT_LOOK_S = 3600


def noticed(store: Store, doc: Document, now: float) -> None:
    """Plan what follows a new ticket."""
    look = _look_s(doc)
    steps: list[tuple[float, Document]] = [
        (AUTO_S, {"type": "acknowledged", "by": "automatic", "text": "received"}),
        (look, {"type": "acknowledged", "by": "engineer", "name": ENGINEER, "status": "open"}),
        (look * 1.5, {"type": "responded", "by": "engineer", "name": ENGINEER, "text": "Looking at it."}),
        (look * 2, {"type": "work_started", "by": "engineer", "name": ENGINEER}),
    ]
    if doc.get("kind") == "hardware":
        steps.insert(2, (look, {"type": "engineer_opened", "by": "engineer", "name": ENGINEER}))
        steps += [(look * 2 + number * RMA_STEP_S, {"rma": state}) for number, state in enumerate(RMA_STEPS)]
    else:
        text = "Does it work again?"
        wait = {"type": "waiting", "by": "engineer", "on": "customer", "text": text, "status": "waiting_customer"}
        steps.append((look * 8, wait))
    for after_s, step in steps:
        store.later(now + after_s, ticket=doc["id"], **step)


def _look_s(doc: Document) -> float:
    """Return after how long a person looks: a tenth of the first response that is promised, in plain time."""
    promised = plan.provider(doc["provider"]["id"]).promised(doc["severity"]["current"], "", doc.get("kind") or "")
    limits = [one.limit.seconds for one in promised if one.metric == "first_response" and one.limit.seconds]
    return min(limits) / 10 if limits else DEFAULT_LOOK_S


def paged(store: Store, page: Document, now: float) -> None:
    """Plan what follows a page."""
    store.later(now + PAGE_DELIVERED_S, page=page["id"], state="delivered")
    store.later(now + PAGE_ACKED_S, page=page["id"], state="human_acked")


def advance(store: Store) -> None:
    """Let everything happen that has become due. Call it inside a change."""
    if not store.get("people", True):
        return
    for at, step in store.take_due(store.now()):
        if "page" in step:
            _page(store, at, step)
        elif "export" in step:
            _export(store, step)
        else:
            _ticket(store, at, step)


def _page(store: Store, at: float, step: Document) -> None:
    page = store.find("page", step["page"])
    if page is None:
        return
    acked = step["state"] == "human_acked"
    who = {"at": rfc3339(at), "by": ENGINEER} if acked else page["human_acked"]
    store.put("page", page | {"state": step["state"], "human_acked": who})
    if acked:
        _event(store, page["ticket_id"], at, {"type": "acknowledged", "by": "engineer", "name": ENGINEER})


def _export(store: Store, step: Document) -> None:
    made = store.find("export", step["export"])
    attachment = store.find("attachment", "att_transcript")
    if made and attachment:
        public = {name: value for name, value in attachment.items() if not name.startswith("_")}
        store.put("export", made | {"state": "ready", "attachment": public})


def _ticket(store: Store, at: float, step: Document) -> None:
    doc = store.ticket(step["ticket"])
    if doc is None or doc["status"] in {"resolved", "closed"}:
        return
    if "rma" in step:
        _rma(store, doc, at, step["rma"])
    else:
        _event(store, doc["id"], at, step)


def _event(store: Store, ticket: str, at: float, step: Document) -> None:
    doc = store.ticket(ticket)
    if doc is None:
        return
    by_person = step["by"] == "engineer"
    more = {name: step.get(name) for name in ("text", "name", "on", "to")}
    store.add_event(doc["id"], step["type"], step["by"], at, **more)
    status = step.get("status") or ("open" if by_person and doc["status"] == "new" else doc["status"])
    assignee = ENGINEER if by_person else doc["assignee"]
    store.put_ticket(doc | {"status": status, "assignee": assignee, "updated_at": rfc3339(at)})


def _rma(store: Store, doc: Document, at: float, state: str) -> None:
    """Take an RMA one step on; the first step makes it."""
    made = store.find("rma", doc["rma_id"] or "") or {
        "id": minted("rma"),
        "ticket_id": doc["id"],
        "oem": "NVIDIA",
        "case_number": None,
        "tracking": None,
        "part": doc.get("dedup_key") or "gpu",
        "serial": None,
        "steps": [{"state": "alerted", "at": doc["received_at"]}],
    }
    made |= {"state": state, "steps": [*made["steps"], {"state": state, "at": rfc3339(at)}]}
    if state == "filed":
        made["case_number"] = f"SANDBOX-{store.count('case')}"
        _event(store, doc["id"], at, {"type": "rma_filed", "by": "engineer", "name": ENGINEER})
    if state == "dispatched":
        made["tracking"] = f"SANDBOX-TRACK-{store.count('track')}"
    store.put("rma", made)
    current = store.ticket(doc["id"]) or doc
    store.put_ticket(current | {"rma_id": made["id"], "updated_at": rfc3339(at)})
    if state == "eval_passed":
        _event(store, doc["id"], at, {"type": "resolved", "by": "engineer", "name": ENGINEER, "status": "resolved"})
