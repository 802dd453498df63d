"""Secrets in files and statements of a known form: .netrc, .pgpass, SQL, registry and cluster credentials, units, prose."""

import re

from bilbs_cli.diag.redaction.allowed import is_path, is_prose, is_state
from bilbs_cli.diag.redaction.rule import Rule

_STRING = rb"(?:\\*\"([^\"\\]+)\\*\"|\\*'((?:[^'\\]|''|\\[^'])+)\\*')"
_WORD = rb"(?:\"([^\"]+)\"|'([^']+)'|([^\s\"']+))"


def _secret(value: bytes) -> bool:
    return not is_state(value) and not is_path(value) and not value.startswith((b"[success=", b"-"))


def _spoken(value: bytes) -> bool:
    return _secret(value) and len(value) >= 4 and not is_prose(value) and not value.strip(b".,;:!").isalpha()


def _pg_password(value: bytes) -> bool:
    return len(value) >= 4 and not re.fullmatch(rb"[\d.\s-]+|.*[ :].*", value)


RECORDS = (
    Rule(
        "netrc",
        "password in .netrc form",
        rb"\b(?:machine[ \t]+\S+|default)[ \t]+(?:(?:login|user|account)[ \t]+\S+[ \t]+)*password[ \t]+" + _WORD,
        leaks=("machine api.wandb.ai login user password «<40h>»", "default login a password «hunter2-fake»"),
        check=_secret,
    ),
    Rule(
        "password-directive",
        "a directive of a service that takes a password",
        rb"^[ \t]*(?:bindpw|rootpw|rootbindpw|requirepass|masterauth|auth[_-]pass|adminpw|authtok|ldap_default_authtok"
        rb"|sslpassword|bind_?passwd?|keyphrase)[ \t]+" + _WORD + rb"[ \t]*[;,]?\r?$",
        leaks=("bindpw «ldapfake12»", "requirepass «redisfake1»", "rootpw «{x}fake123»", "\tauth_pass «vrrpfake»"),
        keeps=("bindpw none",),
        check=_secret,
    ),
    Rule(
        "password-line",
        "a line that is a keyword and a secret",
        rb"^[ \t]*(?:set[ \t]+)?(?:password|passwd|pass|secret|passphrase|psk)[ \t]+" + _WORD + rb"[ \t]*[;,]?\r?$",
        leaks=("    password «hunter2-fake»", "secret «12345678»"),
        keeps=(
            "password required",
            "password    [success=1 default=ignore]",
            "pass through",
            "secret -",
            "password-auth substack",
        ),
        check=lambda v: _secret(v) and (not v.isalpha() or len(v) > 11),
    ),
    Rule(
        "password-is",
        "a password that prose tells",
        rb"\b(?:password|passwd|passwort|kennwort|passphrase|passcode|secret|token|api key|psk|pin)[ \t]+"
        rb"(?:(?:is|was|has been|will be|now|=)[ \t]+)?(?:(?:set|changed|reset|updated)[ \t]+(?:for[ \t]+\S+[ \t]+)?to"
        rb"|is|was|now|ist|lautet|=)[ \t]*:?[ \t]+" + _WORD,
        leaks=(
            "the password is «hunter2-fake»",
            "root password was set to «hunter2-fake»",
            'new password is "«hunter2-fake»"',
        ),
        keeps=(
            "password is incorrect",
            "token is expired",
            "the secret is not found",
            "password was changed",
            "PIN is required",
        ),
        check=_spoken,
    ),
    Rule(
        "password-for",
        "a password after a prompt",
        rb"(?:\bpassword|passphrase)[ \t]+(?:for|of)[ \t]+(?:user[ \t]+"
        rb"|key[ \t]+)?[\"']?[\w.@/-]+[\"']?[ \t]*(?::|=|is|set to|changed to|to)[ \t]+" + _WORD,
        leaks=("[sudo] password for bob: «hunter2-fake»", "Password for user 'bob' is «hunter2-fake»"),
        keeps=("Failed password for root: denied", "password for bob: expired"),
        check=_spoken,
    ),
    Rule(
        "pgpass",
        "password in .pgpass form",
        rb"^[^:#\s]+:(?:\d{3,5}|\*):[^:\s]+:[^:\s]+:([^\s:]+)\r?$",
        leaks=("db.local:5432:app:svc:«hunter2-fake»", "*:*:*:svc:«hunter2-fake»"),
        keeps=("root:x:0:0:root:/root:/bin/bash", "3c:ec:ef:01:02:03", "gpu:1000:1:2:3"),
        check=_pg_password,
    ),
    Rule(
        "userlist",
        "password in a PgBouncer user list",
        rb"^\"[\w.-]+\"[ \t]+\"([^\"]+)\"\r?$",
        leaks=('"app" "«hunter2-fake»"',),
        keeps=('"a" ""',),
        check=_secret,
    ),
    Rule(
        "sql-password",
        "password in SQL",
        rb"\bidentified[ \t]+(?:with[ \t]+[\w'\"`]+[ \t]+)?(?:by|as)[ \t]+(?:password[ \t]+|values[ \t]+)?"
        + _STRING
        + rb"|password[ \t]+(?:for[ \t]+[^=]{1,80}=[ \t]*)?"
        + _STRING
        + rb"|\bpassword\([ \t]*"
        + _STRING
        + rb"[ \t]*\)|\bidentified[ \t]+by[ \t]+([^\s\"';]+)",
        leaks=(
            "CREATE USER bob IDENTIFIED BY '«hunter2-fake»'",
            "ALTER ROLE svc WITH ENCRYPTED PASSWORD '«hunter2-fake»';",
            "SET PASSWORD FOR 'bob'@'%' = PASSWORD('«hunter2-fake»')",
            "ALTER USER a IDENTIFIED WITH mysql_native_password BY '«hunter2-fake»'",
        ),
        keeps=("password 'expired'", 'enter password ""'),
        check=_secret,
    ),
    Rule(
        "redis-auth",
        "Redis AUTH",
        rb"(?:^|[\s\"'])(?-i:AUTH)[\"']?[ \t]+(?:[\"']?default[\"']?[ \t]+)?[\"']?([^\s\"']{6,})[\"']?\r?$"
        rb"|\bconfig[ \t]+set[ \t]+(?:requirepass|masterauth)[ \t]+"
        + _WORD
        + rb"|(?:(?-i:\bACL[ \t]+SETUSER)\b|^user[ \t]+\S+[ \t]).*?[ \t]>([^\s\"']+)",
        leaks=("127.0.0.1:6379> AUTH «hunter2-fake»", "ACL SETUSER bob on >«hunter2-fake» ~*"),
        keeps=("SMTP AUTH required", "AUTH LOGIN PLAIN"),
        check=lambda v: _secret(v) and not v.isalpha(),
    ),
    Rule(
        "registry-auth",
        "credentials in a container registry or npm configuration",
        rb"\"(?:auth|identitytoken|registrytoken)\\*\"[ \t]*:[ \t]*\\*\"([^\"\\]{8,})\\*\"|(?:^"
        rb"|:)_auth(?:Token)?[ \t]*=[ \t]*\"?([^\s\"]+)",
        leaks=('{"auths": {"nvcr.io": {"auth": "«<40>=»"}}}', "//registry.local/:_auth=«<28>»"),
        keeps=('"auth": "required"',),
        check=lambda v: _secret(v) and len(v) >= 8 and not v.isalpha(),
    ),
    Rule(
        "kubeconfig-key",
        "client key in a kubeconfig",
        rb"(?:\b(?:client-key-data|clientKeyData|tls\.key|ssh-privatekey|ca\.key)|\.dockerconfigjson"
        rb"|\.dockercfg)\\*[\"']?[ \t]*:[ \t]*\\*[\"']?([A-Za-z0-9+/=]{16,})",
        leaks=("    client-key-data: «<80>=»", "  tls.key: «<64>»", "  .dockerconfigjson: «<60>»"),
    ),
    Rule(
        "unit-credential",
        "credential in a systemd unit",
        rb"\bSetCredential(?:Encrypted)?=[^:\s]+:[ \t]*(.+)$",
        leaks=("SetCredential=db:«hunter2-fake»",),
    ),
    Rule(
        "aws-secret",
        "AWS secret key beside its id",
        rb"(?-i:\b(?:AKIA|ASIA)[A-Z0-9]{16})[\s:,;\"'|/]+([A-Za-z0-9/+]{40})(?:[\s\"',;]|$)",
        leaks=("AKIA<16u>,«<40b>»",),
    ),
    Rule(
        "unseal-key",
        "Vault unseal or recovery key",
        rb"\b(?:unseal|recovery)[ \t]+key[ \t]*\d*[ \t]*:[ \t]*([A-Za-z0-9+/=]{20,})",
        leaks=("Unseal Key 1: «<43>=»",),
    ),
    Rule(
        "bitlocker-key",
        "numerical recovery key",
        rb"\b(\d{6}(?:-\d{6}){7})\b",
        leaks=("key «<6d>-<6d>-<6d>-<6d>-<6d>-<6d>-<6d>-<6d>»",),
    ),
    Rule(
        "kubeadm-token",
        "Kubernetes bootstrap token",
        rb"(?:token|join|bootstrap)\b.*?[ =:\"']([a-z0-9]{6}\.[a-z0-9]{16})\b",
        leaks=("kubeadm join 10.0.0.1:6443 --token «abc123.<16l>»",),
    ),
    Rule(
        "form-password",
        "value attribute of a password field",
        rb"<input[^<>]*\btype=[\"']?password\b[^<>]*\bvalue=[\"']([^\"']+)"
        rb"|<input[^<>]*\bvalue=[\"']([^\"']+)[\"'][^<>]*\btype=[\"']?password",
        leaks=('<input type="password" name="p" value="«hunter2-fake»">',),
    ),
    Rule(
        "secure-string",
        "PowerShell secure string",
        rb"\bconvertto-securestring[ \t]+(?:-(?:string|asplaintext|force)[ \t]+)*" + _WORD,
        leaks=('ConvertTo-SecureString "«hunter2-fake»" -AsPlainText -Force',),
        keeps=("ConvertTo-SecureString $x",),
        check=lambda v: not v.startswith((b"-", b"$")),
    ),
    Rule(
        "mount-credential",
        "password among mount options",
        rb"\b(?:mount\.cifs|cifs|davfs)\b.*?\b(?:pass|password|password2)=([^\s,\"']+)",
        leaks=("//srv/x /mnt cifs user=bob,pass=«hunter2,fake» 0 0".replace(",fake", "fake"),),
    ),
    Rule(
        "luks-argument",
        "LUKS passphrase on the kernel's command line",
        rb"\b(?:rd\.)?luks\.(?:passphrase|password|key)=([^\s\"']+)|\bcryptdevice_?pass\w*=(\S+)",
        leaks=("root=/dev/x luks.passphrase=«luksfake12» quiet",),
        keeps=("rd.luks.key=/root/key.bin",),
        check=_secret,
    ),
)
