"""What is read before the yes, and after it: the quote, the dates of a cancellation, the subscription."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from bilbs_cli.plan.quote import Money, Quote
from bilbs_cli.plan.subscription import ARCHIVED_DAYS, RESTORABLE_MONTHS, Dates
from bilbs_cli.quantities import moment
from bilbs_cli.tables import cells, wrapped

KINDS = {
    "new": "A new subscription, at once.",
    "return": "A subscription again, at once.",
    "upgrade": "More than now, at once: its part of this billing month is due.",
    "downgrade": "Less than now, from the next billing month on; nothing is paid back.",
    "change": "A change at once that costs nothing now.",
}


def day(when: datetime, where: tzinfo) -> str:
    """Return a moment as a day of the account's zone; one that is not midnight with its time."""
    local = when.astimezone(where)
    return f"{local:%Y-%m-%d}" if (local.hour, local.minute) == (0, 0) else f"{local:%Y-%m-%d %H:%M}"


def date(when: datetime, where: tzinfo) -> str:
    """Return the day of a moment in the account's zone."""
    return f"{when.astimezone(where):%Y-%m-%d}"


def quote_page(found: Quote, title: str, where: tzinfo, notes: Sequence[str], width: int) -> str:
    """Return a quote: lines, tax, total, dates, and the words of what is agreed."""
    lines = [*wrapped(title, "", width), *wrapped(KINDS.get(found.kind, "A quote"), "", width), ""]
    amounts = [*found.lines, *([("tax", found.tax)] if found.tax else []), ("due", found.total)]
    for text, amount in amounts:
        lines += _amount(text, amount, width)
    lines += ["", *_dates(found, where, width)]
    lines += ["", "What is agreed, in the desk's words:"]
    for paragraph in found.agreement.splitlines():
        lines += wrapped(paragraph, "  ", width)
    if found.restores:
        text = f"The channel and its history come back: the last subscription ended less than {RESTORABLE_MONTHS} months ago."
        lines += ["", *wrapped(text, "", width)]
    for note in notes:
        lines += ["", *wrapped(note, "", width)]
    return "\n".join(lines)


def _amount(text: str, amount: Money, width: int) -> list[str]:
    """Return a line with its amount at the right."""
    shown = str(amount)
    room = min(width, 78) - len(shown) - 4
    folded = wrapped(text, "  ", room)
    return [*folded[:-1], folded[-1] + " " * (room - cells(folded[-1]) + 2) + shown]


def _dates(found: Quote, where: tzinfo, width: int) -> list[str]:
    monthly = f" ({found.monthly} before tax)" if found.monthly else ""
    rows = [("first billed", date(found.first_billing, where))]
    if found.next_billing:
        rows.append(("then each month", f"next on {date(found.next_billing, where)}{monthly}"))
    rows.append(("quote holds until", f"{found.expires.astimezone(where):%Y-%m-%d %H:%M %Z}"))
    return [line for name, said in rows for line in wrapped(said, f"  {name:18}", width)]


def cancel_page(data: Mapping[str, Any], found: Dates, where: tzinfo, width: int) -> str:
    """Return everything that a cancellation means, each date with what ends on it."""
    zone = getattr(where, "key", str(where))
    lines = wrapped(f"Support, {data['tier']}, {boxes(data['boxes'])}: cancelling it means", "", width)
    rows = (
        (found.effective, "the subscription ends, with its billing month; until then nothing changes"),
        (found.channel_archived, f"the channel is archived, {ARCHIVED_DAYS} days after the end"),
        (found.export_until, "last moment to export the transcript: bilbs support transcript export"),
        (
            found.restorable_until,
            f"last moment to come back with channel and history, {RESTORABLE_MONTHS} months after the end",
        ),
    )
    for when, what in rows:
        lines += wrapped(what, f"  {day(when, where):<18}", width)
    lines += [f"  (days of {zone})", ""]
    lines += wrapped(f"{_listed(data['open_tickets'], 'number')}", "open tickets   ", width)
    lines += wrapped(f"{_listed(data['open_rmas'], 'id')}", "open RMAs      ", width)
    lines += wrapped(_hours(data), "hours left     ", width)
    return "\n".join(lines)


def boxes(count: Any) -> str:
    """Return a number of boxes for people."""
    return "1 box" if count == 1 else f"{count} boxes"


def _listed(rows: Sequence[Mapping[str, Any]] | None, name: str) -> str:
    if rows is None:
        return "not known: the desk did not say"
    if not rows:
        return "none"
    return f"{len(rows)}: " + "; ".join(
        f"{row.get(name)} {row.get('subject') or row.get('state') or ''}".strip() for row in rows[:10]
    )


def _hours(data: Mapping[str, Any]) -> str:
    unused, prepaid = data["unused_hours"], data["prepaid_hours_lost"]
    if unused is None:
        return "not known: the desk did not say"
    lost = f"; {prepaid:g} of them are prepaid, and lost with the end" if prepaid else ""
    return f"{unused:g} consulting hours are not used{lost}" if unused else "none"


def status_page(data: Mapping[str, Any], where: tzinfo, width: int) -> str:
    """Return the plan on one screen."""
    lines = []
    for name, said in _status(data, where):
        lines += wrapped(said, f"{name:14}", width)
    return "\n".join(lines)


def _status(data: Mapping[str, Any], where: tzinfo) -> list[tuple[str, str]]:
    if data["state"] == "none":
        rows = [("plan", "none: bilbs plan list shows what can be had; tickets and the pager work without")]
    else:
        rows = [("plan", f"Support, {data['tier']}, {boxes(data['boxes'])}: {data['state']}{_price(data)}")]
        rows += _periods(data, where)
    rows += [(one["id"].replace("_", " "), _entitled(one)) for one in data["entitlements"] or []]
    if data["prepaid_hours_left"]:
        rows.append(("prepaid", f"{data['prepaid_hours_left']:g} consulting hours left"))
    review = moment(data["next_review_at"])
    rows.append(("review", f"next {day(review, where)}" if review else "next one not announced"))
    rows += _attained(data["attainment"], where)
    return rows


def _price(data: Mapping[str, Any]) -> str:
    found = _object(data["monthly"])
    return f", {found.get('amount')} {found.get('currency')} a month before tax" if found else ""


def _object(found: Any) -> Mapping[str, Any]:
    """Return an object of the desk; what is none says nothing."""
    return found if isinstance(found, dict) else {}


def _periods(data: Mapping[str, Any], where: tzinfo) -> list[tuple[str, str]]:
    period, then = _object(data["period"]), _object(data["next"])
    begins, ends = moment(period.get("begins_at")), moment(period.get("ends_at"))
    rows = []
    if begins and ends and data["state"] in {"active", "cancelling"}:
        rows.append(("period", f"{day(begins, where)} until {day(ends, where)} ({getattr(where, 'key', where)})"))
    at = moment(then.get("at"))
    if at:
        rows.append(("from then on", f"{then.get('tier')}, {boxes(then.get('boxes'))}, from {day(at, where)}"))
    for name, what in (
        ("effective_at", "ends" if data["state"] == "cancelling" else "ended"),
        ("transcript_export_until", "export until"),
        ("restorable_until", "come back by"),
    ):
        at = moment(data[name])
        if at and data["state"] != "active":
            rows.append((what, day(at, where)))
    if data["state"] == "cancelling":
        rows.append(("", "bilbs plan resume support takes the cancellation back"))
    return rows


def _entitled(one: Mapping[str, Any]) -> str:
    per = {"": "", "once": " once"}.get(one["per"], f" this {one['per']}")
    if one["included"] is None:
        used = "" if one["used"] is None else f"; {one['used']:g} used"
        return f"{one['text']}{used}"
    if one["used"] is None:
        return f"{one['included']:g} {one['unit']}{per} included; how many are used the desk does not say"
    return f"{one['used']:g} of {one['included']:g} {one['unit']} used{per}, {one['left']:g} left"


def _attained(found: Mapping[str, Any] | None, where: tzinfo) -> list[tuple[str, str]]:
    if found is None:
        return [("attainment", "not known: the desk did not say")]
    settled = found["met"] + len(found["breaches"])
    if not settled:
        text = f"{found['month']}: no first response came due yet"
    else:
        text = f"{found['month']}: {found['met']} of {settled} first responses in time ({found['percent']:.1f} %)"
    text += f"; promised {found['promised']:g} %" if found["promised"] is not None else "; no figure is promised"
    rows = [("attainment", text)]
    for one in found["breaches"]:
        due = moment(one["due_at"])
        rows.append(
            ("  late", f"{one['number']} {one['severity']}, due {day(due, where) if due else '?'}: {one['subject']}")
        )
    return rows
