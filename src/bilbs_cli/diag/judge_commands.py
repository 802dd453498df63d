"""`bilbs diag check, show, explain, diff, rma`: what a box's health means, and the papers made of it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.diag import flags
from bilbs_cli.errors import BilbsError, Exit, UsageProblem


class Format(StrEnum):
    """How `diag check` prints its answer."""

    TEXT = "text"
    JSON = "json"
    NAGIOS = "nagios"
    PROMETHEUS = "prometheus"


class FailOn(StrEnum):
    """From which severity on the exit status tells of findings."""

    WARNING = "warning"
    CRITICAL = "critical"


class Oem(StrEnum):
    """Who made the chassis."""

    DELL = "dell"
    SUPERMICRO = "supermicro"
    NVIDIA = "nvidia"


Bundle = Annotated[Path, typer.Argument(help="A bundle, the folder it was unpacked to, or its facts.json.")]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Log events since then: 24h, 7d, a date, or all.", show_default="7d; a bundle: all"
    ),
]


def check(
    bundle: Annotated[
        Path | None,
        typer.Argument(help="A bundle, its folder or its facts.json; without it this box is looked at now."),
    ] = None,
    output_format: Annotated[
        Format, typer.Option("--format", help="text, json, a monitoring plugin's line, or a textfile-collector page.")
    ] = Format.TEXT,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit 10 and 11 from warnings on, or 11 for critical findings only.")
    ] = FailOn.WARNING,
    since: Since = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare with this baseline or bundle instead of the box's own.")
    ] = None,
    sysroot: flags.Sysroot = None,
    only: flags.Only = None,
    skip: flags.Skip = None,
    deadline: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End reading after this time.", show_default="60")
    ] = None,
    bmc_host: flags.BmcHost = None,
    bmc_user: flags.BmcUser = None,
    bmc_port: flags.BmcPort = None,
    bmc_password_file: flags.BmcPasswordFile = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Write the page of --format prometheus to a file, at once."
        ),
    ] = None,
    on_change: Annotated[
        str | None,
        typer.Option(metavar="CMD", help="Run this when the verdict is not that of the last check with this flag."),
    ] = None,
    changes_only: Annotated[
        bool,
        typer.Option(
            "--changes-only", help="Print one line when the verdict has changed, else nothing.", show_default=False
        ),
    ] = False,
    progress: flags.Progress = "auto",
    _json: terminal.Json = False,
) -> None:
    """Say what is wrong with this box, or with the box of a bundle, and what to do.

    Exit status 0, 10 when there are warnings, 11 when something is critical, 20 when
    nothing could be looked at or no GPU gave a single reading.
    With --format nagios: 0, 1, 2, 3.
    The hook of --on-change is not run by a shell; it finds BILBS_BEFORE, BILBS_NOW and
    BILBS_CHANGE in its environment, and is run again by the next check when it fails.
    """
    from bilbs_cli.diag import changes, check_run, check_text, requests
    from bilbs_cli.progress import Progress

    if output_format is Format.JSON:
        terminal.choose_json()
    watched = on_change is not None or changes_only
    if watched and bundle:
        raise UsageProblem("--on-change and --changes-only are for this box, not for a bundle", safe="nothing was read")
    if output and output_format is not Format.PROMETHEUS:
        raise UsageProblem(
            "--output goes with --format prometheus", next="bilbs diag check --format prometheus -o FILE"
        )
    try:
        asked = check_run.Asked(
            bundle,
            since,
            baseline,
            lambda: requests.build(
                only=only,
                skip=skip,
                since=since or "7d",
                deadline=deadline or check_run.DEADLINE_S,
                sysroot=sysroot,
                bmc=requests.BmcFlags(bmc_host, bmc_user, bmc_port, bmc_password_file),
            ),
        )
        with Progress(progress) as watcher:
            done = check_run.run(asked, watcher)
    except BilbsError as error:
        if output_format is not Format.NAGIOS:
            raise
        terminal.out(f"BILBS UNKNOWN - {str(error).replace('|', '/')}")
        raise typer.Exit(3) from None
    if output:
        check_text.write_prometheus(done.checked, output)
    if watched:
        check_text.tell_change(done.checked, changes.place(sysroot), on_change, aloud=changes_only)
    if changes_only or output:
        raise typer.Exit(check_text.exit_of(done.checked, fail_on.value))
    raise typer.Exit(check_text.show(done, output_format.value, fail_on.value))


def show(
    bundle: Bundle,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as one HTML file; '-' for stdout.")
    ] = None,
    _json: terminal.Json = False,
) -> None:
    """Show what a bundle says: the verdict, the box, the timeline, judged with today's rules."""
    from bilbs_cli.diag import check_run, show_text

    show_text.show(check_run.from_bundle(bundle), html)


def explain(
    rule: Annotated[str, typer.Argument(help="A rule's id, such as xid.79; without it all of them.")] = "",
    _json: terminal.Json = False,
) -> None:
    """Explain a rule: what it means, its source, what it fires on. Needs no network."""
    from bilbs_cli.diag import explain_text

    explain_text.show(rule)


def diff(
    before: Annotated[Path, typer.Argument(help="The older bundle, or 'last-healthy' for this box's baseline.")],
    after: Annotated[Path, typer.Argument(help="The newer bundle.")],
    _json: terminal.Json = False,
) -> None:
    """Say what changed between two bundles. Exit status 1 when something did."""
    from bilbs_cli.diag import check_run, diff_text
    from bilbs_cli.diag import diff as comparing

    changes = comparing.compare(check_run.from_bundle(before), check_run.from_bundle(after))
    diff_text.show(changes)
    raise typer.Exit(Exit.FAILED if changes.differs else Exit.OK)


def rma(
    bundle: Bundle,
    part: Annotated[
        str, typer.Option(metavar="PART", help="gpu:1, gpu:0000:3b:00.0, slot:5, psu:2, dimm:..., disk:...")
    ],
    oem: Annotated[Oem | None, typer.Option(help="Who made the chassis; without it the bundle is asked.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Where the packet goes.", show_default="here")
    ] = None,
    _json: terminal.Json = False,
) -> None:
    """Make the evidence packet of one failing part: a folder, a tarball, and the case text to paste."""
    from bilbs_cli.diag import check_run, rma_text

    rma_text.make(check_run.from_bundle(bundle), bundle, part, oem.value if oem else None, output or Path.cwd())


# Every command of this module: its name, the function, its line in `bilbs diag --help`.
COMMANDS: tuple[tuple[str, Callable[..., Any], str], ...] = (
    ("check", check, "Say what is wrong with this box, and what to do."),
    ("show", show, "Show what a bundle says; --html writes the report."),
    ("explain", explain, "Explain a rule, offline."),
    ("diff", diff, "Say what changed between two bundles."),
    ("rma", rma, "Make the evidence packet of a failing part."),
)
