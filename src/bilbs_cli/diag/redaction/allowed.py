"""The typed allow-list: values that stand where a secret could and are none (states, counters, paths, references)."""

from __future__ import annotations

import re

LONGEST = 200  # bytes of a state or a placeholder

_STATES = frozenset(
    b"yes no true false on off y n t f enabled disabled enable disable none null nil undefined unset unknown required "
    b"optional sufficient requisite include never always empty missing invalid expired hidden redacted masked removed "
    b"sensitive omitted n/a na not ask prompt stdin ok failed success absent present supported unsupported locked "
    b"unlocked set valid active inactive pending changed string str int bool bytes bytearray object type text integer "
    b"any self this function lambda new default_factory protected encrypted filtered secret_redacted (null) (none) nan "
    b"implemented denied incorrect wrong mismatch rejected accepted revoked passed skipped must {} [] () \"\" '' - -- | > "
    b"unlimited configured".split()
)
_PROSE = frozenset(
    b"permission authentication connection unexpected invalid not no failed failure error access the is was are expired "
    b"incorrect wrong missing required cannot could can't unable timeout timed operation bad unknown denied input must may "
    b"never none auth token password secret key failed, internal user cannot: context rpc dial read write open parse "
    b"parsing parser unmarshal decode decoding illegal malformed rejected revoked does did has have no-such too will "
    b"should file request server client http https unauthorized forbidden unsupported undefined null".split()
)
_PLACEHOLDER = re.compile(
    rb"(?:[*xX#\xe2\x80\xa2_.?-]{2,}|\*|<[a-zA-Z_][a-zA-Z_ .:-]*>|\$\{[^}]*\}?|\$\([^)]*\)?|(?-i:\$[A-Z_][A-Z0-9_]*)|%[sdvqxr]|%\([\w.]+\)s"
    rb"|\{\{.*\}\}|\{[a-z_]*\}|\[REDACTED:[a-z0-9-]+\].*|REDACTED|\[(?:redacted|filtered|hidden|masked|removed)\]"
    rb"|arn:[\w:/.-]+|op://\S+|file:/\S+|0x0+|(?:(?:files|compat|systemd|sss|ldap|nis|winbind|db|mymachines|\[[\w=!]+\])[ \t]*)+|\\+|(?:SHA256|MD5):[\w+/:=]+|(?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-\S+) .*)",
    re.IGNORECASE | re.DOTALL,
)
_PATH = re.compile(
    rb"(?:/(?:etc|run|var|usr|home|root|opt|mnt|proc|sys|tmp|dev|srv|boot|lib|data)(?:/[\w.+@:%-]+)+/?|~?/?[\w./-]+\.(?:pem|key|crt|cer|p12|pfx|jks|pub|json|txt|yaml|yml|conf|so|py))"
)
_NUMBER = re.compile(rb"[-+]?(?:\d{1,7}|\d+\.\d+|0x[0-9a-f]{1,8})(?:[smhd%]|ms|us|ns|/s)?", re.IGNORECASE)
_WORD = re.compile(rb"[A-Za-z][a-z]*(?:[-'][a-z]+)?[.,;:!]?")
_PARTS = re.compile(rb"[A-Za-z0-9+/=]{12,}")
_TRIM = b" \t\r.,;:)]}>\"'`"


def is_state(value: bytes) -> bool:
    """Say whether `value` is a state word, a placeholder or a reference: harmless under every key."""
    if len(value) > LONGEST:
        return False
    trimmed = value.strip(_TRIM).lower()
    return not trimmed or trimmed in _STATES or bool(_PLACEHOLDER.fullmatch(value.strip()))


def is_path(value: bytes) -> bool:
    """Say whether `value` names a file: where a key is kept, not the key."""
    return len(value) < 300 and bool(_PATH.fullmatch(value.strip(_TRIM)))


def is_counter(value: bytes) -> bool:
    """Say whether `value` is a small number, a duration, a rate or a short hexadecimal code."""
    return bool(_NUMBER.fullmatch(value.strip(_TRIM)))


def is_prose(value: bytes) -> bool:
    """Say whether `value` starts the explanation of an error (`permission denied`), not a secret."""
    words = value[:200].split()
    return bool(words) and words[0].strip(_TRIM).lower() in _PROSE and all(_WORD.fullmatch(word) for word in words[:4])


def is_plain_word(value: bytes) -> bool:
    """Say whether `value` is one dictionary-like word: letters only, short, at most the first one large."""
    return len(value) < 20 and bool(_WORD.fullmatch(value))


def looks_random(value: bytes) -> bool:
    """Say whether `value` has letters and digits mixed as machine-made tokens have, and is long enough for one."""
    return any(_is_mixed(part) for part in _PARTS.findall(value[:256]))


def _is_mixed(part: bytes) -> bool:
    digits = sum(48 <= byte <= 57 for byte in part)
    return digits >= 2 and part.upper() != part.lower() and len(set(part)) >= 8
