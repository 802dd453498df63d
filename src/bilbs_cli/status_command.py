"""`bilbs status`: this box on one screen, from what it knows itself; the network is asked with --refresh only."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import __version__, last_seen, terminal
from bilbs_cli.errors import BilbsError

if TYPE_CHECKING:
    from bilbs_cli.config import Config

app = typer.Typer(add_completion=False)

SHOWN = 6  # tickets; the rest is counted


@app.command()
def status(
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the desk for tickets and card first.", show_default=False)
    ] = False,
    _json: terminal.Json = False,
) -> None:
    """Show this box on one screen: GPUs, last check, pager, plan, tickets, outbox. Without the network."""
    from bilbs_cli import config

    settings = config.load()
    for text in settings.warnings():
        terminal.warn(text)
    if refresh:
        _refresh(settings)
    data = {
        "box": _box(),
        "check": _aged(last_seen.CHECK),
        "bundle": _aged(last_seen.BUNDLE),
        "plan": _plan(settings),
        "pager": _pager(),
        "login": _login(settings),
        "outbox": _outbox(),
        "tickets": _tickets(),
    }
    terminal.emit("status", data, text=lambda: terminal.out(_page(data)))


def _refresh(settings: Config) -> None:
    from itertools import islice

    from bilbs_cli.support import card_fetch, ticket_cache, ticket_view
    from bilbs_cli.support.commands import ticket_desk

    try:
        with ticket_desk.connected(settings) as desk:
            params = {"limit": ticket_desk.PAGE, "status": list(ticket_view.OPEN)}
            ticket_cache.replace(list(islice(desk.pages("/tickets", params), ticket_cache.MOST)))
            card_fetch.fetch(desk)
    except BilbsError as error:
        terminal.warn(f"not refreshed: {error}")


def _box() -> dict[str, Any]:
    from bilbs_cli.support import card_file

    card = card_file.fields()
    return {"host": socket.gethostname(), "serial": card.get("serial"), "version": __version__}


def _aged(name: str) -> dict[str, Any] | None:
    found = last_seen.read(name)
    return {**found, "age_s": max(time.time() - found["at"], 0)} if found else None


def _plan(settings: Config) -> dict[str, Any]:
    found = _aged(last_seen.PLAN) or {}
    return {
        "provider": settings.value("support.provider"),
        "tier": found.get("tier") or settings.value("support.tier"),
        "state": found.get("state"),
        "effective_at": found.get("effective_at"),
        "as_of_age_s": found.get("age_s"),
    }


def _pager() -> dict[str, Any]:
    from bilbs_cli import paths
    from bilbs_cli.support import card_file

    fetched = paths.state_dir() / card_file.NAME
    try:
        age = max(time.time() - fetched.stat().st_mtime, 0)
    except OSError:
        age = None
    return {"number": card_file.fields().get("pager"), "fetched_age_s": age}


def _login(settings: Config) -> dict[str, Any]:
    """Say how this box would log in; a login that cannot be read is a reason, not a crash."""
    import os

    from bilbs_cli.support import login, transport

    base = login.base(settings)
    if os.environ.get(transport.SANDBOX):
        return {"api": base, "by": "--sandbox", "ends_at": None, "problem": None}
    if os.environ.get(login.VARIABLE):
        return {"api": base, "by": login.VARIABLE, "ends_at": None, "problem": None}
    try:
        kept = login.read()
    except BilbsError as error:
        return {"api": base, "by": None, "ends_at": None, "problem": str(error)}
    if kept is None or kept.origin != base:
        return {"api": base, "by": None, "ends_at": None, "problem": None}
    ends = datetime.fromtimestamp(kept.expires_at, UTC).isoformat(timespec="seconds") if kept.expires_at else None
    return {"api": base, "by": "login", "ends_at": None if kept.refresh_token else ends, "problem": None}


def _outbox() -> dict[str, Any]:
    from bilbs_cli.support import outbox

    if not outbox.place().exists() and outbox.waiting_in_memory() is None:
        return {"waiting": 0, "refused": 0, "oldest_age_s": None, "in_memory": False, "problem": None}
    try:
        with outbox.opened() as box:
            found, volatile = box.standing(), box.volatile
    except BilbsError as error:
        return {"waiting": None, "refused": None, "oldest_age_s": None, "in_memory": False, "problem": str(error)}
    return {
        "waiting": found.waiting,
        "refused": found.refused,
        "oldest_age_s": None if found.oldest is None else max(time.time() - found.oldest, 0),
        "in_memory": volatile,
        "problem": None,
    }


def _tickets() -> dict[str, Any] | None:
    from bilbs_cli.support import ticket_cache

    seen = ticket_cache.read()
    if seen is None:
        return None
    return {"as_of_age_s": max(time.time() - seen.at, 0), "open": list(seen.tickets)}


def _page(data: dict[str, Any]) -> str:
    from bilbs_cli.tables import wrapped

    width = terminal.width()
    box, outbox, login = data["box"], data["outbox"], data["login"]
    pairs = [
        ("box", f"{box['host']}{', serial ' + box['serial'] if box['serial'] else ''}; bilbs {box['version']}"),
        ("gpus", _gpus(data["check"])),
        ("check", _checked(data["check"])),
        ("bundle", _collected(data["bundle"])),
        ("plan", _subscribed(data["plan"])),
        ("pager", _number(data["pager"])),
        ("login", _logged_in(login)),
        ("outbox", _waiting(outbox)),
    ]
    lines = []
    for name, said in pairs:
        lines += wrapped(said, f"{name:8}", width)
        if name == "bundle" and data["bundle"]:
            lines.append(f"{'':8}{data['bundle'].get('path')}")  # whole, to be copied
    return "\n".join([*lines, *_ticket_lines(data["tickets"], width)])


def _ago(seconds: float) -> str:
    from bilbs_cli.quantities import show_span

    return f"{show_span(seconds)} ago"


def _gpus(check: dict[str, Any] | None) -> str:
    if check is None or not isinstance(check.get("gpus"), list):
        return "not looked at yet: bilbs diag check"
    names = [str(one) for one in check["gpus"]]
    if not names:
        return f"none were found {_ago(check['age_s'])}"
    counted = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    return f"{counted}, {_ago(check['age_s'])}"


def _checked(check: dict[str, Any] | None) -> str:
    if check is None:
        return "never: bilbs diag check"
    status = str(check.get("status"))
    word = status if status == "healthy" else status.upper()
    worst = f": {check['worst']}" if check.get("worst") and status != "healthy" else ""
    return f"{word} {_ago(check['age_s'])}{worst}"


def _collected(bundle: dict[str, Any] | None) -> str:
    from pathlib import Path

    if bundle is None:
        return "none yet: bilbs diag collect"
    gone = "" if Path(str(bundle.get("path"))).exists() else ", not there any more"
    part = "" if bundle.get("complete") else ", incomplete"
    return f"{_ago(bundle['age_s'])}{part}{gone}"


def _subscribed(plan: dict[str, Any]) -> str:
    if plan["state"] is None:
        return f"{plan['provider']}, {plan['tier'] or 'no tier set (support.tier)'}; the desk was not asked: bilbs plan status"
    ends = f" until {plan['effective_at']}" if plan["state"] == "cancelling" else ""
    tier = f"{plan['tier']}, " if plan["tier"] and plan["state"] != "none" else ""
    return f"{plan['provider']}, {tier}{plan['state']}{ends}, as of {_ago(plan['as_of_age_s'])}"


def _number(pager: dict[str, Any]) -> str:
    if not pager["number"]:
        return "UNKNOWN: bilbs support pager says how to find it"
    age = pager["fetched_age_s"]
    return str(pager["number"]) + (f", card of {_ago(age)}" if age is not None else ", from a card on this box")


def _logged_in(login: dict[str, Any]) -> str:
    if login["problem"]:
        return str(login["problem"])
    if login["by"] is None:
        return f"nobody (bilbs login); tickets wait in the outbox; {login['api']}"
    until = f", until {login['ends_at']}" if login["ends_at"] else ""
    return f"{login['api']} by {login['by']}{until}"


def _waiting(outbox: dict[str, Any]) -> str:
    if outbox["problem"]:
        return str(outbox["problem"])
    if not outbox["waiting"] and not outbox["refused"]:
        return "empty: everything was delivered"
    said = (
        [f"{outbox['waiting']} waiting, the oldest written {_ago(outbox['oldest_age_s'])}"] if outbox["waiting"] else []
    )
    said += [f"{outbox['refused']} refused (bilbs support outbox list)"] if outbox["refused"] else []
    return "; ".join(said) + ("; IN MEMORY ONLY" if outbox["in_memory"] else "")


def _ticket_lines(tickets: dict[str, Any] | None, width: int) -> list[str]:
    from bilbs_cli.support import ticket_view

    if tickets is None:
        return ["tickets never asked for: bilbs status --refresh"]
    found = tickets["open"]
    lines = [f"tickets {len(found)} open, as of {_ago(tickets['as_of_age_s'])}"]
    now = datetime.now(UTC)
    lines += [f"  {ticket_view.line(one, now, width - 2)}" for one in found[:SHOWN]]
    return lines + ([f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])
