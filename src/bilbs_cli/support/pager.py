"""`bilbs support pager`: the number to call at night, on the standard library's smallest part alone.

It works with no network, terminal, HOME, root, settings, card of good grammar, or disk to write to, and it ends with
the number on a screen or says how to find it; it never makes one up. `__main__` calls it before anything is imported.
"""

from __future__ import annotations

import os
import sys

from bilbs_cli.support import card_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FLAGS = frozenset({"--uri", "--qr", "--json"})
OK, CANNOT_WRITE, CONFIG = 0, 73, 78  # as in errors.Exit, whose import costs more than all of this
SCHEMA_VERSION = 1  # terminal.SCHEMA_VERSION

# The channels of providers/bilbs.toml, which is not read here; a test holds the two together.
UNKNOWN = """\
bilbs: no pager number is known to this box [no-pager-number]
  where:  it is printed on the wallet card of your support plan; your admin team
          holds it
  or:     post "@bilbs-oncall Sev-1: <what is broken>" in your Slack channel
          #bilbs-<yourco>
  or:     write to support@groupebilbs.com (slower than Slack)
  next:   bilbs support card set --pager +1...   (stores the number on this box)
"""


class Found:
    """The number, where it stands, and what was wrong on the way to it; an empty number was not found."""

    __slots__ = ("number", "origin", "warnings")

    def __init__(self) -> None:
        self.number = self.origin = ""
        self.warnings: list[str] = []


def understands(flags: Sequence[str]) -> bool:
    """Say whether these flags are all known here; anything else is for the ordinary parser, help included."""
    return FLAGS.issuperset(flags)


def run(flags: Sequence[str], env: Mapping[str, str] = os.environ) -> int:
    """Print the number and return the exit status: 0, 78 where none is known, 73 where it cannot be printed."""
    found = Found()
    try:
        _look(found, env)
        if "--json" in flags:
            return _as_json(found)
        return _as_text(found, flags)
    except Exception as error:  # noqa: BLE001 - nothing may stand between an admin and the number
        _say(2, f"bilbs: warning: {_visible(repr(error))}\n")
        return _print(f"{_visible(found.number)}\n") if found.number else _unknown()


def _look(found: Found, env: Mapping[str, str]) -> None:
    own = env.get(card_file.VARIABLE, "").strip()
    if own:
        found.number, found.origin = own, card_file.VARIABLE
    else:
        for card in card_file.cards(env):
            found.warnings += card.warnings
            found.number = card.values.get("pager", "")
            if found.number:
                found.origin = card.path
                break
    if found.number and not card_file.digits(found.number):
        found.warnings.append(
            f"{found.number} ({found.origin}) does not look like a telephone number; one starts with + and the country, +1..."
        )


def _as_text(found: Found, flags: Sequence[str]) -> int:
    for warning in found.warnings:
        _say(2, f"bilbs: warning: {_visible(warning)}\n")
    if not found.number:
        return _unknown()
    if not found.warnings and _is_terminal(1):
        _say(2, f"from {_visible(found.origin)}\n")
    uri = card_file.uri(found.number)
    status = _print(f"{uri if '--uri' in flags else _visible(found.number)}\n")
    if "--qr" in flags and status == OK:
        _say(1, _qr(uri))
    return status


def _qr(uri: str) -> str:
    try:
        from bilbs_cli.support import qr

        return qr.for_terminal(uri)
    except Exception as error:  # noqa: BLE001 - a picture is a comfort; the number is there already
        _say(2, f"bilbs: warning: the QR code cannot be drawn: {_visible(str(error))}\n")
        return ""


def _as_json(found: Found) -> int:
    import json

    data = None
    errors = []
    if found.number:
        good = card_file.digits(found.number)
        data = {
            "number": found.number,
            "uri": card_file.uri(found.number),
            "e164": good or None,
            "origin": found.origin,
        }
    else:
        _say(2, UNKNOWN)
        errors = [
            {
                "code": "no-pager-number",
                "message": "no pager number is known to this box",
                "safe": "",
                "next": "bilbs support card set --pager +1...",
                "exit": CONFIG,
            }
        ]
    kind = "support.pager" if data else "error"
    document = {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "data": data,
        "warnings": found.warnings,
        "errors": errors,
    }
    status = _print(json.dumps(document) + "\n")
    return status if data else CONFIG


def _unknown() -> int:
    _say(2, UNKNOWN)
    return CONFIG


def _print(text: str) -> int:
    """Write the answer to stdout; where that cannot be written, to stderr or the terminal: then the status is 73."""
    if _say(1, text):
        return OK
    if not _say(2, text):
        try:
            terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return CANNOT_WRITE
        _say(terminal, text)
        os.close(terminal)
    return CANNOT_WRITE


def _say(stream: int, text: str) -> bool:
    """Write to a descriptor; False where it cannot be written. A reader that went away (`| head`) has read enough."""
    data = text.encode(getattr(sys.stdout, "encoding", None) or "utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(stream, data) :]
    except BrokenPipeError:
        return True
    except OSError:
        return False
    return True


def _is_terminal(stream: int) -> bool:
    try:
        return os.isatty(stream)
    except OSError:
        return False


def _visible(text: str) -> str:
    """Return text that a terminal cannot obey; what is more than plain is made visible by `escape`."""
    if text.isascii() and text.isprintable():
        return text
    from bilbs_cli.escape import visible

    return visible(text)
