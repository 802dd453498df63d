"""Every setting: its name, type, default, variable and what it is for, in one tuple; and how each type is read."""

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli.quantities import parse_duration, parse_size


class Kind(NamedTuple):
    """A type of setting. `parse` takes what TOML or a person wrote and raises `ValueError` saying what is expected."""

    name: str
    parse: Callable[[Any], Any]
    show: Callable[[Any], str] = str
    as_toml: Callable[[str], Any] = str  # how `config set` stores what a person typed


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip() or not raw.isprintable():
        raise ValueError("expected a line of text")
    return raw.strip()


def _path(raw: Any) -> str:
    path = os.path.expanduser(_text(raw))  # noqa: PTH111 - a text that may stay unexpanded
    if not path.startswith("/"):
        raise ValueError(f"{raw} is relative; expected a path that starts with / or ~/")
    return path


def _host(raw: Any) -> str:
    host = _text(raw)
    if host.startswith("-") or not re.fullmatch(r"[A-Za-z0-9._:%\[\]-]{1,255}", host):
        raise ValueError("expected a host name or an IP address")
    return host


def _url(raw: Any) -> str:
    url = _text(raw)
    if re.match(r"[^/]*//[^/@]*:[^/@]*@", url):
        raise ValueError("it holds a password, and settings never do (a proxy's goes into HTTPS_PROXY)")
    if not re.fullmatch(r"https?://[^\s/@]+(@[^\s/@]+)?(/\S*)?", url):
        raise ValueError("expected an address that starts with https:// or http://")
    return url


def _zone(raw: Any) -> str:
    from zoneinfo import ZoneInfo

    name = _text(raw)
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        raise ValueError(f"{name} is no time zone of this machine; expected a name such as Europe/Paris") from error
    return name


def _country(raw: Any) -> str:
    name = _text(raw)
    if name.lower() != "none" and not re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", name):
        raise ValueError("expected a country such as US, FR or US-NY, or none")
    return name


def _dates(raw: Any) -> tuple[str, ...]:
    from datetime import date

    raw = [str(item) if type(item) is date else item for item in raw] if isinstance(raw, list) else raw
    found = _texts(raw)
    for text in found:
        try:
            date.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text} is no date; expected dates such as 2026-12-24") from None
    return found


def _flag(raw: Any) -> bool:
    known = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    answer = raw if isinstance(raw, bool) else known.get(str(raw).strip().lower())
    if answer is None:
        raise ValueError("expected true or false")
    return answer


def _texts(raw: Any) -> tuple[str, ...]:
    parts = [part for part in raw.split(",") if part.strip()] if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple):
        raise ValueError("expected a list of texts (in a variable: a,b,c)")  # noqa: TRY004 - one error for bad settings
    return tuple(map(_text, parts))


def _size(raw: Any) -> int:
    return parse_size(str(raw)) if not isinstance(raw, bool) else parse_size("true")


def _duration(raw: Any) -> float:
    seconds = parse_duration(str(raw))
    if seconds <= 0:
        raise ValueError("expected more than 0 seconds")
    return seconds


def _rules(raw: Any) -> tuple[tuple[str, str], ...]:
    expected = ValueError("expected tables [[redaction.rules]] with the texts id and pattern, in the file")
    if not isinstance(raw, list | tuple):
        raise expected
    for rule in raw:
        texts = isinstance(rule, dict) and all(isinstance(text, str) and text for text in rule.values())
        if not texts or set(rule) != {"id", "pattern"}:
            raise expected
    return tuple((rule["id"], rule["pattern"]) for rule in raw)


def _plain(text: str) -> Any:
    """Return a number as a number, so that the file reads naturally; anything else (`2G`, `24h`) as text."""
    return int(text) if text.isascii() and text.isdigit() else text


def whole(low: int, high: int) -> Kind:
    """Return the type of a whole number within bounds."""

    def parse(raw: Any) -> int:
        text = str(raw).strip()
        if not re.fullmatch(r"[+-]?\d{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return int(text)

    return Kind(f"{low} to {high}", parse, as_toml=parse)


def choice(*names: str) -> Kind:
    """Return the type of one word out of a few."""

    def parse(raw: Any) -> str:
        if raw not in names:
            raise ValueError(f"expected one of {', '.join(names)}")
        return str(raw)

    return Kind("|".join(names), parse)


def _join(values: Any) -> str:
    return ", ".join(values)


TEXT = Kind("text", _text)
PATH = Kind("path", _path)
HOST = Kind("host", _host)
URL = Kind("URL", _url)
ZONE = Kind("time zone", _zone)
COUNTRY = Kind("country", _country)
FLAG = Kind("true or false", _flag, lambda value: "true" if value else "false", _flag)
LIST = Kind("list", _texts, _join, lambda text: list(_texts(text)))
DATES = Kind("dates", _dates, _join, lambda text: list(_dates(text)))
SIZE = Kind("size", _size, as_toml=_plain)
DURATION = Kind("duration", _duration, lambda value: f"{value:g} s", _plain)
RULES = Kind("tables id, pattern", _rules, lambda rules: _join(name for name, _ in rules))  # a pattern may be a secret


class Setting(NamedTuple):
    """One setting. `default` None means that there is none."""

    name: str
    kind: Kind
    default: Any
    doc: str

    @property
    def path(self) -> tuple[str, str]:
        """Return table and key."""
        table, _, key = self.name.partition(".")
        return table, key

    def show(self, value: Any) -> str:
        """Return the value for people; nothing for None."""
        return "" if value is None else self.kind.show(value)

    @property
    def env(self) -> str:
        """Return the environment variable that sets it; empty for what only a file can say."""
        return "" if self.kind is RULES else f"BILBS_{self.name.replace('.', '_').upper()}"


SETTINGS = (
    Setting("diag.output_dir", PATH, None, "folder of new bundles; without it the current folder"),
    Setting("diag.profile", choice("triage", "standard", "full"), "standard", "how much a run collects"),
    Setting("diag.deadline_s", DURATION, None, "time for the whole run; without it the profile's own"),
    Setting("diag.services", LIST, (), "systemd units whose state and log are collected"),
    Setting("diag.max_file_size", SIZE, 64 << 20, "of a larger file only the end is kept"),
    Setting("diag.nice", whole(0, 19), 10, "nice value of the collection"),
    Setting("diag.encrypt_to", LIST, (), "age recipients (age1...) of every bundle"),
    Setting("bmc.host", HOST, None, "BMC to reach over the network; without it /dev/ipmi0"),
    Setting("bmc.user", TEXT, None, "user on that BMC"),
    Setting("bmc.port", whole(1, 65535), 623, "its UDP port"),
    Setting("bmc.cipher_suite", whole(0, 17), 3, "its RMCP+ cipher suite"),
    Setting("bmc.password_file", PATH, None, "file that holds the BMC password, readable by its owner only"),
    Setting("redaction.rules", RULES, (), "more patterns to redact"),
    Setting("redaction.pseudonymize", FLAG, False, "replace host, user, address and serial names in bundles"),
    Setting("account.id", TEXT, None, "account at support"),
    Setting("api.url", URL, None, "address of the support API"),
    Setting("api.ca_bundle", PATH, None, "PEM file of certificate authorities to trust beside the system's"),
    Setting("api.proxy", URL, None, "HTTP proxy to the support API"),
    Setting("api.client_cert_file", PATH, None, "PEM file of this box's own certificate for the support API"),
    Setting("api.client_key_file", PATH, None, "its key, where it is a file of its own; readable by its owner only"),
    Setting("api.timeout_s", DURATION, 10, "how long one answer of the support API is waited for"),
    Setting("api.budget_s", DURATION, None, "how long a command tries in all; without it 8 s to read, 20 s to write"),
    Setting("support.provider", TEXT, "bilbs", "support plan whose targets are computed"),
    Setting("support.tier", TEXT, None, "its tier, for example pro"),
    Setting("support.timezone", ZONE, None, "time zone of business hours; without it the card's, then this machine's"),
    Setting("support.country", COUNTRY, None, "whose public holidays: US, US-NY, none; without it the zone's country"),
    Setting("support.holidays", DATES, (), "further dates without business hours"),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}

# Variables that are no settings; `bilbs help environment` prints them.
ENVIRONMENT = (
    ("BILBS_CONFIG", "the only settings file to read; /dev/null for none"),
    ("BILBS_STATE_DIR", "folder of all state"),
    ("BILBS_LOG", "debug, info, warning or error: how much is said on stderr"),
    ("BILBS_PAGER", "the pager number, over every card file"),
    ("BILBS_SANDBOX", "folder of a support desk inside this process, as --sandbox sets it"),
    ("BILBS_TOKEN", "access token for the support desk"),
    ("BILBS_BMC_PASSWORD", "BMC password, for a script that has it in its environment"),
    ("CREDENTIALS_DIRECTORY", "folder of systemd credentials"),
    ("HOME, XDG_CONFIG_HOME, XDG_STATE_HOME", "where settings and state of a user are"),
    ("TZ", "the time zone where neither a setting nor the card says one"),
    ("NO_COLOR, TERM, COLUMNS", "how text is shown"),
)
