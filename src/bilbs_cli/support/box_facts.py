"""What `diag check` says of this box or of a bundle, asked in a process of its own: a hung driver cannot hang us."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bilbs_cli import files, process
from bilbs_cli.errors import BilbsError
from bilbs_cli.support.choosing import Facts

DEADLINE_S = 60.0
LIMIT = 64 << 20


def of_box(bundle: str | None = None) -> Facts:
    """Return what a check says, of this box or of a bundle. Raises `BilbsError` where it gives no answer in a minute."""
    what = os.path.abspath(bundle) if bundle else None  # noqa: PTH100 - the child starts in /
    done = process.run_bilbs(
        "diag", "check", "--json", *([what] if what else []), timeout_s=DEADLINE_S, max_output=LIMIT
    )
    if done.timed_out:
        raise _problem(f"diag check gave no answer within {DEADLINE_S:.0f} s", bundle)
    return parse(done.stdout, f"diag check of {bundle}" if bundle else "diag check of this box")


def of_file(path: str) -> Facts:
    """Return what a file says: the JSON of `diag check --json`, else a bundle, which is checked. Raises `BilbsError`."""
    try:
        with files.open_regular(Path(path)) as stream:
            head = stream.read(LIMIT) if stream.read(1) == b"{" else b""
    except (OSError, files.NotReadable):
        head = b""  # a folder, or not ours to read: the check says which
    if b'"diag.check"' in head[:200]:
        return parse(b"{" + head, path)
    return of_box(path)


def parse(data: bytes, source: str) -> Facts:
    """Return what the JSON of `bilbs diag check --json` says. Raises `BilbsError` naming `source`."""
    try:
        document = json.loads(data)
        errors = document["errors"]
        checked = document["data"]
        if checked is None:
            raise _problem(f"{source}: {errors[0]['message']}", None)
        suggested = checked["suggested"]
        return Facts(_text(suggested["severity"]), _text(suggested["why"]), _text(checked["status"]), source)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise _problem(f"{source}: that is no output of bilbs diag check --json", None) from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _problem(message: str, bundle: str | None) -> BilbsError:
    return BilbsError(
        message,
        code="no-facts",
        safe="nothing was changed; the guide itself needs no facts",
        next=f"bilbs diag check {bundle or ''}".rstrip() + ", or bilbs support severity",
    )
