"""The rule pack, in order: the more special rule gives its name to what several rules find. Ids are for ever."""

from bilbs_cli.diag.redaction.rules.commands import COMMANDS
from bilbs_cli.diag.redaction.rules.hashes import HASHES
from bilbs_cli.diag.redaction.rules.network import NETWORK
from bilbs_cli.diag.redaction.rules.records import RECORDS
from bilbs_cli.diag.redaction.rules.services import SERVICES
from bilbs_cli.diag.redaction.rules.tokens import TOKENS
from bilbs_cli.diag.redaction.rules.web import WEB

RULES = (*TOKENS, *HASHES, *WEB, *NETWORK, *COMMANDS, *RECORDS, *SERVICES)
