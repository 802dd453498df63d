"""Who is logged in on this box: the device grant (RFC 8628), the token file, refresh with rotation."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bilbs_cli import credentials, files, log, paths
from bilbs_cli.config import Config
from bilbs_cli.errors import ConfigProblem, LoginNeeded, Unavailable
from bilbs_cli.escape import visible
from bilbs_cli.support import api, transport

CLIENT = "bilbs-cli"
SCOPES = "tickets:read tickets:write attachments:write plan:read plan:write"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SANDBOX_BASE = "http://localhost/v1"
CREDENTIAL, VARIABLE = "bilbs.token", "BILBS_TOKEN"
SLOW_DOWN_S = 5  # RFC 8628 section 3.5
EARLY_S = 60  # a token that ends within a minute is renewed now
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,4096}")


@dataclass(frozen=True, slots=True)
class Login:
    """A login that is kept. `origin` is the API that the token belongs to; `expires_at` 0 where nothing says when it ends."""

    access_token: str
    refresh_token: str
    expires_at: float
    origin: str


@dataclass(frozen=True, slots=True)
class Code:
    """What a person types on another device, and how long it is good for."""

    user_code: str
    url: str
    complete_url: str
    device_code: str
    expires_in_s: float
    interval_s: float


def place() -> Path:
    """Return the file of the login."""
    return paths.state_dir() / "login.json"


def base(config: Config) -> str:
    """Return the address of the API; with `--sandbox` the desk inside this process."""
    return SANDBOX_BASE if os.environ.get(transport.SANDBOX) else str(config.value("api.url") or api.BASE)


def options(config: Config) -> transport.Options:
    """Return how the desk is reached. Raises `ConfigProblem`."""
    return transport.Options(
        config.value("api.ca_bundle"),
        config.value("api.proxy"),
        config.value("api.client_cert_file"),
        config.value("api.client_key_file"),
        float(config.value("api.timeout_s")),
        float(config.value("api.budget_s") or transport.Options().budget_s),
    )


def token(config: Config, within_s: float | None = None) -> str | None:
    """Return the access token: `BILBS_TOKEN`, the systemd credential `bilbs.token`, the login of this user; None without.

    A login that is about to end is renewed within a time, one process at a time; where the desk does not answer, the
    old token is returned. Raises `PermissionNeeded` for a file that others can
    read, `LoginNeeded` for a token that is none, and where the desk takes the login no longer.
    """
    if os.environ.get(transport.SANDBOX):
        return transport.sandbox_token()
    found = credentials.find(CREDENTIAL, file=None, variable=VARIABLE)
    if found is None:
        kept = read()
        if kept is None or kept.origin != base(config):
            return None
        found = _fresh(kept, config, within_s).access_token
    if not _TOKEN.fullmatch(found):
        raise LoginNeeded(
            "the token is not one: it has blanks or characters that no token has", next=f"set {VARIABLE} anew"
        )
    log.hide(found)
    return found


def read() -> Login | None:
    """Return the login that is kept, None without one. Raises `PermissionNeeded` when others can read it."""
    if not place().exists():
        return None
    text = credentials.find(CREDENTIAL, file=place(), variable=VARIABLE) or ""
    try:
        found = json.loads(text)
        return Login(
            str(found["access_token"]), str(found["refresh_token"]), float(found["expires_at"]), str(found["origin"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigProblem(f"{place()} is damaged", code="login-damaged", next="bilbs login") from error


def keep(login: Login) -> None:
    """Write a login: 0600, in a folder of 0700, whole or not at all."""
    files.private_dir(place().parent)
    files.write_private(place(), json.dumps(asdict(login)).encode())


def forget(config: Config) -> bool:
    """Revoke the login and delete it; False where there was none. A desk that cannot be reached does not keep it here."""
    kept = read()
    if kept is None:
        return False
    os.unlink(place())  # noqa: PTH108 - first: what cannot be revoked is gone from this box at least
    for secret in filter(None, (kept.refresh_token, kept.access_token)):
        _ask(config, "/oauth/revoke", {"token": secret})
    return True


def begin(config: Config) -> Code:
    """Ask for a code (RFC 8628 section 3.1). Raises `Unavailable`."""
    status, said = _ask(config, "/oauth/device_authorization", {"client_id": CLIENT, "scope": SCOPES})
    missing = [name for name in ("user_code", "verification_uri", "device_code") if not isinstance(said.get(name), str)]
    if status != 200 or missing:
        raise Unavailable(f"the desk gave no code: {_words(said)}", next="the same command later, or --token-stdin")
    return Code(
        said["user_code"],
        said["verification_uri"],
        str(said.get("verification_uri_complete") or said["verification_uri"]),
        said["device_code"],
        _seconds(said.get("expires_in"), 900),
        _seconds(said.get("interval"), 5),
    )


def _seconds(found: object, default: float) -> float:
    """Return a number of seconds from 1 to an hour, or the default."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return default
    return min(max(float(found), 1.0), 3600.0)


def wait(config: Config, code: Code, sleep: Callable[[float], None] = time.sleep) -> Login:
    """Poll until a person has said yes (RFC 8628 section 3.4). Raises `LoginNeeded` when they said no, or too late."""
    interval, until = code.interval_s, time.monotonic() + code.expires_in_s
    form = {"grant_type": GRANT, "device_code": code.device_code, "client_id": CLIENT}
    while time.monotonic() + interval < until:
        sleep(interval)
        try:
            status, said = _ask(config, "/oauth/token", form)
        except Unavailable:
            interval += SLOW_DOWN_S  # section 3.5: a lost connection slows down as well
            continue
        if status == 200:
            return _login(config, said)
        match said.get("error"):
            case "authorization_pending":
                continue
            case "slow_down":
                interval += SLOW_DOWN_S
            case "access_denied":
                raise LoginNeeded("the login was refused on the other device", code="login-denied", next="bilbs login")
            case _:
                raise LoginNeeded(f"the login failed: {_words(said)}", code="login-failed", next="bilbs login")
    raise LoginNeeded("the code has expired, and nobody has confirmed it", code="login-expired", next="bilbs login")


def given(config: Config, text: str) -> Login:
    """Return a login of a token that was handed over. Raises `LoginNeeded` for one that is none."""
    found = text.strip()
    if not _TOKEN.fullmatch(found):
        raise LoginNeeded(
            "that is no token: one line without blanks, 8 characters or more",
            code="bad-token",
            safe="nothing was stored",
        )
    return Login(found, "", 0, base(config))


def _fresh(kept: Login, config: Config, within_s: float | None) -> Login:
    if not kept.refresh_token or not kept.expires_at or time.time() < kept.expires_at - EARLY_S:
        return kept
    with files.locked(place().with_name("login.lock")) as mine:
        if not mine:  # another process is renewing it: its file is the newer one in a moment
            time.sleep(1)
        now = read() or kept
        if time.time() < now.expires_at - EARLY_S or not mine:
            return now
        form = {"grant_type": "refresh_token", "refresh_token": now.refresh_token, "client_id": CLIENT}
        try:
            status, said = _ask(config, "/oauth/token", form, within_s)
        except Unavailable:
            return now  # perhaps the old one still does
        if status != 200:
            raise LoginNeeded(f"the login has ended: {_words(said)}", next="bilbs login")
        renewed = _login(config, said)
        keep(renewed)
        return renewed


def _login(config: Config, said: Mapping[str, Any]) -> Login:
    access, refresh, ends = said.get("access_token"), said.get("refresh_token") or "", said.get("expires_in")
    if not isinstance(access, str) or not _TOKEN.fullmatch(access) or not isinstance(refresh, str):
        raise Unavailable("the desk's answer holds no token", next="bilbs login")
    seconds = float(ends) if isinstance(ends, int | float) and not isinstance(ends, bool) else 0.0
    for secret in filter(None, (access, refresh)):
        log.hide(secret)
    return Login(access, refresh, time.time() + seconds if seconds > 0 else 0, base(config))


def _ask(
    config: Config, path: str, form: Mapping[str, str], within_s: float | None = None
) -> tuple[int, dict[str, Any]]:
    return api.exchange(base(config), path, form, options(config), within_s)


def _words(said: Mapping[str, Any]) -> str:
    text = (
        said.get("error_description")
        or said.get("detail")
        or said.get("error")
        or said.get("title")
        or "no reason given"
    )
    return visible(str(text)[:300])
