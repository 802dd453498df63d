"""HTTP headers, URLs, signed links and database URLs."""

import base64
import binascii
import re

from bilbs_cli.diag.redaction.allowed import is_plain_word, is_state, looks_random
from bilbs_cli.diag.redaction.rule import Rule

_SCHEMES = rb"(?:basic|bearer|token|bot|negotiate|ntlm|apikey|api-key|key|sso-key|ssws|geniekey|kerberos|zoho-oauthtoken|x-api-key)"
_LISTS = (
    rb"(?:digest|oauth|aws4-hmac-sha256|hawk|signature|sharedaccesssignature|sharedkey(?:lite)?|goog4-rsa-sha256)[ \t]+"
)
_QUOTE = rb"(?:\\*[\"'])?"
_GAP = rb"\\*[\"'\])]*[ \t]*(?:=>|[:=,])[ \t]*(?:\[[ \t]*)?(?:[bu]?\\*[\"'])?"


def _credential(value: bytes) -> bool:
    return (
        len(value) >= 4
        and not is_state(value)
        and not re.fullmatch(_SCHEMES, value.lower())
        and not (is_plain_word(value) and len(value) < 12)
    )


def _bearer(value: bytes) -> bool:
    return len(value) >= 8 and not (value.isalpha() and len(value) < 24)


def _user_and_password(value: bytes) -> bool:
    try:
        return b":" in base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        return False


def _no_port(value: bytes) -> bool:
    return not re.match(rb"\d{1,5}(?:/|$)", value) and not is_state(value)


def _signature(value: bytes) -> bool:
    return len(value) >= 8 and not is_state(value) and not value.isdigit()


WEB = (
    Rule(
        "http-authorization-list",
        "Digest, OAuth and signature headers",
        rb"'(?:proxy-)?authorization[ \t]*:[ \t]*" + _LISTS + rb"([^']*)"
        rb"|\"(?:proxy-)?authorization[ \t]*:[ \t]*" + _LISTS + rb"((?:[^\"\\]|\\.)*)"
        rb"|authorization(?:\\*[\"'\])])*[ \t]*(?:=>|[:=,])[ \t]*\[?[bu]?"
        rb"(?:'" + _LISTS + rb"([^']*)|\"" + _LISTS + rb"((?:[^\"\\]|\\.)*)|" + _LISTS + rb"(.*))",
        leaks=(
            'Authorization: Digest «username="bob", nonce="<32h>", response="<32h>"»',
            "-H 'Authorization: Digest «a=\"<32h>\"»' https://x",
            "Authorization: AWS4-HMAC-SHA256 «Credential=<20u>/20261121/x, Signature=<64h>»",
        ),
    ),
    Rule(
        "http-authorization",
        "Authorization header",
        rb"authorization" + _GAP + rb"(?:" + _SCHEMES + rb"[ \t]+)?(?:token=)?" + _QUOTE + rb"([^\s\"'\\,;<>\])}]{2,})",
        leaks=(
            "Authorization: Basic «<24b>»",
            "'authorization': 'Bearer «<40>»'",
            "Proxy-Authorization: Basic «<24b>»",
            "Authorization: «<32>»",
            'Authorization: Token token="«<20>»"',
            "Authorization:[Bearer «<24>»]",
        ),
        keeps=("authorization: failed", "Authorization: required", "authorization=enabled"),
        check=_credential,
    ),
    Rule(
        "bearer-token",
        "bearer token outside a header",
        rb"\bbearer[ \t]+([A-Za-z0-9._~+/=-]{8,})",
        leaks=("sent bearer «<32>»",),
        keeps=("bearer authentication failed", "Bearer token"),
        check=_bearer,
    ),
    Rule(
        "basic-credentials",
        "user:password in base64",
        rb"\bbasic[ \t]+([A-Za-z0-9+/_-]{8,}={0,2})",
        leaks=("sent Basic «Ym9iOmh1bnRlcjItZmFrZQ==»",),
        keeps=("Basic information follows", "basic building"),
        check=_user_and_password,
    ),
    Rule(
        "set-cookie",
        "cookie that a server sets",
        rb"\bset-cookie2?" + _GAP + rb"[^\s=;,\"']{1,80}=([^\s;\"']+)",
        leaks=("Set-Cookie: SESS=«<32h>»; Path=/; HttpOnly", '"set-cookie": ["sid=«<20>»; Secure"]'),
    ),
    Rule(
        "cookie",
        "cookies that a client sends",
        rb"(?:^|[^-\w])cookie" + _GAP + rb"([^\r\n\"'=]{1,80}=[^\r\n\"']+)",
        leaks=("Cookie: «a=<16>; sid=<32h>»", "-H 'Cookie: «session=<20>»'"),
        keeps=("fscache: cookie=00000000",),
        check=_signature,
    ),
    Rule(
        "session-cookie",
        "session cookie by its name",
        rb"\b(?:jsessionid|phpsessid|asp\.net_sessionid|connect\.sid|laravel_session|sessionid|csrftoken"
        rb"|_gh_sess|sails\.sid)=([^\s;&\"']{8,})",
        leaks=("GET / PHPSESSID=«<26l>»",),
    ),
    Rule(
        "sentry-secret",
        "secret part of a Sentry DSN",
        rb"://[0-9a-f]{32}:([0-9a-f]{32})@",
        leaks=("https://<32h>:«<32h>»@sentry.local/2",),
    ),
    Rule(
        "url-password",
        "password in a URL",
        rb"://[^\s/?#:@\"'<>\\]*:([^\s\"'<>/?#]+)@[\w.\[%-]",
        leaks=(
            "postgres://svc:«hunter2-fake»@db.local/x",
            "redis://:«<16>»@cache:6379/0",
            "https://bob:«p@ss:w0rd»@host/",
            "mongodb+srv://u:«<12>»@c0.mongodb.net",
        ),
        keeps=("http://registry:5000/img@sha256:0123", "http://localhost:8080/", "ssh://git@host:22/x"),
        check=_no_port,
    ),
    Rule(
        "url-password-slash",
        "password with a slash in a URL",
        rb"://[^\s/?#:@\"'<>\\]*:([^\s\"'<>@]+)@[\w.-]+(?:[:/,?]|[\s\"']|$)",
        leaks=("postgresql://u:«ab/cd-fake1»@db/x",),
        keeps=("docker://reg:5000/nv/cuda@sha256:ab", "https://host:443/a@b"),
        check=_no_port,
    ),
    Rule(
        "url-token",
        "token in place of a user in a URL",
        rb"://([^\s/?#:@\"'<>\\]{16,})(?::(?:x-oauth-basic)?)?@",
        leaks=("https://«<32h>»@o1.ingest.sentry.io/42", "git clone https://«a1<30>»@host/x.git"),
        keeps=("https://deploy-user@host/x",),
        check=looks_random,
    ),
    Rule(
        "dsn-password",
        "password in a driver's DSN",
        rb"[^\s:/@\"'=]{1,64}:([^\s\"'@/]+)@(?:tcp|unix|udp|tcp6)\(",
        leaks=("dsn svc:«<14>»@tcp(10.0.0.5:3306)/app",),
    ),
    Rule(
        "oracle-password",
        "password in an Oracle connection",
        rb"\b(?:jdbc:oracle:\w+:|sqlplus[ \t]+(?:-\w+[ \t]+)*|sqlldr[ \t]+|expdp[ \t]+|impdp[ \t]+"
        rb"|rman[ \t]+target[ \t]+)[\w.$-]+/([^\s@\"']+)@?",
        leaks=("jdbc:oracle:thin:scott/«<10>»@//db:1521/x", "sqlplus -s app/«<12>»@ORCL"),
    ),
    Rule(
        "sas-signature",
        "Azure shared access signature",
        rb"\bsharedaccesssignature[ =:].*?\bsig=([^\s&\"';]+)|\b(?:se|sp|sr|sv"
        rb"|skn)=[^\s&\"']+&(?:[^\s\"']*&)?sig=([^\s&\"';]+)",
        leaks=("SharedAccessSignature sr=x&sig=«<43>%3d»&se=1&skn=k",),
    ),
    Rule(
        "signed-url",
        "signature of a pre-signed URL",
        rb"[?&;](?:amp;)?(?:x-(?:amz|goog|oss|cos|obs)-(?:signature|credential|security-token)|sig|signature"
        rb"|awsaccesskeyid|googleaccessid|ossaccesskeyid"
        rb"|x-emc-signature|hmac|se_sig|policy|key-pair-id|ticket|samlresponse|samlrequest|assertion"
        rb"|code_verifier|client_assertion)=([^\s&\"'<>#;,)\\]+)",
        leaks=(
            "https://b.s3.amazonaws.com/o?X-Amz-Credential=«<20u>%2Fx»&X-Amz-Signature=«<64h>»",
            "https://a.blob.core.windows.net/c?sv=2022&sig=«<43b>%3D»",
        ),
        keeps=("?sort=asc&policy=none",),
        check=_signature,
    ),
    Rule(
        "url-key",
        "key or code in a query",
        rb"[?&](?:amp;)?(?:key|apikey|auth|access|jwt|session|sid|code|otp|pass|pw|passwd)=([^\s&\"'<>#]{8,})",
        leaks=("GET /maps?v=2&key=«a1<30>»",),
        keeps=("?page=2&key=uptime_in_seconds",),
        check=looks_random,
    ),
)
