"""Every rule, in one tuple; docs/rules/ has a page for each."""

from __future__ import annotations

from bilbs_cli.diag.findings import Rule
from bilbs_cli.diag.rules import memory, sxid, xid

RULES: tuple[Rule, ...] = (
    *xid.XID_RULES,
    *sxid.SXID_RULES,
    *memory.RULES,
)
