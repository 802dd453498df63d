"""report.html: the verdict over a box as one file without network access."""

from __future__ import annotations

from html import escape

from bilbs_cli.diag import check_lines
from bilbs_cli.diag.checked import Checked


def page(checked: Checked) -> str:
    """Return the page."""
    text = escape("\n".join(check_lines.page(checked)))
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>bilbs</title><pre>{text}</pre></html>\n'
