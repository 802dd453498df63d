"""OAuth at the desk: device grant (RFC 8628), refresh with rotation, machine credentials, revocation (RFC 7009)."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from bilbs_cli.sandbox import plan
from bilbs_cli.sandbox.calls import Call, Refused, Reply, Who
from bilbs_cli.sandbox.store import Store, minted, rfc3339

ACCESS_S, REFRESH_S, CODE_S, INTERVAL_S = 900, 30 * 86400, 900, 1
FOR_SCRIPTS_S = 3650 * 86400
PERSON = "tickets:read tickets:write attachments:write plan:read plan:write"
BOX = "tickets:read tickets:write attachments:write plan:read"  # never plan:write
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def issue(store: Store, kind: str, scopes: str, *, lasts_s: float, family: str = "", refresh: bool = False) -> str:
    """Mint a token and keep its hash alone."""
    secret = f"sbx_{'rt' if refresh else 'at'}_{secrets.token_urlsafe(24)}"
    store.base.execute(
        "insert into token (secret, kind, scopes, family, expires) values (?, ?, ?, ?, ?)",
        (_hashed(secret), "refresh" if refresh else kind, scopes, family or minted("fam"), store.now() + lasts_s),
    )
    return secret


def who(store: Store, header: str) -> Who | None:
    """Return whose bearer it is, None for one that is none (any more)."""
    scheme, _, secret = header.partition(" ")
    row = store.base.execute(
        "select kind, scopes, family, expires, used from token where secret = ?", (_hashed(secret.strip()),)
    ).fetchone()
    if scheme.lower() != "bearer" or row is None:
        return None
    kind, scopes, family, expires, used = row
    if kind == "refresh" or used or expires < store.now() or store.get("fault:expired"):
        return None
    return Who(kind, frozenset(scopes.split()), family, expires)


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def device(call: Call) -> Reply:
    """Begin the device grant; the simulated person says yes two seconds later."""
    scope = call.body.get("scope") or PERSON
    code = {
        "id": secrets.token_urlsafe(16),
        "scopes": " ".join(sorted(set(scope.split()) & set(PERSON.split()))),
        "yes_at": call.now + 2,
        "expires": call.now + CODE_S,
        "asked": call.now,
    }
    call.store.put("device", code)
    user = "-".join("".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(4)) for _ in range(2))
    url = "https://sandbox.invalid/device"
    return Reply(
        body={
            "device_code": code["id"],
            "user_code": user,
            "verification_uri": url,
            "verification_uri_complete": f"{url}?user_code={user}",
            "expires_in": CODE_S,
            "interval": INTERVAL_S,
        }
    )


def token(call: Call) -> Reply:
    """Exchange what is given for an access token."""
    match call.body["grant_type"]:
        case "refresh_token":
            return _refreshed(call)
        case "client_credentials":
            if call.body.get("client_secret") != call.store.get("machine"):
                raise _oauth("invalid_client", "no such machine credential")
            return _tokens(call.store, "box", BOX, refresh=False)
        case _:
            return _by_device(call)


def _by_device(call: Call) -> Reply:
    code = call.store.find("device", call.body.get("device_code") or "")
    if code is None:
        raise _oauth("invalid_grant", "no such device code")
    if code["expires"] < call.now:
        raise _oauth("expired_token", "the code has expired")
    early = call.now - code["asked"] < INTERVAL_S * 0.8
    call.store.put("device", code | {"asked": call.now})
    if early:
        raise _oauth("slow_down", "wait longer between two tries")
    if call.now < code["yes_at"]:
        raise _oauth("authorization_pending", "nobody has said yes yet")
    call.store.remove("device", code["id"])
    return _tokens(call.store, "person", code["scopes"], refresh=True)


def _refreshed(call: Call) -> Reply:
    """Give a new pair for a refresh token; its second use revokes the whole family (RFC 9700 4.14)."""
    base = call.store.base
    secret = _hashed(call.body.get("refresh_token") or "")
    row = base.execute(
        "select scopes, family, expires, used from token where secret = ? and kind = 'refresh'", (secret,)
    ).fetchone()
    if row is None or row[2] < call.now:
        raise _oauth("invalid_grant", "the refresh token is unknown or has expired")
    scopes, family, _, used = row
    base.execute("update token set used = 1 where secret = ?", (secret,))
    if used:
        base.execute("update token set used = 1 where family = ?", (family,))
        call.store.audit("desk", "a refresh token was used twice: the login was revoked")
        raise _oauth("invalid_grant", "the refresh token was used before; the login is revoked", keep=True)
    return _tokens(call.store, "person", scopes, refresh=True, family=family)


def _tokens(store: Store, kind: str, scopes: str, *, refresh: bool, family: str = "") -> Reply:
    family = family or minted("fam")
    found: dict[str, Any] = {
        "access_token": issue(store, kind, scopes, lasts_s=ACCESS_S, family=family),
        "token_type": "Bearer",
        "expires_in": ACCESS_S,
        "scope": scopes,
    }
    if refresh:
        found["refresh_token"] = issue(store, kind, scopes, lasts_s=REFRESH_S, family=family, refresh=True)
    return Reply(body=found, headers={"Cache-Control": "no-store"})


def _oauth(error: str, detail: str, *, keep: bool = False) -> Refused:
    """Return an error of RFC 6749 and RFC 8628, which is a problem document as well; `keep` what was changed."""
    return Refused(400, error.replace("_", "-"), detail, error=error, _keep=keep)


def revoke(call: Call) -> Reply:
    """Revoke a token and its whole family; one that is unknown is no error (RFC 7009 2.2)."""
    base = call.store.base
    row = base.execute("select family from token where secret = ?", (_hashed(call.body["token"]),)).fetchone()
    if row:
        base.execute("update token set used = 1 where family = ?", (row[0],))
    return Reply(200)


def me(call: Call) -> Reply:
    """Say who the token is."""
    person = call.who.kind == "person"
    return Reply(
        body={
            "id": "usr_sandbox" if person else "box_sandbox",
            "kind": call.who.kind,
            "name": "an admin of the sandbox" if person else "a box of the sandbox",
            "account": plan.ACCOUNT,
            "role": "box" if not person else "owner" if "plan:write" in call.who.scopes else "member",
            "account_owner": {"name": "the owner of the sandbox", "address": "owner@sandbox.invalid"},
            "scopes": sorted(call.who.scopes),
            "expires_at": rfc3339(call.who.expires),
        }
    )
