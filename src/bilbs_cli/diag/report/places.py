"""The slot map of a report: for the person who stands in front of the box and pulls a card."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bilbs_cli.diag import identity
from bilbs_cli.diag.report.markup import Markup, join, tag
from bilbs_cli.diag.slots import SlotRow

MOST = 128
STATES = {
    "in use": "in use",
    "empty": "empty",
    "lost": "LOST: it answers no more",
    "missing": "MISSING: it was here before",
    "unknown": "not known",
}


def slot_map(rows: Sequence[SlotRow], pulled: Collection[str], troubled: Collection[str]) -> Markup:
    """Return the map; `pulled` are the parts to take out, `troubled` those with a critical finding."""
    if not rows:
        return tag("p", "Neither the firmware nor the bus names a slot here.")
    rest = f"and {len(rows) - MOST} more, in facts.json" if len(rows) > MOST else ""
    return join([tag("ul", join(_slot(one, pulled, troubled) for one in rows[:MOST]), class_="slots"), tag("p", rest)])


def _slot(row: SlotRow, pulled: Collection[str], troubled: Collection[str]) -> Markup:
    part = row.gpu.part if row.gpu else ""
    mark = "pull" if part in pulled else "trouble" if part in troubled else ""
    named = (identity.place_of(row.gpu) if row.gpu else "") or (identity.named_slot(row.slot) if row.slot else "")
    return tag(
        "li",
        tag("b", "PULL THIS ONE") if mark == "pull" else tag("b", "LOOK AT THIS ONE") if mark else "",
        tag("strong", named or "slot not known"),
        tag("span", row.content or ("nothing" if row.state == "empty" else "not known what is in it")),
        tag("span", f"serial {row.gpu.serial}" if row.gpu and row.gpu.serial else ""),
        tag("span", row.address, class_="place"),
        tag("span", STATES.get(row.state, row.state), class_="state"),
        class_=f"slot {row.state.replace(' ', '-')} {mark}".strip(),
    )
