"""`bilbs plan`: one module per command, imported when it is used."""

from __future__ import annotations

import typer

from bilbs_cli.lazy_groups import Group, add_groups

COMMANDS: tuple[Group, ...] = (
    ("list", "bilbs_cli.plan.commands.list_command", "The tiers of a plan, with prices. Offline."),
    ("show", "bilbs_cli.plan.commands.show_command", "Everything that one tier says. Offline."),
    ("compare", "bilbs_cli.plan.commands.compare_command", "Tiers side by side, or those that fit. Offline."),
    ("status", "bilbs_cli.plan.commands.status_command", "What is subscribed, used and left."),
    (
        "subscribe",
        "bilbs_cli.plan.commands.subscribe_command",
        "Subscribe, or change the tier: quote, question, receipt.",
    ),
    ("cancel", "bilbs_cli.plan.commands.cancel_command", "Cancel: every date first, then the question."),
    ("resume", "bilbs_cli.plan.commands.resume_command", "Take a cancellation back, until it takes effect."),
)

app = typer.Typer(
    help="The support plan: compare, subscribe, cancel, with every date and price before the yes.",
    no_args_is_help=True,
    add_completion=False,
)
add_groups(app, COMMANDS)
