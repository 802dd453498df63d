"""The paths to the desk, each tried once: address, TLS, proxy, login, clocks, card, outbox; what a night needs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from bilbs_cli import files, paths
from bilbs_cli.config import Config
from bilbs_cli.errors import BilbsError
from bilbs_cli.quantities import show_size, show_span
from bilbs_cli.support import api, card_file, login, outbox
from bilbs_cli.support.transport import NoAnswer, Raw

OK, WARN, FAIL, UNKNOWN = "ok", "warn", "FAIL", "unknown"
SKEW_WARN_S, SKEW_FAIL_S = 30, 300
CERTIFICATE_WARN_S, CARD_OLD_S, WAITING_S = 14 * 86400, 90 * 86400, 3600
FREE_WARN, FREE_FAIL = 1 << 30, 100 << 20


class Check(NamedTuple):
    """One path that was tried: what it is, how it is, what was seen, what to type."""

    name: str
    state: str
    said: str
    next: str = ""


def checks(config: Config, budget_s: float) -> Iterator[Check]:
    """Yield each check as it is done. Nothing is changed at the desk or here."""
    yield _disk()
    yield _pager()
    yield _outbox()
    secret, logged_in = _login(config)
    yield logged_in
    yield from _desk(config, secret, budget_s)


def _disk() -> Check:
    place = files.existing_parent(paths.state_dir())
    free = shutil.disk_usage(place).free
    said = f"{show_size(free)} free for {paths.state_dir()}"
    if not os.access(place, os.W_OK):
        return Check("disk", FAIL, f"{place} cannot be written by this user", "the same as root, or BILBS_STATE_DIR")
    if free < FREE_FAIL:
        return Check("disk", FAIL, said, f"df -h {place}")
    return Check("disk", WARN if free < FREE_WARN else OK, said, f"df -h {place}" if free < FREE_WARN else "")


def _pager() -> Check:
    broken = [text for card in card_file.cards(os.environ) for text in card.warnings]
    number = card_file.fields().get("pager")
    if not number:
        return Check(
            "pager", FAIL, "no number is stored on this box", "bilbs login, or bilbs support card set --pager +1..."
        )
    if broken:
        return Check("pager", WARN, f"{number}; {broken[0]}", "correct that card")
    fetched = paths.state_dir() / card_file.NAME
    if fetched.exists() and time.time() - fetched.stat().st_mtime > CARD_OLD_S:
        age = show_span(time.time() - fetched.stat().st_mtime)
        return Check("pager", WARN, f"{number}; the card was fetched {age} ago", "bilbs status --refresh")
    return Check("pager", OK, number)


def _outbox() -> Check:
    if outbox.waiting_in_memory():
        return Check(
            "outbox",
            FAIL,
            "an outbox lies in memory only: a reboot loses it",
            "free some disk, then bilbs support outbox flush",
        )
    if not outbox.place().exists():
        return Check("outbox", OK, "empty")
    try:
        with outbox.opened() as box:
            found = box.standing()
    except BilbsError as error:
        return Check("outbox", FAIL, str(error), error.next)
    said = f"{found.waiting} waiting, {found.refused} refused"
    odd = found.refused or (found.oldest is not None and time.time() - found.oldest > WAITING_S)
    return Check("outbox", WARN if odd else OK, said, "bilbs support outbox list" if odd else "")


def _login(config: Config) -> tuple[str | None, Check]:
    try:
        secret = login.token(config)
    except BilbsError as error:
        return None, Check("login", FAIL, str(error), error.next or "bilbs login")
    if secret is None:
        return None, Check("login", FAIL, "nobody is logged in: tickets would wait in the outbox", "bilbs login")
    kept = login.read() if not os.environ.get(login.VARIABLE) else None
    if kept and kept.expires_at and not kept.refresh_token:
        left = kept.expires_at - time.time()
        return secret, Check(
            "login",
            WARN if left < CERTIFICATE_WARN_S else OK,
            f"a token that ends in {show_span(max(left, 0))}",
            "bilbs login",
        )
    return secret, Check("login", OK, "a token of this box" if kept is None else "a login that renews itself")


def _desk(config: Config, secret: str | None, budget_s: float) -> Iterator[Check]:
    try:
        base = login.base(config)
        desk = api.Desk(base, secret, login.options(config)._replace(timeout_s=budget_s))
    except BilbsError as error:
        yield Check("desk", FAIL, str(error), error.next)
        return
    with desk:
        yield _proxy(config, base)
        if secret is None and base == api.BASE:  # an address that nobody has confirmed
            yield Check("desk", UNKNOWN, f"{base} is not asked before a login", "bilbs login, or set api.url")
            return
        try:
            raw = desk.send("GET", "/status")
        except NoAnswer as error:
            yield Check("desk", FAIL, f"{base}: {error}", _advice(str(error)))
            return
        yield _state(base, raw)
        yield from _tls(base, raw)
        yield _clock(desk)
        if secret:
            yield _token(desk)


def _advice(reason: str) -> str:
    low = reason.lower()
    if "certificate" in low or "ssl" in low or "tls" in low:
        if not _authorities():
            return "this box knows no certificate authority: apt install ca-certificates, or api.ca_bundle = a PEM file"
        return "behind a company's proxy: api.ca_bundle = its authorities (PEM); also look at this box's clock"
    if "name" in low or "getaddrinfo" in low or "resolve" in low:
        return "DNS: getent hosts HOST; cat /etc/resolv.conf"
    if "proxy" in low:
        return "bilbs config get api.proxy; env | grep -i proxy"
    return "a firewall or a cable: curl -v the address; api.proxy where a proxy is needed"


def _authorities() -> bool:
    """Tell whether the system's trust store has anything in it."""
    import ssl

    store = ssl.get_default_verify_paths()
    return bool(store.cafile or (store.capath and any(Path(store.capath).iterdir())))


def _proxy(config: Config, base: str) -> Check:
    from urllib.request import getproxies, proxy_bypass

    own = config.value("api.proxy")
    if own:
        return Check("proxy", OK, f"{own} (api.proxy)")
    parts = urlsplit(base)
    found = getproxies().get(parts.scheme)
    if found and not proxy_bypass(parts.hostname or ""):
        return Check("proxy", OK, f"{_without_password(found)} (environment)")
    return Check("proxy", OK, "none")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return url.replace(f"{parts.username}:{parts.password}@", "...@") if parts.password else url


def _state(base: str, raw: Raw) -> Check:
    answer = api.meaning(raw)
    if not isinstance(answer, api.Taken):
        reason = getattr(answer, "reason", "")
        return Check("desk", FAIL, f"{base}: {reason}", "check api.url; a page of a network that wants a login?")
    state = str(answer.data.get("state"))
    words = f"{base}: {state}, {answer.data.get('message') or ''}".rstrip(", ")
    return Check("desk", OK if state == "up" else WARN, words)


def _tls(base: str, raw: Raw) -> Iterator[Check]:
    if not raw.tls:
        local = base.startswith("http://")
        yield Check(
            "tls", OK if local else UNKNOWN, "not used: this machine only" if local else "nothing could be seen of it"
        )
        return
    version, ends = raw.tls.get("version", ""), raw.tls.get("ends", "")
    try:
        left = datetime.strptime(ends, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC).timestamp() - time.time()
    except ValueError:
        yield Check("tls", UNKNOWN, f"{version}; the end of the certificate cannot be read")
        return
    soon = left < CERTIFICATE_WARN_S
    yield Check("tls", WARN if soon else OK, f"{version}, the certificate ends in {show_span(left)}")


def _clock(desk: api.Desk) -> Check:
    if desk.date is None:
        return Check("clock", UNKNOWN, "the desk does not say what time it is")
    skew = time.time() - desk.date.timestamp()
    said = (
        "as the desk's" if abs(skew) < 2 else f"{show_span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the desk"
    )
    state = FAIL if abs(skew) > SKEW_FAIL_S else WARN if abs(skew) > SKEW_WARN_S else OK
    return Check("clock", state, said, "" if state == OK else "timedatectl; start a time service")


def _token(desk: api.Desk) -> Check:
    try:
        found = desk.get("/me")
    except BilbsError as error:
        return Check("token", FAIL, str(error), error.next or "bilbs login")
    listed = found.get("scopes")
    scopes = listed if isinstance(listed, list) else []
    said = f"{found.get('account')}, role {found.get('role') or '-'}"
    if "tickets:write" not in scopes:
        return Check("token", FAIL, f"{said}: it may not write tickets", "bilbs login")
    return Check("token", OK, said)
