"""Prices, entitlements and limits of a plan in the words that people read."""

from collections.abc import Iterable

from bilbs_cli.providers.model import Entitlement, Price, Provider, Target

HOURS_24X7 = "24x7"


def price_words(price: Price) -> str:
    """Return a price for people: `from $2,500 a month`."""
    amount = f"{price.amount:,.2f}".removesuffix(".00")
    sign = "$" if price.currency == "USD" else f"{price.currency} "
    what = f" ({price.what})" if price.what else ""
    once = "once" if price.per == "once" else f"a {price.per}" if price.per != "hour" else "an hour"
    return f"{'from ' if price.starts_at else ''}{sign}{amount} {once}{what}" if price.amount else "free"


def entitled(one: Entitlement) -> str:
    """Return the count of an entitlement for people, empty where it is not counted."""
    if one.amount is None:
        return ""
    per = {"once": " once", "": ""}.get(one.per, f" a {one.per}")
    return f" [{one.amount:g}{'' if one.unit == '%' else ' '}{one.unit}{per}]"


def ours(assumed: Iterable[str]) -> str:
    """Return the mark of what is ours and not the document's, empty where all of it is the document's."""
    keys = sorted(assumed)
    return f" (assumed{'' if keys == ['all'] else ': ' + ', '.join(keys)})" if keys else ""


def limit_s(provider: Provider, target: Target) -> int:
    """Return a limit in seconds of its calendar; 0 for one that is no time."""
    if target.limit.days and target.calendar:
        return target.limit.days * provider.calendar(target.calendar).day_s
    return target.limit.seconds


def promise(provider: Provider, target: Target) -> str:
    """Return a limit with the hours in which it counts: `4h in business hours`, `1h, 24x7`."""
    if target.limit.kind not in {"time", "business_days"} or not target.calendar:
        return target.limit.text.replace("_", " ")
    calendar = provider.calendar(target.calendar)
    return f"{target.limit.text}, {HOURS_24X7}" if calendar.always else f"{target.limit.text}, {calendar.hours}"
