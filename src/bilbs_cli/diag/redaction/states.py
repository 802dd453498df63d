"""Secrets that go on over several lines: what a line leaves behind, and what the next line does with it.

A state sees whole lines only, so the result does not depend on how the input was cut. Each state ends itself at the first
line that does not fit, so that one truncated record cannot swallow a log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Protocol

from bilbs_cli.diag.redaction import values
from bilbs_cli.diag.redaction.keys import Kind, is_secret
from bilbs_cli.diag.redaction.rule import LINE_END, Span

PATIENCE = 3  # blank lines between a key and its value
MULTI_LINE = 64  # lines of one quoted or block value

_END = re.compile(rb"-{4,5}[ ]?END [A-Z0-9 ]{1,40}-{4,5}")
_PEM_HEADER = re.compile(rb"[ \t]*(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset|MessageID|Subject|x-[\w-]+):.*")
_RUN = re.compile(rb"[A-Za-z0-9+/=_-]{16,}")
_TAIL = re.compile(rb"(?:^|[ \t\"'])([A-Za-z0-9+/]{4,}={0,2})[ \t\"',\\]*\r?$")
_PURE = re.compile(rb"[ \t#>\"']*+([A-Za-z0-9+/=]++)(?:\\r)?(?:\\n)?[ \t\"'+,;\\]*\r?")
_RECORD = re.compile(  # the beginning of another record: a date, a kernel time stamp, a key, the end of a structure
    rb"[ \t]*(?:[A-Z][a-z]{2} [ \d]\d \d\d:|\d{4}-\d\d-\d\d|\[[ ]*\d+\.\d+\]|[IWEF]\d{4} |\[\d|<\d+>|[\"']?[\w.-]+[\"']?[ \t]*[:=]"
    rb"|[}\]]|</?\w|-----|---$|#|$)"
)
_VALUE_KEY = re.compile(
    rb"[ \t]*(?:-[ \t]+)?\\*[\"']?(?:value|val|plaintext|plain|text|data|secret|content)\\*[\"']?[ \t]*(?:=>|[:=])"
)
_MAPPING = re.compile(rb"[ \t]*(?:-[ \t]+)?[\"']?[\w./ -]+[\"']?:(?:[ \t]|$)")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a state did with a line: the secrets in it, and the state for the next line."""

    spans: tuple[Span, ...] = ()
    state: State | None = None


class State(Protocol):
    """Something left open by an earlier line."""

    def take(self, line: bytes) -> Taken:
        """Read one whole line, without its newline."""


def indent_of(line: bytes) -> int:
    """Return the number of blanks at the start of a line."""
    return len(line) - len(line.lstrip(b" \t"))


def _whole(rule: str, line: bytes, start: int | None = None) -> Span:
    begin = indent_of(line) if start is None else start
    return Span(begin, max(begin, len(line.rstrip(b"\r"))), rule, begin, edge=LINE_END)


@dataclass(frozen=True, slots=True)
class Block:
    """Inside a key in PEM, SSH, PGP or OpenVPN form, until its END line or the first line that is no part of one.

    `tagged` says that its lines stand behind a log prefix; `lines` is how many are still to come (PuTTY), None unknown.
    """

    rule: str
    tagged: bool = False
    lines: int | None = None

    def take(self, line: bytes) -> Taken:
        """Mask the body on this line."""
        if self.lines == 0:
            return Taken()
        end = _END.search(line)
        if end:
            return Taken(self._body(line[: end.start()]))
        if self.lines is not None:
            return Taken((_whole(self.rule, line),), replace(self, lines=self.lines - 1))
        if not line.strip() or _PEM_HEADER.fullmatch(line):
            return Taken(state=self)
        spans = self._body(line)
        if not spans:
            return Taken()
        tagged = spans[0].start > indent_of(line) + 2
        last = tagged and spans[-1].end - spans[-1].start < 40
        return Taken(spans, None if last else replace(self, tagged=tagged))

    def _body(self, line: bytes) -> tuple[Span, ...]:
        pure = _PURE.fullmatch(line)
        if pure:
            return (Span(pure.start(1), pure.end(1), self.rule, pure.start(1)),)
        tail = _TAIL.search(line)
        if self.tagged and tail:
            return (Span(*tail.span(1), self.rule, tail.start(1)),)
        return tuple(Span(*run.span(), self.rule, run.start()) for run in _RUN.finditer(line) if _like_key_body(run[0]))


def _like_key_body(run: bytes) -> bool:
    """Say whether a run of base64 is a key's body and no path or word: all three kinds of characters."""
    return len(run) >= 24 and run.upper() != run and run.lower() != run and any(48 <= byte <= 57 for byte in run)


@dataclass(frozen=True, slots=True)
class OpenQuote:
    """Inside a quoted value whose quote was not closed on its line."""

    rule: str
    quote: values.Quote
    lines: int = MULTI_LINE

    def take(self, line: bytes) -> Taken:
        """Mask up to the closing quote, or the whole line; stop at what looks like another record."""
        if self.lines == 0 or (len(self.quote.mark) == 1 and _RECORD.match(line)):
            return Taken()
        end = values.closing(line, 0, self.quote.mark, self.quote.level)
        if end >= 0:
            return Taken((Span(0, end, self.rule, 0),) if end else ())
        return Taken((_whole(self.rule, line),), replace(self, lines=self.lines - 1))


@dataclass(frozen=True, slots=True)
class Indented:
    """Inside a YAML block scalar (`password: |`): every line that stands deeper than its key."""

    rule: str
    indent: int

    def take(self, line: bytes) -> Taken:
        """Mask the line when it is part of the block."""
        if not line.strip():
            return Taken(state=self)
        return Taken((_whole(self.rule, line),), self) if indent_of(line) > self.indent else Taken()


@dataclass(frozen=True, slots=True)
class Awaiting:
    """After a key whose value stands on a later line.

    `style`: `yaml` (deeper, or a list), `json` (a scalar), `list` (until the bracket), `object` and `named` (behind
    `value:`), `xml` (until the next tag), `form` (after a blank line).
    """

    rule: str
    kind: Kind
    style: str
    indent: int = 0
    patience: int = PATIENCE

    def take(self, line: bytes) -> Taken:
        """Mask the value when it is on this line."""
        if not line.strip():
            return Taken(state=replace(self, patience=self.patience - 1) if self.patience else None)
        taken: Taken = getattr(self, f"_{self.style}")(line)
        return taken

    def _span(self, line: bytes, pos: int, *, whole_line: bool = True) -> tuple[Span, ...]:
        value = values.read(line, pos, None, whole_line=whole_line)
        if not value or not is_secret(
            self.kind, line[value.start : value.end], line[value.start :], quoted=bool(value.quote)
        ):
            return ()
        return (Span(value.start, value.end, self.rule, pos, edge=values.line_edge(value)),)

    def _yaml(self, line: bytes) -> Taken:
        depth, text = indent_of(line), line.strip()
        if text.startswith(b"- ") and depth >= self.indent and not _MAPPING.match(line):
            return Taken(self._span(line, depth + 2), self)
        if depth <= self.indent or _MAPPING.match(line) or text[:1] in b"{[-#":
            return Taken()
        value = values.read(line, 0, None, whole_line=True)
        state = OpenQuote(self.rule, value.quote) if value and value.quote and not value.closed else None
        return Taken(self._span(line, 0), state)

    def _json(self, line: bytes) -> Taken:
        return Taken(self._span(line, 0, whole_line=False)) if line.lstrip()[:1] not in b"{[}]" else Taken()

    def _list(self, line: bytes) -> Taken:
        if line.lstrip()[:1] == b"]":
            return Taken()
        spans = self._span(line, 0, whole_line=False)
        return Taken(spans, self if spans and b"]" not in line[spans[-1].end :] else None)

    def _object(self, line: bytes) -> Taken:
        found = _VALUE_KEY.match(line)
        return Taken(self._span(line, found.end(), whole_line=b"{" not in line)) if found else Taken()

    def _named(self, line: bytes) -> Taken:
        return self._object(line)

    def _xml(self, line: bytes) -> Taken:
        end = line.find(b"<")
        text = line if end < 0 else line[:end]
        start, stop = indent_of(text), len(text.rstrip())
        if is_secret(self.kind, text.strip(), text.strip(), quoted=True) and stop > start:
            return Taken((Span(start, stop, self.rule, start),), self if end < 0 else None)
        return Taken(self._span_of_string(line))

    def _span_of_string(self, line: bytes) -> tuple[Span, ...]:
        found = re.match(rb"[ \t]*<(?:string|value|entry)>([^<]+)", line)
        return (Span(*found.span(1), self.rule, found.start(1)),) if found else ()

    def _form(self, line: bytes) -> Taken:
        return Taken((_whole(self.rule, line, 0),)) if not line.startswith(b"--") else Taken()


@dataclass(frozen=True, slots=True)
class SecretData:
    """Inside `data:` of a Kubernetes manifest: values in base64 (all values once the kind is known to be Secret)."""

    rule: str
    indent: int
    every: bool = False

    _ENTRY = re.compile(rb"[ \t]*[\"']?[\w./-]+[\"']?:[ \t]*[\"']?([^\s\"']+)[\"']?,?[ \t]*\r?")

    def take(self, line: bytes) -> Taken:
        """Mask one entry; end where the indentation does."""
        if not line.strip():
            return Taken(state=self)
        if indent_of(line) <= self.indent:
            return Taken()
        entry = self._ENTRY.fullmatch(line)
        if entry and (self.every or looks_base64(entry[1])):
            return Taken((Span(*entry.span(1), self.rule, entry.start(1)),), self)
        return Taken(state=self)


def looks_base64(value: bytes) -> bool:
    """Say whether `value` is padded base64 of at least four bytes, as manifests hold it, and no plain word or number."""
    if len(value) < 8 or len(value) % 4 or not re.fullmatch(rb"[A-Za-z0-9+/]+={0,2}", value):
        return False
    return value.endswith(b"=") or (value.lower() != value and value[1:].lower() != value[1:] and not value.isdigit())


@dataclass(frozen=True, slots=True)
class Logins:
    """Inside a list of `user:password` lines (cloud-init's `chpasswd: list: |`, or a here-document)."""

    rule: str
    indent: int
    _LINE = re.compile(rb"[ \t]*(?:- )?[\"']?[\w.-]+:([^\s\"']+)[\"']?[ \t]*\r?")

    def take(self, line: bytes) -> Taken:
        """Mask what stands behind the colon."""
        found = self._LINE.fullmatch(line)
        if found and indent_of(line) >= self.indent:
            return Taken((Span(*found.span(1), self.rule, found.start(1)),), self)
        if re.match(rb"[ \t]*(?:list|users|expire):", line):
            return Taken(state=self)
        return Taken()
