"""From a quote to a subscription, once: preview, commit with the key that is on the disk, find out what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bilbs_cli.errors import BilbsError, Conflict, OutputUnwritable, Unavailable
from bilbs_cli.plan import account, quote, receipts
from bilbs_cli.plan.quote import Quote
from bilbs_cli.plan.receipts import Pending
from bilbs_cli.support import audit
from bilbs_cli.support.api import Answer, Desk, Later, Never, Taken, failure
from bilbs_cli.support.ids import is_id

NOTHING = "nothing was subscribed, and nothing is queued"
EXPIRED = "quote-expired"


class QuoteExpired(Exception):
    """The desk holds to the quote no longer: another one is to be shown."""


class Unchanged(Exception):
    """These are the terms already."""


class Done(NamedTuple):
    """What was agreed: the subscription as the desk says, and the receipt (None: it could not be written, `problem`)."""

    subscription: dict[str, Any]
    receipt: Path | None
    problem: str
    earlier: bool = False  # by an earlier attempt, whose answer was lost


def preview(desk: Desk, tier: str, boxes: int) -> Quote:
    """Return a quote; nothing is agreed. Raises `Unchanged`, `Conflict`, `Unavailable` and the others of `api.failure`."""
    answer = desk.write("POST", "/subscriptions/preview", {"plan": "support", "tier": tier, "boxes": boxes})
    if isinstance(answer, Taken):
        return quote.parsed(answer.data)
    if isinstance(answer, Never) and answer.code == "unchanged":
        raise Unchanged
    raise _refused(answer)


def _refused(answer: Answer) -> BilbsError:
    error = failure(answer)
    error.safe = NOTHING
    if isinstance(answer, Never) and answer.code == "conflict":
        error.next = "bilbs plan resume support"
    return error


def commit(desk: Desk, found: Quote, asked: Mapping[str, Any]) -> Done:
    """Agree to a quote: its key is on the disk before it is sent. Raises `QuoteExpired`, `OutputUnwritable`, `BilbsError`."""
    return _sent(desk, receipts.begin(desk.base, found.raw, asked))


def again(desk: Desk, step: Pending) -> Done:
    """Send a step that has no receipt again, with its own key: whatever became of it, it is taken once. Raises as `commit`."""
    return _sent(desk, step)


def _sent(desk: Desk, step: Pending) -> Done:
    body = {"quote_id": str(step.quote.get("quote_id"))}
    answer = desk.write("POST", "/subscriptions", body, key=step.key)
    if isinstance(answer, Taken):
        return _receipt(step, answer.data)
    if isinstance(answer, Never):
        receipts.forget()
        if answer.code == EXPIRED:
            raise QuoteExpired
        raise _refused(answer)
    with suppress(BilbsError):  # then nobody knows: the same step again
        found = _made(desk, step)
        if found is not None:
            return _receipt(step, found)
    if isinstance(answer, Later):
        raise Unavailable(
            f"no receipt from the desk: {answer.reason}",
            code="no-receipt",
            safe="whether it was taken is not known yet; the same command asks again with the same key and cannot subscribe twice",
            next="bilbs plan subscribe support (the same flags)",
        )
    raise failure(answer)


def settled(desk: Desk, step: Pending) -> Done | None:
    """Return what became of a step without a receipt; None where the desk does not have it. Raises as `Desk.get`."""
    found = _made(desk, step)
    return _receipt(step, found)._replace(earlier=True) if found else None


def _made(desk: Desk, step: Pending) -> dict[str, Any] | None:
    found = account.newest(desk)
    return found if found and found.get("quote_id") == step.quote.get("quote_id") else None


def _receipt(step: Pending, made: dict[str, Any]) -> Done:
    details = {"key": step.key, "api": step.api, "asked": step.asked, "quote": step.quote}
    audit.note(
        "subscribed", answer=str(made.get("id")), quote=str(step.quote.get("quote_id")), sha256=audit.digest(step.quote)
    )
    try:
        path = receipts.keep("subscribe", made, details)
    except OutputUnwritable as error:
        return Done(made, None, str(error))  # the step stays on the disk: the next run writes the receipt
    receipts.forget()
    return Done(made, path, "")


def change(desk: Desk, doc: Mapping[str, Any], action: str, key: str) -> dict[str, Any]:
    """Cancel a subscription, or take that back; the desk refuses where it is not any more what was shown.

    Raises `Conflict` with the code `changed`, and as `api.failure`.
    """
    path = f"/subscriptions/{_id(doc)}"
    answer = desk.write("PATCH", path, {"action": action}, key=key, if_match=str(doc.get("etag") or "*"))
    if isinstance(answer, Taken):
        audit.note(action, answer=str(answer.data.get("id")))
        return answer.data
    if isinstance(answer, Never) and answer.status == 412:
        raise Conflict(
            "the subscription has changed since it was shown",
            code="changed",
            safe="nothing was changed",
            next="the same command again",
        )
    if isinstance(answer, Later):
        raise Unavailable(
            f"no receipt from the desk: {answer.reason}",
            code="no-receipt",
            safe="it may have arrived; to say it twice changes nothing",
            next="bilbs plan status",
        )
    raise failure(answer)


def _id(doc: Mapping[str, Any]) -> str:
    found = doc.get("id")
    if not is_id(found):
        raise Unavailable("the desk's subscription has no id", next="bilbs doctor")
    return found
