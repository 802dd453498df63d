"""The topics of `bilbs help` that are prose: redaction, offline, air gap, scripting, permissions."""

from __future__ import annotations

Row = tuple[str, str]

REDACTION: tuple[Row, ...] = (
    (
        "removed always",
        "passwords, keys, tokens, community strings, private keys, URLs with credentials: before anything reaches the disk",
    ),
    (
        "kept",
        "host and user names, addresses, serials: they identify the part that is broken. --pseudonymize replaces them",
    ),
    ("survives", "Xids, PCI addresses, UUIDs of GPUs, versions, counters, times"),
    ("the receipt", "redaction.json in the bundle: each rule with its count, and what could not be scanned"),
    (
        "the seal",
        "the finished archive is searched for this host's real secrets, encoded too; a hit stops the bundle (exit 1)",
    ),
    ("undo", "bilbs diag reveal reads pseudonyms back, on the box that made them and nowhere else"),
    ("any file", "bilbs diag redact PATH cleans a file, a folder, a tarball or a pipe by the same rules"),
)

OFFLINE: tuple[Row, ...] = (
    (
        "works without any network",
        "pager, card, contacts, severity, sla, providers, diag, plan list/show/compare, outbox, status, help",
    ),
    (
        "says what it knew last",
        "bilbs status, bilbs plan status --offline, bilbs support inbox show; each with its age",
    ),
    (
        "waits on this disk",
        "bilbs support ticket open|comment|close|...: committed first, sent when there is a line (exit 75 says that it waits)",
    ),
    ("is sent later", "bilbs support outbox flush, by hand or by bilbs-flush.timer; nothing is doubled"),
    ("never waits", "bilbs plan subscribe|cancel|resume: what costs money is agreed to by someone who sees the answer"),
    (
        "needs the desk",
        "ticket list|show|watch, rma, report, hours, visits, invoice, engineer, transcript (exit 69 without it)",
    ),
)

AIR_GAP: tuple[Row, ...] = (
    ("install", "apt install ./bilbs_VERSION_ARCH.deb from a stick, or run bilbs.pyz: nothing is downloaded, ever"),
    ("look", "sudo bilbs diag check; sudo bilbs diag collect: the bundle is one file"),
    ("write", 'bilbs support ticket open -s sev2 -m "..." --diag standard: it waits in the outbox (exit 75)'),
    (
        "carry out",
        "bilbs support outbox export /media/stick/t.bilbs: encrypted with a passphrase, or --encrypt-to a key",
    ),
    ("send", "on a laptop: bilbs login, then bilbs support outbox send t.bilbs: it writes t.bilbs.answer"),
    (
        "carry back",
        "bilbs support inbox import /media/stick/t.bilbs.answer: receipts, numbers, what the engineer wrote",
    ),
    ("again", "the same send a day later brings the answer of that day"),
    ("more", "docs/air-gap.md (with the Debian package: /usr/share/doc/bilbs/air-gap.md)"),
)

SCRIPTING: tuple[Row, ...] = (
    ("--json", 'one document on stdout: {"schema_version", "kind", "data", "warnings", "errors"}; errors too'),
    ("stdout, stderr", "results on stdout, everything else on stderr; a closed stdout (| head) is no error"),
    ("exit status", "bilbs help exit-codes; a verification that fails never exits 0"),
    ("questions", "never where stdin is no terminal: --yes answers, a missing answer names its flag (exit 2)"),
    ("monitoring", "bilbs diag check --format nagios, or --format prometheus -o FILE for a textfile collector"),
    ("hooks", "bilbs diag check --on-change CMD: BILBS_BEFORE, BILBS_NOW, BILBS_CHANGE in its environment"),
    ("tokens", "bilbs login --token-file FILE, BILBS_TOKEN, or the systemd credential bilbs.token; never in argv"),
    ("colours, width", "NO_COLOR, TERM=dumb, COLUMNS and locales that are not UTF-8 are honoured"),
    ("cron", "*/5 * * * * root bilbs diag check --changes-only; */10 * * * * root bilbs support outbox flush"),
)

# What works as which user; tests/test_permissions.py holds the program to it.
PERMISSIONS: tuple[tuple[str, str, str, str], ...] = (
    ("pager, card, contacts, severity, sla, plan list|show|compare, help", "yes", "yes", "yes"),
    ("tickets, outbox, login, plan subscribe|cancel: each user's own", "yes", "yes", "yes"),
    ("diag check, diag collect: what this user may read", "part", "part", "all"),
    ("kernel log, BMC (/dev/ipmi0), SMART, dmidecode, other users' processes", "no", "no", "yes"),
    (
        "sudo bilbs diag check; sudo bilbs diag collect -o - > FILE, where the sudoers file is installed",
        "no",
        "yes",
        "yes",
    ),
    ("settings and card of the machine (/etc/bilbs)", "read", "read", "write"),
    ("state of root (/var/lib/bilbs): outbox, login, baseline", "no", "no", "yes"),
)
