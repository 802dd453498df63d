"""One HTTP request to the desk, and what its answer means: taken, later, never, or log in first.

    Taken        the desk has it; `data` is what it said
    Later        nobody knows, or it was too busy: the same request with the same key is safe
    Never        the desk itself refused it (RFC 9457), and always will
    LoginNeeded  the desk does not take the token

Only a problem document of the desk is a refusal. HTML from a proxy, half an answer or a redirect are not its word.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from bilbs_cli.errors import BilbsError, Conflict, LoginNeeded, NotFound, PermissionNeeded, PlanRequired, Unavailable
from bilbs_cli.escape import visible
from bilbs_cli.support import transport
from bilbs_cli.support.deadline import Caller, Expired
from bilbs_cli.support.transport import NoAnswer, Options, Raw

if TYPE_CHECKING:
    import httpx

BASE = "https://api.groupebilbs.com/v1"  # assumed: the documents give only the mail domain
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
FIRST_WAIT_S, LONGEST_WAIT_S, LAST_TRY_S = 0.5, 8.0, 0.5
PAGE_LIMIT = 32 << 20  # of a page of a list: a ticket's text may have 100,000 characters


@dataclass(frozen=True, slots=True)
class Taken:
    """The desk has it. `status` tells a new thing (201) from one that was there (200)."""

    data: dict[str, Any]
    status: int = 201


@dataclass(frozen=True, slots=True)
class Later:
    """It may have arrived or not; `after_s` is how long the desk asks to wait."""

    reason: str
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Never:
    """The desk refused it: its code, its words, the request id for support."""

    code: str
    reason: str
    status: int = 422


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """The desk does not take the token."""

    reason: str


Answer = Taken | Later | Never | LoggedOut


class Desk:
    """A connection to one desk. The token goes to its exact origin only; redirects are never followed."""

    def __init__(self, base: str, token: str | None, options: Options = Options()) -> None:  # noqa: B008 - a constant
        self.base = transport.checked(base)
        self._client = transport.client({"Authorization": f"Bearer {token}"} if token else {}, options)
        self._timeout_s = options.timeout_s
        self._budget_s = options.budget_s
        self._caller = Caller()
        self.date: datetime | None = None  # by the desk's clock, at its last answer (RFC 9110 6.6.1)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._caller.close()
        self._client.close()

    def send(
        self, method: str, path: str, *, timeout_s: float | None = None, within_s: float | None = None, **content: Any
    ) -> Raw:
        """Send one request to a path, or to an address of the same origin, and return its answer. Raises `NoAnswer`.

        `timeout_s` bounds each wait for the peer, `within_s` the whole, resolver and dripping peers included.
        """
        url = path if "://" in path else self.base + path
        if not self.has(url):
            raise NoAnswer(f"{visible(url[:200])} is another host than the desk: nothing was sent there")
        wait_s = timeout_s if timeout_s is not None else self._timeout_s
        whole_s = within_s if within_s is not None else 3 * wait_s
        try:
            raw: Raw = self._caller.call(
                lambda: transport.send(self._client, method, url, timeout_s=wait_s, **content), whole_s
            )
        except Expired:
            raise NoAnswer(f"no whole answer within {whole_s:.0f} s") from None
        self.date = _http_date(raw.headers.get("date", "")) or self.date
        return raw

    def has(self, url: str) -> bool:
        """Say whether an address is of the desk's own origin."""
        try:
            return transport.origin(url) == transport.origin(self.base)
        except NoAnswer:
            return False

    @contextmanager
    def opened(self, path: str) -> Iterator[httpx.Response]:
        """Give the answer at a path, its body still to be read. Raises `NoAnswer`."""
        answer = transport.opened(self._client, self.base + path, timeout_s=self._timeout_s)
        try:
            reply = self._caller.call(answer.__enter__, 3 * self._timeout_s)
        except Expired:
            raise NoAnswer("the answer does not begin") from None
        try:
            yield reply
        except BaseException as error:
            if not answer.__exit__(type(error), error, error.__traceback__):
                raise
        else:
            answer.__exit__(None, None, None)

    def post(self, path: str, body: Mapping[str, Any], key: str, timeout_s: float) -> Answer:
        """Send one JSON body with its idempotency key, and say what the answer means; it takes `timeout_s` at most."""
        headers = {"Idempotency-Key": key}
        try:
            wait_s = min(self._timeout_s, timeout_s)
            raw = self.send("POST", path, timeout_s=wait_s, within_s=timeout_s, json=body, headers=headers)
        except NoAnswer as error:
            return Later(str(error))
        return meaning(raw)

    def get(self, path: str, *, budget_s: float | None = None, **content: Any) -> dict[str, Any]:
        """Return the JSON document at a path, trying again within the budget.

        Raises `LoginNeeded`, `NotFound`, `PermissionNeeded`, `PlanRequired`, `Conflict`, `Unavailable`.
        """
        answer = self._insist(lambda: self.send("GET", path, most=PAGE_LIMIT, **content), budget_s)
        if not isinstance(answer, Taken):
            raise failure(answer)
        return answer.data

    def write(self, method: str, path: str, body: Mapping[str, Any], *, key: str = "", if_match: str = "") -> Answer:
        """Send one JSON body, again within the budget where nobody knows whether it arrived, and say what the answer means.

        Only for what is safe to send twice: it has an idempotency `key`, or changes nothing.
        """
        headers = {"Idempotency-Key": key, "If-Match": if_match}
        given = {name: value for name, value in headers.items() if value}
        return self._insist(lambda: self.send(method, path, json=body, headers=given))

    def _insist(self, send: Callable[[], Raw], budget_s: float | None = None) -> Answer:
        until = time.monotonic() + (self._budget_s if budget_s is None else budget_s)
        waits = jittered()
        while True:
            try:
                answer = meaning(send())
            except NoAnswer as error:
                answer = Later(str(error))
            pause_s = next_pause(answer, waits, until)
            if pause_s is None:
                return answer
            time.sleep(pause_s)

    def pages(self, path: str, params: Mapping[str, Any], *, budget_s: float | None = None) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page by page. Raises as `get`; `Unavailable` for pages that never end."""
        after: str | None = None
        seen: set[int] = set()
        while True:
            found = self.get(path, budget_s=budget_s, params={**params, **({"after": after} if after else {})})
            items, after = found.get("data"), found.get("next_cursor")
            if not isinstance(items, list):
                raise Unavailable(f"the desk's answer at {path} is no list", next="bilbs doctor")
            yield from (item for item in items if isinstance(item, dict))
            if not found.get("has_more"):
                return
            if not isinstance(after, str) or not after or len(after) > 512 or hash(after) in seen:
                raise Unavailable(f"the desk's pages at {path} go round in a circle", next="bilbs doctor")
            seen.add(hash(after))


def exchange(
    base: str, path: str, form: Mapping[str, str], options: Options, within_s: float | None = None
) -> tuple[int, dict[str, Any]]:
    """Send a form without a token (RFC 6749, RFC 8628) within a time; return status and JSON answer.

    Raises `Unavailable` where there is no answer, or one that is no JSON.
    """
    with Desk(base, None, options) as desk:
        address = desk.base + path
        try:
            raw = desk.send("POST", path, within_s=within_s, data=dict(form))
        except NoAnswer as error:
            raise Unavailable(f"no answer from {address}: {error}", next="bilbs support contacts") from error
    document = _json(raw.data) if raw.data else {}
    if document is None or 300 <= raw.status < 400:
        raise Unavailable(
            f"{address} answered HTTP {raw.status} without JSON: not the desk", next="check api.url and api.proxy"
        )
    return raw.status, document


def meaning(raw: Raw) -> Answer:
    """Return what an answer means."""
    status = raw.status
    document = _json(raw.data) if raw.kind in {"application/json", "application/problem+json"} else None
    if status in {200, 201, 202}:
        if document is None:
            return Later(f"the answer is no JSON ({_what(raw.kind)}): not the desk's")
        return Taken(document, status)
    if 300 <= status < 400:
        return Later(f"a redirect to {visible(raw.headers.get('location', '')[:200])}, which is not followed")
    problem = document if document is not None and raw.kind == "application/problem+json" else None
    if problem is None:
        return Later(f"HTTP {status} without a reason ({_what(raw.kind)}): not the desk's word", _after(raw))
    said = _said(problem)
    if status == 401:
        return LoggedOut(said)
    if status in BUSY or problem.get("retryable") is True:
        return Later(f"HTTP {status}: {said}", _after(raw))
    return Never(visible(str(problem.get("code", "refused"))[:60]), said, status)


def failure(answer: Answer) -> BilbsError:
    """Return the error of an answer that is not what was asked for."""
    if isinstance(answer, LoggedOut):
        return LoginNeeded(answer.reason, next="bilbs login")
    if isinstance(answer, Later):
        return Unavailable(
            f"the desk cannot answer now: {answer.reason}", safe="nothing was changed", next="bilbs support contacts"
        )
    if not isinstance(answer, Never):
        return BilbsError("the desk's answer is not what was asked for", code="unexpected-answer")
    kind = {402: PlanRequired, 403: PermissionNeeded, 404: NotFound, 409: Conflict, 412: Conflict}.get(
        answer.status, BilbsError
    )
    hints = {402: "bilbs plan list", 403: "bilbs whoami", 404: "bilbs support ticket list"}
    return kind(answer.reason, code=answer.code, safe="nothing was changed", next=hints.get(answer.status, ""))


def jittered() -> Iterator[float]:
    """Yield growing waits with full jitter (a fleet that lost the network must not come back as one)."""
    longest = FIRST_WAIT_S
    while True:
        yield random.uniform(0, longest)  # noqa: S311 - no secret
        longest = min(longest * 2, LONGEST_WAIT_S)


def next_pause(answer: Answer, waits: Iterator[float], until: float) -> float | None:
    """Return how long to wait before the next try, None where there is none: a last word, or the budget is spent."""
    if not isinstance(answer, Later):
        return None
    left = until - time.monotonic()
    if left < LAST_TRY_S or answer.after_s >= left:
        return None
    return max(min(next(waits), left / 2), answer.after_s)  # half of what is left: the end of the budget is used, too


def _what(kind: str) -> str:
    return visible(kind[:60]) or "no content type"


def _json(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _said(problem: Mapping[str, Any]) -> str:
    """Return the words of a problem, each field that is wrong, and the request id, as one line."""
    words = str(problem.get("detail") or problem.get("title") or "no reason given")
    wrong = problem.get("errors")
    rows = [one for one in wrong if isinstance(one, dict)][:10] if isinstance(wrong, list) else []
    fields = "".join(f"; {one.get('pointer')}: {one.get('detail')}" for one in rows)
    return visible(f"{words}{fields} (request {problem.get('request_id', 'without id')})"[:1000])


def _after(raw: Raw) -> float:
    """Return the seconds of `Retry-After` (RFC 9110 10.2.3), at most an hour; 0 without one."""
    text = raw.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), 3600.0)
    when = _http_date(text)
    return min(max((when - datetime.now(UTC)).total_seconds(), 0.0), 3600.0) if when else 0.0


def _http_date(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime

    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else None
