"""The root of the command tree, and the one place where an error becomes an exit."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Annotated

import typer
import typer.main
from typer._click.exceptions import ClickException, NoArgsIsHelpError, NoSuchOption, UsageError  # no public names yet

from bilbs_cli import __version__, terminal
from bilbs_cli.errors import BilbsError, Exit, Interrupted, UsageProblem
from bilbs_cli.lazy_groups import Group, add_groups

GROUPS: tuple[Group, ...] = (
    ("diag", "bilbs_cli.diag.commands", "Collect, verify, redact: the health of this box in one bundle."),
    ("support", "bilbs_cli.support.commands", "Reach support: pager, card, channels, severity, due times."),
    ("plan", "bilbs_cli.plan.commands", "The support plan: compare, subscribe, cancel."),
    ("config", "bilbs_cli.config_commands", "Every setting, and the place it came from."),
    ("sandbox", "bilbs_cli.sandbox.commands", "A support desk in a folder, for drills."),
)

COMMANDS: tuple[Group, ...] = (
    ("login", "bilbs_cli.login_command", "Log in to support, from any terminal."),
    ("status", "bilbs_cli.status_command", "This box on one screen, without the network."),
    ("doctor", "bilbs_cli.doctor_command", "Test every path before the night it is needed."),
    ("whoami", "bilbs_cli.whoami_command", "Whose login this is, and what it may do."),
    ("completion", "bilbs_cli.completion_command", "Completion for bash, zsh and fish."),
    ("logout", "bilbs_cli.logout_command", "Delete and revoke the login of this box."),
)

app = typer.Typer(
    name="bilbs",
    help="Health diagnostics of a Bilbs Box, for the worst moment.",
    epilog="Topics: bilbs help exit-codes, environment, files, redaction, offline, air-gap, scripting.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help costs 120 ms
    context_settings={"help_option_names": ["-h", "--help"]},
)
add_groups(app, (*GROUPS, *COMMANDS))


def _version(asked: bool) -> None:
    if asked:
        terminal.emit("version", {"version": __version__}, text=f"bilbs {__version__}")
        raise typer.Exit


@app.callback()
def root(
    verbose: Annotated[
        int, typer.Option("-v", "--verbose", count=True, show_default=False, help="Say more on stderr; -vv for debug.")
    ] = 0,
    _asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", show_default=False, help="Talk to a support desk inside this process, for drills."),
    ] = False,
) -> None:
    """Send the log of every command through redaction before the command starts."""
    from bilbs_cli import log

    log.setup(verbose, _redact)
    if sandbox:
        _enter_sandbox()


def _enter_sandbox() -> None:
    """Talk to the desk of a folder, with a state of its own: nothing of this box's goes there, nothing of it comes here."""
    import os

    from bilbs_cli import paths

    folder = paths.state_dir() / "sandbox"
    os.environ["BILBS_SANDBOX"], os.environ["BILBS_STATE_DIR"] = str(folder), str(folder / "box")
    terminal.warn("SANDBOX: a desk inside this process; nothing reaches a person")


def _redact(text: str) -> str:
    from bilbs_cli import crash  # when there is something to say: rarely

    return crash.redact(text)


@app.command("help")
def show_help(
    topic: Annotated[str, typer.Argument(help="One of those that bilbs help lists.")] = "",
    _json: terminal.Json = False,
) -> None:
    """Explain a topic; without one the topics are listed."""
    from bilbs_cli import help_topics

    help_topics.show(topic)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status; every error ends here."""
    terminal.begin(arguments)
    _end_on_signals()
    try:
        return _guarded(list(arguments))
    finally:
        terminal.finish()


def _guarded(arguments: list[str]) -> int:
    try:
        return _invoke(arguments)
    except BilbsError as error:
        return _failed(error)
    except KeyboardInterrupt as signalled:
        return _failed(Interrupted(str(signalled) or "interrupted"))
    except NoArgsIsHelpError as error:
        terminal.note(error.format_message())
        return Exit.USAGE
    except ClickException as error:
        return _failed(usage_problem(error))
    except BrokenPipeError:
        return Exit.CANNOT_WRITE  # the reader of our bytes went away: it knows
    except Exception as error:  # noqa: BLE001 - the boundary: a bug becomes a short message and a crash log
        return _crashed(error, arguments)


def _invoke(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("bilbs", arguments) as context:
            command.invoke(context)
    except typer.Exit as done:
        return int(done.exit_code)
    except typer.Abort as error:
        raise Interrupted("interrupted") from error
    return Exit.OK


def _failed(error: BilbsError) -> int:
    terminal.fail(error)
    return int(error.exit)


def usage_problem(error: ClickException) -> UsageProblem:
    """Return the error of a command line that cannot be understood: the nearest name, and where its help is."""
    message = error.format_message().rstrip(".")
    if isinstance(error, NoSuchOption):
        message = error.message
        if error.possibilities:
            message += f". Did you mean {' or '.join(error.possibilities)}?"
    path = error.ctx.command_path if isinstance(error, UsageError) and error.ctx else "bilbs"
    return UsageProblem(message[:1].lower() + message[1:], safe="nothing was done", next=f"{path} --help")


def _crashed(error: Exception, arguments: Sequence[str]) -> int:
    from bilbs_cli import crash

    path, page = crash.record(error, arguments)
    if path is None:
        terminal.note(page)
    terminal.fail(
        BilbsError(
            f"unexpected {crash.headline(error)}; this is a bug in bilbs",
            code="crash",
            next=f"send {path or 'the text above'} to support@groupebilbs.com (secrets are masked; read it first)",
        )
    )
    return Exit.FAILED


class Signalled(KeyboardInterrupt):
    """SIGTERM or SIGHUP, raised like Ctrl-C where the work is, so that every `finally` runs."""


def _raise_signalled(number: int, _frame: FrameType | None) -> None:
    raise Signalled(f"ended by {signal.Signals(number).name}")


def _end_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into `Signalled`, unless the caller ignores them (nohup(1)) or handles them."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        with suppress(ValueError):  # not the main thread
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _raise_signalled)
