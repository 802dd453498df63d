"""Tokens and keys that carry their maker's prefix. Shapes are from the makers' public documentation of their formats."""

from bilbs_cli.diag.redaction.allowed import looks_random
from bilbs_cli.diag.redaction.rule import Rule


def _token(id_: str, title: str, pattern: bytes, leaks: tuple[str, ...], keeps: tuple[str, ...] = ()) -> Rule:
    return Rule(id_, title, rb"(?-i:" + pattern + rb")", leaks, keeps)


TOKENS = (
    _token(
        "jwt",
        "JSON Web Token (RFC 7519)",
        rb"\b(eyJ[\w-]{8,}(?:\.[\w-]+){1,4}(?:\.[\w-]*)?)",
        leaks=("auth ok, jwt «eyJ<20>.eyJ<40>.<43>» accepted", "«eyJ<30>.<20>.<16>.<60>.<22>»"),
    ),
    _token(
        "aws-access-key",
        "AWS access key id",
        rb"\b((?:AKIA|ASIA|ABIA|ACCA|AGPA|AIPA|ANPA|ANVA)[A-Z0-9]{16})\b",
        leaks=("using «AKIA<16u>» in eu-west-1",),
        keeps=("AKIAshort", "region ASIAPACIFIC"),
    ),
    _token(
        "alibaba-access-key",
        "Alibaba Cloud access key id",
        rb"\b(LTAI[A-Za-z0-9]{12,24})\b",
        leaks=("access «LTAI<20>»",),
        keeps=("VOLTAIRE",),
    ),
    _token("tencent-secret-id", "Tencent Cloud secret id", rb"\b(AKID[A-Za-z0-9]{28,36})\b", leaks=("id «AKID<32>»",)),
    _token("google-api-key", "Google API key", rb"\b(AIza[\w-]{35})", leaks=("GET /v1?x=1 with «AIza<35>»",)),
    _token(
        "google-oauth",
        "Google OAuth token or client secret",
        rb"\b(ya29\.[\w.-]{20,}|GOCSPX-[\w-]{20,}|1//0[\w-]{30,})",
        leaks=("got «ya29.a0<60>»", "«GOCSPX-<28>»", "refresh «1//0<40>»"),
    ),
    Rule(
        "azure-client-secret",
        "Azure AD client secret",
        rb"\b([\w~.]{3}[78]Q~[\w~.-]{30,36})",
        leaks=("login with «aB38Q~<31>» ok",),
    ),
    _token("digitalocean-token", "DigitalOcean token", rb"\b(do[oprt]_v1_[a-f0-9]{40,64})", leaks=("«dop_v1_<64h>»",)),
    _token(
        "cloudflare-key",
        "Cloudflare origin CA key",
        rb"\b(v1\.0-[a-f0-9]{24}-[a-f0-9]{100,})",
        leaks=("«v1.0-<24h>-<146h>»",),
    ),
    _token(
        "github-token",
        "GitHub token",
        rb"(?:\b|_)(gh[pousr]_[A-Za-z0-9]{16,255}|github_pat_\w{22,255})",
        leaks=("cloning with «ghp_<36>»", "«github_pat_<22>_<59>»", "«ghs_<36>»"),
        keeps=("ghp_short",),
    ),
    _token(
        "gitlab-token",
        "GitLab token",
        rb"\b(gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct|wt)-[\w.-]{16,}|GR1348941[\w-]{16,})",
        leaks=("«glpat-<20>»", "runner «glrt-<20>»", "«GR1348941<20>»"),
        keeps=("glft-x", "gluster-glrt"),
    ),
    _token(
        "atlassian-token",
        "Bitbucket or Atlassian token",
        rb"\b(AT(?:BB|ATT3|CTT3|SCTT3)[\w=-]{24,})",
        leaks=("«ATBB<32>»", "«ATATT3xFfGF0<60>»"),
    ),
    _token(
        "slack-token",
        "Slack token",
        rb"\b(xox[abceoprs]-[\w.-]{10,}|xapp-\d-[\w-]{20,}|xoxe\.xox[bp]-[\w-]{10,})",
        leaks=("«xoxb-<12d>-<12d>-<24>»", "«xapp-1-A<10>-<13d>-<64h>»"),
    ),
    Rule(
        "slack-webhook",
        "Slack webhook",
        rb"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/+-]{20,})",
        leaks=("POST https://hooks.slack.com/services/«T<8u>/B<8u>/<24>»",),
    ),
    Rule(
        "discord-webhook",
        "Discord webhook",
        rb"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/([\w-]{30,})",
        leaks=("https://discord.com/api/webhooks/<18d>/«<68>»",),
    ),
    Rule(
        "discord-token",
        "Discord bot token",
        rb"discord.*?\b([MNO][\w-]{22,27}\.[\w-]{6,7}\.[\w-]{27,})",
        leaks=("discord client: «MT<23>.<6>.<38>»",),
    ),
    _token(
        "telegram-token",
        "Telegram bot token",
        rb"\b(\d{8,10}:AA[\w-]{30,36})",
        leaks=("https://api.telegram.org/bot/ «<9d>:AA<33>»",),
    ),
    Rule(
        "telegram-url",
        "Telegram bot token in a URL",
        rb"api\.telegram\.org/(?:file/)?bot(\d+:[\w-]{20,})",
        leaks=("GET https://api.telegram.org/bot«<9d>:AA<33>»/getMe",),
    ),
    Rule(
        "teams-webhook",
        "Teams webhook",
        rb"(?:webhook\.office\.com/webhookb2|outlook\.office(?:365)?\.com/webhook)/([^\s\"'<>]{20,})",
        leaks=("https://acme.webhook.office.com/webhookb2/«<8h>-<4h>@<8h>/IncomingWebhook/<32h>/<8h>»",),
    ),
    _token(
        "huggingface-token",
        "Hugging Face token",
        rb"\b(hf_[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{30,})",
        leaks=("pulling with «hf_<34>»",),
        keeps=("hf_transfer enabled", "hf_hub_download(x)"),
    ),
    _token("anthropic-key", "Anthropic key", rb"\b(sk-ant-[\w-]{20,})", leaks=("«sk-ant-api03-<93>-<8>»",)),
    Rule(
        "openai-key",
        "OpenAI key, and others of its form",
        rb"(?-i:\b(sk-[A-Za-z0-9_-]{20,}))",
        leaks=("client sk «sk-proj-<48>»", "«sk-<48>»", "«sk-or-v1-<64h>»"),
        keeps=("task-abcdefghijklmnopqrst-queue", "sk-learn-preprocessing-module-name"),
        check=looks_random,
    ),
    _token(
        "nvidia-key",
        "NVIDIA NGC or build.nvidia.com key",
        rb"\b(nvapi-[\w-]{20,})",
        leaks=("docker login nvcr.io «nvapi-<64>»",),
    ),
    _token(
        "ngc-legacy-key",
        "NGC key of the older form",
        rb"\b(?:ngc|NGC|nvcr)\b.*?\b([a-zA-Z0-9]{20,30}Om[a-zA-Z0-9+/]{40,60}={0,2})",
        leaks=("ngc key «<24>Om<50>»",),
    ),
    _token(
        "model-host-key",
        "Key of a model host",
        rb"\b(r8_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|pplx-[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{20,}"
        rb"|tgp_v1_[\w-]{20,}|fw_[A-Za-z0-9]{20,}|lsv2_(?:pt|sk)_[a-f0-9_]{30,}|pcsk_\w{20,}|dapi[a-f0-9]{32}"
        rb"|rpa_[A-Z0-9]{20,}"
        rb"|wandb_v1_\w{20,}|esecret_\w{20,}|nvidia_api_\w{20,}|jina_\w{30,}|co_[A-Za-z0-9]{36,})",
        leaks=("replicate «r8_<37>»", "«gsk_<52>»", "«dapi<32h>»", "«lsv2_pt_<32h>_<10h>»"),
        keeps=("fw_version 28", "gsk_load"),
    ),
    _token(
        "stripe-key",
        "Stripe key",
        rb"\b((?:sk|rk|pk)_(?:live|test)_\w{10,}|whsec_[A-Za-z0-9+/=]{20,})",
        leaks=("«sk_live_<24>»", "«rk_test_<24>»", "«whsec_<32>»"),
    ),
    _token(
        "paypal-token",
        "PayPal or Braintree token",
        rb"(access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32})",
        leaks=("«access_token$production$<16h>$<32h>»",),
    ),
    _token(
        "square-token",
        "Square token",
        rb"\b(sq0(?:atp|csp|idp)-[\w-]{20,}|EAAA[\w-]{50,})",
        leaks=("«sq0atp-<22>»", "«sq0csp-<43>»", "square «EAAA<60>»"),
    ),
    _token("shop-token", "Shopify token", rb"\b(shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})", leaks=("«shpat_<32h>»",)),
    _token(
        "npm-token", "npm token", rb"\b(npm_[A-Za-z0-9]{30,})", leaks=("«npm_<36>»",), keeps=("npm_config_cache=/x",)
    ),
    _token("pypi-token", "PyPI token", rb"\b(pypi-AgE[\w-]{20,})", leaks=("twine «pypi-AgEIcHlwaS5vcmc<60>»",)),
    _token(
        "registry-token",
        "Docker Hub, RubyGems, crates.io or NuGet token",
        rb"\b(dckr_[a-z]{3}_[\w-]{20,}|rubygems_[a-f0-9]{40,}|cio[A-Za-z0-9]{32}\b|oy2[a-z0-9]{43}\b)",
        leaks=("«dckr_pat_<27>»", "«rubygems_<48h>»", "«oy2<43l>»"),
        keeps=("vmscsio", "cioctl"),
    ),
    _token(
        "artifactory-token",
        "Artifactory token",
        rb"\b(AKCp[A-Za-z0-9]{10,}|cmVmdGtuOj[A-Za-z0-9+/=]{20,})",
        leaks=("«AKCp<69>»",),
    ),
    _token("twilio-key", "Twilio key", rb"\b(SK[0-9a-f]{32})\b", leaks=("«SK<32h>»",)),
    _token(
        "mail-service-key",
        "SendGrid, Mailgun, Mailchimp or Brevo key",
        rb"\b(SG\.[\w-]{16,}\.[\w-]{16,}|key-[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2}"
        rb"|xkeysib-[a-f0-9]{64}-\w{16})\b",
        leaks=("«SG.<22>.<43>»", "«key-<32h>»", "«<32h>-us12»"),
        keeps=("key-1234",),
    ),
    _token(
        "vault-token", "HashiCorp Vault token", rb"\b(hv[sbr]\.[\w-]{20,})", leaks=("«hvs.<90>»", "batch «hvb.<100>»")
    ),
    _token(
        "vault-legacy-token",
        "Vault token of the older form",
        rb"(?i:vault|root_token).*?\b(s\.[A-Za-z0-9]{24})\b",
        leaks=("vault login s «s.<24>» ok",),
    ),
    _token(
        "terraform-token",
        "Terraform Cloud token",
        rb"\b([A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,})",
        leaks=("«<14>.atlasv1.<67>»",),
    ),
    _token(
        "monitoring-key",
        "New Relic, Grafana, Sentry, Dynatrace, Datadog key",
        rb"\b(NRAK-[A-Z0-9]{20,}|NRII-[\w-]{20,}|NRRA-[a-f0-9]{30,}|[0-9a-f]{36}NRAL"
        rb"|glsa_\w{32}_[a-fA-F0-9]{8}|glc_[A-Za-z0-9+/=]{32,}"
        rb"|sntrys_[\w=+/]{20,}|sntryu_[a-f0-9]{40,}|dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{40,}|ddapi_\w{20,}"
        rb"|pdl?us\+_[\w-]{20,})",
        leaks=(
            "«NRAK-<27u>»",
            "«<36h>NRAL»",
            "«glsa_<32>_<8h>»",
            "«glc_<60>»",
            "«sntryu_<64h>»",
            "«dt0c01.<24u>.<64u>»",
        ),
    ),
    _token(
        "platform-token",
        "Token of a hosting platform or developer service",
        rb"\b(lin_api_\w{30,}|ntn_\w{30,}|figd_[\w-]{30,}|pat[A-Za-z0-9]{14}\.[a-f0-9]{64}|dp\.(?:pt|st|ct"
        rb"|sa)\.[\w.-]{30,}"
        rb"|tskey-[\w-]{16,}|nfp_\w{30,}|fo1_[\w-]{30,}|fm[12]_[\w+/=,-]{30,}|sbp_[a-f0-9]{40}|pscale_(?:tkn"
        rb"|pw|oauth)_[\w.-]{20,}"
        rb"|PMAK-[a-f0-9]{20,}-[a-f0-9]{20,}|sgp_\w{30,}|pul-[a-f0-9]{40}|CCIPAT_\w{20,}|bkua_[a-f0-9]{30,}"
        rb"|ops_eyJ[\w+/=-]{30,}"
        rb"|phc_\w{30,}|rnd_\w{20,}|vercel_\w{20,}|ATLAS-\w{20,}|cfut_\w{20,}|sl\.[\w-]{100,}"
        rb"|EAACEdEose0cBA\w+)",
        leaks=("«tskey-auth-<12>-<32>»", "«dp.pt.<43>»", "«pul-<40h>»", "«lin_api_<40>»"),
        keeps=("dp.link rate 8.1", "path.to.module"),
    ),
    _token(
        "age-key",
        "age secret key",
        rb"(AGE-(?:SECRET-KEY|PLUGIN-[A-Z0-9]+)-(?:PQ-)?1?[0-9A-Z]{20,})",
        leaks=("# key\n«AGE-SECRET-KEY-1<58u>»",),
    ),
    _token(
        "secret-sharing-key",
        "1Password or Bitwarden secret key",
        rb"\b(A3-[A-Z0-9]{6}(?:-[A-Z0-9]{5,6}){4,5})\b",
        leaks=("«A3-<6u>-<6u>-<5u>-<5u>-<5u>-<5u>»",),
    ),
)
