"""`bilbs sandbox serve`, `token`, `clock`, `fault`, `status`, `reset`: the support desk for drills."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bilbs_cli import paths, terminal
from bilbs_cli.errors import BilbsError, NotFound, UsageProblem
from bilbs_cli.sandbox import not_installed

if TYPE_CHECKING:
    from bilbs_cli.sandbox.store import Store

app = typer.Typer(
    help="A support desk in a folder, for drills: nothing of it reaches a person.",
    no_args_is_help=True,
    add_completion=False,
)
Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Its folder; without it the one that --sandbox uses.")
]
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def _folder(data: Path | None) -> Path:
    inside = os.environ.get("BILBS_SANDBOX")  # `bilbs --sandbox sandbox ...` means the one that it talks to
    return data or (Path(inside) if inside else paths.state_dir() / "sandbox")


def _store(data: Path | None) -> Store:
    from bilbs_cli.sandbox.store import Store

    return Store(_folder(data))


@app.command()
def serve(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8787,
    host: Annotated[str, typer.Option("--host", help="Address; only this machine by default.")] = "127.0.0.1",
    data: Data = None,
    exposed: Annotated[
        bool, typer.Option("--expose", help="Allow an address that other machines reach.", show_default=False)
    ] = False,
    _json: terminal.Json = False,
) -> None:
    """Serve the desk over HTTP until Ctrl-C. It prints its address first."""
    if host not in LOOPBACK and not exposed:
        raise UsageProblem(
            f"{host} is reached by other machines, and the sandbox has no TLS",
            safe="nothing was started",
            next="--host 127.0.0.1, or --expose",
        )
    try:
        from bilbs_cli.sandbox import serving
    except ImportError as error:
        raise not_installed(error) from error
    folder = _folder(data)
    try:
        made = serving.server(folder, host, port)
    except OSError as error:
        raise BilbsError(
            f"cannot listen on {host} port {port}: {error}", code="cannot-listen", next="--port 0"
        ) from error
    url = serving.address(made)
    told = f"{url}\n\nSANDBOX: nothing of it reaches a person. In another terminal:\n  export BILBS_API_URL={url}\n  export BILBS_TOKEN=$(bilbs sandbox token --data {folder})"
    terminal.emit("sandbox.serve", {"url": url, "data": str(folder)}, text=told)
    serving.run(made)


@app.command()
def token(
    data: Data = None,
    box: Annotated[
        bool,
        typer.Option("--box", help="The credential of a machine: it may never change the plan.", show_default=False),
    ] = False,
    _json: terminal.Json = False,
) -> None:
    """Print a fresh token of this sandbox; no other desk takes it."""
    from bilbs_cli.sandbox import login

    store = _store(data)
    kind, scopes = ("box", login.BOX) if box else ("person", login.PERSON)
    found = login.issue(store, kind, scopes, lasts_s=login.FOR_SCRIPTS_S)
    terminal.emit("sandbox.token", {"token": found, "kind": kind}, text=found)


@app.command()
def clock(
    when: Annotated[
        str, typer.Argument(metavar="[+2h|TIME|now]", help="Move it on, set it (RFC 3339), or back to this machine's.")
    ] = "",
    data: Data = None,
    _json: terminal.Json = False,
) -> None:
    """Show or set the desk's clock; what its people would have done until then happens."""
    from bilbs_cli.sandbox import people
    from bilbs_cli.sandbox.store import rfc3339

    store = _store(data)
    if when:
        with store.change():
            store.set_clock(_moment(when, store.now()))
            people.advance(store)
    terminal.emit("sandbox.clock", {"now": rfc3339(store.now())}, text=rfc3339(store.now()))


def _moment(text: str, now: float) -> float | None:
    from datetime import datetime

    from bilbs_cli.quantities import parse_duration

    if text == "now":
        return None
    try:
        if text.startswith("+"):
            return now + parse_duration(text[1:])
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageProblem(f"{text}: {error}", next="+2h, 2026-11-24T22:47:00Z or now") from error
    if found.tzinfo is None:
        raise UsageProblem(f"{text} has no zone", next=f"{text}Z")
    return found.timestamp()


@app.command()
def fault(
    name: Annotated[str, typer.Argument(help="Which; without one they are listed.", metavar="[NAME]")] = "",
    share: Annotated[float, typer.Option("--share", min=0.0, max=1.0, help="Of how many requests.")] = 1.0,
    times: Annotated[int, typer.Option("--times", min=0, help="How often; 0 until it is turned off.")] = 0,
    off: Annotated[bool, typer.Option("--off", help="Turn it off, without a name all.", show_default=False)] = False,
    data: Data = None,
    _json: terminal.Json = False,
) -> None:
    """Make the desk fail as real ones do: lost replies, 503, half answers, wrong digests."""
    from bilbs_cli.sandbox import faults

    if name and name not in faults.FAULTS:
        raise NotFound(f"no fault {name}; one of {', '.join(faults.FAULTS)}", code="no-such-fault")
    store = _store(data)
    if off:
        faults.off(store, *([name] if name else []))
    elif name:
        faults.switch(store, name, share, times)
    on = faults.on(store)
    rows = [(one, "on" if one in on else "", what) for one, what in faults.FAULTS.items()]
    terminal.emit("sandbox.fault", {"on": on}, text=lambda: terminal.table(("fault", "now", "what happens"), rows))


@app.command()
def status(data: Data = None, _json: terminal.Json = False) -> None:
    """Show what the sandbox holds."""
    from bilbs_cli.sandbox import faults
    from bilbs_cli.sandbox.store import rfc3339

    store = _store(data)
    tickets = store.base.execute("select status, count(*) from ticket group by status order by status").fetchall()
    found = {
        "data": str(store.folder),
        "now": rfc3339(store.now()),
        "tickets": dict(tickets),
        "attachments": len(store.all("attachment")),
        "faults": sorted(faults.on(store)),
    }
    terminal.emit("sandbox.status", found, text="\n".join(f"{name}: {_shown(value)}" for name, value in found.items()))


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items()) or "none"
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)


@app.command()
def reset(data: Data = None, yes: terminal.Yes = False, _json: terminal.Json = False) -> None:
    """Empty the sandbox: its tickets and uploads are deleted."""
    from bilbs_cli.sandbox.store import NAME

    folder = _folder(data)
    if not (folder / NAME).exists():
        raise NotFound(f"there is no sandbox in {folder}", code="no-such-sandbox")
    if not yes and not terminal.confirm(f"Delete everything in the sandbox {folder}?"):
        raise UsageProblem("nothing was deleted", code="not-confirmed")
    for one in (*folder.glob(f"{NAME}*"), *(folder / "uploads").glob("*")):
        one.unlink()
    terminal.emit("sandbox.reset", {"data": str(folder)}, text=f"{folder} is empty")
