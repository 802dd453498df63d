"""The contact card of the account, from the desk into this box's state: the pager works without a network from then on."""

from __future__ import annotations

from typing import Any

from bilbs_cli import files, paths
from bilbs_cli.support import card_file
from bilbs_cli.support.api import Desk

LONGEST = 200


def fetch(desk: Desk) -> dict[str, str]:
    """Fetch the card and keep it as the last one in order (`card_file.places`); return its fields.

    What is no line of printable text, and a pager that is no number, is left out: the card that was known stays then.
    Raises as `Desk.get`, `OutputUnwritable`.
    """
    import tomli_w

    found = desk.get("/contact-card")
    fields = {name: found[name].strip() for name in card_file.FIELDS if _is_line(found.get(name))}
    if "pager" in fields and not card_file.digits(fields["pager"]):
        del fields["pager"]
    known = card_file.read(str(paths.state_dir() / card_file.NAME))
    merged = {**(known.values if known else {}), **fields}
    if merged:
        files.private_dir(paths.state_dir())
        files.write_private(paths.state_dir() / card_file.NAME, tomli_w.dumps(merged).encode())
    return merged


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable() and len(value) <= LONGEST
