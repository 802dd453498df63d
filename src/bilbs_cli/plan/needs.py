"""What someone needs of a plan, as text (`response:critical<=1h,24x7`), and whether an offer has it."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli.plan.catalog import Offer
from bilbs_cli.providers.limits import parse_limit
from bilbs_cli.providers.words import limit_s, price_words, promise

GRAMMAR = (
    ("response:LEVEL<=TIME", "first response to a severity, for example response:critical<=1h"),
    ("24x7", "the levels named before, else the most severe one, are answered at every hour; or 24x7:LEVEL"),
    ("price<=AMOUNT", "a month, in the currency of the plan; a price from which a range starts does not fulfil it"),
    ("ID>=NUMBER", "an entitlement, for example consulting>=4, contacts>=10, onsite>=1"),
    ("attainment>=PERCENT", "response targets met in a month; availability>=99.9 likewise"),
    ("channel:WORD", "a channel, for example channel:slack, channel:phone"),
    ("self-service", "it can be subscribed to from here"),
)


class Need(NamedTuple):
    """One condition. `unmet` returns why an offer does not fulfil it, or an empty text."""

    text: str
    unmet: Callable[[Offer], str]


def parsed(text: str) -> tuple[Need, ...]:
    """Return the conditions of a text, which are separated by commas. Raises `ValueError`, which names the part."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ValueError(f"{text!r}: nothing stands between two commas, or at an end")
    levels: list[str] = []
    found = []
    for part in parts:
        found.append(_need(part, tuple(levels)))
        if part.startswith("response:"):
            levels.append(part.removeprefix("response:").partition("<=")[0].strip())
    return tuple(found)


def _need(part: str, levels: tuple[str, ...]) -> Need:
    name, operator, value = _split(part)
    kind, _, what = name.partition(":")
    match kind, operator:
        case "response", "<=" if what:
            return Need(part, _response(what, _seconds(part, value)))
        case "24x7", "":
            return Need(part, _always((what,) if what else levels))
        case "price", "<=" if not what:
            return Need(part, _price(_number(part, value)))
        case (("attainment" | "availability"), ">=") if not what:
            return Need(part, _percent(kind, _number(part, value)))
        case "channel", "" if what:
            return Need(part, _channel(what))
        case "self-service", "" if not what:
            return Need(part, lambda offer: "" if offer.tier and offer.tier.self_service else "not self-service")
        case _, ">=" if kind.replace("_", "").isalnum() and not what:
            return Need(part, _entitlement(kind, _number(part, value)))
    near = get_close_matches(
        kind, ("response", "price", "attainment", "availability", "channel", "self-service", "24x7"), n=1
    )
    raise ValueError(
        f"{part!r} is no need{f'; did you mean {near[0]}?' if near else ''}; write {', '.join(form for form, _ in GRAMMAR)}"
    )


def _split(part: str) -> tuple[str, str, str]:
    for operator in ("<=", ">="):
        name, found, value = part.partition(operator)
        if found:
            return name.strip(), found, value.strip()
    return part, "", ""


def _seconds(part: str, text: str) -> int:
    try:
        limit = parse_limit(text)
    except ValueError:
        limit = None
    if limit is None or limit.kind != "time":
        raise ValueError(f"{part!r}: {text!r} is no time; write 15min, 1h or 1 week")
    return limit.seconds


def _number(part: str, text: str) -> float:
    bare = text.removesuffix("%").strip()
    if not bare.replace(".", "", 1).isdecimal() or not bare.isascii():
        raise ValueError(f"{part!r}: {text!r} is no number")
    return float(bare)


def _response(level: str, seconds: int) -> Callable[[Offer], str]:
    def unmet(offer: Offer) -> str:
        severity = offer.provider.severity(level)
        if severity is None:
            return f"it has no level {level}"
        found = offer.response(severity.id)
        if found is None:
            return f"{severity.name}: nothing is promised"
        within = limit_s(offer.provider, found)
        return "" if 0 < within <= seconds else f"{severity.name}: {promise(offer.provider, found)}"

    return unmet


def _always(levels: tuple[str, ...]) -> Callable[[Offer], str]:
    def unmet(offer: Offer) -> str:
        for level in levels or (offer.provider.severities[0].id,):
            severity = offer.provider.severity(level)
            if severity is None:
                return f"it has no level {level}"
            if not offer.always(severity.id):
                found = offer.response(severity.id)
                return f"{severity.name}: {promise(offer.provider, found) if found else 'nothing is promised'}"
        return ""

    return unmet


def _price(most: float) -> Callable[[Offer], str]:
    def unmet(offer: Offer) -> str:
        price = offer.monthly
        if price is None:
            return "no price is published"
        return "" if price.amount <= most and not price.starts_at else price_words(price)

    return unmet


def _percent(metric: str, least: float) -> Callable[[Offer], str]:
    def unmet(offer: Offer) -> str:
        found = offer.percent(metric)
        if found is None:
            return f"no {metric} is promised"
        return "" if found >= least else f"{metric} {found:g} %"

    return unmet


def _entitlement(name: str, least: float) -> Callable[[Offer], str]:
    def unmet(offer: Offer) -> str:
        entry = next((entry for entry in offer.entitlements if name in {entry.id, entry.id.replace("_", "")}), None)
        if entry is None:
            return f"{name} is not included"
        unlimited = entry.amount is None and "unlimited" in entry.text.lower()
        return "" if unlimited or (entry.amount is not None and entry.amount >= least) else entry.text

    return unmet


def _channel(word: str) -> Callable[[Offer], str]:
    def unmet(offer: Offer) -> str:
        wanted = word.lower()
        there = any(wanted == channel.id or wanted in channel.name.lower() for channel in offer.channels)
        return "" if there else f"no channel {word}"

    return unmet
