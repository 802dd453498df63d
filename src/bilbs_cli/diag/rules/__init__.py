"""Every rule, in one tuple; docs/rules/ has a page for each."""

from __future__ import annotations

from bilbs_cli.diag.findings import Rule

RULES: tuple[Rule, ...] = ()
