"""The host's own secrets, read where they are kept: what redaction masks by value, and the seal gate looks for.

Nothing here is written anywhere; what was read is bounded in size and number, and is only ever compared.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from bilbs_cli import files
from bilbs_cli.diag.redaction.engine import Redactor, Stream
from bilbs_cli.diag.redaction.forms import TEXT
from bilbs_cli.diag.redaction.keys import Kind, kind_of
from bilbs_cli.diag.redaction.literals import weak
from bilbs_cli.diag.redaction.rule import Span

FILE_BYTES = 256 << 10
FILES = 400  # of one pattern
SECRETS = 400
LONGEST = 16 << 10  # bytes of one secret
KEY_LINES = 3  # the last lines of a private key are secret in every format; the first are the same on every host

CONFIGURATION = (  # files whose secrets the rules find
    "/etc/NetworkManager/system-connections/*",
    "/etc/wpa_supplicant/*.conf",
    "/etc/netplan/*.yaml",
    "/var/lib/iwd/*.psk",
    "/var/lib/iwd/*.8021x",
    "/etc/wireguard/*.conf",
    "/etc/ipsec.secrets",
    "/etc/swanctl/conf.d/*.conf",
    "/etc/ppp/*-secrets",
    "/etc/snmp/snmpd.conf",
    "/var/lib/snmp/snmpd.conf",
    "/etc/freeipmi/*.conf",
    "/etc/environment",
    "/etc/pip.conf",
    "/etc/kubernetes/*.conf",
    "/etc/rancher/k3s/k3s.yaml",
    "/etc/mysql/debian.cnf",
    "/etc/my.cnf",
    "/etc/ldap.conf",
    "/etc/nslcd.conf",
    "/etc/sssd/sssd.conf",
    "/etc/docker/daemon.json",
    "/etc/containerd/config.toml",
    "/etc/slurm/slurmdbd.conf",
    "/etc/iscsi/iscsid.conf",
    "/etc/postfix/sasl_passwd",
    "/etc/nut/upsd.users",
    "/etc/corosync/corosync.conf",
    "/etc/bilbs/config.toml",
)
HOME = (  # the same below a home folder
    ".netrc",
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
    ".docker/config.json",
    ".config/containers/auth.json",
    ".pip/pip.conf",
    ".config/pip/pip.conf",
    ".pypirc",
    ".npmrc",
    ".aws/credentials",
    ".kube/config",
    ".git-credentials",
    ".config/git/credentials",
    ".ngc/config",
    ".config/gh/hosts.yml",
    ".config/glab-cli/config.yml",
    ".config/gcloud/application_default_credentials.json",
    ".azure/msal_token_cache.json",
    ".config/rclone/rclone.conf",
    ".s3cfg",
    ".boto",
    ".vault-token",
    ".terraformrc",
    ".terraform.d/credentials.tfrc.json",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".ipmitoolrc",
    ".config/bilbs/config.toml",
    ".env",
)
TOKENS = (
    ".cache/huggingface/token",
    ".huggingface/token",
    ".vault-token",
    ".config/bilbs/token",
    ".local/state/bilbs/token",
)  # all of the file
HASHES = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/security/opasswd")
KEYS = ("/etc/ssh/ssh_host_*_key", "/etc/ssl/private/*", "/etc/pki/tls/private/*", "/etc/kubernetes/pki/*.key")
HOME_KEYS = (".ssh/id_*", ".ssh/*.pem", ".config/sops/age/keys.txt")
OWN = ("/var/lib/bilbs/token", "/etc/bilbs/token", "/etc/machine-credential/*")

_BODY = re.compile(rb"[A-Za-z0-9+/=]{16,}")


def known_secrets(
    *,
    root: Path | None = None,
    env: Mapping[str, str] | None = None,
    homes: Iterable[str] = ("/root",),
    given: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Return the secrets of this host by the name of their source; each of 8 bytes at least and no everyday word.

    `root` is a mounted system to look in instead of `/`, `env` the environment, `homes` absolute home folders, `given`
    secrets that are known already (a BMC's password). Absent and unreadable files are left out.
    """
    found = {name: secret for name, secret in (given or {}).items() if not weak(secret)}
    everything = (*_environment(env or {}), *_files(root, tuple(homes)))
    for name, secret in everything:
        clean = secret.strip()
        if len(clean) <= LONGEST and not weak(clean) and clean not in found.values():
            found[_free(name, found)] = clean
        if len(found) >= SECRETS:
            break
    return found


def _free(name: str, taken: Mapping[str, bytes]) -> str:
    return (
        name
        if name not in taken
        else next(f"{name} ({i})" for i in range(2, len(taken) + 3) if f"{name} ({i})" not in taken)
    )


def _environment(env: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for name, value in env.items():
        kind = kind_of(name.encode("utf-8", "surrogateescape"))
        if kind in {Kind.PASSWORD, Kind.TOKEN} and len(value) <= LONGEST:
            yield f"environment variable {name}", value.encode("utf-8", "surrogateescape")


def _files(root: Path | None, homes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    harvest = _Harvest(Redactor())
    in_homes = [f"{home.rstrip('/')}/{name}" for home in homes for name in HOME]
    for path, data in _contents(root, HASHES):
        yield from ((path, field) for line in data.splitlines() for field in line.split(b":")[1:4] if len(field) >= 13)
    for path, data in _contents(root, (*KEYS, *(f"{home.rstrip('/')}/{name}" for home in homes for name in HOME_KEYS))):
        yield from ((path, secret) for secret in _key(data))
    for path, data in _contents(root, (*OWN, *(f"{home.rstrip('/')}/{name}" for home in homes for name in TOKENS))):
        yield path, data
    for path, data in _contents(root, (*in_homes, *CONFIGURATION)):
        yield from ((path, secret) for secret in harvest.secrets_in(data))


def _key(data: bytes) -> Iterator[bytes]:
    """Yield the lines of a private key that are secret."""
    if b"AGE-SECRET-KEY-" in data:
        yield from re.findall(rb"AGE-SECRET-KEY-[0-9A-Z]+", data)
    elif b"PRIVATE KEY" in data:
        yield from [line.strip() for line in data.splitlines() if _BODY.fullmatch(line.strip())][-KEY_LINES:]


def _contents(root: Path | None, patterns: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield path (as the host calls it) and content of each regular file that a pattern matches."""
    for pattern in patterns:
        paths = [pattern] if "*" not in pattern else _matching(root, pattern)
        for path in paths[:FILES]:
            with suppress(OSError, files.NotReadable), files.open_regular(files.rooted(root, path)) as stream:
                data = stream.read(FILE_BYTES)
                if data:
                    yield path, data


def _matching(root: Path | None, pattern: str) -> list[str]:
    base = str(root).rstrip("/") if root else ""
    return sorted(path[len(base) :] for path in glob.iglob(glob.escape(base) + pattern))  # noqa: PTH207 - strings, below a root


class _Harvest(Stream):
    """A stream that keeps what it masks."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__(redactor, form=TEXT)
        self._redactor = redactor
        self.secrets: list[bytes] = []

    def secrets_in(self, data: bytes) -> list[bytes]:
        """Return the secrets that the rules find in a file."""
        fresh = _Harvest(self._redactor)
        fresh.feed(data)
        fresh.finish()
        return fresh.secrets

    def _mask(self, line: bytes, span: Span) -> bytes:
        if span.text is None:
            self.secrets.append(line[span.start : span.end])
        return super()._mask(line, span)
