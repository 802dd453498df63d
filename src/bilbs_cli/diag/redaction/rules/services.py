"""Secrets in the words of single programs: mail, directory, message and storage servers, and code that logs in."""

from bilbs_cli.diag.redaction.allowed import is_counter, is_path, is_state
from bilbs_cli.diag.redaction.rule import Rule

_WORD = rb"(?:\"([^\"]+)\"|'([^']+)'|([^\s\"']+))"


def _mixed(value: bytes) -> bool:
    """Say whether `value` has letters and digits, or letters and marks, as words of a log do not."""
    return (
        len(value) >= 6
        and not value.isalpha()
        and not is_state(value)
        and not is_counter(value)
        and not is_path(value)
        and any(byte > 64 for byte in value)
        and not value.endswith((b".so", b".c", b".go", b".py", b":", b"()", b"..."))
        and any(48 <= byte <= 57 for byte in value)
        and not value.startswith((b"/", b"[", b"(", b"<", b"0x"))
    )


def _argument(value: bytes) -> bool:
    return not is_state(value) and not value.startswith(b"-") and not is_path(value)


SERVICES = (
    Rule(
        "login-call",
        "user and password in a call",
        rb"(?:\bauth[ \t]*=[ \t]*\(|(?:BasicAuth|DigestAuth|ProxyAuth|Credential|Credentials|PasswordAuthentication)\()[ \t]*"
        rb"[\"'][^\"']*[\"'][ \t]*,[ \t]*[\"']([^\"']+)[\"']|\bgetConnection\([^()]*,[ \t]*\"[^\"]*\"[ \t]*,[ \t]*\"([^\"]+)\"\)",
        leaks=(
            "requests.get(u, auth=('bob', '«hunter2-fake»'))",
            'HTTPBasicAuth("bob", "«hunter2-fake»")',
            'DriverManager.getConnection("jdbc:x://db/x", "bob", "«hunter2-fake»")',
        ),
        check=_argument,
    ),
    Rule(
        "password-word",
        "a password behind its name",
        rb"^[ \t]*password[ \t]+[\w.-]+[ \t]+(\S+)\r?$|\b(?:password|passwd|passphrase|psk)[ \t]+\\*"
        rb"(?:\"([^\"]*\d[^\"]*)\"|'([^']*\d[^']*)'|([^\s\"']*\d[^\s\"']*))",
        leaks=(
            "lan set 1 password «hunter2-fake»",
            "password bob «hunter2-fake»",
            "nvsm set user password «hunter2-fake»",
        ),
        keeps=(
            "Failed password for bob2 from 10.0.0.1",
            "password expires 2026-11-21",
            "password required pam_unix2.so",
            "password change : 99999",
        ),
        check=_mixed,
    ),
    Rule(
        "changed-value",
        "the second of two values",
        rb"[\w.\-]*(?:password|passwd|secret|token|passphrase|private_key|api_key)[\w.\-]*[ \t]*[=:][ \t]*\"[^\"]*\"[ \t]*->[ \t]*\"([^\"]+)\"",
        leaks=('      ~ admin_password = "old" -> "«hunter3-fake»"',),
        check=_argument,
    ),
    Rule(
        "expect-send",
        "password that a script types",
        rb"\bsend(?:_log)?[ \t]+(?:--[ \t]+)?\\*[\"']([^\"'\\\r\n]+)\\+[rn]",
        leaks=("expect -c 'send \"«hunter2-fake»\\r\"'",),
        keeps=('send "yes\\r"', 'send "show version\\r"'),
        check=_mixed,
    ),
    Rule(
        "message-queue-user",
        "password of a RabbitMQ user",
        rb"\brabbitmqctl\b.*?\b(?:add_user|change_password|authenticate_user)[ \t]+\S+[ \t]+" + _WORD,
        leaks=("rabbitmqctl add_user bob «hunter2-fake»",),
        check=_argument,
    ),
    Rule(
        "mail-login",
        "SASL login in base64, and passwords of mail and FTP",
        rb"\b(?-i:AUTH)[ \t]+(?:PLAIN|LOGIN|XOAUTH2|CRAM-MD5)[ \t]+([A-Za-z0-9+/]{8,}={0,2})"
        rb"|mechanism=['\"](?:PLAIN|X-OAUTH2)['\"][^<>]*>([A-Za-z0-9+/]{8,}={0,2})|^(?-i:PASS)[ \t]+(\S+)\r?$"
        rb"|^\[[\w.-]+\](?::\w+)?[ \t]+[^\s:]+:(\S+)|\bNickServ[ \t:]+IDENTIFY[ \t]+(\S+)",
        leaks=("AUTH PLAIN «AGJvYgBodW50ZXIyLWZha2U=»", "PASS «hunter2-fake»", "[smtp.example]:587 bob:«hunter2-fake»"),
        keeps=("250-AUTH PLAIN LOGIN", "AUTH LOGIN PLAIN", "PASS 12 tests"),
        check=_argument,
    ),
    Rule(
        "radius-login",
        "password in a RADIUS log",
        rb"\bLogin (?:OK|incorrect)[^\[\]]*:[ \t]*\[[^\s/\]]+/([^\]]+)\]",
        leaks=("Auth: Login OK: [bob/«hunter2-fake»] (from client x port 0)",),
        check=_argument,
    ),
    Rule(
        "zookeeper-digest",
        "ZooKeeper digest",
        rb"\bdigest:[\w.-]+:([A-Za-z0-9+/]{27}=)",
        leaks=("digest:super:«<27b>=»",),
    ),
    Rule(
        "nagios-macro",
        "password in a Nagios resource file",
        rb"^[ \t]*\$USER\d+\$[ \t]*=[ \t]*(\S.*?)\r?$",
        leaks=("$USER3$=«hunter2-fake»",),
        keeps=("$USER1$=/usr/lib/nagios/plugins",),
        check=_argument,
    ),
    Rule(
        "snmp-assigned",
        "SNMP community in a pair",
        rb"\bcommunity=[\"']?([^\s\"',;]+)",
        leaks=('trap community="«c0mmfake9»"',),
        keeps=("route community=65000:100",),
        check=lambda v: _argument(v) and not v.replace(b":", b"").isdigit(),
    ),
    Rule(
        "qemu-secret",
        "secret object of QEMU or libvirt",
        rb"\bsecret,(?:[^\s\"',]+,)*data=([^\s,\"']+)|\bsecret-set-value\b.*?--(?:base64|value)[ \t=]+(\S+)",
        leaks=(
            "-object secret,id=s0,data=«hunter2-fake»",
            "virsh secret-set-value --secret x --base64 «aHVudGVyMi1mYWtl»",
        ),
    ),
    Rule(
        "grub-hash",
        "GRUB password hash",
        rb"(grub\.pbkdf2\.sha512\.\d+\.[0-9A-F.]{32,})",
        leaks=("password_pbkdf2 root «grub.pbkdf2.sha512.10000.<64U>.<64U>»",),
    ),
    Rule(
        "maven-master",
        "encrypted password of Maven",
        rb">[ \t]*(\{[A-Za-z0-9+/]{40,}={0,2}\})[ \t]*<",
        leaks=("<master>«{<44b>}»</master>",),
    ),
    Rule(
        "wpa-client",
        "key given to wpa_cli or iw",
        rb"\bwpa_cli\b.*?\b(?:psk|password|wep_key\d)[ \t]+[\"'\\]*([^\s\"'\\]+)|\biw\b.*?\bkeys?[ \t]+(?:d:)?\d:(\S+)",
        leaks=('wpa_cli set_network 0 psk "\\"«wifi-fake-9»\\""', "iw dev wlan0 connect x key 0:«wepf4»"),
        check=_argument,
    ),
    Rule(
        "drive-password",
        "password of a self-encrypting drive",
        rb"\bsedutil-cli\b.*?--\w*(?:pwd|password)\w*[ \t]+(\S+)(?:[ \t]+([^\s/]\S*)[ \t]+/dev)?"
        rb"|[ \t]--security-(?:set-pass|unlock|disable|erase\S*)[ \t]+(\S+)",
        leaks=(
            "sedutil-cli --setadmin1pwd «oldfake12» «newfake34» /dev/sda",
            "hdparm --security-set-pass «hunter2fake» /dev/sda",
        ),
        check=_argument,
    ),
    Rule(
        "racadm-config",
        "password that racadm sets",
        rb"-o[ \t]+\w*password[ \t]+(?:-i[ \t]+\d+[ \t]+)?" + _WORD,
        leaks=("racadm config -g cfgUserAdmin -o cfgUserAdminPassword -i 2 «hunter2-fake»",),
        check=_argument,
    ),
    Rule(
        "login-list",
        "login as a list of user and password",
        rb"\[[ \t]*\\*\"(?:root|admin|Administrator|USERID|ADMIN|service)\\*\"[ \t]*,[ \t]*\\*\"([^\"\\]+)\\*\"[ \t]*\]",
        leaks=('{"data": ["root", "«hunter2-fake»"]}',),
        check=_mixed,
    ),
    Rule(
        "digest-response",
        "response of an HTTP digest, signature of a request",
        rb"\b(?:response|cnonce)=\\*\"([0-9a-f]{32,})|\bsignature[\"']?[ \t]*[:=][ \t]*[\"']?([0-9a-f]{64}|[A-Za-z0-9+/]{80,}={0,2})\b",
        leaks=('realm="x", response="«<32h>»"', "SignedHeaders=host, Signature=«<64h>»"),
    ),
    Rule(
        "cookie-file",
        "cookie in a Netscape cookie file",
        rb"^(?:#HttpOnly_)?[\w.-]+\t(?:TRUE|FALSE)\t\S+\t(?:TRUE|FALSE)\t\d+\t\S+\t(\S+)",
        leaks=(".example.com\tTRUE\t/\tFALSE\t0\tsessionid\t«<32>»",),
    ),
)
