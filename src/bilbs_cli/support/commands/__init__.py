"""`bilbs support`: one module per noun, imported when it is used."""

from __future__ import annotations

import typer

from bilbs_cli.lazy_groups import Group, add_groups

COMMANDS: tuple[Group, ...] = (
    ("pager", "bilbs_cli.support.commands.pager_command", "The 24/7 pager number, whatever is broken."),
    ("card", "bilbs_cli.support.commands.card_command", "The wallet card: text, login screen, picture, QR code."),
    ("contacts", "bilbs_cli.support.commands.contacts_command", "Whom to reach, the first channel first."),
    ("severity", "bilbs_cli.support.commands.severity_command", "What each severity means, and which fits."),
    ("providers", "bilbs_cli.support.commands.provider_commands", "The support plans that this box can compute."),
    ("ticket", "bilbs_cli.support.commands.ticket_commands", "Open and move tickets, with or without a network."),
    ("outbox", "bilbs_cli.support.commands.outbox_commands", "What has not been delivered."),
    ("inbox", "bilbs_cli.support.commands.inbox_commands", "What a laptop brought back to a box without a network."),
    ("rma", "bilbs_cli.support.commands.record_commands:rma", "Hardware RMAs, step by step."),
    ("incident", "bilbs_cli.support.commands.record_commands:incident", "Incidents of the service."),
    ("maintenance", "bilbs_cli.support.commands.record_commands:maintenance", "Planned maintenance."),
    ("report", "bilbs_cli.support.commands.record_commands:report", "Reports: RCA, health review, on-site."),
    ("hours", "bilbs_cli.support.commands.record_commands:hours", "Consulting hours, booked and left."),
    ("visits", "bilbs_cli.support.commands.record_commands:visits", "On-site visits."),
    ("invoice", "bilbs_cli.support.commands.record_commands:invoice", "Invoices."),
    ("engineer", "bilbs_cli.support.commands.record_commands:engineer", "Your engineer and the backup."),
    ("transcript", "bilbs_cli.support.commands.record_commands:transcript", "Export the channel's transcript."),
    ("audit", "bilbs_cli.support.commands.audit_command", "What left this box, and who agreed."),
    ("sla", "bilbs_cli.support.commands.sla_commands", "When an answer is due, and why then."),
)

app = typer.Typer(help="Reach support, with or without a network.", no_args_is_help=True, add_completion=False)
add_groups(app, COMMANDS)
