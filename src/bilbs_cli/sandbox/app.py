"""The desk as a WSGI application: every operation of the contract, its login, its idempotency, its errors."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date

from bilbs_cli.sandbox import contract, faults, login, people, records, subscriptions, tickets, uploads
from bilbs_cli.sandbox.calls import PAGER, Call, Refused, Reply, Who
from bilbs_cli.sandbox.contract import Operation, Wrong
from bilbs_cli.sandbox.store import Store

PREFIX = "/v1"
HANDLERS: dict[str, Callable[[Call], Reply]] = {
    "getContactCard": records.card,
    "getStatus": records.status,
    "getProvider": records.provider,
    "startDeviceLogin": login.device,
    "getToken": login.token,
    "revokeToken": login.revoke,
    "getMe": login.me,
    "createTicket": tickets.create,
    "listTickets": tickets.listed,
    "getTicket": tickets.show,
    "updateTicket": tickets.update,
    "addComment": tickets.comment,
    "closeTicket": tickets.close,
    "reopenTicket": tickets.reopen,
    "escalateTicket": tickets.escalate,
    "setSeverity": tickets.set_severity,
    "listEvents": tickets.events,
    "pageOnCall": tickets.page_on_call,
    "getPage": tickets.show_page,
    "getUploadLimits": uploads.limits,
    "createUpload": uploads.create,
    "getUploadOffset": uploads.offset,
    "appendUpload": uploads.append,
    "cancelUpload": uploads.cancel,
    "getAttachment": uploads.download,
    "listIncidents": records.listing("incident"),
    "listIncidentUpdates": records.incident_updates,
    "listMaintenanceWindows": records.listing("window"),
    "getCalendar": records.business_calendar,
    "listPlans": subscriptions.plans,
    "listSubscriptions": subscriptions.listing,
    "commitSubscription": subscriptions.commit,
    "previewSubscription": subscriptions.preview,
    "changeSubscription": subscriptions.change,
    "listInvoices": records.listing("invoice"),
    "getInvoice": records.showing("invoice", "invoice_id", "invoice"),
    "listConsulting": records.listing("ledger"),
    "listVisits": records.listing("visit"),
    "listRmas": records.listing("rma"),
    "getRma": records.showing("rma", "rma_id", "RMA"),
    "listReports": records.listing("report", only="type"),
    "getEngineer": records.engineer,
    "swapEngineer": records.swap,
    "createExport": records.export,
    "getExport": records.showing("export", "export_id", "export"),
    "listAuditEvents": records.listing("audit"),
}
# Operations that wait, or that read a large body, are not one transaction: they commit what they do themselves.
OUTSIDE = frozenset({"listEvents", "getPage", "getAttachment", "appendUpload"})
SCOPES = {"commitSubscription": "plan:write", "changeSubscription": "plan:write", "previewSubscription": "plan:read"}
LISTS = frozenset(name for name in HANDLERS if name.startswith("list"))
LIST_QUOTA, LIST_WINDOW_S = 6000, 60


def create_app(store: Store) -> faults.App:
    """Return the application, its fault switches around it."""
    app = Flask("bilbs-sandbox", static_folder=None)
    app.url_map.merge_slashes = False
    with store.change():
        records.furnish(store)
    for operation in contract.operations():
        path = PREFIX + operation.path.replace("{", "<").replace("}", ">")
        view = _view(store, operation)
        app.add_url_rule(path, operation.id, view, methods=[operation.method], provide_automatic_options=False)
    app.register_error_handler(HTTPException, _no_route)
    return faults.middleware(store, app.wsgi_app)


def _no_route(error: HTTPException) -> Response:
    status = error.code or 500
    code = {404: "not-found", 405: "no-such-method"}.get(status, "bad-request")
    allowed = {"Allow": ", ".join(sorted(error.valid_methods or ()))} if hasattr(error, "valid_methods") else {}
    return _problem(Refused(status, code, error.description or "", headers=allowed), _request_id())


def _view(store: Store, operation: Operation) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        identity = _request_id()
        try:
            reply = _answered(store, operation, path)
        except Wrong as wrong:
            more: dict[str, Any] = (
                {"errors": [{"pointer": at, "detail": why} for at, why in wrong.errors]} if wrong.errors else {}
            )
            code = {404: "not-found", 415: "media-type", 422: "invalid"}.get(wrong.status, "bad-request")
            if operation.id == "getToken" and wrong.status == HTTPStatus.BAD_REQUEST:
                more["error"] = "invalid_request"
            return _problem(Refused(wrong.status, code, wrong.detail, **more), identity)
        except Refused as refused:
            return _problem(refused, identity)
        except sqlite3.OperationalError as error:  # a full disk, a desk that another process holds
            return _problem(Refused(503, "unavailable", str(error), headers={"Retry-After": "1"}), identity)
        return _response(reply, identity)

    def dated(**path: str) -> Response:
        response = view(**path)
        response.headers["Date"] = http_date(store.now())
        return response

    return dated


def _request_id() -> str:
    return f"req_{secrets.token_hex(4)}"


def _answered(store: Store, operation: Operation, path: dict[str, str]) -> Reply:
    """Return the answer to the current request. Raises `Wrong`, `Refused`."""
    who = _login(store, operation)
    given = contract.parameters(operation, path, request.args, request.headers)
    data = b"" if operation.id == "appendUpload" else request.get_data()
    body = contract.body(operation, request.content_type or "", data)
    root = request.host_url.rstrip("/") + PREFIX
    below, peer = request.path.removeprefix(PREFIX), request.environ.get(faults.SOCKET)
    call = Call(store, given, body, who, request.headers, request.stream, root, below, peer)
    handler = HANDLERS[operation.id]
    if operation.id in LISTS:
        return _paged(store, call, handler)
    if operation.takes("Idempotency-Key"):
        key = str(given["Idempotency-Key"])  # of the account: a laptop may deliver what a box has written
        print_ = hashlib.sha256(
            f"{operation.method} {request.path} {request.headers.get('If-Match')}\n".encode() + data
        ).hexdigest()
        return _once(store, key, print_, lambda: handler(call))
    if operation.id in OUTSIDE:
        return handler(call)
    return _in_change(store, lambda: handler(call))


def _in_change(store: Store, handler: Callable[[], Reply]) -> Reply:
    with store.change():
        people.advance(store)
        try:
            return handler()
        except Refused as refused:
            if not refused.more.pop("_keep", False):
                raise
            kept = refused
    raise kept


def _login(store: Store, operation: Operation) -> Who:
    found = login.who(store, request.headers.get("Authorization", ""))
    if operation.open:
        return found or Who()
    if found is None:
        raise Refused(401, "login", "the token is missing, expired or revoked", headers={"WWW-Authenticate": "Bearer"})
    needed = SCOPES.get(operation.id) or ("tickets:write" if operation.method in {"POST", "PATCH", "DELETE"} else "")
    if needed and needed not in found.scopes:
        raise Refused(403, "forbidden", f"this credential has no {needed}; ask the owner of the account")
    return found


def _once(store: Store, key: str, print_: str, handler: Callable[[], Reply]) -> Reply:
    """Do something once for a key: the same request again gets the same answer, a different one is refused."""
    with store.alone(key) as alone:
        if not alone:
            raise Refused(409, "in-flight", "a request with this key is being answered", headers={"Retry-After": "1"})
        with store.change():
            row = store.base.execute("select print, status, headers, body from reply where key = ?", (key,)).fetchone()
            if row:
                if row[0] != print_:
                    raise Refused(422, "key-reused", "this key was used with another body")
                return Reply(row[1], json.loads(row[3]), json.loads(row[2]))
            people.advance(store)
            reply = handler()
            store.base.execute(
                "insert into reply (key, print, status, headers, body) values (?, ?, ?, ?, ?)",
                (key, print_, reply.status, json.dumps(reply.headers), json.dumps(reply.body)),
            )
            return reply


def _paged(store: Store, call: Call, handler: Callable[[Call], Reply]) -> Reply:
    """Answer a list; lists have a bucket of their own, so that they cannot starve a ticket."""
    quota = int(store.get("list_quota", LIST_QUOTA))
    now = time.monotonic()
    with store.lock:
        store.listed[:] = [at for at in store.listed if now - at < LIST_WINDOW_S]
        left, wait = (
            quota - len(store.listed),
            LIST_WINDOW_S - (now - store.listed[0]) if store.listed else LIST_WINDOW_S,
        )
        if left > 0:
            store.listed.append(now)
    limits = {
        "RateLimit-Policy": f'"lists";q={quota};w={LIST_WINDOW_S}',
        "RateLimit": f'"lists";r={max(left - 1, 0)};t={int(wait) + 1}',
    }
    if left <= 0:
        raise Refused(429, "rate-limited", "too many lists", headers=limits | {"Retry-After": str(int(wait) + 1)})
    loops = bool(store.get("fault:loop"))
    if loops:
        call.parameters.pop("after", None)
    waits = call.path.startswith("/tickets/")  # the timeline: it is not one transaction
    reply = handler(call) if waits else _in_change(store, lambda: handler(call))
    if loops:
        reply.body |= {"has_more": True, "next_cursor": "for-ever"}
    reply.headers |= limits
    return reply


def _problem(refused: Refused, identity: str) -> Response:
    status = refused.status
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": refused.detail,
        "code": refused.code,
        "request_id": identity,
        "retryable": status in {429, 500, 503} or refused.code == "in-flight",
        **{name: value for name, value in refused.more.items() if not name.startswith("_")},
    }
    if status == 401 or status >= 500:
        document["pager"] = PAGER
    response = Response(json.dumps(document), status, content_type="application/problem+json")
    response.headers.update(refused.headers | {"X-Request-Id": identity})
    return response


def _response(reply: Reply, identity: str) -> Response:
    if reply.file is not None:
        pieces: Iterable[bytes] = reply.file
        response = Response(pieces, reply.status)
        response.headers.pop("Content-Type", None)
    elif reply.body is None or reply.status == 304:
        response = Response(b"", reply.status)
        response.headers.pop("Content-Type", None)
    else:
        response = Response(json.dumps(reply.body), reply.status, content_type="application/json")
    response.headers.update(reply.headers | {"X-Request-Id": identity})
    return response
