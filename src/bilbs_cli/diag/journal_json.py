"""Journal entries as JSON: messages that journalctl(1) writes as lists of byte numbers become text again.

With `-o json` a field that holds bytes that are not printable text is written as `[78,86,82,77]`. Nothing that looks for
words, redaction first of all, can see into that.
"""

from __future__ import annotations

import json
import re

LONGEST = 8 << 20  # bytes of a line that is waited for; a longer one passes as it comes
_BYTES = re.compile(rb'(?<=":)\[[ \t]*\d{1,3}(?:[ \t]*,[ \t]*\d{1,3})*[ \t]*\]')


class Plain:
    """Turns byte lists into strings, line by line, in a stream that comes in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the lines that are whole now."""
        whole, newline, rest = (self._rest + data).rpartition(b"\n")
        if not newline and len(rest) < LONGEST:
            self._rest = rest
            return b""
        self._rest = rest if newline else b""
        return plain(whole + newline) if newline else plain(rest)

    def finish(self) -> bytes:
        """Return the last line."""
        rest, self._rest = self._rest, b""
        return plain(rest)


def plain(lines: bytes) -> bytes:
    r"""Return lines of journal JSON without byte lists.

    >>> plain(b'{"PRIORITY":"6","MESSAGE":[27,91,51,49,109,104,105]}')
    b'{"PRIORITY":"6","MESSAGE":"\\u001b[31mhi"}'
    """
    return _BYTES.sub(_text, lines) if b'":[' in lines else lines


def _text(found: re.Match[bytes]) -> bytes:
    numbers = [int(number) for number in found[0].strip(b"[] \t").split(b",")]
    if any(number > 255 for number in numbers):
        return found[0]
    return json.dumps(bytes(numbers).decode("utf-8", "backslashreplace")).encode()
