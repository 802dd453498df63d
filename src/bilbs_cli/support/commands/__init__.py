"""`bilbs support`: one module per noun; groups of several commands are imported when they are used."""

from __future__ import annotations

import typer

from bilbs_cli.lazy_groups import Group, add_groups
from bilbs_cli.support.commands.contacts_command import contacts
from bilbs_cli.support.commands.severity_command import severity

GROUPS: tuple[Group, ...] = (
    ("sla", "bilbs_cli.support.commands.sla_commands", "When an answer is due, and why then."),
)

app = typer.Typer(help="Reach support, with or without a network.", no_args_is_help=True, add_completion=False)
app.command("contacts")(contacts)
app.command("severity")(severity)
add_groups(app, GROUPS)
