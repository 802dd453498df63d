"""The timeline of a report: a picture of when things happened, and the list with the place of every line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bilbs_cli.diag.report.markup import Markup, join, tag
from bilbs_cli.diag.timeline import Moment
from bilbs_cli.quantities import show_time

LANES = {"boot": "boot", "kernel": "kernel", "aer": "PCIe", "sel": "BMC", "service": "service"}
LEFT, RIGHT, LANE = 48.0, 312.0, 16.0
TICKS = ((1, "1 s"), (60, "1 min"), (3600, "1 h"), (86400, "1 d"), (30 * 86400, "30 d"), (365 * 86400, "1 y"))


def story(moments: Sequence[Moment], anchors: Mapping[str, str]) -> Markup:
    """Return picture and list, oldest first; `anchors` gives the anchor of a finding by its key."""
    if not moments:
        return tag("p", "Nothing with a time was found.")
    happened = [one for one in moments if one.source in LANES]
    rows = tag("ol", join(_row(one, anchors) for one in moments), class_="moments")
    return join([_picture(happened) if len(happened) > 1 else "", rows])


def _picture(moments: Sequence[Moment]) -> Markup:
    """Return the moments by their age at the last of them, on a logarithmic scale: minutes and months in one picture."""
    lanes = [name for name in LANES if any(one.source == name for one in moments)]
    last = max(one.at for one in moments)
    ages = [(last - one.at).total_seconds() for one in moments]
    longest = math.log1p(max(*ages, 60.0))
    height = len(lanes) * LANE + 20
    parts = [tag("text", "time before the last event", x=LEFT, y=f"{height - 2:.0f}", class_="axis")]
    for seconds, words in TICKS:
        if math.log1p(seconds) < longest:
            x = _x(seconds, longest)
            parts.append(tag("line", x1=x, x2=x, y1=0, y2=f"{height - 19:.0f}", class_="tick"))
            parts.append(tag("text", words, x=x, y=f"{height - 11:.0f}", class_="axis middle"))
    parts += [tag("text", LANES[name], x=0, y=f"{at * LANE + 11:.0f}") for at, name in enumerate(lanes)]
    for one, age in zip(moments, ages, strict=True):
        kind = one.severity.value if one.severity else "mild"
        y = lanes.index(one.source) * LANE + 8
        parts.append(
            tag("circle", cx=_x(age, longest), cy=f"{y:.0f}", r=5 if one.first_cause else 3, class_=_marked(kind, one))
        )
    told = f"{len(moments)} events in {len(lanes)} sources, the last at {show_time(last)}; the list below says each"
    return tag("svg", join(parts), viewBox=f"0 0 320 {height:.0f}", role="img", aria_label=told, class_="story")


def _marked(kind: str, one: Moment) -> str:
    return f"{kind} first" if one.first_cause else kind


def _x(age: float, longest: float) -> str:
    return f"{RIGHT - math.log1p(max(age, 0.0)) / longest * (RIGHT - LEFT - 6):.1f}"


def _row(one: Moment, anchors: Mapping[str, str]) -> Markup:
    kind = one.severity.value if one.severity else "mild"
    where = one.member + (f":{one.line}" if one.member and one.line else "")
    notes = [f"{one.count} times until {show_time(one.last_at)}" if one.count > 1 and one.last_at else ""]
    notes.append("time by the BMC's clock, set right" if one.corrected else "time worked out" if one.guessed else "")
    said = ", ".join(part for part in (*notes, where) if part)
    anchor = anchors.get(f"{one.rule}@{one.part}", "") if one.rule else ""
    return tag(
        "li",
        tag("time", show_time(one.at), datetime=one.at.isoformat()),
        tag("span", one.source, class_="source"),
        join([tag("b", "first cause"), Markup(" ")]) if one.first_cause else "",
        tag("a", one.text, href=f"#{anchor}") if anchor else tag("span", one.text),
        tag("span", said, class_="place") if said else "",
        class_=f"{kind} first" if one.first_cause else kind,
    )
