"""The crash log: an unexpected exception on one redacted page, 0600, ready to send; its making never fails."""

from __future__ import annotations

import os
import platform
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from bilbs_cli import __version__, files, log, paths
from bilbs_cli.errors import BilbsError
from bilbs_cli.escape import visible

LIMIT = 64 << 10  # of a page, in characters
READ = 1 << 20  # of what is redacted; more than LIMIT, so that no secret is cut before its rule sees it whole
KEPT = 20  # a broken cron job must not fill the disk

_SECRET = re.compile(
    r"""(?ix) ( (?: passw(?:or)?d | passphrase | secret | token | (?:api|private)[_-]?key | credential | authorization )
        [\w.-]{0,40} ["']? \s{0,9} (?: [:=] \s{0,9} (?: (?:bearer|basic) \s{1,9} )? | \s{1,9} ) )
        (?! \[REDACTED ) ( "[^"\n]{0,4096}" | '[^'\n]{0,4096}' | [^\s,;&"')}\]]+ )"""
)  # every repeat has a bound: a hostile message must not hang the last thing that works
_USERINFO = re.compile(r"(://[^/\s:@]{0,256}:)[^@\s/]{1,1024}@")


def mask(text: str) -> str:
    """Return `text` without the values of `password=...` and its kin: all there is when the rules cannot load."""
    return _USERINFO.sub(r"\1[REDACTED]@", _SECRET.sub(r"\1[REDACTED]", text))


@cache
def _rules() -> Callable[[str], str]:
    from bilbs_cli.diag.redaction import Redactor

    return Redactor().text


def redact(text: str) -> str:
    """Return `text` through the bundle's redaction rules and through `mask`; rules that fail are survived."""
    text = log.without_hidden(text)
    try:
        text = _rules()(text)
    except Exception:  # noqa: BLE001 - the crash may be in the rules themselves, or in a library they load
        return mask(text)
    return mask(text)


def report(error: BaseException, arguments: Sequence[str], now: datetime, clean: Callable[[str], str] = redact) -> str:
    """Return the page: version, machine, command line, traceback. No locals, no environment values."""
    names = " ".join(sorted(name for name in os.environ if name.startswith("BILBS_")))
    page = "\n".join(
        (
            f"bilbs {__version__}, Python {platform.python_version()}, {platform.platform()}, {now:%Y-%m-%dT%H:%M:%SZ}",
            f"command: bilbs {' '.join(arguments)}",
            f"environment: {names or 'no BILBS_* variable'}; uid {os.geteuid()}; stdout {_kind(sys.stdout)}",
            "",
            "".join(traceback.format_exception(error)),
        )
    )
    return visible(_ends(clean(_ends(page, READ)), LIMIT), multiline=True)


def _ends(text: str, limit: int) -> str:
    """Return the ends of a text that is too long (a RecursionError, a message that carries a file): they say most."""
    return text if len(text) <= limit else f"{text[: limit // 2]}\n...\n{text[-limit // 2 :]}"


def headline(error: BaseException) -> str:
    """Return class and message of an exception in one redacted line of at most 200 characters."""
    said = traceback.format_exception_only(type(error), error)[-1]  # a class whose `str` fails is no problem for it
    return redact(said[:4096]).partition("\n")[0][:200]


def _kind(stream: object) -> str:
    isatty = getattr(stream, "isatty", None)
    return "closed" if isatty is None else "terminal" if isatty() else "not a terminal"


def record(error: BaseException, arguments: Sequence[str], now: datetime | None = None) -> tuple[Path | None, str]:
    """Write the crash log below the state folder, or below /tmp; return where (None: nowhere) and the page."""
    now = now or datetime.now(UTC)
    page = report(error, arguments, now)
    for folder in (paths.state_dir() / "crash", Path(f"/tmp/bilbs-crash-{os.geteuid()}")):  # noqa: S108 - 0700 and ours, or refused
        with suppress(BilbsError, OSError):
            path = files.private_dir(folder) / f"crash-{now:%Y%m%dT%H%M%SZ}-{os.getpid()}.txt"
            files.write_private(path, page.encode("utf-8", "backslashreplace"))
            _prune(folder)
            return path, page
    return None, page


def _prune(folder: Path) -> None:
    for old in sorted(folder.glob("crash-*.txt"))[:-KEPT]:
        with suppress(OSError):
            old.unlink()
