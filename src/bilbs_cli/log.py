"""The log on stderr: quiet unless asked (`-v`, `BILBS_LOG`), every line redacted and made visible."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping

from bilbs_cli.escape import visible

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_hidden: set[str] = set()


def hide(secret: str) -> None:
    """Never let `secret` (a BMC password, a token; 4 characters or more) appear in a log line of this process."""
    if len(secret) >= 4:
        _hidden.add(secret)


def without_hidden(text: str) -> str:
    """Return `text` without any secret that was named to `hide`."""
    for secret in _hidden:
        text = text.replace(secret, "[REDACTED]")
    return text


class SafeFormatter(logging.Formatter):
    """A line for each record: level, logger, message, traceback. Redacted after formatting, so arguments are too."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("bilbs: %(levelname)s: %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without secrets and control characters. A record that cannot be formatted says so."""
        try:
            text = super().format(record)
        except (TypeError, ValueError) as error:  # `%d` with text: the fault of one line, in any library
            text = f"bilbs: {record.levelname}: {record.name}: {record.msg!s} (arguments do not fit: {error})"
        text = without_hidden(text)
        return visible(self._redact(text), multiline=bool(record.exc_info))


def level_for(verbose: int, env: Mapping[str, str] = os.environ) -> int:
    """Return the level: `BILBS_LOG`, lowered by `-v` (info) and `-vv` (debug); warnings only by default."""
    asked = LEVELS.get(env.get("BILBS_LOG", "").lower(), logging.WARNING)
    return min(asked, logging.INFO if verbose == 1 else logging.DEBUG) if verbose > 0 else asked


def setup(verbose: int, redact: Callable[[str], str], env: Mapping[str, str] = os.environ) -> None:
    """Send the log of bilbs and of every library to stderr through the safe formatter."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter(redact))
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, SafeFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level_for(verbose, env))
    logging.raiseExceptions = False  # a stderr that went away must not print tracebacks
