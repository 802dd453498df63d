"""`bilbs support contacts`: the channels in order, what each is for, and the text to paste."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bilbs_cli import terminal

app = typer.Typer(add_completion=False)


@app.command()
def contacts(
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="ID", help="Support plan; the setting support.provider.")
    ] = None,
    tier: Annotated[str | None, typer.Option("--tier", help="Only the channels of this tier.")] = None,
    severity: Annotated[
        str | None, typer.Option("--severity", "-s", help="Only the channels for this severity.")
    ] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="What is broken, for the text to paste.")] = None,
    _json: terminal.Json = False,
) -> None:
    """Show whom to reach, the first channel first, and what to write there."""
    from bilbs_cli import config
    from bilbs_cli.providers import loading
    from bilbs_cli.support import contacts as reach
    from bilbs_cli.support import reach_text
    from bilbs_cli.support.sla_question import severity_of, tier_of

    settings = config.load()
    plan = loading.load(str(settings.value("support.provider", provider)))
    level = severity_of(plan, severity) if severity else None
    found = reach.contacts(plan, _card(), level, tier_of(plan, tier) if tier else None, subject or reach.SUBJECT)
    terminal.emit(
        "support.contacts",
        _as_json(found),
        text=lambda: terminal.out(reach_text.contacts_page(found, level, terminal.width())),
        warnings=tuple(settings.warnings()),
    )


def _card() -> dict[str, str]:
    from bilbs_cli.support import card_file

    return card_file.fields()


def _as_json(found: Any) -> dict[str, Any]:
    return {
        "provider": found.provider.id,
        "channels": [one._asdict() | {"address": one.address or None} for one in found.channels],
        "elsewhere": [one._asdict() for one in found.elsewhere],
    }
