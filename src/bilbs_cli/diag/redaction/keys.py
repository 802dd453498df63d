"""Which names announce a secret: the words of passwords, tokens and keys, and the words beside them that say otherwise."""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache

from bilbs_cli.diag.redaction.allowed import is_counter, is_path, is_plain_word, is_prose, is_state, looks_random

LONGEST = 120  # bytes of a name that are judged: its end


class Kind(IntEnum):
    """How sure a name is: a password is masked whatever it is; a token must not look like a counter or a plain word."""

    RANDOM = 1  # `cache_key`: only a value that looks made by a machine
    TOKEN = 2
    PASS = 3  # `pass`, `pwd`: passwords, and also counters of tests and the working directory
    PASSWORD = 4


# The names as they occur inside a longer one (`DB_PASSWORD_OLD`); the whole name is judged by `kind_of`.
CORES = (
    rb"(?:passw(?:or)?d|passwort|contrase(?:n|\xc3\xb1|\xf1)a|kennwort|mot[_-]?de[_-]?passe|pass[_-]?(?:phrase|code)|pass|pwd"
    rb"|pw|secret|token|credentials?|creds?|psk|bearer|passkey|wep[ _-]?key\d?|pin[_-]?code|user[_-]pin|so[_-]pin"
    rb"|(?:api|access|private|encryption|signing|master|account|shared|subscription|service|routing|integration|admin"
    rb"|storage|license|recovery|unseal|session|security|app|auth|ssh|sas|deploy|webhook|function|client|openai|primary|secondary)"
    rb"[ _-]?key|[a-z0-9][_-]key|pre[_-]?shared[ _-]?key|(?:ro|rw|read|write|trap|snmp)[ _-]?community"
    rb"|community[ _-]?(?:string|name)|authtok|requirepass|masterauth|j?sessionid|phpsessid|session[_-]id|connect\.sid"
    rb"|csrf|xsrf|otp)"
)

_PASSWORD = re.compile(
    rb".*(?:password|passwd)s?\d*.*|.*(?:passwort|kennwort|passphrase|passcode|contrase(?:n|\xc3\xb1|\xf1)a|secret|psk|authtok|requirepass"
    rb"|masterauth|presharedkey|pincode)s?\d*"
    rb"|(?:db|user|root|admin|bind|smtp|ftp|mail|http|proxy|ssh|bmc|ipmi|pg|my|sql|ldap|os|sys|web|key|store|trust|ssl|tls"
    rb"|redis|rabbit|svc|app|api|mqtt|vnc|rpc|login|auth|old|new|usb|storage|slurm)?(?:pass|pwd|pw)\d*"
)
_TOKEN = re.compile(
    rb".*(?:token|credential|apikey|accesskey|sessionid|phpsessid)s?\d*|(?:creds?|csrf|xsrf|otp|bearer|passkey)\d*"
    rb"|(?:private|encryption|signing|master|account|shared|license|session|security|app|auth|ssh|wep)keys?\d*"
)
_OWNERS = frozenset(
    b"api access private encryption signing master account shared subscription service routing integration admin storage "
    b"license recovery unseal session security secret app auth ssh sas deploy webhook function client openai preshared wep pass aes "
    b"hmac jwt rsa fernet cipher crypto enc wg wireguard ipmi bmc kg".split()
)
_BEFORE = frozenset(
    b"has is use uses require requires allow allows forgot forgotten max min num total public next page "
    b"unexpected".split()
)
AFTER = frozenset(
    b"file files filename path paths age expires expire expiry expired expiration exp policy length len min max minimum "
    b"maximum count counts counter counters type types id ids name names namespace url uri endpoint provider providers "
    b"required enabled disabled status state auth authentication reset change changed updated set last ttl timeout size "
    b"limit limits hint prompt prompts mode format manager helper cache dir directory folder regex pattern attempts attempt "
    b"retries strength quality history lock callback command cmd ref refs reference version algorithm alg usage rate per "
    b"second seconds sec revision ask agent stdin complexity days warn inactive feedback check checks checker aging valid "
    b"validity store interval period lifetime duration issuer audience scope scopes kind source class bucket header field "
    b"column index idx position visible label title description permitted supported support feature mount mounts volume "
    b"volumes selector review reviews request requests response responses informer link encryption number "
    b"fingerprint fpr".split()
)
DESPITE = (
    (b"access", b"key", b"id"),
    (b"secret", b"id"),
    (b"session", b"id"),
    (b"community", b"name"),
    (b"community", b"names"),
)
_RANDOM_NAME = re.compile(rb"(?=(?:[A-Za-z]*\d+[A-Za-z]+){2})[A-Za-z0-9]{14,}")  # the end of some base64, not a name
_SOURCE = re.compile(rb"\.(?:go|py|cc?|cpp|h|rs|js|ts|java|rb|sh|pl|php|service|socket|path|target|mount)$")
_WORDS = re.compile(rb"[A-Z]?[a-z\x80-\xff]+|[A-Z]+(?![a-z])|\d+")


def kind_of(name: bytes) -> Kind | None:
    """Say how surely the value of `name` is a secret; None when the name says that it is none (`password_file`)."""
    return _kind_of(name[-LONGEST:])


@lru_cache(maxsize=4096)
def _kind_of(name: bytes) -> Kind | None:
    words = [word.lower() for word in _WORDS.findall(name)]
    kinds = [_kind_of_word(words, i) for i in range(len(words))]
    best = max(kinds, default=0)
    if not best or _SOURCE.search(name) or _RANDOM_NAME.fullmatch(name):
        return None
    if len(words) == 1 and words[0] in {b"pass", b"pwd", b"pw"}:
        return Kind.PASS
    core = max(i for i, kind in enumerate(kinds) if kind == best)
    if _BEFORE.intersection(words[:core]):
        return None
    if AFTER.intersection(words[core + 1 :]) and not any(tuple(words[-len(tail) :]) == tail for tail in DESPITE):
        return None
    return Kind(best)


def _kind_of_word(words: list[bytes], i: int) -> int:
    word = words[i]
    before = words[i - 1] if i else b""
    if (
        _PASSWORD.fullmatch(word)
        or word == b"community"
        or (word in {b"phrase", b"code"} and before in {b"pass", b"pin"})
    ):
        return Kind.PASSWORD
    if (word == b"passe" and before == b"de") or (word == b"pin" and before in {b"user", b"so"}):
        return Kind.PASSWORD
    if word in {b"key", b"keys"} and i:
        return (
            Kind.PASSWORD
            if before in {b"preshared", b"shared"} and words[:i].count(b"pre")
            else (Kind.TOKEN if before in _OWNERS else Kind.RANDOM)
        )
    if _TOKEN.fullmatch(word):
        return Kind.TOKEN
    return Kind.RANDOM if word == b"sid" or (word == b"session" and words[-1] == b"id") else 0


def is_secret(kind: Kind, value: bytes, rest: bytes, *, quoted: bool) -> bool:
    """Say whether `value` of a name of this `kind` is a secret.

    `rest` is the line from the value on (an explanation goes on after its first word); `quoted` values are not prose.
    """
    if is_state(value) or (is_path(value) and not (kind >= Kind.PASS and (quoted or b"/" not in value))):
        return False
    if kind is Kind.PASS and (is_counter(value) or value.startswith((b"/", b"~"))):
        return False
    if kind >= Kind.PASS:
        return quoted or not is_prose(rest)
    if is_counter(value):
        return False
    if kind is Kind.RANDOM:
        return looks_random(value) and len(value) >= 16
    return quoted or not (is_prose(rest) or is_plain_word(value))
