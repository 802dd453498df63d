"""The redactor: a stream of bytes in, the same bytes without secrets out, in flat memory and linear time.

A filter (one pass of an automaton over about a quarter megabyte) finds the few lines that may hold a secret; only these meet
the rules. A line longer than a window is read in overlapping windows. What is decided depends on the lines and on their
places in a long line, never on how the input was cut.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bilbs_cli.diag.redaction import states, values
from bilbs_cli.diag.redaction.assigned import Found
from bilbs_cli.diag.redaction.custom import CustomRule, as_rules
from bilbs_cli.diag.redaction.disguise import Pseudonyms
from bilbs_cli.diag.redaction.forms import HEAD, TEXT, Form, Transcoder, form_of
from bilbs_cli.diag.redaction.literals import Literals, named
from bilbs_cli.diag.redaction.receipt import NOT_SCANNED
from bilbs_cli.diag.redaction.rule import LINE_END, Edge, Span, mask
from bilbs_cli.diag.redaction.rules import RULES
from bilbs_cli.diag.redaction.scanner import Scanner, merged

WINDOW = 1 << 18  # bytes of a line that are looked at together
BATCH = 1 << 16  # bytes that are worth a pass
OVERLAP = 1 << 15  # bytes that two windows share: a secret this long is never cut
LEFT = 64  # bytes of the previous window that rules see as context
_CUTS = (b" ", b"\t", b",", b";", b'"', b"'", b">", b"&")


class Redactor:
    """The compiled rules, the secrets that are known, and the pseudonyms: made once, inherited by every child."""

    def __init__(
        self, *, known: Iterable[bytes] = (), custom: Iterable[CustomRule] = (), pseudonyms: Pseudonyms | None = None
    ) -> None:
        literals = Literals(named(known))
        self.scanner = Scanner((*as_rules(custom), *RULES), literals)
        self.pseudonyms = pseudonyms
        self.rules_version = self.scanner.version

    def stream(self) -> Stream:
        """Return a new stream, for one member."""
        return Stream(self)

    def text(self, text: str, *, key: str = "") -> str:
        """Return a small string redacted; `key` is the name it stands under, when it has one."""
        if (
            not key
            and self.pseudonyms is None
            and not self.scanner.sieve.reasons(text.encode("utf-8", "surrogateescape"))
        ):
            return text
        lead = f"{key}: ".encode("utf-8", "surrogateescape") if key and "\n" not in text else b""
        stream = Stream(self, form=TEXT)
        out = stream.feed(lead + text.encode("utf-8", "surrogateescape")) + stream.finish()
        return out[len(lead) :].decode("utf-8", "surrogateescape")


class Stream:
    """One member on its way out. `counts`: secrets masked, by rule; `notes`: what was not looked at, and why."""

    def __init__(self, redactor: Redactor, *, form: Form | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []
        self._scanner = redactor.scanner
        self._pseudonyms = redactor.pseudonyms
        self._form = form
        self._codec: Transcoder | None = None
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._held = b""
        self._narrow = b""  # of `_held`, for a member in UTF-16
        self._state: states.State | None = None
        self._edge: Edge | None = None  # a secret that goes on from the window before
        self._left = b""  # context from the window before; empty at the start of a line
        self._inside_line = False

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return what is finished, which may be nothing yet."""
        self._waiting.append(data)
        self._waiting_size += len(data)
        return self._emit(final=False) if self._waiting_size >= (BATCH if self._form else max(BATCH, HEAD)) else b""

    def finish(self) -> bytes:
        """Return the rest."""
        return self._emit(final=True)

    def _begin(self) -> None:
        self._form = form_of(self._held[:HEAD])
        if self._form.skipped:
            self.notes.append(f"not scanned: {self._form.skipped}")
            self.counts[NOT_SCANNED + self._form.skipped] = 0
        if self._form.codec:
            self._codec = Transcoder(self._form.codec)
        elif not self._form.skipped and _orphan(self._held[:HEAD]):
            self._state = states.Block("private-key")

    def _emit(self, *, final: bool) -> bytes:
        self._held += b"".join(self._waiting)
        self._waiting, self._waiting_size = [], 0
        if self._form is None:
            self._begin()
        form = self._form or TEXT
        if form.skipped:
            out, self._held = self._held, b""
            return out
        if self._codec is None:
            out, self._held = self._lines(self._held, final=final)
            return out
        return self._wide(self._codec, final=final)

    def _wide(self, codec: Transcoder, *, final: bool) -> bytes:
        self._narrow += codec.narrow(self._held, final=final)
        self._held = b""
        out, self._narrow = self._lines(self._narrow, final=final)
        return codec.widen(out) + (codec.rest() if final else b"")

    def _lines(self, text: bytes, *, final: bool) -> tuple[bytes, bytes]:
        """Return what is finished of `text`, and what must wait for more input."""
        out: list[bytes] = []
        pos, size = 0, len(text)
        while pos < size:
            end = -1 if self._inside_line else text.rfind(b"\n", pos, pos + WINDOW + 1)
            if end >= 0:
                out.append(self._disguised(self._segment(text[pos : end + 1])))
                pos = end + 1
                continue
            taken = self._long(text, pos, out, final=final)
            if taken == pos:
                break
            pos = taken
        return b"".join(out), text[pos:]

    def _long(self, text: bytes, pos: int, out: list[bytes], *, final: bool) -> int:
        """Take one window of a line that is longer than one, or the last line; return where the rest begins."""
        end = text.find(b"\n", pos, pos + WINDOW + 1)
        if end < 0 and len(text) - pos <= WINDOW:
            if not final:
                return pos
            end = len(text)
        if end >= 0:
            out.append(self._disguised(self._window(text[pos:end], last=True)[0]) + text[end : end + 1])
            return min(end + 1, len(text))
        redacted, used = self._window(text[pos : pos + WINDOW], last=False)
        out.append(self._disguised(redacted))
        return pos + used

    def _segment(self, text: bytes) -> bytes:
        """Redact whole lines, none of them longer than a window."""
        out: list[bytes] = []
        done = pos = 0
        size = len(text)
        next_hit = self._scanner.sieve.lines(text)
        while pos < size:
            if self._state is None:
                hit = next_hit(pos)
                if hit < 0:
                    break
                pos = text.rfind(b"\n", pos, hit) + 1 or pos
            end = text.find(b"\n", pos)
            line = text[pos:end]
            fresh, _ = self._window(line, last=True)
            if fresh is not line:
                out += [text[done:pos], fresh]
                done = end
            pos = end + 1
        if not out:
            return text
        out.append(text[done:])
        return b"".join(out)

    def _window(self, text: bytes, *, last: bool) -> tuple[bytes, int]:
        """Redact a line, or one window of it; return the result and how many bytes of `text` it stands for."""
        line, begin = self._left + text, len(self._left)
        taken = states.Taken()
        if not self._inside_line and self._state is not None:
            taken = self._state.take(line)
            self._state = taken.state
        found = self._scanner.scan(line, begin) if not _covers(taken.spans, line) else Found()
        spans = self._continued(line, begin, found.spans)
        if taken.spans:
            spans = merged([*spans, *taken.spans], {})
        if found.state is not None and last:
            self._state = found.state
        cut = len(line) if last else _cut(line, begin, spans)
        spans = [span for span in spans if span.start < cut]
        self._edge = None if last or not spans or spans[-1].end < len(line) else spans[-1].edge
        used = cut - begin
        self._inside_line, self._left = not last, b"" if last else line[max(0, cut - LEFT) : cut]
        if not spans:
            return text if used == len(text) else text[:used], used
        return self._applied(line, begin, cut, spans), used

    def _continued(self, line: bytes, begin: int, spans: list[Span]) -> list[Span]:
        """Put the rest of a secret that began in the window before in front."""
        if self._edge is None:
            return spans
        end = _edge_end(line, begin, self._edge)
        rest = Span(begin, end, "", begin, text=b"", edge=self._edge)
        return [rest, *(span if span.start >= end else replace(span, start=end) for span in spans if span.end > end)]

    def _applied(self, line: bytes, begin: int, cut: int, spans: list[Span]) -> bytes:
        out, done = [], begin
        for span in spans:
            out += [line[done : span.start], self._mask(line, span)]
            if span.rule:
                self.counts[span.rule] += 1
            done = span.end
        out.append(line[done:cut])
        return b"".join(out)

    def _mask(self, line: bytes, span: Span) -> bytes:  # noqa: ARG002 - the harvest of secrets.py keeps what is masked
        if self._form is not None and self._form.fixed:
            return b"X" * (span.end - span.start)
        return span.text if span.text is not None else span.wrap + mask(span.rule) + span.wrap

    def _disguised(self, text: bytes) -> bytes:
        return self._pseudonyms.replace(text) if self._pseudonyms is not None else text


def _covers(spans: Sequence[Span], line: bytes) -> bool:
    """Say whether a state took all of a line: there is nothing left for the rules."""
    return len(spans) == 1 and not line[: spans[0].start].strip() and not line[spans[0].end :].strip()


def _cut(line: bytes, begin: int, spans: list[Span]) -> int:
    """Return where a window may end: at a delimiter in the overlap, never inside a secret or between it and its name."""
    low, high = len(line) - OVERLAP, len(line) - OVERLAP // 2
    cut = max(max(line.rfind(mark, low, high) for mark in _CUTS) + 1, 0)
    cut = cut if cut > max(begin, low) else high
    for span in spans:
        if span.context < cut < span.end:
            cut = span.end
    return cut


def _token_end(line: bytes, pos: int) -> int:
    value = (
        values.read(line, pos, None, whole_line=False) if line[pos : pos + 1] not in {b" ", b"\t", b'"', b"'"} else None
    )
    return value.end if value else pos


def _edge_end(line: bytes, pos: int, edge: Edge) -> int:
    """Return where a secret ends that came over the edge of the window before."""
    if edge == LINE_END:
        return len(line)
    if not edge.quote:
        return _token_end(line, pos)
    end = values.closing(line, pos, edge.quote, edge.level, floor=0)
    return len(line) if end < 0 else max(end, pos)


_ORPHAN = re.compile(rb"(?:[A-Za-z0-9+/]{1,76}={0,2}\r?\n)+-----END [A-Z ]{0,24}PRIVATE KEY-----")


def _orphan(head: bytes) -> bool:
    """Say whether a member begins inside a private key: base64 up to its END (the beginning was over the cap)."""
    return _ORPHAN.match(head) is not None
