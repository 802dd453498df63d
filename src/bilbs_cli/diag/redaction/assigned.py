"""Secrets behind a name: `key=value`, `key: value`, JSON, YAML, repr, XML, options, name and value pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bilbs_cli.diag.redaction import states, values
from bilbs_cli.diag.redaction.keys import CORES, Kind, is_secret, kind_of
from bilbs_cli.diag.redaction.likely import FREQUENT, likely
from bilbs_cli.diag.redaction.rule import Span, compiled

_NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
_CLOSE = rb"(?:\\*[\"'`]|[\])]|" + values.COLOUR + rb"|%(?:25)*(?:22|27|5[BbDd])|&quot;|&#3[49];|\\+u002[27])*"
_SEPARATOR = rb"[ \t]*(?:=>|->|\xe2\x86\x92|:=|\+=|::|==|\?=|:|=|\||%(?:25)*3[ad]|\\+u003[ad]|&#(?:58|61);)"
_TAIL = (
    rb"(?:[ ](?:value|id|hash|text|string))?"
    + _CLOSE
    + rb"(?:"
    + _SEPARATOR
    + rb"|\\*[\"'][ \t]*,|,[ \t]*(?:<<)?\\*\"|[ ]\.[ ]\\*\")"
)
ASSIGNED = CORES + rb"[\w.\-]*" + _TAIL
LIKELY = likely(CORES, _TAIL, FREQUENT)
ELEMENT = rb"<(?:\w+:)?[\w.\-]*" + CORES + rb"[\w.\-]*(?:[ \t][^<>]*)?>"
PLIST = rb"<key>[\w.\- ]*" + CORES + rb"[\w.\-]*</key>"
OPTION = (
    rb"(?:^|[\s\"'=,\[(/{])(?:--?|/)[\w\-]*" + CORES + rb"[\w\-]*(?:\\*[\"'],?)?(?:[ \t]+\\*[\"']?[^\s\-]|[ \t]*\r?$)"
)
NAMED = (
    rb"(?:name|key|property|variable|option|param(?:eter)?|id|field)\\*[\"']?[ \t]*(?::|=>?)[ \t]*\\*[\"']?[\w.\-]*"
    + CORES
    + rb"[\w.\-]*\\*[\"']?"
)
SET = rb"\b(?:setenv|set|\w+_header|fastcgi_param)[ \t]+[\w.\-]*" + CORES + rb"[\w.\-]*[ \t]+[^\s=:]"
ELEMENTS = (ELEMENT, PLIST)

_FIND = compiled(ASSIGNED, capture=False)
_FIND_ELEMENT = compiled(ELEMENT, capture=False)
_FIND_PLIST = compiled(PLIST, capture=False)
_FIND_OPTION = compiled(OPTION, capture=False)
_FIND_SET = compiled(SET, capture=False)
_FIND_NAMED = compiled(NAMED, capture=False)
_VALUE_NEXT = re.compile(
    rb"[ \t]*[,;>]?[ \t]*(?:\\*[\"'])?(?:parameter|option|string)?(?:value|val|content|default|secret)\\*[\"']?[ \t]*(?:=>|[:=])[ \t]*",
    re.IGNORECASE,
)
_VALUE_BEFORE = re.compile(
    rb"\\{0,7}[\"']?value\\*[\"']?[ \t]*(?:=>|[:=])[ \t]*\\*[\"'](?P<value>[^\"'\\]{1,512})\\*[\"'][ \t]*,[ \t]*\\*[\"']?$",
    re.IGNORECASE,
)
_FORM = re.compile(rb"form-data;.*name=", re.IGNORECASE)
_LINE_START = re.compile(
    rb"[ \t]*(?:[#;>|-]+[ \t]+)?(?:(?:export|set|setenv|declare[ \t]+-\w+|local|var|let|const|readonly|env|ENV|ARG|Environment=)[ \t]+"
    rb"|\$(?:env:)?|Environment=|:|@)?(?P<words>[\w.\- ]{0,40})"
)
_SCHEME = re.compile(
    rb"[ \t]*(?:[\"']?)(?:Basic|Bearer|Token|Bot|Negotiate|NTLM|ApiKey|Key|SSWS|GenieKey)[ \t]+(?=\S)", re.IGNORECASE
)
_WRAPPED = re.compile(
    rb"[ \t]*\{[ \t]*\\*[\"']?(?:value|plaintext|plain|text|data|secret)\\*[\"']?[ \t]*(?:=>|[:=])", re.IGNORECASE
)

_NAMED_AS = re.compile(rb"[\w.\- \x80-\xff]*[\w\-\x80-\xff]")
_OPTION_NAME = re.compile(rb"[\s\"'=,\[(/{]?((?:--?|/)[\w\-]+)(\\*[\"'],?)?[ \t]*")
_PLIST_VALUE = re.compile(rb"[ \t]*<(?:string|data)>")
_TAG_END = re.compile(rb"[ \t]*>(?:[ \t]*<(?:value|string)>)?(?=[^<])", re.IGNORECASE)
_INNER = re.compile(rb"[ \t]*<(?:value|string|text)>", re.IGNORECASE)
_PAIR_NEXT = re.compile(rb"[ \t]+[A-Za-z_][\w.-]{0,40}=(?:[^=]|$)")
_PROSE_NEXT = re.compile(rb"[ \t]+[a-z]{1,16}[ \t]+[a-z\"']")  # `failed to list *v1.Secret: secrets "x" is forbidden`
_CELL = re.compile(rb"(?:^|\|)[ \t]*$")  # of a table: at the start of a line, or behind a bar
_PAIR = re.compile(  # (name, value) and setenv(name, value, 1), not a list of column names
    rb"(?:\([\"']|.[\"'](?<=\(.[\"']))[\w.\-]+[\"'][ \t]*,[ \t]*[bru]?[\"'][^\"']*[\"'][ \t]*(?:,[ \t]*\w+[ \t]*)?\)"
    rb"|\[[\"'][\w.\-]+[\"'][ \t]*,[ \t]*[\"'][^\"']*[\"'][ \t]*\]"
)

RULE_OF = {Kind.PASSWORD: "password", Kind.PASS: "password", Kind.TOKEN: "token", Kind.RANDOM: "key"}


class Found:
    """What a finder collects from one line: the secrets, and what it leaves open for the next one."""

    __slots__ = ("spans", "state")

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.state: states.State | None = None


def matches(regex: Any, text: bytes, pos: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of `regex` in `text` from `pos` on."""
    for found in regex.finditer(text, pos):
        yield found.span()


def find_assigned(text: bytes, begin: int, found: Found) -> None:
    """Find `name SEPARATOR value` in every notation; `begin` is where this window's own bytes start."""
    pos = begin
    while (hit := _FIND.search(text, pos)) is not None:
        pos = max(_assigned(text, hit.start(), hit.end(), begin, found), hit.start() + 1)


def _assigned(text: bytes, core: int, after: int, begin: int, found: Found) -> int:
    """Judge one name; return where the search goes on."""
    start = name_start(text, core)
    name = _NAMED_AS.match(text, start, after)
    kind = kind_of(name[0]) if name else None
    if name is None or kind is None or text.endswith(b"[REDACTED:", 0, start):
        return after
    closers = text[name.end() : after]
    if b"," in closers or b" . " in closers:  # the match went on to the quote of the value
        closers = closers[: max(closers.find(b",") + 1, closers.find(b" . ") + 3)]
        after = name.end() + len(closers)
    quoted_key = next((mark for mark in (b'"', b"'") if mark in closers), b"")
    inside = None if quoted_key else values.enclosing(text, start)
    alone = not (quoted_key or inside or begin) and closers[-1:] in b":=" and _starts_line(text, start, closers)
    prose = b"ecret" in text[start : name.end()] and not alone
    if not _is_pair(text, start, after, closers, quoted=bool(quoted_key), prose=prose):
        return after
    scheme = _SCHEME.match(text, after)
    pos = scheme.end() if scheme and not quoted_key else after
    return _value(
        text,
        pos,
        kind,
        start,
        found,
        inside=inside,
        alone=alone,
        wrap=_wrap(closers, quoted_key),
        colon=closers.rstrip(b" \t").endswith(b":"),
    )


def _is_pair(text: bytes, start: int, after: int, closers: bytes, *, quoted: bool, prose: bool) -> bool:
    """Say whether the marks between a name and what follows make the two a pair."""
    before = text[start - 1 : start]
    if not quoted and ((b"]" in closers and before != b"[") or (b")" in closers and before != b"(")):
        return False  # the end of a log tag (`gdm-password]:`)
    if closers.startswith((b",", b" . ")):
        return before in {b"{", b"("}  # Erlang and Lisp
    if closers.endswith(b","):
        return _PAIR.match(text, start - 2) is not None
    if b"|" in closers:
        return _CELL.search(text, max(0, start - 80), start) is not None
    if closers == b"==" and text[after : after + 1] not in {b'"', b"'"}:
        return False  # the padding of some base64
    if closers.endswith(b"=") and text[after : after + 1] in {b" ", b"\t"} and _PAIR_NEXT.match(text, after):
        return False  # `password= user=bob`: empty
    return not (prose and closers.endswith(b":") and _PROSE_NEXT.match(text, after))


def _starts_line(text: bytes, start: int, closers: bytes) -> bool:
    """Say whether a name is the first of its line, so that its value may hold blanks."""
    lead = _LINE_START.fullmatch(text[:start]) if start < 160 else None
    return lead is not None and (b":" in closers or closers.startswith((b" ", b"\t")) or not lead["words"])


def name_start(text: bytes, core: int) -> int:
    """Return where the name begins whose core word stands at `core`."""
    head = text[max(0, core - 64) : core]
    return core - (len(head) - len(head.rstrip(_NAME)))


def _wrap(closers: bytes, mark: bytes) -> bytes:
    """Return the quote, with its backslashes, that a masked bare value needs to stay valid JSON."""
    if not mark or b":" not in closers:
        return b""
    at = closers.find(mark)
    return b"\\" * (at - len(closers[:at].rstrip(b"\\"))) + mark


def _value(
    text: bytes,
    pos: int,
    kind: Kind,
    context: int,
    found: Found,
    *,
    inside: values.Quote | None = None,
    alone: bool = False,
    wrap: bytes = b"",
    colon: bool = False,
) -> int:
    """Read and judge the value at `pos`; return where the search goes on."""
    rule = RULE_OF[kind]
    pos = values.skip_lead(text, pos)
    pos += 3 if text.startswith(b"** ", pos) else 0  # the end of bold type around the name
    rest = text[pos : pos + 3]
    if rest[:1] == b"[" and not text.startswith(b"[REDACTED:", pos):
        return _listed(text, pos, kind, context, found, wrap)
    if rest[:1] == b"{" and (inner := _WRAPPED.match(text, pos)):
        return _value(text, inner.end(), kind, context, found, wrap=wrap)
    if rest[:1] == b"{" and rest not in {b"{", b"{\r"} and rest[1:2] in b" \t\"'\\}{%":  # an object, no value
        return pos + 1
    if rest in {b"", b"\r", b"\\", b"\\\r", b"{", b"{\r"}:
        found.state = _awaiting(rule, kind, text, rest.strip(), wrap, colon=colon)
        return len(text)
    if alone and rest[:1] in b"|>!" and values.starts_block(text, pos):
        found.state = states.Indented(rule, states.indent_of(text))
        return len(text)
    value = values.read(text, pos, inside, whole_line=alone)
    if value is None:
        return pos
    if value.start == value.end and value.quote:
        found.state = states.OpenQuote(rule, value.quote)
        return len(text)
    quoted = value.quote is not None and value.quote is not inside
    if not is_secret(kind, text[value.start : value.end], text[value.start : value.start + 200], quoted=quoted):
        return pos
    edge = values.line_edge(value) if alone else value.edge
    found.spans.append(Span(value.start, value.end, rule, context, wrap=b"" if value.quote else wrap, edge=edge))
    if not value.closed and value.quote:
        found.state = states.OpenQuote(rule, value.quote)
    return value.end


def _awaiting(rule: str, kind: Kind, text: bytes, rest: bytes, wrap: bytes, *, colon: bool) -> states.State | None:
    """Return the state for a value that stands on a later line."""
    indent = states.indent_of(text)
    if rest == b"{":
        return states.Awaiting(rule, kind, "object", indent)
    if wrap:
        return states.Awaiting(rule, kind, "json", indent)
    return states.Awaiting(rule, kind, "yaml", indent) if colon or rest == b"\\" else None


_LISTED = re.compile(rb"[\"']((?:[^\"'\\]|\\(?![\"']).)+)\\*[\"']")


def _listed(text: bytes, pos: int, kind: Kind, context: int, found: Found, wrap: bytes) -> int:
    """Mask the scalars of a list on this line: quoted ones one by one, bare ones (Go, byte arrays) together."""
    rule, stop = RULE_OF[kind], text.find(b"]", pos)
    end = len(text) if stop < 0 else stop
    quoted = [m.span(1) for m in _LISTED.finditer(text, pos, end) if is_secret(kind, m[1], m[1], quoted=True)]
    found.spans += [Span(a, b, rule, context) for a, b in quoted]
    bare = text[pos + 1 : end].strip()
    if stop > 0 and not quoted and b'"' not in bare and b"'" not in bare and is_secret(kind, bare, bare, quoted=False):
        found.spans.append(Span(pos + 1, stop, rule, context, wrap=wrap))
    if stop < 0 and (quoted or text[pos:].strip() == b"["):
        found.state = states.Awaiting(rule, kind, "list", states.indent_of(text))
    return end


def find_options(text: bytes, begin: int, found: Found) -> None:
    """Find `--password VALUE` and `"--password", "VALUE"`, with the value on the next line of a JSON list too."""
    size = len(text.rstrip(b"\r"))
    for start, end in matches(_FIND_OPTION, text, begin):
        option = _OPTION_NAME.match(text, start)
        kind = kind_of(option[1].lstrip(b"-/")) if option else None
        if kind is None or not option:
            continue
        pos = option.end()
        if pos >= size:
            found.state = states.Awaiting(RULE_OF[kind], kind, "json") if option[2] else found.state
            continue
        inside = None if option[2] else values.enclosing(text, start + 1)
        _value(text, pos, kind, min(start, end), found, inside=inside)


def find_settings(text: bytes, begin: int, found: Found) -> None:
    """Find `setenv NAME VALUE`, `set NAME VALUE` and the header directives of web servers."""
    for start, end in matches(_FIND_SET, text, begin):
        name = re.match(rb"(\w+)[ \t]+([\w.\-]+)", text[start:end])
        kind = kind_of(name[2]) if name else None
        value = text[end - 1 : end + 64].split(None, 1)[0]
        if kind is not None and name and (name[1].lower() == b"setenv" or not value.isalpha()):
            _value(text, end - 1, kind, start, found)


def find_elements(text: bytes, begin: int, found: Found) -> None:
    """Find `<password>…</password>`, property lists, and elements whose text stands on the next line."""
    for start, end in matches(_FIND_ELEMENT, text, begin):
        name = re.match(rb"<(?:\w+:)?([\w.\-]+)", text[start:end])
        if name and text[end - 2 : end - 1] != b"/" and _element(text, start, end, kind_of(name[1]), found) < 0:
            break
    for start, end in matches(_FIND_PLIST, text, begin):
        string = _PLIST_VALUE.match(text, end)
        _element(text, start, string.end() if string else end, kind_of(text[start + 5 : end - 6]), found)


def _element(text: bytes, start: int, end: int, kind: Kind | None, found: Found) -> int:
    """Judge the text of an element; return where it ends, -1 when it does not end on this line."""
    if kind is None:
        return end
    inner = _INNER.match(text, end)
    end = inner.end() if inner else end
    raw = text.startswith(b"<![CDATA[", end)
    end += 9 if raw else 0
    stop = text.find(b"]]>" if raw else b"<", end)
    content = text[end : stop if stop >= 0 else len(text)]
    if not content.strip():
        if stop < 0:
            found.state = states.Awaiting(RULE_OF[kind], kind, "xml")
    elif is_secret(kind, content, content[:200], quoted=True):
        found.spans.append(Span(end, end + len(content), RULE_OF[kind], start))
    return stop


def find_named(text: bytes, begin: int, found: Found) -> None:
    """Find `name: DB_PASSWORD, value: …` in either order, in JSON, YAML, XML attributes and multipart forms."""
    for start, end in matches(_FIND_NAMED, text, begin):
        name = re.search(rb"[\w.\-]+(?=\\*[\"']?$)", text[start:end])
        kind = kind_of(name[0]) if name else None
        if kind is None:
            continue
        after, before = _VALUE_NEXT.match(text, end), _VALUE_BEFORE.search(text, max(0, start - 600), start)
        if after:
            _value(
                text,
                after.end(),
                kind,
                start,
                found,
                wrap=b'"' if text[end - 1 : end] == b'"' and b":" in after[0] else b"",
            )
        elif before and is_secret(kind, before["value"], before["value"], quoted=True):
            found.spans.append(Span(*before.span("value"), RULE_OF[kind], before.start()))
        elif len(text) - end < 64 and not text[end:].strip(b" \t\r,\"'>"):
            style = "form" if _FORM.search(text) else "named"
            found.state = states.Awaiting(RULE_OF[kind], kind, style, states.indent_of(text))
        elif (tag := _TAG_END.match(text, end)) and b"<" in text[max(0, start - 200) : start]:
            _element(text, start, tag.end(), kind, found)
