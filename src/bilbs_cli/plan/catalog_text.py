"""The pages of `bilbs plan list`, `show` and `compare`: a table of 80 columns, and Markdown for a purchase request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bilbs_cli.escape import visible
from bilbs_cli.plan.catalog import NONE, Offer, Row, rows, when
from bilbs_cli.providers.model import METRICS, Target
from bilbs_cli.providers.words import entitled, ours, price_words, promise
from bilbs_cli.tables import cells, folded, wrapped

NAME = 16  # columns of a feature's name
LEAST = 19  # columns that a tier needs to be read
GAP = "  "


def page(offer: Offer, width: int) -> str:
    """Return everything that one tier says, each with the section that says it."""
    provider, tier = offer.provider, offer.tier
    lines = wrapped(f"{offer.title}: {provider.document}, as of {provider.version}", "", width)
    if tier and tier.best_for:
        lines += wrapped(tier.best_for, "for     ", width)
    for price in offer.prices:
        lines += wrapped(f"{price_words(price)}   {price.source}", "price   ", width)
    if not offer.prices:
        lines.append("price   none is published")
    if offer.contact:
        lines += wrapped(f"ask {offer.contact}", "how     ", width)
    elif tier and tier.self_service:
        lines += wrapped(f"bilbs plan subscribe support --tier {tier.id}", "how     ", width)
    lines += ["", "First response", *_responses(offer, width)]
    others = [target for metric in METRICS if metric != "first_response" for target in offer.targets(metric)]
    if others:
        lines += ["", "Also promised"]
        for target in others:
            lines += _target(offer, target, f"{METRICS[target.metric]}: {when(offer, target)}", width)
    if offer.entitlements:
        lines += ["", "Included"]
        for entry in offer.entitlements:
            lines += wrapped(f"{entry.text}{entitled(entry)}   {entry.source}{ours(entry.assumed)}", "  - ", width)
    lines += ["", "Channels, the first one first"]
    for number, channel in enumerate(offer.channels, 1):
        lines += wrapped(f"{channel.name}: {channel.address or 'on the wallet card'}", f"  {number}. ", width)
    terms = [term for term in provider.terms if not term.tiers or (tier and tier.id in term.tiers)]
    if terms:
        lines += ["", "Terms"]
        for term in terms:
            lines += wrapped(f"{term.text}   {term.source}{ours(term.assumed)}", "  - ", width)
    return "\n".join(lines)


def _responses(offer: Offer, width: int) -> Iterator[str]:
    for level in offer.provider.severities:
        found = offer.targets("first_response", level.id)
        if not found:
            yield from wrapped("nothing is promised", f"  {level.name:<10} ", width)
        for target in found:
            yield from _target(offer, target, f"{level.name}: ", width)


def _target(offer: Offer, target: Target, head: str, width: int) -> list[str]:
    outer = " (outer limit)" if target.role == "outer" else ""
    return wrapped(
        f"{head}{promise(offer.provider, target)}{outer}   {target.source}{ours(target.assumed)}", "  - ", width
    )


def side_by_side(compared: Sequence[Offer], width: int) -> str:
    """Return a comparison as a table; tiers that do not fit beside each other stand in a further table below."""
    each = max((width - NAME) // (LEAST + len(GAP)), 1)
    blocks = [compared[start : start + each] for start in range(0, len(compared), each)]
    return "\n\n".join("\n".join(_block(block, width)) for block in blocks)


def _block(compared: Sequence[Offer], width: int) -> Iterator[str]:
    room = max((width - NAME) // len(compared) - len(GAP), LEAST)
    yield from _line(Row("", tuple(one.title for one in compared)), room)
    yield "-" * min(width, NAME + (room + len(GAP)) * len(compared))
    for row in rows(compared):
        yield from _line(row, room)


def _line(row: Row, room: int) -> Iterator[str]:
    columns = [_folded(row.name, NAME), *(_folded(cell, room) for cell in row.cells)]
    sizes = [NAME, *([room] * len(row.cells))]
    for number in range(max(map(len, columns))):
        parts = [column[number] if number < len(column) else "" for column in columns]
        padded = [part + " " * (size - cells(part)) for part, size in zip(parts, sizes, strict=True)]
        yield GAP.join(padded).rstrip()


def _folded(text: str, room: int) -> list[str]:
    """Return a cell in lines of at most `room` columns; a word that is longer is cut."""
    lines = folded(visible(text), room)  # textwrap would cost as much as reading the plans
    return [part for line in lines for part in (line[at : at + room] for at in range(0, max(len(line), 1), room))]


def unmet_lines(unmet: Sequence[tuple[Offer, Sequence[str]]], width: int) -> list[str]:
    """Return the tiers that do not have what is needed, each with the reasons."""
    lines = []
    size = max((len(one.name) for one, _ in unmet), default=0)
    for one, reasons in unmet:
        lines += wrapped("; ".join(reasons), f"  {one.name:<{size}}  ", width)
    return lines


def markdown(compared: Sequence[Offer], unmet: Sequence[tuple[Offer, Sequence[str]]], needs: str) -> str:
    """Return a comparison as Markdown (GFM table), with the documents that it is made of."""
    lines = ["# Support plans compared", ""]
    if needs:
        lines += [f"Needed: `{_cell(needs)}`", ""]
    if compared:
        lines += [_row(["", *(one.title for one in compared)]), _row(["---"] * (len(compared) + 1))]
        lines += [_row([f"**{row.name}**", *row.cells]) for row in rows(compared)]
    else:
        lines.append("No tier has all of it.")
    if unmet:
        lines += ["", "Not suitable:", "", *(f"- {_cell(one.title)}: {_cell('; '.join(why))}" for one, why in unmet)]
    documents = dict.fromkeys(
        f"{one.provider.name}: {one.provider.document}, {one.provider.version}" for one in compared
    )
    lines += ["", *(f"Source: {_cell(text)}" + "  " for text in documents)]
    return "\n".join(lines).rstrip()


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(_cell(text) for text in texts)} |"


def _cell(text: str) -> str:
    """Return text that cannot leave its cell, nor become markup."""
    plain = visible(" ".join(text.split())).replace("\\", "\\\\")
    for char in "|<>`[]":
        plain = plain.replace(char, f"\\{char}")
    return plain


def summary(one: Offer) -> tuple[str, ...]:
    """Return the row of a tier in the list: its name, price, how to get it, the first responses."""
    found = [one.response(level.id) for level in one.provider.severities]
    times = [target.limit.text if target else NONE for target in found]
    price = price_words(one.monthly).removesuffix(" a month") if one.monthly else "not published"
    how = "self-service" if one.tier and one.tier.self_service else "contact" if one.contact else NONE
    return (one.name, price, how, " / ".join(times if len(set(times)) > 1 else times[:1]))
