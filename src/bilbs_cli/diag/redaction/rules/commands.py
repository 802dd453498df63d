"""Secrets that programs take as arguments, as process lists, audit logs and shell histories show them."""

from bilbs_cli.diag.redaction.allowed import is_path, is_state
from bilbs_cli.diag.redaction.rule import Rule

_ARG = rb"(?:\"([^\"]+)\"|'([^']+)'|([^\s\"'|;]+))"  # as shells quote it
_NEXT = rb"(?:[ \t]+|\\*[\"'][ \t]*,[ \t]*\\*[\"'])"  # the next word: a blank, or `", "` in a list of arguments
_REST = rb"\b[^|\n]*?" + rb"[\s\"']"


def _argument(value: bytes) -> bool:
    return not is_state(value) and not value.startswith(b"-")


def _not_a_path(value: bytes) -> bool:
    return _argument(value) and not is_path(value)


def _has_digit_or_mark(value: bytes) -> bool:
    return (_argument(value) and not value.isalpha()) or len(value) > 12


COMMANDS = (
    Rule(
        "mysql-argument",
        "MySQL password argument",
        rb"\b(?:mysql(?:dump|admin|import|show|slap|check|pump|sh|binlog)?|mariadb[\w-]*|mycli|xtrabackup"
        rb"|innobackupex|percona[\w-]*|pt-[\w-]+)" + _REST + rb"-p(?:\"([^\"]+)\"|'([^']+)'|([^\s\"'|;]+))",
        leaks=(
            "mysql -u root -p«hunter2-fake» db",
            "['mysqldump', '-uroot', '-p«hunter2-fake»', 'db']",
            "/usr/bin/mariadb -h db -p'«hunter 2 fake»'",
        ),
        keeps=("mysql -u root -p db", "mysqld --port=3306", "mysql --protocol tcp -P 3306"),
        check=lambda v: _argument(v) and not v.startswith((b"rotocol", b"ort", b"id")),
    ),
    Rule(
        "ipmitool-argument",
        "BMC password argument",
        rb"\b(?:ipmitool|ipmicfg\S*|ipmiutil|smcipmitool|sum|ilorest|hponcfg|onecli|syscfg)"
        + _REST
        + rb"(?-i:-(?:P|Y|k|y))"
        + _NEXT
        + rb"?"
        + _ARG,
        leaks=(
            "ipmitool -I lanplus -H 10.0.0.9 -U admin -P «hunter2-fake» sel list",
            '["ipmitool", "-P", "«hunter2-fake»"]',
            "ipmitool -P«hunter2-fake» mc info",
        ),
        keeps=("ipmitool -I lanplus -H bmc -U admin -E sel list", "ipmitool -p 623 sel"),
        check=_argument,
    ),
    Rule(
        "ipmi-user-password",
        "BMC password that is set",
        rb"\buser[ \t]+(?:set[ \t]+password|setpwd|test)[ \t]+\d+[ \t]+(?:(?:16|20)[ \t]+)?" + _ARG,
        leaks=(
            "ipmitool user set password 2 «hunter2-fake» 20",
            "SMCIPMITool 10.0.0.9 ADMIN x user setpwd 2 «hunter2-fake»",
            "ipmitool user test 2 20 «hunter2-fake»",
        ),
        check=_argument,
    ),
    Rule(
        "freeipmi-argument",
        "FreeIPMI or OEM tool password argument",
        rb"\b(?:security|check_\w+|tpm2_\w+|ipmi(?:power|-[a-z]+|console|detect|ping)|bmc-(?:config|info|device|watchdog)|racadm\S*"
        rb"|redfishtool|smcipmitool|saa|perccli|sshpass|idracadm\S*|sum)"
        + _REST
        + rb"-p(?:[ \t]+|\\*[\"'][ \t]*,[ \t]*\\*[\"'])?"
        + _ARG,
        leaks=(
            "ipmi-sensors -h 10.0.0.9 -u admin -p «hunter2-fake»",
            "racadm -r 10.0.0.9 -u root -p «calvinfake1» getsysinfo",
            "sshpass -p «hunter2-fake» ssh host",
            "sshpass -p'«hunter2 fake»' ssh x",
        ),
        keeps=("ipmi-sensors --no-header-output", "sshpass -e ssh host", "check_http -H x -p 443"),
        check=lambda v: _argument(v) and not (v.isdigit() and len(v) <= 5) and not v.startswith((b"ower", b"river")),
    ),
    Rule(
        "supermicro-login",
        "user and password of SMCIPMITool",
        rb"(?-i:\bSMCIPMITool(?:\.jar)?)[ \t]+[\d.]+[ \t]+\S+[ \t]+" + _ARG,
        leaks=("SMCIPMITool 10.0.0.9 ADMIN «hunter2-fake» ipmi ver",),
        check=_argument,
    ),
    Rule(
        "curl-user",
        "user:password argument of an HTTP client",
        rb"(?:^|[\s\"'\[(/])(?:curl|http|https|aria2c|xh|curlie|httpie|lftp|wget|etcdctl)"
        + _REST
        + rb"(?:-u|--user|-U|--proxy-user|-a|--auth|--http-user)(?:[ \t]+|="
        rb"|\\*[\"'][ \t]*,[ \t]*\\*[\"'])?[\"']?[^\s:\"']*[:,]([^\s\"'@]+)",
        leaks=(
            "curl -k -u admin:«hunter2-fake» https://bmc/redfish/v1",
            "curl --user 'bob:«hunter2-fake»' x",
            "['curl', '-u', 'root:«calvinfake1»', 'x']",
            "curl -uroot:«calvinfake1» x",
        ),
        keeps=("curl -u bob https://x", "curl -U -s http://x:80"),
        check=lambda v: _argument(v) and not v.startswith(b"//"),
    ),
    Rule(
        "proxy-login",
        "user:password of a proxy without a scheme",
        rb"\b(?:https?|ftp|all)_proxy[\"']?[ \t]*[=:][ \t]*[\"']?[^\s:/\"']+:([^\s\"'@]+)@|[\s\"'](?:-x"
        rb"|--proxy)[ \t=]+[\"']?[^\s:/\"']+:([^\s\"'@]+)@",
        leaks=("http_proxy=bob:«hunter2-fake»@proxy:3128", "curl -x bob:«hunter2-fake»@proxy:3128 x"),
        keeps=("http_proxy=http://proxy:3128",),
        check=_argument,
    ),
    Rule(
        "registry-login",
        "password of docker, podman, helm or az login, and of database shells",
        rb"\b(?:login|mongo(?:sh|dump|restore|export|import)?|cqlsh|rabbitmqadmin)" + _REST + rb"-p" + _NEXT + _ARG,
        leaks=(
            "docker login -u bob -p «hunter2-fake» nvcr.io",
            "az login --service-principal -u x -p «hunter2-fake1»",
            "mongosh -u root -p «hunter2-fake»",
            "podman login -u x -p '«hunter2 fake»' quay.io",
        ),
        keeps=(
            "docker run -d -p 8080:80 nginx",
            "docker run -p 127.0.0.1:80:80/tcp x",
            "psql -p 5432 db",
            "mkdir -p /opt/docker",
            "docker compose -p demo up",
        ),
        check=lambda v: _argument(v) and _no_port_map(v),
    ),
    Rule(
        "short-option",
        "password behind a short option of a known program",
        rb"\b(?-i:redis-cli\b.*?[\s\"']-a|ldap(?:search|modify|add|delete|whoami|passwd|compare)\b.*?[\s\"']-[ws]"
        rb"|kadmin(?:\.local)?\b.*?[\s\"']-p?w|(?:mosquitto_\w+|zip|unzip|sqlcmd|bcp|isql)\b.*?[\s\"']-P"
        rb"|openssl[ \t]+enc\b.*?[\s\"']-(?:k|K|pass)|(?:rdesktop|vncdotool|cadaver)\b.*?[\s\"']-p"
        rb"|nmcli\b.*?[\s\"']password|net[ \t]+use[ \t]+\S+[ \t].*?/user:\S+)" + _NEXT + _ARG,
        leaks=(
            "redis-cli -h cache -a «hunter2-fake» ping",
            "ldapsearch -x -D cn=a -w «hunter2-fake» -b dc=x",
            "zip -r -P «hunter2-fake» a.zip b",
            "sqlcmd -S db -U sa -P «Hunter2-Fake»",
            "openssl enc -aes-256-cbc -k «hunter2-fake» -in x",
        ),
        keeps=("ldapsearch -x -W -b dc=x", "zip -r a.zip b"),
        check=_not_a_path,
    ),
    Rule(
        "openssl-pass",
        "openssl pass phrase argument",
        rb"-(?:passin|passout|pass|srcpass|deststorepass)(?:[ \t]+|="
        rb"|\\*[\"'][ \t]*,[ \t]*\\*[\"'])[\"']?(?:pass:([^\s\"']+)|(?:storepass)[ \t]+([^\s\"']+))",
        leaks=(
            "openssl rsa -in k.pem -passin pass:«hunter2-fake»",
            "openssl pkcs12 -passout pass:«hunter2-fake» -in x",
        ),
        keeps=("openssl rsa -passin env:P", "-passin file:/etc/p"),
    ),
    Rule(
        "keytool-pass",
        "keystore password argument",
        rb"[ \t]-(?:storepass|keypass|srcstorepass|deststorepass|destkeypass|srckeypass)(?::env|:file)?[ \t]+" + _ARG,
        leaks=("keytool -list -keystore k.jks -storepass «changeitfake1»",),
        check=_argument,
    ),
    Rule(
        "archive-password",
        "password glued to an option",
        rb"\b(?:7z[ar]?|rar|unrar)\b[^|\n]*?[ \t]-(?:p|hp)([^\s\"'|;]+)|\bxfreerdp\b[^|\n]*?[ \t]/p:"
        + _ARG
        + rb"|\bcmdkey\b[^|\n]*?/pass:"
        + _ARG
        + rb"|[ \t]/(?:pass|pwd|password):"
        + _ARG,
        leaks=(
            "7z a -p«hunter2-fake» x.7z d",
            "xfreerdp /v:host /u:bob /p:«hunter2-fake»",
            "cmdkey /add:h /user:b /pass:«hunter2-fake»",
        ),
        check=_argument,
    ),
    Rule(
        "samba-user",
        "user%password of Samba tools",
        rb"\b(?:smbclient|rpcclient|smbget|net|wmic|winexe|mount\.cifs|smbmap|smbcacls)\b[^|\n]*?[ \t](?:-U"
        rb"|--user|--authentication-file)[ \t=]*[\"']?[^\s%\"']+%([^\s\"']+)",
        leaks=("smbclient //srv/x -U bob%«hunter2-fake»",),
    ),
    Rule(
        "chpasswd-pipe",
        "password piped into passwd or chpasswd",
        rb"\becho[ \t]+(?:-\w+[ \t]+)*[\"']?(?:[\w.-]+:)?([^\s\"'|]+)[\"']?[ \t]*"
        rb"\|[ \t]*(?:sudo[ \t]+(?:-S[ \t]+)?)?(?:chpasswd|passwd|sudo|cryptsetup|kinit|docker login"
        rb"|smbpasswd|gpg|su\b|mysql|ipmitool|tee /etc/wpa|openconnect|vncpasswd|zfs[ \t]+load-key|keyctl)",
        leaks=(
            "echo root:«hunter2-fake» | chpasswd",
            "echo '«hunter2-fake»' | sudo -S reboot",
            "echo -n «luks-fake-1» | cryptsetup luksOpen /dev/sda2 x -",
        ),
        check=_argument,
    ),
    Rule(
        "here-string",
        "password in a here-string",
        rb"\b(?:chpasswd|passwd|cryptsetup|kinit|sudo|docker|gpg|vncpasswd|zfs|openconnect)\b[^|\n]*?"
        rb"<<<[ \t]*[\"']?(?:[\w.-]+:)?([^\s\"']+)",
        leaks=('cryptsetup luksOpen /dev/sda2 x <<< "«luks-fake-1»"',),
        check=_argument,
    ),
    Rule(
        "htpasswd-argument",
        "password argument of htpasswd, useradd and usermod",
        rb"\bhtpasswd[ \t]+-\w*b\w*[ \t]+(?:\S+[ \t]+)?\S+[ \t]+"
        + _ARG
        + rb"\r?$|\b(?:useradd|usermod)\b[^|\n]*?[ \t](?:-p|--password)[ \t=]+"
        + _ARG,
        leaks=("htpasswd -cb /etc/nginx/ht bob «hunter2-fake»", "useradd -m -p «hashfake12» bob"),
        check=_argument,
    ),
    Rule(
        "vault-login",
        "token argument",
        rb"\b(?:vault|bao)[ \t]+(?:login|unwrap|operator[ \t]+unseal)[ \t]+(?:-\S+[ "
        rb"\t]+)*(?:token=)?([^\s\"'=-][^\s\"'=]{7,})|\btailscale[ \t]+up\b[^|\n]*?--auth-?key[ =]([^\s\"']+)"
        rb"|\bngc[ \t]+config[ \t]+set[ \t]+([^\s\"'-]{20,})"
        rb"|\bwandb[ \t]+login[ \t]+(?:--\S+[ \t]+)*([A-Za-z0-9]{20,})"
        rb"|\bhuggingface-cli[ \t]+login[ \t]+--token[ \t]+(\S+)",
        leaks=("vault login «<26>»", "wandb login «<40h>»"),
        keeps=("vault login -method=oidc",),
    ),
    Rule(
        "audit-arguments",
        "password argument in an audit record",
        rb"\ba\d+=\"-?-(?:password|passwd|pass|token|secret|api-?key|passphrase|P|p|pw|w"
        rb"|auth-token)\"[ \t]+a\d+=\"([^\"]+)\"",
        leaks=('type=EXECVE msg=audit(1.2:3): argc=3 a0="x" a1="--password" a2="«hunter2-fake»"',),
        keeps=('type=EXECVE msg=audit(1.2:3): argc=2 a0="mkdir" a1="-p" a2="/var/x"',),
        check=_not_a_path,
    ),
)


def _no_port_map(value: bytes) -> bool:
    """Say whether `value` is no port, port mapping, path or project name."""
    return (
        not value.replace(b":", b"").replace(b".", b"").replace(b"-", b"").split(b"/")[0].isdigit()
        and not is_path(value)
        and _has_digit_or_mark(value)
    )
