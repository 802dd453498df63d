"""Password hashes: crypt(5) and its relatives, LDAP, NTLM, databases, Kerberos keys."""

from bilbs_cli.diag.redaction.rule import Rule


def _long(value: bytes) -> bool:
    return len(value) >= 20


def _mixed(value: bytes) -> bool:
    return any(48 <= b <= 57 for b in value) and value.upper() != value and value.lower() != value


HASHES = (
    Rule(
        "crypt-hash",
        "crypt(5) hash",
        rb"(\$(?:1|2[abxy]?|3|5|6|7|8|9|y|gy|md5|sha1|apr1|P|H|S|argon2(?:id|i|d)|scrypt|pbkdf2[\w-]*"
        rb"|bcrypt[\w-]*)\$[^\s:\"'<>;`]{8,})",
        leaks=(
            "root:«$6$<16>$<86>»:19700:0:99999:7:::",
            "shadow «$y$j9T$<22>$<43>»",
            "htpasswd admin:«$2y$10$<53>»",
            "«$argon2id$v=19$m=65536,t=3,p=4$<22>$<43>»",
            "«$apr1$<8>$<22>»",
        ),
        keeps=("awk '{print $1$2$3}'", "cost $5$", "$1$abc"),
        check=_long,
    ),
    Rule(
        "ldap-hash",
        "LDAP password hash (RFC 2307)",
        rb"(\{(?:S?SHA\d*|S?MD5|CRYPT|PBKDF2[\w-]*|ARGON2|SASL|NS-MTA-MD5)\}[^\s\"':,]{6,})",
        leaks=("olcRootPW: «{SSHA}<32>»", "bob:«{SHA}<27>=»"),
    ),
    Rule(
        "framework-hash",
        "password hash of a web framework",
        rb"\b((?:pbkdf2_sha\d+|bcrypt_sha256|scrypt|argon2)\$[^\s\"',]{20,}|(?:pbkdf2"
        rb"|scrypt):[\w:]+\$[^\s\"',]{20,})",
        leaks=("django «pbkdf2_sha256$600000$<22>$<43>=»", "werkzeug «scrypt:32768:8:1$<16>$<128h>»"),
    ),
    Rule(
        "scram-hash",
        "PostgreSQL SCRAM verifier",
        rb"(SCRAM-SHA-(?:1|256|512)\$\d+:[^\s\"']+)",
        leaks=("rolpassword «SCRAM-SHA-256$4096:<22>==$<43>=:<43>=»",),
        keeps=("password_encryption = scram-sha-256",),
    ),
    Rule(
        "postgres-md5",
        "PostgreSQL md5 hash",
        rb"\bpassword\W{1,6}(md5[0-9a-f]{32})\b|^\"[^\"]+\"[ \t]+\"(md5[0-9a-f]{32})\"",
        leaks=("ALTER ROLE x PASSWORD '«md5<32h>»';", '"app" "«md5<32h>»"'),
        keeps=("md5sum d41d8cd98f00b204e9800998ecf8427e",),
    ),
    Rule(
        "mysql-hash",
        "MySQL password hash",
        rb"(\*[0-9A-F]{40})\b|\b(\$A\$\d{3}\$[^\s\"']{20,})",
        leaks=("IDENTIFIED BY PASSWORD '«*<40U>»'",),
    ),
    Rule(
        "shadow-des",
        "DES hash in shadow or passwd form",
        rb"^[a-z_][\w.-]*:!?([./A-Za-z0-9]{13}):\d{0,6}:\d{0,6}:\d{0,6}:",
        leaks=("daemon:«a<12>»:15000:0:99999:7:::",),
        keeps=("root:x:0:0:root:/root:/bin/bash",),
    ),
    Rule(
        "htpasswd-des",
        "DES hash in an htpasswd file",
        rb"^[\w.@-]+:([./A-Za-z0-9]{13})\r?$",
        leaks=("webuser:«aB3<10>»",),
        keeps=("Serial:ABCDEFGHIJKLM", "count:1234567890123"),
        check=_mixed,
    ),
    Rule(
        "ntlm-hash",
        "LM and NT hashes",
        rb":\d+:([0-9a-f]{32}:[0-9a-f]{32}):|\b(aad3b435b51404ee[0-9a-f]{16}:[0-9a-f]{32})\b"
        rb"|^[\w.$-]+:\d+:((?:X{32}|[0-9A-F]{32}):[0-9A-F]{32}):|\b(?:nt|lm"
        rb"|ntlm)[ _-]?hash\W{1,4}([0-9a-f]{32})\b|\b(?:ntlm|nt)[ \t]*[:=][ \t]*([0-9a-f]{32})\b",
        leaks=("Administrator:500:«<32h>:<32h>»:::", "nthash: «<32h>»", "NTLM : «<32h>»"),
    ),
    Rule(
        "netntlm",
        "NetNTLM challenge and response",
        rb"[\w.$-]+::[\w.-]*:([0-9a-f]{16,48}:[0-9a-f]{32,48}:[0-9a-f]{16,})",
        leaks=("bob::CORP:«<16h>:<32h>:<64h>»",),
    ),
    Rule(
        "kerberos-key",
        "Kerberos key",
        rb"\b(?:aes(?:128|256)-(?:cts|sha)[\w-]*|arcfour-hmac[\w-]*|rc4-hmac[\w-]*"
        rb"|des3?-cbc[\w-]*)\W{1,4}(?:0x)?([0-9a-f]{32,64})\b",
        leaks=("Key: vno 2, aes256-cts-hmac-sha1-96:0x«<64h>»",),
    ),
)
