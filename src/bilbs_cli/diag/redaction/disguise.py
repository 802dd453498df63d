"""Stand-ins for identities (hosts, users, addresses, serials): keyed, the same in every bundle of this box."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping

import re2

from bilbs_cli.diag.redaction.addresses import Addresses
from bilbs_cli.diag.redaction.rule import compiled

KEPT_HOSTS = frozenset(
    {
        "localhost",
        "localdomain",
        "localhost.localdomain",
        "broadcasthost",
        "ip6-localhost",
        "ip6-loopback",
        "ip6-localnet",
        "ip6-mcastprefix",
        "ip6-allnodes",
        "ip6-allrouters",
        "none",
        "gateway",
        "host",
    }
)
KEPT_USERS = frozenset(
    {
        "root",
        "admin",
        "user",
        "nobody",
        "daemon",
        "test",
        "data",
        "backup",
        "ubuntu",
        "debian",
        "centos",
        "rocky",
        "ec2-user",
        "nvidia",
        "docker",
        "system",
        "service",
        "default",
        "guest",
        "operator",
        "support",
        "kernel",
        "gpu",
        "error",
        "info",
        "status",
        "name",
        "all",
        "none",
        "fabric",
        "memory",
        "server",
        "node",
    }
)
SHORTEST = 3  # letters of a name that is replaced wherever it stands
_V4 = rb"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
_MAC = rb"[0-9a-f]{2}(?:(?::[0-9a-f]{2}){5,19}|(?:-[0-9a-f]{2}){5,19})"
_V6 = (
    rb"(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,7}(?::[0-9a-f]{1,4}){1,7}|(?:[0-9a-f]{1,4}:){1,7}:"
    rb"|::ffff:\d{1,3}(?:\.\d{1,3}){3}"
)
_MAIL = rb"[\w.+-]+@(?:[\w-]+\.)+[a-z]{2,24}"
_SERIAL_NAME = (
    rb"(?:serial(?:[ _-]?(?:number|num|no|nr))?|service[ _-]?tag|asset[ _-]?tag|product_uuid|system[ _-]?uuid|s/n|lu wwn device id"
    rb"|wwn|eui64|nguid|wwid|node_guid|port_guid|sys_image_guid|machine[ _-]?id|hostid)"
)
_SERIAL = (
    _SERIAL_NAME + rb"(?:\\*[\"']?[ \t]*[:=][ \t]*\\*[\"']?|>)[\w][\w.+/-]{2,62}(?: [0-9a-f]{6}(?: [0-9a-f]{6,9})?)?"
)
_SYSLOG = rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [\w.-]+ "
_ISO_LOG = rb"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d) [\w.-]+ [\w./-]+(?:\[\d+\])?: "
_HOME = rb"/home/[\w.-]+"
_SERIAL_VALUE = re.compile(
    rb"[:=>][ \t]*\\*[\"']?(?P<value>[\w][\w.+/-]*(?: [0-9a-f]{6}(?: [0-9a-f]{6,9})?)?)$", re.IGNORECASE
)
_HOST_IN_HEADER = re.compile(rb"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\S+) (?P<value>[\w.-]+) ")
_NO_SERIAL = re.compile(
    rb"(?:n/?a|none|null|unknown|default(?: string)?|not .*|to be filled.*|system serial.*|chassis serial.*|0+|1234567890"
    rb"|xx.*|empty|unspecified|no asset.*|invalid|err|error|disabled|enabled|[\w ]{0,2})",
    re.IGNORECASE,
)
_VERSION_BEFORE = re.compile(
    rb"(?:version|ver|firmware|fw|driver|release|revision|rev|vbios|bios|nvml|cuda|gsp|build|library|package|ofed"
    rb"|inforom|oprom|cpld|agent|image)[ \w.-]{0,12}[\"'>(\\]*[ \t]*[:=]?[ \t]*[\"'>(\\]*v?$",
    re.IGNORECASE,
)
_UNITS = (
    b"service",
    b"socket",
    b"timer",
    b"slice",
    b"scope",
    b"target",
    b"mount",
    b"device",
    b"path",
    b"swap",
    b"automount",
)


Handler = Callable[[bytes, int, int], bytes | None]


def _of(form: bytes) -> re.Pattern[bytes]:
    return re.compile(form, re.IGNORECASE)


class Pseudonyms:
    """Replaces identities in redacted text; remembers what stands for what, until `new_pairs` takes it away.

    `hosts`, `users` and `serials` are this box's own: they are replaced wherever they stand. Others are found by their form:
    addresses, mail, home folders, the host in a log line's head, what stands behind `Serial Number:`.
    """

    def __init__(
        self, key: bytes, *, hosts: Iterable[str] = (), users: Iterable[str] = (), serials: Iterable[str] = ()
    ) -> None:
        if len(key) < 16:
            raise ValueError("the key of pseudonyms has 16 bytes at least")
        self._key = key
        self._addresses = Addresses(key)
        self._pairs: dict[str, str] = {}
        self._told: set[str] = set()
        names = _names(hosts, users, serials)
        self._known = {name.lower(): kind for kind, group in names.items() for name in group}
        self._forms: tuple[tuple[re.Pattern[bytes], Handler], ...] = (
            (_of(_V4), self._ipv4),
            (_of(_SYSLOG), self._header),
            (_of(_ISO_LOG), self._header),
            (_of(_MAIL), self._mail),
            (_of(_HOME), self._home),
            (_of(_SERIAL), self._serial_number),
            (_of(_MAC), self._mac),
            (_of(_V6), self._ipv6),
        )
        self._regex = compiled(_pattern(names), capture=False, max_mem=16 << 20)

    def replace(self, text: bytes) -> bytes:
        """Return `text` with every identity replaced by its stand-in."""
        out: list[bytes] = []
        done = 0
        for found in self._regex.finditer(text):
            start, end = found.span()
            fresh = self._replaced(text, start, end)
            if fresh is not None:
                out += [text[done:start], fresh]
                done = end
        if not out:
            return text
        out.append(text[done:])
        return b"".join(out)

    def new_pairs(self) -> dict[str, str]:
        """Return what was replaced for the first time since the last call, stand-in to original."""
        pairs, self._pairs = self._pairs, {}
        return pairs

    def host(self, name: str) -> str:
        """Return the stand-in of a host name: its first label and its domain apart, so that short and long names match."""
        label, _, domain = name.partition(".")
        short = self._name("host", label)
        return f"{short}.{self.domain(domain)}" if domain else short

    def domain(self, name: str) -> str:
        """Return the stand-in of a domain."""
        return self._remember(self._tag("domain", name) + ".invalid", name)

    def user(self, name: str) -> str:
        """Return the stand-in of a user name."""
        return self._name("user", name)

    def serial(self, number: str) -> str:
        """Return the stand-in of a serial number."""
        return self._name("serial", number)

    def _name(self, kind: str, name: str) -> str:
        return self._remember(self._tag(kind, name), name)

    def _tag(self, kind: str, name: str) -> str:
        return f"{kind}-{hmac.digest(self._key, f'{kind}:{name.lower()}'.encode(), hashlib.sha256).hex()[:10]}"

    def _remember(self, stand_in: str, original: str) -> str:
        if stand_in != original and stand_in not in self._told:
            self._told.add(stand_in)
            self._pairs[stand_in] = original
        return stand_in

    def _replaced(self, text: bytes, start: int, end: int) -> bytes | None:
        """Judge one match by its form and its neighbours; None when it stays."""
        hit = text[start:end]
        kind = self._known.get(hit.decode("latin-1").lower())
        if kind:
            return self._own(text, start, end, kind)
        for form, handle in self._forms:
            if form.fullmatch(hit):
                return handle(text, start, end)
        return self.host(hit.decode("latin-1")).encode()  # a name in this box's own domain

    def _own(self, text: bytes, start: int, end: int, kind: str) -> bytes | None:
        after = text[end : end + 1]
        if text[start - 1 : start] in {b"-", b"_"} or after == b"_" or (after == b"-" and kind != "serial"):
            return None
        maker: dict[str, Callable[[str], str]] = {"host": self.host, "user": self.user, "serial": self.serial}
        return maker[kind](text[start:end].decode("latin-1")).encode()

    def _home(self, text: bytes, start: int, end: int) -> bytes | None:
        user = text[start + 6 : end].decode("latin-1")
        return None if user in KEPT_USERS else b"/home/" + self.user(user).encode()

    def _mail(self, text: bytes, start: int, end: int) -> bytes | None:
        local, _, domain = text[start:end].decode("latin-1").rpartition("@")
        if domain.rpartition(".")[2].encode() in _UNITS or local == "git":
            return None
        return f"{self.user(local)}@{self.domain(domain)}".encode()

    def _serial_number(self, text: bytes, start: int, end: int) -> bytes | None:
        hit = text[start:end]
        found = _SERIAL_VALUE.search(hit)
        if not found or _NO_SERIAL.fullmatch(found["value"]) or not any(48 <= byte <= 57 for byte in found["value"]):
            return None
        return hit[: found.start("value")] + self.serial(found["value"].decode("latin-1")).encode()

    def _header(self, text: bytes, start: int, end: int) -> bytes | None:
        hit = text[start:end]
        found = _HOST_IN_HEADER.match(hit)
        host = found["value"].decode("latin-1") if found else "localhost"
        if not found or host.lower() in KEPT_HOSTS or host.replace(".", "").isdigit():
            return None
        return hit[: found.start("value")] + self.host(host).encode() + self.replace(hit[found.end("value") :])

    def _ipv4(self, text: bytes, start: int, end: int) -> bytes | None:
        name = text[start:end].decode("latin-1")
        if text[start - 1 : start] in {b".", b"_"} or (
            text[end : end + 1] == b"." and text[end + 1 : end + 2].isdigit()
        ):
            return None
        if any((len(part) > 1 and part[0] == "0") or int(part) > 255 for part in name.split(".")):
            return None
        if _VERSION_BEFORE.search(text, max(0, start - 40), start):
            return None
        return self._remember(self._addresses.v4(name), name).encode()

    def _ipv6(self, text: bytes, start: int, end: int) -> bytes | None:
        name = text[start:end].decode("latin-1")
        if (
            text[start - 1 : start] == b":"
            or text[end : end + 1] == b":"
            or not (len(name.partition(":")[0]) == 4 or name[0] == ":")
        ):
            return None  # the scopes that are mapped have four digits in their first group: no time, no C++ name
        return self._remember(self._addresses.v6(name), name).encode()

    def _mac(self, text: bytes, start: int, end: int) -> bytes | None:
        name = text[start:end].decode("latin-1")
        beside = text[start - 1 : start] + text[end : end + 1]
        if (len(name) + 1) // 3 not in {6, 20} or b":" in beside or b"-" in beside:
            return None
        return self._remember(self._addresses.mac(name), name).encode()


def _names(hosts: Iterable[str], users: Iterable[str], serials: Iterable[str]) -> dict[str, list[str]]:
    """Return the names that are replaced wherever they stand: long enough, and no words of every log."""
    own = {name.lower() for host in hosts for name in (host, host.partition(".")[0]) if name}
    return {
        "host": sorted(
            (n for n in own if n not in KEPT_HOSTS | KEPT_USERS and len(n) >= SHORTEST and not n.isdigit()),
            key=len,
            reverse=True,
        ),
        "user": sorted(
            (n for n in set(users) if n.lower() not in KEPT_USERS | own and len(n) >= SHORTEST), key=len, reverse=True
        ),
        "serial": sorted(
            (n for n in set(serials) if len(n) >= 6 and not _NO_SERIAL.fullmatch(n.encode())), key=len, reverse=True
        ),
    }


def _pattern(names: Mapping[str, list[str]]) -> bytes:
    parts = [rb"(?m:^" + _SYSLOG + rb")", rb"(?m:^" + _ISO_LOG + rb")", _MAIL + rb"\b"]
    domains = sorted({host.partition(".")[2] for host in names["host"] if "." in host}, key=len, reverse=True)
    parts += [rb"\b(?:[\w-]+\.)+" + re2.escape(domain.encode()) + rb"\b" for domain in domains if "." in domain]
    parts += [rb"\b" + re2.escape(name.encode()) + rb"\b" for group in names.values() for name in group]
    parts += [_HOME, rb"\b" + _SERIAL, *(rb"\b(?:" + form + rb")\b" for form in (_MAC, _V4)), _V6]
    return b"(?:" + b"|".join(parts) + b")"


_STAND_IN = re.compile(
    r"(?:host|user|serial)-[0-9a-f]{10}|domain-[0-9a-f]{10}\.invalid|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,}(?:\d{1,3}\.[\d.]+)?"
    r"|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|\b\d{1,3}(?:\.\d{1,3}){3}\b",
    re.IGNORECASE,
)


def reveal(text: str, pairs: Mapping[str, str]) -> str:
    """Return `text` with the stand-ins of `pairs` replaced by what they stand for."""

    def original(found: re.Match[str]) -> str:
        return pairs.get(found[0]) or pairs.get(found[0].lower()) or found[0]

    return _STAND_IN.sub(original, text)
