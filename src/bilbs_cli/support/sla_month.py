"""The attainment of a month against what the tier promises."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

from bilbs_cli.config import Config
from bilbs_cli.errors import UsageProblem
from bilbs_cli.support import sla_question
from bilbs_cli.support.sla.attainment import Attainment, attainment
from bilbs_cli.support.sla_flags import Flags
from bilbs_cli.support.sla_question import Plan


class Attained(NamedTuple):
    """What was attained in a month, and the percentage that the tier promises (None: none)."""

    plan: Plan
    attainment: Attainment
    promised: float | None

    @property
    def short(self) -> bool:
        """Say whether less was attained than is promised; no figure is not short."""
        percent = self.attainment.percent
        return percent is not None and self.promised is not None and percent < self.promised


def attained(flags: Flags, config: Config, month: str | None) -> Attained:
    """Return the attainment over all tickets of the events file. Raises as `sla_question.questions`, and for a bad month."""
    plan, now, asked = sla_question.questions(flags, config)
    first = _month(month, plan, now)
    tiers = {one.tier.id for one in asked if one.tier} or {flags.tier or ""}
    promised = [
        target.limit.percent
        for target in plan.provider.targets
        if target.metric == "attainment" and (not target.tiers or tiers & set(target.tiers))
    ]
    clocks = [clock for one in asked for clock in one.clocks()]
    return Attained(plan, attainment(clocks, first, plan.zone.zone), max(promised, default=None))


def _month(text: str | None, plan: Plan, now: datetime) -> date:
    if text is None:
        return now.astimezone(plan.zone.zone).date().replace(day=1)
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    except ValueError as error:
        raise UsageProblem(f"--month {text}: write 2026-11", code="bad-time") from error
