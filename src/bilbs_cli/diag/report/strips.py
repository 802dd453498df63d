"""A reading against its thresholds, as a strip: where it stands, how far it is from a limit, and that it is not known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bilbs_cli.diag.model import finite
from bilbs_cli.diag.report.markup import Markup, join, tag

WIDTH, HEIGHT = 200.0, 12.0


@dataclass(frozen=True, slots=True)
class Strip:
    """One reading. `shown` is its value in words, or why there is none (then `at` is None).

    `warn` and `crit` are the limits above which it is bad, `low_warn` and `low_crit` those below; all in the unit of
    `at`. `low` and `high` are the ends of the scale where the limits do not give them.
    """

    name: str
    shown: str
    at: float | None = None
    warn: float | None = None
    crit: float | None = None
    low_warn: float | None = None
    low_crit: float | None = None
    low: float = 0.0
    high: float | None = None
    limits: str = ""

    @property
    def state(self) -> str:
        """Return `unknown`, `critical`, `warning` or `ok`: only what the limits say."""
        at = finite(self.at)
        if at is None:
            return "unknown"
        for name, high, low in (("critical", self.crit, self.low_crit), ("warning", self.warn, self.low_warn)):
            if (high is not None and at >= high) or (low is not None and at <= low):
                return name
        return "ok"


def row(strip: Strip) -> Markup:
    """Return a strip with its name, value and limits, to be read without the picture too."""
    state = strip.state
    said = {"unknown": "not known", "ok": "", "warning": "past a warning limit", "critical": "past a critical limit"}[
        state
    ]
    return tag(
        "div",
        tag("span", strip.name, class_="name"),
        tag(
            "span",
            strip.shown,
            join([Markup(", "), tag("b", said)]) if said and state != "unknown" else "",
            class_="shown",
        ),
        _picture(strip),
        tag("span", strip.limits, class_="limits"),
        class_=f"strip {state}",
    )


def _picture(strip: Strip) -> Markup:
    at = finite(strip.at)
    parts = [tag("rect", class_="scale", x=0, y=3, width=WIDTH, height=6)]
    if at is not None:
        low, high = _scale(strip, at)
        place = partial(_place, low, high)
        parts += [
            tag("rect", class_=f"zone {name}", x=f"{start:.1f}", y=3, width=f"{end - start:.1f}", height=6)
            for name, start, end in _zones(strip, place)
            if end > start
        ]
        parts.append(tag("rect", class_="needle", x=f"{min(place(at), WIDTH - 3):.1f}", y=0, width=3, height=HEIGHT))
    label = f"{strip.name}: {strip.shown}" + (f"; {strip.limits}" if strip.limits else "")
    return tag(
        "svg",
        join(parts),
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def _scale(strip: Strip, at: float) -> tuple[float, float]:
    marks = [mark for mark in (strip.warn, strip.crit, strip.low_warn, strip.low_crit, at) if mark is not None]
    low = min(strip.low, *marks)
    high = strip.high if strip.high is not None and strip.high >= max(marks) else max(marks) + abs(max(marks)) * 0.1
    return low, high if high > low else low + 1.0


def _place(low: float, high: float, value: float) -> float:
    share = (value / 2 - low / 2) / (high / 2 - low / 2)  # halves: no overflow between huge numbers
    return min(max(share, 0.0), 1.0) * WIDTH


def _zones(strip: Strip, place: Callable[[float], float]) -> list[tuple[str, float, float]]:
    crit = place(strip.crit) if strip.crit is not None else WIDTH
    low_crit = place(strip.low_crit) if strip.low_crit is not None else 0.0
    return [
        ("critical", 0.0, low_crit),
        ("warning", low_crit, place(strip.low_warn) if strip.low_warn is not None else low_crit),
        ("warning", place(strip.warn) if strip.warn is not None else crit, crit),
        ("critical", crit, WIDTH),
    ]
