"""From flags, environment and settings to one `Request`: everything is checked here, before anything is read or written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from bilbs_cli import config, credentials, quantities
from bilbs_cli.diag.bundle.encrypt import Recipients, parse_recipients
from bilbs_cli.diag.bundle.frames import Compression
from bilbs_cli.diag.collectors import COLLECTORS
from bilbs_cli.diag.job import BmcTarget, Collector, Options, Profile
from bilbs_cli.errors import UsageProblem

DEADLINE_S = {Profile.TRIAGE: 10.0, Profile.STANDARD: 120.0, Profile.FULL: 900.0}
STDOUT = "-"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BmcFlags:
    """The `--bmc-…` flags as given."""

    host: str | None = None
    user: str | None = None
    port: int | None = None
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One run, checked. `out_dir` None means stdout; `left_out` are the collectors that `--only`/`--skip` excluded."""

    collectors: tuple[Collector, ...]
    left_out: tuple[Collector, ...]
    options: Options
    out_dir: Path | None
    compression: Compression
    deadline_s: float
    recipients: Recipients | None
    custom_rules: tuple[tuple[str, str], ...]
    nice: int
    since_text: str


def build(
    *,
    output: str | None = None,
    profile: Profile | None = None,
    only: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
    since: str = "7d",
    deadline: float | None = None,
    sysroot: Path | None = None,
    max_file_size: str | None = None,
    compress: str = "zstd",
    encrypt_to: Sequence[str] | None = None,
    pseudonymize: bool = False,
    bmc: BmcFlags | None = None,
) -> Request:
    """Return the checked request. Raises `UsageProblem`, `ConfigProblem` or `PermissionNeeded`."""
    settings = config.load()
    kind = profile or Profile(settings.value("diag.profile"))
    chosen, left_out = choose(only, skip)
    disguised = pseudonymize or settings.value("redaction.pseudonymize")
    recipients = encrypt_to or settings.value("diag.encrypt_to")
    options = Options(
        profile=kind,
        since=_flag("--since", lambda: quantities.parse_since(since, datetime.now(UTC))),
        sysroot=_sysroot(sysroot),
        max_file_bytes=_size(max_file_size) or settings.value("diag.max_file_size"),
        services=tuple(settings.value("diag.services")),
        bmc=None if sysroot else _bmc(bmc or BmcFlags(), settings),
        root=os.geteuid() == 0,
        pseudonymize=disguised,
    )
    if deadline is not None and not 0 < deadline < 1e6:
        raise UsageProblem(f"--deadline {deadline:g} is not a number of seconds above 0")
    return Request(
        collectors=chosen,
        left_out=left_out,
        options=options,
        out_dir=_folder(output or settings.value("diag.output_dir")),
        compression=_flag("--compress", lambda: _compression(compress)),
        deadline_s=deadline or settings.value("diag.deadline_s") or DEADLINE_S[kind],
        recipients=parse_recipients(recipients) if recipients else None,
        custom_rules=tuple(settings.value("redaction.rules")),
        nice=settings.value("diag.nice"),
        since_text=since,
    )


def choose(
    only: Sequence[str] | None, skip: Sequence[str] | None
) -> tuple[tuple[Collector, ...], tuple[Collector, ...]]:
    """Return the collectors that run and those left out. Raises `UsageProblem` with the nearest name."""
    wanted, unwanted = _names(only), _names(skip)
    chosen = tuple(one for one in COLLECTORS if (not wanted or one.name in wanted) and one.name not in unwanted)
    if not chosen:
        raise UsageProblem("--only and --skip leave no collector", next="bilbs diag list")
    return chosen, tuple(one for one in COLLECTORS if one not in chosen)


def _names(given: Sequence[str] | None) -> set[str]:
    known = [collector.name for collector in COLLECTORS]
    names = {part.strip() for text in given or () for part in text.split(",") if part.strip()}
    for name in sorted(names - set(known)):
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
        raise UsageProblem(f"no collector {name}{hint}", code="no-such-collector", next="bilbs diag list")
    return names


def _flag(name: str, parse: Any) -> Any:
    try:
        return parse()
    except ValueError as error:
        raise UsageProblem(f"{name}: {error}") from None


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    size: int = _flag("--max-file-size", lambda: quantities.parse_size(text))
    if size <= 0:
        raise UsageProblem("--max-file-size must be above 0")
    return size


def _compression(text: str) -> Compression:
    try:
        return Compression(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither zstd nor gzip") from None


def _sysroot(path: Path | None) -> Path | None:
    if path is None:
        return None
    if not path.is_dir():
        raise UsageProblem(f"--sysroot {path} is not a folder", next="mount the dead system and name its root folder")
    return path.resolve()


def _folder(output: str | None) -> Path | None:
    if output == STDOUT:
        return None
    if not output:
        return Path.cwd()
    path = Path(output).absolute()
    if path.exists() and not path.is_dir():
        raise UsageProblem(f"-o {path} is not a folder", next="-o takes the folder that the bundle is written to")
    return path


def _bmc(flags: BmcFlags, settings: config.Config) -> BmcTarget | None:
    host = settings.value("bmc.host", flags.host)
    if not host:
        if flags.user or flags.port or flags.password_file:
            raise UsageProblem("--bmc-user, --bmc-port and --bmc-password-file need --bmc-host")
        return None
    named = flags.password_file or (Path(text) if (text := settings.value("bmc.password_file")) else None)
    password = credentials.find("bmc-password", file=named, variable="BILBS_BMC_PASSWORD")
    if password is None:
        raise UsageProblem(
            f"no password for the BMC {host}",
            code="no-bmc-password",
            next="--bmc-password-file FILE (0600), BILBS_BMC_PASSWORD, or the systemd credential bmc-password",
        )
    user = settings.value("bmc.user", flags.user)
    if not user:
        raise UsageProblem(f"no user for the BMC {host}", next="--bmc-user USER, or the setting bmc.user")
    return BmcTarget(host, user, password, settings.value("bmc.port", flags.port), settings.value("bmc.cipher_suite"))
