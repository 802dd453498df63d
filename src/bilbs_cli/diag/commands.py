"""`bilbs diag ...`: the group, and its commands that make and keep bundles: collect, list, verify, resume, redact, reveal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bilbs_cli import terminal
from bilbs_cli.diag import baseline_commands, flags, judge_commands
from bilbs_cli.diag.job import Profile
from bilbs_cli.errors import Exit

app = typer.Typer(
    name="diag",
    help="Collect this box's health into one redacted bundle, and read such bundles.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Output = Annotated[
    str | None, typer.Option("-o", "--output", metavar="DIR", help="Folder of the bundle; '-' streams it to stdout.")
]


@app.command(short_help="Collect a redacted bundle of this box; print its path.")
def collect(
    output: Output = None,
    profile: Annotated[
        Profile | None, typer.Option(help="How much: triage ends in 10 s, full takes minutes.", show_default="standard")
    ] = None,
    only: flags.Only = None,
    skip: flags.Skip = None,
    since: Annotated[str, typer.Option(metavar="TIME", help="Logs since then: 24h, 7d, a date, or all.")] = "7d",
    deadline: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="End the whole collection after this time.", show_default="120"),
    ] = None,
    sysroot: flags.Sysroot = None,
    max_file_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Keep at most the tail of this size of each file.", show_default="64M"),
    ] = None,
    compress: Annotated[str, typer.Option(metavar="zstd|gzip", help="gzip for tools that know no zstd.")] = "zstd",
    encrypt_to: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="age1... or a file of such keys; the archive is encrypted to them."),
    ] = None,
    pseudonymize: Annotated[
        bool, typer.Option("--pseudonymize", help="Replace host, user, address and serial by stable pseudonyms.")
    ] = False,
    bmc_host: flags.BmcHost = None,
    bmc_user: flags.BmcUser = None,
    bmc_port: flags.BmcPort = None,
    bmc_password_file: flags.BmcPasswordFile = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be read, with sizes; write nothing.")
    ] = False,
    progress: flags.Progress = "auto",
    _json: terminal.Json = False,
) -> None:
    """Collect a redacted bundle of this box's health; print its path.

    Exit status 0, or 20 when something timed out or failed: the bundle is written all the same.
    """
    from bilbs_cli.diag import requests

    request = requests.build(
        output=output,
        profile=profile,
        only=only,
        skip=skip,
        since=since,
        deadline=deadline,
        sysroot=sysroot,
        max_file_size=max_file_size,
        compress=compress,
        encrypt_to=encrypt_to,
        pseudonymize=pseudonymize,
        bmc=requests.BmcFlags(bmc_host, bmc_user, bmc_port, bmc_password_file),
    )
    if dry_run:
        from bilbs_cli.diag import plan_text

        plan_text.show(request)
        return
    from bilbs_cli.diag import assembly, outcome_text
    from bilbs_cli.progress import Progress

    outcome_text.refuse_stdout_and_json(request)
    with Progress(progress) as watcher:
        watcher.start([one.name for one in request.collectors])
        outcome = assembly.collect_bundle(request, watcher, outcome_text.to_stdout)
    outcome_text.show(outcome)
    if outcome.path and not sysroot:
        from bilbs_cli import last_seen

        last_seen.keep(
            last_seen.BUNDLE, {"path": str(outcome.path), "size": outcome.size_bytes, "complete": outcome.complete}
        )
    raise typer.Exit(Exit.OK if outcome.complete else Exit.INCOMPLETE)


@app.command("list", short_help="List the collectors and what can be read here.")
def list_collectors(only: flags.Only = None, skip: flags.Skip = None, _json: terminal.Json = False) -> None:
    """List the collectors: what each reads, and whether it can run here."""
    from bilbs_cli.diag import plan_text, requests

    plan_text.list_collectors(requests.build(only=only, skip=skip))


@app.command(short_help="Check that a bundle is whole.")
def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle (.tar.zst or .tar.gz).")], _json: terminal.Json = False
) -> None:
    """Check a bundle: every member there, none too many, every hash as in its manifest."""
    from bilbs_cli.diag import outcome_text
    from bilbs_cli.diag.bundle import verify as verifying

    outcome_text.show_verified(verifying.verify(bundle))


@app.command(short_help="Finish interrupted bundles with what was read.")
def resume(output: Output = None, _json: terminal.Json = False) -> None:
    """Finish every interrupted bundle of this user (and those in DIR) with what was collected."""
    from bilbs_cli.diag import assembly, outcome_text

    outcome_text.show_resumed(assembly.resume_all(Path(output) if output else None))


@app.command(short_help="Remove secrets from a file, folder, tarball or stdin.")
def redact(
    source: Annotated[str, typer.Argument(metavar="PATH|-", help="A file, a folder, a tarball, or - for stdin.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="Where the redacted copy goes (stdout for - and files)."),
    ] = None,
    pseudonymize: Annotated[
        bool, typer.Option("--pseudonymize", help="Replace host, user, address and serial too.")
    ] = False,
    _json: terminal.Json = False,
) -> None:
    """Remove secrets from a file, a folder, a tarball or stdin, with the rules of the bundle."""
    from bilbs_cli.diag import redact_text

    redact_text.redact(source, output, pseudonymize=pseudonymize)


@app.command(short_help="Put real names back in place of pseudonyms.")
def reveal(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="Text with pseudonyms, or - for stdin.")] = "-",
) -> None:
    """Put the real names back into text with pseudonyms; only on the box that made them."""
    from bilbs_cli.diag import redact_text

    redact_text.reveal(source)


for _name, _command, _line in judge_commands.COMMANDS:
    app.command(_name, short_help=_line)(_command)
app.add_typer(baseline_commands.app, name="baseline")
