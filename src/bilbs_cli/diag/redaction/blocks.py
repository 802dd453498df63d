"""Keys that fill many lines: where they begin, on one line or on several, and Kubernetes and cloud-init blocks."""

from __future__ import annotations

import re

from bilbs_cli.diag.redaction import states
from bilbs_cli.diag.redaction.assigned import Found
from bilbs_cli.diag.redaction.rule import Span, compiled

KEY_BEGIN = (
    rb"-{4,5}[ ]?BEGIN (?:(?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?|PGP MESSAGE|OpenVPN Static key V1)[ ]?-{4,5}"
    rb"|-{5}BEGIN (?:[A-Z0-9]+%20|[A-Z0-9]+\+)*PRIVATE(?:%20|\+)KEY-{5}"
)
_PUTTY = rb"Private-Lines:[ \t]*\d+"
_VAULT = rb"\$ANSIBLE_VAULT;[\d.]+;AES"
_DATA = rb"^[ \t]*(?:-[ \t]+)?[\"']?(?:string)?data[\"']?:[ \t]*\{?[ \t]*\r?$"
_CHPASSWD = rb"^[ \t]*chpasswd:[ \t]*\r?$|\bchpasswd[ \t]+(?:-\w+[ \t]+)*<<-?[ \t]*[\"']?\w+"
_INLINE = rb"\\*\"kind\\*\"[ \t]*:[ \t]*\\*\"Secret\\*\""
BLOCK_TRIGGERS = (KEY_BEGIN, _PUTTY, _VAULT, rb"(?m:" + _DATA + rb")", rb"(?m:" + _CHPASSWD + rb")", _INLINE)

_FIND_KEY = compiled(KEY_BEGIN, capture=False)
_FIND_REST = compiled(rb"(?m:" + rb"|".join((_PUTTY, _VAULT, _DATA, _CHPASSWD, _INLINE)) + rb")", capture=False)
_KEY_END = compiled(rb"-{4,5}[ ]?END (?:[A-Z0-9]+[ +%])*[A-Z0-9]+(?: V1)?[ ]?-{4,5}", capture=False)
_OPEN_BODY = re.compile(
    rb"(?>[A-Za-z0-9+/=_ \t\r-]|\\+[nrt]|%0[ADad]|(?:Proc-Type|DEK-Info|Version|Comment)[^\\\"']*)*+"
)
_SECRET_ENTRY = re.compile(rb"\"[\w./-]+\\*\"[ \t]*:[ \t]*\\*\"([^\"\\]+)\\*\"")
_DATA_INLINE = re.compile(rb"\"(?:stringData|data)\\*\"[ \t]*:[ \t]*\{([^{}]*)\}")
PRIVATE_KEY = "private-key"


def find_blocks(text: bytes, begin: int, found: Found) -> None:
    """Find the beginnings of keys, and of blocks whose every value is a secret."""
    if b"BEGIN" in text:
        _keys(text, begin, found)
    rest = _FIND_REST.search(text, begin)
    if rest is not None:
        _other(text, rest.start(), rest.end(), found)


def _keys(text: bytes, begin: int, found: Found) -> None:
    pos = begin
    while (hit := _FIND_KEY.search(text, pos)) is not None:
        start, end = hit.span()
        rule = "pgp-block" if b"PGP" in text[start:end] else PRIVATE_KEY
        closing = _KEY_END.search(text, end)
        if closing is not None:
            found.spans.append(Span(end, closing.start(), rule, start))
            pos = closing.end()
            continue
        body = _OPEN_BODY.match(text, end)
        tail = len(text[: body.end()].rstrip(b" \t\r")) if body else end
        if text[end:tail].strip(b" \t\"'\\,+;nr"):
            found.spans.append(Span(end, tail, rule, start))
        found.state = states.Block(rule, tagged=bool(text[:start].strip()))
        return


def _other(text: bytes, start: int, end: int, found: Found) -> None:
    hit = text[start:end]
    lowered = hit.lower()
    if hit.startswith(b"Private-Lines"):
        found.state = states.Block(PRIVATE_KEY, lines=min(int(hit.split(b":")[1]), 1000))
    elif hit.startswith(b"$ANSIBLE"):
        found.state = states.Block("ansible-vault")
    elif b"chpasswd" in lowered:
        found.state = states.Logins("login-list", states.indent_of(text))
    elif b"kind" in lowered:
        _inline_manifest(text, found)
    else:
        found.state = states.SecretData("kubernetes-secret", states.indent_of(text), every=b"stringdata" in lowered)


def _inline_manifest(text: bytes, found: Found) -> None:
    """Mask every value of `data` in a Secret that stands on one line (kubectl's last-applied annotation)."""
    for data in _DATA_INLINE.finditer(text):
        for entry in _SECRET_ENTRY.finditer(text, *data.span(1)):
            found.spans.append(Span(*entry.span(1), "kubernetes-secret", entry.start()))
