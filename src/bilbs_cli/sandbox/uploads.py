"""Resumable uploads (draft-ietf-httpbis-resumable-upload) with digests (RFC 9530), and downloads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bilbs_cli import digest_field
from bilbs_cli.sandbox import tickets
from bilbs_cli.sandbox.calls import Call, Refused, Reply, found
from bilbs_cli.sandbox.store import Document, Store, minted, rfc3339

MAX_BYTES, MAX_APPEND, AGE_S = 50 << 30, 64 << 20, 7 * 86400
PIECE = 1 << 20


def limit_header(store: Store) -> str:
    """Return the limits as a structured dictionary."""
    most = store.get("max_upload", MAX_BYTES)
    return f"max-size={most}, min-append-size=1, max-append-size={_max_append(store)}, max-age={AGE_S}"


def _max_append(store: Store) -> int:
    return int(store.get("max_append", MAX_APPEND))


def limits(call: Call) -> Reply:
    """Say what may be attached."""
    found(call.store.ticket(call.parameters["ticket_id"]), "ticket", call.parameters["ticket_id"])
    return Reply(204, headers={"Upload-Limit": limit_header(call.store)})


def create(call: Call) -> Reply:
    """Begin an upload of an announced length and digest."""
    name = call.parameters["ticket_id"]
    ticket = found(call.store.ticket(name), "ticket", name)
    size, most = call.parameters["Upload-Length"], call.store.get("max_upload", MAX_BYTES)
    if size > most:
        raise Refused(413, "too-large", f"{most} bytes at most", limits={"max_bytes": most})
    if call.parameters["Upload-Complete"] != "?0":
        raise Refused(400, "bad-request", "an upload begins empty, with Upload-Complete: ?0")
    if ticket["status"] == "closed":
        raise Refused(409, "conflict", "the ticket is closed; reopen it first")
    made = {
        "id": minted("upl"),
        "attachment_id": minted("att"),
        "ticket_id": ticket["id"],
        "filename": call.body["filename"],
        "media_type": call.body.get("media_type"),
        "length": size,
        "sha256": announced(call, "Repr-Digest").hex(),
        "expires_at": rfc3339(call.now + AGE_S),
    }
    call.store.put("upload", made)
    _file(call.store, made["id"]).touch(mode=0o600)
    shown = {name: made[name] for name in ("id", "attachment_id", "expires_at")} | {"offset": 0, "complete": False}
    place = {
        "Location": f"{call.root}/uploads/{made['id']}",
        "Upload-Offset": "0",
        "Upload-Limit": limit_header(call.store),
    }
    return Reply(201, shown, place)


def offset(call: Call) -> Reply:
    """Say how much has arrived."""
    made = _upload(call)
    has = _size(call.store, made["id"])
    whole = call.store.find("attachment", made["attachment_id"]) is not None
    headers = {"Upload-Offset": str(has), "Upload-Complete": _flag(whole), "Upload-Limit": limit_header(call.store)}
    return Reply(204, headers=headers | {"Cache-Control": "no-store"})


def append(call: Call) -> Reply:
    """Append a part. One that was cut off, or whose digest is wrong, leaves nothing behind."""
    made = _upload(call)
    kind = call.headers.get("Content-Type", "").partition(";")[0].strip()
    if kind != "application/partial-upload":
        raise Refused(415, "media-type", "application/partial-upload is expected")
    with call.store.alone(made["id"]) as alone:
        if not alone:
            raise _conflict(_size(call.store, made["id"]))
        return _append(call, made)


def _append(call: Call, made: Document) -> Reply:
    begins, has = call.parameters["Upload-Offset"], _size(call.store, made["id"])
    last = call.parameters["Upload-Complete"] == "?1"
    attachment = call.store.find("attachment", made["attachment_id"])
    if begins != has or (attachment and not last):
        raise _conflict(has)
    if attachment:
        return _whole(call.store, attachment)
    has += _receive(call, made, has)
    if not last:
        return Reply(204, headers={"Upload-Offset": str(has), "Upload-Complete": "?0"})
    if has != made["length"]:
        raise _cut(has, f"{made['length']} bytes were announced, {has} have arrived")
    with call.store.change():
        return _finished(call, made)


def _conflict(has: int) -> Refused:
    return Refused(409, "conflict", f"{has} bytes have arrived", headers={"Upload-Offset": str(has)})


def _cut(has: int, why: str, code: str = "bad-request") -> Refused:
    return Refused(400, code, why, headers={"Upload-Offset": str(has)})


def _receive(call: Call, made: Document, has: int) -> int:
    """Write a part behind what is there; on a wrong digest or a cut line nothing of it stays. Returns its bytes."""
    length = int(call.headers.get("Content-Length") or -1)
    if length < 0:
        raise _cut(has, "Content-Length is missing")
    largest = _max_append(call.store)
    if length > largest or has + length > made["length"]:
        most = {"max_bytes": made["length"], "max_append_bytes": largest}
        raise Refused(413, "too-large", f"{largest} bytes in a part, {made['length']} in all", limits=most)
    whole = _running(call.store, made["id"], has)
    path = _file(call.store, made["id"])
    try:
        why = _copied(call, path, has, length, whole)
    except BaseException:
        _undo(call.store, made["id"], has)
        raise
    if why:
        _undo(call.store, made["id"], has)
        raise _cut(has, why, "digest" if "digest" in why else "bad-request")
    call.store.hashed[made["id"]] = (has + length, whole)
    return length


def _undo(store: Store, name: str, has: int) -> None:
    os.truncate(_file(store, name), has)
    store.hashed.pop(name, None)


def _copied(call: Call, path: Path, has: int, length: int, whole: Any) -> str:
    """Write the part; return what is wrong with it, nothing where it is right."""
    part = hashlib.sha256()
    with path.open("r+b", buffering=0) as target, ThreadPoolExecutor(1) as beside:
        target.seek(has)
        other: Future[None] | None = None
        while length:
            piece = call.stream.read(min(length, PIECE))
            if other:
                other.result()
            if not piece:
                return "the part was cut off"
            other = beside.submit(whole.update, piece)  # on another core
            target.write(piece)
            part.update(piece)
            length -= len(piece)
    right = part.digest() == announced(call, "Content-Digest")
    return "" if right else "the part is not what its digest says"


def _running(store: Store, name: str, has: int) -> Any:
    """Return the digest of what has arrived so far."""
    known = store.hashed.pop(name, None)
    if known and known[0] == has:
        return known[1]
    digest = hashlib.sha256()
    with _file(store, name).open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    return digest


def _finished(call: Call, made: Document) -> Reply:
    digest = _running(call.store, made["id"], made["length"])
    if digest.hexdigest() != made["sha256"]:
        os.truncate(_file(call.store, made["id"]), 0)
        raise Refused(
            422,
            "digest",
            "the whole is not what its digest says; begin again",
            errors=[{"pointer": "", "detail": digest.hexdigest()}],
        )
    attachment = {
        "id": made["attachment_id"],
        "filename": made["filename"],
        "size": made["length"],
        "sha256": made["sha256"],
        "media_type": made["media_type"],
        "created_at": rfc3339(call.now),
        "_file": made["id"],
    }
    call.store.put("attachment", attachment)
    doc = call.store.ticket(made["ticket_id"])
    if doc:
        tickets.touched(call.store, doc | {"attachments": [*doc["attachments"], shown(attachment)]})
        call.store.add_event(doc["id"], "attached", "customer", call.now, text=made["filename"])
    call.store.audit(call.who.kind, f"attached {made['filename']}", made["sha256"])
    return _whole(call.store, attachment)


def _whole(store: Store, attachment: Document) -> Reply:
    digest = attachment["sha256"] if not store.get("fault:digest") else "0" * 64
    headers = {"Upload-Offset": str(attachment["size"]), "Upload-Complete": "?1", "Repr-Digest": _digest(digest)}
    return Reply(200, shown(attachment) | {"sha256": digest}, headers)


def cancel(call: Call) -> Reply:
    """Give an upload up."""
    made = _upload(call)
    if call.store.find("attachment", made["attachment_id"]) is None:
        _file(call.store, made["id"]).unlink(missing_ok=True)
    call.store.remove("upload", made["id"])
    return Reply(204)


def download(call: Call) -> Reply:
    """Return the bytes of an attachment."""
    name = call.parameters["attachment_id"]
    doc = found(call.store.find("attachment", name), "attachment", name)
    digest = doc["sha256"] if not call.store.get("fault:digest") else "0" * 64
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(doc["size"]),
        "Repr-Digest": _digest(digest),
        "Content-Disposition": f'attachment; filename="{doc["filename"]}"'.encode("ascii", "replace").decode(),
    }
    return Reply(200, headers=headers, file=_pieces(_file(call.store, doc["_file"])))


def keep_file(store: Store, attachment: Document, data: bytes) -> Document:
    """Keep an attachment of the desk's own (a report) and return it as clients see it."""
    path = _file(store, attachment["id"])
    path.write_bytes(data)
    doc = attachment | {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "_file": attachment["id"]}
    store.put("attachment", doc)
    return shown(doc)


def shown(attachment: Document) -> Document:
    """Return an attachment without what is the desk's own."""
    return {name: value for name, value in attachment.items() if not name.startswith("_")}


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            yield piece


def _upload(call: Call) -> Document:
    name = call.parameters["upload_id"]
    return found(call.store.find("upload", name), "upload", name)


def _file(store: Store, name: str) -> Path:
    return store.uploads / name


def _size(store: Store, name: str) -> int:
    try:
        return _file(store, name).stat().st_size
    except FileNotFoundError:
        return 0


def _flag(yes: bool) -> str:
    return "?1" if yes else "?0"


def _digest(sha256: str) -> str:
    return digest_field.field(bytes.fromhex(sha256))


def announced(call: Call, name: str) -> bytes:
    """Return the digest that a request announces; the contract has made sure that there is one."""
    return digest_field.parse(call.parameters[name]) or b""
