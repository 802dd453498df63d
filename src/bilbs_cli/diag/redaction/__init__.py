"""Redaction: secrets are taken out of everything on its way into a bundle; identities are disguised on request."""

from bilbs_cli.diag.redaction.custom import CustomRule
from bilbs_cli.diag.redaction.engine import Redactor, Stream
from bilbs_cli.diag.redaction.literals import Gate, encodings
from bilbs_cli.diag.redaction.pseudonyms import Pseudonyms
from bilbs_cli.diag.redaction.receipt import Receipt
from bilbs_cli.diag.redaction.secrets import known_secrets

__all__ = ["CustomRule", "Gate", "Pseudonyms", "Receipt", "Redactor", "Stream", "encodings", "known_secrets"]
