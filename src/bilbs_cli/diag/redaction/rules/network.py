"""Secrets of network services: SNMP, Wi-Fi, VPN, IPsec, RADIUS, switches and routers, BMCs."""

from bilbs_cli.diag.redaction.allowed import is_state
from bilbs_cli.diag.redaction.rule import Rule

_WORD = rb"(?:\"([^\"]+)\"|'([^']+)'|([^\s\"']+))"


def _no_state(value: bytes) -> bool:
    return not is_state(value) and value not in {b"default", b"ro", b"rw", b"RO", b"RW", b"version", b"in", b"out"}


def _passphrase(value: bytes) -> bool:
    return _no_state(value) and len(value) >= 6


NETWORK = (
    Rule(
        "snmp-community",
        "SNMP community",
        rb"^[ \t]*(?:r[ow]community6?|(?:trap|auth|default)community(?:[ \t]+[a-z]+(?:,[a-z]+)*)?)[ \t]+" + _WORD,
        leaks=("rocommunity «s3cr3tc0mm» 10.0.0.0/8", "rwcommunity «private9»", "trapcommunity «tr4ps»"),
        keeps=("rocommunity default",),
        check=_no_state,
    ),
    Rule(
        "snmp-com2sec",
        "SNMP community in VACM form",
        rb"^[ \t]*com2sec6?(?:[ \t]+-Cn[ \t]+\S+)?[ \t]+\S+[ \t]+\S+[ \t]+" + _WORD,
        leaks=("com2sec notConfigUser default «pubfake1»",),
        check=_no_state,
    ),
    Rule(
        "snmp-sink",
        "SNMP community of a trap sink",
        rb"^[ \t]*(?:trap2?sink|informsink)[ \t]+\S+[ \t]+" + _WORD,
        leaks=("trap2sink 10.1.1.1 «tr4psfake»",),
        check=_no_state,
    ),
    Rule(
        "snmp-v3-user",
        "SNMP v3 keys",
        rb"\b(?:createUser|usmUser)[ \t]+(?:-[a-z][ \t]+\S+[ \t]+)*\S+[ \t]+(?:MD5"
        rb"|SHA[\d-]*)[ \t]+(?:-[lm][ \t]+)?"
        + _WORD
        + rb"(?:[ \t]+(?:DES|AES[\w-]*|3DES)(?:[ \t]+(?:-[lm][ \t]+)?"
        + _WORD
        + rb")?)?|^usmUser[ \t]+\d+[ \t]+\d+[ \t]+0x\S+[ \t]+.*?[ \t]\.[\d.]+[ \t]+(.*)$",
        leaks=('createUser bob SHA "«authfake12»" AES «privfake34»', "createUser -e 0x80 bob MD5 «authfake12» DES"),
    ),
    Rule(
        "snmp-command",
        "SNMP secrets on a command line",
        rb"\bsnmp\w*\b[^|\n]*?[ \t](?-i:-c|-A|-X|-3[mMkK])[ \t]*"
        + _WORD
        + rb"(?:(?:[ \t]+(?-i:-[xlaun])[ \t]+\S+)*[ \t]+(?-i:-[AX])[ \t]*"
        + _WORD
        + rb")?",
        leaks=(
            "snmpwalk -v2c -c «pubfake1» 10.0.0.1",
            "snmpget -v3 -u bob -l authPriv -a SHA -A «authfake12» -x AES -X «privfake34» host",
        ),
    ),
    Rule(
        "router-snmp",
        "SNMP community in a switch or router",
        rb"\bsnmp(?:-server|-agent)?[ \t]+community[ \t]+(?:(?:read|write|cipher|simple)[ \t]+)*"
        + _WORD
        + rb"|\bsnmp-server[ \t]+host[ \t]+\S+[ \t]+(?:(?:traps"
        rb"|informs)[ \t]+)?(?:version[ \t]+\S+[ \t]+(?:(?:no)?auth[ \t]+|priv[ \t]+)?)?" + _WORD,
        leaks=("snmp-server community «c0mmfake» RO", "snmp-server host 10.0.0.9 version 2c «c0mmfake»"),
        check=_no_state,
    ),
    Rule(
        "router-password",
        "password in a switch or router",
        rb"\b(?:password|secret|key|key-string|md5|authentication-key|cipher|ascii-text|hex)[ \t]+(?:0|4|5|6"
        rb"|7|8|9|encrypted|cipher|ciphertext)[ \t]+(\"[^\"]+\"|\S{4,})",
        leaks=(
            "username bob password 7 «0822455D0A16»",
            "enable secret 5 «fake1merUr00zc»",
            "tacacs-server key 7 «060506324F41»",
        ),
        keeps=("key 7 of 12 pressed", "md5 5 checks done"),
        check=lambda v: _no_state(v) and any(48 <= b <= 57 for b in v),
    ),
    Rule(
        "router-user",
        "password of a user, RADIUS or TACACS key",
        rb"^[ \t]*(?:set[ \t]+)?(?:(?:username|user|local-user)[ \t]+\S+[ \t]+(?:privilege[ \t]+\d+[ "
        rb"\t]+)?(?:password|secret)|(?:radius|tacacs)(?:-server)?(?:[ \t]+host[ \t]+\S+(?:[ \t]+[\w-]+[ "
        rb"\t]+\d+)*)?[ \t]+key|enable[ \t]+(?:password|secret)|(?:neighbor[ \t]+\S+|ip[ \t]+ospf"
        rb"|ntp)[ \t]+(?:password|message-digest-key[ \t]+\d+[ \t]+md5"
        rb"|authentication-key[ \t]+\d+[ \t]+md5))[ \t]+" + _WORD + rb"\r?$",
        leaks=(
            "username bob privilege 15 secret «hunter2fake»",
            "radius-server host 10.0.0.1 key «r4diusfake»",
            " neighbor 10.0.0.2 password «bgpfake12»",
        ),
        check=_no_state,
    ),
    Rule(
        "wifi-command",
        "Wi-Fi passphrase on a command line",
        rb"\bwpa_passphrase[ \t]+(?:\"[^\"]*\"|'[^']*'|\S+)[ \t]+"
        + _WORD
        + rb"|\biwconfig\b.*?\bkey[ \t]+(?:s:)?([^\s\"']{5,})|\bwifi\b.*?\bpassword[ \t]+"
        + _WORD
        + rb"|^[ \t]*(?:wpa-psk|wpa-passphrase|wireless-key\d?|wpa-password)[ \t]+"
        + _WORD,
        leaks=(
            "wpa_passphrase Office «wifi-fake-1»",
            "nmcli dev wifi connect Office password «wifi-fake-1»",
            "    wpa-psk «wifi-fake-1»",
        ),
        keeps=("iwconfig wlan0 key off", "wpa-psk disabled"),
        check=_passphrase,
    ),
    Rule(
        "wireguard-dump",
        "keys in `wg show dump`",
        rb"^(?:[\w.-]+\t)?([A-Za-z0-9+/]{43}=)\t[A-Za-z0-9+/]{43}=\t\d+\t"
        rb"|^(?:[\w.-]+\t)?[A-Za-z0-9+/]{43}=\t([A-Za-z0-9+/]{43}=)\t",
        leaks=("wg0\t«<43>=»\t<43>=\t51820\toff",),
    ),
    Rule(
        "ipsec-secret",
        "secret in ipsec.secrets",
        rb"(?:^|\s):[ \t]*(?-i:PSK|EAP|XAUTH|NTLM|PIN)[ \t]+(?:0[sx])?" + _WORD,
        leaks=('10.0.0.1 10.0.0.2 : PSK "«ipsec-fake-1»"', 'bob : EAP "«eapfake99»"'),
        keeps=("vpn : PIN %prompt",),
        check=lambda v: not v.startswith(b"%") and not is_state(v),
    ),
    Rule(
        "xfrm-key",
        "IPsec key in the kernel",
        rb"\b(?:auth-trunc|auth|enc|aead)[ \t]+\S+[ \t]+(0x[0-9a-f]{16,})",
        leaks=(
            "\tauth-trunc hmac(sha256) 0x«<64h>» 128",
            "\tenc cbc(aes) 0x«<64h>»",
            "\taead rfc4106(gcm(aes)) 0x«<40h>» 128",
        ),
    ),
    Rule(
        "macsec-key",
        "MACsec key",
        rb"\bmacsec\b.*?\bkey[ \t]+\S+[ \t]+([0-9a-f]{32,64})",
        leaks=("ip macsec add macsec0 tx sa 0 pn 1 on key 00 «<32h>»",),
    ),
    Rule(
        "dmcrypt-key",
        "volume key in a dm-crypt table",
        rb"\bcrypt[ \t]+[\w:()-]+[ \t]+([0-9a-f]{32,256})[ \t]+\d+[ \t]",
        leaks=("0 41943040 crypt aes-xts-plain64 «<128h>» 0 8:2 4096",),
        keeps=("0 100 crypt aes-xts-plain64 :64:logon:cryptsetup:x 0 8:2 4096",),
    ),
    Rule("ceph-key", "Ceph key", rb"(?-i:\b(AQ[A-Za-z0-9+/]{36}==))", leaks=("\tkey = «AQ<36>==»",)),
    Rule(
        "cisco-type7-key",
        "pre-shared key of a tunnel",
        rb"\b(?:crypto[ \t]+isakmp[ \t]+key|pre-shared-key(?:[ \t]+(?:local|remote|address[ \t]+\S+"
        rb"|ascii-text|hexadecimal|key))*|isakmp[ \t]+key)[ \t]+(?:[067][ \t]+)?" + _WORD,
        leaks=("crypto isakmp key «tunnelfake1» address 10.0.0.1", 'pre-shared-key ascii-text "«tunnelfake1»"'),
        check=_no_state,
    ),
)
