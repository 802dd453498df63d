"""Everything else that the plan promises: RMAs, incidents, maintenance, reports, hours, visits, engineer, invoices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import UsageProblem
from bilbs_cli.support.ids import is_id

rma = typer.Typer(help="Hardware RMAs, from the alarm to the report.", no_args_is_help=True, add_completion=False)
incident = typer.Typer(help="Incidents of the service.", no_args_is_help=True, add_completion=False)
maintenance = typer.Typer(help="Planned maintenance.", no_args_is_help=True, add_completion=False)
report = typer.Typer(help="Reports: RCA, health review, on-site, service.", no_args_is_help=True, add_completion=False)
hours = typer.Typer(add_completion=False)
visits = typer.Typer(add_completion=False)
transcript = typer.Typer(help="The transcript of your channel.", no_args_is_help=True, add_completion=False)
engineer = typer.Typer(help="Your engineer and the backup.", no_args_is_help=True, add_completion=False)
invoice = typer.Typer(help="Invoices.", no_args_is_help=True, add_completion=False)

Id = Annotated[str, typer.Argument(help="Its id, as the list shows it.", metavar="ID")]
Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="Folder; a file that is there is never replaced.")
]
Column = tuple[str, Callable[[dict[str, Any]], str]]
TYPES = ("rca", "health_review", "onsite", "service")


def _field(*names: str) -> Callable[[dict[str, Any]], str]:
    def value(doc: dict[str, Any]) -> str:
        found: Any = doc
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, list):
            return ", ".join(map(str, found))
        return "" if found is None else str(found)

    return value


def _time(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda doc: _field(name)(doc).replace("T", " ").replace("Z", " UTC")


def _money(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda doc: f"{_field(name, 'amount')(doc)} {_field(name, 'currency')(doc)}"


def _list(kind: str, path: str, columns: Sequence[Column], empty: str, **params: Any) -> None:
    """Print a list of the desk, as it comes."""
    from bilbs_cli import config
    from bilbs_cli.support.commands import ticket_desk

    with ticket_desk.connected(config.load()) as desk:
        found: Iterator[dict[str, Any]] = desk.pages(path, {"limit": ticket_desk.PAGE, **params})
        if terminal.wants_json():
            terminal.stream(f"support.{kind}", kind, found, text=lambda _: None)
            return
        rows = [[value(doc) for _, value in columns] for doc in found]
    if rows:
        terminal.table([name for name, _ in columns], rows)
    else:
        terminal.note(empty)


def _get(path: str) -> dict[str, Any]:
    from bilbs_cli import config
    from bilbs_cli.support.commands import ticket_desk

    with ticket_desk.connected(config.load()) as desk:
        return desk.get(path)


def _id(text: str) -> str:
    if not is_id(text):
        raise UsageProblem(f"{text} is no id", safe="nothing was sent")
    return text


def _lines(doc: dict[str, Any], names: Sequence[str]) -> list[str]:
    return [f"{name.replace('_', ' '):14}  {_field(name)(doc)}" for name in names if doc.get(name) is not None]


@rma.command("list")
def list_rmas(_json: terminal.Json = False) -> None:
    """List the RMAs of the account."""
    columns = (
        ("id", _field("id")),
        ("state", _field("state")),
        ("oem", _field("oem")),
        ("case", _field("case_number")),
        ("part", _field("part")),
    )
    _list("rmas", "/rmas", columns, "no RMA")


@rma.command("show")
def show_rma(rma_id: Id, _json: terminal.Json = False) -> None:
    """Show an RMA with its steps."""
    found = _get(f"/rmas/{_id(rma_id)}")
    lines = _lines(found, ("id", "ticket_id", "state", "oem", "case_number", "tracking", "part", "serial"))
    steps = [one for one in found.get("steps", []) if isinstance(one, dict)]
    lines += [
        "",
        *(
            f"  {_time('at')(one)}  {_field('state')(one).replace('_', ' ')}  {_field('text')(one)}".rstrip()
            for one in steps
        ),
    ]
    terminal.emit("support.rma", found, text="\n".join(lines))


@rma.command("note")
def note_rma(
    rma_id: Id,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="What the people of the RMA should know.")
    ],
    _json: terminal.Json = False,
) -> None:
    """Add a note to an RMA: a comment on its ticket, through the outbox."""
    from bilbs_cli.support.commands import ticket_commands

    found = _get(f"/rmas/{_id(rma_id)}")
    ticket_commands.comment(str(found.get("ticket_id")), f"RMA {rma_id}: {message}", None)


@incident.command("list")
def list_incidents(_json: terminal.Json = False) -> None:
    """List the incidents of the service."""
    columns = (
        ("id", _field("id")),
        ("state", _field("state")),
        ("since", _time("started_at")),
        ("services", _field("services")),
        ("title", _field("title")),
    )
    _list("incidents", "/incidents", columns, "no incident")


@incident.command("show")
def show_incident(incident_id: Id, _json: terminal.Json = False) -> None:
    """Show the updates of an incident."""
    columns = (("at", _time("at")), ("state", _field("state")), ("text", _field("text")))
    _list("updates", f"/incidents/{_id(incident_id)}/updates", columns, "no update yet")


@maintenance.callback()
def _maintenance() -> None:
    """Show planned maintenance."""  # keeps `list` a command of its own: typer makes one of a group with one


@transcript.callback()
def _transcript() -> None:
    """Export the transcript of your channel."""


@maintenance.command("list")
def list_maintenance(_json: terminal.Json = False) -> None:
    """List planned maintenance: time, services, and when it would be rolled back."""
    columns = (
        ("begins", _time("begins_at")),
        ("ends", _time("ends_at")),
        ("services", _field("services")),
        ("rolled back on", _field("rollback")),
    )
    _list("maintenance", "/maintenance-windows", columns, "no maintenance is planned")


@report.command("list")
def list_reports(
    kind: Annotated[str | None, typer.Option("--type", help=f"Only these: {', '.join(TYPES)}.")] = None,
    _json: terminal.Json = False,
) -> None:
    """List the reports."""
    if kind is not None and kind not in TYPES:
        raise UsageProblem(f"--type {kind}: one of {', '.join(TYPES)}")
    columns = (("id", _field("id")), ("type", _field("type")), ("of", _time("created_at")), ("title", _field("title")))
    _list("reports", "/reports", columns, "no report", **({"type": kind} if kind else {}))


@report.command("get")
def get_report(report_id: Id, output: Output = Path(), _json: terminal.Json = False) -> None:
    """Download a report; its digest is checked."""
    from bilbs_cli import config
    from bilbs_cli.errors import NotFound
    from bilbs_cli.support import download
    from bilbs_cli.support.commands import ticket_desk

    with ticket_desk.connected(config.load()) as desk:
        found = next(
            (one for one in desk.pages("/reports", {"limit": ticket_desk.PAGE}) if one.get("id") == report_id), None
        )
        if found is None or not isinstance(found.get("attachment"), dict):
            raise NotFound(f"no report {report_id}", next="bilbs support report list")
        path = download.fetch(desk, found["attachment"], output)
    terminal.emit("support.report", {**found, "path": str(path)}, text=str(path))


@hours.command()
def list_hours(_json: terminal.Json = False) -> None:
    """Show the ledger of consulting hours: booked, granted, and what is left."""
    columns = (("at", _time("at")), ("hours", _field("hours")), ("left", _field("left")), ("what", _field("text")))
    _list("hours", "/consulting/ledger", columns, "no hours are booked")


@visits.command()
def list_visits(_json: terminal.Json = False) -> None:
    """List the on-site visits."""
    columns = (
        ("at", _time("at")),
        ("state", _field("state")),
        ("included", _field("included")),
        ("place", _field("place")),
    )
    _list("visits", "/visits", columns, "no visit")


@invoice.command("list")
def list_invoices(_json: terminal.Json = False) -> None:
    """List the invoices."""
    columns = (
        ("id", _field("id")),
        ("number", _field("number")),
        ("issued", _time("issued_at")),
        ("total", _money("total")),
        ("paid", _field("paid")),
    )
    _list("invoices", "/invoices", columns, "no invoice")


@invoice.command("show")
def show_invoice(invoice_id: Id, _json: terminal.Json = False) -> None:
    """Show an invoice."""
    found = _get(f"/invoices/{_id(invoice_id)}")
    lines = [*_lines(found, ("id", "number", "issued_at", "paid")), f"{'total':14}  {_money('total')(found)}"]
    terminal.emit("support.invoice", found, text="\n".join(lines))


@engineer.command("show")
def show_engineer(_json: terminal.Json = False) -> None:
    """Show your engineer and the backup."""
    found = _get("/engineer")
    terminal.emit(
        "support.engineer", found, text="\n".join(_lines(found, ("name", "since", "backup", "swap_requested")))
    )


@engineer.command("swap")
def swap_engineer(
    note: Annotated[str | None, typer.Option("--message", "-m", metavar="TEXT", help="Why; nobody asks.")] = None,
    yes: terminal.Yes = False,
    _json: terminal.Json = False,
) -> None:
    """Ask for another engineer."""
    from bilbs_cli import config
    from bilbs_cli.support.commands import ticket_writing

    if not yes and not terminal.confirm("Ask for another engineer?"):
        raise UsageProblem("nothing was sent", code="not-confirmed")
    done = ticket_writing.submitted("engineer.swap", {"note": note} if note else {}, config.load(), note or "")
    problem = ticket_writing.problem(done, "request")
    terminal.emit(
        "support.engineer",
        done.entry.answer,
        text=lambda: None if problem else terminal.out("another engineer is asked for"),
        errors=[problem] if problem else [],
    )
    if problem:
        raise problem


@transcript.command("export")
def export_transcript(output: Output = Path(), _json: terminal.Json = False) -> None:
    """Export the transcript of your channel: it is made at the desk, then downloaded."""
    from bilbs_cli import config
    from bilbs_cli.support import transcript_export
    from bilbs_cli.support.commands import ticket_desk

    with ticket_desk.connected(config.load()) as desk:
        found, path = transcript_export.export(desk, output)
    terminal.emit("support.transcript", {**found, "path": str(path)}, text=str(path))
