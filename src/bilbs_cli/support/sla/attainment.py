"""Attainment over a month: how many of the first responses that came due in it were given in time."""

from collections.abc import Iterable
from datetime import date, tzinfo
from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli.support.sla.clocks import BREACHED, MET, Clock
from bilbs_cli.support.sla.working_time import as_time

METRIC = "first_response"


class Attainment(NamedTuple):
    """The first responses of one month. `open` are due in it and neither met nor breached yet."""

    month: date
    met: int
    breached: int
    open: int

    @property
    def percent(self) -> float | None:
        """Return met of (met + breached) in percent; None where nothing came due: that is not 100 %."""
        settled = self.met + self.breached
        return 100 * self.met / settled if settled else None


def attainment(clocks: Iterable[Clock], month: date, zone: tzinfo) -> Attainment:
    """Return the attainment of a month (its first day) in the account's zone, over the clocks of all tickets.

    Counted are targets of the role `target` for the first response that were due in that month.
    """
    states = [
        one.state
        for one in clocks
        if one.target.metric == METRIC and one.target.role == "target" and _in(one, month, zone)
    ]
    met, breached = states.count(MET), states.count(BREACHED)
    return Attainment(month, met, breached, len(states) - met - breached)


def _in(clock: Clock, month: date, zone: tzinfo) -> bool:
    if clock.due is None:
        return False
    local = as_time(clock.due).astimezone(zone)
    return (local.year, local.month) == (month.year, month.month)
