"""The wallet card of this box: number, account, serial, channels, each with the place it comes from; as text."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bilbs_cli.escape import visible
from bilbs_cli.providers.model import Provider
from bilbs_cli.support import card_file
from bilbs_cli.tables import wrapped

# /sys/class/dmi/id (Documentation/ABI/testing/sysfs-class-dmi): the serial of the product, else of the board; root only.
DMI = Path("/sys/class/dmi/id")
SERIALS = ("product_serial", "board_serial")
NO_SERIAL = frozenset(
    {"", "none", "not specified", "to be filled by o.e.m.", "default string", "system serial number", "0"}
)
LABELS = {"pager": "Pager 24/7", "account": "Account", "serial": "Box serial", "slack": "Slack", "email": "Email"}
BLOCK_WIDTH = 79


class Line(NamedTuple):
    """One line of the card; `value` is empty where nothing knows it, and `origin` says why then."""

    field: str
    value: str
    origin: str

    @property
    def label(self) -> str:
        """Return the words in front of it."""
        return LABELS[self.field]


class WalletCard(NamedTuple):
    """The card of this box, one line for each of `LABELS`, and what was wrong on the way to it."""

    provider: str
    lines: tuple[Line, ...]
    warnings: tuple[str, ...]

    def value(self, field: str) -> str:
        """Return the value of a line, empty where it is not known."""
        return next(line.value for line in self.lines if line.field == field)

    @property
    def uri(self) -> str:
        """Return the `tel:` URI of the pager number; empty without a number."""
        number = self.value("pager")
        return card_file.uri(number) if number else ""


def gather(provider: Provider, account: str | None, env: Mapping[str, str] = os.environ, dmi: Path = DMI) -> WalletCard:
    """Return the card: from the card files, then the setting `account.id`, the box itself, the plan's own channels."""
    found: dict[str, tuple[str, str]] = {}
    warnings: list[str] = []
    own = env.get(card_file.VARIABLE, "").strip()
    if own:
        found["pager"] = (own, card_file.VARIABLE)
    for card in card_file.cards(env):
        warnings += card.warnings
        for name, value in card.values.items():
            found.setdefault(name, (value, card.path))
    if account:
        found.setdefault("account", (account, "account.id"))
    found.setdefault("serial", _serial(dmi))
    for channel in provider.channels:
        if channel.card in LABELS and channel.address and "<" not in channel.address:
            found.setdefault(channel.card, (channel.address, f"the plan, {channel.source}"))
    email = next((one.address for one in provider.channels if "@" in one.address), "")
    if email:
        found.setdefault("email", (email, "the plan"))
    store = "unknown: bilbs support card set"
    return WalletCard(
        provider.name, tuple(Line(name, *found.get(name, ("", store))) for name in LABELS), tuple(warnings)
    )


def _serial(dmi: Path) -> tuple[str, str]:
    denied = False
    for name in SERIALS:
        try:
            text = (dmi / name).read_text(encoding="ascii", errors="replace")[:80].strip()
        except PermissionError:
            denied = True
            continue
        except OSError:
            continue
        if text.lower() not in NO_SERIAL:
            return text, str(dmi / name)
    return (
        "",
        "unknown: only root may read it (or bilbs support card set --serial)"
        if denied
        else "unknown: bilbs support card set",
    )


def page(card: WalletCard, width: int) -> str:
    """Return the card for a terminal, with the place that each line comes from."""
    lines = [f"{card.provider} support"]
    for line in card.lines:
        known = f"{line.value}   ({line.origin})" if line.value else line.origin
        lines += wrapped(known, f"  {line.label:<11} ", width)
    lines += ["", *wrapped("Sev-1 by telephone; everything else: bilbs support contacts", "  ", width)]
    return "\n".join(lines)


def block(card: WalletCard) -> str:
    """Return the card for a login screen: ASCII, at most 79 columns, only what is known; the number first."""
    known = [f"{line.label}: {line.value}" for line in card.lines if line.value] or [
        "no number is known: bilbs support card set"
    ]
    lines = [
        piece for text in (f"{card.provider} support", *known) for piece in wrapped(_ascii(text), "  ", BLOCK_WIDTH)
    ]
    return "\n".join(lines) + "\n"


def for_issue(text: str) -> str:
    """Return text as agetty(8) shows it unchanged: it obeys backslashes in /etc/issue."""
    return text.replace("\\", "\\\\")


def _ascii(text: str) -> str:
    return visible(text).encode("ascii", "backslashreplace").decode("ascii")
